"""Nets from outside, by weights that the user has: ONNX files, architectures of torchvision and timm."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

import numpy as np
import pyarrow as pa

from twinset.core.errors import DataError, ParameterError
from twinset.core.extras import optional
from twinset.core.features.embedders.embedding import (
    Codes,
    Embedder,
    Embedding,
    ImageEmbedding,
    Matrix,
)
from twinset.core.features.embedders.small_cnn import small
from twinset.core.features.torch_device import device_of, one_thread
from twinset.core.image.codec import Pixels

Family = Literal["onnx", "torchvision", "timm"]

_AT_ONCE = 16  # images in memory at a time
_HEADS = ("fc", "classifier", "head", "heads")
_DEFAULT_SIDE = 224  # pixels: the side that networks for ImageNet are trained on


@dataclass(frozen=True)
class Weights:
    """The bytes of a file of weights."""

    name: str  # Name of the file, without its folder; its ending tells the format
    data: bytes = field(repr=False)

    @property
    def sha256(self) -> str:
        """SHA-256 of the file, 64 hexadecimal digits."""
        return hashlib.sha256(self.data).hexdigest()


@dataclass(frozen=True, kw_only=True)
class OutsideNet(Embedder):
    """Runs a net whose weights the user has as a file; nothing is downloaded, nothing is unpickled.

    Parameters
    ----------
    family : {"onnx", "torchvision", "timm"}
        Who knows the architecture; an ONNX file holds it itself.
    weights : Weights
        An ONNX file, or a state dictionary as safetensors or as what `torch.save` writes, of which
        tensors alone are read.
    architecture : str
        Name of the model in torchvision or timm, e.g. "resnet18".
    side : int, optional
        Side that images are brought to; by default what an ONNX file asks for, else 224.
    mean, spread : tuple of float
        What is taken off each channel, and what it is divided by; by default those of ImageNet.
    device : {"auto", "cpu", "cuda"}
        Where torch computes; ONNX files run on the CPU.
    """

    kind: ClassVar[str] = "image"

    family: Family
    weights: Weights
    architecture: str = ""
    side: int | None = None
    mean: tuple[float, float, float] = (0.485, 0.456, 0.406)
    spread: tuple[float, float, float] = (0.229, 0.224, 0.225)
    device: Literal["auto", "cpu", "cuda"] = "auto"

    def __post_init__(self) -> None:
        if self.family not in ("onnx", "torchvision", "timm"):
            raise ParameterError(
                "unknown family of nets", got=str(self.family), allowed="onnx, torchvision, timm"
            )
        if self.family != "onnx" and not self.architecture:
            raise ParameterError(
                f"weights for {self.family} need the name of their architecture",
                todo=f"write e.g. {self.family}:resnet18:FILE",
            )
        if (self.side is not None and self.side < 8) or min(self.spread) <= 0:
            raise ParameterError(
                "a setting of the net is out of its range", allowed="side >= 8, spread above 0"
            )

    @property
    def name(self) -> str:
        """Name of the architecture; of an ONNX file, its own without the ending."""
        return self.architecture or self.weights.name.rpartition(".")[0] or self.weights.name

    def fit(self, column: pa.ChunkedArray, labels: Codes | None, seed: int) -> Embedding:
        """Return the embedding; the images are only used to see how long its vectors are."""
        run, side = _onnx(self) if self.family == "onnx" else _torch(self)
        mean, spread = (np.array(v, np.float32)[:, None, None] for v in (self.mean, self.spread))

        def apply(many: Sequence[Pixels]) -> Matrix:
            out = []
            for start in range(0, len(many), _AT_ONCE):
                block = [
                    (small(one, side) - mean) / spread for one in many[start : start + _AT_ONCE]
                ]
                found = run(np.stack(block))
                # Maps of features become their means over the image.
                out.append(found.mean(axis=(2, 3)) if found.ndim == 4 else found)
            return np.concatenate(out).reshape(len(many), -1).astype(np.float32)

        size = apply([np.zeros((side, side, 3), np.uint8)]).shape[1]
        facts = {
            "kind": f"{self.family} net with weights from a file",
            "size": size,
            "architecture": self.architecture,
            "weights": self.weights.name,
            "weights_sha256": self.weights.sha256,
            "side": side,
        }
        return ImageEmbedding(self.name, size, apply, facts)


Run = Callable[[Matrix], Matrix]


def _onnx(net: OutsideNet) -> tuple[Run, int]:
    onnxruntime = optional("onnxruntime")
    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = settings.inter_op_num_threads = 1
    settings.log_severity_level = 4
    try:
        session = onnxruntime.InferenceSession(
            net.weights.data, settings, providers=["CPUExecutionProvider"]
        )
    except _onnx_errors() as error:
        raise _damaged(net, "a whole ONNX model") from error
    entry = session.get_inputs()[0]
    if len(entry.shape) != 4 or len(session.get_inputs()) != 1:
        raise _damaged(net, "a model with one input of the shape (n, 3, height, width)")
    asked = [size for size in entry.shape[2:] if isinstance(size, int) and size > 0]
    side = net.side or (asked[0] if asked else _DEFAULT_SIDE)
    one_by_one = isinstance(entry.shape[0], int) and entry.shape[0] == 1

    def run(x: Matrix) -> Matrix:
        parts = np.split(x, len(x)) if one_by_one else [x]
        return np.concatenate([session.run(None, {entry.name: part})[0] for part in parts])

    return run, int(side)


def _onnx_errors() -> tuple[type[Exception], ...]:
    """Return what onnxruntime raises of a model: its errors have no root of their own."""
    state = optional("onnxruntime.capi.onnxruntime_pybind11_state")
    names = (
        "Fail",
        "InvalidArgument",
        "InvalidGraph",
        "InvalidProtobuf",
        "NoModel",
        "NotImplemented",
    )
    known = [getattr(state, name) for name in names if hasattr(state, name)]
    return (RuntimeError, ValueError, *known)


def _torch(net: OutsideNet) -> tuple[Run, int]:
    torch = optional("torch")
    state = _state(net)
    model = _without_weights(net)
    own = dict(model.state_dict())
    heads = tuple(f"{head}." for head in _HEADS)
    body = {key: value for key, value in state.items() if key in own}
    lacking = [key for key in own if key not in state]
    unknown = [key for key in state if key not in own and not key.startswith(heads)]
    unfit = [key for key, value in body.items() if value.shape != own[key].shape]
    if lacking or unknown or unfit:
        first = [*lacking, *unfit, *unknown][0]
        raise DataError(
            f"the weights '{net.weights.name}' are not those of {net.architecture}",
            got=f"{len(lacking)} tensors lacking, {len(unfit)} of another shape, {len(unknown)} too "
            f"many; first '{first}'",
            todo="name the architecture that the weights were saved from",
        )
    model.load_state_dict(body)
    device = device_of(net.device)
    model = model.eval().to(device)

    def run(x: Matrix) -> Matrix:
        with one_thread(), torch.no_grad():
            found: Matrix = model(torch.from_numpy(x).to(device)).cpu().numpy()
        return found

    return run, net.side or _DEFAULT_SIDE


def _state(net: OutsideNet) -> dict[str, Any]:
    """Return the tensors of a state dictionary; a file that holds anything else is refused."""
    torch = optional("torch")
    if net.weights.name.lower().endswith(".safetensors"):
        safetensors = optional("safetensors")
        try:
            return dict(optional("safetensors.torch").load(net.weights.data))
        except (safetensors.SafetensorError, ValueError) as error:
            raise _damaged(net, "a whole safetensors file") from error
    import pickle  # noqa: TID251  (for the name of its error; nothing is unpickled)

    try:
        held = torch.load(io.BytesIO(net.weights.data), map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, ValueError, KeyError) as error:
        raise _damaged(net, "a state dictionary of tensors alone") from error
    held = held.get("state_dict", held) if isinstance(held, dict) else held
    if not isinstance(held, dict) or not all(hasattr(value, "shape") for value in held.values()):
        raise _damaged(net, "a state dictionary of tensors alone")
    return held


def _without_weights(net: OutsideNet) -> Any:
    """Return the architecture without its last layer, its weights still drawn at random."""
    torch = optional("torch")
    with torch.random.fork_rng(devices=[]):
        if net.family == "timm":
            timm = optional("timm")
            if not timm.is_model(net.architecture):
                raise _unknown(net)
            return timm.create_model(net.architecture, pretrained=False, num_classes=0)
        models = optional("torchvision.models")
        if net.architecture not in models.list_models(module=models):
            raise _unknown(net)
        model = models.get_model(net.architecture, weights=None)
    for head in _HEADS:
        if hasattr(model, head):
            setattr(model, head, torch.nn.Identity())
    return model


def _unknown(net: OutsideNet) -> ParameterError:
    return ParameterError(
        f"{net.family} knows no architecture '{net.architecture}'",
        todo=f"see the list of models of {net.family}",
    )


def _damaged(net: OutsideNet, allowed: str) -> DataError:
    return DataError(
        f"the weights '{net.weights.name}' cannot be used",
        got=f"{len(net.weights.data):,} bytes that are no such file",
        allowed=allowed,
    )

"""A small convolutional net trained on the real train part: an embedder that knows these pictures."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
import pyarrow as pa

from twinset.core.errors import FitError, ParameterError
from twinset.core.features.embedders._distortions import N_DISTORTIONS, distorted
from twinset.core.features.embedders.base import Codes, Embedder, Embedding, Matrix, decoded
from twinset.core.features.embedders.handcrafted import as_colour, drawn_in
from twinset.core.features.torch_device import device_of, one_thread, require_torch
from twinset.core.image.codec import Pixels, open_cv
from twinset.core.seeding import rng_for, torch_generator

if TYPE_CHECKING:
    import torch

_WIDTHS = (16, 32, 48)
_BATCH = 32
_RATE, _DECAY = 3e-3, 1e-2
_MOST_IMAGES = 4_000
_FEWEST_IMAGES = 20
_APPLIED_AT_ONCE = 64
_SCALED_ON = 1_000


@dataclass(frozen=True, kw_only=True)
class SmallNet(Embedder):
    """Trains a small convolutional net on the real train part and takes means and spreads of its layers.

    The net learns which of eight ways a picture was distorted in (not at all, noise, blur, brightness,
    colour cast, coarse JPEG-like blocks, shuffled quarters, a quarter turn), so that no labels are
    needed, and, where labels are given, the class too. Its vector holds the mean and the spread of
    every channel of its three layers, 192 numbers, each centred and scaled as among the training
    images. It never sees rows that are compared. The same
    images and seed give the same vectors on a CPU; on a graphics card they may differ in their last
    digits.

    Parameters
    ----------
    steps : int
        Steps of the optimiser, of 32 pictures each, 1 or more.
    side : int
        Side that pictures are brought to, in pixels, 16 to 256, a multiple of 8.
    device : {"auto", "cpu", "cuda"}
        Where to compute; "auto" takes a graphics card when torch sees one.

    References
    ----------
    Dosovitskiy et al. (2014), Discriminative Unsupervised Feature Learning with Convolutional Neural
    Networks, NeurIPS; Gidaris, Singh, Komodakis (2018), Unsupervised Representation Learning by
    Predicting Image Rotations, ICLR.
    """

    learns: ClassVar[bool] = True

    steps: int = 250
    side: int = 48
    device: Literal["auto", "cpu", "cuda"] = "auto"

    def __post_init__(self) -> None:
        if self.steps < 1 or not 16 <= self.side <= 256 or self.side % 8:
            raise ParameterError(
                "a setting of the net is out of its range",
                got=f"steps {self.steps}, side {self.side}",
                allowed="steps >= 1; side 16 to 256, a multiple of 8",
            )

    @property
    def name(self) -> str:
        """Its name: "net"."""
        return "net"

    def fit(self, images: pa.ChunkedArray, labels: Codes | None, seed: int) -> Embedding:
        """Return the embedding of a net trained on at most 4,000 of the images."""
        require_torch()
        import torch

        rng = rng_for(seed, "embedder", "net")
        rows = np.arange(len(images))
        if len(rows) > _MOST_IMAGES:
            rows = np.sort(rng.choice(rows, _MOST_IMAGES, replace=False))
        found = decoded(images.take(pa.array(rows)))
        if len(found) < _FEWEST_IMAGES:
            raise FitError(
                "too few images to train the net on",
                got=f"{len(found)} that can be read",
                allowed=f"{_FEWEST_IMAGES} or more",
            )
        pictures = np.stack([small(pixels, self.side) for _, pixels in found])
        held = np.full(len(found), -1, dtype=np.int64)
        if labels is not None:
            held = np.asarray(labels)[rows[[row for row, _ in found]]].astype(np.int64)
        device = device_of(self.device)
        mean, spread = pictures.mean(axis=(0, 2, 3)), pictures.std(axis=(0, 2, 3)) + 1e-3
        with one_thread():
            layers = _trained(pictures, held, (mean, spread), self.steps, rng, device)
        parameters = sum(p.numel() for layer in layers for p in layer.parameters())

        def raw(pictures: Matrix) -> Matrix:
            out = []
            with one_thread(), torch.no_grad():
                for start in range(0, len(pictures), _APPLIED_AT_ONCE):
                    block = pictures[start : start + _APPLIED_AT_ONCE]
                    out.append(
                        _pooled(layers, _normal(block, mean, spread).to(device)).cpu().numpy()
                    )
            return np.concatenate(out)

        usual = raw(pictures[:_SCALED_ON])
        centre, width = usual.mean(axis=0), usual.std(axis=0) + 1e-3

        def apply(many: Sequence[Pixels]) -> Matrix:
            found = raw(np.stack([small(one, self.side) for one in many]))
            return drawn_in((found - centre) / width, np.ones_like(width))

        facts: dict[str, Any] = {
            "kind": "small convolutional net, trained on the real train part",
            "size": 2 * sum(_WIDTHS),
            "channels": list(_WIDTHS),
            "parameters": int(parameters),
            "side": self.side,
            "steps": self.steps,
            "seed": seed,
            "trained_on_images": len(found),
            "labels": int(held.max()) + 1 if (held >= 0).any() else 0,
            "device": device,
            "weights_sha256": _digest(layers),
        }
        return Embedding(self.name, 2 * sum(_WIDTHS), apply, facts)


def _digest(layers: Sequence[Any]) -> str:
    """Return the SHA-256 of all weights, and of the norms' running numbers, in their order."""
    digest = hashlib.sha256()
    for layer in layers:
        for held in layer.state_dict().values():
            digest.update(np.ascontiguousarray(held.cpu().numpy()).tobytes())
    return digest.hexdigest()


def small(pixels: Pixels, side: int) -> Matrix:
    """Return a picture in three channels at a side of `side` pixels, shape (3, side, side), 0 to 1."""
    cv2 = open_cv()
    colour = as_colour(pixels)
    larger = min(colour.shape[:2]) >= side
    how = cv2.INTER_AREA if larger else cv2.INTER_LINEAR
    resized = cv2.resize(colour, (side, side), interpolation=how)
    return np.ascontiguousarray(resized.transpose(2, 0, 1), dtype=np.float32)


def _normal(pictures: Matrix, mean: Matrix, spread: Matrix) -> torch.Tensor:
    import torch

    return torch.from_numpy((pictures - mean[:, None, None]) / spread[:, None, None])


def _layers(generator: torch.Generator, device: str) -> list[Any]:
    """Return convolutions with their norms, weights drawn from the generator alone."""
    import torch
    from torch import nn

    layers: list[Any] = []
    before = 3
    for width in _WIDTHS:
        convolution = nn.Conv2d(before, width, 3, padding=1, bias=False)
        spread = float(np.sqrt(2 / (9 * before)))
        drawn = torch.randn(convolution.weight.shape, generator=generator) * spread
        convolution.weight.data = drawn
        layers.append(nn.Sequential(convolution, nn.BatchNorm2d(width), nn.ReLU()).to(device))
        before = width
    return layers


def _pooled(layers: Sequence[Any], x: torch.Tensor) -> torch.Tensor:
    """Return mean and spread of every channel of every layer, shape (n, 192)."""
    import torch
    from torch.nn.functional import max_pool2d

    found = []
    for layer in layers:
        x = layer(x)
        found += [x.mean(dim=(2, 3)), (x.var(dim=(2, 3), unbiased=False) + 1e-6).sqrt()]
        x = max_pool2d(x, 2)
    return torch.cat(found, dim=1)


def _trained(
    pictures: Matrix,
    labels: Codes,
    scale: tuple[Matrix, Matrix],
    steps: int,
    rng: np.random.Generator,
    device: str,
) -> list[Any]:
    """Return the layers of a trained net, in the state of use."""
    import torch
    from torch.nn.functional import cross_entropy

    generator = torch_generator(rng)
    with _quiet_weights():
        layers = _layers(generator, device)
        n_classes = int(labels.max()) + 1
        heads = [_head(N_DISTORTIONS, generator, device)]
        if n_classes > 1:
            heads.append(_head(n_classes, generator, device))
    weights = [p for part in (*layers, *heads) for p in part.parameters()]
    optimiser = torch.optim.AdamW(weights, lr=_RATE, weight_decay=_DECAY)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, _RATE, total_steps=steps + 1)
    for _ in range(steps):
        rows = rng.integers(0, len(pictures), _BATCH)
        batch, which = distorted(pictures[rows], rng)
        pooled = _pooled(layers, _normal(batch, *scale).to(device))
        loss = cross_entropy(heads[0](pooled), torch.from_numpy(which).to(device))
        wanted = labels[rows]
        if len(heads) > 1 and (wanted >= 0).any():
            truth = torch.from_numpy(wanted).to(device)
            loss = loss + cross_entropy(heads[1](pooled), truth, ignore_index=-1)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
    for layer in layers:
        layer.eval()
    return layers


def _head(n: int, generator: torch.Generator, device: str) -> Any:
    import torch

    head = torch.nn.Linear(2 * sum(_WIDTHS), n)
    head.weight.data = torch.randn(head.weight.shape, generator=generator) * 0.02
    head.bias.data.zero_()
    return head.to(device)


def _quiet_weights() -> Any:
    """Return a guard under which layers that draw their first weights leave torch's state alone."""
    import torch

    guard: Callable[..., Any] = torch.random.fork_rng
    return guard(devices=[])

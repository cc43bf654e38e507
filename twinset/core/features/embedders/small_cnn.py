"""A small convolutional net trained on the real train set: an embedder that knows these images."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from twinset.core.errors import FitError, ParameterError
from twinset.core.extras import optional
from twinset.core.features.embedders.embedding import (
    Codes,
    Embedder,
    Embedding,
    ImageEmbedding,
    Matrix,
    decode_images,
)
from twinset.core.features.embedders.handcrafted import as_colour, drawn_in
from twinset.core.features.torch_device import device_of, one_thread, require_torch, torch_generator
from twinset.core.image.codec import Pixels, open_cv
from twinset.core.seeding import rng_for

if TYPE_CHECKING:
    import torch

N_DISTORTIONS = 8  # the cases of `_distort_one`
_WIDTHS = (16, 32, 48)  # channels: small enough to train on a CPU in a minute
_BATCH = 32  # images a step: four of each distortion
_RATE, _DECAY = 3e-3, 1e-2
_MAX_IMAGES = 4_000  # 250 steps of 32 images see each about twice
_MIN_IMAGES = 20  # fewer than a batch
_APPLIED_AT_ONCE = 64  # images in memory at a time
_SCALED_ON = 1_000  # images that the usual spread of a channel is measured on


@dataclass(frozen=True, kw_only=True)
class SmallNet(Embedder):
    """Trains a small convolutional net on the real train set and takes means and spreads of its layers.

    The net learns which of eight ways a image was distorted in (not at all, noise, blur, brightness,
    colour cast, coarse JPEG-like blocks, shuffled quarters, a quarter turn), so that no labels are
    needed, and, where labels are given, the class too. Its vector holds the mean and the spread of
    every channel of its three layers, 192 numbers, each centred and scaled as among the training
    images. It never sees rows that are compared. The same
    images and seed give the same vectors on a CPU; on a graphics card they may differ in their last
    digits.

    Parameters
    ----------
    steps : int
        Steps of the optimiser, of 32 images each, 1 or more.
    side : int
        Side that images are brought to, in pixels, 16 to 256, a multiple of 8.
    device : {"auto", "cpu", "cuda"}
        Where to compute; "auto" takes a graphics card when torch sees one.

    References
    ----------
    Dosovitskiy et al. (2014), Discriminative Unsupervised Feature Learning with Convolutional Neural
    Networks, NeurIPS; Gidaris, Singh, Komodakis (2018), Unsupervised Representation Learning by
    Predicting Image Rotations, ICLR.
    """

    kind: ClassVar[str] = "image"
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

    def fit(self, column: pa.ChunkedArray, labels: Codes | None, seed: int) -> Embedding:
        """Return the embedding of a net trained on at most 4,000 of the images."""
        require_torch()
        torch = optional("torch")
        rng = rng_for(seed, "embedder", "net")
        rows = np.arange(len(column))
        if len(rows) > _MAX_IMAGES:
            rows = np.sort(rng.choice(rows, _MAX_IMAGES, replace=False))
        found = decode_images(column.take(pa.array(rows)))
        if len(found) < _MIN_IMAGES:
            raise FitError(
                "too few images to train the net on",
                got=f"{len(found)} that can be read",
                allowed=f"{_MIN_IMAGES} or more",
            )
        images = np.stack([small(pixels, self.side) for _, pixels in found])
        held = np.full(len(found), -1, dtype=np.int64)
        if labels is not None:
            held = np.asarray(labels)[rows[[row for row, _ in found]]].astype(np.int64)
        device = device_of(self.device)
        mean, spread = images.mean(axis=(0, 2, 3)), images.std(axis=(0, 2, 3)) + 1e-3
        with one_thread():
            layers = _trained(images, held, (mean, spread), self.steps, rng, device)
        parameters = sum(p.numel() for layer in layers for p in layer.parameters())

        def raw(images: Matrix) -> Matrix:
            out = []
            with one_thread(), torch.no_grad():
                for start in range(0, len(images), _APPLIED_AT_ONCE):
                    block = images[start : start + _APPLIED_AT_ONCE]
                    out.append(
                        _pooled(layers, _normal(block, mean, spread).to(device)).cpu().numpy()
                    )
            return np.concatenate(out)

        usual = raw(images[:_SCALED_ON])
        centre, width = usual.mean(axis=0), usual.std(axis=0) + 1e-3

        def apply(many: Sequence[Pixels]) -> Matrix:
            found = raw(np.stack([small(one, self.side) for one in many]))
            return np.asarray(drawn_in((found - centre) / width), dtype=np.float32)

        facts: dict[str, Any] = {
            "kind": "small convolutional net, trained on the real train set",
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
        return ImageEmbedding(self.name, 2 * sum(_WIDTHS), apply, facts)


def _digest(layers: Sequence[Any]) -> str:
    """Return the SHA-256 of all weights, and of the norms' running numbers, in their order."""
    digest = hashlib.sha256()
    for layer in layers:
        for held in layer.state_dict().values():
            digest.update(np.ascontiguousarray(held.cpu().numpy()).tobytes())
    return digest.hexdigest()


def small(pixels: Pixels, side: int) -> Matrix:
    """Return a image in three channels at a side of `side` pixels, shape (3, side, side), 0 to 1."""
    cv2 = open_cv()
    colour = as_colour(pixels)
    larger = min(colour.shape[:2]) >= side
    how = cv2.INTER_AREA if larger else cv2.INTER_LINEAR
    resized = cv2.resize(colour, (side, side), interpolation=how)
    return np.ascontiguousarray(resized.transpose(2, 0, 1), dtype=np.float32)


def _normal(images: Matrix, mean: Matrix, spread: Matrix) -> torch.Tensor:
    torch = optional("torch")
    return torch.from_numpy((images - mean[:, None, None]) / spread[:, None, None])


def _layers(generator: torch.Generator, device: str) -> list[Any]:
    """Return convolutions with their norms, weights drawn from the generator alone."""
    torch = optional("torch")
    nn = optional("torch.nn")
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
    torch = optional("torch")
    max_pool2d = optional("torch.nn.functional").max_pool2d
    found = []
    for layer in layers:
        x = layer(x)
        found += [x.mean(dim=(2, 3)), (x.var(dim=(2, 3), unbiased=False) + 1e-6).sqrt()]
        x = max_pool2d(x, 2)
    return torch.cat(found, dim=1)


def _trained(
    images: Matrix,
    labels: Codes,
    scale: tuple[Matrix, Matrix],
    steps: int,
    rng: np.random.Generator,
    device: str,
) -> list[Any]:
    """Return the layers of a trained net, in the state of use."""
    torch = optional("torch")
    cross_entropy = optional("torch.nn.functional").cross_entropy
    generator = torch_generator(rng)
    with torch.random.fork_rng(devices=[]):  # layers that draw weights leave torch's state alone
        layers = _layers(generator, device)
        n_classes = int(labels.max()) + 1
        heads = [_head(N_DISTORTIONS, generator, device)]
        if n_classes > 1:
            heads.append(_head(n_classes, generator, device))
    weights = [p for part in (*layers, *heads) for p in part.parameters()]
    optimiser = torch.optim.AdamW(weights, lr=_RATE, weight_decay=_DECAY)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, _RATE, total_steps=steps + 1)
    for _ in range(steps):
        rows = rng.integers(0, len(images), _BATCH)
        batch, which = _distort(images[rows], rng)
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
    torch = optional("torch")
    head = torch.nn.Linear(2 * sum(_WIDTHS), n)
    head.weight.data = torch.randn(head.weight.shape, generator=generator) * 0.02
    head.bias.data.zero_()
    return head.to(device)


def _distort(images: Matrix, rng: np.random.Generator) -> tuple[Matrix, npt.NDArray[np.int64]]:
    """Return images, each flipped at random and distorted in one of eight ways, and the way."""
    out = np.empty_like(images)
    which = rng.integers(0, N_DISTORTIONS, len(images))
    for row, way in enumerate(which):
        image = images[row]
        if rng.random() < 0.5:
            image = image[:, :, ::-1]
        out[row] = np.clip(_distort_one(image, int(way), float(rng.random()), rng), 0.0, 1.0)
    return out, which.astype(np.int64)


def _distort_one(image: Matrix, way: int, strength: float, rng: np.random.Generator) -> Matrix:
    sign = 1.0 if rng.random() < 0.5 else -1.0
    if way == 1:
        noise = rng.standard_normal(image.shape, dtype=np.float32)
        return image + (0.01 + 0.04 * strength) * noise
    if way == 2:
        return _blurred(image, 0.4 + 0.8 * strength)
    if way == 3:
        return image + np.float32(sign * (0.03 + 0.1 * strength))
    if way == 4:
        cast = rng.normal(size=3)
        cast -= cast.mean()
        cast *= (0.03 + 0.1 * strength) / max(float(np.abs(cast).max()), 1e-6)
        return image + cast.astype(np.float32)[:, None, None]
    if way == 5:
        return _blocky(image, 0.3 + 0.5 * strength)
    if way == 6:
        return _shuffled(image, rng)
    if way == 7:
        return np.rot90(image, 1 if sign > 0 else 3, axes=(1, 2))
    return image


def _blurred(image: Matrix, sigma: float) -> Matrix:
    cv2 = open_cv()
    last = np.ascontiguousarray(image.transpose(1, 2, 0))
    return np.asarray(cv2.GaussianBlur(last, (0, 0), sigma)).transpose(2, 0, 1)


def _blocky(image: Matrix, share: float) -> Matrix:
    """Return the image with a share of what is fine in blocks of 8 pixels taken out."""
    channels, side = image.shape[:2]
    blocks = image.reshape(channels, side // 8, 8, side // 8, 8)
    coarse = np.broadcast_to(blocks.mean(axis=(2, 4), keepdims=True), blocks.shape)
    return (image * (1 - share) + coarse.reshape(image.shape) * share).astype(np.float32)


def _shuffled(image: Matrix, rng: np.random.Generator) -> Matrix:
    half = image.shape[1] // 2
    quarters = [image[:, y : y + half, x : x + half] for y in (0, half) for x in (0, half)]
    first, second, third, fourth = (quarters[i] for i in rng.permutation(4))
    rows = [np.concatenate(pair, axis=2) for pair in ((first, second), (third, fourth))]
    return np.concatenate(rows, axis=1)

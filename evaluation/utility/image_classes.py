"""Classification of real images by small networks that were trained on synthetic images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any, ClassVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from twinset.core.contracts import Comparison, NotMeasurable
from twinset.core.data.dataset import Dataset
from twinset.core.extras import optional
from twinset.core.features.embedders.embedding import decode_images
from twinset.core.features.embedders.small_cnn import small
from twinset.core.features.torch_device import device_of, one_thread
from twinset.core.parameters import Ge, Interval, Margin
from twinset.core.seeding import rng_for

from ._annotated import Codes, Floats, Matrix
from ._holdout_scores import Scorer
from ._network_comparison import NetworkMetric, NetworkTask
from ._networks import fit_network

_MIN_CLASS_IMAGES = 4  # real images of a class: with fewer, networks do not learn it
_MIN_IMAGES = 20  # of each set: a recall of fewer has an interval as wide as its range
_WIDTHS = (16, 32, 64)  # channels by depth: 300 steps take seconds on one CPU thread
_BATCH = 32  # images of a step
_RATE = 4e-3  # learning rate at which 300 steps are enough
_PREDICTED_AT_ONCE = 128  # images, to bound memory


@dataclass(frozen=True, kw_only=True)
class ImageClasses(NetworkMetric):
    """Mean recall on real images of small networks trained on synthetic images.

    value = mean over classes and networks of the recall on the real holdout. Networks are trained on real,
    synthetic and both images; the value is that of synthetic images alone (of both, where the synthetic
    ones have one class only). All networks take equally many steps and augment their images alike: of three
    standard augmentations, the best on a held-out fifth of the real training images, so that synthetic
    images compete with tuned augmentation. Batches of both are half real. Findings hold the effect of
    adding synthetic images, with an interval over holdout images and networks, both paired.

    Parameters
    ----------
    steps : int
        Steps of the optimizer, of 32 images each.
    side : int
        Side that images are scaled to, in pixels.

    References
    ----------
    Ravuri, Vinyals (2019), Classification Accuracy Score for Conditional Generative Models, NeurIPS.

    Examples
    --------
    >>> ImageClasses(steps=500, seeds=5).margin
    0.05
    """

    title: ClassVar[str] = "a small network trained on synthetic images"
    interpretation: ClassVar[str] = (
        "How well a small network that was trained on synthetic images only classifies real ones, with "
        "standard augmentation and equal steps for all. What matters for adding them is the change of "
        "real and synthetic images together against real ones alone."
    )
    kinds: ClassVar[frozenset[str]] = frozenset({"image", "category", "boolean"})
    needs: ClassVar[frozenset[str]] = frozenset({"image"})

    margin: Margin = 0.05
    seeds: Annotated[int, Ge(2)] = 3
    max_rows: Annotated[int, Ge(_MIN_IMAGES)] = 4_000
    side: Annotated[int, Interval(ge=16, le=128)] = 32

    def open_task(self, comparison: Comparison) -> ClassTask:
        """Return the task of the first image column and the target."""
        schema, target = comparison.train.schema, comparison.target
        images = schema.of_kind("image")
        if not images:
            raise NotMeasurable("there is no image column")
        if target is None or target not in schema.names:
            raise NotMeasurable("no target column is named")
        if not schema[target].has_levels:
            raise NotMeasurable(f"a target of the kind {schema[target].kind} is no class of images")
        codes, levels = comparison.train.codes(target)
        counts = np.bincount(codes[codes >= 0], minlength=len(levels))
        kept = [name for name, count in zip(levels, counts) if count >= _MIN_CLASS_IMAGES]
        if len(kept) < 2:
            raise NotMeasurable(f"fewer than two classes have {_MIN_CLASS_IMAGES} real images each")
        return ClassTask(self, images[0].name, target, {name: k for k, name in enumerate(kept)})


@dataclass(frozen=True)
class ImageArrays:
    """Images of one size, shape (n, 3, side, side), from 0 to 1, with their classes."""

    pixels: Matrix
    classes: Codes

    @classmethod
    def from_column(cls, images: pa.ChunkedArray, classes: Codes, side: int) -> ImageArrays:
        """Return the images that can be decoded and whose class is known (0 or more)."""
        found = [(row, small(one, side)) for row, one in decode_images(images) if classes[row] >= 0]
        pixels = np.array([one for _, one in found], np.float32).reshape(-1, 3, side, side)
        return cls(pixels, classes[[row for row, _ in found]].astype(np.int64))

    def __len__(self) -> int:
        return len(self.classes)

    def take(self, rows: Codes) -> ImageArrays:
        """Return the images at these positions."""
        return ImageArrays(self.pixels[rows], self.classes[rows])


@dataclass(frozen=True)
class Augmentation:
    """Random changes of training images; 0 is none.

    `shift` is the largest one in pixels, in both directions, `light` the largest relative change of
    brightness and contrast; half of the images are mirrored.
    """

    name: str
    shift: int = 0
    mirrored: bool = False
    light: float = 0.0

    def apply(self, pixels: Matrix, rng: np.random.Generator) -> Matrix:
        """Return changed images, of the same shape."""
        out = pixels.copy()
        n, side = len(out), out.shape[-1]
        if self.mirrored:
            turned = rng.random(n) < 0.5
            out[turned] = out[turned, :, :, ::-1]
        if self.shift:
            moves = rng.integers(-self.shift, self.shift + 1, (n, 2))
            room = ((0, 0), (0, 0), (self.shift,) * 2, (self.shift,) * 2)
            wide = np.pad(out, room, mode="edge")
            for row, (dy, dx) in enumerate(moves + self.shift):
                out[row] = wide[row, :, dy : dy + side, dx : dx + side]
        if self.light:
            factor = 1 + rng.uniform(-self.light, self.light, (n, 1, 1, 1))
            added = rng.uniform(-self.light, self.light, (n, 1, 1, 1)) / 2
            middle = out.mean(axis=(1, 2, 3), keepdims=True)
            out = ((out - middle) * factor + middle + added).astype(np.float32)
        return out


AUGMENTATIONS = (
    Augmentation("none"),
    Augmentation("mirrored and moved", shift=2, mirrored=True),
    Augmentation("mirrored, moved, light and contrast", shift=2, mirrored=True, light=0.2),
)
"""Candidates; the best on held-out real training images is used for all networks."""


@dataclass(frozen=True)
class ClassTask(NetworkTask):
    """Classification of images by networks that see equally many images of each source in a batch."""

    settings: ImageClasses
    image: str
    target: str
    levels: Mapping[str, int]
    measures: ClassVar[tuple[str, ...]] = ("mean recall",)
    stream: ClassVar[str] = "image_classes"
    n_seeds: ClassVar[int] = 2**31

    def read(self, rows: Dataset) -> ImageArrays:
        """Return the images whose class is known."""
        codes, own = rows.codes(self.target)
        place = np.array([*[self.levels.get(name, -1) for name in own], -1])[codes]
        return ImageArrays.from_column(rows.records.column(self.image), place, self.settings.side)

    def check(self, images: ImageArrays, name: str) -> None:
        """Raise NotMeasurable where there are too few real images."""
        if len(images) < _MIN_IMAGES or len(np.unique(images.classes)) < 2:
            raise NotMeasurable(
                f"it needs at least {_MIN_IMAGES} real images of two classes in the {name}"
            )

    def add_synthetic(
        self, train: ImageArrays, synthetic: ImageArrays
    ) -> dict[str, list[ImageArrays]]:
        """Return the set of both, and the synthetic one by itself where it has two classes."""
        if len(synthetic) < _MIN_IMAGES:
            raise NotMeasurable(f"it needs at least {_MIN_IMAGES} synthetic images with a label")
        alone = {"synthetic": [synthetic]} if len(np.unique(synthetic.classes)) > 1 else {}
        return {"mixed": [train, synthetic], **alone}

    def strata(self, unseen: ImageArrays) -> Codes:
        """Return the classes."""
        return unseen.classes

    def describe(self, unseen: ImageArrays) -> dict[str, Any]:
        """Return the recall of a guess."""
        return {"chance_level": 1 / len(np.unique(unseen.classes))}

    def tune(self, train: ImageArrays, seed: int) -> Augmentation:
        """Return the augmentation with the best likelihood on a held-out fifth of the images."""
        order = rng_for(seed, self.stream, "fold").permutation(len(train))
        kept, test = train.take(order[len(order) // 5 :]), train.take(order[: len(order) // 5])
        scores = []
        for augmentation in AUGMENTATIONS:
            rng = rng_for(seed, self.stream, "tune")
            predicted = self.predict([kept], augmentation, test, rng)
            own = predicted[np.arange(len(test)), test.classes]
            scores.append(float(np.log(np.maximum(own, 1e-3)).mean()))
        return AUGMENTATIONS[int(np.argmax(scores))]

    def fit(
        self,
        sources: Sequence[ImageArrays],
        augmentation: Augmentation,
        unseen: ImageArrays,
        rng: np.random.Generator,
    ) -> Scorer:
        """Return the scorer of the recall of one network."""
        predicted = self.predict(sources, augmentation, unseen, rng)
        return recall_scorer(predicted.argmax(axis=1) == unseen.classes, unseen.classes)

    def predict(
        self,
        sources: Sequence[ImageArrays],
        augmentation: Augmentation,
        unseen: ImageArrays,
        rng: np.random.Generator,
    ) -> Floats:
        """Return the probabilities that one network gives unseen images, shape (n, n_classes)."""
        torch = optional("torch")
        cross_entropy = optional("torch.nn.functional").cross_entropy
        device, real = device_of(self.settings.device), sources[0].pixels
        mean, spread = (
            part[:, None, None]
            for part in (real.mean(axis=(0, 2, 3)), real.std(axis=(0, 2, 3)) + 1e-3)
        )

        def draw(draws: np.random.Generator) -> tuple[Matrix, Codes]:
            shares = np.array_split(np.arange(_BATCH), len(sources))
            parts = [
                part.take(draws.integers(0, len(part), len(share)))
                for part, share in zip(sources, shares)
            ]
            pixels = np.concatenate([part.pixels for part in parts])
            x = (augmentation.apply(pixels, draws) - mean) / spread
            return x, np.concatenate([part.classes for part in parts])

        net = fit_network(
            partial(_build_net, len(self.levels)), draw, cross_entropy,
            steps=self.settings.steps, rate=_RATE, rng=rng, device=device,
        )  # fmt: skip
        parts = []
        with one_thread(), torch.no_grad():
            for start in range(0, len(unseen), _PREDICTED_AT_ONCE):
                x = (unseen.pixels[start : start + _PREDICTED_AT_ONCE] - mean) / spread
                parts.append(net(torch.from_numpy(x).to(device)).softmax(dim=1).cpu().numpy())
        return np.concatenate(parts).astype(np.float64)


def _build_net(n_classes: int) -> Any:
    """Return an untrained network."""
    nn = optional("torch.nn")
    layers: list[Any] = []
    for before, width in zip((3, *_WIDTHS), _WIDTHS):
        layers += [
            nn.Conv2d(before, width, 3, padding=1, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(),
            nn.MaxPool2d(2),
        ]
    last = nn.Linear(4 * _WIDTHS[-1], n_classes)
    last.bias.data.zero_()
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(2), nn.Flatten(), last)


def recall_scorer(hits: npt.NDArray[np.bool_], classes: npt.NDArray[np.int64]) -> Scorer:
    """Return a scorer of the recall, mean over the classes, 0 to 1."""
    members = [np.flatnonzero(classes == one) for one in np.unique(classes)]

    def score(weights: Floats) -> Floats:
        recalls = [weights[rows] @ hits[rows] / weights[rows].sum() for rows in members]
        return np.array([np.mean(recalls)])

    return score

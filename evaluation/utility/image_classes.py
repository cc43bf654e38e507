"""Classification of real images by small networks that were trained on synthetic images."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np
import numpy.typing as npt

from twinset.core.contracts import Comparison, Measurement, Metric, MetricFamily, NotMeasurable
from twinset.core.data.dataset import Dataset
from twinset.core.features.torch_device import device_of, require_torch
from twinset.core.findings import TrainingData
from twinset.core.parameters import Device, Ge, Interval, Margin, Replicates
from twinset.core.seeding import rng_for

from ._holdout_scores import Scorer, bootstrap_networks, compare_models
from ._image_net import AUGMENTATIONS, Augmentation, Floats, ImageArrays, predict_unseen

_MEASURE = "mean recall"
_MIN_CLASS_IMAGES = 4  # real images of a class: with fewer, networks do not learn it
_MIN_IMAGES = 20  # of each set: a recall of fewer has an interval as wide as its range


@dataclass(frozen=True, kw_only=True)
class ImageClasses(Metric):
    """Mean recall on real images of small networks trained on synthetic images.

    value = mean over classes and networks of the recall on the real holdout. Networks are trained on real,
    synthetic and both images; the value is that of synthetic images alone (of both, where the synthetic
    ones have one class only). All networks take equally many steps and augment their images alike: of three
    standard augmentations, the best on a held-out fifth of the real training images, so that synthetic
    images compete with tuned augmentation. Batches of both are half real. Findings hold the effect of
    adding synthetic images, with an interval over holdout images and networks, both paired.

    Parameters
    ----------
    margin : float
        Largest degradation that still counts as equivalent, in the unit of the value.
    steps : int
        Steps of the optimizer, of 32 images each.
    seeds : int
        Networks of each kind.
    side : int
        Side that images are scaled to, in pixels.
    max_rows : int
        Training images of each set, and holdout images.
    replicates : int
        Bootstrap replicates.
    device : {"auto", "cpu", "cuda"}
        Device of torch.

    References
    ----------
    Ravuri, Vinyals (2019), Classification Accuracy Score for Conditional Generative Models, NeurIPS.

    Examples
    --------
    >>> ImageClasses(steps=500, seeds=5).margin
    0.05
    """

    family: ClassVar[MetricFamily] = "utility"
    title: ClassVar[str] = "a small network trained on synthetic images"
    interpretation: ClassVar[str] = (
        "How well a small network that was trained on synthetic images only classifies real ones, with "
        "standard augmentation and equal steps for all. What matters for adding them is the change of "
        "real and synthetic images together against real ones alone."
    )
    higher_is_better: ClassVar[bool] = True
    bounds: ClassVar[tuple[float, float]] = (0.0, 1.0)
    kinds: ClassVar[frozenset[str]] = frozenset({"image", "category", "boolean"})
    needs: ClassVar[frozenset[str]] = frozenset({"image"})
    has_floor: ClassVar[bool] = False
    is_thorough: ClassVar[bool] = True
    extra: ClassVar[str | None] = "torch"

    margin: Margin = 0.05
    steps: Annotated[int, Ge(1)] = 300
    seeds: Annotated[int, Ge(2)] = 3
    side: Annotated[int, Interval(ge=16, le=128)] = 32
    max_rows: Annotated[int, Ge(_MIN_IMAGES)] = 4_000
    replicates: Replicates = 200
    device: Device = "auto"

    def compute(self, comparison: Comparison, rng: np.random.Generator) -> Measurement:
        """Return the mean recall on real images, 0 to 1."""
        image, target, levels = _find_columns(comparison)
        require_torch()
        draws_rng, nets_rng, *row_rngs = rng.spawn(5)
        seed = int(nets_rng.integers(2**31))

        def read(rows: Dataset, part: int) -> ImageArrays:
            rows = rows.at_most(self.max_rows, row_rngs[part])
            codes, own = rows.codes(target)
            place = np.array([*[levels.get(name, -1) for name in own], -1])[codes]
            return ImageArrays.from_column(rows.records.column(image), place, self.side)

        cache = comparison.cache
        if "images" not in cache:
            cache["images"] = read(comparison.train, 0), read(comparison.reference, 1)
        train, unseen = cache["images"]
        _check_images(train, "train set")
        _check_images(unseen, "holdout")
        sources: dict[str, tuple[ImageArrays, ...]] = {"real": (train,)}
        if comparison.synthetic is not comparison.train:
            synthetic = read(comparison.synthetic, 2)
            if len(synthetic) < _MIN_IMAGES:
                raise NotMeasurable(
                    f"it needs at least {_MIN_IMAGES} synthetic images with a label"
                )
            sources["mixed"] = (train, synthetic)
            if len(np.unique(synthetic.classes)) > 1:
                sources["synthetic"] = (synthetic,)
        if "augmentation" not in cache:
            cache["augmentation"] = self._tune(train, len(levels), seed)
        chosen: Augmentation = cache["augmentation"]
        nets: dict[str, list[Scorer]] = {}
        for name, parts in sources.items():
            if name != "real" or "nets" not in cache:
                nets[name] = self._fit_nets(parts, unseen, len(levels), chosen, seed)
            cache.setdefault("nets", nets.get("real"))
        nets = {"real": cache["nets"]} | nets
        values, drawn = bootstrap_networks(nets, unseen.classes, self.replicates, draws_rng)
        kind = next(name for name in ("synthetic", "mixed", "real") if name in nets)
        rows = {name: sum(map(len, parts)) for name, parts in sources.items()}
        models = compare_models(
            (_MEASURE,), values, drawn, rows,
            decides=TrainingData(kind), n_test_rows=len(unseen),
            chance_level=1 / len(np.unique(unseen.classes)), subject="images",
        )  # fmt: skip
        facts = {"augmentation": chosen.name, "steps": self.steps, "nets": self.seeds}
        return Measurement(float(values[kind][0]), drawn[kind][:, 0], (models,), facts=facts)

    def _tune(self, train: ImageArrays, n_classes: int, seed: int) -> Augmentation:
        """Return the augmentation that does best on a held-out fifth of the training images."""
        order = rng_for(seed, "image_classes", "fold").permutation(len(train))
        kept, test = train.take(order[len(order) // 5 :]), train.take(order[: len(order) // 5])
        scores = []
        for augmentation in AUGMENTATIONS:
            rng = rng_for(seed, "image_classes", "tune")
            predicted = predict_unseen(
                [kept], test, n_classes, augmentation, self.steps, rng, device_of(self.device)
            )
            own = predicted[np.arange(len(test)), test.classes]
            scores.append(float(np.log(np.maximum(own, 1e-3)).mean()))
        return AUGMENTATIONS[int(np.argmax(scores))]

    def _fit_nets(
        self,
        parts: tuple[ImageArrays, ...],
        unseen: ImageArrays,
        n_classes: int,
        augmentation: Augmentation,
        seed: int,
    ) -> list[Scorer]:
        """Return the scorer of each network on the unseen images."""
        predicted = [
            predict_unseen(
                parts, unseen, n_classes, augmentation, self.steps,
                rng_for(seed, "image_classes", net), device_of(self.device),
            )
            for net in range(self.seeds)
        ]  # fmt: skip
        return [
            recall_scorer(one.argmax(axis=1) == unseen.classes, unseen.classes) for one in predicted
        ]


def recall_scorer(hits: npt.NDArray[np.bool_], classes: npt.NDArray[np.int64]) -> Scorer:
    """Return a scorer of the recall, mean over the classes, 0 to 1.

    Examples
    --------
    >>> score = recall_scorer(np.array([True, True, False, True]), np.array([0, 0, 0, 1]))
    >>> round(float(score(np.ones(4))[0]), 3)  # (2/3 + 1) / 2
    0.833
    """
    members = [np.flatnonzero(classes == one) for one in np.unique(classes)]

    def score(weights: Floats) -> Floats:
        recalls = [weights[rows] @ hits[rows] / weights[rows].sum() for rows in members]
        return np.array([np.mean(recalls)])

    return score


def _find_columns(comparison: Comparison) -> tuple[str, str, dict[str, int]]:
    """Return the image column, the target and the place of each of its labels."""
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
    return images[0].name, target, {name: place for place, name in enumerate(kept)}


def _check_images(images: ImageArrays, name: str) -> None:
    if len(images) < _MIN_IMAGES or len(np.unique(images.classes)) < 2:
        raise NotMeasurable(
            f"it needs at least {_MIN_IMAGES} real images of two classes in the {name}"
        )

"""Whether small nets trained on synthetic pictures name real ones."""

from __future__ import annotations

from collections.abc import Mapping
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

from ._image_net import AUGMENTATIONS, Augmentation, Floats, ImageArrays, trained_forecast
from ._model_comparison import compare_models

Bools = npt.NDArray[np.bool_]

_MEASURE = "mean recall"
_LEAST_OF_CLASS = 4
_LEAST_ROWS = 20


@dataclass(frozen=True, kw_only=True)
class ImageClasses(Metric):
    """Trains small nets on real, synthetic and mixed pictures and tests them on the real holdout.

    All nets take equally many steps of the optimiser and vary their pictures in the same way: of three
    standard augmentations the one that does best on a fifth of the real training pictures, so that
    synthetic ones are held against tuned augmentation, not against nothing. Batches of the mixed net
    are half real. The value is the recall, mean over the classes and over several nets, of nets
    trained on synthetic pictures alone (with real ones, where the synthetic ones hold one class only).
    Details answer whether adding them helps, hurts or shows no evidence, by an interval over holdout
    pictures and nets, both paired.

    Parameters
    ----------
    margin : float
        Largest harm that still counts as good as real, in the unit of the value.
    steps : int
        Steps of the optimiser, of 32 pictures each, 1 or more.
    seeds : int
        Nets of each kind, 2 or more.
    side : int
        Side that pictures are brought to, in pixels, 16 to 128.
    max_rows : int
        Pictures of each set that nets are trained on, and of the holdout.
    replicates : int
        Bootstrap replicates.
    device : {"auto", "cpu", "cuda"}
        Where to compute.

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
    max_rows: Annotated[int, Ge(_LEAST_ROWS)] = 4_000
    replicates: Replicates = 200
    device: Device = "auto"

    def compute(self, comparison: Comparison, rng: np.random.Generator) -> Measurement:
        """Return the mean recall on real pictures, 0 to 1; details compare all nets."""
        image, target, levels = _task(comparison)
        require_torch()
        draws_rng, nets_rng, *rows_rng = rng.spawn(5)
        seed = int(nets_rng.integers(2**31))

        def pictures(rows: Dataset, part: int) -> ImageArrays:
            rows = rows.at_most(self.max_rows, rows_rng[part])
            codes, own = rows.codes(target)
            place = np.array([*[levels.get(name, -1) for name in own], -1])[codes]
            return ImageArrays.of(rows.records.column(image), place, self.side)

        real = comparison.cache.get("pictures") or (
            pictures(comparison.train, 0),
            pictures(comparison.reference, 1),
        )
        comparison.cache["pictures"] = real
        train, unseen = real
        _check(train, "train part")
        _check(unseen, "holdout")
        sources: dict[str, tuple[ImageArrays, ...]] = {"real": (train,)}
        if comparison.synthetic is not comparison.train:
            made = pictures(comparison.synthetic, 2)
            if len(made) < _LEAST_ROWS:
                raise NotMeasurable(
                    f"it needs at least {_LEAST_ROWS} synthetic pictures with a label"
                )
            sources["mixed"] = (train, made)
            if len(np.unique(made.classes)) > 1:
                sources["synthetic"] = (made,)
        if "augmentation" not in comparison.cache:
            comparison.cache["augmentation"] = self._tuned(train, len(levels), seed)
        chosen: Augmentation = comparison.cache["augmentation"]
        hits: dict[str, Bools] = {}
        for name, parts in sources.items():
            if name == "real" and "hits" in comparison.cache:
                hits[name] = comparison.cache["hits"]
                continue
            hits[name] = self._hits(parts, unseen, len(levels), chosen, seed)
        comparison.cache["hits"] = hits["real"]
        drawn = replicated_recall(hits, unseen.classes, self.replicates, draws_rng)
        values = {name: np.array([mean_recall(hit, unseen.classes)]) for name, hit in hits.items()}
        mode = next(name for name in ("synthetic", "mixed", "real") if name in hits)
        rows = {name: sum(map(len, parts)) for name, parts in sources.items()}
        models = compare_models(
            (_MEASURE,), values, drawn, rows,
            decides=TrainingData(mode), n_test_rows=len(unseen),
            chance_level=1 / len(np.unique(unseen.classes)), subject="images",
        )  # fmt: skip
        facts = {"augmentation": chosen.name, "steps": self.steps, "nets": self.seeds}
        return Measurement(float(values[mode][0]), drawn[mode][:, 0], (models,), facts=facts)

    def _tuned(self, train: ImageArrays, n_classes: int, seed: int) -> Augmentation:
        """Return the augmentation that does best on a fifth of the training pictures."""
        order = rng_for(seed, "image_classes", "fold").permutation(len(train))
        kept, aside = train.take(order[len(order) // 5 :]), train.take(order[: len(order) // 5])
        scores = []
        for augmentation in AUGMENTATIONS:
            rng = rng_for(seed, "image_classes", "tune")
            told = trained_forecast(
                [kept], aside, n_classes, augmentation, self.steps, rng, device_of(self.device)
            )
            own = told[np.arange(len(aside)), aside.classes]
            scores.append(float(np.log(np.maximum(own, 1e-3)).mean()))
        return AUGMENTATIONS[int(np.argmax(scores))]

    def _hits(
        self,
        parts: tuple[ImageArrays, ...],
        unseen: ImageArrays,
        n_classes: int,
        augmentation: Augmentation,
        seed: int,
    ) -> Bools:
        """Return which unseen pictures each net names rightly, shape (seeds, n)."""
        told = [
            trained_forecast(
                parts, unseen, n_classes, augmentation, self.steps,
                rng_for(seed, "image_classes", net), device_of(self.device),
            )
            for net in range(self.seeds)
        ]  # fmt: skip
        return np.array([one.argmax(axis=1) == unseen.classes for one in told])


def mean_recall(hits: Bools, classes: npt.NDArray[np.int64]) -> float:
    """Return the recall, mean over the classes and over nets, 0 to 1.

    Examples
    --------
    >>> hits = np.array([[True, True, False, True], [True, False, False, True]])
    >>> mean_recall(hits, np.array([0, 0, 0, 1]))  # (1/2 + 1) / 2
    0.75
    """
    return float(np.mean([hits[:, classes == one].mean() for one in np.unique(classes)]))


def replicated_recall(
    hits: Mapping[str, Bools],
    classes: npt.NDArray[np.int64],
    replicates: int,
    rng: np.random.Generator,
) -> dict[str, Floats]:
    """Return bootstrap replicates of the mean recall, shape (b, 1): the same draws for every kind of net.

    Pictures are drawn within their class, and nets with them. A bootstrap of so few nets is too narrow
    by the one degree of freedom that their mean takes: what a drawn set of nets is off by is widened.
    """
    members = [np.flatnonzero(classes == one) for one in np.unique(classes)]
    n_nets = len(next(iter(hits.values())))
    wider = np.sqrt(n_nets / (n_nets - 1))
    by_net = {
        name: np.array([[hit[net, rows].mean() for rows in members] for net in range(n_nets)])
        for name, hit in hits.items()
    }
    out: dict[str, Floats] = {name: np.empty((replicates, 1)) for name in hits}
    for b in range(replicates):
        drawn = [rows[rng.integers(0, len(rows), len(rows))] for rows in members]
        nets = rng.integers(0, n_nets, n_nets)
        for name, hit in hits.items():
            of_rows = np.mean([hit[:, rows].mean() for rows in drawn])
            of_nets = by_net[name][nets].mean() - by_net[name].mean()
            out[name][b, 0] = of_rows + wider * of_nets
    return out


def _task(comparison: Comparison) -> tuple[str, str, dict[str, int]]:
    """Return the image column, the target and the place of each of its labels."""
    schema, target = comparison.train.schema, comparison.target
    images = schema.of_kind("image")
    if not images:
        raise NotMeasurable("there is no image column")
    if target is None or target not in schema.names:
        raise NotMeasurable("no target column is named")
    if not schema[target].has_levels:
        raise NotMeasurable(f"a target of the kind {schema[target].kind} is no class of pictures")
    codes, levels = comparison.train.codes(target)
    counts = np.bincount(codes[codes >= 0], minlength=len(levels))
    kept = [name for name, count in zip(levels, counts) if count >= _LEAST_OF_CLASS]
    if len(kept) < 2:
        raise NotMeasurable(f"fewer than two classes have {_LEAST_OF_CLASS} real pictures each")
    return images[0].name, target, {name: place for place, name in enumerate(kept)}


def _check(pictures: ImageArrays, called: str) -> None:
    if len(pictures) < _LEAST_ROWS or len(np.unique(pictures.classes)) < 2:
        raise NotMeasurable(
            f"it needs at least {_LEAST_ROWS} real pictures of two classes in the {called}"
        )

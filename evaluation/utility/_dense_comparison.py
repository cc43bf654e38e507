"""Networks of real images compared with networks of real and synthetic ones, on unseen real images."""

from __future__ import annotations

import typing
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Literal

import numpy as np

from twinset.core.contracts import Comparison, Measurement, Metric, MetricFamily, NotMeasurable
from twinset.core.data.dataset import Dataset
from twinset.core.errors import ParameterError
from twinset.core.features.torch_device import device_of, require_torch
from twinset.core.parameters import Device, Ge, Interval, Margin, Replicates
from twinset.core.seeding import draw_seed, rng_for

from ._annotated import AnnotatedImage, Matrix, WindowAugmentation, list_augmentations
from ._dense_net import DenseTask, TrainingOptions, train_network
from ._holdout_scores import Scorer, bootstrap_networks, compare_models

Score = Callable[[Sequence[AnnotatedImage], Sequence[Matrix]], Scorer]
"""Unseen images and the outputs for them -> scorer of all measures, the deciding one first."""

_AUGMENTATIONS = ("plain", "moderate", "strong")
_FEW = 16  # images: with fewer, augmentation is tuned on two halves, not on a fifth
_MIN_TRAIN, _MIN_HOLDOUT = 2, 4  # images: one to learn from and one to tune on; less has no spread


@dataclass(frozen=True)
class DenseTrial:
    """Task of the networks, their scores and their number.

    Parameters
    ----------
    task : DenseTask
        Targets and loss.
    score : callable
        Unseen images and outputs -> scorer.
    training : TrainingOptions
        Steps and mixture.
    nets : int
        Networks of each kind.
    seed : int
        Seed of all that is drawn.
    """

    task: DenseTask
    score: Score
    training: TrainingOptions
    nets: int
    seed: int

    def tune(self, train: Sequence[AnnotatedImage], has_masks: bool) -> WindowAugmentation:
        """Return the augmentation with the best score on held-out real training images.

        Networks take half the steps; the sum of their scores over the folds decides.
        """
        order = rng_for(self.seed, "fold").permutation(len(train))
        folds = np.array_split(order, 2) if len(train) < _FEW else [order[: len(order) // 5]]
        half = replace(self, training=replace(self.training, steps=-(-self.training.steps // 2)))
        tried, scores = list_augmentations(has_masks), []
        for augmentation in tried:
            total = 0.0
            for fold in folds:
                kept = [train[k] for k in np.setdiff1d(order, fold)]
                test = [train[k] for k in fold]
                scorer = half.fit_net([kept], augmentation, test, rng_for(self.seed, "tune"))
                total += float(scorer(np.ones(len(test)))[0])
            scores.append(total)
        return tried[int(np.argmax(scores))]

    def fit_net(
        self,
        sources: Sequence[Sequence[AnnotatedImage]],
        augmentation: WindowAugmentation,
        unseen: Sequence[AnnotatedImage],
        rng: np.random.Generator,
    ) -> Scorer:
        """Return the scorer of one network."""
        predict = train_network(sources, self.task, augmentation, self.training, rng)
        return self.score(unseen, predict(unseen))

    def fit_nets(
        self,
        sources: Sequence[Sequence[AnnotatedImage]],
        augmentation: WindowAugmentation,
        unseen: Sequence[AnnotatedImage],
    ) -> list[Scorer]:
        """Return the scorers of several networks; those of other sources start from equal weights."""
        return [
            self.fit_net(sources, augmentation, unseen, rng_for(self.seed, "net", k))
            for k in range(self.nets)
        ]


@dataclass(frozen=True, kw_only=True)
class DenseComparison(Metric):
    """Metric that trains small networks with and without synthetic images."""

    family: ClassVar[MetricFamily] = "utility"
    higher_is_better: ClassVar[bool] = True
    bounds: ClassVar[tuple[float, float]] = (0.0, 1.0)
    has_floor: ClassVar[bool] = False
    is_thorough: ClassVar[bool] = True
    on_request: ClassVar[bool] = True
    extra: ClassVar[str | None] = "torch"

    margin: Margin = 0.02
    steps: typing.Annotated[int, Ge(1)] = 300
    seeds: typing.Annotated[int, Ge(1)] = 3
    window: typing.Annotated[int, Interval(ge=32, le=512)] = 128
    longest: typing.Annotated[int, Ge(32)] = 320
    synthetic_share: typing.Annotated[float, Interval(gt=0, lt=1)] = 0.5
    max_rows: typing.Annotated[int, Ge(4)] = 400
    replicates: Replicates = 200
    augmentation: Literal["tuned", "plain", "moderate", "strong"] = "tuned"
    device: Device = "auto"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.window % 16:
            raise ParameterError(
                "'window' is no multiple of 16", got=str(self.window), allowed="32, 48, ... 512"
            )

    def measure(
        self,
        comparison: Comparison,
        read: Callable[[Dataset], list[AnnotatedImage]],
        task: DenseTask,
        score: Score,
        measures: Sequence[str],
        noun: str,
        rng: np.random.Generator,
    ) -> Measurement:
        """Return the score of networks of real images with and without synthetic ones.

        Parameters
        ----------
        comparison : Comparison
            The sets.
        read : callable
            Rows -> images with labels.
        task, score : DenseTask, callable
            Task of the networks, and their scorer.
        measures : sequence of str
            Names of the measures of `score`; the first is the value.
        noun : str
            The labels, in the plural.
        rng : numpy.random.Generator
            Draws rows, networks and replicates.
        """
        require_torch()
        draws, nets_rng, *row_rngs = rng.spawn(5)
        training = TrainingOptions(
            self.steps,
            window=self.window,
            synthetic_share=self.synthetic_share,
            device=device_of(self.device),
        )
        trial = DenseTrial(task, score, training, self.seeds, draw_seed(nets_rng))
        cache = comparison.cache
        if "nets" not in cache:
            train, unseen = (
                read(rows.at_most(self.max_rows, row_rngs[k]))
                for k, rows in enumerate((comparison.train, comparison.reference))
            )
            _check_number(train, _MIN_TRAIN, noun, "train set")
            _check_number(unseen, _MIN_HOLDOUT, noun, "holdout")
            if self.augmentation == "tuned":
                chosen = trial.tune(train, noun == "masks")
            else:
                place = _AUGMENTATIONS.index(self.augmentation)
                chosen = list_augmentations(noun == "masks")[place]
            cache["nets"] = train, unseen, chosen, trial.fit_nets([train], chosen, unseen)
        train, unseen, chosen, real_nets = cache["nets"]
        nets, rows = {"real": real_nets}, {"real": len(train)}
        if comparison.synthetic is not comparison.train:
            synthetic = read(comparison.synthetic.at_most(self.max_rows, row_rngs[2]))
            if not synthetic:
                raise NotMeasurable(f"there is no synthetic image with {noun}")
            nets["mixed"] = trial.fit_nets([train, synthetic], chosen, unseen)
            rows["mixed"] = len(train) + len(synthetic)
        values, drawn = bootstrap_networks(nets, np.zeros(len(unseen), int), self.replicates, draws)
        facts = {"augmentation": chosen.name, "steps": self.steps, "nets": self.seeds}
        kind = "mixed" if "mixed" in nets else "real"
        models = compare_models(
            measures, values, drawn, rows, n_test_rows=len(unseen), subject="images"
        )
        return Measurement(float(values[kind][0]), drawn[kind][:, 0], (models,), facts=facts)


def _check_number(images: Sequence[AnnotatedImage], n: int, noun: str, name: str) -> None:
    if len(images) < n:
        raise NotMeasurable(
            f"it needs at least {n} real images with {noun} in the {name}, and there are {len(images)}"
        )

"""Nets of real pictures against nets of real and synthetic ones, at equal steps, on unseen real ones."""

from __future__ import annotations

import typing
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Literal

import numpy as np

from twinset.core.contracts import Comparison, Measurement, Metric, MetricFamily, NotMeasurable
from twinset.core.data.dataset import Dataset
from twinset.core.errors import ParameterError
from twinset.core.features.torch_device import device_of, require_torch
from twinset.core.parameters import Device, Ge, Interval, Margin, Replicates
from twinset.core.seeding import draw_seed, rng_for

from ._annotated import Annotated, Floats, Matrix, Variation, variations
from ._dense_net import DenseTask, Training, train_network
from ._model_comparison import compare_models

Judged = Callable[[Floats], Floats]
"""How often each unseen picture counts -> all measures, the one that decides first."""
Read = Callable[[Dataset], list[Annotated]]
Judge = Callable[[Sequence[Annotated], Sequence[Matrix]], Judged]

AUGMENTATIONS = ("tuned", "plain", "moderate", "strong")
"""The best of the others by inner parts of the real training pictures; or always that one."""
_FEW = 16  # pictures: with fewer, augmentation is tuned on two halves, not on a fifth
_LEAST_TRAIN, _LEAST_UNSEEN = 2, 4


@dataclass(frozen=True, kw_only=True)
class DenseTrial(Metric):
    """A metric that trains small nets with and without synthetic pictures; both kinds say more."""

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


def measured(
    settings: DenseTrial,
    comparison: Comparison,
    read: Read,
    task: DenseTask,
    judge: Judge,
    measures: Sequence[str],
    what: str,
    rng: np.random.Generator,
) -> Measurement:
    """Return what nets of real pictures score with and without synthetic ones.

    Parameters
    ----------
    settings : DenseTrial
        Those of the metric.
    comparison : Comparison
        The sets.
    read : callable
        Rows -> pictures with labels.
    task, judge : Task, callable
        What nets are taught, and how they are judged.
    measures : sequence of str
        Names of what `judge` returns; the first is the value.
    what : str
        What the labels are, in the plural.
    rng : numpy.random.Generator
        Draws rows, nets and replicates.
    """
    require_torch()
    draws, nets_rng, *of_rows = rng.spawn(5)
    training = Training(
        settings.steps,
        window=settings.window,
        synthetic_share=settings.synthetic_share,
        device=device_of(settings.device),
    )
    trial = Trial(task, judge, training, settings.seeds, draw_seed(nets_rng))
    cache = comparison.cache
    if "nets" not in cache:
        train, unseen = (
            read(rows.at_most(settings.max_rows, of_rows[k]))
            for k, rows in enumerate((comparison.train, comparison.reference))
        )
        check(train, unseen, what)
        if settings.augmentation == "tuned":
            chosen = trial.tuned(train, what == "masks")
        else:
            place = AUGMENTATIONS.index(settings.augmentation) - 1
            chosen = variations(what == "masks")[place]
        cache["nets"] = train, unseen, chosen, trial.all_nets([train], chosen, unseen)
    train, unseen, chosen, of_real = cache["nets"]
    nets, rows = {"real": of_real}, {"real": len(train)}
    if comparison.synthetic is not comparison.train:
        made = read(comparison.synthetic.at_most(settings.max_rows, of_rows[2]))
        if not made:
            raise NotMeasurable(f"there is no synthetic picture with {what}")
        nets["mixed"] = trial.all_nets([train, made], chosen, unseen)
        rows["mixed"] = len(train) + len(made)
    values, drawn = replicated(nets, len(unseen), settings.replicates, draws)
    facts = {"augmentation": chosen.name, "steps": settings.steps, "nets": settings.seeds}
    kind = "mixed" if "mixed" in nets else "real"
    found = compare_models(measures, values, drawn, rows, n_test_rows=len(unseen), subject="images")
    return Measurement(float(values[kind][0]), drawn[kind][:, 0], (found,), facts=facts)


@dataclass(frozen=True)
class Trial:
    """What nets are taught, how they are judged, and how often.

    Parameters
    ----------
    task : Task
        What they are taught.
    judge : callable
        Unseen pictures and what a net says of them -> its scores, as a function of weights.
    training : Training
        Steps and mixture.
    nets : int
        Nets of each kind.
    seed : int
        Decides all that is drawn.
    """

    task: DenseTask
    judge: Judge
    training: Training
    nets: int
    seed: int

    def tuned(self, train: Sequence[Annotated], has_masks: bool) -> Variation:
        """Return the augmentation that does best on inner parts of the real training pictures.

        Nets of half the steps; their sum of scores decides.
        """
        order = rng_for(self.seed, "fold").permutation(len(train))
        few = len(train) < _FEW
        asides = np.array_split(order, 2) if few else [order[: len(order) // 5]]
        brief = replace(self, training=replace(self.training, steps=-(-self.training.steps // 2)))
        tried, scores = variations(has_masks), []
        for variation in tried:
            found = 0.0
            for aside in asides:
                kept = [train[k] for k in np.setdiff1d(order, aside)]
                left = [train[k] for k in aside]
                judged = brief.net([kept], variation, left, rng_for(self.seed, "tune"))
                found += float(judged(np.ones(len(left)))[0])
            scores.append(found)
        return tried[int(np.argmax(scores))]

    def net(
        self,
        sources: Sequence[Sequence[Annotated]],
        variation: Variation,
        unseen: Sequence[Annotated],
        rng: np.random.Generator,
    ) -> Judged:
        """Return the scores of one net."""
        told = train_network(sources, self.task, variation, self.training, rng)
        return self.judge(unseen, told(unseen))

    def all_nets(
        self,
        sources: Sequence[Sequence[Annotated]],
        variation: Variation,
        unseen: Sequence[Annotated],
    ) -> list[Judged]:
        """Return the scores of several nets; nets of other sources start from the same weights."""
        return [
            self.net(sources, variation, unseen, rng_for(self.seed, "net", k))
            for k in range(self.nets)
        ]


def check(train: Sequence[Annotated], unseen: Sequence[Annotated], what: str) -> None:
    """Raise NotMeasurable where there is too little to learn from or to test on."""
    for pictures, least, where in (
        (train, _LEAST_TRAIN, "train part"),
        (unseen, _LEAST_UNSEEN, "holdout"),
    ):
        if len(pictures) < least:
            raise NotMeasurable(
                f"it needs at least {least} real pictures with {what} in the {where}, "
                f"and there are {len(pictures)}"
            )


def replicated(
    nets: Mapping[str, Sequence[Judged]], n_unseen: int, replicates: int, rng: np.random.Generator
) -> tuple[dict[str, Floats], dict[str, Floats]]:
    """Return all measures of each kind of net, mean over nets, and their bootstrap replicates.

    Pictures and nets are drawn, the same ones for every kind. A bootstrap of so few nets is too narrow
    by the one degree of freedom that their mean takes: what a drawn set of nets is off by is widened.

    Returns
    -------
    values, drawn : dict of numpy.ndarray, shapes (m,) and (b, m)
        By the kind of net.
    """
    every = np.ones(n_unseen)
    by_net = {name: np.array([one(every) for one in many]) for name, many in nets.items()}
    values = {name: scores.mean(axis=0) for name, scores in by_net.items()}
    n_nets = len(next(iter(nets.values())))
    wider = np.sqrt(n_nets / max(n_nets - 1, 1))  # of one net nothing is known but its pictures
    drawn: dict[str, Floats] = {
        name: np.empty((replicates, len(value))) for name, value in values.items()
    }
    for b in range(replicates):
        weights = np.bincount(rng.integers(0, n_unseen, n_unseen), minlength=n_unseen).astype(float)
        picked = rng.integers(0, n_nets, n_nets)
        for name, many in nets.items():
            of_pictures = np.mean([one(weights) for one in many], axis=0)
            of_nets = by_net[name][picked].mean(axis=0) - values[name]
            drawn[name][b] = of_pictures + wider * of_nets
    return values, drawn

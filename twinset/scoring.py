"""One metric's score: on the candidate, and on real rows put through the same door."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from twinset.canary_trial import with_canaries
from twinset.core.contracts import (
    Comparison,
    Measurement,
    Metric,
    NotMeasurable,
    Positions,
    Remake,
    Score,
)
from twinset.core.dataset import Dataset
from twinset.core.errors import MissingExtraError
from twinset.core.seeding import rng_for
from twinset.core.where import Where
from twinset.embedded_sets import EmbeddedSets
from twinset.remembered import Remembered
from twinset.sides import (
    Columns,
    Sides,
    compare_halves,
    independent_columns,
    matched,
)
from twinset.verdicts import Against, judge, not_measurable

ATTACKS = {"shadow": "privacy.shadow_models"}
"""Attacks that take far longer than all else, and run only where they are asked for -> their metric."""

_MOST_REMEMBERED = 200_000
"""Real rows up to which candidates share what metrics keep."""


@dataclass(frozen=True)
class _OfReal:
    """What a metric says of real rows: baseline, floor, and train rows beside a later holdout."""

    baseline: Measurement
    floor: float | None
    drift: float | None


@dataclass(frozen=True)
class Frame:
    """Everything that the metrics of one run share.

    `remembered` keeps what rests on real rows alone, by the number of rows of the candidate; of tables so
    large that what all metrics keep would fill the memory, nothing is kept beyond one metric.
    """

    has_real: bool
    halves: Sides | None
    models: Sides | None
    synthetic: Dataset
    real_rows: Dataset | None
    where: Where | None
    target: str | None
    positive: str | None
    population: Mapping[str, Mapping[str, float]]
    seed: int
    has_holdout: bool
    embedded: EmbeddedSets
    remake: Remake | None = None
    remembered: Remembered | None = None

    @classmethod
    def of(
        cls,
        sets: EmbeddedSets,
        where: Where | None,
        target: str | None,
        positive: str | None,
        population: Mapping[str, Mapping[str, float]],
        seed: int,
    ) -> Frame:
        """Return what the metrics share: the sides of each family, under the condition."""
        train, synthetic, holdout = sets.train, sets.synthetic, sets.holdout
        kept = synthetic.where(where)
        halves = models = real = None
        if train is not None:
            left = None if holdout is None else holdout.where(where)
            halves = compare_halves(train.where(where), kept, left, target=target, seed=seed)
            if halves is not None and where is not None:
                halves = replace(halves, places=np.flatnonzero(where.mask(synthetic)))
            real = train.where(where) if left is None else left
            if holdout is not None:
                later = halves is not None and halves.later
                models = Sides(train, synthetic, train, holdout, "the whole holdout", later)
        # Shares of a population say nothing about rows that were picked by that very column.
        asked = set() if where is None else set(where.conditions)
        shares = {column: s for column, s in population.items() if column not in asked}
        return cls(
            train is not None, halves, models, kept, real, where, target, positive, shares, seed,
            holdout is not None, sets,
        )  # fmt: skip

    def score(self, name: str, metric: Metric) -> Score:
        """Return one metric's score."""
        try:
            if not metric.needs_real:
                return self._without_real(name, metric)
            score = self._against_real(name, metric, self._sides(metric))
            if self.remake is None or name not in ATTACKS.values() or self.halves is None:
                return score
            rng = rng_for(self.seed, "measure", name, "canaries")
            return with_canaries(score, self.halves.train, self.remake, rng)
        except (NotMeasurable, MissingExtraError) as reason:
            return not_measurable(name, metric, str(reason))

    def _sides(self, metric: Metric) -> Sides:
        if not self.has_real:
            raise NotMeasurable("there is no real set to compare with")
        if metric.family in ("utility", "privacy") and not self.has_holdout:
            raise NotMeasurable("no holdout was kept aside")
        if metric.family == "utility":
            assert self.models is not None
            return self.models
        if self.halves is None:
            raise NotMeasurable("too few real rows to cut into halves")
        if not len(self.halves.synthetic) or not len(self.halves.train):
            raise NotMeasurable("no row meets the condition")
        if self.halves.later and metric.needs_same_time:
            raise NotMeasurable(
                "the holdout is later than the train part, and what it would find cannot be told "
                "from drift; a split at random shows it"
            )
        # A share of leaked rows must look at every row; distances between samples depend on size.
        return self.halves if metric.family == "privacy" else matched(self.halves, seed=self.seed)

    def _against_real(self, name: str, metric: Metric, sides: Sides) -> Score:
        columns = Columns.of(metric, sides, self.target, self.where)
        if not columns.names:
            raise NotMeasurable("there is no column that it can look at")
        train, synthetic, reference = (
            part.select(columns.names) for part in (sides.train, sides.synthetic, sides.reference)
        )
        is_utility = metric.family == "utility"
        baseline = train if is_utility else sides.baseline.select(columns.names)
        about = (name, repr(metric), columns.names, len(synthetic))
        kept = self.remembered
        if kept is None or len(sides.train) + len(reference) > _MOST_REMEMBERED:
            kept = Remembered()
        cache: dict[str, Any] = kept.of(("cache", *about), dict)

        def compute(candidate: Dataset, value_only: bool = False) -> Measurement:
            return metric.compute(
                Comparison(
                    train, candidate, reference, self.target, self.positive, self.population, cache,
                    value_only, sides.places if candidate is synthetic else None,
                    self._remake(sides, columns.names), self.embedded.texts,
                ),
                rng_for(self.seed, "measure", name),
            )  # fmt: skip

        def of_real() -> _OfReal:
            known = metric.known_baseline
            base = compute(baseline) if known is None else Measurement(known)
            floor = drift = None
            if metric.has_floor and len(columns.names) > 1:
                shuffled = independent_columns(baseline, rng_for(self.seed, "measure", "floor"))
                floor = float(compute(shuffled, value_only=True).value)
            if sides.later and metric.family in ("gap", "coverage"):
                seen = train.at_most(len(baseline), rng_for(self.seed, "measure", "rows", "train"))
                drift = float(compute(seen, True).value)
            return _OfReal(base, floor, drift)

        real = kept.of(("real", *about), of_real)
        measured = compute(synthetic)
        parts = {"synthetic": synthetic, "baseline": baseline, "reference": reference}
        compared: dict[str, Any] = {
            "with": sides.called,
            "rows": {name: len(part) for name, part in parts.items()},
            "left_out": dict(columns.left_out),
        }
        facts = self.embedded.facts_of(columns.names)
        compared |= {"embedders": facts} if facts else {}
        note = ""
        if real.drift is not None:
            compared["train_rows_instead"] = real.drift
            note = f"The holdout is later than the train part: real train rows score {real.drift:.3f} here"
        n_rows = len(reference) if is_utility else min(compared["rows"].values())
        called = (
            "trained on real rows" if is_utility and metric.known_baseline is None else "real rows"
        )
        against = Against(real.baseline, real.floor, n_rows, called)
        return judge(
            name, metric, measured, against, {**measured.details, "compared": compared}, note
        )

    def _remake(self, sides: Sides, names: Sequence[str]) -> Any:
        """Return what makes the generator anew on some rows of both real sides, with all columns."""
        remake, both = self.remake, [sides.train, sides.reference]
        if remake is None:
            return None

        def again(
            train: Positions, reference: Positions, most: int, rng: np.random.Generator
        ) -> Dataset:
            parts = [part.take(rows) for part, rows in zip(both, (train, reference))]
            real = Dataset.concat([part.without_reserved() for part in parts])
            shuffled = real.take(rng.permutation(len(real)))
            return remake(shuffled, most, rng).without_reserved().select(names)

        return again

    def _without_real(self, name: str, metric: Metric) -> Score:
        """Score a metric that looks at one set only: it is held against the best it can be."""
        names = [f.name for f in self.synthetic.schema.fields if f.kind in metric.kinds]

        def compute(candidate: Dataset) -> Measurement:
            candidate = candidate.select([n for n in names if n in candidate.schema.names])
            empty = candidate.slice(0, 0)
            return metric.compute(
                Comparison(empty, candidate, empty, self.target, self.positive, self.population),
                rng_for(self.seed, "measure", name),
            )

        measured = compute(self.synthetic)
        details = dict(measured.details)
        if self.real_rows is not None and len(self.real_rows):
            details["real_rows"] = float(compute(self.real_rows).value)
        best = Measurement(float(metric.bounds[1 if metric.higher_is_better else 0]))
        against = Against(best, None, len(self.synthetic), "best possible", "synthetic rows")
        return judge(name, metric, measured, against, details)

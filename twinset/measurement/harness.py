"""The scoring frame: every metric on the candidate, and on real rows put through the same door."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from twinset.core.contracts import (
    Comparison,
    Measurement,
    Metric,
    MetricFamily,
    NotMeasurable,
    Positions,
    Progress,
    Remake,
    Score,
    silent,
)
from twinset.core.data.dataset import Dataset
from twinset.core.data.where import Where
from twinset.core.errors import MissingExtraError
from twinset.core.features.embedders import Embedder
from twinset.core.findings import BaselineKind, ComparisonBasis, DecidingRows, ReferenceRows
from twinset.core.seeding import rng_for
from twinset.measurement.cache import ResultCache
from twinset.measurement.canaries import with_canaries
from twinset.measurement.comparison import (
    ComparisonSets,
    MetricColumns,
    compare_halves,
    independent_columns,
    matched,
)
from twinset.measurement.embedded_sets import EmbeddedSets, embed_sets
from twinset.measurement.verdict import Reference, compute_verdict, not_measurable

_MOST_REMEMBERED = 200_000
"""Real rows up to which candidates share what metrics keep."""


@dataclass(frozen=True)
class _OfReal:
    """What a metric says of real rows: baseline, floor, and train rows beside a later holdout."""

    baseline: Measurement
    floor: float | None
    drift: float | None


@dataclass(frozen=True)
class MetricHarness:
    """Everything that the metrics of one run share.

    `remembered` keeps what rests on real rows alone, by the number of rows of the candidate; of tables so
    large that what all metrics keep would fill the memory, nothing is kept beyond one metric.
    """

    has_real: bool
    halves: ComparisonSets | None
    models: ComparisonSets | None
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
    remembered: ResultCache | None = None

    @classmethod
    def of(
        cls,
        sets: EmbeddedSets,
        where: Where | None,
        target: str | None,
        positive: str | None,
        population: Mapping[str, Mapping[str, float]],
        seed: int,
    ) -> MetricHarness:
        """Return what the metrics share: the sides of each family, under the condition."""
        train, synthetic, holdout = sets.train, sets.synthetic, sets.holdout
        kept = synthetic.where(where)
        halves = models = real = None
        if train is not None:
            left = None if holdout is None else holdout.where(where)
            halves = compare_halves(train.where(where), kept, left, target=target, seed=seed)
            if halves is not None and where is not None:
                halves = replace(halves, places=np.flatnonzero(synthetic.mask(where)))
            real = train.where(where) if left is None else left
            if holdout is not None:
                later = halves is not None and halves.later
                models = ComparisonSets(
                    train, synthetic, train, holdout, ReferenceRows.WHOLE_HOLDOUT, later
                )
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
            if self.remake is None or metric.attack is None or self.halves is None:
                return score
            rng = rng_for(self.seed, "measure", name, "canaries")
            return with_canaries(score, self.halves.train, self.remake, rng)
        except (NotMeasurable, MissingExtraError) as reason:
            return not_measurable(name, metric, str(reason))

    def _sides(self, metric: Metric) -> ComparisonSets:
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

    def _against_real(self, name: str, metric: Metric, sides: ComparisonSets) -> Score:
        columns = MetricColumns.of(metric, sides, self.target, self.where)
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
            kept = ResultCache()
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
        sets = {"synthetic": synthetic, "baseline": baseline, "reference": reference}
        n_rows = {name: len(rows) for name, rows in sets.items()}
        facts = self.embedded.facts
        embedders = {name: facts[name] for name in columns.names if name in facts}
        basis = ComparisonBasis(
            baseline=BaselineKind.TRAINED_ON_REAL
            if is_utility and metric.known_baseline is None
            else BaselineKind.REAL_ROWS,
            reference=sides.reference_rows,
            n_rows=n_rows,
            excluded=columns.left_out,
            train_value=real.drift,
            embedders=embedders,
            unused_embedders=self.embedded.left_out if embedders else (),
        )
        n = len(reference) if is_utility else min(n_rows.values())
        against = Reference(real.baseline, real.floor, DecidingRows(n, "rows on each side"))
        return compute_verdict(name, metric, compute(synthetic), against, basis)

    def _remake(self, sides: ComparisonSets, names: Sequence[str]) -> Any:
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

        basis = ComparisonBasis(
            baseline=BaselineKind.BEST_POSSIBLE, n_rows={"synthetic": len(self.synthetic)}
        )
        if self.real_rows is not None and len(self.real_rows):
            basis = replace(basis, real_value=float(compute(self.real_rows).value))
        best = Measurement(float(metric.bounds[1 if metric.higher_is_better else 0]))
        rows = DecidingRows(len(self.synthetic), "synthetic rows")
        return compute_verdict(
            name, metric, compute(self.synthetic), Reference(best, None, rows), basis
        )


FAMILIES: tuple[MetricFamily, ...] = ("gap", "coverage", "utility", "privacy")
"""Order of the results."""


def measure(
    *,
    train: Dataset | None,
    synthetic: Dataset,
    holdout: Dataset | None,
    metrics: Sequence[tuple[str, Metric]],
    where: Where | None = None,
    target: str | None = None,
    positive: str | None = None,
    population: Mapping[str, Mapping[str, float]] | None = None,
    embedders: Sequence[Embedder] | None = None,
    seed: int = 0,
    workers: int = 1,
    progress: Progress = silent,
    remake: Remake | None = None,
    remembered: ResultCache | None = None,
) -> list[Score]:
    """Return the score of every metric, by family in the order gap, coverage, utility, privacy.

    The holdout is cut once into halves A and B. Gap, coverage and privacy compare the synthetic rows
    with B, and A with B for the baseline, in equal numbers, all filtered by `where`; privacy looks at
    every synthetic row. Utility trains on the synthetic rows, on the whole of train for the baseline,
    and tests on the whole holdout. Without a holdout gap and coverage use halves of train, and
    privacy and utility are not measurable.

    Parameters
    ----------
    train : Dataset or None
        Real rows that the generator saw; None where it saw none.
    synthetic : Dataset
        The candidate.
    holdout : Dataset or None
        Real rows that the generator did not see.
    metrics : sequence of (str, Metric)
        Names and settings.
    where : Where, optional
        The condition under which the rows were made.
    target, positive : str, optional
        The column to predict, and its label that counts as positive.
    population : mapping, optional
        Declared shares, column -> {level: share}.
    embedders, seed : sequence of Embedder, int, optional
        What to look at images and texts with (see `embed_sets`); seed of the run.
    workers : int
        Metrics measured at the same time. The scores do not depend on it.
    progress : Progress
        Told ``("measure", done, total)``.
    remake : Remake, optional
        Makes the generator of the candidate again on other real rows, for attacks with shadow models.
    remembered : Remembered, optional
        Where what rests on the real rows alone is kept for the next candidate. The scores do not depend
        on it.

    Raises
    ------
    SchemaError
        `where` names a column that does not exist.

    Examples
    --------
    >>> import pyarrow as pa
    >>> made = Dataset.from_arrow(pa.table({"sex": ["f", "m"] * 200}))
    >>> from twinset.registry import build
    >>> metrics = [("coverage.population", build("metric", "coverage.population", {}))]
    >>> score, = measure(train=None, synthetic=made, holdout=None, metrics=metrics,
    ...                  population={"sex": {"f": 0.9, "m": 0.1}})
    >>> score.verdict.value, round(score.value, 2)
    ('different', 0.4)
    """
    ordered = sorted(metrics, key=lambda pair: FAMILIES.index(pair[1].family))
    with threadpool_limits(limits=1):
        if remembered is not None:
            real = [None if part is None else part.digest for part in (train, holdout)]
            looked = None if embedders is None else tuple(embedders)
            remembered.depend_on(
                *real, str(where), target, positive, repr(population), looked, seed
            )
        sets = EmbeddedSets(train, synthetic, holdout)
        if ordered:
            sets = embed_sets(
                train, synthetic, holdout, embedders,
                target=target, seed=seed, progress=progress, remembered=remembered,
            )  # fmt: skip
        frame = MetricHarness.of(sets, where, target, positive, population or {}, seed)
        progress("measure", 0, len(ordered))
        frame = replace(frame, remake=remake, remembered=remembered)
        return _score_all(frame, ordered, workers, progress)


def _score_all(
    frame: MetricHarness, metrics: Sequence[tuple[str, Metric]], workers: int, progress: Progress
) -> list[Score]:
    """Score the metrics on `workers` threads, each with one thread for its own numerics."""
    # OpenMP counts its threads for each calling thread, so each worker must be told once.
    with ThreadPoolExecutor(max(1, workers), initializer=threadpool_limits, initargs=(1,)) as pool:
        # The models of usefulness take longest: with them first, no worker waits at the end.
        first = sorted(metrics, key=lambda pair: pair[1].family != "utility")
        futures = {name: pool.submit(frame.score, name, metric) for name, metric in first}
        for done, future in enumerate(as_completed(futures.values()), start=1):
            future.result()
            progress("measure", done, len(metrics))
    return [futures[name].result() for name, _ in metrics]

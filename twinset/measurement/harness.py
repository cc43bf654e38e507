"""The metric harness: every metric on the candidate, and on real rows in its place."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from twinset.core.contracts import (
    Comparison,
    ComparisonContext,
    Measurement,
    Metric,
    MetricFamily,
    NotMeasurable,
    Positions,
    Progress,
    Refit,
    RefitRows,
    Score,
    silent,
)
from twinset.core.data.dataset import Dataset
from twinset.core.data.value_protection import named_values
from twinset.core.data.where import Where
from twinset.core.errors import MissingExtraError
from twinset.core.features.embedders import Classical, Embedder
from twinset.core.findings import (
    BaselineKind,
    ComparisonBasis,
    DecidingRows,
    ReferenceRows,
    Verdict,
)
from twinset.core.reading_faults import ReadingFault
from twinset.core.seeding import rng_for
from twinset.measurement.canaries import measure_canaries
from twinset.measurement.comparison import (
    ComparisonSets,
    MetricColumns,
    ResultCache,
    compare_all_rows,
    compare_every_row,
    compare_halves,
    match_sizes,
    shuffle_columns,
)
from twinset.measurement.embedders import EmbeddedSets, embed_sets
from twinset.measurement.rare_levels import StandIns
from twinset.measurement.verdict import (
    Reference,
    compute_verdict,
    not_measurable,
    subtract_drift,
)

# real rows up to which metrics share results: more would fill the memory
_MAX_CACHED_ROWS = 200_000

FAMILIES: tuple[MetricFamily, ...] = ("integrity", "gap", "coverage", "utility", "privacy")
"""Order of the results."""


@dataclass(frozen=True, kw_only=True)
class MeasureRequest:
    """Question that all metrics of a run answer, and how they are computed."""

    where: Where | None = None  # Condition under which the rows were generated
    target: str | None = None  # The column to predict
    positive: str | None = None  # Its label that counts as positive
    # Declared shares, column -> {level: share}
    population: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    embedders: Sequence[Embedder] | None = None  # Of images and texts; see `embed_sets`
    seed: int = 0  # Seed of the run
    workers: int = 1  # Metrics measured at the same time; the scores do not depend on it
    progress: Progress = silent  # Called with ("measure", done, total)
    # Fits the generator of the candidate to other real rows, for attacks with shadow models
    refit: Refit | None = None
    # Keeps results on real rows alone for the next candidate; the scores do not depend on it
    cache: ResultCache | None = None
    # How the candidate's file is written otherwise than the real one; None where it was not read
    reading_faults: tuple[ReadingFault, ...] | None = None


@dataclass(frozen=True)
class _RealResult:
    """A metric on real rows: baseline and floor."""

    baseline: Measurement
    floor: float | None


@dataclass(frozen=True)
class MetricHarness:
    """Sets and settings that the metrics of one run share."""

    sets: EmbeddedSets  # Train, synthetic and holdout as they were given
    request: MeasureRequest  # Condition, target and seed
    # halves, models: sets of gap, coverage and privacy, under the condition; sets of utility
    halves: ComparisonSets | None = None
    models: ComparisonSets | None = None
    every_row: ComparisonSets | None = None  # Sets of integrity: all rows, under the condition

    @classmethod
    def from_sets(
        cls, sets: EmbeddedSets, request: MeasureRequest, every_row: ComparisonSets | None = None
    ) -> MetricHarness:
        """Return the harness with the sets of each family; `every_row` are those of integrity."""
        train, holdout, where = sets.train, sets.holdout, request.where
        synthetic = sets.synthetic.where(where)
        if train is None:
            return cls(sets, request, every_row=every_row)
        held = None if holdout is None else holdout.where(where)
        halves = compare_halves(train.where(where), synthetic, held, request.seed)
        if halves is not None and where is not None:
            halves = replace(halves, places=np.flatnonzero(sets.synthetic.mask(where)))
        models = None
        if holdout is not None:
            later = halves is not None and halves.later
            whole = ReferenceRows.WHOLE_HOLDOUT
            models = ComparisonSets(train, sets.synthetic, train, holdout, whole, later)
        return cls(sets, request, halves, models, every_row)

    def score(self, name: str, metric: Metric) -> Score:
        """Return the score of one metric."""
        try:
            if not metric.needs_real:
                return self._score_alone(name, metric)
            score = self._score_beside_real(name, metric, self._choose_sets(metric))
            refit = self.request.refit
            if refit and metric.attack and self.halves is not None and score.is_measured:
                # An attack counts the canaries that come back; they do not change its verdict.
                rng = rng_for(self.request.seed, "measure", name, "canaries")
                counts = measure_canaries(self.halves.train, refit, rng)
                score = replace(score, findings=(*score.findings, counts))
            return score
        except (NotMeasurable, MissingExtraError) as reason:
            return not_measurable(name, metric, str(reason))

    def _choose_sets(self, metric: Metric) -> ComparisonSets:
        if self.sets.train is None:
            raise NotMeasurable("there is no real set to compare with")
        if metric.family in ("utility", "privacy") and self.sets.holdout is None:
            raise NotMeasurable("no holdout was kept aside")
        if metric.family == "utility":
            assert self.models is not None
            return self.models
        if metric.family == "integrity" and self.every_row is not None:
            return self.every_row
        if self.halves is None:
            raise NotMeasurable("too few real rows to split into halves")
        if not len(self.halves.synthetic) or not len(self.halves.train):
            raise NotMeasurable("no row meets the condition")
        if self.halves.later and metric.needs_same_time:
            raise NotMeasurable(
                "the holdout is later than the train set, so that a leak looks like drift; use a random "
                "split to measure it"
            )
        if metric.uses_all_rows:
            holdout, where = self.sets.holdout, self.request.where
            return compare_all_rows(self.halves, None if holdout is None else holdout.where(where))
        # A share of leaked rows takes every row; distances between samples depend on their size.
        if metric.whole_holdout and self.sets.holdout is not None:
            return self.halves.with_whole_reference()
        is_privacy = metric.family == "privacy"
        return self.halves if is_privacy else match_sizes(self.halves, self.request.seed)

    def _score_beside_real(self, name: str, metric: Metric, sets: ComparisonSets) -> Score:
        request, is_utility = self.request, metric.family == "utility"
        columns = MetricColumns.from_sets(metric, sets, request.target, request.where)
        if not columns.names:
            raise NotMeasurable("no column is of a kind that it compares")
        train, synthetic, reference = (
            part.select(columns.names) for part in (sets.train, sets.synthetic, sets.reference)
        )
        baseline = train if is_utility else sets.baseline.select(columns.names)
        key = (name, repr(metric), columns.names, len(synthetic))
        cache = self.request.cache
        if cache is None or len(sets.train) + len(reference) > _MAX_CACHED_ROWS:
            cache = ResultCache()
        own_cache: dict[str, Any] = cache.get(("cache", *key), dict)
        refit = self._refit_rows(sets, columns.names)

        def compute(candidate: Dataset, value_only: bool = False) -> Measurement:
            places = sets.places if candidate is synthetic else None
            context = ComparisonContext(
                value_only, places, refit, self.sets.texts, request.reading_faults
            )
            return metric.compute(
                Comparison(
                    train, candidate, reference, request.target, request.positive,
                    self._undecided_population(), own_cache, context,
                ),
                rng_for(request.seed, "measure", name),
            )  # fmt: skip

        def compute_on_real() -> _RealResult:
            known = metric.known_baseline
            base = compute(baseline) if known is None else Measurement(known)
            floor = None
            if metric.has_floor and len(columns.names) > 1:
                shuffled = shuffle_columns(baseline, rng_for(request.seed, "measure", "floor"))
                floor = float(compute(shuffled, value_only=True).value)
            return _RealResult(base, floor)

        def compute_on_train() -> Measurement:
            rng = rng_for(request.seed, "measure", "rows", "train")
            return compute(train.at_most(len(baseline), rng))

        real = cache.get(("real", *key), compute_on_real)
        n_reference = len(reference) + (len(train) if metric.uses_all_rows else 0)
        n_rows = {"synthetic": len(synthetic), "baseline": len(baseline), "reference": n_reference}
        basis = self._basis(metric, sets, columns, n_rows)
        n = len(reference) if is_utility else min(n_rows.values())
        against = Reference(real.baseline, real.floor, DecidingRows(n, "rows of each set"))
        measured = compute(synthetic)
        score = compute_verdict(name, metric, measured, against, basis)
        is_decided = score.verdict not in (Verdict.DIFFERENT, Verdict.INCONCLUSIVE)
        if is_decided or not _may_drift(metric, sets, len(baseline)):
            return score
        of_train = cache.get(("train", *key), compute_on_train)
        drifted = subtract_drift(metric, real.baseline, of_train, n)
        if drifted is real.baseline:
            return score
        basis = replace(basis, train_value=float(of_train.value))
        return compute_verdict(name, metric, measured, replace(against, baseline=drifted), basis)

    def _basis(
        self, metric: Metric, sets: ComparisonSets, columns: MetricColumns, n_rows: dict[str, int]
    ) -> ComparisonBasis:
        """Return what a metric compares: the baseline, rows, columns and embedders."""
        is_trained = metric.family == "utility" and metric.known_baseline is None
        embedders = {n: self.sets.facts[n] for n in columns.names if n in self.sets.facts}
        return ComparisonBasis(
            baseline=BaselineKind.TRAINED_ON_REAL if is_trained else BaselineKind.REAL_ROWS,
            reference=sets.reference_rows,
            n_rows=n_rows,
            excluded=columns.excluded,
            is_later=sets.later,
            embedders=embedders,
            unused_embedders=self.sets.excluded if embedders else (),
        )

    def _undecided_population(self) -> dict[str, Mapping[str, float]]:
        """Return the declared shares of columns that the condition does not select by."""
        where = self.request.where
        selected = set() if where is None else set(where.conditions)
        return {c: shares for c, shares in self.request.population.items() if c not in selected}

    def _refit_rows(self, sets: ComparisonSets, names: Sequence[str]) -> RefitRows | None:
        """Return a function that fits the generator to some rows of train and reference, all columns."""
        refit = self.request.refit
        if refit is None:
            return None

        def refit_rows(
            train: Positions, reference: Positions, n: int, rng: np.random.Generator
        ) -> Dataset:
            parts = sets.train.take(train), sets.reference.take(reference)
            real = Dataset.concat([part.without_reserved() for part in parts])
            shuffled = real.take(rng.permutation(len(real)))
            return refit(shuffled, n, rng).without_reserved().select(names)

        return refit_rows

    def _score_alone(self, name: str, metric: Metric) -> Score:
        """Score a metric of one set: its baseline is the best possible value."""
        request, where = self.request, self.request.where
        synthetic, real = self.sets.synthetic.where(where), self.sets.train
        if real is not None:
            real = (real if self.sets.holdout is None else self.sets.holdout).where(where)
        names = [f.name for f in synthetic.schema.fields if f.kind in metric.kinds]

        def compute(candidate: Dataset) -> Measurement:
            candidate = candidate.select([n for n in names if n in candidate.schema.names])
            empty = candidate.slice(0, 0)
            return metric.compute(
                Comparison(
                    empty, candidate, empty, request.target, request.positive,
                    self._undecided_population(),
                ),
                rng_for(request.seed, "measure", name),
            )  # fmt: skip

        basis = ComparisonBasis(
            baseline=BaselineKind.BEST_POSSIBLE, n_rows={"synthetic": len(synthetic)}
        )
        if real is not None and len(real):
            basis = replace(basis, real_value=float(compute(real).value))
        best = Measurement(float(metric.bounds[1 if metric.higher_is_better else 0]))
        against = Reference(best, None, DecidingRows(len(synthetic), "synthetic rows"))
        return compute_verdict(name, metric, compute(synthetic), against, basis)


def _may_drift(metric: Metric, sets: ComparisonSets, n: int) -> bool:
    """Return whether train rows can show how far the holdout differs from them: `n` are needed."""
    has_holdout = sets.reference_rows == ReferenceRows.HALF_OF_HOLDOUT
    return metric.family in ("gap", "coverage") and has_holdout and len(sets.train) >= n


def measure(
    *,
    train: Dataset | None,
    synthetic: Dataset,
    holdout: Dataset | None,
    metrics: Sequence[tuple[str, Metric]],
    request: MeasureRequest | None = None,
    **settings: Any,
) -> list[Score]:
    """Return the score of every metric, by family: integrity, gap, coverage, utility, privacy.

    Integrity looks at every synthetic row, beside the whole holdout. For the others the holdout is split
    once into halves A and B. Gap, coverage and privacy compare the synthetic rows with B, and A with B for
    the baseline, in equal numbers, all filtered by `where`; privacy uses every synthetic row. Utility
    trains on the synthetic rows, on the whole train set for the baseline, and tests on the whole holdout.
    Levels of fewer than 11 real rows that the request does not name have stand-ins in the results
    (`rare_levels`), except in those of integrity. Without a holdout, integrity, gap and coverage use halves
    of train, and privacy and utility are not measurable.

    Parameters
    ----------
    train : Dataset or None
        Real rows that the generator was fitted on; None where there are none.
    synthetic : Dataset
        The candidate.
    holdout : Dataset or None
        Real rows that the generator was not fitted on.
    metrics : sequence of (str, Metric)
        Names and settings.
    request : MeasureRequest, optional
        Condition, target, seed and all else.
    **settings
        Single fields of the request, e.g. ``target="label"``.

    Raises
    ------
    SchemaError
        `where` names a column that does not exist.

    Examples
    --------
    >>> import pyarrow as pa
    >>> synthetic = Dataset.from_arrow(pa.table({"sex": ["f", "m"] * 200}))
    >>> from twinset.registry import build
    >>> metrics = [("coverage.population", build("metric", "coverage.population", {}))]
    >>> score, = measure(train=None, synthetic=synthetic, holdout=None, metrics=metrics,
    ...                  population={"sex": {"f": 0.9, "m": 0.1}})
    >>> score.verdict.value, round(score.value, 2)
    ('different', 0.4)
    """
    asked = replace(request or MeasureRequest(), **settings)
    ordered = sorted(metrics, key=lambda pair: FAMILIES.index(pair[1].family))
    with threadpool_limits(limits=1):
        if asked.embedders is None and not any(m.uses_learnt_embedders for _, m in ordered):
            asked = replace(asked, embedders=(Classical(),))
        if asked.cache is not None:
            real = [None if part is None else part.digest for part in (train, holdout)]
            chosen = None if asked.embedders is None else tuple(asked.embedders)
            facts = (str(asked.where), asked.target, asked.positive, repr(asked.population))
            asked.cache.depend_on(*real, *facts, chosen, asked.seed)
        given = train, synthetic, holdout
        if train is not None:
            hidden = StandIns.from_real(train, holdout, _named_levels(asked))
            train, synthetic = hidden.hide(train), hidden.hide(synthetic)
            holdout = None if holdout is None else hidden.hide(holdout)
        sets = EmbeddedSets(train, synthetic, holdout)
        if ordered:
            sets = embed_sets(
                train, synthetic, holdout, asked.embedders,
                target=asked.target, seed=asked.seed, progress=asked.progress, cache=asked.cache,
            )  # fmt: skip
        parts = [*map(_carry_images, given, (sets.train, sets.synthetic, sets.holdout))]
        every_row = _integrity_sets(parts[0], parts[1], parts[2], asked)
        harness = MetricHarness.from_sets(sets, asked, every_row)
        asked.progress("measure", 0, len(ordered))
        return _score_all(harness.score, ordered, asked.workers, asked.progress)


def _carry_images(given: Dataset | None, embedded: Dataset | None) -> Dataset | None:
    """Return a set as it was given, with the vectors that its images have got."""
    if given is None or embedded is None:
        return given
    records = given.records
    for image in given.schema.of_kind("image"):
        place = records.schema.get_field_index(image.name)
        records = records.set_column(place, image.name, embedded.records.column(image.name))
    return replace(given, records=records)


def _integrity_sets(
    train: Dataset | None,
    synthetic: Dataset | None,
    holdout: Dataset | None,
    request: MeasureRequest,
) -> ComparisonSets | None:
    """Return the sets of integrity, with levels as they are spelt; None where a set has no rows."""
    where = request.where
    if train is None or synthetic is None:
        return None
    parts = (train.where(where), synthetic.where(where))
    held = None if holdout is None else holdout.where(where)
    if not all(map(len, parts)) or (held is not None and not len(held)):
        return None
    sets = compare_every_row(*parts, held, request.target, request.seed)
    if sets is None or where is None:
        return sets
    return replace(sets, places=np.flatnonzero(synthetic.mask(where)))


def _named_levels(request: MeasureRequest) -> dict[str, frozenset[object]]:
    """Return the levels that the request names, by column: results may name them too."""
    shares = [
        Where({column: [*levels, *(part for level in levels for part in level.split(" and "))]})
        for key, levels in request.population.items()
        for column in (key, *key.split(" and "))  # the shares of several columns together
    ]
    label = (
        Where({request.target: request.positive}) if request.target and request.positive else None
    )
    return named_values([request.where, label, *shares])


def _score_all(
    score: Callable[[str, Metric], Score],
    metrics: Sequence[tuple[str, Metric]],
    workers: int,
    progress: Progress,
) -> list[Score]:
    """Score the metrics on `workers` threads, each with one thread for its own numerics."""
    # OpenMP counts its threads for each calling thread, so the limit is set in each worker.
    with ThreadPoolExecutor(max(1, workers), initializer=threadpool_limits, initargs=(1,)) as pool:
        # The models of utility take longest: with them first, no worker waits at the end.
        first = sorted(metrics, key=lambda pair: pair[1].family != "utility")
        futures = {name: pool.submit(score, name, metric) for name, metric in first}
        for done, future in enumerate(as_completed(futures.values()), start=1):
            future.result()
            progress("measure", done, len(metrics))
    return [futures[name].result() for name, _ in metrics]

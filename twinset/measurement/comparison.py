"""Splits of real rows, the sets that metrics compare, and results that candidates share."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal, TypeVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from twinset.core.contracts import Metric
from twinset.core.data.dataset import Dataset, sample_positions
from twinset.core.data.schema import Field
from twinset.core.data.where import Where
from twinset.core.errors import DataError, ParameterError, SchemaError
from twinset.core.findings import ReferenceRows
from twinset.core.seeding import rng_for

T = TypeVar("T")


@dataclass
class ResultCache:
    """Results by key, valid as long as all that they depend on is the same.

    >>> cache = ResultCache()
    >>> cache.depend_on("digest of the real rows", 7)
    >>> cache.get("sum", lambda: 1 + 1), cache.get("sum", lambda: 1 / 0)
    (2, 2)
    >>> cache.depend_on("digest of other rows", 7)
    >>> cache.get("sum", lambda: 3)
    3
    """

    _content: tuple[Hashable, ...] = ()
    _results: dict[Hashable, Any] = field(default_factory=dict)

    def depend_on(self, *content: Hashable) -> None:
        """Set the digests and settings that results depend on; a change empties the cache."""
        if content != self._content:
            self._content, self._results = content, {}

    def get(self, key: Hashable, compute: Callable[[], T]) -> T:
        """Return the result of `key`, computed the first time; threads must ask for different keys."""
        if key not in self._results:
            self._results[key] = compute()
        found: T = self._results[key]
        return found


SplitBy = Literal["stratified", "time", "group", "given"]
Rows = npt.NDArray[np.int64]


def split_rows(
    dataset: Dataset,
    *,
    by: SplitBy,
    on: str | None,
    holdout_fraction: float,
    rng: np.random.Generator,
) -> tuple[Rows, Rows]:
    """Return the row positions of the train set and of the holdout, each in ascending order.

    `by`: stratified keeps the shares of the labels in `on` (the target by default); time puts the
    latest rows aside; group puts whole groups aside; given reads a column that says "train" or
    "holdout". `on`: the column that the cut looks at. `holdout_fraction`: share of rows in the
    holdout, in (0, 1).
    """
    if not 0 < holdout_fraction < 1:
        raise ParameterError(
            "the holdout fraction is out of range", got=str(holdout_fraction), allowed="0 < f < 1"
        )
    if by == "time":
        holdout = _latest(dataset, _named(dataset, on, "time"), holdout_fraction)
    elif by == "group":
        holdout = _groups(dataset, _named(dataset, on, "group"), holdout_fraction, rng)
    elif by == "given":
        holdout = _given(dataset, _named(dataset, on, "split"))
    else:
        holdout = _stratified(dataset, on, holdout_fraction, rng)
    if not holdout.any() or holdout.all():
        part = "train set" if holdout.all() else "holdout"
        raise DataError(
            f"the split leaves no row for the {part}",
            got=f"{len(dataset)} rows, split by {by}",
            todo="use more rows, another holdout fraction or another split",
        )
    return np.flatnonzero(~holdout), np.flatnonzero(holdout)


def part_of(dataset: Dataset, rows: Rows) -> Dataset:
    """Return these rows as a set of their own: its schema lists no level that only other rows hold.

    >>> import pyarrow as pa
    >>> whole = Dataset.from_arrow(pa.table({"city": ["Rome", "Oslo", "Rome"]}))
    >>> part_of(whole, np.array([0, 2])).schema["city"].levels
    ('Rome',)
    """
    part = dataset.take(rows)
    schema = part.schema
    for one in schema.fields:
        if one.levels is not None:
            schema = schema.with_field(replace(one, levels=part.codes(one.name)[1]))
    return replace(part, schema=schema)


def _named(dataset: Dataset, on: str | None, role: str) -> str:
    found = on or next((one.name for one in dataset.schema.with_role(role)), None)
    if found is None:
        raise SchemaError(
            f"a split by {role} needs a column and none is named",
            todo=f"set split.on, or give one column the role '{role}'",
        )
    dataset.schema[found]
    return found


def _latest(dataset: Dataset, on: str, fraction: float) -> npt.NDArray[np.bool_]:
    values = dataset.values(on)
    if np.isnan(values).any():
        raise DataError(
            f"the time column '{on}' has {int(np.isnan(values).sum())} missing values",
            todo="fill or remove these rows, or split another way",
        )
    # Rows of one instant stay together: the cut falls between two different times.
    cut = np.sort(values)[int(np.ceil(len(values) * (1 - fraction))) - 1]
    return np.asarray(values > cut, dtype=bool)


def _groups(
    dataset: Dataset, on: str, fraction: float, rng: np.random.Generator
) -> npt.NDArray[np.bool_]:
    codes, levels = dataset.codes(on)
    sizes = np.bincount(codes + 1, minlength=len(levels) + 1)
    order = rng.permutation(len(sizes))
    filled = np.cumsum(sizes[order])
    chosen = order[filled - sizes[order] < fraction * len(dataset)]
    return np.isin(codes + 1, chosen)


def _given(dataset: Dataset, on: str) -> npt.NDArray[np.bool_]:
    codes, levels = dataset.codes(on)
    wrong = [level for level in levels if level.lower() not in ("train", "holdout", "test")]
    if wrong or (codes < 0).any():
        raise SchemaError(
            f"the split column '{on}' holds something else than train and holdout",
            got=f"{len(wrong)} other words" if wrong else "missing values",
            allowed="train, holdout, test",
        )
    holdout = np.array([level.lower() != "train" for level in levels])
    return np.asarray(holdout[codes], dtype=bool)


def _stratified(
    dataset: Dataset, on: str | None, fraction: float, rng: np.random.Generator
) -> npt.NDArray[np.bool_]:
    target = dataset.schema.target
    on = on or (target.name if target is not None and target.has_levels else None)
    codes = dataset.codes(on)[0] if on else np.zeros(len(dataset), dtype=np.int32)
    holdout = np.zeros(len(dataset), dtype=bool)
    wanted = 0.0
    taken = 0
    for code in np.unique(codes):
        rows = np.flatnonzero(codes == code)
        wanted += fraction * len(rows)
        # The running sum is rounded, not each class: the whole keeps its exact size.
        count = round(wanted) - taken
        taken += count
        holdout[rng.permutation(rows)[:count]] = True
    return holdout


@dataclass(frozen=True)
class ComparisonSets:
    """The sets of one family of metrics."""

    # train, synthetic: real rows that the generator was fitted on; the candidate
    train: Dataset
    synthetic: Dataset
    # baseline, reference: real rows in the candidate's place; real rows that both are compared
    # with
    baseline: Dataset
    reference: Dataset
    reference_rows: ReferenceRows  # Origin of the reference
    later: bool = False  # Whether the reference is later than all of train
    # Positions of the candidate's rows in the set that was given; None for all of it, shape (n,)
    places: npt.NDArray[np.int64] | None = None

    def with_whole_reference(self) -> ComparisonSets:
        """Return the sets with both halves of the holdout as reference, for a known baseline."""
        whole = Dataset.concat([self.baseline, self.reference])
        return replace(self, reference=whole, reference_rows=ReferenceRows.WHOLE_HOLDOUT)


@dataclass(frozen=True)
class MetricColumns:
    """Columns that a metric compares, and the reasons why others are excluded."""

    names: tuple[str, ...]
    excluded: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def from_sets(
        cls, metric: Metric, sets: ComparisonSets, target: str | None, where: Where | None
    ) -> MetricColumns:
        """Return the columns of the metric's kinds that all sets have.

        Except for integrity and metrics that read identifiers, ids are excluded; so are texts in tables,
        which are placeholders, unless the table has spans or no other features. Except for privacy, a time
        is excluded where the holdout is later than train: no generator can know that time. A column that
        `where` fixes to one value is excluded as well.
        """
        # Keys and texts are no values to model, but they are valid or not.
        is_integrity = metric.family == "integrity"
        own = [
            f
            for f in sets.reference.schema.fields
            if is_integrity
            or (f.role != "split" and metric.reads_identifiers)
            or (not f.column_kind.is_key and f.role not in ("identifier", "split"))
        ]
        about_text = (
            is_integrity
            or any(f.kind == "spans" for f in own)
            or not any(f.is_tabular and f.name != target for f in own)
        )
        pinned = {} if where is None or metric.family == "utility" else where.conditions
        names, excluded = [], {}
        for found in own:
            if found.kind not in metric.kinds:
                continue
            reason = _mismatch(found, sets)
            if found.column_kind.is_free_text and not (about_text or metric.reads_identifiers):
                reason = "texts in tables are placeholders"
            elif found.role == "time" and sets.later and metric.family != "privacy":
                reason = "the holdout is later than the train set"
            elif found.name in pinned and not isinstance(
                pinned[found.name], Mapping | list | tuple
            ):
                reason = "it is the same in all rows that are compared"
            if reason:
                excluded[found.name] = reason
            else:
                names.append(found.name)
        return cls(tuple(names), excluded)


def compare_halves(
    train: Dataset, synthetic: Dataset, holdout: Dataset | None, seed: int
) -> ComparisonSets | None:
    """Return the sets of gap, coverage and privacy; None where there are no two real halves.

    The holdout, or train where there is none, is split once into halves A and B, whole groups together.
    Synthetic rows and A are both compared with B. A stands for a fresh real sample, so rows are drawn at
    random, as those of the candidate are: halves with equal shares of the classes would show a distance
    of 0 by the target, which no sample has.
    """
    whole = train if holdout is None else holdout
    halves = _halves(whole, rng_for(seed, "measure", "halves"))
    if halves is None:
        return None
    rows = ReferenceRows.HALF_OF_TRAIN if holdout is None else ReferenceRows.HALF_OF_HOLDOUT
    later = holdout is not None and _is_later(holdout, train)
    return ComparisonSets(train, synthetic, halves[0], halves[1], rows, later)


def compare_every_row(
    train: Dataset, synthetic: Dataset, holdout: Dataset | None, target: str | None, seed: int
) -> ComparisonSets | None:
    """Return the sets of integrity, no row of which is excluded; None where train has one row.

    Faults are what train rules out and the holdout, as unseen rows, confirms. Without a holdout, halves of
    train take both places.
    """
    if holdout is not None:
        later = _is_later(holdout, train)
        whole = ReferenceRows.WHOLE_HOLDOUT
        return ComparisonSets(train, synthetic, holdout, holdout, whole, later)
    halves = _halves(train, rng_for(seed, "measure", "halves"))
    if halves is None:
        return None
    rows = ReferenceRows.HALF_OF_TRAIN
    return ComparisonSets(halves[0], synthetic, halves[1], halves[1], rows)


def compare_all_rows(halves: ComparisonSets, holdout: Dataset | None) -> ComparisonSets:
    """Return the sets of a metric that compares all synthetic rows with all real ones.

    Train and holdout are one sample of real rows, the second of them the reference. A holdout that is later
    differs by drift, which is no fault of the generator: train stands alone, and the reference is empty.
    """
    if holdout is None or halves.later:
        rows, reference = ReferenceRows.ALL_TRAIN, halves.train.slice(0, 0)
    else:
        rows, reference = ReferenceRows.ALL_REAL, holdout
    return replace(halves, baseline=halves.train, reference=reference, reference_rows=rows)


def match_sizes(sets: ComparisonSets, seed: int) -> ComparisonSets:
    """Return the sets with equally many rows of candidate and baseline."""
    n = min(len(sets.synthetic), len(sets.baseline))
    kept = sample_positions(len(sets.synthetic), n, rng_for(seed, "measure", "rows", "synthetic"))
    return replace(
        sets,
        synthetic=sets.synthetic.take(kept) if len(sets.synthetic) > n else sets.synthetic,
        places=kept if sets.places is None else sets.places[kept],
        baseline=sets.baseline.at_most(n, rng_for(seed, "measure", "rows", "baseline")),
    )


def shuffle_columns(dataset: Dataset, rng: np.random.Generator) -> Dataset:
    """Return the set with every column shuffled by itself, so that columns are independent.

    >>> d = Dataset.from_arrow(pa.table({"a": [1.5, 2.5], "b": [0.5, 3.5]}))
    >>> shuffled = shuffle_columns(d, rng_for(1, "floor"))
    >>> sorted(shuffled.values("a").tolist()) == [1.5, 2.5]
    True
    """
    plain = dataset.without_reserved()
    columns = [
        plain.records.column(name).take(pa.array(rng.permutation(len(plain))))
        for name in plain.schema.names
    ]
    return replace(plain, records=pa.table(columns, names=list(plain.schema.names)))


def _mismatch(found: Field, sets: ComparisonSets) -> str:
    """Return why a column of the reference has no counterpart in the other sets, or nothing."""
    for part in (sets.synthetic, sets.train):
        if found.name not in part.schema.names:
            return "not all sets have it"
        other = part.schema[found.name]
        if other.kind != found.kind and not (other.is_numeric and found.is_numeric):
            return f"it is {found.kind} in one set and {other.kind} in another"
    return ""


def _halves(whole: Dataset, rng: np.random.Generator) -> tuple[Dataset, Dataset] | None:
    if len(whole) < 2:
        return None
    group = next((f.name for f in whole.schema.with_role("group")), None)
    if group is not None:
        try:
            first, second = split_rows(whole, by="group", on=group, holdout_fraction=0.5, rng=rng)
            return whole.take(first), whole.take(second)
        except DataError:
            # One group holds most of the rows: halves of rows are better than none.
            pass
    order = rng.permutation(len(whole))
    first, second = np.sort(order[len(whole) // 2 :]), np.sort(order[: len(whole) // 2])
    return whole.take(first), whole.take(second)


def _is_later(holdout: Dataset, train: Dataset) -> bool:
    for found in train.schema.with_role("time"):
        if found.name in holdout.schema.names and found.has_order:
            before, after = train.values(found.name), holdout.values(found.name)
            before, after = before[~np.isnan(before)], after[~np.isnan(after)]
            if len(before) and len(after) and after.min() >= before.max():
                return True
    return False

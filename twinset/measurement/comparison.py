"""Sets that metrics compare: halves of the holdout, equal sizes, columns that all sets have."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from twinset.core.contracts import Metric
from twinset.core.data.dataset import Dataset, sample_positions
from twinset.core.data.schema import Field
from twinset.core.data.where import Where
from twinset.core.errors import DataError
from twinset.core.findings import ReferenceRows
from twinset.core.seeding import rng_for
from twinset.measurement.splitting import split_rows


@dataclass(frozen=True)
class ComparisonSets:
    """The sets of one family of metrics.

    Parameters
    ----------
    train, synthetic : Dataset
        Real rows that the generator was fitted on; the candidate.
    baseline, reference : Dataset
        Real rows in the candidate's place; real rows that both are compared with.
    reference_rows : ReferenceRows
        Origin of the reference.
    later : bool
        Whether the reference is later than all of train.
    places : numpy.ndarray of int, shape (n,), optional
        Positions of the candidate's rows in the set that was given; None for all of it.
    """

    train: Dataset
    synthetic: Dataset
    baseline: Dataset
    reference: Dataset
    reference_rows: ReferenceRows
    later: bool = False
    places: npt.NDArray[np.int64] | None = None


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

        Ids are excluded; so are texts in tables, which are placeholders, unless the table has spans or no
        other features. Except for privacy, a time is excluded where the holdout is later than train: no
        generator can know that time. A column that `where` fixes to one value is excluded as well.
        """
        own = _comparable(sets.reference)
        about_text = any(f.kind == "spans" for f in own) or not any(
            f.is_tabular and f.name != target for f in own
        )
        pinned = {} if where is None or metric.family == "utility" else where.conditions
        names, excluded = [], {}
        for found in own:
            if found.kind not in metric.kinds:
                continue
            reason = _mismatch(found, sets)
            if found.column_kind.is_free_text and not about_text:
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
    train: Dataset, synthetic: Dataset, holdout: Dataset | None, target: str | None, seed: int
) -> ComparisonSets | None:
    """Return the sets of gap, coverage and privacy; None where there are no two real halves.

    The holdout, or train where there is none, is split once into halves A and B, whole groups together,
    with equal shares of the target's classes. Synthetic rows and A are both compared with B.
    """
    whole = train if holdout is None else holdout
    halves = _halves(whole, target, rng_for(seed, "measure", "halves"))
    if halves is None:
        return None
    rows = ReferenceRows.HALF_OF_TRAIN if holdout is None else ReferenceRows.HALF_OF_HOLDOUT
    later = holdout is not None and _is_later(holdout, train)
    return ComparisonSets(train, synthetic, halves[0], halves[1], rows, later)


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

    Examples
    --------
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


def _comparable(dataset: Dataset) -> list[Field]:
    return [
        found
        for found in dataset.schema.fields
        if not found.column_kind.is_key and found.role not in ("identifier", "split")
    ]


def _mismatch(found: Field, sets: ComparisonSets) -> str:
    """Return why a column of the reference has no counterpart in the other sets, or nothing."""
    for part in (sets.synthetic, sets.train):
        if found.name not in part.schema.names:
            return "not all sets have it"
        other = part.schema[found.name]
        if other.kind != found.kind and not (other.is_numeric and found.is_numeric):
            return f"it is {found.kind} in one set and {other.kind} in another"
    return ""


def _halves(
    whole: Dataset, target: str | None, rng: np.random.Generator
) -> tuple[Dataset, Dataset] | None:
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
    classes = [f.name for f in whole.schema.of_kind("category", "boolean") if f.name == target]
    on = classes[0] if classes else None
    first, second = split_rows(whole, by="stratified", on=on, holdout_fraction=0.5, rng=rng)
    return whole.take(first), whole.take(second)


def _is_later(holdout: Dataset, train: Dataset) -> bool:
    for found in train.schema.with_role("time"):
        if found.name in holdout.schema.names and found.has_order:
            before, after = train.values(found.name), holdout.values(found.name)
            before, after = before[~np.isnan(before)], after[~np.isnan(after)]
            if len(before) and len(after) and after.min() >= before.max():
                return True
    return False

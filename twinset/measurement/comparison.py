"""Who is compared with whom: halves of the holdout, matched sizes, columns that both sides hold."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from twinset.core.contracts import Metric
from twinset.core.data.dataset import Dataset, some_places
from twinset.core.data.schema import Field
from twinset.core.data.splitting import split_rows
from twinset.core.data.where import Where
from twinset.core.errors import DataError
from twinset.core.findings import ReferenceRows
from twinset.core.seeding import rng_for


@dataclass(frozen=True)
class ComparisonSets:
    """The sets of one family of metrics.

    Parameters
    ----------
    train : Dataset
        Real rows that the generator saw.
    synthetic : Dataset
        The candidate.
    baseline : Dataset
        Real rows that take the candidate's place.
    reference : Dataset
        Real rows that both are compared with.
    reference_rows : ReferenceRows
        What the reference is.
    later : bool
        Whether the reference is later than all of train.
    places : numpy.ndarray of int, shape (n,), optional
        Where the candidate's rows stand in the set that was given; None where they are all of it.
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
    """The columns that a metric looks at, and why others are left out."""

    names: tuple[str, ...]
    left_out: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(
        cls, metric: Metric, sides: ComparisonSets, target: str | None, where: Where | None
    ) -> MetricColumns:
        """Return the columns of the metric's kinds that all sets hold.

        Ids are never looked at. A text is, only where it is what the set is about (beside spans, or
        without any table around it): texts in tables are placeholders. A time is not, where the
        holdout is later than train, because no generator can have seen that time; only leaks are
        looked for in whole rows. Nor is a column that `where` pins to one value.
        """
        own = _comparable(sides.reference)
        about_text = any(f.kind == "spans" for f in own) or not any(
            f.is_tabular and f.name != target for f in own
        )
        pinned = {} if where is None or metric.family == "utility" else where.conditions
        names, left_out = [], {}
        for found in own:
            if found.kind not in metric.kinds:
                continue
            reason = _mismatch(found, sides)
            if found.column_kind.is_free_text and not about_text:
                reason = "texts in tables are placeholders"
            elif found.role == "time" and sides.later and metric.family != "privacy":
                reason = "the holdout is later than the train part"
            elif found.name in pinned and not isinstance(
                pinned[found.name], Mapping | list | tuple
            ):
                reason = "it is the same in all rows that are compared"
            if reason:
                left_out[found.name] = reason
            else:
                names.append(found.name)
        return cls(tuple(names), left_out)


def compare_halves(
    train: Dataset, synthetic: Dataset, holdout: Dataset | None, *, target: str | None, seed: int
) -> ComparisonSets | None:
    """Return the sides of gap, coverage and privacy; None where there are no two real halves.

    The holdout, or train where there is none, is cut once into halves A and B, whole groups together,
    with equal shares of the target's classes. Synthetic rows and A are both compared with B.
    """
    whole = train if holdout is None else holdout
    halves = _halves(whole, target, rng_for(seed, "measure", "halves"))
    if halves is None:
        return None
    rows = ReferenceRows.HALF_OF_TRAIN if holdout is None else ReferenceRows.HALF_OF_HOLDOUT
    later = holdout is not None and _is_later(holdout, train)
    return ComparisonSets(train, synthetic, halves[0], halves[1], rows, later)


def matched(sides: ComparisonSets, *, seed: int) -> ComparisonSets:
    """Return the sides with the candidate and the baseline cut to the same number of rows."""
    n = min(len(sides.synthetic), len(sides.baseline))
    kept = some_places(len(sides.synthetic), n, rng_for(seed, "measure", "rows", "synthetic"))
    return replace(
        sides,
        synthetic=sides.synthetic.take(kept) if len(sides.synthetic) > n else sides.synthetic,
        places=kept if sides.places is None else sides.places[kept],
        baseline=sides.baseline.at_most(n, rng_for(seed, "measure", "rows", "baseline")),
    )


def independent_columns(dataset: Dataset, rng: np.random.Generator) -> Dataset:
    """Return the set with every column shuffled by itself: the same columns, and nothing between them.

    Examples
    --------
    >>> d = Dataset.from_arrow(pa.table({"a": [1.5, 2.5], "b": [0.5, 3.5]}))
    >>> shuffled = independent_columns(d, rng_for(1, "floor"))
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


def _mismatch(found: Field, sides: ComparisonSets) -> str:
    """Return why a column of the reference has no counterpart in the other sets, or nothing."""
    for part in (sides.synthetic, sides.train):
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

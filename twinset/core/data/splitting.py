"""Cut a set into a train part and a holdout that no generator ever sees."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import numpy as np
import numpy.typing as npt

from twinset.core.data.dataset import Dataset
from twinset.core.errors import DataError, ParameterError, SchemaError

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
    """Return the row positions of the train part and of the holdout, each in ascending order.

    Parameters
    ----------
    dataset : Dataset
        The real set.
    by : {"stratified", "time", "group", "given"}
        Stratified keeps the shares of the labels in `on` (the target by default); time puts the
        latest rows aside; group puts whole groups aside; given reads a column that says "train" or
        "holdout".
    on : str, optional
        The column that the cut looks at.
    holdout_fraction : float
        Share of rows to lock away, in (0, 1).
    rng : numpy.random.Generator
        Stream for the draw.

    Raises
    ------
    ParameterError
        The fraction lies outside (0, 1).
    SchemaError
        The column is needed and not named, or has another content than the cut needs.
    DataError
        One of the two parts would be empty.
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
        part = "train part" if holdout.all() else "holdout"
        raise DataError(
            f"the split leaves no row for the {part}",
            got=f"{len(dataset)} rows, split by {by}",
            todo="use more rows, another holdout fraction or another split",
        )
    return np.flatnonzero(~holdout), np.flatnonzero(holdout)


def part_of(dataset: Dataset, rows: Rows) -> Dataset:
    """Return these rows as a set of their own: its schema lists no level that only other rows hold.

    Examples
    --------
    >>> import pyarrow as pa
    >>> whole = Dataset.from_arrow(pa.table({"city": ["Rome", "Oslo", "Rome"]}))
    >>> part_of(whole, np.array([0, 2])).schema["city"].levels
    ('Rome',)
    """
    part = dataset.take(rows)
    schema = part.schema
    for field in schema.fields:
        if field.levels is not None:
            schema = schema.with_field(replace(field, levels=part.codes(field.name)[1]))
    return replace(part, schema=schema)


def _named(dataset: Dataset, on: str | None, role: str) -> str:
    found = on or next((field.name for field in dataset.schema.with_role(role)), None)
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

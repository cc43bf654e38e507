"""What generators ask before they honour a `where`: which train rows and which values meet it."""

from __future__ import annotations

from collections.abc import Callable, Collection

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from twinset.core.data.dataset import Dataset
from twinset.core.data.persons import shared_levels, spell_levels
from twinset.core.data.where import Where
from twinset.core.errors import FitError, ParameterError, SchemaError, did_you_mean

Mask = npt.NDArray[np.bool_]


def rows_to_learn_from(
    real: Dataset | None,  # what `fit` was given
    kinds: Collection[str],  # field kinds that the generator can make
    *,
    component: str,  # name of the generator, for the message
    min_rows: int = 1,  # fewest rows it can learn from
) -> Dataset:
    """Return `real` when a generator can learn from it; say clearly why when it cannot."""
    if real is None:
        raise FitError(f"{component} needs a real set", todo="name one under 'source'")
    if len(real) < min_rows:
        raise FitError(
            f"{component} cannot learn from so few rows",
            got=f"{len(real)} rows",
            allowed=f"{min_rows} or more",
            todo="widen 'where' or give more rows",
        )
    for field in real.schema.fields:
        if field.kind not in kinds:
            raise SchemaError(
                f"{component} cannot make the column '{field.name}'",
                got=field.kind,
                allowed=", ".join(sorted(kinds)),
                todo="leave the column out or use another generator",
            )
    return real


def column_masks(train: Dataset, where: Where) -> dict[str, Mask]:
    """Return, for each column that `where` names, which train rows meet its condition, shape (n,)."""
    masks = {}
    for column, condition in where.conditions.items():
        masks[column] = train.mask(Where({column: condition}))
        if not masks[column].any():
            raise unmet(Where({column: condition}), train)
    return masks


def unmet(
    where: Where,
    # the rows learnt from; for a condition on one column the error then names labels, or the range
    # of a number, widened to two digits so that it gives no single value away
    train: Dataset | None = None,
) -> ParameterError:
    """Return the error that says that a condition cannot be met, and what is nearest to it.

    Examples
    --------
    >>> str(unmet(Where({"Amount": {"lt": 0}}))).split(";")[0]
    "no row with Amount < 0 can be made (column 'Amount')"
    """
    names = ", ".join(f"'{name}'" for name in where.conditions)
    noun = "column" if len(where.conditions) == 1 else "columns"
    allowed, todo = "conditions that occur in the train set", "widen the condition"
    if train is not None and len(where.conditions) == 1:
        name, condition = next(iter(where.conditions.items()))
        allowed, todo = _feasible(train, name, condition, allowed, todo)
    return ParameterError(
        f"no row with {where} can be made ({noun} {names})", allowed=allowed, todo=todo
    )


def _feasible(
    train: Dataset, name: str, condition: object, allowed: str, todo: str
) -> tuple[str, str]:
    field = train.schema[name]
    if field.has_levels:
        levels = shared_levels(train, name)
        meant = did_you_mean(str(condition), levels) if isinstance(condition, str) else ""
        return spell_levels(train, name) or allowed, meant or todo
    if field.is_numeric and condition is not None:
        values = train.values(name)
        values = values[~np.isnan(values)]
        if len(values):
            low, high = _outwards(values.min(), -1), _outwards(values.max(), 1)
            return f"values from about {low:,g} to {high:,g}", todo
    return allowed, todo


def _outwards(value: float, direction: int) -> float:
    """Round away from the data, to two digits."""
    if value == 0:
        return 0.0
    step = 10.0 ** (np.floor(np.log10(abs(value))) - 1)
    away = np.floor if direction < 0 else np.ceil
    return float(away(value / step) * step)


def keep_drawing(
    draw: Callable[[int], Dataset],  # returns about that many new rows
    n: int,  # number of rows, 0 or more
    where: Where,  # condition that every row meets
    *,
    rounds: int = 16,  # draws after which to give up. No draw asks for more than 4 n or 65,536 rows
    min_draw: int = 0,  # smallest number of rows in the first draw
) -> Dataset:
    """Return exactly `n` rows that meet `where`, taken from repeated draws; never endless."""
    kept: list[Dataset] = []
    found = drawn = 0
    size = max(n, min_draw)
    for _ in range(rounds):
        candidates = draw(size)
        kept.append(candidates.where(where))
        found, drawn = found + len(kept[-1]), drawn + size
        if found >= n:
            return Dataset.concat(kept).slice(0, n)
        share = max(found, 1) / drawn
        size = min(int(1.2 * (n - found) / share) + 1, max(4 * n, 65_536))
    raise unmet(where)


def parents_of(train: Dataset, rows: npt.NDArray[np.int64]) -> pa.Array | None:
    """Return a `_parents` column that names one or two train rows each, or None if they have no `_id`.

    `rows` has shape (n,) or (n, 2); two equal positions name one row.
    """
    if "_id" not in train.records.column_names:
        return None
    pairs = rows if rows.ndim == 2 else np.column_stack([rows, rows])
    differ = pairs[:, 0] != pairs[:, 1]
    named = pairs.ravel()[np.column_stack([np.ones_like(differ), differ]).ravel()]
    ids = train.records.column("_id").take(pa.array(named)).combine_chunks()
    if isinstance(ids, pa.ChunkedArray):
        ids = ids.combine_chunks() if ids.num_chunks else pa.array([], pa.string())
    offsets = np.concatenate([[0], np.cumsum(1 + differ)]).astype(np.int32)
    return pa.ListArray.from_arrays(pa.array(offsets), ids)

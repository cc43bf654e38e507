"""Meet a `where` by construction: list what can be drawn, and draw only from what fits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from twinset.core.data.dataset import Dataset
from twinset.core.data.schema import Schema
from twinset.core.data.where import Where
from twinset.core.errors import ParameterError, TwinsetError


def outcomes_that_meet(
    where: Where | None, outcomes: Mapping[str, Sequence[object]], schema: Schema, name: str
) -> npt.NDArray[np.bool_]:
    """Return which of the possible outcomes meet `where`, shape (k,).

    Parameters
    ----------
    where : Where or None
        The condition; None is met by all.
    outcomes : mapping
        Column -> its value in each of the k outcomes that the generator chooses from.
    schema : Schema
        Schema of the generated rows; holds every column of `outcomes`.
    name : str
        Name of the generator, for errors.

    Raises
    ------
    ParameterError
        The condition is on a column that the generator does not choose, or no outcome meets it.
    """
    columns = list(outcomes)
    conditions = where.conditions if where is not None else {}
    for column in conditions:
        if column not in columns:
            raise ParameterError(
                f"'{name}' cannot make rows under a condition on '{column}'",
                allowed="conditions on " + ", ".join(columns),
            )
    if where is None:
        return np.ones(len(next(iter(outcomes.values()))), dtype=bool)
    kinds = schema.select(columns)
    table = pa.table({c: pa.array(v, kinds[c].stored_type) for c, v in outcomes.items()})
    try:
        keep = Dataset.from_arrow(table, kinds).mask(where)
    except TwinsetError as error:
        raise ParameterError(f"'{name}' cannot read the condition: {error}") from error
    if not keep.any():
        raise ParameterError(
            f"'{name}' can make no row that meets the condition",
            got=str(where),
            todo="correct the condition, or widen the settings of the generator",
        )
    return keep

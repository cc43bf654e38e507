"""What a twin keeps of its source on purpose: real values of categories, told to the reader."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from twinset.core.dataset import Dataset

SMALL_CELL = 11
"""A value in fewer rows than this may point at persons (the CMS rule on small cells)."""


def kept_values(train: Dataset) -> list[str]:
    """Return one sentence on the categories whose values a twin repeats though few rows have them.

    Parameters
    ----------
    train : Dataset
        The real rows that a generator learns from.

    Returns
    -------
    list of str
        One sentence with column names and counts, never a value; empty where there is nothing to say.

    Examples
    --------
    >>> towns = ["Oslo"] * 30 + ["Bergen"] * 2
    >>> kept_values(Dataset.from_arrow(pa.table({"town": towns})))[0][:62]
    "Real values are kept as they are in 'town' (1 of 2 values in f"
    """
    told = []
    for field in train.schema.of_kind("category"):
        if field.role == "target" or not pa.types.is_string(field.stored_type):
            continue
        codes, levels = train.codes(field.name)
        counts = np.bincount(codes[codes >= 0], minlength=len(levels))
        rare = int(((counts > 0) & (counts < SMALL_CELL)).sum())
        if rare:
            told.append(
                f"'{field.name}' ({rare:,} of {len(levels):,} values in fewer than {SMALL_CELL} rows)"
            )
    if not told:
        return []
    return [
        f"Real values are kept as they are in {', '.join(told)}. Where such values name persons, "
        "declare the column as an identifier or leave it out."
    ]

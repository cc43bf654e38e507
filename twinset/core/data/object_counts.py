"""How many objects of each label an image has, as columns that conditions can speak of."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from twinset.core.data.schema import Schema

ALL_OBJECTS = "all objects"
"""Column of the number of all objects of an image."""

_COUNT = re.compile(r"objects '(.+)'")


def count_column(label: str) -> str:
    """Return the name of the column that counts the objects of a label, as reports call it.

    Examples
    --------
    >>> count_column("WBC")
    "objects 'WBC'"
    """
    return f"objects '{label}'"


def counted(records: pa.Table, schema: Schema, column: str) -> pa.ChunkedArray | None:
    """Return the numbers that a column of counts would hold; None where it cannot be told.

    It cannot where the set has no objects, the name is none of a count, or the set's closed list of labels
    lacks the label.

    Examples
    --------
    >>> from twinset.core.data.schema import OBJECT, Field
    >>> boxes = pa.table({"objects": pa.array([[{"category": "cat"}], None], pa.list_(OBJECT))})
    >>> schema = Schema((Field(name="objects", kind="boxes"),))
    >>> counted(boxes, schema, "all objects").to_pylist(), counted(boxes, schema, "age")
    ([1, 0], None)
    """
    fields = schema.of_kind("boxes")
    found = _COUNT.fullmatch(column)
    if not fields or (column != ALL_OBJECTS and found is None):
        return None
    labels = [found[1]] if found is not None else []
    taxonomy = fields[0].taxonomy
    if labels and taxonomy is not None and labels[0] not in {x.name for x in taxonomy.labels}:
        return None
    return pa.chunked_array([pa.array(object_counts(records, schema, labels)[:, -1])])


def object_counts(
    records: pa.Table, schema: Schema, labels: Sequence[str]
) -> npt.NDArray[np.int64]:
    """Return the number of all objects, then of each label, of the first column of boxes.

    Returns
    -------
    numpy.ndarray of int, shape (n, 1 + labels)
        Zeros where there are no objects.
    """
    fields = schema.of_kind("boxes")
    column = records.column(fields[0].name).to_pylist() if fields else []
    made = np.zeros((len(records), 1 + len(labels)), np.int64)
    place = {label: k for k, label in enumerate(labels, start=1)}
    for row, objects in enumerate(column):
        for item in objects or ():
            made[row, 0] += 1
            if item["category"] in place:
                made[row, place[item["category"]]] += 1
    return made

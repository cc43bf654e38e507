"""Find numbers and dates in a national notation, which are read as texts."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from twinset.core.data.dataset import Dataset

# distinct values that are checked: enough for the notation, quick for long columns
_MAX_VALUES = 1_000
_MIN_SHARE = 0.95  # the rest may be placeholders such as "n/a"
_TIME = r"([ T]\d{1,2}:\d\d(:\d\d)?)?"


@dataclass(frozen=True)
class LocalFormat:
    """A notation that is not recognised."""

    like: str  # an example, from no file
    means: str  # "numbers" or "dates"
    todo: str

    def note(self, name: str) -> str:
        """Return a sentence on a column of this name."""
        return f"'{name}' holds {self.means} written like {self.like}, which are read as texts: {self.todo}"


_PLAIN = "write them like 1234.56"
_ISO = "write them like 2024-12-31"
_FORMATS: Mapping[str, LocalFormat] = {
    r"[-+]?(\d{1,3}(\.\d{3})+|\d+),\d+ ?[€$£]?": LocalFormat(
        "1.234,56", "numbers", f"{_PLAIN} (in pandas: read_csv(..., decimal=',', thousands='.'))"
    ),
    r"[-+]?[€$£]?\d{1,3}(,\d{3})+(\.\d+)?": LocalFormat(
        "1,234.56", "numbers", f"{_PLAIN} (in pandas: read_csv(..., thousands=','))"
    ),
    rf"\d{{1,2}}\.\d{{1,2}}\.\d{{2,4}}{_TIME}": LocalFormat(
        "31.12.2024", "dates", f"{_ISO} (in pandas: to_datetime(..., dayfirst=True))"
    ),
    rf"\d{{1,2}}/\d{{1,2}}/\d{{2,4}}{_TIME}": LocalFormat(
        "31/12/2024", "dates", f"{_ISO} (in pandas: to_datetime(..., dayfirst=True or False))"
    ),
}
_WHOLE = re.compile(r"[-+]?\d{1,3}")


def local_format(dataset: Dataset, name: str) -> LocalFormat | None:
    """Return the national notation of nearly all values of a column; None for any other.

    Examples
    --------
    >>> table = pa.table({"betrag": ["1.234,56", "7,00", "12,50"], "ort": ["Ulm", "Bonn", "Kiel"]})
    >>> real = Dataset.from_arrow(table)
    >>> local_format(real, "betrag").like, local_format(real, "ort")
    ('1.234,56', None)
    """
    column = dataset.records.column(name)
    kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
    if not (pa.types.is_string(kind) or pa.types.is_large_string(kind)):
        return None
    values = [str(v).strip() for v in pc.unique(column).slice(0, _MAX_VALUES).to_pylist() if v]
    if not values:
        return None
    for pattern, found in _FORMATS.items():
        spelt = sum(re.fullmatch(pattern, value) is not None for value in values)
        # Numbers below a thousand without decimals look the same everywhere.
        plain = sum(_WHOLE.fullmatch(value) is not None for value in values)
        if spelt > plain and spelt + plain >= _MIN_SHARE * len(values):
            return found
    return None


def local_notes(dataset: Dataset) -> list[str]:
    """Return one sentence for each column in a national notation.

    Examples
    --------
    >>> local_notes(Dataset.from_arrow(pa.table({"x": [1.5, 2.5]})))
    []
    """
    found = {field.name: local_format(dataset, field.name) for field in dataset.schema.fields}
    return [one.note(name) for name, one in found.items() if one is not None]

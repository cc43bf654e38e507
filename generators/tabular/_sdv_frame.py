"""Tables, metadata and constraints in the words of SDV."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from twinset.core.data.dataset import Dataset
from twinset.core.data.encoding import EncodedColumn, Matrix, TableEncoding
from twinset.core.data.rule import Rule
from twinset.core.rules.violations import violations

if TYPE_CHECKING:
    import pandas

TABLE = "table"


def to_frame(train: Dataset, encoding: TableEncoding) -> pandas.DataFrame:
    """Return the columns that vary: labels as text, everything else as floats, missing as NaN."""
    import pandas

    matrix = encoding.encode(train)
    columns = {}
    for column in encoding.columns:
        values = matrix[:, column.value].astype(object if column.is_nominal else float)
        if column.is_nominal and column.levels:
            values = np.array(column.levels, dtype=object)[matrix[:, column.value].astype(int)]
        if column.missing is not None:
            values[matrix[:, column.missing] == 1] = np.nan
        series = pandas.Series(values)
        if series.nunique(dropna=False) > 1:
            columns[column.field.name] = series
    return pandas.DataFrame(columns)


def fill_column(made: Matrix, column: EncodedColumn, series: pandas.Series) -> None:
    """Write one column of a frame of SDV into the rows of floats `made`, in place."""
    missing = series.isna().to_numpy()
    if column.is_nominal:
        codes = {level: code for code, level in enumerate(column.levels)}
        values = series.map(codes).to_numpy(dtype=float)
    else:
        values = series.to_numpy(dtype=float)
    made[:, column.value] = np.where(missing, column.fill, values)
    if column.missing is not None:
        made[:, column.missing] = missing


def metadata(frame: pandas.DataFrame, encoding: TableEncoding) -> Any:
    """Return SDV's metadata of the frame, as our schema says and not as SDV would guess."""
    from sdv.metadata import Metadata

    columns = {
        column.field.name: {"sdtype": "categorical" if column.is_nominal else "numerical"}
        for column in encoding.columns
        if column.field.name in frame.columns
    }
    return Metadata.load_from_dict({"tables": {TABLE: {"columns": columns}}})


def constraints(train: Dataset, frame: pandas.DataFrame) -> list[Any]:
    """Return the rules of the schema that SDV has constraints for.

    An order of two or three columns is an Inequality or a Range of SDV, a one-hot group of numbers a
    OneHotEncoding, a combination or dependency among labels FixedCombinations. Left out, to be held
    by whoever holds the rules, are other kinds, rules that real rows break (SDV would refuse to
    fit), rules on columns that do not vary or miss values, and rules that share a column with an
    earlier one (SDV's constraints are not made to overlap).
    """
    from sdv import cag

    taken: set[str] = set()
    found = []
    for rule in train.schema.rules:
        if not _is_expressible(rule, train) or not set(rule.columns) <= set(frame.columns):
            continue
        if taken & set(rule.columns) or frame[list(rule.columns)].isna().to_numpy().any():
            continue
        if violations(rule, train).any():
            continue
        taken |= set(rule.columns)
        found.append(_constraint(rule, cag))
    return found


def _is_expressible(rule: Rule, train: Dataset) -> bool:
    kinds = {train.schema[name].kind for name in rule.columns}
    if rule.kind == "order":
        return len(rule.columns) in (2, 3) and len(kinds) == 1
    if rule.kind == "one_hot":
        return kinds <= {"number", "integer"}
    if rule.kind == "combination" and "allowed" in rule.settings:
        # SDV keeps to the combinations in the real rows; there may be none outside `allowed`.
        return len(rule.columns) > 1 and kinds <= {"category", "boolean"}
    if rule.kind in ("combination", "dependency"):
        return len(rule.columns) > 1 and kinds <= {"category", "boolean"}
    return False


def _constraint(rule: Rule, cag: Any) -> Any:
    columns = list(rule.columns)
    if rule.kind == "order":
        make = cag.Inequality if len(columns) == 2 else cag.Range
        return make(*columns, strict_boundaries=bool(rule.settings.get("strict", False)))
    if rule.kind == "one_hot":
        return cag.OneHotEncoding(columns)
    return cag.FixedCombinations(columns)

"""Real values that few rows have are told of where made rows hold them, by counts and never by name."""

import pyarrow as pa

from twinset.core.data.dataset import Dataset
from twinset.measurement.notes import note_kept_values


def towns(*counts: tuple[str, int], column: str = "town") -> Dataset:
    values = [town for town, n in counts for _ in range(n)]
    return Dataset.from_arrow(pa.table({column: pa.array(values, pa.string())}))


REAL = towns(("Oslo", 30), ("Bergen", 10), ("Vik", 1), ("Molde", 11))


def test_rare_real_values_among_made_rows_are_counted_and_not_named() -> None:
    (note,) = note_kept_values(REAL, towns(("Oslo", 20), ("Bergen", 3), ("Vik", 2), ("Molde", 4)))
    assert "'town' (2 of 4 values in fewer than 11 rows)" in note
    assert "Vik" not in note
    (note,) = note_kept_values(REAL, towns(("Oslo", 20), ("Vik", 2)))
    assert "(1 of 4 values" in note


def test_what_no_made_row_holds_was_not_kept() -> None:
    assert note_kept_values(REAL, towns(("Oslo", 20), ("Molde", 4), ("Nowhere", 4))) == []
    assert note_kept_values(REAL, towns(("Vik", 9), ("Oslo", 9), column="place")) == []
    assert note_kept_values(None, REAL) == []

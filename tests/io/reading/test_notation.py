"""Numbers in the notation of a country are read where every cell allows one reading only."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest

from twinset.core.data.reading import Reason, Remark
from twinset.io.reading.notation import interpret
from twinset.io.reading.options import ReadOptions
from twinset.io.text_tables import read_csv

# cells -> values, and the reasons of uncertain remarks
NUMBERS: dict[str, tuple[list[str], list[float], list[Reason]]] = {
    "decimal commas": (["3,5", "-7,25", "12"], [3.5, -7.25, 12], []),
    "points and commas": (["1.234,5", "12,0", "1.234.567,25"], [1234.5, 12, 1234567.25], []),
    "commas and points": (["1,234.5", "12.0"], [1234.5, 12], [Reason.GROUPS]),
    "groups alone": (["1,234,567", "1,234"], [1234567, 1234], [Reason.GROUPS]),
    "three digits": (["1,234", "5,678"], [1234, 5678], [Reason.GROUPS_OR_DECIMALS]),
    "spaces": (["1 234,5", "1\u202f234\u202f567,5"], [1234.5, 1234567.5], []),
    "apostrophes": (["1'234.5", "1’234’567.0"], [1234.5, 1234567], [Reason.GROUPS]),
    "lakhs": (["12,34,567", "1,23,456.5"], [1234567, 123456.5], [Reason.GROUPS]),
    "per cent": (["5 %", "7.5%"], [5, 7.5], [Reason.SIGN]),
    "euros": (["5,00 €", "-7,50 €"], [5, -7.5], [Reason.SIGN]),
    "dollars": (["$1,234.50", "-$7.50"], [1234.5, -7.5], [Reason.SIGN, Reason.GROUPS]),
    "codes of currencies": (["EUR 5.5", "EUR 6.5"], [5.5, 6.5], [Reason.SIGN]),
    "brackets": (["(5.5)", "7.5"], [-5.5, 7.5], [Reason.BRACKETS]),
    "a minus behind": (["5,5-", "7,5"], [-5.5, 7.5], [Reason.BRACKETS]),
    "a long minus": (["−5.5", "7.5"], [-5.5, 7.5], []),
    "exponents": (["1,5E+03", "2,5e-1"], [1500, 0.25], []),
    "white space": ([" 5,5", "7,5 "], [5.5, 7.5], []),
}


@pytest.mark.parametrize("case", NUMBERS)
def test_numbers_are_read(case: str) -> None:
    cells, values, doubts = NUMBERS[case]
    found = interpret(pa.chunked_array([[*cells, None]]), "x", ReadOptions())
    assert found.column.to_pylist() == [*values, None]
    assert [one.reason for one in found.remarks if not one.is_sure] == doubts


KEPT: dict[str, tuple[list[str], list[Reason]]] = {
    "words": (["red", "blue"], []),
    "addresses of machines": (["192.168.1.1", "10.0.0.12"], []),
    "versions": (["1.2.3", "2.10.4"], []),
    "spans": (["1-5", "6-10"], []),
    "units": (["5 kg", "6 kg"], []),
    "two currencies": (["5 €", "6 $"], []),
    "leading zeros": (["01234", "?", "56789"], [Reason.DIGITS_KEPT]),
    "telephones": (["030 123 456", "040 654 321"], []),
    "keys in groups": (["732 829 320", "732 829 321", "732 829 322"], [Reason.DIGITS_KEPT]),
    "long numbers": (["12345678901234567890", "?"], [Reason.DIGITS_KEPT]),
    "one other cell": ([*(f"{k}" for k in range(30)), "12a"], [Reason.NUMBERS_MIXED]),
    "both marks": (["1,5", "2.5", "3,25", "4.75"], [Reason.NOTATIONS_MIXED]),
}


@pytest.mark.parametrize("case", KEPT)
def test_other_cells_stay_texts(case: str) -> None:
    cells, reasons = KEPT[case]
    found = interpret(pa.chunked_array([cells]), "x", ReadOptions())
    assert found.column.to_pylist() == cells
    assert [one.reason for one in found.remarks] == reasons


def test_markers_among_numbers_are_missing_and_counted() -> None:
    for marker in ("?", "-", "NA", "n.a.", "#DIV/0!", "None", r"\N"):
        column = pa.chunked_array([["1.5", marker, "2.5"] * 20])
        found = interpret(column, "x", ReadOptions())
        assert found.column.to_pylist() == [1.5, None, 2.5] * 20
        (remark,) = found.remarks
        assert (remark.reason, remark.rows) == (Reason.MARKER_MISSING, 20)


def test_the_row_of_the_first_other_cell_is_named_and_not_its_text() -> None:
    column = pa.chunked_array([[None, *map(str, range(40)), "Mrs Jones", "7"]])
    (remark,) = interpret(column, "x", ReadOptions()).remarks
    assert (remark.row, remark.rows) == (43, 1)
    assert "Jones" not in str(remark)


def test_requested_numbers_leave_other_cells_missing() -> None:
    column = pa.chunked_array([["1,5", "twelve", "?", "2,5"]])
    found = interpret(column, "x", ReadOptions(number=("x",)))
    assert found.column.to_pylist() == [1.5, None, None, 2.5]
    assert found.remarks == (Remark(reason=Reason.REQUESTED, column="x", rows=2, sign="number"),)


def test_a_requested_mark_decides() -> None:
    column = pa.chunked_array([["1,234", "5,678"]])
    assert interpret(column, "x", ReadOptions(decimal=",")).column.to_pylist() == [1.234, 5.678]
    assert interpret(column, "x", ReadOptions(decimal=".")).column.to_pylist() == [1234, 5678]


def write_semicolons(path: Path, b: list[str], c: list[str]) -> Path:
    path.write_text("b;c\n" + "".join(f"{x};{y}\n" for x, y in zip(b, c)))
    return path


def test_points_are_groups_where_other_columns_have_decimal_commas(tmp_path: Path) -> None:
    numbers = [f"{k}.234" for k in range(1, 10)]
    found: list[Remark] = []
    file = write_semicolons(tmp_path / "t.csv", numbers, [f"{k},5" for k in range(1, 10)])
    table = read_csv(file, remarks=found)
    assert table.column("b").to_pylist()[:2] == [1234, 2234]
    assert [one.reason for one in found if not one.is_sure] == [Reason.GROUPS_OR_DECIMALS]

    found.clear()
    file = write_semicolons(tmp_path / "t.csv", numbers, ["x"] * 9)
    assert read_csv(file, remarks=found).column("b").to_pylist()[:2] == [1.234, 2.234]
    assert [one.reason for one in found if not one.is_sure] == [Reason.GROUPS_OR_DECIMALS]

    found.clear()
    file = write_semicolons(tmp_path / "t.csv", ["0.5", "1.25"], ["1,5", "2,5"])
    assert read_csv(file, remarks=found).column("b").to_pylist() == [0.5, 1.25]
    assert [one.reason for one in found if not one.is_sure] == [Reason.DOT_DECIMALS]


def test_hexadecimal_numbers_stay_as_they_are_written(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("a,b\n0x1F,1\n0xA0,2\n")
    assert read_csv(path).column("a").to_pylist() == ["0x1F", "0xA0"]

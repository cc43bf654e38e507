"""What is no table is refused with one sentence; what is one is cut where all rows agree."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from twinset.core.data.reading import Reason, Remark
from twinset.core.errors import DataError
from twinset.io import read_dataset
from twinset.io.reading.options import ReadOptions
from twinset.io.text_tables import read_csv

ROWS = "".join(f"{k}.5,{k % 3 * 10},{'xy'[k % 2]}\n" for k in range(1, 30))
TABLE = "a,b,c\n" + ROWS

REFUSED = {
    "a page": ("<!DOCTYPE html><p>a,b</p>", "HTML or XML"),
    "a page without a head": ("\n <table><tr><td>1</td></tr></table>", "HTML or XML"),
    "a part of a page": ("<div class='x'>Log in, please</div>\n", "HTML or XML"),
    "a PDF": (b"%PDF-1.7\n1,2\n", "PDF"),
    "a workbook": (b"PK\x03\x04" + bytes(range(64)), "Excel"),
    "a packed file": (gzip.compress(TABLE.encode()), r"name it 't.csv.gz'"),
    "a JSON list": ('[{"a": 1, "b": 2}]', "JSON"),
    "JSON Lines": ('{"a": 1}\n{"a": 2}\n', "JSON"),
    "random bytes": (bytes(range(256)) * 8, "no text"),
    "UTF-16": (TABLE.encode("utf-16"), "UTF-16"),
    "UTF-16 without a mark": (TABLE.encode("utf-16-le"), "UTF-16LE"),
    "zero bytes at the end": (TABLE.encode() + b"\0" * 40, "no text"),
    "a zero byte in a cell": (TABLE.replace("x", "x\0", 1).encode(), "no text"),
    "a quote cut off in the middle": (TABLE.replace(",x\n", ',"x\n', 1), "opened and not closed"),
    "a quote cut off at the end": (TABLE + '7,8,"x', "opened and not closed"),
    "two quotes cut off": (TABLE.replace(",x\n", ',"x\n', 2), "opened and not closed"),
    "two of many quotes cut off": (
        TABLE.replace("x", '"x"').replace('"x"\n', '"x\n', 2),
        "opened and not closed",
    ),
    "numbers without a header": (ROWS.replace(",x", ",1").replace(",y", ",2"), "header=no"),
    "labels without a header": (
        "".join(f"{'pe'[k % 2]},{'xyz'[k % 3]}\n" for k in range(30)),
        "header",
    ),
    "cells of all kinds without a header": (ROWS, "header=no"),
    "dates without a header": (
        "".join(f"2021-01-{k},n{k * k}\n" for k in range(10, 29)),
        "header=no",
    ),
    "a title": ("Sales of 2021\n" + TABLE, "skip=1"),
    "two comments": ("# by me\n# today\n" + TABLE, "skip=2"),
    "a title with delimiters": ("Sales,,\n" + TABLE, "skip=1"),
    "units below the header": ("a,b,c\nkg,cm,-\n" + ROWS, "row below the header"),
    "a name less than cells": ("a,b\n" + ROWS, "one name less"),
    "a longer row": (TABLE + "1,2,3,4\n", "4 cells in row 31"),
    "a shorter row": (TABLE + "1\n", "1 cells in row 31"),
    "a rare delimiter": (TABLE.replace(",", "^"), r"delimiter=\^"),
    "spaces between numbers": ("a b\n" + "".join(f"{k} {k}.5\n" for k in range(9)), "space"),
    "an index without a name": (TABLE.replace("a,", ",", 1), "column 1 of .* has no name"),
    "one name twice": (TABLE.replace("a,b", "a,a"), "'a' twice"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_no_table_is_refused(tmp_path: Path, case: str) -> None:
    content, words = REFUSED[case]
    path = tmp_path / "t.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(DataError, match=words) as caught:
        read_dataset(path)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 500


READ = {
    "commas": TABLE,
    "semicolons": TABLE.replace(",", ";"),
    "tabs": TABLE.replace(",", "\t"),
    "bars": TABLE.replace(",", "|"),
    "a byte order mark": "\ufeff" + TABLE,
    "line ends of Windows": TABLE.replace("\n", "\r\n"),
    "line ends of old computers": TABLE.replace("\n", "\r"),
    "Excel's line on the delimiter": "sep=;\n" + TABLE.replace(",", ";"),
    "empty lines at the end": TABLE + "\n\n",
    "a comma in a name": '"a";b;c\n' + ROWS.replace(",", ";"),
    "quotes": TABLE.replace("x", '"x"'),
    "a quote within a cell": TABLE.replace("y", '5" pipe'),
    "a paragraph in a cell": TABLE.replace("y", '"Dear Sir,\nhello, world, 5"'),
}


@pytest.mark.parametrize("case", READ)
def test_a_table_is_cut_where_all_rows_agree(tmp_path: Path, case: str) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes(READ[case].encode())
    table = read_csv(path)
    assert table.column_names == ["a", "b", "c"]
    assert table.num_rows == 29
    assert table.column("a").to_pylist()[:2] == [1.5, 2.5]


def remarks(path: Path, **options: object) -> list[Reason]:
    found: list[Remark] = []
    read_csv(path, (), ReadOptions().merge(options), found)
    return [one.reason for one in found]


def test_the_first_line_is_a_row_on_request(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text(ROWS)
    table = read_csv(path, (), ReadOptions(header=False))
    assert (table.column_names, table.num_rows) == (["column_1", "column_2", "column_3"], 29)
    assert read_csv(path, (), ReadOptions(header=True)).num_rows == 28


def test_lines_before_the_header_are_skipped_on_request(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    for lines in (1, 2):
        path.write_text("# by me\n" * lines + "\n" + TABLE)
        assert read_csv(path, (), ReadOptions(skip=lines)).num_rows == 29


def test_names_that_are_numbers_are_reported(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    for names in ("0,1,2", "2019,2020,2021", "label,0,1"):
        path.write_text(f"{names}\n" + ROWS.replace(",x", ",1").replace(",y", ",2"))
        assert remarks(path) == [Reason.NUMBER_NAMES]
        assert remarks(path, header=True) == []


def test_two_characters_that_cut_evenly_are_reported(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("a;b,c\n" + "".join(f"{k};{k},x\n" for k in range(9)))
    assert Reason.TWO_DELIMITERS in remarks(path)


def test_the_ending_tsv_does_not_hide_commas(tmp_path: Path) -> None:
    path = tmp_path / "t.tsv"
    path.write_text(TABLE)
    assert read_csv(path).column_names == ["a", "b", "c"]
    path.write_text("name\n" + "Doe, Jane\n" * 9)
    assert read_csv(path).column_names == ["name"]


def test_codes_that_look_like_exponents_stay_texts(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("code,x\n12E3,1.0\n7E12,2.0\n")
    table = read_csv(path)
    assert table.column("code").to_pylist() == ["12E3", "7E12"]
    assert table.column("x").to_pylist() == [1.0, 2.0]

"""Each column is listed with what it was understood as; what is uncertain comes first."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from twinset.core.data.dataset import Dataset
from twinset.core.data.reading import Reason, TableReading
from twinset.ingest.input_table import inspect_table
from twinset.ingest.table_reading import read_columns
from twinset.report.reading import file_sentence, reading_lines, reading_notes, rest_sentence

N = 60
RNG = np.random.default_rng(5)
NUMBERS = RNG.uniform(1, 99, N).round(2).tolist()


def write(path: Path, columns: dict[str, Sequence[object]]) -> Path:
    with path.open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(columns)
        writer.writerows(zip(*columns.values()))
    return path


def doubts(reading: TableReading) -> dict[str, list[Reason]]:
    found = {c.name: [r.reason for r in c.remarks if not r.is_sure] for c in reading.columns}
    return {name: reasons for name, reasons in found.items() if reasons}


UNCERTAIN: dict[str, tuple[str, Sequence[object], Reason]] = {
    "nines": ("age", [999 if k % 5 == 0 else 20 + k % 50 for k in range(N)], Reason.MARKER_NUMBER),
    "negative nines": (
        "x",
        [-99.0 if k % 9 == 0 else k / 7 for k in range(N)],
        Reason.MARKER_NUMBER,
    ),
    "a marker among labels": (
        "job",
        ["?" if k % 5 == 0 else "ab"[k % 2] for k in range(N)],
        Reason.MARKER_LEVEL,
    ),
    "a marker among numbers": (
        "x",
        ["-" if k % 5 == 0 else k / 7 for k in range(N)],
        Reason.MARKER_MISSING,
    ),
    "an index": ("Unnamed: 0", range(N), Reason.ROW_NUMBERS),
    "seconds": ("created_at", [1_600_000_000 + 977 * k for k in range(N)], Reason.TIME_NUMBERS),
    "milliseconds": ("ts", [1_600_000_000_000 + 977 * k for k in range(N)], Reason.TIME_NUMBERS),
    "days": ("day", [20_210_101 + k % 28 for k in range(N)], Reason.DAY_NUMBERS),
    "large integers": ("n", [2**53 + 1 + 3 * k for k in range(N)], Reason.LARGE_NUMBERS),
    "spaces": ("town", ["Ulm ", "Ulm", "Kiel"] * (N // 3), Reason.LEVELS_ALIKE),
    "case": ("town", ["ULM", "Ulm", "Kiel"] * (N // 3), Reason.LEVELS_ALIKE),
    "spellings of truth": ("ok", ["True", "yes", "no"] * (N // 3), Reason.TRUTH_MIXED),
    "a name with spaces": (" x", NUMBERS, Reason.PADDED_NAME),
    "words that seldom repeat": ("code", [f"k{k * k}" for k in range(N)], Reason.NOT_REPEATED),
    "one bad cell": ("x", [*NUMBERS[1:], "abc"], Reason.NUMBERS_MIXED),
    "no values": ("x", [""] * N, Reason.NO_VALUES),
}


@pytest.mark.parametrize("case", UNCERTAIN)
def test_an_uncertain_column_is_reported(tmp_path: Path, case: str) -> None:
    name, cells, reason = UNCERTAIN[case]
    file = write(tmp_path / "t.csv", {"z": NUMBERS, name: cells})
    table, reading = inspect_table(file)
    assert len(table) == N
    assert doubts(reading) == {name: [reason]}
    assert reading.ordered[0].name == name


def test_ordinary_columns_are_certain(tmp_path: Path) -> None:
    columns: dict[str, Sequence[object]] = {
        "age": RNG.integers(20, 70, N).tolist(),
        "income": NUMBERS,
        "sex": ["f", "m"] * (N // 2),
        "flag": [0, 1] * (N // 2),
        "ok": ["True", "False"] * (N // 2),
        "when": [f"2021-01-{1 + k % 28:02d}" for k in range(N)],
        "zip": [f"0{1000 + k % 9}" for k in range(N)],
        "note": [f"the patient of bed {k} slept well in night {k * 7}" for k in range(N)],
        "user_id": [f"u-{k}" for k in range(N)],
    }
    _, reading = inspect_table(write(tmp_path / "t.csv", columns))
    assert doubts(reading) == {}
    assert not [one for one in reading.remarks if not one.is_sure]
    kinds = {one.name: one.kind for one in reading.columns}
    assert kinds["zip"] == "category"
    assert kinds["when"] == "datetime"


def test_a_row_of_totals_is_reported(tmp_path: Path) -> None:
    whole = RNG.integers(1, 9, N).tolist()
    cells = {"a": [*whole, sum(whole)], "b": [*NUMBERS, round(sum(NUMBERS), 2)]}
    _, reading = inspect_table(write(tmp_path / "t.csv", cells))
    assert [(one.reason, one.row) for one in reading.remarks] == [(Reason.TOTALS_ROW, N + 2)]


def test_texts_of_typed_files_are_kept_and_reported(tmp_path: Path) -> None:
    table = pa.table({"x": [f"{n}".replace(".", ",") for n in NUMBERS], "d": ["31.12.2021"] * N})
    pq.write_table(table, tmp_path / "t.parquet")
    found, reading = inspect_table(tmp_path / "t.parquet")
    assert found.to_arrow().column("x").to_pylist() == table.column("x").to_pylist()
    assert doubts(reading) == {"x": [Reason.NUMBERS_IN_TEXT], "d": [Reason.DATES_IN_TEXT]}


def test_options_overrule_what_was_understood(tmp_path: Path) -> None:
    file = write(
        tmp_path / "t.csv",
        {
            "x": [*NUMBERS[1:], "abc"],
            "code": [f"k{k * k}" for k in range(N)],
            "age": [999 if k % 5 == 0 else 20 + k % 50 for k in range(N)],
            "flag": [0, 1] * (N // 2),
        },
    )
    read = ["number=x,flag", "category=code", "missing=999"]
    table, reading = inspect_table(file, read)
    assert doubts(reading) == {}
    kinds = {one.name: (one.kind, one.role) for one in reading.columns}
    assert kinds["x"] == ("number", "feature")
    assert kinds["code"] == ("category", "feature")
    assert kinds["flag"] == ("integer", "feature")
    assert table.records.column("x").null_count == 1
    assert table.records.column("age").null_count == N // 5
    texts, reading = inspect_table(file, ["text=flag,x"])
    assert set(doubts(reading)) == {"code", "age"}
    assert texts.to_arrow().column("flag").to_pylist()[:2] == ["0", "1"]


def test_no_label_of_a_few_rows_is_shown() -> None:
    rare = ["?"] * 3 + ["Mrs Jones"] * 7 + [" Mrs Jones"] * 4 + ["b"] * 50
    reading = read_columns(
        Dataset.from_arrow(pa.table({"x": rare, "y": [99] * 3 + [1, 2] * 30 + [3]}))
    )
    text = " ".join(reading_notes(reading)) + str(reading.to_json())
    assert "Jones" not in text
    assert "?" not in text
    assert "99" not in text


def test_all_uncertain_columns_are_listed_and_the_others_counted() -> None:
    columns = {f"n{k}": NUMBERS for k in range(80)}
    columns |= {f"k{k}": [f"w{k}{i * i}" for i in range(N)] for k in range(70)}
    reading = read_columns(Dataset.from_arrow(pa.table(columns)))
    lines = reading_lines(reading)
    assert [one.is_sure for one in lines] == [False] * 70 + [True] * 20
    assert rest_sentence(reading) == "and 60 more columns without doubt: 60 number"
    assert file_sentence(reading).endswith("70 uncertain, listed first")


def test_every_reason_has_a_sentence() -> None:
    from twinset.core.data.reading import Remark
    from twinset.report.reading import remark_sentence

    for reason in Reason:
        remark = Remark(reason=reason, column="a b", rows=2, row=3, sign="%")
        assert "{" not in remark_sentence(remark)

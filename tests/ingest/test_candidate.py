"""A candidate is read by the columns of the real set, however it is written."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from twinset import evaluate
from twinset.core.errors import DataError, ParameterError, SchemaError
from twinset.core.image.codec import encode_png
from twinset.core.reading_faults import ReadingFault, ReadingFaults
from twinset.core.reading_faults import ReadingFaultKind as Kind
from twinset.ingest.candidate import (
    Candidate,
    kept_columns,
    named_columns,
    read_candidate,
    read_holdout,
)
from twinset.ingest.input_table import open_table
from twinset.report.answers.reading_faults import reading_notes

REAL = "age,pay,sex,day\n" + "".join(
    f"{20 + i % 50},{1000 + i}.5,{'fm'[i % 2]},2024-{1 + i % 12:02}-{1 + i % 28:02}\n"
    for i in range(60)
)


def write(folder: Path, text: str, name: str = "synthetic.csv", encoding: str = "utf-8") -> Path:
    path = folder / name
    path.write_bytes(text.encode(encoding))
    return path


def read(folder: Path, text: str, real: str = REAL, encoding: str = "utf-8") -> Candidate:
    source = write(folder, real, "real.csv")
    return read_candidate(
        write(folder, text, encoding=encoding), open_table(source), real_source=source
    )


def kinds(found: Candidate) -> list[tuple[Kind, str]]:
    return [(one.kind, one.column) for one in found.faults]


def test_the_real_file_itself_has_no_fault(tmp_path: Path) -> None:
    found = read(tmp_path, REAL)
    assert found.faults == ()
    assert not found.changed
    assert found.rows.records.equals(open_table(tmp_path / "real.csv").records)


def test_what_the_real_file_does_too_is_no_fault(tmp_path: Path) -> None:
    """Marks of missing values, decimal commas and dates are compared with the cells of the real file."""
    real = "a;b;c\n" + "".join(
        f"{i},5;{'NA' if i % 9 == 0 else i};{1 + i % 28}.03.2024\n" for i in range(60)
    )
    assert read(tmp_path, real, real).faults == ()
    assert read(tmp_path, real.replace("NA", "?"), real).faults[0].sign == "?"


def test_columns_in_another_order_or_under_another_spelling(tmp_path: Path) -> None:
    found = read(tmp_path, "Sex,day, AGE,pay\nf,2024-01-01,30,5.5\n")
    assert kinds(found) == [
        (Kind.COLUMN_NAME, "age"),
        (Kind.COLUMN_NAME, "sex"),
        (Kind.COLUMN_ORDER, ""),
    ]
    assert found.rows.schema.names == ("age", "pay", "sex", "day")


def test_missing_and_additional_columns_come_first(tmp_path: Path) -> None:
    found = read(tmp_path, ",age,sex,pay\n0,n/k,f,1.5\n")
    assert kinds(found) == [
        (Kind.MISSING_COLUMN, "day"), (Kind.ADDED_COLUMN, "(column 1)"),
        (Kind.COLUMN_ORDER, ""), (Kind.UNREADABLE, "age"),
    ]  # fmt: skip
    real = open_table(tmp_path / "real.csv")
    assert found.fit(real).schema.names == found.rows.schema.names == ("age", "pay", "sex")


@pytest.mark.parametrize("encoding", ["cp1252", "utf-16", "utf-16-le"])
def test_another_encoding_is_read_and_named(tmp_path: Path, encoding: str) -> None:
    real = REAL.replace(",f,", ",ö,")
    found = read(tmp_path, real, real, encoding)
    assert kinds(found) == [(Kind.ENCODING, "")]
    assert found.rows.codes("sex")[1] == ("m", "ö")


def test_another_separator_is_named(tmp_path: Path) -> None:
    found = read(tmp_path, REAL.replace(",", "\t"))
    assert [(one.kind, one.sign) for one in found.faults] == [(Kind.DELIMITER, "\t")]


def test_fractions_change_the_kind_for_all_sets(tmp_path: Path) -> None:
    found = read(tmp_path, "age,pay,sex,day\n30.5,1.5,f,2024-01-01\n")
    real = found.fit(open_table(tmp_path / "real.csv"))
    assert real.schema["age"].kind == found.rows.schema["age"].kind == "number"


@pytest.mark.parametrize("text", ["x,y\n1,2\n", "31,5.5,f,2024-01-01\n32,6.5,m,2024-01-02\n"])
def test_nothing_in_common_is_one_sentence_without_values(tmp_path: Path, text: str) -> None:
    with pytest.raises(SchemaError, match="no column of the real one") as caught:
        read(tmp_path, text)
    assert "5.5" not in str(caught.value)


@pytest.mark.parametrize("text", ["age,pay,sex,day\n", ""])
def test_no_rows_is_an_error(tmp_path: Path, text: str) -> None:
    with pytest.raises(DataError):
        read(tmp_path, text)


def test_a_quote_that_swallows_rows_is_an_error(tmp_path: Path) -> None:
    rows = REAL.split("\n")
    rows[5] = rows[5].replace(",f,", ',"f,').replace(",m,", ',"m,')
    rows[9] = rows[9].replace(",f,", ',f",').replace(",m,", ',m",')
    with pytest.raises(DataError):
        read(tmp_path, "\n".join(rows))


def test_a_holdout_needs_all_columns_and_may_be_written_otherwise(tmp_path: Path) -> None:
    source = write(tmp_path, REAL, "real.csv")
    real = open_table(source)
    other = write(tmp_path, 'age,pay,sex,day\nn/k,"1,5",f,01/31/2024\n')
    assert len(read_holdout(other, real, None, source).faults) == 3
    with pytest.raises(SchemaError, match="lacks 'day'"):
        read_holdout(write(tmp_path, "age,pay,sex\n1,2,f\n"), real, None, source)


def test_evaluate_measures_and_names_the_faults(tmp_path: Path) -> None:
    source, text = (
        write(tmp_path, REAL, "real.csv"),
        REAL.replace("1003.5", "n/k").replace(",f,", ",F,"),
    )
    text = text.replace(",m,", ",M,").replace("day", "date")
    report = evaluate(source, write(tmp_path, text), quick=True, ignore=["pay"])
    (score,) = (one for one in report.scores if one.metric == "integrity.notation")
    assert score.verdict == "different"
    assert report.notes[:3] == (
        "The column 'day' is missing, so it is not compared.",
        "The real set has no column 'date', so it is not compared.",
        "Not measured, as requested: pay.",
    )
    found = score.finding(ReadingFaults)
    assert found is not None
    assert "pay" not in {one.column for one in found.faults}


def test_named_columns_and_ignored_ones(tmp_path: Path) -> None:
    real = open_table(write(tmp_path, REAL, "real.csv"))
    assert named_columns(["age, sex", "day"], real.schema) == ("age", "sex", "day")
    with pytest.raises(SchemaError, match="no column 'agee'"):
        named_columns(["agee"], real.schema)
    with pytest.raises(ParameterError, match="cannot be ignored"):
        kept_columns(real.schema, ["sex"], {"target": "sex"})
    with pytest.raises(ParameterError, match="every column"):
        kept_columns(real.schema, real.schema.names, {})


def test_every_kind_of_fault_has_a_sentence() -> None:
    for kind in Kind:
        (note,) = reading_notes(
            [ReadingFault(kind=kind, column="age", sign="%", n_rows=2, rows=(3, 9))], 10
        )
        assert note.endswith(".")
        assert "{" not in note


def test_frames_are_read_alike() -> None:
    real = open_table(pa.table({"n": [1, 5, 9, 4], "c": ["a", "b", "a", "b"]}))
    found = read_candidate(pa.table({"c": ["A", "B"], "n": ["3", "x"]}), real)
    assert kinds(found) == [
        (Kind.COLUMN_ORDER, ""),
        (Kind.TEXTS, "n"),
        (Kind.UNREADABLE, "n"),
        (Kind.LEVELS, "c"),
    ]
    assert found.rows.records.column("n").to_pylist() == [3, None]


def test_boxes_outside_and_unknown_labels_of_a_candidate_are_kept(tmp_path: Path) -> None:
    def lay_out(name: str, label: str, box: list[int]) -> Path:
        (tmp_path / name).mkdir()
        (tmp_path / name / "a.png").write_bytes(encode_png(np.zeros((20, 20, 3), np.uint8)))
        content = {
            "images": [{"id": 1, "file_name": "a.png"}],
            "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "bbox": box}],
            "categories": [{"id": 1, "name": label}],
        }
        (tmp_path / name / "annotations.json").write_text(json.dumps(content))
        return tmp_path / name

    real = open_table(lay_out("real", "cell", [2, 2, 5, 5]))
    faulty = lay_out("made", "Cell", [15, 15, 9, 9])
    (found,) = read_candidate(faulty, real).rows.records["objects"].to_pylist()[0]
    assert (found["category"], found["box"]) == ("Cell", [15, 15, 24, 24])
    with pytest.raises(DataError, match="leaves its image"):
        read_holdout(faulty, real, None, None)

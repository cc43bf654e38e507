from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from twinset.core.data.dataset import Dataset
from twinset.core.data.schema import Field, Schema
from twinset.core.errors import DataError
from twinset.io import read_dataset, read_table, write_dataset


def read(folder: Path, text: str | bytes, name: str = "t.csv") -> pa.Table:
    path = folder / name
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return read_table(path)


def test_cells_are_read_by_their_look(tmp_path: Path) -> None:
    table = read(tmp_path, 'n,x,flag,when,word\n1,0.5,true,2024-01-02,a\n,,,,""\n3,2,false,,NA\n')
    assert [str(t) for t in table.schema.types] == [
        "int64",
        "double",
        "bool",
        "date32[day]",
        "string",
    ]
    # An empty cell is missing everywhere; the word NA is a word.
    assert table.column("word").to_pylist() == ["a", None, "NA"]
    assert table.column("n").to_pylist() == [1, None, 3]


def test_quoted_numbers_are_numbers(tmp_path: Path) -> None:
    table = read(tmp_path, '"Time","Class"\n0,"0"\n1e+05,"1"\n')
    assert [str(t) for t in table.schema.types] == ["double", "int64"]


DIGITS_THAT_ARE_NO_QUANTITY_STAY_TEXT_CASES = [
    ("zip,n\n01067,1\n80331,2\n", ["01067", "80331"]),
    ("zip,n\n-01,1\n,2\n", ["-01", None]),
    ("zip,n\n12345678901234567,1\n5,2\n", ["12345678901234567", "5"]),
    ("zip,n\n99999999999999999999999,1\n5,2\n", ["99999999999999999999999", "5"]),
]


def test_digits_that_are_no_quantity_stay_text(tmp_path: Path) -> None:
    for number, (text, expected) in enumerate(DIGITS_THAT_ARE_NO_QUANTITY_STAY_TEXT_CASES):
        folder = tmp_path / str(number)
        folder.mkdir()
        table = read(folder, text)
        assert table.column("zip").to_pylist() == expected
        assert table.column("n").to_pylist() == [1, 2]


def test_other_delimiters_are_seen_in_the_header(tmp_path: Path) -> None:
    for number, (text, name) in enumerate(
        [("a;b\n1;x,y\n", "t.csv"), ("a\tb\n1\tx,y\n", "t.tsv"), ("a|b\n1|x,y\n", "t.csv")]
    ):
        folder = tmp_path / str(number)
        folder.mkdir()
        assert read(folder, text, name).to_pylist() == [{"a": 1, "b": "x,y"}]


def test_byte_order_mark_windows_line_ends_and_lines_in_cells(tmp_path: Path) -> None:
    table = read(tmp_path, b'\xef\xbb\xbfa,b\r\n1,"x\r\ny"\r\n')
    assert table.to_pylist() == [{"a": 1, "b": "x\r\ny"}]


def test_times_of_day_are_texts(tmp_path: Path) -> None:
    assert read(tmp_path, "t\n10:30\n23:59\n").column("t").to_pylist() == ["10:30:00", "23:59:00"]


def test_ragged_rows_are_refused_without_showing_them(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="got 3 cells in row 3, under a header of 2") as caught:
        read(tmp_path, "a,b\n1,2\nsecret,3,4\n")
    chain = f"{caught.value!r} {caught.value.__cause__!r} {caught.value.__cause__.__context__!r}"
    assert "secret" not in str(caught.value) + repr(caught.value.__cause__), chain


def test_every_kind_comes_back(every_kind: Dataset, tmp_path: Path) -> None:
    path = tmp_path / "all.csv"
    write_dataset([every_kind], path, "csv")
    again = read_dataset(path, every_kind.schema, every_kind.card)
    assert again.to_arrow().equals(every_kind.to_arrow())


def test_text_of_the_file(every_kind: Dataset, tmp_path: Path) -> None:
    path = tmp_path / "all.csv"
    write_dataset([every_kind], path, "csv")
    lines = path.read_text().split("\n")
    assert lines[0] == "price,precise,count,exact,flag,day,moment,zoned,word,code,class"
    assert lines[1] == (
        "2.0,0.3333333333333333,1,1.20,true,2024-01-01,2024-01-01 12:30:00.25,"
        '2024-01-01 12:30:00.25Z,"a,b",007,0'
    )
    assert lines[3].startswith(",1e+22,,0.05,,2024-01-03,")


def test_numbers_have_at_most_the_decimals_of_the_source(tmp_path: Path) -> None:
    fields = [
        Field(name="whole", kind="number", stored="double", decimals=0),
        Field(name="cents", kind="number", stored="double", decimals=2),
        Field(name="free", kind="number", stored="float"),
    ]
    table = pa.table(
        {
            "whole": [1.0, -0.2],
            "cents": [0.1 + 0.2, 2.0],
            "free": pa.array([0.1, 7.0], pa.float32()),
        }
    )
    path = tmp_path / "n.csv"
    write_dataset([Dataset.from_arrow(table, Schema(tuple(fields)))], path, "csv")
    assert path.read_text() == "whole,cents,free\n1,0.3,0.1\n0,2.0,7.0\n"


def test_missing_values_of_a_single_column_keep_their_rows(tmp_path: Path) -> None:
    data = Dataset.from_arrow(pa.table({"a": [1.5, None, 2.5, None]}))
    write_dataset([data], tmp_path / "a.csv", "csv")
    assert read_dataset(tmp_path / "a.csv").records.column("a").to_pylist() == [
        1.5,
        None,
        2.5,
        None,
    ]


def test_formulas_are_escaped_on_demand_and_numbers_are_not(tmp_path: Path) -> None:
    words = ["=1+1", "@x", "-5", "+4,5", "-x", "plain", None]
    data = Dataset.from_arrow(pa.table({"=head": words, "n": [-1, -2, -3, -4, -5, -6, -7]}))
    write_dataset([data], tmp_path / "plain.csv", "csv")
    write_dataset([data], tmp_path / "safe.csv", "csv", escape_formulas=True)
    assert (tmp_path / "plain.csv").read_text().startswith("=head,n\n=1+1,-1\n")
    assert (tmp_path / "safe.csv").read_text().splitlines() == [
        "'=head,n", "'=1+1,-1", "'@x,-2", "-5,-3", '"+4,5",-4', "'-x,-5", "plain,-6", ",-7",
    ]  # fmt: skip


def test_reserved_columns(tmp_path: Path) -> None:
    data = Dataset.from_arrow(pa.table({"x": [1.5, 2.5, 3.5]})).with_reserved(
        ids=["01", "02", "03"], parents=[["a", "b"], [], ["c"]]
    )
    path = tmp_path / "r.csv"
    write_dataset([data], path, "csv")
    assert path.read_text().splitlines()[:2] == ["x,_id,_origin,_parents", "1.5,01,real,a b"]
    assert read_dataset(path, data.schema).records.equals(data.records)


CELL = st.text(st.characters(codec="utf-8", exclude_characters="\0\r"), min_size=1)


@given(st.lists(st.tuples(CELL | st.none(), CELL), min_size=1))
def test_any_text_survives(rows: list[tuple[str | None, str]]) -> None:
    import tempfile

    fields = (
        Field(name="a", kind="text", stored="string"),
        Field(name="b", kind="text", stored="string"),
    )
    table = pa.table({"a": pa.array([a for a, _ in rows], pa.string()), "b": [b for _, b in rows]})
    data = Dataset.from_arrow(table, Schema(fields))
    with tempfile.TemporaryDirectory() as folder:
        write_dataset([data], Path(folder, "t.csv"), "csv")
        assert read_dataset(Path(folder, "t.csv"), data.schema).to_arrow().equals(table)


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False) | st.none(), min_size=1))
def test_any_number_survives(values: list[float | None]) -> None:
    import tempfile

    field = Field(name="x", kind="number", stored="double")
    data = Dataset.from_arrow(pa.table({"x": pa.array(values, pa.float64())}), Schema((field,)))
    for word in ("csv", "jsonl"):
        with tempfile.TemporaryDirectory() as folder:
            write_dataset([data], Path(folder, f"t.{word}"), word)
            again = read_dataset(Path(folder, f"t.{word}"), data.schema)
        assert again.records.column("x").to_pylist() == values


def test_half_precision_numbers_are_written(tmp_path: Path) -> None:
    data = Dataset.from_arrow(pa.table({"x": pa.array(np.float16([0.5, 1.25, 3.0]))}))
    write_dataset([data], tmp_path / "half.csv", "csv")
    assert (tmp_path / "half.csv").read_text() == "x\n0.5\n1.25\n3.0\n"

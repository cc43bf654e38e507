from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from twinset.core.data.dataset import Card, Dataset
from twinset.core.data.schema import Field, Schema
from twinset.io import read_dataset, write_dataset
from twinset.io.delivery import deliver
from twinset.io.formulas import escape_formulas, unescape_formulas
from twinset.io.reading.options import ReadOptions


@pytest.mark.parametrize(
    "text",
    ["=1+1", "+x", "-x", "-2+3", "@SUM(1)", "\tx", "\rx", "\nx", " =1", "\u00a0=1", "\ufeff=1"]
    + ["\u200b=1", '"=1', "'=1", "''=1", "\u201c=1", "\uff1d1", "\uff0b1", "\uff0d1", "\uff20x"],
)
def test_what_a_spreadsheet_would_run_gets_an_apostrophe(text: str) -> None:
    assert escape_formulas(pa.array([text])).to_pylist() == [f"'{text}"]


@pytest.mark.parametrize(
    "text", ["", "a", "a=1", "-5", "+4,5", "-1.25", "'a", " a", "2024-01-01", "\u4e00"]
)
def test_other_texts_and_plain_numbers_stay(text: str) -> None:
    assert escape_formulas(pa.array([text])).to_pylist() == [text]


@given(st.lists(st.none() | st.text("='\"-+@ 5a\t\n\uff1d\u00a0", max_size=6), min_size=1))
def test_every_text_comes_back(texts: list[str | None]) -> None:
    column = pa.array(texts, pa.string())
    table = pa.table({"'=a": escape_formulas(column), "n": pa.nulls(len(texts), pa.int64())})
    back = unescape_formulas(table)
    assert back.column_names == ["=a", "n"]
    assert back.column("=a").to_pylist() == texts


TEXTS = ["=1+1", "'=1+1", "@x", "-5", "-x", "plain", None, "a, =b", "'a", "\uff1dx", '="q"\n+1']
TABLE = pa.table({"=head": TEXTS, "n": [-float(i) / 2 for i in range(len(TEXTS))]})
FIELDS = (Field(name="=head", kind="text"), Field(name="n", kind="number", stored="double"))
DATA = Dataset.from_arrow(TABLE, Schema(FIELDS))


def test_a_delivery_says_so_and_is_read_as_it_was(tmp_path: Path) -> None:
    card = Card(name="s", origin="synthetic")
    sets = {"s": (DATA, card)}
    for name, escapes in (("kept", False), ("safe", True)):
        deliver(tmp_path / name, sets=sets, formats=["csv", "parquet"], escape_formulas=escapes)
        for form in ("csv", "parquet"):
            back = read_dataset(tmp_path / name / f"s.{form}", DATA.schema)
            assert back.records.equals(DATA.records)
        assert ("apostrophe" in (tmp_path / name / "cards.json").read_text()) == escapes
    head = (tmp_path / "safe" / "s.csv").read_text().splitlines()
    assert head[:4] == ["'=head,n", "'=1+1,0.0", "''=1+1,-0.5", "'@x,-1.0"]
    assert (tmp_path / "kept" / "s.csv").read_text().startswith("=head,n\n=1+1,0.0\n'=1+1,-0.5\n")


def test_reading_option_overrules_the_record(tmp_path: Path) -> None:
    path = tmp_path / "s.csv"
    write_dataset([DATA], path, "csv", escape_formulas=True)
    assert read_dataset(path).schema.names[0] == "'=head"
    options = ReadOptions.from_texts(["escaped_formulas=yes"])
    assert read_dataset(path, options=options).records.column("=head").to_pylist() == TEXTS

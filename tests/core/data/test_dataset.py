import traceback
from datetime import UTC, datetime
from decimal import Decimal

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from twinset.core.data.dataset import Card, Dataset
from twinset.core.data.schema import Field, Label, Schema, Taxonomy
from twinset.core.errors import DataError, SchemaError

FRAME = pd.DataFrame(
    {
        "age": pd.array([31, None, 47], dtype="Int64"),
        "income": [1000.5, np.nan, 3.25],
        "sex": pd.Categorical(["f", "m", None]),
        "when": pd.to_datetime(["2024-01-01", "2024-06-30", None]),
        "paid": [True, False, True],
    },
    index=[10, 20, 30],
)


@pytest.mark.parametrize(
    "source",
    [
        pytest.param(lambda: FRAME, id="pandas"),
        pytest.param(lambda: pl.from_pandas(FRAME), id="polars"),
        pytest.param(lambda: pa.Table.from_pandas(FRAME, preserve_index=False), id="pyarrow"),
        pytest.param(lambda: duckdb.from_df(FRAME), id="duckdb"),
    ],
)
def test_every_kind_of_frame_gives_the_same_set(source: object) -> None:
    data = Dataset.from_arrow(source())  # type: ignore[operator]
    kinds = {f.name: f.kind for f in data.schema.fields}
    assert kinds == {
        "age": "integer",
        "income": "number",
        "sex": "category",
        "when": "datetime",
        "paid": "boolean",
    }
    assert np.array_equal(data.values("age"), [31, np.nan, 47], equal_nan=True)
    assert np.array_equal(data.values("income"), [1000.5, np.nan, 3.25], equal_nan=True)
    codes, levels = data.codes("sex")
    assert (codes.tolist(), levels) == ([0, 1, -1], ("f", "m"))
    assert data.is_null("when").tolist() == [False, False, True]
    assert data.to_pandas().shape == (3, 5)
    assert data.to_polars().shape == (3, 5)
    assert pl.DataFrame(data).shape == (3, 5)


def test_the_source_types_come_back() -> None:
    table = pa.table(
        {
            "n": pa.array([1, 2, None], pa.int16()),
            "price": pa.array([Decimal("1.10"), None, Decimal("3.00")], pa.decimal128(8, 2)),
            "flag": pa.array([0, 1, 1], pa.uint8()),
            "at": pa.array([datetime(2024, 1, 1, tzinfo=UTC)] * 3, pa.timestamp("ns", tz="UTC")),
            "day": ["2024-01-01", "2024-01-02", None],
            "f": pa.array([1.5, 2.5, None], pa.float32()),
            "none": pa.nulls(3),
        }
    )
    data = Dataset.from_arrow(table)
    assert data.schema["flag"].kind == "category"
    assert data.schema["day"].kind == "datetime"
    assert data.schema["price"].decimals == 2
    assert data.to_arrow().equals(table)
    assert Schema.from_json(data.schema.to_json()) == data.schema


def test_ids_and_texts_are_distinguished_from_categories() -> None:
    rows = 40
    table = pa.table(
        {
            "customer_id": list(range(1000, 1000 + rows)),
            "code": [f"AB-{i:04d}" for i in range(rows)],
            "note": [f"customer number {i} called about the late parcel" for i in range(rows)],
            "city": ["Rome", "Oslo"] * (rows // 2),
        }
    )
    kinds = [f.kind for f in Dataset.from_arrow(table).schema.fields]
    assert kinds == ["id", "id", "text", "category"]


def test_keys_of_persons_are_ids_even_where_they_repeat() -> None:
    rows = 2_000
    table = pa.table(
        {
            "mail": [f"person{i % 90}@example.org" for i in range(rows)],
            "account": [f"DE{i % 90:020d}" for i in range(rows)],
            "CARD_NUMBER": [4_000_000_000_000_000 + i % 90 for i in range(rows)],
            "CUSTOMER_ID": [i % 400 for i in range(rows)],
            "surname": [f"Name{'abcdefghij'[i % 10]}{i % 490}" for i in range(rows)],
            "age": [20 + i % 60 for i in range(rows)],
            "colour": [f"shade{i % 25}" for i in range(rows)],
        }
    )
    kinds = [f.kind for f in Dataset.from_arrow(table).schema.fields]
    assert kinds == ["id", "id", "id", "id", "id", "integer", "category"]


def test_a_label_reads_the_same_from_integers_and_from_floats() -> None:
    schema = Schema((Field(name="y", kind="category"),))
    whole = Dataset.from_arrow(pa.table({"y": [0, 1, 1]}), schema)
    floats = Dataset.from_arrow(pa.table({"y": [0.0, 1.0, None]}), schema)
    assert whole.codes("y")[1] == floats.codes("y")[1] == ("0", "1")


def test_nan_is_missing_and_infinity_is_refused() -> None:
    assert Dataset.from_arrow(pa.table({"x": [1.0, float("nan")]})).is_null("x").tolist() == [
        False,
        True,
    ]
    with pytest.raises(SchemaError, match="infinite"):
        Dataset.from_arrow(pa.table({"x": [1.0, float("inf")]}))


def test_columns_that_lack_or_come_as_well_are_named() -> None:
    schema = Dataset.from_arrow(pa.table({"x": [1.5], "y": [2.5]})).schema
    for table, told in [
        ({"x": [1.5]}, "the table lacks 'y'"),
        ({"x": [1.5], "y": [2.5], "z": [3.5]}, "the table has the unexpected 'z'"),
    ]:
        with pytest.raises(SchemaError, match=told):
            Dataset.from_arrow(pa.table(table), schema)


def test_reading_by_another_schema_keeps_the_reserved_columns() -> None:
    data = Dataset.from_arrow(pa.table({"y": [0, 1, 2, 3]})).with_reserved(ids=list("abcd"))
    again = data.with_schema(data.schema.with_target("y", kind="category"))
    assert again.schema.target is not None
    assert again.records.column("_id").to_pylist() == list("abcd")
    assert again.to_arrow().column("y").to_pylist() == [0, 1, 2, 3]


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(pa.table([[1], [2]], names=["a", "a"]), id="same name twice"),
        pytest.param(pa.table({}), id="no columns"),
        pytest.param([1, 2], id="a list"),
    ],
)
def test_what_is_no_table_is_refused(data: object) -> None:
    with pytest.raises(DataError):
        Dataset.from_arrow(data)


def test_a_reserved_column_name_of_the_user_is_refused() -> None:
    with pytest.raises(SchemaError, match="reserved"):
        Schema((Field(name="_parents", kind="text"),))


def test_an_unknown_label_is_refused_with_its_place() -> None:
    words = Taxonomy((Label("cat"), Label("dog")))
    schema = Schema((Field(name="animal", kind="category", taxonomy=words),))
    with pytest.raises(
        SchemaError, match=r"unknown label 'cow' in the column 'animal', row 1.*cat, dog"
    ):
        Dataset.from_arrow(pa.table({"animal": ["cat", "cow"]}), schema)


@pytest.mark.parametrize(
    "labels",
    [
        (Label("a"), Label("a")),
        (Label("a", parent="b"),),
        (Label("a", parent="b"), Label("b", parent="a")),
    ],
)
def test_a_taxonomy_without_sense_is_refused(labels: tuple[Label, ...]) -> None:
    with pytest.raises(SchemaError):
        Taxonomy(labels)


def test_methods_return_new_sets() -> None:
    data = Dataset.from_arrow(pa.table({"x": [1.0, 2.0, 3.0], "y": ["a", "b", "a"]}))
    before = data.digest
    assert data.take([2, 0]).values("x").tolist() == [3.0, 1.0]
    assert len(data.filter(np.array([True, False, True]))) == 2
    assert data.select(["y"]).schema.names == ("y",)
    assert len(Dataset.concat([data, data.slice(1, 1)])) == 4
    data.with_reserved(ids=["p", "q", "r"])
    assert data.digest == before


def test_equal_content_has_an_equal_digest_and_other_content_another() -> None:
    make = lambda v: Dataset.from_arrow(pa.table({"x": v}))  # noqa: E731
    assert make([1.0, 2.0]).digest == make([1.0, 2.0]).digest
    assert make([1.0, 2.0]).digest != make([2.0, 1.0]).digest


def test_a_card_survives_json() -> None:
    card = Card(name="a", origin="synthetic", parents=("p",), notes=("n",), settings={"k": 5})
    assert Card.from_json(card.to_json()) == card


def test_column_names_are_escaped_in_notebooks() -> None:
    data = Dataset.from_arrow(pa.table({"<script>": [1.0, 2.5]}))
    assert "<script>" not in data._repr_html_()


def test_a_value_that_cannot_be_read_is_not_in_the_traceback() -> None:
    schema = Schema((Field(name="age", kind="integer"),))
    values = ["31", "Jane" + " Doe"]
    with pytest.raises(SchemaError) as caught:
        Dataset.from_arrow(pa.table({"age": values}), schema)
    told = traceback.format_exception(caught.value)
    assert not any("Jane Doe" in line for line in told)

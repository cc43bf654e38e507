import operator

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from twinset.core.data.dataset import Dataset
from twinset.core.data.schema import OBJECT, Field, Label, Schema, Taxonomy
from twinset.core.data.where import Where, implies
from twinset.core.errors import RecipeError, SchemaError

TABLE = Dataset.from_arrow(
    pa.table(
        {
            "cls": [0, 1, 1, 0, None],
            "amount": [5.0, 100.0, 250.5, None, 99.99],
            "sex": ["f", "m", "f", "m", "f"],
            "paid": [True, False, None, True, True],
        }
    )
)


def test_the_text_form_means_these_rows() -> None:
    for text, expected in [
        ("cls = 1", [False, True, True, False, False]),
        ("cls = 1 and amount >= 100", [False, True, True, False, False]),
        ("amount > 100", [False, False, True, False, False]),
        ("amount is null", [False, False, False, True, False]),
        ("cls is not null and sex = 'f'", [True, False, True, False, False]),
        ("sex in (f, m)", [True, True, True, True, True]),
        ("sex != f", [False, True, False, True, False]),
        ("paid = true", [True, False, False, True, True]),
        ("amount >= 5 and amount < 100", [True, False, False, False, True]),
    ]:
        assert TABLE.mask(Where.parse(text)).tolist() == expected


def test_the_mapping_form_means_the_same_as_the_text_form() -> None:
    mapping = Where({"cls": 1, "amount": {"ge": 100}})
    assert mapping == Where.parse("cls = 1 and amount >= 100")
    assert TABLE.mask(Where({"sex": ["f"], "amount": None})).sum() == 0
    assert TABLE.mask(Where({"amount": {"not": None}})).sum() == 4


def test_unreadable_conditions_are_refused() -> None:
    for text in [
        "",
        "cls",
        "cls =",
        "cls = 1 or sex = f",
        "cls ~ 1",
        "in (1)",
        "sex in (f",
        "= 3",
        "a is b",
    ]:
        with pytest.raises(RecipeError):
            Where.parse(text)


def test_numbers_that_no_column_holds_are_refused() -> None:
    huge, long = 10**400, "9" * 5_000
    for text in [f"a < {huge}", f"a = {long}", f"a in (1, -{huge})", "a = nan", "a > inf"]:
        with pytest.raises(RecipeError, match="a number that no column holds") as refused:
            Where.parse(text)
        assert len(str(refused.value)) < 300
    for condition in [
        {"ge": huge},
        {"not": [1, -huge]},
        [float("nan")],
        2**63,
        {"lt": float("inf")},
    ]:
        with pytest.raises(RecipeError, match="a number that no column holds"):
            Where({"a": condition})
    assert Where.parse(f"a >= {2**63 - 1} and a != 'nan'").conditions == {
        "a": {"ge": 2**63 - 1, "not": "nan"}
    }


def test_a_long_unreadable_condition_is_not_repeated_whole() -> None:
    with pytest.raises(RecipeError, match="from character 11 on") as refused:
        Where.parse("a = 1 and " + "(" * 10_000)
    assert len(str(refused.value)) < 300


def test_an_unknown_column_is_named_with_the_nearest_one() -> None:
    with pytest.raises(SchemaError, match="did you mean 'amount'"):
        TABLE.mask(Where.parse("amout > 3"))


def test_a_value_of_another_type_is_refused() -> None:
    with pytest.raises(SchemaError, match="amount"):
        TABLE.mask(Where({"amount": "lots"}))


def test_conditions_of_no_known_shape_are_refused() -> None:
    for conditions in [{"a": {"above": 3}}, {"a": {}}, {"a": [[1]]}, [1]]:
        with pytest.raises(RecipeError):
            Where(conditions)  # type: ignore[arg-type]


@given(st.lists(st.floats(-100, 100) | st.none(), min_size=1, max_size=20), st.floats(-100, 100))
def test_a_condition_and_its_opposite_part_the_present_values(
    values: list[float | None], bound: float
) -> None:
    data = Dataset.from_arrow(pa.table({"x": pa.array(values, pa.float64())}))
    below, above = data.mask(Where({"x": {"lt": bound}})), data.mask(Where({"x": {"ge": bound}}))
    assert not (below & above).any()
    assert (below | above).sum() == sum(v is not None for v in values)


def test_numbers_of_objects_are_columns_where_there_are_objects() -> None:
    rows = [[{"category": "cat"}, {"category": "cat"}, {"category": "dog"}], [], None]
    table = pa.table({"objects": pa.array(rows, pa.list_(OBJECT)), "x": [1, 2, 3]})
    data = Dataset.from_arrow(table)
    assert data.mask(Where({"objects 'cat'": {"ge": 2}})).tolist() == [True, False, False]
    assert data.mask(Where({"all objects": [0, 3], "x": {"ge": 2}})).tolist() == [False, True, True]
    assert data.mask(Where.parse("\"objects 'dog'\" = 0")).tolist() == [False, True, True]
    closed = Field(name="objects", kind="boxes", taxonomy=Taxonomy((Label("cat"), Label("dog"))))
    with pytest.raises(SchemaError, match="objects 'cow'"):
        data.with_schema(data.schema.with_field(closed)).mask(Where({"objects 'cow'": 0}))
    # A column of that name goes first.
    own = Dataset.from_arrow(table.append_column("all objects", pa.array([7, 8, 9])))
    assert own.mask(Where({"all objects": 8})).tolist() == [False, True, False]
    with pytest.raises(SchemaError, match="does not exist"):
        Dataset.from_arrow(pa.table({"x": [1]})).mask(Where({"all objects": 1}))


def test_numbers_of_objects_are_read_as_they_are_printed() -> None:
    found = Where.parse("objects 'white cell' >= 3 and all objects < 9 and light = night")
    assert found.conditions == {
        "objects 'white cell'": {"ge": 3},
        "all objects": {"lt": 9},
        "light": "night",
    }
    assert Where.parse(str(found)) == found
    assert Where.parse("objects = 2").conditions == {"objects": 2}


def test_a_name_with_spaces_is_reported_to_go_in_quotes() -> None:
    with pytest.raises(RecipeError, match="put a name or text with spaces in quotes"):
        Where.parse("hours per week >= 3")


@pytest.mark.parametrize(
    ("given", "other", "follows"),
    [
        ("amount >= 5", "amount >= 5", True),
        ("amount >= 5 and sex = f", "amount > 4", True),
        ("amount >= 5", "amount > 5", False),
        ("amount = 5", "amount >= 5 and amount <= 5", True),
        ("amount >= 5", "amount >= 4 and amount < 9", False),
        ("amount >= 5", "sex = f", False),
        ("sex = f", "sex = f", True),
        ("amount is null", "amount >= 0", False),
        ("objects 'car' >= 3", "all objects >= 2", True),
        ("objects 'car' >= 1 and objects 'dog' >= 1", "all objects >= 2", True),
        ("objects 'car' < 3", "all objects >= 1", False),
        ("objects 'car' >= 3", "all objects < 9", False),
        ("all objects >= 3", "objects 'car' >= 1", False),
        ("sex = f", "sex is not null", False),
    ],
)
def test_what_follows_from_conditions_alone(given: str, other: str, follows: bool) -> None:
    assert implies(Where.parse(given), Where.parse(other)) is follows


NUMBERS = [None, -1.0, 0.0, 1.0, 2.0, 7.5]
WORDS = [None, "a", "b", "10", "9"]
COMPARE = {
    "=": operator.eq, "!=": operator.ne, ">": operator.gt, ">=": operator.ge, "<": operator.lt,
    "<=": operator.le,
}  # fmt: skip


def comparisons(column: str, values: list[object]) -> st.SearchStrategy[tuple[str, object]]:
    """Return comparisons with the values: (text, the same as a row filter of pandas)."""
    present = st.sampled_from(values[1:])
    signs = st.sampled_from(list(COMPARE))
    single = st.builds(
        lambda sign, value: (
            f"{column} {sign} {value!r}",
            # A missing value meets no comparison but "is not".
            lambda x: COMPARE[sign](x, value) & (x.notna() | (sign == "!=")),
        ),
        signs, present,
    )  # fmt: skip
    several = st.builds(
        lambda items: (
            f"{column} in ({', '.join(map(repr, items))})", lambda x: x.isin(items),
        ),
        st.lists(present, min_size=1, max_size=3),
    )  # fmt: skip
    missing = st.sampled_from(
        [(f"{column} is null", lambda x: x.isna()), (f"{column} is not null", lambda x: x.notna())]
    )
    return single | several | missing


@given(
    st.lists(st.tuples(st.sampled_from(NUMBERS), st.sampled_from(WORDS)), min_size=1, max_size=30),
    st.lists(comparisons("x", NUMBERS), max_size=4),
    st.lists(comparisons("w", WORDS), max_size=3),
)
def test_conditions_on_one_column_are_intersected(rows, on_x, on_w) -> None:  # type: ignore[no-untyped-def]
    assume(on_x or on_w)
    text = " and ".join(part for part, _ in (*on_x, *on_w))
    frame = pd.DataFrame(
        {
            "x": pd.Series([x for x, _ in rows], dtype=float),
            "w": pd.Series([w for _, w in rows], dtype=object),
        }
    )
    expected = np.ones(len(rows), dtype=bool)
    for name, filters in (("x", on_x), ("w", on_w)):
        for _, keeps in filters:
            expected &= keeps(frame[name]).to_numpy(dtype=bool)
    schema = Schema((Field(name="x", kind="number"), Field(name="w", kind="category")))
    data = Dataset.from_arrow(
        pa.table({"x": pa.array(frame.x, from_pandas=True), "w": [w for _, w in rows]}), schema
    )
    try:
        where = Where.parse(text)
    except RecipeError as error:
        if "depends on its kind" in str(error):  # 9 and 10 in quotes
            assert {"'9'", "'10'"} <= set(
                text.replace(")", " ").replace(",", " ").replace("(", " ").split()
            )
        else:
            assert not expected.any()
    else:
        assert data.mask(where).tolist() == expected.tolist()


def test_an_intersection_is_one_plain_condition() -> None:
    for text, conditions in [
        ("b != 0 and b != 1", {"b": {"not": [0, 1]}}),
        ("a > 40 and a > 10", {"a": {"gt": 40}}),
        ("a >= '2024-03-01' and a >= '2024-01-01'", {"a": {"ge": "2024-03-01"}}),
        ("a in (1, 2, 3) and a != 2 and a > 1", {"a": 3}),
        ("a >= 5 and a <= 5 and a is not null", {"a": 5}),
    ]:
        assert Where.parse(text).conditions == conditions


def test_an_empty_intersection_is_one_clear_sentence() -> None:
    for text in ["a > 3 and a < 3", "a = 1 and a = 2", "a is null and a > 1", "a = x and a != x"]:
        with pytest.raises(RecipeError, match="no value of 'a' meets all its conditions"):
            Where.parse(text)


def test_bounds_in_quotes_are_not_merged_where_their_order_depends_on_the_column() -> None:
    for text in [
        "a > '9' and a > '10'",
        "a < '2024-01-01T00:00Z' and a < '2024-01-01T00:30+02:00'",
    ]:
        with pytest.raises(RecipeError, match="write the tighter condition only"):
            Where.parse(text)
    between = Where.parse(
        "a > '9' and a < '10'"
    )  # by size there are numbers between, by letters none
    assert between.conditions == {"a": {"gt": "9", "lt": "10"}}
    assert Dataset.from_arrow(pa.table({"a": [9.0, 9.5, 10.0]})).mask(between).tolist() == [0, 1, 0]


def test_texts_are_not_compared_with_a_number_by_size() -> None:
    table = Dataset.from_arrow(pa.table({"a": ["9", "10", "100"]}))
    with pytest.raises(SchemaError, match="holds texts"):
        table.mask(Where.parse("a > 9"))
    assert table.mask(Where.parse("a > '10'")).tolist() == [True, False, True]
    assert table.mask(Where.parse("a = 10")).tolist() == [False, True, False]


def test_values_of_different_types_cannot_be_intersected() -> None:
    with pytest.raises(RecipeError, match="values of different types"):
        Where.parse("a > 3 and a > 'x'")

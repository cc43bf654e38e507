import numpy as np
import pyarrow as pa

from twinset.core.data.dataset import Dataset
from twinset.core.data.schema import OBJECT, SPAN, Field, Schema
from twinset.report.figures.columns import Bars, Histogram, column_panels


def panels(real, synthetic, **kwargs):
    sets = {"real": Dataset.from_arrow(pa.table(real)), "synthetic": synthetic}
    sets["synthetic"] = Dataset.from_arrow(pa.table(synthetic), sets["real"].schema)
    found, _ = column_panels(sets, kwargs.pop("distances", {}), **kwargs)
    return {panel.name: panel for panel in found}


def test_shares_of_whole_numbers_by_hand():
    found = panels({"n": [1] * 30 + [2] * 10 + [3] * 20}, {"n": [1, 1, 2, 3]})["n"]
    assert isinstance(found.figure, Histogram)
    # Ten real rows are drawn as five: 30 + 5 + 20 of 60 rows.
    np.testing.assert_allclose(found.figure.shares["real"], [30 / 60, 5 / 60, 20 / 60])
    np.testing.assert_allclose(found.figure.shares["synthetic"], [0.5, 0.25, 0.25])


def test_one_to_ten_real_rows_cannot_be_distinguished():
    heights = []
    for n in (1, 3, 5):
        found = panels({"n": [1] * (100 - n) + [2] * n}, {"n": [1, 2]})["n"]
        heights.append(found.figure.shares["real"].tolist())
    assert heights == [[100 / 105, 5 / 105]] * 3
    tens = panels({"n": [1] * 90 + [2] * 10}, {"n": [1, 2]})["n"]
    assert tens.figure.shares["real"].tolist() == [0.9, 0.05]


def test_no_real_row_stays_no_real_row():
    found = panels({"n": [1] * 50 + [3] * 50}, {"n": [1, 2, 3]})["n"]
    assert found.figure.shares["real"][1] == 0


def test_a_level_of_few_real_rows_is_pooled_even_if_it_is_frequent_in_the_twin():
    towns = {"town": ["Ulm"] * 30 + ["Bonn"] * 11 + ["Zwiefalten"] * 10}
    found = panels(towns, {"town": ["Zwiefalten"] * 90 + ["Ulm"] * 10})["town"]
    assert isinstance(found.figure, Bars)
    assert found.figure.levels == ("Ulm", "Bonn", "(other)")
    np.testing.assert_allclose(found.figure.shares["synthetic"], [0.1, 0.0, 0.9])


def test_without_a_real_set_the_twins_own_levels_are_named():
    synthetic = Dataset.from_arrow(pa.table({"town": ["a", "b", "a"]}))
    found, _ = column_panels({"synthetic": synthetic}, {})
    assert found[0].figure.levels == ("a", "b")


def test_rare_levels_beyond_the_sixth_and_missing_values_have_their_own_bars():
    levels = [chr(97 + i) for i in range(8)]
    real = {"x": [level for level in levels for _ in range(20)] + [None] * 40}
    found = panels(real, {"x": [*levels, None]})["x"]
    assert found.figure.levels == (*levels[:6], "(other)", "(missing)")
    np.testing.assert_allclose(found.figure.shares["real"], [0.1] * 6 + [0.2, 0.2])


def test_shares_never_add_up_to_more_than_all_rows():
    found = panels({"x": [0.1, 0.2, 0.3]}, {"x": [0.1, 0.2, 0.3]})["x"]
    assert found.figure.shares["real"].sum() <= 1 + 1e-12


def test_the_worst_column_comes_first_and_the_rest_keep_their_order(people):
    found, left = column_panels({"synthetic": people}, {"children": 0.2, "town": 0.3}, limit=2)
    assert [panel.name for panel in found] == ["town", "children"]
    assert left == 1


def test_missing_numbers_are_reported(people):
    found = panels({"x": [1.5, 2.5, None, None]}, {"x": [1.5, 2.5, 3.5, None]})["x"]
    assert found.missing == {"real": 0.5, "synthetic": 0.25}


def test_dates_booleans_and_texts_are_drawn():
    rows = {
        "day": pa.array([0, 86_400_000_000 * 9], pa.timestamp("us")),
        "paid": [True, False],
        "said": ["one two three", "one"],
        "ref": ["A1", "B2"],
    }
    schema = Schema(
        (
            Field(name="day", kind="datetime"),
            Field(name="paid", kind="boolean"),
            Field(name="said", kind="text"),
            Field(name="ref", kind="id"),
        )
    )
    synthetic = Dataset.from_arrow(pa.table(rows), schema)
    found = {panel.name: panel.figure for panel in column_panels({"synthetic": synthetic}, {})[0]}
    assert set(found) == {"day", "paid", "said"}
    assert found["day"].labels[0][1] == "1970-01-01"
    assert found["paid"].levels == ("false", "true")
    np.testing.assert_allclose(found["said"].shares["synthetic"], [0.5, 0, 0.5])


def test_boxes_and_spans_are_counted_by_label():
    box = {"id": 0, "box": [0.0, 0.0, 1.0, 1.0]}
    rows = {
        "objects": pa.array(
            [
                [{**box, "category": "cat"}, {**box, "category": "cat"}],
                [{**box, "category": "dog"}],
            ],
            pa.list_(OBJECT),
        ),
        "spans": pa.array([[{"start": 0, "end": 1, "label": "who"}], []], pa.list_(SPAN)),
    }
    schema = Schema((Field(name="objects", kind="boxes"), Field(name="spans", kind="spans")))
    synthetic = Dataset.from_arrow(pa.table(rows), schema)
    found = {panel.name: panel.figure for panel in column_panels({"synthetic": synthetic}, {})[0]}
    assert found["objects"].levels == ("cat", "dog")
    np.testing.assert_allclose(found["objects"].shares["synthetic"], [2 / 3, 1 / 3])
    assert found["spans"].levels == ("who",)


def test_empty_and_all_missing_columns_are_left_out():
    empty = Dataset.from_arrow(pa.table({"x": pa.array([], pa.float64())}))
    assert column_panels({"synthetic": empty}, {}) == ((), 0)
    missing = Dataset.from_arrow(pa.table({"x": pa.array([None, None], pa.float64())}))
    assert column_panels({"synthetic": missing}, {})[0] == ()


def test_a_column_of_another_kind_in_the_real_set_is_drawn_alone():
    real = Dataset.from_arrow(pa.table({"n": ["2", "3"] * 30}))
    made = Dataset.from_arrow(pa.table({"n": list(range(60))}))
    found, _ = column_panels({"real": real, "synthetic": made}, {})
    assert list(found[0].figure.shares) == ["synthetic"]

"""`advise` from table to answer."""

from __future__ import annotations

import importlib.util
import json

import pyarrow as pa
import pytest

import twinset as tw
from twinset.advising.case import Columns, open_case
from twinset.advising.judges import fit, view_of
from twinset.advising.views import Reader
from twinset.core.errors import (
    DataError,
    MissingExtraError,
    ParameterError,
    SchemaError,
    UnknownNameError,
)

from .conftest import payments

QUICK = {"judges": ("linear",), "ratios": (0.1,)}


def test_it_answers_and_the_answer_is_plain_json(table: pa.Table) -> None:
    found = tw.advise(table, target="fraud", **QUICK)
    content = json.loads(found.to_json())
    assert content["verdict"] in ("helps", "hurts", "no evidence")
    assert content["facts"]["test_positives"] == 45
    assert content["facts"]["positive"] == "yes"
    assert {c["name"] for c in content["candidates"]} >= {"none", "sqrt weights", "repeat 0.1"}
    assert content["measures"][0]["name"] == "average_precision"
    assert "card" in found.notes[0]


def test_the_same_seed_gives_the_same_bytes_for_any_workers(table: pa.Table) -> None:
    one, two = (tw.advise(table, target="fraud", workers=w, **QUICK).to_json() for w in (1, 3))
    assert one == two
    assert one != tw.advise(table, target="fraud", seed=2, **QUICK).to_json()


def test_too_few_positives_are_not_ranked() -> None:
    found = tw.advise(payments(1_000, rare=60), target="fraud")
    assert found.verdict == "too few to tell"
    assert found.chosen == "none"
    assert found.candidates == ()
    assert found.facts["test_positives"] == 18
    # 97 test positives halve the width to 0.1: 0.98 / sqrt(97) = 0.0995.
    assert "97" in found.sentence


def test_a_table_without_signal_is_left_alone() -> None:
    plain = payments()
    shuffled = plain.set_column(6, "fraud", plain["fraud"].take(list(range(2_999, -1, -1))))
    found = tw.advise(shuffled, target="fraud", **QUICK)
    assert found.verdict != "helps"


@pytest.mark.parametrize(
    ("settings", "error", "words"),
    [
        ({"target": "shop", "positive": "moon"}, DataError, "moon"),
        ({"target": "amount"}, DataError, "two labels"),
        ({"target": "frud"}, SchemaError, "frud"),
        ({"target": "fraud", "time": "shop"}, SchemaError, "holds no times"),
        ({"target": "fraud", "amount": "age"}, DataError, "price"),
        ({"target": "fraud", "alert_rate": 1.5}, ParameterError, "alert rate"),
        ({"target": "fraud", "ratios": (2.0,)}, ParameterError, "ratio"),
        ({"target": "fraud", "judges": ("oracle",)}, UnknownNameError, "judge"),
        ({"target": "fraud", "workers": 0}, ParameterError, "workers"),
    ],
)
def test_mistakes_are_told(
    table: pa.Table, settings: dict[str, object], error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        tw.advise(table, **settings)


@pytest.mark.parametrize("library", ["lightgbm", "xgboost"])
def test_other_models_are_asked_where_they_are_installed(table: pa.Table, library: str) -> None:
    if importlib.util.find_spec(library) is None:
        with pytest.raises(MissingExtraError, match=f"pip install {library}"):
            tw.advise(table, target="fraud", judges=[library])
        return
    case = open_case(table, Columns(target="fraud"))
    raw = Reader.of(case.dataset, case.features).read(case.dataset)
    x = view_of(library, raw).transform(raw)
    probability = fit(library, x, case.truth, None, 1)(x)
    assert probability[case.truth].mean() > 3 * probability[~case.truth].mean()

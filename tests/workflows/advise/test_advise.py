"""`advise` from table to answer."""

from __future__ import annotations

import importlib.util
import json

import numpy as np
import pyarrow as pa
import pytest

import twinset as tw
from twinset.core.errors import (
    DataError,
    MissingExtraError,
    ParameterError,
    SchemaError,
    UnknownNameError,
)
from twinset.core.seeding import rng_for
from twinset.workflows.advise.labelled_table import read_labelled_table
from twinset.workflows.advise.strategies import Reader, fit, fit_encoder
from twinset.workflows.options import AdviseOptions

from .conftest import payments

QUICK = {"models": ("linear",), "ratios": (0.1,)}


def test_it_answers_and_the_answer_is_plain_json(table: pa.Table) -> None:
    found = tw.advise(table, target="fraud", **QUICK)
    content = json.loads(found.to_json())
    assert content["verdict"] in ("helps", "hurts", "no evidence")
    assert content["facts"]["test_positives"] == 45
    assert content["facts"]["positive"] == "yes"
    assert {c["name"] for c in content["candidates"]} >= {"none", "sqrt weights", "repeat 0.1"}
    assert content["measures"][0]["name"] == "average_precision"
    assert "card" in found.notes[0]


def test_the_same_seed_gives_the_same_bytes_for_any_workers() -> None:
    table = payments(1_600, rare=130)
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


def test_a_table_without_signal_is_not_helped() -> None:
    plain = payments()
    noise = plain.set_column(6, "fraud", plain["fraud"].take(rng_for(1, "x").permutation(3_000)))
    assert tw.advise(noise, target="fraud", **QUICK).verdict != "helps"


@pytest.mark.parametrize("seed", [1, 2])
def test_a_table_whose_model_is_right_as_it_is_is_left_alone(seed: int) -> None:
    # Two normal clouds that differ by a shift: a linear model of the rows as they are is the best one.
    rng = rng_for(seed, "clouds")
    fraud = rng.random(2_000) < 0.12
    table = pa.table({"x": rng.normal(1.0 * fraud), "z": rng.normal(size=2_000), "fraud": fraud})
    found = tw.advise(table, target="fraud", seed=seed, models=("linear",), ratios=(0.3,))
    assert (found.chosen, found.verdict) == ("none", "no evidence")


@pytest.mark.parametrize("seed", [1, 2])
def test_cards_whose_rows_are_alike_are_left_alone(seed: int) -> None:
    # Label and features belong to the card: 3,000 rows that tell as much as 300.
    rng = rng_for(seed, "cards")
    card = np.repeat(np.arange(300), 10)
    fraud = rng.random(300) < 0.15
    x, z = rng.normal(1.0 * fraud), rng.normal(size=300)
    columns = {"x": x[card], "z": z[card], "card": [f"c{c:03d}" for c in card]}
    table = pa.table({**columns, "fraud": fraud[card]})
    found = tw.advise(
        table,
        target="fraud",
        positive="true",
        group="card",
        seed=seed,
        models=("linear",),
        ratios=(0.4,),
    )
    assert (found.chosen, found.verdict) == ("none", "no evidence")


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({}, "costs 50 (assumed)"),
        ({"cost": 0.0}, "costs 0."),
        ({"amount": "amount"}, "costs its amount (assumed)"),
        ({"amount": "amount", "cost": 2.0}, "costs 2 times its amount."),
    ],
)
def test_the_page_names_the_price_that_was_used(settings: dict[str, object], words: str) -> None:
    found = tw.advise(payments(1_000, rare=60), target="fraud", **settings)
    assert words in found.to_html()


@pytest.mark.parametrize(
    ("settings", "error", "words"),
    [
        ({"target": "shop", "positive": "moon"}, DataError, "moon"),
        ({"target": "amount"}, DataError, "two labels"),
        ({"target": "frud"}, SchemaError, "frud"),
        ({"target": "fraud", "time": "shop"}, SchemaError, "holds no times"),
        ({"target": "fraud", "amount": "age"}, DataError, "price"),
        ({"target": "fraud", "alert_rate": 1.5}, ParameterError, "alert_rate"),
        ({"target": "fraud", "ratios": (2.0,)}, ParameterError, "ratios"),
        ({"target": "fraud", "cost": float("nan")}, ParameterError, "cost"),
        ({"target": "fraud", "delay": -1.0}, ParameterError, "delay"),
        ({"target": "fraud", "delay": 3}, ParameterError, "needs to know when rows happen"),
        ({"target": "fraud", "alert_rate": 1e-6}, ParameterError, "leaves no alert"),
        ({"target": "fraud", "models": ("oracle",)}, UnknownNameError, "model"),
        ({"target": "fraud", "models": ()}, ParameterError, "models"),
        ({"target": "fraud", "workers": 0}, ParameterError, "workers"),
    ],
)
def test_mistakes_are_reported(
    table: pa.Table, settings: dict[str, object], error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        tw.advise(table, **settings)


@pytest.mark.parametrize("library", ["lightgbm", "xgboost"])
def test_other_models_are_asked_where_they_are_installed(table: pa.Table, library: str) -> None:
    if importlib.util.find_spec(library) is None:
        with pytest.raises(MissingExtraError, match=f"pip install {library}"):
            tw.advise(table, target="fraud", models=[library])
        return
    labelled = read_labelled_table(table, AdviseOptions(target="fraud"))
    raw = Reader.from_dataset(labelled.dataset, labelled.features).read(labelled.dataset)
    x = fit_encoder(library, raw).transform(raw)
    probability = fit(library, x, labelled.truth, None, 1)(x)
    assert probability[labelled.truth].mean() > 3 * probability[~labelled.truth].mean()

"""Rows are interpolated within one entity and a window of time, unless more is asked for."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from twinset.core.contracts import TracedGenerator
from twinset.core.data.dataset import Dataset
from twinset.core.data.schema import Field, Schema
from twinset.core.errors import FewRowsWarning, FitError, ParameterError, SchemaError
from twinset.generators.minority.borderline import Borderline
from twinset.generators.minority.smote import Smote

DAY = 86_400_000_000
CARDS = ["a", "a", "a", "b", "b", "c", None]
TIMES = [0, 1, 9, 0, 1, 0, 0]
AMOUNTS = [0.0, 1.0, 2.0, 0.5, 1.5, 0.25, 0.75]


def payments(cards: list[Any] | None = None, **more: list[Any]) -> Dataset:
    owners = CARDS if cards is None else cards
    kind = "category" if isinstance(owners[0], str) else "integer"
    at = pa.array([t * DAY for t in more.get("times", TIMES)], pa.timestamp("us"))
    table = pa.table({"card": owners, "at": at, "amount": more.get("amounts", AMOUNTS)})
    fields = (
        Field(name="card", kind=kind, role="group"),
        Field(name="at", kind="datetime", role="time"),
        Field(name="amount", kind="number"),
    )
    return Dataset.from_arrow(table, Schema(fields))


def pairs(generator: Smote, rows: Dataset) -> set[tuple[int, int]]:
    fitted = generator.fit(rows, np.random.default_rng(0))
    assert isinstance(fitted, TracedGenerator)
    _, parents = fitted.draw(400, np.random.default_rng(1))
    return {(int(a), int(b)) for a, b in parents}


@pytest.mark.parametrize("cards", [CARDS, [1, 1, 1, 2, 2, 3, None]], ids=["labels", "numbers"])
def test_pairs_stay_within_a_card(cards: list[Any]) -> None:
    with pytest.warns(FewRowsWarning, match="2 of 7 different rows"):
        found = pairs(Smote(k_neighbors=2), payments(cards))
    assert found == {(0, 1), (0, 2), (1, 0), (1, 2), (2, 0), (2, 1), (3, 4), (4, 3)}


def test_pairs_stay_within_a_window() -> None:
    with pytest.warns(FewRowsWarning, match="3 of 7 different rows"):
        found = pairs(Smote(k_neighbors=2, time_window="2d"), payments())
    assert found == {(0, 1), (1, 0), (3, 4), (4, 3)}


def test_a_window_alone_pairs_across_cards() -> None:
    with pytest.warns(FewRowsWarning, match="1 of 7"):
        found = pairs(Smote(k_neighbors=6, time_window="2d", across_entities=True), payments())
    assert {b for a, b in found if a == 0} == {1, 3, 4, 5, 6}
    assert all(2 not in pair for pair in found)


def test_across_cards_only_when_asked() -> None:
    found = pairs(Smote(k_neighbors=6, across_entities=True), payments())
    assert {b for a, b in found if a == 0} == {1, 2, 3, 4, 5, 6}


def test_new_rows_keep_the_card_and_lie_between_its_times() -> None:
    fitted = Smote().fit(payments(), np.random.default_rng(0))
    with pytest.warns(FewRowsWarning):
        made = fitted.sample(200, np.random.default_rng(1))
    codes, cards = made.codes("card")
    days = made.values("at") / DAY
    for card, latest in (("a", 9), ("b", 1)):
        own = days[codes == cards.index(card)]
        assert own.min() >= 0
        assert own.max() <= latest
    assert {cards[c] for c in np.unique(codes)} == {"a", "b"}


def test_cards_with_one_row_each_are_refused_in_a_sentence() -> None:
    alone = payments(list("abcdefg"))
    with pytest.raises(FitError, match=r"may be interpolated with; got 7 .* across_entities: true"):
        Smote().fit(alone, np.random.default_rng(0)).sample(3, np.random.default_rng(1))


def test_a_window_needs_a_time_and_a_length() -> None:
    plain = Dataset.from_arrow(pa.table({"x": [0.5, 1.5, 2.5]}))
    with pytest.raises(ParameterError, match="needs to know when rows happen"):
        Smote(time_window="1d").fit(plain, np.random.default_rng(0)).sample(
            3, np.random.default_rng(1)
        )
    with pytest.raises(SchemaError, match="window of time cannot be read"):
        Smote(time_window="soon")
    with pytest.raises(ParameterError, match="time_window is empty"):
        Borderline(time_window="0d")


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 5), st.integers(1, 30))
def test_no_pair_ever_leaves_its_card_or_its_window(seed: int, k: int, days: int) -> None:
    rng = np.random.default_rng(seed)
    n = 40
    cards, times = rng.choice(list("abcd"), n), rng.integers(0, 60, n)
    rows = payments(cards.tolist(), times=times.tolist(), amounts=rng.normal(size=n).tolist())
    with np.testing.suppress_warnings() as quiet:
        quiet.filter(FewRowsWarning)
        found = pairs(Smote(k_neighbors=k, time_window=f"{days}d"), rows)
    for a, b in found:
        assert a != b
        assert cards[a] == cards[b]
        assert abs(int(times[a]) - int(times[b])) <= days

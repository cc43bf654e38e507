"""Texts beside real ones: by hand, and each side of a text spoilt by itself."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from twinset.core.contracts import Comparison, NotMeasurable
from twinset.core.dataset import Dataset
from twinset.core.errors import ParameterError
from twinset.core.resampling import Groups
from twinset.core.schema import Field, Schema
from twinset.core.seeding import rng_for
from twinset.evaluation.gap._texts import commonest, frontier, term_counts
from twinset.evaluation.gap.texts import TextGap
from twinset.part_verdicts import different_parts

SUBJECTS = {
    "sport": [
        "team",
        "goal",
        "match",
        "coach",
        "player",
        "season",
        "score",
        "win",
        "stadium",
        "referee",
    ],
    "food": [
        "soup",
        "bread",
        "oven",
        "recipe",
        "salt",
        "butter",
        "cook",
        "dinner",
        "sauce",
        "onion",
    ],
}


def letters(n: int, seed: int, sport: float = 0.5) -> list[str]:
    rng = rng_for(seed, "letters")
    found = []
    for _ in range(n):
        words = SUBJECTS["sport" if rng.random() < sport else "food"]
        start = rng.integers(0, len(words), 3 + rng.poisson(4))
        # A word is mostly followed by its neighbour.
        found.append(" ".join(words[(s + i) % 10] for i, s in enumerate(np.sort(start))))
    return found


def texts(values: list[str | None]) -> Dataset:
    table = pa.table({"t": pa.array(values, pa.string())})
    return Dataset.from_arrow(table, Schema((Field(name="t", kind="text"),)))


def measured(made: list[str | None]):
    given = Comparison(texts(letters(600, 1)), texts(made), texts(letters(600, 2)))
    return TextGap().compute(given, rng_for(0, "m"))


def spoilt(made: list[str | None]) -> tuple[str, ...]:
    real = measured(letters(600, 3))
    return different_parts(TextGap(), measured(made).parts, real.parts, 600).names


def test_terms_by_hand() -> None:
    found = [["bad", "bad", "dog"], ["cat"], []]
    places = commonest([["bad", "dog"], ["bad"]], 2)
    counts = term_counts(found, places, Groups(np.array([0, 1, 1]), np.ones((1, 2))))
    assert counts.tolist() == [[2.0, 1.0, 0.0, 0.0], [0.0, 0.0, 1.0, 1.0]]


def test_the_frontier_falls_as_shares_part() -> None:
    p = np.array([[0.5, 0.5, 0.0]])
    area = [frontier(p, np.array([[0.5 - d, 0.5 - d, 2 * d]]))[0] for d in (0, 0.1, 0.3, 0.5)]
    assert area[0] == pytest.approx(1.0)
    assert area == sorted(area, reverse=True)
    assert area[-1] < 0.01
    # Either way round it is the same.
    q = np.array([[0.2, 0.3, 0.5]])
    assert frontier(p, q) == pytest.approx(frontier(q, p), abs=0.02)


def test_real_texts_are_near_and_none_of_their_sides_is_different() -> None:
    assert measured(letters(600, 3)).value < 0.1
    assert spoilt(letters(600, 4)) == ()


def test_each_side_of_a_text_is_named_when_it_is_off() -> None:
    fresh = letters(600, 5)
    short = [" ".join(text.split()[:3]) for text in fresh]
    assert "t (length)" in spoilt(short)
    rng = rng_for(0, "mix")
    mixed = [" ".join(rng.permutation(text.split())) for text in fresh]
    assert spoilt(mixed) == ("t (pairs of words)",)
    assert "t (subject)" in spoilt(letters(600, 5, sport=0.05))
    shouted = [text.replace("team", "squad").replace("soup", "broth") for text in fresh]
    assert "t (words)" in spoilt(shouted)


def test_missing_and_empty_texts_are_texts_without_words() -> None:
    found = measured([None, "", "  "] * 20)
    assert found.details["texts"]["t (length)"] == 1.0
    assert np.isfinite(found.replicates).all()


def test_what_cannot_be_measured_is_said() -> None:
    few, table = texts(letters(30, 1)), Dataset.from_arrow(pa.table({"x": np.arange(100.0)}))
    for data, words in ((few, "at least 40"), (table, "no column of texts")):
        with pytest.raises(NotMeasurable, match=words):
            TextGap().compute(Comparison(data, data, data), rng_for(0, "m"))
    with pytest.raises(ParameterError, match="out of"):
        TextGap(n_terms=1)


def test_one_text_for_all_is_one_subject() -> None:
    same = texts(["all the same"] * 50)
    found = TextGap().compute(Comparison(same, texts(letters(50, 1)), same), rng_for(0, "m"))
    assert found.details["texts"]["t (subject)"] == 0.0
    assert found.details["texts"]["t (words)"] == 1.0

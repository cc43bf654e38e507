"""Texts: hand-counted distances, and faults in real intents that have to be found."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import trapezoid
from scipy.stats import entropy

from twinset.core.contracts import Comparison, NotMeasurable
from twinset.core.data.dataset import Dataset
from twinset.core.data.schema import Field, Schema
from twinset.core.findings import DifferentComponents
from twinset.core.seeding import rng_for
from twinset.evaluation.gap._text_patterns import frontier_area
from twinset.evaluation.gap.texts import Texts
from twinset.measurement.comparison import ResultCache
from twinset.measurement.harness import measure

REAL_RESULTS = ResultCache()  # of the real texts, which all tests compare with
SNIPS = Path(__file__).parents[4] / "shared/data/text/snips2017"


def texts(lines: Sequence[str | None]) -> Dataset:
    return Dataset.from_arrow(
        pa.table({"said": pa.array(lines, pa.string())}), Schema((Field(name="said", kind="text"),))
    )


def patterns(real: Sequence[str | None], made: Sequence[str | None]) -> dict[str, float]:
    comparison = Comparison(texts(real), texts(made), texts(real))
    found = Texts(replicates=10).compute(comparison, np.random.default_rng(0))
    assert found.components is not None
    return dict(
        zip(
            (name.removesuffix(" of said") for name in found.components.names),
            found.components.values,
        )
    )


def test_distances_by_hand() -> None:
    # Real: a, b, c a third each. Made: half a, half d; d is not known and counts as another word.
    found = patterns(["a b c"] * 60, ["a d"] * 60)
    assert found["words"] == pytest.approx(2 / 3)
    # No pair "a b" or "b c" is left.
    assert found["pairs of words"] == 1.0
    # Of 5 characters 1 is a, 1 b, 1 c, 2 blanks; of 3 one is a, one a blank, one is new.
    assert found["characters"] == pytest.approx(0.5 * (2 / 15 + 1 / 5 + 1 / 5 + 1 / 15 + 1 / 3))
    assert "whole texts" not in found  # one real text makes no clusters


def test_lengths_are_compared_in_bins_of_the_real_ones() -> None:
    real = ["x " * (1 + i % 10) for i in range(100)]
    assert patterns(real, real)["length"] == 0
    assert patterns(real, ["x " * 10] * 100)["length"] == pytest.approx(0.9)


def test_lengths_in_between_are_apart_by_their_cumulative_shares() -> None:
    # Real: 1 to 10 words, a tenth each; made: 5 or 6. At most 4 words have .4 of the real ones and none.
    real = ["x " * (1 + i % 10) for i in range(100)]
    assert patterns(real, ["x " * 5, "x " * 6] * 50)["length"] == pytest.approx(0.4)


def test_texts_that_end_where_no_real_one_does_are_counted() -> None:
    found = patterns(["go to the inn", "go to the bar"] * 40, ["go to the inn", "go to the"] * 40)
    assert found["unknown last words"] == pytest.approx(0.5)


def test_numbers_are_compared_by_their_size() -> None:
    real = ["room 12 on 3"] * 60
    assert patterns(real, ["room 15 on 3"] * 60)["numbers"] == 0
    # Of two numbers one begins with another digit.
    assert patterns(real, ["room 92 on 3"] * 60)["numbers"] == pytest.approx(0.5)
    assert "numbers" not in patterns(["no number"] * 60, ["no number"] * 60)


def test_near_repeats_are_no_repeats() -> None:
    real = [f"word{i} and word{i + 500} came in" for i in range(100)]
    made = [
        f"word{i // 2} and word{i // 2 + 500} came {'in' if i % 2 else 'out'}" for i in range(100)
    ]
    found = patterns(real, made)
    assert (found["repeats"], found["near repeats"]) == (0.0, 1.0)


def test_missing_texts_count_as_empty_ones() -> None:
    assert patterns(["one two"] * 60, [None] * 60)["words"] == 1.0
    assert patterns([None] * 60, [None] * 60)["words"] == 0.0


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 20), st.integers(0, 20)), min_size=2, max_size=6))
def test_the_frontier_is_symmetric_and_between_0_and_1(counts: list[tuple[int, int]]) -> None:
    table = np.array(counts, dtype=float) + np.array([[1e-9, 1e-9]])
    p, q = (table / table.sum(axis=0)).T
    area = frontier_area(p[None], q[None])[0]
    assert -1e-9 <= area <= 1 + 1e-9
    assert area == pytest.approx(frontier_area(q[None], p[None])[0], abs=1e-9)


def test_the_frontier_is_that_of_scipys_divergences() -> None:
    p, q = np.array([0.7, 0.2, 0.1]), np.array([0.1, 0.3, 0.6])
    points = [(1.0, 0.0)]
    for weight in np.linspace(0, 1, 27)[1:-1]:
        mixed = weight * p + (1 - weight) * q
        points.append((np.exp(-5 * entropy(q, mixed)), np.exp(-5 * entropy(p, mixed))))
    x, y = np.array([*points, (0.0, 1.0)]).T
    expected = -trapezoid(y, x)
    assert frontier_area(p[None], q[None])[0] == pytest.approx(expected, abs=1e-12)


def test_what_it_lacks_is_said() -> None:
    with pytest.raises(NotMeasurable, match="at least 50 texts"):
        patterns(["a"] * 60, ["a"] * 10)


@pytest.fixture(scope="module")
def intents() -> list[tuple[str, str]]:
    if not SNIPS.exists():
        pytest.skip("the SNIPS intents are not beside the project")
    found = []
    for file in sorted(SNIPS.glob("train_*_full.json")):
        intent = file.stem.split("_")[1]
        (queries,) = json.loads(file.read_text("latin-1")).values()
        for query in queries:
            found.append((intent, "".join(part["text"] for part in query["data"])))
    order = np.random.default_rng(0).permutation(len(found))
    return [found[i] for i in order[:9_000]]


def _judged(intents: list[tuple[str, str]], spoil: Callable[[str, str], str | None]):
    train, holdout, fresh = (intents[i::3] for i in range(3))
    made = [text for intent, line in fresh if (text := spoil(intent, line)) is not None]
    sides = [texts([line for _, line in part]) for part in (train, holdout)]
    (score,) = measure(
        train=sides[0],
        synthetic=texts(made),
        holdout=sides[1],
        metrics=[("gap.texts", Texts())],
        seed=1,
        cache=REAL_RESULTS,
    )
    return score


@pytest.mark.slow
def test_unseen_real_texts_are_not_different(intents) -> None:
    assert _judged(intents, lambda _, line: line).verdict != "different"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("fault", "pattern"),
    [
        (lambda _, line: " ".join(sorted(line.split())), "pairs of words of said"),
        (lambda _, line: line.upper(), "characters of said"),
        (lambda _, line: line + " please", "words of said"),
        (lambda _, line: " ".join(line.split()[:4]), "length of said"),
        (lambda intent, line: None if intent == "PlayMusic" else line, "whole texts of said"),
    ],
    ids=["word order", "capitals", "a word more", "cut short", "an intent lacks"],
)
def test_faults_are_found_and_named(intents, fault, pattern) -> None:
    score = _judged(intents, fault)
    assert score.verdict == "different"
    assert pattern in score.finding(DifferentComponents).names


def told(texts: list[str], spans: list[list[dict]] | None = None) -> Dataset:
    columns: dict[str, object] = {"said": texts}
    fields = [Field(name="said", kind="text")]
    if spans is not None:
        columns["marks"] = spans
        fields.append(Field(name="marks", kind="spans"))
    return Dataset.from_arrow(pa.table(columns), Schema(tuple(fields)))


def measured(made: Dataset, real: Dataset) -> dict[str, float]:
    found = Texts(replicates=10).compute(Comparison(real, made, real), rng_for(1))
    return dict(found.facts["patterns"])


def test_lost_case_shows_in_the_shapes_of_words_alone() -> None:
    real = [f"Call {name} at noon" for name in ("Ann", "Bob", "Eve", "Dan")] * 25
    found = measured(told([text.lower() for text in real]), told(real))
    # Two of four words in "Aa" become "a".
    assert found["shapes of words of said"] == pytest.approx(0.5)
    assert found["words of said"] == 0.0


def test_repeats_and_poor_words_are_counted() -> None:
    real = [f"word{i} and word{i + 500} too" for i in range(100)]
    found = measured(told(real[:50] * 2), told(real))
    assert found["repeats of said"] == 1.0
    poor = measured(told([text.split()[0] + " and word and too" for text in real]), told(real))
    assert poor["repeats of said"] == 0.0
    assert poor["different words of said"] > 0.1


def test_span_patterns_see_labels_words_and_ends() -> None:
    texts = ["fly to Ulm", "fly to Rom"] * 50
    good = [[{"start": 7, "end": 10, "label": "city", "value": None}]] * 100
    real = told(texts, good)
    same = measured(told(texts, good), real)
    assert {name: same[name] for name in same if "marks" in name} == {
        "labels of marks": 0.0,
        "words of each label of marks": 0.0,
        "ends of marks": 0.0,
    }
    shifted = [[{**own[0], "start": 6, "end": 9}] for own in good]
    assert measured(told(texts, shifted), real)["ends of marks"] == 1.0
    lost = [own if i % 4 else [] for i, own in enumerate(good)]
    assert measured(told(texts, lost), real)["labels of marks"] == pytest.approx(0.25)
    wrong = [[{**own[0], "start": 0, "end": 3}] for own in good]
    assert measured(told(texts, wrong), real)["words of each label of marks"] == 1.0

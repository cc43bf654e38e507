"""Texts that give themselves away: what repeats itself is told and named, what does not is not."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pyarrow as pa
import pytest

from twinset.core.contracts import Comparison, NotMeasurable, Score
from twinset.core.data.dataset import Dataset
from twinset.core.data.schema import Field, Schema
from twinset.core.errors import ParameterError
from twinset.core.findings import TextFeatures
from twinset.core.seeding import rng_for
from twinset.evaluation.gap.text_classifier import TextClassifier
from twinset.measurement.harness import measure


def said(texts: Sequence[str | None]) -> Dataset:
    schema = Schema((Field(name="said", kind="text"),))
    return Dataset.from_arrow(pa.table({"said": pa.array(texts, pa.string())}), schema)


def spoken(n: int, seed: int) -> list[str]:
    rng = rng_for(seed, "spoken")
    words = [f"word{i}" for i in range(60)]
    return [f"Tell {' '.join(rng.choice(words, 6))} now" for _ in range(n)]


def judged(change: Callable[[str, int], str]) -> Score:
    (score,) = measure(
        train=said(spoken(400, 0)),
        synthetic=said([change(text, i) for i, text in enumerate(spoken(500, 1))]),
        holdout=said(spoken(1_000, 2)),
        metrics=[("gap.text_classifier", TextClassifier())],
        seed=3,
    )
    return score


def test_fresh_texts_are_as_good_as_real() -> None:
    assert judged(lambda text, i: text).verdict == "as good as real"


@pytest.mark.parametrize(
    ("change", "tell"),
    [
        (lambda text, i: f"{text} please" if i % 5 == 0 else text, '"please"'),
        (lambda text, i: f"<p>{text}" if i % 10 == 0 else text, '"<"'),
        (lambda text, i: text.lower() if i % 5 == 0 else text, "words like a at the beginning"),
        (lambda text, i: text[5:] if i % 5 == 0 else text, "words like a0 at the beginning"),
        (lambda text, i: "" if i % 10 == 0 else text, "no word at all"),
    ],
    ids=["courtesy", "markup", "case", "first word", "empty"],
)
def test_what_repeats_itself_gives_texts_away(change: Callable[[str, int], str], tell: str) -> None:
    score = judged(change)
    assert score.verdict == "different"
    assert tell in score.facts["features"]
    assert tell in score.finding(TextFeatures).features


def test_the_share_is_that_of_the_texts_with_the_fault() -> None:
    score = judged(lambda text, i: f"{text} please" if i % 5 == 0 else text)
    assert score.value == pytest.approx(0.2, abs=0.03)


def test_no_word_that_few_synthetic_texts_use_is_named() -> None:
    # "secret" is in every real text and in four synthetic ones.
    real = [f"{text} secret" for text in spoken(300, 1)]
    made = [f"{text} secret" if i < 4 else text for i, text in enumerate(spoken(300, 2))]
    found = TextClassifier().compute(Comparison(said(real), said(made), said(real)), rng_for(1))
    assert found.value > 0.9
    assert not any("secret" in tell for tell in found.facts["features"])


def test_what_it_lacks_is_said() -> None:
    few, none = said(["a b"] * 40), said([f"{i}" for i in range(90)])
    with pytest.raises(NotMeasurable, match="at least 50 texts"):
        TextClassifier().compute(Comparison(few, few, few), np.random.default_rng(0))
    same = TextClassifier().compute(Comparison(none, none, none), np.random.default_rng(0))
    assert same.value == 0.0
    with pytest.raises(ParameterError):
        TextClassifier(max_rows=10)

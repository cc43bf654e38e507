r"""Signs of templates (``(a|b)``, ``<y>``, ``\[``, ``{slot}``) in users' own examples are mere letters."""

from __future__ import annotations

import re
from typing import Any

import pyarrow as pa
from hypothesis import assume, given
from hypothesis import strategies as st

from twinset.core.data.dataset import Dataset
from twinset.core.data.schema import Field, Schema
from twinset.core.seeding import rng_for
from twinset.generators.text._induction.tokens import Lexicon, Sentence
from twinset.generators.text.learned import Learned

SIGNS = (
    "choose (a|b) for X now",
    "press <y> or <n> at X",
    r"escape \[ and \] before X",
    "fill {thing} into X please",
    "maybe [once ?0.3] more with X",
    r"a backslash \\ alone and X",
    "weights like (one|two *2) near X",
    "{{double}} braces {{ and }} for X",
    "a record {customer.name} of X",
    "<rule> (broken of X",
    "say 100 % *2 | ?0.5 | to X",
    "{customer#2.name|upper} and X",
)
VALUES = ("(a|b)", "<y>", r"\[", "{thing}", "[x ?0.5]", "plain")


def real_set(texts: list[str], values: list[str], label: str = "thing") -> Dataset:
    said, marks = [], []
    for text, value in zip(texts, values):
        at = text.rindex("X")
        said.append(text[:at] + value + text[at + 1 :])
        marks.append([{"start": at, "end": at + len(value), "label": label, "value": value}])
    schema = Schema((Field(name="said", kind="text"), Field(name="marks", kind="spans")))
    return Dataset.from_arrow(pa.table({"said": said, "marks": marks}), schema)


def written(real: Dataset, n: int, **settings: Any) -> list[dict[str, Any]]:
    fitted = Learned(**settings).fit(real, rng_for(1, "fit"))
    rows: list[dict[str, Any]] = fitted.sample(n, rng_for(1, "draw")).records.to_pylist()
    return rows


def with_hole(row: dict[str, Any]) -> str:
    (span,) = row["marks"]
    said: str = row["said"]
    assert said[span["start"] : span["end"]] == span["value"]
    return said[: span["start"]] + "X" + said[span["end"] :]


def test_a_sentence_that_is_followed_to_its_end_keeps_every_sign() -> None:
    real = real_set(list(SIGNS), [VALUES[k % 6] for k in range(len(SIGNS))])
    rows = written(real, 200, switch=0.0, borrow=0.0, max_similarity=1.0)
    assert {with_hole(row) for row in rows} == set(SIGNS)
    assert {row["marks"][0]["value"] for row in rows} == set(VALUES)


def test_recombined_sentences_hold_whole_pieces_of_real_ones_and_nothing_else() -> None:
    """Every token of a new text, with the blanks before it, stands so in a real text."""
    real = real_set(list(SIGNS), [VALUES[k % 6] for k in range(len(SIGNS))])
    pieces = {
        token.before + token.text
        for text in SIGNS
        for token in Sentence.from_text(0, 0, text, [], Lexicon({})).tokens
    }
    for row in written(real, 200, switch=0.8, borrow=0.5):
        for token in Sentence.from_text(0, 0, with_hole(row), [], Lexicon({})).tokens:
            assert token.before + token.text in pieces or token.text in pieces


def test_phrases_of_a_lexicon_are_letters_too() -> None:
    real = real_set([f"take (a|b) or stay {k} with X" for k in range(6)], list(VALUES))
    rows = written(real, 120, lexicon={"way": ["(a|b)", "<y>", r"\["]}, max_similarity=1.0)
    found = {re.match(r"take (\S+) or stay", row["said"]) for row in rows} - {None}
    assert {match[1] for match in found if match} == {"(a|b)", "<y>", r"\["}


def test_names_of_labels_are_letters_too() -> None:
    for label in ["(a|b)", "<y>", "x ?0.3", "{n}"]:
        rows = written(real_set(list(SIGNS), ["one"] * len(SIGNS), label), 30, max_similarity=1.0)
        assert {span["label"] for row in rows for span in row["marks"]} == {label}


@given(st.text(alphabet=r"ab (|)<>[]{}\*?0.3#", min_size=1, max_size=24))
def test_any_text_of_such_signs_comes_back(text: str) -> None:
    assume(text.strip())
    schema = Schema((Field(name="said", kind="text"),))
    real = Dataset.from_arrow(pa.table({"said": [text]}), schema)
    (row,) = written(real, 1, switch=0.0, borrow=0.0, max_similarity=1.0)
    assert row["said"] == text.strip()

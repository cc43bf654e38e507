"""Canonical values, roles and groups that a set tells beside its spans stay with the right span."""

from __future__ import annotations

import json
from typing import Any

import pyarrow as pa
import pytest

from twinset.core.contracts import Augmenter
from twinset.core.data.dataset import Dataset
from twinset.core.data.schema import SPAN, Field, Schema
from twinset.core.errors import DataError
from twinset.core.seeding import rng_for
from twinset.registry import build

SCHEMA = Schema(
    (
        Field(name="text", kind="text"),
        Field(name="spans", kind="spans"),
        Field(name="span_facts", kind="id"),
    )
)
TEXTS = ["from Ulm to Köln, please go at once", "from Wien to Rome and then back again"]
TOWNS = [["Ulm", "Köln"], ["Wien", "Rome"]]
FACTS: list[list[dict[str, Any]]] = [
    [{"role": "start"}, {"canonical": "Cologne", "role": "end"}],
    [{"canonical": "Vienna", "role": "start"}, {"role": "end"}],
]


def found(facts: list[Any] = FACTS) -> Dataset:
    spans = [
        [{"start": x.index(t), "end": x.index(t) + len(t), "label": "c", "value": t} for t in own]
        for x, own in zip(TEXTS, TOWNS)
    ]
    table = {
        "text": TEXTS,
        "spans": pa.array(spans, pa.list_(SPAN)),
        "span_facts": [f if isinstance(f, str | None) else json.dumps(f) for f in facts],
    }
    return Dataset.from_arrow(pa.table(table), SCHEMA)


def varied(name: str, seed: int, **settings: Any) -> list[dict[str, Any]]:
    augmenter: Augmenter = build("augmenter", name, settings)
    data = found()
    made = augmenter.apply(data, augmenter.draw(data, rng_for(seed, name))).records.to_pylist()
    for row in made:
        row["facts"] = json.loads(row["span_facts"])
        assert len(row["facts"]) == len(row["spans"])
    return list(made)


def test_noise_keeps_what_a_value_was() -> None:
    off = dict.fromkeys(("contraction", "abbreviation", "homophone", "filler", "emoji"), 0.0)
    settings = {**off, "protect": "none", "case": 1.0}
    first, second = varied("text.noise", 0, **settings)
    assert first["facts"][0] == {"canonical": "Ulm", "role": "start"}
    assert first["facts"][1] == FACTS[0][1]
    assert [entry["canonical"] for entry in second["facts"]] == ["Vienna", "Rome"]
    assert [span["value"] for span in second["spans"]] != TOWNS[1]


def test_what_noise_leaves_alone_is_spelled_as_before() -> None:
    made = varied("text.noise", 0, protect="entities")
    assert [row["span_facts"] for row in made] == [json.dumps(own) for own in FACTS]


def test_a_swapped_value_brings_its_canonical_one_and_leaves_the_role() -> None:
    known = {"Ulm": None, "Köln": "Cologne", "Wien": "Vienna", "Rome": None}
    seen = set()
    for seed in range(20):
        for row, roles in zip(varied("text.entity_swap", seed), (["start", "end"],) * 2):
            for span, entry, role in zip(row["spans"], row["facts"], roles):
                assert entry.get("canonical") == known[span["value"]]
                assert entry["role"] == role
                seen.add(span["value"])
    assert seen == set(known)


def test_a_value_of_a_lexicon_has_no_canonical_one() -> None:
    (first, _) = varied("text.entity_swap", 0, lexicon={"c": ["Oslo"]})
    assert first["facts"] == [{"role": "start"}, {"role": "end"}]


def test_mixed_texts_tell_of_the_spans_that_they_hold() -> None:
    known = {t: f for towns, facts in zip(TOWNS, FACTS) for t, f in zip(towns, facts)}
    lengths = set()
    for seed in range(20):
        for row in varied("text.mix", seed, max_overlap=1.0):
            assert row["facts"] == [known[span["value"]] for span in row["spans"]]
            lengths.add(len(row["spans"]))
    assert lengths > {2}


def test_facts_that_do_not_fit_are_refused() -> None:
    for name in ["text.noise", "text.entity_swap", "text.mix"]:
        for wrong in ["[{}]", "[{}, 1]", "{}", "no JSON", "[{}, {}, {}]"]:
            data, augmenter = found([FACTS[0], wrong]), build("augmenter", name, {})
            with pytest.raises(DataError, match="row 1 of 'span_facts' does not fit its spans"):
                augmenter.apply(data, augmenter.draw(data, rng_for(0, name)))


def test_rows_without_facts_stay_without() -> None:
    data, augmenter = found([None, FACTS[1]]), build("augmenter", "text.noise", {})
    made = augmenter.apply(data, augmenter.draw(data, rng_for(0, "x"))).records
    assert made.column("span_facts").to_pylist()[0] is None

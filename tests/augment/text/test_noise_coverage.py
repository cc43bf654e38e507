"""Every template meets every kind of noise, over chunks too; what lacks is listed with its reason."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pytest

from twinset import run
from twinset.augment.text.noise import NOISES, Noise
from twinset.core.data.dataset import Dataset
from twinset.core.data.schema import Field, Schema
from twinset.core.errors import SchemaError
from twinset.core.seeding import rng_for

OFF = dict.fromkeys(NOISES, 0.0)
RARE = OFF | {"case": 1e-6, "typo": 1e-6, "emoji": 1e-6}
"""So rare that only a turn brings them."""


def texts_of(templates: list[str | None], text: str = "please do send it") -> Dataset:
    table = pa.table({"text": [text] * len(templates), "template": templates})
    return Dataset.from_arrow(
        table, Schema((Field(name="text", kind="text"), Field(name="template", kind="category")))
    )


def test_rows_of_a_template_alternate_among_the_kinds_over_chunks() -> None:
    noise = Noise(**RARE, cover="template")
    account = noise.open_account()
    assert account is not None
    texts: dict[str, list[str]] = {"a": [], "b": []}
    for k, names in enumerate((["a", "b"], ["b", "a"], ["a", "b"])):
        data = texts_of(list(names))
        made = account.apply(data, account.draw(data, rng_for(1, "noise", k)))
        for name, text in zip(names, made.records.column("text").to_pylist()):
            texts[name].append(text)
    for made_texts in texts.values():
        assert {kind_of(text) for text in made_texts} == {"emoji", "case", "typo"}
    assert account.gaps() == []
    assert account.notes() == ("Pairs of 'template' and kind of noise: 6 of 6 came together.",)


def kind_of(text: str) -> str:
    plain = "please do send it"
    if len(text) > len(plain):
        return "emoji"
    return "case" if text != plain and text.lower() == plain else "typo"


def test_a_turn_touches_one_unit_and_leaves_the_other_texts_to_the_rate() -> None:
    noise = Noise(**OFF | {"typo": 1e-6}, cover="template")
    made = noise.apply(data := texts_of(["a"] * 50), noise.draw(data, rng_for(3, "n")))
    for text in made.records.column("text").to_pylist():
        assert sum(x != y for x, y in zip(text, "please do send it")) == 1


def test_gaps_are_listed_with_their_reason() -> None:
    noise = Noise(**OFF | {"homophone": 0.5, "typo": 0.5, "diacritics": 0.5}, cover="template")
    account = noise.open_account()
    assert account is not None
    data = texts_of(["a", "a", "a", None], "zzz zzz")
    account.apply(data, account.draw(data, rng_for(1, "n")))
    (found,) = account.notes()
    # A row without a template has a single turn: the first kind's, which finds nothing.
    came_by_rate = found.split(": ", 1)[1].split(" ")[0]
    assert found.startswith(
        f"Pairs of 'template' and kind of noise: {came_by_rate} of 6 came together"
    )
    assert "a with homophone, diacritics (nothing to change)" in found
    assert "(none) with homophone (nothing to change)" in found
    assert "(none) with diacritics" in found
    assert "(too few rows)" in found


def test_without_synonyms_their_rate_counts_for_nothing() -> None:
    assert "synonym" not in Noise(cover="template").switched_on
    assert "synonym" in Noise(synonyms={"cheap": ["low-cost"]}).switched_on


def test_a_row_made_again_from_its_seed_is_the_same() -> None:
    noise = Noise(cover="template")
    data = texts_of(["a", "b", "a"])
    params = noise.draw(data, rng_for(5, "n"))
    made = noise.apply(data, params)
    for i in range(3):
        again = Noise.replay(noise.record(int(params["seed"][i])), data.slice(i, 1))
        assert again.records.column("text")[0] == made.records.column("text")[i]


def test_switched_off_it_changes_no_byte_and_promises_nothing() -> None:
    noise = Noise()
    assert noise.open_account() is None
    data = texts_of(["a"] * 20)
    seeds = noise.draw(data, np.random.default_rng(1))["seed"]
    assert np.array_equal(seeds, np.random.default_rng(1).integers(0, 2**31 - 1, 20))


def test_a_column_that_is_not_there_is_reported() -> None:
    noise = Noise(cover="templat")
    with pytest.raises(SchemaError, match=r"got templat; allowed: text, template; .*'template'"):
        noise.draw(texts_of(["a"]), rng_for(0, "n"))


@pytest.mark.parametrize("kind", ["text", "id"])
def test_values_of_rows_never_get_on_the_card(kind: Literal["text", "id"]) -> None:
    table = pa.table({"text": ["send it to Ann Ash"], "who": ["Ann Ash of Rome"]})
    fields = (Field(name="text", kind="text"), Field(name="who", kind=kind))
    data = Dataset.from_arrow(table, Schema(fields))
    account = Noise(**RARE, cover="who").open_account()
    assert account is not None
    with pytest.raises(SchemaError, match=f"'who'.*got a column of kind {kind}; allowed: cat") as e:
        account.draw(data, rng_for(0, "n"))
    assert "Ann" not in str(e.value)


RECIPE = """
name: noisy
seed: 3
brief: {task: intent, target: label, modality: text}
source:
  path: real.jsonl
  schema: {text: {kind: text}, template: {kind: category}}
split: {by: stratified, holdout_fraction: 0.25}
augment:
  - use: text.noise
    copies: 20
    with: {cover: template, diacritics: 0, ocr: 0.1}
evaluate: {metrics: []}
deliver: {to: out, formats: [jsonl]}
"""


def test_a_recipe_tells_what_came_on_the_card(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    rows: list[dict[str, Any]] = [
        {"text": f"I do not know, their order {i} is late as soon as possible", "template": name,
         "label": name[0]}
        for i in range(20) for name in ("a-1", "b-1")
    ]  # fmt: skip
    Path("real.jsonl").write_text("\n".join(map(json.dumps, rows)))
    Path("noisy.yaml").write_text(RECIPE)
    result = run("noisy.yaml")
    notes = json.loads((result.delivered / "cards.json").read_text())["synthetic"]["notes"]
    assert "Pairs of 'template' and kind of noise: 26 of 26 came together." in notes

"""A set beside its own Rasa file: the columns that Rasa lacks are set aside, and that is printed."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from twinset import evaluate
from twinset.core.data.dataset import Dataset
from twinset.core.errors import SchemaError
from twinset.ingest.input_table import reduce_to_texts
from twinset.io import read_dataset, write_dataset

CITIES = ("Rome", "Paris", "Oslo", "Bern", "Lima")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def rows(n: int = 120, seed: int = 0, text: str = "text", label: str = "label") -> list[dict]:
    rng = np.random.default_rng(seed)
    made = []
    for k in range(n):
        city = CITIES[rng.integers(5)]
        said = f"{'fly' if k % 2 else 'a bus'} to {city} on day {rng.integers(90)}"
        at = said.index(city)
        span = {"start": at, "end": at + len(city), "label": "city", "value": city}
        made.append(
            {text: said, "spans": [span], label: "air" if k % 2 else "road", "template": f"t{k % 4}",
             "cost": float(rng.normal())}
        )  # fmt: skip
    return made


def write(name: str, printed: list[dict]) -> Dataset:
    Path(f"{name}.jsonl").write_text("\n".join(map(json.dumps, printed)))
    return read_dataset(Path(f"{name}.jsonl"))


def rasa(name: str, data: Dataset, target: str | None = None) -> Path:
    path = Path(f"{name}.rasa.yml")
    if target:
        data = data.with_schema(data.schema.with_target(target))
    with pytest.warns(UserWarning, match="cannot hold"):
        write_dataset([data], path, "rasa")
    return path


def test_a_rasa_file_stands_beside_its_json_lines() -> None:
    path = rasa("real", write("real", rows(40)))
    report = evaluate("real.jsonl", path, quick=True)
    printed = report.to_json()
    assert (
        "real.rasa.yml: Rasa holds texts, spans and labels, so these alone are compared" in printed
    )
    assert "Not compared: template, cost." in printed
    assert "40 of 40 synthetic rows equal a real row" in printed
    back = evaluate(path, "real.jsonl", quick=True)
    assert "so these alone are compared" in back.to_json()


def test_columns_are_brought_to_the_names_of_the_real_set() -> None:
    data = write("real", rows(text="said", label="intent"))
    path = rasa("other", data, "intent")
    sides = reduce_to_texts(data, "real.jsonl", (path, None), "intent")
    (made, none) = sides.others
    assert none is None
    assert sides.real.schema.names == ("said", "spans", "intent")
    assert set(made.column_names) == {"said", "spans", "intent"}
    as_told = sorted(zip(*(data.records.column(n).to_pylist() for n in ("said", "intent"))))
    assert sorted(zip(made["said"].to_pylist(), made["intent"].to_pylist())) == as_told


def test_which_column_holds_the_labels_must_be_clear() -> None:
    data = write("real", rows(text="said", label="intent"))
    path = rasa("other", data, "intent")
    with pytest.raises(SchemaError, match="got intent, template; name it as the target"):
        reduce_to_texts(data, "real.jsonl", (path,), None)


def test_examples_without_any_entity_have_empty_spans() -> None:
    data = write("real", rows())
    Path("bare.yml").write_text(
        "nlu:\n- intent: air\n  examples: |\n    - fly home\n    - fly out\n"
    )
    (made,) = reduce_to_texts(data, "real.jsonl", (Path("bare.yml"),), None).others
    assert made["spans"].to_pylist() == [[], []]


def test_without_a_rasa_file_nothing_changes() -> None:
    data = write("real", rows())
    sides = reduce_to_texts(data, "real.jsonl", ("real.jsonl", None), None)
    assert (sides.real, sides.others, sides.notes) == (data, ("real.jsonl", None), ())

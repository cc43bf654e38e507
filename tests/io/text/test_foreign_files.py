"""Files of other tools, as they are found in the world."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from twinset.cli import main
from twinset.core.data.dataset import Dataset
from twinset.io import read_dataset

from .conftest import FORMATS, content, read_again, written


def texts(rows: Dataset) -> list[tuple[str, list[tuple[str, str]]]]:
    return [
        (row["text"], [(s["value"], s["label"]) for s in row["spans"]]) for row in content(rows)
    ]


def test_conll_2003_with_four_columns(tmp_path: Path) -> None:
    (tmp_path / "train.txt").write_bytes(
        b"\xef\xbb\xbf-DOCSTART- -X- -X- O\r\n\r\nEU NNP B-NP B-ORG\r\nrejects VBZ B-VP O\r\n"
        b"German JJ B-NP B-MISC\r\n\r\n# NN O O\r\nPeter NNP B-NP B-PER\r\nBlackburn NNP I-NP I-PER"
    )
    assert texts(read_dataset(tmp_path / "train.txt")) == [
        ("EU rejects German", [("EU", "ORG"), ("German", "MISC")]),
        ("# Peter Blackburn", [("Peter Blackburn", "PER")]),
    ]


def test_comments_become_columns(tmp_path: Path) -> None:
    (tmp_path / "a.conll").write_text(
        "# id = 5\n# intent = go\nRome _ _ B-city\n\n# id = 6\n# intent = go\nParis _ _ B-city\n"
    )
    rows = read_dataset(tmp_path / "a.conll").records.to_pylist()
    assert [(row["text"], row["intent"], str(row["id"])) for row in rows] == [
        ("Rome", "go", "5"),
        ("Paris", "go", "6"),
    ]


def test_tags_as_numbers_are_named_by_the_file_of_features(tmp_path: Path) -> None:
    rows = [{"id": "0", "tokens": ["in", "New", "York"], "ner_tags": [0, 1, 2]}]
    (tmp_path / "train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    feature = {"feature": {"names": ["O", "B-city", "I-city"], "_type": "ClassLabel"}}
    (tmp_path / "dataset_info.json").write_text(json.dumps({"features": {"ner_tags": feature}}))
    found = read_dataset(tmp_path / "train.jsonl")
    assert texts(found) == [("in New York", [("New York", "city")])]


RASA = """\
version: "3.1"
nlu:
- intent: no
  examples: |
    - not [today](time)
    # a remark

    - never, [NYC]{"entity": "city", "value": "New York City", "role": "to"}
- synonym: New York City
  examples: |
    - NYC
- intent: faq/ask
  examples:
  - text: |
      from [Rome](city:roma) [to Paris][{"entity": "city"}, {"entity": "way", "group": 2}]
    metadata: {sentiment: calm}
- regex: zip
  examples: |
    - \\d+
responses:
  utter_hi:
  - text: hi
"""


def test_rasa_in_all_its_spellings(tmp_path: Path) -> None:
    (tmp_path / "nlu.yml").write_text(RASA)
    found = read_dataset(tmp_path / "nlu.yml")
    assert texts(found) == [
        ("not today", [("today", "time")]),
        ("never, NYC", [("NYC", "city")]),
        ("from Rome to Paris", [("Rome", "city"), ("to Paris", "city"), ("to Paris", "way")]),
    ]
    assert found.records.column("label").to_pylist() == ["no", "no", "faq/ask"]
    notes = " ".join(found.card.notes)
    assert found.records.column("span_facts").to_pylist() == [
        "[{}]",
        '[{"canonical": "New York City", "role": "to"}]',
        '[{"canonical": "roma"}, {}, {"group": "2"}]',
    ]
    assert found.schema["span_facts"].kind == "id"
    assert "list of kind 'regex' (1 times)" in notes
    assert "metadata of an example (1 times)" in notes


def test_label_studio_takes_the_first_annotation_that_counts(tmp_path: Path) -> None:
    def result(label: str) -> list[dict[str, Any]]:
        value = {"start": 3, "end": 7, "text": "Rome", "labels": [label]}
        tone = {"type": "choices", "from_name": "tone", "value": {"choices": ["calm"]}}
        return [{"type": "labels", "from_name": "ner", "value": value}, tone]

    annotations = [
        {"was_cancelled": True, "result": result("none")},
        {"result": result("city")},
        {"result": result("name")},
    ]
    task = {"id": 9, "data": {"text": "to Rome"}, "annotations": annotations, "predictions": []}
    (tmp_path / "export.json").write_text(json.dumps([task]))
    found = read_dataset(tmp_path / "export.json")
    assert texts(found) == [("to Rome", [("Rome", "city")])]
    assert found.records.column("tone").to_pylist() == ["calm"]
    assert found.schema["tone"].kind == "category"
    assert "1 tasks have several annotations" in found.card.notes[0]


def test_real_conllu_comes_back_to_the_sign(shared_data: Path, tmp_path: Path) -> None:
    file = shared_data / "text" / "ud-ewt" / "en_ewt-ud-dev.conllu"
    rows = read_dataset(file)
    said = [
        line.removeprefix("# text = ")
        for line in file.read_text(encoding="utf-8").split("\n")
        if line.startswith("# text = ")
    ]
    assert len(rows) == len(said) == 2001
    differ = [
        k for k, (row, text) in enumerate(zip(content(rows), said)) if row["text"].rstrip() != text
    ]
    # A word of several tokens (1-2) has its white space told at the range, which no token says.
    assert len(differ) < 0.2 * len(said)


@pytest.fixture(scope="session")
def presidio(shared_data: Path) -> Dataset:
    """300 of Presidio's synthetic texts with their spans."""
    import pyarrow as pa

    told = json.loads(
        (shared_data / "text" / "presidio-synth" / "synth_dataset_v2.json").read_bytes()
    )
    rows = [
        {
            "text": one["full_text"],
            "spans": [
                {
                    "start": s["start_position"],
                    "end": s["end_position"],
                    "label": s["entity_type"],
                    "value": s["entity_value"],
                }
                for s in one["spans"]
            ],
            "label": f"template {one['template_id'] % 7}",
        }
        for one in told[:300]
    ]
    return Dataset.from_arrow(pa.Table.from_pylist(rows))


@pytest.mark.parametrize("word", FORMATS)
def test_texts_of_another_tool_come_back_whole(
    word: str, presidio: Dataset, tmp_path: Path
) -> None:
    path, losses = written(presidio, tmp_path, word)
    touched = {row for rows in losses.found.values() for row in rows}
    if word == "rasa":
        said = presidio.records.column("text").to_pylist()
        assert touched == {k for k, text in enumerate(said) if text != text.strip() or "\n" in text}
    else:
        assert len(touched) <= 3
        back, before = content(read_again(path, presidio)), content(presidio)
        assert [k for k, (a, b) in enumerate(zip(back, before)) if a != b] == sorted(touched)


def test_texts_beside_numbers_are_varied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    lines = [f"# stars = {k % 7}\nin O\ntown{k} B-city\n" for k in range(40)]
    Path("real.conll").write_text("\n".join(lines))
    assert main(["init", "real.conll"]) == 0
    assert "- use: text.noise\n    copies: 1" in Path("recipe.yaml").read_text()
    assert main(["run", "recipe.yaml", "--dry-run"]) == 0


@pytest.mark.parametrize("name", ["real.conll", "nlu.yml"])
def test_real_sets_enter_by_the_same_comparison(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    if name == "real.conll":
        lines = [
            f"# intent = {'go' if k % 2 else 'stay'}\nin O\ntown{k} B-city\n" for k in range(60)
        ]
        Path(name).write_text("\n".join(lines))
    else:
        go = "".join(f"    - to [town{k}](city) now\n" for k in range(30))
        stay = "".join(f"    - stay in [town{k}](city)\n" for k in range(30))
        Path(name).write_text(
            f"nlu:\n- intent: go\n  examples: |\n{go}- intent: stay\n  examples: |\n{stay}"
        )
    assert main(["register", name, "--name", "said"]) == 0
    assert main(["deliver", "said", "out", "--real", "--format", "bilou"]) == 0
    assert len(read_dataset(Path("out/said.bilou"))) == 60
    assert main(["init", name]) == 0
    assert "60 rows" in capsys.readouterr().out
    assert "- use: text.learned\n    rows: 60" in Path("recipe.yaml").read_text()
    assert main(["run", "recipe.yaml", "--dry-run"]) == 0
    if name == "nlu.yml":  # the other file is the same table from here on
        assert main(["evaluate", name, name, "--quick"]) in (0, 3)
        assert "privacy.exact_copies" in capsys.readouterr().out

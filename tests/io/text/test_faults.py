"""Bad files are told in a sentence with file and line, or read without what is bad when that is asked."""

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path

import pytest

from twinset.core.data.dataset import Card
from twinset.core.errors import DataError
from twinset.io import read_dataset

GOOD_CONLL = "Rome B-city\nis O\n\n"
GOOD_RASA = "nlu:\n- intent: go\n  examples: |\n    - fly to [Rome](city)\n"
TASK = {"data": {"text": "fly to Rome"}}


def conllu(*tokens: str) -> str:
    return "".join(f"{k}\t{word}" + "\t_" * 8 + "\n" for k, word in enumerate(tokens, 1)) + "\n"


def tokens(*rows: dict) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


def task(*spans: dict, **more: object) -> dict:
    result = [{"type": "labels", "from_name": "spans", "value": span} for span in spans]
    return {**TASK, "annotations": [{"result": result, **more}]}


GOOD_ROW = {"tokens": ["fly", "to", "Rome"], "ner_tags": ["O", "O", "B-city"]}
ROME = {"start": 7, "end": 11, "labels": ["city"], "text": "Rome"}

FAULTS = [
    ("a.conll", GOOD_CONLL + "fly O\nRome I-city\n", r"a.conll, line 5: I-city follows no token"),
    ("a.conll", GOOD_CONLL + "fly\tO\nRome\n", r"line 5: it has one column"),
    ("a.conll", GOOD_CONLL + "fly O\nRome city\n", r"line 5: its tag is none; allowed: O"),
    ("a.bilou", "Rome U-city\n\nNew B-city\nYork O\n", r"a.bilou, line 4: O stands where"),
    ("a.bilou", "Rome U-city\n\nNew B-city\n", r"line 3: the text ends inside a span"),
    ("a.bioes", "Rome S-city\n\nNew U-city\n", r"line 1: S-city is no tag of BILOU"),
    ("a.conllu", conllu("fly") + "1\tto\n\n", r"a.conllu, line 3: it has 2 columns; allowed: 10"),
    ("a.yml", GOOD_RASA + "    - to [Rome]{city}\n", r"a.yml, line 5: what stands in braces .* JSON"),
    ("a.yml", GOOD_RASA + '    - to [Rome]{"role": "x"}\n', r"line 5: .* names no 'entity'"),
    ("a.yml", GOOD_RASA + '    - [Rome]{"entity": "c", "role": "\\ud83d"}\n', r"line 5: .* half a sign"),
    ("a.yml", GOOD_RASA + f'    - to [Rome]{{"entity": {"[" * 3000}}}\n', r"line 5: .* is no JSON"),
    ("a.yml", GOOD_RASA + "    to Rome\n", r"line 5: an example does not begin with '-'"),
    ("a.yml", GOOD_RASA + "- examples: |\n    - hi\n", r"line 5: it has no 'intent'"),
    ("a.yml", GOOD_RASA + "- intent: hi\n", r"line 5: it has no name of an intent, or no 'examples'"),
    ("a.jsonl", tokens(GOOD_ROW, GOOD_ROW | {"ner_tags": ["O"]}), r"line 2: it has 3 tokens and 1"),
    ("a.jsonl", tokens(GOOD_ROW, {"tokens": "fly"}), r"line 2: it has no lists 'tokens' and 'ner_t"),
    ("a.jsonl", tokens(GOOD_ROW) + "{no\n", r"a.jsonl, line 2: it is no JSON object"),
    ("a.jsonl", tokens(GOOD_ROW, GOOD_ROW | {"ner_tags": ["O", "I-x", "O"]}), "line 2, token 1: I-x"),
    ("a.jsonl", tokens(GOOD_ROW, GOOD_ROW | {"text": "fly at Rome", "starts": [0, 4, 7]}),
     r"line 2: its tokens do not stand in its text"),
    ("a.jsonl", tokens(GOOD_ROW, {"tokens": ["b", "a"], "ner_tags": ["B-x", "I-x"], "text": "a b",
                                  "starts": [2, 0]}),
     r"line 2: its tokens do not stand in its text"),
    ("a.jsonl", tokens(GOOD_ROW, {"tokens": ["ab"], "ner_tags": ["B-x"], "text": "abc",
                                  "starts": [-3]}),
     r"line 2: its tokens do not stand in its text"),
    ("a.jsonl", tokens(GOOD_ROW, {"tokens": ["", "a"], "ner_tags": ["B-x", "O"]}),
     r"line 2: a token that is empty has a tag"),
    ("a.json", json.dumps([TASK, {"data": {}}]), r"a.json, task 1: it has no 'data' with a 'text'"),
    ("a.json", json.dumps([TASK, task(ROME | {"end": 99})]), r"task 1: the span \[7, 99\) leaves"),
    ("a.json", json.dumps([TASK, task(ROME | {"start": 6})]), r"task 1: the span \[6, 11\) is not"),
    ("a.json", json.dumps([TASK, task({"labels": ["x"]})]), r"task 1: a span has no 'start'"),
    ("a.json", json.dumps([TASK, TASK | {"annotations": 5}]), r"task 1: its 'annotations' are no"),
    ("a.json", json.dumps([TASK, TASK | {"annotations": [{"result": 5}]}]), r"task 1: the 'result'"),
    ("a.jsonl", '{"text": "to Rome", "spans": []}\n\n'
     '{"text": "to Rome", "spans": [{"start": 3, "end": 8, "label": "city"}]}\n',
     r"a.jsonl, line 3: the span \[3, 8\) does not lie in its text of 7 characters"),
    ("a.jsonl", '{"text": "to Rome", "spans": []}\n'
     '{"text": "👍 Rome", "spans": [{"start": 3, "end": 7, "label": "c", "value": "Rome"}]}\n',
     r"line 2: the span \[3, 7\) does not lie"),
    # Rows that share a line, or fill several, are told by their numbers.
    ("a.jsonl", '{"text": "to Rome", "spans": []}'
     '{"text": "to Rome", "spans": [{"start": 3, "end": 8, "label": "city"}]}\n',
     r"a.jsonl, row 1 \(counted from 0\): the span \[3, 8\)"),
    ("a.jsonl", '{"text": "to Rome",\n"spans": []}\n'
     '{"text": "to Rome", "spans": [{"start": 3, "end": 8, "label": "city"}]}\n',
     r"a.jsonl, row 1 \(counted from 0\): the span \[3, 8\)"),
    ("a.jsonl", '{"text": "to Rome", "spans": []}\n'
     '{"text": "👍 Rome!", "spans": [{"start": 3, "end": 7, "label": "c", "value": "Rome"}]}\n',
     r"line 2: the span \[3, 7\) is not where its value stands; .* UTF-16"),
]  # fmt: skip


def test_a_fault_is_reported_with_file_and_line_or_left_out(tmp_path: Path) -> None:
    for number, (name, text, words) in enumerate(FAULTS):
        folder = tmp_path / str(number)
        folder.mkdir()
        file = folder / name
        file.write_text(text, encoding="utf-8")
        with pytest.raises(DataError, match="holds one fault") as caught:
            read_dataset(file)
        said = str(caught.value)
        assert caught.match(words)
        assert "\n" not in said
        assert "on_fault: skip" in said
        left = read_dataset(file, on_fault="skip")
        assert len(left) == 1
        assert [note for note in left.card.notes if note.startswith("left out when read")]


WHOLE = [
    ("a.conll", b"Rome B-city\nM\xfcnchen B-city\n", r"a.conll', line 2 is not encoded in UTF-8.*iconv"),
    ("a.conll", b"", "is empty"),
    ("a.conll", b"\n\n", "holds no text that can be used"),
    ("a.yml", b"nlu: [\n- a", r"'a.yml' cannot be read; got line 2: this is not YAML"),
    ("a.yml", b"name: x\nstories: []\n", "'a.yml' holds no NLU data; allowed: a list 'nlu'"),
    ("a.yml", b"nlu: \x00\n", "'a.yml' cannot be read; .*this is not YAML"),
    ("a.yml", b"nlu:\n- lookup: city\n  examples: |\n    - Rome\n", "holds no text that can be used"),
    ("a.json", b'[{"data": {"text": "x"}', "'a.json' is no JSON"),
    ("a.json", b'[{"data": ' + b"[" * 100_000, "'a.json' is no JSON; got line 1: .* too deep"),
    ("a.jsonl", b'{"tokens": ["a"], "ner_tags": [1]}\n', "line 1 are numbers, and nothing says"),
]  # fmt: skip


def test_a_file_that_cannot_be_used_is_reported(tmp_path: Path) -> None:
    for number, (name, data, words) in enumerate(WHOLE):
        folder = tmp_path / str(number)
        folder.mkdir()
        (folder / name).write_bytes(data)
        with pytest.raises(DataError, match=words):
            read_dataset(folder / name)


@pytest.mark.skipif(find_spec("spacy") is None, reason="spaCy is not installed")
def test_a_docbin_that_is_none_is_reported(tmp_path: Path) -> None:
    (tmp_path / "a.spacy").write_bytes(b"no bin at all")
    with pytest.raises(DataError, match=r"'a.spacy' cannot be read as a DocBin"):
        read_dataset(tmp_path / "a.spacy")


def test_no_message_holds_a_token_of_the_file(tmp_path: Path) -> None:
    (tmp_path / "a.conll").write_text("Jane I-name\nDoe x\n")
    with pytest.raises(DataError) as caught:
        read_dataset(tmp_path / "a.conll")
    assert "Jane" not in str(caught.value)
    assert "Doe" not in str(caught.value)


def test_the_line_of_a_fault_is_that_of_the_file_as_it_is_now(tmp_path: Path) -> None:
    good, bad = ({"text": "a", "spans": [{"start": 0, "end": n, "label": "x"}]} for n in (1, 9))
    for n_good in (1, 3):
        (tmp_path / "a.jsonl").write_text(tokens(*[good] * n_good, bad))
        with pytest.raises(DataError, match=f"a.jsonl, line {n_good + 1}: the span"):
            read_dataset(tmp_path / "a.jsonl")


def test_a_card_that_is_given_keeps_its_notes(tmp_path: Path) -> None:
    (tmp_path / "a.conll").write_text(GOOD_CONLL + "fly O\nRome I-city\n")
    card = Card(name="mine", origin="real", notes=("from the archive",))
    first, more = read_dataset(tmp_path / "a.conll", card=card, on_fault="skip").card.notes
    assert first == "from the archive"
    assert "I-city" in more

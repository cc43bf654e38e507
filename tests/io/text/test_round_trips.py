"""What a format holds comes back exactly; of every other row the writer says by number that it does not."""

from __future__ import annotations

import json
import tempfile
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from twinset.core.data.dataset import Dataset
from twinset.core.data.schema import Field, Schema
from twinset.core.errors import DataError, FormatLossWarning, SchemaError
from twinset.io import read_dataset, write_dataset
from twinset.io.formats import writable_formats
from twinset.io.writer import RoundTripLosses

from .conftest import AWKWARD, FORMATS, content, read_again, spanned, text_set, written
from .test_tokens import SIGNS

ROW_EXCLUDED = "the row is left out"


def touched(losses: RoundTripLosses) -> set[int]:
    return {row for rows in losses.found.values() for row in rows}


def left_out(losses: RoundTripLosses) -> set[int]:
    return {k for what, rows in losses.found.items() if what.startswith(ROW_EXCLUDED) for k in rows}


def as_read(rows: Dataset, losses: RoundTripLosses, word: str) -> list[int]:
    """Return the numbers of the rows in the order in which the file gives them back."""
    kept = [k for k in range(len(rows)) if k not in left_out(losses)]
    if word != "rasa":
        return kept
    labels = rows.records.column("label").to_pylist()
    order = list(dict.fromkeys(labels[k] for k in kept))
    return sorted(kept, key=lambda k: order.index(labels[k]))


def check(rows: Dataset, word: str, folder: Path) -> RoundTripLosses:
    """Hold the file against the rows: exact where nothing is said to be lost."""
    path, losses = written(rows, folder, word, pieces=3)
    order = as_read(rows, losses, word)
    assert losses.n_rows == len(rows)
    assert losses.n_whole == len(rows) - len(touched(losses))
    if not order:
        return losses
    back = content(read_again(path, rows))
    assert len(back) == len(order)
    before = content(rows)
    for row, k in zip(back, order):
        for span in row["spans"]:
            assert row["text"][span["start"] : span["end"]] == span["value"]
            assert span["value"]
        expected = {key: before[k][key] for key in row}
        assert (row == expected) == (k not in touched(losses)), (k, word)
    return losses


@pytest.mark.parametrize("word", FORMATS)
def test_awkward_texts_come_back_or_are_reported(
    word: str, awkward: Dataset, tmp_path: Path
) -> None:
    losses = check(awkward, word, tmp_path)
    assert not left_out(losses)
    # Marks of a word, a line of its own: all that these texts hold and a format may not.
    expected = {"rasa": {1, 8}}.get(word, set())
    assert touched(losses) == expected


SPANS = st.lists(
    st.tuples(st.integers(0, 30), st.integers(1, 12), st.sampled_from("ab")), max_size=4
)
ROWS = st.lists(
    st.tuples(
        st.one_of(st.lists(SIGNS, max_size=30).map("".join), st.text(max_size=20)),
        SPANS,
        st.sampled_from(["ask", "tell", "on", None]),
    ),
    min_size=1,
    max_size=8,
)


@pytest.mark.parametrize("word", FORMATS)
@given(drawn=ROWS)
def test_nothing_is_lost_unsaid(word: str, drawn: list) -> None:
    rows = []
    for text, places, label in drawn:
        spans = [
            {"start": a, "end": min(a + n, len(text)), "label": kind}
            for a, n, kind in places
            if a < len(text)
        ]
        rows.append((text, [{**s, "value": text[s["start"] : s["end"]]} for s in spans], label))
    with tempfile.TemporaryDirectory() as folder:
        check(text_set(rows), word, Path(folder))


NESTED = "fly to New York City at 5pm"


@pytest.mark.parametrize("word", FORMATS)
def test_nested_and_misaligned_spans_are_reported_by_row(word: str, tmp_path: Path) -> None:
    inner, outer = spanned(NESTED, "New York", "city"), spanned(NESTED, "New York City", "place")
    rows = text_set(
        [
            (NESTED, [outer], "go"),
            (NESTED, [inner, outer], "go"),
            (NESTED, [spanned(NESTED, "5", "hour")], "go"),
        ]
    )
    _, losses = written(rows, tmp_path, word)
    nested = {"labelstudio": set(), "spacy": set()}.get(word, {1})
    cut = {"labelstudio": set(), "rasa": set()}.get(word, {2})
    assert touched(losses) == nested | cut
    told = losses.sentence()
    assert ("nested" in told) == bool(nested)
    assert ("widened" in told) == bool(cut)
    assert "New York" not in json.dumps(losses.to_json()) + told
    if cut:
        back = content(read_dataset(tmp_path / f"set.{word}"))
        assert back[2]["spans"][0]["value"] == "5pm"


@pytest.mark.parametrize("word", FORMATS)
def test_equal_rows_give_equal_bytes_in_any_chunks(
    word: str, awkward: Dataset, tmp_path: Path
) -> None:
    one, many = (written(awkward, tmp_path / str(pieces), word, pieces)[0] for pieces in (1, 5))
    files = [sorted(p for p in [path, *path.rglob("*")] if p.is_file()) for path in (one, many)]
    assert files[0]
    assert [f.read_bytes() for f in files[0]] == [f.read_bytes() for f in files[1]]


@pytest.mark.parametrize(
    "word", [word for word in writable_formats("text") if word not in ("spacy", "rasa")]
)
def test_lineage_comes_back(word: str, awkward: Dataset, tmp_path: Path) -> None:
    n = len(awkward)
    parents = [["a-1", "a-2"] if k % 2 else [] for k in range(n)]
    rows = awkward.with_reserved(ids=[f"s-{k}" for k in range(n)], parents=parents)
    path, losses = written(rows, tmp_path, word)
    assert not losses.found
    back = read_dataset(path).records
    assert back.column("_id").to_pylist() == [f"s-{k}" for k in range(n)]
    assert back.column("_parents").to_pylist() == parents
    assert set(back.column("_origin").to_pylist()) == {"real"}


@pytest.mark.parametrize("word", ["csv", "jsonl"])
def test_tables_give_spans_back_without_being_reported_the_schema(
    word: str, awkward: Dataset, tmp_path: Path
) -> None:
    write_dataset([awkward], tmp_path / f"set.{word}", word)
    back = read_dataset(tmp_path / f"set.{word}")
    assert back.schema["spans"].kind == "spans"
    told = [(row["text"], row["spans"]) for row in content(back)]
    assert told == [(row["text"], row["spans"]) for row in content(awkward)]


def test_rasa_leaves_out_what_it_would_read_as_entities(tmp_path: Path) -> None:
    rows = text_set(
        [
            ("see [this](link) now", [], "ask"),
            ("see this", [], "ask"),
            ("", [], "ask"),
            ("no intent", [], None),
            ("a [b] c", [spanned("a [b] c", "[b]", "x")], "ask"),
            ("a\x07 bell", [], "ask"),
        ]
    )
    path, losses = written(rows, tmp_path, "rasa")
    assert left_out(losses) == {0, 2, 3, 4, 5}
    assert [row["text"] for row in content(read_dataset(path))] == ["see this"]
    assert "rows stand by label" in losses.sentence()
    assert "not kept: weight, urgent" in losses.sentence()


def test_rasa_needs_a_label(awkward: Dataset, tmp_path: Path) -> None:
    with pytest.raises(SchemaError, match="files texts by intent"):
        written(awkward.select(["text", "spans"]), tmp_path, "rasa")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("word", ["tokens", "labelstudio"])
def test_no_other_column_takes_the_place_of_the_text(
    word: str, awkward: Dataset, tmp_path: Path
) -> None:
    records = awkward.to_arrow().select(["text", "spans", "label"])
    records = records.rename_columns(["said", "spans", "text"])
    schema = awkward.schema
    said = replace(schema["text"], name="said"), replace(schema["label"], name="text")
    rows = Dataset.from_arrow(records, Schema((said[0], schema["spans"], said[1])))
    with pytest.raises(SchemaError, match=f"the format '{word}' needs: 'text'"):
        written(rows, tmp_path, word)


def test_names_of_columns_that_do_not_come_back_are_reported(
    awkward: Dataset, tmp_path: Path
) -> None:
    records = awkward.to_arrow().rename_columns(["said", "marks", "about", "weight", "urgent"])
    schema = awkward.schema
    for old, new in (("text", "said"), ("spans", "marks"), ("label", "about")):
        field = schema[old]
        renamed = Field(name=new, kind=field.kind, role=field.role, nullable=field.nullable)
        fields = tuple(renamed if f.name == old else f for f in schema.fields)
        schema = type(schema)(fields)
    path, losses = written(Dataset.from_arrow(records, schema), tmp_path, "conll")
    assert losses.columns == [
        "the column 'said' comes back as 'text'",
        "the column 'marks' comes back as 'spans'",
    ]
    assert read_dataset(path).schema.names == ("text", "spans", "about", "weight", "urgent")


def test_losses_are_reported_once_when_the_file_is_done(tmp_path: Path) -> None:
    rows = text_set([(NESTED, [spanned(NESTED, "5", "hour")], "go")] * 7)
    with pytest.warns(FormatLossWarning) as caught:
        write_dataset([rows, rows], tmp_path / "set.conll", "conll")
    (said,) = caught
    assert "14 rows, counted from 0: 0, 1, 2, 3, 4, ..." in str(said.message)
    assert "0 of 14 rows come back exactly" in str(said.message)


@pytest.mark.parametrize("word", FORMATS)
def test_a_failed_writing_leaves_nothing(word: str, awkward: Dataset, tmp_path: Path) -> None:
    odd = awkward.schema["text"]
    nullable = Field(name=odd.name, kind=odd.kind)
    table = awkward.to_arrow().slice(0, 2).to_pydict() | {"text": ["fine", None], "spans": [[], []]}
    broken = Dataset.from_arrow(pa.table(table), awkward.schema.with_field(nullable))
    with pytest.raises(DataError, match="row 1 has no text"):
        written(broken, tmp_path, word)
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(find_spec("spacy") is None, reason="spaCy is not installed")
def test_spacy_reads_what_is_written(tmp_path: Path) -> None:
    import spacy
    from spacy.tokens import DocBin

    rows = text_set(
        [
            (text, [spanned(text, v, "thing") for v in values], "ask" if i % 2 else "tell")
            for i, (text, values) in enumerate(AWKWARD)
        ]
    )
    path, _ = written(rows, tmp_path, "spacy")
    docs = list(DocBin().from_disk(path).get_docs(spacy.blank("en").vocab))
    for doc, row in zip(docs, content(rows)):
        assert doc.text == row["text"]
        assert [(e.start_char, e.end_char, e.label_) for e in doc.ents] == [
            (s["start"], s["end"], s["label"]) for s in row["spans"]
        ]
        assert doc.cats == {
            "ask": float(row["label"] == "ask"),
            "tell": float(row["label"] == "tell"),
        }


def facts_set(*cells: str | None) -> Dataset:
    text = "fly from NYC to Rome"
    marks = [spanned(text, "NYC", "city"), spanned(text, "Rome", "city")]
    rows = text_set([(text, marks, "go")] * len(cells))
    column = pa.array(cells, pa.string())
    return replace(
        rows,
        records=rows.records.append_column("span_facts", column),
        schema=rows.schema.with_field(Field(name="span_facts", kind="id")),
    )


def test_rasa_keeps_role_group_and_what_a_value_stands_for(tmp_path: Path) -> None:
    told = '[{"canonical": "New York", "role": "from"}, {"role": "to", "group": "a: (b)"}]'
    rows = facts_set(told, "[{}, {}]", '[{}, {"canonical": "Roma"}]')
    path, losses = written(rows, tmp_path, "rasa")
    assert losses.n_whole == 3
    lines = path.read_text(encoding="utf-8").split("\n")
    assert lines[4] == (
        '    - fly from [NYC]{"entity": "city", "value": "New York", "role": "from"} to '
        '[Rome]{"entity": "city", "role": "to", "group": "a: (b)"}'
    )
    assert lines[5] == "    - fly from [NYC](city) to [Rome](city)"
    back = read_dataset(path)
    assert back.records.column("span_facts").to_pylist() == (
        rows.records.column("span_facts").to_pylist()
    )
    # Read again and written again, the file is the same to the byte.
    again, _ = written(back, tmp_path, "rasa")
    assert again.read_text(encoding="utf-8").split("\n") == lines


def test_facts_that_rasa_cannot_hold_are_reported_by_row(tmp_path: Path) -> None:
    rows = facts_set(
        '[{"role": "a}b"}, {}]',  # the brace ends what Rasa reads
        '[{"note": "new"}, {"role": "to"}]',  # a key that Rasa does not know
        '[{"role": "to"}]',  # one entry for two spans
        "no JSON",
        '[{"role": "to"}, {}]',
    )
    path, losses = written(rows, tmp_path, "rasa")
    (what,) = losses.found
    assert "facts of its spans" in what
    assert losses.found[what] == [0, 1, 2, 3]
    assert len(read_dataset(path)) == 5


def test_a_sign_that_ends_a_line_of_yaml_spoils_no_file(tmp_path: Path) -> None:
    """Neither in what is told of a span nor in its label: all other rows would be lost with it."""
    for number, sign in enumerate(["\u2028", "\x7f", "\x85", "\ufffe"]):
        folder = tmp_path / str(number)
        folder.mkdir()
        rows = facts_set(json.dumps([{"canonical": f"New{sign}York"}, {}]))
        path, losses = written(rows, folder, "rasa")
        assert losses.n_whole == 1
        assert read_dataset(path).records.column("span_facts").to_pylist() == [
            json.dumps([{"canonical": f"New{sign}York"}, {}], ensure_ascii=False)
        ]
        label = f"big{sign}city"
        path, losses = written(
            text_set([("to Rome", [spanned("to Rome", "Rome", label)], "go")]), folder, "rasa"
        )
        assert losses.n_whole == 1
        assert read_dataset(path).records.column("spans")[0].as_py()[0]["label"] == label


def test_facts_that_tell_nothing_leave_plain_marks(tmp_path: Path) -> None:
    path, losses = written(facts_set("[{}, {}]"), tmp_path, "rasa")
    assert "not kept: span_facts, which is empty for every span" in losses.columns
    assert "{" not in path.read_text(encoding="utf-8")


def test_what_is_reported_spans_is_no_class_of_texts_when_read(tmp_path: Path) -> None:
    rows = facts_set(*['[{"role": "from"}, {}]'] * 40)
    for word in ("jsonl", "conll"):
        write_dataset([rows], tmp_path / f"a.{word}", word)
        assert read_dataset(tmp_path / f"a.{word}").schema["span_facts"].kind == "id"


def test_conllu_marks_every_space_that_is_not_one_blank_between_words(tmp_path: Path) -> None:
    write_dataset([text_set([("Pay  it, now", [], "go")])], tmp_path / "a.conllu", "conllu")
    lines = (tmp_path / "a.conllu").read_text(encoding="utf-8").splitlines()
    marks = [line.split("\t")[9] for line in lines if "\t" in line]
    assert marks == ["SpacesAfter=\\s\\s", "SpaceAfter=No", "_", "_"]

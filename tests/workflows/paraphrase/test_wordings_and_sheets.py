"""Templates in plain words, and files of templates in every way that they are written."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twinset.core.errors import DataError, ParameterError, RecipeError
from twinset.workflows.paraphrase import endpoint
from twinset.workflows.paraphrase.requests import variants_in
from twinset.workflows.paraphrase.sheet import (
    MEANINGFUL,
    PLACEHOLDER,
    Variant,
    Wording,
    normalize_wording,
    parse_sheet,
    read_sheet,
)


def test_a_template_in_plain_words() -> None:
    for template, text in [
        ("Where is {it}?", "Where is {it}?"),
        ("<hello>, [please ?0.3] send {a.b} to {c#2}", "<hello>, please send {a.b} to {c#2}"),
        ("(yes *2|no|(a|b) c) to {x}", "yes to {x}"),
        ("[(so|then) ]go (to {x})", "so go (to {x})"),
        ("it costs 5 * 3 {x}?", "it costs 5 * 3 {x}?"),
        (r"5 \* {x} \(net\)", "5 * {x} (net)"),
        ("no {{braces}} {x}", None),
        (r"no \[brackets\] {x}", None),
        ("lame [bracket {x}", None),
        ("lame (bracket {x}", "lame (bracket {x}"),
        ("sad :( about [{x} ]now", "sad :( about {x} now"),
        ("lame (one|two {x}", None),
        ("lame {x", None),
        ("a < b {x}", None),
        ("{x} {y}", None),
        ("", None),
    ]:
        wording = Wording.from_template(template)
        assert (wording and wording.text) == text


PARTS = st.sampled_from(["{a}", "{b}", "<r>", "word", " ", "?", "[", "|", "\\", "{", "}", "<", "é"])


@given(st.lists(PARTS, max_size=12).map("".join))
def test_what_is_accepted_reads_as_the_same_placeholders(reply: str) -> None:
    wording = Wording.from_template("say {a} and {b} by <r>")
    assert wording is not None
    if wording.refusal(reply, {normalize_wording(wording.text)}):
        return
    again = Wording.from_template(reply)
    assert again is not None
    assert Counter(again.placeholders) == Counter(wording.placeholders)
    assert not set(MEANINGFUL) & set(PLACEHOLDER.sub("", again.text))


LIKE = Variant('other "{x}"', "d" * 64)

FILES = {
    "lists": "a:\n  - one {x}\n  - 'two {x}'   # said\nno:\n- three {x}\n",
    "flow": "a: ['one {x}', \"two {x}\"]\nno: ['three {x}']\n",
    "key": "slots: {x: [1]}\ntemplates:\n  a:\n  - one {x}\n  - two {x}\n  no:\n  - three {x}\nrules: {}",
    "labels with keys": "templates:\n  a: {share: 2, templates: ['one {x}', 'two {x}']}\n"
    "  no:\n    tone: calm\n    templates:\n      - three {x}",
    "templates with keys": "templates:\n  a:\n  - {text: 'one {x}', weight: 2}\n  - text: two {x}\n"
    "    weight: 3\n\n  # others\n  no:\n  - weight: 1\n    text: three {x}\n",
    "blocks": "a:\n- |-\n  one {x}\n- >-\n  two\n  {x}\nno:\n- three {x}",
    "recipe": "name: r\ngenerate:\n- use: tabular.trees\n- use: text.templates\n  rows: 5\n  with:\n"
    "    templates:\n      a: ['one {x}', 'two {x}']\n      no:\n        - three {x}\n"
    "    slots: {x: [1]}\n",
    "windows": "a:\r\n- one {x}\r\n- two {x}\r\nno:\r\n- three {x}\r\n",
}  # fmt: skip


def test_wordings_are_put_into_every_kind_of_file(tmp_path: Path) -> None:
    for text in FILES.values():
        (tmp_path / "t.yaml").write_bytes(b"\xef\xbb\xbf" * (text[0] == "a") + text.encode())
        sheet = read_sheet(tmp_path / "t.yaml")
        said = ["one {x}", "two {x}", "three {x}"]
        assert [(i.label, i.number, i.text) for i in sheet.items] == [
            ("a", 1, said[0]), ("a", 2, said[1]), ("no", 1, said[2])
        ]  # fmt: skip
        written = sheet.with_variants(
            {1: [LIKE, Variant("#3 {x}: so", "e" * 64)], 2: [LIKE]}, ["head"]
        )
        assert written.startswith("# head\n")
        assert [item.text for item in parse_sheet(written, "t").items] == [
            *said[:2], LIKE.text, "#3 {x}: so", said[2], LIKE.text,
        ]  # fmt: skip
        kept = [line for line in sheet.text.splitlines() if "[" not in line]
        assert [line for line in written.splitlines() if line in kept] == kept


def test_a_list_that_stands_twice_is_asked_about_once() -> None:
    sheet = parse_sheet("a: &same\n- one {x}\nb: *same\n", "t")
    assert [item.label for item in sheet.items] == ["a"]


WRONG = [
    ("a: [one", "t.yaml:1: this is not YAML"),
    ("a:\n- one\na:\n- two\n", "t.yaml:3: a: this key stands here twice"),
    ("a:\n- one\n- [two]\n", "t.yaml:3: template 2 of 'a' is no text"),
    ("templates:\n  a: one\n", "t.yaml:2: the label 'a' has no list of templates"),
    ("just words", "'t.yaml' holds no templates; allowed: a recipe"),
    ("", "'t.yaml' holds no templates"),
    ("name: x\ngenerate:\n- use: text.templates\n", "'t.yaml' holds no templates"),
    ("name: x\nseed: 3\n", "'t.yaml' holds no templates"),
    (
        "generate:\n- use: text.templates\n  with: {grammar: g.yaml}\n",
        "'t.yaml' holds no templates of its own; got grammar: g.yaml; ask about that file",
    ),
]


def test_files_without_templates_are_reported(tmp_path: Path) -> None:
    for text, words in WRONG:
        (tmp_path / "t.yaml").write_text(text)
        with pytest.raises(RecipeError) as caught:
            read_sheet(tmp_path / "t.yaml")
        assert str(caught.value).startswith(words)


def test_files_that_cannot_be_read_are_reported(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot read"):
        read_sheet(tmp_path / "none.yaml")
    (tmp_path / "t.yaml").write_bytes(b"a:\n- caf\xe9\n")
    with pytest.raises(DataError, match="line 2 is not encoded in UTF-8"):
        read_sheet(tmp_path / "t.yaml")


def test_answers_without_a_list_are_no_answers() -> None:
    for answer in [
        "",
        "no",
        "{}",
        '{"variants": []}',
        '{"variants": [1]}',
        '{"variants": "a"}',
        "[[]]",
    ]:
        with pytest.raises(ValueError, match="no JSON with a list"):
            variants_in(answer)


def test_an_address_with_half_a_bracket_is_reported() -> None:
    with pytest.raises(ParameterError, match="the base URL is no address"):
        endpoint.Endpoint(base_url="http://[::1")


def test_waits_are_seconds_or_a_date() -> None:
    soon = datetime.now(UTC) + timedelta(seconds=30)
    assert 25 < (endpoint._seconds(format_datetime(soon)) or 0) <= 30
    past = datetime.now(UTC) - timedelta(days=1)
    assert endpoint._seconds(format_datetime(past, usegmt=True)) == 0
    assert [endpoint._seconds(found) for found in ("2.5", "-1", "soon", None, "")] == [
        2.5,
        0,
        None,
        None,
        None,
    ]


def test_shipped_files_go_by_their_names_unless_a_file_is_called_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert read_sheet(Path("support.fr")).name == "support.fr.yaml"
    assert read_sheet(Path("support_tickets")).items
    Path("support.fr").write_text("a:\n- one {x}\n")
    assert [item.text for item in read_sheet(Path("support.fr")).items] == ["one {x}"]

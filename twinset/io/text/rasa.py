"""Rasa's NLU training data: examples by intent, entities as ``[value](entity)`` inside them."""

from __future__ import annotations

import json
import re
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from twinset.core.data.schema import SPAN_FACTS
from twinset.core.errors import DataError, SchemaError
from twinset.core.untrusted import check_keys, compose_yaml, parse_json
from twinset.io.faults import Faults
from twinset.io.text.rows import RoundTrip, Row, TextColumns, TextRows, TextWriter, read_utf8
from twinset.io.text.spans import LABEL, Span, facts_cell, span_at

_ENTITY = re.compile(
    r"\[(?P<value>[^\]]+?)\]"
    r"(?:\((?P<name>[^:)]+?)(?::(?P<synonym>[^)]+))?\)|(?P<one>\{[^}]+?\})|(?P<many>\[\{.*?\}\]))"
)
_BLANKS = " \r\n"  # what Rasa strips from the ends of an example; other white space stays
_OTHERS = ("synonym", "regex", "lookup")
_HALF_A_SIGN = re.compile(
    "[\ud800-\udfff]"
)  # JSON can write one half of a UTF-16 pair, which is no text
_FACTS = {
    "value": "canonical",
    "role": "role",
    "group": "group",
}  # Rasa's key -> key in `span_facts`
_KEYS = {key: rasa for rasa, key in _FACTS.items()}

# Examples of an intent in memory before they go to its temporary file: 100 intents of 1,000 examples of
# 100 bytes are 10 MB.
_LINES_AT_ONCE = 1_000
_PLAIN_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_/-]*")
_YAML_WORDS = frozenset({"y", "n", "yes", "no", "on", "off", "true", "false", "null"})
_BREAKS = re.compile("[\n\r\x0b\x0c\x1c-\x1e\x85\u2028\u2029]")
_NOT_YAML = re.compile("[^\t\x20-\x7e\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]|\ufeff")

_MARKUP = "marks of Rasa's own in its text would be read as entities"
_SIGNS = "its text is empty or holds a sign that YAML cannot hold"
_NO_LABEL = "it has no label, and Rasa files examples by intent"
_ONE_LINE = "line breaks are written as blanks, and blanks at the ends are stripped"
_LOST_FACTS = "facts of its spans beside label and value are not all kept"
_NESTED = "a span that shares characters with another one is left out (nested or crossing)"

Fact = dict[str, str]
_SpanFact = tuple[Span, Fact]


def read_rasa(path: Path, faults: Faults) -> TextRows:
    """Return the examples of an NLU file with their intents.

    The value of a span is its text. The canonical value, role and group of an entity come into the column
    `span_facts`, if any entity has one. Lists of synonyms, regexes and lookups are counted and not kept.

    Examples
    --------
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = Path(folder, "nlu.yml")
    ...     _ = file.write_text('nlu:\\n- intent: go\\n  examples: |\\n    - to [Rome](city)\\n')
    ...     row = read_rasa(file, Faults()).rows[0]
    >>> row.text, row.cells, row.spans
    ('to Rome', {'label': 'go'}, [{'start': 3, 'end': 7, 'label': 'city', 'value': 'Rome'}])
    """
    name, rows, all_facts, unread = path.name, list[Row](), list[list[Fact]](), Counter[str]()
    for node in _entries(read_utf8(path), name):
        keys = _mapping(node)
        place = f"{name}, line {node.start_mark.line + 1}"
        intent, examples = keys.get("intent"), keys.get("examples")
        other = next((key for key in _OTHERS if key in keys), "")
        if intent is None and other:
            unread[f"list of kind '{other}'"] += 1
        elif intent is None:
            faults.add(place, "it has no 'intent'")
        elif not isinstance(intent, yaml.ScalarNode) or not intent.value or examples is None:
            faults.add(place, "it has no name of an intent, or no 'examples'")
        else:
            for line, example in _example_lines(examples, unread):
                with faults.caught(f"{name}, line {line}"):
                    if not example.startswith("-"):
                        raise DataError("an example does not begin with '-'")
                    row, facts = _parse_example(example[1:].strip(_BLANKS))
                    row.cells[LABEL] = intent.value
                    rows.append(row)
                    all_facts.append(facts)
    if any(map(any, all_facts)):
        for row, facts in zip(rows, all_facts):
            row.cells[SPAN_FACTS] = facts_cell(facts)
    notes = tuple(f"not kept of {name}: {kind} ({count} times)" for kind, count in unread.items())
    return TextRows(rows, notes, LABEL, any(row.spans for row in rows))


def _entries(text: str, name: str) -> list[yaml.Node]:
    try:
        root = compose_yaml(text)
        check_keys(root)
    except ValueError as error:
        raise DataError(f"'{name}' cannot be read", got=str(error)) from None
    nlu = _mapping(root).get("nlu") if root is not None else None
    if not isinstance(nlu, yaml.SequenceNode):
        raise DataError(
            f"'{name}' holds no NLU data", allowed="a list 'nlu' of intents with their examples"
        )
    return list(nlu.value)


def _mapping(node: yaml.Node) -> dict[str, yaml.Node]:
    pairs = node.value if isinstance(node, yaml.MappingNode) else []
    return {key.value: value for key, value in pairs if isinstance(key, yaml.ScalarNode)}


def _example_lines(node: yaml.Node, unread: Counter[str]) -> Iterator[tuple[int, str]]:
    """Yield line and text of each example, in both of Rasa's notations."""
    if isinstance(node, yaml.SequenceNode):
        for item in node.value:
            keys = _mapping(item)
            text = keys.get("text", item)
            if "metadata" in keys:
                unread["metadata of an example"] += 1
            if isinstance(text, yaml.ScalarNode):
                yield text.start_mark.line + 1, f"- {text.value}"
        return
    if not isinstance(node, yaml.ScalarNode):
        return
    # The content of a block begins on the line after its bar.
    first = node.start_mark.line + (2 if node.style in ("|", ">") else 1)
    for k, line in enumerate(node.value.split("\n")):
        stripped = line.strip(_BLANKS)
        if stripped and not stripped.startswith("#"):
            yield first + k, stripped


def _parse_example(example: str) -> tuple[Row, list[Fact]]:
    """Return the row of an example, and the facts of each span; raise DataError if it is none.

    Examples
    --------
    >>> _parse_example('to [NYC]{"entity": "city", "value": "New York", "role": "goal"}')[1]
    [{'canonical': 'New York', 'role': 'goal'}]
    """
    text, places, facts, end = "", list[tuple[int, int, str]](), list[Fact](), 0
    for match in _ENTITY.finditer(example):
        text += example[end : match.start()]
        for label, fact in _entities(match):
            places.append((len(text), len(text) + len(match["value"]), label))
            facts.append(fact)
        text += match["value"]
        end = match.end()
    text += example[end:]
    if not text:
        raise DataError("an example is empty")
    return Row(text, [span_at(text, *place) for place in places]), facts


def _entities(match: re.Match[str]) -> list[tuple[str, Fact]]:
    """Return label and facts of the entities at one place."""
    if match["name"] is not None:
        return [(match["name"], {"canonical": match["synonym"]} if match["synonym"] else {})]
    try:
        entries: Any = parse_json(match["one"] or match["many"])
    except ValueError:
        raise DataError("what stands in braces behind an entity is no JSON") from None
    found = []
    for entry in entries if isinstance(entries, list) else [entries]:
        name = entry.get("entity") if isinstance(entry, dict) else None
        if not isinstance(name, str) or not name:
            raise DataError("what stands in braces behind a value names no 'entity'")
        fact = {ours: entry[key] for key, ours in _FACTS.items() if entry.get(key) is not None}
        for key, value in fact.items():
            if isinstance(value, bool) or not isinstance(value, str | int | float):
                raise DataError(f"the {key} of an entity is neither text nor number")
            fact[key] = value if isinstance(value, str) else json.dumps(value)
        if any(map(_HALF_A_SIGN.search, (name, *fact.values()))):
            raise DataError("what stands in braces behind an entity holds half a sign")
        found.append((name, fact))
    return found


class RasaWriter(TextWriter):
    """Writes intents with their examples, entities as ``[value](entity)``, with facts as JSON after them.

    Lines are kept in a file for each intent until the end. A text that Rasa would misread is left out and
    counted.
    """

    def begin(self, columns: TextColumns) -> None:
        """Report the columns that Rasa cannot hold."""
        if not columns.label:
            raise SchemaError(
                "the format 'rasa' files texts by intent, and the set has no such column",
                allowed="one column of labels, or a target",
                todo="name the target column",
            )
        self._label = columns.label
        self._intents: dict[str, list[str]] = {}
        self._any_fact = False
        self._parts = Path(tempfile.mkdtemp(prefix=".rasa-", dir=self.draft.parent))
        self._has_facts = SPAN_FACTS in columns.others
        kept = (self._label, SPAN_FACTS)
        lost = [name for name in columns.others if name not in kept and name[:1] != "_"]
        if lost:
            self.losses.add_column(f"not kept: {', '.join(lost)}")
        if self._label != LABEL:
            self.losses.add_column(f"the column '{self._label}' comes back as '{LABEL}'")
        self.losses.add_column(
            "rows stand by label, not in their order; ids and parents are not kept"
        )

    def put(self, row: Row) -> RoundTrip:
        """Append one example."""
        intent = row.cells.get(self._label)
        if intent is None or not intent.strip():
            return RoundTrip(None, {"row": _NO_LABEL})
        facts = _facts_of(row) if self._has_facts else None
        text, spans, reasons = _on_one_line(row, facts or [{} for _ in row.spans])
        disjoint = _without_overlap(spans)
        if not text or _NOT_YAML.search(text + intent):
            return RoundTrip(None, {"row": _SIGNS})
        # A brace in a fact ends the JSON early for Rasa: then the row goes without facts.
        without = [(span, Fact()) for span, _ in disjoint]
        for marked in (disjoint, without):
            example = _with_markup(text, marked)
            try:
                back, read = _parse_example(example)
                break
            except DataError:
                continue
        else:
            return RoundTrip(None, {"row": _MARKUP})
        if back.text != text or back.spans != [span for span, _ in disjoint]:
            return RoundTrip(None, {"row": _MARKUP})
        lines = self._intents.setdefault(intent, [])
        lines.append(f"    - {example}\n")
        if len(lines) >= _LINES_AT_ONCE:
            self._flush(intent)
        if len(disjoint) < len(spans):
            reasons["spans"] = _NESTED
        # Only what was read back differently is a loss of this row: the rest is reported for all rows.
        cells = dict(row.cells)
        if SPAN_FACTS in cells and read != facts:
            cells[SPAN_FACTS], reasons["cells"] = facts_cell(read), _LOST_FACTS
        self._any_fact = self._any_fact or any(read)
        return RoundTrip(Row(back.text, back.spans, cells), reasons)

    def finish(self) -> None:
        """Write all intents, in the order of their first example."""
        if self._has_facts and not self._any_fact:
            self.losses.add_column(f"not kept: {SPAN_FACTS}, which is empty for every span")
        with self.draft.open("wb") as out:
            out.write(b'version: "3.1"\nnlu:\n')
            for number, intent in enumerate(self._intents):
                self._flush(intent)
                is_plain = _PLAIN_NAME.fullmatch(intent) and intent.lower() not in _YAML_WORDS
                name = intent if is_plain else json.dumps(intent, ensure_ascii=False)
                out.write(f"- intent: {name}\n  examples: |\n".encode())
                with (self._parts / str(number)).open("rb") as lines:
                    shutil.copyfileobj(lines, out)

    def close(self) -> None:
        """Remove the temporary files."""
        super().close()
        if hasattr(self, "_parts"):
            shutil.rmtree(self._parts, ignore_errors=True)

    def _flush(self, intent: str) -> None:
        file = self._parts / str(list(self._intents).index(intent))
        with file.open("a", encoding="utf-8", newline="") as out:
            out.writelines(self._intents[intent])
        self._intents[intent].clear()


def _facts_of(row: Row) -> list[Fact] | None:
    """Return the facts of each span of a row; None if its cell does not hold one for each.

    Examples
    --------
    >>> rome = span_at("to Rome", 3, 7, "city")
    >>> _facts_of(Row("to Rome", [rome], {"span_facts": '[{"role": "goal"}]'}))
    [{'role': 'goal'}]
    """
    try:
        facts = parse_json(row.cells.get(SPAN_FACTS, "null"))
    except ValueError:
        return None
    if not isinstance(facts, list) or len(facts) != len(row.spans):
        return None
    plain = all(
        isinstance(one, dict) and all(isinstance(value, str) for value in one.values())
        for one in facts
    )
    return facts if plain else None


def _on_one_line(row: Row, facts: list[Fact]) -> tuple[str, list[_SpanFact], dict[str, str]]:
    """Return text and spans without line breaks and outer blanks, and the reasons for differences."""
    plain = _BREAKS.sub(" ", row.text)
    text = plain.strip(_BLANKS)
    cut = len(plain) - len(plain.lstrip(_BLANKS))
    moved = [(max(s["start"] - cut, 0), min(s["end"] - cut, len(text)), s) for s in row.spans]
    spans = [
        (span_at(text, a, b, s["label"]), fact) for (a, b, s), fact in zip(moved, facts) if a < b
    ]
    return text, spans, {} if text == row.text else {"text": _ONE_LINE}


def _without_overlap(spans: list[_SpanFact]) -> list[_SpanFact]:
    """Return spans that share no characters; the outer or earlier one has priority."""
    kept = list[_SpanFact]()
    for span, fact in sorted(spans, key=lambda one: (one[0]["start"], -one[0]["end"])):
        if not kept or span["start"] >= kept[-1][0]["end"]:
            kept.append((span, fact))
    return kept


def _with_markup(text: str, spans: list[_SpanFact]) -> str:
    pieces, at = list[str](), 0
    for span, fact in spans:
        label = span["label"]
        more = {_KEYS[key]: value for key, value in fact.items() if key in _KEYS}
        plain = not any(sign in label for sign in "():") and not _breaks_yaml(label) and not more
        entry = json.dumps({"entity": label, **more}, ensure_ascii=False)
        if _breaks_yaml(entry):
            entry = json.dumps({"entity": label, **more})
        named = f"({label})" if plain else entry
        pieces += (text[at : span["start"]], "[", text[span["start"] : span["end"]], "]", named)
        at = span["end"]
    return "".join([*pieces, text[at:]])


def _breaks_yaml(text: str) -> bool:
    """Return whether a text would end its line, or the whole file, in YAML."""
    return bool(_BREAKS.search(text) or _NOT_YAML.search(text))

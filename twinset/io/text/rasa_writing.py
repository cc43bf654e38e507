"""Write Rasa's NLU training data: one list of examples for each intent."""

from __future__ import annotations

import json
import re
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path

from twinset.core.data.schema import SPAN_FACTS
from twinset.core.errors import SchemaError
from twinset.io.text.rasa import BLANKS, Fact, parse_example
from twinset.io.text.rows import LABEL, Row, Span, TextColumns, facts_cell, facts_of, span_at
from twinset.io.text.writer import RoundTrip, TextWriter

_LINES_AT_ONCE = 1_000
_PLAIN_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_/-]*")
_YAML_WORDS = frozenset({"y", "n", "yes", "no", "on", "off", "true", "false", "null"})
_BREAKS = re.compile("[\n\r\x0b\x0c\x1c-\x1e\x85\u2028\u2029]")
_NOT_YAML = re.compile("[^\t\x20-\x7e\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]|\ufeff")

_MARKS = "marks of Rasa's own in its text would be read as entities"
_SIGNS = "its text is empty or holds a sign that YAML cannot say"
_NO_LABEL = "it has no label, and Rasa files examples by intent"
_ONE_LINE = "line breaks are written as blanks, and blanks at the ends are taken off"
_FACTS = "what is told of its spans beside label and value is not all held"
_KEYS = {"role": "role", "group": "group", "canonical": "value"}
_NESTED = "a span that shares characters with another one is left out (nested or crossing)"

_Told = tuple[Span, Fact]


class RasaWriter(TextWriter):
    """Intents with their examples, entities as ``[value](entity)``, with JSON behind where more is told.

    Lines are kept in a file for each intent until the end. A text that Rasa would read otherwise than
    it is meant is left out, and counted.
    """

    def begin(self, columns: TextColumns) -> None:
        """Note what Rasa has no place for."""
        if not columns.label:
            raise SchemaError(
                "the format 'rasa' files texts by intent, and the set has no such column",
                allowed="one column of labels, or a target",
                todo="name the target column",
            )
        self._label = columns.label
        self._intents: dict[str, list[str]] = {}
        self._any_fact = False
        self._parts = Path(tempfile.mkdtemp(prefix=".rasa-", dir=self.place.parent))
        self._facts = SPAN_FACTS in columns.others
        held = (self._label, SPAN_FACTS)
        lost = [name for name in columns.others if name not in held and name[:1] != "_"]
        if lost:
            self.losses.column(f"not held: {', '.join(lost)}")
        if self._label != LABEL:
            self.losses.column(f"the column '{self._label}' comes back as '{LABEL}'")
        self.losses.column("rows stand by label, not in their order; ids and parents are not held")

    def put(self, row: Row) -> RoundTrip:
        """Keep one example."""
        intent = row.cells.get(self._label)
        if intent is None or not intent.strip():
            return RoundTrip(None, {"row": _NO_LABEL})
        facts = facts_of(row) if self._facts else None
        text, told, why = _on_one_line(row, facts or [{} for _ in row.spans])
        flat = _apart(told)
        if not text or _NOT_YAML.search(text + intent):
            return RoundTrip(None, {"row": _SIGNS})
        example = _marked(text, flat)
        back, read, fault = parse_example(example)
        if fault and any(fact for _, fact in flat):
            # A brace in what is told ends it early for Rasa: the row goes without.
            example = _marked(text, [(span, {}) for span, _ in flat])
            back, read, fault = parse_example(example)
        if fault or back.text != text or back.spans != [span for span, _ in flat]:
            return RoundTrip(None, {"row": _MARKS})
        lines = self._intents.setdefault(intent, [])
        lines.append(f"    - {example}\n")
        if len(lines) >= _LINES_AT_ONCE:
            self._flush(intent)
        if len(flat) < len(told):
            why["spans"] = _NESTED
        # Only what was read back differently is a loss of this row: the rest is said of all rows.
        cells = dict(row.cells)
        if SPAN_FACTS in cells and read != facts:
            cells[SPAN_FACTS], why["cells"] = facts_cell(read), _FACTS
        self._any_fact = self._any_fact or any(read)
        return RoundTrip(Row(back.text, back.spans, cells), why)

    def finish(self) -> None:
        """Write all intents, in the order of their first example."""
        if self._facts and not self._any_fact:
            self.losses.column(f"not held: {SPAN_FACTS}, which tells nothing of any span")
        with self.place.open("wb") as out:
            out.write(b'version: "3.1"\nnlu:\n')
            for number, intent in enumerate(self._intents):
                self._flush(intent)
                out.write(f"- intent: {_scalar(intent)}\n  examples: |\n".encode())
                with self._part(number).open("rb") as lines:
                    shutil.copyfileobj(lines, out)

    def close(self) -> None:
        """Take the parts away."""
        super().close()
        if self.columns is not None and hasattr(self, "_parts"):
            shutil.rmtree(self._parts, ignore_errors=True)

    def _flush(self, intent: str) -> None:
        number = list(self._intents).index(intent)
        with self._part(number).open("a", encoding="utf-8", newline="") as out:
            out.writelines(self._intents[intent])
        self._intents[intent].clear()

    def _part(self, number: int) -> Path:
        return self._parts / str(number)


def _on_one_line(row: Row, facts: list[Fact]) -> tuple[str, list[_Told], dict[str, str]]:
    """Return text and spans as they stand on a line of their own, and why they differ."""
    plain = _BREAKS.sub(" ", row.text)
    text = plain.strip(BLANKS)
    cut = len(plain) - len(plain.lstrip(BLANKS))
    moved = [(max(s["start"] - cut, 0), min(s["end"] - cut, len(text)), s) for s in row.spans]
    told = [
        (span_at(text, a, b, s["label"]), fact) for (a, b, s), fact in zip(moved, facts) if a < b
    ]
    return text, told, {} if text == row.text else {"text": _ONE_LINE}


def _apart(told: list[_Told]) -> list[_Told]:
    """Return spans of which no two share a character: the outer or earlier one is kept."""
    kept = list[_Told]()
    for span, fact in sorted(told, key=lambda one: (one[0]["start"], -one[0]["end"])):
        if not kept or span["start"] >= kept[-1][0]["end"]:
            kept.append((span, fact))
    return kept


def _marked(text: str, told: list[_Told]) -> str:
    pieces, at = list[str](), 0
    for span, fact in told:
        label = span["label"]
        more = {_KEYS[key]: value for key, value in fact.items() if key in _KEYS}
        plain = not any(sign in label for sign in "():") and not _odd(label) and not more
        named = f"({label})" if plain else _in_json({"entity": label, **more})
        pieces += (text[at : span["start"]], "[", text[span["start"] : span["end"]], "]", named)
        at = span["end"]
    return "".join([*pieces, text[at:]])


def _odd(text: str) -> bool:
    """Whether a text would end its line, or the whole file, for YAML."""
    return bool(_BREAKS.search(text) or _NOT_YAML.search(text))


def _in_json(entry: Mapping[str, str]) -> str:
    told = json.dumps(entry, ensure_ascii=False)
    return json.dumps(entry) if _odd(told) else told


def _scalar(intent: str) -> str:
    if _PLAIN_NAME.fullmatch(intent) and intent.lower() not in _YAML_WORDS:
        return intent
    return json.dumps(intent, ensure_ascii=False)

"""Read Rasa's NLU training data: examples by intent, entities as ``[value](entity)`` inside them."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import yaml

from twinset.core.data.schema import SPAN_FACTS
from twinset.core.errors import DataError
from twinset.io.text.rows import LABEL, Row, Span, facts_cell, span_at
from twinset.io.vision.faults import Faults

ENTITY = re.compile(
    r"\[(?P<value>[^\]]+?)\]"
    r"(?:\((?P<name>[^:)]+?)(?::(?P<synonym>[^)]+))?\)|(?P<one>\{[^}]+?\})|(?P<many>\[\{.*?\}\]))"
)
BLANKS = " \r\n"
"""What Rasa takes off the ends of an example; other white space stays."""

_OTHERS = ("synonym", "regex", "lookup")
_HALF_A_SIGN = re.compile("[\ud800-\udfff]")
"""JSON can say one half of a pair of UTF-16, which is no text."""

_FACTS = {"value": "canonical", "role": "role", "group": "group"}
"""What Rasa says of an entity -> what it is called in the column `span_facts`."""

Fact = dict[str, str]


@dataclass
class _Found:
    rows: list[Row] = field(default_factory=list)
    facts: list[list[Fact]] = field(default_factory=list)
    unkept: Counter[str] = field(default_factory=Counter)

    def add(self, row: Row, facts: list[Fact]) -> None:
        self.rows.append(row)
        self.facts.append(facts)

    def tell_facts(self) -> None:
        """Give every row a cell of facts, where any entity of the file has some."""
        if any(map(any, self.facts)):
            for row, facts in zip(self.rows, self.facts):
                row.cells[SPAN_FACTS] = facts_cell(facts)


def is_rasa(text: str) -> bool:
    """Return whether a YAML text has the key ``nlu`` at its head."""
    return re.search(r"^nlu\s*:", text, re.MULTILINE) is not None


def read_rasa(text: str, name: str, faults: Faults) -> tuple[list[Row], tuple[str, ...]]:
    """Return the examples of an NLU file with their intents, and what is not kept of it.

    The value of a span is what stands in the text. What an entity stands for, its role and its group
    come into the column `span_facts`, where any has one. Lists of synonyms, regexes and lookups are
    counted and not kept.

    Parameters
    ----------
    text : str
        Content of the file.
    name : str
        Its name, for faults.
    faults : Faults
        Takes what cannot be used, with file and line.

    Raises
    ------
    DataError
        The file is no YAML, or holds no list ``nlu``.

    Examples
    --------
    >>> said = 'nlu:\\n- intent: go\\n  examples: |\\n    - fly to [Rome](city)\\n'
    >>> row = read_rasa(said, "nlu.yml", Faults())[0][0]
    >>> row.text, row.cells, row.spans
    ('fly to Rome', {'label': 'go'}, [{'start': 7, 'end': 11, 'label': 'city', 'value': 'Rome'}])
    """
    found = _Found()
    for node in _entries(text, name):
        keys = _mapping(node)
        place = f"{name}, line {node.start_mark.line + 1}"
        intent, examples = keys.get("intent"), keys.get("examples")
        if intent is None:
            kind = next((key for key in _OTHERS if key in keys), "")
            if kind:
                found.unkept[f"list of kind '{kind}'"] += 1
            else:
                faults.add(place, "it has no 'intent'")
            continue
        if not isinstance(intent, yaml.ScalarNode) or not intent.value or examples is None:
            faults.add(place, "it has no name of an intent, or no 'examples'")
            continue
        for line, example in _examples(examples, found):
            row, facts, fault = Row(""), list[Fact](), "an example does not begin with '-'"
            if example.startswith("-"):
                row, facts, fault = parse_example(example[1:].strip(BLANKS))
            if fault:
                faults.add(f"{name}, line {line}", fault)
            else:
                row.cells[LABEL], row.line = intent.value, line
                found.add(row, facts)
    found.tell_facts()
    notes = tuple(
        f"not kept of {name}: {what} ({count} times)" for what, count in found.unkept.items()
    )
    return found.rows, notes


def _entries(text: str, name: str) -> list[yaml.Node]:
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        root = yaml.compose(text, Loader=loader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise DataError(
            f"'{name}', line {mark.line + 1 if mark else 1} is not YAML",
            got=str(error.problem or error.context),
        ) from None
    except yaml.YAMLError as error:
        raise DataError(
            f"'{name}' is not YAML", got="a character that is no text", todo="write the file again"
        ) from error
    nlu = _mapping(root).get("nlu") if root is not None else None
    if not isinstance(nlu, yaml.SequenceNode):
        raise DataError(
            f"'{name}' holds no NLU data", allowed="a list 'nlu' of intents with their examples"
        )
    return list(nlu.value)


def _mapping(node: yaml.Node) -> dict[str, yaml.Node]:
    pairs = node.value if isinstance(node, yaml.MappingNode) else []
    return {key.value: value for key, value in pairs if isinstance(key, yaml.ScalarNode)}


def _examples(node: yaml.Node, found: _Found) -> Iterator[tuple[int, str]]:
    """Yield line and text of each example, in both of Rasa's spellings."""
    if isinstance(node, yaml.SequenceNode):
        for item in node.value:
            keys = _mapping(item)
            text = keys.get("text", item)
            if "metadata" in keys:
                found.unkept["metadata of an example"] += 1
            if isinstance(text, yaml.ScalarNode):
                yield text.start_mark.line + 1, f"- {text.value}"
        return
    if not isinstance(node, yaml.ScalarNode):
        return
    # The content of a block begins on the line behind its bar.
    first = node.start_mark.line + (2 if node.style in ("|", ">") else 1)
    for k, line in enumerate(node.value.split("\n")):
        stripped = line.strip(BLANKS)
        if stripped and not stripped.startswith("#"):
            yield first + k, stripped


def parse_example(example: str) -> tuple[Row, list[Fact], str]:
    """Return the row of an example, the facts of each span, and what is wrong; empty when nothing is.

    Parameters
    ----------
    example : str
        The text with its entities marked.

    Examples
    --------
    >>> parse_example('to [NYC]{"entity": "city", "value": "New York", "role": "goal"}')[1]
    [{'canonical': 'New York', 'role': 'goal'}]
    """
    pieces, spans, facts, at, end = list[str](), list[Span](), list[Fact](), 0, 0
    for match in ENTITY.finditer(example):
        before, value = example[end : match.start()], match["value"]
        at += len(before)
        pieces += (before, value)
        told, fault = _entities(match)
        if fault:
            return Row(""), [], fault
        for label, fact in told:
            spans.append(Span(start=at, end=at + len(value), label=label, value=value))
            facts.append(fact)
        at += len(value)
        end = match.end()
    text = "".join([*pieces, example[end:]])
    if not text:
        return Row(""), [], "an example is empty"
    return Row(text, [span_at(text, s["start"], s["end"], s["label"]) for s in spans]), facts, ""


def _entities(match: re.Match[str]) -> tuple[list[tuple[str, Fact]], str]:
    """Return label and facts of what is marked at one place, and what is wrong with it."""
    if match["name"] is not None:
        return [(match["name"], {"canonical": match["synonym"]} if match["synonym"] else {})], ""
    try:
        told: Any = json.loads(match["one"] or match["many"])
    except (ValueError, RecursionError):
        return [], "what stands in braces behind an entity is no JSON"
    found = []
    for entry in told if isinstance(told, list) else [told]:
        name = entry.get("entity") if isinstance(entry, dict) else None
        if not isinstance(name, str) or not name:
            return [], "what stands in braces behind a value names no 'entity'"
        fact = {ours: entry[key] for key, ours in _FACTS.items() if entry.get(key) is not None}
        for key, value in fact.items():
            if isinstance(value, bool) or not isinstance(value, str | int | float):
                return [], f"the {key} of an entity is neither text nor number"
            fact[key] = value if isinstance(value, str) else json.dumps(value)
        if any(map(_HALF_A_SIGN.search, (name, *fact.values()))):
            return [], "what stands in braces behind an entity holds half a sign"
        found.append((name, fact))
    return found, ""

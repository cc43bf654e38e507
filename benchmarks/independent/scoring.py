"""Alarms of a report and the places they name, read from its JSON only."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

QUIET = ("as good as real", "cannot tell", "not measurable", "not measured")
# Findings that describe the comparison or give examples; they name no place.
NO_PLACE = (
    "ComparisonBasis",
    "DecidingRows",
    "ConfidentRows",
    "DetectableRegion",
    "NotMeasured",
    "UntestedColumns",
)


@dataclass(frozen=True)
class Alert:
    """A test that calls the candidate different."""

    metric: str
    family: str
    sentence: str
    place: str = ""  # JSON of the first thing its findings name, or its sentence
    names: tuple[str, ...] = ()  # columns in the place, in order
    rows: frozenset[int] = frozenset()  # row numbers that its findings name


def findings(report: Mapping[str, Any], columns: Sequence[str]) -> list[Alert]:
    """Return the findings of a report in its order; failed gates count."""
    found = [_finding(s, columns) for s in report["scores"] if s["verdict"] not in QUIET]
    failed = [json.dumps(gate) for gate in report["gates"] if gate.get("passed") is False]
    return found + [Alert("gate", "gate", text) for text in failed]


def _finding(score: Mapping[str, Any], columns: Sequence[str]) -> Alert:
    findings = [f for f in score.get("findings", ()) if f["type"] not in NO_PLACE]
    sentence = str(score.get("sentence", ""))
    texts = [json.dumps(unit, ensure_ascii=False) for f in findings for unit in _units(f)]
    place = next((text for text in texts if mentioned(text, columns)), sentence)
    rows = frozenset(row for finding in findings for row in _rows(finding))
    return Alert(score["metric"], score["family"], sentence, place, mentioned(place, columns), rows)


def mentioned(text: str, columns: Sequence[str]) -> tuple[str, ...]:
    """Return the columns whose names stand in a text as whole words, in their order there."""
    found = {n: re.search(rf"(?<![\w.]){re.escape(n)}(?!\w)", text) for n in columns}
    hits = {name: match.start() for name, match in found.items() if match}
    return tuple(sorted(hits, key=hits.__getitem__))


def _units(finding: Mapping[str, Any]) -> Iterator[Any]:
    """Yield the smallest parts of a finding that belong together: its own texts, entries of its lists."""
    flat = {k: v for k, v in finding.items() if isinstance(v, str) and k != "type"}
    short = {k: v for k, v in finding.items() if isinstance(v, list) and len(v) <= 5}
    if flat:
        yield {**flat, **{k: v for k, v in short.items() if all(isinstance(x, str) for x in v)}}
    for key, part in finding.items():
        if isinstance(part, Mapping):
            yield from ({name: cell} for name, cell in part.items())
        elif isinstance(part, list) and "row" not in key:
            yield from part


def _rows(value: Any, key: str = "") -> Iterator[int]:
    if isinstance(value, Mapping):
        for name, part in value.items():
            yield from _rows(part, name)
    elif isinstance(value, list):
        for part in value:
            yield from _rows(part, key)
    elif type(value) is int and "row" in key and not key.startswith("n_"):
        yield value


def rate(
    trial: Mapping[str, Any], found: Iterable[Alert], clean: Iterable[Alert], planted: Sequence[int]
) -> dict[str, Any]:
    """Return how well findings fit a trial; those that the clean candidate raises too do not count."""
    known = {(a.metric, a.names[:1]) for a in clean}
    families = trial.get("families") or {a.family for a in found}
    new = [a for a in found if (a.metric, a.names[:1]) not in known and a.family in families]
    firsts: dict[str, Alert] = {}
    for finding in new:
        if finding.names or finding.rows or _is_worded(trial, finding):
            firsts.setdefault(finding.family, finding)
    hits = [a for a in new if _fits(trial, a, planted)]
    row = {
        "found": bool(new),
        "right": any(a in hits for a in firsts.values()),
        "named": bool(hits),
    }
    if trial.get("slice"):
        row["slice_named"] = any(set(trial["slice"]) & set(a.names) for a in hits)
    return {**row, "by": [a.metric for a in new]}


def _is_worded(trial: Mapping[str, Any], finding: Alert) -> bool:
    text = f"{finding.metric} {finding.place} {finding.sentence}".replace("_", " ")
    return "words" in trial and bool(re.search(rf"\b(?:{trial['words']})", text, re.IGNORECASE))


def _fits(trial: Mapping[str, Any], finding: Alert, planted: Sequence[int]) -> bool:
    """Return whether an finding names a planted column first, fitting words, or mostly planted rows."""
    first = set(finding.names[: 2 if trial.get("slice") or len(finding.names) == 2 else 1])
    if first & {*trial.get("place", ()), *trial.get("slice", ())} & set(trial.get("place", ())):
        return True
    if finding.rows and len(finding.rows & set(planted)) * 2 >= len(finding.rows):
        return True
    return _is_worded(trial, finding)

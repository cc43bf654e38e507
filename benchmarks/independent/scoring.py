"""Alarms of a report and the places they name, read from its JSON only."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

QUIET = ("as good as real", "cannot tell", "not measurable", "not measured")
# Findings that describe the comparison or give examples; they name no place.
NO_PLACE = ("ComparisonBasis", "DecidingRows", "ConfidentRows", "DetectableRegion", "NotMeasured")


@dataclass(frozen=True)
class Alarm:
    """A test that calls the candidate different."""

    metric: str
    family: str
    place: str  # JSON of the first thing it names, or its sentence
    sentence: str
    names: tuple[str, ...] = ()  # columns in the place, in order
    rows: frozenset[int] = frozenset()  # row numbers that its findings name


def alarms(report: Mapping[str, Any], columns: Sequence[str]) -> list[Alarm]:
    """Return the alarms of a report in its order; failed gates count."""
    found = [_alarm(s, columns) for s in report["scores"] if s["verdict"] not in QUIET]
    for gate in report["gates"]:
        if gate.get("passed") is False:
            found.append(Alarm("gate", "gate", json.dumps(gate), json.dumps(gate)))
    return found


def _alarm(score: Mapping[str, Any], columns: Sequence[str]) -> Alarm:
    rows: set[int] = set()
    place, names = "", ()
    for finding in score.get("findings", ()):
        if finding["type"] in NO_PLACE:
            continue
        rows |= set(_rows(finding))
        for unit in _units(finding):
            text = json.dumps(unit, ensure_ascii=False)
            named = mentioned(text, columns)
            if named and not names:
                place, names = text, named
    sentence = str(score.get("sentence", ""))
    if not names:
        place, names = sentence, mentioned(sentence, columns)
    return Alarm(score["metric"], score["family"], place, sentence, names, frozenset(rows))


def mentioned(text: str, columns: Sequence[str]) -> tuple[str, ...]:
    """Return the columns whose names stand in a text as whole words, in their order there."""
    hits = {}
    for name in columns:
        match = re.search(rf"(?<![\w.]){re.escape(name)}(?![\w])", text)
        if match:
            hits[name] = match.start()
    return tuple(sorted(hits, key=hits.__getitem__))


def _units(value: Any) -> Iterator[Any]:
    """Yield the smallest parts of a finding that belong together: entries of lists and of mappings."""
    if isinstance(value, Mapping):
        inner = {k: v for k, v in value.items() if isinstance(v, list | Mapping)}
        flat = {
            k: v for k, v in value.items() if k not in inner and isinstance(v, str) and k != "type"
        }
        if flat:
            yield {**flat, **{k: v for k, v in inner.items() if _is_flat(v)}}
        for key, part in inner.items():
            if isinstance(part, Mapping):
                yield from ({name: cell} for name, cell in part.items())
            else:
                yield from (cell for cell in part if key not in ("rows", "row_numbers"))


def _is_flat(value: Any) -> bool:
    return isinstance(value, list) and len(value) <= 5 and all(isinstance(v, str) for v in value)


def _rows(value: Any, key: str = "") -> Iterator[int]:
    if isinstance(value, Mapping):
        for name, part in value.items():
            yield from _rows(part, name)
    elif isinstance(value, list):
        for part in value:
            yield from _rows(part, key)
    elif (
        isinstance(value, int) and not isinstance(value, bool) and "row" in key and key[:2] != "n_"
    ):
        yield value


@dataclass(frozen=True)
class Outcome:
    """Result of one case."""

    found: bool
    right: bool  # the first place of a family's first alarm is the planted one
    named: bool  # any alarm names the planted place
    slice_named: bool | None  # the slice stands in the same place; None: the fault is in no slice
    by: tuple[str, ...]


def judge(
    case: Mapping[str, Any], found: Iterable[Alarm], clean: Iterable[Alarm], planted: Sequence[int]
) -> Outcome:
    """Return how well alarms fit a case; those that the clean candidate raises too do not count."""
    known = {(a.metric, a.names[:1]) for a in clean}
    families = case.get("families")
    new = [
        a
        for a in found
        if (a.metric, a.names[:1]) not in known and (not families or a.family in families)
    ]
    firsts: dict[str, Alarm] = {}
    for alarm in new:
        if alarm.names or alarm.rows or _worded(case, alarm):
            firsts.setdefault(alarm.family, alarm)
    hits = [a for a in new if _fits(case, a, planted)]
    right = any(_fits(case, a, planted) for a in firsts.values())
    parts = case.get("slice")
    slices = None if not parts else any(set(parts) & set(a.names) for a in hits)
    return Outcome(bool(new), right, bool(hits), slices, tuple(a.metric for a in new))


def _worded(case: Mapping[str, Any], alarm: Alarm) -> bool:
    pattern = case.get("words")
    text = f"{alarm.metric} {alarm.place} {alarm.sentence}".replace("_", " ")
    return bool(pattern) and re.search(rf"\b(?:{pattern})", text, re.IGNORECASE) is not None


def _fits(case: Mapping[str, Any], alarm: Alarm, planted: Sequence[int]) -> bool:
    """Return whether an alarm names a planted column first, fitting words, or mostly planted rows."""
    places = set(case.get("place", ())) | set(case.get("slice") or ())
    width = 2 if case.get("slice") else 1  # a slice stands before or behind the column
    if places and places & set(alarm.names[: width + (len(alarm.names) == 2)]):
        return bool(set(case.get("place", ())) & set(alarm.names)) or not case.get("place")
    if alarm.rows and planted and len(alarm.rows & set(planted)) * 2 >= len(alarm.rows):
        return True
    return _worded(case, alarm)

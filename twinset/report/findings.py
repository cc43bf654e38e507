"""Read what metrics put into their details; a key that is not there leaves a block out.

Understood are, of any metric::

    columns     {column: number | {"distance": number}}       distances, one a column
    summary     text                                          what was found, in one sentence
    levels      {column: {level: {"found": number, "declared": number}}}      shares of levels
    groups      {group: {"real": number, "synthetic": number, "loss": {"real" | "synthetic": number},
                "growth": [number, number]}}                  outcomes and model losses of groups
    modes       {crowd: {"real": share, "synthetic": share, "x": number, "y": number}}
    outcome     text                                          what the outcome of a group is
    pairs       [[column, column, number], ...]               errors, one a pair
    note        text                                          a warning for the reader
    surest      {"rows": [{"row": number, "opinion": share, "values": {column: text}}, ...]}

from the frame::

    real_rows   number                                        value of the real rows themselves
    different   {"what": text, "names": [text, ...], "margin": number,   worst first
                "beyond": number}                             sure harm of the worst, in margins
    compared    {"with": text, "rows": {"reference": number}, "left_out": {column: reason},
                 "train_rows_instead": number}

and, of the utility family::

    measures    {measure: {"real" | "synthetic" | "mixed": number}}
    changes     {measure: {"synthetic" | "mixed": {"difference": number, "interval": [low, high]}}}
    answers     {"synthetic" | "mixed": "helps" | "hurts" | "no evidence"}
    rows        {"real" | "synthetic" | "mixed": number}      rows trained on
    mode        text                                          set that the value's model saw
    holdout_rows, guessing                                    numbers
    deciding    {"rows": number, "what": text}                what the interval depends on
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeGuard

from twinset.core.contracts import Score
from twinset.report.phrases import FAMILIES, short

TRAINED_ON = {
    "real": "real rows only",
    "synthetic": "synthetic rows only",
    "mixed": "real and synthetic",
}
ANSWER_MARKS = {"helps": "good", "hurts": "bad", "no evidence": "unclear"}


@dataclass(frozen=True)
class Cell:
    """A measure of one model, and its difference to the model of real rows with a paired interval."""

    value: float | None
    difference: float | None = None
    interval: tuple[float, float] | None = None


@dataclass(frozen=True)
class TrainedOn:
    """What came of training on one set; `answer` is "helps", "hurts", "no evidence" or empty."""

    key: str
    cells: tuple[Cell, ...]
    answer: str = ""
    n_rows: float | None = None

    @property
    def name(self) -> str:
        """The set in plain words."""
        return TRAINED_ON[self.key]

    @property
    def mark(self) -> str:
        """The answer's mark."""
        return ANSWER_MARKS.get(self.answer, "unmeasured")


@dataclass(frozen=True)
class ComponentFindings:
    """Parts, e.g. single columns, that are each worse than real rows by more than `margin`.

    `beyond` counts the margins of harm that are sure of the worst one; 1, where that is not told.
    """

    what: str
    names: tuple[str, ...]
    margin: float
    beyond: float = 1.0


@dataclass(frozen=True)
class Usefulness:
    """Models trained on real, synthetic and mixed rows: one cell a measure; `test` says on what."""

    measures: tuple[str, ...]
    rows: tuple[TrainedOn, ...]
    test: str = ""

    @property
    def reach(self) -> float:
        """The greatest change or end of an interval, so that all intervals share one axis."""
        cells = [cell for row in self.rows for cell in row.cells]
        ends = [abs(end) for cell in cells for end in cell.interval or ()]
        return max(
            [*ends, *(abs(c.difference) for c in cells if c.difference is not None)], default=0.0
        )

    def trained_on(self, key: str) -> TrainedOn | None:
        """Return the row of "real", "synthetic" or "mixed"."""
        return next((row for row in self.rows if row.key == key), None)


def column_distances(score: Score) -> dict[str, float]:
    """Return column -> distance; empty when the score has none."""
    columns = _mapping(score.details.get("columns"))
    return _numbers({name: _mapping(v).get("distance", v) for name, v in columns.items()})


def population_levels(score: Score) -> list[tuple[str, str, float, float]]:
    """Return (column, level, found share, declared share) rows; empty when the score has none."""
    lines = []
    for column, levels in _mapping(score.details.get("levels")).items():
        for level, shares in _mapping(levels).items():
            found, declared = _mapping(shares).get("found"), _mapping(shares).get("declared")
            if is_number(found) and is_number(declared) and (found or declared):
                lines.append((str(column), str(level), float(found), float(declared)))
    return lines


@dataclass(frozen=True)
class GroupResult:
    """A group of rows: its outcomes, and the losses of models, which may be None."""

    name: str
    real: float
    synthetic: float
    real_loss: float | None
    synthetic_loss: float | None
    grows: bool


def audited_groups(scores: Sequence[Score]) -> tuple[str, list[GroupResult]]:
    """Return what the outcome is, and all groups, those that are furthest off first."""
    for score in scores:
        found = []
        for name, told in _mapping(score.details.get("groups")).items():
            real, synthetic = (_mapping(told).get(side) for side in ("real", "synthetic"))
            if not is_number(real) or not is_number(synthetic):
                continue
            loss, growth = _numbers(_mapping(told).get("loss")), _mapping(told).get("growth")
            grows = isinstance(growth, list | tuple) and is_number(growth[0]) and growth[0] > 0
            sides = loss.get("real"), loss.get("synthetic")
            found.append(GroupResult(str(name), float(real), float(synthetic), *sides, grows))
        if found:
            found.sort(key=lambda group: -abs(group.synthetic - group.real))
            return str(score.details.get("outcome", "")), found
    return "", []


def group_outcome(score: Score, name: str) -> str:
    """Return how often a group has the outcome on both sides; nothing where that is not what is off."""
    told = _mapping(_mapping(score.details.get("groups")).get(name))
    real, synthetic = told.get("real"), told.get("synthetic")
    outcome = str(score.details.get("outcome", ""))
    if not outcome.startswith("share") or not is_number(real) or not is_number(synthetic):
        return ""
    return f"{outcome}: {100 * synthetic:.0f} % instead of {100 * real:.0f} %"


@dataclass(frozen=True)
class ClusterResult:
    """A crowd of rows that are alike: its place on the map and its shares."""

    name: str
    x: float
    y: float
    real: float
    synthetic: float


def read_clusters(scores: Sequence[Score]) -> list[ClusterResult]:
    """Return the crowds that a metric cut real rows into, those furthest off first."""
    for score in scores:
        found = []
        for name, told in _mapping(score.details.get("modes")).items():
            own = _numbers(_mapping(told))
            if {"x", "y", "real", "synthetic"} <= set(own):
                place = (own["x"], own["y"], own["real"], own["synthetic"])
                found.append(ClusterResult(str(name), *place))
        if found:
            return sorted(found, key=lambda crowd: -abs(crowd.synthetic - crowd.real))
    return []


@dataclass(frozen=True)
class ConfidentRow:
    """A synthetic row that a judge is sure of: its number, the judge's opinion, and telling values."""

    number: int
    opinion: float
    values: Mapping[str, str]


def read_confident_rows(scores: Sequence[Score]) -> tuple[list[str], list[ConfidentRow]]:
    """Return columns that told, and the synthetic rows that look least real, surest first."""
    for score in scores:
        told = _mapping(score.details.get("surest")).get("rows")
        rows = [_mapping(row) for row in told] if isinstance(told, list | tuple) else []
        found = [
            ConfidentRow(
                int(row["row"]),
                float(row["opinion"]),
                {str(k): str(v) for k, v in _mapping(row.get("values")).items()},
            )
            for row in rows
            if is_number(row.get("row")) and is_number(row.get("opinion"))
        ]
        if found:
            return list(dict.fromkeys(name for row in found for name in row.values)), found
    return [], []


def read_different_components(score: Score) -> ComponentFindings | None:
    """Return the parts that are different, worst first; None when the score names none."""
    found = _mapping(score.details.get("different"))
    names = found.get("names")
    if not isinstance(names, list | tuple) or not names or not is_number(found.get("margin")):
        return None
    beyond = found.get("beyond")
    return ComponentFindings(
        str(found.get("what", "part")),
        tuple(map(str, names)),
        float(found["margin"]),
        float(beyond) if is_number(beyond) else 1.0,
    )


def asides(score: Score) -> list[str]:
    """Return what else the metric says that a reader of the score table should see."""
    said = [str(score.details[key]) for key in ("summary", "note") if score.details.get(key)]
    if score.details.get("mode"):
        said.append(f"trained on {score.details['mode']}")
    if is_number(score.details.get("real_rows")):
        said.append(f"real rows themselves: {short(score.details['real_rows'])}")
    named = [key for key in ("precision", "recall", "density") if is_number(score.details.get(key))]
    numbers = ", ".join(f"{key} {short(score.details[key])}" for key in named)
    return [*said, numbers] if numbers else said


def pair_errors(score: Score) -> dict[tuple[str, str], float]:
    """Return (column, column) -> error; empty when the score has none."""
    pairs = score.details.get("pairs")
    entries = pairs if isinstance(pairs, list | tuple) else ()
    return {
        (str(entry[0]), str(entry[1])): float(entry[2])
        for entry in entries
        if isinstance(entry, list | tuple) and len(entry) == 3 and is_number(entry[2])
    }


def comparisons(scores: Sequence[Score]) -> list[str]:
    """Return on which rows and columns the scores rest, each fact once, in the order of scores."""
    said = []
    for score in scores:
        compared = _mapping(score.details.get("compared"))
        n = _mapping(compared.get("rows")).get("reference")
        if compared.get("with") and is_number(n):
            told = f"compared with {compared['with']}, {short(n)} rows"
            said.append(f"{FAMILIES[score.family][1]}: {told}.")
        for column, why in _mapping(compared.get("left_out")).items():
            said.append(f"{column} was not looked at: {why}.")
    return list(dict.fromkeys(said))


def usefulness(score: Score) -> Usefulness | None:
    """Return the table of trained models; None when the score has none."""
    if score.family != "utility":
        return None
    measures = _mapping(score.details.get("measures"))
    changes = _mapping(score.details.get("changes"))
    answers = _mapping(score.details.get("answers"))
    rows = []
    for key in TRAINED_ON:
        cells = [
            _cell(_mapping(measures[name]).get(key), _mapping(changes.get(name)).get(key))
            for name in measures
        ]
        if any(cell.value is not None for cell in cells):
            n_rows = _numbers(score.details.get("rows")).get(key)
            rows.append(TrainedOn(key, tuple(cells), str(answers.get(key) or ""), n_rows))
    names = tuple(str(name) for name in measures)
    return Usefulness(names, tuple(rows), _test_told(score.details)) if rows else None


def _test_told(details: Mapping[str, Any]) -> str:
    """Return what the models were tested on, as far as it is known."""
    rows, guessing = details.get("holdout_rows"), details.get("guessing")
    deciding = _mapping(details.get("deciding"))
    told = [f"{short(rows)} rows"] if is_number(rows) else []
    if is_number(deciding.get("rows")):
        told.append(f"{short(deciding['rows'])} {deciding.get('what', 'rows')}")
    if is_number(guessing):
        told.append(f"guessing scores {short(guessing)}")
    return ", ".join(told)


def is_number(value: object) -> TypeGuard[int | float]:
    """Return whether `value` is a finite number."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _cell(value: object, change: object) -> Cell:
    facts = _mapping(change)
    difference, interval = facts.get("difference"), facts.get("interval")
    ends = None
    if isinstance(interval, Sequence) and len(interval) == 2 and all(map(is_number, interval)):
        ends = (float(interval[0]), float(interval[1]))
    return Cell(
        float(value) if is_number(value) else None,
        float(difference) if is_number(difference) else None,
        ends,
    )


def _numbers(value: object) -> dict[str, float]:
    return {str(k): float(v) for k, v in _mapping(value).items() if is_number(v)}


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}

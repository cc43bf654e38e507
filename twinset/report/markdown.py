"""Reports as Markdown tables, for pull requests and wikis; names out of files cannot break out of them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from twinset.core.contracts import Score
from twinset.report.answers.metrics import metric_title
from twinset.report.answers.ordering import by_question
from twinset.report.answers.phrases import NOTHING, short, signed
from twinset.report.answers.ranking import MetricRow
from twinset.report.answers.verdict import VERDICT_MARKS, unmeasured

if TYPE_CHECKING:
    from twinset.report.model import CandidateContent, ReportContent

_SIGNS = {"good": "✅", "bad": "❌", "unclear": "❔", "unmeasured": "➖", "mixed": "↔️"}
_JOINER = "\u2060"
_LEGEND = "✅ as good as real, ❌ different, ❔ cannot tell, ➖ not measurable."


def report_markdown(report: ReportContent) -> str:
    """Return verdict, gates, scores and notes of a report."""
    lines = [f"## {_text(report.title)}", ""]
    if report.caution:
        lines += [f"Mind that {_text(report.caution)}.", ""]
    if any(use.mark != "unmeasured" for use in report.uses):
        purposes = [
            (_text(u.purpose), f"{_SIGNS[u.mark]} {u.answer}", _text(u.why)) for u in report.uses
        ]
        lines += [*_table(("what to use it for", "answer", "why"), purposes), ""]
    lines += [f"- {_SIGNS[s.mark]} **{_text(s.question)}** {_text(s.text)}" for s in report.answers]
    if report.gates:
        rows = [
            (
                "✅" if gate.passed else "❌",
                _named(gate.metric),
                f"{'at most' if gate.bound == 'max' else 'at least'} {short(gate.limit)}"
                + (" (difference from real rows)" if gate.of == "difference" else ""),
                "not measurable" if gate.value is None else short(gate.value),
            )
            for gate in report.gates
        ]
        lines += ["", "### Gates", "", *_table(("", "metric", "bound", "measured"), rows)]
    lacking = unmeasured(report.scores)
    pooled = {id(score) for one in lacking for score in one.scores}
    scores = [
        (
            _named(s.metric),
            _judged(s),
            short(s.value),
            short(s.baseline),
            _range(s),
            short(s.margin),
        )
        for _, own in by_question(report.scores)
        for s in own
        if id(s) not in pooled
    ]
    head = ("metric", "verdict", "value", "real vs real", "difference, 95 % interval", "margin")
    lines += ["", "### Scores", "", *(_table(head, scores) if scores else [])]
    for one in lacking:
        tests = "1 test" if len(one.scores) == 1 else f"{len(one.scores)} tests"
        named = ", ".join(_text(metric_title(score.metric)) for score in one.scores)
        lines += ["", f"➖ Not measurable, {tests}: {_text(one.reason)} ({named})."]
    lines += _notes(report.notes)
    return "\n".join(lines) + "\n"


def candidates_markdown(report: CandidateContent) -> str:
    """Return recommendation, answers and the table of all candidates."""
    found = report.recommendation
    lines = [f"## {_text(report.title)}", "", f"{_SIGNS[found.mark]} **{_text(found.text)}**", ""]
    lines += [f"- {_SIGNS[a.mark]} **{_text(a.question)}** {_text(a.text)}" for a in report.answers]
    names = list(report.scores)
    rows = [_row(row, names) for row in report.rows]
    head = ("metric", "real vs real", *map(_text, names), "best")
    lines += ["", *_table(head, rows), "", _LEGEND, *_notes(report.notes)]
    return "\n".join(lines) + "\n"


def _row(row: MetricRow, names: Sequence[str]) -> tuple[str, ...]:
    cells = [
        f"{_SIGNS[VERDICT_MARKS[row.scores[name].verdict]]} {short(row.scores[name].value)}"
        if name in row.scores
        else NOTHING
        for name in names
    ]
    return (_named(row.metric), row.baseline_told(), *cells, _text(row.told()))


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    return [f"| {' | '.join(row)} |" for row in (head, ["---"] * len(head), *rows)]


def _named(metric: str) -> str:
    return f"{_text(metric_title(metric))}<br>`{metric}`"


def _judged(score: Score) -> str:
    return f"{_SIGNS[VERDICT_MARKS[score.verdict]]} {score.verdict}"


def _range(score: Score) -> str:
    if score.interval is None:
        return NOTHING
    return f"{signed(score.interval[0])} to {signed(score.interval[1])}"


def _notes(notes: Sequence[str]) -> list[str]:
    return ["", "### Notes", "", *(f"- {_text(note)}" for note in notes)] if notes else []


def _text(words: str) -> str:
    """Return words as they stand: on one line, nothing in them a link, a tag or a cell's end."""
    escaped = re.sub(r"([\\`*_\[\]<>|~#&])", r"\\\1", " ".join(words.split()))
    # Addresses and names become links without any mark around them; a joiner of no width breaks them.
    return re.sub(r"(?i)(?<=[a-z]):(?=//|\S*@)|(?<![a-z])www(?=[.])|@", rf"\g<0>{_JOINER}", escaped)

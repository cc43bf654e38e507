"""Parts of reports as Markdown, for pull requests and wikis; names cannot break out of their cells."""

from __future__ import annotations

import re
from collections.abc import Sequence

from twinset.core.contracts import Score
from twinset.report.answers.phrases import MARKS, NOTHING, Mark, count, short, signed_interval
from twinset.report.answers.scores import by_question, metric_title
from twinset.report.answers.uses import Use
from twinset.report.answers.verdict import unmeasured
from twinset.report.gates import Gate

_JOINER = "\u2060"
LEGEND = "✅ as good as real, ❌ different, ❔ cannot tell, ➖ not measurable."


def escape(words: str) -> str:
    """Return words as they stand: on one line, nothing in them a link, a tag or a cell's end."""
    escaped = re.sub(r"([\\`*_\[\]<>|~#&])", r"\\\1", " ".join(words.split()))
    # Addresses and names become links without any mark around them; a joiner of no width breaks them.
    return re.sub(r"(?i)(?<=[a-z]):(?=//|\S*@)|(?<![a-z])www(?=[.])|@", rf"\g<0>{_JOINER}", escaped)


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Return the lines of a table."""
    return [f"| {' | '.join(row)} |" for row in (head, ["---"] * len(head), *rows)]


def notes(texts: Sequence[str]) -> list[str]:
    """Return the lines of a section of notes; nothing without any."""
    return ["", "### Notes", "", *(f"- {escape(note)}" for note in texts)] if texts else []


def answer_line(mark: Mark, question: str, text: str) -> str:
    """Return a question with its answer as an item of a list."""
    return f"- {mark.emoji} **{escape(question)}** {escape(text)}"


def metric_cell(metric: str) -> str:
    """Return the title of a metric above its name."""
    return f"{escape(metric_title(metric))}<br>`{metric}`"


def use_table(uses: Sequence[Use]) -> list[str]:
    """Return the lines of a table of uses."""
    rows = [(escape(u.purpose), f"{u.mark.emoji} {u.answer}", escape(u.reason)) for u in uses]
    return table(("what to use it for", "answer", "reason"), rows)


def gate_table(gates: Sequence[Gate]) -> list[str]:
    """Return the lines of a table of gates."""
    rows = []
    for gate in gates:
        of = " (difference from real rows)" if gate.of == "difference" else ""
        value = "not measurable" if gate.value is None else short(gate.value)
        sign = (Mark.GOOD if gate.passed else Mark.BAD).emoji
        rows.append((sign, metric_cell(gate.metric), f"{gate.format_bound()}{of}", value))
    return table(("", "metric", "bound", "measured"), rows)


def score_table(scores: Sequence[Score]) -> list[str]:
    """Return the lines of a table of scores; tests that share a reason stand below it, once."""
    shared = unmeasured(scores)
    pooled = {id(score) for _, own in shared for score in own}
    rows = []
    for s in (s for _, own in by_question(scores) for s in own if id(s) not in pooled):
        interval = NOTHING if s.interval is None else signed_interval(s.interval)
        verdict = f"{MARKS[s.verdict].emoji} {s.verdict}"
        numbers = (short(s.value), short(s.baseline), interval, short(s.margin))
        rows.append((metric_cell(s.metric), verdict, *numbers))
    head = ("metric", "verdict", "value", "real vs real", "difference, 95 % interval", "margin")
    lines = table(head, rows) if rows else []
    for reason, own in shared:
        named = ", ".join(escape(metric_title(score.metric)) for score in own)
        lines += ["", f"➖ Not measurable, {count(len(own), 'test')}: {escape(reason)} ({named})."]
    return lines

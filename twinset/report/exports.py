"""Reports in other forms: Markdown for pull requests and wikis, JUnit XML for build servers."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from xml.etree import ElementTree

from twinset.core.contracts import Score
from twinset.core.quoting import escape_signs
from twinset.report.answers.phrases import (
    MARKS,
    NOTHING,
    Mark,
    by_question,
    count,
    metric_title,
    short,
    signed_interval,
)
from twinset.report.answers.purposes import Use
from twinset.report.answers.sentences import score_sentence
from twinset.report.answers.verdict import unmeasured
from twinset.report.gates import Gate

_JOINER = "\u2060"
LEGEND = "✅ as good as real, ❌ different, ❔ cannot tell, ➖ not measurable."


def escape(words: str) -> str:
    """Return words as they stand: on one line, nothing in them a link, a tag or a cell's end."""
    escaped = re.sub(r"([\\`*_\[\]<>|~#&])", r"\\\1", escape_signs(" ".join(words.split())))
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


def junit_xml(suites: Mapping[str, tuple[Sequence[Score], Sequence[Gate]]]) -> str:
    """Return the suites as JUnit XML: one test case a metric.

    A failed gate is a failure, a metric that could not be measured is skipped (unless a gate demands
    it), and the sentence of the verdict is the text of the case.

    `suites`: name of a suite -> its scores and the gates on them.

    >>> from twinset.core.contracts import Estimate
    >>> from twinset.core.findings import Verdict
    >>> score = Score("gap.a", "gap", 0.2, False, Verdict.EQUIVALENT,
    ...               Estimate(0.0, 0.1, None, (-0.1, -0.1)))
    >>> print(junit_xml({"people": ([score], [])}), end="")
    <?xml version="1.0" encoding="UTF-8"?>
    <testsuites name="twinset" tests="1" failures="0" errors="0" skipped="0">
      <testsuite name="people" tests="1" failures="0" errors="0" skipped="0">
        <testcase classname="people.gap" name="gap.a">
          <system-out>as good as real: 0, real rows 0.100</system-out>
        </testcase>
      </testsuite>
    </testsuites>
    """
    root = ElementTree.Element("testsuites", name="twinset")
    for name, (scores, gates) in suites.items():
        suite = ElementTree.SubElement(root, "testsuite", name=escape_signs(name))
        for score in scores:
            _add_case(suite, score, [g for g in gates if g.metric == score.metric and not g.passed])
        _set_counts(suite)
    _set_counts(root)
    ElementTree.indent(root)
    head = '<?xml version="1.0" encoding="UTF-8"?>'
    return f"{head}\n{ElementTree.tostring(root, encoding='unicode')}\n"


def format_gate(gate: Gate) -> str:
    """Return a gate and what was measured, in words.

    >>> format_gate(Gate("gap.a", "max", 0.1, "value", 0.25, False))
    'at most 0.100 is allowed, measured 0.250'
    """
    end = " for the far end of the difference from real rows" if gate.of == "difference" else ""
    value = "not measurable" if gate.value is None else f"measured {short(gate.value)}"
    return f"{gate.format_bound()} is allowed{end}, {value}"


def _add_case(suite: ElementTree.Element, score: Score, failed: Sequence[Gate]) -> None:
    text = escape_signs(score_sentence(score))
    name = f"{suite.get('name')}.{score.family}"
    case = ElementTree.SubElement(
        suite, "testcase", classname=name, name=escape_signs(score.metric)
    )
    if failed:
        message = escape_signs("; ".join(map(format_gate, failed)))
        ElementTree.SubElement(case, "failure", type="gate", message=message).text = text
    elif not score.is_measured:
        ElementTree.SubElement(case, "skipped", message=text)
    ElementTree.SubElement(case, "system-out").text = text


def _set_counts(element: ElementTree.Element) -> None:
    """Count the test cases below an element and their outcomes in its attributes."""
    tags = {"tests": "testcase", "failures": "failure", "errors": "error", "skipped": "skipped"}
    for name, tag in tags.items():
        element.set(name, str(sum(1 for _ in element.iter(tag))))

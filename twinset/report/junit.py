"""Scores and gates as JUnit XML, which build servers read; it holds no clock and no host."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from xml.etree import ElementTree

from twinset.core.contracts import Score
from twinset.report.answers.phrases import short
from twinset.report.answers.sentences import score_sentence
from twinset.report.gates import Gate

# What XML 1.0 cannot hold, however it is written.
_UNWRITABLE = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def junit_xml(suites: Mapping[str, tuple[Sequence[Score], Sequence[Gate]]]) -> str:
    """Return the suites as JUnit XML: one test case a metric.

    A failed gate is a failure, a metric that could not be measured is skipped (unless a gate demands
    it), and the sentence of the verdict is the text of the case.

    Parameters
    ----------
    suites : mapping
        Name of a suite -> its scores and the gates on them.

    Examples
    --------
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
        suite = ElementTree.SubElement(root, "testsuite", name=_writable(name))
        for score in scores:
            _add_case(suite, score, [g for g in gates if g.metric == score.metric and not g.passed])
        _set_counts(suite)
    _set_counts(root)
    ElementTree.indent(root)
    head = '<?xml version="1.0" encoding="UTF-8"?>'
    return f"{head}\n{ElementTree.tostring(root, encoding='unicode')}\n"


def format_gate(gate: Gate) -> str:
    """Return a gate and what was measured, in words.

    Examples
    --------
    >>> format_gate(Gate("gap.a", "max", 0.1, "value", 0.25, False))
    'at most 0.100 is allowed, measured 0.250'
    """
    end = " for the far end of the difference from real rows" if gate.of == "difference" else ""
    value = "not measurable" if gate.value is None else f"measured {short(gate.value)}"
    return f"{gate.format_bound()} is allowed{end}, {value}"


def _add_case(suite: ElementTree.Element, score: Score, failed: Sequence[Gate]) -> None:
    text = _writable(score_sentence(score))
    name = f"{suite.get('name')}.{score.family}"
    case = ElementTree.SubElement(suite, "testcase", classname=name, name=_writable(score.metric))
    if failed:
        message = _writable("; ".join(map(format_gate, failed)))
        ElementTree.SubElement(case, "failure", type="gate", message=message).text = text
    elif not score.is_measured:
        ElementTree.SubElement(case, "skipped", message=text)
    ElementTree.SubElement(case, "system-out").text = text


def _set_counts(element: ElementTree.Element) -> None:
    """Count the test cases below an element and their outcomes in its attributes."""
    tags = {"tests": "testcase", "failures": "failure", "errors": "error", "skipped": "skipped"}
    for name, tag in tags.items():
        element.set(name, str(sum(1 for _ in element.iter(tag))))


def _writable(text: str) -> str:
    return _UNWRITABLE.sub("\N{REPLACEMENT CHARACTER}", text)

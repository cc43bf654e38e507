"""Scores and gates as JUnit XML, which build servers read; it holds no clock and no host."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from html import escape

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
          <system-out>as good as real: 0.000, real rows 0.100</system-out>
        </testcase>
      </testsuite>
    </testsuites>
    """
    parts = [_suite(name, scores, gates) for name, (scores, gates) in suites.items()]
    total = [sum(counts) for counts in zip(*(counted for counted, _ in parts))] or [0, 0, 0]
    lines = [
        '<?xml version="1.0" encoding="UTF-8"?>',
        f'<testsuites name="twinset" {_counts(total)}>',
        *(line for _, own in parts for line in own),
        "</testsuites>",
    ]
    return "\n".join(lines) + "\n"


def format_gate(gate: Gate) -> str:
    """Return a gate and what was measured, in words.

    Examples
    --------
    >>> format_gate(Gate("gap.a", "max", 0.1, "value", 0.25, False))
    'at most 0.100 is allowed, measured 0.250'
    """
    side = "at most" if gate.bound == "max" else "at least"
    what = " for the far end of the difference from real rows" if gate.of == "difference" else ""
    found = "not measurable" if gate.value is None else f"measured {short(gate.value)}"
    return f"{side} {short(gate.limit)} is allowed{what}, {found}"


def _suite(
    name: str, scores: Sequence[Score], gates: Sequence[Gate]
) -> tuple[tuple[int, int, int], list[str]]:
    lines: list[str] = []
    n_failed = n_skipped = 0
    for score in scores:
        failed = [gate for gate in gates if gate.metric == score.metric and not gate.passed]
        is_skipped = not failed and not score.is_measured
        n_failed, n_skipped = n_failed + bool(failed), n_skipped + is_skipped
        lines += _case(name, score, failed, is_skipped)
    counts = (len(scores), n_failed, n_skipped)
    head = f'  <testsuite name="{_text(name)}" {_counts(counts)}>'
    return counts, [head, *lines, "  </testsuite>"]


def _case(name: str, score: Score, failed: Sequence[Gate], is_skipped: bool) -> list[str]:
    said = _text(score_sentence(score))
    lines = [
        f'    <testcase classname="{_text(name)}.{score.family}" name="{_text(score.metric)}">'
    ]
    if failed:
        told = _text("; ".join(map(format_gate, failed)))
        lines.append(f'      <failure type="gate" message="{told}">{said}</failure>')
    if is_skipped:
        lines.append(f'      <skipped message="{said}"/>')
    return [*lines, f"      <system-out>{said}</system-out>", "    </testcase>"]


def _counts(counts: Sequence[int]) -> str:
    tests, failures, skipped = counts
    return f'tests="{tests}" failures="{failures}" errors="0" skipped="{skipped}"'


def _text(words: str) -> str:
    return escape(_UNWRITABLE.sub("\N{REPLACEMENT CHARACTER}", words), quote=True)

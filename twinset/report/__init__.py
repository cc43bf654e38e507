"""Scores and gates become a verdict, a page and JSON."""

from twinset.report.answers.verdict import VerdictLine, summarize_families
from twinset.report.gates import Gate, apply_gates, check_gates, read_gates
from twinset.report.report import Report, build_report

__all__ = [
    "Gate",
    "Report",
    "VerdictLine",
    "apply_gates",
    "build_report",
    "check_gates",
    "read_gates",
    "summarize_families",
]

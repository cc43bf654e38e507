"""Scores and gates become a verdict, a page and JSON."""

from twinset.report.answers.verdict import VerdictLine, summarize_families
from twinset.report.build import Report, build_report
from twinset.report.candidates import CandidateReport
from twinset.report.gates import Gate, apply_gates, check_gates, read_gates

__all__ = [
    "CandidateReport",
    "Gate",
    "Report",
    "VerdictLine",
    "apply_gates",
    "build_report",
    "check_gates",
    "summarize_families",
    "read_gates",
]

"""Scores and gates become a verdict, a page and JSON."""

from twinset.report.build import Report, build_report
from twinset.report.candidates import CandidateReport
from twinset.report.gates import Gate, apply_gates, check_gates, read_gates
from twinset.report.verdict import Sentence, judge

__all__ = [
    "CandidateReport",
    "Gate",
    "Report",
    "Sentence",
    "apply_gates",
    "build_report",
    "check_gates",
    "judge",
    "read_gates",
]

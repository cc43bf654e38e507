"""Scores and gates become a verdict, a page and JSON."""

from twinset.report.build import Report, build_report
from twinset.report.gates import Gate, apply_gates
from twinset.report.verdict import Sentence, judge

__all__ = ["Gate", "Report", "Sentence", "apply_gates", "build_report", "judge"]

"""Render several candidates side by side as one HTML page."""

from __future__ import annotations

from typing import TYPE_CHECKING

from twinset.report.answers.phrases import FAMILIES
from twinset.report.answers.verdict import VERDICT_MARKS
from twinset.report.page import environment, format_embedders

if TYPE_CHECKING:
    from twinset.report.model import CandidateContent


def render_candidates(report: CandidateContent) -> str:
    """Return the page: one string, the same bytes for the same report."""
    families = [
        (question, [row for row in report.rows if row.family == family])
        for family, (question, _) in FAMILIES.items()
    ]
    return (
        environment()
        .get_template("candidates.html")
        .render(
            report=report,
            names=list(report.scores),
            facts=_facts(report),
            families=[(question, rows) for question, rows in families if rows],
            verdict_marks=VERDICT_MARKS,
        )
    )


def _facts(report: CandidateContent) -> list[tuple[str, str]]:
    facts = report.facts
    named = [
        ("candidates", len(report.scores)),
        ("real training rows", facts.get("train_rows")),
        ("locked holdout rows", facts.get("holdout_rows")),
    ]
    lines = [(label, f"{value:,}") for label, value in named if value is not None]
    if facts.get("embedders"):
        lines.append(("images looked at by", format_embedders(facts["embedders"])))
    words = (("target", "target"), ("where", "only rows where"), ("seed", "seed"))
    return [*lines, *((label, str(facts[k])) for k, label in words if facts.get(k) is not None)]

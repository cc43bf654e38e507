"""`CandidateReport`: several synthetic sets measured against the same real one, side by side."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from twinset.core.contracts import Score
from twinset.report.gates import Gate
from twinset.report.ranking import MetricRow, metric_rows
from twinset.report.recommendation import Answer, Recommendation, answer, recommend
from twinset.report.uses import caution
from twinset.report.verdict import Sentence, judge
from twinset.report.wording import FAMILIES, plain

SCHEMA_VERSION = 1
_MARKS = {"good": "+", "bad": "!", "unclear": "?", "unmeasured": "-", "mixed": "~"}


@dataclass(frozen=True, kw_only=True)
class CandidateReport:
    """What is known of each candidate and who is ahead in what; it holds no clock, host or path.

    Parameters
    ----------
    title : str
        Heading of the page.
    scores : mapping
        Candidate -> its scores, all measured with the same split and seed.
    notes : tuple of str
        What must be read with care.
    facts : mapping
        Counts of rows, condition, target, seed.
    copies : tuple of str
        Candidates of which most rows equal real ones, with nothing that tells how many do by chance:
        none of them is called ahead or recommended.
    gates : mapping
        Candidate -> its gates with their outcome; one that missed a gate is not recommended.
    """

    title: str
    scores: Mapping[str, tuple[Score, ...]]
    notes: tuple[str, ...] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)
    copies: tuple[str, ...] = ()
    gates: Mapping[str, tuple[Gate, ...]] = field(default_factory=dict)

    @property
    def failing(self) -> tuple[str, ...]:
        """Candidates that missed a gate."""
        return tuple(n for n, own in self.gates.items() if not all(gate.passed for gate in own))

    @property
    def passed(self) -> bool:
        """Whether some candidate passed every gate; true where there is no gate."""
        return len(self.failing) < len(self.scores)

    @cached_property
    def rows(self) -> tuple[MetricRow, ...]:
        """One row for each metric, by question."""
        order = list(FAMILIES)
        found = metric_rows(self.scores, frozenset(self.copies))
        return tuple(sorted(found, key=lambda row: order.index(row.family)))

    @cached_property
    def verdicts(self) -> Mapping[str, Mapping[str, Sentence]]:
        """Candidate -> family -> the sentence that its own report would say."""
        return {
            name: {sentence.family: sentence for sentence in judge(own)}
            for name, own in self.scores.items()
        }

    @cached_property
    def answers(self) -> tuple[Answer, ...]:
        """One sentence for each of the four questions."""
        return tuple(answer(family, self.verdicts, self.rows) for family in FAMILIES)

    @cached_property
    def recommendation(self) -> Recommendation:
        """Which candidate to take, or why that cannot be told."""
        cautions = {name: caution(own) for name, own in self.scores.items()}
        return recommend(self.verdicts, self.rows, self.copies, self.failing, cautions)

    def to_json(self) -> str:
        """Return the comparison as JSON text, with every score of every candidate."""
        content = {
            "schema_version": SCHEMA_VERSION,
            "title": self.title,
            "recommendation": self.recommendation.to_json(),
            "questions": [found.to_json() for found in self.answers],
            "metrics": [row.to_json() for row in self.rows],
            "facts": self.facts,
            "notes": self.notes,
            "candidates": {
                name: {
                    "verdict": [found.to_json() for found in self.verdicts[name].values()],
                    "gates": [gate.to_json() for gate in self.gates.get(name, ())],
                    "scores": [score.to_json() for score in own],
                }
                for name, own in self.scores.items()
            },
        }
        return json.dumps(plain(content), indent=2, ensure_ascii=False, allow_nan=False) + "\n"

    def to_html(self) -> str:
        """Return the comparison as one self-contained page that asks nothing of the network."""
        from twinset.report.candidates_page import render_candidates

        return render_candidates(self)

    def to_markdown(self) -> str:
        """Return the comparison as Markdown, for a pull request."""
        from twinset.report.markdown import candidates_markdown

        return candidates_markdown(self)

    def to_junit(self) -> str:
        """Return the verdicts as JUnit XML, one suite a candidate."""
        from twinset.report.junit import junit_xml

        return junit_xml({n: (own, self.gates.get(n, ())) for n, own in self.scores.items()})

    def summary(self) -> str:
        """Return the recommendation and one sentence a question as plain lines for a terminal."""
        head = "Which one?"
        width = max(len(head), *(len(found.question) for found in self.answers))
        lines = [(_MARKS[self.recommendation.mark], head, self.recommendation.text)]
        lines += [(_MARKS[found.mark], found.question, found.text) for found in self.answers]
        return "\n".join(f"{mark} {name:<{width}}  {text}" for mark, name, text in lines)

"""Hold what a report says: scores, verdicts, gates and samples, without rendering them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from twinset.core.contracts import Score
from twinset.core.data.dataset import Card
from twinset.measurement.plan_coverage import PlanCoverage
from twinset.report.answers.fitness_for_use import Use, caution, uses
from twinset.report.answers.phrases import FAMILIES, plain
from twinset.report.answers.ranking import MetricRow, metric_rows
from twinset.report.answers.recommendation import Answer, Recommendation, answer, recommend
from twinset.report.answers.sentences import score_sentence
from twinset.report.answers.verdict import VerdictLine, merged, summarize_families
from twinset.report.figures.columns import ColumnPanel
from twinset.report.figures.contact_sheet import ImageSample
from twinset.report.figures.samples import RowSample, TextSample
from twinset.report.gates import Gate
from twinset.report.plans import plan_sentence

SCHEMA_VERSION = 1


def score_json(score: Score) -> dict[str, Any]:
    """Return a score as plain JSON values, with the sentence that describes it."""
    return {**score.to_json(), "sentence": score_sentence(score)}


@dataclass(frozen=True)
class ReportExamples:
    """What a reader looks at: figures and samples, without any real row unless asked for."""

    panels: tuple[ColumnPanel, ...] = ()
    n_panels_left: int = 0
    images: tuple[ImageSample, ...] = ()
    confident: Mapping[int, ImageSample] = field(default_factory=dict)
    texts: tuple[TextSample, ...] = ()
    rows: tuple[RowSample, ...] = ()
    withheld: bool = False


@dataclass(frozen=True, kw_only=True)
class ReportContent:
    """The verdict on a synthetic set and all that it rests on; it holds no clock, host or path.

    Parameters
    ----------
    title : str
        Heading of the page.
    scores : tuple of Score
        Every metric with its baseline, floor, interval and verdict.
    gates : tuple of Gate
        Every gate with its outcome.
    verdict : tuple of Sentence
        The four answers in plain words.
    cards : tuple of Card
        What was done to get the sets.
    lineage : mapping, optional
        Nested tree of the sets that it was made from.
    notes : tuple of str
        What must be read with care.
    leak_allowed : bool
        Whether train and test rows share information, and the user allowed it.
    facts : mapping
        Counts of rows and columns, condition, target.
    examples : Exhibits
        Figures and samples.
    plans : tuple of Covered
        How often each combination came that the rows were planned by.
    """

    title: str
    scores: tuple[Score, ...]
    gates: tuple[Gate, ...]
    verdict: tuple[VerdictLine, ...]
    cards: tuple[Card, ...] = ()
    lineage: Mapping[str, Any] | None = None
    notes: tuple[str, ...] = ()
    leak_allowed: bool = False
    facts: Mapping[str, Any] = field(default_factory=dict)
    examples: ReportExamples = ReportExamples()
    plans: tuple[PlanCoverage, ...] = ()

    @property
    def passed(self) -> bool:
        """Whether every gate was passed; true where there is none."""
        return all(gate.passed for gate in self.gates)

    @property
    def uses(self) -> tuple[Use, ...]:
        """What the set may be used for."""
        made = [card for card in self.cards if card.origin != "real"]
        return uses(
            self.scores,
            from_real=any(card.is_from_real for card in made),
            leak_allowed=self.leak_allowed,
        )

    @property
    def answers(self) -> tuple[VerdictLine, ...]:
        """What became of the plans, then the four answers; one where none could be given."""
        return (*map(plan_sentence, self.plans), *merged(self.verdict))

    @property
    def caution(self) -> str:
        """What is to be said before any use; empty where nothing is."""
        return caution(self.scores)

    def to_json(self) -> str:
        """Return the report as JSON text, without the figures and samples."""
        content = {
            "schema_version": SCHEMA_VERSION,
            "title": self.title,
            "passed": self.passed,
            "verdict": [sentence.to_json() for sentence in self.verdict],
            "caution": self.caution,
            "uses": [use.to_json() for use in self.uses],
            "facts": self.facts,
            "gates": [gate.to_json() for gate in self.gates],
            "scores": [score_json(score) for score in self.scores],
            "notes": self.notes,
            "cards": [card.to_json() for card in self.cards],
            "lineage": self.lineage,
        }
        return json.dumps(plain(content), indent=2, ensure_ascii=False, allow_nan=False) + "\n"


@dataclass(frozen=True, kw_only=True)
class CandidateContent:
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
    def verdicts(self) -> Mapping[str, Mapping[str, VerdictLine]]:
        """Candidate -> family -> the sentence that its own report would say."""
        return {
            name: {sentence.family: sentence for sentence in summarize_families(own)}
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
                    "scores": [score_json(score) for score in own],
                }
                for name, own in self.scores.items()
            },
        }
        return json.dumps(plain(content), indent=2, ensure_ascii=False, allow_nan=False) + "\n"

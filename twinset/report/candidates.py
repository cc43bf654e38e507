"""`CandidateReport`: several synthetic sets measured against the same real one, side by side."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import Any

from twinset.core.contracts import MetricFamily, Score
from twinset.report import exports as md
from twinset.report.answers.phrases import (
    MARKS,
    NOTHING,
    QUESTIONS,
    FamilyQuestion,
    Mark,
    capitalize,
    degradation_interval,
    joined,
    metric_title,
    plain,
    short,
)
from twinset.report.answers.purposes import caution
from twinset.report.answers.sentences import score_sentence
from twinset.report.answers.verdict import VerdictLine, summarize_families
from twinset.report.gates import Gate
from twinset.report.report import SCHEMA_VERSION, count_facts, render, score_json

# An answer that is open or was not measured is better than a bad one and worse than a good one.
_RANK = {Mark.GOOD: 2, Mark.INCONCLUSIVE: 1, Mark.UNMEASURED: 1, Mark.BAD: 0}
_ORDER = (Mark.GOOD, Mark.INCONCLUSIVE, Mark.BAD, Mark.UNMEASURED)
_ROUNDING = 1e-9  # intervals that overlap by less than this touch: the same tolerance as verdicts


@dataclass(frozen=True)
class MetricRow:
    """One metric over all candidates."""

    metric: str  # Its name
    scores: Mapping[str, Score]  # Candidate -> its score
    excluded: frozenset[str] = frozenset()  # Candidates that are never called best

    @property
    def first(self) -> Score:
        """The score of the first candidate: family, margin and direction are those of all."""
        return next(iter(self.scores.values()))

    @property
    def family(self) -> MetricFamily:
        """The family of metrics that it belongs to."""
        return self.first.family

    @property
    def title(self) -> str:
        """The metric in plain words."""
        return metric_title(self.metric)

    @property
    def ranked(self) -> dict[str, Score]:
        """The candidates that may be called best and have a number."""
        return {
            name: score
            for name, score in self.scores.items()
            if name not in self.excluded and degradation_interval(score) is not None
        }

    @property
    def front(self) -> tuple[str, ...]:
        """The candidates that no other one is clearly ahead of; empty where fewer than two are ranked."""
        ranked = self.ranked
        return tuple(
            name
            for name, score in ranked.items()
            if len(ranked) > 1 and not any(is_ahead(other, score) for other in ranked.values())
        )

    @property
    def best(self) -> str | None:
        """The candidate that is clearly ahead of every other ranked one; None where none is."""
        for name, score in self.ranked.items():
            others = [other for key, other in self.ranked.items() if key != name]
            if others and all(is_ahead(score, other) for other in others):
                return name
        return None

    def format_baseline(self) -> str:
        """Return what real rows get; lowest to highest where candidates have different sizes."""
        values = sorted({s.baseline for s in self.scores.values() if s.baseline is not None})
        found = list(dict.fromkeys(map(short, values)))
        return " to ".join(dict.fromkeys((found[0], found[-1]))) if found else NOTHING

    def format_best(self) -> str:
        """Return the best candidate in words; a dash where there is nothing to compare."""
        if self.best is not None or not self.front:
            return self.best or NOTHING
        if len(self.front) == len(self.ranked):
            return "cannot tell apart"
        return f"cannot tell {joined(self.front)} apart" if len(self.front) > 1 else self.front[0]

    def to_json(self) -> dict[str, Any]:
        """Return the row as plain JSON values, without the findings of the scores."""
        keys = ("value", "baseline", "interval", "verdict")
        return {
            "metric": self.metric,
            "title": self.title,
            "family": self.family,
            "higher_is_better": self.first.higher_is_better,
            "margin": self.first.margin,
            "best": self.best,
            "front": list(self.front),
            "candidates": {
                name: {key: getattr(s, key) for key in keys} | {"sentence": score_sentence(s)}
                for name, s in self.scores.items()
            },
        }


def metric_rows(
    scores: Mapping[str, tuple[Score, ...]], excluded: frozenset[str] = frozenset()
) -> tuple[MetricRow, ...]:
    """Return one row for each metric, by question; `excluded` candidates are never called best."""
    rows: dict[str, dict[str, Score]] = {}
    for name, own in scores.items():
        for score in own:
            rows.setdefault(score.metric, {})[name] = score
    found = [MetricRow(metric, by_name, excluded) for metric, by_name in rows.items()]
    order = list(QUESTIONS)
    return tuple(sorted(found, key=lambda row: order.index(row.family)))


def is_ahead(score: Score, other: Score) -> bool:
    """Return whether `score` is better than `other` beyond both intervals.

    Each interval is that of the difference from real rows, so sets of other sizes can be compared.
    Two intervals that do not touch are further apart than a test of their difference would ask for.

    >>> from twinset.core.contracts import Estimate
    >>> from twinset.core.findings import Verdict
    >>> def scored(low, high):
    ...     numbers = Estimate(0.1, 0.0, None, (low, high))
    ...     return Score("gap.a", "gap", 0.1, False, Verdict.DIFFERENT, numbers)
    >>> is_ahead(scored(0.1, 0.2), scored(0.3, 0.4)), is_ahead(scored(0.1, 0.3), scored(0.2, 0.4))
    (True, False)
    """
    mine, theirs = degradation_interval(score), degradation_interval(other)
    return mine is not None and theirs is not None and mine[1] + _ROUNDING < theirs[0]


@dataclass(frozen=True)
class Answer(VerdictLine):
    """One question over all candidates; `mark` is "mixed" where they do not agree."""

    marks: Mapping[str, Mark] = field(default_factory=dict)  # Candidate -> its mark


@dataclass(frozen=True)
class Recommendation:
    """Which candidate to take, if one stands out; `mark` is good only where nothing speaks against it."""

    candidate: str | None
    text: str
    mark: Mark


@dataclass(frozen=True, kw_only=True)
class CandidateReport:
    """A comparison that renders itself: as page, Markdown, JUnit and terminal lines.

    It holds no clock, host or path.

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
        Candidates of which most rows equal real ones, without a holdout that shows how many do by
        chance: none of them is called best or recommended.
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
        return metric_rows(self.scores, frozenset(self.copies))

    @cached_property
    def verdicts(self) -> Mapping[str, Mapping[str, VerdictLine]]:
        """Candidate -> family -> the sentence of its own report."""
        return {
            name: {sentence.family: sentence for sentence in summarize_families(own)}
            for name, own in self.scores.items()
        }

    @property
    def questions(self) -> Mapping[str, FamilyQuestion]:
        """The questions that the reports of all candidates answer."""
        asked = [set(own) for own in self.verdicts.values()]
        return {f: question for f, question in QUESTIONS.items() if all(f in own for own in asked)}

    @cached_property
    def answers(self) -> tuple[Answer, ...]:
        """One sentence for each question."""
        return tuple(self._answer(family) for family in self.questions)

    def _answer(self, family: str) -> Answer:
        question = QUESTIONS[family]
        marks = {name: sentences[family].mark for name, sentences in self.verdicts.items()}
        clauses = []
        for mark in _ORDER:
            names = [name for name, own in marks.items() if own == mark]
            if names:
                subject = "all candidates" if len(names) == len(marks) else joined(names)
                clauses.append(f"{subject} {question.predicate(mark, len(names))}")
        if family == "privacy" and Mark.GOOD in marks.values():
            clauses.append("no sign is no proof of safety")
        own = [row for row in self.rows if row.family == family and row.front]
        if own:
            clauses.append(_count_wins(own))
        text = "; ".join(clauses)
        shared = set(marks.values())
        if shared == {Mark.UNMEASURED}:
            text = "Not measurable for any candidate"
        elif text.startswith("all candidates"):
            text = capitalize(text)
        mark = shared.pop() if len(shared) == 1 else Mark.MIXED
        return Answer(family, question.text, f"{text}.", mark, marks=marks)

    @cached_property
    def recommendation(self) -> Recommendation:
        """The candidate that is ahead of all others, or why none is.

        Candidates with signs of leaking, of mostly real rows (`copies`) or with a missed gate are out.
        Of the others one is preferred to another if it stands behind it in no question and ahead in
        one: by its verdict, or, where the verdicts are equal, by being clearly ahead in more tests than
        behind.
        """
        leaking = [n for n, found in self.verdicts.items() if found["privacy"].mark == Mark.BAD]
        copies = [name for name in self.copies if name not in leaking]
        failing = [name for name in self.failing if name not in leaking and name not in copies]
        left = [name for name in self.verdicts if name not in {*leaking, *copies, *failing}]
        out = []
        if leaking:
            predicate = QUESTIONS["privacy"].predicate(Mark.BAD, len(leaking))
            out.append(f"{joined(leaking)} {predicate}")
        if copies:
            out.append(f"most rows of {joined(copies)} equal real ones")
        if failing:
            out.append(f"{joined(failing)} {'misses' if len(failing) == 1 else 'miss'} a gate")
        if not left:
            reason = "; ".join(out) if copies or failing else "all candidates show signs of leaking"
            return Recommendation(None, f"None can be recommended: {reason}.", Mark.BAD)
        winner = next((x for x in left if all(self._leads(x, y) for y in left if y != x)), None)
        return self._recommend_none(left, out) if winner is None else self._take(winner, left, out)

    def _recommend_none(self, left: Sequence[str], out: Sequence[str]) -> Recommendation:
        ahead = [
            f"{x} is ahead in {joined(found)}" for x in left if (found := self._ahead(x, left))
        ]
        reasons = [joined(ahead) if ahead else "they cannot be distinguished", *out]
        head = (
            f"Neither {left[0]} nor {left[1]} can be recommended over the other"
            if len(left) == 2
            else f"None of {joined(left)} can be recommended over the others"
        )
        return Recommendation(None, f"{head}: {'; '.join(reasons)}.", Mark.INCONCLUSIVE)

    def _take(self, winner: str, left: Sequence[str], out: Sequence[str]) -> Recommendation:
        ahead = f"it is ahead in {joined(self._ahead(winner, left))}"
        reasons = [*([ahead] if len(left) > 1 else []), *out]
        caveats, careful = _caveats(self.verdicts[winner]), caution(self.scores[winner])
        head = f"Take {winner}" if not caveats else f"{winner} is the best of these"
        head = f"Mind of {winner} that {careful}. {head}" if careful else head
        but = f"; but {joined(caveats)}" if caveats else ""
        mark = Mark.INCONCLUSIVE if caveats or careful else Mark.GOOD
        return Recommendation(winner, f"{head}: {', '.join(reasons)}{but}.", mark)

    def _compare(self, x: str, y: str, family: str) -> int:
        """Return how x stands to y in a question: above 0 is ahead, below 0 behind."""
        ranks = [_RANK[self.verdicts[name][family].mark] for name in (x, y)]
        if ranks[0] != ranks[1]:
            return ranks[0] - ranks[1]
        rows = [row.scores for row in self.rows if row.family == family]
        both = [(scores[x], scores[y]) for scores in rows if {x, y} <= scores.keys()]
        return sum(is_ahead(a, b) for a, b in both) - sum(is_ahead(b, a) for a, b in both)

    def _leads(self, x: str, y: str) -> bool:
        stands = [self._compare(x, y, family) for family in self.questions]
        return min(stands) >= 0 and max(stands) > 0

    def _ahead(self, name: str, left: Sequence[str]) -> list[str]:
        """Return the subjects in which a candidate is ahead of another one."""
        return [
            question.subject
            for family, question in self.questions.items()
            if any(self._compare(name, y, family) > 0 for y in left if y != name)
        ]

    def to_json(self) -> str:
        """Return the comparison as JSON text, with every score of every candidate."""
        content = {
            "schema_version": SCHEMA_VERSION,
            "title": self.title,
            "recommendation": asdict(self.recommendation),
            "questions": [asdict(found) for found in self.answers],
            "metrics": [row.to_json() for row in self.rows],
            "facts": self.facts,
            "notes": self.notes,
            "candidates": {
                name: {
                    "verdict": [asdict(found) for found in self.verdicts[name].values()],
                    "gates": [asdict(gate) for gate in self.gates.get(name, ())],
                    "scores": [score_json(score) for score in own],
                }
                for name, own in self.scores.items()
            },
        }
        return json.dumps(plain(content), indent=2, ensure_ascii=False, allow_nan=False) + "\n"

    def to_html(self) -> str:
        """Return the comparison as one self-contained page that asks nothing of the network."""
        rows = {q.text: [row for row in self.rows if row.family == f] for f, q in QUESTIONS.items()}
        counts = {
            "candidates": len(self.scores),
            "real training rows": self.facts.get("train_rows"),
            "holdout rows": self.facts.get("holdout_rows"),
        }
        facts = count_facts(counts, self.facts)
        for label, key in {"target": "target", "only rows where": "where", "seed": "seed"}.items():
            if self.facts.get(key) is not None:
                facts.append((label, str(self.facts[key])))
        families = [(question, own) for question, own in rows.items() if own]
        names = list(self.scores)
        return render("candidates.html", report=self, names=names, facts=facts, families=families)

    def to_markdown(self) -> str:
        """Return the comparison as Markdown, for a pull request."""
        advice, names, rows = self.recommendation, list(self.scores), []
        for row in self.rows:
            found = [row.scores.get(name) for name in names]
            cells = [f"{MARKS[s.verdict].emoji} {short(s.value)}" if s else NOTHING for s in found]
            best = md.escape(row.format_best())
            rows.append((md.metric_cell(row.metric), row.format_baseline(), *cells, best))
        lines = [f"## {md.escape(self.title)}", ""]
        lines += [f"{advice.mark.emoji} **{md.escape(advice.text)}**", ""]
        lines += [md.answer_line(a.mark, a.question, a.text) for a in self.answers]
        head = ("metric", "real vs real", *map(md.escape, names), "best")
        lines += ["", *md.table(head, rows), "", md.LEGEND, *md.notes(self.notes)]
        return "\n".join(lines) + "\n"

    def to_junit(self) -> str:
        """Return the verdicts as JUnit XML, one suite a candidate."""
        return md.junit_xml({n: (own, self.gates.get(n, ())) for n, own in self.scores.items()})

    def summary(self) -> str:
        """Return the recommendation and one sentence a question as plain lines for a terminal."""
        head = "Which one?"
        width = max(len(head), *(len(found.question) for found in self.answers))
        lines = [(self.recommendation.mark, head, self.recommendation.text)]
        lines += [(found.mark, found.question, found.text) for found in self.answers]
        return "\n".join(f"{mark.sign} {name:<{width}}  {text}" for mark, name, text in lines)


def _count_wins(rows: Sequence[MetricRow]) -> str:
    """Return in how many tests each candidate is clearly ahead of all others."""
    wins = Counter(row.best for row in rows if row.best is not None)
    n = len(rows)
    if not wins:
        tests = "the one test" if n == 1 else f"any of {n} tests"
        return f"none is clearly ahead of all others in {tests}"
    if n == 1:
        return f"{next(iter(wins))} is clearly ahead in the one test"
    text = joined([f"{name} is clearly ahead in {k} of {n} tests" for name, k in wins.items()])
    return text if wins.total() == n else f"{text}, in the others none is ahead of all"


def _caveats(sentences: Mapping[str, VerdictLine]) -> list[str]:
    """Return what speaks against a candidate, or is not known of it."""
    clauses = [
        f"it {question.predicate(Mark.BAD)}"
        for family, question in QUESTIONS.items()
        if family in sentences and sentences[family].mark == Mark.BAD
    ]
    for mark, words in ((Mark.INCONCLUSIVE, "undecided"), (Mark.UNMEASURED, "not measured")):
        found = [QUESTIONS[f].subject for f, own in sentences.items() if own.mark == mark]
        if found:
            clauses.append(f"{joined(found)} {'is' if len(found) == 1 else 'are'} {words}")
    return clauses

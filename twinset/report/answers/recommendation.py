"""One sentence a question over several candidates, and one recommendation that claims no more."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from twinset.report.answers.phrases import FAMILIES, joined
from twinset.report.answers.ranking import MetricRow, is_ahead
from twinset.report.answers.verdict import Mark, VerdictLine

Verdicts = Mapping[str, Mapping[str, VerdictLine]]
"""Candidate -> family -> its sentence."""

_RANK: Mapping[Mark, int] = {"good": 2, "unclear": 1, "unmeasured": 1, "bad": 0}
_ORDER: tuple[Mark, ...] = ("good", "unclear", "bad", "unmeasured")
# (one candidate, several candidates)
_SAID: Mapping[str, Mapping[Mark, tuple[str, str]]] = {
    "gap": {
        "good": ("is as good as real rows", "are as good as real rows"),
        "bad": ("is different from real rows", "are different from real rows"),
    },
    "coverage": {
        "good": ("misses nothing that was looked for", "miss nothing that was looked for"),
        "bad": ("misses something", "miss something"),
    },
    "utility": {
        "good": ("helps", "help"),
        "bad": ("does not help", "do not help"),
        "unclear": ("shows no clear use", "show no clear use"),
    },
    "privacy": {
        "good": ("shows no sign of leaking", "show no sign of leaking"),
        "bad": ("shows signs of leaking", "show signs of leaking"),
    },
}
_ANYWHERE: Mapping[Mark, tuple[str, str]] = {
    "unclear": ("is undecided", "are undecided"),
    "unmeasured": ("could not be measured", "could not be measured"),
}
_IN = {
    "gap": "closeness to real",
    "coverage": "coverage",
    "utility": "usefulness",
    "privacy": "privacy",
}


@dataclass(frozen=True)
class Answer:
    """One question over all candidates; `mark` is "mixed" where they do not agree."""

    family: str
    question: str
    text: str
    mark: Mark | Literal["mixed"]
    marks: Mapping[str, Mark]

    def to_json(self) -> dict[str, Any]:
        """Return the answer as plain JSON values."""
        return asdict(self)


@dataclass(frozen=True)
class Recommendation:
    """Which candidate to take, if one can be told; `mark` is good only where nothing speaks against it."""

    candidate: str | None
    text: str
    mark: Mark

    def to_json(self) -> dict[str, Any]:
        """Return the recommendation as plain JSON values."""
        return asdict(self)


def answer(family: str, verdicts: Verdicts, rows: Sequence[MetricRow]) -> Answer:
    """Return the sentence of one family: what each candidate's verdict is, and who is ahead where."""
    marks = {name: sentences[family].mark for name, sentences in verdicts.items()}
    told = []
    for mark in _ORDER:
        names = [name for name, own in marks.items() if own == mark]
        if names:
            who = "all candidates" if len(names) == len(marks) else joined(names)
            told.append(f"{who} {_said(family, mark)[len(names) > 1]}")
    if family == "privacy" and "good" in marks.values():
        told.append("no sign is no proof of safety")
    own = [row for row in rows if row.family == family and row.front]
    if own:
        told.append(_ahead(own))
    text = "; ".join(told)
    if set(marks.values()) == {"unmeasured"}:
        text = "Not measurable for any candidate"
    if text.startswith("all candidates"):
        text = f"A{text[1:]}"
    shared = set(marks.values())
    return Answer(
        family,
        FAMILIES[family][0],
        f"{text}.",
        shared.pop() if len(shared) == 1 else "mixed",
        marks,
    )


def recommend(
    verdicts: Verdicts,
    rows: Sequence[MetricRow],
    copies: Sequence[str] = (),
    failing: Sequence[str] = (),
    cautions: Mapping[str, str] | None = None,
) -> Recommendation:
    """Return the candidate that is ahead of all others, or why none is.

    One that shows signs of leaking is out, and so is one of `copies`, which hold mostly real rows, and
    one of `failing`, which missed a gate. Of
    the others one is preferred to another if it stands behind it in no question and ahead in one: by
    its verdict, or, where the verdicts are alike, by being clearly ahead in more tests than behind.
    What `cautions` says of a candidate stands before the advice to take it.
    """
    leaking = [name for name in verdicts if verdicts[name]["privacy"].mark == "bad"]
    copies = [name for name in copies if name not in leaking]
    failing = [name for name in failing if name not in leaking and name not in copies]
    left = [name for name in verdicts if name not in {*leaking, *copies, *failing}]
    out = [f"{joined(leaking)} {_said('privacy', 'bad')[len(leaking) > 1]}"] if leaking else []
    if copies:
        out.append(f"most rows of {joined(copies)} equal real ones")
    if failing:
        out.append(f"{joined(failing)} {'misses' if len(failing) == 1 else 'miss'} a gate")
    if not left and (copies or failing):
        return Recommendation(None, f"None can be recommended: {'; '.join(out)}.", "bad")
    if not left:
        return Recommendation(
            None, "None can be recommended: all candidates show signs of leaking.", "bad"
        )
    winner = next(
        (x for x in left if all(_leads(x, y, verdicts, rows) for y in left if y != x)), ""
    )
    if not winner:
        none = (
            f"Neither {left[0]} nor {left[1]} can be recommended over the other"
            if len(left) == 2
            else f"None of {joined(left)} can be recommended over the others"
        )
        told = [_undecided(left, verdicts, rows), *out]
        return Recommendation(None, f"{none}: {'; '.join(told)}.", "unclear")
    reasons = list(out)
    others = [name for name in left if name != winner]
    if others:
        ahead = [
            _IN[family]
            for family in FAMILIES
            if any(_stands(winner, other, family, verdicts, rows) > 0 for other in others)
        ]
        reasons.insert(0, f"it is ahead in {joined(ahead)}")
    caveats = _caveats(verdicts[winner])
    careful = (cautions or {}).get(winner, "")
    head = f"Take {winner}" if not caveats else f"{winner} is the best of these"
    head = f"Mind of {winner} that {careful}. {head}" if careful else head
    but = f"; but {joined(caveats)}" if caveats else ""
    return Recommendation(
        winner, f"{head}: {', '.join(reasons)}{but}.", "unclear" if caveats or careful else "good"
    )


def _said(family: str, mark: Mark) -> tuple[str, str]:
    return _SAID[family].get(mark) or _ANYWHERE[mark]


def _ahead(rows: Sequence[MetricRow]) -> str:
    """Return in how many tests each candidate is clearly ahead of all others."""
    wins: dict[str, int] = {}
    for row in rows:
        if row.best is not None:
            wins[row.best] = wins.get(row.best, 0) + 1
    n = len(rows)
    if not wins:
        tests = "the one test" if n == 1 else f"any of {n} tests"
        return f"none is clearly ahead of all others in {tests}"
    if n == 1:
        return f"{next(iter(wins))} is clearly ahead in the one test"
    told = joined([f"{name} is clearly ahead in {k} of {n} tests" for name, k in wins.items()])
    return told if sum(wins.values()) == n else f"{told}, in the others none is ahead of all"


def _stands(x: str, y: str, family: str, verdicts: Verdicts, rows: Sequence[MetricRow]) -> int:
    """Return how x stands to y in a question: above 0 is ahead, below 0 behind."""
    by_verdict = _RANK[verdicts[x][family].mark] - _RANK[verdicts[y][family].mark]
    if by_verdict:
        return by_verdict
    both = [row.scores for row in rows if row.family == family and {x, y} <= row.scores.keys()]
    return sum(is_ahead(s[x], s[y]) for s in both) - sum(is_ahead(s[y], s[x]) for s in both)


def _leads(x: str, y: str, verdicts: Verdicts, rows: Sequence[MetricRow]) -> bool:
    stands = [_stands(x, y, family, verdicts, rows) for family in FAMILIES]
    return min(stands) >= 0 and max(stands) > 0


def _undecided(left: Sequence[str], verdicts: Verdicts, rows: Sequence[MetricRow]) -> str:
    """Return in what each is ahead of another, or that they cannot be told apart."""
    told = []
    for name in left:
        ahead = [
            _IN[family]
            for family in FAMILIES
            if any(_stands(name, y, family, verdicts, rows) > 0 for y in left if y != name)
        ]
        if ahead:
            told.append(f"{name} is ahead in {joined(ahead)}")
    return joined(told) if told else "they cannot be told apart"


def _caveats(sentences: Mapping[str, VerdictLine]) -> list[str]:
    """Return what speaks against a candidate, or is not known of it."""
    told = [
        f"it {_said(family, 'bad')[0]}" for family in FAMILIES if sentences[family].mark == "bad"
    ]
    for mark, words in (("unclear", "undecided"), ("unmeasured", "not measured")):
        families = [_IN[family] for family in FAMILIES if sentences[family].mark == mark]
        if families:
            told.append(f"{joined(families)} {'is' if len(families) == 1 else 'are'} {words}")
    return told

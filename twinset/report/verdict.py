"""Scores become four plain sentences: how far from real, what is missing, does it help, does it leak."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from twinset.core.contracts import Score
from twinset.report.details import Usefulness, column_distances, usefulness, worst_pair
from twinset.report.wording import FAMILIES, joined, metric_title, short, signed

Mark = Literal["good", "bad", "unclear", "unmeasured"]


@dataclass(frozen=True)
class Sentence:
    """One line of the verdict.

    Parameters
    ----------
    family : str
        Family of metrics that it speaks for.
    question : str
        The question, e.g. "Does it leak?".
    text : str
        The answer in plain words.
    mark : {"good", "bad", "unclear", "unmeasured"}
        What the answer amounts to, for a mark beside it.
    """

    family: str
    question: str
    text: str
    mark: Mark

    def to_json(self) -> dict[str, Any]:
        """Return the sentence as plain JSON values."""
        return asdict(self)


def judge(scores: Sequence[Score]) -> tuple[Sentence, ...]:
    """Return one sentence for each of the four families, in the order of `FAMILIES`.

    Examples
    --------
    >>> [sentence.mark for sentence in judge([])]
    ['unmeasured', 'unmeasured', 'unmeasured', 'unmeasured']
    """
    sentences = []
    for family, (question, _) in FAMILIES.items():
        own = [score for score in scores if score.family == family]
        mark, text = _JUDGES[family](own) if own else ("unmeasured", "Not measured.")
        sentences.append(Sentence(family, question, text, mark))
    return tuple(sentences)


def harm(score: Score) -> float:
    """Return how many margins the score lies on the bad side of its baseline; below 0 is better."""
    if score.value is None or score.baseline is None:
        return 0.0
    worse = score.value - score.baseline
    return (-worse if score.higher_is_better else worse) / max(score.margin, 1e-12)


def _judge_gap(scores: Sequence[Score]) -> tuple[Mark, str]:
    mark, worst, counts = _tally(scores)
    if mark == "good":
        return mark, f"As good as real rows in {counts}."
    if mark == "bad":
        return mark, f"Different from real rows in {counts}. Furthest off: {_told(worst)}."
    return mark, _undecided(mark, worst, counts)


def _judge_coverage(scores: Sequence[Score]) -> tuple[Mark, str]:
    mark, worst, counts = _tally(scores)
    if mark == "good":
        return mark, f"Nothing found missing: as good as real rows in {counts}."
    if mark == "bad":
        return mark, f"Something is missing, in {counts}. Furthest off: {_told(worst)}."
    return mark, _undecided(mark, worst, counts)


def _judge_privacy(scores: Sequence[Score]) -> tuple[Mark, str]:
    mark, worst, counts = _tally(scores)
    if mark == "good":
        return mark, (
            f"No sign of leaking in {counts} (a smoke alarm, not a proof of safety)."
        )
    if mark == "bad":
        return mark, f"Signs of leaking in {counts}: {_told(worst)}."
    return mark, _undecided(mark, worst, counts)


def _judge_utility(scores: Sequence[Score]) -> tuple[Mark, str]:
    mark, worst, counts = _tally(scores)
    if mark == "unmeasured":
        return mark, _undecided(mark, worst, counts)
    found = next((u for u in map(usefulness, scores) if u is not None), None)
    said = [] if found is None else _added(found)
    if mark == "good":
        said.append(f"Synthetic rows alone train as well as real ones ({_numbers(worst)}).")
    elif mark == "bad":
        said.append(f"Synthetic rows alone do not train as well as real ones ({_numbers(worst)}).")
    else:
        said.append(f"Synthetic rows alone: {_reason(worst)} ({_numbers(worst)}).")
    added: dict[str, Mark] = {"helps": "good", "hurts": "bad", "no evidence": "unclear"}
    if found is not None and found.answer in added:
        mark = added[found.answer]
    return mark, " ".join(said)


def _added(found: Usefulness) -> list[str]:
    words = {
        "helps": "It helps: real rows with synthetic ones added beat real rows alone",
        "hurts": "It hurts: real rows with synthetic ones added do worse than real rows alone",
        "no evidence": "No evidence that it helps: adding synthetic rows to the real ones made no "
        "difference that these data can show",
    }
    if found.answer not in words:
        return []
    change = found.main_change
    if change is None:
        return [words[found.answer] + "."]
    span = f", 95 % interval {signed(change.low)} to {signed(change.high)}" if change.known else ""
    return [f"{words[found.answer]} ({change.label} {signed(change.difference)}{span})."]


_JUDGES = {
    "gap": _judge_gap,
    "coverage": _judge_coverage,
    "utility": _judge_utility,
    "privacy": _judge_privacy,
}


def _tally(scores: Sequence[Score]) -> tuple[Mark, Score, str]:
    """Return the family's mark, the score that decides it and "k of n tests" in words."""
    ranked = sorted(scores, key=harm, reverse=True)
    by = {v: [s for s in ranked if s.verdict == v] for v in {s.verdict for s in ranked}}
    measured = [s for s in ranked if s.verdict != "not measurable"]
    left = len(ranked) - len(measured)
    aside = f" ({left} more could not be measured)" if left and measured else ""
    n = len(measured)
    every = {1: "the one test made", 2: "both tests"}.get(n, f"all {n} tests") + aside
    if not measured:
        return "unmeasured", ranked[0], "no test"
    if by.get("different"):
        k = len(by["different"])
        return "bad", by["different"][0], every if k == n else f"{k} of {n} tests{aside}"
    if by.get("cannot tell"):
        k = len(by["cannot tell"])
        counts = every if k == n else f"{k} of {n} tests{aside}"
        return "unclear", by["cannot tell"][0], counts
    return "good", measured[0], every


def _undecided(mark: Mark, worst: Score, counts: str) -> str:
    if mark == "unmeasured":
        return f"Not measurable: {_reason(worst)}."
    return f"Cannot tell in {counts}: {metric_title(worst.metric)}, {_reason(worst)}."


def _reason(score: Score) -> str:
    """Return the score's own sentence without the verdict's words in front and the stop at the end."""
    text = score.sentence.strip().rstrip(".")
    return re.sub(r"^(not measurable|cannot tell)\s*[:,]?\s*", "", text, flags=re.I) or "too few rows"


def _told(score: Score) -> str:
    parts = [f"{metric_title(score.metric)} ({_numbers(score)})"]
    distances = column_distances(score)
    if distances:
        name, value = max(distances.items(), key=lambda item: (item[1], item[0]))
        parts.append(f"worst column {name} at {short(value)}")
    elif (pair := worst_pair(score)) is not None:
        parts.append(f"worst pair {joined(pair[:2])} at {short(pair[2])}")
    return ", ".join(parts)


def _numbers(score: Score) -> str:
    real = f", real against real {short(score.baseline)}" if score.baseline is not None else ""
    return f"{short(score.value)}{real}"

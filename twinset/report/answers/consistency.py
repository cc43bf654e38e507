"""Statements of one report that contradict each other, found by code."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from twinset.core.contracts import Score
from twinset.core.findings import Verdict
from twinset.core.model_findings import Effect, ModelComparison
from twinset.report.answers.phrases import Mark, metric_title
from twinset.report.answers.purposes import Use
from twinset.report.answers.sentences import describe, remarks
from twinset.report.answers.verdict import VerdictLine

# Purpose, by its place in the table -> question whose answer may not be the opposite.
_SAME_SUBJECT: Sequence[tuple[int, str]] = ((1, "utility"), (2, "gap"), (3, "privacy"))


def find_contradictions(
    scores: Sequence[Score], lines: Sequence[VerdictLine], uses: Sequence[Use]
) -> list[str]:
    """Return a sentence for each pair of statements that cannot both be true.

    One number has one verdict, in the table of scores, the models and the answers; a difference is not
    denied by the finding beside it; and no purpose is recommended that an answer speaks against.

    >>> find_contradictions([], [], [])
    []
    """
    found = [text for score in scores for text in _within_score(score)]
    marks = {line.family: line.mark for line in lines}
    for place, family in _SAME_SUBJECT[: len(uses)] if len(uses) > 1 else ():
        use, mark = uses[place], marks.get(family)
        if {use.mark, mark} == {Mark.GOOD, Mark.BAD} and not (
            family == "gap" and use.mark == Mark.GOOD
        ):
            found.append(f"'{use.purpose}: {use.answer}' beside an answer that is {mark}")
    found += _against_measured(scores, marks)
    if marks.get("integrity") == Mark.BAD:
        found += [
            f"'{use.purpose}: yes' for a set with invalid rows"
            for use in uses
            if use.answer == "yes"
        ]
    return found


def _within_score(score: Score) -> list[str]:
    """Return what contradicts itself in the line of one score."""
    name, found = metric_title(score.metric), []
    models = score.finding(ModelComparison)
    decides = (
        None if models is None or models.decides is None else models.trained_on(models.decides)
    )
    effect = None if decides is None else decides.effect
    if (effect, score.verdict) in _CLASHES:
        found.append(f"{name}: '{effect}' beside '{score.verdict}'")
    shown = remarks(score)
    if score.verdict == Verdict.DIFFERENT:
        denied = [describe(one) for one in score.findings if one.found_nothing]
        found += [
            f"{name}: 'different' beside '{text}'"
            for text in denied
            if text and any(text.lower() in remark.lower() for remark in shown)
        ]
    return found


_CLASHES = (
    (Effect.HURTS, Verdict.EQUIVALENT), (Effect.HURTS, Verdict.INCONCLUSIVE),
    (Effect.HELPS, Verdict.DIFFERENT), (Effect.NOT_SHOWN, Verdict.DIFFERENT),
    (Effect.WORSE, Verdict.DIFFERENT),
)  # fmt: skip


def _against_measured(scores: Sequence[Score], marks: Mapping[str, Mark]) -> list[str]:
    """Return answers that are good although a test of their family is different."""
    return [
        f"the answer on {family} is good beside '{metric_title(score.metric)}: different'"
        for family, mark in marks.items()
        for score in scores
        if mark == Mark.GOOD
        and score.family == family
        and score.verdict == Verdict.DIFFERENT
        and family != "utility"
    ]

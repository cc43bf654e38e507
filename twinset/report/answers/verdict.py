"""Scores become four plain sentences: how far from real, what is missing, does it help, does it leak."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from twinset.core.contracts import Role, Score
from twinset.core.findings import (
    ColumnDistances,
    DifferentComponents,
    Effect,
    ModelComparison,
    PairDistances,
    TrainedModel,
    TrainingData,
    Verdict,
)
from twinset.report.answers.metrics import has_role, metric_title, sees_everything, with_role
from twinset.report.answers.ordering import compute_certain_degradation, worst_first
from twinset.report.answers.phrases import FAMILIES, joined, short, signed
from twinset.report.answers.sentences import (
    capitalize,
    describe,
    group_outcome,
    headline,
    needed_rows,
    plural,
    reasons,
    time_notes,
)

Mark = Literal["good", "bad", "unclear", "unmeasured"]
_MOST_NAMED = 3
VERDICT_MARKS: Mapping[Verdict, Mark] = {
    Verdict.EQUIVALENT: "good",
    Verdict.DIFFERENT: "bad",
    Verdict.INCONCLUSIVE: "unclear",
    Verdict.NOT_MEASURABLE: "unmeasured",
}
EFFECT_MARKS: Mapping[Effect, Mark] = {
    Effect.HELPS: "good",
    Effect.HURTS: "bad",
    Effect.NOT_SHOWN: "unclear",
}


@dataclass(frozen=True)
class VerdictLine:
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


def summarize_families(scores: Sequence[Score]) -> tuple[VerdictLine, ...]:
    """Return one sentence for each of the four families, in the order of `FAMILIES`.

    Examples
    --------
    >>> [sentence.mark for sentence in summarize_families([])]
    ['unmeasured', 'unmeasured', 'unmeasured', 'unmeasured']
    """
    sentences = []
    for family, (question, _) in FAMILIES.items():
        own = [score for score in scores if score.family == family]
        mark, text = _ANSWERS[family](own) if own else ("unmeasured", "Not measured.")
        sentences.append(VerdictLine(family, question, text, mark))
    return tuple(sentences)


def _answer_gap(scores: Sequence[Score]) -> tuple[Mark, str]:
    mark, worst, counts = _tally(scores)
    if mark == "good":
        return mark, f"As good as real rows in {counts}."
    if mark == "bad":
        said = f"Different from real rows in {counts}."
        whole = _further_at_once(worst, scores)
        if whole is None:
            return mark, f"{said} Furthest off: {_describe_worst(worst)}.{_due_to_time(worst)}"
        name = metric_title(whole.metric)
        more = f"All at once they are further off: {name} ({_numbers(whole)})."
        return (
            mark,
            f"{said} The worst place: {_describe_worst(worst)}. {more}{_due_to_time(worst)}",
        )
    return mark, _undecided(mark, worst, counts, "No difference found", scores)


def _further_at_once(worst: Score, scores: Sequence[Score]) -> Score | None:
    """Return the test of everything at once that is surely further off than the worst place, if any."""
    whole = [s for s in scores if sees_everything(s) and s.verdict == Verdict.DIFFERENT]
    found = next(iter(worst_first(whole)), None)
    return (
        None
        if found is None or compute_certain_degradation(found) <= compute_certain_degradation(worst)
        else found
    )


def _due_to_time(score: Score) -> str:
    """Return what earlier real rows score beside a later holdout, where that is known."""
    return "".join(f" {note}." for note in time_notes(score))


def _answer_coverage(scores: Sequence[Score]) -> tuple[Mark, str]:
    mark, worst, counts = _tally(scores)
    measured = [score for score in scores if score.is_measured]
    if mark == "good" and all(has_role(score, Role.DECLARED_SHARES) for score in measured):
        return mark, f"The declared shares of the population are met, in {counts}."
    if mark == "good":
        return mark, f"Nothing found missing: as good as real rows in {counts}."
    if mark == "bad":
        said = f"Something is missing or off, in {counts}. Furthest off: {_describe_worst(worst)}."
        return mark, said + _due_to_time(worst)
    return mark, _undecided(mark, worst, counts, "Nothing found missing", scores)


def _answer_privacy(scores: Sequence[Score]) -> tuple[Mark, str]:
    mark, worst, counts = _tally(scores)
    n_measured = sum(score.is_measured for score in scores)
    if mark == "good" and 2 * n_measured < len(scores):
        told = f"No leak found, but only {n_measured} of {len(scores)} tests could be made"
        return "unclear", f"{told}: that shows little."
    if mark == "good":
        return mark, f"No sign of leaking in {counts}. A smoke alarm, not a proof of safety."
    if mark == "bad":
        found = sum(score.verdict == Verdict.DIFFERENT for score in scores)
        head = f"It leaks, by {counts}" if found > 1 else f"Signs of leaking, in {counts}"
        return mark, f"{head}: {_describe_worst(worst)}."
    return mark, _undecided(mark, worst, counts, "No leak found", scores)


def _answer_utility(scores: Sequence[Score]) -> tuple[Mark, str]:
    rate = next((s for s in with_role(scores, Role.EXCHANGE_RATE) if s.is_measured), None)
    models = [
        s
        for s in scores
        if s.is_measured and not has_role(s, Role.EXCHANGE_RATE, Role.MODEL_CHOICE)
    ]
    if not models and rate is None:
        mark, worst, counts = _tally(scores)
        return mark, _undecided(mark, worst, counts, "No harm found", scores)
    if not models and rate is not None:
        return _tally([rate])[0], _worth(rate, whole=True)
    models.sort(key=lambda score: not has_role(score, Role.SUBSTITUTE_MODEL))
    mark, worst, _ = _tally(models)
    score = next((s for s in models if s.finding(ModelComparison)), worst)
    found = score.finding(ModelComparison)
    mixed = None if found is None else found.trained_on(TrainingData.MIXED)
    effect = None if mixed is None else mixed.effect
    said = [_describe_alone(score, mark, found)]
    if found is not None and mixed is not None and effect is not None:
        said.insert(0, _describe_mixed(mixed, effect, found.measures[0]))
    if rate is not None:
        # Its doubts concern another model: beside a clear answer they would seem to deny it.
        alone = found is None or found.trained_on(TrainingData.SYNTHETIC) is not None
        is_clear = effect in (Effect.HELPS, Effect.HURTS)
        said.append(_worth(rate, whole=not is_clear and alone))
    order = [s for s in with_role(scores, Role.MODEL_CHOICE) if s.verdict == Verdict.DIFFERENT]
    if order:
        said.append(f"Do not choose models by it: {_describe_worst(order[0])}.")
    if effect is not None:
        mark = EFFECT_MARKS[effect]
    return mark, " ".join(said)


_ALONE: Mapping[Mark, str] = {
    "good": "Synthetic rows alone train nearly as well as real ones, within the margin",
    "bad": "Synthetic rows alone do not train as well as real ones",
    "unclear": "It is open whether synthetic rows alone train as well as real ones",
}
_MIXED: Mapping[Effect, str] = {
    Effect.HELPS: "It helps: real and synthetic rows together beat real rows alone",
    Effect.HURTS: "It hurts: real and synthetic rows together do worse than real rows alone",
    Effect.NOT_SHOWN: "No evidence that adding synthetic rows to real ones helps or hurts",
}


def _describe_alone(score: Score, mark: Mark, found: ModelComparison | None) -> str:
    """Return what models of synthetic rows alone are worth, in line with the answer of the table."""
    alone = None if found is None else found.trained_on(TrainingData.SYNTHETIC)
    if found is None or (alone is None and found.trained_on(TrainingData.MIXED) is None):
        real = (
            f", trained on real rows {short(score.baseline)}" if score.baseline is not None else ""
        )
        return f"{_ALONE[mark]} ({short(score.value)}{real})."
    if alone is None:
        return "Synthetic rows alone hold too few classes to train on."
    real_model = found.trained_on(TrainingData.REAL)
    numbers = f"{found.measures[0]} {short(alone.scores[0].value)}"
    if real_model is not None:
        numbers += f", trained on real rows {short(real_model.scores[0].value)}"
    said = _ALONE[mark]
    if alone.effect == Effect.HELPS:
        said = "Synthetic rows alone train better than real ones"
    elif alone.effect == Effect.HURTS:
        said = _ALONE["bad"]
        if mark == "good":
            said = "Synthetic rows alone train a little worse than real ones, within the margin"
    elif alone.effect is not None and mark == "bad":
        said = _ALONE["unclear"]
    return f"{said} ({numbers})."


def _worth(rate: Score, *, whole: bool) -> str:
    """Return the sentences of an exchange rate, or the first of them."""
    said = [capitalize(text) for found in rate.findings if (text := describe(found))]
    said = said or [_describe_worst(rate)]
    return f"{'. '.join(said if whole else said[:1])}."


def _describe_mixed(mixed: TrainedModel, effect: Effect, measure: str) -> str:
    score = mixed.scores[0]
    text = ""
    if score.difference is not None:
        text = f" ({measure} {signed(score.difference)}"
        if score.interval is not None:
            text += f", 95 % interval {signed(score.interval[0])} to {signed(score.interval[1])}"
        text += ")"
    return f"{_MIXED[effect]}{text}."


_ANSWERS = {
    "gap": _answer_gap,
    "coverage": _answer_coverage,
    "utility": _answer_utility,
    "privacy": _answer_privacy,
}


def _tally(scores: Sequence[Score]) -> tuple[Mark, Score, str]:
    """Return the mark of a family, the score that decides it and "k of n tests" in words."""
    ranked = worst_first(scores)
    measured = [score for score in ranked if score.is_measured]
    left = len(ranked) - len(measured)
    aside = f" ({left} further {plural('test', left)} could not be measured)" if left else ""
    n = len(measured)
    every = {1: "the one test made", 2: "both tests"}.get(n, f"all {n} tests") + aside
    if not measured:
        return "unmeasured", ranked[0], "no test"
    for verdict in (Verdict.DIFFERENT, Verdict.INCONCLUSIVE):
        own = [score for score in ranked if score.verdict == verdict]
        if own:
            k = len(own)
            return VERDICT_MARKS[verdict], own[0], every if k == n else f"{k} of {n} tests{aside}"
    return "good", measured[0], every


def _undecided(mark: Mark, worst: Score, counts: str, nothing: str, scores: Sequence[Score]) -> str:
    """Return what is open; `nothing` says that what was decided found nothing."""
    if mark == "unmeasured":
        return f"Not measurable: {worst.reason or 'no reason is known'}."
    reason = needed_rows(worst, place=True) or next(iter(reasons(worst)), "too few rows")
    text = f"{capitalize(metric_title(worst.metric))}: {reason}."
    measured = [score for score in scores if score.is_measured]
    is_open = [score for score in measured if score.verdict == Verdict.INCONCLUSIVE]
    if 2 * len(is_open) > len(measured):
        return f"Cannot tell: undecided in {counts}. {text}"
    return f"{nothing} so far; undecided in {counts}. {text}"


def _describe_worst(score: Score) -> str:
    """Return the title of a score with its numbers and what is off in it."""
    title, numbers = metric_title(score.metric), _numbers(score)
    if different := score.finding(DifferentComponents):
        named = different.names[:_MOST_NAMED]
        left = len(different.names) - len(named)
        more = f" and {left} more" if left else ""
        kind = plural(different.kind, len(different.names))
        outcomes = {name: group_outcome(score, name) for name in named}
        head = title if any(outcomes.values()) else f"{title} ({numbers})"
        named = tuple(f"{name} ({outcomes[name]})" if outcomes[name] else name for name in named)
        return f"{head}, by {kind} {', '.join(named) if left else joined(named)}{more}"
    if said := headline(score):
        return f"{title} ({said})"
    if (columns := score.finding(ColumnDistances)) and columns.distances:
        name, value = max(columns.distances.items(), key=lambda item: (item[1], item[0]))
        return f"{title} ({numbers}), worst column {name} at {short(value)}"
    if (pairs := score.finding(PairDistances)) and pairs.distances:
        one, other, value = max(pairs.distances, key=lambda item: (item[2], item[:2]))
        return f"{title} ({numbers}), worst pair {one} and {other} at {short(value)}"
    return f"{title} ({numbers})"


def _numbers(score: Score) -> str:
    real = f", real rows get {short(score.baseline)}" if score.baseline is not None else ""
    return f"{short(score.value)}{real}"


_FEWEST = 3


@dataclass(frozen=True)
class Unmeasured:
    """A reason, and all tests that could not be made for it."""

    reason: str
    scores: tuple[Score, ...]


def unmeasured(scores: Sequence[Score]) -> list[Unmeasured]:
    """Return the reasons that three or more tests share, those of most tests first.

    Where nothing was measured at all, every reason is told this way.

    Examples
    --------
    >>> from twinset.core.findings import NotMeasured
    >>> score = Score("gap.a", "gap", 0.1, False, Verdict.NOT_MEASURABLE,
    ...               findings=(NotMeasured("there is no real set"),))
    >>> [(found.reason, len(found.scores)) for found in unmeasured([score])]
    [('there is no real set', 1)]
    """
    found: dict[str, list[Score]] = {}
    for score in scores:
        if not score.is_measured:
            found.setdefault(score.reason, []).append(score)
    is_all = sum(map(len, found.values())) == len(scores)
    told = [
        Unmeasured(reason, tuple(own))
        for reason, own in found.items()
        if is_all or (len(own) >= _FEWEST and reason)
    ]
    return sorted(told, key=lambda one: -len(one.scores))


def merged(verdict: Sequence[VerdictLine]) -> tuple[VerdictLine, ...]:
    """Return the sentences; one where none could be answered, and all for the same reason.

    Examples
    --------
    >>> lacking = [VerdictLine(f, f"{f}?", "No real set.", "unmeasured") for f in ("gap", "utility")]
    >>> [sentence.question for sentence in merged(lacking)]
    ['gap? utility?']
    """
    if len(verdict) > 1 and {(s.text, s.mark) for s in verdict} == {
        (verdict[0].text, "unmeasured")
    }:
        question = " ".join(sentence.question for sentence in verdict)
        return (VerdictLine("all", question, verdict[0].text, "unmeasured"),)
    return tuple(verdict)

"""Answers on one set: a sentence for each question, and the purposes that it serves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from twinset.core.contracts import Role, Score
from twinset.core.differences import SliceDifferences
from twinset.core.disclosure import DisguisedRows
from twinset.core.findings import (
    ColumnDistances,
    DifferentComponents,
    PairDistances,
    Verdict,
)
from twinset.core.model_findings import (
    Effect,
    TrainingData,
)
from twinset.report.answers.disclosure import untested_columns, with_one_person_counts
from twinset.report.answers.phrases import (
    MARKS,
    QUESTIONS,
    Mark,
    capitalize,
    compute_certain_degradation,
    count,
    has_role,
    joined,
    metric_title,
    plural,
    sees_everything,
    short,
    signed,
    signed_interval,
    with_role,
    worst_first,
)
from twinset.report.answers.sentences import (
    describe,
    difference_sentence,
    disguise_sentence,
    drift_notes,
    group_outcome,
    headline,
    needed_rows,
    reasons,
)
from twinset.report.answers.training import TrainingEvidence
from twinset.report.answers.validity import answer_validity

Answer = tuple[Mark, str, str]
"""Mark, sentence and small print of an answer."""

_MAX_COMPONENTS = 3  # names of components in a verdict; the table of scores shows eight
_MIN_SHARED = 3  # one or two tests without a value keep a line of their own in the table of scores


@dataclass(frozen=True)
class VerdictLine:
    """One line of the verdict."""

    family: str  # Family of metrics that it speaks for
    question: str  # The question, e.g. "Does it leak?".
    text: str  # The answer in one sentence
    mark: Mark  # What the answer amounts to, for a mark beside it
    detail: str = ""  # Further sentences, for small print

    @property
    def whole(self) -> str:
        """The answer with its small print."""
        return f"{self.text} {self.detail}".rstrip()


def summarize_families(scores: Sequence[Score]) -> tuple[VerdictLine, ...]:
    """Return one sentence for each family, in the order of `QUESTIONS`; for integrity if it was measured.

    >>> [str(sentence.mark) for sentence in summarize_families([])]
    ['unmeasured', 'unmeasured', 'unmeasured', 'unmeasured']
    """
    sentences = []
    for family, question in QUESTIONS.items():
        own = [score for score in scores if score.family == family]
        if not own and family == "integrity":
            continue
        answer = _ANSWERS[family](own) if own else (Mark.UNMEASURED, "Not measured.", "")
        mark, text, detail = answer
        sentences.append(VerdictLine(family, question.text, text, mark, detail))
    return tuple(sentences)


def merged(verdict: Sequence[VerdictLine]) -> tuple[VerdictLine, ...]:
    """Return the sentences; one where none could be answered, and all for the same reason.

    >>> lines = [VerdictLine(f, f"{f}?", "No real set.", Mark.UNMEASURED) for f in ("gap", "utility")]
    >>> [sentence.question for sentence in merged(lines)]
    ['gap? utility?']
    """
    if len(verdict) > 1 and {(s.text, s.mark) for s in verdict} == {
        (verdict[0].text, Mark.UNMEASURED)
    }:
        question = " ".join(sentence.question for sentence in verdict)
        return (VerdictLine("all", question, verdict[0].text, Mark.UNMEASURED),)
    return tuple(verdict)


def unmeasured(scores: Sequence[Score]) -> list[tuple[str, list[Score]]]:
    """Return (reason, tests without a value) for reasons that three or more tests share.

    Reasons of most tests come first. Where nothing was measured at all, every reason is among them.

    >>> from twinset.core.findings import NotMeasured
    >>> score = Score("gap.a", "gap", 0.1, False, Verdict.NOT_MEASURABLE,
    ...               findings=(NotMeasured("there is no real set"),))
    >>> [(reason, len(tests)) for reason, tests in unmeasured([score])]
    [('there is no real set', 1)]
    """
    found: dict[str, list[Score]] = {}
    for score in scores:
        if not score.is_measured:
            found.setdefault(score.reason, []).append(score)
    is_all = sum(map(len, found.values())) == len(scores)
    shared = [
        (reason, own)
        for reason, own in found.items()
        if is_all or (len(own) >= _MIN_SHARED and reason)
    ]
    return sorted(shared, key=lambda pair: -len(pair[1]))


def _answer_gap(scores: Sequence[Score]) -> Answer:
    mark, worst, counts = _tally(scores)
    if mark == Mark.GOOD:
        return mark, f"As good as real rows in {counts}.", ""
    if mark != Mark.BAD:
        return mark, _undecided(mark, worst, counts, "No difference found", scores), ""
    detail, lead = drift_notes(worst), ", most of all in"
    if (whole := _further_at_once(worst, scores)) is not None:
        lead = "; the worst place is"
        detail.append(
            f"All columns at once are further off: {metric_title(whole.metric)} ({_numbers(whole)})"
        )
    text = f"Different from real rows in {counts}{lead} {_describe_worst(worst)}."
    return mark, text, _sentences(detail)


def _sentences(clauses: Sequence[str]) -> str:
    return " ".join(f"{capitalize(clause)}." for clause in clauses if clause)


def _further_at_once(worst: Score, scores: Sequence[Score]) -> Score | None:
    """Return the test of all columns at once that is certainly further off than the worst place."""
    whole = worst_first(s for s in scores if sees_everything(s) and s.verdict == Verdict.DIFFERENT)
    limit = compute_certain_degradation(worst)
    return next((s for s in whole[:1] if compute_certain_degradation(s) > limit), None)


def _answer_coverage(scores: Sequence[Score]) -> Answer:
    mark, worst, counts = _tally(scores)
    measured = [score for score in scores if score.is_measured]
    if mark == Mark.GOOD and all(has_role(score, Role.DECLARED_SHARES) for score in measured):
        return mark, f"The declared shares of the population are met, in {counts}.", ""
    if mark == Mark.GOOD:
        return mark, f"Nothing found missing: as good as real rows in {counts}.", ""
    if mark == Mark.BAD:
        text = f"Something is missing or off in {counts}, most of all in {_describe_worst(worst)}."
        return mark, text, _sentences(drift_notes(worst))
    return mark, _undecided(mark, worst, counts, "Nothing found missing", scores), ""


def _answer_privacy(scores: Sequence[Score]) -> Answer:
    mark, text = _answer_leaks(scores)
    untested = untested_columns(scores)
    text = f"{text}; {untested}." if untested and mark != Mark.UNMEASURED else f"{text}."
    said = with_one_person_counts(text, scores).removeprefix(text).strip()
    return mark, text, said


def _answer_leaks(scores: Sequence[Score]) -> tuple[Mark, str]:
    mark, worst, counts = _tally(scores)
    n_measured = sum(score.is_measured for score in scores)
    if mark == Mark.GOOD and 2 * n_measured < len(scores):
        text = f"No leak found, but only {n_measured} of {len(scores)} tests could be made"
        return Mark.INCONCLUSIVE, f"{text}, which shows little"
    if mark == Mark.GOOD:
        return mark, f"No sign of leaking in {counts}, which is no proof of safety"
    if mark == Mark.BAD:
        several = sum(score.verdict == Verdict.DIFFERENT for score in scores) > 1
        head = f"It leaks, by {counts}" if several else f"Signs of leaking in {counts}"
        return mark, f"{head}: {_describe_worst(worst)}"
    return mark, _undecided(mark, worst, counts, "No leak found", scores).removesuffix(".")


def _answer_utility(scores: Sequence[Score]) -> Answer:
    evidence = TrainingEvidence.from_scores(scores)
    rate, effect = evidence.rate, evidence.effect_of_adding
    if not evidence.models and rate is None:
        mark, worst, counts = _tally(scores)
        return mark, _undecided(mark, worst, counts, "No harm found", scores), ""
    if not evidence.models and rate is not None:
        text, detail = _describe_rate(rate)
        return _tally([rate])[0], f"{text}.", detail
    if evidence.is_chance:
        return Mark.INCONCLUSIVE, f"Cannot tell: {evidence.chance_reason}.", ""
    said = [] if effect is None else [_describe_mixed(evidence)]
    said.append(_describe_alone(evidence))
    # A rate with another effect would seem to deny the answer: it stands in the table of scores.
    if rate is not None and evidence.effects[0] in (None, evidence.effects[1]):
        said.append(_describe_rate(rate)[0])
    order = [s for s in with_role(scores, Role.MODEL_CHOICE) if s.verdict == Verdict.DIFFERENT]
    if order:
        said.append(f"Do not choose models by it: {_describe_worst(order[0])}")
    mark = _tally(evidence.models)[0] if effect is None else MARKS[effect]
    return mark, f"{said[0]}.", _sentences(said[1:])


_MIXED: Mapping[Effect, str] = {
    Effect.HELPS: "It helps: real and synthetic rows together beat real rows alone",
    Effect.HURTS: "It hurts: real and synthetic rows together do worse than real rows alone",
    Effect.WORSE: "No gain: real and synthetic rows together do worse than real rows alone, though not "
    "certainly by more than the margin",
    Effect.NOT_SHOWN: "No evidence that adding synthetic rows to real ones helps or hurts",
}
_ALONE: Mapping[Verdict, str] = {
    Verdict.EQUIVALENT: "train nearly as well as real ones, within the margin",
    Verdict.DIFFERENT: "do not train as well as real ones",
    Verdict.INCONCLUSIVE: "may or may not train as well as real ones: that is inconclusive",
}
_ALONE_WITH_EFFECT: Mapping[tuple[Verdict, Effect], str] = {
    (Verdict.EQUIVALENT, Effect.HELPS): "train better than real ones",
    (Verdict.EQUIVALENT, Effect.WORSE): "train a little worse than real ones, within the margin",
    (Verdict.INCONCLUSIVE, Effect.WORSE): (
        "train worse than real ones; whether by more than the margin is inconclusive"
    ),
}


def _describe_mixed(evidence: TrainingEvidence) -> str:
    """Return what adding the rows to real ones does, with the difference of the models."""
    mixed, table = evidence.model(TrainingData.MIXED), evidence.table
    assert mixed is not None
    assert mixed.effect is not None
    assert table is not None
    score, numbers = mixed.scores[0], ""
    if score.difference is not None:
        interval = score.interval and f", 95 % interval {signed_interval(score.interval)}"
        numbers = f" ({table.measures[0]} {signed(score.difference)}{interval or ''})"
    if evidence.makes_no_difference:
        return f"No gain: real and synthetic rows together do as well as real rows alone{numbers}"
    if not evidence.tests_disagree:
        return f"{_MIXED[mixed.effect]}{numbers}"
    effect = "beat" if mixed.effect == Effect.HELPS else "do worse than"
    return (
        "The tests disagree whether adding helps: real and synthetic rows together "
        f"{effect} real rows alone{numbers}, and the exchange rate shows the opposite"
    )


def _describe_alone(evidence: TrainingEvidence) -> str:
    """Return what models of synthetic rows alone are worth; the verdict of their score decides."""
    if evidence.is_one_class:
        return "Synthetic rows alone hold too few classes to train on"
    score, table = evidence.score, evidence.table
    assert score is not None
    alone, real = evidence.model(TrainingData.SYNTHETIC), evidence.model(TrainingData.REAL)
    text, value, baseline = _ALONE[score.verdict], short(score.value), score.baseline
    if table is not None and alone is not None:
        value = f"{table.measures[0]} {short(alone.scores[0].value)}"
        baseline = None if real is None else real.scores[0].value
        if alone.effect is not None:
            text = _ALONE_WITH_EFFECT.get((score.verdict, alone.effect), text)
    on_real = "" if baseline is None else f", trained on real rows {short(baseline)}"
    return f"Synthetic rows alone {text} ({value}{on_real})"


def _describe_rate(rate: Score) -> tuple[str, str]:
    """Return the first clause of an exchange rate, and the sentences on its further numbers."""
    said = [clause for found in rate.findings if (clause := describe(found))]
    return capitalize(said[0] if said else _describe_worst(rate)), _sentences(said[1:])


_ANSWERS = {
    "integrity": answer_validity, "gap": _answer_gap, "coverage": _answer_coverage,
    "utility": _answer_utility, "privacy": _answer_privacy,
}  # fmt: skip


def _tally(scores: Sequence[Score]) -> tuple[Mark, Score, str]:
    """Return the mark of a family, the score that decides it and "k of n tests" in words."""
    ranked = worst_first(scores)
    measured = [score for score in ranked if score.is_measured]
    left = len(ranked) - len(measured)
    aside = f" ({left} further {plural('test', left)} could not be measured)" if left else ""
    n = len(measured)
    every = {1: "the one test made", 2: "both tests"}.get(n, f"all {n} tests") + aside
    if not measured:
        return Mark.UNMEASURED, ranked[0], "no test"
    for verdict in (Verdict.DIFFERENT, Verdict.INCONCLUSIVE):
        own = [score for score in ranked if score.verdict == verdict]
        if own:
            k = len(own)
            return MARKS[verdict], own[0], every if k == n else f"{k} of {n} tests{aside}"
    return Mark.GOOD, measured[0], every


def _undecided(mark: Mark, worst: Score, counts: str, nothing: str, scores: Sequence[Score]) -> str:
    """Return what is open; `nothing` says that what was decided found nothing."""
    if mark == Mark.UNMEASURED:
        return f"Not measurable: {worst.reason or 'no reason is known'}."
    reason = needed_rows(worst, place=True) or next(iter(reasons(worst)), "too few rows")
    needs = " " if reason.startswith("needs") else ": "
    open_tests = f"{counts}; {metric_title(worst.metric)}{needs}{reason}"
    measured = [score for score in scores if score.is_measured]
    is_open = [score for score in measured if score.verdict == Verdict.INCONCLUSIVE]
    if 2 * len(is_open) > len(measured):
        return f"Cannot tell: undecided in {open_tests}."
    return f"{nothing} so far, but undecided in {open_tests}."


def _describe_worst(score: Score) -> str:
    """Return the title of a score with its numbers and what is off in it."""
    title, numbers = metric_title(score.metric), _numbers(score)
    if different := score.finding(DifferentComponents):
        outcomes = {name: group_outcome(score, name) for name in different.names}
        shown = list(outcomes.values())[:_MAX_COMPONENTS]
        head = title if any(shown) else f"{title} ({numbers})"
        named = [f"{name} ({outcome})" if outcome else name for name, outcome in outcomes.items()]
        kind = plural(different.kind, len(different.names))
        return f"{head}, by {kind} {joined(named, _MAX_COMPONENTS)}"
    if (slices := score.finding(SliceDifferences)) and slices.differences:
        more = len(slices.differences) - 1
        also = f", and {count(more, 'more difference')}" if more else ""
        return f"{title}: {difference_sentence(slices.differences[0])}{also}"
    if (rows := score.finding(DisguisedRows)) and rows.n_people:
        return disguise_sentence(rows)
    if clause := headline(score):
        return f"{title} ({clause})"
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

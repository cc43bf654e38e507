"""Scores become four plain sentences: how far from real, what is missing, does it help, does it leak."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from twinset.core.contracts import Score
from twinset.report.findings import (
    TrainedOn,
    Usefulness,
    column_distances,
    group_outcome,
    is_number,
    pair_errors,
    read_different_components,
    usefulness,
)
from twinset.report.ordering import AT_ONCE, compute_certain_degradation, worst_first
from twinset.report.phrases import FAMILIES, joined, metric_title, short, signed

Mark = Literal["good", "bad", "unclear", "unmeasured"]
_MOST_NAMED = 3
_DENIES = r"^(none|no|nothing)\b|: none\b|does not differ|^chance alone"


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
        mark, text = _JUDGES[family](own) if own else ("unmeasured", "Not measured.")
        sentences.append(VerdictLine(family, question, text, mark))
    return tuple(sentences)


def reasons(score: Score) -> list[str]:
    """Return the clauses of the score's sentence that tell more than its verdict and its numbers.

    Examples
    --------
    >>> score = Score("gap.a", "gap", 0.3, 0.1, None, (0.0, 0.3), 0.1, False, "cannot tell", None,
    ...               "cannot tell: needs about 90 rows; 0.300, real rows 0.100; the harm is open")
    >>> reasons(score)
    ['needs about 90 rows', 'the harm is open']
    """
    text = re.sub(rf"^{score.verdict}\s*[:,;]?\s*", "", score.sentence, flags=re.IGNORECASE)
    # A summary is shown by itself, whether or not a note follows it in the sentence.
    summary = re.escape(str(score.details.get("summary", "")))
    if summary:
        text = re.sub(rf"(^|[.] ?|\s){summary}(?=[.]|$)", "", text, count=1)
    text = text.strip(" .")
    clauses = (clause.strip() for clause in text.split(";"))
    return [clause for clause in clauses if clause and not re.match(r"[-−+]?\d|no worse", clause)]


def _judge_gap(scores: Sequence[Score]) -> tuple[Mark, str]:
    mark, worst, counts = _tally(scores)
    if mark == "good":
        return mark, f"As good as real rows in {counts}."
    if mark == "bad":
        said = f"Different from real rows in {counts}."
        whole = _further_at_once(worst, scores)
        if whole is None:
            return mark, f"{said} Furthest off: {_told(worst)}.{_due_to_time(worst)}"
        name = metric_title(whole.metric)
        more = f"All at once they are further off: {name} ({_numbers(whole)})."
        return mark, f"{said} The worst place: {_told(worst)}. {more}{_due_to_time(worst)}"
    return mark, _undecided(mark, worst, counts, "No difference found", scores)


def _further_at_once(worst: Score, scores: Sequence[Score]) -> Score | None:
    """Return the test of everything at once that is surely further off than the worst place, if any."""
    whole = [s for s in scores if s.metric in AT_ONCE and s.verdict == "different"]
    found = next(iter(worst_first(whole)), None)
    return (
        None
        if found is None or compute_certain_degradation(found) <= compute_certain_degradation(worst)
        else found
    )


def _due_to_time(score: Score) -> str:
    """Return what earlier real rows score beside a later holdout, where that is known."""
    compared = score.details.get("compared")
    earlier = compared.get("train_rows_instead") if isinstance(compared, Mapping) else None
    if not is_number(earlier):
        return ""
    return (
        f" The holdout is later than the training rows, and real training rows score {short(earlier)} "
        "here: part of the distance is time."
    )


def _judge_coverage(scores: Sequence[Score]) -> tuple[Mark, str]:
    mark, worst, counts = _tally(scores)
    if mark == "good" and {s.metric for s in scores if s.verdict != "not measurable"} == {
        "coverage.population"
    }:
        return mark, f"The declared shares of the population are met, in {counts}."
    if mark == "good":
        return mark, f"Nothing found missing: as good as real rows in {counts}."
    if mark == "bad":
        said = f"Something is missing or off, in {counts}. Furthest off: {_told(worst)}."
        return mark, said + _due_to_time(worst)
    return mark, _undecided(mark, worst, counts, "Nothing found missing", scores)


def _judge_privacy(scores: Sequence[Score]) -> tuple[Mark, str]:
    mark, worst, counts = _tally(scores)
    n_made = sum(score.verdict != "not measurable" for score in scores)
    if mark == "good" and 2 * n_made < len(scores):
        told = f"No leak found, but only {n_made} of {len(scores)} tests could be made"
        return "unclear", f"{told}: that shows little."
    if mark == "good":
        return mark, f"No sign of leaking in {counts}. A smoke alarm, not a proof of safety."
    if mark == "bad":
        found = sum(score.verdict == "different" for score in scores)
        head = f"It leaks, by {counts}" if found > 1 else f"Signs of leaking, in {counts}"
        return mark, f"{head}: {_told(worst)}."
    return mark, _undecided(mark, worst, counts, "No leak found", scores)


def _judge_utility(scores: Sequence[Score]) -> tuple[Mark, str]:
    rate = next((s for s in scores if s.metric == _RATE and s.value is not None), None)
    beside = (_RATE, _ORDER)
    models = [s for s in scores if s.metric not in beside and s.verdict != "not measurable"]
    if not models and rate is None:
        mark, worst, counts = _tally(scores)
        return mark, _undecided(mark, worst, counts, "No harm found", scores)
    if not models and rate is not None:
        return _tally([rate])[0], _worth(rate, whole=True)
    models.sort(key=lambda score: score.metric != _MODELS)
    mark, worst, _ = _tally(models)
    score = next((s for s in models if usefulness(s) is not None), worst)
    found = usefulness(score)
    mixed = found.trained_on("mixed") if found is not None else None
    said = [] if found is None or mixed is None else [_mixed_told(mixed, found.measures[0])]
    said.append(_alone_told(score, mark, found))
    is_clear = mixed is not None and mixed.answer in ("helps", "hurts")
    if rate is not None:
        # Its doubts concern another model: beside a clear answer they would seem to deny it.
        alone = found is None or found.trained_on("synthetic") is not None
        said.append(_worth(rate, whole=not is_clear and alone))
    order = next((s for s in scores if s.metric == _ORDER and s.verdict == "different"), None)
    if order is not None:
        said.append(f"Do not choose models by it: {_told(order)}.")
    if mixed is not None and mixed.answer in _MIXED:
        mark = _MIXED[mixed.answer][0]
    return mark, " ".join(sentence for sentence in said if sentence)


_RATE = "utility.exchange_rate"
_ORDER = "utility.model_ranking"
_MODELS = "utility.train_synthetic_test_real"
_ALONE: Mapping[Mark, str] = {
    "good": "Synthetic rows alone train nearly as well as real ones, within the margin",
    "bad": "Synthetic rows alone do not train as well as real ones",
    "unclear": "Whether synthetic rows alone train as well as real ones cannot be told",
}


def _alone_told(score: Score, mark: Mark, found: Usefulness | None) -> str:
    """Return what models of synthetic rows alone are worth, in line with the table's answer."""
    alone = found.trained_on("synthetic") if found is not None else None
    if found is None or (alone is None and found.trained_on("mixed") is None):
        numbers = _numbers(score).replace("real rows get", "trained on real rows")
        return f"{_ALONE[mark]} ({numbers})."
    if alone is None:
        return "Synthetic rows alone hold too few classes to train on."
    real = found.trained_on("real")
    numbers = f"{found.measures[0]} {short(alone.cells[0].value)}"
    if real is not None:
        numbers += f", trained on real rows {short(real.cells[0].value)}"
    said = _ALONE[mark]
    if alone.answer == "helps":
        said = "Synthetic rows alone train better than real ones"
    elif alone.answer == "hurts":
        said = _ALONE["bad"]
        if mark == "good":
            said = "Synthetic rows alone train a little worse than real ones, within the margin"
    elif alone.answer and mark == "bad":
        said = _ALONE["unclear"]
    return f"{said} ({numbers})."


def _worth(rate: Score, *, whole: bool) -> str:
    """Return the summary of the exchange rate, or its first sentence."""
    told = str(rate.details.get("summary") or _told(rate)).rstrip(".")
    return f"{told if whole else re.split(r'[.] (?=[A-Z])', told)[0]}."


_MIXED: dict[str, tuple[Mark, str]] = {
    "helps": ("good", "It helps: real and synthetic rows together beat real rows alone"),
    "hurts": ("bad", "It hurts: real and synthetic rows together do worse than real rows alone"),
    "no evidence": (
        "unclear",
        "No evidence that adding synthetic rows to real ones helps or hurts",
    ),
}


def _mixed_told(mixed: TrainedOn, measure: str) -> str:
    if mixed.answer not in _MIXED:
        return ""
    cell = mixed.cells[0]
    told = ""
    if cell.difference is not None:
        told = f" ({measure} {signed(cell.difference)}"
        if cell.interval is not None:
            told += f", 95 % interval {signed(cell.interval[0])} to {signed(cell.interval[1])}"
        told += ")"
    return f"{_MIXED[mixed.answer][1]}{told}."


_JUDGES = {
    "gap": _judge_gap,
    "coverage": _judge_coverage,
    "utility": _judge_utility,
    "privacy": _judge_privacy,
}


def _tally(scores: Sequence[Score]) -> tuple[Mark, Score, str]:
    """Return the family's mark, the score that decides it and "k of n tests" in words."""
    ranked = worst_first(scores)
    by = {v: [s for s in ranked if s.verdict == v] for v in {s.verdict for s in ranked}}
    measured = [s for s in ranked if s.verdict != "not measurable"]
    left = len(ranked) - len(measured)
    tests = "test" if left == 1 else "tests"
    aside = f" ({left} further {tests} could not be measured)" if left and measured else ""
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


def _undecided(mark: Mark, worst: Score, counts: str, nothing: str, scores: Sequence[Score]) -> str:
    """Return what is open; `nothing` says that what was decided found nothing."""
    told = next(iter(reasons(worst)), "")
    if mark == "unmeasured":
        return f"Not measurable: {told or 'something is lacking'}."
    name = metric_title(worst.metric)
    told = f"{name[0].upper()}{name[1:]}: {_placed(told, worst) or 'too few rows'}."
    measured = [score for score in scores if score.verdict != "not measurable"]
    is_open = [score for score in measured if score.verdict == "cannot tell"]
    if 2 * len(is_open) > len(measured):
        return f"Cannot tell: undecided in {counts}. {told}"
    return f"{nothing} so far; undecided in {counts}. {told}"


def _placed(told: str, score: Score) -> str:
    """Return a clause on too few rows with where those rows are from, if they are all of a part."""
    compared = score.details.get("compared")
    if not isinstance(compared, Mapping) or not isinstance(compared.get("rows"), Mapping):
        return told
    n = compared["rows"].get("reference")
    ending = f"there are {n:,}" if isinstance(n, int) else None
    return f"{told}, {compared.get('with')}" if ending and told.endswith(ending) else told


_SPEAKS = frozenset({"coverage.slices"})
"""Metrics whose summary needs no title before it."""


def _told(score: Score) -> str:
    head = f"{metric_title(score.metric)} ({_numbers(score)})"
    if different := read_different_components(score):
        named = different.names[:_MOST_NAMED]
        left = len(different.names) - len(named)
        more = f" and {left} more" if left else ""
        what = different.what if len(different.names) == 1 else f"{different.what}s"
        outcomes = {name: group_outcome(score, name) for name in named}
        if any(outcomes.values()):
            head = metric_title(score.metric)
            named = tuple(f"{name} ({outcomes[name]})" for name in named)
        return f"{head}, by {what} {', '.join(named) if left else joined(named)}{more}"
    summary = str(score.details.get("summary") or "")
    # A summary that finds nothing, e.g. since no single part is off for sure, denies the verdict.
    if summary and not re.search(_DENIES, summary):
        aside = _aside(summary)
        return aside if score.metric in _SPEAKS else f"{metric_title(score.metric)} ({aside})"
    distances = column_distances(score)
    if distances:
        name, value = max(distances.items(), key=lambda item: (item[1], item[0]))
        return f"{head}, worst column {name} at {short(value)}"
    if errors := pair_errors(score):
        pair, value = max(errors.items(), key=lambda item: (item[1], item[0]))
        return f"{head}, worst pair {joined(pair)} at {short(value)}"
    return head


def _aside(summary: str) -> str:
    """Return the first sentence of a summary as it may stand in brackets."""
    first = re.split(r"[.] (?=[A-Z])", summary)[0].rstrip(".")
    return first[:1].lower() + first[1:] if first[1:2].islower() else first


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
    >>> score = Score("gap.a", "gap", None, None, None, None, 0.1, False, "not measurable", None,
    ...               "not measurable: there is no real set")
    >>> [(found.reason, len(found.scores)) for found in unmeasured([score])]
    [('there is no real set', 1)]
    """
    found: dict[str, list[Score]] = {}
    for score in scores:
        if score.verdict == "not measurable":
            found.setdefault("; ".join(reasons(score)), []).append(score)
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

"""What a set may be used for: four purposes, each with a plain answer and its reason."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from twinset.core.contracts import Score
from twinset.report.findings import TrainedOn, group_outcome, read_different_components, usefulness
from twinset.report.ordering import worst_first
from twinset.report.phrases import joined, metric_title, short, signed
from twinset.report.verdict import Mark

_MODELS = "utility.train_synthetic_test_real"
_BASIC = ("gap.marginals", "gap.pairs", "gap.image_properties")
_PICTURES = "gap.image_properties"
_LOOKS = (*_BASIC, "gap.missingness", "gap.rules_kept", "gap.time_patterns")
_WHO = ("coverage.slices", "coverage.group_outcomes", "coverage.population")
_MOST_NAMED = 2
_MOST_IN_CAUTION = 3


@dataclass(frozen=True)
class Use:
    """A purpose and whether the set serves it.

    Parameters
    ----------
    purpose : str
        What one would do with the set.
    answer : str
        "yes", "no", "with care", "no gain shown", "cannot tell", "not shown to be safe", "no sign of
        leaking" or "not measured".
    why : str
        The reason, in a few words.
    mark : {"good", "bad", "unclear", "unmeasured"}
        What the answer amounts to.
    """

    purpose: str
    answer: str
    why: str
    mark: Mark

    def to_json(self) -> dict[str, Any]:
        """Return the use as plain JSON values."""
        return asdict(self)


def uses(
    scores: Sequence[Score], *, from_real: bool = False, leak_allowed: bool = False
) -> tuple[Use, ...]:
    """Return what the set may be used for, in falling order of how often people ask.

    Parameters
    ----------
    scores : sequence of Score
        Everything that was measured.
    from_real : bool
        Whether its rows are made of single real ones, as interpolating generators do.
    leak_allowed : bool
        Whether the test rows do not stand apart, and that was allowed.

    Examples
    --------
    >>> [use.answer for use in uses([])]
    ['not measured', 'not measured', 'not measured', 'not measured']
    """
    trained = [_instead(scores), _besides(scores)]
    if leak_allowed:
        trained = [_in_doubt(use) for use in trained]
    return (*trained, _look(scores), _hand_out(scores, from_real))


def caution(scores: Sequence[Score]) -> str:
    """Return in what the pictures are unlike real ones, or nothing where they are not, or there are none.

    It is told before any use. The models that judge usefulness are small, and look at reduced pictures or
    a few hundred numbers of each: that they do well says little of a blur or of noise, which a larger
    model of the reader's would learn.
    """
    score = next((s for s in scores if s.metric == _PICTURES), None)
    if score is None or score.verdict != "different":
        return ""
    parts = read_different_components(score)
    if parts is None:
        return "its pictures are unlike real ones over all their properties"
    left = len(parts.names) - _MOST_IN_CAUTION
    named = [*parts.names[:_MOST_IN_CAUTION], *([f"{left} more properties"] if left > 0 else [])]
    return f"its pictures are unlike real ones in {joined(named)}"


def in_short(found: Sequence[Use], careful: str = "") -> str:
    """Return all uses in one line, or nothing where none was measured; first what asks for care.

    Examples
    --------
    >>> in_short([Use("a", "yes", "", "good"), Use("b", "no", "", "bad"), Use("c", "yes", "", "good")])
    'a: yes; b: no; c: yes'
    """
    told = "; ".join(f"{u.purpose}: {u.answer}" for u in found if u.mark != "unmeasured")
    return f"Mind that {careful}. {told}" if careful and told else told


def _instead(scores: Sequence[Score]) -> Use:
    purpose = "Train on it instead of real rows"
    score = next((s for s in scores if s.metric == _MODELS), None)
    if score is None or score.verdict == "not measurable":
        why = "name a target column and give real rows that the generator did not see"
        return Use(purpose, "not measured", why, "unmeasured")
    found = usefulness(score)
    if found is not None and found.trained_on("synthetic") is None and found.trained_on("mixed"):
        return Use(purpose, "no", "it holds one class only", "bad")
    numbers = f"models reach {short(score.value)}, on real rows {short(score.baseline)}"
    if score.verdict == "different":
        return Use(purpose, "no", numbers, "bad")
    if score.verdict == "cannot tell":
        return Use(purpose, "cannot tell", f"{numbers}: too few rows to be sure", "unclear")
    off = _off(scores, _WHO)
    careful = caution(scores)
    mixed = None if found is None else found.trained_on("mixed")
    if not off and mixed is not None and mixed.answer == "hurts":
        # Within the margin, but rows that harm beside real ones tell something wrong.
        off = "beside real rows it harms"
    if careful:
        why = f"{careful}, which these models may not see; {numbers}{f'; {off}' if off else ''}"
        return Use(purpose, "with care", why, "unclear")
    if off:
        return Use(purpose, "with care", f"{numbers}; but {off}", "unclear")
    if _leaks(scores):
        why = f"{numbers}; but it leaks: guard it, and models trained on it, like the real rows"
        return Use(purpose, "with care", why, "unclear")
    return Use(purpose, "yes", numbers, "good")


def _besides(scores: Sequence[Score]) -> Use:
    purpose = "Add it to real rows to train on"
    score = next((s for s in scores if s.metric == _MODELS), None)
    found = None if score is None else usefulness(score)
    mixed = None if found is None else found.trained_on("mixed")
    if found is None or mixed is None or not mixed.answer:
        why = "name a target column and give real rows that the generator did not see"
        return Use(purpose, "not measured", why, "unmeasured")
    why = f"change in {found.measures[0]} {_change(mixed)}"
    if mixed.answer == "helps" and (careful := caution(scores)):
        why = f"{careful}; measured all the same: {why}"
        return Use(purpose, "with care", why, "unclear")
    if mixed.answer == "helps":
        return Use(purpose, "yes", why, "good")
    if mixed.answer == "hurts":
        return Use(purpose, "no", why, "bad")
    return Use(purpose, "no gain shown", why, "unclear")


def _change(trained: TrainedOn) -> str:
    cell = trained.cells[0]
    if cell.difference is None:
        return short(cell.value)
    if cell.interval is None:
        return signed(cell.difference)
    return f"{signed(cell.difference)} ({signed(cell.interval[0])} to {signed(cell.interval[1])})"


def _look(scores: Sequence[Score]) -> Use:
    purpose = "Explore it, or test software with it"
    basic = [s for s in scores if s.metric in _BASIC and s.verdict != "not measurable"]
    if not basic:
        return Use(purpose, "not measured", "columns and pairs were not compared", "unmeasured")
    off = _off(scores, (*_LOOKS, *_WHO))
    if any(s.verdict == "different" and _is_hopeless(s) for s in basic):
        return Use(purpose, "no", off, "bad")
    if _leaks(scores):
        off = f"{off}; it leaks" if off else "it leaks"
        return Use(purpose, "with care", f"{off}: guard it like the real rows", "unclear")
    if off:
        return Use(purpose, "with care", off, "unclear")
    open_ones = [s for s in basic if s.verdict == "cannot tell"]
    if open_ones:
        names = joined([metric_title(s.metric) for s in open_ones])
        return Use(purpose, "cannot tell", f"too few rows for {names}", "unclear")
    pictures = any(s.metric == "gap.image_properties" for s in basic)
    why = f"columns and {'pictures' if pictures else 'pairs'} are as in real rows"
    if any(s.family == "gap" and s.verdict == "different" for s in scores):
        why += "; finer differences are told below"
    return Use(purpose, "yes", why, "good")


def _leaks(scores: Sequence[Score]) -> bool:
    return any(s.family == "privacy" and s.verdict == "different" for s in scores)


def _in_doubt(use: Use) -> Use:
    """Return the use where the test rows are known to leak: nothing that models show counts."""
    if use.mark == "unmeasured":
        return use
    why = f"{use.why}; but a leak was allowed, so that these rows are no fair test"
    return Use(use.purpose, "cannot tell", why, "unclear")


def _hand_out(scores: Sequence[Score], from_real: bool) -> Use:
    purpose = "Give it to people who may not see the real rows"
    every = [s for s in scores if s.family == "privacy"]
    own = [s for s in every if s.verdict != "not measurable"]
    if not own:
        return Use(
            purpose, "not measured", "give real rows that the generator did not see", "unmeasured"
        )
    leaking = worst_first(s for s in own if s.verdict == "different")
    if leaking:
        return Use(purpose, "no", f"signs of leaking: {_titles(leaking)}", "bad")
    undecided = [s for s in own if s.verdict == "cannot tell"]
    if undecided:
        tests = "1 test" if len(own) == 1 else f"{len(undecided)} of {len(own)} tests"
        why = f"too few rows to decide {tests}: {_titles(undecided)}"
        return Use(purpose, "not shown to be safe", why, "unclear")
    if from_real:
        why = "its rows are made of single real ones: treat them as the real rows"
        return Use(purpose, "no", why, "bad")
    if 2 * len(own) < len(every):
        why = f"only {len(own)} of {len(every)} tests could be made"
        return Use(purpose, "not shown to be safe", why, "unclear")
    attacks = "1 test" if len(own) == 1 else f"{len(own)} tests"
    why = f"in {attacks}; whether that is enough is for you to decide"
    return Use(purpose, "no sign of leaking", why, "good")


def _titles(scores: Sequence[Score]) -> str:
    named = [metric_title(s.metric) for s in scores[:_MOST_NAMED]]
    left = len(scores) - len(named)
    return joined([*named, f"{left} more"] if left else named)


def _is_hopeless(score: Score) -> bool:
    """Return whether a score lies halfway or more from real rows to the worst there can be.

    Of pairs that is columns drawn apart; single columns stay right then, and at worst share no value.
    """
    value, baseline = score.value, score.baseline
    if value is None or baseline is None:
        return False
    worst = score.floor if score.metric == "gap.pairs" else 1.0
    return worst is not None and 2 * value >= baseline + worst


def _off(scores: Sequence[Score], metrics: Sequence[str]) -> str:
    """Return which of the metrics are different, and in what, or nothing."""
    off = [s for s in scores if s.metric in metrics and s.verdict == "different"]
    told = [_named(s) for s in worst_first(off)]
    if not told:
        return ""
    left = len(told) - _MOST_NAMED
    shown = [*told[:_MOST_NAMED], *([f"{left} more test{'s' * (left > 1)}"] if left > 0 else [])]
    return f"off in {joined(shown)}"


def _with_outcome(score: Score, part: str) -> str:
    outcome = group_outcome(score, part)
    return f"{part}, {outcome}" if outcome else part


def _named(score: Score) -> str:
    """Return a metric's name with the parts or the region that are off."""
    parts, regions = read_different_components(score), score.details.get("under_covered")
    name = metric_title(score.metric)
    if parts is not None:
        left = len(parts.names) - _MOST_NAMED
        named = [_with_outcome(score, part) for part in parts.names[:_MOST_NAMED]]
        return f"{name} ({joined([*named, *([f'{left} more'] if left > 0 else [])])})"
    if isinstance(regions, list | tuple) and regions and isinstance(regions[0], Mapping):
        return f"rows that it lacks ({regions[0].get('sentence', '')})"
    return name

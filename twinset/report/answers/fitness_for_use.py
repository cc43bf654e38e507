"""What a set may be used for: four purposes, each with a plain answer and its reason."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from twinset.core.contracts import Role, Score
from twinset.core.findings import (
    DifferentComponents,
    Effect,
    ModelComparison,
    RegionShares,
    TrainedModel,
    TrainingData,
    Verdict,
)
from twinset.report.answers.metrics import has_role, metric_title, with_role
from twinset.report.answers.ordering import worst_first
from twinset.report.answers.phrases import joined, short, signed
from twinset.report.answers.sentences import group_outcome, region_sentence
from twinset.report.answers.verdict import Mark

_BASIC = (Role.BASIC_APPEARANCE, Role.IMAGE_APPEARANCE)
_APPEARANCE = (*_BASIC, Role.APPEARANCE)
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
    """Return in what the images are unlike real ones; empty where they are not, or there are none.

    It stands before any use. The models that measure usefulness are small, and see reduced images or a
    few hundred numbers of each: their success says little about blur or noise, which a larger model
    would learn.
    """
    score = next(iter(with_role(scores, Role.IMAGE_APPEARANCE)), None)
    if score is None or score.verdict != Verdict.DIFFERENT:
        return ""
    parts = score.finding(DifferentComponents)
    if parts is None:
        return "its images are unlike real ones over all their properties"
    left = len(parts.names) - _MOST_IN_CAUTION
    named = [*parts.names[:_MOST_IN_CAUTION], *([f"{left} more properties"] if left > 0 else [])]
    return f"its images are unlike real ones in {joined(named)}"


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
    score = next(iter(with_role(scores, Role.SUBSTITUTE_MODEL)), None)
    if score is None or not score.is_measured:
        why = "name a target column and give real rows that the generator did not see"
        return Use(purpose, "not measured", why, "unmeasured")
    found = score.finding(ModelComparison)
    mixed = None if found is None else found.trained_on(TrainingData.MIXED)
    if found is not None and mixed is not None and not found.trained_on(TrainingData.SYNTHETIC):
        return Use(purpose, "no", "it holds one class only", "bad")
    numbers = f"models reach {short(score.value)}, on real rows {short(score.baseline)}"
    if score.verdict == Verdict.DIFFERENT:
        return Use(purpose, "no", numbers, "bad")
    if score.verdict == Verdict.INCONCLUSIVE:
        return Use(purpose, "cannot tell", f"{numbers}: too few rows to be sure", "unclear")
    off = _off(scores, Role.REPRESENTATION)
    careful = caution(scores)
    if not off and mixed is not None and mixed.effect == Effect.HURTS:
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
    score = next(iter(with_role(scores, Role.SUBSTITUTE_MODEL)), None)
    found = None if score is None else score.finding(ModelComparison)
    mixed = None if found is None else found.trained_on(TrainingData.MIXED)
    if found is None or mixed is None or mixed.effect is None:
        why = "name a target column and give real rows that the generator did not see"
        return Use(purpose, "not measured", why, "unmeasured")
    why = f"change in {found.measures[0]} {_change(mixed)}"
    if mixed.effect == Effect.HELPS and (careful := caution(scores)):
        why = f"{careful}; measured all the same: {why}"
        return Use(purpose, "with care", why, "unclear")
    if mixed.effect == Effect.HELPS:
        return Use(purpose, "yes", why, "good")
    if mixed.effect == Effect.HURTS:
        return Use(purpose, "no", why, "bad")
    return Use(purpose, "no gain shown", why, "unclear")


def _change(trained: TrainedModel) -> str:
    cell = trained.scores[0]
    if cell.difference is None:
        return short(cell.value)
    if cell.interval is None:
        return signed(cell.difference)
    return f"{signed(cell.difference)} ({signed(cell.interval[0])} to {signed(cell.interval[1])})"


def _look(scores: Sequence[Score]) -> Use:
    purpose = "Explore it, or test software with it"
    basic = [s for s in with_role(scores, *_BASIC) if s.is_measured]
    if not basic:
        return Use(purpose, "not measured", "columns and pairs were not compared", "unmeasured")
    off = _off(scores, *_APPEARANCE, Role.REPRESENTATION)
    if any(s.verdict == Verdict.DIFFERENT and _is_hopeless(s) for s in basic):
        return Use(purpose, "no", off, "bad")
    if _leaks(scores):
        off = f"{off}; it leaks" if off else "it leaks"
        return Use(purpose, "with care", f"{off}: guard it like the real rows", "unclear")
    if off:
        return Use(purpose, "with care", off, "unclear")
    open_ones = [s for s in basic if s.verdict == Verdict.INCONCLUSIVE]
    if open_ones:
        names = joined([metric_title(s.metric) for s in open_ones])
        return Use(purpose, "cannot tell", f"too few rows for {names}", "unclear")
    images = bool(with_role(basic, Role.IMAGE_APPEARANCE))
    why = f"columns and {'images' if images else 'pairs'} are as in real rows"
    if any(s.family == "gap" and s.verdict == Verdict.DIFFERENT for s in scores):
        why += "; finer differences are shown below"
    return Use(purpose, "yes", why, "good")


def _leaks(scores: Sequence[Score]) -> bool:
    return any(s.family == "privacy" and s.verdict == Verdict.DIFFERENT for s in scores)


def _in_doubt(use: Use) -> Use:
    """Return the use where the test rows are known to leak: nothing that models show counts."""
    if use.mark == "unmeasured":
        return use
    why = f"{use.why}; but a leak was allowed, so that these rows are no fair test"
    return Use(use.purpose, "cannot tell", why, "unclear")


def _hand_out(scores: Sequence[Score], from_real: bool) -> Use:
    purpose = "Give it to people who may not see the real rows"
    every = [s for s in scores if s.family == "privacy"]
    own = [s for s in every if s.is_measured]
    if not own:
        return Use(
            purpose, "not measured", "give real rows that the generator did not see", "unmeasured"
        )
    leaking = worst_first(s for s in own if s.verdict == Verdict.DIFFERENT)
    if leaking:
        return Use(purpose, "no", f"signs of leaking: {_titles(leaking)}", "bad")
    undecided = [s for s in own if s.verdict == Verdict.INCONCLUSIVE]
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
    worst = score.floor if has_role(score, Role.DEPENDENCE) else 1.0
    return worst is not None and 2 * value >= baseline + worst


def _off(scores: Sequence[Score], *roles: Role) -> str:
    """Return which scores of these roles are different, and in what; empty where none is."""
    off = worst_first(s for s in with_role(scores, *roles) if s.verdict == Verdict.DIFFERENT)
    if not off:
        return ""
    left = len(off) - _MOST_NAMED
    shown = [_describe(score) for score in off[:_MOST_NAMED]]
    shown += [f"{left} more test{'s' * (left > 1)}"] if left > 0 else []
    return f"off in {joined(shown)}"


def _with_outcome(score: Score, component: str) -> str:
    outcome = group_outcome(score, component)
    return f"{component}, {outcome}" if outcome else component


def _describe(score: Score) -> str:
    """Return the title of a score with the components or the region that are off."""
    name = metric_title(score.metric)
    if (components := score.finding(DifferentComponents)) is not None:
        left = len(components.names) - _MOST_NAMED
        named = [_with_outcome(score, part) for part in components.names[:_MOST_NAMED]]
        return f"{name} ({joined([*named, *([f'{left} more'] if left > 0 else [])])})"
    if (regions := score.finding(RegionShares)) and regions.underrepresented:
        return f"under-represented rows ({region_sentence(regions.underrepresented[0])})"
    return name

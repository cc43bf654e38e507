"""What a set may be used for: purposes, each with an answer and its reason."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from twinset.core.contracts import Role, Score
from twinset.core.differences import SliceDifferences
from twinset.core.findings import (
    ComparisonBasis,
    DifferentComponents,
    ReferenceRows,
    RegionShares,
    Verdict,
)
from twinset.core.integrity import IntegrityFaults
from twinset.core.model_findings import Effect, ModelComparison, TrainingData
from twinset.report.answers.disclosure import untested_columns
from twinset.report.answers.phrases import (
    Mark,
    count,
    has_role,
    joined,
    metric_title,
    short,
    signed,
    signed_interval,
    with_role,
    worst_first,
)
from twinset.report.answers.sentences import (
    difference_sentence,
    group_outcome,
    region_sentence,
)
from twinset.report.answers.training import TrainingEvidence

_BASIC = (Role.BASIC_APPEARANCE, Role.IMAGE_APPEARANCE)
_APPEARANCE = (*_BASIC, Role.APPEARANCE)
_MAX_TITLES = 2  # tests and components in one reason: its column of the page is narrow
_MAX_PROPERTIES = 3  # properties of images in the caution, which is one line of the page
_NEEDS_HOLDOUT = "give real rows that the generator did not see"
_NEEDS_TARGET = "name a target column"

# Answer -> its mark; all others ask for care.
_USE_MARKS: Mapping[str, Mark] = {
    "yes": Mark.GOOD,
    "no sign of leaking": Mark.GOOD,
    "no": Mark.BAD,
    "not measured": Mark.UNMEASURED,
}

Assessment = tuple[str, str]
"""Answer and reason of one use."""


@dataclass(frozen=True)
class Use:
    """A purpose and whether the set serves it."""

    purpose: str  # What one would do with the set
    # "yes", "no", "with care", "no gain shown", "cannot tell", "not shown to be safe", "no sign
    # of leaking" or "not measured"
    answer: str
    reason: str  # The reason, in a few words
    mark: Mark  # What the answer amounts to


def uses(
    scores: Sequence[Score],
    *,
    from_real: bool = False,
    leak_allowed: bool = False,
    has_target: bool = False,
) -> tuple[Use, ...]:
    """Return what the set may be used for, in falling order of how often people ask.

    `from_real`: whether its rows are made of single real ones, as interpolating generators do.
    `leak_allowed`: whether train set and holdout share information, and the user allowed it.
    `has_target`: whether a column to predict is named.

    >>> [use.answer for use in uses([])]
    ['not measured', 'not measured', 'not measured', 'not measured']
    """
    purposes = (
        "Train on it instead of real rows",
        "Add it to real rows to train on",
        "Explore it, or test software with it",
        "Give it to people who may not see the real rows",
    )
    roles = Role.SUBSTITUTE_MODEL, Role.EXCHANGE_RATE
    models = [s for s in scores if has_role(s, *roles) or s.finding(ModelComparison)]
    evidence = TrainingEvidence.from_scores(models)
    trained = [
        _assess_substitution(scores, evidence) or _no_models(scores, has_target),
        _assess_addition(scores, evidence) or _no_models(scores, has_target),
    ]
    if leak_allowed:
        doubt = "but a leak was allowed, so that these rows are no fair test"
        trained = [
            one if one[0] == "not measured" else ("cannot tell", f"{one[1]}; {doubt}")
            for one in trained
        ]
    answers = [*trained, _assess_exploration(scores), _assess_release(scores, from_real)]
    return tuple(
        Use(purpose, answer, reason, _USE_MARKS.get(answer, Mark.INCONCLUSIVE))
        for purpose, (answer, reason) in zip(purposes, answers)
    )


def caution(scores: Sequence[Score]) -> str:
    """Return in what the images are unlike real ones; empty where they are not, or there are none.

    It stands before any use. The models that measure usefulness are small, and see reduced images or a
    few hundred numbers of each: their success says little about blur or noise, which a larger model
    would learn.
    """
    score = next(iter(with_role(scores, Role.IMAGE_APPEARANCE)), None)
    if score is None or score.verdict != Verdict.DIFFERENT:
        return ""
    components = score.finding(DifferentComponents)
    if components is None:
        return "its images are unlike real ones over all their properties"
    named = joined(components.names, _MAX_PROPERTIES, "property")
    return f"its images are unlike real ones in {named}"


def in_short(found: Sequence[Use], careful: str = "") -> str:
    """Return all uses in one line, or nothing where none was measured; first what asks for care.

    >>> in_short([Use("a", "yes", "", Mark.GOOD), Use("b", "no", "", Mark.BAD)])
    'a: yes; b: no'
    """
    text = "; ".join(f"{u.purpose}: {u.answer}" for u in found if u.mark != Mark.UNMEASURED)
    return f"Mind that {careful}. {text}" if careful and text else text


def main_risk(scores: Sequence[Score], found: Sequence[Use], from_real: bool = False) -> str:
    """Return the worst that may come of using the set, in one clause; empty where nothing was measured.

    Harm to persons comes first, then rows that are wrong, then rows that mislead, then what is not known.

    >>> main_risk([], [])
    ''
    """
    measured = [score for score in scores if score.is_measured]
    bad = [score for score in measured if score.verdict == Verdict.DIFFERENT]
    by_family = {score.family: score for score in reversed(worst_first(bad))}
    if "privacy" in by_family:
        return f"it discloses real persons, by {metric_title(by_family['privacy'].metric)}"
    if from_real and measured:
        return "its rows are made of single real ones, and may point at persons"
    if "integrity" in by_family:
        faults = [one for score in scores if (one := score.finding(IntegrityFaults)) is not None]
        worst = max(faults, key=lambda one: one.n_faulty, default=None)
        rows = f": {worst.n_faulty:,} of {worst.n_synthetic:,}" if worst and worst.n_faulty else ""
        return f"it has rows that are not valid{rows}"
    if any(use.answer == "no" for use in found[:2]) or "utility" in by_family:
        return "models that are trained on it are worse than models of real rows"
    for family, words in (("gap", "it differs from real rows"), ("coverage", "cases are missing")):
        if family in by_family:
            return f"{words}: {_list_different([by_family[family]]).removeprefix('off in ')}"
    n_open = sum(score.verdict == Verdict.INCONCLUSIVE for score in measured)
    if 2 * n_open > len(measured):
        return f"little is known: {n_open} of {len(measured)} tests are undecided"
    return "none was found; faults too small for so many rows may be there" if measured else ""


def _assess_substitution(scores: Sequence[Score], evidence: TrainingEvidence) -> Assessment | None:
    """Return whether models of synthetic rows replace those of real ones; None without models."""
    score, mixed = evidence.score, evidence.model(TrainingData.MIXED)
    if score is None:
        return None
    if evidence.is_one_class:
        return "no", "all its rows are of one class"
    if evidence.is_chance:
        return "cannot tell", evidence.chance_reason
    numbers = f"models reach {short(score.value)}, on real rows {short(score.baseline)}"
    if score.verdict == Verdict.DIFFERENT:
        return "no", numbers
    if score.verdict == Verdict.INCONCLUSIVE:
        return "cannot tell", f"{numbers}: too few rows to be sure"
    off = _list_different(scores, Role.REPRESENTATION)
    if not off and mixed is not None and mixed.effect == Effect.HURTS:
        # Rows that harm beside real ones have a fault that models of them alone do not show.
        off = "beside real rows it harms"
    if careful := caution(scores):
        reason = f"{careful}, which these models may not see; {numbers}{f'; {off}' if off else ''}"
        return "with care", reason
    if _is_invalid(scores):
        off = f"{off}; it has invalid rows" if off else "it has invalid rows"
    if off:
        return "with care", f"{numbers}; but {off}"
    if _leaks(scores):
        reason = f"{numbers}; but it leaks: guard it, and models trained on it, like the real rows"
        return "with care", reason
    return "yes", numbers


def _assess_addition(scores: Sequence[Score], evidence: TrainingEvidence) -> Assessment | None:
    """Return whether adding synthetic rows to real ones helps; None without models."""
    mixed, table = evidence.model(TrainingData.MIXED), evidence.table
    if table is None or mixed is None or mixed.effect is None:
        return None
    if evidence.is_chance:
        return "cannot tell", evidence.chance_reason
    cell = mixed.scores[0]
    change = short(cell.value) if cell.difference is None else signed(cell.difference)
    if cell.difference is not None and cell.interval is not None:
        change += f" (95 % interval {signed_interval(cell.interval)})"
    reason = f"{table.measures[0]} changes by {change}"
    if evidence.tests_disagree:
        return "cannot tell", f"{reason}; the exchange rate shows the opposite"
    if mixed.effect == Effect.HURTS:
        return "no", reason
    if mixed.effect == Effect.WORSE:
        return "no gain shown", f"worse, though not certainly by more than the margin: {reason}"
    if mixed.effect == Effect.NOT_SHOWN:
        why = "within the margin" if evidence.makes_no_difference else "which may be chance"
        return "no gain shown", f"{reason}, {why}"
    if _is_invalid(scores):
        return "with care", f"it has invalid rows; {reason}"
    if careful := caution(scores):
        return "with care", f"{careful}; measured all the same: {reason}"
    return "yes", reason


def _assess_exploration(scores: Sequence[Score]) -> Assessment:
    basic = [s for s in with_role(scores, *_BASIC) if s.is_measured]
    if not basic:
        return "not measured", "columns and pairs were not compared"
    off = _list_different(scores, *_APPEARANCE, Role.REPRESENTATION)
    if _is_invalid(scores):
        off = f"it has invalid rows; {off}" if off else "it has invalid rows"
    if any(s.verdict == Verdict.DIFFERENT and _is_hopeless(s) for s in basic):
        return "no", off
    if _leaks(scores):
        reason = f"{off}; it leaks" if off else "it leaks"
        return "with care", f"{reason}: guard it like the real rows"
    if off:
        return "with care", off
    is_open = [s for s in basic if s.verdict == Verdict.INCONCLUSIVE]
    if is_open:
        names = joined([metric_title(s.metric) for s in is_open])
        return "cannot tell", f"too few rows for {names}"
    images = bool(with_role(basic, Role.IMAGE_APPEARANCE))
    reason = f"columns and {'images' if images else 'pairs'} are as in real rows"
    if any(s.family == "gap" and s.verdict == Verdict.DIFFERENT for s in scores):
        reason += "; finer differences are shown below"
    return "yes", reason


def _assess_release(scores: Sequence[Score], from_real: bool) -> Assessment:
    every = [s for s in scores if s.family == "privacy"]
    own = [s for s in every if s.is_measured]
    if not own:
        reasons = [score.reason for score in every if score.reason]
        return "not measured", reasons[0] if reasons and _has_holdout(scores) else _NEEDS_HOLDOUT
    leaking = worst_first(s for s in own if s.verdict == Verdict.DIFFERENT)
    if leaking:
        return "no", f"signs of leaking: {_titles(leaking)}"
    undecided = [s for s in own if s.verdict == Verdict.INCONCLUSIVE]
    if undecided:
        tests = "1 test" if len(own) == 1 else f"{len(undecided)} of {len(own)} tests"
        reason = f"too few rows to decide {tests}: {_titles(undecided)}"
        return "not shown to be safe", reason
    if from_real:
        return "no", "its rows are made of single real ones: treat them as the real rows"
    if 2 * len(own) < len(every):
        reason = f"only {len(own)} of {len(every)} tests could be made"
        return "not shown to be safe", reason
    if untested := untested_columns(scores):
        return (
            "not shown to be safe",
            f"no sign of leaking in {count(len(own), 'test')}, but {untested}",
        )
    reason = f"in {count(len(own), 'test')}; whether that is enough is for you to decide"
    return "no sign of leaking", reason


def _no_models(scores: Sequence[Score], has_target: bool) -> Assessment:
    """Return why no models were compared, and what a user can do about it."""
    if not _has_holdout(scores):
        needs = _NEEDS_HOLDOUT if has_target else f"{_NEEDS_TARGET} and {_NEEDS_HOLDOUT}"
        return "not measured", needs
    reasons = [score.reason for score in scores if score.family == "utility" and score.reason]
    return "not measured", reasons[0] if reasons else _NEEDS_TARGET


def _has_holdout(scores: Sequence[Score]) -> bool:
    """Return whether some score was compared with real rows that the generator did not see."""
    unseen = ReferenceRows.HALF_OF_HOLDOUT, ReferenceRows.WHOLE_HOLDOUT, ReferenceRows.ALL_REAL
    bases = [basis for score in scores if (basis := score.finding(ComparisonBasis))]
    return any(basis.reference in unseen for basis in bases)


def _is_invalid(scores: Sequence[Score]) -> bool:
    return any(s.family == "integrity" and s.verdict == Verdict.DIFFERENT for s in scores)


def _leaks(scores: Sequence[Score]) -> bool:
    return any(s.family == "privacy" and s.verdict == Verdict.DIFFERENT for s in scores)


def _titles(scores: Sequence[Score]) -> str:
    return joined([metric_title(s.metric) for s in scores], _MAX_TITLES)


def _is_hopeless(score: Score) -> bool:
    """Return whether a score lies halfway or more from real rows to the worst there can be.

    For pairs the worst is the floor, columns drawn independently; for single columns it is 1, no
    shared value.
    """
    value, baseline = score.value, score.baseline
    if value is None or baseline is None:
        return False
    worst = score.floor if has_role(score, Role.DEPENDENCE) else 1.0
    return worst is not None and 2 * value >= baseline + worst


def _list_different(scores: Sequence[Score], *roles: Role) -> str:
    """Return which scores of these roles are different, and in what; empty where none is."""
    among = with_role(scores, *roles) if roles else scores
    off = worst_first(s for s in among if s.verdict == Verdict.DIFFERENT)
    shown = [_describe_different(score) for score in off]
    return f"off in {joined(shown, _MAX_TITLES, 'test')}" if off else ""


def _describe_different(score: Score) -> str:
    """Return the title of a score with the components or the region that are off."""
    name = metric_title(score.metric)
    if (slices := score.finding(SliceDifferences)) and slices.differences:
        return f"{name} ({difference_sentence(slices.differences[0], with_size=False)})"
    if (components := score.finding(DifferentComponents)) is not None:
        outcomes = {component: group_outcome(score, component) for component in components.names}
        named = [", ".join(filter(None, pair)) for pair in outcomes.items()]
        return f"{name} ({joined(named, _MAX_TITLES)})"
    if (regions := score.finding(RegionShares)) and regions.underrepresented:
        return f"under-represented rows ({region_sentence(regions.underrepresented[0])})"
    return name

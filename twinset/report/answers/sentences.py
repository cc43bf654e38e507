"""Sentences on scores, findings and slices: the only place that turns typed results into text."""

from __future__ import annotations

import string
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, is_dataclass
from enum import StrEnum
from functools import singledispatch
from typing import Any

from twinset.core import differences as d
from twinset.core import findings as f
from twinset.core import model_findings as m
from twinset.core.contracts import Score
from twinset.core.disclosure import DisguisedRows, Fingerprints, UntestedColumns
from twinset.core.features.slice_search import MIN_REPORTED
from twinset.measurement.verdict import MIN_ROWS, estimate_required_rows
from twinset.report.answers.phrases import (
    QUESTIONS,
    capitalize,
    count,
    degradation_interval,
    joined,
    percent,
    short,
)


class Obstacle(StrEnum):
    """Reason why a generator cannot make the rows of a slice."""

    NO_ROWS = "no real rows"
    FEW_ROWS = "few real rows"
    CLASH = "shares clash"


_MAX_NAMES = 3  # names in a sentence; all of them stand in the JSON
TRAINED_ON = {
    m.TrainingData.REAL: "real {} only",
    m.TrainingData.SYNTHETIC: "synthetic {} only",
    m.TrainingData.MIXED: "real and synthetic {} together",
}


def score_sentence(score: Score) -> str:
    """Return the verdict, its numbers, its reasons and the findings of a score in one text."""
    if not score.is_measured:
        return ": ".join(part for part in (score.verdict.value, score.reason) if part)
    clauses = [
        f"{short(score.value)}, {baseline_name(score)} {short(score.baseline)}",
        *_reasons(score),
    ]
    if (different := score.finding(f.DifferentComponents)) and different.decides:
        clauses = [_describe_components(different)]
    text = f"{score.verdict}: {'; '.join(clauses)}"
    return ". ".join([text, *remarks(score), *drift_notes(score)])


def baseline_name(score: Score) -> str:
    """Return the source of the baseline."""
    basis = score.finding(f.ComparisonBasis)
    return f.BaselineKind.REAL_ROWS if basis is None else basis.baseline.value


def reasons(score: Score) -> list[str]:
    """Return the clauses that explain a verdict, without its numbers."""
    if not score.is_measured:
        return [score.reason] if score.reason else []
    return [*_reasons(score), *drift_notes(score)]


def _reasons(score: Score) -> list[str]:
    interval = degradation_interval(score)
    different = score.finding(f.DifferentComponents)
    if score.reason:
        return [score.reason]
    if interval is None or (different is not None and different.decides):
        return []
    low, high = interval
    margin = f"the margin is {short(score.margin)}"
    if score.verdict == f.Verdict.DIFFERENT:
        found = [f"worse by at least {short(low)}, {margin}"]
    elif score.verdict == f.Verdict.EQUIVALENT:
        found = [f"worse by at most {short(high)}, {margin}"] if high > 0 else []
    else:
        found = [needed_rows(score)]
        rows = score.finding(f.DecidingRows)
        if rows is None or rows.n >= MIN_ROWS:
            ends = f"{short(low)} and {short(high)}"
            found.append(f"the degradation is between {ends}, {margin}")
            if low > score.margin:
                found.append("a verdict takes 99.8 % certainty, since a report has many")
    return [*filter(None, found)]


def needed_rows(score: Score, place: bool = False) -> str:
    """Return how many rows would decide, and how many there are; `place` adds where they are from."""
    rows, interval = score.finding(f.DecidingRows), degradation_interval(score)
    if rows is None or interval is None:
        return ""
    region, basis = score.finding(f.DetectableRegion), score.finding(f.ComparisonBasis)
    if region and region.n_rows_needed and rows.kind.startswith("regions") and basis:
        there = short(basis.n_rows.get("reference"))
        return f"needs about {region.n_rows_needed:,} rows of each set, there are {there}"
    if rows.n < MIN_ROWS:
        there = str(rows.n)
        if rows.n < MIN_REPORTED:
            there = f"at most {MIN_REPORTED - 1} (so small a count is not shown exactly)"
        return f"needs at least {MIN_ROWS} {rows.kind}, there are {there}"
    needed = estimate_required_rows(rows.n, interval, score.margin)
    if needed is None:
        return "the degradation is so near the margin that more rows will hardly decide"
    text = f"needs about {needed:,} {rows.kind}, there are {rows.n:,}"
    if place and basis and basis.reference and basis.n_rows.get("reference") == rows.n:
        text += f", {basis.reference.value}"
    return text


def drift_notes(score: Score) -> list[str]:
    """Return what real train rows score, where they differ from the holdout beyond chance."""
    basis = score.finding(f.ComparisonBasis)
    if basis is None or basis.train_value is None:
        return []
    differs = "is later than" if basis.is_later else "differs from"
    return [
        f"The holdout {differs} the train set: real train rows score {short(basis.train_value)} here, "
        "and only what is worse than they are counts"
    ]


def remarks(score: Score) -> list[str]:
    """Return what the findings of a metric say beside its numbers, one sentence each."""
    said = [
        capitalize(text) + _beside_verdict(score, found)
        for found in score.findings
        if (text := describe(found))
        and not (score.verdict == f.Verdict.DIFFERENT and found.found_nothing)
    ]
    basis, models = score.finding(f.ComparisonBasis), score.finding(m.ModelComparison)
    if models is not None and models.decides is not None:
        said.append(f"Trained on {TRAINED_ON[models.decides].format(models.subject)}")
    if basis is not None and basis.real_value is not None:
        said.append(f"Real rows themselves: {short(basis.real_value)}")
    return said


def _beside_verdict(score: Score, found: f.Finding) -> str:
    """Return how a difference beyond chance goes with a verdict of equivalence: it is too small."""
    is_test = isinstance(found, _TESTS_OF_CHANCE) and not found.found_nothing
    return ": within the margin" if is_test and score.verdict == f.Verdict.EQUIVALENT else ""


_TESTS_OF_CHANCE = (
    f.DifferingComponents, f.DifferingTriples, f.MissingCellPattern, f.PermutationTest, f.RegionShares,
    f.FeatureImportances, f.BrokenRules,
)  # fmt: skip


def headline(score: Score) -> str:
    """Return the finding that explains a difference, as a clause; empty where none does."""
    for found in score.findings:
        if found.is_headline and not found.found_nothing:
            return describe(found)
    return ""


def comparison_sentences(scores: Sequence[Score]) -> list[str]:
    """Return on which rows and columns the scores rest, each fact once, in the order of scores."""
    said = []
    for score in scores:
        basis = score.finding(f.ComparisonBasis)
        if basis is None:
            continue
        if basis.reference is not None and "reference" in basis.n_rows:
            rows = f"{basis.reference.value}, {short(basis.n_rows['reference'])} rows"
            said.append(f"{QUESTIONS[score.family].heading}: compared with {rows}.")
        said += [
            f"{column} was not compared: {reason}." for column, reason in basis.excluded.items()
        ]
    return list(dict.fromkeys(said))


def describe_test_rows(score: Score) -> str:
    """Return what the models of a score were tested on."""
    models, rows = score.finding(m.ModelComparison), score.finding(f.DecidingRows)
    if models is None:
        return ""
    said = [] if models.n_test_rows is None else [f"{short(models.n_test_rows)} {models.subject}"]
    if rows is not None and rows.n != models.n_test_rows:
        said.append(f"{short(rows.n)} {rows.kind}")
    if models.chance_level is not None:
        said.append(f"guessing scores {short(models.chance_level)}")
    return ", ".join(said)


def outcome_name(found: f.GroupResults) -> str:
    """Return what the outcome of a group is."""
    if not found.classes:
        return f"mean of '{found.target}'"
    if found.is_share:
        return f"share of rows with '{found.target}' = {found.classes[1]}"
    return f"shares of the classes of '{found.target}'"


def group_outcome(score: Score, name: str) -> str:
    """Return the share of an outcome in both sets; empty where the outcome is no share."""
    found = score.finding(f.GroupResults)
    group = None if found is None else found.group(name)
    if found is None or group is None or not found.is_share:
        return ""
    if group.real is None or group.synthetic is None:
        return ""
    return (
        f"{outcome_name(found)}: {100 * group.synthetic:.0f} % instead of {100 * group.real:.0f} %"
    )


def region_sentence(region: f.RegionShare) -> str:
    """Return a region with its two shares; those of 1 to 10 rows are not shown."""
    real = f"{_share_or_few(region.real)} of {_all_rows(region.n_real, 'real')}"
    synthetic = f"{_share_or_few(region.synthetic)} of {_all_rows(region.n_synthetic, 'synthetic')}"
    return f"{region.condition}: {synthetic}, {real}"


def _all_rows(n: int | None, kind: str) -> str:
    """Return the rows that a share is of: only those that were compared."""
    return f"the {kind} rows" if n is None else f"{n:,} {kind} rows compared"


def gap_sentence(condition: str, synthetic: float | None, target: float, declared: bool) -> str:
    """Return an under-represented slice with its share and the share that it should have.

    >>> gap_sentence("sky = night", 0.25, 0.5, declared=False)
    'sky = night: 25.0 % of the synthetic rows, 50.0 % of the real ones'
    >>> gap_sentence("sky = night", None, 0.4, declared=True)
    'sky = night: fewer than 11 of the synthetic rows, the target is 40.0 %'
    """
    share = _share_or_few(target)
    aim = f"the target is {share}" if declared else f"{share} of the real ones"
    return _slice_sentence(condition, synthetic, aim)


def obstacle_sentence(obstacle: Obstacle, expected: float) -> str:
    """Return why the rows of a slice cannot be made; `expected` is the share that it will have."""
    if obstacle == Obstacle.CLASH:
        return f"its share will be about {_share_or_few(expected)}: the declared shares clash"
    few = "no" if obstacle == Obstacle.NO_ROWS else f"fewer than {MIN_REPORTED}"
    return f"{few} real rows to learn from"


def _slice_sentence(condition: str, synthetic: float | None, aim: str) -> str:
    return f"{condition}: {_share_or_few(synthetic)} of the synthetic rows, {aim}"


_UNDETECTED = (
    "a region of less than {share:percent1} of the real rows could lose half its rows undetected, while "
    "the margin is {margin:percent1}"
)
_SHOWN = "shown a training row and a real row that the generator never saw, an attacker who"

FORMS: Mapping[str, Callable[[Any], str]] = {
    "percent1": lambda share: f"{100 * share:.1f} %",
    "times": lambda share: f"{100 * share:.0f}",
    "chance": lambda share: "less than 1 %" if share < 0.01 else f"{100 * share:.0f} %",
    "few": lambda n: f"fewer than {MIN_REPORTED}" if n is None else f"{n:,}",
    "rate": lambda share: share if isinstance(share, str) else f"{100 * share:.0f} %",
    "list": ", ".join,
    "joined": joined,
    "region": lambda region: region_sentence(region),
}
"""Form of a field in a template -> the function that writes its value."""

TEMPLATES: Mapping[type[f.Finding], str | Mapping[str, str]] = {
    f.DifferingTriples: {
        "worst": "{n_differing:,} of {n_tested:,} combinations of three columns differ beyond chance, "
        "most of all {worst:joined} (distance {distance:.3f}, by chance {chance_distance:.3f})",
        "": "none of {n_tested:,} combinations of three columns differs beyond chance",
    },
    f.PermutationTest: {
        "found_nothing": "chance alone gives so large a distance in {p_value:chance} of the cases",
        "": "beyond chance: shuffled labels give so large a distance in {p_value:chance} of the cases",
    },
    f.FarthestEmbedding: "the distance is largest by '{name}'",
    f.LevelShares: {
        "lowest": "furthest below its share: {lowest.column} = {lowest.level}, {lowest.found:percent1} of "
        "the rows, declared {lowest.declared:percent1}",
        "": "no declared group has less than its share",
    },
    f.RegionShares: {
        "underrepresented": "too few rows of: {underrepresented[0]:region}",
        "overrepresented": "too many rows of: {overrepresented[0]:region}",
        "": "no region of up to three conditions has too few or too many rows beyond chance",
    },
    f.DetectableRegion: {
        "n_rows_needed": f"{_UNDETECTED}; it takes about {{n_rows_needed:,}} rows of each set",
        "": _UNDETECTED,
    },
    f.ColumnLimit: "{n_compared} of {n_columns} columns were compared",
    f.FeatureImportances: {"names": "most important columns: {names:list}"},
    f.ConfidentRows: {"common": "most of the rows that look least real: {common:region}"},
    f.TextAnomalyShare: "{description}: {synthetic:percent1} against {real:percent1} in held-out real "
    "texts",
    f.TextFeatures: "separated by {features:list}",
    f.ContradictedLabel: "most often in '{column}': {confusion}",
    m.WorstLabel: "worst off is '{label}': F1 {synthetic:.2f} where real texts give {real:.2f}",
    f.AttackRates: {
        "attribute": "the worst of {n_attributes} sensitive attributes, '{attribute}', is inferred for "
        "{members:rate} of {n_members:,} training rows and for {control:rate} of {n_control:,} rows that "
        "the generator never saw",
        "n_attempts": "of {n_attempts:,} combinations that one synthetic row meets, {members:rate} single "
        "out one of {n_members:,} training rows and {control:rate} one of as many that the generator "
        "never saw",
        "": "two halves of a row are linked for {members:rate} of {n_members:,} training rows and "
        "{control:rate} of {n_control:,} rows that the generator never saw",
    },
    f.MembershipAttack: {
        "upper": f"{_SHOWN} can fit the generator again picks the training row {{success:times}} times in "
        "100, at most {upper:times} by the 95 % interval; guessing does 50",
        "": f"{_SHOWN} holds the synthetic rows picks the training row {{success:times}} times in 100; "
        "guessing does 50",
    },
    f.OutlierCounts: "of the {n_train:,} training rows farthest from all others, {near_train:few} have a "
    "synthetic row less than half as far away as any other real row; of {n_control:,} such rows that the "
    "generator never saw, {near_control:few} do",
    f.SmallCells: "{share:percent1} of the synthetic rows have a combination of {columns:list} that exists "
    "in fewer than {k} training rows",
    f.CanaryCounts: {
        "reason": "no canary was planted: {reason}",
        "": "of {n} canaries that were planted among the training rows {n_recovered} came back value for "
        "value, of as many that were not planted {n_control_recovered}",
    },
}
"""Finding -> its sentence, or the sentence of the first field that has a value; "" always has one."""


class _Formatter(string.Formatter):
    """Fills a template from the fields of a finding; a form is a name of `FORMS` or Python's own."""

    def get_value(self, key: int | str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        return getattr(args[0], str(key))

    def format_field(self, value: Any, format_spec: str) -> str:
        write = FORMS.get(format_spec)
        return format(value, format_spec) if write is None else write(value)


@singledispatch
def describe(found: f.Finding) -> str:
    """Return a finding as a clause; one of an unknown type as its fields and values."""
    templates = TEMPLATES.get(type(found), {})
    for name, template in ({"": templates} if isinstance(templates, str) else templates).items():
        value = getattr(found, name) if name else True
        if value is not None and value is not False and value not in ((), ""):
            return _Formatter().format(template, found)
    if type(found).__module__.startswith("twinset.core.") or not is_dataclass(found):
        return ""
    values = {field.name: getattr(found, field.name) for field in fields(found)}
    return "; ".join(f"{name.replace('_', ' ')}: {_plain(value)}" for name, value in values.items())


def _plain(value: object) -> str:
    if isinstance(value, float):
        return short(value)
    if isinstance(value, tuple | list):
        return ", ".join(map(_plain, value))
    return str(value)


def _share_or_few(share: float | None) -> str:
    return f"fewer than {MIN_REPORTED}" if share is None else f"{100 * share:.1f} %"


def _describe_components(found: f.DifferentComponents) -> str:
    text = f"{count(len(found.names), found.kind)} ({joined(found.names, _MAX_NAMES)})"
    if found.values and found.baselines:
        text += f"; {short(found.values[0])}, real rows {short(found.baselines[0])} for the worst"
    return f"{text}; the margin is {short(found.margin)}"


@describe.register
def _(found: f.DifferingComponents) -> str:
    if not found.names:
        return f"no {found.kind} differs beyond chance"
    verb = "differs" if len(found.names) == 1 else "differ"
    of_all = f"{len(found.names)} of {count(found.n_tested, found.kind)}"
    return f"{of_all} {verb} beyond chance: {joined(found.names, _MAX_NAMES)}"


@describe.register
def _(found: d.SliceDifferences) -> str:
    searched = (
        f"{count(found.n_columns, 'column')} in all rows and {count(found.n_slices, 'slice')}"
    )
    if not found.differences:
        return f"no difference beyond chance: {searched}"
    named = "; ".join(map(difference_sentence, found.differences[:_MAX_NAMES]))
    more = len(found.differences) - _MAX_NAMES
    return f"{named}; and {more} more" if more > 0 else named


@describe.register
def _(found: d.DetectableDifferences) -> str:
    return (
        f"a shift of a column by {found.all_rows:.2f} standard deviations would have been found in all "
        f"rows, by {found.fifth:.2f} in a slice of a fifth of them and by {found.twentieth:.2f} in one of "
        f"a twentieth; a change of a correlation by {found.correlation:.2f}; a standard deviation "
        f"{100 * (found.spread - 1):.0f} % larger or smaller"
    )


def difference_sentence(found: d.SliceDifference, with_size: bool = True) -> str:
    """Return a difference as a clause with its place, and its size where it is requested."""
    place = f" for {found.slice}" if found.slice else ""
    more = found.effect > 0
    column = joined(found.columns, 2) if found.columns else "whole rows"
    subject = {
        d.DifferenceKind.LOCATION: f"{column} is {'higher' if more else 'lower'}",
        d.DifferenceKind.RESIDUAL: f"{column} is {'higher' if more else 'lower'} than the other "
        "columns predict",
        d.DifferenceKind.SPREAD: f"{column} varies {'more' if more else 'less'}",
        d.DifferenceKind.TAIL: f"the {found.detail} of {column} occur {_often(more)}",
        d.DifferenceKind.SHAPE: f"the distribution of {column} has another shape",
        d.DifferenceKind.ROUNDNESS: f"multiples of {found.detail} occur {_often(more)} in {column}",
        d.DifferenceKind.REPEATS: f"equal values of {column} occur {_often(more)}",
        d.DifferenceKind.SHARE: f"{column} = {found.detail} occurs {_often(more)}",
        d.DifferenceKind.MISSING: f"{column} is missing {_often(more)}",
        d.DifferenceKind.DEPENDENCE: f"{column} depend otherwise on each other",
        d.DifferenceKind.NOISE: f"{column} {'is' if found.columns else 'are'} "
        f"{'farther from' if more else 'closer to'} what the other columns predict",
        d.DifferenceKind.DENSITY: "synthetic rows lie "
        f"{'closer to real ones' if found.detail and more else 'at other distances from each other'} "
        "than real rows do",
    }[found.kind]
    return f"{subject}{place}{_difference_size(found) if with_size else ''}"


def _often(more: bool) -> str:
    return "more often" if more else "less often"


def _difference_size(found: d.SliceDifference) -> str:
    """Return the size of a difference in the unit of the reader, in parentheses."""
    low, high = found.interval
    size = f"by {abs(found.effect):.2f} standard deviations ({low:+.2f} to {high:+.2f})"
    synthetic, real = found.synthetic, found.real
    if found.kind in _SHARE_KINDS:
        if synthetic is None:
            return f" ({size})"
        return f" ({100 * synthetic:.1f} % instead of {_share_or_few(real)})"
    if synthetic is None or real is None:
        return f" ({size})"
    if found.kind == d.DifferenceKind.LOCATION and real and synthetic / real > 0:
        change = 100 * (synthetic / real - 1)
        return f" ({change:+.1f} %, mean {short(synthetic)} instead of {short(real)}; {size})"
    return f" ({short(synthetic)} instead of {short(real)}; {size})"


_SHARE_KINDS = (
    d.DifferenceKind.SHARE,
    d.DifferenceKind.MISSING,
    d.DifferenceKind.TAIL,
    d.DifferenceKind.ROUNDNESS,
)


@describe.register
def _(found: f.MissingCellPattern) -> str:
    if not found.n_missing:
        return "no cell is missing in either set"
    said = []
    if found.columns:
        said.append(f"the share of missing cells differs in {joined(found.columns, _MAX_NAMES)}")
    if found.moved is not None:
        seen = ", ".join(found.seen_in[:_MAX_NAMES])
        said.append(
            f"cells of {found.moved} are missing in other rows than real ones, as seen by {seen}"
        )
    return "; ".join(said) or "the pattern of missing cells does not differ beyond chance"


@describe.register
def _(found: f.GroupResults) -> str:
    worst = found.worst
    if worst is None or worst.synthetic_loss is None or worst.real_loss is None:
        return ""
    return (
        f"models trained on the synthetic rows serve {worst.name} worst: loss "
        f"{worst.synthetic_loss:.3f} instead of {worst.real_loss:.3f}"
    )


@describe.register
def _(found: f.NamedValues) -> str:
    return ", ".join(f"{name} {short(value)}" for name, value in found.values.items())


@describe.register
def _(found: f.BrokenRules) -> str:
    rules = found.rules
    if not rules:
        return f"rules found in the real rows: {found.n_rules}, broken more often than by real rows: none"
    named = ", ".join(
        f"{one.rule} by {one.n_synthetic:,} synthetic and {FORMS['few'](one.n_real)} real rows"
        for one in rules[:_MAX_NAMES]
    )
    verb = "is" if len(rules) == 1 else "are"
    return (
        f"{len(rules)} of {found.n_rules} rules {verb} broken more often than by real rows: {named}"
    )


@describe.register
def _(found: f.CopyCounts) -> str:
    rows = "rows" if found.column is None else f"values of the {found.column}"
    return (
        f"{found.n_copies:,} of {found.n_synthetic:,} synthetic {rows} equal a training one; of real "
        f"ones that the generator never saw, {found.n_real_copies:,} of {found.n_real:,} do"
    )


@describe.register
def _(found: f.OnePersonCounts) -> str:
    if not found.n_values:
        return "no value is held by one person alone"
    people = ""
    if found.n_people:
        names = joined([f"'{name}'" for name in found.columns], 5)  # as many as a line holds
        people = (
            f"values of about {count(found.n_people, 'training person')} alone occur in {names}: "
        )
    return (
        f"{people}of {found.n_values:,} values that one training person alone has, {found.n_kept:,} occur "
        "in the synthetic rows; of as many such values of people whom the generator never saw, about "
        f"{found.n_expected:,} do"
    )


@describe.register
def _(found: UntestedColumns) -> str:
    parts = (
        ("identifiers", found.identifiers),
        ("free texts", found.texts),
        ("columns that others may know of a person", found.quasi_identifiers),
    )
    names = "; ".join(f"{noun} ({joined(names)})" for noun, names in parts if names)
    return f"not tested: {names}" if names else ""


@describe.register
def _(found: DisguisedRows) -> str:
    if not found.n_people:
        return (
            "synthetic rows match no more training people in all but a few columns, or nearly, than "
            "people whom the generator never saw"
        )
    return (
        f"{disguise_sentence(found)}: they match {found.n_matched:,} of {found.n_train:,} training people "
        f"and {found.n_unseen_matched:,} of {found.n_unseen:,} whom the generator never saw"
    )


def disguise_sentence(found: DisguisedRows) -> str:
    """Return how many rows are train rows in disguise, and of how many persons."""
    low, high = found.interval or (found.share, found.share)
    where = f", mostly with {found.group}" if found.group else ""
    people = f"about {count(found.n_people, 'person')}"
    return (
        f"about {percent(found.share)} ({percent(low)} to {percent(high)}) of the synthetic rows are "
        f"training rows in disguise, those of {people}{where}"
    )


@describe.register
def _(found: Fingerprints) -> str:
    if not found.n_people:
        return ""
    block = joined([f"'{name}'" for name in found.columns]) if found.columns else "a few columns"
    return (
        f"{block} of the synthetic rows are those of one training person alone for about "
        f"{count(found.n_people, 'person')} beyond chance ({found.n_matched:,} of {found.n_train:,}; of "
        f"people whom the generator never saw, {found.n_unseen_matched:,} of {found.n_unseen:,})"
    )

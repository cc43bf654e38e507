"""Whether a set is valid: sentences on its faults, and the answer of the family integrity."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from twinset.core.contracts import Score
from twinset.core.integrity import FaultKind, IntegrityFault, IntegrityFaults
from twinset.core.reading_faults import ReadingFaults
from twinset.report.answers.phrases import (
    MARKS,
    Mark,
    capitalize,
    count,
    joined,
    metric_title,
    short,
    worst_first,
)
from twinset.report.answers.reading_faults import reading_fault_sentence
from twinset.report.answers.sentences import FORMS, describe, headline, needed_rows

_MAX_SHOWN = 3  # faults and columns in a sentence; all of them stand in the JSON

_FAULTS: Mapping[FaultKind, str] = {
    FaultKind.RANGE: "{columns} beyond the range of real values",
    FaultKind.MISSING: "{columns} missing, which real rows never lack,",
    FaultKind.LEVEL: "a label of {columns} that no real row has",
    FaultKind.SPELLING: "a label of {columns} in another spelling than in real rows",
    FaultKind.FORMAT: "{columns} in a form that no real value has",
    FaultKind.PRECISION: "{columns} with more digits than real values have",
    FaultKind.ROUNDING: "{columns} rounded more often than real values are",
    FaultKind.REPEATED_VALUE: "one exact value of {columns} repeated",
    FaultKind.REPEATED_KEY: "{columns} repeated, which is unique in real rows,",
    FaultKind.REPEATED_ROW: "whole rows repeated",
    FaultKind.NEAR_REPEATED_ROW: "rows repeated in nearly all columns",
    FaultKind.RULE: "a rule of {columns} broken",
    FaultKind.COMBINATION: "an impossible combination of {columns}",
    FaultKind.TEXT_FORM: "{columns} in a form that real texts seldom have",
    FaultKind.UNLIKELY_TEXT: "{columns} with words or letters that real texts seldom have",
    FaultKind.CUT_TEXT: "{columns} cut off",
    FaultKind.REPEATED_TEXT: "{columns} repeated",
    FaultKind.REPEATED_PHRASE: "one wording of {columns} repeated",
    FaultKind.COPIED_VALUE: "{columns} with what one real train text alone has",
    FaultKind.CONTRADICTED_LABEL: "{columns} contradicted by the text",
    FaultKind.SPAN: "{columns} marked otherwise than in real texts",
    FaultKind.IMAGE_FORM: "{columns} in a form that no real image has",
    FaultKind.IMAGE_CONTENT: "{columns} with a property that real images seldom have",
    FaultKind.IMAGE_OBJECTS: "{columns} with objects as real images seldom have them",
    FaultKind.REPEATED_IMAGE: "{columns} that are copies",
}
"""Kind of fault -> its name, before "in so many rows"."""


def fault_sentence(fault: IntegrityFault, among: IntegrityFaults) -> str:
    """Return a fault with its rows, and how many unseen real rows show it.

    >>> fault = IntegrityFault(FaultKind.RANGE, ("age",), 9, 0, 1e-6, (4, 17), "above 96")
    >>> fault_sentence(fault, IntegrityFaults((fault,), 40, 9, 3000, 1500)).partition(" in ")[2]
    '9 of 3,000 rows, the first in row 4, and in none of 1,500 unseen real ones'
    """
    name = _FAULTS[fault.kind].format(columns=joined(fault.columns, _MAX_SHOWN))
    if fault.kind == FaultKind.NEAR_REPEATED_ROW and fault.columns:
        name = f"rows repeated in all columns but {joined(fault.columns, _MAX_SHOWN)}"
    if fault.detail:
        comma = "," if name.endswith(",") else ""
        signs = "; ".join((fault.detail, *fault.also))
        name = f"{name.removesuffix(',')} ({signs}){comma}"
    first = f", the first in row {fault.rows[0]:,}" if fault.rows else ""
    real = "none" if fault.n_real == 0 else FORMS["few"](fault.n_real)
    return (
        f"{name} in {fault.n_synthetic:,} of {among.n_synthetic:,} rows{first}, and in {real} of "
        f"{among.n_real:,} unseen real ones"
    )


@describe.register
def _(found: IntegrityFaults) -> str:
    if not found.faults:
        return f"no fault in {found.n_synthetic:,} rows by {count(found.n_checks, 'check')}"
    said = [fault_sentence(one, found) for one in found.faults[:_MAX_SHOWN]]
    left = len(found.faults) - len(said)
    more = [f"And {count(left, 'further fault')}"] if left else []
    return ". ".join([said[0], *map(capitalize, said[1:]), *more])


def answer_validity(scores: Sequence[Score]) -> tuple[Mark, str, str]:
    """Return mark, answer and small print on whether the set is valid: one fault is enough for a no."""
    worst = worst_first(scores)[0]
    mark = MARKS[worst.verdict]
    found = [one for score in scores if (one := score.finding(IntegrityFaults)) is not None]
    if mark == Mark.BAD:
        faults = sorted(
            ((fault, one) for one in found for fault in one.faults),
            key=lambda pair: pair[0].p_value,
        )
        said = [fault_sentence(*pair) for pair in faults]
        for score in scores:
            if reading := score.finding(ReadingFaults):
                n = reading.n_synthetic
                said += [reading_fault_sentence(one, n) for one in reading.faults]
        if not said:
            said = [headline(worst) or f"{metric_title(worst.metric)} ({short(worst.value)})"]
        more = f"; {count(len(said) - 1, 'more kind')} of faults" if len(said) > 1 else ""
        detail = " ".join(f"{capitalize(one)}." for one in said[1:_MAX_SHOWN])
        return mark, f"No: {said[0]}{more}.", detail
    if mark == Mark.UNMEASURED:
        return mark, f"Not measurable: {worst.reason or 'no reason is known'}.", ""
    if mark == Mark.INCONCLUSIVE:
        reason = needed_rows(worst) or "too few rows"
        return mark, f"Cannot tell by {metric_title(worst.metric)}: {reason}.", ""
    n_checks = sum(one.n_checks for one in found)
    if not n_checks:  # the notation of a file says nothing of its rows
        reasons = [score.reason for score in scores if score.reason]
        reason = reasons[0] if reasons else "the train rows show no rule that could be checked"
        return Mark.UNMEASURED, f"Not measurable: {reason}.", ""
    n_rows = max((one.n_synthetic for one in found), default=0)
    return mark, f"No fault found in {n_rows:,} rows by {count(n_checks, 'check')}.", ""

"""Numbers and dates that a column of texts holds in another notation than 1234.5 and 2024-12-31."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from twinset.core.data.reading import MIN_SHOWN_ROWS, Reason, Remark
from twinset.io.reading.dates import find_dates
from twinset.io.reading.options import ReadOptions

MARKERS = frozenset(
    [
        "?",
        "-",
        "--",
        "---",
        ".",
        "..",
        "...",
        "*",
        "na",
        "n/a",
        "n.a.",
        "n.a",
        "nan",
        "null",
        "none",
        "nil",
        "#n/a",
        "#na",
        "#value!",
        "#ref!",
        "#div/0!",
        "#num!",
        "#name?",
        "missing",
        "\\n",
        "k.a.",
        "<na>",
        "nat",
    ]
)
"""Usual marks of missing values, in lower case."""

_N_SAMPLED = 1_000  # cells that decide whether a column is looked at closer; evenly spaced
_MIN_SHARE = 0.8  # of them in one notation: fewer are codes that happen to be numbers
_MAX_EXACT_DIGITS = 16  # longer numbers lose digits as float64
_SPACES = r"[\x{00A0}\x{2007}\x{2009}\x{202F}]"
SIGNS = ("%", "€", "$", "£", "¥", "₹", "EUR", "USD", "GBP", "CHF", "JPY", "CAD", "AUD", "kr")
_SIGN = "|".join(re.escape(one) for one in SIGNS)
_LOOSE = re.compile(
    rf"\(?[+\-−]? ?(?:{_SIGN})? ?[+\-−]?(?=[.,]?\d)[\d.,' ’_]*(?:[eE][+-]?\d+)? ?(?:{_SIGN})?-?\)?"
)


@dataclass(frozen=True)
class Marks:
    """The marks of a notation: between groups of digits, and before decimals."""

    group: str
    decimal: str

    @property
    def digits(self) -> str:
        """Pattern of a number without its sign (RE2)."""
        decimal = re.escape(self.decimal)
        tail = rf"(?:{decimal}[0-9]*)?"
        plain = rf"[0-9]+{tail}|{decimal}[0-9]+"
        if not self.group:
            return rf"(?:(?:{plain})(?:[eE][+-]?[0-9]+)?)"
        group = re.escape(self.group)
        grouped = rf"[1-9][0-9]{{0,2}}(?:{group}[0-9]{{3}})+"
        indian = rf"[1-9][0-9]?(?:{group}[0-9]{{2}})+{group}[0-9]{{3}}"
        short = rf"[0-9]{{1,3}}{tail}|{decimal}[0-9]+"
        return rf"(?:(?:{grouped}|{indian}){tail}|{short})"

    @property
    def pattern(self) -> str:
        """Pattern of a number with its sign (RE2)."""
        return rf"^[+-]?{self.digits}$"


NOTATIONS = (
    *(Marks("", "."), Marks("", ","), Marks(",", "."), Marks(".", ",")),
    *(Marks(" ", ","), Marks(" ", "."), Marks("'", "."), Marks("'", ",")),
)


@dataclass(frozen=True)
class Interpreted:
    """A column of texts as it was understood."""

    column: pa.ChunkedArray
    remarks: tuple[Remark, ...] = ()


def interpret(
    column: pa.ChunkedArray, name: str, options: ReadOptions, *, comma_delimited: bool = True
) -> Interpreted:
    """Return a column of texts as numbers or dates if all of its cells are; remarks say why.

    A column whose cells allow two readings, or of which a few cells are something else, stays as it is.

    Examples
    --------
    >>> column = pa.chunked_array([["1.234,5", "7,25", None]])
    >>> found = interpret(column, "price", ReadOptions())
    >>> found.column.to_pylist(), [one.reason.value for one in found.remarks]
    ([1234.5, 7.25, None], ['decimal_comma'])
    """
    forced = name in options.number
    sample = sample_texts(column)
    cells = [text for text in sample if text.lower() not in MARKERS]
    if not forced and not any(map(_has_digit, cells)):
        return Interpreted(column)
    like_numbers = sum(_LOOSE.fullmatch(_plain_spaces(text)) is not None for text in cells)
    if forced or like_numbers >= _MIN_SHARE * len(cells):
        found = _numbers(
            column,
            name,
            options,
            comma_delimited=comma_delimited,
            forced=forced,
        )
        if found is not None:
            return found
    dates = find_dates(column, name, cells, options.dates, markers=_marker_mask)
    if dates is None:
        return Interpreted(column)
    values, remarks = dates
    return Interpreted(values, remarks)


def sample_texts(column: pa.ChunkedArray) -> list[str]:
    """Return cells of a column, evenly spaced, without white space around them."""
    n = len(column)
    rows = np.unique(np.linspace(0, max(n - 1, 0), min(n, _N_SAMPLED)).astype(np.int64))
    texts = column.take(pa.array(rows)).to_pylist()
    return [text for one in texts if one is not None and (text := one.strip())]


def _has_digit(text: str) -> bool:
    return any(character.isdigit() for character in text)


def _plain_spaces(text: str) -> str:
    return re.sub("[\u00a0\u2007\u2009\u202f]", " ", text)


def _marker_mask(texts: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return which cells are usual marks of missing values; `texts` have no white space around."""
    return pc.is_in(pc.utf8_lower(texts), pa.array(sorted(MARKERS)))


def marker_remark(texts: pa.ChunkedArray, mask: pa.ChunkedArray, name: str) -> Remark:
    """Return the remark on markers that are read as missing."""
    n = int(pc.sum(mask).as_py() or 0)
    found = pc.unique(texts.filter(mask)).to_pylist()
    shown = found[0] if len(found) == 1 and n >= MIN_SHOWN_ROWS else ""
    return Remark(reason=Reason.MARKER_MISSING, column=name, rows=n, sign=shown)


def _numbers(
    column: pa.ChunkedArray,
    name: str,
    options: ReadOptions,
    *,
    comma_delimited: bool,
    forced: bool,
) -> Interpreted | None:
    """Return the column as numbers, or as it is with a remark; None where it holds none."""
    texts = pc.utf8_trim_whitespace(pc.replace_substring_regex(column, _SPACES, " "))
    texts = pc.replace_substring(texts, "’", "'")
    markers = pc.fill_null(_marker_mask(texts), False)
    empty = pc.fill_null(pc.equal(texts, ""), True)
    ignored = pc.or_(markers, empty)
    rest = texts.filter(pc.invert(ignored))
    if not len(rest):
        return None
    bare, sign = _without_sign(rest)
    marks, n_bad, is_ambiguous = _find_marks(bare, options.decimal, comma_delimited)
    if n_bad and not forced:
        if n_bad > (1 - _MIN_SHARE) * len(rest):
            if not _all_fit(bare):
                return None
            return Interpreted(column, (Remark(reason=Reason.NOTATIONS_MIXED, column=name),))
        row = _first_row(ignored, bare, marks)
        remark = Remark(reason=Reason.NUMBERS_MIXED, column=name, rows=n_bad, row=row)
        return Interpreted(column, (remark,))
    if _are_codes(bare, marks) and not forced:
        return Interpreted(column, (Remark(reason=Reason.DIGITS_KEPT, column=name),))
    values = _as_numbers(_matching(bare, marks) if n_bad else bare, marks)
    remarks = [*_notation_remarks(name, marks, sign, is_ambiguous)]
    if pc.any(pc.match_substring_regex(rest, r"^\(|[0-9]-$")).as_py():
        remarks.insert(0, Remark(reason=Reason.BRACKETS, column=name))
    if n := int(pc.sum(markers).as_py() or 0):
        remarks.insert(0, marker_remark(texts, markers, name))
    if forced:
        remarks = [Remark(reason=Reason.REQUESTED, column=name, rows=n + n_bad, sign="number")]
    filled = pc.replace_with_mask(
        pa.nulls(len(column), values.type), pc.invert(ignored).combine_chunks(), values
    )
    return Interpreted(pa.chunked_array([filled]), tuple(remarks))


def _without_sign(texts: pa.ChunkedArray) -> tuple[pa.Array, str]:
    """Return numbers as texts without currency or per cent, minus first, and the sign that all have."""
    texts = pc.replace_substring(texts.combine_chunks(), "−", "-")
    texts = pc.replace_substring_regex(texts, r"^\((.*)\)$", r"-\1")
    sign = ""
    for one in SIGNS:
        spelled = re.escape(one)
        # All cells carry it, but for those that are zero or short of a digit.
        if pc.all(pc.match_substring(texts, one)).as_py():
            texts = pc.replace_substring_regex(texts, rf"^([+-]?) ?{spelled} ?([+-]?)", r"\1\2")
            texts = pc.replace_substring_regex(texts, rf" ?{spelled}$", "")
            sign = one
            break
    return pc.replace_substring_regex(texts, r"^([0-9][0-9., ']*)-$", r"-\1"), sign


def _matching(texts: pa.Array, marks: Marks) -> pa.Array:
    fits = pc.match_substring_regex(texts, marks.pattern)
    return pc.if_else(fits, texts, pa.scalar(None, pa.string()))


def _all_fit(texts: pa.Array) -> bool:
    """Return whether each cell is a number in one of the notations."""
    fits = pa.array(np.zeros(len(texts), dtype=bool))
    for one in NOTATIONS:
        fits = pc.or_(fits, pc.match_substring_regex(texts, one.pattern))
    return bool(pc.all(fits).as_py())


def _find_marks(texts: pa.Array, decimal: str, comma_delimited: bool) -> tuple[Marks, int, bool]:
    """Return the marks that fit most cells, the number that do not fit, and whether others fit too."""
    candidates = [one for one in NOTATIONS if decimal in ("", one.decimal)]
    n_bad = {}
    for one in candidates:
        fits = int(pc.sum(pc.match_substring_regex(texts, one.pattern)).as_py() or 0)
        n_bad[one] = len(texts) - fits
        if one == NOTATIONS[0] and fits == len(texts):
            return one, 0, False
    fewest = min(n_bad.values())
    best = [one for one in candidates if n_bad[one] == fewest]
    # "1,234" is a group of three digits or three decimals: a file with semicolons has decimal commas.
    pair = {(Marks("", ","), Marks(",", ".")), (Marks("", "."), Marks(".", ","))}
    is_ambiguous = tuple(best[:2]) in pair or {Marks("", ","), Marks(",", ".")} <= set(best)
    if is_ambiguous and comma_delimited and Marks(",", ".") in best and not decimal:
        return Marks(",", "."), fewest, True
    return best[0], fewest, is_ambiguous and not decimal


def _first_row(ignored: pa.ChunkedArray, bare: pa.Array, marks: Marks) -> int:
    """Return the row of the first cell that does not fit; the header is row 1."""
    fits = pc.match_substring_regex(bare, marks.pattern).to_numpy(zero_copy_only=False)
    at = int(np.flatnonzero(~fits.astype(bool))[0])
    kept = np.flatnonzero(~ignored.to_numpy(zero_copy_only=False).astype(bool))
    return int(kept[at]) + 2


def _are_codes(texts: pa.Array, marks: Marks) -> bool:
    """Return whether a number would lose digits, or groups of equal length are those of a code."""
    digits = pc.replace_substring(texts, marks.group, "") if marks.group else texts
    long = rf"^[+-]?0[0-9]+$|^[+-]?[0-9]{{{_MAX_EXACT_DIGITS + 1},}}$|^[+][0-9]{{8,}}$"
    if pc.any(pc.match_substring_regex(digits, long)).as_py():
        return True
    if not marks.group or marks.group == ",":
        return False
    groups = pc.count_substring(texts, marks.group)
    lengths = pc.min_max(pc.utf8_length(texts)).as_py()
    decimals = pc.any(pc.match_substring(texts, marks.decimal)).as_py()
    same = lengths["min"] == lengths["max"] and len(texts) > 2
    return bool(same and not decimals and pc.min(groups).as_py() >= 2)


def _as_numbers(texts: pa.Array, marks: Marks) -> pa.Array:
    """Return the values; whole numbers where all are."""
    if marks.group:
        texts = pc.replace_substring(texts, marks.group, "")
    if marks.decimal != ".":
        texts = pc.replace_substring(texts, marks.decimal, ".")
    texts = pc.replace_substring_regex(texts, r"^\+", "")
    whole = pc.all(pc.match_substring_regex(texts, r"^-?[0-9]{1,16}$")).as_py()
    if whole:
        return pc.cast(texts, pa.int64())
    return pc.cast(pc.replace_substring_regex(texts, r"\.$", ""), pa.float64())


def _notation_remarks(name: str, marks: Marks, sign: str, is_ambiguous: bool) -> Sequence[Remark]:
    remarks = []
    if is_ambiguous:
        mark = marks.group or marks.decimal
        reason = Reason.GROUPS_OR_DECIMALS
        role = "groups" if marks.group else "decimals"
        remarks.append(Remark(reason=reason, column=name, sign=f"{mark} {role}"))
    elif marks.decimal == ",":
        remarks.append(Remark(reason=Reason.DECIMAL_COMMA, column=name, sign=marks.group))
    elif marks.group:
        remarks.append(Remark(reason=Reason.GROUPS, column=name, sign=marks.group))
    if sign:
        remarks.insert(0, Remark(reason=Reason.SIGN, column=name, sign=sign))
    return remarks

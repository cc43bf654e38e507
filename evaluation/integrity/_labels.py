"""Checks of texts in one column: unknown labels, other spellings, forms, blanks, repeated texts."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from functools import partial

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from twinset.core.integrity import FaultKind

from ._checks import Check, count_rivals
from ._columns import Bools, Column, Values, missing_check, repeat_checks

# Forms of real texts, as a count and as a share of rows, up to which an unknown form says something
_MAX_FORMS, _MAX_FORM_SHARE = 200, 0.05
_LABEL_SHARE = 0.5  # distinct texts per row up to which they are labels
_MIN_COUNT = 3  # rows with one unknown label that can be too many
# Characters that look like others: digits for letters, and Cyrillic for Latin ones
_LOOK_ALIKES = str.maketrans("01|аеорсухіѕ", "ollaeopcyxis")
_MARKS_OF_MEANING = "+-<>=%"  # marks that make another label: "<=50" and ">50"
_BLEMISHES = {
    "blanks around it": r"^\s|\s$",
    "several blanks in a row": r"\s\s",
    "empty": r"^\s*$",
    "control characters": r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]",
    "characters of another encoding": r"\x{FFFD}|Ã[\x{80}-\x{BF}]",
}
"""What is wrong with a text -> its pattern."""


def label_checks(column: Column) -> Iterator[Check]:
    """Yield the checks of a column of labels, keys or texts."""
    assert column.texts is not None
    yield from missing_check(column)
    texts = column.texts
    if not len(texts):
        return
    if _known(column.real, len(texts)).sum() <= _LABEL_SHARE * len(column.real):
        yield from _level_checks(column, texts)
    else:
        yield from repeat_checks(column.parts, FaultKind.REPEATED_VALUE, (column.name,))
    exact, short = _forms(texts)
    # Running numbers of more rows have more digits.
    real = column.sorted_real
    if (real[1:] == real[:-1]).any() or _count(exact, real) == _count(short, real):
        yield from _form_check(column, exact)
    yield from _form_check(column, short)
    for name, pattern in _BLEMISHES.items():
        odd = pc.match_substring_regex(texts, pattern).to_numpy(zero_copy_only=False)
        if odd.any():
            yield column.count(FaultKind.FORMAT, partial(_is_odd, odd), name)


def _count(forms: Values, codes: Values) -> int:
    """Return how many forms some texts have."""
    return len(np.unique(forms[codes]))


def _known(codes: Values, n: int) -> Bools:
    """Return which of `n` codes occur."""
    found = np.zeros(n, dtype=bool)
    found[codes[codes >= 0]] = True
    return found


def _is_odd(odd: Bools, codes: Values) -> Bools:
    return np.asarray((codes >= 0) & odd[codes])


def _unknown(known: Bools, codes: Values) -> Bools:
    return np.asarray((codes >= 0) & ~known[codes])


def _level_checks(column: Column, texts: pa.Array) -> Iterator[Check]:
    """Yield the checks of all unknown labels, of the most frequent one, and of other spellings."""
    own, n = column.parts.synthetic, len(texts)
    unknown = column.check(FaultKind.LEVEL, lambda real: _known(real, n), _unknown)
    yield unknown
    counts = np.bincount(own[own >= 0], minlength=n)
    totals = counts + np.bincount(column.real[column.real >= 0], minlength=n)
    new = np.where(totals == counts, counts, 0)
    level = int(np.argmax(new))
    if new[level] >= _MIN_COUNT:
        rivals = count_rivals(totals, int(new[level]), len(own) / (len(own) + len(column.real)))
        detail = f"'{texts[level].as_py()}'"
        yield column.count(FaultKind.LEVEL, lambda v: v == level, detail, n_tests=rivals)
    spelt = _fold(texts)

    def learn(real: Values) -> tuple[Bools, Bools]:
        return _known(real, n), _known(spelt[real[real >= 0]], n)

    def hit(known: tuple[Bools, Bools], codes: Values) -> Bools:
        return _unknown(known[0], codes) & known[1][spelt[codes]]

    # Where all labels are known, another spelling is no chance; among many rare ones it may be.
    share = None if sum(unknown.n_unseen) else column.tail_share
    yield column.check(FaultKind.SPELLING, learn, hit, expected_share=share)


def _fold(texts: pa.Array) -> Values:
    """Return for each text the first one that differs in case, blanks, accents and marks at most."""
    first: dict[str, int] = {}
    found = [first.setdefault(_folded(text), i) for i, text in enumerate(texts.to_pylist())]
    return np.array(found, dtype=np.int64)


def _folded(text: str) -> str:
    plain = unicodedata.normalize("NFKD", text)
    kept = "".join(c for c in plain if c.isalnum() or c in _MARKS_OF_MEANING)
    # Digits are themselves in a text without letters.
    return kept.casefold().translate(_LOOK_ALIKES) if any(map(str.isalpha, kept)) else kept or text


def _forms(texts: pa.Array) -> Iterator[Values]:
    """Yield the form of each text as a code: kinds of characters, then runs of one kind as one."""
    form = texts
    for pattern, kind in ((r"\p{Lu}", "A"), (r"[\p{Ll}\p{Lo}]", "a"), (r"\p{Nd}", "9")):
        form = pc.replace_substring_regex(form, pattern, kind)
    yield form.dictionary_encode().indices.to_numpy(zero_copy_only=False)
    for kind in "Aa9":
        form = pc.replace_substring_regex(form, f"{kind}+", kind)
    yield form.dictionary_encode().indices.to_numpy(zero_copy_only=False)


def _form_check(column: Column, forms: Values) -> Iterator[Check]:
    """Yield the check of texts in a form that no real one has, where real ones have a few forms."""
    n, real = len(forms), column.real

    def learn(codes: Values) -> Bools:
        return _known(forms[codes[codes >= 0]], n)

    def hit(known: Bools, codes: Values) -> Bools:
        return _unknown(known, np.where(codes >= 0, forms[codes], -1))

    if 0 < learn(real).sum() <= min(_MAX_FORMS, _MAX_FORM_SHARE * len(real)):
        yield column.check(FaultKind.FORMAT, learn, hit)

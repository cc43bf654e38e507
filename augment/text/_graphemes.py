"""Where one written character ends: grapheme clusters of many texts at once."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

Codes = npt.NDArray[np.uint32]
Mask = npt.NDArray[np.bool_]

_BMP = 0x10000  # end of the plane that tables cover; rarer code points are looked up one by one
_PLAIN = 0x300  # below this code point nothing joins the one before it, but LF a CR

(_OTHER, _CONTROL, _CR, _LF, _EXTEND, _ZWJ, _FLAG, _PREPEND, _L, _V, _T, _LV, _LVT, _LINKER, _LETTER,
 _SPACE) = range(16)  # fmt: skip

# Cf characters that stand before what they mark; all other Cf characters are controls.
_PREPENDED = {*range(0x600, 0x606), 0x6DD, 0x70F, 0x890, 0x891, 0x8E2, 0x110BD, 0x110CD}
_PREPENDED |= {0xD4E, 0x111C2, 0x111C3, 0x1193F, 0x11941, 0x11A3A, 0x11D46, 0x11F02}
_PREPENDED |= set(range(0x11A84, 0x11A8A))
# Viramas after which the next consonant belongs to the same cluster (GB9c).
_LINKERS = {0x94D, 0x9CD, 0xACD, 0xB4D, 0xC4D, 0xD4D}
# No marks by category, yet they join: Thai and Lao AM, half-width voicing, ZWNJ, skin tones, tags.
_JOINING = {
    0xE33,
    0xEB3,
    0xFF9E,
    0xFF9F,
    0x200C,
    *range(0x1F3FB, 0x1F400),
    *range(0xE0020, 0xE0080),
}


def cluster_starts(codes: Codes) -> Mask:
    """Return before which code points a text may be cut, shape (n + 1,); first and last are true.

    A cluster here is never finer than an extended grapheme cluster of Unicode: combining marks, flags,
    Hangul syllables, emoji joined by ZWJ, skin tones and keycaps stay whole. It is coarser in one
    respect: whatever follows a ZWJ, other than a blank, belongs to it.

    References
    ----------
    Unicode Standard Annex 29, "Unicode text segmentation".
    """
    starts = np.ones(len(codes) + 1, dtype=bool)
    if len(codes) < 2:
        return starts
    if int(codes.max()) < _PLAIN:
        starts[1:-1] = (codes[:-1] != 13) | (codes[1:] != 10)
        return starts
    kinds = by_character(codes, _kind_of)
    starts[1:-1] = ~_JOINED[kinds[:-1], kinds[1:]]
    is_flag = kinds == _FLAG
    if is_flag.any():
        places = np.arange(len(codes))
        run = np.maximum.accumulate(np.where(is_flag, 0, places + 1))
        starts[:-1] &= ~(is_flag & ((places - run) % 2 == 1))
    return starts


def by_character(codes: Codes, number_of: Callable[[str], int]) -> npt.NDArray[Any]:
    """Return a number per code point, shape (n,): `number_of` is called once per character."""
    table = _table(number_of)
    if int(codes.max(initial=0)) < _BMP:
        return np.asarray(table[codes])
    far = np.flatnonzero(codes >= _BMP)
    seen, which = np.unique(codes[far], return_inverse=True)
    found = table[np.where(codes < _BMP, codes, 0)]
    found[far] = np.array([number_of(chr(code)) for code in seen], table.dtype)[which]
    return found


@cache
def _table(number_of: Callable[[str], int]) -> npt.NDArray[Any]:
    values = [number_of(chr(code)) for code in range(_BMP)]
    return np.array(values, np.uint8 if max(values) < 256 else np.uint32)


def _kind_of(character: str) -> int:
    code = ord(character)
    if code in (13, 10, 0x200D):
        return {13: _CR, 10: _LF, 0x200D: _ZWJ}[code]
    if 0x1F1E6 <= code <= 0x1F1FF:
        return _FLAG
    if code in _PREPENDED:
        return _PREPEND
    if code in _LINKERS:
        return _LINKER
    category = unicodedata.category(character)
    if category in ("Mn", "Me", "Mc") or code in _JOINING:
        return _EXTEND
    if category in ("Cc", "Cf", "Zl", "Zp"):
        return _CONTROL
    if category == "Zs":
        return _SPACE
    return _hangul(code) or (_LETTER if category == "Lo" else _OTHER)


def _hangul(code: int) -> int:
    """Return the part of a Hangul syllable that a code point is; 0 for all others."""
    if 0xAC00 <= code <= 0xD7A3:
        return _LV if (code - 0xAC00) % 28 == 0 else _LVT
    ranges = ((_L, 0x1100, 0x115F), (_L, 0xA960, 0xA97C), (_V, 0x1160, 0x11A7),
              (_V, 0xD7B0, 0xD7C6), (_T, 0x11A8, 0x11FF), (_T, 0xD7CB, 0xD7FB))  # fmt: skip
    return next((kind for kind, first, last in ranges if first <= code <= last), 0)


def _joined() -> Mask:
    """Return whether a kind (row) is joined by the kind that follows (column), shape (16, 16)."""
    table = np.zeros((16, 16), dtype=bool)
    table[:, [_EXTEND, _ZWJ, _LINKER]] = True
    table[_PREPEND] = True
    table[_ZWJ, [_OTHER, _LETTER]] = True
    table[_LINKER, _LETTER] = True
    table[_L, [_L, _V, _LV, _LVT]] = True
    table[[_V, _LV], _V] = table[[_V, _LV], _T] = True
    table[[_T, _LVT], _T] = True
    table[[_CONTROL, _CR, _LF]] = False
    table[:, [_CONTROL, _CR, _LF]] = False
    table[_CR, _LF] = True
    table[_FLAG, _FLAG] = False
    return table


_JOINED = _joined()

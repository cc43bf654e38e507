"""Which keys lie beside each other, and which characters a scanner takes for others."""

from __future__ import annotations

from functools import cache
from typing import Literal

import numpy as np
import numpy.typing as npt

Keyboard = Literal["qwerty", "azerty", "qwertz"]

_ROWS: dict[Keyboard, tuple[str, str, str]] = {
    "qwerty": ("qwertyuiop", "asdfghjkl", "zxcvbnm"),
    "azerty": ("azertyuiop", "qsdfghjklm", "wxcvbn"),
    "qwertz": ("qwertzuiopü", "asdfghjklöä", "yxcvbnm"),
}
KEYBOARDS: tuple[str, ...] = tuple(_ROWS)
_INDENTS = (0.0, 0.25, 0.75)
"""How far each row stands to the right of the first one, in keys."""
_REACH = 1.3
"""Greatest distance of keys that a finger takes for one another, in keys."""
_MOST_KEYS, _CODES = 8, 0x100

CONFUSED: dict[str, tuple[str, ...]] = {
    "0": ("O", "o"), "1": ("l", "I"), "2": ("Z",), "5": ("S",), "6": ("G", "b"), "8": ("B",),
    "9": ("g",), "B": ("8",), "D": ("O",), "E": ("F",), "G": ("6",), "I": ("l", "1"), "O": ("0",),
    "Q": ("O",), "S": ("5",), "Z": ("2",), "a": ("o",), "b": ("h", "6"), "c": ("e",), "d": ("cl",),
    "e": ("c",), "f": ("t",), "g": ("9", "q"), "h": ("b", "li"), "i": ("l", "j"), "l": ("1", "I"),
    "m": ("rn", "nn"), "n": ("ri", "u"), "o": ("0", "c"), "q": ("g",), "s": ("5",), "t": ("f",),
    "u": ("ii", "n"), "v": ("y",), "w": ("vv",), "y": ("v",), "z": ("2",),
    "rn": ("m",), "vv": ("w",), "cl": ("d",), "ri": ("n",), "nn": ("m",),
}  # fmt: skip
"""What a scanner reads in place of a character or a pair of them."""


@cache
def adjacent_keys(keyboard: Keyboard) -> tuple[npt.NDArray[np.uint32], npt.NDArray[np.int64]]:
    """Return the keys beside each key by code point, shape (256, 8), and how many there are, (256,).

    Capital letters have capital neighbours.

    Examples
    --------
    >>> beside, counts = adjacent_keys("qwerty")
    >>> "".join(chr(code) for code in beside[ord("s"), : counts[ord("s")]])
    'weadzx'
    """
    keys = {
        key: (x + indent, float(y))
        for y, (row, indent) in enumerate(zip(_ROWS[keyboard], _INDENTS))
        for x, key in enumerate(row)
    }
    beside = np.zeros((_CODES, _MOST_KEYS), np.uint32)
    counts = np.zeros(_CODES, np.int64)
    for key, (x, y) in keys.items():
        near = [
            other
            for other, (u, v) in keys.items()
            if other != key and ((u - x) ** 2 + (v - y) ** 2) ** 0.5 < _REACH
        ]
        for cased, others in ((key, near), (key.upper(), [n.upper() for n in near])):
            beside[ord(cased), : len(others)] = [ord(other) for other in others]
            counts[ord(cased)] = len(others)
    return beside, counts

"""Run lengths of masks as COCO writes them: plain lists, and the compressed text of its tools."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from twinset.core.errors import DataError

Mask = npt.NDArray[np.bool_]
Runs = npt.NDArray[np.int64]

_FIRST_LETTER = 48  # "0" stands for the six bits 000000
_SIX_BITS = 64  # COCO writes a number as characters of six bits, the last of them a sign


def run_lengths(mask: Mask) -> list[int]:
    """Return the lengths of the runs of a mask, down the columns, beginning with a run outside it.

    Examples
    --------
    >>> run_lengths(np.array([[0, 1, 0], [1, 1, 0]], bool))
    [1, 3, 2]
    """
    flat = np.asarray(mask, bool).ravel(order="F")
    if flat.size == 0:
        return [0]
    edges = np.flatnonzero(flat[1:] != flat[:-1]) + 1
    lengths = np.diff(np.concatenate([[0], edges, [flat.size]])).tolist()
    return [0, *lengths] if flat[0] else list(lengths)


def pixels_of_runs(lengths: Sequence[int] | Runs, shape: tuple[int, int]) -> tuple[Runs, Runs]:
    """Return the rows and columns of the pixels of a mask that `run_lengths` wrote.

    Examples
    --------
    >>> [axis.tolist() for axis in pixels_of_runs([1, 3, 2], (2, 3))]
    [[1, 0, 1], [0, 1, 1]]
    """
    runs = checked_runs(lengths, shape)
    inside = runs[1::2]
    start = np.cumsum(runs)[::2][: len(inside)]
    flat = np.repeat(start - (np.cumsum(inside) - inside), inside) + np.arange(inside.sum())
    return flat % shape[0], flat // shape[0]


def checked_runs(lengths: Sequence[int] | Runs, shape: tuple[int, int]) -> Runs:
    """Return run lengths as an array; raise DataError unless they fill their image."""
    runs = np.asarray(lengths, dtype=np.int64)
    height, width = shape
    if (
        runs.size == 0
        or runs.min() < 0
        or runs.max() > height * width  # a sum of such lengths may wrap round to the right one
        or runs.sum() != height * width
    ):
        raise DataError(
            "run lengths do not fill their image",
            got=f"{int(runs.sum())} pixels",
            allowed=f"{height} x {width} = {height * width}, no length below 0",
        )
    return runs


def compress(lengths: Sequence[int]) -> str:
    """Return run lengths as COCO's text: five bits a letter, from the fourth on as differences.

    Examples
    --------
    >>> compress([1, 3, 2]), compress([4, 2, 10, 2, 40])
    ('132', '42:0n0')
    """
    letters = []
    for i, length in enumerate(lengths):
        rest = int(length) - (int(lengths[i - 2]) if i > 2 else 0)
        more = True
        while more:
            bits = rest & 31
            rest >>= 5
            more = rest != (-1 if bits & 16 else 0)
            letters.append(chr(_FIRST_LETTER + (bits | 32 if more else bits)))
    return "".join(letters)


def decompress(text: str) -> list[int]:
    """Return the run lengths that `compress` wrote.

    Examples
    --------
    >>> decompress("42:0n0")
    [4, 2, 10, 2, 40]
    """
    lengths: list[int] = []
    value = shift = 0
    for letter in text:
        bits = ord(letter) - _FIRST_LETTER
        if not 0 <= bits < _SIX_BITS:
            raise _damaged("another letter")
        value |= (bits & 31) << shift
        shift += 5
        if bits & 32:
            continue
        if bits & 16:
            value -= 1 << shift
        lengths.append(value + (lengths[-2] if len(lengths) > 2 else 0))
        value = shift = 0
    if shift:
        raise _damaged("an end within a number")
    return lengths


def _damaged(got: str) -> DataError:
    return DataError(
        "the compressed run lengths of a mask cannot be read",
        got=got,
        allowed="the letters '0' to 'o', as COCO's tools write them",
    )

"""Identifiers and free texts as keys: without differences of spelling, and by runs of words."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from twinset.core.data.dataset import Dataset
from twinset.core.seeding import scramble

Keys = npt.NDArray[np.uint64]
Codes = npt.NDArray[np.int64]

N_WORDS = (
    8  # words in a row: sentences of two writers hardly share so many, as plagiarism checkers know
)
_BASE = np.uint64(0x9E3779B97F4A7C15)  # odd, so that powers keep all bits apart: positions of words
_MAX_DIGITS = 15  # of a number that floats hold exactly
_MAX_PREFIXES = 5  # beginnings of numbered identifiers, as of branches; more are part of the value


def identifier_keys(sets: Sequence[Dataset], name: str) -> list[Keys]:
    """Return one key a row, equal for identifiers that only case, signs or leading zeros tell apart.

    0 is a missing identifier.
    """
    spelt = [_plain(part, name) for part in sets]
    return _encode([pc.utf8_ltrim(column, characters="0") for column in spelt])


def running_numbers(sets: Sequence[Dataset], name: str) -> list[npt.NDArray[np.float64]] | None:
    """Return the numbers in identifiers that are numbered, missing as NaN; None if they are not.

    Examples
    --------
    >>> rows = Dataset.from_arrow(pa.table({"card": [f"AB-{i:05}" for i in range(30)]}))
    >>> running_numbers([rows], "card")[0][:3].tolist()
    [0.0, 1.0, 2.0]
    """
    spelt = [_plain(part, name) for part in sets]
    letters = pa.chunked_array(
        [
            chunk
            for column in spelt
            for chunk in pc.replace_substring_regex(column, r"\d+$", "").chunks
        ]
    )
    if len(pc.unique(letters.drop_null())) > _MAX_PREFIXES:
        return None
    found = []
    for column in spelt:
        digits = pc.replace_substring_regex(column, r"^.*?(\d+)$", r"\1")
        is_number = pc.and_(
            pc.match_substring_regex(digits, r"^\d+$"),
            pc.less_equal(pc.utf8_length(digits), _MAX_DIGITS),
        )
        numbers = pc.cast(pc.if_else(is_number, digits, pa.scalar(None, pa.string())), pa.float64())
        found.append(np.array(numbers.to_numpy(zero_copy_only=False), dtype=np.float64))
    return found


def word_runs(sets: Sequence[Dataset], name: str) -> list[tuple[Keys, Codes]]:
    """Return the keys of all runs of 8 words, and their rows; a shorter text is one run.

    Case, signs and blanks make no difference.

    Examples
    --------
    >>> rows = Dataset.from_arrow(pa.table({"note": ["one two", "One, two!", None]}))
    >>> (keys, at), = word_runs([rows], "note")
    >>> bool(keys[0] == keys[1]), at.tolist()
    (True, [0, 1])
    """
    words = []
    for part in sets:
        text = pc.replace_substring_regex(_lower(part, name), r"[^\pL\pN]+", " ")
        text = pc.utf8_trim_whitespace(text)
        text = pc.if_else(pc.equal(text, ""), pa.scalar(None, pa.string()), text)
        words.append(pa.concat_arrays(pc.utf8_split_whitespace(text).chunks))
    flat = _encode([pa.chunked_array([pc.list_flatten(lists)]) for lists in words])
    found = []
    for lists, keys in zip(words, flat, strict=True):
        rows = pc.list_parent_indices(lists).to_numpy().astype(np.int64)
        hashed, n = scramble(keys), len(keys)
        ends = np.searchsorted(rows, rows, side="right")
        begins = np.searchsorted(rows, rows, side="left")
        at = np.arange(n)
        run = np.zeros(n, dtype=np.uint64)
        powers = np.cumprod(np.full(N_WORDS, _BASE))
        for k in range(N_WORDS):
            inside = at + k < ends
            run[inside] += hashed[at[inside] + k] * powers[k]
        is_run = (at + N_WORDS <= ends) | (at == begins)
        found.append((run[is_run], rows[is_run]))
    return found


def _lower(part: Dataset, name: str) -> pa.ChunkedArray:
    column = pc.cast(part.records.column(name), pa.string())
    return pc.utf8_lower(pc.utf8_normalize(column, form="NFKC"))


def _plain(part: Dataset, name: str) -> pa.ChunkedArray:
    """Return texts in lower case, with letters and digits alone."""
    return pc.replace_substring_regex(_lower(part, name), r"[^\pL\pN]+", "")


def _encode(columns: Sequence[pa.ChunkedArray]) -> list[Keys]:
    """Return texts as codes from 1 that are equal where texts are; a missing one is 0."""
    every = pa.chunked_array([chunk for column in columns for chunk in column.chunks], pa.string())
    codes = every.dictionary_encode().combine_chunks()
    indices = codes.indices if isinstance(codes, pa.DictionaryArray) else codes.chunk(0).indices
    filled = pc.add(pc.fill_null(pc.cast(indices, pa.int64()), -1), 1).to_numpy()
    ends = np.cumsum([len(column) for column in columns])[:-1]
    return [part.astype(np.uint64) for part in np.split(filled, ends)]

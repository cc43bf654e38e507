"""Rows that are the same in canonical values: copies with other spelling, units, ids, times or texts.

Each test hashes some of the columns and counts the groups of equal rows that train and test set share.
Natural repeats are divided between the sets by chance; copies nearly always.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from twinset.core.data.dataset import Dataset
from twinset.measurement.leakage.canonical import Codes, as_keys, canonical_cells
from twinset.measurement.leakage.evidence import (
    LOG_ALPHA,
    Bools,
    Keys,
    Leak,
    first_rows,
    format_count,
    hash_cells,
    log_tail,
    split_probabilities,
    sum_cells,
)

_N_SUBSETS = (
    16  # random halves of the columns: copies with three changed columns meet in two of them
)
_MIN_SUBSET = 3  # columns that a random half holds, at least
_N_MIN_HASHES = 12  # texts that share two thirds of their word pairs agree in eight of them
_MIN_WORDS = 5  # shorter texts repeat by nature
_MAX_COLUMNS = 60  # left out one by one: more cost a pass each
_MIN_SHARED_IDS = 12  # fewer say nothing about what the ids identify
_KEY_SHARE = 0.99  # distinct values among the rows of a column that identifies rows
_AGREEMENTS = 200  # permutations of the pairs of equal ids


class _Subset(NamedTuple):
    """Columns that copies would share."""

    key: Keys
    description: str
    columns: tuple[str, ...]  # Columns that may differ
    kind: str = "changed_copies"


def find_matches(
    train: Dataset,
    test: Dataset,
    target: str | None,
    fraction: float,
    rng: np.random.Generator,
) -> list[Leak]:
    """Return the leak of test rows that equal train rows in canonical values; or none.

    `fraction`: share of the rows that the split put into the test set.
    """
    in_test = np.repeat([False, True], [len(train), len(test)])
    names = [
        f.name for f in train.schema.fields if f.role != "split" and f.name in test.schema.names
    ]
    cells, units = canonical_cells((train, test), names, rng)
    keys = [name for name in cells if train.schema[name].column_kind.is_key]
    found = [leak for name in keys for leak in _find_equal_ids(name, cells, in_test, rng)]
    if found:
        return found
    columns = [name for name in cells if name not in keys]
    hashed = {name: hash_cells(as_keys(cells[name]), i) for i, name in enumerate(columns)}
    subsets = list(_list_subsets(hashed, columns, target, train, units, rng))
    subsets += _list_text_subsets(train, test, rng)
    for subset in subsets:
        leak = _test_subset(subset, in_test, fraction, len(subsets))
        if leak is not None:
            return [leak]
    return []


def _list_subsets(
    hashed: dict[str, Keys],
    columns: Sequence[str],
    target: str | None,
    train: Dataset,
    units: dict[str, str],
    rng: np.random.Generator,
) -> Iterator[_Subset]:
    """Yield all columns, those without targets and times, each one left out, and random halves."""
    if not columns:
        return
    total = sum_cells({name: hashed[name] for name in columns})
    converted = f" and units ({_quote(list(units))})" if units else ""
    same = f"equal a train row once spelling{converted} and rounding are ignored"
    yield _Subset(total, same, tuple(units), "copies")
    roles = {f.name: f.role for f in train.schema.fields}
    features = [n for n in columns if n != target and roles[n] not in ("time", "group", "target")]
    if 2 <= len(features) < len(columns):
        other = [name for name in columns if name not in features]
        key = sum_cells({name: hashed[name] for name in features})
        yield _Subset(key, f"equal a train row but for {_quote(other)}", tuple(other))
    is_number = [train.schema[name].column_kind.has_float_values for name in columns]
    for flag in (True, False):
        own = [name for name, number in zip(columns, is_number, strict=True) if number == flag]
        if _MIN_SUBSET <= len(own) < len(columns):
            key = sum_cells({name: hashed[name] for name in own})
            kind = "numbers" if flag else "labels and texts"
            yield _Subset(key, f"equal a train row in all {kind}", tuple(set(columns) - set(own)))
    if len(columns) > 1:
        for name in columns[:_MAX_COLUMNS]:
            yield _Subset(total - hashed[name], f"equal a train row but for '{name}'", (name,))
    size = max(_MIN_SUBSET, len(columns) // 2)
    if len(columns) > size + 1:
        for _ in range(_N_SUBSETS):
            own = sorted(rng.choice(columns, size, replace=False))
            key = sum_cells({name: hashed[name] for name in own})
            text = f"equal a train row in {size} columns together ({_quote(own)})"
            yield _Subset(key, text, tuple(n for n in columns if n not in own))


def _quote(names: Sequence[str]) -> str:
    """Return names in quotes, five at most."""
    return ", ".join(f"'{name}'" for name in names[:5]) + ", ..." * (len(names) > 5)


def _test_subset(subset: _Subset, in_test: Bools, fraction: float, n_tried: int) -> Leak | None:
    """Return the leak if groups of equal keys are divided between the sets more often than by chance."""
    order = np.argsort(subset.key)
    ordered, held = subset.key[order], in_test[order]
    starts = np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1]]))
    sizes = np.diff(np.append(starts, len(ordered)))
    tests = np.add.reduceat(held.astype(np.int64), starts)
    tied = sizes > 1
    divided = tied & (tests > 0) & (tests < sizes)
    chances, counts = split_probabilities(sizes[tied], fraction)
    chance = log_tail(int(divided.sum()), chances, counts)
    if chance >= LOG_ALPHA - np.log(n_tried):
        return None
    shared = np.zeros(len(in_test), dtype=bool)
    shared[order] = np.repeat(divided, sizes)
    n = int((shared & in_test).sum())
    expected = float(chances @ counts) * n / max(1, int(divided.sum()))
    message = f"{format_count(n)} {subset.description}, where chance explains {expected:,.0f}"
    at = first_rows(shared[in_test])
    return Leak(subset.kind, message, n, chance, at=at, expected=expected, columns=subset.columns)


def _find_equal_ids(
    name: str, cells: dict[str, Codes], in_test: Bools, rng: np.random.Generator
) -> list[Leak]:
    """Return the leak of rows with the id of a train row, where such rows agree in other columns too.

    Ids that number the rows of each file are equal by accident: their rows agree no more than others.
    """
    codes = cells[name]
    own, theirs = (np.flatnonzero(rows & (codes >= 0)) for rows in (~in_test, in_test))
    distinct = [np.unique(codes[rows], return_index=True) for rows in (own, theirs)]
    if any(
        len(d[0]) < _KEY_SHARE * max(1, len(r))
        for d, r in zip(distinct, (own, theirs), strict=True)
    ):
        return []
    _, one, other = np.intersect1d(distinct[0][0], distinct[1][0], return_indices=True)
    if len(one) < _MIN_SHARED_IDS:
        return []
    left, right = own[distinct[0][1][one]], theirs[distinct[1][1][other]]
    columns = [c for n, c in cells.items() if n != name]
    if not columns:
        return []
    agreeing = sum(int((c[left] == c[right]).sum()) for c in columns)
    shuffled = [rng.permutation(len(right)) for _ in range(_AGREEMENTS)]
    chance = [sum(int((c[left] == c[right[p]]).sum()) for c in columns) for p in shuffled[:20]]
    spread = max(float(np.std(chance)), 1.0)
    z = (agreeing - float(np.mean(chance))) / spread
    log_chance = -0.5 * z * z
    if z <= 0 or log_chance >= LOG_ALPHA:
        return []
    rows = np.zeros(len(in_test), dtype=bool)
    rows[right] = True
    n = len(right)
    message = (
        f"{format_count(n)} have the '{name}' of a train row once spelling is ignored, and agree with it "
        "in other columns, where ids that differ explain 0"
    )
    return [Leak("copies", message, n, log_chance, at=first_rows(rows[in_test]), columns=(name,))]


def _list_text_subsets(
    train: Dataset, test: Dataset, rng: np.random.Generator
) -> Iterator[_Subset]:
    """Yield the smallest hashes of word pairs of each column of free text."""
    for field in train.schema.fields:
        if not (field.column_kind.is_free_text and field.name in test.schema.names):
            continue
        texts = [pc.cast(part.records.column(field.name), pa.string()) for part in (train, test)]
        joined = pa.chunked_array([chunk for column in texts for chunk in column.chunks])
        for key in min_hashes(joined, rng):
            text = f"share words in order with a train row ('{field.name}')"
            yield _Subset(key, text, (field.name,), "near_copies")


def min_hashes(texts: pa.ChunkedArray, rng: np.random.Generator) -> list[Keys]:
    """Return twelve keys a text; two texts agree in each as often as they share their word pairs.

    Texts of fewer than five words get keys of their own.

    >>> texts = pa.chunked_array([["the card was not accepted here", "The card was not accepted HERE!"]])
    >>> keys = min_hashes(texts, np.random.default_rng(0))
    >>> all(key[0] == key[1] for key in keys)
    True
    """
    plain = pc.utf8_lower(pc.fill_null(texts, "")).combine_chunks()
    plain = pc.utf8_trim(pc.replace_substring_regex(plain, r"[^\pL\pN]+", " "), " ")
    lists = pc.split_pattern(plain, " ")
    words = pc.dictionary_encode(pc.list_flatten(lists)).indices.to_numpy(zero_copy_only=False)
    sizes = pc.list_value_length(lists).to_numpy(zero_copy_only=False).astype(np.int64)
    starts = np.concatenate([[0], np.cumsum(sizes)[:-1]])
    codes = hash_cells(words.astype(np.uint64), 1)
    following = np.append(codes[1:], np.uint64(0))
    pairs = codes + following * np.uint64(3)
    last = (starts + sizes - 1)[sizes > 0]
    long = sizes >= _MIN_WORDS
    alone = hash_cells(np.arange(len(sizes), dtype=np.uint64), 2)
    found = []
    for salt in rng.integers(3, 2**31, _N_MIN_HASHES):
        mixed = hash_cells(pairs, int(salt))
        mixed[last] = np.iinfo(np.uint64).max
        lowest = np.minimum.reduceat(mixed, np.minimum(starts, len(mixed) - 1))
        found.append(np.where(long, lowest, alone))
    return found

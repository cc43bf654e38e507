"""Columns that are the target in disguise: by a level, bound, missing cell, word or part of a code."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from twinset.core.data.dataset import Dataset
from twinset.measurement.leakage.encodings import SplitColumns
from twinset.measurement.leakage.evidence import (
    LOG_ALPHA,
    Bools,
    Floats,
    Leak,
    first_rows,
    log_tail,
)

Codes = npt.NDArray[np.int64]

# A column is the target in disguise where it finds nearly all rows of a class and hardly others, or
# most of them and no other. The best single columns of fifteen real tables find less of either.
_NEARLY_ALL = (0.95, 0.95)  # recall and precision
_HARDLY_WRONG = (0.6, 0.995)  # recall and precision, where most rows are found and no other
_MIN_CELLS = 3  # other columns: with fewer the texts are what the target is about
_MIN_ROWS = 25  # test rows of the class that are found: fewer could be an accident of a small class
_MIN_LEVEL_ROWS = 5.0  # rows a level, on average: levels of single rows tell their own target
_MANY_LEVEL_ROWS = (
    50.0  # rows a level: from there on, train rows are predicted no better than others
)
_MAX_WORDS = 400  # of a text, the most frequent ones: each costs a pass over the rows
_MIN_CORRELATION = 0.9995  # of ranks or values with a number to predict
_MIN_REGRESSION_ROWS = 50  # test rows before a number can be called determined


def find_disguised_labels(
    train: Dataset, test: Dataset, columns: SplitColumns, target: str | None
) -> list[Leak]:
    """Return the leak of columns that determine the target; or none."""
    if target is None or not columns.targets:
        return []
    found: dict[str, tuple[str, int, float, Bools]] = {}
    classes = columns.targets.items()
    for _, y in classes:
        is_class = len(np.unique(y[np.isfinite(y)])) == 2
        for name, method, values in _list_readings(train, test, columns, target):
            if name in found:
                continue
            result = (
                _test_class(values, y, columns.in_test)
                if is_class
                else _test_number(values, y, columns.in_test)
            )
            if result is not None:
                found[name] = (method, *result)
    if not found:
        return []
    name, (method, n, chance, rows) = next(iter(found.items()))
    others = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
    message = f"{method} '{name}' tells the target '{target}' in {n:,} test rows{others}"
    at = first_rows(rows[columns.in_test])
    return [Leak("label", message, n, chance, at=at, columns=tuple(found))]


def _list_readings(
    train: Dataset, test: Dataset, columns: SplitColumns, target: str
) -> Iterator[tuple[str, str, Floats | Codes]]:
    """Yield (column, what of it, values): numbers, levels, missing cells; words, ends, lengths of texts."""
    n = len(columns.in_test)
    for name, values in columns.numbers.items():
        yield name, "the column", values
        if not np.isfinite(values).all():
            yield name, "whether a value is missing in", np.isnan(values).astype(np.int64)
        finite = np.where(np.isfinite(values), np.abs(values), 0.0)
        if finite.max() < 2**52 and np.array_equal(finite, np.rint(finite)):
            yield name, "the last digit of", np.mod(finite, 10).astype(np.int64)
    for field in train.schema.fields:
        name = field.name
        if name == target or name not in test.schema.names or field.column_kind.is_nested:
            continue
        if name in columns.numbers:
            continue
        parts = [pc.cast(part.records.column(name), pa.string()) for part in (train, test)]
        joined = pa.chunked_array([c for part in parts for c in part.chunks]).combine_chunks()
        missing = joined.is_null().to_numpy(zero_copy_only=False)
        if missing.any():
            yield name, "whether a value is missing in", missing.astype(np.int64)
        if (
            field.column_kind.is_free_text
            and len(columns.numbers) + len(columns.levels) < _MIN_CELLS
        ):
            continue
        if field.column_kind.is_time:
            yield name, "the column", np.concatenate([part.values(name) for part in (train, test)])
            continue
        readings = {
            "the column": joined,
            "the first sign of": pc.utf8_slice_codeunits(joined, 0, 1),
            "the first two signs of": pc.utf8_slice_codeunits(joined, 0, 2),
            "the last sign of": pc.utf8_slice_codeunits(joined, -1, None),
            "the last two signs of": pc.utf8_slice_codeunits(joined, -2, None),
            "the length of": pc.cast(pc.utf8_length(joined), pa.string()),
        }
        if field.column_kind.is_free_text:
            for present in _list_words(joined):
                yield name, "a word in", present
        for method, texts in readings.items():
            codes = pc.fill_null(pc.dictionary_encode(texts).indices, -1)
            yield name, method, codes.to_numpy(zero_copy_only=False).astype(np.int64) + 1
        digits = pc.replace_substring_regex(joined, r"\D", "")
        short = pc.if_else(pc.less(pc.utf8_length(digits), 16), digits, None)
        number = pc.cast(pc.if_else(pc.equal(short, ""), None, short), pa.float64())
        if number.null_count < 0.5 * n:
            yield (
                name,
                "the number in",
                np.asarray(number.to_numpy(zero_copy_only=False), dtype=float),
            )


def _list_words(texts: pa.Array) -> Iterator[Codes]:
    """Yield for each word that many texts hold and many lack: 1 for a text that holds it, else 0."""
    plain = pc.utf8_lower(pc.fill_null(texts, ""))
    lists = pc.split_pattern(pc.replace_substring_regex(plain, r"[^\pL\pN]+", " "), " ")
    words = pc.dictionary_encode(pc.list_flatten(lists))
    codes = words.indices.to_numpy(zero_copy_only=False).astype(np.int64)
    owners = pc.list_parent_indices(lists).to_numpy(zero_copy_only=False).astype(np.int64)
    n_words = max(1, len(words.dictionary))
    places = np.unique(owners * n_words + codes)
    owners, codes = places // n_words, places % n_words
    sizes = np.bincount(codes, minlength=n_words)
    able = np.flatnonzero((sizes >= 2 * _MIN_ROWS) & (len(texts) - sizes >= 2 * _MIN_ROWS))
    for code in able[np.argsort(-sizes[able], kind="stable")][:_MAX_WORDS]:
        present = np.zeros(len(texts), dtype=np.int64)
        present[owners[codes == code]] = 1
        yield present


def _test_class(
    values: Floats | Codes, y: Floats, in_test: Bools
) -> tuple[int, float, Bools] | None:
    """Return (rows found, log chance, rows) if a class is determined by levels or by one bound."""
    train = ~in_test & np.isfinite(y)
    test = in_test & np.isfinite(y)
    # Both sets, where the rule is too simple to be better on the rows that it is made of.
    measured = test | train
    if values.dtype == np.int64:
        n_levels = int(values.max()) + 1
        if n_levels < 2 or len(y) < _MIN_LEVEL_ROWS * len(np.unique(values)):
            return None
        if len(y) < _MANY_LEVEL_ROWS * n_levels:
            measured = test
        size = np.bincount(values[train], minlength=n_levels)
        inside = np.bincount(values[train], weights=y[train], minlength=n_levels)
        predictions = [(inside > 0.5 * size)[values]]
    else:
        predictions = list(_best_bounds(values.astype(np.float64), y, train))
    for predicted in predictions:
        for positive, label in ((predicted, y == 1), (~predicted, y == 0)):
            hits = int((positive & label & test).sum())
            n_label, n_positive = int((label & test).sum()), int((positive & test).sum())
            base = n_label / max(1, int(test.sum()))
            if hits < _MIN_ROWS or base > 0.5:
                continue
            found = int((positive & label & measured).sum())
            recall, precision = (found / int((part & measured).sum()) for part in (label, positive))
            determined = any(
                recall >= limits[0] and precision >= limits[1]
                for limits in (_NEARLY_ALL, _HARDLY_WRONG)
            )
            chance = log_tail(hits, base, n_positive)
            if determined and chance < LOG_ALPHA:
                return hits, chance, positive & label & test
    return None


def _best_bounds(values: Floats, y: Floats, train: Bools) -> Iterator[Bools]:
    """Yield the rows above and below the bounds that separate the classes best in the train rows."""
    rows = np.flatnonzero(train & np.isfinite(values))
    if len(rows) < _MIN_ROWS:
        return
    order = rows[np.argsort(values[rows], kind="stable")]
    x, label = values[order], y[order]
    ends = np.flatnonzero(np.append(x[1:] != x[:-1], False))
    if not len(ends):
        return
    inside = np.cumsum(label)[ends]
    n_below, total = ends + 1, label.sum()
    for hits, n in ((inside, n_below), (total - inside, len(x) - n_below)):
        # F1 of the rows on one side of each bound.
        best = int(np.argmax(2 * hits / (total + n)))
        bound = (x[ends[best]] + x[ends[best] + 1]) / 2
        below = hits is inside
        with np.errstate(invalid="ignore"):
            yield np.asarray(values <= bound if below else values > bound)


def _test_number(
    values: Floats | Codes, y: Floats, in_test: Bools
) -> tuple[int, float, Bools] | None:
    """Return (rows, log chance, rows) if a number determines the target, in ranks or on a line."""
    if values.dtype == np.int64:
        return None
    rows = np.flatnonzero(in_test & np.isfinite(values) & np.isfinite(y))
    if len(rows) < _MIN_REGRESSION_ROWS or len(rows) < 0.5 * in_test.sum():
        return None
    x, label = values[rows], y[rows]
    if np.std(x) == 0 or np.std(label) == 0:
        return None
    ranks = [np.unique(part, return_inverse=True)[1].astype(np.float64) for part in (x, label)]
    found = max(abs(float(np.corrcoef(*pair)[0, 1])) for pair in ((x, label), ranks))
    if found < _MIN_CORRELATION:
        return None
    at = np.zeros(len(in_test), dtype=bool)
    at[rows] = True
    return len(rows), 0.5 * len(rows) * float(np.log(max(1e-12, 1 - found**2))), at

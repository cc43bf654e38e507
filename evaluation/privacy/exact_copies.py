"""Exact copies of train rows, images and texts, beyond what chance explains."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from twinset.core.contracts import Comparison, Measurement, Metric, MetricFamily, NotMeasurable
from twinset.core.data.dataset import Dataset
from twinset.core.data.schema import TABULAR_KINDS, TILE_COLUMNS
from twinset.core.findings import CopyCounts
from twinset.core.parameters import Interval, Margin
from twinset.core.seeding import spread
from twinset.core.stats.hypothesis_tests import METRIC_LEVEL, excess_p

Keys = npt.NDArray[np.uint64]

_MISSING = 0x9E3779B97F4A7C15  # key of a missing cell: no value hashes to it but by chance
# Different values of a row that no other real row has, from which on a copy of it is no chance. Of fresh
# rows of eleven real tables, those that equal a train row have fewer, but for rows that were entered twice;
# equal zeros and equal sums in many columns are one value.
_MIN_OWN_VALUES = 3
_MIN_COLUMNS = 2  # beside images or texts: one label is shared by many and identifies nobody


@dataclass(frozen=True, kw_only=True)
class ExactCopies(Metric):
    """Share of synthetic rows, images or texts that are exact copies of train ones, beyond chance.

    Rows are compared as delivered, over all columns but identifiers, images, texts and places of tiles;
    every image (its bytes) and every text, also one in a table, is compared by itself, so that a new
    identifier or text hides no copied row. Identifiers are compared by `privacy.one_person_values`, rows
    with few changed values, or in another unit or coding, by `privacy.partial_copies`.
    Holdout rows, too, agree with a train row now and then, in tables of few categories often. So the
    holdout is tested likewise, and only the share beyond the holdout's counts:

    - it agrees with some: the excess counts where Fisher's exact test (one-sided) says that chance does
      not explain it;
    - it agrees with none, and a column holds numbers that are not rounded, or a copied row has three
      different values that no other real row has, which no real row shares with an equal one: every copy
      counts, as every one of images and texts does;
    - it agrees with none, and copied rows are not that rich: the excess counts where copies are more
      than equal rows among the real ones let expect (a binomial test).

    All this is done for copies of any training row and, sharper, for copies of training rows that
    occur only once. `significance` is the level of all these tests together. The value is the largest
    excess, 0 to 1. All rows are looked at, so it has no sampling error, and the gate ``max: 0`` means:
    nothing copied beyond chance.

    Parameters
    ----------
    margin : float
        Largest share that still counts as equivalent.
    significance : float
        Level of all tests together, in (0, 0.5].
    """

    family: ClassVar[MetricFamily] = "privacy"
    title: ClassVar[str] = "exact copies of training rows"
    interpretation: ClassVar[str] = (
        "The share of synthetic rows that repeat a training row value for value, beyond what unseen real "
        "rows repeat by chance. Copies disclose real records."
    )
    higher_is_better: ClassVar[bool] = False
    bounds: ClassVar[tuple[float, float]] = (0.0, 1.0)
    kinds: ClassVar[frozenset[str]] = TABULAR_KINDS | {"image", "text"}
    has_floor: ClassVar[bool] = False
    known_baseline: ClassVar[float | None] = 0.0
    whole_holdout: ClassVar[bool] = True
    reads_identifiers: ClassVar[bool] = True

    margin: Margin = 0.0
    significance: Annotated[float, Interval(gt=0, le=0.5)] = METRIC_LEVEL

    def compute(self, comparison: Comparison, rng: np.random.Generator) -> Measurement:
        """Return the share of copies beyond chance, 0 to 1; facts count them part by part."""
        sets = (comparison.train, comparison.synthetic, comparison.reference)
        if not all(len(part) for part in sets):
            raise NotMeasurable("there are no rows to compare")
        parts: dict[str, dict[str, float]] = {}
        schema = comparison.reference.schema
        # The place of a tile is inherited by what is generated from it; its image is compared below.
        rows = [
            f
            for f in schema.of_kind(*TABULAR_KINDS)
            if f.name not in TILE_COLUMNS and f.role != "identifier"
        ]
        contents = schema.of_kind("image", "text")
        # A label or two beside images or texts are shared by many and identify nobody.
        has_rows = bool(rows) and not (len(rows) < _MIN_COLUMNS and contents)
        level = self.significance / max(len(contents) + has_rows, 1)
        if has_rows:
            names = [field.name for field in rows]
            keys = [row_keys(part, names) for part in sets]
            copied = np.intersect1d(keys[0], keys[1])
            is_rich = len(copied) > 0 and (
                any(never_agrees(sets[0], name) for name in names)
                or are_rich(
                    np.concatenate([keys[0], keys[2]]),
                    [
                        np.concatenate([column_keys(sets[i], name) for i in (0, 2)])
                        for name in names
                    ],
                    copied,
                )
            )
            parts["rows"] = count_copies(*keys, significance=level, is_rich=is_rich)
        for field in contents:
            found = [content_keys(part, field.name) for part in sets]
            if all(map(len, found)):
                parts[f"{field.kind} '{field.name}'"] = count_copies(*found, significance=level)
        if not parts:
            raise NotMeasurable("there is no column whose values could be copied")
        worst = max(parts, key=lambda name: float(parts[name]["excess"]))
        shown = ("copies", "synthetic_rows", "holdout_copies", "holdout_rows")
        counts = (int(parts[worst][name]) for name in shown)
        copies = CopyCounts(None if worst == "rows" else worst, *counts)
        return Measurement(parts[worst]["excess"], findings=(copies,), facts={"parts": parts})


def count_copies(
    train: Keys,
    synthetic: Keys,
    holdout: Keys,
    *,
    significance: float = METRIC_LEVEL,
    is_rich: bool = True,
) -> dict[str, float]:
    """Return the numbers of synthetic and holdout keys among the train keys, and the excess share.

    Where copied rows are not rich, the excess must be significant even where the holdout has no copy.

    Examples
    --------
    >>> keys = lambda *values: np.array(values, dtype=np.uint64)
    >>> count_copies(keys(1, 2, 3), keys(3, 9, 8, 7), keys(4, 5))["excess"]
    0.25
    """
    known, times = np.unique(train, return_counts=True)
    out: dict[str, float] = {"synthetic_rows": len(synthetic), "holdout_rows": len(holdout)}
    excess = 0.0
    tests = {"": known, "unique_": known[times == 1]}
    level = significance / len(tests)
    for name, among in tests.items():
        copied = int(np.isin(synthetic, among).sum())
        others = int(np.isin(holdout, among).sum())
        out[f"{name}copies"], out[f"holdout_{name}copies"] = copied, others
        beyond = copied / len(synthetic) - others / len(holdout)
        if others:
            is_chance = excess_p(copied, len(synthetic), others, len(holdout)) >= level
        else:
            pairs = len(synthetic) * len(train)
            real = np.concatenate([train, holdout])
            is_chance = not is_rich and _p_of_coincidence(copied, pairs, real) >= level
        excess = max(excess, 0.0 if is_chance else beyond)
    return {**out, "excess": excess}


def are_rich(real: Keys, columns: Sequence[Keys], copied: Keys) -> bool:
    """Return whether a copied row has so many values of its own that chance does not explain it.

    `real` and `copied` are keys of rows, `columns` the keys of each column of the real rows. False where
    as rich real rows are equal, too: in tables with rows that were entered twice.

    Examples
    --------
    >>> keys = lambda *values: np.array(values, dtype=np.uint64)
    >>> columns = [keys(10 * j + 1, 10 * j + 2, 10 * j + 2) for j in range(3)]
    >>> are_rich(keys(5, 6, 7), columns, keys(5)), are_rich(keys(5, 6, 7), columns, keys(6))
    (True, False)
    """
    is_copied = np.isin(real, copied)
    _, group, times = np.unique(real, return_inverse=True, return_counts=True)
    looked_at = is_copied | (times[group] > 1)
    own = []
    for values in columns:
        _, where, holders = np.unique(values, return_inverse=True, return_counts=True)
        # All rows of one key have its values, so that equal counts mean: no other row has this one.
        is_own = (holders[where] == times[group]) & (values != np.uint64(_MISSING))
        own.append(np.where(is_own, values, 0)[looked_at])
    ordered = np.sort(np.array(own), axis=0)
    repeats = (ordered[1:] == ordered[:-1]) & (ordered[1:] > 0)
    rich = (ordered > 0).sum(axis=0) - repeats.sum(axis=0) >= _MIN_OWN_VALUES
    is_rich_copy, is_rich_pair = rich & is_copied[looked_at], rich & (times[group] > 1)[looked_at]
    return bool(is_rich_copy.any() and not is_rich_pair.any())


def never_agrees(rows: Dataset, name: str) -> bool:
    """Return whether a column holds numbers that are not rounded, all of them different."""
    field = rows.schema[name]
    is_unrounded = field.is_continuous and field.decimals is None
    return is_unrounded and len(np.unique(column_keys(rows, name))) == len(rows)


def row_keys(dataset: Dataset, names: Sequence[str]) -> Keys:
    """Return one 64-bit key a row over the named columns; numbers are rounded as they are delivered."""
    keys = np.full(len(dataset), 7, dtype=np.uint64)
    for name in names:
        keys = spread(keys * np.uint64(31) ^ column_keys(dataset, name))
    return keys


def content_keys(dataset: Dataset, name: str) -> Keys:
    """Return one 64-bit key for each image (of its pixels) or text that is not missing."""
    column = dataset.records.column(name)
    present = dataset.schema[name].column_kind.content(column).drop_null()
    return np.array([_digest(value.as_py()) for value in present], dtype=np.uint64)


def _p_of_coincidence(copied: int, pairs: int, real: Keys) -> float:
    """Return the probability of so many copies if synthetic rows agree with train as real rows do.

    Equal real rows and copies are then distributed by the numbers of pairs that could agree.
    """
    from scipy.stats import binom

    coincidences = len(real) - len(np.unique(real))
    share = pairs / (pairs + len(real) * (len(real) - 1) / 2)
    return float(binom.sf(copied - 1, copied + coincidences, share))


def column_keys(dataset: Dataset, name: str) -> Keys:
    """Return one 64-bit key a row of one column; numbers are rounded as they are delivered."""
    field = dataset.schema[name]
    missing = dataset.is_null(name)
    if field.has_levels:
        codes, levels = dataset.codes(name)
        return np.array([*[_digest(level) for level in levels], _MISSING], dtype=np.uint64)[codes]
    if field.is_time:
        column = pc.fill_null(dataset.records.column(name).cast(pa.int64()), 0)
        bits = column.to_numpy(zero_copy_only=False).view(np.uint64)
    else:
        values = np.nan_to_num(dataset.values(name))
        if field.decimals is not None:
            values = np.round(values, field.decimals)
        # Adding 0 turns -0.0 into 0.0, which is the same number with other bits.
        bits = (values + 0.0).view(np.uint64)
    return np.where(missing, np.uint64(_MISSING), spread(bits))


def _digest(value: str | bytes) -> int:
    data = value.encode() if isinstance(value, str) else value
    return int.from_bytes(hashlib.blake2b(data, digest_size=8).digest(), "little")

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
from twinset.core.stats.hypothesis_tests import excess_p

Keys = npt.NDArray[np.uint64]

_MISSING = 0x9E3779B97F4A7C15  # key of a missing cell: no value hashes to it but by chance
_DEPENDENCE = (
    1e4  # times that dependence may make agreement likelier; in census data it is a thousand
)
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

    - it agrees with some: the excess counts where Fisher's exact test (one-sided, at
      `significance`) says that chance does not explain it;
    - it agrees with none, and columns are so rich that rows hardly can agree by chance, even if
      dependence made that ten thousand times likelier: every copy counts;
    - it agrees with none, but columns are not that rich: the excess counts where copies are more
      than pairs of equal rows among the real ones let expect (a binomial test).

    All this is done for copies of any training row and, sharper, for copies of training rows that
    occur only once. The value is the largest excess, 0 to 1. All rows are looked at, so
    it has no sampling error, and the gate ``max: 0`` means: nothing copied beyond chance.

    Parameters
    ----------
    margin : float
        Largest share that still counts as equivalent.
    significance : float
        Level of the test, in (0, 0.5].
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
    significance: Annotated[float, Interval(gt=0, le=0.5)] = 0.01

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
        # A label or two beside images or texts are shared by many and identify nobody.
        if rows and not (len(rows) < _MIN_COLUMNS and schema.of_kind("image", "text")):
            names = [field.name for field in rows]
            keys = [row_keys(part, names) for part in sets]
            expected = expected_by_chance(*sets[:2], names)
            parts["rows"] = count_copies(
                *keys, significance=self.significance, by_chance=expected * _DEPENDENCE
            )
        for field in comparison.reference.schema.of_kind("image", "text"):
            contents = [content_keys(part, field.name) for part in sets]
            if all(len(keys) for keys in contents):
                counted = count_copies(*contents, significance=self.significance)
                parts[f"{field.kind} '{field.name}'"] = counted
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
    significance: float = 0.01,
    by_chance: float = 0.0,
) -> dict[str, float]:
    """Return the numbers of synthetic and holdout keys among the train keys, and the excess share.

    Where at least `significance` copies are expected `by_chance`, the excess must be significant even where
    the holdout has no copy.

    Examples
    --------
    >>> keys = lambda *values: np.array(values, dtype=np.uint64)
    >>> count_copies(keys(1, 2, 3), keys(3, 9, 8, 7), keys(4, 5))["excess"]
    0.25
    """
    known, times = np.unique(train, return_counts=True)
    out: dict[str, float] = {"synthetic_rows": len(synthetic), "holdout_rows": len(holdout)}
    excess = 0.0
    real = np.concatenate([train, holdout])
    for name, among in (("", known), ("unique_", known[times == 1])):
        copied = int(np.isin(synthetic, among).sum())
        others = int(np.isin(holdout, among).sum())
        out[f"{name}copies"], out[f"holdout_{name}copies"] = copied, others
        beyond = _beyond_chance(copied, len(synthetic), others, len(holdout), significance)
        if beyond and not others and by_chance >= significance:
            pairs = len(synthetic) * len(train)
            beyond *= _beyond_coincidence(copied, pairs, real) < significance
        excess = max(excess, beyond)
    return {**out, "excess": excess}


def expected_by_chance(train: Dataset, synthetic: Dataset, names: Sequence[str]) -> float:
    """Return the expected number of equal pairs of a synthetic and a train row with independent columns."""
    chance = 1.0
    for name in names:
        _, counts = np.unique(column_keys(train, name), return_counts=True)
        equal = (counts * (counts - 1) // 2).sum() + 1
        if equal == 1 and train.schema[name].is_continuous and train.schema[name].decimals is None:
            return 0.0  # numbers that are not rounded never agree by chance
        # One pair more: an equal pair that was not seen may exist.
        chance *= float(equal) / (len(train) * (len(train) - 1) // 2 + 1)
    return chance * len(train) * len(synthetic)


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


def _beyond_chance(copied: int, n: int, by_chance: int, n_holdout: int, level: float) -> float:
    excess = copied / n - by_chance / n_holdout
    if excess <= 0:
        return 0.0
    if by_chance and excess_p(copied, n, by_chance, n_holdout) >= level:
        return 0.0
    return float(excess)


def _beyond_coincidence(copied: int, pairs: int, real: Keys) -> float:
    """Return the probability of so many copies if synthetic rows agree with train as real rows do.

    Equal real pairs and copies are then distributed by the numbers of pairs that could agree.
    """
    from scipy.stats import binom

    _, times = np.unique(real, return_counts=True)
    coincidences = int((times * (times - 1) // 2).sum())
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

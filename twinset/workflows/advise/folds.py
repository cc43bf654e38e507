"""Splits of the rows: the test set, and the folds inside the train set. Positions throughout."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from twinset.core.data.dataset import Dataset
from twinset.core.errors import DataError
from twinset.core.stats.hypothesis_tests import areas
from twinset.workflows.advise.labelled_table import Floats, LabelledTable, Mask, Rows

# The documented default of `delay`: a share of the time before the test set, at most a week.
GAP_SHARE, GAP_DAYS = 0.05, 7.0
_MAX_LOST = (
    0.5  # of the train positives, for the sake of separate groups; beyond, groups are divided
)
_FIRST_TEST = (
    0.4  # of the positives come before the first fold by time, so that each can be trained on
)
_MAX_GAP_SHARE = (
    0.25  # of the time before a fold: a longer gap would leave the first fold without rows
)


@dataclass(frozen=True)
class TrainTestSplit:
    """Train and test rows, each ascending."""

    train: Rows
    test: Rows
    method: str = ""  # in plain words
    gap: float = 0.0  # time excluded before the test set, in the unit of the time; 0 without time


def split_test_set(
    labelled: LabelledTable, test_fraction: float, delay: float | None, rng: np.random.Generator
) -> TrainTestSplit:
    """Return the split whose test set no choice is based on.

    With a time the latest rows are the test set, and the rows within `delay` before them are excluded,
    because their labels are not known yet when the model is trained. With a group, no group
    occurs in both train and test. Otherwise rows are drawn at random, each class at its share.

    Raises
    ------
    DataError
        A set has rows of one class only.
    """
    test, method = np.zeros(len(labelled), dtype=bool), "at random, each class at its share"
    gap = 0.0
    if labelled.time is not None:
        start = np.sort(labelled.time)[int(np.ceil(len(labelled) * (1 - test_fraction))) - 1]
        test = labelled.time > start
        span = float(start - labelled.time.min())
        default = min(GAP_SHARE * span, GAP_DAYS if labelled.in_days else np.inf)
        gap = default if delay is None else delay
        train = labelled.time <= start - gap
        method = "the latest rows are tested on"
        if labelled.group is not None:
            train, test = _separate_groups(labelled.group, labelled.truth, train, test, rng)
            method += ", no group in both train and test"
    elif labelled.group is not None:
        test = _draw_groups(labelled, test_fraction, rng)
        train, method = ~test, "whole groups are tested on"
    else:
        for label in (False, True):
            rows = np.flatnonzero(labelled.truth == label)
            test[rng.permutation(rows)[: max(1, round(test_fraction * len(rows)))]] = True
        train = ~test
    for name, part in (("train set", train), ("test set", test)):
        if not _has_both(labelled.truth[part]):
            raise DataError(
                f"the {name} lacks one of the two classes",
                got=f"{int(part.sum()):,} rows, {int(labelled.truth[part].sum()):,} positive",
                todo="give more rows, another test fraction, or no time or group",
            )
    return TrainTestSplit(np.flatnonzero(train), np.flatnonzero(test), method, gap)


def inner_folds(
    labelled: LabelledTable, rows: Rows, n_folds: int, gap: float, rng: np.random.Generator
) -> Iterator[TrainTestSplit]:
    """Yield folds inside `rows`; every fold trains and tests on real rows only.

    With a time the positives are divided into stretches of equal size, and each of the last `n_folds` is
    tested on after training on all that came before, less the gap. With a group, no group occurs in both
    train and test. A fold whose train or test rows lack a class is skipped.
    """
    truth = labelled.truth[rows]
    if labelled.time is not None:
        parts = _folds_by_time(labelled.time[rows], truth, n_folds, gap)
        if labelled.group is not None:
            group = labelled.group[rows]
            parts = (_separate_groups(group, truth, train, test, rng) for train, test in parts)
    else:
        units = labelled.group[rows] if labelled.group is not None else np.arange(len(rows))
        fold = _assign_folds(units, truth, n_folds, rng)
        parts = ((fold != k, fold == k) for k in range(n_folds))
    for train, test in parts:
        if _has_both(truth[train]) and _has_both(truth[test]):
            yield TrainTestSplit(rows[train], rows[test])


def _has_both(truth: Mask) -> bool:
    return bool(truth.any() and not truth.all())


def _folds_by_time(
    time: Floats, truth: Mask, n_folds: int, gap: float
) -> Iterator[tuple[Mask, Mask]]:
    positives = np.sort(time[truth])
    shares = np.linspace(_FIRST_TEST, 1.0, n_folds + 1)
    at = np.clip((shares * len(positives)).astype(int) - 1, 0, len(positives) - 1)
    edges = positives[at]
    edges[-1] = time.max()
    for start, end in pairwise(edges):
        test = (time > start) & (time <= end)
        train = time <= start - min(gap, _MAX_GAP_SHARE * (start - time.min()))
        yield train, test


def _shuffled_groups(units: Rows, truth: Mask, rng: np.random.Generator) -> tuple[Rows, list[Rows]]:
    """Return the code of each row's group, and the groups with and those without positives, shuffled."""
    _, code = np.unique(units, return_inverse=True)
    is_positive = np.bincount(code, weights=truth) > 0
    kinds = (is_positive, ~is_positive)
    return code, [rng.permutation(np.flatnonzero(kind)) for kind in kinds]


def _assign_folds(units: Rows, truth: Mask, n_folds: int, rng: np.random.Generator) -> Rows:
    """Return the fold of each row; groups with and without positives are assigned separately."""
    code, kinds = _shuffled_groups(units, truth, rng)
    fold = np.empty(sum(map(len, kinds)), dtype=np.int64)
    for members in kinds:
        fold[members] = np.arange(len(members)) % n_folds
    return fold[code]


def _draw_groups(labelled: LabelledTable, fraction: float, rng: np.random.Generator) -> Mask:
    """Return the rows of this share of the groups with positives, and of the groups without."""
    assert labelled.group is not None
    code, kinds = _shuffled_groups(labelled.group, labelled.truth, rng)
    drawn = np.zeros(sum(map(len, kinds)), dtype=bool)
    for members in kinds:
        # One group at least stays in either set.
        n = int(np.clip(round(fraction * len(members)), 1, max(1, len(members) - 1)))
        drawn[members[:n]] = True
    return np.asarray(drawn[code])


def _separate_groups(
    group: Rows, truth: Mask, train: Mask, test: Mask, rng: np.random.Generator
) -> tuple[Mask, Mask]:
    """Return both without a common group; where nearly all groups are common, each keeps half of them."""
    shared = np.isin(group, group[test])
    before = int(truth[train].sum())
    if truth[train & ~shared].sum() > (1 - _MAX_LOST) * before:
        return train & ~shared, test
    half = _assign_folds(group, truth, 2, rng) == 0
    return train & ~half, test & half


_MIN_AUC_OF_LEAK = 0.995  # of one column: it ranks nearly every rare row before every common one
_MIN_LEVEL_ROWS = 10  # rarer levels separate a few rare rows by chance
_MOSTLY_ALONE = 0.9  # groups per row above which a column is a key, not a group


def data_warnings(labelled: LabelledTable, split: TrainTestSplit) -> list[str]:
    """Return notes on what makes an answer worthless, from the train rows alone."""
    rows, truth = labelled.dataset.take(split.train), labelled.truth[split.train]
    notes = [
        f"'{name}' alone gives the label away nearly always: if it is not known before the label is, "
        "leave it out"
        for name in labelled.features
        if _separates_classes(rows, name, truth)
    ]
    if labelled.group is not None and len(np.unique(labelled.group)) > _MOSTLY_ALONE * len(
        labelled
    ):
        notes.append("nearly every group has one row only: is this the column of the card?")
    return notes


def _separates_classes(rows: Dataset, name: str, truth: Mask) -> bool:
    """Return whether a column alone ranks nearly every rare row before, or behind, every common one."""
    if rows.schema[name].has_levels:
        scores = _level_rates(rows.codes(name)[0], truth)
    else:
        values = rows.values(name)
        # A gap may give the label away, too: it is put below all values.
        scores = np.where(np.isnan(values), -np.inf, values)
    area = float(areas(scores[~truth], scores[truth])[0])
    return max(area, 1 - area) >= _MIN_AUC_OF_LEAK


def _level_rates(codes: npt.NDArray[np.integer], truth: Mask) -> Floats:
    """Return for each row the share of rare rows of its level; rare levels get that of all rows."""
    shifted = codes.astype(np.int64) + 1
    n = np.bincount(shifted)
    rate = np.bincount(shifted, weights=truth) / np.maximum(n, 1)
    return np.where(n >= _MIN_LEVEL_ROWS, rate, truth.mean())[shifted]

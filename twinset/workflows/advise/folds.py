"""How rows are cut: the untouched test part, and the folds inside the rest. Positions throughout."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from twinset.core.data.dataset import Dataset
from twinset.core.errors import DataError
from twinset.core.stats.roc_auc import areas
from twinset.workflows.advise.labelled_table import Floats, LabelledTable, Mask

Rows = npt.NDArray[np.int64]

GAP_SHARE = 0.05
GAP_DAYS = 7.0
_MAX_LOST = 0.5


@dataclass(frozen=True)
class TrainTestSplit:
    """Rows to learn from and rows to test on, each ascending.

    Parameters
    ----------
    train, test : numpy.ndarray of int
        Positions.
    method : str
        The cut in plain words.
    gap : float
        Length of the stretch left out before the test part, in the unit of the time; 0 without time.
    """

    train: Rows
    test: Rows
    method: str = ""
    gap: float = 0.0


def outer_cut(
    labelled: LabelledTable, test_fraction: float, delay: float | None, rng: np.random.Generator
) -> TrainTestSplit:
    """Return the cut whose test part nothing is chosen by.

    With a time the latest rows are tested on, and the rows just before them are left out, because
    their labels are not known yet when the model is trained. With a group, no group
    occurs in both train and test. Otherwise rows are drawn at random, each class at its share.

    Parameters
    ----------
    labelled : Case
        The table.
    test_fraction : float
        Share of rows to test on, in (0, 1).
    delay : float, optional
        How long labels take to arrive, in the unit of the time; by default 5 % of the time before the
        test part, at most 7 days.
    rng : numpy.random.Generator
        Draws rows or groups.

    Raises
    ------
    DataError
        One of the parts lacks one of the two classes.
    """
    test, method = np.zeros(len(labelled), dtype=bool), "at random, each class at its share"
    gap = 0.0
    if labelled.time is not None:
        split = np.sort(labelled.time)[int(np.ceil(len(labelled) * (1 - test_fraction))) - 1]
        test = labelled.time > split
        span = float(split - labelled.time.min())
        gap = (
            min(GAP_SHARE * span, GAP_DAYS if labelled.in_days else np.inf)
            if delay is None
            else delay
        )
        train = labelled.time <= split - gap
        method = "the latest rows are tested on"
        if labelled.group is not None:
            train, test = _groups_apart(labelled.group, labelled.truth, train, test, rng)
            method += ", no group in both train and test"
    elif labelled.group is not None:
        test = _whole_groups(labelled, test_fraction, rng)
        train, method = ~test, "whole groups are tested on"
    else:
        test[_drawn(labelled.truth, test_fraction, rng)] = True
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
    labelled: LabelledTable,
    rows: Rows,
    n_folds: int,
    repeat: int,
    gap: float,
    rng: np.random.Generator,
) -> Iterator[TrainTestSplit]:
    """Yield the folds of one repeat inside `rows`; every fold learns and tests on real rows only.

    With a time: the positives are cut into stretches of equal size, and each of the last `n_folds` is
    tested on after learning from all that came before, less the gap. With a group: whole groups, and
    with both, no group occurs in both train and test. A fold whose train
    or test rows lack a class is skipped.

    Parameters
    ----------
    labelled : Case
        The table.
    rows : numpy.ndarray of int
        The outer train rows.
    n_folds : int
        Folds, 2 or more.
    repeat : int
        Which repeat; with a time all repeats have the same folds.
    gap : float
        As in `TrainTestSplit`.
    rng : numpy.random.Generator
        Deals the rows.
    """
    truth = labelled.truth[rows]
    if labelled.time is not None:
        parts = _chained(labelled.time[rows], truth, n_folds, gap)
        if labelled.group is not None:
            group = labelled.group[rows]
            parts = (_groups_apart(group, truth, train, test, rng) for train, test in parts)
    else:
        units = labelled.group[rows] if labelled.group is not None else np.arange(len(rows))
        fold = _assign_folds(units, truth, n_folds, rng)
        parts = ((fold != k, fold == k) for k in range(n_folds))
    for train, test in parts:
        if _has_both(truth[train]) and _has_both(truth[test]):
            yield TrainTestSplit(rows[train], rows[test])


def _has_both(truth: Mask) -> bool:
    return bool(truth.any() and not truth.all())


def _chained(time: Floats, truth: Mask, n_folds: int, gap: float) -> Iterator[tuple[Mask, Mask]]:
    positives = np.sort(time[truth])
    # The first stretch to be tested on begins after 40 % of the positives.
    shares = np.linspace(0.4, 1.0, n_folds + 1)
    at = np.clip((shares * len(positives)).astype(int) - 1, 0, len(positives) - 1)
    edges = positives[at]
    edges[-1] = time.max()
    for start, end in pairwise(edges):
        test = (time > start) & (time <= end)
        train = time <= start - min(gap, 0.25 * (start - time.min()))
        yield train, test


def _assign_folds(units: Rows, truth: Mask, n_folds: int, rng: np.random.Generator) -> Rows:
    """Return the fold of each row: units with positives and units without are dealt separately."""
    _, code = np.unique(units, return_inverse=True)
    held = np.bincount(code, weights=truth) > 0
    fold = np.empty(len(held), dtype=np.int64)
    for kind in (held, ~held):
        members = rng.permutation(np.flatnonzero(kind))
        fold[members] = np.arange(len(members)) % n_folds
    return fold[code]


def _drawn(truth: Mask, fraction: float, rng: np.random.Generator) -> Rows:
    parts = [np.flatnonzero(truth == label) for label in (False, True)]
    return np.concatenate([rng.permutation(p)[: max(1, round(fraction * len(p)))] for p in parts])


def _whole_groups(labelled: LabelledTable, fraction: float, rng: np.random.Generator) -> Mask:
    """Return the rows of this share of the groups with positives, and of the groups without."""
    assert labelled.group is not None
    _, code = np.unique(labelled.group, return_inverse=True)
    held = np.bincount(code, weights=labelled.truth) > 0
    taken = np.zeros(len(held), dtype=bool)
    for kind in (held, ~held):
        members = rng.permutation(np.flatnonzero(kind))
        # One group at least stays on either side.
        n = int(np.clip(round(fraction * len(members)), 1, max(1, len(members) - 1)))
        taken[members[:n]] = True
    return np.asarray(taken[code])


def _groups_apart(
    group: Rows, truth: Mask, train: Mask, test: Mask, rng: np.random.Generator
) -> tuple[Mask, Mask]:
    """Return both without a common group; where nearly all groups go on, half are kept for the test."""
    shared = np.isin(group, group[test])
    before = int(truth[train].sum())
    if truth[train & ~shared].sum() > (1 - _MAX_LOST) * before:
        return train & ~shared, test
    half = _assign_folds(group, truth, 2, rng) == 0
    return train & ~half, test & half


_MIN_AUC_OF_LEAK = 0.995
_MIN_ROWS = 10
_ALONE = 0.9


def suspicions(labelled: LabelledTable, split: TrainTestSplit) -> list[str]:
    """Return notes on what makes an answer worthless, from the training rows alone."""
    notes = []
    rows, truth = labelled.dataset.take(split.train), labelled.truth[split.train]
    telling = [name for name in labelled.features if _separates_classes(rows, name, truth)]
    for name in telling:
        notes.append(
            f"'{name}' alone tells the label nearly always: if it is not known before the label is, "
            "leave it out"
        )
    if labelled.group is not None and len(np.unique(labelled.group)) > _ALONE * len(labelled):
        notes.append("nearly every group has one row only: is this the column of the card?")
    return notes


def _separates_classes(rows: Dataset, name: str, truth: Mask) -> bool:
    """Return whether a column alone ranks nearly every rare row before, or behind, every common one."""
    if rows.schema[name].has_levels:
        scores = _level_rates(rows.codes(name)[0], truth)
    else:
        values = rows.values(name)
        # Missing may tell, too: it is put below all values.
        scores = np.where(np.isnan(values), -np.inf, values)
    area = float(areas(scores[~truth], scores[truth])[0])
    return max(area, 1 - area) >= _MIN_AUC_OF_LEAK


def _level_rates(codes: npt.NDArray[np.integer], truth: Mask) -> Floats:
    """Return for each row the share of rare rows of its level; seldom levels get that of all rows."""
    shifted = codes.astype(np.int64) + 1
    n = np.bincount(shifted)
    rate = np.bincount(shifted, weights=truth) / np.maximum(n, 1)
    return np.where(n >= _MIN_ROWS, rate, truth.mean())[shifted]

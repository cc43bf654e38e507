"""How far strategies are ahead of "none" on the same folds, and whether any of it is more than chance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from twinset.core.stats.roc_auc import areas
from twinset.workflows.advise.cross_validation import FoldResult
from twinset.workflows.advise.folds import TrainTestSplit
from twinset.workflows.advise.labelled_table import LabelledTable
from twinset.workflows.advise.strategies import NONE, Strategy

Floats = npt.NDArray[np.float64]
Units = npt.NDArray[np.int64]
NamedCuts = Sequence[tuple[str, TrainTestSplit]]

_DRAWS = 300
_ABOVE, _PICKED_ABOVE = 1.64, 4.0
"""Standard deviations above chance: of "none", and of a strategy that was picked out of many."""


@dataclass(frozen=True)
class Difference:
    """How a strategy compares with "none" on the inner folds.

    Parameters
    ----------
    mean : float
        Difference in average precision.
    error : float
        Standard error of it, with Nadeau and Bengio's correction for training rows that folds share.
    shrunk : float
        The difference drawn towards that of the other ratios of the same kind.
    precision : float
        Average precision of the strategy itself.
    """

    mean: float
    error: float
    shrunk: float
    precision: float


def compare(
    results: Sequence[Mapping[str, FoldResult]],
    strategies: Sequence[Strategy],
    folds: NamedCuts,
    case: LabelledTable | None = None,
) -> dict[str, Difference]:
    """Return how each strategy compares with "none", positive by positive on the same folds.

    With a `case` whose rows have groups, errors are those of whole groups.
    """
    found: dict[str, Difference] = {}
    for strategy in strategies:
        mine = [fold[strategy.name].precision for fold in results if strategy.name in fold]
        if len(mine) < len(results):
            continue
        base = [fold[NONE.name].precision for fold in results]
        mean, error = mean_change(mine, base, folds, case)
        precision = float(np.mean(np.concatenate(mine)))
        found[strategy.name] = Difference(mean, error, mean, precision)
    return shrunk(found, strategies)


def shrunk(
    found: Mapping[str, Difference], strategies: Sequence[Strategy]
) -> dict[str, Difference]:
    """Return the differences drawn half-way to the mean of their kind, where it has several ratios."""
    kinds: dict[str, list[str]] = {}
    for strategy in strategies:
        if strategy.name in found:
            kinds.setdefault(strategy.kind, []).append(strategy.name)
    out = {}
    for names in kinds.values():
        centre = float(np.mean([found[name].mean for name in names]))
        for name in names:
            out[name] = replace(found[name], shrunk=0.5 * (found[name].mean + centre))
    return out


def mean_change(
    mine: Sequence[Floats], base: Sequence[Floats], folds: NamedCuts, case: LabelledTable | None
) -> tuple[float, float]:
    """Return the mean change in precision, positive by positive, and its standard error."""
    changes = [own - none for own, none in zip(mine, base)]
    return float(np.mean(np.concatenate(changes))), _error(changes, folds, case)


def is_above_chance(
    results: Sequence[Mapping[str, FoldResult]],
    name: str,
    folds: NamedCuts,
    case: LabelledTable,
    rng: np.random.Generator,
) -> bool:
    """Return whether "none", or else the strategy `name`, ranks rows better than chance does.

    Chance is a random order of the rows of one repeat, in which positives of one group come together.
    "None" must be 1.64 standard deviations above its mean, as chance is in 1 of 20 tables (1 of 10
    by either measure), another strategy, which was picked, 4; in average precision, or in the area
    under the ROC curve, which sees what is weak and everywhere.
    """
    first = folds[0][0].partition("/")[0]
    tested = [cut.test for path, cut in folds if path.partition("/")[0] == first]
    # Shape (2, draws): what random orders reach, mean over folds.
    by_chance = np.mean([random_ranking(case, rows, rng) for rows in tested], axis=0)
    for asked, bar in ((NONE.name, _ABOVE), (name, _PICKED_ABOVE)):
        reached = np.mean(
            [_reached(fold[asked], case.truth[cut.test]) for (_, cut), fold in zip(folds, results)],
            axis=0,
        )
        if (reached > by_chance.mean(axis=1) + bar * by_chance.std(axis=1)).any():
            return True
    return False


def random_ranking(case: LabelledTable, rows: Units, rng: np.random.Generator) -> Floats:
    """Return average precision and area under the ROC curve of random orders of rows, shape (2, 300)."""
    positives = rows[case.truth[rows]]
    owner = np.arange(len(positives)) if case.group is None else case.group[positives]
    code = np.unique(owner, return_inverse=True)[1]
    place = np.sort(rng.random((_DRAWS, int(code.max()) + 1))[:, code], axis=1)
    above, start = np.zeros(_DRAWS, dtype=np.int64), np.zeros(_DRAWS)
    n, n_common = len(positives), len(rows) - len(positives)
    precision, below = np.zeros(_DRAWS), np.zeros(_DRAWS)
    for rank, end in enumerate(place.T, start=1):
        # Of the common rows that are left, those that lie between this positive and the one before.
        above += rng.binomial(n_common - above, (end - start) / (1 - start))
        precision += rank / (rank + above)
        below += n_common - above
        start = end
    return np.array([precision / n, below / (n * n_common)])


def _reached(found: FoldResult, truth: npt.NDArray[np.bool_]) -> tuple[float, float]:
    area = areas(found.scores[~truth], found.scores[truth])[0]
    return float(found.precision.mean()), float(area)


def _error(changes: Sequence[Floats], folds: NamedCuts, case: LabelledTable | None = None) -> float:
    """Return the standard error of the mean change.

    Nadeau and Bengio: the variance of one fold's mean, times (1 / folds + test rows / train rows). The
    variance of a fold's mean is taken from the spread of its positives, because three folds alone tell
    little of a variance. Positives of one group move together, so their sums are spread out instead.
    """
    every = np.concatenate(changes)
    unit = np.arange(len(every)) if case is None else _units(folds, case)
    sums = np.bincount(unit, weights=every - every.mean())
    n = len(sums)
    if n < 2:
        return float("inf")
    share = float(np.mean([len(cut.test) / len(cut.train) for _, cut in folds]))
    of_mean = float(sums @ sums) * n / (n - 1) / len(every) ** 2
    return float(np.sqrt(of_mean * (1 + share * len(changes))))


def _units(folds: NamedCuts, case: LabelledTable) -> Units:
    """Return for each positive of the folds, one after another, what it moves together with: itself, or
    its group in the same repeat."""
    tested = [cut.test[case.truth[cut.test]] for _, cut in folds]
    if case.group is None:
        return np.arange(sum(len(rows) for rows in tested))
    repeats = [path.partition("/")[0] for path, _ in folds]
    pairs = [
        np.column_stack([np.full(len(rows), repeats.index(repeat)), case.group[rows]])
        for repeat, rows in zip(repeats, tested)
    ]
    found = np.unique(np.vstack(pairs), axis=0, return_inverse=True)[1]
    return np.asarray(found, dtype=np.int64).ravel()

"""How far strategies are ahead of "none" on the same folds, and whether any of it is more than chance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from twinset.advising.case import Case
from twinset.advising.cuts import Cut
from twinset.advising.strategies import NONE, Strategy
from twinset.advising.trials import FoldResult

Floats = npt.NDArray[np.float64]
Units = npt.NDArray[np.int64]
NamedCuts = Sequence[tuple[str, Cut]]

_DRAWS = 300
_ABOVE, _PICKED_ABOVE = 2.0, 4.0
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
    lead : float
        Standard errors that it is ahead by, in the square root of precision and drawn alike: the spread
        of precisions grows with them, and a few rows found at the top would drown all others.
    """

    mean: float
    error: float
    shrunk: float
    precision: float
    lead: float


def compare(
    results: Sequence[Mapping[str, FoldResult]],
    strategies: Sequence[Strategy],
    folds: NamedCuts,
    case: Case | None = None,
) -> dict[str, Difference]:
    """Return how each strategy compares with "none", positive by positive on the same folds.

    With a `case` whose rows have groups, errors are those of whole groups.
    """
    found: dict[str, Difference] = {}
    roots: dict[str, tuple[float, float]] = {}
    for strategy in strategies:
        mine = [fold[strategy.name].precision for fold in results if strategy.name in fold]
        if len(mine) < len(results):
            continue
        base = [fold[NONE.name].precision for fold in results]
        mean, error = _mean_change(mine, base, folds, case)
        roots[strategy.name] = mean_root_change(mine, base, folds, case)
        precision = float(np.mean(np.concatenate(mine)))
        found[strategy.name] = Difference(mean, error, mean, precision, 0.0)
    kinds = {strategy.name: strategy.kind for strategy in strategies}
    drawn = _drawn_together({name: mean for name, (mean, _) in roots.items()}, kinds)
    leads = {name: _in_errors(drawn[name], error) for name, (_, error) in roots.items()}
    return shrunk({n: replace(one, lead=leads[n]) for n, one in found.items()}, strategies)


def shrunk(
    found: Mapping[str, Difference], strategies: Sequence[Strategy]
) -> dict[str, Difference]:
    """Return the differences drawn half-way to the mean of their kind, where it has several ratios."""
    kinds = {strategy.name: strategy.kind for strategy in strategies}
    drawn = _drawn_together({name: one.mean for name, one in found.items()}, kinds)
    return {name: replace(one, shrunk=drawn[name]) for name, one in found.items()}


def mean_root_change(
    mine: Sequence[Floats], base: Sequence[Floats], folds: NamedCuts, case: Case | None
) -> tuple[float, float]:
    """Return the mean change in the square root of precision, and its standard error."""
    return _mean_change([np.sqrt(p) for p in mine], [np.sqrt(p) for p in base], folds, case)


def is_above_chance(
    results: Sequence[Mapping[str, FoldResult]],
    name: str,
    folds: NamedCuts,
    case: Case,
    rng: np.random.Generator,
) -> bool:
    """Return whether "none", or else the strategy `name`, ranks rows better than chance does.

    Chance is a random order of the rows of one repeat, in which positives of one group come together.
    "None" must be 2 standard deviations above its mean, another strategy, which was picked, 4.
    """
    first = folds[0][0].partition("/")[0]
    tested = [cut.test for path, cut in folds if path.partition("/")[0] == first]
    by_chance = np.mean(
        [random_precision(case, rows, rng) for rows in tested],
        axis=0,
    )
    for asked, bar in ((NONE.name, _ABOVE), (name, _PICKED_ABOVE)):
        reached = np.mean([fold[asked].precision.mean() for fold in results])
        if reached > by_chance.mean() + bar * by_chance.std():
            return True
    return False


def random_precision(case: Case, rows: Units, rng: np.random.Generator) -> Floats:
    """Return the average precision of random orders of these rows, shape (300,)."""
    positives = rows[case.truth[rows]]
    owner = np.arange(len(positives)) if case.group is None else case.group[positives]
    code = np.unique(owner, return_inverse=True)[1]
    place = np.sort(rng.random((_DRAWS, int(code.max()) + 1))[:, code], axis=1)
    above, start = np.zeros(_DRAWS, dtype=np.int64), np.zeros(_DRAWS)
    total, n_common = np.zeros(_DRAWS), len(rows) - len(positives)
    for rank, end in enumerate(place.T, start=1):
        # Of the common rows that are left, those that lie between this positive and the one before.
        above += rng.binomial(n_common - above, (end - start) / (1 - start))
        total, start = total + rank / (rank + above), end
    return np.asarray(total / len(positives))


def _mean_change(
    mine: Sequence[Floats], base: Sequence[Floats], folds: NamedCuts, case: Case | None
) -> tuple[float, float]:
    changes = [own - none for own, none in zip(mine, base)]
    return float(np.mean(np.concatenate(changes))), _error(changes, folds, case)


def _in_errors(mean: float, error: float) -> float:
    if error > 0:
        return mean / error
    return float(np.sign(mean)) * np.inf if mean else 0.0


def _error(changes: Sequence[Floats], folds: NamedCuts, case: Case | None = None) -> float:
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


def _units(folds: NamedCuts, case: Case) -> Units:
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


def _drawn_together(means: Mapping[str, float], kind_of: Mapping[str, str]) -> dict[str, float]:
    """Return each mean drawn half-way to that of its kind."""
    kinds: dict[str, list[str]] = {}
    for name in means:
        kinds.setdefault(kind_of[name], []).append(name)
    centres = {kind: float(np.mean([means[n] for n in names])) for kind, names in kinds.items()}
    return {name: 0.5 * (mean + centres[kind_of[name]]) for name, mean in means.items()}

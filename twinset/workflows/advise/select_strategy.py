"""Which strategy is taken: a race over folds, then a rule of 1.2 standard errors with "none" in it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice

import numpy as np
import numpy.typing as npt

from twinset.core.seeding import rng_for
from twinset.core.stats.roc_auc import areas
from twinset.workflows.advise.calibration import CalibrationMethod, HeldOut, restore
from twinset.workflows.advise.cross_validation import FoldResult, StrategyTrials
from twinset.workflows.advise.folds import TrainTestSplit, inner_folds
from twinset.workflows.advise.labelled_table import LabelledTable
from twinset.workflows.advise.strategies import NONE, Strategy, extra_rows

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
    labelled: LabelledTable | None = None,
) -> dict[str, Difference]:
    """Return how each strategy compares with "none", positive by positive on the same folds.

    With a `labelled` whose rows have groups, errors are those of whole groups.
    """
    found: dict[str, Difference] = {}
    for strategy in strategies:
        mine = [fold[strategy.name].precision for fold in results if strategy.name in fold]
        if len(mine) < len(results):
            continue
        base = [fold[NONE.name].precision for fold in results]
        mean, error = mean_change(mine, base, folds, labelled)
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
    mine: Sequence[Floats], base: Sequence[Floats], folds: NamedCuts, labelled: LabelledTable | None
) -> tuple[float, float]:
    """Return the mean change in precision, positive by positive, and its standard error."""
    changes = [own - none for own, none in zip(mine, base)]
    return float(np.mean(np.concatenate(changes))), _error(changes, folds, labelled)


def is_above_chance(
    results: Sequence[Mapping[str, FoldResult]],
    name: str,
    folds: NamedCuts,
    labelled: LabelledTable,
    rng: np.random.Generator,
) -> bool:
    """Return whether "none", or else the strategy `name`, ranks rows better than chance does.

    Chance is a random order of the rows of one repeat, in which positives of one group come together.
    "None" must be 1.64 standard deviations above its mean, as chance is in 1 of 20 tables (1 of 10
    by either measure), another strategy, which was picked, 4; in average precision, or in the area
    under the ROC curve, which sees what is weak and everywhere.
    """
    first = folds[0][0].partition("/")[0]
    tested = [split.test for path, split in folds if path.partition("/")[0] == first]
    # Shape (2, draws): what random orders reach, mean over folds.
    by_chance = np.mean([random_ranking(labelled, rows, rng) for rows in tested], axis=0)
    for asked, bar in ((NONE.name, _ABOVE), (name, _PICKED_ABOVE)):
        reached = np.mean(
            [
                _reached(fold[asked], labelled.truth[split.test])
                for (_, split), fold in zip(folds, results)
            ],
            axis=0,
        )
        if (reached > by_chance.mean(axis=1) + bar * by_chance.std(axis=1)).any():
            return True
    return False


def random_ranking(labelled: LabelledTable, rows: Units, rng: np.random.Generator) -> Floats:
    """Return average precision and area under the ROC curve of random orders of rows, shape (2, 300)."""
    positives = rows[labelled.truth[rows]]
    owner = np.arange(len(positives)) if labelled.group is None else labelled.group[positives]
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


def _error(
    changes: Sequence[Floats], folds: NamedCuts, labelled: LabelledTable | None = None
) -> float:
    """Return the standard error of the mean change.

    Nadeau and Bengio: the variance of one fold's mean, times (1 / folds + test rows / train rows). The
    variance of a fold's mean is taken from the spread of its positives, because three folds alone tell
    little of a variance. Positives of one group move together, so their sums are spread out instead.
    """
    every = np.concatenate(changes)
    unit = np.arange(len(every)) if labelled is None else _units(folds, labelled)
    sums = np.bincount(unit, weights=every - every.mean())
    n = len(sums)
    if n < 2:
        return float("inf")
    share = float(np.mean([len(split.test) / len(split.train) for _, split in folds]))
    of_mean = float(sums @ sums) * n / (n - 1) / len(every) ** 2
    return float(np.sqrt(of_mean * (1 + share * len(changes))))


def _units(folds: NamedCuts, labelled: LabelledTable) -> Units:
    """Return for each positive of the folds, one after another, what it moves together with: itself, or
    its group in the same repeat."""
    tested = [split.test[labelled.truth[split.test]] for _, split in folds]
    if labelled.group is None:
        return np.arange(sum(len(rows) for rows in tested))
    repeats = [path.partition("/")[0] for path, _ in folds]
    pairs = [
        np.column_stack([np.full(len(rows), repeats.index(repeat)), labelled.group[rows]])
        for repeat, rows in zip(repeats, tested)
    ]
    found = np.unique(np.vstack(pairs), axis=0, return_inverse=True)[1]
    return np.asarray(found, dtype=np.int64).ravel()


Rows = npt.NDArray[np.int64]

N_FOLDS = 3
BUDGET_ROWS = 20 * 60_000
"""What the choice may cost a model on a large table: about 20 models of 60,000 rows."""

ERRORS = 1.2
"""Standard errors that a strategy must be ahead. One is the usual rule for one rival; the best of some
twenty rivals is ahead by chance more often, and what is then taken may do harm."""

_SCREEN_ROWS, _SCREEN_TREES = 10_000, 40
_FIXED_ROWS = 15_000
"""A model of few rows takes as long as if it had so many more (measured: 30 columns, 100 trees)."""
_KEPT = 4
_MAX_REPEATS = 3


@dataclass(frozen=True)
class ModelSelection:
    """The inner choice for one model.

    Parameters
    ----------
    model_name : str
        Whose models.
    strategies : mapping
        Name -> strategy, of all that were tried.
    differences : mapping
        Name -> difference to "none", from the last round that the strategy took part in.
    shortlist : tuple of str
        Those of the last round.
    chosen : str
        "none", or the best strategy of those that beat it by more than 1.2 standard errors.
    challenger : str
        The best of the others; the chosen one unless that is "none".
    folds : sequence of (str, Cut)
        Folds of the last round.
    results : sequence of mapping
        Their results, by name of the strategy.
    is_chance : bool
        Whether no model ranks rows better than chance does, so that there is nothing to choose by.
    untried : tuple of str
        Ratios that the thinned rows of the first round have anyway, and that did not come to the last.
    """

    model_name: str
    strategies: Mapping[str, Strategy]
    differences: Mapping[str, Difference]
    shortlist: tuple[str, ...]
    chosen: str
    challenger: str
    folds: Sequence[tuple[str, TrainTestSplit]]
    results: Sequence[Mapping[str, FoldResult]]
    is_chance: bool = False
    untried: tuple[str, ...] = ()


def select_strategies(
    bench: StrategyTrials,
    rows: Rows,
    strategies: Sequence[Strategy],
    model_name: str,
    gap: float = 0.0,
    budget_rows: float = BUDGET_ROWS,
    done: Callable[[int], None] = lambda n: None,
) -> ModelSelection:
    """Return the race of strategies inside `rows`: all of them cheaply, then the best few thoroughly.

    Parameters
    ----------
    bench : Bench
        Where models are fitted.
    rows : numpy.ndarray of int
        The outer train rows; no other row is used.
    strategies : sequence of Strategy
        What is tried, "none" among them.
    model_name : str
        See `models`.
    gap : float
        See `inner_folds`.
    budget_rows : float
        Rows that models may be trained on in all.
    done : callable
        Called with the number of models fitted.
    """
    folds = _folds(bench, rows, 0, gap)
    thin = [(path, _at_most(bench, split, path)) for path, split in folds]
    is_whole = all(len(a.train) == len(b.train) for (_, a), (_, b) in zip(folds, thin))
    idle = [] if is_whole else _idle(strategies, bench.labelled.truth[thin[0][1].train])
    before = bench.fitted_rows + _FIXED_ROWS * bench.fits
    if is_whole:
        first = bench.try_all(folds, strategies, model_name, done)
        differences = compare(first, strategies, folds, bench.labelled)
    else:
        tried = [strategy for strategy in strategies if strategy not in idle]
        first, differences = [], _screen(bench, thin, tried, model_name, done)
    kept = _kept(strategies, differences, _KEPT if is_whole else _KEPT - 1)
    kept = [*kept, *_sibling(kept, idle)]
    # Models of the screen have fewer than half the trees.
    left = budget_rows - 0.5 * (bench.fitted_rows + _FIXED_ROWS * bench.fits - before)
    named = _last_folds(bench, rows, gap, len(kept), np.inf if is_whole else left)
    if not is_whole and len(named) < 2:
        named = folds
    results = bench.try_all(named, kept, model_name, done)
    if is_whole:
        named, results = [*folds, *named], [*first, *results]
    last = compare(results, kept, named, bench.labelled)
    differences = shrunk({**differences, **last}, strategies)
    # A generator that refused a later fold has an early difference only.
    kept = [strategy for strategy in kept if strategy.name in last]
    chosen, challenger = choose(kept, differences)
    rng = rng_for(bench.seed, "advise", "chance")
    is_chance = not is_above_chance(results, challenger, named, bench.labelled, rng)
    if is_chance:
        chosen = NONE.name
    return ModelSelection(
        model_name,
        {strategy.name: strategy for strategy in strategies},
        differences,
        tuple(s.name for s in kept),
        chosen,
        challenger,
        named,
        results,
        is_chance,
        tuple(one.name for one in idle if one not in kept),
    )


def _last_folds(
    bench: StrategyTrials, rows: Rows, gap: float, n_kept: int, left: float
) -> list[tuple[str, TrainTestSplit]]:
    """Return the folds of the last round: as many repeats with `n_kept` strategies as the rows that are
    left allow; infinitely many are left where the first round saw whole folds."""
    folds = _folds(bench, rows, 0, gap)
    each = float(np.mean([len(split.train) for _, split in folds])) + _FIXED_ROWS
    repeats = int(np.clip(left / (each * len(folds) * n_kept), 1, _MAX_REPEATS))
    if bench.labelled.time is not None:
        # By time the folds of all repeats are the same: a second look at them tells nothing new.
        repeats = 0 if np.isinf(left) else 1
    return [pair for repeat in range(1, repeats + 1) for pair in _folds(bench, rows, repeat, gap)]


def n_folds_of(bench: StrategyTrials, rows: Rows, gap: float) -> int:
    """Return how many folds of the first repeat hold both classes to learn from and to test on."""
    return len(_folds(bench, rows, 0, gap))


def pick(
    selections: Sequence[ModelSelection], labelled: LabelledTable | None = None
) -> ModelSelection:
    """Return the race of the model to take: the first, unless another is ahead by more than its error.

    Models are compared on the folds that their last rounds share, each with what it chose. `labelled` tells
    whose rows are, as in `compare`.
    """
    best = selections[0]
    for other in selections[1:]:
        theirs = {path: (split, fold) for (path, split), fold in zip(other.folds, other.results)}
        mine, base, folds = [], [], []
        for (path, split), fold in zip(best.folds, best.results):
            if path in theirs:
                mine.append(theirs[path][1][other.chosen].precision)
                base.append(fold[best.chosen].precision)
                folds.append((path, split))
        if folds:
            change, error = mean_change(mine, base, folds, labelled)
            if change > ERRORS * error:
                best = other
    return best


def restored(won: ModelSelection, name: str, labelled: LabelledTable) -> CalibrationMethod:
    """Return how a strategy's probabilities are restored, learnt on the folds of one repeat."""
    first = won.folds[0][0].partition("/")[0]
    folds = [
        HeldOut(
            fold[name].scores,
            fold[NONE.name].scores,
            labelled.truth[split.test],
            fold[name].odds_factor,
        )
        for (path, split), fold in zip(won.folds, won.results)
        if path.partition("/")[0] == first
    ]
    return restore(folds, drifts=labelled.time is not None)


def _screen(
    bench: StrategyTrials,
    folds: Sequence[tuple[str, TrainTestSplit]],
    strategies: Sequence[Strategy],
    model_name: str,
    done: Callable[[int], None],
) -> dict[str, Difference]:
    """Return differences from thinned folds and small models; the worst two thirds see one fold alone."""
    first = bench.try_all(folds[:1], strategies, model_name, done, _SCREEN_TREES)
    early = compare(first, strategies, folds[:1], bench.labelled)
    better = _kept(strategies, early, len(strategies) // 3)
    rest = bench.try_all(folds[1:], better, model_name, done, _SCREEN_TREES)
    return shrunk({**early, **compare([*first, *rest], better, folds, bench.labelled)}, strategies)


def choose(
    strategies: Sequence[Strategy], differences: Mapping[str, Difference], errors: float = ERRORS
) -> tuple[str, str]:
    """Return the name of the strategy to take and of the best one that is not "none".

    A strategy is taken only if its difference to "none" is greater than `errors` standard errors.
    """
    others = [s.name for s in strategies if s.name in differences and s.name != NONE.name]
    if not others:
        return NONE.name, NONE.name
    challenger = max(others, key=lambda name: differences[name].shrunk)
    passed = [n for n in others if differences[n].shrunk > errors * differences[n].error]
    if not passed:
        return NONE.name, challenger
    best = max(passed, key=lambda name: differences[name].shrunk)
    return best, best


def _kept(
    strategies: Sequence[Strategy], differences: Mapping[str, Difference], n: int
) -> list[Strategy]:
    """Return "none" and the `n` best others."""
    there = [s for s in strategies if s.name in differences]
    others = [s for s in there if s is not NONE]
    ranked = sorted(others, key=lambda s: -differences[s.name].shrunk)
    return [NONE, *ranked[:n]]


def _idle(strategies: Sequence[Strategy], truth: npt.NDArray[np.bool_]) -> list[Strategy]:
    """Return those whose ratio thinned rows of these classes have anyway: nothing would be added."""
    return [one for one in strategies if one.ratio and extra_rows(one, truth) == 0]


def _sibling(kept: Sequence[Strategy], idle: Sequence[Strategy]) -> list[Strategy]:
    """Return the greatest idle ratio of the best kept kind that has one: the last round can try it."""
    found = (one for best in kept for one in reversed(idle) if one.kind == best.kind)
    return list(islice(found, 1))


def _folds(
    bench: StrategyTrials, rows: Rows, repeat: int, gap: float
) -> list[tuple[str, TrainTestSplit]]:
    rng = rng_for(bench.seed, "advise", "folds", repeat)
    splits = inner_folds(bench.labelled, rows, N_FOLDS, repeat, gap, rng)
    return [(f"repeat-{repeat}/fold-{k}", split) for k, split in enumerate(splits)]


def _at_most(bench: StrategyTrials, split: TrainTestSplit, path: str) -> TrainTestSplit:
    """Return the fold with so many of its common train rows that it has at most 10,000 rows."""
    truth = bench.labelled.truth[split.train]
    rare, common = split.train[truth], split.train[~truth]
    room = max(_SCREEN_ROWS - len(rare), 2 * len(rare))
    if len(common) <= room:
        return split
    rng = rng_for(bench.seed, "advise", path, "screen")
    kept = rng.choice(common, room, replace=False)
    return replace(split, train=np.sort(np.concatenate([rare, kept])))

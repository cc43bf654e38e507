"""Strategies tried on folds, and the choice among them by a rule of 1.2 standard errors."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from itertools import islice

import numpy as np
from threadpoolctl import threadpool_limits

from twinset.core.data.dataset import Dataset
from twinset.core.data.where import Where
from twinset.core.errors import FitError, ParameterError, SchemaError
from twinset.core.seeding import draw_seed, rng_for
from twinset.core.stats.hypothesis_tests import areas
from twinset.registry import build
from twinset.workflows.advise.labelled_table import (
    Floats,
    LabelledTable,
    Mask,
    Rows,
    TrainTestSplit,
    inner_folds,
)
from twinset.workflows.advise.ranking_metrics import (
    CalibrationMethod,
    HeldOut,
    calibrate,
    precision_at_positives,
)
from twinset.workflows.advise.strategies import (
    NONE,
    TREES,
    RawRows,
    Reader,
    Strategy,
    extra_rows,
    fit,
    fit_encoder,
    settings_of,
    training_rows,
)

NamedSplits = Sequence[tuple[str, TrainTestSplit]]
"""Folds, each with a path that decides its draws, e.g. "repeat-0/fold-2"."""


@dataclass(frozen=True)
class FoldResult:
    """The result of one strategy on one fold."""

    scores: Floats  # predicted probabilities of the test rows, shape (n_test,)
    precision: Floats  # see `precision_at_positives`, shape (n_test_positives,)
    odds_factor: float  # by which the odds were raised in training
    n_train: int  # rows that the model was trained on


@dataclass
class StrategyTrials:
    """Trains and tests strategies on folds of a table; counts the rows that models were trained on.

    Every draw depends on `seed` and the path of the fold, the result not on `workers`.
    """

    labelled: LabelledTable
    seed: int
    workers: int = 1
    fitted_rows: int = 0
    fits: int = 0
    refused: dict[str, str] = field(
        default_factory=dict
    )  # generator -> reason on the first such fold

    def __post_init__(self) -> None:
        self.reader = Reader.from_dataset(self.labelled.dataset, self.labelled.features)
        self.raw = self.reader.read(self.labelled.dataset)
        self._drawn: dict[tuple[str, str, int, int], RawRows] = {}
        self._refusals: dict[str, dict[str, str]] = {}

    def try_all(
        self,
        splits: NamedSplits,
        strategies: Sequence[Strategy],
        model_name: str,
        done: Callable[[int], None] = lambda n: None,
        trees: int = TREES,
    ) -> list[dict[str, FoldResult]]:
        """Return the result of each strategy for each fold, without strategies that cannot be used.

        `done` is called after every fold with the number of models fitted.
        """

        def one(named: tuple[str, TrainTestSplit]) -> dict[str, FoldResult]:
            found = self._try(named[0], named[1], strategies, model_name, trees)
            done(len(strategies))
            return found

        with threadpool_limits(limits=1):
            if self.workers == 1 or len(splits) == 1:
                found = [one(named) for named in splits]
            else:
                # OpenMP counts its threads for each calling thread, so each worker sets it once.
                with ThreadPoolExecutor(
                    self.workers, initializer=threadpool_limits, initargs=(1,)
                ) as pool:
                    found = list(pool.map(one, splits))
        for path, _ in splits:  # whichever worker came first, the reason of the first fold is kept
            for component, reason in self._refusals.get(path, {}).items():
                self.refused.setdefault(component, reason)
        self.fitted_rows += sum(result.n_train for fold in found for result in fold.values())
        self.fits += sum(len(fold) for fold in found)
        return found

    def synthetic_rows(self, component: str, train: Rows, n: int, path: str) -> Dataset:
        """Return `n` synthetic rows of the rare class from those among `train`."""
        labelled = self.labelled
        rare = train[labelled.truth[train]]
        rng = rng_for(self.seed, "advise", path, component)
        generator = build("generator", component, settings_of(component))
        with warnings.catch_warnings():
            # Generators warn of few rows; advice is sought because there are few.
            warnings.simplefilter("ignore", UserWarning)
            if generator.needs_others:
                fitted = generator.fit(labelled.dataset.take(train), rng)
                drawn = fitted.sample(n, rng, Where({labelled.target: labelled.positive}))
            else:
                alone = labelled.dataset.take(rare).select(labelled.features)
                drawn = generator.fit(alone, rng).sample(n, rng)
        return drawn.select(labelled.features)

    def _try(
        self,
        path: str,
        split: TrainTestSplit,
        strategies: Sequence[Strategy],
        model_name: str,
        trees: int,
    ) -> dict[str, FoldResult]:
        truth, test_truth = self.labelled.truth[split.train], self.labelled.truth[split.test]
        raw = self.raw.take(split.train)
        encoder = fit_encoder(model_name, raw)
        x, test_x = encoder.transform(raw), encoder.transform(self.raw.take(split.test))
        seed = draw_seed(rng_for(self.seed, "advise", path, "model"))
        synthetic = self._synthetic_by_component(path, split.train, strategies)
        has_thin = any(s.family == "thin" for s in strategies)
        hardness: Floats | None = None
        found: dict[str, FoldResult] = {}
        for strategy in sorted(strategies, key=lambda s: s.family == "thin"):
            if strategy.component and strategy.component not in synthetic:
                continue
            if strategy.family == "thin" and hardness is None:
                hardness = fit(model_name, x, truth, None, seed, trees=trees)(x)
            component = strategy.component
            rows = training_rows(
                strategy,
                x,
                truth,
                synthetic=encoder.transform(synthetic[component]) if component else None,
                hardness=hardness,
                rng=rng_for(self.seed, "advise", path, strategy.kind),
            )
            predict = fit(
                model_name, rows.x, rows.truth, rows.weight, seed, strategy.setting, trees
            )
            scores = predict(test_x)
            if strategy is NONE and has_thin:
                hardness = predict(x)
            precision = precision_at_positives(scores, test_truth)
            found[strategy.name] = FoldResult(scores, precision, rows.odds_factor, len(rows.truth))
        return found

    def _synthetic_by_component(
        self, path: str, train: Rows, strategies: Sequence[Strategy]
    ) -> Mapping[str, RawRows]:
        """Return the synthetic rows of every generator, as many as its greatest ratio needs."""
        truth = self.labelled.truth[train]
        needed: dict[str, int] = {}
        for strategy in strategies:
            if strategy.component:
                n = max(needed.get(strategy.component, 0), extra_rows(strategy, truth))
                needed[strategy.component] = n
        found = {}
        for component, n in needed.items():
            key = (component, path, len(train), n)
            if key not in self._drawn:  # every model of a fold sees the same synthetic rows
                try:
                    rows = self.synthetic_rows(component, train, n, path)
                except (FitError, SchemaError, ParameterError) as error:
                    self._refusals.setdefault(path, {})[component] = str(error)
                    continue
                self._drawn[key] = self.reader.read(rows)
            found[component] = self._drawn[key]
        return found


_N_ORDERS = 300  # random orders: their standard deviation is then known to 4 %
# Standard deviations above chance: of "none" (5 % of tables of noise), and of a strategy that was picked
# out of about twenty.
_ABOVE, _PICKED_ABOVE = 1.64, 4.0


@dataclass(frozen=True)
class Difference:
    """Difference of a strategy to "none" on the inner folds, in average precision."""

    mean: float
    # standard error, with Nadeau and Bengio's correction for train rows that folds share
    error: float
    shrunk: float  # the mean shrunk half-way to that of the other ratios of the same kind
    precision: float  # average precision of the strategy itself


def compare(
    results: Sequence[Mapping[str, FoldResult]],
    strategies: Sequence[Strategy],
    folds: NamedSplits,
    labelled: LabelledTable | None = None,
) -> dict[str, Difference]:
    """Return the difference of each strategy to "none", positive by positive on the same folds.

    With a `labelled` whose rows have groups, errors are those of whole groups.
    """
    found: dict[str, Difference] = {}
    for strategy in strategies:
        own = [fold[strategy.name].precision for fold in results if strategy.name in fold]
        if len(own) < len(results):
            continue
        base = [fold[NONE.name].precision for fold in results]
        mean, error = mean_change(own, base, folds, labelled)
        precision = float(np.mean(np.concatenate(own)))
        found[strategy.name] = Difference(mean, error, mean, precision)
    return _shrink(found, strategies)


def _shrink(
    found: Mapping[str, Difference], strategies: Sequence[Strategy]
) -> dict[str, Difference]:
    """Return the differences shrunk half-way to the mean of their kind, where it has several ratios."""
    kinds: dict[str, list[str]] = {}
    for strategy in strategies:
        if strategy.name in found:
            kinds.setdefault(strategy.kind, []).append(strategy.name)
    out = {}
    for names in kinds.values():
        center = float(np.mean([found[name].mean for name in names]))
        for name in names:
            out[name] = replace(found[name], shrunk=0.5 * (found[name].mean + center))
    return out


def mean_change(
    own: Sequence[Floats],
    base: Sequence[Floats],
    folds: NamedSplits,
    labelled: LabelledTable | None,
) -> tuple[float, float]:
    """Return the mean change in precision, positive by positive, and its standard error.

    Nadeau and Bengio: the variance of one fold's mean, times (1 / folds + test rows / train rows). The
    variance of a fold's mean is estimated from the spread of its positives, because three folds alone
    estimate a variance badly. Positives of one group correlate, so their sums are used instead.
    """
    changes = [a - b for a, b in zip(own, base)]
    every = np.concatenate(changes)
    unit = np.arange(len(every)) if labelled is None else _units(folds, labelled)
    sums = np.bincount(unit, weights=every - every.mean())
    n = len(sums)
    if n < 2:
        return float(np.mean(every)), float("inf")
    share = float(np.mean([len(split.test) / len(split.train) for _, split in folds]))
    variance = float(sums @ sums) * n / (n - 1) / len(every) ** 2
    return float(np.mean(every)), float(np.sqrt(variance * (1 + share * len(changes))))


def _units(folds: NamedSplits, labelled: LabelledTable) -> Rows:
    """Return the unit of each positive of the folds: the row, or its group in the same repeat."""
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


def is_above_chance(
    results: Sequence[Mapping[str, FoldResult]],
    name: str,
    folds: NamedSplits,
    labelled: LabelledTable,
    rng: np.random.Generator,
) -> bool:
    """Return whether "none", or else the strategy `name`, ranks rows better than chance does.

    Chance is a random order of the rows of one repeat, in which positives of one group come together.
    "None" must be 1.64 standard deviations above its mean, as chance is in 1 of 20 tables (1 of 10
    by either measure), another strategy, which was picked, 4; in average precision, or in the area
    under the ROC curve, which shows weak signals that are everywhere.
    """
    first = _first_repeat(folds)
    # Shape (2, draws): results of random orders, mean over folds.
    random = np.mean([random_ranking(labelled, split.test, rng) for split, _ in first], axis=0)
    for strategy, bar in ((NONE.name, _ABOVE), (name, _PICKED_ABOVE)):
        reached = np.mean(
            [
                _ranking_quality(fold[strategy], labelled.truth[split.test])
                for (_, split), fold in zip(folds, results)
            ],
            axis=0,
        )
        if (reached > random.mean(axis=1) + bar * random.std(axis=1)).any():
            return True
    return False


def _first_repeat(folds: NamedSplits) -> list[tuple[TrainTestSplit, int]]:
    """Return the folds of the first repeat, with their places."""
    first = folds[0][0].partition("/")[0]
    return [(s, i) for i, (path, s) in enumerate(folds) if path.partition("/")[0] == first]


def random_ranking(labelled: LabelledTable, rows: Rows, rng: np.random.Generator) -> Floats:
    """Return average precision and area under the ROC curve of random orders of rows, shape (2, 300)."""
    positives = rows[labelled.truth[rows]]
    unit = np.arange(len(positives)) if labelled.group is None else labelled.group[positives]
    code = np.unique(unit, return_inverse=True)[1]
    place = np.sort(rng.random((_N_ORDERS, int(code.max()) + 1))[:, code], axis=1)
    above, start = np.zeros(_N_ORDERS, dtype=np.int64), np.zeros(_N_ORDERS)
    n, n_common = len(positives), len(rows) - len(positives)
    precision, below = np.zeros(_N_ORDERS), np.zeros(_N_ORDERS)
    for rank, end in enumerate(place.T, start=1):
        # Of the common rows that are left, those that lie between this positive and the one before.
        above += rng.binomial(n_common - above, (end - start) / (1 - start))
        precision += rank / (rank + above)
        below += n_common - above
        start = end
    return np.array([precision / n, below / (n * n_common)])


def _ranking_quality(found: FoldResult, truth: Mask) -> tuple[float, float]:
    area = areas(found.scores[~truth], found.scores[truth])[0]
    return float(found.precision.mean()), float(area)


N_FOLDS = 3  # train on two thirds: more folds cost more and share more of their rows
BUDGET_ROWS = (
    20 * 60_000
)  # per model on a large table: about 20 fits of 60,000 rows, minutes in all
# Standard errors that a strategy must be ahead. One is the usual rule for one rival; the best of some
# twenty rivals is ahead by chance more often (docs/decisions/0015-advice-takes-nothing-by-chance.md).
ERRORS = 1.2

_SCREEN_ROWS, _SCREEN_TREES = 10_000, 40  # of the first round on large tables: seconds per strategy
# a fit of few rows takes as long as if it had so many more (30 columns, 100 trees)
_FIXED_ROWS = 15_000
_N_KEPT = 4  # strategies of the last round
_MAX_REPEATS = 3  # of the last round: they share rows, so more of them add little


@dataclass(frozen=True)
class ModelSelection:
    """The selected strategy for one model, with the folds and results of the last round."""

    model_name: str
    strategies: Mapping[str, Strategy]  # by name, all that were tried
    differences: Mapping[str, Difference]  # from the last round that a strategy took part in
    shortlist: tuple[str, ...]  # strategies of the last round
    chosen: str  # "none", or the best of those that beat it by more than 1.2 standard errors
    tested: str  # the strategy to test beside "none": the chosen one, or the best of the others
    folds: NamedSplits
    results: Sequence[Mapping[str, FoldResult]]
    is_chance: bool = False  # no model ranks rows better than chance, so no choice is possible
    # Ratios that the thinned rows of the first round have anyway, and that did not come to the last.
    untried: tuple[str, ...] = ()


def select_strategies(
    trials: StrategyTrials,
    rows: Rows,
    strategies: Sequence[Strategy],
    model_name: str,
    gap: float = 0.0,
    budget_rows: float = BUDGET_ROWS,
    done: Callable[[int], None] = lambda n: None,
) -> ModelSelection:
    """Return the selection among strategies inside `rows`: all of them cheaply, then the best few.

    `gap` is that of `inner_folds`, `budget_rows` the number of rows that models may be trained on in all;
    `done` is called with the number of models fitted.
    """
    folds = _folds(trials, rows, 0, gap)
    thin = [(path, _thin_fold(trials, split, path)) for path, split in folds]
    is_whole = all(len(a.train) == len(b.train) for (_, a), (_, b) in zip(folds, thin))
    # A ratio that thinned rows have anyway would add nothing to them.
    idle = [
        one
        for one in strategies
        if not is_whole
        and one.ratio
        and extra_rows(one, trials.labelled.truth[thin[0][1].train]) == 0
    ]
    before = _cost(trials)
    if is_whole:
        first = trials.try_all(folds, strategies, model_name, done)
        differences = compare(first, strategies, folds, trials.labelled)
    else:
        tried = [strategy for strategy in strategies if strategy not in idle]
        first, differences = [], _screen(trials, thin, tried, model_name, done)
    kept = _best(strategies, differences, _N_KEPT if is_whole else _N_KEPT - 1)
    # The last round can try the greatest idle ratio of the best kept kind that has one.
    siblings = (one for best in kept for one in reversed(idle) if one.kind == best.kind)
    kept = [*kept, *islice(siblings, 1)]
    # Models of the screen have fewer than half the trees.
    left = np.inf if is_whole else budget_rows - 0.5 * (_cost(trials) - before)
    named: NamedSplits = _last_folds(trials, rows, gap, len(kept), left)
    if not is_whole and len(named) < 2:
        named = folds
    results = trials.try_all(named, kept, model_name, done)
    if is_whole:
        named, results = [*folds, *named], [*first, *results]
    last = compare(results, kept, named, trials.labelled)
    differences = _shrink({**differences, **last}, strategies)
    # A generator that refused a later fold has an early difference only.
    kept = [strategy for strategy in kept if strategy.name in last]
    chosen, tested = choose(kept, differences)
    rng = rng_for(trials.seed, "advise", "chance")
    is_chance = not is_above_chance(results, tested, named, trials.labelled, rng)
    return ModelSelection(
        model_name,
        {strategy.name: strategy for strategy in strategies},
        differences,
        tuple(s.name for s in kept),
        NONE.name if is_chance else chosen,
        tested,
        named,
        results,
        is_chance,
        tuple(one.name for one in idle if one not in kept),
    )


def _cost(trials: StrategyTrials) -> int:
    return trials.fitted_rows + _FIXED_ROWS * trials.fits


def _last_folds(
    trials: StrategyTrials, rows: Rows, gap: float, n_kept: int, left: float
) -> list[tuple[str, TrainTestSplit]]:
    """Return the folds of the last round: as many repeats as the rows that are `left` allow."""
    folds = _folds(trials, rows, 0, gap)
    each = float(np.mean([len(split.train) for _, split in folds])) + _FIXED_ROWS
    repeats = int(np.clip(left / (each * len(folds) * n_kept), 1, _MAX_REPEATS))
    if trials.labelled.time is not None:
        # By time the folds of all repeats are the same: a second look at them shows nothing new.
        repeats = 0 if np.isinf(left) else 1
    return [pair for repeat in range(1, repeats + 1) for pair in _folds(trials, rows, repeat, gap)]


def count_folds(trials: StrategyTrials, rows: Rows, gap: float) -> int:
    """Return the number of folds of the first repeat with both classes in train and test rows."""
    return len(_folds(trials, rows, 0, gap))


def pick_model(
    selections: Sequence[ModelSelection], labelled: LabelledTable | None = None
) -> ModelSelection:
    """Return the selection of the first model, unless another is ahead by 1.2 standard errors.

    Models are compared on the folds that their last rounds share, each with its chosen strategy.
    """
    best = selections[0]
    for other in selections[1:]:
        theirs = {path: fold for (path, _), fold in zip(other.folds, other.results)}
        shared = [i for i, (path, _) in enumerate(best.folds) if path in theirs]
        folds = [best.folds[i] for i in shared]
        if folds:
            own = [theirs[path][other.chosen].precision for path, _ in folds]
            base = [best.results[i][best.chosen].precision for i in shared]
            change, error = mean_change(own, base, folds, labelled)
            if change > ERRORS * error:
                best = other
    return best


def calibrate_strategy(
    selection: ModelSelection, name: str, labelled: LabelledTable
) -> CalibrationMethod:
    """Return the calibration of a strategy's probabilities, fitted on the folds of one repeat."""
    folds = []
    for split, i in _first_repeat(selection.folds):
        fold, truth = selection.results[i], labelled.truth[split.test]
        own = fold[name]
        folds.append(HeldOut(own.scores, fold[NONE.name].scores, truth, own.odds_factor))
    return calibrate(folds, drifts=labelled.time is not None)


def _screen(
    trials: StrategyTrials,
    folds: NamedSplits,
    strategies: Sequence[Strategy],
    model_name: str,
    done: Callable[[int], None],
) -> dict[str, Difference]:
    """Return differences from thinned folds and small models; the worst two thirds use one fold."""
    first = trials.try_all(folds[:1], strategies, model_name, done, _SCREEN_TREES)
    early = compare(first, strategies, folds[:1], trials.labelled)
    better = _best(strategies, early, len(strategies) // 3)
    rest = trials.try_all(folds[1:], better, model_name, done, _SCREEN_TREES)
    later = compare([*first, *rest], better, folds, trials.labelled)
    return _shrink({**early, **later}, strategies)


def choose(
    strategies: Sequence[Strategy], differences: Mapping[str, Difference], errors: float = ERRORS
) -> tuple[str, str]:
    """Return the name of the chosen strategy and of the best one that is not "none".

    A strategy is chosen only if its difference to "none" is greater than `errors` standard errors.
    """
    others = [s.name for s in strategies if s.name in differences and s.name != NONE.name]
    if not others:
        return NONE.name, NONE.name
    best = max(others, key=lambda name: differences[name].shrunk)
    passed = [n for n in others if differences[n].shrunk > errors * differences[n].error]
    if not passed:
        return NONE.name, best
    best = max(passed, key=lambda name: differences[name].shrunk)
    return best, best


def _best(
    strategies: Sequence[Strategy], differences: Mapping[str, Difference], n: int
) -> list[Strategy]:
    """Return "none" and the `n` best others."""
    others = [s for s in strategies if s.name in differences and s is not NONE]
    return [NONE, *sorted(others, key=lambda s: -differences[s.name].shrunk)[:n]]


def _folds(
    trials: StrategyTrials, rows: Rows, repeat: int, gap: float
) -> list[tuple[str, TrainTestSplit]]:
    rng = rng_for(trials.seed, "advise", "folds", repeat)
    splits = inner_folds(trials.labelled, rows, N_FOLDS, gap, rng)
    return [(f"repeat-{repeat}/fold-{k}", split) for k, split in enumerate(splits)]


def _thin_fold(trials: StrategyTrials, split: TrainTestSplit, path: str) -> TrainTestSplit:
    """Return the fold with so many of its common train rows that it has at most 10,000 rows."""
    truth = trials.labelled.truth[split.train]
    rare, common = split.train[truth], split.train[~truth]
    n_common = max(_SCREEN_ROWS - len(rare), 2 * len(rare))
    if len(common) <= n_common:
        return split
    rng = rng_for(trials.seed, "advise", path, "screen")
    kept = rng.choice(common, n_common, replace=False)
    return replace(split, train=np.sort(np.concatenate([rare, kept])))

"""Strategies tried on folds: all on the same splits, bins and seeds, so that they can be paired."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from twinset.core.data.dataset import Dataset
from twinset.core.data.where import Where
from twinset.core.errors import FitError, ParameterError, SchemaError
from twinset.core.features.encoder import FeatureEncoder
from twinset.core.seeding import draw_seed, rng_for
from twinset.core.stats.neighbors import nearest
from twinset.registry import build
from twinset.workflows.advise.folds import TrainTestSplit
from twinset.workflows.advise.labelled_table import Floats, LabelledTable, Rows
from twinset.workflows.advise.models import TREES, RawRows, Reader, fit, fit_encoder
from twinset.workflows.advise.ranking_metrics import precision_at_positives
from twinset.workflows.advise.strategies import (
    NONE,
    Strategy,
    extra_rows,
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
        """Return `n` synthetic rows of the rare class from those among `train`.

        Raises
        ------
        FitError, SchemaError, ParameterError
            The generator cannot be fitted to these rows.
        """
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


# Rows whose distances are measured: enough for shares to 1.5 points and a search of seconds.
_MAX_SYNTHETIC, _MAX_COMMON = 1_000, 20_000
_MAX_EQUAL = 1e-6  # distances up to this are rounding: the rows are equal


def measure_novelty(
    trials: StrategyTrials, split: TrainTestSplit, strategy: Strategy, seed: int
) -> dict[str, Any]:
    """Return novelty and intrusion of the synthetic rows of a strategy; empty where it adds none.

    Novelty: the distance of each synthetic row to the nearest real rare row, compared with those of real
    rare rows to each other. Intrusion: the share of synthetic rows whose nearest real row is a common
    one, compared with that of real rare rows.

    References
    ----------
    Hassanat et al., "Stop Oversampling for Class Imbalance Learning", arXiv 2202.03579, 2022.
    """
    labelled = trials.labelled
    truth = labelled.truth[split.train]
    n = extra_rows(strategy, truth)
    if strategy.family != "rows" or n == 0 or truth.sum() < 3:
        return {}
    rng = rng_for(seed, "advise", "made")
    n_measured = min(n, _MAX_SYNTHETIC)
    synthetic = trials.synthetic_rows(strategy.component, split.train, n_measured, "final")
    real = labelled.dataset.take(split.train).select(labelled.features)
    common = rng.permutation(np.flatnonzero(~truth))[:_MAX_COMMON]
    encoder = FeatureEncoder.fit(real)
    rare_x = encoder.transform(real.take(np.flatnonzero(truth)))
    common_x, synthetic_x = encoder.transform(real.take(common)), encoder.transform(synthetic)
    to_rare = nearest(synthetic_x, rare_x, 1)[0][:, 0]
    between = nearest(rare_x, rare_x, 2)[0][:, 1]
    # Thinned common rows lie further away than all of them would: both rates are low by the same rule.
    intruding = nearest(synthetic_x, common_x, 1)[0][:, 0] < to_rare
    real_intruding = nearest(rare_x, common_x, 1)[0][:, 0] < between
    # Real rows that repeat have no distance; among them every synthetic row would look far enough away.
    positive = between[between > _MAX_EQUAL]
    close = float(np.quantile(positive, 0.05)) if len(positive) else 0.0
    top = float(np.quantile(np.concatenate([to_rare, between]), 0.99)) or 1.0
    edges = np.linspace(0, top, 25)
    return {
        "rows": n,
        "rows_measured": len(synthetic),
        "component": strategy.component,
        "copies_fraction": float((to_rare <= _MAX_EQUAL).mean()),
        "close_fraction": float((to_rare <= close).mean()),
        "median_distance_ratio": float(np.median(to_rare)) / max(float(np.median(between)), 1e-9),
        "intrusion_fraction": float(intruding.mean()),
        "real_intrusion_fraction": float(real_intruding.mean()),
        "distances": {
            "edges": edges.tolist(),
            "synthetic": _shares(to_rare, edges),
            "real": _shares(between, edges),
        },
    }


def _shares(values: np.ndarray, edges: np.ndarray) -> list[float]:
    counts = np.histogram(np.minimum(values, edges[-1]), edges)[0]
    return [float(count) / max(1, len(values)) for count in counts]

"""Strategies tried on folds: every one on the same cuts, bins and seeds, so that they can be paired."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
from threadpoolctl import threadpool_limits

from twinset.core.data.dataset import Dataset
from twinset.core.data.where import Where
from twinset.core.errors import FitError, ParameterError, SchemaError
from twinset.core.features.encoder import FeatureEncoder
from twinset.core.seeding import draw_seed, rng_for
from twinset.core.stats.neighbors import nearest
from twinset.registry import build
from twinset.workflows.advise.folds import TrainTestSplit
from twinset.workflows.advise.labelled_table import LabelledTable
from twinset.workflows.advise.models import TREES, RawRows, Reader, fit, view_of
from twinset.workflows.advise.ranking_metrics import precision_at_positives
from twinset.workflows.advise.strategies import (
    NONE,
    Strategy,
    extra_rows,
    settings_of,
    training_rows,
)

Floats = npt.NDArray[np.float64]
Rows = npt.NDArray[np.int64]


@dataclass(frozen=True)
class FoldResult:
    """What one strategy reached on one fold.

    Parameters
    ----------
    scores : numpy.ndarray, shape (n_test,)
        Probabilities of the test rows as the model says them.
    precision : numpy.ndarray, shape (n_test_positives,)
        See `precision_at_positives`.
    odds_factor : float
        By how much the odds were raised in training.
    n_train : int
        Rows that the model was trained on.
    """

    scores: Floats
    precision: Floats
    odds_factor: float
    n_train: int


@dataclass
class StrategyTrials:
    """Where strategies are tried; it counts the rows that models were trained on.

    Parameters
    ----------
    labelled : Case
        The table.
    seed : int
        Decides every draw together with the path of the fold.
    workers : int
        Folds tried at a time; the result does not depend on it.
    refused : dict of str
        Generator -> why it could not be used on the first fold that it refused.
    """

    labelled: LabelledTable
    seed: int
    workers: int = 1
    fitted_rows: int = 0
    fits: int = 0
    refused: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.reader = Reader.of(self.labelled.dataset, self.labelled.features)
        self.raw = self.reader.read(self.labelled.dataset)
        self._drawn: dict[tuple[str, str, int, int], RawRows] = {}
        self._refusals: dict[str, dict[str, str]] = {}

    def try_all(
        self,
        splits: Sequence[tuple[str, TrainTestSplit]],
        strategies: Sequence[Strategy],
        model_name: str,
        done: Callable[[int], None] = lambda n: None,
        trees: int = TREES,
    ) -> list[dict[str, FoldResult]]:
        """Return for each fold what each strategy reached; a strategy that cannot be used is left out.

        Parameters
        ----------
        splits : sequence of (str, Cut)
            A name that decides the draws, and the fold.
        strategies : sequence of Strategy
            What to try.
        model_name : str
            See `models`.
        done : callable
            Called after every fold with the number of models fitted.
        trees : int
            Trees of a boosted model.
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
        self._note_refusals([path for path, _ in splits])
        self.fitted_rows += sum(result.n_train for fold in found for result in fold.values())
        self.fits += sum(len(fold) for fold in found)
        return found

    def synthetic_rows(self, component: str, train: Rows, n: int, path: str) -> Dataset:
        """Return `n` synthetic rows of the rare class from those among `train`.

        Raises
        ------
        FitError, SchemaError, ParameterError
            The generator cannot learn from these rows.
        """
        labelled = self.labelled
        rare = train[labelled.truth[train]]
        rng = rng_for(self.seed, "advise", path, component)
        generator = build("generator", component, settings_of(component))
        with warnings.catch_warnings():
            # Generators wonder about few rows; advice is asked because there are few.
            warnings.simplefilter("ignore", UserWarning)
            if generator.needs_others:
                fitted = generator.fit(labelled.dataset.take(train), rng)
                made = fitted.sample(n, rng, Where({labelled.target: labelled.positive}))
            else:
                alone = labelled.dataset.take(rare).select(labelled.features)
                made = generator.fit(alone, rng).sample(n, rng)
        return made.select(labelled.features)

    def _note_refusals(self, paths: Sequence[str]) -> None:
        """Keep why each generator refused on the first of these folds, whichever worker came first."""
        for path in paths:
            for component, reason in self._refusals.get(path, {}).items():
                self.refused.setdefault(component, reason)

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
        view = view_of(model_name, raw)
        x, test_x = view.transform(raw), view.transform(self.raw.take(split.test))
        seed = draw_seed(rng_for(self.seed, "advise", path, "model"))
        made = self._synthetic_by_component(path, split.train, strategies)
        hardness: Floats | None = None
        found: dict[str, FoldResult] = {}
        for strategy in sorted(strategies, key=lambda s: s.family == "thin"):
            if strategy.component and strategy.component not in made:
                continue
            if strategy.family == "thin" and hardness is None:
                hardness = fit(model_name, x, truth, None, seed, trees=trees)(x)
            rows = training_rows(
                strategy,
                x,
                truth,
                made=view.transform(made[strategy.component]) if strategy.component else None,
                hardness=hardness,
                rng=rng_for(self.seed, "advise", path, strategy.kind),
            )
            predict = fit(
                model_name, rows.x, rows.truth, rows.weight, seed, strategy.setting, trees
            )
            scores = predict(test_x)
            if strategy is NONE and any(s.family == "thin" for s in strategies):
                hardness = predict(x)
            found[strategy.name] = FoldResult(
                scores,
                precision_at_positives(scores, test_truth),
                rows.odds_factor,
                len(rows.truth),
            )
        return found

    def _synthetic_by_component(
        self, path: str, train: Rows, strategies: Sequence[Strategy]
    ) -> Mapping[str, RawRows]:
        """Return the synthetic rows of every generator, as many as its greatest ratio asks for."""
        truth = self.labelled.truth[train]
        needed: dict[str, int] = {}
        for strategy in strategies:
            if strategy.component:
                n = max(needed.get(strategy.component, 0), extra_rows(strategy, truth))
                needed[strategy.component] = n
        found = {}
        for component, n in needed.items():
            key = (component, path, len(train), n)
            if key in self._drawn:
                # Every model of a fold sees the same synthetic rows.
                found[component] = self._drawn[key]
                continue
            try:
                rows = self.synthetic_rows(component, train, n, path)
            except (FitError, SchemaError, ParameterError) as error:
                self._refusals.setdefault(path, {})[component] = str(error)
                continue
            found[component] = self._drawn[key] = self.reader.read(rows)
        return found


_MAX_SYNTHETIC, _MOST_COMMON = 1_000, 20_000
_SAME = 1e-6


def measure_novelty(
    bench: StrategyTrials, split: TrainTestSplit, strategy: Strategy, seed: int
) -> dict[str, Any]:
    """Return novelty and intrusion of the rows that a strategy makes; empty where it makes none.

    Novelty: how far each synthetic row lies from the nearest real rare row, against how far real rare
    rows lie from each other. Intrusion: how often the nearest real row of a synthetic row is a common
    one, against how often that is so for real rare rows.

    Parameters
    ----------
    bench, cut, strategy : Bench, Cut, Strategy
        Which rows are made of which.
    seed : int
        Draws the rows that are looked at.

    References
    ----------
    Hassanat et al., "Stop Oversampling for Class Imbalance Learning", arXiv 2202.03579, 2022.
    """
    labelled = bench.labelled
    truth = labelled.truth[split.train]
    n = extra_rows(strategy, truth)
    if strategy.family != "rows" or n == 0 or truth.sum() < 3:
        return {}
    rng = rng_for(seed, "advise", "made")
    made = bench.synthetic_rows(strategy.component, split.train, min(n, _MAX_SYNTHETIC), "final")
    real = labelled.dataset.take(split.train).select(labelled.features)
    common = rng.permutation(np.flatnonzero(~truth))[:_MOST_COMMON]
    encoder = FeatureEncoder.fit(real)
    rare_x = encoder.transform(real.take(np.flatnonzero(truth)))
    common_x, made_x = encoder.transform(real.take(common)), encoder.transform(made)
    to_rare, between = nearest(made_x, rare_x, 1)[0][:, 0], nearest(rare_x, rare_x, 2)[0][:, 1]
    # Thinned common rows lie further away than all of them would: both rates are low by the same rule.
    intruding = nearest(made_x, common_x, 1)[0][:, 0] < to_rare
    real_intruding = nearest(rare_x, common_x, 1)[0][:, 0] < between
    # Real rows that repeat have no distance; among them every synthetic row would look far enough away.
    apart = between[between > _SAME]
    close = float(np.quantile(apart, 0.05)) if len(apart) else 0.0
    top = float(np.quantile(np.concatenate([to_rare, between]), 0.99)) or 1.0
    edges = np.linspace(0, top, 25)
    return {
        "rows": n,
        "looked_at": len(made),
        "component": strategy.component,
        "copies_fraction": float((to_rare <= _SAME).mean()),
        "close_fraction": float((to_rare <= close).mean()),
        "median_distance_ratio": float(np.median(to_rare)) / max(float(np.median(between)), 1e-9),
        "intrusion_fraction": float(intruding.mean()),
        "real_intrusion_fraction": float(real_intruding.mean()),
        "distances": {
            "edges": edges.tolist(),
            "made": _shares(to_rare, edges),
            "real": _shares(between, edges),
        },
    }


def _shares(values: np.ndarray, edges: np.ndarray) -> list[float]:
    counts = np.histogram(np.minimum(values, edges[-1]), edges)[0]
    return [float(count) / max(1, len(values)) for count in counts]

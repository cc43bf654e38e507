"""Whether each column follows from all others as it does in real rows."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from twinset.core.contracts import (
    Comparison,
    Measurement,
    Metric,
    MetricFamily,
    NotMeasurable,
    Parts,
)
from twinset.core.dataset import Dataset
from twinset.core.errors import ParameterError
from twinset.core.features import FeatureEncoder, Matrix
from twinset.core.resampling import Groups
from twinset.core.schema import TABULAR_KINDS
from twinset.core.seeding import draw_seed

from ._columns import chosen_columns
from ._labels import Labels, labeller

Floats = npt.NDArray[np.float64]

_TREES, _MIN_LEAF = 16, 5
_OF_SHARES = 0.02
"""How much of every forecast is the column's own shares: no row is ever impossible."""
_LEAST_ROWS = 40


@dataclass(frozen=True, kw_only=True)
class Conditionals(Metric):
    """Asks whether each column follows from all others as it does in real rows.

    Forests learn, from real rows, to forecast each column from all others: its level, or which of
    eight real quantile bins a number lies in. Then the synthetic rows and real ones that the forest
    has not seen are held against the forecasts. The number of a column is the difference of the two
    mean log losses, in nats, either way: a shuffled column, noise and flipped labels surprise the
    forests, rows that are too neat surprise them less than real ones do. The value is the mean over
    the columns.

    Parameters
    ----------
    margin : float
        Largest harm that still counts as good as real, in nats.
    column_margin : float
        The same for a single column: one that is farther off makes the whole different.
    max_rows : int
        Rows of each side that are looked at, 40 or more.
    max_columns : int
        Columns looked at, 2 or more; of a wider table the target and the first ones are taken.
    replicates : int
        Bootstrap replicates; rows are drawn, the forests are not grown again.

    References
    ----------
    Jiang, Simjian and others, "TabStruct: Measuring Structural Fidelity of Tabular Data", 2025
    (every column predicted from the rest); Geurts, Ernst and Wehenkel, "Extremely randomized trees",
    Machine Learning 63, 2006.
    """

    family: ClassVar[MetricFamily] = "gap"
    higher_is_better: ClassVar[bool] = False
    bounds: ClassVar[tuple[float, float]] = (0.0, math.inf)
    kinds: ClassVar[frozenset[str]] = TABULAR_KINDS
    is_thorough: ClassVar[bool] = True

    margin: float = 0.03
    column_margin: float = 0.015
    max_rows: int = 10_000
    max_columns: int = 40
    replicates: int = 200

    def __post_init__(self) -> None:
        if min(self.margin, self.column_margin) < 0 or min(self.max_columns, self.replicates) < 2:
            raise ParameterError(
                "a setting is out of its range",
                allowed="margin and column_margin >= 0; max_columns and replicates >= 2",
            )
        if self.max_rows < _LEAST_ROWS:
            raise ParameterError(
                "the number of rows is out of range", got=str(self.max_rows), allowed="40 or more"
            )

    def compute(self, comparison: Comparison, rng: np.random.Generator) -> Measurement:
        """Return the mean difference of the log losses over the columns, in nats, 0 or more."""
        reference = comparison.reference.at_most(self.max_rows, rng)
        synthetic = comparison.synthetic.at_most(self.max_rows, rng)
        names = chosen_columns(reference, comparison.target, self.max_columns)
        if len(names) < 2:
            raise NotMeasurable("a column that follows from others needs two, and there are fewer")
        if min(len(reference), len(synthetic)) < _LEAST_ROWS:
            raise NotMeasurable(f"it needs at least {_LEAST_ROWS} rows of each side")
        seed = draw_seed(rng)
        groups = [Groups.deal(len(part), self.replicates, rng) for part in (reference, synthetic)]
        key = f"forecasts of {names}"
        if key not in comparison.cache:
            comparison.cache[key] = _Forecasts.of(reference, names, seed)
        losses = comparison.cache[key].losses(synthetic)
        real, made = (group.means(loss) for group, loss in zip(groups, losses))
        values = np.abs(made[0] - real[0])[0]
        replicates = np.abs(made[1] - real[1])
        worst = np.argsort(-values, kind="stable")
        details: dict[str, Any] = {
            # Not called "columns", which readers take for distances of at most 1.
            "log_losses": {names[i]: float(values[i]) for i in worst},
            "rows": {"real": len(reference), "synthetic": len(synthetic)},
            "max_rows": self.max_rows,
        }
        if len(names) < len(reference.schema.names):
            details["note"] = f"{len(names)} of {len(reference.schema.names)} columns were compared"
        return Measurement(
            float(values.mean()),
            replicates.mean(axis=1),
            details,
            Parts("column", tuple(names), values, replicates, self.column_margin),
        )


def log_losses(
    features: Matrix, labels: Labels, n_labels: int, to: Matrix, labels_to: Labels, seed: int
) -> tuple[Floats, Floats]:
    """Return how surprising labels are to forests of the other rows.

    The rows are cut in two; each half is forecast by a forest of the other half, rows of `to` by
    both, of which the mean loss is taken.

    Parameters
    ----------
    features, labels : numpy.ndarray, shapes (n, d) and (n,)
        Rows to learn from, and what to forecast: 0 to `n_labels` - 1.
    n_labels : int
        Number of labels.
    to, labels_to : numpy.ndarray, shapes (m, d) and (m,)
        Further rows to forecast.
    seed : int
        Seed of the cut and of the forests.

    Returns
    -------
    own, other : numpy.ndarray, shapes (n,) and (m,)
        Log losses in nats.

    Examples
    --------
    >>> x = np.arange(40, dtype=np.float32)[:, None] % 2
    >>> y = (np.arange(40) % 2).astype(np.int64)
    >>> own, other = log_losses(x, y, 2, x[:2], 1 - y[:2], 0)
    >>> float(own.round(2).max()), other.round(2).tolist()
    (0.01, [4.65, 4.65])
    """
    forests = _Halves.grow(features, labels, n_labels, seed)
    return forests.own, forests.loss(to, labels_to)


@dataclass(frozen=True)
class _Halves:
    """Two forests, each of one half of the rows, and what each half lost by the other's forest."""

    forests: tuple[Any, ...]
    shares: tuple[Floats, ...]
    own: Floats

    @classmethod
    def grow(cls, features: Matrix, labels: Labels, n_labels: int, seed: int) -> _Halves:
        from sklearn.ensemble import ExtraTreesClassifier

        half = np.random.default_rng(seed).permutation(len(labels)) % 2
        forests, shares, own = [], [], np.empty(len(labels))
        for k in range(2):
            seen, out = half == k, half != k
            forest = ExtraTreesClassifier(
                n_estimators=_TREES, min_samples_leaf=_MIN_LEAF, max_features=0.5, random_state=seed
            ).fit(features[seen], labels[seen])
            counts = np.bincount(labels[seen], minlength=n_labels) + 0.5
            forests.append(forest)
            shares.append(counts / counts.sum())
            own[out] = _loss(forest, shares[k], features[out], labels[out])
        return cls(tuple(forests), tuple(shares), own)

    def loss(self, features: Matrix, labels: Labels) -> Floats:
        """Return the loss of other rows, the mean over both forests, shape (m,)."""
        pairs = zip(self.forests, self.shares)
        return np.asarray(np.mean([_loss(f, s, features, labels) for f, s in pairs], axis=0))


@dataclass(frozen=True)
class _Forecasts:
    """The forests of every column, learnt from one set of real rows."""

    names: tuple[str, ...]
    encoders: dict[str, FeatureEncoder]
    labellers: dict[str, Any]
    forests: dict[str, _Halves]

    @classmethod
    def of(cls, real: Dataset, names: list[str], seed: int) -> _Forecasts:
        encoders = {name: FeatureEncoder.fit(real.select([name])) for name in names}
        labellers = {name: labeller(real, name) for name in names}
        blocks = {name: encoders[name].transform(real) for name in names}
        forests = {}
        for name in names:
            labels, n_labels = labellers[name](real)
            forests[name] = _Halves.grow(_others(blocks, name), labels, n_labels, seed)
        return cls(tuple(names), encoders, labellers, forests)

    def losses(self, synthetic: Dataset) -> tuple[Floats, Floats]:
        """Return the losses of the real and of the synthetic rows, shapes (n, d) and (m, d)."""
        blocks = {name: self.encoders[name].transform(synthetic) for name in self.names}
        made = [
            self.forests[name].loss(_others(blocks, name), self.labellers[name](synthetic)[0])
            for name in self.names
        ]
        own = [self.forests[name].own for name in self.names]
        return np.column_stack(own), np.column_stack(made)


def _others(blocks: dict[str, Matrix], name: str) -> Matrix:
    return np.concatenate([block for other, block in blocks.items() if other != name], axis=1)


def _loss(forest: Any, shares: Floats, features: Matrix, labels: Labels) -> Floats:
    told = np.zeros((len(labels), len(shares)))
    told[:, forest.classes_] = forest.predict_proba(features)
    told = (1 - _OF_SHARES) * told + _OF_SHARES * shares
    return np.asarray(-np.log(told[np.arange(len(labels)), labels]))

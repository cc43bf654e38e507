"""Every column of real rows predicted from the others, by models that were trained on synthetic rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np

from twinset.core.contracts import Comparison, ComponentResults, Measurement, NotMeasurable
from twinset.core.data.dataset import Dataset
from twinset.core.data.schema import TABULAR_KINDS
from twinset.core.features.models import build_discriminator_table
from twinset.core.findings import ColumnLimit
from twinset.core.parameters import Ge, Margin
from twinset.core.seeding import draw_seed, rng_for
from twinset.core.stats.bootstrap import Groups

from ._holdout_scores import Floats, UtilityMetric

_MIN_ROWS = 60  # of each set: with fewer, forests explain noise
# Holdout rows of a column that differ from its most frequent value: with fewer, the variance that models
# could explain is that of a few rows, and its share has no bounds
_MIN_VARYING = 20
_MIN_EXPLAINED = 0.05  # by real rows, of a column in the global utility: below, ratios are noise
_N_TREES, _MIN_LEAF, _MAX_FEATURES = 24, 5, 0.5  # small forests, since there is one for each column
# Parts of the train rows, each with a forest of as many times fewer trees. The variance over them, by their
# number, is that of the forest of all rows, since it falls with rows and with trees. Four take a quarter of
# that forest's time.
_N_PARTS = 4
_MAX_LEVELS = 8  # of a category that are predicted by themselves; the others are one outcome


@dataclass(frozen=True, kw_only=True)
class EveryColumn(UtilityMetric):
    """Share of the variance of real columns that models of synthetic rows explain, mean over columns.

    value = mean_j (1 - sum_i (y_ij - f_j(x_i))^2 / sum_i (y_ij - mean y_j)^2) over the real holdout,
    where f_j is a forest that predicts column j from all others. 1 is all, 0 what a constant explains,
    less is worse than that; the baseline is that of forests of real rows. For a set without one known
    target, this says what it is good for. Numbers and dates count by their rank among real ones, so that
    no large one decides; labels by indicators (Brier's skill score). The interval holds the chance of the
    holdout rows, and that of the rows and trees of the forests.

    Parameters
    ----------
    column_margin : float
        The margin for a single column: one beyond it makes the whole different.
    max_rows : int
        Rows of each set that are used, 60 or more.
    max_columns : int
        Columns that are predicted, 2 or more; of a wider table the target and the first ones.

    References
    ----------
    Jiang, Simjian and others, "TabStruct: Measuring Structural Fidelity of Tabular Data", 2025 (global
    utility; there the score of each column is divided by that of real rows, as `global_utility` in the
    facts).

    Examples
    --------
    >>> import pyarrow as pa
    >>> from twinset.core.data.dataset import Dataset
    >>> x = np.random.default_rng(0).normal(size=(3, 300))
    >>> real, held, synthetic = (Dataset.from_arrow(pa.table({"x": v, "y": -v})) for v in x)
    >>> found = EveryColumn().compute(Comparison(real, synthetic, held), np.random.default_rng(1))
    >>> found.value > 0.95
    True
    """

    title: ClassVar[str] = "every column predicted from the others"
    interpretation: ClassVar[str] = (
        "Each column is predicted from all others, by models of synthetic rows, on real ones: the share "
        "of the variance that they explain, on average. The baseline is what models of real rows "
        "explain; the nearer, the more purposes the set serves."
    )
    bounds: ClassVar[tuple[float, float]] = (float("-inf"), 1.0)
    kinds: ClassVar[frozenset[str]] = TABULAR_KINDS
    is_thorough: ClassVar[bool] = True

    margin: Margin = 0.02
    column_margin: Margin = 0.05
    max_rows: Annotated[int, Ge(_MIN_ROWS)] = 5_000
    max_columns: Annotated[int, Ge(2)] = 30

    def compute(self, comparison: Comparison, rng: np.random.Generator) -> Measurement:
        """Return the mean share of the variance that is explained; facts hold each column's."""
        target = comparison.target
        names = sorted(comparison.train.schema.names, key=lambda name: name != target)
        n_columns, names = len(names), names[: self.max_columns]
        if len(names) < 2:
            raise NotMeasurable("a column that is predicted from others needs two")
        holdout = comparison.reference.at_most(self.max_rows, rng)
        if min(len(holdout), len(comparison.train), len(comparison.synthetic)) < _MIN_ROWS:
            raise NotMeasurable(f"it needs at least {_MIN_ROWS} rows of each set")
        seed = draw_seed(rng)
        groups = Groups.assign(len(holdout), self.replicates, rng)
        train = comparison.train.at_most(self.max_rows, rng)
        key = f"every column: {names}, {self.max_rows}"
        if key not in comparison.cache:
            comparison.cache[key] = compute_column_losses(train, train, holdout, names, seed)
        real: ColumnLosses = comparison.cache[key]
        if not real.names:
            raise NotMeasurable("no column varies enough among the holdout rows")
        found, synthetic = real, comparison.synthetic.at_most(self.max_rows, rng)
        if comparison.synthetic is not comparison.train:
            found = compute_column_losses(train, synthetic, holdout, names, seed)
        values, drawn = found.explained(groups)
        by_real, _ = real.explained(groups)
        if found is not real and not comparison.value_only:
            parts_key = f"{key}, parts"
            if parts_key not in comparison.cache:
                comparison.cache[parts_key] = explain_by_parts(train, holdout, names, seed)
            wider = np.sqrt(1 + len(train) / len(synthetic))  # both forests are drawn
            drawn = drawn + wider * draw_training(comparison.cache[parts_key], len(drawn), rng)
        usable = by_real >= _MIN_EXPLAINED
        if not usable.any():
            raise NotMeasurable("models of real rows predict no column from the others either")
        ratios = values[usable] / by_real[usable]
        facts = {
            "explained": {
                real.names[i]: {"synthetic": float(values[i]), "real": float(by_real[i])}
                for i in np.argsort(values - by_real, kind="stable")  # worst first
            },
            "global_utility": float(np.mean(ratios)),
            "max_rows": self.max_rows,
        }
        limit = (ColumnLimit(len(names), n_columns),) if n_columns > len(names) else ()
        components = ComponentResults("column", real.names, values, drawn, self.column_margin)
        return Measurement(float(values.mean()), drawn.mean(axis=1), limit, components, facts)


@dataclass(frozen=True)
class ColumnLosses:
    """Squared errors of holdout rows, (n, columns), for columns that vary, and those of a constant.

    They are 0 where the value is missing.
    """

    names: tuple[str, ...]
    own: Floats
    constant: Floats

    def explained(self, groups: Groups) -> tuple[Floats, Floats]:
        """Return the share of variance explained, shape (columns,), and replicates, (b, columns)."""
        own, own_drawn = groups.means(self.own)
        constant, constant_drawn = groups.means(self.constant)
        drawn = 1 - own_drawn / np.maximum(constant_drawn, 1e-12)
        return np.asarray(1 - own[0] / constant[0]), np.asarray(drawn)


def explain_by_parts(train: Dataset, holdout: Dataset, names: Sequence[str], seed: int) -> Floats:
    """Return the share of variance that forests of parts of the train rows explain, (parts, columns)."""
    order, found = rng_for(seed, "parts").permutation(len(train)), []
    for i in range(_N_PARTS):
        part = train.take(np.sort(order[i::_N_PARTS]))
        losses = compute_column_losses(
            train, part, holdout, names, seed + i, n_trees=_N_TREES // _N_PARTS
        )
        found.append(1 - losses.own.mean(axis=0) / losses.constant.mean(axis=0))
    return np.array(found)


def draw_training(by_parts: Floats, b: int, rng: np.random.Generator) -> Floats:
    """Return `b` deviations by chance of a forest of all parts, (b, columns), given each part's numbers.

    A bootstrap of n parts underestimates their spread by sqrt((n - 1) / n), and is widened by the inverse.
    """
    n = len(by_parts)
    drawn = by_parts[rng.integers(0, n, (b, n))].mean(axis=1)
    return np.asarray((drawn - by_parts.mean(axis=0)) * np.sqrt(n / (n - 1)))


def compute_column_losses(
    real: Dataset,
    learn_from: Dataset,
    holdout: Dataset,
    names: Sequence[str],
    seed: int,
    *,
    n_trees: int = _N_TREES,
) -> ColumnLosses:
    """Return the losses of forests of `learn_from` on each column of the holdout.

    The rows of `real` define ranks and most frequent labels.
    """
    table = build_discriminator_table([real, learn_from, holdout], names)
    # Missing is a value below all others.
    low = np.nanmin(np.where(np.isnan(table.parts[0]), np.inf, table.parts[0]), axis=0, initial=0)
    _, x, held = (np.where(np.isnan(part), low - 1, part) for part in table.parts)
    kept, own, constant = [], [], []
    for i, name in enumerate(names):
        outcomes, truth = _outcomes(real, [learn_from, holdout], name)
        present = truth[~np.isnan(truth[:, 0])]
        if _count_varying(present) < _MIN_VARYING:
            continue
        others = np.delete(x, i, axis=1), np.delete(held, i, axis=1)
        predicted = _predict(others[0], outcomes, others[1], seed, n_trees)
        kept.append(name)
        own.append(_squared(truth, predicted))
        constant.append(_squared(truth, np.nanmean(truth, axis=0)))
    if not kept:
        return ColumnLosses((), *np.zeros((2, len(holdout), 0)))
    return ColumnLosses(tuple(kept), np.column_stack(own), np.column_stack(constant))


def _count_varying(outcomes: Floats) -> int:
    """Return the rows that have another outcome than the most frequent one."""
    counts = np.unique(outcomes, axis=0, return_counts=True)[1]
    return len(outcomes) - int(counts.max(initial=0))


def _squared(outcomes: Floats, predicted: Floats) -> Floats:
    """Return the squared error of each row, shape (n,), 0 where the outcome is missing."""
    return np.asarray(np.nan_to_num((outcomes - predicted) ** 2).sum(axis=1))


def _predict(x: Floats, outcomes: Floats, other: Floats, seed: int, n_trees: int) -> Floats:
    """Return the predictions of a forest for `other`, shape (n, k); zeros where no outcome is known."""
    from sklearn.ensemble import ExtraTreesRegressor

    known = ~np.isnan(outcomes[:, 0])
    if not known.any():
        return np.zeros((len(other), outcomes.shape[1]))
    # Shares of labels are means of indicators: one forest of regression trees predicts them all.
    forest = ExtraTreesRegressor(
        n_trees, min_samples_leaf=_MIN_LEAF, max_features=_MAX_FEATURES, random_state=seed
    ).fit(x[known], outcomes[known] if outcomes.shape[1] > 1 else outcomes[known, 0])
    return np.asarray(forest.predict(other)).reshape(len(other), -1)


def _outcomes(real: Dataset, sets: Sequence[Dataset], name: str) -> list[Floats]:
    """Return the targets of each set, shape (n, k): a rank in [0, 1], or an indicator of each label."""
    if real.schema[name].has_levels:
        codes, levels = real.codes(name)
        counts = np.bincount(codes[codes >= 0], minlength=len(levels))
        common = [levels[i] for i in np.argsort(-counts, kind="stable")[:_MAX_LEVELS]]
        place = {level: i for i, level in enumerate(common)}
        found = []
        for part in sets:
            codes, own_levels = part.codes(name)
            to = np.array([*[place.get(v, len(common)) for v in own_levels], len(common) + 1])
            found.append(np.eye(len(common) + 2)[to[codes]])
        return found
    values = np.sort(real.values(name))
    values = values[~np.isnan(values)]
    out = []
    for part in sets:
        own = part.values(name)
        left, right = (np.searchsorted(values, own, side=side) for side in ("left", "right"))
        rank = (left + right) / 2 / max(len(values), 1)
        out.append(np.where(np.isnan(own), np.nan, rank)[:, None])
    return out

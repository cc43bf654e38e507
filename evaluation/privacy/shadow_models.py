"""Shadow models: a membership attack by fitting the generator again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np

from twinset.core.contracts import Comparison, Measurement, NotMeasurable
from twinset.core.data.dataset import Dataset, sample_positions
from twinset.core.errors import ParameterError
from twinset.core.findings import DecidingRows, MembershipAttack
from twinset.core.parameters import Ge, Margin
from twinset.core.stats.hypothesis_tests import areas
from twinset.core.stats.neighbors import nearest

from ._attacks import (
    Attack,
    AttackTargets,
    Floats,
    Mask,
    Positions,
    choose_positions,
    distance_floor,
    distances_to_others,
    draw_counts,
    true_positive_rate,
)

_NORMAL_QUANTILE = 1.96  # two-sided 95 % interval of a normal distribution
_N_NEIGHBORS = 5  # synthetic rows of the second signal: single near rows vary too much
_RIDGE = 1e-3  # of the variance: the two signals of few releases may be collinear
_MIN_ROWS = 20  # of members and of control rows: an AUC of fewer is noise

Release = Callable[[tuple[Positions, Positions], np.random.Generator], Dataset]
"""Positions of real rows -> synthetic rows of the generator that was fitted to them."""


@dataclass(frozen=True, kw_only=True)
class ShadowModels(Attack):
    """AUC of an attack that separates train rows from control rows by fitting the generator again.

    The generator is fitted again to random halves of the real rows, members and control rows alike, so that
    each attack target is a train row of half of these shadow generators. Their rows near a target, with
    it and without it, give a likelihood ratio for every single row: LiRA, on the distances of
    `privacy.membership`. It is the strongest attack on membership here and takes as long as many fits:
    it runs only on request.

    The value is the area under the ROC curve: the probability that the attacker picks the member of a
    member and a control row. Rows are attacked, not persons: where a person has many rows, more can leak.

    Parameters
    ----------
    n_shadows : int
        Fits of the generator, 4 or more, even.
    max_rows : int
        Train rows that are attacked, and control rows.
    max_others : int
        Real rows that are not attacked and that shadow generators are fitted to as well.
    max_synthetic : int
        Synthetic rows of each release.

    References
    ----------
    Carlini et al. (2022), Membership Inference Attacks From First Principles, IEEE S&P.
    Stadler, Oprisanu, Troncoso (2022), Synthetic Data - Anonymisation Groundhog Day, USENIX Security.

    Examples
    --------
    >>> import pyarrow as pa
    >>> rng = np.random.default_rng(0)
    >>> train, control = (Dataset.from_arrow(pa.table({"x": rng.normal(size=200)})) for _ in "ab")
    >>> from twinset.core.contracts import ComparisonContext
    >>> def copy(members, others, n, rng):
    ...     return Dataset.concat([train.take(members), control.take(others)])
    >>> sets = Comparison(train, train, control, context=ComparisonContext(refit=copy))
    >>> ShadowModels(n_shadows=4).compute(sets, rng).value > 0.95
    True
    """

    title: ClassVar[str] = "separating training rows from others, by fitting the generator again"
    interpretation: ClassVar[str] = (
        "The same guess by an attacker who can fit the generator again, many times, with a row and "
        "without it: the strongest attack here. 0.5 is guessing, 1 is always right."
    )
    attack: ClassVar[str | None] = "shadow"
    bounds: ClassVar[tuple[float, float]] = (0.5, 1.0)
    known_baseline: ClassVar[float | None] = 0.5
    is_thorough: ClassVar[bool] = True
    on_request: ClassVar[bool] = True

    margin: Margin = 0.03
    n_shadows: Annotated[int, Ge(4)] = 16
    max_rows: Annotated[int, Ge(1)] = 5_000
    max_others: Annotated[int, Ge(0)] = 20_000
    max_synthetic: Annotated[int, Ge(1)] = 50_000

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.n_shadows % 2:
            raise ParameterError(
                "'n_shadows' is odd", got=str(self.n_shadows), allowed="an even integer >= 4"
            )

    def compute(self, comparison: Comparison, rng: np.random.Generator) -> Measurement:
        """Return the AUC of the attack, 0.5 to 1; facts hold its upper bound and the true positive rate."""
        refit = comparison.context.refit
        if refit is None:
            raise NotMeasurable(
                "the generator cannot be fitted again; it can where a recipe generates the rows, and for a "
                "twin with the note that `twinset twin` wrote beside it"
            )
        members, control = choose_positions(comparison, self.max_rows, rng)
        if min(len(members), len(control)) < _MIN_ROWS:
            raise NotMeasurable(f"the attack needs at least {_MIN_ROWS} rows of each set")
        weights = [draw_counts(len(rows), self.replicates, rng) for rows in (members, control)]
        targets = AttackTargets.from_comparison(comparison, members, control)
        pool = ShadowPool.from_rows(comparison, (members, control), self.max_others, rng)

        def release(rows: tuple[Positions, Positions], stream: np.random.Generator) -> Dataset:
            synthetic = refit(*rows, self.max_synthetic, stream)
            if not len(synthetic):
                raise NotMeasurable("the generator returned no row")
            return synthetic.at_most(self.max_synthetic, stream)

        shadows = ShadowScores.fit(pool, targets, release, self.n_shadows, rng)
        held = comparison.synthetic.at_most(self.max_synthetic, rng)
        scale = distance_floor(distances_to_others(targets.features))
        found = shadows.scores(compute_signals(targets, held, scale))
        high, low = targets.separate(found)
        value, drawn = float(areas(low, high)[0]), areas(low, high, weights[1], weights[0])
        upper = min(1.0, value + _NORMAL_QUANTILE * float(np.std(drawn, ddof=1)))
        n, m = len(high), len(low)
        facts = {
            "auc": value,
            "upper_bound": upper,
            "true_positive_rate_at_1_percent_false": true_positive_rate(high, low),
            "n_shadows": self.n_shadows,
            "rows": {"train": n, "control": m, "synthetic": len(held)},
        }
        findings = (
            MembershipAttack(max(value, 0.5), max(upper, 0.5)),
            DecidingRows(min(n, m), "attacked rows of the smaller set"),
        )
        return Measurement(max(value, 0.5), drawn, findings, facts=facts)


@dataclass(frozen=True)
class ShadowScores:
    """Signals of the attack targets, shape (k, n, 2), in releases of shadow generators.

    `is_in`, shape (k, n), are the train rows of each; every row is in half of them.
    """

    signals: Floats
    is_in: Mask

    @classmethod
    def fit(
        cls,
        pool: ShadowPool,
        targets: AttackTargets,
        release: Release,
        k: int,
        rng: np.random.Generator,
    ) -> ShadowScores:
        """Return the signals of `k` generators on random halves of the pool, each row in half of them."""
        order = np.argsort(rng.random((len(targets.features), k)), axis=1).T
        is_in = order < k // 2
        scale = distance_floor(distances_to_others(targets.features))
        signals = []
        for inside, stream in zip(is_in, rng.spawn(k)):
            halves, draws = stream.spawn(2)
            synthetic = release(pool.half(inside, halves), draws)
            signals.append(compute_signals(targets, synthetic, scale))
        return cls(np.array(signals), is_in)

    def scores(self, signals: Floats) -> Floats:
        """Return the log likelihood ratio of each row being a train row, shape (n,).

        Signals of a row in and out are normal, with means of their own and one covariance for all rows,
        as in Carlini et al. where shadow models are few. The difference of the two means of a row is shrunk
        towards that of all rows by its error. A shift of all rows, such as of a release of another size, is
        removed.
        """
        weight = self.is_in[:, :, None].astype(np.float64)
        n_in, n_out = weight.sum(axis=0), (1 - weight).sum(axis=0)
        inside = (weight * self.signals).sum(axis=0) / n_in
        outside = ((1 - weight) * self.signals).sum(axis=0) / n_out
        residuals = self.signals - np.where(weight > 0, inside, outside)
        k, n, _ = self.signals.shape
        covariance = np.einsum("kni,knj->ij", residuals, residuals) / (n * (k - 2))
        noise = np.diag(covariance) * float((1 / n_in + 1 / n_out).mean())
        difference = inside - outside
        whole = difference.mean(axis=0)
        own = np.maximum(difference.var(axis=0) - noise, 0.0)
        difference = whole + (difference - whole) * own / np.maximum(own + noise, 1e-300)
        off = signals - (inside + outside) / 2
        off = off - np.median(off, axis=0)
        ridge = _RIDGE * np.trace(covariance) / 2 + 1e-12
        solved = np.linalg.solve(covariance + ridge * np.eye(2), difference.T).T
        return np.asarray((solved * off).sum(axis=1))


@dataclass(frozen=True)
class ShadowPool:
    """Positions in train and in reference of the attacked rows, and of the others, that shadows learn."""

    attacked: tuple[Positions, Positions]
    others: tuple[Positions, Positions]

    @classmethod
    def from_rows(
        cls,
        comparison: Comparison,
        attacked: tuple[Positions, Positions],
        n: int,
        rng: np.random.Generator,
    ) -> ShadowPool:
        """Return the attacked rows and at most `n` others, from both sets by their sizes."""
        sizes = len(comparison.train), len(comparison.reference)
        rest = [np.setdiff1d(np.arange(size), at) for size, at in zip(sizes, attacked)]
        chosen = sample_positions(sum(map(len, rest)), n, rng)
        in_train = chosen < len(rest[0])
        others = rest[0][chosen[in_train]], rest[1][chosen[~in_train] - len(rest[0])]
        return cls(attacked, others)

    def half(self, inside: Mask, rng: np.random.Generator) -> tuple[Positions, Positions]:
        """Return the attacked rows that are `inside`, members first, and a random half of the others."""
        n = len(self.attacked[0])
        parts = []
        for own, kept, others in zip(self.attacked, (inside[:n], inside[n:]), self.others):
            parts.append(np.append(own[kept], rng.permutation(others)[: len(others) // 2]))
        return parts[0], parts[1]


def compute_signals(targets: AttackTargets, synthetic: Dataset, scale: float) -> Floats:
    """Return the nearness of synthetic rows to each attack target, shape (n, 2).

    -ln of the distance to the nearest, and the mean of -ln of the distances to the five nearest: a copy
    shows in the first, a cluster around a row in the second. These are the densities of the attack
    without shadow models; they need no calibration, since every row is compared with itself.
    """
    features = targets.encoder.transform(synthetic)
    near = nearest(targets.features, features, min(_N_NEIGHBORS, len(features)))[0]
    logs = -np.log(near.astype(np.float64) + scale)
    return np.column_stack([logs[:, 0], logs.mean(axis=1)])

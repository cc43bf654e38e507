"""Shadow models: a membership attack by fitting the generator again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

import numpy as np

from twinset.core.contracts import Comparison, Measurement, Metric, MetricFamily, NotMeasurable
from twinset.core.data.dataset import Dataset
from twinset.core.data.schema import TABULAR_KINDS
from twinset.core.errors import ParameterError
from twinset.core.findings import DecidingRows, MembershipAttack
from twinset.core.parameters import Ge, Margin, Replicates

from ._membership_attack import (
    AttackTargets,
    Positions,
    choose_positions,
    compute_auc,
    draw_counts,
    round_rate,
    true_positive_rate,
    weighted_aucs,
)
from ._shadows import ShadowPool, ShadowScores, compute_signals, row_scale

_NORMAL_QUANTILE = 1.96  # two-sided 95 % interval of a normal distribution
_MIN_ROWS = 20  # of members and of control rows: an AUC of fewer is noise


@dataclass(frozen=True, kw_only=True)
class ShadowModels(Metric):
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
    margin : float
        Largest degradation that still counts as equivalent, in the unit of the value.
    n_shadows : int
        Fits of the generator, 4 or more, even.
    max_rows : int
        Train rows that are attacked, and control rows.
    max_others : int
        Real rows that are not attacked and that shadow generators are fitted to as well.
    max_synthetic : int
        Synthetic rows of each release.
    replicates : int
        Bootstrap replicates of the attacked rows.

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

    family: ClassVar[MetricFamily] = "privacy"
    title: ClassVar[str] = "separating training rows from others, by fitting the generator again"
    interpretation: ClassVar[str] = (
        "The same guess by an attacker who can fit the generator again, many times, with a row and "
        "without it: the strongest attack here. 0.5 is guessing, 1 is always right."
    )
    attack: ClassVar[str | None] = "shadow"
    higher_is_better: ClassVar[bool] = False
    bounds: ClassVar[tuple[float, float]] = (0.5, 1.0)
    kinds: ClassVar[frozenset[str]] = TABULAR_KINDS
    has_floor: ClassVar[bool] = False
    known_baseline: ClassVar[float | None] = 0.5
    is_thorough: ClassVar[bool] = True
    on_request: ClassVar[bool] = True
    # Rows of another time are separable without the synthetic rows.
    needs_same_time: ClassVar[bool] = True

    margin: Margin = 0.03
    n_shadows: Annotated[int, Ge(4)] = 16
    max_rows: Annotated[int, Ge(1)] = 5_000
    max_others: Annotated[int, Ge(0)] = 20_000
    max_synthetic: Annotated[int, Ge(1)] = 50_000
    replicates: Replicates = 200

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
        found = shadows.scores(compute_signals(targets, held, row_scale(targets)))
        scores = found[targets.is_member], found[~targets.is_member]
        value, drawn = compute_auc(*scores), weighted_aucs(*scores, *weights)
        upper = min(1.0, value + _NORMAL_QUANTILE * float(np.std(drawn, ddof=1)))
        findings = (
            MembershipAttack(max(value, 0.5), max(upper, 0.5)),
            DecidingRows(min(map(len, scores)), "attacked rows of the smaller set"),
        )
        facts = self._facts(value, upper, scores, len(held))
        return Measurement(max(value, 0.5), drawn, findings, facts=facts)

    def _facts(
        self, value: float, upper: float, scores: tuple[Any, Any], n_synthetic: int
    ) -> dict[str, Any]:
        n_members, n_control = map(len, scores)
        return {
            "auc": value,
            "upper_bound": upper,
            "true_positive_rate_at_1_percent_false": round_rate(
                true_positive_rate(*scores), n_members
            ),
            "n_shadows": self.n_shadows,
            "rows": {"train": n_members, "control": n_control, "synthetic": n_synthetic},
        }

"""Whether somebody who can make the generator again can tell who it was trained on."""

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

from ._membership_attack import AttackTargets, Positions, auc, draws, pick, weighted_aucs
from ._shadows import ShadowPool, Shadows, release_signals, row_scale
from .membership import round_rate, true_positive_rate

_REACH = 1.96
_FEWEST = 20


@dataclass(frozen=True, kw_only=True)
class ShadowModels(Metric):
    """Measures how well an attacker who can make the generator again tells training rows from others.

    The generator is fitted anew on random halves of the real rows, members and control rows alike, so
    that each attacked row is seen by half of these shadow generators. From what they make, near a row
    when it was in and when it was out, comes a likelihood ratio for every single row: LiRA, on the
    distances that `privacy.membership` uses. It is the strongest attack on membership here and takes
    as long as making the set again, many times: it runs only where it is asked for.

    The value is the area under the ROC curve: shown a member and a control row, how often the attacker
    picks the member. Rows are attacked, not persons: where many rows are one person's, more can leak.

    Parameters
    ----------
    margin : float
        Largest harm that still counts as good as real, in the unit of the value.
    n_shadows : int
        Times that the generator is made again, 4 or more, even.
    max_rows : int
        Training rows that are attacked, and control rows.
    max_others : int
        Real rows that are not attacked and that shadow generators may see as well.
    max_synthetic : int
        Synthetic rows of each release that the attacker looks at.
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
    >>> def copy(seen, others, most, rng):
    ...     return Dataset.concat([train.take(seen), control.take(others)])
    >>> told = Comparison(train, train, control, context=ComparisonContext(refit=copy))
    >>> ShadowModels(n_shadows=4).compute(told, rng).value > 0.95
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
    # Rows of another time are told apart with nothing learnt from the synthetic rows.
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
        """Return the AUC of the attack, 0.5 to 1; details hold its upper bound and the true alarms."""
        refit = comparison.context.refit
        if refit is None:
            raise NotMeasurable(
                "the generator cannot be made again; it can where a recipe makes the rows, and for a "
                "twin with the note that `twinset twin` wrote beside it"
            )
        members, control = pick(comparison, self.max_rows, rng)
        if min(len(members), len(control)) < _FEWEST:
            raise NotMeasurable(f"the attack needs at least {_FEWEST} rows of each side")
        weights = [draws(len(side), self.replicates, rng) for side in (members, control)]
        victims = AttackTargets.of(comparison, members, control)
        pool = ShadowPool.of(comparison, (members, control), self.max_others, rng)

        def release(rows: tuple[Positions, Positions], stream: np.random.Generator) -> Dataset:
            made = refit(*rows, self.max_synthetic, stream)
            if not len(made):
                raise NotMeasurable("the generator made no row")
            return made.at_most(self.max_synthetic, stream)

        shadows = Shadows.made(pool, victims, release, self.n_shadows, rng)
        held = comparison.synthetic.at_most(self.max_synthetic, rng)
        found = shadows.scores(release_signals(victims, held, row_scale(victims)))
        sides = found[victims.is_member], found[~victims.is_member]
        value, drawn = auc(*sides), weighted_aucs(*sides, *weights)
        upper = min(1.0, value + _REACH * float(np.std(drawn, ddof=1)))
        findings = (
            MembershipAttack(max(value, 0.5), max(upper, 0.5)),
            DecidingRows(min(map(len, sides)), "attacked rows on the smaller side"),
        )
        facts = self._facts(value, upper, sides, len(held))
        return Measurement(max(value, 0.5), drawn, findings, facts=facts)

    def _facts(
        self, value: float, upper: float, sides: tuple[Any, Any], n_synthetic: int
    ) -> dict[str, Any]:
        n_members, n_control = map(len, sides)
        return {
            "auc": value,
            "upper_bound": upper,
            "true_alarms_at_1_percent_false": round_rate(true_positive_rate(*sides), n_members),
            "n_shadows": self.n_shadows,
            "rows": {"train": n_members, "control": n_control, "synthetic": n_synthetic},
        }

"""Singling out: rare combinations in synthetic rows that exactly one train row meets."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np
import numpy.typing as npt

from twinset.core.contracts import Comparison, Measurement, Metric, MetricFamily, NotMeasurable
from twinset.core.data.schema import TABULAR_KINDS
from twinset.core.features.models import build_discriminator_table
from twinset.core.findings import AttackRates, DecidingRows
from twinset.core.parameters import Ge, Interval, Margin, Replicates

from ._combinations import (
    Combinations,
    Floats,
    count_matches,
    estimate_match_probability,
    find_unique_combinations,
)
from ._excess_risk import (
    ExcessRisk,
    list_reference_thresholds,
    resample_scores,
    round_shares,
)

_DRAWS = 8  # of columns around a row, of which the rarest is tried: more find few rarer ones
_ENOUGH, _NARROWINGS = (
    1_000,
    3,
)  # combinations for a narrow interval; times that intervals are narrowed


@dataclass(frozen=True, kw_only=True)
class SinglingOut(Metric):
    """Excess share of combinations, unique in the synthetic rows, that exactly one train row meets.

    value = share(train) - share(control), 0 to 1. The attacker has the synthetic rows alone. Around one
    of them at a time it searches a rare combination of conditions (a level, or an interval of a number)
    that no other synthetic row meets, and succeeds where exactly one train row meets it. The same
    conditions are tried on control rows, since some such rows exist by chance. Train is usually larger:
    success is the expectation in parts of the size of the control set, added up over all of train.

    Parameters
    ----------
    margin : float
        Largest excess that still counts as equivalent; set by twinset, no authority gives a number.
    conditions : int
        Conditions of a combination, 2 to 4.
    width : float
        Share of the synthetic rows below and above a number in its interval, 0 to 0.5.
        It is narrowed where too few combinations are found, as in tables of very many rows.
    max_attacks : int
        Synthetic rows around which a combination is searched.
    replicates : int
        Bootstrap replicates of the combinations.

    References
    ----------
    Article 29 Data Protection Working Party (2014), Opinion 05/2014 on Anonymisation Techniques.

    Examples
    --------
    >>> import pyarrow as pa
    >>> from twinset.core.data.dataset import Dataset
    >>> rng = np.random.default_rng(0)
    >>> draw = lambda: Dataset.from_arrow(pa.table(dict(zip("abcd", rng.normal(size=(4, 400))))))
    >>> train, control = draw(), draw()
    >>> of_copy = Comparison(train=train, synthetic=train, reference=control)
    >>> SinglingOut().compute(of_copy, np.random.default_rng(1)).value > 0.9
    True
    """

    family: ClassVar[MetricFamily] = "privacy"
    title: ClassVar[str] = "singling out a training row by a rare combination"
    interpretation: ClassVar[str] = (
        "An attacker writes conditions that fit exactly one real person, helped by the synthetic rows. "
        "More hits on training rows than on unseen ones mean that single people stand out."
    )
    higher_is_better: ClassVar[bool] = False
    bounds: ClassVar[tuple[float, float]] = (0.0, 1.0)
    kinds: ClassVar[frozenset[str]] = TABULAR_KINDS
    is_thorough: ClassVar[bool] = True
    has_floor: ClassVar[bool] = False
    # Rows of the time of the train set meet its combinations without a leak.
    needs_same_time: ClassVar[bool] = True

    margin: Margin = 0.05
    conditions: Annotated[int, Interval(ge=2, le=4)] = 4
    width: Annotated[float, Interval(ge=0, le=0.5)] = 0.01
    max_attacks: Annotated[int, Ge(1)] = 8_000
    replicates: Replicates = 200

    def compute(self, comparison: Comparison, rng: np.random.Generator) -> Measurement:
        """Return the excess share of combinations that single out a row; facts hold both shares."""
        sets = (comparison.synthetic, comparison.train, comparison.reference)
        names = comparison.reference.schema.names
        if not all(len(part) for part in sets):
            raise NotMeasurable("there are no rows to compare")
        if len(names) < 2:
            raise NotMeasurable("a combination needs two columns")
        searching, drawing = rng.spawn(2)
        table = build_discriminator_table(sets, names)
        # Missing is a level of its own, and lies outside every interval.
        known, train, control = (np.where(np.isnan(part), -np.inf, part) for part in table.parts)
        rows = searching.permutation(len(known))[: self.max_attacks]
        attacks, width = self._combinations(known, table.categorical, rows, searching)
        if not len(attacks):
            raise NotMeasurable(
                f"no {self.conditions} conditions pick out a single synthetic row, so there is "
                "nothing to try"
            )
        on_train, on_control = estimate_match_probability(
            count_matches(train, attacks),
            len(train),
            count_matches(control, attacks),
            len(control),
        )
        # A row of a larger train set is in a part of the control set's size only now and then.
        scale = max(1.0, len(train) / len(control))
        differences = scale * (on_train - on_control)
        drawn = resample_scores(differences, self.replicates, drawing, (-scale, 0.0, scale))
        found = ExcessRisk(float(differences.mean()), drawn.mean(axis=1))
        n = len(attacks)
        shares = round_shares(float(on_train.mean()), n, float(on_control.mean()), n)
        n_rows = min(len(train), len(control))
        facts = {
            "excess": found.value,
            "singled_out": dict(zip(("members", "control"), shares)),
            "counted_times": scale,
            "width": width,
            "rows": {
                "attacks": n,
                "tried": len(rows),
                "train": len(train),
                "control": len(control),
            },
            "thresholds": dict(list_reference_thresholds(self.margin)),
        }
        rates = AttackRates(*shares, n_rows, n_rows, n_attempts=n)
        findings = rates, DecidingRows(n, "combinations")
        return Measurement(found.clipped, found.replicates, findings, facts=facts)

    def _combinations(
        self,
        known: Floats,
        categorical: npt.NDArray[np.bool_],
        rows: npt.NDArray[np.int64],
        rng: np.random.Generator,
    ) -> tuple[Combinations, float]:
        """Return combinations that one synthetic row meets, and the width of their intervals."""
        for narrowing in range(_NARROWINGS + 1):
            width = self.width / 4**narrowing
            found = find_unique_combinations(
                known,
                categorical,
                rows,
                conditions=self.conditions,
                width=width,
                draws=_DRAWS,
                rng=rng,
            )
            if len(found) >= min(_ENOUGH, len(rows) // 4):
                break
        return found, width

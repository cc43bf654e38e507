"""Attribute inference: a sensitive attribute of train rows, inferred from synthetic rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np
import numpy.typing as npt

from twinset.core.contracts import Comparison, Measurement, Metric, MetricFamily
from twinset.core.data.dataset import Dataset
from twinset.core.data.schema import TABULAR_KINDS
from twinset.core.features.encoder import FeatureEncoder, robust_scale
from twinset.core.features.models import build_discriminator_table
from twinset.core.findings import AttackRates, DecidingRows
from twinset.core.parameters import Ge, Margin, Replicates
from twinset.core.stats.neighbors import nearest

from ._excess_risk import (
    Floats,
    compute_excess_risk,
    count_values,
    draw_attacked_rows,
    list_reference_thresholds,
    round_shares,
)

Matrix = npt.NDArray[np.float32]


@dataclass(frozen=True, kw_only=True)
class AttributeInference(Metric):
    """Excess of right guesses of a sensitive attribute, of train rows over control rows.

    value = mean over attributes of share_right(members) - share_right(control), 0 to 1. The attacker
    knows all columns of a person but one, and takes the value of the nearest synthetic row: right where
    the level is equal, or the number within a tolerance. What is true of people in general may be
    inferred of anybody, so success on control rows is subtracted. Attributes are the columns with the role
    sensitive; without any, each column in turn, the hardest to guess first. The excess of the worst
    alone would be above 0 by chance; the findings name it.

    Parameters
    ----------
    margin : float
        Largest excess that still counts as equivalent; set by twinset, no authority gives a number.
    tolerance : float
        Largest error of a number, in units of its spread (of a normal distribution, one standard
        deviation).
    max_sensitive : int
        Columns that are attacked where none is declared sensitive.
    max_targets : int
        Members that are attacked, and as many control rows.
    max_synthetic : int
        Synthetic rows of the attacker.
    replicates : int
        Bootstrap replicates of the attacked rows.

    References
    ----------
    Article 29 Data Protection Working Party (2014), Opinion 05/2014 on Anonymisation Techniques.
    """

    family: ClassVar[MetricFamily] = "privacy"
    title: ClassVar[str] = "inferring sensitive attributes of training rows"
    interpretation: ClassVar[str] = (
        "An attacker knows some columns of a person and infers another one from the synthetic rows. Only "
        "what is guessed better for training rows than for unseen ones is a leak."
    )
    higher_is_better: ClassVar[bool] = False
    bounds: ClassVar[tuple[float, float]] = (0.0, 1.0)
    kinds: ClassVar[frozenset[str]] = TABULAR_KINDS
    is_thorough: ClassVar[bool] = True
    has_floor: ClassVar[bool] = False
    # Rows of the time of the train set lie nearer to synthetic rows without a leak.
    needs_same_time: ClassVar[bool] = True

    margin: Margin = 0.05
    tolerance: Annotated[float, Ge(0)] = 0.1
    max_sensitive: Annotated[int, Ge(1)] = 8
    max_targets: Annotated[int, Ge(1)] = 1_500
    max_synthetic: Annotated[int, Ge(1)] = 50_000
    replicates: Replicates = 200

    def compute(self, comparison: Comparison, rng: np.random.Generator) -> Measurement:
        """Return the mean excess of right guesses; facts hold the shares of every attribute."""
        (known, members, control), stream = draw_attacked_rows(
            comparison, self.max_synthetic, self.max_targets, rng
        )
        names = comparison.reference.schema.names
        sensitive = choose_sensitive_columns(comparison.train, names, self.max_sensitive)
        ours, others = (
            _attack(known, part, sensitive, self.tolerance) for part in (members, control)
        )
        n, m = len(members), len(control)
        found = compute_excess_risk(ours.mean(axis=1), others.mean(axis=1), self.replicates, stream)
        gaps = ours.mean(axis=0) - others.mean(axis=0)
        shares = {
            sensitive[j]: round_shares(ours[:, j].mean(), n, others[:, j].mean(), m)
            for j in np.argsort(-gaps, kind="stable")
        }
        worst = next(iter(shares))
        rates = AttackRates(*shares[worst], n, m, attribute=worst, n_attributes=len(sensitive))
        facts = {
            "excess": found.value,
            "worst": worst,
            "right": {name: dict(zip(("members", "control"), shares[name])) for name in shares},
            "excess_by_attribute": dict(zip(sensitive, gaps.tolist())),
            "declared": bool(comparison.train.schema.with_role("sensitive")),
            "rows": {"members": n, "control": m, "synthetic": len(known)},
            "thresholds": dict(list_reference_thresholds(self.margin)),
        }
        findings = rates, DecidingRows(min(n, m), "attacked rows of each set")
        return Measurement(found.clipped, found.replicates, findings, facts=facts)


def infer_attribute(targets: Matrix, known: Matrix, values: Floats) -> Floats:
    """Return the value of the row of the attacker that is nearest to each target, shape (m,).

    Parameters
    ----------
    targets : numpy.ndarray, shape (m, d)
        Known columns of each attack target.
    known : numpy.ndarray, shape (n, d)
        The same columns of the rows of the attacker.
    values : numpy.ndarray, shape (n,)
        The attribute of these rows.

    Examples
    --------
    >>> infer_attribute(np.array([[0.2], [4.0]]), np.array([[0.0], [5.0]]), np.array([10.0, 20.0])).tolist()
    [10.0, 20.0]
    """
    return values[nearest(targets, known, 1)[1][:, 0]]


def is_right(guessed: Floats, truth: Floats, tolerance: float) -> npt.NDArray[np.bool_]:
    """Return which guesses are within the tolerance of the truth; missing is right for missing.

    Examples
    --------
    >>> is_right(np.array([1.0, 2.0, np.nan]), np.array([1.1, 3.0, np.nan]), 0.2).tolist()
    [True, False, True]
    """
    near: npt.NDArray[np.bool_] = np.abs(guessed - truth) <= tolerance
    return near | (np.isnan(guessed) & np.isnan(truth))


def choose_sensitive_columns(train: Dataset, names: Sequence[str], n: int) -> list[str]:
    """Return the sensitive columns, or the `n` whose most frequent value is rarest.

    Examples
    --------
    >>> import pyarrow as pa
    >>> table = pa.table({"ill": ["no", "no", "yes"], "town": ["a", "b", "c"], "x": [1, 1, 1]})
    >>> choose_sensitive_columns(Dataset.from_arrow(table), ["ill", "town", "x"], 2)
    ['town', 'ill']
    """
    declared = [field.name for field in train.schema.with_role("sensitive") if field.name in names]
    return declared or sorted(names, key=lambda name: np.max(count_values(train, name)))[:n]


def _attack(
    known: Dataset, targets: Dataset, sensitive: Sequence[str], tolerance: float
) -> npt.NDArray[np.bool_]:
    """Return the right guesses, shape (targets, attributes)."""
    names = targets.schema.names
    # Scales are those of the attacker's rows, without any real row.
    encoders = {name: FeatureEncoder.fit(known.select([name])) for name in names}
    theirs = {name: encoder.transform(known) for name, encoder in encoders.items()}
    asked = {name: encoder.transform(targets) for name, encoder in encoders.items()}
    table = build_discriminator_table([known, targets], sensitive)
    right = np.zeros((len(targets), len(sensitive)), dtype=bool)
    for j, attribute in enumerate(sensitive):
        others = [name for name in names if name != attribute]
        values, truth = table.parts[0][:, j], table.parts[1][:, j]
        guessed = infer_attribute(
            np.concatenate([asked[name] for name in others], axis=1),
            np.concatenate([theirs[name] for name in others], axis=1),
            values,
        )
        reach = (
            0.0 if table.categorical[j] else tolerance * robust_scale(values[~np.isnan(values)])[1]
        )
        right[:, j] = is_right(guessed, truth, reach)
    return right

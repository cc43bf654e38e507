"""Attribute inference: a sensitive attribute of train rows, inferred from synthetic rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np

from twinset.core.contracts import Comparison, Measurement
from twinset.core.data.dataset import Dataset
from twinset.core.features.encoder import FeatureEncoder, robust_scale
from twinset.core.features.models import build_discriminator_table
from twinset.core.findings import AttackRates, DecidingRows
from twinset.core.parameters import Ge
from twinset.core.stats.neighbors import nearest

from ._attacks import (
    Attack,
    Floats,
    Mask,
    compute_excess,
    count_values,
    draw_attacked_rows,
    round_shares,
)


@dataclass(frozen=True, kw_only=True)
class AttributeInference(Attack):
    """Excess of right guesses of a sensitive attribute, of train rows over control rows.

    value = mean over attributes of share_right(members) - share_right(control), 0 to 1. The attacker
    knows all columns of a person but one, and takes the value of the nearest synthetic row: right where
    the level is equal, or the number within a tolerance. What is true of people in general may be
    inferred of anybody, so success on control rows is subtracted. Attributes are the columns with the role
    sensitive; without any, each column in turn, the hardest to guess first. The excess of the worst
    alone would be above 0 by chance; the findings name it.

    Parameters
    ----------
    tolerance : float
        Largest error of a number, in units of its spread (of a normal distribution, one standard
        deviation).
    max_sensitive : int
        Columns that are attacked where none is declared sensitive.
    max_targets : int
        Members that are attacked, and as many control rows.
    max_synthetic : int
        Synthetic rows of the attacker.

    References
    ----------
    Article 29 Data Protection Working Party (2014), Opinion 05/2014 on Anonymisation Techniques.
    """

    title: ClassVar[str] = "inferring sensitive attributes of training rows"
    interpretation: ClassVar[str] = (
        "An attacker knows some columns of a person and infers another one from the synthetic rows. Only "
        "what is guessed better for training rows than for unseen ones is a leak."
    )
    is_thorough: ClassVar[bool] = True

    tolerance: Annotated[float, Ge(0)] = 0.1
    max_sensitive: Annotated[int, Ge(1)] = 8
    max_targets: Annotated[int, Ge(1)] = 1_500
    max_synthetic: Annotated[int, Ge(1)] = 50_000

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
        gaps = ours.mean(axis=0) - others.mean(axis=0)
        shares = {
            sensitive[j]: round_shares(ours[:, j].mean(), n, others[:, j].mean(), m)
            for j in np.argsort(-gaps, kind="stable")
        }
        worst = next(iter(shares))
        facts = {
            "worst": worst,
            "right": {name: dict(zip(("members", "control"), shares[name])) for name in shares},
            "excess_by_attribute": dict(zip(sensitive, gaps.tolist())),
            "declared": bool(comparison.train.schema.with_role("sensitive")),
            "rows": {"members": n, "control": m, "synthetic": len(known)},
        }
        return self.excess_measurement(
            *compute_excess(ours.mean(axis=1), others.mean(axis=1), self.replicates, stream),
            AttackRates(*shares[worst], n, m, attribute=worst, n_attributes=len(sensitive)),
            DecidingRows(min(n, m), "attacked rows of each set"),
            facts,
        )


def is_right(guessed: Floats, truth: Floats, tolerance: float) -> Mask:
    """Return which guesses are within the tolerance of the truth; missing is right for missing."""
    near: Mask = np.abs(guessed - truth) <= tolerance
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


def _attack(known: Dataset, targets: Dataset, sensitive: Sequence[str], tolerance: float) -> Mask:
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
        near = nearest(
            np.concatenate([asked[name] for name in others], axis=1),
            np.concatenate([theirs[name] for name in others], axis=1),
            1,
        )[1][:, 0]
        spread = robust_scale(values[~np.isnan(values)])[1]
        reach = 0.0 if table.categorical[j] else tolerance * spread
        right[:, j] = is_right(values[near], truth, reach)
    return right

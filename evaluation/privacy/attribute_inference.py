"""Whether the synthetic rows tell a secret of training rows better than of other people."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np
import numpy.typing as npt

from twinset.core.contracts import Comparison, Measurement, Metric, MetricFamily, NotMeasurable
from twinset.core.data.dataset import Dataset
from twinset.core.data.schema import TABULAR_KINDS
from twinset.core.features.discriminator import build_discriminator_table
from twinset.core.features.encoder import FeatureEncoder, robust_scale
from twinset.core.findings import AttackRates, DecidingRows
from twinset.core.parameters import Ge, Margin, Replicates
from twinset.core.stats.neighbors import nearest

from ._excess_risk import Floats, excess, round_shares, thresholds

Matrix = npt.NDArray[np.float32]


@dataclass(frozen=True, kw_only=True)
class AttributeInference(Metric):
    """Measures how much better the synthetic rows tell a secret of members than of other people.

    The attacker knows all of a person but one column, and takes the value of the synthetic row that
    is nearest in all others: right where the level is the same, or the number within a tolerance.
    What holds of people in general may be inferred of anybody, so success on control rows, which
    the generator never saw, is taken off. Secrets are the columns with the role sensitive; without
    any, each column in turn, those that are hardest to guess first. The value is the mean excess
    over the secrets, 0 to 1: the excess of the worst alone would be above 0 by chance. The summary
    names the worst.

    Parameters
    ----------
    margin : float
        Largest excess that still counts as good as real; set by twinset, no authority gives a number.
    tolerance : float
        How near a number must be, in units of its spread (of a normal law, one standard deviation).
    max_secrets : int
        Columns that are attacked where none is declared sensitive.
    max_targets : int
        Members that are attacked, and as many control rows.
    max_synthetic : int
        Synthetic rows that the attacker looks at.
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
    # Rows of the train part's own time lie nearer to its twin with nothing leaked.
    needs_same_time: ClassVar[bool] = True

    margin: Margin = 0.05
    tolerance: Annotated[float, Ge(0)] = 0.1
    max_secrets: Annotated[int, Ge(1)] = 8
    max_targets: Annotated[int, Ge(1)] = 1_500
    max_synthetic: Annotated[int, Ge(1)] = 50_000
    replicates: Replicates = 200

    def compute(self, comparison: Comparison, rng: np.random.Generator) -> Measurement:
        """Return the mean excess of right guesses; details hold the shares of every secret."""
        sets = (comparison.synthetic, comparison.train, comparison.reference)
        if not all(len(part) for part in sets):
            raise NotMeasurable("there are no rows to compare")
        names = comparison.reference.schema.names
        if len(names) < 2:
            raise NotMeasurable("a secret is inferred from other columns, and there are none")
        # A stream each: what is drawn of the real rows never depends on the candidate.
        streams = rng.spawn(4)
        limits = (self.max_synthetic, self.max_targets, self.max_targets)
        known, members, control = (
            part.at_most(limit, stream) for part, limit, stream in zip(sets, limits, streams)
        )
        secrets = choose_sensitive_columns(comparison.train, names, self.max_secrets)
        ours, others = (
            _attack(known, part, secrets, self.tolerance) for part in (members, control)
        )
        n, m = len(members), len(control)
        found = excess(ours.mean(axis=1), others.mean(axis=1), self.replicates, streams[3])
        gaps = ours.mean(axis=0) - others.mean(axis=0)
        told = {
            secrets[j]: round_shares(ours[:, j].mean(), n, others[:, j].mean(), m)
            for j in np.argsort(-gaps, kind="stable")
        }
        worst, shares = next(iter(told.items()))
        rates = AttackRates(*shares, n, m, attribute=worst, n_attributes=len(secrets))
        facts = {
            "excess": found.value,
            "worst": worst,
            "right": {name: dict(zip(("members", "control"), told[name])) for name in told},
            "excess_by_secret": dict(zip(secrets, gaps.tolist())),
            "declared": bool(comparison.train.schema.with_role("sensitive")),
            "rows": {"members": n, "control": m, "synthetic": len(known)},
            "thresholds": dict(thresholds(self.margin)),
        }
        findings = rates, DecidingRows(min(n, m), "attacked rows on each side")
        return Measurement(found.clipped, found.replicates, findings, facts=facts)


def guess(targets: Matrix, known: Matrix, secret: Floats) -> Floats:
    """Return the secret of the known row that is nearest to each target, shape (m,).

    Parameters
    ----------
    targets : numpy.ndarray, shape (m, d)
        What the attacker knows of each attacked row.
    known : numpy.ndarray, shape (n, d)
        The same columns of the rows that the attacker has.
    secret : numpy.ndarray, shape (n,)
        The secret of the known rows.

    Examples
    --------
    >>> guess(np.array([[0.2], [4.0]]), np.array([[0.0], [5.0]]), np.array([10.0, 20.0])).tolist()
    [10.0, 20.0]
    """
    return secret[nearest(targets, known, 1)[1][:, 0]]


def is_right(guessed: Floats, truth: Floats, tolerance: float) -> npt.NDArray[np.bool_]:
    """Return which guesses are within the tolerance of the truth; missing is right for missing.

    Examples
    --------
    >>> is_right(np.array([1.0, 2.0, np.nan]), np.array([1.1, 3.0, np.nan]), 0.2).tolist()
    [True, False, True]
    """
    near: npt.NDArray[np.bool_] = np.abs(guessed - truth) <= tolerance
    return near | (np.isnan(guessed) & np.isnan(truth))


def choose_sensitive_columns(train: Dataset, names: Sequence[str], most: int) -> list[str]:
    """Return the sensitive columns, or the `most` whose commonest value is rarest.

    Examples
    --------
    >>> import pyarrow as pa
    >>> table = pa.table({"ill": ["no", "no", "yes"], "town": ["a", "b", "c"], "x": [1, 1, 1]})
    >>> choose_sensitive_columns(Dataset.from_arrow(table), ["ill", "town", "x"], 2)
    ['town', 'ill']
    """
    declared = [field.name for field in train.schema.with_role("sensitive") if field.name in names]
    return declared or sorted(names, key=lambda name: _commonest(train, name))[:most]


def _attack(
    known: Dataset, targets: Dataset, secrets: Sequence[str], tolerance: float
) -> npt.NDArray[np.bool_]:
    """Return which secret of which target is told right, shape (targets, secrets)."""
    names = targets.schema.names
    # The scales too are the attacker's own: no real row has a part in them.
    encoders = {name: FeatureEncoder.fit(known.select([name])) for name in names}
    theirs = {name: encoder.transform(known) for name, encoder in encoders.items()}
    asked = {name: encoder.transform(targets) for name, encoder in encoders.items()}
    table = build_discriminator_table([known, targets], secrets)
    right = np.zeros((len(targets), len(secrets)), dtype=bool)
    for j, secret in enumerate(secrets):
        others = [name for name in names if name != secret]
        values, truth = table.parts[0][:, j], table.parts[1][:, j]
        guessed = guess(
            np.concatenate([asked[name] for name in others], axis=1),
            np.concatenate([theirs[name] for name in others], axis=1),
            values,
        )
        reach = (
            0.0 if table.categorical[j] else tolerance * robust_scale(values[~np.isnan(values)])[1]
        )
        right[:, j] = is_right(guessed, truth, reach)
    return right


def _commonest(dataset: Dataset, name: str) -> float:
    """Return the share of the commonest value; a missing value is one of them."""
    counts = dataset.records.column(name).value_counts().field("counts").to_numpy()
    return float(counts.max() / len(dataset))

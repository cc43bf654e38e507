"""What attacks share: their base class, the attacked rows, bootstrap, and shares of few rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from twinset.core.contracts import Comparison, Measurement, Metric, MetricFamily, NotMeasurable
from twinset.core.data.dataset import Dataset, sample_positions
from twinset.core.data.schema import TABULAR_KINDS
from twinset.core.features.encoder import FeatureEncoder
from twinset.core.findings import AttackRates, DecidingRows
from twinset.core.parameters import Margin, Replicates
from twinset.core.stats.neighbors import nearest

from .._samples import MIN_SHOWN, shown_share

Floats = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]
Positions = npt.NDArray[np.int64]

FEW = "fewer than 11 rows"
_MIN_CONTROL_ROWS = 100  # for a false positive rate of 1 %: one row


@dataclass(frozen=True, kw_only=True)
class Attack(Metric):
    """Attack on members, which are train rows, with holdout rows as control.

    Parameters
    ----------
    margin : float
        Largest degradation that still counts as equivalent, in the unit of the value; set by twinset, no
        authority gives a number.
    replicates : int
        Bootstrap replicates of the attacked rows.
    """

    family: ClassVar[MetricFamily] = "privacy"
    higher_is_better: ClassVar[bool] = False
    bounds: ClassVar[tuple[float, float]] = (0.0, 1.0)
    kinds: ClassVar[frozenset[str]] = TABULAR_KINDS
    has_floor: ClassVar[bool] = False
    # Train rows of another time than the control rows are separable without a leak.
    needs_same_time: ClassVar[bool] = True

    margin: Margin = 0.05
    replicates: Replicates = 200

    def excess_measurement(
        self,
        excess: float,
        drawn: Floats,
        rates: AttackRates,
        decides: DecidingRows,
        facts: Mapping[str, Any],
    ) -> Measurement:
        """Return an excess of success on members, and its replicates, as a measurement from 0 to 1."""
        thresholds = {
            "Article 29 Working Party, Opinion 05/2014": "names this risk, gives no number",
            "HHS, 45 CFR 164.514(b)(1)": "a very small risk, gives no number",
            "twinset": f"margin of {self.margin:g}, set by twinset, no legal safe harbour",
        }
        facts = {"excess": excess, **facts, "thresholds": thresholds}
        return Measurement(float(np.clip(excess, 0, 1)), drawn, (rates, decides), facts=facts)


def draw_attacked_rows(
    comparison: Comparison, max_synthetic: int, max_targets: int, rng: np.random.Generator
) -> tuple[tuple[Dataset, Dataset, Dataset], np.random.Generator]:
    """Return synthetic rows, members and control rows of an attack, and a further stream."""
    sets = (comparison.synthetic, comparison.train, comparison.reference)
    if not all(map(len, sets)):
        raise NotMeasurable("there are no rows to compare")
    if len(comparison.reference.schema.names) < 2:
        raise NotMeasurable("the attack needs two columns")
    # Separate streams: the draw of real rows never depends on the candidate.
    streams = rng.spawn(4)
    limits = (max_synthetic, max_targets, max_targets)
    known, members, control = (
        part.at_most(limit, stream) for part, limit, stream in zip(sets, limits, streams)
    )
    return (known, members, control), streams[3]


def count_values(dataset: Dataset, name: str) -> npt.NDArray[np.int64]:
    """Return the number of rows of each value of a column; missing is a value."""
    return np.asarray(dataset.records.column(name).value_counts().field("counts"))


def compute_excess(
    members: Floats, control: Floats, replicates: int, rng: np.random.Generator
) -> tuple[float, Floats]:
    """Return the excess of the mean success on members, and replicates; both sets are resampled.

    Positions are drawn only, so that sets of equal sizes are resampled alike.
    """
    drawn = resample_scores(members, replicates, rng, (0.0, 1.0)).mean(axis=1)
    drawn = drawn - resample_scores(control, replicates, rng, (0.0, 1.0)).mean(axis=1)
    return float(members.mean() - control.mean()), drawn


def resample_scores(
    scores: Floats, replicates: int, rng: np.random.Generator, outcomes: tuple[float, ...]
) -> Floats:
    """Return bootstrap samples of `scores`, shape (replicates, n).

    The rows are drawn from one row more than there are, with any of `outcomes`: no success in few rows
    is no certainty.
    """
    places = rng.integers(0, len(scores) + 1, (replicates, len(scores)))
    picked = np.append(scores, 0.0)[places]
    unseen = places == len(scores)
    picked[unseen] = rng.choice(outcomes, int(unseen.sum()))
    return picked


def round_shares(
    members: float, n_members: int, control: float, n_control: int
) -> tuple[float | str, float | str]:
    """Return the two shares for the report; a share of 1 to 10 real rows is not disclosed.

    The value is the difference of the two, so the other share is then rounded to tenths.
    """
    pairs = ((members, n_members), (control, n_control))
    small = [0 < share * n < MIN_SHOWN - 0.5 for share, n in pairs]
    if not any(small):
        return float(members), float(control)
    tenths = [min(int(share * 10), 9) for share, _ in pairs]
    first, second = (
        FEW if few else f"{tenth * 10} to {tenth * 10 + 10} %" for few, tenth in zip(small, tenths)
    )
    return first, second


@dataclass(frozen=True)
class AttackTargets:
    """Real rows under attack: members, then control rows; `encoder` encodes synthetic rows alike.

    All is symmetric in both: the encoder is fitted to them together and neighbours are searched among them
    together, so that nothing but the synthetic rows separates them.
    """

    features: npt.NDArray[np.float32]
    is_member: Mask
    encoder: FeatureEncoder

    @classmethod
    def from_comparison(
        cls, comparison: Comparison, members: Positions, control: Positions
    ) -> AttackTargets:
        """Return the rows of train and reference at these positions."""
        parts = [comparison.train.take(members), comparison.reference.take(control)]
        # A column may be integer in one set and number in the other.
        tables = [part.without_reserved().records for part in parts]
        records = pa.concat_tables(tables, promote_options="permissive").unify_dictionaries()
        both = replace(parts[1].without_reserved(), records=records)
        encoder = FeatureEncoder.fit(both)
        return cls(encoder.transform(both), np.arange(len(both)) < len(members), encoder)

    def separate(self, signals: Floats) -> tuple[Floats, Floats]:
        """Return the signals of members, and those of control rows."""
        return signals[self.is_member], signals[~self.is_member]


def choose_positions(
    comparison: Comparison, n: int, rng: np.random.Generator
) -> tuple[Positions, Positions]:
    """Return positions of at most `n` members and `n` control rows, in order."""
    if not all(map(len, (comparison.train, comparison.reference, comparison.synthetic))):
        raise NotMeasurable("there are no rows to compare")
    members = sample_positions(len(comparison.train), n, rng)
    return members, sample_positions(len(comparison.reference), n, rng)


def distances_to_others(rows: npt.NDArray[np.floating], among: Positions | None = None) -> Floats:
    """Return the distance of each row (of those at `among`) to the nearest other row, shape (n,)."""
    chosen = rows if among is None else rows[among]
    return nearest(chosen, rows, 2)[0][:, 1].astype(np.float64)


def distance_floor(to_others: Floats) -> float:
    """Return a millionth of the usual distance to other rows, which is added before logarithms.

    It keeps the logarithm of a copy's distance finite; relative, so that no unit matters.
    """
    positive = to_others[to_others > 0]
    return 1e-6 * (float(np.median(positive)) if len(positive) else 1.0)


def draw_counts(n: int, b: int, rng: np.random.Generator) -> Floats:
    """Return the count of each of `n` rows in each of `b` bootstrap draws, shape (b, n)."""
    picked = rng.integers(0, n, (b, n)) + n * np.arange(b)[:, None]
    return np.bincount(picked.ravel(), minlength=n * b).reshape(b, n).astype(np.float64)


def true_positive_rate(members: Floats, control: Floats) -> float | None:
    """Return the share of members with a signal above that of all but 1 % of the control rows.

    None below 100 control rows, of which 1 % is less than a row, and where it discloses 1 to 10 members.
    """
    if len(control) < _MIN_CONTROL_ROWS:
        return None
    threshold = np.sort(control)[len(control) - 1 - len(control) // 100]
    return shown_share(int((members > threshold).sum()), len(members))

"""Excess risk of attacks over control rows: samples, bootstrap, disclosure of shares, thresholds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from twinset.core.contracts import Comparison, NotMeasurable
from twinset.core.data.dataset import Dataset

Floats = npt.NDArray[np.float64]

SMALL_CELL = 11  # counts of 1 to 10 real rows are not disclosed (the rule of CMS on small cells)

FEW = "fewer than 11 rows"


@dataclass(frozen=True)
class ExcessRisk:
    """Success of an attack on members beyond its success on rows that the generator never saw.

    Parameters
    ----------
    value : float
        Share of members minus share of control rows, -1 to 1; 0 on average where nothing leaks.
    replicates : numpy.ndarray, shape (b,)
        Bootstrap replicates of `value`.
    """

    value: float
    replicates: Floats

    @property
    def clipped(self) -> float:
        """The value, 0 where the attack succeeds less on members than on control rows."""
        return float(np.clip(self.value, 0.0, 1.0))


def draw_attacked_rows(
    comparison: Comparison, max_synthetic: int, max_targets: int, rng: np.random.Generator
) -> tuple[tuple[Dataset, Dataset, Dataset], np.random.Generator]:
    """Return rows of an attack by columns, synthetic, members and control, and a further stream.

    Raises
    ------
    NotMeasurable
        A set is empty, or there are fewer than two columns.
    """
    sets = (comparison.synthetic, comparison.train, comparison.reference)
    if not all(len(part) for part in sets):
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


def compute_excess_risk(
    members: Floats, control: Floats, replicates: int, rng: np.random.Generator
) -> ExcessRisk:
    """Return the excess of the mean success on members; both sets are resampled row by row.

    Parameters
    ----------
    members, control : numpy.ndarray, shapes (m,) and (c,)
        Success on each attacked row, 0 to 1, or a mean of several attacks on it.
    replicates : int
        Number of bootstrap replicates.
    rng : numpy.random.Generator
        Draws positions only: sets of equal sizes are resampled alike.

    Examples
    --------
    >>> members, rng = np.array([1.0, 1.0, 0.0, 0.0]), np.random.default_rng(1)
    >>> found = compute_excess_risk(members, np.zeros(8), 50, rng)
    >>> found.value, found.replicates.shape
    (0.5, (50,))
    """
    drawn = resample_scores(members, replicates, rng, (0.0, 1.0)).mean(axis=1)
    drawn = drawn - resample_scores(control, replicates, rng, (0.0, 1.0)).mean(axis=1)
    return ExcessRisk(float(members.mean() - control.mean()), drawn)


def resample_scores(
    scores: Floats, replicates: int, rng: np.random.Generator, outcomes: tuple[float, ...]
) -> Floats:
    """Return bootstrap samples of `scores`, shape (replicates, n).

    The rows are drawn from one row more than there are, with any of `outcomes`: no success in few rows
    is no certainty.

    Examples
    --------
    >>> float(resample_scores(np.zeros(3), 100, np.random.default_rng(1), (0.0, 1.0)).max())
    1.0
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

    Examples
    --------
    >>> round_shares(0.25, 1000, 0.1, 1000)
    (0.25, 0.1)
    >>> round_shares(0.254, 1000, 0.004, 1000)
    ('20 to 30 %', 'fewer than 11 rows')
    """
    small = [
        0 < share * n < SMALL_CELL - 0.5
        for share, n in ((members, n_members), (control, n_control))
    ]
    if not any(small):
        return float(members), float(control)
    first, second = (
        FEW if few else _round_to_tenths(x) for few, x in zip(small, (members, control))
    )
    return first, second


def list_reference_thresholds(margin: float) -> Mapping[str, str]:
    """Return authority -> its threshold of the risk.

    Examples
    --------
    >>> list_reference_thresholds(0.05)["twinset"]
    'margin of 0.05, set by twinset, no legal safe harbour'
    """
    return {
        "Article 29 Working Party, Opinion 05/2014": "names this risk, gives no number",
        "HHS, 45 CFR 164.514(b)(1)": "a very small risk, gives no number",
        "twinset": f"margin of {margin:g}, set by twinset, no legal safe harbour",
    }


def _round_to_tenths(share: float) -> str:
    tenth = min(int(share * 10), 9)
    return f"{tenth * 10} to {tenth * 10 + 10} %"

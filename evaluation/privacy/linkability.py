"""Whether a synthetic row ties together two halves of what is known about one person."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np
import numpy.typing as npt

from twinset.core.contracts import Comparison, Measurement, Metric, MetricFamily, NotMeasurable
from twinset.core.data.dataset import Dataset
from twinset.core.data.schema import TABULAR_KINDS
from twinset.core.features.encoder import FeatureEncoder
from twinset.core.findings import AttackRates, DecidingRows
from twinset.core.parameters import Ge, Margin, Replicates
from twinset.core.stats.neighbors import squared_distances

from ._excess_risk import excess, round_shares, thresholds

Matrix = npt.NDArray[np.float32]
Halves = tuple[Matrix, Matrix]


@dataclass(frozen=True, kw_only=True)
class Linkability(Metric):
    """Measures how often a synthetic row links two sets of columns that belong to one real row.

    The attacker knows half of the columns of a person from one source and the other half from
    another, and has the synthetic rows. It links the halves where one synthetic row is among the
    nearest of both; rows that are equally near count together. The halves of control rows, which
    the generator never saw, are linked by chance now and then: the value is the share of linked
    members minus that of linked control rows, 0 to 1. The columns are dealt out by their entropy,
    so that both halves tell about equally much.

    Parameters
    ----------
    margin : float
        Largest excess that still counts as good as real; set by twinset, no authority gives a number.
    neighbours : int
        Nearest synthetic rows of each half.
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
    title: ClassVar[str] = "linking two halves of a training row"
    interpretation: ClassVar[str] = (
        "An attacker knows a person's columns from two sources and joins them through the synthetic "
        "rows. More right joins for training rows than for unseen ones are a leak."
    )
    higher_is_better: ClassVar[bool] = False
    bounds: ClassVar[tuple[float, float]] = (0.0, 1.0)
    kinds: ClassVar[frozenset[str]] = TABULAR_KINDS
    is_thorough: ClassVar[bool] = True
    has_floor: ClassVar[bool] = False
    # Rows of the train part's own time lie nearer to its twin with nothing leaked.
    needs_same_time: ClassVar[bool] = True

    margin: Margin = 0.05
    neighbours: Annotated[int, Ge(1)] = 3
    max_targets: Annotated[int, Ge(1)] = 1_500
    max_synthetic: Annotated[int, Ge(1)] = 50_000
    replicates: Replicates = 200

    def compute(self, comparison: Comparison, rng: np.random.Generator) -> Measurement:
        """Return the excess share of linked members; details hold both shares and the halves."""
        sets = (comparison.synthetic, comparison.train, comparison.reference)
        if not all(len(part) for part in sets):
            raise NotMeasurable("there are no rows to compare")
        names = comparison.reference.schema.names
        if len(names) < 2:
            raise NotMeasurable("two halves need two columns")
        # A stream each: what is drawn of the real rows never depends on the candidate.
        streams = rng.spawn(4)
        limits = (self.max_synthetic, self.max_targets, self.max_targets)
        known, members, control = (
            part.at_most(limit, stream) for part, limit, stream in zip(sets, limits, streams)
        )
        halves = split_columns(comparison.train, names)
        # The scales too are the attacker's own: no real row has a part in them.
        encoders = [FeatureEncoder.fit(known.select(half)) for half in halves]
        known_halves, *targets = (
            (encoders[0].transform(part), encoders[1].transform(part))
            for part in (known, members, control)
        )
        k = min(self.neighbours, len(known))
        on_members, on_control = (linked(target, known_halves, k) for target in targets)
        found = excess(
            on_members.astype(float), on_control.astype(float), self.replicates, streams[3]
        )
        n, m = len(members), len(control)
        shares = round_shares(float(on_members.mean()), n, float(on_control.mean()), m)
        facts = {
            "excess": found.value,
            "linked": dict(zip(("members", "control"), shares)),
            "halves": [list(half) for half in halves],
            "rows": {"members": n, "control": m, "synthetic": len(known)},
            "thresholds": dict(thresholds(self.margin)),
        }
        decides = DecidingRows(min(n, m), "attacked rows on each side")
        findings = AttackRates(*shares, n, m), decides
        return Measurement(found.clipped, found.replicates, findings, facts=facts)


def linked(targets: Halves, known: Halves, k: int) -> npt.NDArray[np.bool_]:
    """Return for which targets a known row is among the `k` nearest of both halves, shape (m,).

    Parameters
    ----------
    targets : tuple of two numpy.ndarray, shapes (m, d1) and (m, d2)
        The halves of the attacked rows.
    known : tuple of two numpy.ndarray, shapes (n, d1) and (n, d2)
        The same halves of the rows that the attacker has.
    k : int
        Number of neighbours, 1 to n; rows as near as the last of them are neighbours too.

    Examples
    --------
    >>> known = np.array([[0.0], [1.0], [2.0]]), np.array([[5.0], [3.0], [4.0]])
    >>> targets = np.array([[0.1], [0.1]]), np.array([[5.1], [3.0]])
    >>> linked(targets, known, 1).tolist()
    [True, False]
    """
    out = np.zeros(len(targets[0]), dtype=bool)
    blocks = (squared_distances(target, part) for target, part in zip(targets, known))
    for (rows, first), (_, second) in zip(*blocks):
        out[rows] = (_near(first, k) & _near(second, k)).any(axis=1)
    return out


def split_columns(
    dataset: Dataset, names: Sequence[str]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return two halves of the columns that tell about equally much.

    Examples
    --------
    >>> import pyarrow as pa
    >>> table = pa.table({"sex": ["f", "m", "f"], "id": [1.5, 2.5, 3.5], "one": ["x", "x", "x"]})
    >>> split_columns(Dataset.from_arrow(table), ["sex", "id", "one"])
    (('id',), ('sex', 'one'))
    """
    by_information = sorted(names, key=lambda name: -_entropy(dataset, name))
    # First to one half, two to the other, two to the first again: neither always gets the better.
    halves: tuple[list[str], list[str]] = ([], [])
    for place, name in enumerate(by_information):
        halves[place % 4 in (1, 2)].append(name)
    return tuple(halves[0]), tuple(halves[1])


def _entropy(dataset: Dataset, name: str) -> float:
    counts = dataset.records.column(name).value_counts().field("counts").to_numpy()
    shares = counts / len(dataset)
    return float(-(shares * np.log(shares)).sum())


def _near(squared: npt.NDArray[np.float64], k: int) -> npt.NDArray[np.bool_]:
    reach = np.partition(squared, k - 1, axis=1)[:, k - 1] if k > 1 else squared.min(axis=1)
    # Distances of equal rows may differ in their last digits.
    near: npt.NDArray[np.bool_] = squared <= (reach * (1 + 1e-6) + 1e-9)[:, None]
    return near

"""Linkability: two halves of a train row that synthetic rows link."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np
import numpy.typing as npt

from twinset.core.contracts import Comparison, Measurement
from twinset.core.data.dataset import Dataset
from twinset.core.features.encoder import FeatureEncoder
from twinset.core.findings import AttackRates, DecidingRows
from twinset.core.parameters import Ge
from twinset.core.stats.neighbors import squared_distances

from ._attacks import Attack, compute_excess, count_values, draw_attacked_rows, round_shares

Matrix = npt.NDArray[np.float32]
Halves = tuple[Matrix, Matrix]


@dataclass(frozen=True, kw_only=True)
class Linkability(Attack):
    """Excess share of real rows whose two halves synthetic rows link, of train rows over control rows.

    value = share_linked(members) - share_linked(control), 0 to 1. The attacker knows half of the columns
    of a person from one source and the other half from another, and links them where one synthetic row
    is among the nearest of both; ties count together. Control rows are linked by chance. Columns are
    assigned by their entropy, so that both halves hold about equally much information.

    Parameters
    ----------
    n_neighbors : int
        Nearest synthetic rows of each half.
    max_targets : int
        Members that are attacked, and as many control rows.
    max_synthetic : int
        Synthetic rows of the attacker.

    References
    ----------
    Article 29 Data Protection Working Party (2014), Opinion 05/2014 on Anonymisation Techniques.
    """

    title: ClassVar[str] = "linking two halves of a training row"
    interpretation: ClassVar[str] = (
        "An attacker knows a person's columns from two sources and joins them through the synthetic "
        "rows. More right joins for training rows than for unseen ones are a leak."
    )
    is_thorough: ClassVar[bool] = True

    n_neighbors: Annotated[int, Ge(1)] = 3
    max_targets: Annotated[int, Ge(1)] = 1_500
    max_synthetic: Annotated[int, Ge(1)] = 50_000

    def compute(self, comparison: Comparison, rng: np.random.Generator) -> Measurement:
        """Return the excess share of linked members; facts hold both shares and the halves."""
        (known, members, control), stream = draw_attacked_rows(
            comparison, self.max_synthetic, self.max_targets, rng
        )
        halves = split_columns(comparison.train, comparison.reference.schema.names)
        # Scales are those of the attacker's rows, without any real row.
        encoders = [FeatureEncoder.fit(known.select(half)) for half in halves]
        known_halves, *targets = (
            (encoders[0].transform(part), encoders[1].transform(part))
            for part in (known, members, control)
        )
        k = min(self.n_neighbors, len(known))
        on_members, on_control = (
            find_linked(target, known_halves, k).astype(float) for target in targets
        )
        n, m = len(members), len(control)
        shares = round_shares(float(on_members.mean()), n, float(on_control.mean()), m)
        facts = {
            "linked": dict(zip(("members", "control"), shares)),
            "halves": [list(half) for half in halves],
            "rows": {"members": n, "control": m, "synthetic": len(known)},
        }
        return self.excess_measurement(
            *compute_excess(on_members, on_control, self.replicates, stream),
            AttackRates(*shares, n, m),
            DecidingRows(min(n, m), "attacked rows of each set"),
            facts,
        )


def find_linked(targets: Halves, known: Halves, k: int) -> npt.NDArray[np.bool_]:
    """Return the targets with one row among the `k` nearest of both halves, shape (m,).

    Targets have the shapes (m, d1) and (m, d2), the rows of the attacker (n, d1) and (n, d2). Rows as near
    as the last neighbour are included.

    Examples
    --------
    >>> known = np.array([[0.0], [1.0], [2.0]]), np.array([[5.0], [3.0], [4.0]])
    >>> targets = np.array([[0.1], [0.1]]), np.array([[5.1], [3.0]])
    >>> find_linked(targets, known, 1).tolist()
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
    """Return two halves of the columns with about equally much information."""
    by_information = sorted(names, key=lambda name: -_entropy(dataset, name))
    # First to one half, two to the other, two to the first again: neither half is always the better.
    halves: tuple[list[str], list[str]] = ([], [])
    for place, name in enumerate(by_information):
        halves[place % 4 in (1, 2)].append(name)
    return tuple(halves[0]), tuple(halves[1])


def _entropy(dataset: Dataset, name: str) -> float:
    shares = count_values(dataset, name) / len(dataset)
    return float(-(shares * np.log(shares)).sum())


def _near(squared: npt.NDArray[np.float64], k: int) -> npt.NDArray[np.bool_]:
    reach = np.partition(squared, k - 1, axis=1)[:, k - 1] if k > 1 else squared.min(axis=1)
    # Distances of equal rows may differ in their last digits.
    near: npt.NDArray[np.bool_] = squared <= (reach * (1 + 1e-6) + 1e-9)[:, None]
    return near

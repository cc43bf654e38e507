"""Quasi-identifiers: synthetic rows with a combination of columns that few real rows share (k-map)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np

from twinset.core.contracts import Comparison, Measurement, NotMeasurable
from twinset.core.data.knowable_columns import propose_quasi_identifiers
from twinset.core.findings import DecidingRows, SmallCells
from twinset.core.parameters import Ge

from ._attacks import Attack, Floats, Positions
from .exact_copies import Keys, row_keys


@dataclass(frozen=True, kw_only=True)
class QuasiIdentifiers(Attack):
    """Share of synthetic rows whose quasi-identifiers are shared by few real rows.

    Quasi-identifiers are columns that others may know of a person, e.g. age, sex and region. A synthetic
    row whose combination of them exists in the real data, but in fewer than `k` rows, points at a small
    group of real people. The value is the share of such rows, 0 to 1 (k-map of the synthetic rows on the
    train rows). Combinations of no real row point at nobody; the facts have their share. Numbers are
    compared as delivered, so a number with many digits should be excluded or grouped first.

    Parameters
    ----------
    columns : tuple of str
        The quasi-identifiers. None is taken without being named; likely ones are proposed by name and kind.
    k : int
        Rows that must share a combination, 2 or more. 11 answers to a risk of 1/11 = 0.09.
    replicates : int
        Bootstrap replicates of the synthetic rows.

    References
    ----------
    Sweeney (2002), k-anonymity: a model for protecting privacy, IJUFKS 10(5).
    El Emam, Dankar (2008), Protecting privacy using k-anonymity, JAMIA 15(5).
    """

    title: ClassVar[str] = "combinations that few training rows share"
    interpretation: ClassVar[str] = (
        "How far columns that others may know as well, such as age and place, narrow a record down to "
        "few real people. The fewer share the same values, the easier somebody is found."
    )
    needs_same_time: ClassVar[bool] = False

    columns: tuple[str, ...] = ()
    k: Annotated[int, Ge(2)] = 11

    def compute(self, comparison: Comparison, rng: np.random.Generator) -> Measurement:
        """Return the share of synthetic rows in small cells of train, 0 to 1."""
        names = self._declared(comparison)
        if not len(comparison.train) or not len(comparison.synthetic):
            raise NotMeasurable("there are no rows to compare")
        shared = count_rows_sharing(
            row_keys(comparison.train, names), row_keys(comparison.synthetic, names)
        )
        small = (shared > 0) & (shared < self.k)
        n = len(small)
        # A bootstrap over the rows and one more with either outcome: absence in few rows is no certainty.
        drawn = rng.binomial(n, (small.sum() + 0.5) / (n + 1), self.replicates) / n
        # A match with a combination of n real rows is right with probability 1/n.
        risk: Floats = np.divide(1.0, shared, out=np.zeros(len(shared)), where=shared > 0)
        share = float(small.mean())
        facts = {
            "share_in_no_training_row": float((shared == 0).mean()),
            "mean_risk_of_a_match": float(risk.mean()),
            "rows": {"synthetic": n, "train": len(comparison.train)},
            "thresholds": {
                "HHS, 45 CFR 164.514(b)(1)": "a very small risk, gives no number",
                "EMA Policy 0070 and Health Canada": "0.09 for published clinical data (k = 11)",
                "CMS": "no published cell of 1 to 10 people",
                "twinset": f"k = {self.k} and a margin of {self.margin:g} over real rows, set by twinset",
            },
        }
        findings = SmallCells(names, self.k, share), DecidingRows(n, "synthetic rows")
        return Measurement(share, drawn, findings, facts=facts)

    def _declared(self, comparison: Comparison) -> tuple[str, ...]:
        schema = comparison.reference.schema
        if not self.columns:
            likely = propose_quasi_identifiers(comparison.train)
            names = f"; likely ones are {', '.join(likely)}" if likely else ""
            raise NotMeasurable(f"no quasi-identifier is declared; name them in 'columns'{names}")
        for name in self.columns:
            if name not in schema.names:
                raise NotMeasurable(
                    f"the quasi-identifier '{name}' is not among the compared columns"
                )
        return tuple(self.columns)


def count_rows_sharing(train: Keys, synthetic: Keys) -> Positions:
    """Return the number of train rows with the key of each synthetic row, shape (n,).

    Examples
    --------
    >>> keys = lambda *values: np.array(values, dtype=np.uint64)
    >>> count_rows_sharing(keys(1, 1, 2), keys(1, 2, 9)).tolist()
    [2, 1, 0]
    """
    ordered = np.sort(train)
    below = np.searchsorted(ordered, synthetic, side="left")
    return np.asarray(np.searchsorted(ordered, synthetic, side="right") - below, dtype=np.int64)

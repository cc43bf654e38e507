"""Differences in which cells are missing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np

from twinset.core.contracts import Comparison, Measurement, Role
from twinset.core.findings import DecidingRows, MissingCellPattern
from twinset.core.parameters import Ge, Margin
from twinset.core.stats.bootstrap import Groups
from twinset.core.stats.hypothesis_tests import discoveries

from .._bootstrap_metric import Bools, BootstrapMetric, Floats, Ints
from .._samples import check_not_empty, draw_groups, limit_columns, shown_share
from ._column_tests import chi_square_p
from ._columns import fit_cells

Masks = dict[str, Bools]
"""Column -> which of its cells are missing."""
_Cells = dict[str, list[tuple[Ints, int]]]
"""Column -> its cells and their number, for the synthetic and for the real rows."""

_MIN_MISSING = 30  # real rows without a cell: of fewer, shares of other columns are mostly chance
_MIN_SHARE = 0.01  # in place of smaller missing shares: one cell more than none is not a gap of 1
# Bins, and levels, of the columns that a missing cell is compared with: few, as few rows miss a cell.
_N_CELLS = 5
_FALSE_DISCOVERY_RATE = 0.05  # over the tests of all columns and pairs: the usual level
_MAX_LISTED = 10  # pairs of columns in the facts, and columns whose pairs are listed
_ROUNDING = 1e-9  # a sum of weights below it is 0


@dataclass(frozen=True, kw_only=True)
class Missingness(BootstrapMetric):
    """Largest difference of a column's missing cells: how many, and in which rows.

    value = max_j max(share gap, row gap) over columns j with missing cells. With missing shares s, the
    share gap is |s_synthetic - s_real| / max(s_synthetic, s_real, 1 %). The row gap compares the rows
    without a value of j: it is the largest total variation distance, over all other columns, of their
    shares of a few cells, missing being one of them. Range [0, 1]; 0 = alike, or nothing is missing.

    Chance alone makes it larger than 0, for the real rows of the baseline as well. Findings name
    columns only where tests say that chance does not explain the difference.

    Parameters
    ----------
    max_columns : int
        Columns whose row gap is taken, those with most missing cells first, and columns that each is
        compared with, 2 or more. The share gap is taken of all columns.

    References
    ----------
    Rubin (1976), Inference and Missing Data, Biometrika 63 (cells missing at random, or not).
    """

    family = "gap"
    title = "which cells are missing"
    interpretation = (
        "How far the pattern of missing cells is from real: how often each is missing, and which are "
        "missing together. 0 is the same pattern."
    )
    roles = frozenset({Role.APPEARANCE})

    margin: Margin = 0.1
    max_columns: Annotated[int, Ge(2)] = 30

    def compute(self, comparison: Comparison, rng: np.random.Generator) -> Measurement:
        """Return the largest gap of the missing cells; facts hold every column's, largest first."""
        check_not_empty(comparison)
        sets = comparison.synthetic, comparison.reference
        every = sets[1].schema.names
        masks = tuple({name: part.is_null(name) for name in every} for part in sets)
        shares = {name: max(float(own[name].mean()) for own in masks) for name in every}
        names = sorted((n for n in every if shares[n]), key=lambda name: -shares[name])
        if not names:
            # Measured, not refused: real rows in which nothing is missing are the baseline of
            # synthetic ones in which something is.
            return Measurement(0.0, np.zeros(self.replicates), (MissingCellPattern(),))
        groups = draw_groups(*sets, self.replicates, rng)
        others = names + [name for name in every if name not in names]
        cells: _Cells = {}
        for name in others[: self.max_columns]:
            code = fit_cells(comparison.train, name, n_bins=_N_CELLS, n_levels=_N_CELLS)
            cells[name] = [code(part) for part in sets]
        gaps, drawn = [], np.zeros(self.replicates)
        for name in names:
            gap, replicates = _column_gap(name, (masks[0][name], masks[1][name]), groups, cells)
            gaps.append(gap)
            drawn = np.maximum(drawn, replicates)
        pattern, facts = _describe(gaps, masks)
        n_missing = DecidingRows(pattern.n_missing, "rows with a missing cell")
        findings = pattern, n_missing, *limit_columns(self.max_columns, len(others))
        return Measurement(max(gap.value for gap in gaps), drawn, findings, facts=facts)


def share_gap(x: Floats, y: Floats) -> Floats:
    """Return the difference of two missing shares as a part of the larger one, or of 1 %, in [0, 1].

    Examples
    --------
    >>> share_gap(np.array([0.1, 0.0005]), np.array([0.05, 0.0])).round(2).tolist()
    [0.5, 0.05]
    """
    return np.asarray(np.abs(x - y) / np.maximum(np.maximum(x, y), _MIN_SHARE))


def row_gap(x: Floats, y: Floats, starts: Ints) -> Floats:
    """Return the total variation distance of each other column, shape (b, columns); 1 without rows."""
    n_x, n_y = (counts.sum(axis=1, keepdims=True) / len(starts) for counts in (x, y))
    difference = np.abs(x / np.maximum(n_x, _ROUNDING) - y / np.maximum(n_y, _ROUNDING))
    distance = 0.5 * np.add.reduceat(difference, starts, axis=1)
    return np.where((n_x < 0.5) | (n_y < 0.5), 1.0, np.minimum(distance, 1.0))


@dataclass(frozen=True)
class _Gap:
    """Gaps and p-values of one column with missing cells."""

    name: str
    share: float
    rows: float | None
    share_p: float
    row_p: dict[str, float]

    @property
    def value(self) -> float:
        return max(self.share, self.rows or 0.0)


def _column_gap(
    name: str, missing: tuple[Bools, Bools], groups: tuple[Groups, Groups], cells: _Cells
) -> tuple[_Gap, Floats]:
    """Return the gaps of one column and replicates of the larger, shape (b,)."""
    shares = [own.shares(own.counts(m.astype(np.int64), 2)) for own, m in zip(groups, missing)]
    whole, drawn = (share_gap(one[:, 1], other[:, 1]) for one, other in zip(*shares))
    counts = [np.bincount(mask, minlength=2).astype(np.float64) for mask in missing]
    share, share_p = float(whole[0]), chi_square_p(counts[0], counts[1])
    others = [other for other in cells if other != name]
    # Decided by the real rows alone, which candidate and baseline are both compared with.
    if name not in cells or counts[1][1] < _MIN_MISSING or not others:
        return _Gap(name, share, None, share_p, {}), drawn
    x, y = (
        [
            # A cell more than the column has takes the rows that have a value.
            own.counts(np.where(gone, codes, n), n + 1)[:, :n]
            for codes, n in (cells[other][which] for other in others)
        ]
        for which, (own, gone) in enumerate(zip(groups, missing))
    )
    starts = np.cumsum([0, *(table.shape[1] for table in x)])[:-1]
    (x_whole, x_drawn), (y_whole, y_drawn) = (
        (table.sum(axis=0, keepdims=True), own.draws @ table)
        for own, table in zip(groups, map(np.hstack, (x, y)))
    )
    p = {
        other: chi_square_p(one.sum(axis=0), two.sum(axis=0))
        for other, one, two in zip(others, x, y)
    }
    gap = _Gap(name, share, float(row_gap(x_whole, y_whole, starts).max()), share_p, p)
    return gap, np.maximum(drawn, row_gap(x_drawn, y_drawn, starts).max(axis=1))


def _describe(
    gaps: Sequence[_Gap], masks: tuple[Masks, ...]
) -> tuple[MissingCellPattern, dict[str, Any]]:
    """Return the columns whose missing cells differ beyond chance, and the shares of all columns."""
    ordered = sorted(gaps, key=lambda gap: (-gap.value, gap.name))
    p = [gap.share_p for gap in ordered] + [q for gap in ordered for q in gap.row_p.values()]
    differs = discoveries(np.array(p), _FALSE_DISCOVERY_RATE)
    by_share = [gap.name for gap, yes in zip(ordered, differs) if yes]
    links = [(gap.name, other) for gap in ordered for other in gap.row_p]
    tests = zip(links, differs[len(ordered) :], p[len(ordered) :])
    by_link = [link for _, link in sorted((q, link) for link, yes, q in tests if yes)]
    synthetic, real = masks
    shares = {gap.name: _shares(synthetic[gap.name], real[gap.name]) for gap in ordered}
    facts = {
        "shares": shares,
        "gaps": {
            # Beside the synthetic share the gap would disclose the real one.
            gap.name: {
                "share": None if shares[gap.name]["real"] is None else gap.share,
                "where": gap.rows,
            }
            for gap in ordered
        },
        "together": _together([gap.name for gap in ordered[:_MAX_LISTED]], synthetic, real),
        "different_shares": by_share,
        "different_rows": [list(link) for link in by_link[:_MAX_LISTED]],
    }
    moved = by_link[0][0] if by_link else None
    seen_in = tuple(other for name, other in by_link if name == moved)
    n_missing = max(int(np.any(list(own.values()), axis=0).sum()) for own in masks)
    return MissingCellPattern(tuple(by_share), moved, seen_in, n_missing), facts


def _shares(synthetic: Bools, real: Bools) -> dict[str, float | None]:
    return {"synthetic": float(synthetic.mean()), "real": shown_share(real.sum(), len(real))}


def _together(names: Sequence[str], synthetic: Masks, real: Masks) -> list[dict[str, Any]]:
    """Return the shares of rows in which both of two columns are missing, largest difference first."""
    pairs: list[dict[str, Any]] = []
    for i, one in enumerate(names):
        for other in names[i + 1 :]:
            shares = _shares(synthetic[one] & synthetic[other], real[one] & real[other])
            if shares["synthetic"] or shares["real"]:
                pairs.append({"columns": [one, other], **shares})
    return sorted(pairs, key=lambda pair: -abs(pair["synthetic"] - (pair["real"] or 0.0)))

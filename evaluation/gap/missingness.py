"""How far the pattern of missing cells is from the real one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

import numpy as np
import numpy.typing as npt

from twinset.core.contracts import (
    Comparison,
    Measurement,
    Metric,
    MetricFamily,
    NotMeasurable,
    Role,
)
from twinset.core.data.dataset import Dataset
from twinset.core.data.schema import TABULAR_KINDS
from twinset.core.findings import ColumnLimit, DecidingRows, Finding, MissingCellPattern
from twinset.core.parameters import Ge, Margin, Replicates
from twinset.core.stats.bootstrap import Groups
from twinset.core.stats.hypothesis_tests import discoveries

from ._cells import Codes, column_cells
from ._two_sample import chi_square_p

Floats = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

_LEAST_ROWS = 30
_LEAST_SHARE = 0.01
_N_BINS, _N_LEVELS = 5, 5
_FALSE_CALLS = 0.05
_MOST_TOLD = 10
_SMALL_CELL = 10


@dataclass(frozen=True, kw_only=True)
class Missingness(Metric):
    """Compares which cells are missing: how many, and in which rows.

    For each column with missing cells, in the real or the synthetic set, two gaps are taken. How
    many: the difference of the missing shares, divided by the larger one (or by 1 % where both are
    below). In which rows: the rows in which it is missing are held against the real rows in which it
    is missing, by the total variation distance of a few cells of every other column, and the column
    that tells most counts; a cell that is missing there too is a cell like any other. Values missing
    at random where the real ones are not show there. The value is the larger gap of the worst column,
    0 (alike, or nothing missing on either side) to 1. Chance alone makes it larger than 0, for the real
    rows of the baseline as well; columns are named only where tests say that chance does not explain
    it.

    Parameters
    ----------
    margin : float
        Largest harm that still counts as good as real, in the unit of the value.
    max_columns : int
        Columns whose rows with missing cells are looked at, those with most of them first, and
        columns that each is held against; 2 or more. How many cells are missing is looked at in all.
    replicates : int
        Bootstrap replicates.
    """

    family: ClassVar[MetricFamily] = "gap"
    title: ClassVar[str] = "which cells are missing"
    interpretation: ClassVar[str] = (
        "How far the pattern of missing cells is from real: how often each is missing, and which are "
        "missing together. 0 is the same pattern."
    )
    roles: ClassVar[frozenset[Role]] = frozenset({Role.APPEARANCE})
    higher_is_better: ClassVar[bool] = False
    bounds: ClassVar[tuple[float, float]] = (0.0, 1.0)
    kinds: ClassVar[frozenset[str]] = TABULAR_KINDS

    margin: Margin = 0.1
    max_columns: Annotated[int, Ge(2)] = 30
    replicates: Replicates = 200

    def compute(self, comparison: Comparison, rng: np.random.Generator) -> Measurement:
        """Return the largest gap of the missing cells; details hold every column's, worst first."""
        synthetic, reference = comparison.synthetic, comparison.reference
        if not len(synthetic) or not len(reference):
            raise NotMeasurable("there are no rows to compare")
        sides = (_Side.of(synthetic), _Side.of(reference))
        names = _with_missing(sides)
        if not names:
            # Measured, not refused: real rows in which nothing is missing are the baseline of
            # synthetic ones in which something is.
            return Measurement(0.0, np.zeros(self.replicates), (MissingCellPattern(),))
        of_reference = Groups.assign(len(reference), self.replicates, rng)
        groups = (Groups.assign(len(synthetic), self.replicates, rng), of_reference)
        others = names + [n for n in reference.schema.names if n not in names]
        cells = _Cells.of(comparison.train, (synthetic, reference), others[: self.max_columns])
        gaps, drawn = [], np.zeros(self.replicates)
        for i, name in enumerate(names):
            seen_by = cells if i < self.max_columns else None
            found, replicates = _column_gap(name, sides, groups, seen_by)
            gaps.append(found)
            drawn = np.maximum(drawn, replicates)
        value = max(gap.value for gap in gaps)
        pattern, facts = _details(gaps, sides)
        findings: list[Finding] = [
            pattern,
            DecidingRows(pattern.n_missing, "rows with a missing cell"),
        ]
        if len(others) > self.max_columns:
            findings.append(ColumnLimit(self.max_columns, len(others)))
        return Measurement(value, drawn, tuple(findings), facts=facts)


def share_gap(x: Floats, y: Floats) -> Floats:
    """Return by what part of the larger one two missing shares differ, in [0, 1].

    Below 1 % the difference counts as a part of 1 %: one cell more than none is not a gap of 1.
    Chance is not taken off: real rows in equal number show what it does.

    Parameters
    ----------
    x, y : numpy.ndarray, shape (b,)
        Missing shares of the two sides.

    Examples
    --------
    >>> share_gap(np.array([0.1, 0.0005]), np.array([0.05, 0.0])).round(2).tolist()
    [0.5, 0.05]
    """
    return np.asarray(np.abs(x - y) / np.maximum(np.maximum(x, y), _LEAST_SHARE))


def where_gap(x: Floats, y: Floats, starts: npt.NDArray[np.int64]) -> Floats:
    """Return the total variation distance of each other column, shape (b, columns), in [0, 1].

    A side without any row lies at distance 1.

    Parameters
    ----------
    x, y : numpy.ndarray, shape (b, k)
        How many rows in which the column is missing fall into each cell, the cells of all other
        columns side by side.
    starts : numpy.ndarray of int
        Where each other column's cells begin.

    Examples
    --------
    >>> x, y = np.array([[8.0, 2.0, 5.0, 5.0]]), np.array([[4.0, 1.0, 0.0, 5.0]])
    >>> where_gap(x, y, np.array([0, 2])).round(2).tolist()
    [[0.0, 0.5]]
    """
    n_x, n_y = (counts.sum(axis=1, keepdims=True) / len(starts) for counts in (x, y))
    share_x, share_y = x / np.maximum(n_x, 1e-9), y / np.maximum(n_y, 1e-9)
    apart = 0.5 * np.add.reduceat(np.abs(share_x - share_y), starts, axis=1)
    return np.where((n_x < 0.5) | (n_y < 0.5), 1.0, np.minimum(apart, 1.0))


@dataclass(frozen=True)
class _Side:
    """Which cells of a set are missing."""

    missing: dict[str, Mask]

    @classmethod
    def of(cls, dataset: Dataset) -> _Side:
        return cls({name: dataset.is_null(name) for name in dataset.schema.names})


@dataclass(frozen=True)
class _Cells:
    """The cells of the columns that a missing cell is held against, once a side."""

    names: list[str]
    sides: tuple[list[Codes], list[Codes]]
    sizes: list[int]

    @classmethod
    def of(cls, train: Dataset, sets: tuple[Dataset, Dataset], names: Sequence[str]) -> _Cells:
        cut = [
            column_cells(train, sets, name, n_bins=_N_BINS, n_levels=_N_LEVELS) for name in names
        ]
        sides = ([c[0][0] for c in cut], [c[0][1] for c in cut])
        return cls(list(names), sides, [c[1] for c in cut])

    def counts(
        self, side: int, rows: npt.NDArray[np.int64], group: npt.NDArray[np.int64], n_groups: int,
        but: str,
    ) -> tuple[Floats, npt.NDArray[np.int64]]:  # fmt: skip
        """Return the cells of these rows counted by group, of all columns but one; and starts."""
        kept = [i for i, name in enumerate(self.names) if name != but]
        starts = np.cumsum([0, *[self.sizes[i] for i in kept]])
        out = np.zeros((n_groups, int(starts[-1])))
        for start, i in zip(starts, kept):
            cell = group[rows] * self.sizes[i] + self.sides[side][i][rows]
            flat = np.bincount(cell, minlength=n_groups * self.sizes[i])
            out[:, start : start + self.sizes[i]] = flat.reshape(n_groups, -1)
        return out, starts[:-1]


@dataclass(frozen=True)
class _Gap:
    """What came of one column with missing cells."""

    name: str
    share: float
    where: float | None
    share_p: float
    where_p: dict[str, float]

    @property
    def value(self) -> float:
        return max(self.share, self.where or 0.0)


def _with_missing(sides: tuple[_Side, _Side]) -> list[str]:
    """Return the columns with missing cells on either side, those with most of them first."""
    shares = {
        name: max(float(side.missing[name].mean()) for side in sides) for name in sides[0].missing
    }
    return sorted((name for name in shares if shares[name]), key=lambda name: -shares[name])


def _column_gap(
    name: str, sides: tuple[_Side, _Side], groups: tuple[Groups, Groups], cells: _Cells | None
) -> tuple[_Gap, Floats]:
    """Return the gaps of one column and replicates of the larger, shape (b,).

    Without `cells` only how many cells are missing is looked at.
    """
    shares, counts = [], []
    for side, group in zip(sides, groups):
        shares.append(group.shares(group.counts(side.missing[name].astype(np.int64), 2)))
        counts.append(np.bincount(side.missing[name], minlength=2).astype(np.float64))
    whole = float(share_gap(shares[0][0][:, 1], shares[1][0][:, 1])[0])
    drawn = share_gap(shares[0][1][:, 1], shares[1][1][:, 1])
    share_p = chi_square_p(counts[0], counts[1])
    # Decided by the real rows alone, which candidate and baseline are both compared with.
    if cells is None or counts[1][1] < _LEAST_ROWS or len(cells.names) < 2:
        return _Gap(name, whole, None, share_p, {}), drawn
    tables = []
    for i, (side, group) in enumerate(zip(sides, groups)):
        rows = np.flatnonzero(side.missing[name])
        table, starts = cells.counts(i, rows, group.group, group.size, name)
        tables.append(table)
    x, y = (table.sum(axis=0, keepdims=True) for table in tables)
    where = float(where_gap(x, y, starts).max())
    replicated = where_gap(groups[0].draws @ tables[0], groups[1].draws @ tables[1], starts)
    others = [other for other in cells.names if other != name]
    pieces = zip(others, np.split(x[0], starts[1:]), np.split(y[0], starts[1:]))
    p = {other: chi_square_p(a, b) for other, a, b in pieces}
    return _Gap(name, whole, where, share_p, p), np.maximum(drawn, replicated.max(axis=1))


def _details(
    gaps: Sequence[_Gap], sides: tuple[_Side, _Side]
) -> tuple[MissingCellPattern, dict[str, Any]]:
    """Return the columns whose missing cells differ beyond chance, and the shares of all columns."""
    ordered = sorted(gaps, key=lambda gap: (-gap.value, gap.name))
    p = [gap.share_p for gap in ordered] + [q for gap in ordered for q in gap.where_p.values()]
    called = discoveries(np.array(p), _FALSE_CALLS)
    by_share = [gap.name for gap, yes in zip(ordered, called) if yes]
    links = [(gap.name, other) for gap in ordered for other in gap.where_p]
    tests = zip(links, called[len(ordered) :], p[len(ordered) :])
    by_link = sorted((q, link) for link, yes, q in tests if yes)
    any_missing = [int(np.any(list(side.missing.values()), axis=0).sum()) for side in sides]
    facts = {
        "shares": {
            gap.name: {
                "synthetic": float(sides[0].missing[gap.name].mean()),
                "real": _real_share(sides[1].missing[gap.name]),
            }
            for gap in ordered
        },
        "gaps": {gap.name: _told_gap(gap, sides[1].missing[gap.name]) for gap in ordered},
        "together": _together([gap.name for gap in ordered], sides),
        "different_shares": by_share,
        "different_rows": [list(link) for _, link in by_link[:_MOST_TOLD]],
    }
    moved = by_link[0][1][0] if by_link else None
    seen_in = tuple(other for _, (name, other) in by_link if name == moved)
    return MissingCellPattern(tuple(by_share), moved, seen_in, max(any_missing)), facts


def _told_gap(gap: _Gap, missing: Mask) -> dict[str, float | None]:
    # Beside the synthetic share the gap would give away the real one.
    told = gap.share if _real_share(missing) is not None else None
    return {"share": told, "where": gap.where}


def _real_share(missing: Mask) -> float | None:
    """Return a missing share of real rows; None where it would speak of 1 to 10 rows."""
    return None if 1 <= missing.sum() <= _SMALL_CELL else float(missing.mean())


def _together(names: Sequence[str], sides: tuple[_Side, _Side]) -> list[dict[str, Any]]:
    """Return for pairs of columns the share of rows in which both are missing, widest apart first."""
    pairs = []
    names = names[:_MOST_TOLD]
    for i, one in enumerate(names):
        for other in names[i + 1 :]:
            both = [side.missing[one] & side.missing[other] for side in sides]
            made, real = float(both[0].mean()), _real_share(both[1])
            if made or real:
                pairs.append({"columns": [one, other], "synthetic": made, "real": real})
    return sorted(pairs, key=lambda pair: -abs(pair["synthetic"] - (pair["real"] or 0.0)))

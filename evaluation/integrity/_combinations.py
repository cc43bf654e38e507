"""Checks of several columns together: rules, orders, impossible combinations, ratios, differences."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from twinset.core.contracts import Comparison
from twinset.core.data.rule import Rule
from twinset.core.integrity import FaultKind
from twinset.core.rules.columns import RuleTable
from twinset.core.rules.discover import linear_relations, one_hot_groups, sums
from twinset.core.rules.violations import violations

from ._checks import Check
from ._columns import Bools, Column, PerSet, Values
from ._values import find_ends, is_beyond

Floats = npt.NDArray[np.float64]

_SEARCHED_ROWS = 10_000  # real rows in which rules and combinations are searched; all rows decide
_SAMPLED_ROWS = 2_000  # rows that show which numbers rise together
_NEARLY = 0.02  # share of real rows that may break a rule that is still checked
_MIN_EXPECTED = 15.0  # rows that independent conditions would share, so that none is no chance
_MAX_BROKEN = (
    0.1  # of the rows that chance would put above, as a share, that real rows may have there
)
_MAX_SHARED = 0.02  # of them, as a share, that real rows may share all the same
_MIN_SHARE = 0.005  # share of real rows with a condition, and without it
_MIN_SHARE_NUMBER = 0.02  # the same of one value of a number
_MIN_SHARE_OTHERS = 0.03  # share of a value, from which the rows without it are a condition
_MAX_VALUES = 24  # values of a column that are conditions
# Conditions of a table: their pairs are held at once, 64 MB; from some 120 columns on, each has fewer
_MAX_CONDITIONS = 4_000
_MAX_RELATIONS = 1_000  # pairs of numbers that are related, the closest first: a few seconds
_ORDER_ROWS = 300  # rows that rule most orders out, so that few pairs are looked at in all rows
_MAX_ABOVE = 0.06  # share of these above, from which 2 % of all rows are ruled out: five deviations
_MAX_LEVELS = 50  # distinct numbers of a column of levels
_QUANTILES = (
    0.05,
    0.1,
    0.25,
    0.5,
    0.75,
    0.9,
    0.95,
)  # of a number, where a condition begins or ends
_MIN_DISTINCT = 20  # distinct numbers of a column whose ratio to another one says something
_MIN_RANK_CORRELATION = 0.6  # of two numbers that rise together
_FEW = 1e-300  # stands for 0 in a logarithm


def rule_checks(comparison: Comparison) -> Iterator[Check]:
    """Yield the checks of declared rules, and of sums, relations and flags that are found in train."""
    train, holdout, synthetic = comparison.train, comparison.reference, comparison.synthetic
    places = np.linspace(0, len(train) - 1, min(len(train), _SEARCHED_ROWS)).astype(np.int64)
    names = [field.name for field in train.schema.fields if field.is_tabular]
    table = RuleTable.from_dataset(train.take(places), names)
    found = itertools.chain(
        sums(table, table), linear_relations(table, table), one_hot_groups(table, _NEARLY)
    )
    rules: dict[tuple[str, tuple[str, ...]], Rule] = {}
    for rule in (*train.schema.rules, *(rule for rule, _ in found)):
        rules.setdefault((rule.kind, rule.columns), rule)
    for rule in rules.values():
        broken = [violations(rule, part) for part in (holdout, train)]
        n_broken, n_real = tuple(int(b.sum()) for b in broken), (len(holdout), len(train))
        if rule in train.schema.rules or sum(n_broken) <= _NEARLY * sum(n_real):
            rows = np.flatnonzero(violations(rule, synthetic))
            yield Check(
                FaultKind.RULE, rule.columns, rows, (n_broken[0], n_broken[1]), n_real, str(rule)
            )


def order_checks(columns: Sequence[Column]) -> Iterator[Check]:
    """Yield the checks of pairs of numbers, or of times, of which one is never above the other."""
    ordered = [c for c in columns if c.is_numeric and c.is_compared and len(c.sorted_real)]
    for a, b in _pairs_in_order(ordered):
        if a.field.is_time != b.field.is_time or a.field.has_levels or b.field.has_levels:
            continue
        n = int((a.is_present(a.real) & b.is_present(b.real)).sum())
        above = np.searchsorted(b.sorted_real, a.sorted_real[:: len(a.sorted_real) // 500 + 1])
        expected = n * float(above.mean()) / len(b.sorted_real)
        if expected < _MIN_EXPECTED:
            continue
        strict = bool((a.real == b.real).sum() <= _MAX_SHARED * _MIN_EXPECTED)
        if (a.real > b.real).sum() > min(_MAX_BROKEN * expected, _NEARLY * n):
            continue
        broken = [x >= y if strict else x > y for x, y in zip(a.parts, b.parts)]
        sign = "<" if strict else "<="
        yield _joint_check(FaultKind.RULE, (a, b), broken, f"{a.name} {sign} {b.name}")


def _pairs_in_order(columns: Sequence[Column]) -> Iterator[tuple[Column, Column]]:
    """Yield the pairs of columns of which the first is hardly ever above the second in some rows."""
    if not columns:
        return
    n = len(columns[0].real)
    rows = np.linspace(0, n - 1, min(n, _ORDER_ROWS)).astype(np.int64)
    values = np.stack([column.real[rows] for column in columns])
    for i, column in enumerate(columns):
        for j in np.flatnonzero((values[i] > values).mean(axis=1) <= _MAX_ABOVE):
            if j != i:
                yield column, columns[int(j)]


def _joint_check(
    kind: FaultKind, columns: tuple[Column, Column], hits: Sequence[Bools], detail: str = ""
) -> Check:
    """Return the check of rows of train, holdout and candidate that are hit."""
    names = columns[0].name, columns[1].name
    unseen, n_real = (int(hits[1].sum()), int(hits[0].sum())), (len(hits[1]), len(hits[0]))
    return Check(kind, names, np.flatnonzero(hits[2]), unseen, n_real, detail)


@dataclass(frozen=True)
class _Condition:
    """A range of one column, or its missing cells; or all but these."""

    column: Column
    low: float
    high: float
    is_negated: bool = False

    def holds(self, values: Values) -> Bools:
        """Return which values meet the condition, shape (n,)."""
        present = self.column.is_present(values)
        if np.isnan(self.low):
            return present if self.is_negated else ~present
        inside = (values >= self.low) & (values <= self.high)
        return np.asarray(present & (~inside if self.is_negated else inside))


def _conditions(column: Column) -> list[_Condition]:
    """Return conditions on one column: frequent values, quantiles, missing cells, and the reverse."""
    real, known = column.real, column.sorted_real
    n = len(real)
    found = []
    if _MIN_SHARE <= 1 - len(known) / n <= 1 - _MIN_SHARE:
        found += [_Condition(column, np.nan, np.nan, negated) for negated in (False, True)]
    values, counts = np.unique(known, return_counts=True)
    is_number = column.is_numeric and len(values) > _MAX_LEVELS
    least = _MIN_SHARE_NUMBER if is_number else _MIN_SHARE
    for i in np.argsort(-counts, kind="stable")[:_MAX_VALUES]:
        value, share = float(values[i]), counts[i] / n
        if least <= share <= 1 - _MIN_SHARE:
            found.append(_Condition(column, value, value))
            if share >= _MIN_SHARE_OTHERS:
                found.append(_Condition(column, value, value, True))
    if column.is_numeric and len(values) > len(_QUANTILES):
        cuts = np.unique(np.quantile(known, _QUANTILES, method="lower"))
        for cut in cuts[cuts < values[-1]]:
            found += [_Condition(column, -np.inf, float(cut), negated) for negated in (False, True)]
    return found


def combination_checks(columns: Sequence[Column]) -> Iterator[Check]:
    """Yield the checks of pairs of conditions that real rows never meet together, unlike chance."""
    compared = [column for column in columns if column.is_compared]
    most = _MAX_CONDITIONS // max(len(compared), 1)
    found = [one for column in compared for one in _conditions(column)[:most]]
    if not found:
        return
    n_real = len(columns[0].real)
    rows = np.linspace(0, n_real - 1, min(n_real, _SEARCHED_ROWS)).astype(np.int64)
    held = np.column_stack([one.holds(one.column.real[rows]) for one in found])
    together = held.T.astype(np.float32) @ held.astype(np.float32)
    counts = np.diag(together).astype(float)
    expected = np.outer(counts, counts) / len(rows)
    owner = np.unique([one.column.name for one in found], return_inverse=True)[1]
    surprising = (expected >= _MIN_EXPECTED) & (owner[:, None] < owner[None, :])
    n, scale = len(columns[0].parts.synthetic), n_real / len(rows)
    # Rows that all sets together have of each pair, by the real rows
    totals = np.sort(together[surprising]).astype(np.float64) * scale * (1 + n / n_real)
    pairs = np.argwhere(surprising & (together <= _MAX_SHARED * expected))
    parts = {i: [found[i].holds(p) for p in found[i].column.parts] for i in np.unique(pairs)}
    for i, j in pairs:
        hits = [a & b for a, b in zip(parts[i], parts[j])]
        one = _joint_check(FaultKind.COMBINATION, (found[i].column, found[j].column), hits)
        total = len(one.rows) + sum(one.n_unseen)
        yield replace(one, n_tests=_n_rivals(totals, total))


def _n_rivals(totals: npt.NDArray[np.floating], total: int) -> float:
    """Return how many pairs have about as many rows as one pair: any of them could stand in its place."""
    near = np.searchsorted(totals, (0.5 * total, 1.5 * total))
    # Spread over as many totals, and half as many again for all larger ones
    return max(1.0, 1.5 * float(near[1] - near[0]) / max(total, 1))


def relation_checks(columns: Sequence[Column]) -> Iterator[Check]:
    """Yield the checks of the ratio, or the difference, of two numbers that rise together."""
    numeric = [
        column
        for column in columns
        if column.is_numeric
        and column.is_compared
        and len(np.unique(column.sorted_real)) >= _MIN_DISTINCT
    ]
    if len(numeric) < 2:
        return
    correlation = np.triu(_rank_correlation(numeric), k=1)
    pairs = np.argwhere(correlation >= _MIN_RANK_CORRELATION)
    closest = np.argsort(-correlation[tuple(pairs.T)], kind="stable")[:_MAX_RELATIONS]
    for i, j in pairs[closest]:
        yield _relation_check(numeric[i], numeric[j])


def _rank_correlation(columns: Sequence[Column]) -> Floats:
    """Return Spearman's correlation of numbers, missing ones at the median, on some real rows."""
    from scipy.stats import rankdata

    n = len(columns[0].real)
    rows = np.linspace(0, n - 1, min(n, _SAMPLED_ROWS)).astype(np.int64)
    filled = [np.nan_to_num(c.real[rows], nan=float(np.median(c.sorted_real))) for c in columns]
    ranks = np.stack([rankdata(values) for values in filled])
    with np.errstate(invalid="ignore"):  # a number that is one value in all of these rows
        return np.asarray(np.corrcoef(ranks))


def _relation_check(a: Column, b: Column) -> Check:
    is_ratio = min(a.sorted_real[0], b.sorted_real[0]) > 0 and not a.field.is_time | b.field.is_time
    scales = [float(np.std(c.sorted_real)) or 1.0 for c in (a, b)]

    def relate(x: Floats, y: Floats) -> Floats:
        if not is_ratio:
            return x / scales[0] - y / scales[1]
        logs = [np.log(np.maximum(values, _FEW)) for values in (x, y)]
        return np.where((x > 0) & (y > 0), logs[0] - logs[1], np.nan)

    joint = Column(a.field, PerSet(*(relate(x, y) for x, y in zip(a.parts, b.parts))))
    detail = f"the {'ratio' if is_ratio else 'difference'} is beyond real ones"
    one = joint.check(
        FaultKind.COMBINATION, find_ends, is_beyond, detail, expected_share=joint.tail_share
    )
    return replace(one, columns=(a.name, b.name))

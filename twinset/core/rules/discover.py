"""Find rules that hold in all rows of a real table, or in nearly all, to be proposed to its owner."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pyarrow.compute as pc

from twinset.core.data.dataset import Dataset
from twinset.core.data.rule import Rule
from twinset.core.rules.columns import Rows, RuleTable
from twinset.core.rules.discover_numeric import linear_relations, never_negative, orders, sums
from twinset.core.rules.violations import broken_rows, ones

Candidate = tuple[Rule, str]
_MOST_VALUES, _MOST_COLUMNS, _LEAST_REPEATS = 500, 60, 10.0
_GLANCE_AT = 2
_LEAST_EVIDENCE = 30.0
"""Minus the natural log of how unlikely a dependency must be where columns are independent."""


def one_hot_groups(table: RuleTable, nearly: float) -> Iterator[Candidate]:
    """Yield groups of 0/1 columns exactly one of which is 1 in (nearly) every row."""
    names = [name for name in table.columns if _is_flag(table, name)]
    if len(names) < 2:
        return
    flags = np.column_stack([ones(table, name) for name in names])
    n, counts = len(flags), flags.sum(axis=0)
    together = flags.T.astype(np.float32) @ flags.astype(np.float32)
    apart = together <= nearly * n
    free = [j for j in range(len(names)) if 0 < counts[j] < n]
    while free:
        # Flags of one group mostly stand side by side, so the next one that fits is taken.
        group = [free[0]]
        for j in free[1:]:
            room = n - counts[group].sum() + nearly * n
            if all(apart[j, k] for k in group) and counts[j] <= room:
                group.append(j)
            if counts[group].sum() >= (1 - nearly) * n:
                break
        exact = abs(int(counts[group].sum()) - n) <= nearly * n
        if len(group) >= 2 and exact:
            columns = tuple(names[j] for j in group)
            yield Rule("one_hot", columns), f"exactly one of {', '.join(columns)} is 1"
            free = [j for j in free if j not in group]
        else:
            free = free[1:]


def _is_flag(table: RuleTable, name: str) -> bool:
    if table.is_numeric(name):
        values = table.columns[name]
        return bool(np.all((values == 0) | (values == 1)))
    texts = set(table.levels[name].texts)
    words = ({"0", "1"}, {"false", "true"}, {"0.0", "1.0"})
    return not (table.columns[name] < 0).any() and any(texts == pair for pair in words)


def dependencies(table: RuleTable, sample: RuleTable, nearly: float) -> Iterator[Candidate]:
    """Yield pairs of columns of which the first decides the second, beyond what chance would do."""
    screened = _discrete(sample)
    names = list(screened)
    whole: dict[str, Rows] = {}
    for left, right in itertools.permutations(names, 2):
        if not _decides(screened[left], screened[right], 3 * nearly):
            continue
        for name in (left, right):
            if name not in whole:
                whole[name] = table.keys([name])
        if not _decides(whole[left], whole[right], nearly):
            continue
        if _evidence(whole[left], whole[right]) < _LEAST_EVIDENCE:
            continue
        back = _decides(whole[right], whole[left], nearly)
        # Where each decides the other, one rule does: from the text to the number, or in order.
        later = table.is_numeric(left), names.index(left)
        if back and later > (table.is_numeric(right), names.index(right)):
            continue
        text = f"{left} decides {right}" + (", and the other way round" if back else "")
        yield Rule("dependency", (left, right)), text


def _discrete(sample: RuleTable) -> dict[str, Rows]:
    """Return the keys of the columns whose values repeat often, at least two of them."""
    kept: dict[str, Rows] = {}
    most = min(_MOST_VALUES, max(len(sample) // 5, 2))
    few = sample.take(slice(0, _GLANCE_AT * most))
    for name in sample.columns:
        if (
            sample.fields[name].column_kind.is_key
            or sample.fields[name].is_time
            or len(kept) == _MOST_COLUMNS
        ):
            continue
        # A few rows show that most numbers have more values than that.
        if _n_distinct(few.keys([name])) > most:
            continue
        codes = sample.keys([name])
        if not 2 <= _n_distinct(codes) <= most:
            continue
        # One heap and many values that occur once would decide anything else by chance.
        if np.median(np.bincount(codes[codes >= 0])) >= 2:
            kept[name] = codes
    return kept


def _n_distinct(codes: Rows) -> int:
    return int(codes.max()) + 1 if len(codes) else 0


def _table(left: Rows, right: Rows) -> tuple[Rows, Rows, Rows]:
    """Return the distinct pairs as left codes, right codes and counts."""
    both = (left >= 0) & (right >= 0)
    width = int(right.max()) + 1 if len(right) else 1
    joint = left[both] * width + right[both]
    if len(joint) and joint.max() < 4 * len(joint) + 100_000:
        counts = np.bincount(joint)
        pairs = np.flatnonzero(counts)
        return pairs // width, pairs % width, counts[pairs]
    pairs, counts = np.unique(joint, return_counts=True)
    return pairs // width, pairs % width, counts


def _decides(left: Rows, right: Rows, nearly: float) -> bool:
    a, _, counts = _table(left, right)
    if not len(counts):
        return False
    most = np.zeros(int(a.max()) + 1, dtype=np.int64)
    np.maximum.at(most, a, counts)
    return bool(counts.sum() - most.sum() <= nearly * counts.sum())


def _evidence(left: Rows, right: Rows) -> float:
    """Return minus the log-probability that independent columns agree in all repeated left values."""
    a, b, counts = _table(left, right)
    shares = np.bincount(b, weights=counts) / counts.sum()
    sizes = np.bincount(a, weights=counts)
    main = np.zeros(len(sizes), dtype=np.int64)
    order = np.argsort(counts, kind="stable")
    main[a[order]] = b[order]
    known = sizes > 0
    of_main = shares[main[known]]
    if np.count_nonzero(np.bincount(main[known])) < 2:
        return 0.0
    # Rows beyond the first of each left value are the ones that could have told otherwise.
    logs = -np.log(np.clip(of_main, 1e-12, 1.0))
    return float(((sizes[known] - 1) * logs).sum())


def keys(table: RuleTable, sample: RuleTable) -> Iterator[Candidate]:
    """Yield columns, or pairs of them, whose values occur once though chance would repeat them."""
    fields = [table.fields[name] for name in table.columns]
    # Real numbers never repeat by chance; booleans always do.
    names = [f.name for f in fields if not f.is_continuous and f.kind != "boolean"]
    codes = {name: table.keys([name]) for name in names[:_MOST_COLUMNS]}
    n = len(table)
    # The share of all pairs of rows that agree in a column; 1 / n where all differ.
    alike = {
        name: float(np.sum((np.bincount(own[own >= 0]) / n) ** 2)) for name, own in codes.items()
    }
    complete = [name for name, own in codes.items() if n >= 30 and own.min(initial=0) >= 0]
    single = [name for name in complete if int(codes[name].max()) + 1 == n]
    for name in single:
        yield Rule("unique", (name,)), f"{name} is a key"
    rest = [name for name in complete if name not in single]
    screened = {name: sample.keys([name]) for name in rest}
    for a, b in itertools.combinations(rest, 2):
        if 0.5 * n * n * alike[a] * alike[b] < _LEAST_REPEATS:
            continue
        if _all_differ(screened[a], screened[b]) and _all_differ(codes[a], codes[b]):
            yield Rule("unique", (a, b)), f"{a} and {b} together are a key"


def _all_differ(a: Rows, b: Rows) -> bool:
    joint = np.sort(a * (int(b.max()) + 1) + b)
    return bool(np.all(joint[1:] != joint[:-1]))


_SAMPLE_CELLS, _MOST_SAMPLE, _LEAST_ROWS = 2_000_000, 4_000, 30
NEARLY = 0.005
"""A rule that at most this share of the rows breaks is worth a look."""


@dataclass(frozen=True)
class ProposedRule:
    """A rule that real rows suggest.

    Parameters
    ----------
    rule : Rule
        The rule.
    support_rows : int
        Rows that could have broken it: those in which none of its columns is missing.
    broken_rows : int
        Rows that do break it.
    text : str
        The same in words, for a comment.
    """

    rule: Rule
    support_rows: int
    broken_rows: int
    text: str

    @property
    def holds(self) -> bool:
        """Whether no row breaks it."""
        return self.broken_rows == 0


def discover_rules(dataset: Dataset, *, nearly: float = NEARLY) -> list[ProposedRule]:
    """Return the rules that a table suggests, those without a breaking row first.

    Looked for are sums of up to four parts, linear relations of two numbers, orders, numbers that
    are never negative, one-hot groups, columns that another one decides, and keys of one or two
    columns. A sample finds the candidates, all rows decide. What independent columns would show
    anyway is no rule: two numbers on different scales have no order, a rare label is decided by
    nothing.

    Parameters
    ----------
    dataset : Dataset
        The real table; at least 30 rows, else nothing is found.
    nearly : float
        Share of rows that may break a rule for it to be listed, in [0, 1).

    Examples
    --------
    >>> import pyarrow as pa
    >>> rng = np.random.default_rng(0)
    >>> start, days = rng.integers(0, 300, 500), rng.integers(0, 90, 500)
    >>> table = pa.table({"start": start, "days": days, "end": start + days})
    >>> found = discover_rules(Dataset.from_arrow(table))
    >>> found[0].text, found[0].support_rows
    ('end = start + days', 500)
    """
    if len(dataset) < _LEAST_ROWS:
        return []
    names = [field.name for field in dataset.schema.fields if field.is_tabular]
    table = RuleTable.of(dataset, names)
    n_sample = int(np.clip(_SAMPLE_CELLS // max(len(names), 1), 400, _MOST_SAMPLE))
    rows = np.unique(np.linspace(0, len(dataset) - 1, n_sample).astype(np.int64))
    found = [_identifier(dataset, field.name) for field in dataset.schema.of_kind("id")]
    found = [one for one in found if one.holds]
    for rule, text in _candidates(table, table.take(rows), nearly):
        broken = int(broken_rows(rule, table).sum())
        support = len(table) - int(table.missing(rule.columns).sum())
        if support >= _LEAST_ROWS and broken <= nearly * support:
            found.append(ProposedRule(rule, support, broken, text))
    kept = [one for one in found if not _is_implied(one, found)]
    return sorted(kept, key=lambda one: not one.holds)


def _identifier(dataset: Dataset, name: str) -> ProposedRule:
    column = dataset.records.column(name)
    present = len(column) - column.null_count
    repeated = present - pc.count_distinct(column, mode="only_valid").as_py()
    return ProposedRule(Rule("unique", (name,)), present, repeated, f"{name} is a key")


def _candidates(table: RuleTable, sample: RuleTable, nearly: float) -> Iterator[tuple[Rule, str]]:
    yield from sums(table, sample)
    yield from linear_relations(table, sample)
    yield from orders(table, sample, nearly)
    yield from never_negative(table)
    yield from one_hot_groups(table, nearly)
    yield from dependencies(table, sample, nearly)
    yield from keys(table, sample)


def _is_implied(one: ProposedRule, found: list[ProposedRule]) -> bool:
    """Return whether other rules say the same: an order by a sum, a dependency by a relation."""
    rule = one.rule
    exact = [other.rule for other in found if other.holds and other is not one]
    if rule.kind == "order":
        said = [set(other.columns) for other in exact if other.kind in ("sum", "linear")]
        return all(any({a, b} <= other for other in said) for a, b in pairwise(rule.columns))
    if rule.kind == "sum":
        return _follows_from_sums(rule, [other for other in exact if other.kind == "sum"])
    if rule.kind != "dependency":
        return False
    if any(other.kind == "linear" and set(other.columns) == set(rule.columns) for other in exact):
        return True
    left, right = rule.columns
    decided = {other.columns for other in exact if other.kind == "dependency"}
    between = {b for a, b in decided if a == left and b != right}
    # Of city -> county -> country the third, city -> country, follows.
    return any((middle, right) in decided and (middle, left) not in decided for middle in between)


def _follows_from_sums(rule: Rule, sums: list[Rule]) -> bool:
    """Return whether a sum is another one with a part put in the place of its own sum."""
    for outer in sums:
        for inner in sums:
            if outer.columns[0] == rule.columns[0] and inner.columns[0] in outer.columns[1:]:
                parts = (set(outer.columns[1:]) - {inner.columns[0]}) | set(inner.columns[1:])
                if parts == set(rule.columns[1:]):
                    return True
    return False

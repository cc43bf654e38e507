"""Find rules that hold in all rows of a real table, or in nearly all, to be proposed to its owner."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pyarrow.compute as pc

from twinset.core.data.dataset import Dataset
from twinset.core.data.rule import Rule
from twinset.core.rules.columns import Mask, Rows, RuleTable
from twinset.core.rules.violations import broken_rows, ones

Candidate = tuple[Rule, str]
Floats = npt.NDArray[np.float64]
_MOST_VALUES, _MOST_COLUMNS, _LEAST_REPEATS = 500, 60, 10.0
_GLANCE_AT = 2  # times as many rows as a column may have values show that most numbers have more
MIN_EVIDENCE = 30.0  # minus the natural log of the probability of a dependency by chance: 1e-13
_PARTS_FOR = ((2, 120), (3, 60), (4, 30))  # parts, columns up to which all sums are tried
_MIN_DISTINCT = 8  # with fewer values, relations hold by chance
_MIN_OVERLAP = 0.1  # how often shuffled rows must break an order for it to say anything
_PROBES = 3  # rows that name candidate sums; one of them may be an exception
_DAY = 86_400e6  # microseconds


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
        if _evidence(whole[left], whole[right]) < MIN_EVIDENCE:
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
        # One frequent value and many that occur once would decide anything else by chance.
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
    # Rows beyond the first of each left value are the ones that could have broken it.
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


def sums(table: RuleTable, sample: RuleTable) -> Iterator[Candidate]:
    """Yield columns that are the sum of two to four others in (nearly) all rows of the sample."""
    names = [n for n in _varying(sample) if table.fields[n].is_numeric]
    matrix = _matrix(sample, names)
    whole = np.flatnonzero(~np.isnan(matrix).any(axis=1)) if len(names) else np.empty(0, int)
    if len(whole) < 20:
        return
    # Rows with many amounts other than 0 tell most; a few of them, as one may be an exception.
    rich = whole[np.argsort(-np.count_nonzero(matrix[whole], axis=1), kind="stable")]
    probes = rich[: 4 * _PROBES : 4]
    found: set[frozenset[str]] = set()
    for n_parts, most in _PARTS_FOR:
        if len(names) > most or len(names) <= n_parts:
            continue
        chosen_ones = itertools.combinations(range(len(names)), n_parts)
        parts = np.fromiter(itertools.chain.from_iterable(chosen_ones), np.int64)
        parts = parts.reshape(-1, n_parts)
        for total, chosen in _matches(matrix, probes, parts):
            columns = (names[total], *(names[j] for j in chosen))
            if total in chosen or any(known <= set(columns) for known in found):
                continue
            if _is_sum(matrix[whole], total, chosen):
                found.add(frozenset(columns))
                yield Rule("sum", columns), f"{columns[0]} = {' + '.join(columns[1:])}"


def _matches(
    matrix: Floats, probes: np.ndarray, parts: np.ndarray
) -> Iterator[tuple[int, tuple[int, ...]]]:
    """Yield (total, parts) that fit two of the probe rows."""
    hits: dict[tuple[int, tuple[int, ...]], int] = {}
    for row in probes:
        values = matrix[row]
        order = np.argsort(values, kind="stable")
        terms = values[parts]
        added = terms.sum(axis=1)
        slack = 1e-6 + 1e-9 * np.abs(terms).max(axis=1)
        low = np.searchsorted(values[order], added - slack, side="left")
        high = np.searchsorted(values[order], added + slack, side="right")
        for i in np.flatnonzero(high > low):
            for j in order[low[i] : high[i]]:
                key = (int(j), tuple(int(p) for p in parts[i]))
                hits[key] = hits.get(key, 0) + 1
    least = min(2, len(probes))
    yield from (key for key, count in hits.items() if count >= least)


def _is_sum(matrix: Floats, total: int, parts: tuple[int, ...]) -> bool:
    terms = matrix[:, list(parts)]
    off = np.abs(matrix[:, total] - terms.sum(axis=1)) > 1e-6 + 1e-9 * np.abs(terms).max(axis=1)
    # Every part takes part in a fair number of rows, and with the others.
    taking_part = np.count_nonzero(terms, axis=0) >= max(10, 0.01 * len(matrix))
    together = np.count_nonzero(np.count_nonzero(terms, axis=1) >= 2) >= max(10, 0.01 * len(matrix))
    return bool(off.mean() <= 0.01 and taking_part.all() and together)


def linear_relations(table: RuleTable, sample: RuleTable) -> Iterator[Candidate]:
    """Yield pairs of columns of which one is the other times a number, plus a number."""
    names = [n for n in _varying(sample) if not table.fields[n].has_levels]
    matrix = _matrix(sample, names)
    for i, j in zip(*np.nonzero(np.triu(_nearly_straight(matrix), 1)), strict=True):
        if not _comparable(table, names[i], names[j]):
            continue
        both = ~np.isnan(matrix[:, i]) & ~np.isnan(matrix[:, j])
        x, y = matrix[both, i], matrix[both, j]
        if len(x) < 20 or len(np.unique(x)) < _MIN_DISTINCT:
            continue
        relation = _relation(table, (names[j], names[i]), (y, x))
        if relation is not None:
            yield relation


def _comparable(table: RuleTable, one: str, other: str) -> bool:
    return table.fields[one].is_time == table.fields[other].is_time


def _nearly_straight(matrix: Floats) -> Mask:
    """Return which pairs of columns correlate to 0.999 or more in the rows that hold both."""
    present = ~np.isnan(matrix)
    centred = np.where(present, matrix - np.nanmean(matrix, axis=0), 0.0)
    centred /= np.maximum(np.abs(centred).max(axis=0), 1e-300)
    mask = present.astype(float)
    n = np.maximum(mask.T @ mask, 1.0)
    sums_, squares = centred.T @ mask, (centred**2).T @ mask
    covariance = centred.T @ centred - sums_ * sums_.T / n
    spread = np.maximum(squares - sums_**2 / n, 0.0)
    return np.asarray(np.abs(covariance) >= 0.999 * np.sqrt(spread * spread.T) - 1e-12)


def _relation(
    table: RuleTable, names: tuple[str, str], values: tuple[Floats, Floats]
) -> Candidate | None:
    """Return y - slope x = shift with round numbers, if the grids of the columns explain the rest."""
    y, x = values
    centre = x.mean()
    slope = np.polyfit(x - centre, y, 1)[0]
    half = [_half_step(table, name, v) for name, v in zip(names, values, strict=True)]
    for digits in range(1, 8):
        rounded = float(f"{slope:.{digits}g}")
        shift = float(np.median(y - rounded * x))
        for places in (0, 1, 2, 4, 6):
            nice = round(shift, places)
            allowed = max(half[0], abs(rounded) * half[1])
            off = np.abs(y - rounded * x - nice)
            if np.all(off <= allowed * (1 + 1e-9) + 1e-12 * np.abs(y)):
                exact = bool(np.all(off <= 1e-6))
                factors = {names[0]: 1, names[1]: _plain(-rounded)}
                settings = {"coefficients": factors, "equals": _plain(nice)}
                extra = {} if exact else {"tolerance": float(f"{allowed * 1.001:.6g}")}
                time = table.fields[names[0]].is_time
                added = f"{nice / _DAY:g} days" if time else f"{nice:g}"
                text = names[1] if rounded == 1 else f"{rounded:g} * {names[1]}"
                text = f"{names[0]} = {text}" + (f" + {added}" if nice else "")
                return Rule("linear", names, {**settings, **extra}), text
    return None


def _plain(value: float) -> float | int:
    return int(value) if value == int(value) else value


def _half_step(table: RuleTable, name: str, values: Floats) -> float:
    field = table.fields[name]
    if not field.is_continuous:
        return 0.5
    if field.decimals is None:
        return float(1e-9 * np.abs(values).max())
    return float(0.5 * 10.0**-field.decimals)


def orders(table: RuleTable, sample: RuleTable, nearly: float) -> Iterator[Candidate]:
    """Yield chains of columns each of which is at most the next, though their ranges overlap."""
    names = [n for n in _varying(sample) if not table.fields[n].has_levels]
    matrix = _matrix(sample, names)
    below = np.zeros((len(names), len(names)), dtype=bool)
    exact = below.copy()
    few = matrix[:: max(len(matrix) // 300, 1)]
    for i in range(len(names)):
        # A few rows rule most pairs out, all at once.
        wrong = np.count_nonzero(few[:, [i]] > few, axis=0)
        for j in np.flatnonzero(wrong <= 0.01 * len(few) + 2):
            a, b = matrix[:, i], matrix[:, j]
            if i == j or not _comparable(table, names[i], names[j]):
                continue
            overlap = _overlap(a, b) if np.count_nonzero(a > b) <= 3 * nearly * len(a) else 0.0
            if overlap < _MIN_OVERLAP:
                continue
            low, high = table.columns[names[i]], table.columns[names[j]]
            support = int((~np.isnan(low) & ~np.isnan(high)).sum())
            broken = int(np.count_nonzero(low > high))
            exact[i, j] = broken == 0
            # An order with exceptions needs more to be believed.
            below[i, j] = broken == 0 or (
                broken <= nearly * support and overlap >= 2 * _MIN_OVERLAP
            )
    for chain in _chains(exact):
        columns = tuple(names[k] for k in chain)
        yield Rule("order", columns), " <= ".join(columns)
    through = _in_two_steps(below)
    for i, j in zip(*np.nonzero(below & ~exact & ~through & ~below.T), strict=True):
        yield Rule("order", (names[i], names[j])), f"{names[i]} <= {names[j]}"


def _overlap(a: Floats, b: Floats) -> float:
    """Return how often a > b in shuffled rows: an order of columns on different scales says nothing."""
    both = ~np.isnan(a) & ~np.isnan(b)
    a, b = a[both], b[both]
    if len(a) < 20 or np.mean(a < b) < 0.05:
        return 0.0
    return float(np.searchsorted(np.sort(b), a, side="left").mean() / len(b))


def _in_two_steps(below: Mask) -> Mask:
    """Return which columns lie below another by way of a third; floats are multiplied far faster."""
    steps = below.astype(np.float32)
    return np.asarray(steps @ steps > 0)


def _chains(below: Mask) -> list[list[int]]:
    """Return chains that cover the order relation, without steps that others imply."""
    through = _in_two_steps(below)
    direct = below & ~through & ~below.T
    chains: list[list[int]] = []
    used: set[tuple[int, int]] = set()
    starts = sorted(range(len(below)), key=lambda k: (int(direct[:, k].sum()), k))
    for start in starts:
        while True:
            chain = [start]
            while True:
                following = [
                    int(k)
                    for k in np.flatnonzero(direct[chain[-1]])
                    if (chain[-1], int(k)) not in used
                ]
                if not following:
                    break
                used.add((chain[-1], following[0]))
                chain.append(following[0])
            if len(chain) == 1:
                break
            chains.append(chain)
    return chains


def never_negative(table: RuleTable) -> Iterator[Candidate]:
    """Yield numbers that reach down to (nearly) 0 and never below."""
    for name, values in table.columns.items():
        if not table.fields[name].is_numeric:
            continue
        present = values[~np.isnan(values)]
        if not len(present) or present.min() < 0 or present.min() == present.max():
            continue
        reaches_down = present.min() <= 0.05 * np.quantile(present, 0.95)
        # A handful of values are codes rather than amounts.
        if reaches_down and len(np.unique(present[:100_000])) > 40:
            yield Rule("range", (name,), {"low": 0}), f"{name} is never negative"


def _varying(sample: RuleTable) -> list[str]:
    """Return the numeric columns with a handful of different values."""
    kept = []
    for name, values in sample.columns.items():
        if sample.is_numeric(name):
            present = values[~np.isnan(values)]
            # The first rows of most columns tell.
            if any(len(np.unique(part)) >= _MIN_DISTINCT for part in (present[:64], present)):
                kept.append(name)
    return kept


def _matrix(sample: RuleTable, names: list[str]) -> Floats:
    columns = [sample.columns[name] for name in names]
    return np.column_stack(columns) if columns else np.empty((len(sample), 0))


_SAMPLE_CELLS, _MOST_SAMPLE, _LEAST_ROWS = 2_000_000, 4_000, 30
NEARLY = 0.005  # share of the rows that may break a rule that is still proposed


@dataclass(frozen=True)
class ProposedRule:
    """A rule that real rows suggest."""

    rule: Rule
    # Rows that could have broken it: those in which none of its columns is missing
    support_rows: int
    broken_rows: int  # Rows that do break it
    text: str  # The same in words, for a comment

    @property
    def holds(self) -> bool:
        """Whether no row breaks it."""
        return self.broken_rows == 0


def discover_rules(
    dataset: Dataset,  # the real table; at least 30 rows, else nothing is found
    *,
    nearly: float = NEARLY,  # share of rows that may break a rule for it to be listed, in [0, 1)
) -> list[ProposedRule]:
    """Return the rules that a table suggests, those without a breaking row first.

    Looked for are sums of up to four parts, linear relations of two numbers, orders, numbers that
    are never negative, one-hot groups, columns that another one decides, and keys of one or two
    columns. A sample finds the candidates, all rows decide. What independent columns would show
    anyway is no rule: two numbers on different scales have no order, a rare label is decided by
    nothing.
    """
    if len(dataset) < _LEAST_ROWS:
        return []
    names = [field.name for field in dataset.schema.fields if field.is_tabular]
    table = RuleTable.from_dataset(dataset, names)
    n_sample = int(np.clip(_SAMPLE_CELLS // max(len(names), 1), 400, _MOST_SAMPLE))
    rows = np.unique(np.linspace(0, len(dataset) - 1, n_sample).astype(np.int64))
    found = []
    for name in (field.name for field in dataset.schema.of_kind("id")):
        column = dataset.records.column(name)
        present = len(column) - column.null_count
        if pc.count_distinct(column, mode="only_valid").as_py() == present:
            found.append(ProposedRule(Rule("unique", (name,)), present, 0, f"{name} is a key"))
    sample = table.take(rows)
    candidates = itertools.chain(
        sums(table, sample),
        linear_relations(table, sample),
        orders(table, sample, nearly),
        never_negative(table),
        one_hot_groups(table, nearly),
        dependencies(table, sample, nearly),
        keys(table, sample),
    )
    for rule, text in candidates:
        broken = int(broken_rows(rule, table).sum())
        support = len(table) - int(table.missing(rule.columns).sum())
        if support >= _LEAST_ROWS and broken <= nearly * support:
            found.append(ProposedRule(rule, support, broken, text))
    kept = [one for one in found if not _is_implied(one, found)]
    return sorted(kept, key=lambda one: not one.holds)


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

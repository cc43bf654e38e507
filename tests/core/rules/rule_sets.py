"""Random tables and random rule sets that hold in all of their rows, for tests of the enforcement."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pyarrow as pa

from twinset.core.data.dataset import Dataset
from twinset.core.data.rule import Rule
from twinset.core.rules.violations import violations

Maker = Callable[[Dataset, np.random.Generator], Rule | None]


def random_table(rng: np.random.Generator, n: int = 600) -> Dataset:
    """Return a table with chained sums, orders, flags, dependencies, unit conversions and gaps."""
    net = np.round(rng.gamma(2.0, 50.0, n), 2)
    tax = np.round(net * rng.choice([0.0, 0.07, 0.2], n), 2)
    gross = np.round(net + tax, 2)
    tip = np.round(rng.exponential(5.0, n), 2)
    paid = np.round(gross + tip, 2)
    inch = np.round(rng.normal(60, 10, n), 1)
    city = rng.integers(0, 12, n)
    land = city // 3
    start = np.datetime64("2023-01-01") + rng.integers(0, 300, n).astype("timedelta64[D]")
    end = start + rng.integers(0, 60, n).astype("timedelta64[D]")
    flag = rng.choice(3, n, p=[0.6, 0.3, 0.1])
    low = rng.integers(0, 50, n)
    mid = low + rng.integers(0, 30, n)
    table = {
        "net": net, "tax": tax, "gross": gross, "tip": tip, "paid": paid,
        "inch": inch, "cm": np.round(inch * 2.54, 3),
        "city": [f"c{i}" for i in city], "land": [f"l{i}" for i in land],
        "zone": [f"z{i % 2}" for i in land], "rate": (land * 10 + 5).astype(float),
        "start": start.astype("datetime64[us]"), "end": end.astype("datetime64[us]"),
        "due": (end + np.timedelta64(14, "D")).astype("datetime64[us]"),
        "is_a": (flag == 0).astype(int), "is_b": (flag == 1).astype(int),
        "is_c": (flag == 2).astype(int),
        "low": low, "mid": mid, "high": mid + rng.integers(0, 30, n),
        "kind": rng.choice(["x", "y", "z"], n, p=[0.7, 0.25, 0.05]),
        "free": rng.normal(size=n),
    }  # fmt: skip
    columns = {}
    for name, values in table.items():
        mask = rng.random(n) < 0.05 if name in ("tip", "mid", "city", "free") else np.zeros(n, bool)
        columns[name] = pa.array(values, mask=mask)
    return Dataset.from_arrow(pa.table(columns))


def known_rules() -> list[Rule]:
    """Return rules that hold in every random table, many of them overlapping and chained."""
    return [
        Rule("sum", ("gross", "net", "tax")),
        Rule("sum", ("paid", "gross", "tip")),
        Rule("order", ("net", "gross", "paid")),
        Rule("order", ("tax", "net")),
        Rule("linear", ("cm", "inch"), {"coefficients": {"cm": 1, "inch": -2.54}, "equals": 0,
                                        "tolerance": 0.001}),
        Rule("linear", ("net", "tax"), {"coefficients": {"net": 0.2, "tax": -1}, "at_least": -0.01}),
        Rule("order", ("start", "end", "due")),
        Rule("order", ("start", "due"), {"strict": True}),
        Rule("order", ("low", "mid", "high")),
        Rule("one_hot", ("is_a", "is_b", "is_c")),
        Rule("dependency", ("city", "land")),
        Rule("dependency", ("land", "rate")),
        Rule("dependency", ("land", "zone")),
        Rule("dependency", ("city", "rate")),
        Rule("combination", ("city", "land")),
        Rule("combination", ("land", "zone", "rate")),
        Rule("predicate", (), {"expression": "due - end = 14"}),
        Rule("predicate", (), {"expression": "high >= mid and mid - low <= 30 or kind is null"}),
        Rule("predicate", (), {"expression": "gross >= net and tax <= 0.21 * net + 0.01"}),
        Rule("predicate", (), {"expression": "kind in ('x', 'y', 'z') and not kind = 'w'"}),
        Rule("predicate", (), {"expression": "is_a = 1 or is_b = 1 or is_c = 1"}),
    ]  # fmt: skip


def random_rules(dataset: Dataset, rng: np.random.Generator, size: int) -> tuple[Rule, ...]:
    """Return up to `size` random rules, each of which holds in all rows of the table."""
    found: list[Rule] = []
    pool = [r for r in known_rules() if set(r.columns) <= set(dataset.schema.names)]
    for _ in range(40 * size):
        if len(found) == size:
            break
        if pool and rng.random() < 0.4:
            rule: Rule | None = pool.pop(int(rng.integers(0, len(pool))))
        else:
            makers: list[Maker] = [
                _range,
                _order,
                _linear,
                _bound,
                _combination,
                _predicate,
                _either,
            ]
            rule = makers[int(rng.integers(0, len(makers)))](dataset, rng)
        if rule is not None and rule not in found and not violations(rule, dataset).any():
            found.append(rule)
    return tuple(found)


def with_rules(dataset: Dataset, rules: tuple[Rule, ...]) -> Dataset:
    return replace(dataset, schema=replace(dataset.schema, rules=rules))


def _numbers(dataset: Dataset, rng: np.random.Generator, n: int) -> list[str] | None:
    names = [f.name for f in dataset.schema.of_kind("number", "integer")]
    return [str(name) for name in rng.choice(names, n, replace=False)] if len(names) >= n else None


def _range(dataset: Dataset, rng: np.random.Generator) -> Rule | None:
    names = _numbers(dataset, rng, 1)
    if names is None:
        return None
    values = dataset.values(names[0])
    ends = {"low": float(np.nanmin(values)), "high": float(np.nanmax(values))}
    return Rule("range", (names[0],), {k: v for k, v in ends.items() if rng.random() < 0.7})


def _order(dataset: Dataset, rng: np.random.Generator) -> Rule | None:
    names = _numbers(dataset, rng, 2)
    return None if names is None else Rule("order", tuple(names))


def _linear(dataset: Dataset, rng: np.random.Generator) -> Rule | None:
    """A bound on a random form, as tight as the rows allow: two columns or three."""
    names = _numbers(dataset, rng, int(rng.integers(2, 4)))
    if names is None:
        return None
    factors = {name: float(rng.choice([-2, -1, -0.5, 0.5, 1, 2])) for name in names}
    total = np.sum([c * dataset.values(name) for name, c in factors.items()], axis=0)
    end = "at_most" if rng.random() < 0.5 else "at_least"
    bound = np.nanmax(total) if end == "at_most" else np.nanmin(total)
    return Rule("linear", tuple(names), {"coefficients": factors, end: float(bound)})


def _bound(dataset: Dataset, rng: np.random.Generator) -> Rule | None:
    names = _numbers(dataset, rng, 2)
    if names is None:
        return None
    total = dataset.values(names[0]) - dataset.values(names[1])
    ends = {"at_least": float(np.nanmin(total)), "at_most": float(np.nanmax(total))}
    return Rule("linear", tuple(names), {"coefficients": {names[0]: 1, names[1]: -1}, **ends})


def _labels(dataset: Dataset, rng: np.random.Generator, n: int) -> list[str] | None:
    names = [f.name for f in dataset.schema.of_kind("category", "boolean")]
    return [str(name) for name in rng.choice(names, n, replace=False)] if len(names) >= n else None


def _combination(dataset: Dataset, rng: np.random.Generator) -> Rule | None:
    names = _labels(dataset, rng, int(rng.integers(2, 4)))
    if names is None:
        return None
    rows = zip(*(dataset.records.column(name).to_pylist() for name in names), strict=True)
    allowed = sorted({tuple(map(str, row)) for row in rows if None not in row})
    settings = {"allowed": [list(row) for row in allowed]} if rng.random() < 0.5 else {}
    return Rule("combination", tuple(names), settings)


def _predicate(dataset: Dataset, rng: np.random.Generator) -> Rule | None:
    names = _numbers(dataset, rng, 2)
    if names is None:
        return None
    a, b = (dataset.values(name) for name in names)
    bound = float(np.nanmax(a - 2 * b)) + 0.001
    return Rule("predicate", (), {"expression": f"`{names[0]}` - 2 * `{names[1]}` <= {bound!r}"})


def _either(dataset: Dataset, rng: np.random.Generator) -> Rule | None:
    """A bound that holds for one label only."""
    names, labels = _numbers(dataset, rng, 1), _labels(dataset, rng, 1)
    if names is None or labels is None:
        return None
    codes, levels = dataset.codes(labels[0])
    if not levels:
        return None
    code = int(rng.integers(0, len(levels)))
    own = dataset.values(names[0])[codes == code]
    if not np.isfinite(own).any():
        return None
    bound = float(np.nanmax(own)) + 0.001
    text = f"`{labels[0]}` != '{levels[code]}' or `{names[0]}` <= {bound!r}"
    return Rule("predicate", (), {"expression": text})

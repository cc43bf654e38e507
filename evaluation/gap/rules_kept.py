"""Share of rows that violate a rule of the real rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np

from twinset.core.contracts import Comparison, Measurement, NotMeasurable, Role
from twinset.core.data.dataset import Dataset
from twinset.core.data.rule import Rule
from twinset.core.findings import BrokenRule, BrokenRules
from twinset.core.parameters import Ge, Interval, Margin
from twinset.core.rules.discover import discover_rules
from twinset.core.rules.violations import violations
from twinset.core.stats.bootstrap import Groups
from twinset.core.stats.hypothesis_tests import discoveries, excess_p

from .._bootstrap_metric import Bools, BootstrapMetric
from .._samples import cached, check_not_empty, limit_columns, shown_count
from ._label_rules import (
    MAX_COLUMNS,
    find_closed_columns,
    find_exclusive_pairs,
    find_exclusivity_violations,
    find_rows_unlike_train,
    find_unseen_labels,
    joint_codes,
    label_columns,
)

_FALSE_DISCOVERY_RATE = 0.05  # over the tests of all rules: the usual level


@dataclass(frozen=True, kw_only=True)
class RulesKept(BootstrapMetric):
    """Share of rows that violate a rule which the real rows satisfy: orders, sums, dependencies, ranges.

    value = (rows that violate any rule) / (rows), in [0, 1]. Rules are those of the schema and those
    found in train: sums and linear relations, orders of columns, numbers that are never negative,
    one-hot groups, columns that another one decides, keys, pairs of columns some labels of which never
    occur together ("combination"), and columns all labels of which are known ("labels"): a misspelt
    one is new.

    A dependency, or a combination, is compared with the values that train shows together; where train
    lacks the deciding value nothing is known and nothing violated. Real rows outside train violate
    some rules as well, which the baseline shows.

    Parameters
    ----------
    nearly : float
        Share of the train rows that may violate a found rule, in [0, 0.5].
    discover : bool
        Whether rules are searched in train, beside those that the schema declares.
    max_rows : int
        Rows of train in which rules are searched, 30 or more; all its rows decide.

    References
    ----------
    Fan, Geerts (2012), Foundations of Data Quality Management, Morgan & Claypool (dependencies and
    conditional dependencies).

    Examples
    --------
    >>> import pyarrow as pa
    >>> columns = {"sex": ["f", "m"] * 50, "role": ["wife", "husband"] * 50}
    >>> real = Dataset.from_arrow(pa.table(columns))
    >>> other = Dataset.from_arrow(pa.table({**columns, "sex": ["m"] * 100}))
    >>> RulesKept().compute(Comparison(real, other, real), np.random.default_rng(0)).value
    0.5
    """

    family = "gap"
    title = "rules of the real rows"
    interpretation = (
        "The share of synthetic rows that break a rule which real rows obey, for example that one date "
        "comes before another; 0 is best. Rows that break them are impossible in reality."
    )
    roles = frozenset({Role.APPEARANCE})

    margin: Margin = 0.01
    nearly: Annotated[float, Interval(ge=0, le=0.5)] = 0.005
    discover: bool = True
    max_rows: Annotated[int, Ge(30)] = 50_000

    def compute(self, comparison: Comparison, rng: np.random.Generator) -> Measurement:
        """Return the share of rows that violate a rule; facts name every violated rule."""
        train, synthetic, reference = comparison.train, comparison.synthetic, comparison.reference
        check_not_empty(comparison)
        groups = Groups.assign(len(synthetic), self.replicates, rng)
        key = f"rules of {train.schema.names}, {self.discover}, {self.nearly}, {self.max_rows}"
        checks = cached(comparison, key, lambda: self._checks(train))
        if not checks:
            raise NotMeasurable("no rule was declared, and none was found in the real rows")
        found, real = (
            np.stack([check.violations(part, train) for check in checks])
            for part in (synthetic, reference)
        )
        any_rule = np.asarray(found.any(axis=0))
        whole, drawn = groups.shares(groups.counts(any_rule.astype(np.int64), 2))
        broken = _list_violated(checks, found, real)
        facts: dict[str, Any] = {
            "rules": len(checks),
            "rule_names": [check.name for check in checks],
            "broken": broken,
            "rows_that_break": int(any_rule.sum()),
            "rows": len(synthetic),
        }
        rules = [
            BrokenRule(one["rule"], one["synthetic_rows"], one["real_rows"])
            for one in broken
            if one["beyond_real"]
        ]
        n_columns = len(label_columns(train)) if self.discover else 0
        limit = limit_columns(min(n_columns, MAX_COLUMNS), n_columns)
        findings = BrokenRules(tuple(rules), len(checks)), *limit
        return Measurement(float(whole[0, 1]), drawn[:, 1], findings, facts=facts)

    def _checks(self, train: Dataset) -> list[_Check]:
        """Return the declared rules, then those found in train that all of its rows confirm."""
        rules = list(train.schema.rules)
        if not self.discover:
            return [_Check(rule.kind, rule.columns, rule) for rule in rules]
        n, searched = len(train), train
        if n > self.max_rows:
            searched = train.take(np.linspace(0, n - 1, self.max_rows).astype(np.int64))
        known = {(rule.kind, rule.columns) for rule in rules}
        found = [one.rule for one in discover_rules(searched, nearly=self.nearly)]
        found = [rule for rule in found if (rule.kind, rule.columns) not in known]
        if searched is not train:
            found = [rule for rule in found if violations(rule, train).mean() <= self.nearly]
        rules += found
        named = {frozenset(rule.columns) for rule in rules}
        pairs = [pair for pair in find_exclusive_pairs(train) if frozenset(pair) not in named]
        return [
            *(_Check(rule.kind, rule.columns, rule) for rule in rules),
            *(_Check("labels", (name,)) for name in find_closed_columns(train, self.nearly)),
            *(_Check("combination", pair) for pair in pairs),
        ]


@dataclass(frozen=True)
class _Check:
    """One rule; without a `rule`, known labels of a column, or exclusive labels of two."""

    kind: str
    columns: tuple[str, ...]
    rule: Rule | None = None

    @property
    def name(self) -> str:
        return str(self.rule) if self.rule else f"{self.kind}({', '.join(self.columns)})"

    def violations(self, rows: Dataset, train: Dataset) -> Bools:
        """Return the rows that violate it, shape (n,)."""
        if self.rule is None and self.kind == "labels":
            return find_unseen_labels(rows, train, self.columns[0])
        if self.rule is None:
            return find_exclusivity_violations(rows, train, self.columns)
        if self.kind == "dependency":
            left, train_left = joint_codes(rows, train, self.columns[:-1])
            right, train_right = joint_codes(rows, train, self.columns[-1:])
            return find_rows_unlike_train(left, right, train_left, train_right)
        if self.kind == "combination" and self.rule.settings.get("allowed") is None:
            here, there = joint_codes(rows, train, self.columns)
            return np.asarray((here >= 0) & ~np.isin(here, there))
        return violations(self.rule, rows)


def _list_violated(checks: Sequence[_Check], synthetic: Bools, real: Bools) -> list[dict[str, Any]]:
    """Return the rules that synthetic rows violate, those first that they violate beyond real rows."""
    counts, real_counts = synthetic.sum(axis=1), real.sum(axis=1)
    n, m = synthetic.shape[1], real.shape[1]
    p = np.array([excess_p(int(a), n, int(b), m) for a, b in zip(counts, real_counts)])
    beyond = discoveries(p, _FALSE_DISCOVERY_RATE) & (counts > 0)
    excess = counts / n - real_counts / m
    order = sorted(range(len(checks)), key=lambda i: (not beyond[i], -excess[i], checks[i].name))
    return [
        {
            "rule": checks[i].name,
            "kind": checks[i].kind,
            "columns": list(checks[i].columns),
            "synthetic_rows": int(counts[i]),
            "synthetic_share": float(counts[i] / n),
            "real_rows": shown_count(int(real_counts[i])),
            "beyond_real": bool(beyond[i]),
        }
        for i in order
        if counts[i]
    ]

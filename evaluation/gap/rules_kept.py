"""Which share of the rows breaks a rule that the real rows keep."""

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
from twinset.core.data.rule import Rule
from twinset.core.data.schema import TABULAR_KINDS
from twinset.core.findings import BrokenRule, BrokenRules, ColumnLimit, Finding
from twinset.core.parameters import Ge, Interval, Margin, Replicates
from twinset.core.rules.discover import discover_rules
from twinset.core.rules.violations import violations
from twinset.core.stats.bootstrap import Groups
from twinset.core.stats.hypothesis_tests import discoveries, excess_p

from ._combinations import (
    closed_labels,
    count_excluded_columns,
    find_exclusive_pairs,
    find_exclusivity_violations,
    joint_codes,
    unseen_labels,
)

Mask = npt.NDArray[np.bool_]
Codes = npt.NDArray[np.int64]

_SMALL_CELL = 10
_FALSE_CALLS = 0.05
_MOST_NAMED = 2


@dataclass(frozen=True, kw_only=True)
class RulesKept(Metric):
    """Counts rows that break a rule which the real rows keep: orders, sums, dependencies, ranges.

    The rules are those of the schema and those found in train: sums and linear relations, orders of
    columns, numbers that are never negative, one-hot groups, columns that another one decides, keys,
    pairs of columns some labels of which never stand together ("combination"), and columns of labels
    of which all there are were seen ("labels"): a misspelt one is new.
    A dependency, or a combination, is held against the values that train shows together; where train
    lacks the deciding value nothing is known and nothing broken. The value is the share of rows that
    break any rule, 0 to 1; real rows outside train break some as well, which the baseline shows.

    Parameters
    ----------
    margin : float
        Largest harm that still counts as good as real, in the unit of the value.
    nearly : float
        Share of the train rows that may break a found rule, in [0, 0.5].
    discover : bool
        Whether rules are looked for in train, beside those that the schema declares.
    max_rows : int
        Rows of train in which rules are looked for, 30 or more; all its rows decide.
    replicates : int
        Bootstrap replicates.
    """

    family: ClassVar[MetricFamily] = "gap"
    title: ClassVar[str] = "rules of the real rows"
    interpretation: ClassVar[str] = (
        "The share of synthetic rows that break a rule which real rows obey, for example that one date "
        "comes before another; 0 is best. Rows that break them are impossible in reality."
    )
    roles: ClassVar[frozenset[Role]] = frozenset({Role.APPEARANCE})
    higher_is_better: ClassVar[bool] = False
    bounds: ClassVar[tuple[float, float]] = (0.0, 1.0)
    kinds: ClassVar[frozenset[str]] = TABULAR_KINDS

    margin: Margin = 0.01
    nearly: Annotated[float, Interval(ge=0, le=0.5)] = 0.005
    discover: bool = True
    max_rows: Annotated[int, Ge(30)] = 50_000
    replicates: Replicates = 200

    def compute(self, comparison: Comparison, rng: np.random.Generator) -> Measurement:
        """Return the share of rows that break a rule; details name every broken rule."""
        train, synthetic, reference = comparison.train, comparison.synthetic, comparison.reference
        if not len(synthetic) or not len(reference):
            raise NotMeasurable("there are no rows to compare")
        groups = Groups.assign(len(synthetic), self.replicates, rng)
        key = f"rules of {train.schema.names}, {self.discover}, {self.nearly}, {self.max_rows}"
        if key not in comparison.cache:
            comparison.cache[key] = self._checks(train)
        checks: list[_Check] = comparison.cache[key]
        if not checks:
            raise NotMeasurable("no rule was declared, and none was found in the real rows")
        parts = [
            np.stack([check.broken(part, train) for check in checks])
            for part in (synthetic, reference)
        ]
        any_broken = np.asarray(parts[0].any(axis=0))
        whole, drawn = groups.shares(groups.counts(any_broken.astype(np.int64), 2))
        broken = _told(checks, parts[0], parts[1])
        facts: dict[str, Any] = {
            "rules": len(checks),
            "rule_names": [check.name for check in checks],
            "broken": broken,
            "rows_that_break": int(any_broken.sum()),
            "rows": len(synthetic),
        }
        worse = [one for one in broken if one["beyond_real"]]
        rules = [BrokenRule(one["rule"], one["synthetic_rows"], one["real_rows"]) for one in worse]
        findings: list[Finding] = [BrokenRules(tuple(rules), len(checks))]
        left_out = count_excluded_columns(train) if self.discover else 0
        if left_out:
            n_columns = len(train.schema.of_kind("category", "boolean"))
            findings.append(ColumnLimit(n_columns - left_out, n_columns))
        return Measurement(float(whole[0, 1]), drawn[:, 1], tuple(findings), facts=facts)

    def _checks(self, train: Dataset) -> list[_Check]:
        """Return the declared rules, then those found in train that all of its rows bear out."""
        declared = list(train.schema.rules)
        if not self.discover:
            return [_Check(rule.kind, rule.columns, rule) for rule in declared]
        n = len(train)
        looked_at = train
        if n > self.max_rows:
            looked_at = train.take(np.linspace(0, n - 1, self.max_rows).astype(np.int64))
        known = {(rule.kind, rule.columns) for rule in declared}
        found = [one.rule for one in discover_rules(looked_at, nearly=self.nearly)]
        found = [rule for rule in found if (rule.kind, rule.columns) not in known]
        if looked_at is not train:
            found = [rule for rule in found if violations(rule, train).mean() <= self.nearly]
        rules = declared + found
        said = {frozenset(rule.columns) for rule in rules}
        pairs = [pair for pair in find_exclusive_pairs(train) if frozenset(pair) not in said]
        known_labels = closed_labels(train, self.nearly)
        return [
            *(_Check(rule.kind, rule.columns, rule) for rule in rules),
            *(_Check("labels", (name,)) for name in known_labels),
            *(_Check("combination", pair) for pair in pairs),
        ]


def find_rows_unlike_train(
    left: Codes, right: Codes, train_left: Codes, train_right: Codes
) -> Mask:
    """Return the rows whose right side is not the one that train shows beside their left, shape (n,).

    Of several right sides in train the commonest counts, of equally common ones the least. A left
    side that train does not have breaks nothing.

    Parameters
    ----------
    left, right : numpy.ndarray of int, shape (n,)
        Both sides of the rows as codes from 0 on; -1 where a value is missing.
    train_left, train_right : numpy.ndarray of int, shape (m,)
        The same of train, in the same codes.

    Examples
    --------
    >>> train = np.array([0, 0, 1]), np.array([5, 5, 6])
    >>> find_rows_unlike_train(np.array([0, 0, 1, 2]), np.array([5, 6, 6, 6]), *train).tolist()
    [False, True, False, False]
    """
    present = (train_left >= 0) & (train_right >= 0)
    pairs = np.stack([train_left[present], train_right[present]], axis=1)
    distinct, counts = np.unique(pairs, axis=0, return_counts=True)
    order = np.lexsort((distinct[:, 1], -counts, distinct[:, 0]))
    lefts, first = np.unique(distinct[order, 0], return_index=True)
    answers = np.full(int(max(left.max(initial=-1), train_left.max(initial=-1))) + 2, -1)
    answers[lefts] = distinct[order, 1][first]
    expected = answers[left]
    return np.asarray((left >= 0) & (right >= 0) & (expected >= 0) & (right != expected))


@dataclass(frozen=True)
class _Check:
    """One rule; without a `rule`, that labels are known, or those that train keeps apart stay apart."""

    kind: str
    columns: tuple[str, ...]
    rule: Rule | None = None

    @property
    def name(self) -> str:
        return str(self.rule) if self.rule else f"{self.kind}({', '.join(self.columns)})"

    def broken(self, rows: Dataset, train: Dataset) -> Mask:
        """Return the rows that break it, shape (n,)."""
        if self.kind == "labels" and self.rule is None:
            return unseen_labels(rows, train, self.columns[0])
        if self.rule is None:
            return find_exclusivity_violations(rows, train, (self.columns[0], self.columns[1]))
        if self.kind == "dependency":
            left, train_left = joint_codes(rows, train, self.columns[:-1])
            right, train_right = joint_codes(rows, train, self.columns[-1:])
            return find_rows_unlike_train(left, right, train_left, train_right)
        if self.kind == "combination" and self.rule.settings.get("allowed") is None:
            here, there = joint_codes(rows, train, self.columns)
            return np.asarray((here >= 0) & ~np.isin(here, there))
        return violations(self.rule, rows)


def _told(checks: Sequence[_Check], made: Mask, real: Mask) -> list[dict[str, Any]]:
    """Return the rules that synthetic rows break, those first that they break most beyond real rows."""
    n_made, n_real = made.sum(axis=1), real.sum(axis=1)
    n, m = made.shape[1], real.shape[1]
    p = np.array([excess_p(int(a), n, int(b), m) for a, b in zip(n_made, n_real)])
    beyond = (discoveries(p, _FALSE_CALLS)) & (n_made > 0)
    more = n_made / n - n_real / m
    order = sorted(range(len(checks)), key=lambda i: (not beyond[i], -more[i], checks[i].name))
    return [
        {
            "rule": checks[i].name,
            "kind": checks[i].kind,
            "columns": list(checks[i].columns),
            "synthetic_rows": int(n_made[i]),
            "synthetic_share": float(n_made[i] / n),
            "real_rows": _count(int(n_real[i])),
            "beyond_real": bool(beyond[i]),
        }
        for i in order
        if n_made[i]
    ]


def _count(n: int) -> int | None:
    """Return a count of real rows; None where it is 1 to 10."""
    return None if 1 <= n <= _SMALL_CELL else n

"""Rules: what must hold in every row of a table; declared with the schema, checked on any set."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from twinset.core.errors import RecipeError, did_you_mean

if TYPE_CHECKING:
    from twinset.core.dataset import Dataset

RuleKind = Literal["range", "order", "sum", "one_hot", "combination", "dependency", "unique"]
RULE_KINDS: tuple[str, ...] = (
    "range", "order", "sum", "one_hot", "combination", "dependency", "unique",
)  # fmt: skip
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Rule:
    """One statement about every row.

    Parameters
    ----------
    kind : RuleKind
        range: `low` <= column <= `high`; order: each column <= the next; sum: the first column is
        the sum of the others; one_hot: exactly one of the columns is 1; combination: only `allowed`
        tuples of values occur; dependency: the first column decides the last; unique: no value twice.
    columns : tuple of str
        The columns it speaks of.
    settings : mapping
        `low`, `high`, `tolerance` or `allowed`, where the kind needs them.

    Examples
    --------
    >>> from twinset.core.dataset import Dataset
    >>> import pyarrow as pa
    >>> d = Dataset.from_arrow(pa.table({"start": [1.0, 5.0], "end": [2.5, 4.5]}))
    >>> Rule("order", ("start", "end")).violations(d).tolist()
    [False, True]
    """

    kind: RuleKind
    columns: tuple[str, ...]
    settings: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.kind not in RULE_KINDS:
            raise RecipeError(
                f"unknown kind of rule '{self.kind}'",
                allowed=", ".join(RULE_KINDS),
                todo=did_you_mean(str(self.kind), RULE_KINDS),
            )
        least = {"order": 2, "sum": 2, "one_hot": 2, "dependency": 2}.get(self.kind, 1)
        if len(self.columns) < least:
            raise RecipeError(
                f"a rule '{self.kind}' needs at least {least} columns", got=str(len(self.columns))
            )
        _check_settings(self.kind, self.settings)

    def violations(self, dataset: Dataset) -> Mask:
        """Return which rows break the rule, shape (n,). A missing value breaks no rule."""
        return _CHECKS[self.kind](self, dataset)

    def __str__(self) -> str:
        return f"{self.kind}({', '.join(self.columns)})"


def rules_to_json(rules: Sequence[Rule]) -> list[dict[str, Any]]:
    """Return rules as plain JSON values."""
    return [{"kind": r.kind, "columns": list(r.columns), **r.settings} for r in rules]


def rules_from_json(values: Sequence[Mapping[str, Any]]) -> tuple[Rule, ...]:
    """Return the rules that `rules_to_json`, or a recipe, wrote."""
    rules = []
    for value in values:
        rest = {k: v for k, v in value.items() if k not in ("kind", "columns")}
        if "kind" not in value or not isinstance(value.get("columns"), list | tuple):
            raise RecipeError(
                "a rule needs 'kind' and 'columns'", allowed="{kind: order, columns: [start, end]}"
            )
        rules.append(Rule(value["kind"], tuple(str(c) for c in value["columns"]), rest))
    return tuple(rules)


_SETTINGS = {"range": ("low", "high"), "sum": ("tolerance",), "combination": ("allowed",)}


def _check_settings(kind: str, settings: Mapping[str, Any]) -> None:
    known = _SETTINGS.get(kind, ())
    for name, value in settings.items():
        if name not in known:
            raise RecipeError(
                f"a rule '{kind}' has no setting '{name}'",
                allowed=", ".join(known) or "none: it takes no settings",
                todo=did_you_mean(name, known),
            )
        if name == "allowed":
            fits = isinstance(value, list | tuple) and all(
                isinstance(row, list | tuple) for row in value
            )
        else:
            fits = isinstance(value, int | float) and not isinstance(value, bool)
        if not fits and not (value is None and kind == "range"):
            raise RecipeError(
                f"the setting '{name}' of a rule '{kind}' has a value of a wrong type",
                got=type(value).__name__,
                allowed="a list of rows, each a list of values"
                if name == "allowed"
                else "a number",
            )


def _range(rule: Rule, dataset: Dataset) -> Mask:
    values = dataset.values(rule.columns[0])
    low, high = rule.settings.get("low"), rule.settings.get("high")
    broken = np.zeros(len(values), dtype=bool)
    if low is not None:
        broken |= values < float(low)
    if high is not None:
        broken |= values > float(high)
    return broken


def _order(rule: Rule, dataset: Dataset) -> Mask:
    columns = [dataset.values(name) for name in rule.columns]
    return np.asarray(np.any([a > b for a, b in itertools.pairwise(columns)], axis=0))


def _sum(rule: Rule, dataset: Dataset) -> Mask:
    total = dataset.values(rule.columns[0])
    parts = np.sum([dataset.values(name) for name in rule.columns[1:]], axis=0)
    tolerance = float(rule.settings.get("tolerance", 1e-6))
    return np.asarray(np.abs(total - parts) > tolerance * np.maximum(1.0, np.abs(total)))


def _one_hot(rule: Rule, dataset: Dataset) -> Mask:
    ones = np.zeros(len(dataset), dtype=int)
    for name in rule.columns:
        codes, levels = dataset.codes(name)
        is_one = np.array([level in ("1", "1.0", "true") for level in levels] + [False])
        ones += is_one[codes]
    return np.asarray(ones != 1)


def _combination(rule: Rule, dataset: Dataset) -> Mask:
    allowed = {tuple(str(v) for v in row) for row in rule.settings.get("allowed", ())}
    return np.array([row not in allowed for row in _texts(rule.columns, dataset)], dtype=bool)


def _dependency(rule: Rule, dataset: Dataset) -> Mask:
    first: dict[tuple[str | None, ...], str | None] = {}
    rows = _texts(rule.columns, dataset)
    return np.array([first.setdefault(row[:-1], row[-1]) != row[-1] for row in rows], dtype=bool)


def _unique(rule: Rule, dataset: Dataset) -> Mask:
    seen: set[tuple[str | None, ...]] = set()
    broken = np.zeros(len(dataset), dtype=bool)
    for i, row in enumerate(_texts(rule.columns, dataset)):
        broken[i] = row in seen and None not in row
        seen.add(row)
    return broken


def _texts(columns: Sequence[str], dataset: Dataset) -> list[tuple[str | None, ...]]:
    decoded = []
    for name in columns:
        codes, levels = dataset.codes(name)
        table = np.array([*levels, None], dtype=object)
        decoded.append(table[codes])
    return list(zip(*decoded, strict=True))


_CHECKS = {
    "range": _range,
    "order": _order,
    "sum": _sum,
    "one_hot": _one_hot,
    "combination": _combination,
    "dependency": _dependency,
    "unique": _unique,
}

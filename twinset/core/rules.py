"""Rules: what must hold in every row of a table; declared with the schema, checked on any set."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
import numpy.typing as npt

from twinset.core._rule_checks import broken_rows
from twinset.core._rule_language import Predicate
from twinset.core._rule_settings import check_rule
from twinset.core._rule_table import RuleTable
from twinset.core.errors import RecipeError, did_you_mean

if TYPE_CHECKING:
    from twinset.core.dataset import Dataset

RuleKind = Literal[
    "range", "order", "sum", "linear", "one_hot", "combination", "dependency", "unique", "predicate"
]
RULE_KINDS: tuple[str, ...] = get_args(RuleKind)
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Rule:
    """One statement about every row. A missing value breaks no rule.

    Parameters
    ----------
    kind : RuleKind
        range: `low` <= column <= `high`; order: each column <= the next (< when `strict`); sum: the
        first column is the sum of the others; linear: the columns times their `coefficients` add up
        to `equals`, or lie between `at_least` and `at_most`; one_hot: exactly one of the columns is
        1; combination: only `allowed` tuples of values occur (those of the real rows when none are
        given); dependency: the columns before the last one decide the last; unique: no tuple of
        values twice; predicate: `expression` holds, see `twinset.core.rules.Predicate`.
    columns : tuple of str
        The columns it speaks of; of a predicate those in its expression.
    settings : mapping
        What the kind needs. `tolerance` (sum, linear) is the difference that still counts as none,
        1e-6 by default.

    Raises
    ------
    RecipeError
        The kind is unknown, or columns or settings do not suit it.

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
    predicate: Predicate | None = field(default=None, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if self.kind not in RULE_KINDS:
            raise RecipeError(
                f"unknown kind of rule '{self.kind}'",
                allowed=", ".join(RULE_KINDS),
                todo=did_you_mean(str(self.kind), RULE_KINDS),
            )
        if self.kind == "predicate":
            predicate = Predicate.parse(self.settings.get("expression"))
            if self.columns and set(self.columns) != set(predicate.columns):
                raise RecipeError(
                    "a rule 'predicate' lists other columns than its expression names",
                    allowed=", ".join(predicate.columns),
                    todo="leave the list out",
                )
            object.__setattr__(self, "columns", predicate.columns)
            object.__setattr__(self, "predicate", predicate)
        check_rule(self.kind, self.columns, self.settings)

    def violations(self, dataset: Dataset) -> Mask:
        """Return which rows break the rule, shape (n,). A missing value breaks no rule.

        Of rows that contradict one another (dependency, unique) the first one counts as right. A
        combination without `allowed` is broken by no row: only real rows can tell what occurs.

        Raises
        ------
        SchemaError
            A column does not exist or is of a kind that the rule cannot be asked of.
        """
        return broken_rows(self, RuleTable.of(dataset, self.columns))

    def __str__(self) -> str:
        if self.predicate is not None:
            return f"predicate({self.predicate.text})"
        return f"{self.kind}({', '.join(self.columns)})"


def broken_by_real_rows(dataset: Dataset) -> tuple[str, ...]:
    """Return one sentence for each rule of the schema that rows of a real set break.

    Examples
    --------
    >>> from twinset.core.dataset import Dataset
    >>> from twinset.core.schema import Field, Schema
    >>> import pyarrow as pa
    >>> schema = Schema((Field(name="age", kind="integer"),), (Rule("range", ("age",), {"low": 0}),))
    >>> broken_by_real_rows(Dataset.from_arrow(pa.table({"age": [31, -1, 50]}), schema))
    ('Rule range(age): 1 of 3 real rows breaks it.',)
    """
    told = []
    for rule in dataset.schema.rules:
        n = int(rule.violations(dataset).sum())
        if n:
            verb = "breaks" if n == 1 else "break"
            told.append(f"Rule {rule}: {n:,} of {len(dataset):,} real rows {verb} it.")
    return tuple(told)


def rules_to_json(rules: Sequence[Rule]) -> list[dict[str, Any]]:
    """Return rules as plain JSON values."""
    return [{"kind": r.kind, "columns": list(r.columns), **r.settings} for r in rules]


def rules_from_json(values: Sequence[Mapping[str, Any]]) -> tuple[Rule, ...]:
    """Return the rules that `rules_to_json`, or a recipe, wrote.

    A linear rule and a predicate name their columns themselves.
    """
    rules = []
    for value in values:
        rest = {k: v for k, v in value.items() if k not in ("kind", "columns")}
        columns = value.get("columns")
        if columns is None and isinstance(rest.get("coefficients"), Mapping):
            columns = list(rest["coefficients"])
        elif columns is None and value.get("kind") == "predicate":
            columns = []
        if "kind" not in value or not isinstance(columns, list | tuple):
            raise RecipeError(
                "a rule needs 'kind' and 'columns'", allowed="{kind: order, columns: [start, end]}"
            )
        if isinstance(rest.get("coefficients"), Mapping):
            rest["coefficients"] = {str(k): v for k, v in rest["coefficients"].items()}
        rules.append(Rule(value["kind"], tuple(str(c) for c in columns), rest))
    return tuple(rules)

"""Whether every group of people has its real outcomes in the synthetic rows."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

import numpy as np
import numpy.typing as npt

from twinset.core.contracts import (
    Comparison,
    ComponentResults,
    Measurement,
    Metric,
    MetricFamily,
    NotMeasurable,
    Role,
)
from twinset.core.data.schema import TABULAR_KINDS
from twinset.core.findings import GroupOutcome, GroupResults
from twinset.core.parameters import Ge, Margin, Replicates
from twinset.core.seeding import draw_seed
from twinset.core.stats.bootstrap import Groups

from ._group_errors import errors_by_group
from ._subgroups import Subgroups, audited_columns
from ._target_outcome import TargetOutcome

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class GroupOutcomes(Metric):
    """Compares how often each group of people has each outcome, in synthetic and in real rows.

    The bias audit. Groups are the levels of the columns whose population is declared, and their
    combinations two by two; where none is declared, the levels of the columns with the fewest ones.
    For each group it takes the share of its rows with the positive label (of several classes: the
    total variation distance; of a number: the mean, in standard deviations of all rows) and its
    difference from the real rows', either way. The value is the mean over the groups, and a group that
    is off by more than its own margin makes the whole different.

    Details also hold the *errors*: models trained on the synthetic and on the real rows are tested on
    the holdout, and of each group they tell the mean loss of both and how far forecasts of the
    positive label lie above what came true. A group is named as worst off where its loss grows beyond
    doubt. A twin as biased as the real rows is as good as real here: whether the real rows are fair
    is not what is asked, but the details show the outcome rates of both.

    Parameters
    ----------
    margin : float
        Largest mean difference that still counts as good as real.
    group_margin : float
        The same for a single group.
    columns : tuple of str
        Columns whose levels are groups; empty for those declared, or the ones with the fewest levels.
    max_columns : int
        How many columns are looked at where none is named or declared, 1 or more.
    min_rows : int
        Rows that a group needs on both sides, 11 or more; smaller ones are named, not judged.
    max_rows : int
        Rows that each model is trained on, 100 or more.
    replicates : int
        Bootstrap replicates.

    References
    ----------
    Schwartz et al., "Towards a Standard for Identifying and Managing Bias in Artificial Intelligence",
    NIST SP 1270, 2022; Hardt, Price and Srebro, "Equality of Opportunity in Supervised Learning",
    NeurIPS 2016.

    Examples
    --------
    >>> import pyarrow as pa
    >>> from twinset.core.data.dataset import Dataset
    >>> sex, ill = ["f", "m"] * 100, ["yes", "no", "no", "no"] * 50
    >>> real = Dataset.from_arrow(pa.table({"sex": sex, "ill": ill}))
    >>> made = Dataset.from_arrow(pa.table({"sex": sex, "ill": ["no", "no", "no", "yes"] * 50}))
    >>> told = Comparison(real, made, real, target="ill", positive="yes")
    >>> found = GroupOutcomes(replicates=20).compute(told, np.random.default_rng(0))
    >>> found.components.names, found.components.values.tolist()
    (('sex = f', 'sex = m'), [0.5, 0.5])
    """

    family: ClassVar[MetricFamily] = "coverage"
    title: ClassVar[str] = "outcomes of groups of people"
    interpretation: ClassVar[str] = (
        "How far the outcome of each group is from that of the same group of real rows, for example how "
        "often loans are granted to women; 0 is equal. It does not say that the real rows are fair."
    )
    roles: ClassVar[frozenset[Role]] = frozenset({Role.REPRESENTATION})
    higher_is_better: ClassVar[bool] = False
    bounds: ClassVar[tuple[float, float]] = (0.0, math.inf)
    kinds: ClassVar[frozenset[str]] = TABULAR_KINDS
    is_thorough: ClassVar[bool] = True

    margin: Margin = 0.03
    group_margin: Margin = 0.05
    columns: tuple[str, ...] = ()
    max_columns: Annotated[int, Ge(1)] = 6
    min_rows: Annotated[int, Ge(11)] = 50
    max_rows: Annotated[int, Ge(100)] = 20_000
    replicates: Replicates = 200

    def compute(self, comparison: Comparison, rng: np.random.Generator) -> Measurement:
        """Return the mean difference of the groups' outcomes, 0 or more."""
        outcome = TargetOutcome.of(comparison)
        real = outcome.known(comparison.reference)
        made = outcome.known(comparison.synthetic)
        if not len(real) or not len(made):
            raise NotMeasurable(f"the target '{outcome.target}' is missing in every row")
        names = audited_columns(comparison, self.columns, self.max_columns)
        declared = {*self.columns, *comparison.population}
        groups = Subgroups.of(real, made, names, declared, self.min_rows)
        if not groups.names:
            raise NotMeasurable(f"no group has {self.min_rows} rows on both sides")
        seed = draw_seed(rng)
        sides = [
            _outcomes(Groups.assign(len(rows), self.replicates, rng), member, outcome.matrix(rows))
            for rows, member in ((real, groups.real), (made, groups.made))
        ]
        values, drawn = (
            outcome.differences(ours, theirs) for ours, theirs in zip(sides[1], sides[0])
        )
        errors = errors_by_group(comparison, outcome, groups, self.max_rows, seed)
        outcomes = {
            name: outcome.told(sides[0][0][0, i], sides[1][0][0, i])
            for i, name in enumerate(groups.names)
        }
        facts = {
            "groups": {name: {**told, **errors.get(name, {})} for name, told in outcomes.items()},
            "too_few_rows": list(groups.too_few),
            "min_rows": self.min_rows,
            "max_rows": self.max_rows,
        }
        found = GroupResults(
            outcome.target,
            outcome.classes,
            tuple(_group_outcome(name, told, errors.get(name)) for name, told in outcomes.items()),
        )
        return Measurement(
            float(values[0].mean()),
            drawn.mean(axis=1),
            (found,),
            ComponentResults("group", groups.names, values[0], drawn, self.group_margin),
            facts,
        )


def _group_outcome(
    name: str, outcome: Mapping[str, Any], errors: Mapping[str, Any] | None
) -> GroupOutcome:
    """Return the outcome of a group, where it is one number, with the losses of models."""
    ends = {key: value for key, value in outcome.items() if isinstance(value, float)}
    if errors is None:
        return GroupOutcome(name, ends.get("real"), ends.get("synthetic"))
    loss, growth = errors["loss"], errors["growth"]
    return GroupOutcome(
        name, ends.get("real"), ends.get("synthetic"), loss["real"], loss["synthetic"],
        (growth[0], growth[1]),
    )  # fmt: skip


def _outcomes(
    groups: Groups, member: npt.NDArray[np.bool_], outcome: Floats
) -> tuple[Floats, Floats]:
    """Return the mean outcome of each group: of all rows, shape (1, g, k), and replicated, (b, g, k).

    Parameters
    ----------
    groups : Groups
        The bootstrap of the n rows.
    member : numpy.ndarray of bool, shape (g, n)
        Rows of each group.
    outcome : numpy.ndarray, shape (n, k)
        What is averaged.
    """
    whole, drawn = [], []
    for rows in member:
        part = groups.group[rows]
        sums = np.column_stack([np.bincount(part, c, groups.size) for c in outcome[rows].T])
        sizes = np.bincount(part, minlength=groups.size).astype(np.float64)
        whole.append(sums.sum(axis=0, keepdims=True) / sizes.sum())
        # A replicate may hold no row of a small group: it then tells nothing new about it.
        held = groups.draws @ sizes
        mean = groups.draws @ sums / np.maximum(held, 1)[:, None]
        drawn.append(np.where(held[:, None] > 0, mean, whole[-1]))
    return np.stack(whole, axis=1), np.stack(drawn, axis=1)

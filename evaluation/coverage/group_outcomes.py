"""Differences of the outcomes of groups of people."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np

from twinset.core.contracts import Comparison, Measurement, NotMeasurable, Role
from twinset.core.findings import GroupOutcome, GroupResults
from twinset.core.parameters import Ge, Margin
from twinset.core.seeding import draw_seed
from twinset.core.stats.bootstrap import Groups

from .._bootstrap_metric import Bools, BootstrapMetric, Floats
from .._results import average_components
from ._group_models import Subgroups, TargetOutcome, choose_group_columns, errors_by_group


@dataclass(frozen=True, kw_only=True)
class GroupOutcomes(BootstrapMetric):
    """Difference of each group's outcomes between synthetic and real rows, averaged over groups.

    The bias audit. value = mean_g d_g. Groups g are the levels of the columns whose population is
    declared, and their combinations two by two; where none is declared, the levels of the columns with
    the fewest ones. d is |P(positive | g) synthetic - real|; of several classes the total variation
    distance; of a number |mean of g, synthetic - real| in standard deviations of all rows. A group
    beyond its own margin makes the whole different.

    Facts add the *errors*: models trained on the synthetic and on the real rows are tested on the
    holdout, with the mean loss of both for each group, and how far forecasts of the positive label lie
    above the truth. A group is named as worst off where its loss grows beyond chance. A twin as biased
    as the real rows is as good as real here: whether the real rows are fair is another question, but
    facts show the outcome rates of both.

    Parameters
    ----------
    group_margin : float
        Equivalence margin of a single group.
    columns : tuple of str
        Columns whose levels are groups; empty for those declared, or the ones with the fewest levels.
    max_columns : int
        Number of columns where none is named or declared, 1 or more.
    min_rows : int
        Rows that a group needs in each set, 11 or more; smaller ones are named, not compared.
    max_rows : int
        Rows that each model is trained on, 100 or more.

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
    >>> other = Dataset.from_arrow(pa.table({"sex": sex, "ill": ["no", "no", "no", "yes"] * 50}))
    >>> sets = Comparison(real, other, real, target="ill", positive="yes")
    >>> found = GroupOutcomes(replicates=20).compute(sets, np.random.default_rng(0))
    >>> found.components.names, found.components.values.tolist()
    (('sex = f', 'sex = m'), [0.5, 0.5])
    """

    family = "coverage"
    title = "outcomes of groups of people"
    interpretation = (
        "How far the outcome of each group is from that of the same group of real rows, for example how "
        "often loans are granted to women; 0 is equal. It does not say that the real rows are fair."
    )
    roles = frozenset({Role.REPRESENTATION})
    bounds = (0.0, math.inf)
    is_thorough = True

    margin: Margin = 0.03
    group_margin: Margin = 0.05
    columns: tuple[str, ...] = ()
    max_columns: Annotated[int, Ge(1)] = 6
    min_rows: Annotated[int, Ge(11)] = 50
    max_rows: Annotated[int, Ge(100)] = 20_000

    def compute(self, comparison: Comparison, rng: np.random.Generator) -> Measurement:
        """Return the mean difference of the groups' outcomes, 0 or more."""
        outcome = TargetOutcome.from_comparison(comparison)
        sets = [outcome.known(part) for part in (comparison.reference, comparison.synthetic)]
        if not all(map(len, sets)):
            raise NotMeasurable(f"the target '{outcome.target}' is missing in every row")
        names = choose_group_columns(comparison, self.columns, self.max_columns)
        crossed = {*self.columns, *comparison.population}
        groups = Subgroups.find(sets[0], sets[1], names, crossed, self.min_rows)
        if not groups.names:
            raise NotMeasurable(f"no group has {self.min_rows} rows in both sets")
        seed = draw_seed(rng)
        (real, real_drawn), (synthetic, synthetic_drawn) = (
            _mean_outcomes(
                Groups.assign(len(rows), self.replicates, rng), members, outcome.matrix(rows)
            )
            for rows, members in zip(sets, (groups.real, groups.synthetic))
        )
        errors = errors_by_group(comparison, outcome, groups, self.max_rows, seed)
        outcomes = {
            name: {
                "real": outcome.summary(real[0, i]),
                "synthetic": outcome.summary(synthetic[0, i]),
            }
            for i, name in enumerate(groups.names)
        }
        facts = {
            "groups": {name: {**own, **errors.get(name, {})} for name, own in outcomes.items()},
            "too_few_rows": list(groups.too_few),
            "min_rows": self.min_rows,
            "max_rows": self.max_rows,
        }
        results = tuple(_to_result(name, own, errors.get(name)) for name, own in outcomes.items())
        return average_components(
            "group",
            groups.names,
            outcome.differences(synthetic, real)[0],
            outcome.differences(synthetic_drawn, real_drawn),
            self.group_margin,
            findings=[GroupResults(outcome.target, outcome.classes, results)],
            facts=facts,
        )


def _to_result(
    name: str, outcome: Mapping[str, Any], errors: Mapping[str, Any] | None
) -> GroupOutcome:
    """Return the outcome of a group, where it is one number, with the losses of models."""
    real, synthetic = (
        value if isinstance(value, float) else None
        for value in (outcome["real"], outcome["synthetic"])
    )
    if errors is None:
        return GroupOutcome(name, real, synthetic)
    loss, (low, high) = errors["loss"], errors["growth"]
    return GroupOutcome(name, real, synthetic, loss["real"], loss["synthetic"], (low, high))


def _mean_outcomes(groups: Groups, members: Bools, outcome: Floats) -> tuple[Floats, Floats]:
    """Return the mean outcome of each group: of all rows, shape (1, g, k), and replicated, (b, g, k).

    `members` are the rows of each group, shape (g, n), and `outcome` has the shape (n, k).
    """
    whole, drawn = [], []
    for rows in members:
        part = groups.group[rows]
        sums = np.column_stack([np.bincount(part, c, groups.size) for c in outcome[rows].T])
        sizes = np.bincount(part, minlength=groups.size).astype(np.float64)
        whole.append(sums.sum(axis=0, keepdims=True) / sizes.sum())
        # A replicate may hold no row of a small group: it then has the mean of all rows.
        n = groups.draws @ sizes
        mean = groups.draws @ sums / np.maximum(n, 1)[:, None]
        drawn.append(np.where(n[:, None] > 0, mean, whole[-1]))
    return np.stack(whole, axis=1), np.stack(drawn, axis=1)

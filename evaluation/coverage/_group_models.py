"""Groups of rows, their outcomes, and the errors of models on them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any, Literal

import numpy as np

from twinset.core.contracts import Comparison, NotMeasurable
from twinset.core.data.dataset import Dataset
from twinset.core.features.models import build_discriminator_table, fit_discriminator

from .._bootstrap_metric import Bools, Floats, Ints
from .._samples import levels_by_frequency, place_levels

_MAX_LEVELS = 12  # of a column whose levels are groups: more leave most groups too small
_MAX_CLASSES = 20  # of a target: more classes leave groups without a row of most
_ITERATIONS = 60  # trees of each model, as many as `gap.classifier` takes
_MIN_PROBABILITY = 1e-5  # a row forecast as impossible costs 11.5 at most, not infinity
_ALPHA = 0.05  # over the intervals of all groups: the usual level
_N_MODELS = 4  # of each set: fewer hardly measure the luck of the draw, more shrink their rows


@dataclass(frozen=True)
class TargetOutcome:
    """The outcome of a row: its class, or a number in standard deviations."""

    target: str
    classes: tuple[str, ...] = ()  # of two the second is the positive one; empty for a number
    mean: float = 0.0  # mean and standard deviation of a number among the train rows
    scale: float = 1.0

    @classmethod
    def from_comparison(cls, comparison: Comparison) -> TargetOutcome:
        """Return the outcome by the target; NotMeasurable where it has one value or many classes."""
        target, train = comparison.target, comparison.train
        if target is None:
            raise NotMeasurable("no target column is named")
        if target not in train.schema.names:
            raise NotMeasurable(f"the target '{target}' is not among the columns of both sets")
        if comparison.positive is not None:
            return cls(target, ("", comparison.positive))
        if train.schema[target].is_numeric:
            values = train.values(target)
            values = values[~np.isnan(values)]
            if not len(values) or values.std() == 0:
                raise NotMeasurable(f"the target '{target}' has one value only")
            return cls(target, (), float(values.mean()), float(values.std()))
        classes = tuple(levels_by_frequency(train, target))
        if not 2 <= len(classes) <= _MAX_CLASSES:
            raise NotMeasurable(
                f"the target '{target}' has {len(classes)} classes; 2 to {_MAX_CLASSES} are looked at"
            )
        return cls(target, classes)

    def truth(self, rows: Dataset) -> Floats:
        """Return the number, or the position in `classes`, NaN where neither is known, shape (n,)."""
        if not self.classes:
            return rows.values(self.target)
        rest = 0.0 if self.classes[0] == "" else np.nan
        return place_levels(rows, self.target, self.classes, rest, np.nan)

    def known(self, rows: Dataset) -> Dataset:
        """Return the rows with a known outcome."""
        known = ~np.isnan(self.truth(rows))
        return rows if known.all() else rows.filter(known)

    def matrix(self, rows: Dataset) -> Floats:
        """Return one column for each class but the first, or the scaled number, shape (n, k)."""
        truth = self.truth(rows)
        if not self.classes:
            return ((truth - self.mean) / self.scale)[:, None]
        return np.asarray(truth[:, None] == np.arange(1, len(self.classes)), dtype=np.float64)

    def differences(self, synthetic: Floats, real: Floats) -> Floats:
        """Return the distances of means of `matrix`, shapes (b, g, k), as `GroupOutcomes` has them."""
        gap = synthetic - real
        if not self.classes:
            return np.asarray(np.abs(gap[:, :, 0]))
        first = np.abs(gap.sum(axis=2))
        return np.asarray((np.abs(gap).sum(axis=2) + first) / 2)

    def summary(self, means: Floats) -> float | dict[str, float]:
        """Return the mean outcome of one group, shape (k,), in the target's own unit."""
        if not self.classes:
            return self.mean + self.scale * float(means[0])
        # Whole percents, so that no count of few rows follows from them.
        shares = [round(float(share), 2) for share in means]
        return shares[0] if len(shares) == 1 else dict(zip(self.classes[1:], shares))


@dataclass(frozen=True)
class Subgroups:
    """Groups with enough rows in both sets."""

    names: tuple[str, ...]  # of the g groups, e.g. "sex = f and region = north"
    real: Bools  # (g, n): rows that belong to each
    synthetic: Bools  # (g, m)
    too_few: tuple[str, ...]  # groups of real rows that one set has too few rows of

    @classmethod
    def find(
        cls,
        real: Dataset,
        synthetic: Dataset,
        columns: Sequence[str],
        crossed: Collection[str],
        min_rows: int,
    ) -> Subgroups:
        """Return the groups that have `min_rows` rows or more in each set."""
        singles = [
            ((name, level),) for name in columns for level in sorted(set(real.codes(name)[1]))
        ]
        pairs = [
            first + second
            for first, second in combinations(singles, 2)
            if first[0][0] != second[0][0] and {first[0][0], second[0][0]} <= set(crossed)
        ]
        found: dict[str, list[Bools]] = {}
        too_few = []
        for conditions in [*singles, *pairs]:
            rows = [find_members(part, conditions) for part in (real, synthetic)]
            if rows[0].sum() < min_rows and len(conditions) > 1:
                continue  # a pair that real rows hardly have is no group that could be lost
            name = " and ".join(f"{column} = {level}" for column, level in conditions)
            if min(part.sum() for part in rows) < min_rows:
                too_few.append(name)
            else:
                found[name] = rows
        masks = [
            np.array([rows[i] for rows in found.values()], dtype=bool).reshape(-1, len(part))
            for i, part in enumerate((real, synthetic))
        ]
        return cls(tuple(found), masks[0], masks[1], tuple(too_few))


def find_members(rows: Dataset, conditions: Sequence[tuple[str, str]]) -> Bools:
    """Return the rows that have all these levels, shape (n,)."""
    inside = np.ones(len(rows), dtype=bool)
    for column, level in conditions:
        codes, levels = rows.codes(column)  # -1 where the value is missing
        inside &= codes == (levels.index(level) if level in levels else -2)
    return inside


def choose_group_columns(
    comparison: Comparison, requested: Sequence[str], max_columns: int
) -> tuple[str, ...]:
    """Return the columns whose levels are groups.

    The requested ones; else those with a declared population; else the `max_columns` categories and
    booleans with the fewest levels, 2 to 12.
    """
    schema = comparison.reference.schema
    unknown = [name for name in requested if name not in schema.names]
    if unknown:
        raise NotMeasurable(f"the column '{unknown[0]}' is not among the columns of both sets")
    named = requested or [name for name in comparison.population if name in schema.names]
    if named:
        return tuple(name for name in named if name != comparison.target)
    n_levels = {
        field.name: len(comparison.reference.codes(field.name)[1])
        for field in schema.of_kind("category", "boolean")
        if field.name != comparison.target
    }
    fitting = [name for name, n in n_levels.items() if 2 <= n <= _MAX_LEVELS]
    if not fitting:
        raise NotMeasurable(f"no category has 2 to {_MAX_LEVELS} levels that could be groups")
    return tuple(sorted(fitting, key=lambda name: n_levels[name])[:max_columns])


def errors_by_group(
    comparison: Comparison, outcome: TargetOutcome, groups: Subgroups, max_rows: int, seed: int
) -> dict[str, dict[str, Any]]:
    """Return the loss, calibration and growth of the loss of each group, with an interval.

    The loss of a row is -log of the probability of its class, or the squared error in variances.
    Each set trains four models on a quarter of its rows each, which measures the luck of the draw.
    Intervals hold for all groups at once (Bonferroni). Empty where nothing can be trained.
    """
    from scipy.stats import t

    holdout = outcome.known(comparison.reference)
    names = [name for name in comparison.train.schema.names if name != outcome.target]
    if not names:
        return {}
    rng = np.random.default_rng(seed)
    found = {}
    for which, rows in (("real", comparison.train), ("synthetic", comparison.synthetic)):
        if which == "real" and "group errors" in comparison.cache:
            found[which] = comparison.cache["group errors"]
            continue
        known = outcome.known(rows).at_most(max_rows, rng)
        parts = np.array_split(rng.permutation(len(known)), _N_MODELS)
        if any(len(np.unique(outcome.truth(known.take(part)))) < 2 for part in parts):
            return {}
        found[which] = _test_models(known, parts, holdout, names, outcome, seed)
        if which == "real":
            comparison.cache["group errors"] = found[which]
    reach = float(t.ppf(1 - _ALPHA / 2 / max(len(groups.names), 1), 2 * (_N_MODELS - 1)))
    errors = {}
    for name, inside in zip(groups.names, groups.real):
        loss = {which: losses[:, inside] for which, (losses, _) in found.items()}
        growth = loss["synthetic"].mean(axis=0) - loss["real"].mean(axis=0)
        luck = sum(float(part.mean(axis=1).var(ddof=1)) / _N_MODELS for part in loss.values())
        half = reach * float(np.sqrt(growth.var(ddof=1) / len(growth) + luck))
        errors[name] = {
            "loss": {which: float(part.mean()) for which, part in loss.items()},
            "forecast_above_truth": {
                which: float(excess[:, inside].mean()) for which, (_, excess) in found.items()
            },
            "growth": [float(growth.mean() - half), float(growth.mean() + half)],
        }
    return errors


def _test_models(
    rows: Dataset,
    parts: Sequence[Ints],
    holdout: Dataset,
    names: list[str],
    outcome: TargetOutcome,
    seed: int,
) -> tuple[Floats, Floats]:
    """Return losses of the models, and their predictions less the truth, both of shape (k, h)."""
    table = build_discriminator_table([rows, holdout], names)
    task: Literal["classification", "regression"] = (
        "classification" if outcome.classes else "regression"
    )
    y, truth = outcome.truth(rows), outcome.truth(holdout)
    losses, excesses = [], []
    for part in parts:
        model = fit_discriminator(
            table.parts[0][part], y[part], table.categorical,
            task=task, seed=seed, iterations=_ITERATIONS,
        )  # fmt: skip
        if outcome.classes:
            chances = np.zeros((len(truth), len(outcome.classes)))
            chances[:, model.classes_.astype(np.int64)] = model.predict_proba(table.parts[1])
            own = truth.astype(np.int64)
            probability = np.clip(chances[np.arange(len(own)), own], _MIN_PROBABILITY, 1.0)
            losses.append(-np.log(probability))
            # Of several classes the most frequent one's forecast stands for all.
            shown = 1 if len(outcome.classes) == 2 else 0
            excesses.append(chances[:, shown] - (own == shown))
        else:
            excesses.append((model.predict(table.parts[1]) - truth) / outcome.scale)
            losses.append(excesses[-1] ** 2)
    return np.array(losses), np.array(excesses)

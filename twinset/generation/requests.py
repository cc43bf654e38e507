"""What a generate step shall make: rows under conditions, from its own words, a plan or the brief."""

from __future__ import annotations

from collections.abc import Mapping

from twinset.core.data.dataset import Dataset
from twinset.core.data.where import Where
from twinset.core.errors import DataError, RecipeError, did_you_mean
from twinset.generation.coverage_plan import CoveragePlan, plan_scenes
from twinset.recipe import GenerateStep, Recipe
from twinset.recipe._steps import CoverSpec

_MAX_SHOWN = 20


def rows_to_make(counts: Mapping[str, int], want: Mapping[str, int]) -> dict[str, int]:
    """Return how many rows of each label are lacking.

    Parameters
    ----------
    counts : mapping
        Label -> rows of it in the train set.
    want : mapping
        Label -> rows of it that the finished training set shall hold.

    Returns
    -------
    dict
        Label -> rows to make, for the labels that fall short, in the order of `want`.

    Raises
    ------
    DataError
        A wanted label does not occur in the train set.

    Examples
    --------
    >>> rows_to_make({"0": 990, "1": 10}, {"1": 100, "0": 500})
    {'1': 90}
    """
    made: dict[str, int] = {}
    present = [(name, n) for name, n in counts.items() if n]
    for label, total in want.items():
        if counts.get(label, 0) == 0:
            raise DataError(
                f"the brief wants rows of the label '{label}', and the train set has none",
                allowed=", ".join(f"{name} ({n} rows)" for name, n in present[:_MAX_SHOWN]),
                todo=did_you_mean(label, counts) or "correct brief.want, or split another way",
            )
        if total > counts[label]:
            made[label] = total - counts[label]
    return made


def list_requests(
    step: GenerateStep,
    name: str,
    recipe: Recipe,
    train: Dataset | None,
    predictions: Dataset | None = None,
) -> tuple[list[tuple[Where | None, int]], CoveragePlan | None]:
    """Return (condition, rows) pairs, and the plan they come from where the step covers combinations.

    `predictions` are those that the step's plan asks for.

    Raises
    ------
    RecipeError
        The step does not say how many rows to make, and nothing else does.
    DataError
        There is nothing to make.
    """
    if step.cover is None:
        return _requests(step, name, recipe, train), None
    plan = plan_of(step.cover, recipe, train, predictions)
    if not plan.rows:
        raise DataError(
            "nothing to make: the train set already has every combination often enough",
            todo="raise cover.at_least or cover.strength",
        )
    return _planned(step, plan), plan


def plan_of(
    cover: CoverSpec, recipe: Recipe, train: Dataset | None, predictions: Dataset | None
) -> CoveragePlan:
    """Return the plan that a step asks for; it may be empty."""
    return plan_scenes(
        cover.factors,
        strength=cover.strength,
        at_least=cover.at_least,
        most=cover.most,
        forbidden=cover.forbidden,
        real=train if cover.beyond_real else None,
        predictions=predictions,
        correct=cover.correct,
        least=cover.least,
        seed=recipe.seed,
    )


def _planned(step: GenerateStep, plan: CoveragePlan) -> list[tuple[Where | None, int]]:
    outer = step.where or {}
    return [(Where({**outer, **where.conditions}), n) for where, n in plan.counts()]


def _requests(
    step: GenerateStep, name: str, recipe: Recipe, train: Dataset | None
) -> list[tuple[Where | None, int]]:
    """Resolve rows, counts or the brief into (condition, rows) pairs."""
    if step.counts:
        outer = Where(step.where or {})
        return [(outer.intersect(Where(count.where)), count.rows) for count in step.counts]
    if step.rows is not None:
        return [(Where.of(step.where), step.rows)]
    brief = recipe.brief
    if not step.follows_brief or not brief.want or brief.target is None:
        if train is None:
            raise RecipeError(
                f"the step '{name}' does not say how many rows to make",
                todo="set rows: or counts:",
            )
        return [(Where.of(step.where), len(train.where(Where.of(step.where))))]
    wanted = {str(label): n for label, n in brief.want.items()}
    if train is None:
        return [(Where({brief.target: label}), n) for label, n in wanted.items()]
    codes, levels = train.codes(brief.target)
    counts = {level: int((codes == i).sum()) for i, level in enumerate(levels)}
    lacking = rows_to_make(counts, wanted)
    if not lacking:
        raise DataError(
            "nothing to make: the train set already has what the brief wants",
            got=", ".join(f"{label}: {counts[label]}" for label in wanted),
            todo="raise brief.want, or set rows: in the step",
        )
    return [(Where({brief.target: label}), n) for label, n in lacking.items()]

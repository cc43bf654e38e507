"""What a generate step shall make: rows under conditions, from its own words, a plan or the brief."""

from __future__ import annotations

from twinset.balance import rows_to_make
from twinset.core.dataset import Dataset
from twinset.core.errors import DataError, RecipeError
from twinset.core.where import Where
from twinset.recipe import GenerateStep, Recipe
from twinset.recipe._steps import CoverSpec
from twinset.scene_plans import Plan, plan_scenes


def wanted_rows(
    step: GenerateStep,
    name: str,
    recipe: Recipe,
    train: Dataset | None,
    predictions: Dataset | None = None,
) -> tuple[list[tuple[Where | None, int]], Plan | None]:
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
            "nothing to make: the training part already holds every combination often enough",
            todo="raise cover.at_least or cover.strength",
        )
    return _planned(step, plan), plan


def plan_of(
    cover: CoverSpec, recipe: Recipe, train: Dataset | None, predictions: Dataset | None
) -> Plan:
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


def _planned(step: GenerateStep, plan: Plan) -> list[tuple[Where | None, int]]:
    outer = step.where or {}
    return [(Where({**outer, **where.conditions}), n) for where, n in plan.counts()]


def _requests(
    step: GenerateStep, name: str, recipe: Recipe, train: Dataset | None
) -> list[tuple[Where | None, int]]:
    """Resolve rows, counts or the brief into (condition, rows) pairs."""
    if step.counts:
        outer = step.where or {}
        return [(Where({**outer, **count.where}), count.rows) for count in step.counts]
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
            "nothing to make: the training part already holds what the brief wants",
            got=", ".join(f"{label}: {counts[label]}" for label in wanted),
            todo="raise brief.want, or set rows: in the step",
        )
    return [(Where({brief.target: label}), n) for label, n in lacking.items()]

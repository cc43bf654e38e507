"""Evaluation of what a recipe made: its task, and the report with plans and cards."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from twinset.core.contracts import Score
from twinset.core.data.dataset import Card, Dataset
from twinset.core.data.where import Where
from twinset.measurement.load_embedders import load_embedders
from twinset.measurement.notes import note_images, note_kept_values, note_rules
from twinset.measurement.plan_coverage import PlanCoverage, measure_plan_coverage
from twinset.recipe import GenerateStep, Recipe
from twinset.registry import component_class
from twinset.report import Report
from twinset.workflows.evaluation import EvaluationTask, report_on
from twinset.workflows.options import EvaluateOptions


def recipe_task(
    recipe: Recipe, synthetic: Dataset, where: Where | None, workers: int = 1
) -> EvaluationTask:
    """Return the evaluation task that a recipe declares."""
    brief = recipe.brief
    return EvaluationTask(
        options=EvaluateOptions(
            target=brief.target,
            positive=brief.positive,
            where=where,
            seed=recipe.seed,
            workers=workers,
            gates=recipe.evaluate.gates_json(),
        ),
        metrics=recipe.evaluate.built_metrics(synthetic.schema.kinds),
        population=brief.population,
        embedders=load_embedders(recipe.embedders()) if recipe.embedders() else None,
    )


def recipe_report(
    recipe: Recipe,
    task: EvaluationTask,
    *,
    train: Dataset | None,
    synthetic: Dataset,
    holdout: Dataset | None,
    scores: Sequence[Score],
    real_cards: Sequence[Card],
    synthetic_cards: Sequence[Card],
    lineage: Mapping[str, Any] | None,
    leaks: Sequence[str],
) -> Report:
    """Return the report on a set that a recipe made; `leaks` are notes on leaks that it allows."""
    has_learnt = any(
        not isinstance(step, GenerateStep) or component_class("generator", step.use).needs_real
        for _, step in recipe.named_steps()
    )
    return report_on(
        train,
        holdout,
        synthetic,
        scores,
        task,
        title=recipe.name,
        real_cards=real_cards,
        synthetic_cards=synthetic_cards,
        lineage=lineage,
        show_real_rows=recipe.report.show_real_rows,
        plans=plans_of(recipe, train, synthetic),
        notes=[
            *leaks,
            *note_images(scores),
            *note_rules(train, synthetic, [*real_cards, *synthetic_cards]),
            # A value that rows share with real ones by chance is not kept from them.
            *(note_kept_values(train, synthetic) if has_learnt else ()),
        ],
    )


def plans_of(recipe: Recipe, train: Dataset | None, synthetic: Dataset) -> list[PlanCoverage]:
    """Return, for each step that covers combinations, how often each of them came in the end.

    All rows that the recipe made count, whichever step made them; so do the real ones, where the real
    set has the conditions as columns.
    """
    found = []
    for name, step in recipe.named_steps():
        cover = step.cover if isinstance(step, GenerateStep) else None
        if cover is None or not set(cover.factors) <= set(synthetic.schema.names):
            continue
        has_real = train is not None and set(cover.factors) <= set(train.schema.names)
        found.append(
            measure_plan_coverage(
                cover.factors,
                strength=cover.strength,
                at_least=cover.at_least,
                forbidden=cover.forbidden,
                real=train if has_real else None,
                synthetic=synthetic,
                counts_real=cover.beyond_real,
                step=name,
            )
        )
    return found

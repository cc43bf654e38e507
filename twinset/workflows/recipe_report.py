"""The report on what a recipe made: scores and gates, cards, plans, and what a reader must know."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from twinset.core.contracts import Score
from twinset.core.data.dataset import Card, Dataset
from twinset.generation.cards import shared_where
from twinset.measurement.notes import (
    list_score_embedders,
    note_embedders_on_card,
    note_images,
    note_kept_values,
    note_rules,
)
from twinset.measurement.plan_coverage import PlanCoverage, measure_plan_coverage
from twinset.recipe import GenerateStep, Recipe
from twinset.registry import component_class
from twinset.report import Report, apply_gates, build_report


def recipe_report(
    recipe: Recipe,
    *,
    train: Dataset | None,
    synthetic: Dataset,
    holdout: Dataset | None,
    scores: Sequence[Score],
    source_cards: Sequence[Card],
    synthetic_cards: Sequence[Card],
    lineage: Mapping[str, Any] | None,
    leaks: Sequence[str],
) -> Report:
    """Return the report on a set that a recipe made.

    Parameters
    ----------
    recipe : Recipe
        What was asked for.
    train, synthetic, holdout : Dataset
        The sets that were compared.
    scores : sequence of Score
        What was measured.
    source_cards, made_cards : sequence of Card
        Cards of the real set and of what each step made.
    lineage : mapping
        Nested tree of the sets.
    leaks : sequence of str
        What to note of leaks that the recipe allows.
    """
    facts = list_score_embedders(scores)
    looked = note_embedders_on_card(facts)
    cards = [*source_cards, *(replace(c, notes=(*c.notes, *looked)) for c in synthetic_cards)]
    return build_report(
        title=recipe.name,
        train=train,
        synthetic=synthetic,
        holdout=holdout,
        scores=scores,
        gates=apply_gates(scores, recipe.evaluate.gates_json()),
        cards=cards,
        lineage=lineage,
        target=recipe.brief.target,
        where=shared_where(synthetic_cards),
        show_real_rows=recipe.report.show_real_rows,
        embedders=facts,
        plans=plans_of(recipe, train, synthetic),
        notes=[
            *leaks,
            *note_images(scores),
            *note_rules(train, synthetic, cards),
            *(note_kept_values(train, synthetic) if _has_learnt(recipe) else ()),
        ],
    )


def _has_learnt(recipe: Recipe) -> bool:
    """Return whether any step saw real rows; a value that others share with these is no real one kept."""
    return any(
        not isinstance(step, GenerateStep) or component_class("generator", step.use).needs_real
        for _, step in recipe.named_steps()
    )


def plans_of(recipe: Recipe, train: Dataset | None, synthetic: Dataset) -> list[PlanCoverage]:
    """Return, for each step that covers combinations, how often each of them came in the end.

    All rows that the recipe made count, whichever step made them; so do the real ones, where the real
    set has the conditions as columns.
    """
    found = []
    for name, step in recipe.named_steps():
        if not isinstance(step, GenerateStep) or step.cover is None:
            continue
        cover, own = step.cover, set(step.cover.factors)
        if own <= set(synthetic.schema.names):
            has_real = train is not None and own <= set(train.schema.names)
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

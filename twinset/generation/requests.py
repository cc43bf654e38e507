"""What a generate step shall make, and from which files: rows under conditions, a plan or the brief."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from twinset.core.contracts import TakesAssets
from twinset.core.data.dataset import Dataset
from twinset.core.data.persons import shared_levels, spell_levels
from twinset.core.data.reading import MIN_SHOWN_ROWS
from twinset.core.data.where import Where
from twinset.core.errors import DataError, RecipeError, did_you_mean
from twinset.generation.coverage_plan import CoveragePlan, plan_scenes
from twinset.io.files import file_digest
from twinset.recipe import AugmentStep, GenerateStep, Recipe
from twinset.registry import component_class, component_names


def list_requests(
    step: GenerateStep, name: str, recipe: Recipe, train: Dataset | None
) -> tuple[list[tuple[Where | None, int]], CoveragePlan | None]:
    """Return (condition, rows) pairs, and the plan they come from where the step covers combinations.

    Raises
    ------
    RecipeError
        The step does not say how many rows to make, and nothing else does.
    DataError
        There is nothing to make.
    """
    plan = plan_of(step, recipe, train)
    if plan is None:
        return _requests(step, name, recipe, train), None
    if not plan.rows:
        raise DataError(
            "nothing to make: the train set already has every combination often enough",
            todo="raise cover.at_least or cover.strength",
        )
    outer = step.where or {}
    return [(Where({**outer, **where.conditions}), n) for where, n in plan.counts()], plan


def plan_of(step: GenerateStep, recipe: Recipe, train: Dataset | None) -> CoveragePlan | None:
    """Return the plan that a step asks for; it may be empty. None where the step covers nothing."""
    from twinset.io import read_dataset

    cover, path = step.cover, predictions_path(recipe, step)
    if cover is None:
        return None
    return plan_scenes(
        cover.factors,
        strength=cover.strength,
        at_least=cover.at_least,
        max_scenes=cover.most,
        forbidden=cover.forbidden,
        real=train if cover.beyond_real else None,
        predictions=None if path is None else read_dataset(path),
        correct=cover.correct,
        min_scenes=cover.least,
        seed=recipe.seed,
    )


def _requests(
    step: GenerateStep, name: str, recipe: Recipe, train: Dataset | None
) -> list[tuple[Where | None, int]]:
    """Resolve rows, counts or the brief into (condition, rows) pairs."""
    if step.counts:
        outer = Where(step.where or {})
        return [(outer.intersect(Where(count.where)), count.rows) for count in step.counts]
    if step.rows is not None:
        return [(Where.from_value(step.where), step.rows)]
    brief = recipe.brief
    if not step.follows_brief or not brief.want or brief.target is None:
        if train is None:
            raise RecipeError(
                f"the step '{name}' does not say how many rows to make", todo="set rows: or counts:"
            )
        return [(Where.from_value(step.where), len(train.where(Where.from_value(step.where))))]
    requested = {str(label): n for label, n in brief.want.items()}
    if train is not None:
        requested = _missing_rows(train, brief.target, requested)
    return [(Where({brief.target: label}), n) for label, n in requested.items()]


def _missing_rows(train: Dataset, target: str, requested: Mapping[str, int]) -> dict[str, int]:
    """Return label -> rows to make, for the labels of which the train set has fewer than requested."""
    counts = label_counts(train, target)
    for label in requested:
        if label not in counts:
            raise no_rows(
                f"the brief wants rows of the label '{label}', and the train set has none",
                label,
                train,
                target,
                "correct brief.want, or split another way",
            )
    missing = {label: n - counts[label] for label, n in requested.items() if n > counts[label]}
    if not missing:
        raise DataError(
            "nothing to make: the train set already has what the brief wants",
            got=", ".join(
                f"{label}: {n if (n := counts[label]) >= MIN_SHOWN_ROWS else 'few'}"
                for label in requested
            ),
            todo="raise brief.want, or set rows: in the step",
        )
    return missing


def label_counts(rows: Dataset, target: str) -> dict[str, int]:
    """Return label -> its number of rows, for the labels that occur."""
    codes, levels = rows.codes(target)
    return dict(zip(levels, np.bincount(codes[codes >= 0], minlength=len(levels)).tolist()))


def no_rows(message: str, label: str, train: Dataset, target: str, todo: str) -> DataError:
    """Return the error for a label without rows; labels of few rows may be of one person: not listed."""
    todo = did_you_mean(label, shared_levels(train, target)) or todo
    return DataError(message, allowed=spell_levels(train, target), todo=todo)


def predictions_path(recipe: Recipe, step: GenerateStep | AugmentStep) -> Path | None:
    """Return the file of the predictions that a step's plan begins with; None where it names none.

    Raises
    ------
    DataError
        There is no such file.
    """
    cover = step.cover if isinstance(step, GenerateStep) else None
    if cover is None or cover.predictions is None:
        return None
    path = recipe.base / cover.predictions
    if not path.is_file():
        raise DataError(
            f"there is no file '{cover.predictions}'", todo="check cover.predictions of the step"
        )
    return path


def read_assets(recipe: Recipe, use: str) -> dict[str, Dataset]:
    """Return the sets that the recipe names for a component; none for one that takes none."""
    from twinset.io import read_dataset

    return {name: read_dataset(recipe.asset_path(name)) for name in _assets_for(recipe, use)}


def asset_digests(recipe: Recipe, use: str) -> list[tuple[str, str]]:
    """Return the name and the digest of every file that a component is given."""
    return [(name, file_digest(recipe.asset_path(name))) for name in _assets_for(recipe, use)]


def _assets_for(recipe: Recipe, use: str) -> list[str]:
    if not recipe.assets or use not in component_names("generator"):
        return []
    takes_assets = issubclass(component_class("generator", use), TakesAssets)
    return sorted(recipe.assets) if takes_assets else []

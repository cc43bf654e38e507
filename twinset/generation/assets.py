"""Read the data sets and predictions that generation steps take as assets."""

from __future__ import annotations

from pathlib import Path

from twinset.core.contracts import TakesAssets
from twinset.core.data.dataset import Dataset
from twinset.core.errors import DataError
from twinset.io.files import file_digest
from twinset.recipe import AugmentStep, GenerateStep, Recipe
from twinset.registry import component_class, component_names


def predictions_of(recipe: Recipe, step: GenerateStep | AugmentStep) -> Dataset | None:
    """Return the predictions that a step's plan begins with; None where it names none.

    Raises
    ------
    DataError
        There is no such file, or it cannot be read.
    """
    path = predictions_path(recipe, step)
    if path is None:
        return None
    from twinset.io import read_dataset

    return read_dataset(path)


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
    return (
        sorted(recipe.assets) if issubclass(component_class("generator", use), TakesAssets) else []
    )

"""The plans of a recipe's steps: which scenes they would make, before anything is made."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from twinset.catalog import Catalog
from twinset.core.contracts import silent
from twinset.core.data.dataset import Dataset
from twinset.core.errors import RecipeError
from twinset.generation.coverage_plan import CoveragePlan
from twinset.generation.requests import plan_of
from twinset.ingest.real_data import register_real, register_split
from twinset.recipe import GenerateStep, Recipe, load_recipe
from twinset.workflows.step_addresses import step_addresses


def plans(
    recipe: Recipe | Path | str,
    *,
    root: Path | str = Path(".twinset"),
    overrides: Sequence[str] = (),
    predictions: Path | None = None,
) -> dict[str, CoveragePlan]:
    """Return the name of each step that covers conditions -> its plan; no scene is made.

    Parameters
    ----------
    recipe : Recipe or path
        The recipe, some step of which has `cover`.
    root : path
        Folder of the catalogue; the real set is registered there where a plan goes beyond it.
    overrides : sequence of str
        Changes to the recipe, each ``"a.b=value"``; only with a path.
    predictions : Path, optional
        A model's predictions, in place of those that the recipe names.

    Raises
    ------
    RecipeError
        No step of the recipe covers conditions, or the recipe cannot be used.
    DataError
        The real set, or the predictions, cannot be read.
    """
    recipe = recipe if isinstance(recipe, Recipe) else load_recipe(Path(recipe), overrides)
    steps = {
        name: step
        for name, step in recipe.named_steps()
        if isinstance(step, GenerateStep) and step.cover is not None
    }
    if not steps:
        raise RecipeError(
            f"no step of the recipe '{recipe.name}' has a plan",
            allowed="a step with cover: {factors: {light: [day, night], weather: [clear, fog]}}",
            todo="see the guide: fill image edge cases",
        )
    needs_real = any(step.cover is not None and step.cover.beyond_real for step in steps.values())
    train = _train(recipe, Path(root)) if needs_real and recipe.source is not None else None
    made = {}
    for name, step in steps.items():
        cover = step.cover
        assert cover is not None
        if predictions is not None:
            cover = cover.model_copy(update={"predictions": str(predictions.absolute())})
            step = step.model_copy(update={"cover": cover})
        plan = plan_of(step, recipe, train)
        assert plan is not None
        made[name] = plan
    return made


def _train(recipe: Recipe, root: Path) -> Dataset:
    catalog = Catalog(root)
    addresses = step_addresses(recipe, catalog)
    whole = register_real(recipe, catalog, addresses["source"], silent)
    real = register_split(recipe, catalog, whole, addresses["split"])
    return catalog.load(real.train)

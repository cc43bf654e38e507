"""The steps of a recipe and their content addresses: what decides a result is what finds it again."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Literal

from twinset import __version__
from twinset.catalog import Catalog
from twinset.recipe import Recipe
from twinset.sourcing import find_source


@dataclass(frozen=True)
class Step:
    """One step of a run: its name, its content address, and whether it was there already."""

    name: str
    address: str
    state: Literal["kept", "made", "to make"]


def address(*parts: object) -> str:
    """Return the content address of a step: SHA-256 over everything that decides its result.

    The version of twinset is part of it: another version may give other bytes.

    Examples
    --------
    >>> address("split", 7) == address("split", 7), address("split", 7) == address("split", 8)
    (True, False)
    """
    text = json.dumps([__version__, *parts], sort_keys=True, ensure_ascii=False, default=str)
    return hashlib.sha256(text.encode()).hexdigest()


def step_addresses(recipe: Recipe, catalog: Catalog | None) -> dict[str, str]:
    """Return the name of each step -> its address, in the order of the run.

    Raises
    ------
    DataError
        The source's file is not there.
    CatalogError
        The source's registered set is not there.
    """
    found: dict[str, str] = {}
    train = ""
    brief = recipe.brief.model_dump(mode="json")
    if recipe.source is not None:
        declared = recipe.source.model_dump(mode="json", exclude={"path", "fetch", "set_"})
        content = find_source(recipe, catalog)
        task = {key: brief[key] for key in ("task", "target")}
        split = recipe.split.model_dump(mode="json")
        on = split["on"] if split["by"] == "time" else None
        found["source"] = address("source", recipe.source_name, content, declared, task, on)
        train = found["split"] = address("split", found["source"], split, recipe.seed)
    for name, step in recipe.named_steps():
        spec = step.model_dump(mode="json", by_alias=True)
        wanted = [brief[key] for key in ("target", "want", "positive")]
        found[name] = address("make", train, name, spec, wanted, recipe.seed)
    made = [at for name, at in found.items() if name not in ("source", "split")]
    found["measure"] = address(
        "measure", train, made, brief, recipe.evaluate.metrics_json(), recipe.seed
    )
    gates = recipe.evaluate.gates_json()
    shown = recipe.report.model_dump(mode="json")
    found["report"] = address("report", found["measure"], gates, shown, recipe.name)
    return found

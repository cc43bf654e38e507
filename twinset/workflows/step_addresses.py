"""The steps of a recipe and their content addresses: what decides a result is what finds it again."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Literal

from twinset.catalog import Catalog
from twinset.core.version import __version__
from twinset.generation.requests import asset_digests, predictions_path
from twinset.ingest.real_data import find_source
from twinset.io.files import file_digest
from twinset.measurement.load_embedders import hash_embedders
from twinset.recipe import AugmentStep, GenerateStep, Recipe


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
        The source's file, or one of weights, is not there.
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
    made: list[str] = []
    for name, step in recipe.named_steps():
        spec = step.model_dump(mode="json", by_alias=True)
        predictions = predictions_path(recipe, step)
        if predictions is not None:
            spec["cover"]["predictions"] = file_digest(predictions)
        wanted = [brief[key] for key in ("target", "want")]
        # Fresh identifiers go on where those of the earlier generate steps end.
        earlier = made if isinstance(step, GenerateStep) else []
        if isinstance(step, AugmentStep) and step.of is not None:
            earlier = [found[step.of]]
        # Rows and cards carry the name of the recipe.
        parts = ["make", train, recipe.name, name, spec, wanted, recipe.seed, earlier]
        found[name] = address(*parts, *asset_digests(recipe, step.use))
        made = [*made, found[name]]
    # Without OpenCV images are neither measured nor shown, and the results say so.
    sees_images = find_spec("cv2") is not None
    looks = hash_embedders(recipe.embedders())
    found["measure"] = address(
        "measure",
        train,
        [found[name] for name in recipe.delivered_steps()],
        brief,
        recipe.evaluate.metrics_json(),
        recipe.seed,
        sees_images,
        looks,
    )
    gates = recipe.evaluate.gates_json()
    shown = recipe.report.model_dump(mode="json")
    allowed = recipe.evaluate.allow_leaks
    found["report"] = address("report", found["measure"], gates, shown, recipe.name, allowed)
    return found


def candidate_address(recipe: Recipe, steps: Sequence[str]) -> str:
    """Return the address of the set, under the recipe's name, of all rows that its steps made."""
    return address("join", recipe.name, list(steps))

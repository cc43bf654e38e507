"""The JSON Schema of recipes: editors complete and check recipes by it."""

from __future__ import annotations

from functools import cache
from typing import Any

from twinset.core.errors import RecipeError
from twinset.recipe._recipe import Recipe
from twinset.recipe._yaml import Path
from twinset.registry import ComponentKind, component_class, component_names

_STEPS: dict[str, ComponentKind] = {
    "GenerateStep": "generator",
    "AugmentStep": "augmenter",
    "MetricUse": "metric",
}


def recipe_schema() -> dict[str, Any]:
    """Return the JSON Schema of a recipe, with the names of the installed components as examples.

    Examples
    --------
    >>> schema = recipe_schema()
    >>> sorted(schema["required"])
    ['brief', 'name']
    """
    schema = _plain_schema()
    parts = schema["$defs"]
    for part, kind in _STEPS.items():
        parts[part]["properties"]["use"]["examples"] = list(component_names(kind))
    metrics = parts["Evaluate"]["properties"]["metrics"]
    uses = {"anyOf": [{"type": "string"}, {"$ref": "#/$defs/MetricUse"}]}
    metrics["anyOf"] = [{"const": "default"}, {"type": "array", "items": uses}]
    metrics["default"] = "default"
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}


def file_schema(use: str) -> dict[str, Any]:
    """Return the JSON Schema of the file of settings that a generator can read.

    Raises
    ------
    RecipeError
        There is no such generator, or it reads no such file.

    Examples
    --------
    >>> file_schema("text.templates")["required"]
    ['templates']
    """
    cls = component_class("generator", use)
    publish = getattr(cls, "settings_schema", None)
    if publish is None:
        raise RecipeError(
            f"the generator '{use}' reads no file of settings",
            todo="see the settings that a recipe gives it: twinset show " + use,
        )
    return dict(publish())


def known_keys(path: Path) -> list[str]:
    """Return the keys that a recipe may hold at `path`; empty where any key may stand.

    Examples
    --------
    >>> known_keys(("split",))
    ['by', 'on', 'holdout_fraction']
    """
    schema = _schema_for_keys()
    at: Any = schema
    for part in path:
        if isinstance(part, int):
            at = at.get("items", {})
        else:
            at = at.get("properties", {}).get(part, at.get("additionalProperties", {}))
        at = _resolved(at, schema)
    return list(at.get("properties", {}))


def _resolved(at: Any, schema: dict[str, Any]) -> dict[str, Any]:
    """Follow references, and of alternatives take the one that has a structure."""
    if not isinstance(at, dict):
        return {}
    for choice in at.get("anyOf", ()):
        if choice.get("type") in ("array", "object") or "$ref" in choice:
            at = choice
            break
    if "$ref" in at:
        return dict(schema["$defs"][at["$ref"].rpartition("/")[2]])
    return dict(at)


def _plain_schema() -> dict[str, Any]:
    return Recipe.model_json_schema(by_alias=True)


@cache
def _schema_for_keys() -> dict[str, Any]:
    return _plain_schema()

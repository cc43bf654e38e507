"""The published JSON Schema describes every key, and every shipped recipe fits it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from twinset.core.errors import RecipeError
from twinset.recipe import file_schema, load_recipe, recipe_schema
from twinset.recipe._yaml import read_yaml
from twinset.registry import component_names

CONFIGS = sorted((Path(__file__).parents[2] / "configs").glob("*.yaml"))


def test_it_is_json_and_closed_to_unknown_keys() -> None:
    schema = json.loads(json.dumps(recipe_schema()))
    for part in (schema, *schema["$defs"].values()):
        assert part["additionalProperties"] is False, part["title"]


def test_every_key_has_a_description() -> None:
    schema = recipe_schema()
    for part in (schema, *schema["$defs"].values()):
        lacking = [key for key, value in part["properties"].items() if "description" not in value]
        assert not lacking, (part["title"], lacking)


def test_keys_are_those_of_the_yaml() -> None:
    parts = recipe_schema()["$defs"]
    assert "with" in parts["GenerateStep"]["properties"]
    assert {"set", "schema"} <= set(parts["Source"]["properties"])
    assert not [key for part in parts.values() for key in part["properties"] if key.endswith("_")]


def test_components_are_named_as_examples() -> None:
    use = recipe_schema()["$defs"]["GenerateStep"]["properties"]["use"]
    assert use["examples"] == list(component_names("generator"))
    assert "tabular.copula" in use["examples"]


def test_shipped_recipes_fit_the_schema_and_parse() -> None:
    for path in CONFIGS:
        schema = recipe_schema()
        data = read_yaml(path.read_text(encoding="utf-8")).data
        assert list(_misfits(data, schema, schema)) == []
        assert load_recipe(path).digest


def test_a_grammar_has_a_schema_of_its_own_and_other_generators_none() -> None:
    schema = json.loads(json.dumps(file_schema("text.templates")))
    assert schema["additionalProperties"] is False
    assert {"templates", "slots", "rules", "tables"} <= set(schema["properties"])
    with pytest.raises(RecipeError, match=r"'tabular\.copula' reads no file of settings"):
        file_schema("tabular.copula")


def test_the_check_of_this_file_can_fail() -> None:
    schema = recipe_schema()
    wrong = {"name": "a", "brief": {"task": "x", "want": {"1": 0}}, "sed": 1, "generate": [{}]}
    assert sorted(_misfits(wrong, schema, schema)) == [
        "brief.task",
        "brief.want.1",
        "generate[0].use",
        "sed",
    ]


_TYPES: dict[str, tuple[type, ...]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "null": (type(None),),
}


def _misfits(value: Any, part: dict[str, Any], root: dict[str, Any], at: str = "") -> Any:
    """Yield the places where `value` does not fit: the keywords that our schema uses, no more."""
    if "$ref" in part:
        part = root["$defs"][part["$ref"].rpartition("/")[2]]
    if "anyOf" in part:
        tries = [list(_misfits(value, choice, root, at)) for choice in part["anyOf"]]
        if all(tries):
            yield from min(tries, key=len)
        return
    kinds = part.get("type", [])
    allowed = [t for kind in ([kinds] if isinstance(kinds, str) else kinds) for t in _TYPES[kind]]
    if (
        (allowed and (not isinstance(value, tuple(allowed)) or _is_stray_bool(value, allowed)))
        or value not in part.get("enum", [value])
        or value != part.get("const", value)
    ):
        yield at
    elif isinstance(value, dict):
        known = part.get("properties", {})
        yield from (
            f"{at}.{key}".lstrip(".") for key in part.get("required", []) if key not in value
        )
        for key, item in value.items():
            inner = known.get(key, part.get("additionalProperties", True))
            place = f"{at}.{key}".lstrip(".")
            if inner is False:
                yield place
            elif isinstance(inner, dict):
                yield from _misfits(item, inner, root, place)
    elif isinstance(value, list):
        for i, item in enumerate(value):
            yield from _misfits(item, part.get("items", {}), root, f"{at}[{i}]")
    elif isinstance(value, int | float) and (
        value < part.get("minimum", value) or value > part.get("maximum", value)
    ):
        yield at


def _is_stray_bool(value: object, allowed: list[type]) -> bool:
    return isinstance(value, bool) and bool not in allowed

"""JSON Schema of a grammar, from the table of slot settings: editors complete grammar files by it."""

from __future__ import annotations

from typing import Any

from .slots import LABEL, NAME, OWN, SHARED, SOURCES
from .syntax import CHANGES

_NUMBER = {"type": "number", "exclusiveMinimum": 0}
_SCALAR = {"type": ["string", "number", "boolean"]}
_SYNTAX = (
    "text with {slot}, [optional ?0.3], (one|other *2), <rule>; a backslash before a sign writes it"
)
_TEXT = {"type": "string", "description": _SYNTAX}
_ROWS = {"type": "array", "minItems": 1, "items": {"type": "object"}}


def grammar_schema() -> dict[str, Any]:
    """Return the JSON Schema of a grammar.

    Examples
    --------
    >>> grammar_schema()["required"]
    ['templates']
    """
    texts, texts_or_empty = _texts(1), _texts(0)
    label = _object(["templates"], {"templates": texts, "share": _NUMBER}, _SCALAR)
    rule = _object(["any_of"], {"any_of": texts_or_empty, "label": LABEL})
    properties = {
        "templates": {
            "type": "object",
            "minProperties": 1,
            "description": "Label -> its templates; further keys of a label become columns.",
            "additionalProperties": {"anyOf": [texts, label]},
        },
        "slots": {
            "type": "object",
            "description": "Slot -> where its values come from.",
            "propertyNames": {"pattern": r"^[^\W\d]\w*$"},
            "additionalProperties": {"$ref": "#/$defs/slot"},
        },
        "rules": {
            "type": "object",
            "description": "Rule -> the texts that <rule> stands for.",
            "additionalProperties": {"anyOf": [texts_or_empty, rule]},
        },
        "tables": {
            "type": "object",
            "description": "Table -> its rows, or the name of an asset of the recipe.",
            "additionalProperties": {"anyOf": [_ROWS, NAME, _table()]},
        },
        "locale": {"type": "string", "examples": ["en_US", "de_DE"]},
        "shares": {"type": "object", "additionalProperties": _NUMBER},
        "unique_rows": {"type": "boolean", "default": True},
        "nested": {"type": "boolean", "default": False},
        "capitalise": {"type": "boolean", "default": False},
        "max_depth": {"type": "integer", "minimum": 1, "default": 10},
        "holdout": {
            "description": "Share of templates, and of the values of slots, that is put aside.",
            **_object(
                None,
                {
                    "fraction": {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1},
                    "slots": {"type": "array", "items": NAME},
                },
            ),
        },
    }
    template = {"text": _TEXT, "weight": {**_NUMBER, "default": 1}, "name": NAME}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Grammar of text.templates",
        "description": "What short labelled texts are made from.",
        **_object(["templates"], properties),
        "$defs": {
            "template": _object(["text"], template, _SCALAR),
            "slot": _slot(),
            "value": _value(),
        },
    }


def _object(
    required: list[str] | None, properties: dict[str, Any], additional: Any = False
) -> dict[str, Any]:
    head = {"required": required} if required else {}
    return {
        "type": "object",
        **head,
        "properties": properties,
        "additionalProperties": additional,
    }


def _texts(min_length: int) -> dict[str, Any]:
    text = {**_TEXT, "minLength": min_length}
    items = {"anyOf": [text, {"$ref": "#/$defs/template"}]}
    return {"type": "array", "minItems": 1, "items": items}


def _value() -> dict[str, Any]:
    scalar = {"type": ["string", "number"]}
    properties = {
        "value": scalar,
        "weight": _NUMBER,
        "synonyms": {"type": "array", "items": NAME},
        "canonical": {"type": "string"},
    }
    return {"anyOf": [scalar, _object(["value"], properties)]}


def _slot() -> dict[str, Any]:
    properties = {**SOURCES, **SHARED, **{key: schema for key, (schema, _) in OWN.items()}}
    source = {
        "type": "object",
        "properties": properties,
        "oneOf": [{"required": [name]} for name in SOURCES],
        # Arguments of Faker's providers have no schema here.
        "if": {"required": ["faker"]},
        "else": {"propertyNames": {"enum": list(properties)}},
    }
    return {
        "description": f"Written as {{slot}}, {{slot#2}} for another value, {{slot|{CHANGES[0]}}}.",
        "anyOf": [SOURCES["values"], source],
    }


def _table() -> dict[str, Any]:
    properties = {
        "rows": _ROWS,
        "asset": NAME,
        "key": NAME,
        "labels": {"type": "object", "additionalProperties": LABEL},
        "formats": {"type": "object", "additionalProperties": {"type": "object"}},
        "unique": {"type": "boolean"},
    }
    return {
        **_object(None, properties),
        "anyOf": [{"required": ["rows"]}, {"required": ["asset"]}],
    }

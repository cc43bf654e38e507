"""The JSON Schema of a grammar: editors complete and check grammar files by it."""

from __future__ import annotations

from typing import Any

from .parse import CHANGES

_NUMBER = {"type": "number", "exclusiveMinimum": 0}
_NAME = {"type": "string", "minLength": 1}
_LABEL = {"type": ["string", "null"], "minLength": 1}
_SCALAR = {"type": ["string", "number", "boolean"]}
_TEXTS = (
    "text with {slot}, [optional ?0.3], (one|other *2), <rule>; a backslash before a sign writes it"
)


def grammar_schema() -> dict[str, Any]:
    """Return the JSON Schema of a grammar.

    Examples
    --------
    >>> grammar_schema()["required"]
    ['templates']
    """
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Grammar of text.templates",
        "description": "What short labelled texts are made from.",
        "type": "object",
        "required": ["templates"],
        "additionalProperties": False,
        "properties": _properties(),
        "$defs": {"template": _template(), "slot": _slot(), "value": _value()},
    }


def _properties() -> dict[str, Any]:
    return {
        "templates": {
            "type": "object",
            "minProperties": 1,
            "description": "Label -> its templates; further keys of a label become columns.",
            "additionalProperties": {"anyOf": [_templates(), _class()]},
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
            "additionalProperties": {"anyOf": [_templates(empty=True), _rule()]},
        },
        "tables": {
            "type": "object",
            "description": "Table -> its rows, or the name of an asset of the recipe.",
            "additionalProperties": {"anyOf": [_rows(), _NAME, _table()]},
        },
        "locale": {"type": "string", "examples": ["en_US", "de_DE"]},
        "shares": {"type": "object", "additionalProperties": _NUMBER},
        "unique_rows": {"type": "boolean", "default": True},
        "nested": {"type": "boolean", "default": False},
        "capitalise": {"type": "boolean", "default": False},
        "max_depth": {"type": "integer", "minimum": 1, "default": 10},
        "holdout": {
            "type": "object",
            "description": "Share of templates, and of the values of slots, that is put aside.",
            "additionalProperties": False,
            "properties": {
                "fraction": {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1},
                "slots": {"type": "array", "items": _NAME},
            },
        },
    }


def _templates(empty: bool = False) -> dict[str, Any]:
    text: dict[str, Any] = {"type": "string", "minLength": 0 if empty else 1, "description": _TEXTS}
    items = {"anyOf": [text, {"$ref": "#/$defs/template"}]}
    return {"type": "array", "minItems": 1, "items": items}


def _class() -> dict[str, Any]:
    return {
        "type": "object",
        "required": ["templates"],
        "properties": {"templates": _templates(), "share": _NUMBER},
        "additionalProperties": _SCALAR,
    }


def _template() -> dict[str, Any]:
    return {
        "type": "object",
        "required": ["text"],
        "properties": {
            "text": {"type": "string", "description": _TEXTS},
            "weight": {**_NUMBER, "default": 1},
            "name": _NAME,
        },
        "additionalProperties": _SCALAR,
    }


def _rule() -> dict[str, Any]:
    return {
        "type": "object",
        "required": ["any_of"],
        "properties": {"any_of": _templates(empty=True), "label": _LABEL},
        "additionalProperties": False,
    }


def _value() -> dict[str, Any]:
    told = {
        "type": "object",
        "required": ["value"],
        "properties": {
            "value": {"type": ["string", "number"]},
            "weight": _NUMBER,
            "synonyms": {"type": "array", "items": _NAME},
            "canonical": {"type": "string"},
        },
        "additionalProperties": False,
    }
    return {"anyOf": [{"type": ["string", "number"]}, told]}


def _slot() -> dict[str, Any]:
    values = {"type": "array", "minItems": 1, "items": {"$ref": "#/$defs/value"}}
    pair = {"type": "array", "minItems": 2, "maxItems": 2}
    form = {"type": "string"}
    told = {
        "values": values,
        "lexicon": {"type": "string", "description": "File with a value a line, UTF-8."},
        "faker": {
            "type": "string",
            "description": "Provider of Faker; further keys are arguments.",
        },
        "date_range": {**pair, "items": {"type": "string", "format": "date"}},
        "number": {**pair, "items": {"type": "number"}},
        "pattern": {"type": "string", "examples": ["[A-Z]{2}-\\d{6}"]},
        "mask": {"type": "string", "examples": ["??-####"]},
        "like": _NAME,
        "column": {"type": "string", "pattern": r"^\w+\..+$", "examples": ["customer.name"]},
    }
    shared = {
        "label": _LABEL,
        "role": {"type": ["string", "integer"]},
        "group": {"type": ["string", "integer"]},
        "unique": {"type": "boolean"},
        "distinct_from": {"anyOf": [_NAME, {"type": "array", "items": _NAME}]},
        "locale": _NAME,
        "format": form,
        "marks": {"type": "string", "minLength": 2, "maxLength": 2},
        "decimals": {"type": "integer", "minimum": 0},
        "scale": {"enum": ["linear", "log"]},
        "letters": _NAME,
        "pool": {"type": "integer", "minimum": 1},
    }
    source = {
        "type": "object",
        "properties": {**told, **shared},
        "oneOf": [{"required": [name]} for name in told],
        # The arguments of Faker's providers are Faker's matter.
        "if": {"required": ["faker"]},
        "else": {"propertyNames": {"enum": [*told, *shared]}},
    }
    return {
        "description": f"Written as {{slot}}, {{slot#2}} for another value, {{slot|{CHANGES[0]}}}.",
        "anyOf": [values, source],
    }


def _rows() -> dict[str, Any]:
    return {"type": "array", "minItems": 1, "items": {"type": "object"}}


def _table() -> dict[str, Any]:
    return {
        "type": "object",
        "properties": {
            "rows": _rows(),
            "asset": _NAME,
            "key": _NAME,
            "labels": {"type": "object", "additionalProperties": _LABEL},
            "formats": {"type": "object", "additionalProperties": {"type": "object"}},
            "unique": {"type": "boolean"},
        },
        "anyOf": [{"required": ["rows"]}, {"required": ["asset"]}],
        "additionalProperties": False,
    }

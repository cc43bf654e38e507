"""Plain values as YAML text, for recipes that are written for people to read."""

from __future__ import annotations

import json
from collections.abc import Mapping

from twinset.core.rules import RULE_KINDS


def flow(value: object) -> str:
    """Return plain values as YAML on one line.

    Examples
    --------
    >>> flow({"age": {"ge": 60}, "kind": "sum", "low": 1e-6})
    '{"age": {"ge": 60}, kind: sum, low: 1.0e-06}'
    """
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{_key(k)}: {flow(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(flow(item) for item in value) + "]"
    if isinstance(value, str):
        return value if value in RULE_KINDS else quoted(value)
    text = json.dumps(value)
    # 1e-06 would be read as a text.
    short = isinstance(value, float) and "e" in text and "." not in text
    return text.replace("e", ".0e") if short else text


def quoted(text: str) -> str:
    """Return `text` as a YAML scalar: a JSON string is one, once it holds no control characters.

    Examples
    --------
    >>> quoted('a "b"')
    '"a \\\\"b\\\\""'
    """
    return json.dumps(text, ensure_ascii=not text.isprintable())


def one_line(text: str) -> str:
    """Return `text` with every run of white space as one space, fit for a comment.

    Examples
    --------
    >>> one_line("two\\n  lines")
    'two lines'
    """
    return " ".join(text.split())


def _key(name: str) -> str:
    plain = ("kind", "columns", "low", "high", "strict", "tolerance", "coefficients", "equals")
    return name if name in plain else quoted(name)

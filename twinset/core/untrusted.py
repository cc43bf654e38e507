"""JSON and YAML of files that others wrote, with limits that are checked before values are built.

A small file can ask for much: nesting that exhausts the stack, aliases that multiply, keys that hide
others. Every JSON or YAML text that comes from a user's file is parsed here.
"""

from __future__ import annotations

import json
import re
from collections.abc import Hashable, Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import yaml

MAX_DEPTH = 64  # nested values: label formats need about 8; Arrow's reader crashes at some thousands
MAX_YAML_BYTES = 64_000_000  # a Rasa file of 100,000 examples has about 10 MB
MAX_ALIASES = 20  # each may double the values: files written by people have none or a few

_STRING = re.compile(rb'"(?:[^"\\]|\\.)*"', re.DOTALL)
_DEEPER = np.zeros(256, np.int8)
_DEEPER[list(b"[{")] = 1
_DEEPER[list(b"]}")] = -1


def parse_json(data: bytes | str) -> Any:
    """Return the values of a JSON text.

    Raises
    ------
    ValueError
        It is no JSON, is nested too deep, holds a number of too many digits, or a key twice.

    Examples
    --------
    >>> parse_json('{"a": [1]}')
    {'a': [1]}
    >>> parse_json('{"a": 1, "a": 2}')
    Traceback (most recent call last):
        ...
    ValueError: the key 'a' stands twice in one object
    """
    try:
        return json.loads(data, object_pairs_hook=_unique)
    except RecursionError:
        raise ValueError("it is nested too deep") from None


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError(f"the key '{_repeated(key for key, _ in pairs)}' stands twice in one object")
    return found


def _repeated(keys: Iterable[str]) -> str:
    seen: set[str] = set()
    return next(key[:40] for key in keys if key in seen or seen.add(key))


def first_deep_line(lines: bytes) -> int | None:
    """Return the position of the first line whose JSON is nested deeper than `MAX_DEPTH`, from 0 on.

    `lines` are whole lines. Brackets are counted for all at once; only lines that seem deep are looked
    at again without their strings.
    """
    if not lines:
        return None
    codes = np.frombuffer(lines, np.uint8)
    ends = np.flatnonzero(codes == ord("\n"))
    starts = np.concatenate([[0], ends + 1])
    starts = starts[starts < len(codes)]
    depth = np.cumsum(_DEEPER[codes], dtype=np.int32)
    before = np.where(starts > 0, depth[starts - 1], 0)
    for line in np.flatnonzero(np.maximum.reduceat(depth, starts) - before > MAX_DEPTH):
        stop = starts[line + 1] if line + 1 < len(starts) else len(codes)
        if _depth(lines[starts[line] : stop]) > MAX_DEPTH:
            return int(line)
    return None


def _depth(text: bytes) -> int:
    codes: npt.NDArray[np.uint8] = np.frombuffer(_STRING.sub(b"", text), np.uint8)
    return int(np.cumsum(_DEEPER[codes], dtype=np.int32).max(initial=0))


def parse_yaml(text: str) -> Any:
    """Return the values of a YAML text: plain values, lists and mappings.

    Raises
    ------
    ValueError
        It is no YAML, is too large or nested too deep, has too many aliases, one that holds itself, or a
        key twice.

    Examples
    --------
    >>> parse_yaml("names: {0: cell}")
    {'names': {0: 'cell'}}
    """
    node = compose_yaml(text)
    if node is None:
        return None
    loader = _Loader("")
    try:
        return loader.construct_document(node)
    except yaml.YAMLError as error:
        raise ValueError(_problem(error)) from error


def compose_yaml(text: str) -> yaml.Node | None:
    """Return the nodes of a YAML text, with their lines; None for an empty text. Errors as `parse_yaml`."""
    fault = yaml_fault(text)
    if fault is not None:
        line, problem = fault
        raise ValueError(f"line {line}: {problem}")
    node: yaml.Node | None = yaml.compose(text, Loader=_Loader)
    return node


def yaml_fault(
    text: str,
    *,
    max_bytes: int = MAX_YAML_BYTES,
    max_depth: int = MAX_DEPTH,
    max_aliases: int = MAX_ALIASES,
) -> tuple[int, str] | None:
    """Return line and text of the first reason not to build the values of a YAML text, None without one."""
    if len(text) > max_bytes:
        return 1, f"it is too large; allowed: {max_bytes:,} characters"
    line, aliases = 1, 0
    opened: list[str | None] = []  # anchors of the values around
    try:
        for event in yaml.parse(text, Loader=_Loader):
            line = event.start_mark.line + 1 if event.start_mark else line
            if isinstance(event, yaml.CollectionStartEvent):
                opened.append(event.anchor)
                if len(opened) > max_depth:
                    return line, f"values are nested too deep; allowed: {max_depth} levels"
            elif isinstance(event, yaml.CollectionEndEvent):
                opened.pop()
            elif isinstance(event, yaml.AliasEvent):
                aliases += 1
                if event.anchor in opened:
                    return line, "an alias stands inside the value that it names"
                if aliases > max_aliases:
                    return line, f"there are too many aliases; allowed: {max_aliases}"
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
        return mark.line + 1 if mark else line, _problem(error)
    return None


def _problem(error: yaml.YAMLError) -> str:
    if isinstance(error, yaml.MarkedYAMLError):
        return f"this is not YAML: {error.problem or error.context or 'cannot be read'}"
    return "this is not YAML: it holds characters that are no text"


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """SafeLoader that refuses a key that stands twice in a mapping."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        keys: Sequence[str] = [key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
        if len(set(keys)) < len(keys):
            line = node.start_mark.line + 1
            raise ValueError(f"the key '{_repeated(keys)}' stands twice in one mapping, line {line}")
        found: dict[Hashable, Any] = super().construct_mapping(node, deep)
        return found

"""Read the YAML of a recipe into plain JSON values, with the line of every key."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import yaml

from twinset.core.parameters import NUMBERS, is_number
from twinset.core.untrusted import YamlError, compose_yaml

Path = tuple[str | int, ...]
"""Position in a recipe, e.g. ``("generate", 0, "use")``."""

# Limits against files that would take minutes or all memory to read; the largest shipped recipe or
# grammar has 40 KB.
MAX_BYTES = 1_000_000
_MAX_VALUES = 50_000  # after aliases are expanded; a file of 1 MB without them can hold as many
_MAX_DEPTH = 30  # of nested values: Python's own limit, 1,000 calls, must not be reached

_TAG = "tag:yaml.org,2002:"


@dataclass(frozen=True)
class Fault:
    """A fault of a recipe: its position and text; the line may be that of another file."""

    path: Path
    text: str
    line: int | str | None = None


@dataclass
class Document:
    """The values of a recipe with the place of each: its line, or the ``--set`` that changed it."""

    data: Any = None
    places: dict[Path, int | str] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)

    def place(self, path: Path) -> int | str:
        """Return the place of `path`, or of the values around it."""
        while path and path not in self.places:
            path = path[:-1]
        return self.places.get(path, 1)


def read_yaml(text: str) -> Document:
    """Return the values of a YAML text and its faults.

    It is read as YAML 1.2 (only ``true`` and ``false`` are booleans, so a key ``on`` is text) with the
    values of JSON: dates stay text and every key is text.

    Examples
    --------
    >>> document = read_yaml("split: {by: time, on: Time}")
    >>> document.data
    {'split': {'by': 'time', 'on': 'Time'}}
    >>> document.places[("split", "on")]
    1
    """
    document = Document()
    try:
        node = compose_yaml(text, max_size=MAX_BYTES, max_depth=_MAX_DEPTH, loader=_Loader)
    except YamlError as error:
        document.faults.append(Fault((), error.problem, error.line))
        return document
    if node is not None:
        document.data = _Reader(document).value(node, ())
    return document


def spell_path(path: Path) -> str:
    """Return a path as text.

    Examples
    --------
    >>> spell_path(("generate", 0, "with", "k_neighbors"))
    'generate[0].with.k_neighbors'
    """
    spelled = ""
    for part in path:
        spelled += f"[{part}]" if isinstance(part, int) else f".{part}" if spelled else str(part)
    return spelled


class _Loader(yaml.SafeLoader):
    """SafeLoader with the plain values of YAML 1.2 and nothing else."""

    yaml_implicit_resolvers: dict[Any, Any] = {}


for _name, _pattern, _first in (
    ("bool", r"true|True|TRUE|false|False|FALSE", "tTfF"),
    ("int", r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+", "-+0123456789"),
    ("float", r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?", "-+.0123456789"),
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
):
    _Loader.add_implicit_resolver(_TAG + _name, re.compile(f"^(?:{_pattern})$"), list(_first))


class _Reader:
    """Converts nodes to values and notes the line of each."""

    def __init__(self, document: Document) -> None:
        self.document, self.n_values, self.is_full = document, 0, False

    def value(self, node: yaml.Node, path: Path) -> Any:
        self.n_values += 1
        # Aliases may repeat (or contain) their own parents: the expanded size is limited too.
        if self.n_values > _MAX_VALUES or len(path) > _MAX_DEPTH:
            if not self.is_full:
                self._fault(node, path[:1], "the aliases expand to too many values")
            self.is_full = True
            return None
        self.document.places.setdefault(path, node.start_mark.line + 1)
        if isinstance(node, yaml.MappingNode) and node.tag == f"{_TAG}map":
            return self._mapping(node, path)
        if isinstance(node, yaml.SequenceNode) and node.tag == f"{_TAG}seq":
            return [self.value(item, (*path, i)) for i, item in enumerate(node.value)]
        return self._scalar(node, path)

    def _mapping(self, node: yaml.MappingNode, path: Path) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key_node, value_node in node.value:
            if not isinstance(key_node, yaml.ScalarNode):
                self._fault(key_node, path, "a key must be plain text")
                continue
            key = str(key_node.value)
            if key in found:
                self._fault(key_node, (*path, key), "this key stands here twice")
                continue
            self.document.places[(*path, key)] = key_node.start_mark.line + 1
            found[key] = self.value(value_node, (*path, key))
        return found

    def _scalar(self, node: yaml.Node, path: Path) -> Any:
        text, kind = str(node.value), node.tag.removeprefix(_TAG)
        try:
            if kind in ("int", "float"):
                is_code = text[:2] in ("0o", "0x")
                number = float(text) if kind == "float" else int(text, 0 if is_code else 10)
                if is_number(number):
                    return number
        except ValueError:  # more digits than Python reads
            pass
        if kind in ("int", "float"):
            text = f"the number is too large; allowed: {NUMBERS}; put a text in quotes"
            self._fault(node, path, text)
            return None
        if kind == "bool":
            return text.lower() == "true"
        if kind == "null":
            return None
        if kind != "str":
            self._fault(node, path, f"the tag {node.tag} is not allowed; allowed: plain values")
            return None
        return text

    def _fault(self, node: yaml.Node, path: Path, text: str) -> None:
        self.document.faults.append(Fault(path, text, node.start_mark.line + 1))


def apply_override(document: Document, override: str, known: Mapping[Path, Sequence[str]]) -> Path:
    """Change `document` by ``a.b=value``, a value in YAML, and return the path that was set.

    Items of lists are ``generate.0.rows`` or ``generate[0].rows``. A key with dots needs no quotes if it
    exists already or is among `known` (parent's path -> keys). If the path leads nowhere, a fault is
    added and () returned.
    """
    spelled, equals, value = override.partition("=")
    parts = [
        match[1] if match[1] is not None else match[0]
        for match in re.finditer(r'"([^"]*)"|[^.\[\]"]+', spelled)
    ]
    given = read_yaml(value)
    if not equals or not parts or given.faults:
        document.faults.append(Fault((), f"--set {override}: allowed: KEY.KEY=VALUE, in YAML"))
        return ()
    path: Path = ()
    at = document.data
    while True:
        key, parts = _next_key(at, parts, known.get(path, ()))
        if key is None:
            shown = spell_path(path) or "the recipe"
            text = f"--set {override}: {shown} holds no '{parts[0]}' that could be set"
            document.faults.append(Fault(path, text))
            return ()
        path = (*path, key)
        if not parts:
            break
        if isinstance(at, dict) and at.get(key) is None:
            at[key] = {}
        at = at[key]
    at[key] = given.data
    for other in [p for p in document.places if p[: len(path)] == path]:
        del document.places[other]
    document.places[path] = f"--set {override}"
    return path


def _next_key(
    at: Any, parts: list[str], known: Sequence[str]
) -> tuple[str | int | None, list[str]]:
    """Return the key of `at` that the first of `parts` spell, and the parts that remain."""
    if isinstance(at, list):
        is_item = re.fullmatch("[0-9]{1,18}", parts[0]) and int(parts[0]) < len(at)
        return (int(parts[0]), parts[1:]) if is_item else (None, parts)
    if not isinstance(at, dict):
        return None, parts
    for length in range(len(parts), 1, -1):
        joined = ".".join(parts[:length])
        if joined in at or joined in known:
            return joined, parts[length:]
    return parts[0], parts[1:]

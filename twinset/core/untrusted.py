"""JSON and YAML of files that others wrote, with limits that are checked before values are built.

A small file can ask for much: nesting that exhausts the stack, aliases that multiply, keys that hide
others. Every JSON or YAML text that comes from a user's file is parsed here.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from typing import Any

import numpy as np
import yaml

MAX_DEPTH = (
    64  # nested values: label formats need about 8; Arrow's reader crashes at some thousands
)
MAX_YAML_SIZE = 64_000_000  # characters: a Rasa file of 100,000 examples has about 10 MB
MAX_ALIASES = 20  # each may double the values: files written by people have none or a few

_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_SHOWN = 40  # characters of a key in an error: enough to find it, never a page
_DEEPER = np.array([(code in b"[{") - (code in b"]}") for code in range(256)], np.int8)
_NO_OPENING = bytes(set(range(256)) - set(b"[{\n"))
_NO_BRACKETS = bytes(set(range(256)) - set(b'[]{}"\n'))
_NO_BRACKETS_OR_LINES = _NO_BRACKETS + b"\n"


class YamlError(ValueError):
    """A YAML text that is not read: the line, and what is wrong there."""

    def __init__(self, line: int, problem: str) -> None:
        self.line, self.problem = line, problem
        super().__init__(f"line {line}: {problem}")


class _TwiceError(ValueError):
    """A key that stands twice: which value counts is not clear."""


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
        if isinstance(data, str):
            content = data.encode("utf-8", "surrogatepass")
        elif (encoding := json.detect_encoding(data)) != "utf-8":
            content = data = data.decode(encoding).encode()
        else:
            content = data
        # Fewer values cannot be nested deeper: most texts need no second look.
        n_opened = content.count(b"[") + content.count(b"{")
        line = first_deep_line(content) if n_opened > MAX_DEPTH else None
        if line is None:
            return json.loads(data, object_pairs_hook=_unique)
    except UnicodeError:
        raise ValueError("it is not encoded in UTF-8") from None
    except ValueError as error:
        if isinstance(error, _TwiceError):
            raise ValueError(str(error)) from None
        if isinstance(error, json.JSONDecodeError):
            raise
        raise ValueError("it holds a number of too many digits") from None
    raise ValueError(f"line {line + 1}: values are nested too deep; allowed: {MAX_DEPTH} levels")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        key = _repeated(key for key, _ in pairs)
        raise _TwiceError(f"the key {ascii(key)[:_SHOWN]} stands twice in one object")
    return found


def _repeated(keys: Iterable[str]) -> str:
    return Counter(keys).most_common(1)[0][0]


def plain_rows(lines: bytes) -> int:
    """Return the number of rows of whole lines if none can be nested too deep, else 0.

    Then every line begins and ends an object, and has fewer brackets than levels are allowed. A file of
    rows is mostly such lines, of which this takes a few per cent of the time that they take to parse.
    """
    codes = np.frombuffer(lines, np.uint8)
    ends = np.flatnonzero(codes == ord("\n"))
    if not len(ends) or ends[-1] != len(codes) - 1 or codes[0] != ord("{"):
        return 0
    last = codes[ends - 1]
    last = np.where(last == ord("\r"), codes[ends - 2], last)
    if (last != ord("}")).any() or (codes[ends[:-1] + 1] != ord("{")).any():
        return 0
    opened = np.frombuffer(lines.translate(None, _NO_OPENING), np.uint8)
    widest = np.diff(np.flatnonzero(opened == ord("\n")), prepend=-1).max() - 1
    return len(ends) if widest <= MAX_DEPTH else 0


def first_deep_line(text: bytes) -> int | None:
    """Return the line where JSON is nested deeper than `MAX_DEPTH`, counted from 0; None without one.

    Only brackets and quotes are looked at: strings without brackets and then pairs of brackets are
    removed, level by level, which leaves nothing of most texts. What is left is counted exactly.
    """
    return None if is_flat(text) else _deep_line(text)


def is_flat(text: bytes) -> bool:
    """Return whether all brackets are closed within `MAX_DEPTH` levels; False if it is not clear."""
    left = _without_escapes(text).translate(None, _NO_BRACKETS_OR_LINES).replace(b'""', b"")
    for _ in range(MAX_DEPTH // 2):  # a round removes up to two levels
        fewer = left.replace(b"{}", b"").replace(b"[]", b"")
        if len(fewer) == len(left):
            break
        left = fewer
    return not left


def _deep_line(text: bytes) -> int | None:
    codes = np.frombuffer(_without_escapes(text).translate(None, _NO_BRACKETS), np.uint8)
    if not len(codes):
        return None
    is_end = codes == ord("\n")
    quotes = np.cumsum(codes == ord('"'), dtype=np.int64)
    # No string of JSON goes on in the next line: each line begins outside of strings.
    in_string = (quotes - np.maximum.accumulate(np.where(is_end, quotes, 0))) % 2 == 1
    depth = np.cumsum(np.where(in_string, 0, _DEEPER[codes]), dtype=np.int64)
    depth -= np.minimum(np.minimum.accumulate(depth), 0)
    deep = np.flatnonzero(depth > MAX_DEPTH)
    return int(is_end[: deep[0]].sum()) if len(deep) else None


def _without_escapes(block: bytes) -> bytes:
    return block.replace(rb"\\", b"").replace(rb"\"", b"") if b"\\" in block else block


def parse_yaml(text: str) -> Any:
    """Return the values of a YAML text: plain values, lists and mappings.

    Raises
    ------
    ValueError
        It is no YAML (then `YamlError`), is too large or nested too deep, has too many aliases, one
        that holds itself, or a key twice.

    Examples
    --------
    >>> parse_yaml("names: {0: cell}")
    {'names': {0: 'cell'}}
    """
    node = compose_yaml(text)
    if node is None:
        return None
    check_keys(node)
    try:
        return _LOADER("").construct_document(node)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise YamlError(line, "a tag or key is none of plain YAML") from error
    except (ValueError, TypeError, OverflowError):
        raise ValueError("a number or date of it cannot be read") from None


def compose_yaml(
    text: str,
    *,
    max_size: int = MAX_YAML_SIZE,
    max_depth: int = MAX_DEPTH,
    loader: Any = _LOADER,
) -> yaml.Node | None:
    """Return the nodes of a YAML text, with their lines; None for an empty text.

    `loader` is the class of PyYAML that tells the type of plain values. Keys are not checked:
    see `check_keys`.

    Raises
    ------
    YamlError
        As `parse_yaml`.
    """
    if len(text) > max_size:
        raise YamlError(1, f"it is too large; allowed: {max_size:,} characters")
    try:
        _check_events(text, max_depth, loader)
        node: yaml.Node | None = yaml.compose(text, Loader=loader)
    except yaml.MarkedYAMLError as error:
        mark, problem = error.problem_mark or error.context_mark, error.problem or error.context
        line = mark.line + 1 if mark else 1
        if "nesting depth" in str(
            problem
        ):  # libyaml's own limit, which it meets while it looks ahead
            raise YamlError(
                line, f"values are nested too deep; allowed: {max_depth} levels"
            ) from error
        raise YamlError(line, f"this is not YAML: {problem or 'cannot be read'}") from error
    except yaml.YAMLError as error:
        raise YamlError(1, "this is not YAML: it holds characters that are no text") from error
    return node


def _check_events(text: str, max_depth: int, loader: Any) -> None:
    """Raise YamlError for nesting and aliases beyond the limits, before a value is built."""
    opened: list[str | None] = []  # anchors of the values around
    aliases = 0
    for event in yaml.parse(text, Loader=loader):
        line = event.start_mark.line + 1 if event.start_mark else 1
        if isinstance(event, yaml.CollectionStartEvent):
            opened.append(event.anchor)
            if len(opened) > max_depth:
                raise YamlError(line, f"values are nested too deep; allowed: {max_depth} levels")
        elif isinstance(event, yaml.CollectionEndEvent):
            opened.pop()
        elif isinstance(event, yaml.AliasEvent):
            aliases += 1
            if event.anchor in opened:
                raise YamlError(line, "an alias stands inside the value that it names")
            if aliases > MAX_ALIASES:
                raise YamlError(line, f"there are too many aliases; allowed: {MAX_ALIASES}")


def check_keys(root: yaml.Node | None) -> None:
    """Raise YamlError for a key that stands twice in its mapping, or that merges another mapping."""
    waiting, seen = [root], set[int]()
    while waiting:
        node = waiting.pop()
        if not isinstance(node, yaml.CollectionNode) or id(node) in seen:
            continue
        seen.add(id(node))
        if isinstance(node, yaml.SequenceNode):
            waiting += node.value
            continue
        keys = set[str]()
        for key, value in node.value:
            waiting += (key, value)
            if not isinstance(key, yaml.ScalarNode):
                continue
            line, name = key.start_mark.line + 1, str(key.value)
            if key.tag.endswith(":merge"):  # merges of merges multiply as aliases do
                raise YamlError(line, "the key '<<' is not read; write the keys of both mappings")
            if name in keys:
                shown = ascii(name)[:_SHOWN]
                raise YamlError(line, f"the key {shown} stands twice in one mapping")
            keys.add(name)

"""Files that the settings of a step name: their content replaces the name, with the lines of the file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path as FilePath
from typing import Any

from twinset.core.errors import TwinsetError, did_you_mean
from twinset.io.paths import path_fault
from twinset.recipe._yaml import MAX_BYTES, Document, Fault, Path, read_yaml
from twinset.registry import ComponentKind, component_class

_BY_LINE = "value, or value TAB weight, or value TAB weight TAB canonical value"
_STEPS: tuple[tuple[str, ComponentKind], ...] = (
    ("generate", "generator"),
    ("augment", "augmenter"),
)
# Stand-ins for a file that cannot be read, so that its absence is not reported twice.
_STAND_INS: Mapping[str, Any] = {"values": {"values": ["missing"]}, "list": ["missing"]}


def shipped_files(folder: str = "") -> dict[str, FilePath]:
    """Return the YAML files that are installed with twinset in a folder of `configs`, by bare name."""
    spec = find_spec("twinset.configs")
    places = (spec.submodule_search_locations if spec is not None else None) or ()
    files = (file for place in places for file in sorted(FilePath(place, folder).glob("*.yaml")))
    return {file.stem: file for file in files}


def include_files(document: Document, base: FilePath) -> None:
    """Replace the names of files in the settings of steps by their content; faults name file and line.

    A file of settings adds the settings that the step does not have itself. A file of values becomes the
    values of a slot; it is text in UTF-8 with one value a line, and ``#`` begins a comment. A file of a
    list is the same and replaces its name; so does a file of a mapping, which is YAML. The document is
    changed in place; paths in it are relative to `base`.
    """
    for section, kind in _STEPS:
        steps = document.data.get(section)
        for i, step in enumerate(steps if isinstance(steps, list) else ()):
            settings = step.get("with") if isinstance(step, Mapping) else None
            if isinstance(settings, dict) and isinstance(step.get("use"), str):
                try:
                    files = dict(getattr(component_class(kind, step["use"]), "files", {}))
                except TwinsetError:
                    continue  # reported with the other faults
                _include(document, settings, (section, i, "with"), files, base)


def _include(
    document: Document,
    settings: dict[str, Any],
    at: Path,
    files: Mapping[str, str],
    folder: FilePath,
) -> None:
    """Include the files of settings at a path; `files` is a mapping of patterns to kinds of files."""
    for pattern, kind in files.items():
        for path in list(_matches(settings, tuple(pattern.split(".")), ())):
            holder: Any = settings
            for part in path[:-1]:
                holder = holder[part]
            name = holder[path[-1]]
            is_file = not path_fault(name) and (folder / name).is_file()
            known = shipped_files("text") if kind == "settings" and not is_file else {}
            file = known.get(name) or FilePath(folder, name.replace("\0", ""))
            text = _read(document, (*at, *path), file, name, tuple(known))
            if kind in ("list", "mapping"):
                holder[path[-1]] = _content(document, text, (*at, *path), file.name, kind)
                continue
            del holder[path[-1]]
            where = (*at, *path[:-1])
            if text is None:
                holder.update(_STAND_INS.get(kind, {}))
            elif kind == "values":
                holder["values"] = _values(document, text, (*where, "values"), file.name)
            else:
                data = _mapping(document, text, where, file.name, own=set(holder))
                inner = {p: k for p, k in files.items() if p != pattern}
                _include(document, data, where, inner, file.parent)
                holder.update({key: value for key, value in data.items() if key not in holder})


def _content(document: Document, text: str | None, where: Path, shown: str, kind: str) -> Any:
    """Return what replaces the name of a file: a list, one with weights as a mapping, or YAML."""
    if text is None:
        return _STAND_INS.get(kind, {})
    if kind == "mapping":
        return _mapping(document, text, where, shown, own=set())
    entries = _values(document, text, where, shown)
    if all(isinstance(entry, str) for entry in entries):
        return entries
    pairs = [entry if isinstance(entry, dict) else {"value": entry} for entry in entries]
    if any("canonical" in pair for pair in pairs):
        fault = f"a line of '{shown}' has more than a value and its weight"
        document.faults.append(Fault(where, fault))
    return {pair["value"]: pair.get("weight", 1.0) for pair in pairs}


def _matches(value: Any, pattern: tuple[str, ...], path: Path) -> Iterator[Path]:
    """Yield the paths below `value` that match a pattern and hold a text."""
    if not pattern:
        if isinstance(value, str):
            yield path
    elif isinstance(value, Mapping):
        for key in list(value):
            if pattern[0] in ("*", key):
                yield from _matches(value[key], pattern[1:], (*path, key))


def _read(
    document: Document, path: Path, file: FilePath, name: str, known: tuple[str, ...]
) -> str | None:
    """Return the text of a file; add a fault and return None if it cannot be read."""
    line = None
    if path_fault(name) or not file.is_file():
        shipped = f"allowed: a file, or one of the shipped {', '.join(known)}" if known else ""
        rule = "paths are relative to the file that names them"
        parts = [f"there is no file '{name}'", shipped, rule, did_you_mean(name, known)]
        fault = "; ".join(filter(None, parts))
    elif file.stat().st_size > MAX_BYTES:
        fault = f"the file '{name}' is too large; allowed: {MAX_BYTES:,} bytes"
    else:
        whole = file.read_bytes()
        try:
            return whole.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            fault = f"the file '{name}' is not UTF-8 text; save it as UTF-8"
            number = whole.count(b"\n", 0, error.start) + 1
            line = f"{file.name}:{number}"
    document.faults.append(Fault(path, fault, line))
    return None


def _mapping(
    document: Document, text: str, where: Path, shown: str, own: set[str]
) -> dict[str, Any]:
    """Return the settings of a YAML file, and add their lines and faults to the recipe's document."""
    given = read_yaml(text)
    for fault in given.faults:
        line = f"{shown}:{fault.line or given.place(fault.path)}"
        document.faults.append(Fault((*where, *fault.path), fault.text, line))
    if not isinstance(given.data, dict):
        if not given.faults:
            document.faults.append(Fault(where, f"the file '{shown}' holds no mapping of settings"))
        return {}
    for path, at in given.places.items():
        if path and path[0] not in own:
            document.places[(*where, *path)] = f"{shown}:{at}"
    return given.data


def _values(document: Document, text: str, where: Path, shown: str) -> list[Any]:
    """Return the entries of a file of values, and add their lines and faults to the document."""
    found: list[Any] = []
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip() or line.startswith("#"):
            continue
        path = (*where, len(found))
        document.places[path] = f"{shown}:{number}"
        value, *more = line.strip().split("\t")
        entry: dict[str, Any] = {"value": value}
        try:
            if more:
                entry["weight"] = float(more[0])
            if len(more) == 2:
                entry["canonical"] = more[1]
            is_valid = len(more) <= 2
        except ValueError:
            is_valid = False
        if not is_valid:
            fault = f"a line of a list of values has the form {_BY_LINE}"
            document.faults.append(Fault(path, fault))
        found.append(entry if more else value)
    if not found:
        document.places[where] = f"{shown}:1"
        document.faults.append(Fault(where, "this list of values is empty"))
    return found

"""Files that the settings of a step name: what they hold takes their place, line by line."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path as FilePath
from typing import Any

from twinset.core.errors import TwinsetError, did_you_mean
from twinset.recipe._yaml import LARGEST_BYTES, Document, Fault, Path, read_yaml
from twinset.registry import ComponentKind, component_class

_BY_LINE = "value, or value TAB weight, or value TAB weight TAB canonical value"
_STEPS: tuple[tuple[str, ComponentKind], ...] = (
    ("generate", "generator"),
    ("augment", "augmenter"),
)
_LACKING: Mapping[str, Any] = {"values": {"values": ["lacking"]}, "list": ["lacking"]}


def include_files(document: Document, base: FilePath) -> None:
    """Put the content of files into the settings of making steps; faults keep the file and its line.

    A file of settings gives what the step does not say itself. A file of values becomes the list of a
    slot's values; it is text in UTF-8 with a value a line, and ``#`` begins a comment. A file of a list
    is the same and takes the place of its name; so does a file of a mapping, which is YAML.

    Parameters
    ----------
    document : Document
        The recipe; changed in place.
    base : Path
        Folder that paths in the recipe are relative to.
    """
    for section, kind in _STEPS:
        steps = document.data.get(section)
        for i, step in enumerate(steps if isinstance(steps, list) else ()):
            settings = step.get("with") if isinstance(step, Mapping) else None
            if isinstance(settings, dict) and isinstance(step.get("use"), str):
                files = _files_of(kind, step["use"])
                _include(document, settings, (section, i, "with"), files, base)


def _files_of(kind: ComponentKind, use: str) -> Mapping[str, str]:
    try:
        return dict(getattr(component_class(kind, use), "files", {}))
    except TwinsetError:
        # It is told with the other faults.
        return {}


def _include(
    document: Document,
    settings: dict[str, Any],
    at: Path,
    files: Mapping[str, str],
    folder: FilePath,
) -> None:
    for pattern, kind in files.items():
        for path in list(_found(settings, tuple(pattern.split(".")), ())):
            holder: Any = settings
            for part in path[:-1]:
                holder = holder[part]
            name = holder[path[-1]]
            known = shipped_grammars() if kind == "settings" and not _is_file(folder, name) else {}
            file = known.get(name) or FilePath(folder, name.replace("\0", ""))
            text = _read(document, (*at, *path), file, name, tuple(known))
            shown, where = file.name, (*at, *path[:-1])
            if kind in ("list", "mapping"):
                holder[path[-1]] = _in_place(document, text, (*at, *path), shown, kind)
                continue
            del holder[path[-1]]
            if text is None:
                # The fault is told; what lacks with the file is not to be told again.
                holder.update(_LACKING.get(kind, {}))
                continue
            if kind == "values":
                holder["values"] = _values(document, text, (*where, "values"), shown)
                continue
            given = read_yaml(text)
            data = _placed(document, given, where, shown, own=set(holder))
            inner = {p: k for p, k in files.items() if p != pattern}
            _include(document, data, where, inner, file.parent)
            holder.update({key: value for key, value in data.items() if key not in holder})


def _in_place(document: Document, text: str | None, where: Path, shown: str, kind: str) -> Any:
    """Return what takes the place of a file's name: a list, one with weights as a mapping, or YAML."""
    if text is None:
        return _LACKING.get(kind, {})
    if kind == "mapping":
        return _placed(document, read_yaml(text), where, shown, own=set())
    entries = _values(document, text, where, shown)
    if all(isinstance(entry, str) for entry in entries):
        return entries
    pairs = [entry if isinstance(entry, dict) else {"value": entry} for entry in entries]
    if any("canonical" in pair for pair in pairs):
        said = f"a line of '{shown}' has more than a value and its weight"
        document.faults.append(Fault(where, said))
    return {pair["value"]: pair.get("weight", 1.0) for pair in pairs}


def _found(value: Any, pattern: tuple[str, ...], path: Path) -> Iterator[Path]:
    """Yield the paths below `value` that a pattern means and that hold a text."""
    if not pattern:
        if isinstance(value, str):
            yield path
        return
    if isinstance(value, Mapping):
        for key in list(value):
            if pattern[0] in ("*", key):
                yield from _found(value[key], pattern[1:], (*path, key))


def _is_file(folder: FilePath, name: str) -> bool:
    return "\0" not in name and (folder / name).is_file()


def shipped_grammars() -> dict[str, FilePath]:
    """Return the grammars of texts that are installed with twinset, by bare name."""
    spec = find_spec("twinset.configs")
    places = (spec.submodule_search_locations if spec is not None else None) or ()
    files = (file for place in places for file in sorted(FilePath(place, "text").glob("*.yaml")))
    return {file.stem: file for file in files}


def _read(
    document: Document, path: Path, file: FilePath, name: str, known: tuple[str, ...]
) -> str | None:
    if not file.is_file():
        shipped = f"allowed: a file, or one of the shipped {', '.join(known)}" if known else ""
        told = "paths are relative to the file that names them"
        hint = did_you_mean(name, known)
        said = "; ".join(filter(None, [f"there is no file '{name}'", shipped, told, hint]))
    elif file.stat().st_size > LARGEST_BYTES:
        said = f"the file '{name}' is too large; allowed: {LARGEST_BYTES:,} bytes"
    else:
        whole = file.read_bytes()
        try:
            return whole.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            said = f"the file '{name}' is not UTF-8 text; save it as UTF-8"
            line = whole[: error.start].count(b"\n") + 1
            document.faults.append(Fault(path, said, f"{file.name}:{line}"))
            return None
    document.faults.append(Fault(path, said))
    return None


def _placed(
    document: Document, given: Document, where: Path, shown: str, own: set[str]
) -> dict[str, Any]:
    """Return the settings of a file, with their lines noted in the recipe's document."""
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
    found: list[Any] = []
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip() or line.startswith("#"):
            continue
        path = (*where, len(found))
        document.places[path] = f"{shown}:{number}"
        value, *more = line.strip().split("\t")
        try:
            entry: dict[str, Any] = {"value": value}
            if more:
                entry["weight"] = float(more[0])
            if len(more) == 2:
                entry["canonical"] = more[1]
            if len(more) > 2:
                raise ValueError(line)
        except ValueError:
            document.faults.append(
                Fault(path, f"a line of a list of values has the form {_BY_LINE}")
            )
        found.append(entry if more else value)
    if not found:
        document.places[where] = f"{shown}:1"
        document.faults.append(Fault(where, "this list of values is empty"))
    return found

"""Find the component that a name means: files of the three folders first, then entry points."""

from __future__ import annotations

import ast
import importlib
import importlib.metadata
import importlib.util
import inspect
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args, overload

from twinset._settings import Parameter, build_checked, faults_in, parameters_of
from twinset.core.errors import MissingExtraError, TwinsetError, UnknownNameError

if TYPE_CHECKING:
    from twinset.core.contracts import Augmenter, Generator, Metric

ComponentKind = Literal["generator", "augmenter", "metric"]
KINDS: tuple[ComponentKind, ...] = get_args(ComponentKind)

_FOLDERS = {"generator": "generators", "augmenter": "augment", "metric": "evaluation"}
_GROUPS = {kind: f"twinset.{kind}s" for kind in KINDS}


@dataclass(frozen=True)
class ComponentInfo:
    """What ``twinset list`` shows of a component.

    Parameters
    ----------
    kind : {"generator", "augmenter", "metric"}
        What it is.
    name : str
        Its name in recipes.
    text : str
        First line of its class docstring.
    """

    kind: ComponentKind
    name: str
    text: str


@dataclass(frozen=True)
class _Origin:
    """Where a component is written: a module, its class (None: the only one) and who brings it."""

    kind: ComponentKind
    module: str
    class_name: str | None
    brought_by: str


def list_components(kind: ComponentKind | None = None) -> tuple[ComponentInfo, ...]:
    """Return the components of a kind (of all kinds for None), sorted by kind and name.

    The files are read, not imported: the list is fast and works without the optional libraries.

    Raises
    ------
    TwinsetError
        Two components have the same name, or a component's file holds no public class.

    Examples
    --------
    >>> all(info.kind == "metric" for info in list_components("metric"))
    True
    """
    return tuple(
        ComponentInfo(origin.kind, name, _text(origin))
        for name, origin in _origins().items()
        if kind in (None, origin.kind)
    )


def component_names(kind: ComponentKind) -> tuple[str, ...]:
    """Return the names of the components of a kind, sorted, without reading the files."""
    return tuple(name for name, origin in _origins().items() if origin.kind == kind)


@overload
def component_class(kind: Literal["generator"], name: str, place: str = ...) -> type[Generator]: ...
@overload
def component_class(kind: Literal["augmenter"], name: str, place: str = ...) -> type[Augmenter]: ...
@overload
def component_class(kind: Literal["metric"], name: str, place: str = ...) -> type[Metric]: ...
@overload
def component_class(
    kind: ComponentKind, name: str, place: str = ...
) -> type[Generator] | type[Augmenter] | type[Metric]: ...
def component_class(kind: ComponentKind, name: str, place: str = "") -> type[Any]:
    """Return the class that `name` means; this imports its module.

    Parameters
    ----------
    kind : {"generator", "augmenter", "metric"}
        What is looked for.
    name : str
        Name in recipes, e.g. ``"tabular.copula"``.
    place : str
        Where the name stood, for the error's sentence.

    Raises
    ------
    UnknownNameError
        No component of that kind has the name.
    MissingExtraError
        Its module needs a library at import that is not installed.
    TwinsetError
        The module holds no such class, or the class does not keep the contract.
    """
    origin = _origins().get(name)
    if origin is None or origin.kind != kind:
        error = UnknownNameError.of(kind, name, component_names(kind), place)
        if origin is not None:
            error.todo = f"'{name}' is a component of another kind: {origin.kind}"
        raise error
    try:
        module = importlib.import_module(origin.module)
    except ImportError as error:
        library = (error.name or "").partition(".")[0]
        if library in ("", "twinset"):
            raise
        raise MissingExtraError(
            f"the {kind} '{name}' needs the library '{library}', which is not installed",
            todo=f"install the extra of {origin.brought_by} that brings it",
        ) from error
    return _contract_class(module, kind, name, origin)


@overload
def build(
    kind: Literal["generator"], name: str, settings: Mapping[str, object], place: str = ...
) -> Generator: ...
@overload
def build(
    kind: Literal["augmenter"], name: str, settings: Mapping[str, object], place: str = ...
) -> Augmenter: ...
@overload
def build(
    kind: Literal["metric"], name: str, settings: Mapping[str, object], place: str = ...
) -> Metric: ...
@overload
def build(
    kind: ComponentKind, name: str, settings: Mapping[str, object], place: str = ...
) -> Generator | Augmenter | Metric: ...
def build(kind: ComponentKind, name: str, settings: Mapping[str, object], place: str = "") -> Any:
    """Return the component that `name` means, with these settings.

    Parameters
    ----------
    kind : {"generator", "augmenter", "metric"}
        What is built.
    name : str
        Name in recipes.
    settings : mapping
        Setting -> value, as YAML or Python gives them. A whole number may stand for a float, a list
        for a tuple; nothing else is converted.
    place : str
        Where the settings stood, e.g. ``"generate[0].with"``; begins the error's sentence.

    Raises
    ------
    UnknownNameError
        No component of that kind has the name.
    ParameterError
        A setting is unknown, lacking, of a wrong type or out of its range.
    MissingExtraError
        A library that its module imports is not installed.
    """
    return build_checked(component_class(kind, name, place), name, settings, place)


def setting_faults(
    kind: ComponentKind, name: str, settings: Mapping[str, object]
) -> list[tuple[str, TwinsetError]]:
    """Return all faults of the settings as (setting or empty text, error); none: `build` works."""
    return faults_in(component_class(kind, name), name, settings)


def parameters(kind: ComponentKind, name: str) -> tuple[Parameter, ...]:
    """Return the parameters of a component: name, type, default and help.

    Raises
    ------
    UnknownNameError
        No component of that kind has the name.
    """
    return parameters_of(component_class(kind, name))


def _contract_class(module: object, kind: ComponentKind, name: str, origin: _Origin) -> type[Any]:
    contract = _contract(kind)
    found = [
        value
        for key, value in vars(module).items()
        if isinstance(value, type)
        and issubclass(value, contract)
        and (key == origin.class_name if origin.class_name else _is_own(key, value, origin.module))
    ]
    if len(found) != 1:
        raise TwinsetError(
            f"the {kind} '{name}' is not written as one public class",
            got=f"{len(found)} in {origin.module}",
            allowed=f"one subclass of {contract.__name__}",
        )
    return found[0]


def _contract(kind: ComponentKind) -> type[Any]:
    # Imported late: listing components must not wait for numpy and pyarrow.
    from twinset.core import contracts

    classes: dict[ComponentKind, type[Any]] = {
        "generator": contracts.Generator,
        "augmenter": contracts.Augmenter,
        "metric": contracts.Metric,
    }
    return classes[kind]


def _is_own(key: str, value: type, module: str) -> bool:
    return not key.startswith("_") and value.__module__ == module


def _origins() -> dict[str, _Origin]:
    """Return every component by name, sorted by kind and name."""
    found: dict[str, _Origin] = {}
    plugged = importlib.metadata.entry_points()
    for kind in KINDS:
        everyone = [*_of_folder(kind), *_of_entry_points(kind, plugged.select(group=_GROUPS[kind]))]
        for name, origin in sorted(everyone, key=lambda pair: pair[0]):
            if name in found and found[name] != origin:
                raise TwinsetError(
                    f"two components have the name '{name}'",
                    got=f"one from {found[name].brought_by}, one from {origin.brought_by}",
                    todo="rename or uninstall one of them; a plug-in cannot hide a built-in",
                )
            found[name] = origin
    return found


def _of_folder(kind: ComponentKind) -> Iterator[tuple[str, _Origin]]:
    package = f"twinset.{_FOLDERS[kind]}"
    spec = importlib.util.find_spec(package)
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        root = Path(folder)
        for path in sorted(root.rglob("*.py")):
            parts = path.relative_to(root).with_suffix("").parts
            if not any(part.startswith("_") for part in parts):
                name = ".".join(parts)
                yield name, _Origin(kind, f"{package}.{name}", None, "twinset")


def _of_entry_points(
    kind: ComponentKind, plugged: importlib.metadata.EntryPoints
) -> Iterator[tuple[str, _Origin]]:
    for entry in plugged:
        brought_by = entry.dist.name if entry.dist else entry.module
        if not entry.attr:
            raise TwinsetError(
                f"the plug-in '{entry.name}' of {brought_by} names no class",
                got=entry.value,
                allowed="module:Class",
            )
        yield entry.name, _Origin(kind, entry.module, entry.attr, brought_by)


def _text(origin: _Origin) -> str:
    spec = importlib.util.find_spec(origin.module)
    if spec is None or spec.origin is None:
        return ""
    tree = ast.parse(Path(spec.origin).read_text(encoding="utf-8"))
    classes = [node for node in tree.body if isinstance(node, ast.ClassDef)]
    wanted = [node for node in classes if _is_meant(node, origin)]
    if not wanted:
        raise TwinsetError(
            f"the component file {origin.module} holds no public class of its own",
            allowed="one public class; helper files begin with '_'",
        )
    return inspect.cleandoc(ast.get_docstring(wanted[0]) or "").partition("\n")[0]


def _is_meant(node: ast.ClassDef, origin: _Origin) -> bool:
    if origin.class_name is not None:
        return node.name == origin.class_name
    return not node.name.startswith(("_", "Fitted"))

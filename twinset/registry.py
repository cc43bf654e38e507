"""Find the component that a name means: files of the three folders first, then entry points."""

from __future__ import annotations

import ast
import dataclasses
import importlib
import importlib.metadata
import importlib.util
import inspect
import json
import os
import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal, get_args, get_type_hints, overload

from twinset.core.errors import (
    MissingExtraError,
    ParameterError,
    TwinsetError,
    UnknownNameError,
    did_you_mean,
)
from twinset.core.parameters import NUMBERS, describe_type, has_unusable_number

if TYPE_CHECKING:
    from twinset.core.contracts import Augmenter, Generator, Metric

_LONGEST_SHOWN = 60  # characters of a value in an error: longer ones hide the sentence
_ALIASES = ("Fraction", "Margin", "Replicates")


@dataclass(frozen=True)
class Parameter:
    """One setting of a component."""

    name: str  # Its key in recipes
    type: str  # Its type, as the code writes it
    default: object  # Its value when not given; None also when `required`
    help: str  # What its class docstring says of it
    required: bool = False  # Whether it must be given


def parameters_of(cls: type[Any]) -> tuple[Parameter, ...]:
    """Return the parameters of a component class, in the order of its fields.

    Examples
    --------
    >>> from dataclasses import dataclass
    >>> @dataclass(frozen=True, kw_only=True)
    ... class Shift:
    ...     '''Add a constant.
    ...
    ...     Parameters
    ...     ----------
    ...     by : float
    ...         What is added.
    ...     '''
    ...     by: float = 1.0
    >>> parameters_of(Shift)
    (Parameter(name='by', type='float', default=1.0, help='What is added.', required=False),)
    """
    helps, found = documented_settings(cls), []
    for field in _fields(cls):
        required, default = _is_required(field), field.default
        if field.default_factory is not dataclasses.MISSING:
            default = field.default_factory()
        kind, text = _type_of(cls, field), helps.get(field.name, "")
        found.append(Parameter(field.name, kind, None if required else default, text, required))
    return tuple(found)


def documented_settings(cls: type[Any]) -> dict[str, str]:
    """Return the help of each setting that the class docstring (or a parent's) describes."""
    found: dict[str, str] = {}
    for parent in reversed(cls.__mro__):
        found |= _parameters_section(inspect.cleandoc(parent.__dict__.get("__doc__") or ""))
    return found


def _attempt(
    cls: type[Any], name: str, settings: Mapping[str, object]
) -> tuple[Any, list[tuple[str, TwinsetError]]]:
    known = {field.name: field for field in _fields(cls)}
    faults: list[tuple[str, TwinsetError]] = []
    values = {}
    hints = get_type_hints(cls) if settings else {}  # takes longer than the rest
    for key, value in settings.items():
        if key not in known:
            error = ParameterError(
                f"'{name}' has no setting '{key}'",
                allowed=", ".join(known) or "none: it takes no settings",
                todo=did_you_mean(str(key), known),
            )
            faults.append((str(key), error))
            continue
        if has_unusable_number(value):
            what = f"the setting '{key}' of '{name}' holds a number that is too large or not finite"
            faults.append((key, ParameterError(what, allowed=NUMBERS)))
            continue
        try:
            values[key] = _checked(value, hints[key], key, name, known[key])
        except ParameterError as fault:
            faults.append((key, fault))
    for key, field in known.items():
        if _is_required(field) and key not in settings:
            faults.append((key, ParameterError(f"'{name}' needs the setting '{key}'")))
    if faults:
        return None, faults
    try:
        return cls(**values), []
    except TwinsetError as fault:
        return None, [("", fault)]


def _checked(
    value: object, hint: Any, key: str, name: str, field: dataclasses.Field[Any]
) -> object:
    """Return `value` in the type `hint`.

    It goes through JSON in strict mode: that takes a list for a tuple and 1 for 1.0, as YAML needs,
    and never a text for a number.
    """
    from pydantic import TypeAdapter, ValidationError

    kind = field.type if isinstance(field.type, str) else _type_text(field.type)
    try:
        text = json.dumps(value, default=_plain)
        return TypeAdapter(hint).validate_json(text, strict=True)
    except (TypeError, ValidationError) as error:
        shown = repr(value)
        shown = shown if len(shown) <= _LONGEST_SHOWN else f"a {type(value).__name__}"
        what = f"the setting '{key}' of '{name}' has a value of a wrong type"
        raise ParameterError(what, got=shown, allowed=kind) from error


def _plain(value: object) -> object:
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, set | frozenset):
        return sorted(value)
    raise TypeError(type(value).__name__)


def _fields(cls: type[Any]) -> tuple[dataclasses.Field[Any], ...]:
    return tuple(field for field in dataclasses.fields(cls) if field.init)


def _is_required(field: dataclasses.Field[Any]) -> bool:
    return field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING


def _type_of(cls: type[Any], field: dataclasses.Field[Any]) -> str:
    """Return the type of a field as the code writes it; a declared range as words."""
    text = field.type if isinstance(field.type, str) else _type_text(field.type)
    if "Annotated[" in text or text in _ALIASES:
        return describe_type(get_type_hints(cls, include_extras=True)[field.name])
    return text


def _type_text(kind: object) -> str:
    return kind.__name__ if isinstance(kind, type) else str(kind).replace("typing.", "")


def _parameters_section(text: str) -> dict[str, str]:
    match = re.search(r"^Parameters\n-+\n(.*?)(?=^\S[^\n]*\n-{3,}\s*$|\Z)", text, re.M | re.S)
    helps: dict[str, list[str]] = {}
    names: list[str] = []
    for line in match[1].splitlines() if match else ():
        if line and not line[0].isspace():
            names = [part.strip() for part in line.partition(" : ")[0].split(",")]
            helps |= {name: [] for name in names}
        elif line.strip():
            for name in names:
                helps[name].append(line.strip())
    return {name: " ".join(lines) for name, lines in helps.items()}


ComponentKind = Literal["generator", "augmenter", "metric"]
KINDS: tuple[ComponentKind, ...] = get_args(ComponentKind)

_FOLDERS = {"generator": "generators", "augmenter": "augment", "metric": "evaluation"}
_GROUPS = {kind: f"twinset.{kind}s" for kind in KINDS}


@dataclass(frozen=True)
class ComponentInfo:
    """What ``twinset list`` shows of a component."""

    kind: ComponentKind  # What it is
    name: str  # Its name in recipes
    text: str  # First line of its class docstring


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

    `place` is where the name stood, for the error's sentence.
    """
    origin = _origins().get(name)
    if origin is None or origin.kind != kind:
        error = UnknownNameError.for_name(kind, name, component_names(kind), place)
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

    Settings are values as YAML or Python gives them: a whole number may stand for a float, a list for a
    tuple; nothing else is converted. `place` is where they stood, e.g. ``"generate[0].with"``.
    """
    component, faults = _attempt(component_class(kind, name, place), name, settings)
    for key, error in faults:
        at = ".".join(part for part in (place, key) if part)
        what = f"{at}: {error.message}" if place else error.message
        placed = type(error)(what, got=error.got, allowed=error.allowed, todo=error.todo)
        raise placed from error
    return component


def setting_faults(
    kind: ComponentKind, name: str, settings: Mapping[str, object]
) -> list[tuple[str, TwinsetError]]:
    """Return all faults of the settings as (setting or empty text, error); none: `build` works."""
    return _attempt(component_class(kind, name), name, settings)[1]


def parameters(kind: ComponentKind, name: str) -> tuple[Parameter, ...]:
    """Return the parameters of a component: name, type, default and help."""
    return parameters_of(component_class(kind, name))


def _contract_class(module: object, kind: ComponentKind, name: str, origin: _Origin) -> type[Any]:
    # Imported late: listing components must not wait for numpy and pyarrow.
    from twinset.core import contracts

    contract = getattr(contracts, kind.capitalize())
    own = {k: v for k, v in vars(module).items() if isinstance(v, type) and issubclass(v, contract)}
    if origin.class_name:
        found = [value for key, value in own.items() if key == origin.class_name]
    else:
        public = (value for key, value in own.items() if not key.startswith("_"))
        found = [value for value in public if value.__module__ == origin.module]
    if len(found) != 1:
        raise TwinsetError(
            f"the {kind} '{name}' is not written as one public class",
            got=f"{len(found)} in {origin.module}",
            allowed=f"one subclass of {contract.__name__}",
        )
    return found[0]


def _origins() -> Mapping[str, _Origin]:
    """Return every component by name, sorted by kind and name."""
    changed = (os.stat(entry).st_mtime_ns if os.path.exists(entry) else 0 for entry in sys.path)
    return _search(tuple(zip(sys.path, changed, strict=True)))


# One search of folders and entry points takes 15 ms, and a report builds a hundred components.
# Installing a package changes a folder of `sys.path`, so that its plug-ins are found at once.
@cache
def _search(path: tuple[tuple[str, int], ...]) -> Mapping[str, _Origin]:
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
    return MappingProxyType(found)


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
    helpers = ("_", "Fitted")
    wanted = [
        node
        for node in classes
        if node.name == origin.class_name
        or (origin.class_name is None and not node.name.startswith(helpers))
    ]
    if not wanted:
        raise TwinsetError(
            f"the component file {origin.module} holds no public class of its own",
            allowed="one public class; helper files begin with '_'",
        )
    return inspect.cleandoc(ast.get_docstring(wanted[0]) or "").partition("\n")[0]


def default_metrics(
    kinds: Iterable[str], *, quick: bool = False, quasi_identifiers: Sequence[str] = ()
) -> list[tuple[str, Metric]]:
    """Return every metric that can look at one of `kinds` and lacks none, with its default settings.

    A quick look leaves out those that take a while. Those that run on request only are never among them.
    `quasi_identifiers` are columns that others may know of a person.

    >>> "gap.marginals" in [name for name, _ in default_metrics({"number"})]
    True
    """
    held = frozenset(kinds)
    known = {"privacy.quasi_identifiers": {"columns": list(quasi_identifiers)}}
    found = [
        (name, build("metric", name, known.get(name, {}))) for name in component_names("metric")
    ]
    return [
        (name, metric)
        for name, metric in found
        if metric.kinds & held
        and metric.needs <= held
        and not metric.on_request
        and not (quick and metric.is_thorough)
    ]


def attack_names() -> Mapping[str, str]:
    """Return attack -> metric, of the attacks that run only where they are requested.

    >>> dict(attack_names())
    {'shadow': 'privacy.shadow_models'}
    """
    found = ((name, component_class("metric", name).attack) for name in component_names("metric"))
    return {attack: name for name, attack in found if attack is not None}


def attack_metrics(attacks: Sequence[str]) -> list[tuple[str, Metric]]:
    """Return the metrics of attacks that run on request, with their default settings.

    >>> attack_metrics(["shadow"])[0][0]
    'privacy.shadow_models'
    """
    known = attack_names() if attacks else {}
    for attack in attacks:
        if attack not in known:
            raise ParameterError("an attack is not known", got=attack, allowed=", ".join(known))
    return [(known[name], build("metric", known[name], {})) for name in dict.fromkeys(attacks)]

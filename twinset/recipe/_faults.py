"""Faults of a recipe: those of its shape, of its components, and between its sections."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path as FilePath
from typing import Any

from pydantic import ValidationError

from twinset.core.contracts import ChecksSettings, TakesAssets
from twinset.core.errors import (
    MissingExtraError,
    ParameterError,
    RecipeError,
    TwinsetError,
    UnknownNameError,
    did_you_mean,
)
from twinset.io.paths import path_fault, real_path
from twinset.recipe._recipe import RESERVED_STEPS, Recipe, known_keys
from twinset.recipe._yaml import Document, Fault, Path, spell_path
from twinset.registry import ComponentKind, build, component_class, component_names, setting_faults

_SECTIONS: tuple[tuple[Path, ComponentKind], ...] = (
    (("generate",), "generator"),
    (("augment",), "augmenter"),
    (("evaluate", "metrics"), "metric"),
)
_EXPECTED = {
    "model_type": "a mapping",
    "dict_type": "a mapping",
    "list_type": "a list",
    "string_type": "text",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "bool_type": "true or false",
}
_EXAMPLES = {"name": "name: my-set", "brief": "brief: {task: detection}"}
_MAX_SHOWN = 60  # characters of a value: a fault with its place stays on two lines of a terminal


def faults_error(name: str, document: Document, faults: list[Fault]) -> RecipeError:
    """Return the error that lists the faults in the order of the file; those of ``--set`` are last."""
    lines = []
    for fault in faults:
        place = fault.line or document.place(fault.path)
        at = place if isinstance(place, str) else f"{name}:{place}"
        path = f"{spell_path(fault.path)}: " if fault.path else ""
        order = (isinstance(place, str), place if isinstance(place, int) else 0)
        lines.append((order, f"{at}: {path}{fault.text}"))
    texts = list(dict.fromkeys(text for _, text in sorted(lines, key=lambda line: line[0])))
    if len(texts) == 1:
        return RecipeError(texts[0])
    return RecipeError(f"{name} has {len(texts):,} faults", faults=texts)


def shape_faults(error: ValidationError, document: Document) -> Iterator[Fault]:
    """Yield the errors of pydantic, in our words."""
    for found in error.errors(include_url=False):
        path = _path_in(document.data, found["loc"])
        yield Fault(path, _shape_text(found, path))


def _shape_text(found: Any, path: Path) -> str:
    kind, shown = found["type"], _shown(found.get("input"))
    if kind == "recipe":  # of a validator of ours
        return str(found["msg"])
    if kind == "extra_forbidden":
        known = known_keys(path[:-1])
        return _joined(
            "unknown key", f"allowed: {', '.join(known)}", did_you_mean(str(path[-1]), known)
        )
    if kind == "missing":
        example = _EXAMPLES.get(".".join(str(key) for key in path))
        return _joined("this key is missing", f"write e.g. {example}" if example else "")
    if kind in _EXPECTED:
        return f"must be {_EXPECTED[kind]}; got {shown}"
    if kind == "literal_error":
        allowed = str(found.get("ctx", {}).get("expected", ""))
        words = allowed.replace(" or ", ", ").replace("'", "").split(", ")
        hint = did_you_mean(str(found.get("input")), words)
        return _joined(f"got {shown}", f"allowed: {', '.join(words)}", hint)
    if kind == "string_pattern_mismatch":
        return f"got {shown}; allowed: letters, digits and . _ -, at most 64"
    return f"{found['msg'].replace('Input should', 'must')}; got {shown}"


def _joined(*parts: str) -> str:
    return "; ".join(filter(None, parts))


def component_faults(data: Any) -> Iterator[Fault]:
    """Yield unknown components, settings that do not fit them, unknown gates and public sets.

    These are checked on the plain values, so that they are reported together with those of the shape.
    """
    for path, kind in _SECTIONS:
        steps = _at(data, path)
        for i, step in enumerate(steps if isinstance(steps, list) else ()):
            at = (*path, i)
            if isinstance(step, str):
                yield from _use_faults(kind, step, {}, at, at)
            elif isinstance(step, Mapping) and isinstance(step.get("use"), str):
                settings, rows = step.get("with"), step.get("rows")
                settings = settings if isinstance(settings, Mapping) else {}
                rows = rows if isinstance(rows, int) and not step.get("where") else None
                yield from _use_faults(
                    kind, step["use"], settings, (*at, "use"), (*at, "with"), rows
                )
    gates = _at(data, ("evaluate", "gates"))
    if isinstance(gates, Mapping) and gates:
        metrics = component_names("metric")
        for metric in gates:
            if metric not in metrics:
                yield _unknown("metric", metric, metrics, ("evaluate", "gates", metric))
    name = _at(data, ("source", "fetch"))
    if isinstance(name, str):
        from twinset.io.fetch import SOURCES

        if name not in SOURCES:
            yield _unknown("public set", name, SOURCES, ("source", "fetch"))


def _use_faults(
    kind: ComponentKind,
    name: str,
    settings: Mapping[str, Any],
    at: Path,
    settings_at: Path,
    rows: int | None = None,
) -> Iterator[Fault]:
    """Yield the faults of one component and its settings, with `rows` to draw if that is known."""
    try:
        found = setting_faults(kind, name, settings)
        if not found and kind == "generator":
            try:
                generator = build("generator", name, settings)
                if isinstance(generator, ChecksSettings):
                    generator.check(rows)
            except MissingExtraError:
                raise
            except TwinsetError as failed:
                found = [("", failed)]
        for key, reason in found:
            place = reason.place if isinstance(reason, ParameterError) else ()
            yield Fault((*settings_at, *((key,) if key else place)), str(reason))
    except UnknownNameError as error:
        yield Fault(at, str(error))
    except MissingExtraError:
        return  # The recipe may be right: a run reports what to install.


def whole_faults(recipe: Recipe, home: FilePath) -> Iterator[Fault]:
    """Yield the faults between the sections of a recipe."""
    yield from _step_faults(recipe)
    yield from _name_faults(recipe)
    yield from _asset_faults(recipe)
    yield from _metric_faults(recipe)
    yield from _split_faults(recipe)
    to = recipe.deliver.to
    if to is not None and path_fault(to):
        yield Fault(("deliver", "to"), f"no folder can have this path: {path_fault(to)}")
    elif (
        to is not None
        and not FilePath(to).is_absolute()
        and real_path(home) not in real_path(home / to).parents
    ):
        text = f"the folder '{to}' is not below the working folder; use an absolute path for that"
        yield Fault(("deliver", "to"), text)


def _step_faults(recipe: Recipe) -> Iterator[Fault]:
    if not recipe.generate and not recipe.augment:
        yield Fault(("generate",), "the recipe makes nothing; add a step")
    brief, has_source = recipe.brief, recipe.source is not None
    following = [i for i, step in enumerate(recipe.generate) if step.follows_brief and brief.want]
    for i in following[1:]:
        text = "an earlier step makes all that brief.want asks for; say rows: or counts: here"
        yield Fault(("generate", i), text)
    for i, step in enumerate(recipe.generate):
        if has_source:
            break
        cls = _generator_class(step.use)
        if cls is not None and cls.needs_real:
            text = f"'{step.use}' learns from real rows and the recipe has no source"
            yield Fault(("generate", i, "use"), text)
        elif step.rows is None and not (step.counts or step.cover) and i not in following:
            text = "without a source, a step must say rows:, counts: or cover:"
            yield Fault(("generate", i), text)
    names = [name for name, _ in recipe.named_steps()]
    for i, varied in enumerate(recipe.augment):
        earlier = names[: len(recipe.generate) + i]
        if varied.of is None and not has_source:
            text = (
                "this varies real rows and the recipe has no source; say of: STEP to vary its rows"
            )
            yield Fault(("augment", i), text)
        if varied.of is not None and varied.of not in earlier:
            text = f"no earlier step is called '{varied.of}'"
            allowed = f"allowed: {', '.join(earlier) or 'none'}"
            hint = did_you_mean(varied.of, earlier)
            yield Fault(("augment", i, "of"), _joined(text, allowed, hint))


def _name_faults(recipe: Recipe) -> Iterator[Fault]:
    seen = set(RESERVED_STEPS)
    for section in ("generate", "augment"):
        for i, step in enumerate(getattr(recipe, section)):
            if step.name in seen:
                text = f"the step name '{step.name}' is taken; choose another"
                yield Fault((section, i, "name"), text)
            elif step.name is not None:
                seen.add(step.name)
    if recipe.source is not None and recipe.source_name == recipe.name:
        text = "the real set and the recipe have the same name; rename one of them"
        yield Fault(("source",), text)


def _asset_faults(recipe: Recipe) -> Iterator[Fault]:
    classes = [_generator_class(step.use) for step in recipe.generate]
    if recipe.assets and not any(c is not None and issubclass(c, TakesAssets) for c in classes):
        yield Fault(("assets",), "no step of this recipe takes assets; remove this key")
    for name, given in recipe.assets.items():
        if path_fault(given) or not recipe.asset_path(name).exists():
            yield Fault(("assets", name), f"there is no file or folder '{given}'")


def _metric_faults(recipe: Recipe) -> Iterator[Fault]:
    if recipe.evaluate.metrics is None:
        return
    names = [use.use for use in recipe.evaluate.metrics]
    for metric in recipe.evaluate.gates:
        if metric not in names:
            text = "this metric is not among evaluate.metrics; add it there"
            yield Fault(("evaluate", "gates", metric), text)
    for i, metric in enumerate(names):
        if metric in names[:i]:
            yield Fault(("evaluate", "metrics", i), f"the metric '{metric}' stands here twice")


def _split_faults(recipe: Recipe) -> Iterator[Fault]:
    source, split = recipe.source, recipe.split
    # The roles of a registered set are not known here.
    if source is None or source.set_ is not None or split.on is not None:
        return
    if source.tiles is not None and split.by == "stratified":
        text = "tiles of one image would be in both train set and holdout; say split: {by: group}"
        yield Fault(("split",), text)
    role = {"time": "time", "group": "group", "given": "split"}.get(split.by)
    is_known = source.tiles is not None and split.by == "group"  # tile_of gets the role
    roles = [spec.role for spec in source.schema_.values()]
    if role is not None and role not in roles and not is_known:
        text = f"a split by {split.by} needs a column: set split.on, or give one the role '{role}'"
        yield Fault(("split",), text)


def _generator_class(name: str) -> Any:
    """Return the class of a generator; None if a package for it is not installed."""
    try:
        return component_class("generator", name)
    except MissingExtraError:
        return None


def _unknown(noun: str, name: str, known: Any, path: Path) -> Fault:
    return Fault(path, str(UnknownNameError.for_name(noun, name, known)))


def _path_in(data: Any, loc: tuple[str | int, ...]) -> Path:
    """Return the path in the recipe of a location of pydantic, without its words for alternatives."""
    path: Path = ()
    for i, part in enumerate(loc):
        if isinstance(data, Mapping) and (part in data or i == len(loc) - 1):
            data = data.get(part)
        elif isinstance(data, list) and isinstance(part, int) and part < len(data):
            data = data[part]
        else:
            continue
        path = (*path, part)
    return path


def _at(data: Any, path: Path) -> Any:
    for part in path:
        data = data.get(part) if isinstance(data, Mapping) else None
    return data


def _shown(value: object) -> str:
    if value is None or isinstance(value, Mapping | list):
        return "nothing" if value is None else "a list" if isinstance(value, list) else "a mapping"
    if isinstance(value, bool):
        return str(value).lower()
    shown = repr(value)
    return shown if len(shown) <= _MAX_SHOWN else f"{shown[:_MAX_SHOWN]}..."

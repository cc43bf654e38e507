"""Everything that can be wrong with a recipe, each with its place."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path as FilePath
from typing import Any

from pydantic import ValidationError

from twinset.core.contracts import ChecksSettings, TakesAssets
from twinset.core.errors import (
    MissingExtraError,
    ParameterError,
    TwinsetError,
    UnknownNameError,
    did_you_mean,
)
from twinset.recipe._recipe import RESERVED_STEPS, Recipe, known_keys
from twinset.recipe._steps import MakingStep
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
_LONGEST_SHOWN = 60


def spell_faults(name: str, document: Document, faults: list[Fault]) -> str:
    """Return the faults as text, one a line, in the order of the file; ``--set`` comes last."""
    lines = []
    for fault in faults:
        place = fault.line or document.place(fault.path)
        at = place if isinstance(place, str) else f"{name}:{place}"
        path = f"{spell_path(fault.path)}: " if fault.path else ""
        order = (isinstance(place, str), place if isinstance(place, int) else 0)
        lines.append((order, f"{at}: {path}{fault.text}"))
    texts = list(dict.fromkeys(text for _, text in sorted(lines, key=lambda line: line[0])))
    if len(texts) == 1:
        return texts[0]
    return "\n".join([f"{name} has {len(texts)} faults", *texts])


def shape_faults(error: ValidationError, document: Document) -> Iterator[Fault]:
    """Yield what pydantic found, in our words."""
    for found in error.errors(include_url=False):
        path = _path_in(document.data, found["loc"])
        kind, value = found["type"], found.get("input")
        if kind == "extra_forbidden":
            known = known_keys(path[:-1])
            hint = did_you_mean(str(path[-1]), known)
            text = "; ".join(filter(None, ["unknown key", f"allowed: {', '.join(known)}", hint]))
        elif kind == "missing":
            text = "this key is missing"
            if example := _EXAMPLES.get(".".join(str(key) for key in path)):
                text += f"; write e.g. {example}"
        elif kind in _EXPECTED:
            text = f"must be {_EXPECTED[kind]}; got {_shown(value)}"
        elif kind == "literal_error":
            allowed = str(found.get("ctx", {}).get("expected", ""))
            words = allowed.replace(" or ", ", ").replace("'", "").split(", ")
            hint = did_you_mean(str(value), words)
            parts = [f"got {_shown(value)}", f"allowed: {', '.join(words)}", hint]
            text = "; ".join(filter(None, parts))
        elif kind == "string_pattern_mismatch":
            text = f"got {_shown(value)}; allowed: letters, digits and . _ -, at most 64"
        elif kind == "recipe":
            text = found["msg"]
        else:
            text = f"{found['msg'].replace('Input should', 'must')}; got {_shown(value)}"
        yield Fault(path, text)


def component_faults(data: Any) -> Iterator[Fault]:
    """Yield unknown components, settings that do not fit them, unknown gates and public sets.

    It looks at the plain values, so that these faults are told together with those of the shape.
    """
    for path, kind in _SECTIONS:
        steps = _at(data, path)
        for i, step in enumerate(steps if isinstance(steps, list) else ()):
            if isinstance(step, str):
                yield from _use_faults(kind, step, {}, (*path, i), (*path, i))
            elif isinstance(step, Mapping) and isinstance(step.get("use"), str):
                settings = step.get("with")
                settings = settings if isinstance(settings, Mapping) else {}
                at, rows = (*path, i), step.get("rows")
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
    wanted = _at(data, ("source", "fetch"))
    if isinstance(wanted, str):
        from twinset.io.fetch import SOURCES

        if wanted not in SOURCES:
            yield _unknown("public set", wanted, SOURCES, ("source", "fetch"))


def whole_faults(recipe: Recipe, home: FilePath) -> Iterator[Fault]:
    """Yield what is wrong between the sections of a recipe."""
    yield from _step_faults(recipe)
    yield from _name_faults(recipe)
    yield from _of_faults(recipe)
    yield from _asset_faults(recipe)
    chosen = recipe.evaluate.metrics
    for metric in recipe.evaluate.gates:
        if chosen is not None and metric not in {use.use for use in chosen}:
            text = "this metric is not among evaluate.metrics; add it there"
            yield Fault(("evaluate", "gates", metric), text)
    if chosen is not None:
        names = [use.use for use in chosen]
        for i, metric in enumerate(names):
            if metric in names[:i]:
                yield Fault(("evaluate", "metrics", i), f"the metric '{metric}' stands here twice")
    yield from _split_faults(recipe)
    to = recipe.deliver.to
    if to is not None:
        inside = home.resolve()
        folder = (home / to).resolve() if "\0" not in to else inside
        if not FilePath(to).is_absolute() and not (inside in folder.parents and to.strip()):
            text = (
                f"the folder '{to}' is not below the working folder; use an absolute path for that"
            )
            yield Fault(("deliver", "to"), text)


def _asset_faults(recipe: Recipe) -> Iterator[Fault]:
    if recipe.assets and not any(_takes_assets(step.use) for step in recipe.generate):
        yield Fault(("assets",), "no step of this recipe takes assets; remove this key")
    for name in recipe.assets:
        given = recipe.assets[name]
        if "\0" in given or not recipe.asset_path(name).exists():
            yield Fault(("assets", name), f"there is no file or folder '{given}'")


def _takes_assets(name: str) -> bool:
    try:
        return issubclass(component_class("generator", name), TakesAssets)
    except MissingExtraError:
        return False


def _step_faults(recipe: Recipe) -> Iterator[Fault]:
    if not recipe.generate and not recipe.augment:
        yield Fault(("generate",), "the recipe makes nothing; add a step")
    brief = recipe.brief
    following = [i for i, step in enumerate(recipe.generate) if step.follows_brief and brief.want]
    for i in following[1:]:
        text = "an earlier step makes all that brief.want asks for; say rows: or counts: here"
        yield Fault(("generate", i), text)
    if recipe.source is not None:
        return
    for i, step in enumerate(recipe.generate):
        if _needs_real(step.use):
            text = f"'{step.use}' learns from real rows and the recipe has no source"
            yield Fault(("generate", i, "use"), text)
        elif step.rows is None and not (step.counts or step.cover) and i not in following:
            yield Fault(
                ("generate", i), "without a source, a step must say rows:, counts: or cover:"
            )
    for i, varied in enumerate(recipe.augment):
        if varied.of is None:
            text = (
                "this varies real rows and the recipe has no source; say of: STEP to vary made rows"
            )
            yield Fault(("augment", i), text)


def _of_faults(recipe: Recipe) -> Iterator[Fault]:
    names = [name for name, _ in recipe.named_steps()]
    first = len(recipe.generate)
    for i, step in enumerate(recipe.augment):
        earlier = names[: first + i]
        if step.of is not None and step.of not in earlier:
            text = f"no earlier step is called '{step.of}'; allowed: {', '.join(earlier) or 'none'}"
            hint = did_you_mean(step.of, earlier)
            yield Fault(("augment", i, "of"), "; ".join(filter(None, [text, hint])))


def _name_faults(recipe: Recipe) -> Iterator[Fault]:
    seen = set(RESERVED_STEPS)
    places: list[Path] = [("generate", i, "name") for i in range(len(recipe.generate))]
    places += [("augment", i, "name") for i in range(len(recipe.augment))]
    steps: list[MakingStep] = [*recipe.generate, *recipe.augment]
    for place, step in zip(places, steps):
        if step.name in seen:
            yield Fault(place, f"the step name '{step.name}' is taken; choose another")
        elif step.name is not None:
            seen.add(step.name)
    if recipe.source is not None and recipe.source_name == recipe.name:
        text = "the real set and the recipe have the same name; rename one of them"
        yield Fault(("source",), text)


def _split_faults(recipe: Recipe) -> Iterator[Fault]:
    source, split = recipe.source, recipe.split
    # A registered set brings its roles along: they are not seen here.
    if source is None or source.set_ is not None or split.on is not None:
        return
    if source.tiles is not None and split.by in ("stratified", "group"):
        if split.by == "stratified":
            text = (
                "tiles of one image would stand on both sides of the split; say split: {by: group}"
            )
            yield Fault(("split",), text)
        return
    role = {"time": "time", "group": "group", "given": "split"}.get(split.by)
    roles = [spec.role for spec in source.schema_.values()]
    if role is not None and role not in roles:
        text = f"a split by {split.by} needs a column: set split.on, or give one the role '{role}'"
        yield Fault(("split",), text)


def _check_faults(
    name: str, settings: Mapping[str, Any], rows: int | None
) -> Iterator[TwinsetError]:
    try:
        generator = build("generator", name, settings)
        if isinstance(generator, ChecksSettings):
            generator.check(rows)
    except MissingExtraError:
        return
    except TwinsetError as error:
        yield error


def _use_faults(
    kind: ComponentKind,
    name: str,
    settings: Mapping[str, Any],
    at: Path,
    settings_at: Path,
    rows: int | None = None,
) -> Iterator[Fault]:
    try:
        found = setting_faults(kind, name, settings)
        if not found and kind == "generator":
            found = [("", error) for error in _check_faults(name, settings, rows)]
        for key, error in found:
            place = error.place if isinstance(error, ParameterError) else ()
            yield Fault((*settings_at, *((key,) if key else place)), str(error))
    except UnknownNameError as error:
        yield Fault(at, str(error))
    except MissingExtraError:
        return  # The recipe may be right: a run will say what to install.


def _needs_real(name: str) -> bool:
    try:
        return component_class("generator", name).needs_real
    except MissingExtraError:
        return False


def _unknown(noun: str, name: str, known: Any, path: Path) -> Fault:
    return Fault(path, str(UnknownNameError.for_name(noun, name, known)))


def _path_in(data: Any, loc: tuple[str | int, ...]) -> Path:
    """Return the path in the recipe; pydantic's own words for alternatives are left out."""
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
    if value is None:
        return "nothing"
    if isinstance(value, Mapping):
        return "a mapping"
    if isinstance(value, list):
        return "a list"
    if isinstance(value, bool):
        return str(value).lower()
    shown = repr(value)
    return shown if len(shown) <= _LONGEST_SHOWN else f"{shown[:_LONGEST_SHOWN]}..."

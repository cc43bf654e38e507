"""Read a recipe from a file or from text, and report all its faults at once."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path as FilePath
from typing import Any

from pydantic import ValidationError

from twinset.core.errors import ParameterError, RecipeError
from twinset.core.features.embedders import EmbedderName
from twinset.io.paths import check_path, check_source, path_fault, real_path
from twinset.recipe._faults import component_faults, faults_error, shape_faults, whole_faults
from twinset.recipe._included import include_files, shipped_files
from twinset.recipe._recipe import Recipe
from twinset.recipe._yaml import MAX_BYTES, Document, Fault, Path, apply_override, read_yaml
from twinset.registry import component_names

_PLACES = ("fetch", "path", "set")
_DESCRIBING = ("name", "licence", "provenance")


def load_recipe(path: FilePath | str, overrides: Sequence[str] = ()) -> Recipe:
    """Return the recipe that a YAML file holds.

    Paths in the file are relative to the file's folder; paths in `overrides`, those of embedders' weights
    among them, and the folder of delivery, to the working folder.

    Parameters
    ----------
    path : path
        The YAML file, UTF-8, at most 1 MB; or the bare name of a shipped recipe: "quickstart".
    overrides : sequence of str
        Changes, each ``"a.b=value"`` with a value in YAML; an item of a list is ``generate.0.rows``.
        One of `source.path`, `source.fetch` and `source.set` replaces the others together with
        `source.name`, `source.licence` and `source.provenance`, which described another set;
        `split.by` replaces `split.on`.

    Raises
    ------
    RecipeError
        The file cannot be read, or the recipe has faults: all are reported, each with line and path.
    """
    shipped = shipped_files()
    path = shipped.get(str(path), FilePath(path))
    check_path(path)
    if not path.exists():
        raise RecipeError(
            f"there is no recipe file '{path}'",
            allowed=f"a YAML file, or one of the shipped recipes {', '.join(shipped)}",
            todo="check the path, or make one: twinset init FILE",
        )
    check_source(path)
    if path.is_dir():
        raise RecipeError(f"'{path}' is a folder, not a recipe", todo="name a YAML file in it")
    if path.stat().st_size > MAX_BYTES:
        raise RecipeError(f"the recipe '{path.name}' is too large", allowed=f"{MAX_BYTES:,} bytes")
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise RecipeError(f"the recipe '{path.name}' is not UTF-8 text") from error
    return parse_recipe(
        text, name=path.name, base=path.parent, home=FilePath.cwd(), overrides=overrides
    )


def parse_recipe(
    text: str,
    *,
    name: str = "recipe",
    base: FilePath = FilePath(),
    home: FilePath | None = None,
    overrides: Sequence[str] = (),
) -> Recipe:
    """Return the recipe that YAML text holds.

    Parameters
    ----------
    text : str
        YAML.
    name : str
        Name of the text in faults.
    base : Path
        Folder that paths in the text are relative to.
    home : Path, optional
        Folder that `overrides` and the folder of delivery are relative to; `base` when not given.
    overrides : sequence of str
        As in `load_recipe`.

    Raises
    ------
    RecipeError
        The recipe has faults: all are reported, each with line and path.

    Examples
    --------
    >>> recipe = parse_recipe('''
    ... name: twin
    ... brief: {task: classification, target: sick}
    ... source: {path: patients.csv}
    ... generate: [{use: tabular.copula, rows: 100}]
    ... ''', overrides=["seed=3"])
    >>> recipe.seed, [name for name, _ in recipe.named_steps()]
    (3, ['copula'])
    """
    home = base if home is None else home
    document = read_yaml(text)
    faults = list(document.faults)
    if not faults and not isinstance(document.data, dict):
        content = "empty" if document.data is None else "no mapping of keys"
        text = f"the recipe is {content}; allowed: name, brief, source, generate, ..."
        faults = [Fault((), text)]
    if not isinstance(document.data, dict):
        raise faults_error(name, document, faults)
    _refuse_grammar(document.data, name)
    _apply(document, overrides, home)
    include_files(document, base)
    recipe = None
    try:
        recipe = Recipe.model_validate(document.data).placed(base, home, name, document)
    except ValidationError as error:
        known = {fault.path for fault in document.faults}  # of these no value was read
        document.faults += (f for f in shape_faults(error, document) if f.path not in known)
    document.faults += component_faults(document.data)
    if recipe is not None and not document.faults:
        document.faults += whole_faults(recipe, home)
    if recipe is None or document.faults:
        raise faults_error(name, document, document.faults)
    return recipe


def _refuse_grammar(data: dict[str, Any], name: str) -> None:
    """Raise an error for a grammar of texts: as a recipe every key of it would be a fault."""
    if "templates" in data and not data.keys() & {"brief", "source", "generate", "deliver"}:
        raise RecipeError(
            f"'{name}' holds templates of texts, and is no recipe",
            todo="name it in a recipe's step, generate: [{use: text.templates, rows: 1000, with: {grammar: "
            "FILE}}], or try it: twinset run text_packs --set generate.0.with.grammar=FILE",
        )


def shipped_file(name: str) -> FilePath | None:
    """Return the recipe or the grammar of texts of that bare name which is installed with twinset."""
    return shipped_files().get(name) or shipped_files("text").get(name)


def _apply(document: Document, overrides: Sequence[str], home: FilePath) -> None:
    """Apply the overrides to the document in their order; files that they name are relative to `home`."""
    gates: dict[Path, tuple[str, ...]] = {("evaluate", "gates"): component_names("metric")}
    touched = set()
    for override in overrides:
        path = apply_override(document, override, gates)
        touched.add(path)
        if not path:
            continue
        holder = document.data
        for part in path[:-1]:
            holder = holder[part]
        holder[path[-1]] = _placed(holder[path[-1]], path, home)
        replaced: list[str] = []
        if path[0] == "source" and path[1:] in [(place,) for place in _PLACES]:
            replaced = [key for key in _PLACES if key != path[1]]
            replaced += [key for key in _DESCRIBING if ("source", key) not in touched]
        elif path == ("split", "by") and ("split", "on") not in touched:
            replaced = ["on"]
        for key in replaced:
            holder.pop(key, None)


def _placed(value: Any, path: Path, home: FilePath) -> Any:
    """Return the value of an override with the names of files relative to `home`."""
    if path == ("evaluate", "embedder"):
        if isinstance(value, list):
            return [_placed(name, path, home) for name in value]
        try:
            return str(EmbedderName.parse(value).placed(home)) if isinstance(value, str) else value
        except ParameterError:
            return value  # reported with the other faults
    if not isinstance(value, str) or not value:
        return value
    if path[0] == "generate" and path[-1] == "grammar":
        # The bare name of a shipped grammar stays.
        is_file = not path_fault(value) and (home / value).is_file()
        return str(real_path(home / value)) if is_file else value
    is_path = path == ("source", "path") or (path[0] == "assets" and len(path) == 2)
    return str(home / value) if is_path or path[-2:] == ("cover", "predictions") else value

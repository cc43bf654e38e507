"""Commands on components: `list`, `show` and `schema`."""

from __future__ import annotations

from dataclasses import asdict

from twinset import registry
from twinset.cli.terminal import print_json, print_table
from twinset.core.errors import UnknownNameError


def list_components(kind: registry.ComponentKind | None = None, /, *, json: bool = False) -> None:
    """List generators, augmenters and metrics.

    Parameters
    ----------
    kind : {"generator", "augmenter", "metric"}
        List only these.
    json : bool
        Print JSON.
    """
    found = registry.list_components(kind)
    if json:
        print_json([asdict(info) for info in found])
        return
    rows = [(info.kind, info.name, info.text) for info in found]
    print_table(("kind", "name", "what it does"), rows)


def show(name: str, /, *, json: bool = False) -> None:
    """Show the settings of a component: types, ranges, defaults.

    Parameters
    ----------
    name : str
        A name out of `twinset list`, e.g. tabular.trees.
    json : bool
        Print JSON.
    """
    known = {info.name: info for info in registry.list_components()}
    if name not in known:
        raise UnknownNameError.for_name("component", name, known)
    info = known[name]
    parameters = registry.parameters(info.kind, name)
    if json:
        print_json({**asdict(info), "parameters": [asdict(p) for p in parameters]})
        return
    print(f"{info.kind} {name}: {info.text}\n")
    if not parameters:
        print("It takes no settings.")
        return
    rows = [
        (p.name, p.type, "must be given" if p.required else repr(p.default), p.help)
        for p in parameters
    ]
    print_table(("setting", "type", "default", "meaning"), rows)


def schema(name: str = "recipe", /) -> None:
    """Print the JSON Schema of recipes, or of a grammar of texts, for editors.

    Parameters
    ----------
    name
        "recipe", or the name of a component that reads a file of settings, e.g. text.templates.
    """
    from twinset.recipe import file_schema, recipe_schema

    print_json(recipe_schema() if name == "recipe" else file_schema(name))

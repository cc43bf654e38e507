"""Commands on the catalogue, into the cache, and on components."""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from twinset import registry
from twinset.cli.terminal import print_json, print_reading, print_table, progress_bar
from twinset.core.errors import CatalogError, RecipeError, UnknownNameError

if TYPE_CHECKING:
    from twinset.catalog import Catalog

ROOT = Path(".twinset")
_MAX_DEPTH = 20  # generations that are shown by indentation: 40 columns of a terminal's 80 or more


def register(
    file: Path,
    /,
    *,
    name: str | None = None,
    licence: str = "",
    synthetic: bool = False,
    read: list[str] | None = None,
    root: Path = ROOT,
) -> None:
    """Put a file into the catalogue, and print its reference.

    Parameters
    ----------
    file : Path
        A CSV, Parquet or JSON-Lines file, a folder of images, or a file of labelled texts.
    name : str
        Name of the set; by default that of the file, with -real or -synthetic behind it.
    licence : str
        Licence of the data, an SPDX id.
    synthetic : bool
        The rows are synthetic, not real.
    read : list[str]
        How to read a CSV file, e.g. --read decimal=, --read text=zip; may be repeated.
    root : Path
        Folder of the catalogue.
    """
    from twinset.catalog import Catalog
    from twinset.core.data.dataset import Origin
    from twinset.ingest.draft_recipe import recipe_name
    from twinset.ingest.input_table import inspect_table

    origin: Origin = "synthetic" if synthetic else "real"
    dataset, reading = inspect_table(file, read)
    named = dataset.with_card(
        name=name or f"{recipe_name(file.name.partition('.')[0])}-{origin}",
        origin=origin,
        licence=licence,
    )
    ids = [f"{named.card.name}-{row}" for row in range(len(named))]
    named = named.with_reserved(ids=ids)
    catalog = Catalog(root)
    others = [v for v in catalog.sets() if v.name == named.card.name and v.origin != origin]
    if others:
        raise RecipeError(
            f"the name '{named.card.name}' belongs to {others[0].origin} rows",
            got=f"{origin} rows",
            todo="choose another name with --name",
        )
    version = catalog.register(named.card.name, [named], named.card)
    print_reading(reading, sys.stderr)  # the output is the reference alone, for scripts
    print(version.ref)


def sets(*, root: Path = ROOT, json: bool = False) -> None:
    """List the sets in the catalogue.

    Parameters
    ----------
    root : Path
        Folder of the catalogue.
    json : bool
        Print JSON.
    """
    versions = open_catalog(root).sets()
    if json:
        keys = ("name", "number", "origin", "licence", "digest", "parents")
        print_json([{"rows": v.n_rows, **{key: getattr(v, key) for key in keys}} for v in versions])
        return
    rows = [(v.ref, v.n_rows, v.origin, v.licence or "-", v.digest[:12]) for v in versions]
    print_table(("set", "rows", "origin", "licence", "digest"), rows)


def lineage(name: str, /, *, root: Path = ROOT, json: bool = False) -> None:
    """Show what a set was made from, back to the real data.

    Parameters
    ----------
    name : str
        A set: name, name@version, or the beginning of its digest.
    root : Path
        Folder of the catalogue.
    json : bool
        Print JSON.
    """
    from twinset.catalog.version import lineage_tree

    catalog = open_catalog(root)
    ancestors = catalog.lineage(catalog.find(name)).to_json()
    if json:
        print_json(ancestors)
        return
    for depth, node in lineage_tree(ancestors):
        facts = [node.get("origin", ""), f"{node['rows']:,} rows" if "rows" in node else ""]
        facts += [node.get("licence") or "licence not stated", node["digest"][:12]]
        made = f" by {node['component']}" if node.get("component") else ""
        # Far generations stand at one depth with their number: lines stay readable.
        margin = "  " * depth if depth < _MAX_DEPTH else "  " * _MAX_DEPTH + f"{depth}: "
        print(f"{margin}{node['ref']}{made}: {', '.join(fact for fact in facts if fact)}")


def fetch(name: str, /) -> None:
    """Download a named public data set into your cache.

    Its SHA-256 is checked, and the place where it lies is printed.

    Parameters
    ----------
    name : str
        Name of the data set, e.g. ulb-creditcard.
    """
    from twinset.io.fetch import fetch as download

    with progress_bar() as progress:
        path = download(name, progress)
    print(path)


def open_catalog(root: Path) -> Catalog:
    """Return the catalogue in `root`.

    Raises
    ------
    CatalogError
        There is none: a command that only reads makes no empty one.
    """
    if not root.is_dir():
        raise CatalogError(
            f"there is no catalogue in '{root}'",
            todo="name its folder with --root, or make one by twinset run or twinset register",
        )
    from twinset.catalog import Catalog

    return Catalog(root)


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

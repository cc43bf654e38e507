"""`twinset lineage`: what a set was made from."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from twinset.cli.terminal import print_json


def command(name: str, /, *, root: Path = Path(".twinset"), json: bool = False) -> None:
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
    from twinset.cli.catalogue import open_catalogue

    catalog = open_catalogue(root)
    tree = catalog.lineage(catalog.find(name)).to_json()
    if json:
        print_json(tree)
        return
    _print(tree, depth=0)


def _print(node: Mapping[str, Any], depth: int) -> None:
    """Print a set, and below it, further in, what it was made from."""
    facts = [node.get("origin", ""), f"{node['rows']:,} rows" if "rows" in node else ""]
    facts += [node.get("licence") or "licence not stated", node["digest"][:12]]
    made = f" by {node['component']}" if node.get("component") else ""
    print(f"{'  ' * depth}{node['ref']}{made}: {', '.join(fact for fact in facts if fact)}")
    for parent in node["parents"]:
        _print(parent, depth + 1)

"""`twinset list`: every component with one line of text."""

from __future__ import annotations

from dataclasses import asdict

from twinset.cli.terminal import print_json, print_table
from twinset.registry import ComponentKind, list_components


def command(kind: ComponentKind | None = None, /, *, json: bool = False) -> None:
    """List generators, augmenters and metrics.

    Parameters
    ----------
    kind : {"generator", "augmenter", "metric"}
        List only these.
    json : bool
        Print JSON.
    """
    found = list_components(kind)
    if json:
        print_json([asdict(info) for info in found])
        return
    rows = [(info.kind, info.name, info.text) for info in found]
    print_table(("kind", "name", "what it does"), rows)

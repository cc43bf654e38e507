"""`twinset doctor`: check a catalogue, and repair it on request."""

from __future__ import annotations

from pathlib import Path

from twinset.cli import EXIT_GATE, EXIT_OK
from twinset.cli.catalog import ROOT
from twinset.cli.terminal import print_json
from twinset.core.errors import CatalogError


def doctor(*folders: Path, root: Path = ROOT, repair: bool = False, json: bool = False) -> int:
    """Check the catalogue, and repair it on request.

    Each fault is one line: what, where, and what repair does. The command ends with exit code 0
    when nothing is wrong, or all is repaired, and else with 3.

    Parameters
    ----------
    folders : Path
        Folders of deliveries, to be searched for drafts of killed processes too.
    root : Path
        Folder of the catalogue.
    repair : bool
        Repair what can be repaired; nothing that a registered set needs is removed.
    json : bool
        Print JSON.
    """
    if not root.is_dir():
        raise CatalogError(f"there is no catalogue in '{root}'", todo="name its folder with --root")
    from twinset.catalog.inspection import inspect_catalogue

    rows: list[dict[str, object]] = []
    for finding in inspect_catalogue(root, folders):
        is_repaired = repair and finding.repair is not None
        if is_repaired and finding.repair is not None:
            finding.repair()
        keys = ("fault", "place", "remedy")
        rows.append({key: getattr(finding, key) for key in keys} | {"repaired": is_repaired})
        if not json:
            state = "repaired: " if is_repaired else ""
            print(f"{state}{finding.fault}: {finding.place}; {finding.remedy}")
    left = sum(not row["repaired"] for row in rows)
    if json:
        print_json(rows)
    elif not rows:
        print(f"The catalogue '{root}' is sound.")
    elif left and not repair:
        print(f"{left:,} found; to repair: twinset doctor --repair --root {root}")
    else:
        print(f"{len(rows):,} found, {len(rows) - left:,} repaired.")
    return EXIT_GATE if left else EXIT_OK

"""`twinset sets`: what the catalogue holds."""

from __future__ import annotations

from pathlib import Path

from twinset.cli.terminal import print_json, print_table


def command(*, root: Path = Path(".twinset"), json: bool = False) -> None:
    """List the sets in the catalogue.

    Parameters
    ----------
    root : Path
        Folder of the catalogue.
    json : bool
        Print JSON.
    """
    from twinset.cli.catalogue import open_catalogue

    versions = open_catalogue(root).sets()
    if json:
        print_json(
            [
                {
                    "name": version.name,
                    "number": version.number,
                    "rows": version.n_rows,
                    "origin": version.origin,
                    "licence": version.licence,
                    "digest": version.digest,
                    "parents": list(version.parents),
                }
                for version in versions
            ]
        )
        return
    rows = [(v.ref, v.n_rows, v.origin, v.licence or "-", v.digest[:12]) for v in versions]
    print_table(("set", "rows", "origin", "licence", "digest"), rows)

"""`twinset deliver`: a registered set to a folder."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from twinset.cli.progress import progress_bar


def command(
    name: str,
    to: Path,
    /,
    *,
    formats: Annotated[list[str] | None, Parameter(name="--format")] = None,
    root: Path = Path(".twinset"),
) -> None:
    """Write a registered set to a folder: data, schema, card, checksums.

    Parameters
    ----------
    name : str
        A set: name, name@version, or the beginning of its digest.
    to : Path
        Folder to write; an earlier delivery there is replaced, any other folder is refused.
    formats : list[str]
        csv, jsonl or parquet (when not given); may be repeated.
    root : Path
        Folder of the catalogue.
    """
    from twinset.cli.catalogue import open_catalogue

    catalog = open_catalogue(root)
    version = catalog.find(name)
    from twinset.delivery import deliver

    with progress_bar() as progress:
        deliver(
            to,
            sets={version.name: (catalog.stream(version), catalog.card(version))},
            formats=tuple(formats or ("parquet",)),
            progress=progress,
        )
    print(to)

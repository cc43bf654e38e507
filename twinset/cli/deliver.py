"""`twinset deliver`: a registered set to a folder."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from twinset.cli.catalog import ROOT, open_catalog
from twinset.cli.terminal import print_lines, progress_bar
from twinset.core.errors import RecipeError
from twinset.io.formats import writable_formats

_KINDS = {"table": "any columns", "image": "annotated images", "text": "labelled texts"}
_FORMATS = "; ".join(
    f"for {noun} {', '.join(writable_formats(kind))}" for kind, noun in _KINDS.items()
)


def deliver(
    name: str,
    to: Path,
    /,
    *,
    formats: Annotated[
        list[str] | None,
        Parameter(name="--format", help=f"Parquet when not given; {_FORMATS}; may be repeated."),
    ] = None,
    real: bool = False,
    escape_formulas: bool = False,
    root: Path = ROOT,
) -> None:
    """Write a registered set to a folder: data, schema, card, checksums.

    Parameters
    ----------
    name : str
        A set: name, name@version, or the beginning of its digest.
    to : Path
        Folder to write; an earlier delivery there is replaced, any other folder is refused.
    formats : list[str]
        Names of formats; parquet when not given.
    real : bool
        The set holds real rows, and these shall be delivered.
    escape_formulas : bool
        In CSV, put an apostrophe before texts that a spreadsheet would run as a formula. twinset reads
        them back as they were.
    root : Path
        Folder of the catalogue.
    """
    catalog = open_catalog(root)
    version = catalog.find(name)
    if version.origin == "real" and not real:
        raise RecipeError(
            f"the set '{version.ref}' holds real rows",
            todo="name a synthetic set (see: twinset sets), or say --real",
        )
    from twinset.io.delivery import deliver

    with progress_bar() as progress:
        deliver(
            to,
            sets={version.name: (catalog.stream(version), catalog.card(version))},
            formats=tuple(formats or ("parquet",)),
            escape_formulas=escape_formulas,
            progress=progress,
        )
    print_lines(to)

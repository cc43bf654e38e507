"""`twinset twin`: one file in, a synthetic one out, with a verdict."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from twinset.cli.options import Flat, TwinArguments, given
from twinset.cli.progress import progress_bar
from twinset.cli.terminal import print_notes, print_paths, print_summary


def command(
    source: Path,
    out: Path,
    /,
    *,
    options: Annotated[TwinArguments, Flat] = TwinArguments(),
    json: bool = False,
) -> None:
    """Make a synthetic twin of one file, and say how good it is.

    A holdout is split off before the generator is fitted, so that leaks can be measured. OUT.html (the
    report) and OUT.twin.json (the provenance) are written beside OUT. Identifiers and free text are
    generated, never copied.

    Parameters
    ----------
    source : Path
        A CSV, Parquet or JSON-Lines file.
    out : Path
        File to write; its suffix (.csv, .parquet, .jsonl) names the format.
    json : bool
        Print the verdict and every score as JSON.
    """
    from twinset.workflows.twin import twin

    settings = given(options)
    with progress_bar() as progress:
        result = twin(source, out, progress=progress, **settings)
    if json:
        print(result.report.to_json(), end="")
        return
    print_summary(result.report.summary())
    print_notes(result.report.notes)
    print()
    print_paths({"twin": result.paths["data"], "report": result.paths["report"]})

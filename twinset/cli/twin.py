"""`twinset twin`: one file in, a synthetic one out, with a verdict."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from twinset.cli.progress import progress_bar
from twinset.cli.terminal import print_notes, print_paths, print_summary


def command(
    source: Path,
    out: Path,
    /,
    *,
    use: str = "tabular.trees",
    rows: int | None = None,
    target: str | None = None,
    positive: str | None = None,
    where: str | None = None,
    seed: int = 0,
    holdout_fraction: float = 0.2,
    with_: Annotated[list[str] | None, Parameter(name="--with")] = None,
    workers: int = 1,
    json: bool = False,
) -> None:
    """Make a synthetic twin of one file, and say how good it is.

    A fifth of the rows is locked away before anything is learnt, so that the verdict can speak of
    leaks. OUT.html (the report) and OUT.twin.json (how it was made) are written beside OUT.
    Identifiers and free text are made afresh, never copied.

    Parameters
    ----------
    source : Path
        A CSV, Parquet or JSON-Lines file.
    out : Path
        File to write; its ending (.csv, .parquet, .jsonl) tells the format.
    use : str
        The generator; see `twinset list generator`.
    rows : int
        Rows to make; by default as many as the source has.
    target : str
        Column that models will predict.
    positive : str
        Label of the target that counts as positive.
    where : str
        Condition for every row, e.g. "Class = 1 and Amount >= 100".
    seed : int
        The same seed gives the same file.
    holdout_fraction : float
        Share of rows to lock away; 0 turns the lock off, and leaks cannot be measured.
    with_ : list[str]
        A setting of the generator, e.g. --with k_neighbors=3; may be repeated.
    workers : int
        Threads; the result does not depend on them.
    json : bool
        Print the verdict and every score as JSON.
    """
    from twinset.cli.values import settings_of
    from twinset.workflows.twin import twin

    with progress_bar() as progress:
        result = twin(
            source,
            out,
            use=use,
            settings=settings_of(with_ or ()),
            rows=rows,
            target=target,
            positive=positive,
            where=where,
            seed=seed,
            holdout_fraction=holdout_fraction,
            workers=workers,
            progress=progress,
        )
    if json:
        print(result.report.to_json(), end="")
        return
    print_summary(result.report.summary())
    print_notes(result.report.notes)
    print()
    print_paths({"twin": result.paths["data"], "report": result.paths["report"]})

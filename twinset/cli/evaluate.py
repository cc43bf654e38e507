"""`twinset evaluate`: a synthetic file measured against a real one."""

from __future__ import annotations

from pathlib import Path

from twinset.cli.files import check_place, write_text
from twinset.cli.progress import progress_bar
from twinset.cli.terminal import print_notes, print_paths, print_scores, print_summary


def command(
    real: Path,
    synthetic: Path,
    /,
    *,
    holdout: Path | None = None,
    target: str | None = None,
    positive: str | None = None,
    where: str | None = None,
    seed: int | None = None,
    html: Path | None = None,
    workers: int = 1,
    json: bool = False,
) -> None:
    """Measure a synthetic file against a real one.

    If `twinset twin` made the synthetic file, the note beside it tells which real rows were locked
    away. Otherwise give real rows that the generator did not see by --holdout; without them leaks
    and usefulness cannot be measured.

    Parameters
    ----------
    real : Path
        A CSV, Parquet or JSON-Lines file.
    synthetic : Path
        Such a file with the same columns.
    holdout : Path
        Real rows that the generator did not see.
    target : str
        Column that models will predict.
    positive : str
        Label of the target that counts as positive.
    where : str
        Compare only rows that meet this condition, e.g. "Class = 1".
    seed : int
        Seed of the measuring.
    html : Path
        Write the report to this file.
    workers : int
        Threads; the result does not depend on them.
    json : bool
        Print every score as JSON.
    """
    if html is not None:
        check_place(html)
    from twinset.appraisal import evaluate

    with progress_bar() as progress:
        report = evaluate(
            real,
            synthetic,
            holdout=holdout,
            target=target,
            positive=positive,
            where=where,
            seed=seed,
            workers=workers,
            progress=progress,
        )
    if html is not None:
        write_text(html, report.to_html())
    if json:
        print(report.to_json(), end="")
        return
    print_scores(report.scores)
    print()
    print_summary(report.summary())
    print_notes(report.notes)
    if html is not None:
        print_paths({"report": html})

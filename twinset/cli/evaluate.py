"""`twinset evaluate`: a synthetic file measured against a real one."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from twinset.cli.files import check_places
from twinset.cli.options import EvaluateArguments, Flat, ReportFiles, given
from twinset.cli.progress import progress_bar
from twinset.cli.reports import write_and_print_reports
from twinset.cli.terminal import print_scores


def command(
    real: Path,
    synthetic: Path,
    /,
    *,
    holdout: Path | None = None,
    options: Annotated[EvaluateArguments, Flat] = EvaluateArguments(),
    reports: Annotated[ReportFiles, Flat] = ReportFiles(),
) -> int:
    """Measure a synthetic file against a real one.

    If `twinset twin` made the synthetic file, the provenance file beside it says which real rows are
    the holdout. Otherwise give real rows that the generator did not see by --holdout; without them
    leaks and usefulness cannot be measured. Exit code 3 means that a gate failed.

    Parameters
    ----------
    real : Path
        A CSV, Parquet or JSON-Lines file, a folder of images, or a file of labelled texts.
    synthetic : Path
        Such a file or folder with the same columns.
    holdout : Path
        Real rows that the generator did not see.
    """
    check_places(reports.by_option, (real, synthetic, holdout))
    from twinset.workflows.evaluate import evaluate

    settings = given(options)
    with progress_bar() as progress:
        report = evaluate(real, synthetic, holdout=holdout, progress=progress, **settings)
    return write_and_print_reports(
        report,
        {"report": reports.html, "markdown": reports.markdown, "junit": reports.junit},
        print_table=lambda: print_scores(report.scores),
        failed="A gate failed: exit code 3.",
        json=reports.json,
    )

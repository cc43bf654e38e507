"""`twinset compare`: several synthetic files measured against the same real one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from twinset.cli.files import check_places
from twinset.cli.options import EvaluateArguments, Flat, ReportFiles, given
from twinset.cli.progress import progress_bar
from twinset.cli.reports import write_and_print_reports
from twinset.cli.terminal import print_table
from twinset.core.errors import RecipeError
from twinset.core.findings import Verdict

if TYPE_CHECKING:
    from twinset.report.candidates import CandidateReport, MetricRow

_SIGNS = dict(zip(Verdict, "+!?-"))


def command(
    real: Path,
    /,
    *candidates: Path,
    holdout: Path | None = None,
    options: Annotated[EvaluateArguments, Flat] = EvaluateArguments(),
    reports: Annotated[ReportFiles, Flat] = ReportFiles(),
) -> int:
    """Measure several synthetic files against the same real one, side by side.

    All get the same split and the same seed. The provenance files that `twinset twin` wrote beside
    the files say which real rows are the holdout, and must agree; otherwise give real rows that no
    generator saw by --holdout. Exit code 3 means that no candidate passed every gate.

    Parameters
    ----------
    real : Path
        A CSV, Parquet or JSON-Lines file.
    candidates : Path
        Two or more such files with the same columns.
    holdout : Path
        Real rows that no generator saw.
    """
    check_places(reports.by_option, (real, holdout, *candidates))
    named = dict(zip(names_of(candidates), candidates))
    from twinset.workflows.compare import compare

    settings = given(options)
    with progress_bar() as progress:
        report = compare(real, named, holdout=holdout, progress=progress, **settings)
    return write_and_print_reports(
        report,
        {"page": reports.html, "markdown": reports.markdown, "junit": reports.junit},
        print_table=lambda: print_candidates(report),
        failed="No candidate passed every gate: exit code 3.",
        json=reports.json,
    )


def print_candidates(report: CandidateReport) -> None:
    """Print one line a metric: what real rows get, each candidate's value with its mark, the best."""
    names = list(report.scores)
    rows: list[tuple[str, ...]] = []
    for answer in report.answers:
        own = [row for row in report.rows if row.family == answer.family]
        if own:
            rows.append((answer.question, *[""] * (len(names) + 2)))
            rows += [_line(row, names) for row in own]
    print_table(("test", "real vs real", *names, "best"), rows)
    print(", ".join(f"{sign} {verdict}" for verdict, sign in _SIGNS.items()))


def names_of(paths: Sequence[Path]) -> list[str]:
    """Return a name for each file: its stem, and more of its path where stems are alike.

    Raises
    ------
    RecipeError
        A file is named twice.

    Examples
    --------
    >>> names_of([Path("out/a.csv"), Path("out/b.csv")])
    ['a', 'b']
    >>> names_of([Path("x/twin.csv"), Path("y/twin.csv")])
    ['x/twin', 'y/twin']
    """
    counts = Counter(path.resolve() for path in paths)
    twice = next((path for path in paths if counts[path.resolve()] > 1), None)
    if twice is not None:
        raise RecipeError(f"the candidate '{twice}' is named twice", todo="name each file once")
    ways = (
        [path.stem for path in paths],
        [path.name for path in paths],
        [f"{path.resolve().parent.name}/{path.stem}" for path in paths],
    )
    for names in ways:
        if len(set(names)) == len(names):
            return names
    return [f"{path.name} ({number})" for number, path in enumerate(paths, start=1)]


def _line(row: MetricRow, names: Sequence[str]) -> tuple[str, ...]:
    from twinset.report.answers.phrases import short

    cells = []
    for name in names:
        score = row.scores.get(name)
        cells.append("" if score is None else f"{short(score.value)} {_SIGNS[score.verdict]}")
    return (f"  {row.title}", row.format_baseline(), *cells, row.format_best())

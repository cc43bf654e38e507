"""Commands that measure a synthetic file: `evaluate`, `compare` and `twin`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from json import loads
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from twinset.cli import EXIT_GATE, EXIT_OK
from twinset.cli.options import EvaluateArguments, Flat, ReportFiles, TwinArguments, given
from twinset.cli.terminal import (
    check_places,
    paint,
    print_json,
    print_notes,
    print_paths,
    print_reading,
    print_scores,
    print_summary,
    print_table,
    progress_bar,
    write_text,
)
from twinset.core.errors import RecipeError
from twinset.core.findings import Verdict

if TYPE_CHECKING:
    from twinset.report import Report
    from twinset.report.candidates import CandidateReport, MetricRow

_SIGNS = dict(zip(Verdict, "+!?-"))


def evaluate(
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
    return _write_and_print(
        report, reports, "report", lambda: print_scores(report.scores), "A gate failed"
    )


def compare(
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
    failed = "No candidate passed every gate"
    return _write_and_print(report, reports, "page", lambda: print_candidates(report), failed)


def twin(
    source: Path,
    out: Path,
    /,
    *,
    options: Annotated[TwinArguments, Flat] = TwinArguments(),
    json: bool = False,
) -> None:
    """Make a synthetic twin of one file, and say how good it is.

    A holdout is split off before the generator is fitted, so that leaks can be measured. What the
    columns were understood as is printed, uncertain decisions first. OUT.html (the report) and
    OUT.twin.json (the provenance) are written beside OUT. Identifiers and free text are generated,
    never copied.

    Parameters
    ----------
    source : Path
        A CSV, Parquet or JSON-Lines file.
    out : Path
        File to write; its suffix (.csv, .parquet, .jsonl) names the format.
    json : bool
        Print the verdict, every score and what the columns were understood as, as JSON.
    """
    from twinset.workflows.twin import twin

    settings = given(options)
    with progress_bar() as progress:
        result = twin(source, out, progress=progress, **settings)
    assert result.reading is not None
    if json:
        values = loads(result.report.to_json())
        print_json({**values, "reading": result.reading.to_json()})
        return
    print_reading(result.reading)
    print()
    print_summary(result.report.summary())
    print_notes(result.report.notes)
    print()
    print_paths({"twin": result.paths["data"], "report": result.paths["report"]})


def _write_and_print(
    report: Report | CandidateReport,
    files: ReportFiles,
    page: str,
    print_table: Callable[[], None],
    failed: str,
) -> int:
    """Write the files asked for and print the rest; return the exit code.

    `page` is what the page is called, `failed` what is said when a gate failed.
    """
    forms = {
        page: (files.html, report.to_html),
        "markdown": (files.markdown, report.to_markdown),
        "junit": (files.junit, report.to_junit),
    }
    written = {name: place for name, (place, _) in forms.items() if place is not None}
    for name, place in written.items():
        write_text(place, forms[name][1]())
    if files.json:
        print(report.to_json(), end="")
    else:
        print_table()
        print()
        print_summary(report.summary())
        print_notes(report.notes)
        print_paths(written)
        if not report.passed:
            print(paint(f"{failed}: exit code 3.", "red"))
    return EXIT_OK if report.passed else EXIT_GATE


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

"""`twinset compare`: several synthetic files measured against the same real one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from twinset.cli.files import check_places
from twinset.cli.progress import progress_bar
from twinset.cli.reports import write_and_print_reports
from twinset.cli.terminal import print_table
from twinset.core.errors import RecipeError
from twinset.core.findings import Verdict

if TYPE_CHECKING:
    from twinset.report import CandidateReport
    from twinset.report.answers.ranking import MetricRow

_SIGNS = dict(zip(Verdict, "+!?-"))


def command(
    real: Path,
    /,
    *candidates: Path,
    holdout: Path | None = None,
    target: str | None = None,
    positive: str | None = None,
    where: str | None = None,
    seed: int | None = None,
    gate: Annotated[list[str] | None, Parameter(name="--gate")] = None,
    html: Path | None = None,
    markdown: Path | None = None,
    junit: Path | None = None,
    quick: bool = False,
    workers: int = 1,
    time: str | None = None,
    group: str | None = None,
    allow_leak: Annotated[list[str] | None, Parameter(name="--allow-leak")] = None,
    embedder: Annotated[list[str] | None, Parameter(name="--embedder")] = None,
    json: bool = False,
) -> int:
    """Measure several synthetic files against the same real one, side by side.

    All get the same split and the same seed. The notes that `twinset twin` wrote beside the files
    tell which real rows were locked away, and must tell the same; otherwise give real rows that no
    generator saw by --holdout.

    Parameters
    ----------
    real : Path
        A CSV, Parquet or JSON-Lines file.
    candidates : Path
        Two or more such files with the same columns.
    holdout : Path
        Real rows that no generator saw.
    target : str
        Column that models will predict.
    positive : str
        Label of the target that counts as positive.
    where : str
        Compare only rows that meet this condition, e.g. "Class = 1".
    seed : int
        Seed of the measuring.
    gate : list[str]
        A bound on a metric that each candidate is held against, e.g. --gate "gap.marginals <= 0.1";
        may be repeated. Exit code 3 means that no candidate passed them all.
    html : Path
        Write the comparison as a page to this file.
    markdown : Path
        Write the comparison as Markdown to this file.
    junit : Path
        Write the verdicts as JUnit XML to this file, one test case a metric and candidate.
    quick : bool
        Leave out the metrics that take a while.
    workers : int
        Threads; the result does not depend on them.
    time : str
        Column of the time: rows of the real file must be earlier than the holdout.
    group : str
        Column of the card, patient, ...: none may stand in both, unless the cut is by time.
    allow_leak : list[str]
        A kind of leak to tell instead of refuse, e.g. --allow-leak group; may be repeated.
    embedder : list[str]
        What to look at images with: classical, net, onnx:FILE, torchvision:MODEL:FILE or
        timm:MODEL:FILE; or at texts: words, wordllama, minilm. May be repeated. By default classical
        and, with a holdout, net; for texts words.
    json : bool
        Print every score of every candidate as JSON.
    """
    outputs = {"--html": html, "--markdown": markdown, "--junit": junit}
    check_places(outputs, (real, holdout, *candidates))
    named = dict(zip(names_of(candidates), candidates))
    from twinset.report import read_gates
    from twinset.workflows.compare import compare

    gates = read_gates(gate or ())
    with progress_bar() as progress:
        report = compare(
            real,
            named,
            holdout=holdout,
            target=target,
            positive=positive,
            where=where,
            seed=seed,
            gates=gates,
            quick=quick,
            workers=workers,
            progress=progress,
            time=time,
            group=group,
            allow_leaks=allow_leak or (),
            embedders=embedder,
        )
    return write_and_print_reports(
        report,
        {"page": html, "markdown": markdown, "junit": junit},
        print_table=lambda: print_candidates(report),
        failed="No candidate passed every gate: exit code 3.",
        json=json,
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
    return (f"  {row.title}", row.baseline_told(), *cells, row.told())

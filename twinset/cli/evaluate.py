"""`twinset evaluate`: a synthetic file measured against a real one."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from twinset.cli.files import check_places
from twinset.cli.progress import progress_bar
from twinset.cli.reports import write_and_print_reports
from twinset.cli.terminal import print_scores


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
    attacks: list[str] | None = None,
    json: bool = False,
) -> int:
    """Measure a synthetic file against a real one.

    If `twinset twin` made the synthetic file, the note beside it tells which real rows were locked
    away. Otherwise give real rows that the generator did not see by --holdout; without them leaks
    and usefulness cannot be measured. Exit code 3 means that a gate failed.

    Parameters
    ----------
    real : Path
        A CSV, Parquet or JSON-Lines file, a folder of images, or a file of labelled texts.
    synthetic : Path
        Such a file or folder with the same columns.
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
    gate : list[str]
        A bound on a metric, e.g. --gate "privacy.exact_copies <= 0" or
        --gate "gap.marginals difference <= 0.05"; may be repeated.
    html : Path
        Write the report to this file.
    markdown : Path
        Write verdict and scores as Markdown to this file.
    junit : Path
        Write gates and verdicts as JUnit XML to this file, one test case a metric.
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
    attacks : list[str]
        An attack that takes far longer than all else: --attacks shadow makes the generator again, many
        times; it needs the note that `twinset twin` wrote.
    json : bool
        Print every score as JSON.
    """
    outputs = {"--html": html, "--markdown": markdown, "--junit": junit}
    check_places(outputs, (real, synthetic, holdout))
    from twinset.report import read_gates
    from twinset.workflows.evaluate import evaluate

    gates = read_gates(gate or ())
    with progress_bar() as progress:
        report = evaluate(
            real,
            synthetic,
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
            attacks=attacks or (),
        )
    return write_and_print_reports(
        report,
        {"report": html, "markdown": markdown, "junit": junit},
        print_table=lambda: print_scores(report.scores),
        failed="A gate failed: exit code 3.",
        json=json,
    )

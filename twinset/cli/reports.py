"""What `evaluate` and `compare` do with what they found: pages, a summary, an exit code."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from twinset.cli import EXIT_GATE, EXIT_OK
from twinset.cli.files import write_text
from twinset.cli.terminal import paint, print_notes, print_paths, print_summary

if TYPE_CHECKING:
    from twinset.report import Report
    from twinset.report.candidates import CandidateReport


def write_and_print_reports(
    report: Report | CandidateReport,
    places: dict[str, Path | None],
    *,
    print_table: Callable[[], None],
    failed: str,
    json: bool,
) -> int:
    """Write the pages asked for and print the rest; return the exit code.

    Parameters
    ----------
    report : Report or CandidateReport
        What was found.
    places : dict of Path or None
        Where the page, the Markdown and the JUnit file go, in this order; None for none.
    print_table : callable
        Prints the scores.
    failed : str
        What is said when a gate failed.
    json : bool
        Whether JSON is printed instead of all that is meant for people.
    """
    forms = (report.to_html, report.to_markdown, report.to_junit)
    written = {}
    for (name, place), form in zip(places.items(), forms, strict=True):
        if place is not None:
            write_text(place, form())
            written[name] = place
    code = EXIT_OK if report.passed else EXIT_GATE
    if json:
        print(report.to_json(), end="")
        return code
    print_table()
    print()
    print_summary(report.summary())
    print_notes(report.notes)
    print_paths(written)
    if not report.passed:
        print(paint(failed, "red"))
    return code

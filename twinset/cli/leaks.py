"""`twinset leaks`: what a test file shares with the file that a model is trained on."""

from __future__ import annotations

from pathlib import Path

from twinset.cli import EXIT_GATE, EXIT_OK
from twinset.cli.options import Count, Read
from twinset.cli.terminal import print_json, print_lines, print_notes


def leaks(
    train: Path,
    test: Path,
    /,
    *,
    synthetic: Path | None = None,
    target: str | None = None,
    time: str | None = None,
    group: str | None = None,
    allow_leak: list[str] | None = None,
    seed: Count = 1,
    read: Read = None,
    json: bool = False,
) -> int:
    """Say what a test file shares with the file that a model is trained on.

    Copies, also in other spellings, units, time zones or under other names; rows that were multiplied
    or interpolated before the split; persons in both files; columns that were computed with the test
    rows, with later rows or from the target. Exit code 3 means that a leak was found.

    Parameters
    ----------
    train : Path
        A CSV, Parquet or JSON-Lines file, or a folder of images.
    test : Path
        Such a file or folder with the rows to test on.
    synthetic : Path
        Further rows to train on, that a generator made.
    target : str
        Column that models predict.
    time : str
        Column of the time of each row; no train row may be later than the earliest test row.
    group : str
        Column of the person, card or device; none may have rows in both files.
    allow_leak : list[str]
        Kind of leak that is reported but does not count; may be repeated.
    seed : int
        Seed of samples and permutations.
    read : list[str]
        How to read a CSV file, e.g. --read decimal=, --read text=zip; may be repeated.
    json : bool
        Print the findings, with positions of rows, as JSON.
    """
    from twinset.workflows.leaks import leaks

    found = leaks(
        train,
        test,
        synthetic=synthetic,
        target=target,
        time=time,
        group=group,
        allow=allow_leak or (),
        seed=seed,
        read=read,
    )
    if json:
        print_json(found.to_json())
    else:
        for leak in found.leaks:
            print_lines(f"{leak.kind}: {leak.message}.")
            if leak.at:
                print_lines(
                    f"  test rows, counted from 0: {', '.join(map(str, leak.at[:10]))}, ..."
                )
        for leak in found.allowed:
            print_lines(f"{leak.kind} (allowed): {leak.message}.")
        print_notes(found.notes)
        if found.passed:
            n = f"{found.train_rows:,} train rows and {found.test_rows:,} test rows"
            print_lines(f"No leak found between {n}.")
        else:
            print_lines(f"{len(found.leaks)} kind(s) of leak found: exit code 3.", colour="red")
    return EXIT_OK if found.passed else EXIT_GATE

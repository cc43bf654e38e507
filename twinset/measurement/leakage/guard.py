"""The leakage guard: `find_leakage` checks that a holdout is independent of what was trained on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from twinset.core.data.dataset import Dataset
from twinset.core.errors import LeakError
from twinset.core.seeding import rng_for
from twinset.measurement.leakage import duplicates, interpolation, provenance
from twinset.measurement.leakage.findings import Findings, Leak
from twinset.measurement.leakage.split_rows import SplitRows


def find_leakage(
    train: Dataset,
    holdout: Dataset,
    synthetic: Dataset | None = None,
    *,
    target: str | None = None,
    split_by: str | None = None,
    split_on: str | None = None,
    allow: Sequence[str] = (),
    seed: int = 0,
) -> Findings:
    """Return the information that a holdout shares with the rows that were trained on.

    Copies are compared with what a random split would leave in both sets, class by class, so that natural
    repeats pass and 20 copied frauds among 60,000 rows are found. Copies are found whole; with other ids,
    groups, times or labels; with one other column; and blurred. Rows that were multiplied or interpolated
    before the split are found by the traces they leave in their class.

    Parameters
    ----------
    train, holdout : Dataset
        Rows to learn from and rows to test on, with columns of the same names.
    synthetic : Dataset, optional
        Synthetic rows to train on: their parents must not be holdout rows, nor may they copy the holdout.
    target : str, optional
        The column to predict; by default the field with the role target.
    split_by : str, optional
        Method of the split. With "time" no train row may be later than the earliest holdout row, and groups
        may have rows in both sets.
    split_on : str, optional
        Column of the time; by default the field with the role time.
    allow : sequence of str
        Kinds of leaks (`LEAKS`) that are noted and do not count.
    seed : int
        Seed of the samples that are examined in large tables.

    Returns
    -------
    Findings
        At most one leak of each kind. About a second of CPU for 100,000 rows of 15 columns.

    Raises
    ------
    ParameterError
        `allow` names no kind of leak; or the split is by time and a set lacks the column of the time.

    Examples
    --------
    >>> import numpy as np
    >>> import pyarrow as pa
    >>> rng = np.random.default_rng(0)
    >>> real = Dataset.from_arrow(pa.table({c: rng.normal(size=400) for c in "abc"}))
    >>> find_leakage(real.slice(0, 300), real.slice(300, 100)).is_clean
    True
    >>> find_leakage(real, real.slice(300, 100)).leaks[0].kind
    'copies'
    """
    leaks = [
        *provenance.find_synthetic_rows(holdout),
        *provenance.find_parents(holdout, train, []),
    ]
    remarks = [
        *provenance.note_shared_ids(holdout, train),
        *provenance.note_single_groups(holdout, train),
    ]
    groups = provenance.find_shared_groups(holdout, train)
    if split_by == "time":
        leaks += provenance.find_future_rows(holdout, train, split_on)
        remarks += [f"{leak.message}; the split is by time, so they may" for leak in groups]
    else:
        leaks += groups
    if len(train) and len(holdout):
        leaks += _find_in_values(train, holdout, target, seed)
    found = Findings.from_leaks(leaks, allow, remarks)
    if synthetic is None:
        return found
    return found.join(
        find_synthetic_leakage(train, holdout, synthetic, target=target, allow=allow, seed=seed)
    )


def find_synthetic_leakage(
    train: Dataset,
    holdout: Dataset,
    synthetic: Dataset,
    *,
    target: str | None = None,
    allow: Sequence[str] = (),
    seed: int = 0,
) -> Findings:
    """Return the traces of the holdout in synthetic rows; train and holdout are not compared.

    Parameters
    ----------
    train, holdout, synthetic : Dataset
        The three sets, with columns of the same names.
    target, allow, seed
        As for `find_leakage`.

    Examples
    --------
    >>> import numpy as np
    >>> import pyarrow as pa
    >>> rng = np.random.default_rng(0)
    >>> real = Dataset.from_arrow(pa.table({c: rng.normal(size=400) for c in "abc"}))
    >>> train, holdout = real.slice(0, 300), real.slice(300, 100)
    >>> clean = find_synthetic_leakage(train, holdout, train)
    >>> clean.is_clean, find_synthetic_leakage(train, holdout, real).is_clean
    (True, False)
    """
    leaks = provenance.find_parents(holdout, train, [synthetic])
    if len(train) and len(holdout) and len(synthetic):
        split = SplitRows.from_datasets((train, holdout, synthetic), target)
        if split is not None:
            leaks += duplicates.find_copies_of_holdout(
                split
            ) or interpolation.find_lines_through_holdout(split, rng_for(seed, "leaks", "made"))
    return Findings.from_leaks(leaks, allow)


def require_clean_sets(
    train: Dataset,
    holdout: Dataset | None,
    candidates: Mapping[str, Dataset],
    *,
    target: str | None = None,
    split_by: str | None = None,
    split_on: str | None = None,
    allow: Sequence[str] = (),
    seed: int = 0,
) -> list[str]:
    """Return notes on the allowed leaks of the real sets and of synthetic ones; none without a holdout.

    Parameters
    ----------
    train, holdout : Dataset, Dataset or None
        The real sets.
    candidates : mapping
        Name -> synthetic set; a name other than "" precedes its notes.
    target, split_by, split_on, allow, seed
        As for `find_leakage`.

    Raises
    ------
    LeakError
        There is a leak that was not allowed.
    """
    if holdout is None:
        return []
    found = find_leakage(
        train,
        holdout,
        target=target,
        split_by=split_by,
        split_on=split_on,
        allow=allow,
        seed=seed,
    )
    notes = list(found.require_clean().notes)
    for name, synthetic in candidates.items():
        found = find_synthetic_leakage(
            train, holdout, synthetic, target=target, allow=allow, seed=seed
        )
        try:
            own = found.require_clean().notes
        except LeakError as error:
            error.what = f"candidate '{name}': {error.what}" if name else error.what
            raise
        notes += [f"{name}: {note}" if name else note for note in own]
    return notes


def _find_in_values(train: Dataset, holdout: Dataset, target: str | None, seed: int) -> list[Leak]:
    """Return the leaks that the values themselves show."""
    split = SplitRows.from_datasets((train, holdout), target)
    if split is None:
        return []
    oversampled = duplicates.find_oversampled_class(split, rng_for(seed, "leaks", "natural"))
    finer = interpolation.find_finer_numbers(split)
    doubtful = [leak for leak in (*oversampled, *finer) if leak.is_doubtful]
    leaks = [leak for leak in oversampled if not leak.is_doubtful]
    leaks += duplicates.find_copies(split)
    # Exact copies are approximate ones as well: one sentence is enough.
    if not leaks:
        leaks += duplicates.find_copies(split, approximate=True)
    leaks += (
        [leak for leak in finer if not leak.is_doubtful]
        or interpolation.find_linear_copies(split, rng_for(seed, "leaks", "lines"))
        or interpolation.find_shifted_rows(split, rng_for(seed, "leaks", "steps"))
    )
    if not leaks and split.features:
        near = rng_for(seed, "leaks", "near")
        leaks += duplicates.find_near_duplicates(train, holdout, split, near)
    return [*leaks, *doubtful]

"""`check` and `guard`: whether a holdout stands apart from what was trained on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from twinset.core.data.dataset import Dataset
from twinset.core.data.schema import Field
from twinset.core.errors import LeakError
from twinset.core.seeding import rng_for
from twinset.measurement.leakage import duplicates as _copies
from twinset.measurement.leakage import duplicates as _near
from twinset.measurement.leakage import linear_copies as _lines
from twinset.measurement.leakage import parents as _lineage
from twinset.measurement.leakage import row_order as _order
from twinset.measurement.leakage import shifted_rows as _steps
from twinset.measurement.leakage.duplicates import SplitRows, key_columns
from twinset.measurement.leakage.findings import Findings, Leak
from twinset.measurement.leakage.precision import finer_numbers
from twinset.measurement.leakage.row_keys import RowKeys
from twinset.measurement.leakage.simulated_splits import drawn_from_holdout

_MOST_CLASSES = 20


def check(
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
    """Return in which ways a holdout does not stand apart from what was trained on.

    Natural repeats are no leak: copies are held against what a cut at random would do, class by class,
    so that 20 copied frauds among 60,000 rows are seen. Copies are found whole, with other ids, groups,
    times or labels, but for any one column, and blurred; rows that were multiplied or interpolated
    before the cut are found by what they leave behind in their class.

    Parameters
    ----------
    train, holdout : Dataset
        Rows to learn from and rows to test on, with columns of the same names.
    synthetic : Dataset, optional
        Made rows to train on: their parents must not stand in the holdout, nor may they copy it.
    target : str, optional
        The column to predict; by default the field with the role target.
    split_by : str, optional
        How the cut was made. With "time" no train row may be later than the earliest holdout row, and
        groups may stand on both sides.
    split_on : str, optional
        The time's column; by default the field with the role time.
    allow : sequence of str
        Kinds of leaks (`LEAKS`) that are noted and do not count.
    seed : int
        Which rows are looked at where a part is enough.

    Returns
    -------
    Findings
        At most one leak of each kind. About a second of CPU for 100,000 rows of 15 columns.

    Raises
    ------
    ParameterError
        `allow` names no kind of leak; or the cut is by time and a part lacks the time's column.

    Examples
    --------
    >>> import pyarrow as pa
    >>> rng = np.random.default_rng(0)
    >>> real = Dataset.from_arrow(pa.table({c: rng.normal(size=400) for c in "abc"}))
    >>> check(real.slice(0, 300), real.slice(300, 100)).is_clean
    True
    >>> check(real, real.slice(300, 100)).leaks[0].kind
    'copies'
    """
    leaks = [*_lineage.synthetic_rows(holdout), *_lineage.parents(holdout, train, [])]
    remarks = [*_lineage.shared_ids(holdout, train), *_order.lone_groups(holdout, train)]
    groups = _order.shared_groups(holdout, train)
    if split_by == "time":
        leaks += _order.time_travel(holdout, train, split_on)
        remarks += [f"{leak.what}; the cut is by time, so they may" for leak in groups]
    else:
        leaks += groups
    if len(train) and len(holdout):
        leaks += _content(train, holdout, target, seed)
    found = Findings.of(leaks, allow, remarks)
    if synthetic is None:
        return found
    return found.joined(
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
    """Return whether made rows were drawn from the holdout; the real parts are taken as they are.

    Parameters
    ----------
    train, holdout, synthetic : Dataset
        The three sets, with columns of the same names.
    target, allow, seed
        As for `check`.

    Examples
    --------
    >>> import pyarrow as pa
    >>> rng = np.random.default_rng(0)
    >>> real = Dataset.from_arrow(pa.table({c: rng.normal(size=400) for c in "abc"}))
    >>> train, holdout = real.slice(0, 300), real.slice(300, 100)
    >>> clean = find_synthetic_leakage(train, holdout, train)
    >>> clean.is_clean, find_synthetic_leakage(train, holdout, real).is_clean
    (True, False)
    """
    leaks = _lineage.parents(holdout, train, [synthetic])
    if len(train) and len(holdout) and len(synthetic):
        cut = _cut((train, holdout, synthetic), target)
        if cut is not None:
            leaks += drawn_from_holdout(cut, rng_for(seed, "leaks", "made"))
    return Findings.of(leaks, allow)


def guard(
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
    """Return what `check` finds, and refuse where it finds a leak that is not allowed.

    Raises
    ------
    LeakError
        The holdout does not stand apart; the sentence says how and what allows it.

    Examples
    --------
    >>> import pyarrow as pa
    >>> real = Dataset.from_arrow(pa.table({"x": np.arange(50.0), "y": np.arange(50.0) ** 2}))
    >>> try:
    ...     guard(real, real)
    ... except LeakError as error:
    ...     print(error.kind)
    copies
    """
    return refuse(
        check(
            train,
            holdout,
            synthetic,
            target=target,
            split_by=split_by,
            split_on=split_on,
            allow=allow,
            seed=seed,
        )
    )


def refuse_sets(
    train: Dataset,
    holdout: Dataset | None,
    made: Mapping[str, Dataset],
    *,
    target: str | None = None,
    split_by: str | None = None,
    split_on: str | None = None,
    allow: Sequence[str] = (),
    seed: int = 0,
) -> list[str]:
    """Return what to note of allowed leaks of the real parts and of made sets; nothing without a holdout.

    Raises
    ------
    LeakError
        The holdout does not stand apart; a set with a name is told by it.
    """
    if holdout is None:
        return []
    real = check(
        train,
        holdout,
        target=target,
        split_by=split_by,
        split_on=split_on,
        allow=allow,
        seed=seed,
    )
    notes = list(refuse(real).notes)
    for name, synthetic in made.items():
        found = find_synthetic_leakage(
            train, holdout, synthetic, target=target, allow=allow, seed=seed
        )
        try:
            told = refuse(found).notes
        except LeakError as error:
            error.message = f"candidate '{name}': {error.message}" if name else error.message
            raise
        notes += [f"{name}: {words}" if name else words for words in told]
    return notes


def refuse(found: Findings) -> Findings:
    """Return the findings if they are clean.

    Raises
    ------
    LeakError
        They are not; the sentence names the first leak and the kinds of all.
    """
    if found.is_clean:
        return found
    worst, *more = found.leaks
    others = f" (and {', '.join(leak.kind for leak in more)})" if more else ""
    names = ", ".join(leak.kind for leak in found.leaks)
    raise LeakError(
        f"the holdout does not stand apart from what was trained on: {worst.what}{_rows(worst)}{others}",
        kind=worst.kind,
        todo="cut the real rows first and make rows from the train part alone; where you know better, "
        f"allow it (--allow-leak, or allow_leaks in a recipe and in Python): {names}",
    )


def _rows(leak: Leak) -> str:
    """Return where to look in the holdout, without a value of it."""
    if not leak.at:
        return ""
    more = ", ..." if leak.rows > len(leak.at) else ""
    return f" (in the holdout, counted from row 0: {', '.join(map(str, leak.at))}{more})"


def _content(train: Dataset, holdout: Dataset, target: str | None, seed: int) -> list[Leak]:
    """Return the leaks that the values themselves show."""
    cut = _cut((train, holdout), target)
    if cut is None:
        return []
    grown = _copies.oversampled(cut, rng_for(seed, "leaks", "natural"))
    finer = finer_numbers(cut)
    doubts = [leak for leak in (*grown, *finer) if leak.is_doubtful]
    leaks = [*(leak for leak in grown if not leak.is_doubtful), *_copies.copies(cut)]
    # What stands there whole stands there nearly, too: one sentence is enough.
    if not leaks:
        leaks += _copies.changed_copies(cut) or _copies.near_copies(cut)
    finer = [leak for leak in finer if not leak.is_doubtful]
    leaks += (
        finer
        or _lines.interpolated(cut, rng_for(seed, "leaks", "lines"))
        or _steps.interpolated_steps(cut, rng_for(seed, "leaks", "steps"))
    )
    if not leaks and cut.features:
        leaks += _distances(train, holdout, cut, seed)
    return [*leaks, *doubts]


def _distances(train: Dataset, holdout: Dataset, cut: SplitRows, seed: int) -> list[Leak]:
    rng = rng_for(seed, "leaks", "near")
    alike = [
        name
        for name in cut.features
        if name in cut.keys.numbers or train.schema[name].kind == holdout.schema[name].kind
    ]
    mine, other = (part.select(alike).without_reserved() for part in (holdout, train))
    if cut.labels is None:
        return _near.nearer_than_real(mine, other, rng)
    # By class: a class that was grown after the cut would shift what is usual in the whole.
    sizes = np.bincount(cut.labels[cut.labels >= 0], minlength=len(cut.names))
    for code in np.argsort(sizes, kind="stable"):
        rows = cut.labels == code
        words = f" of the class '{cut.names[code]}'"
        kept = mine.filter(rows[cut.in_holdout]), other.filter(rows[~cut.in_holdout])
        found = _near.nearer_than_real(*kept, rng, words)
        if found:
            return found
    return []


def _cut(parts: Sequence[Dataset], target: str | None) -> SplitRows | None:
    """Return the rows of train, holdout and perhaps a made set as keys; None without a column."""
    train = parts[0]
    shared = set.intersection(*(set(part.schema.names) for part in parts))
    fields = [f for f in train.schema.fields if f.name in shared and _is_keyed(f)]
    if not fields:
        return None
    names = tuple(f.name for f in fields)
    keys = RowKeys.of(parts, names)
    side = np.repeat(np.arange(len(parts), dtype=np.int8), [len(part) for part in parts])
    named = target or (train.schema.target.name if train.schema.target else None)
    target = named if named in names else None
    keyed = key_columns(keys, names, [f.kind for f in fields], side == 0)
    features = tuple(
        f.name
        for f in fields
        if f.name not in keyed and f.name != target and f.role not in ("group", "time", "target")
    )
    labels, levels = _labels(parts, target)
    return SplitRows(keys, side, labels, levels, names, features, target)


def _labels(
    parts: Sequence[Dataset], target: str | None
) -> tuple[np.ndarray[tuple[int], np.dtype[np.int32]] | None, tuple[str, ...]]:
    """Return the class of every row, with the names of the classes."""
    if target is None or parts[0].schema[target].kind in ("number", "datetime", "text"):
        return None, ()
    coded = [part.codes(target) for part in parts]
    levels = tuple(sorted({level for _, known in coded for level in known}))
    if not 2 <= len(levels) <= _MOST_CLASSES:
        return None, ()
    place = {level: i for i, level in enumerate(levels)}
    found = [
        np.array([*[place[level] for level in known], -1], dtype=np.int32)[codes]
        for codes, known in coded
    ]
    return np.concatenate(found), levels


def _is_keyed(field: Field) -> bool:
    kind = field.column_kind
    return not (kind.is_key or kind.is_annotation) and field.role not in ("identifier", "split")

"""The leakage guard: `find_leakage` checks that a holdout is independent of what was trained on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from twinset.core.data.dataset import Dataset
from twinset.core.errors import LeakError, ParameterError, did_you_mean
from twinset.core.seeding import rng_for
from twinset.measurement.leakage import duplicates, interpolation, matches
from twinset.measurement.leakage.canonical import canonical_codes
from twinset.measurement.leakage.disguises import find_disguised_labels
from twinset.measurement.leakage.encodings import SplitColumns, find_fitted_encodings
from twinset.measurement.leakage.events import find_divided_events
from twinset.measurement.leakage.evidence import Findings, Leak, SplitRows, first_rows, format_count
from twinset.measurement.leakage.future import find_future_columns
from twinset.measurement.leakage.image_copies import find_image_copies, note_unsearched_images
from twinset.measurement.leakage.nearness import find_near_duplicates
from twinset.measurement.leakage.normalisation import find_filled_by_class, find_normalised_columns
from twinset.measurement.leakage.text_copies import find_text_copies

_SINGLE_SHARE = 0.9  # of the rows in groups of their own: the column numbers rows
_MIN_GROUP_ROWS = 20  # in few rows, groups of one row are no surprise


def find_synthetic_rows(holdout: Dataset) -> list[Leak]:
    """Return the leak of holdout rows that are not real, by their origin or by the set's card."""
    origin = _column(holdout, "_origin")
    if origin is not None:
        texts = pc.fill_null(pc.cast(origin, pa.string()), "real")
        synthetic = pc.not_equal(texts, "real").to_numpy(zero_copy_only=False)
        n = int(synthetic.sum())
        if n:
            message = f"{format_count(n)} were made, not observed"
            return [Leak("synthetic_rows", message, n, at=first_rows(synthetic))]
    if holdout.card.origin != "real":
        message = f"the holdout is a set of {holdout.card.origin} rows, as its card says"
        return [Leak("synthetic_rows", message, len(holdout))]
    return []


def find_parents(holdout: Dataset, train: Dataset, synthetic: Sequence[Dataset]) -> list[Leak]:
    """Return the leak of holdout rows that are parents of rows to train on; or none.

    An id that is also one of a train row does not say which of the two is a parent: it is ignored.
    """
    ids = _column(holdout, "_id")
    if ids is None or len(ids) == 0:
        return []
    shared = _is_in(ids, _column(train, "_id"))
    if _ids_are_useless(shared, train):
        return []
    ids = ids.filter(pa.array(~shared))
    children, touched = 0, np.zeros(len(ids), dtype=bool)
    for part in (train, *synthetic):
        lists = _column(part, "_parents")
        if lists is None or len(lists) == 0:
            continue
        flat = pc.list_flatten(lists)
        hits = _is_in(flat, ids)
        if hits.any():
            owner = pc.list_parent_indices(lists).to_numpy()
            children += len(np.unique(owner[hits]))
            touched |= _is_in(ids, flat)
    if not children:
        return []
    rows = int(touched.sum())
    message = f"{format_count(rows)} are parents of {format_count(children, 'row')} to train on"
    at = tuple(np.flatnonzero(~shared)[list(first_rows(touched))].tolist())
    return [Leak("parents", message, rows, at=at)]


def note_shared_ids(holdout: Dataset, train: Dataset) -> list[str]:
    """Return the remark that holdout rows have ids of train rows; or none."""
    ids = _column(holdout, "_id")
    shared = np.zeros(0, bool) if ids is None else _is_in(ids, _column(train, "_id"))
    if not shared.any():
        return []
    limit = (
        "ids identify nothing, so parents were not searched"
        if _ids_are_useless(shared, train)
        else "these rows were not checked for being parents"
    )
    n = format_count(int(shared.sum()))
    return [f"{n} have an id ('_id') that also stands in the train set: {limit}"]


def find_shared_groups(holdout: Dataset, train: Dataset) -> list[Leak]:
    """Return the leak of groups (cards, patients) with rows in both train and holdout; or none."""
    for field in train.schema.with_role("group"):
        if field.name not in holdout.schema.names:
            continue
        in_holdout = np.repeat([False, True], [len(train), len(holdout)])
        columns = pa.chunked_array([_texts(part, field.name) for part in (train, holdout)])
        codes = canonical_codes(columns, in_holdout)
        own, other = codes[in_holdout], codes[~in_holdout]
        shared = np.isin(own, other[other >= 0])
        rows = int(shared.sum())
        if rows:
            n = len(np.unique(own[shared]))
            message = (
                f"{format_count(n, 'group')} of the column '{field.name}' have rows in both train and "
                f"holdout, {format_count(rows)}"
            )
            at = first_rows(shared)
            return [Leak("group", message, rows, at=at, expected=0.0, columns=(field.name,))]
    return []


def note_single_groups(holdout: Dataset, train: Dataset) -> list[str]:
    """Return a remark on each column of groups in which nearly every group has one row."""
    remarks = []
    for field in train.schema.with_role("group"):
        if field.name in holdout.schema.names:
            present = pa.concat_arrays([_texts(part, field.name) for part in (train, holdout)])
            present = present.drop_null()
            n_groups = len(pc.unique(present))
            if len(present) > _MIN_GROUP_ROWS and n_groups > _SINGLE_SHARE * len(present):
                remarks.append(
                    f"nearly every group of the column '{field.name}' has one row only, so keeping groups "
                    "whole separates nothing; name the column of the person or device, or none"
                )
    return remarks


def find_future_rows(holdout: Dataset, train: Dataset, on: str | None = None) -> list[Leak]:
    """Return the leak of train rows that are later than the earliest holdout row; or none.

    `holdout`, `train`: the split by time. `on`: column of the time; by default the first with the
    role time.
    """
    role = [field.name for field in train.schema.with_role("time")]
    for name in [on] if on is not None else role[:1]:
        for title, part in (("train set", train), ("holdout", holdout)):
            if name not in part.schema.names:
                raise ParameterError(
                    f"the column of the time is not in the {title}",
                    got=f"'{name}'",
                    allowed=", ".join(part.schema.names[:20]),
                    todo=did_you_mean(name, part.schema.names),
                )
        held = holdout.values(name)
        held = held[~np.isnan(held)]
        rows = int((train.values(name) > held.min()).sum()) if len(held) else 0
        if rows:
            n = format_count(rows, "train row")
            message = f"{n} are later than the earliest holdout row ('{name}')"
            return [Leak("time", message, rows)]
    return []


def _ids_are_useless(shared: npt.NDArray[np.bool_], train: Dataset) -> bool:
    """Return whether both sets number their rows alike."""
    return int(shared.sum()) > 0.5 * min(len(shared), len(train))


def _is_in(values: pa.Array, known: pa.Array | None) -> npt.NDArray[np.bool_]:
    if known is None:
        return np.zeros(len(values), dtype=bool)
    return np.asarray(pc.is_in(values, value_set=known).to_numpy(zero_copy_only=False))


def _column(dataset: Dataset, name: str) -> pa.Array | None:
    if name not in dataset.records.column_names:
        return None
    found = dataset.records.column(name).combine_chunks()
    return found.combine_chunks() if isinstance(found, pa.ChunkedArray) else found


def _texts(part: Dataset, name: str) -> pa.Array:
    return pc.cast(_column(part, name), pa.string())


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
        At most one leak of each kind. Two to three seconds of CPU for 30,000 rows of 15 columns.

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
    leaks = [*find_synthetic_rows(holdout), *find_parents(holdout, train, [])]
    remarks = [*note_shared_ids(holdout, train), *note_single_groups(holdout, train)]
    remarks += note_unsearched_images(train)
    groups = find_shared_groups(holdout, train)
    if split_by == "time":
        leaks += find_future_rows(holdout, train, split_on)
        remarks += [f"{leak.message}; the split is by time, so they may" for leak in groups]
    else:
        leaks += groups
    if len(train) and len(holdout):
        leaks += _find_in_values(train, holdout, target, seed)
        leaks += _find_in_columns(train, holdout, target, seed)
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

    `train`, `holdout`, `synthetic`: the three sets, with columns of the same names. `target`,
    `allow`, `seed`: as for `find_leakage`.

    >>> import numpy as np
    >>> import pyarrow as pa
    >>> rng = np.random.default_rng(0)
    >>> real = Dataset.from_arrow(pa.table({c: rng.normal(size=400) for c in "abc"}))
    >>> train, holdout = real.slice(0, 300), real.slice(300, 100)
    >>> clean = find_synthetic_leakage(train, holdout, train)
    >>> clean.is_clean, find_synthetic_leakage(train, holdout, real).is_clean
    (True, False)
    """
    leaks = find_parents(holdout, train, [synthetic])
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

    `train`, `holdout`: the real sets. `candidates`: name -> synthetic set; a name other than ""
    precedes its notes. `target`, `split_by`, `split_on`, `allow`, `seed`: as for `find_leakage`.
    """
    if holdout is None:
        return []
    found = find_leakage(
        train, holdout, target=target, split_by=split_by, split_on=split_on, allow=allow, seed=seed
    )
    notes = list(found.about_rows().require_clean().notes)
    for name, synthetic in candidates.items():
        found = find_synthetic_leakage(
            train, holdout, synthetic, target=target, allow=allow, seed=seed
        )
        try:
            own = found.require_clean().notes
        except LeakError as error:
            if not name:
                raise
            message = f"candidate '{name}': {error.message}"
            raise LeakError(message, kind=error.kind, todo=error.todo) from None
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
    if not leaks:
        leaks += duplicates.find_multiplied_rows(split, rng_for(seed, "leaks", "multiplied"))
    # Exact copies are approximate ones as well: one sentence is enough.
    if not leaks:
        leaks += matches.find_matches(
            train, holdout, target, split.fraction, rng_for(seed, "leaks", "matches")
        )
    if not leaks:
        leaks += duplicates.find_copies(split, approximate=True)
    leaks += (
        [leak for leak in finer if not leak.is_doubtful]
        or interpolation.find_linear_copies(split, rng_for(seed, "leaks", "lines"))
        or interpolation.find_shifted_rows(split, rng_for(seed, "leaks", "steps"))
    )
    if not leaks:
        leaks += find_image_copies(train, holdout, rng_for(seed, "leaks", "images"))
    if not leaks:
        leaks += find_text_copies(train, holdout, rng_for(seed, "leaks", "texts"))
    if not leaks and split.features:
        near = rng_for(seed, "leaks", "near")
        leaks += find_near_duplicates(train, holdout, split, near)
    return [*leaks, *doubtful]


def _find_in_columns(train: Dataset, holdout: Dataset, target: str | None, seed: int) -> list[Leak]:
    """Return the leaks of columns that know test rows, later rows or the target."""
    target = target or (train.schema.target.name if train.schema.target else None)
    columns = SplitColumns.from_datasets(train, holdout, target)
    rng = rng_for(seed, "leaks", "columns")
    return [
        *find_disguised_labels(train, holdout, columns, target),
        *find_filled_by_class(columns),
        *find_fitted_encodings(columns, rng),
        *find_normalised_columns(columns),
        *find_future_columns(columns, rng),
        *find_divided_events(train, holdout, columns, rng),
    ]

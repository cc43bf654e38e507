"""`leaks`: what a test set shares with the rows that a model is trained on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow.compute as pc
from threadpoolctl import threadpool_limits

from twinset.core.data.dataset import Dataset
from twinset.core.errors import ParameterError, did_you_mean
from twinset.ingest.input_table import open_table, with_role
from twinset.io.reading.options import ReadChoice
from twinset.measurement.leakage import Leak, find_leakage
from twinset.measurement.leakage.canonical import AlignedSets, align_sets
from twinset.measurement.leakage.evidence import MAX_CLASSES
from twinset.measurement.leakage.guard import find_shared_groups


@dataclass(frozen=True)
class LeakReport:
    """Leaks between a train set and a test set.

    Parameters
    ----------
    leaks : tuple of Leak
        Findings that make a score on the test set too good, one of each kind at most.
    allowed : tuple of Leak
        Findings of kinds that were allowed.
    notes : tuple of str
        What must be read with care.
    train_rows, test_rows : int
        Rows of both sets.
    """

    leaks: tuple[Leak, ...]
    allowed: tuple[Leak, ...]
    notes: tuple[str, ...]
    train_rows: int
    test_rows: int

    @property
    def passed(self) -> bool:
        """Whether there is no leak that was not allowed."""
        return not self.leaks

    def to_json(self) -> dict[str, Any]:
        """Return the report as plain JSON values."""
        return {
            "passed": self.passed,
            "train_rows": self.train_rows,
            "test_rows": self.test_rows,
            "leaks": [leak.to_json() for leak in self.leaks],
            "allowed": [leak.to_json() for leak in self.allowed],
            "notes": list(self.notes),
        }


def leaks(
    train: object,
    test: object,
    *,
    synthetic: object | None = None,
    target: str | None = None,
    time: str | None = None,
    group: str | None = None,
    allow: Sequence[str] = (),
    seed: int = 1,
    read: ReadChoice = None,
) -> LeakReport:
    """Return what a test set shares with the rows that a model is trained on.

    Parameters
    ----------
    train, test : path or Arrow object
        A CSV, Parquet or JSON-Lines file, or a pandas or polars frame, a pyarrow table, ... Columns with
        other names, units, formats or spellings are matched.
    synthetic : path or Arrow object, optional
        Further rows to train on that a generator made; the test set must not be among their sources.
    target : str, optional
        Column that models will predict. Without it classes, encodings of the target and labels in
        disguise are not examined.
    time : str, optional
        Column of the time of each row. No train row may be later than the earliest test row, unless
        the sets are split by `group`; no column may hold what was known only later.
    group : str, optional
        Column of the person, card or device: none may have rows in both sets, except where the sets are
        split by time.
    allow : sequence of str
        Kinds of leaks that are reported but do not count.
    seed : int
        Seed of samples and permutations.
    read : ReadOptions, mapping or sequence of str, optional
        How to read CSV files whose cells allow several readings.

    Returns
    -------
    LeakReport
        The leaks, each with rows affected, the number that chance explains, and positions of rows.

    Raises
    ------
    TwinsetError
        The arguments or the data cannot be used.

    Examples
    --------
    >>> import numpy as np
    >>> import pyarrow as pa
    >>> rng = np.random.default_rng(0)
    >>> real = pa.table({name: rng.normal(size=600) for name in ("a", "b", "c")})
    >>> leaks(real.slice(0, 400), real.slice(400)).passed
    True
    >>> leaks(real.slice(0, 500), real.slice(400)).leaks[0].kind
    'copies'
    """
    aligned = align_sets(
        open_table(train, name="train", read=read), open_table(test, name="test", read=read)
    )
    for name in (target, time, group):
        if name is not None and name not in aligned.train.schema.names:
            raise ParameterError(
                "a named column is not in both sets",
                got=f"'{name}'",
                allowed=", ".join(aligned.train.schema.names[:20]),
                todo=did_you_mean(name, aligned.train.schema.names),
            )
    labels = _has_labels(aligned.train, target)
    sets = [
        _with_roles(part, labels, target, time, group) for part in (aligned.train, aligned.test)
    ]
    made = None
    if synthetic is not None:
        made = align_sets(sets[0], open_table(synthetic, name="synthetic", read=read)).test
        made = made.with_card(origin="synthetic")
    with threadpool_limits(limits=1):
        found = find_leakage(
            sets[0],
            sets[1],
            made,
            target=target,
            split_by=_split_method(sets[0], sets[1], time, group),
            split_on=time,
            allow=allow,
            seed=seed,
        )
    return LeakReport(
        found.leaks,
        found.allowed,
        (*_describe_columns(aligned), *found.notes),
        len(sets[0]),
        len(sets[1]),
    )


_MIXED_SHARE = (
    0.5  # of the train rows later than the first test row: the sets are not split by time
)


def _with_roles(
    part: Dataset, labels: bool, target: str | None, time: str | None, group: str | None
) -> Dataset:
    """Return a set with the roles of the columns that were named."""
    if target is not None:
        part = part.with_schema(
            part.schema.with_target(target, kind="category" if labels else None)
        )
    if time is not None:
        part = with_role(part, time, "time")
    return part if group is None else with_role(part, group, "group")


def _has_labels(train: Dataset, target: str | None) -> bool:
    """Return whether a target of whole numbers has so few values that they are labels."""
    if target is None:
        return False
    values = pc.unique(train.records.column(target))
    return train.schema[target].is_numeric and len(values) <= MAX_CLASSES


def _split_method(train: Dataset, test: Dataset, time: str | None, group: str | None) -> str | None:
    """Return "time", unless whole groups were split and their times are mixed."""
    if time is None:
        return None
    if group is None or find_shared_groups(test, train):
        return "time"
    first = np.nanmin(test.values(time)) if np.isfinite(test.values(time)).any() else np.inf
    return None if float((train.values(time) > first).mean()) > _MIXED_SHARE else "time"


def _describe_columns(sets: AlignedSets) -> list[str]:
    """Return notes on columns with other names and on those that one set lacks."""
    notes = [
        f"the test column '{theirs}' was compared with the train column '{own}'"
        for theirs, own in sets.renamed.items()
    ]
    if sets.unmatched:
        notes.append(f"not compared, in one of the sets only: {', '.join(sets.unmatched[:20])}")
    return notes

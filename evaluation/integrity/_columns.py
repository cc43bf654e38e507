"""The columns of train, holdout and candidate, read once: numbers as floats, others as shared codes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Generic, TypeVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from twinset.core.contracts import Comparison
from twinset.core.data.schema import Field
from twinset.core.integrity import FaultKind

from ._checks import Check, count_rivals, exact_p

Values = npt.NDArray[Any]
Bools = npt.NDArray[np.bool_]
T = TypeVar("T")

_MAX_SHARE = 0.05  # share of a real value from which more of it is a matter of distribution
_MIN_COUNT = 5  # rows of a value that can be too many
_MIN_RATIO = 1.5  # times its real share, from which a share is a fault
_MAX_MISSING = 0.002  # share of real rows in which a column that is never missing may be missing
# A fold of a smooth tail beyond the last value is expected once in (this times the real rows); the model
# of the tail says 20 times
_TAIL_ROWS = 4.0


@dataclass(frozen=True)
class PerSet(Generic[T]):
    """The same of train, holdout and candidate."""

    train: T
    holdout: T
    synthetic: T

    def __iter__(self) -> Iterator[T]:
        return iter((self.train, self.holdout, self.synthetic))


@dataclass(frozen=True)
class Column:
    """One column in all three sets."""

    field: Field
    parts: PerSet[Values]  # Floats with NaN for missing, or codes with -1
    texts: pa.Array | None = None  # What the codes stand for; None for numbers

    @property
    def name(self) -> str:
        """Name of the column."""
        return self.field.name

    @property
    def is_numeric(self) -> bool:
        """Whether it holds floats."""
        return self.texts is None

    @property
    def is_compared(self) -> bool:
        """Whether its values say something of the row, unlike those of keys and texts."""
        kind = self.field.column_kind
        return not (kind.is_key or kind.is_free_text or self.field.role == "split")

    @cached_property
    def real(self) -> Values:
        """Values of train, then of the holdout."""
        return np.concatenate([self.parts.train, self.parts.holdout])

    @cached_property
    def sorted_real(self) -> Values:
        """Present values of train and holdout, rising."""
        return np.sort(self.real[self.is_present(self.real)])

    @property
    def tail_share(self) -> float:
        """Share of rows that may lie where a smooth tail hardly reaches."""
        return 1 / (_TAIL_ROWS * max(len(self.sorted_real), 1))

    def is_present(self, values: Values) -> Bools:
        """Return which values are not missing."""
        return is_present(values)

    def check(
        self, kind: FaultKind, learn: Callable[[Values], T], hit: Callable[[T, Values], Bools],
        detail: str = "", **more: Any,
    ) -> Check:  # fmt: skip
        """Return the check of values that `hit` finds by what `learn` makes of real values.

        The candidate is checked by all real rows, the holdout by train, and train by the holdout.
        """
        train, holdout, synthetic = self.parts
        rows = np.flatnonzero(hit(learn(self.real), synthetic))
        unseen = int(hit(learn(train), holdout).sum()), int(hit(learn(holdout), train).sum())
        return Check(kind, (self.name,), rows, unseen, (len(holdout), len(train)), detail, **more)

    def count(
        self, kind: FaultKind, hit: Callable[[Values], Bools], detail: str = "", **more: Any
    ) -> Check:
        """Return the check of values that `hit` finds, where nothing needs to be learnt."""
        return self.check(kind, lambda real: None, lambda _, values: hit(values), detail, **more)


def read_columns(comparison: Comparison) -> list[Column]:
    """Return the columns of the sets that are compared."""
    sets = (comparison.train, comparison.reference, comparison.synthetic)
    ends = np.cumsum([len(part) for part in sets])[:-1]
    columns = []
    for field in comparison.reference.schema.fields:
        if all(part.schema[field.name].column_kind.has_float_values for part in sets):
            columns.append(Column(field, PerSet(*(part.values(field.name) for part in sets))))
            continue
        chunks = [
            chunk
            for part in sets
            for chunk in pc.cast(part.records.column(field.name), pa.large_string()).chunks
        ]
        encoded = pa.concat_arrays(chunks).dictionary_encode()
        codes = pc.fill_null(encoded.indices, -1).to_numpy(zero_copy_only=False)
        columns.append(Column(field, PerSet(*np.split(codes, ends)), encoded.dictionary))
    return columns


def missing_check(column: Column) -> Iterator[Check]:
    """Yield the check of cells that are missing where real rows never lack one."""
    if (~column.is_present(column.real)).mean() <= _MAX_MISSING:
        yield column.count(FaultKind.MISSING, lambda values: ~column.is_present(values))


def is_present(values: Values) -> Bools:
    """Return which values are not missing: NaN in floats, -1 in codes; hashes never are."""
    if values.dtype.kind == "f":
        return np.asarray(~np.isnan(values))
    return np.asarray(values >= 0)


def repeat_checks(
    parts: PerSet[Values], kind: FaultKind, columns: tuple[str, ...]
) -> Iterator[Check]:
    """Yield the checks of one value that no real row has, and of one that too many rows have."""
    train, holdout, synthetic = parts
    real = np.sort(np.concatenate([train, holdout]))
    own, counts = np.unique(synthetic[is_present(synthetic)], return_counts=True)
    own, counts = own[counts >= _MIN_COUNT], counts[counts >= _MIN_COUNT]
    n, m = len(synthetic), len(real)
    there = np.searchsorted(real, own, "right") - np.searchsorted(real, own, "left")

    def check(place: int | None, detail: str, n_tests: float) -> Check:
        hits = [np.zeros(0, bool) if place is None else part == own[place] for part in parts]
        unseen = int(hits[1].sum()), int(hits[0].sum())
        n_real = len(holdout), len(train)
        rows = np.flatnonzero(hits[2])
        return Check(kind, columns, rows, unseen, n_real, detail, n_tests, is_chosen=True)

    is_new = there == 0
    new = int(np.argmax(np.where(is_new, counts, 0))) if is_new.any() else None
    rivals = 1.0 if new is None else count_rivals(counts + there, int(counts[new]), n / (n + m))
    yield check(new, "a value that no real row has", rivals)
    excess = (counts / n > _MIN_RATIO * (there + 1) / (m + 1)) & (there / m <= _MAX_SHARE) & ~is_new
    p = np.where(excess, exact_p(counts, n, there, m), 1.0)
    yield check(int(np.argmin(p)) if excess.any() else None, "", float(max(len(own), 1)))

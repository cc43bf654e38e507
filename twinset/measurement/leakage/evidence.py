"""Evidence of leakage: kinds, findings, rows of a split as keys, tail probabilities."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, get_args

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from twinset.core.contracts import LeakKind
from twinset.core.data.dataset import Dataset
from twinset.core.data.schema import Field
from twinset.core.errors import LeakError, ParameterError, did_you_mean
from twinset.core.features.encoder import robust_scale
from twinset.core.notes import Note, NoteKind
from twinset.core.seeding import GOLDEN, spread

LEAKS: tuple[str, ...] = get_args(LeakKind)
"""Kinds of leaks, by the name that allows them."""

ABOUT_COLUMNS = frozenset({"preprocessing", "future", "label"})
"""Leaks of columns: they are in the real data themselves, whatever synthetic rows are measured."""

_N_PRINTED_ROWS = 5  # positions in an error: enough to look at, and they still fit on a line
_N_REPORTED_ROWS = 100  # positions of a finding: enough to examine it


@dataclass(frozen=True)
class Leak:
    """One way in which a holdout shares information with the rows that were trained on."""

    kind: str  # One of `LEAKS`
    message: str  # The finding in one sentence, without a full stop
    rows: int  # Holdout rows that are affected, among those that were examined
    # Natural logarithm of the probability of as much by chance, at most 0; minus infinity where
    # chance has no part in it
    log_chance: float = -float("inf")
    # Whether the nature of the class is another explanation; such a leak is a remark
    is_doubtful: bool = False
    # Positions of the first affected rows in the holdout, from 0; empty where they are not known
    at: tuple[int, ...] = ()
    expected: float | None = None  # Rows that chance explains; None where it explains none
    columns: tuple[str, ...] = ()  # Columns that the finding is about

    def to_json(self) -> dict[str, Any]:
        """Return the leak as plain JSON values; the chance as a power of ten."""
        tens = None if self.log_chance == -float("inf") else round(self.log_chance / np.log(10), 1)
        return {
            "kind": self.kind,
            "message": self.message,
            "rows": self.rows,
            "expected": None if self.expected is None else round(self.expected, 2),
            "log10_chance": tens,
            "columns": list(self.columns),
            "positions": list(self.at),
        }


@dataclass(frozen=True)
class Findings:
    """Result of a leakage check."""

    leaks: tuple[Leak, ...] = ()  # Those that make an evaluation worthless
    allowed: tuple[Leak, ...] = ()  # Those that the caller allowed
    remarks: tuple[str, ...] = ()  # Further sentences for the reader

    @classmethod
    def from_leaks(
        cls, leaks: Sequence[Leak], allow: Sequence[str] = (), remarks: Sequence[str] = ()
    ) -> Findings:
        """Return the first leak of each kind; doubtful leaks become remarks."""
        check_allowed(allow)
        first: dict[str, Leak] = {}
        for leak in leaks:
            if not leak.is_doubtful:
                first.setdefault(leak.kind, leak)
        return cls(
            tuple(leak for kind, leak in first.items() if kind not in allow),
            tuple(leak for kind, leak in first.items() if kind in allow),
            (*remarks, *(leak.message for leak in leaks if leak.is_doubtful)),
        )

    def join(self, other: Findings) -> Findings:
        """Return the findings of two checks, one leak of each kind."""
        kinds = [leak.kind for leak in (*self.allowed, *other.allowed)]
        leaks = (*self.leaks, *self.allowed, *other.leaks, *other.allowed)
        return Findings.from_leaks(leaks, kinds, (*self.remarks, *other.remarks))

    def about_rows(self) -> Findings:
        """Return the findings with leaks of columns as remarks."""
        rest = tuple(leak for leak in self.leaks if leak.kind not in ABOUT_COLUMNS)
        columns = [
            f"possible leak '{leak.kind}' in the real rows: {leak.message} (see `twinset leaks`)"
            for leak in self.leaks
            if leak.kind in ABOUT_COLUMNS
        ]
        return Findings(rest, self.allowed, (*self.remarks, *columns))

    @property
    def is_clean(self) -> bool:
        """Whether there is no leak that was not allowed."""
        return not self.leaks

    @property
    def notes(self) -> list[str]:
        """Sentences for a report: every allowed leak, then the remarks."""
        kind = NoteKind.ALLOWED_LEAK
        notes = [Note(f"Allowed leak '{leak.kind}': {leak.message}", kind) for leak in self.allowed]
        return [*notes, *self.remarks]

    def require_clean(self) -> Findings:
        """Return the findings if they are clean."""
        if self.is_clean:
            return self
        first, *others = self.leaks
        more = f" (and {', '.join(leak.kind for leak in others)})" if others else ""
        names = ", ".join(leak.kind for leak in self.leaks)
        shown = first.at[:_N_PRINTED_ROWS]
        at = ", ".join(map(str, shown)) + ", ..." * (first.rows > len(shown))
        place = f" (in the holdout, counted from row 0: {at})" if first.at else ""
        raise LeakError(
            f"the holdout is not independent of the training rows: {first.message}{place}{more}",
            kind=first.kind,
            todo="split the real rows first and generate rows from the train set alone; where you know "
            f"better, allow it (--allow-leak, or allow_leaks in a recipe and in Python): {names}",
        )


def check_allowed(allow: Sequence[str]) -> None:
    """Raise ParameterError for a name that is no kind of leak."""
    for name in allow:
        if name not in LEAKS:
            raise ParameterError(
                "an allowed leak is not known",
                got=f"'{name}'",
                allowed=", ".join(LEAKS),
                todo=did_you_mean(name, LEAKS),
            )


def first_rows(touched: npt.NDArray[np.bool_]) -> tuple[int, ...]:
    """Return the positions of the first hundred rows that are touched.

    >>> first_rows(np.array([False, True, True, False]))
    (1, 2)
    """
    return tuple(np.flatnonzero(touched)[:_N_REPORTED_ROWS].tolist())


def format_count(n: int, noun: str = "holdout row") -> str:
    """Return the number with its noun; small counts, 1 to 10, are not disclosed.

    >>> format_count(1_200), format_count(3)
    ('1,200 holdout rows', 'fewer than 11 holdout rows')
    """
    return f"fewer than 11 {noun}s" if 0 < n < 11 else f"{n:,} {noun}s"


Bools = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]
Keys = npt.NDArray[np.uint64]

LOG_ALPHA = float(np.log(1e-5))
"""Level of the tests: a run makes dozens of them. Where columns or grids are tried, it is divided among
them."""

MAX_CLASSES = 20  # a target with more values is not a label of classes
_MIN_CLASS_HOLDOUT = 30  # holdout rows of a class: with fewer, its share in the holdout is noise
_TIED = 1.05  # two classes whose sizes differ by less may both have been enlarged to equal size
_UNIQUE_SHARE = 0.99  # a whole number or date that differs in more rows than that acts as a key
# Positive arguments of the moment-generating function: they cover tails from 1e-5 to 1e-300.
_TILTS = np.concatenate([[0.0], np.geomspace(1e-3, 60.0, 90)])


def log_tail(successes: int, probabilities: npt.ArrayLike, counts: npt.ArrayLike) -> float:
    """Return an upper bound of ln P(at least `successes`) for independent trials.

    Chernoff's bound, min_t sum_g n_g ln(1 + p_g (e^t - 1)) - t k, at most 0; it is the exact value where
    every trial succeeds.

    `successes`: observed number k. `probabilities`, shape (g,): success probability of each group
    of trials, in [0, 1]. `counts`, shape (g,): trials of each group.

    >>> round(float(np.exp(log_tail(3, 0.5, 3))), 3)
    0.125
    """
    chance, trials = np.atleast_1d(probabilities), np.atleast_1d(counts)
    kept = (chance > 0) & (trials > 0)
    chance, trials = chance[kept], trials[kept]
    if successes <= float(chance @ trials):
        return 0.0
    if successes > trials.sum():
        return -np.inf
    if successes == trials.sum():
        return float(trials @ np.log(chance))
    bound = np.log1p(chance * np.expm1(_TILTS[:, None])) @ trials - _TILTS * successes
    return min(0.0, float(bound.min()))


def fit_line(x: Floats, y: Floats) -> tuple[float, float]:
    """Return slope and base of the least-squares line of y on x, which must not be constant.

    >>> fit_line(np.array([0.0, 1.0, 2.0]), np.array([1.0, 3.0, 5.0]))
    (2.0, 1.0)
    """
    centred = x - x.mean()
    slope = float(centred @ (y - y.mean()) / (centred @ centred))
    return slope, float(y.mean() - slope * x.mean())


def split_probabilities(
    sizes: npt.NDArray[np.int64], fraction: float
) -> tuple[Floats, npt.NDArray[np.int64]]:
    """Return the probability that ties are divided by a random split, and their number, by size.

    Every row falls into the holdout with probability `fraction`.

    >>> split_probabilities(np.array([2, 2, 3]), 0.5)
    (array([0.5 , 0.75]), array([2, 1]))
    """
    size, counts = np.unique(sizes, return_counts=True)
    return 1.0 - ((1.0 - fraction) ** size + fraction**size), counts


@dataclass(frozen=True)
class RowKeys:
    """Cells of several sets, one below the other, as hashes that add up to a key for each row."""

    cells: Mapping[str, Keys]  # Column -> 64-bit hash of each row's cell, shape (n,)
    numbers: Mapping[str, Floats]  # Numeric column -> values, NaN where missing, shape (n,)
    _scaled: dict[str, Floats] = field(default_factory=dict, repr=False)

    @classmethod
    def from_datasets(cls, parts: Sequence[Dataset], names: Sequence[str]) -> RowKeys:
        """Return the keys of the named columns of all parts."""
        cells, numbers = {}, {}
        for place, name in enumerate(names):
            if all(part.schema[name].column_kind.has_float_values for part in parts):
                numbers[name] = np.concatenate([part.values(name) for part in parts])
                raw = _bits(numbers[name])
            else:
                raw = _shared_codes(parts, name)
            cells[name] = hash_cells(raw, place)
        return cls(cells, numbers)

    def key(self, names: Sequence[str]) -> Keys:
        """Return one key a row over the named columns, shape (n,)."""
        return sum_cells({name: self.cells[name] for name in names})

    def grid_key(self, names: Sequence[str], width: float, shift: float) -> Keys:
        """Return one key a row, equal for numbers in one cell of a grid and equal other cells.

        `names`: columns. `width`: side of a cell, in units of the column's spread. `shift`: offset
        of the grid, in [0, 1) of a side.
        """
        total = np.zeros(len(next(iter(self.cells.values()))), dtype=np.uint64)
        for place, name in enumerate(names):
            if name not in self.numbers:
                total += self.cells[name]
                continue
            if name not in self._scaled:
                values = self.numbers[name]
                centre, scale = robust_scale(values[np.isfinite(values)])
                self._scaled[name] = (values - centre) / scale
            cell = np.floor(self._scaled[name] / width + (shift + 0.618 * place) % 1.0)
            total += hash_cells(_bits(cell), place)
        return total


def sum_cells(cells: Mapping[str, Keys]) -> Keys:
    """Return the keys of rows from the hashes of their cells, shape (n,)."""
    total = np.zeros(len(next(iter(cells.values()))), dtype=np.uint64)
    for cell in cells.values():
        total += cell
    return total


def hash_points(points: Floats) -> Keys:
    """Return one key for each row of a matrix, equal for equal rows, shape (n,)."""
    total = np.zeros(len(points), dtype=np.uint64)
    for place, column in enumerate(points.T):
        total += hash_cells(_bits(column), place)
    return total


@dataclass(frozen=True)
class SplitRows:
    """Rows of a train set, a holdout and perhaps a synthetic set, one below the other."""

    keys: RowKeys  # Their cells
    # 0 for a train row, 1 for a holdout row, 2 for a synthetic row, shape (n,)
    part: npt.NDArray[np.int8]
    # Class of each row, shape (n,); None without a target that holds labels
    labels: npt.NDArray[np.int32] | None
    names: tuple[str, ...]  # Names of the classes
    columns: tuple[str, ...]  # Columns to compare, without identifiers
    features: tuple[str, ...]  # Columns without targets, groups, times and those that act as keys

    @classmethod
    def from_datasets(cls, parts: Sequence[Dataset], target: str | None) -> SplitRows | None:
        """Return the rows of train, holdout and perhaps synthetic set; None without a column."""
        train = parts[0]
        shared = set.intersection(*(set(part.schema.names) for part in parts))
        fields = [
            f
            for f in train.schema.fields
            if f.name in shared
            and not (f.column_kind.is_key or f.column_kind.is_annotation)
            and f.role not in ("identifier", "split")
        ]
        if not fields:
            return None
        names = tuple(f.name for f in fields)
        keys = RowKeys.from_datasets(parts, names)
        part = np.repeat(np.arange(len(parts), dtype=np.int8), [len(one) for one in parts])
        target = target or (train.schema.target.name if train.schema.target else None)

        def acts_as_key(column: Field) -> bool:
            """Return whether a whole number or date differs in nearly every train row."""
            cells = keys.cells[column.name][part == 0]
            is_counted = column.kind in ("integer", "datetime") and len(cells) > 1
            return is_counted and len(np.unique(cells)) > _UNIQUE_SHARE * len(cells)

        features = tuple(
            f.name
            for f in fields
            if f.name != target and f.role not in ("group", "time", "target") and not acts_as_key(f)
        )
        labels, levels = _shared_labels(parts, target if target in names else None)
        return cls(keys, part, labels, levels, names, features)

    @property
    def in_holdout(self) -> Bools:
        """Holdout rows, shape (n,)."""
        return np.asarray(self.part == 1)

    @property
    def fraction(self) -> float:
        """Share of rows that the split put into the holdout, in (0, 1).

        A class that was enlarged in the train set after the split lowers the share, so that of the class
        with the largest share is taken.
        """
        whole = float(self.in_holdout.mean())
        of_classes = [self.in_holdout[self.labels == code] for code in range(len(self.names))]
        shares = [float(held.mean()) for held in of_classes if held.sum() >= _MIN_CLASS_HOLDOUT]
        return max(whole, min(max([whole, *shares]), 0.5))

    @property
    def column_sets(self) -> list[tuple[str, ...]]:
        """All columns, then the features alone, where they differ."""
        return [names for names in dict.fromkeys((self.columns, self.features)) if names]

    @property
    def class_sizes(self) -> npt.NDArray[np.int64]:
        """Rows of each class, shape (classes,)."""
        assert self.labels is not None
        return np.bincount(self.labels[self.labels >= 0], minlength=len(self.names))

    def first_in_holdout(self, touched: Bools) -> tuple[int, ...]:
        """Return the positions in the holdout of the first of its rows that are touched."""
        return first_rows(touched[self.in_holdout])

    def iterate_classes(self) -> Iterator[tuple[str, Bools]]:
        """Yield all rows, then the rows of each class, with a phrase that names them."""
        yield "", np.ones(len(self.part), dtype=bool)
        if self.labels is not None:
            for code, name in enumerate(self.names):
                yield f" of the class '{name}'", self.labels == code

    def list_enlarged_classes(self) -> list[int]:
        """Return the classes that may have been enlarged: all but a clearly largest, rarest first."""
        if self.labels is None:
            return []
        sizes = self.class_sizes
        order = np.argsort(sizes, kind="stable")
        tied = len(order) > 1 and sizes[order[-1]] <= _TIED * sizes[order[-2]]
        return [int(code) for code in (order if tied else order[:-1])]

    def largest_other_class(self, code: int) -> int:
        """Return the largest class except `code`, as a control of what is natural."""
        sizes = self.class_sizes
        return int(np.argmax(np.where(np.arange(len(sizes)) == code, -1, sizes)))


def _shared_labels(
    parts: Sequence[Dataset], target: str | None
) -> tuple[npt.NDArray[np.int32] | None, tuple[str, ...]]:
    """Return the class of every row, with the names of the classes."""
    if target is None or parts[0].schema[target].kind in ("number", "datetime", "text"):
        return None, ()
    coded = [part.codes(target) for part in parts]
    levels = tuple(sorted({level for _, known in coded for level in known}))
    if not 2 <= len(levels) <= MAX_CLASSES:
        return None, ()
    place = {level: i for i, level in enumerate(levels)}
    found = [
        np.array([*[place[level] for level in known], -1], dtype=np.int32)[codes]
        for codes, known in coded
    ]
    return np.concatenate(found), levels


def hash_cells(raw: Keys, salt: int) -> Keys:
    """Return 64-bit hashes (SplitMix64) that differ with the salt."""
    with np.errstate(over="ignore"):
        return spread(raw + GOLDEN * np.uint64(2 * salt + 1))


def _bits(values: Floats) -> Keys:
    """Return the bits of numbers; -0 equals 0 and all NaN are equal."""
    plain = np.where(np.isnan(values), np.nan, values + 0.0)
    return np.ascontiguousarray(plain, dtype=np.float64).view(np.uint64)


def _shared_codes(parts: Sequence[Dataset], name: str) -> Keys:
    """Return the values of a column as codes that all parts share."""
    columns = [_plain(part.records.column(name)) for part in parts]
    if len({column.type for column in columns}) > 1:
        columns = [pc.cast(column, pa.string()) for column in columns]
    joined = pa.chunked_array([chunk for column in columns for chunk in column.chunks])
    codes = pc.fill_null(joined.combine_chunks().dictionary_encode().indices, -1)
    return np.asarray(codes.to_numpy(zero_copy_only=False).astype(np.int64).view(np.uint64))


def _plain(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return dictionaries as texts, and images as their bytes or paths."""
    if pa.types.is_dictionary(column.type):
        return pc.cast(column, pa.string())
    if pa.types.is_struct(column.type):
        content = pc.struct_field(column, "bytes")
        return content if content.null_count < len(content) else pc.struct_field(column, "path")
    return column

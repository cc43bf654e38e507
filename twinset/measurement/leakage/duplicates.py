"""Rows that occur in two sets: copies between train and holdout, and real rows in synthetic sets.

Natural repeats are no leak. A random split divides a group of equal rows between train and holdout with a
known probability; rows that were copied across are divided more often. Rows that were multiplied before the
split are divided as chance does, but one class has many more repeats than the others.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from twinset.core.data.dataset import Dataset
from twinset.measurement.leakage.evidence import (
    LOG_ALPHA,
    Bools,
    Keys,
    Leak,
    SplitRows,
    format_count,
    log_tail,
    split_probabilities,
    sum_cells,
)

_MIN_NUMERIC = 2  # a grid over one number puts unrelated rows into one cell
# Width and offset of the grids: the offsets differ so that a pair near a border meets in one of two.
_GRIDS = ((0.02, 0.0), (0.02, 0.5), (0.1, 0.25), (0.1, 0.75), (0.4, 0.0), (0.4, 0.5))


class _Candidate(NamedTuple):
    """Keys that copies would share, with a description of such copies."""

    kind: str
    key: Keys
    rows: Bools
    subject: str
    description: str
    n_tried: int = 1


def find_copies(split: SplitRows, approximate: bool = False) -> list[Leak]:
    """Return the leak of rows that are in both train and holdout more often than chance explains.

    Exact copies agree in all columns, or in all features. Approximate ones lie in the same cell of a
    grid. Candidates are tested in this order, up to the first that is found.
    """
    fraction = split.fraction
    for candidate in _approximate_keys(split) if approximate else _exact_keys(split):
        found = _test_ties(candidate, split.in_holdout, fraction)
        if found is not None:
            n, expected, chance = found
            message = (
                f"{format_count(n)}{candidate.subject} {candidate.description}, where chance explains "
                f"{expected:,.0f}"
            )
            rows, key = candidate.rows, candidate.key
            shared = rows & np.isin(key, key[rows & ~split.in_holdout])
            at = split.first_in_holdout(shared)
            return [Leak(candidate.kind, message, n, chance, at=at)]
    return []


def _exact_keys(split: SplitRows) -> Iterator[_Candidate]:
    excluded = [name for name in split.columns if name not in split.features]
    but_for = ", ".join(f"'{name}'" for name in excluded[:5]) + ", ..." * (len(excluded) > 5)
    for names in split.column_sets:
        key = split.keys.key(names)
        is_whole = names == split.columns
        method = "value for value" if is_whole else f"but for {but_for}"
        kind = "copies" if is_whole else "changed_copies"
        for subject, rows in split.iterate_classes():
            yield _Candidate(kind, key, rows, subject, f"also stand in the train set, {method}")


def _approximate_keys(split: SplitRows) -> Iterator[_Candidate]:
    for names in split.column_sets:
        if sum(name in split.keys.numbers for name in names) < _MIN_NUMERIC:
            continue
        for width, shift in _GRIDS:
            key = split.keys.grid_key(names, width, shift)
            method = f"have a train row within {width:g} of a spread in every column"
            for subject, rows in split.iterate_classes():
                yield _Candidate("near_copies", key, rows, subject, method, len(_GRIDS))


def _test_ties(
    candidate: _Candidate, in_holdout: Bools, fraction: float
) -> tuple[int, float, float] | None:
    """Return (shared holdout rows, as many by chance, log chance), if ties are divided too often."""
    key, in_holdout = candidate.key[candidate.rows], in_holdout[candidate.rows]
    if in_holdout.all() or not in_holdout.any():
        return None
    order = np.argsort(key)
    ordered = key[order]
    starts = np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1]]))
    sizes = np.diff(np.append(starts, len(key)))
    held = np.add.reduceat(in_holdout[order].astype(np.int64), starts)
    tied = sizes > 1
    sizes, held = sizes[tied], held[tied]
    divided = (held > 0) & (held < sizes)
    chances, counts = split_probabilities(sizes, fraction)
    chance = log_tail(int(divided.sum()), chances, counts)
    if chance >= LOG_ALPHA - np.log(candidate.n_tried):
        return None
    expected = float(chances @ counts) * float(held[divided].mean())
    return int(held[divided].sum()), expected, chance


# of the holdout may equal synthetic rows: chance hits of rounded values
_HOLDOUT_COPY_SHARE = 0.001
_HOLDOUT_COPY_TIMES = 2.0  # synthetic rows may equal holdout rows twice as often as train rows do


def find_copies_of_holdout(split: SplitRows) -> list[Leak]:
    """Return the leak of synthetic rows (part 2) that copy the holdout.

    Twice as many holdout rows may equal a synthetic row as equal a train row, in proportion to the
    number of synthetic rows.
    """
    for names in split.column_sets:
        key = split.keys.key(names)
        in_train, in_synthetic = (np.isin(key, key[split.part == part]) for part in (0, 2))
        for subject, rows in split.iterate_classes():
            own = split.in_holdout & rows
            n, k = int(own.sum()), int(in_synthetic[own].sum())
            if not k:
                continue
            n_train, n_synthetic = (int((rows & (split.part == part)).sum()) for part in (0, 2))
            more = max(1.0, n_synthetic / max(1, n_train))
            by_train = _HOLDOUT_COPY_TIMES * more * float(in_train[own].mean())
            natural = max(_HOLDOUT_COPY_SHARE, by_train)
            chance = log_tail(k, natural, n)
            if chance < LOG_ALPHA:
                message = (
                    f"{format_count(k)}{subject} equal a synthetic row, where chance explains "
                    f"{natural * n:,.0f}: the generator saw the holdout"
                )
                at = split.first_in_holdout(in_synthetic & own)
                return [Leak("copies", message, k, chance, at=at)]
    return []


_NATURAL_SHARE = 0.1  # of a class may repeat by nature
_NATURAL_TIMES, _NATURAL_EXCESS = 3.0, 0.15  # beyond other classes' share: the smaller limit counts
_MAX_CONTROL_SHARE = 0.33  # where others repeat more, each class does so in its own measure
_SHUFFLED_TIMES = 1.5  # beyond what a class's own values explain once columns are shuffled
_MAX_SHUFFLED_COLUMNS = 32  # more add no larger share and cost a pass each
_MAX_AGREEMENT = 0.2  # probability that two rows agree in an informative column, at most
_FEW_ROWS = 50  # repeats of more distinct rows are not natural
_MULTIPLIED_SHARE = 0.25  # of all rows may repeat by nature: of wines 20 % do, of programs 16 %
# Where 98 % of the repeated rows occur twice: of wines and programs 61 to 91 % do; where all of them do,
# 4 % of the rows repeat at most.
_DOUBLED_SHARE, _PAIR_SHARE, _MIN_PAIRS = 0.06, 0.98, 100
_EVEN_SHARE = 0.75  # times as often as the other half, at least, rows with the rarest values repeat
_VERY_FEW_ROWS = 12  # repeats of fewer distinct rows are never taken for multiplied
_MIN_DISTINCT_COLUMNS = 3  # measured values tell rows apart in three columns or more
_DISTINCT_SHARE = 0.8  # of the repeated rows that such a column tells apart


def find_oversampled_class(split: SplitRows, rng: np.random.Generator) -> list[Leak]:
    """Return the leak of a class whose rows were multiplied before the split; or none.

    Repeats that the values of the class explain are natural; repeats of few discrete rows are a doubtful
    leak.
    """
    if split.labels is None:
        return []
    doubtful: list[Leak] = []
    for names in split.column_sets:
        key = split.keys.key(names)
        repeated = split.in_holdout & np.isin(key, key[~split.in_holdout])
        for code in split.list_enlarged_classes():
            own = split.labels == code
            others = split.in_holdout & ~own
            n, k = int((split.in_holdout & own).sum()), int((repeated & own).sum())
            control = float(repeated[others].mean()) if others.any() else 0.0
            natural = max(_NATURAL_SHARE, min(_NATURAL_TIMES * control, control + _NATURAL_EXCESS))
            if control >= _MAX_CONTROL_SHARE or not n or log_tail(k, natural, n) >= LOG_ALPHA:
                continue
            cells = {name: split.keys.cells[name][own] for name in names}
            elsewhere = key[~split.in_holdout & ~own]
            shuffled = simulate_copy_share(cells, split.in_holdout[own], elsewhere, rng)
            chance = log_tail(k, max(natural, _SHUFFLED_TIMES * shuffled), n)
            if chance >= LOG_ALPHA:
                continue
            is_doubtful = has_few_rows(cells)
            message = (
                f"{k / n:.0%} of the holdout rows of the class '{split.names[code]}' also stand in the "
                f"train set, of other classes {control:.0%}: "
            ) + (
                "they are repeats of few rows, which may be natural; if rows of the class were "
                "multiplied, split first"
                if is_doubtful
                else "its rows were multiplied before the split"
            )
            at = split.first_in_holdout(repeated & own)
            leak = Leak("oversampled", message, k, chance, is_doubtful, at)
            if not is_doubtful:
                return [leak]
            doubtful.append(leak)
    return doubtful[:1]


def find_multiplied_rows(split: SplitRows, rng: np.random.Generator) -> list[Leak]:
    """Return the leak of rows of all classes that were multiplied before the split; or none.

    Natural repeats are rows with frequent values, some of them three times or more. Where rare ones repeat
    as often, rows were drawn with replacement; where all repeats are pairs, rows were added a second time.
    """
    held = split.in_holdout
    for names in split.column_sets:
        key = split.keys.key(names)
        repeated = held & np.isin(key, key[~held])
        n, k = int(held.sum()), int(repeated.sum())
        limit = _DOUBLED_SHARE if _are_pairs(key) else _MULTIPLIED_SHARE
        if log_tail(k, limit, n) >= LOG_ALPHA:
            continue
        cells = {name: split.keys.cells[name] for name in names}
        rare, identified = _find_rare_rows(cells, key)
        k = int((repeated & identified).sum())
        shares = [repeated[held & part].mean() for part in (rare, ~rare) if (held & part).any()]
        if len(shares) < 2 or shares[0] < _EVEN_SHARE * shares[1] or has_few_rows(cells):
            continue
        shuffled = simulate_copy_share(cells, held, key[:0], rng)
        natural = max(limit, _SHUFFLED_TIMES * shuffled)
        chance = log_tail(k, natural, n)
        if chance < LOG_ALPHA:
            message = (
                f"{k / n:.0%} of the holdout rows also stand in the train set, of those with the rarest "
                f"values {shares[0]:.0%}: rows were multiplied before the split"
            )
            at = split.first_in_holdout(repeated)
            return [Leak("oversampled", message, k, chance, at=at)]
    return []


def _are_pairs(key: Keys) -> bool:
    """Return whether nearly all rows that repeat do so once."""
    sizes = np.unique(key, return_counts=True)[1]
    sizes = sizes[sizes > 1]
    return len(sizes) >= _MIN_PAIRS and float((sizes == 2).mean()) >= _PAIR_SHARE


def _find_rare_rows(cells: Mapping[str, Keys], key: Keys) -> tuple[Bools, Bools]:
    """Return the half of the rows with the rarest values, and rows that no other would equal by chance.

    The latter holds without their rarest value too: a price that sells often makes rows of few columns
    equal. Repeats of a row do not make its values frequent.
    """
    _, first, place = np.unique(key, return_index=True, return_inverse=True)
    total, best = np.zeros((2, len(first)))
    for cell in cells.values():
        _, level, sizes = np.unique(cell[first], return_inverse=True, return_counts=True)
        information = np.log(len(first) / np.maximum(1, sizes[level] - 1))
        total += information
        best = np.maximum(best, information)
    is_rare, is_identified = total > np.median(total), total - best > np.log(len(first))
    return np.asarray(is_rare[place]), np.asarray(is_identified[place])


def simulate_copy_share(
    cells: Mapping[str, Keys], in_holdout: Bools, elsewhere: Keys, rng: np.random.Generator
) -> float:
    """Return the share of a class's holdout rows that are in train once columns are shuffled.

    `cells`: column -> hash of each row of the class, shape (n,). `in_holdout`, shape (n,): holdout
    rows among them, at least one. `elsewhere`: keys of the train rows of other classes. The result is
    the larger share of: all columns shuffled, one informative column shuffled.

    >>> cells = {"x": np.arange(100, dtype=np.uint64) % np.uint64(50) * np.uint64(1000)}
    >>> cells["y"] = cells["x"] * np.uint64(7)
    >>> in_holdout = np.arange(100) < 50
    >>> simulate_copy_share(cells, in_holdout, np.zeros(0, np.uint64), np.random.default_rng(0)) < 0.2
    True
    """
    whole = sum_cells(cells)
    shuffled = [sum_cells({name: rng.permutation(cell) for name, cell in cells.items()})]
    informative = []
    for name, cell in cells.items():
        sizes = np.unique(cell, return_counts=True)[1]
        if ((sizes / len(cell)) ** 2).sum() <= _MAX_AGREEMENT:
            informative.append((len(sizes), name))
    for _, name in sorted(informative)[:_MAX_SHUFFLED_COLUMNS]:
        shuffled.append(whole - cells[name] + rng.permutation(cells[name]))
    # Train rows are not shuffled: rows that were multiplied would then fill every combination.
    train = np.append(whole[~in_holdout], elsewhere)
    return float(max(np.isin(key[in_holdout], train).mean() for key in shuffled))


def has_few_rows(cells: Mapping[str, Keys]) -> bool:
    """Return whether the repeats of a class are of so few rows that they may be natural.

    Fewer than 12 distinct rows repeat; or up to 50 do, and fewer than three columns tell them apart, as
    measured values would.

    `cells`: column -> hash of each row of the class, shape (n,).

    >>> kinds = np.arange(60, dtype=np.uint64) % np.uint64(20)
    >>> has_few_rows({"kind": kinds, "half": kinds // np.uint64(2)})
    True
    >>> has_few_rows({name: kinds * np.uint64(i) for i, name in enumerate("abcd", 1)})
    False
    """
    _, first, sizes = np.unique(sum_cells(cells), return_index=True, return_counts=True)
    rows = first[sizes > 1]
    n_distinct = [len(np.unique(cell[rows])) for cell in cells.values()]
    n_columns = sum(n >= _DISTINCT_SHARE * len(rows) for n in n_distinct)
    return len(rows) < _VERY_FEW_ROWS or (
        len(rows) <= _FEW_ROWS and n_columns < _MIN_DISTINCT_COLUMNS
    )


_HIGH_SHARE = 0.5  # of the rows: from there on, verdicts on the set would mislead
_N_ERRORS = 3.0  # standard errors beyond the expected share: chance reaches it 1 time in 740


@dataclass(frozen=True)
class RowOverlap:
    """Rows of a set that equal a row of another."""

    # shared, rows: rows that equal one of the other set, and all rows
    shared: int
    rows: int
    # Share of the other set's rows that equal a further row of it, in [0, 1]: about the share to
    # expect of new real rows
    repeated: float

    @property
    def is_high(self) -> bool:
        """Whether half of the rows or more are shared."""
        return self.rows > 0 and self.shared >= self.rows * _HIGH_SHARE

    @property
    def is_beyond_chance(self) -> bool:
        """Whether half of the rows or more are shared, and more than chance explains."""
        error = (self.repeated * (1 - self.repeated) / max(self.rows, 1)) ** 0.5
        return self.is_high and self.shared > self.rows * (self.repeated + _N_ERRORS * error)


def count_row_overlap(
    known: Dataset, others: Dataset, names: Sequence[str] | None = None
) -> RowOverlap:
    """Return how many of the other rows equal a known one, value for value.

    `known`, `others`: two sets with the same columns. `names`: columns to compare; by default all
    but masks, boxes and spans. Images are equal where their pixels are.

    >>> real = Dataset.from_arrow(pa.table({"age": [31, 47, 47], "sex": ["f", "m", "m"]}))
    >>> found = count_row_overlap(real, real.slice(0, 1))
    >>> found.shared, found.rows, round(found.repeated, 2)
    (1, 1, 0.67)
    """
    able = [field.name for field in known.schema.fields if not field.column_kind.is_annotation]
    names = able if names is None else list(names)
    if not names:
        return RowOverlap(0, len(others), 0.0)
    tables = [
        pa.table(
            {
                **{n: part.schema[n].column_kind.content(part.records.column(n)) for n in names},
                "_other": np.full(len(part), place),
            }
        )
        for place, part in enumerate((known, others))
    ]
    groups = pa.concat_tables(tables).group_by(names)
    counts = groups.aggregate([("_other", "count"), ("_other", "sum")])
    other = counts["_other_sum"].to_numpy()
    own = counts["_other_count"].to_numpy() - other
    repeated = float(own[own > 1].sum() / len(known)) if len(known) else 0.0
    return RowOverlap(int(other[own > 0].sum()), len(others), repeated)


def count_copied_rows(real: Dataset, synthetic: Dataset) -> RowOverlap:
    """Return how many synthetic rows equal a real one, without identifiers, which are placeholders."""
    fields = [field for field in real.schema.fields if field.kind not in ("id", "spans")]
    # Images decide alone: many of them share their few labels. Texts decide beside one label at most:
    # texts of tables are placeholders.
    tabular = [field.name for field in fields if field.is_tabular]
    images = [field.name for field in fields if field.column_kind.is_media]
    about_texts = len(tabular) < 2 and len(tabular) < len(fields)
    rest = [field.name for field in fields if not field.column_kind.is_annotation]
    return count_row_overlap(real, synthetic, images or (rest if about_texts else tabular))


def note_copied_rows(found: RowOverlap) -> list[str]:
    """Return a note where synthetic rows equal real ones and there is no holdout to compare with."""
    if not found.shared:
        return []
    verb = "equals" if found.rows == 1 else "equal"
    return [
        f"{_count(found)} of {found.rows:,} synthetic rows {verb} a real row. Without a holdout it is not "
        "known how many do so by chance; a mere copy, too, looks close to real and covers everything. Give "
        "such rows by --holdout"
    ]


def note_shared_holdout(found: RowOverlap) -> list[str]:
    """Return a note when most holdout rows are also train rows."""
    if not found.is_high:
        return []
    return [
        f"{_count(found)} of {found.rows:,} holdout rows also stand, value for value, in the real table; "
        "if they are the same records, the generator saw them and a leak cannot be found"
    ]


def _count(found: RowOverlap) -> str:
    """Return the shared rows; small counts, 1 to 10, are not disclosed."""
    return "fewer than 11" if 0 < found.shared < 11 else f"{found.shared:,}"

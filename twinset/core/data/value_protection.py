"""Value protection: no value that a single person holds is left in the rows that a generator sees."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from twinset.core.data.dataset import Dataset
from twinset.core.data.encoding import number_array
from twinset.core.data.kinds.kind import is_text
from twinset.core.data.marginal import MIN_HOLDERS, Marginal, min_holders
from twinset.core.data.persons import count_holders, person_codes
from twinset.core.data.placeholders import FreshColumns, free_blocks
from twinset.core.data.schema import Field
from twinset.core.data.where import Where
from twinset.core.seeding import draw_seed

Floats = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]

PROTECTED = "values of single persons are replaced"  # note on the card of protected rows
OTHER = "other"  # the level of a column none of whose levels is shared by enough persons

_LINK_SHARE, _MIN_LINKS = 0.004, 5  # of rows with the same number in two columns: no chance
_LINK_ROWS = 4_000  # rows looked at for these: 16 of them show the smallest share
_CLOSE_DATES = 0.25  # spread of the distance of two dates, relative to that of either

Named = Mapping[str, frozenset[object]]


def named_values(wheres: Iterable[Where | None]) -> dict[str, frozenset[object]]:
    """Return the values that conditions name, by column: a caller who names them knows them.

    Examples
    --------
    >>> named_values([Where({"a": 1, "b": ["x", "y"]}), None])["b"] == {"x", "y"}
    True
    """
    found: dict[str, frozenset[object]] = {}
    for where in wheres:
        for name, condition in ({} if where is None else where.conditions).items():
            found[name] = found.get(name, frozenset()) | _named(condition)
    return found


def _named(condition: object) -> frozenset[object]:
    if isinstance(condition, Mapping):
        parts = [_named(value) for key, value in condition.items() if key in ("in", "eq")]
        return frozenset().union(*parts)
    if isinstance(condition, Sequence) and not isinstance(condition, str):
        return frozenset(condition)
    return frozenset([condition])


@dataclass(frozen=True)
class ProtectedRows:
    """Rows without values of single persons, and which cells differ from the real ones."""

    dataset: Dataset
    changed: Mapping[str, Mask]  # column -> rows whose value was replaced, shape (n,)

    def rows_changed_in(self, names: Iterable[str]) -> Mask:
        """Return the rows in which any of the columns was changed, shape (n,)."""
        found = np.zeros(len(self.dataset), dtype=bool)
        for name in names:
            if name in self.changed:
                found |= self.changed[name]
        return found


def protect_values(
    real: Dataset, rng: np.random.Generator, named: Named | None = None
) -> ProtectedRows:
    """Return the rows with every value that too few persons hold replaced.

    A person is a row, or all rows of one value of the column with the role group (else of a
    repeated identifier).

    - Levels of fewer than 11 persons are drawn again from the other levels; so are missing values,
      or present ones, of fewer than 11.
    - Numbers and dates beyond the eleventh person from either end are drawn from a generalised
      Pareto distribution fitted to them, inside the range, in their order.
    - Other numbers and dates of one person move among the ten nearest that are not shared by 11.
      They keep their rounding, and last digits that are frequent; shared values stay as they are.
    - Numbers of one row that are equal, and dates that lie close, move together; so do all times of
      one person.
    - Keys of persons (categories and integers with the role group or identifier) are exchanged for
      new ones of the same form, one for one; not if the schema has aggregates, which need the past of
      real entities.

    Parameters
    ----------
    real : Dataset
        Real rows; other than tabular columns stay as they are. Rows that are protected stay too.
    rng : numpy.random.Generator
        The only source of randomness.
    named : mapping, optional
        Column -> values that stay, since the caller names them; see `named_values`.

    Examples
    --------
    >>> real = Dataset.from_arrow(pa.table({"x": [0.0] * 50 + [1234.56], "c": ["a"] * 50 + ["b"]}))
    >>> rows = protect_values(real, np.random.default_rng(0)).dataset
    >>> bool(rows.values("x").max() == 1234.56), rows.codes("c")[1]
    (False, ('a',))
    """
    if PROTECTED in real.card.notes:
        return ProtectedRows(real, {})
    persons, named = person_codes(real), named or {}
    tabular = [field for field in real.schema.fields if field.is_tabular]
    fields = [field for field in tabular if field.role not in _KEY_ROLES]
    numbers = {
        f.name: NumberColumn.from_dataset(real, f, persons, named.get(f.name, frozenset()), rng)
        for f in fields
        if not f.has_levels
    }
    for number in numbers.values():
        if number.field.is_time or number.field.role == "time":
            number.move_by_person(persons)
    move_together(list(numbers.values()))
    records, changed, schema = real.records, {}, real.schema
    for one in fields:
        known = named.get(one.name, frozenset())
        if one.has_levels:
            column, rows, new = _protected_levels(real, one, persons, known, rng)
            schema = schema if new == one else schema.with_field(new)
        else:
            column, rows = _protected_numbers(real, numbers[one.name], persons, known, rng)
        if rows.any():
            records = records.set_column(records.column_names.index(one.name), one.name, column)
            changed[one.name] = rows
    if not real.schema.aggregates:  # those are computed from the past of real entities
        for one in tabular:
            if one.role in _KEY_ROLES and (one.kind == "category" or one.is_whole):
                column, rows = _fresh_keys(real, one, named.get(one.name, frozenset()), rng)
                records = records.set_column(records.column_names.index(one.name), one.name, column)
                changed[one.name] = rows
                schema = schema.with_field(replace(one, levels=None))
    card = replace(real.card, notes=(*real.card.notes, PROTECTED))
    return ProtectedRows(Dataset(records, schema, card), changed)


_KEY_ROLES = ("group", "identifier")  # each value is a person


def _fresh_keys(
    real: Dataset, one: Field, named: frozenset[object], rng: np.random.Generator
) -> tuple[pa.ChunkedArray, Mask]:
    """Return a column of keys with a new key in the place of each, and the changed rows."""
    codes, levels = real.codes(one.name)
    old = real.records.column(one.name)
    if not levels:
        return old, np.zeros(len(codes), dtype=bool)
    greatest = int(np.iinfo(str(one.stored_type)).max) if one.is_whole else None
    blocks = {one.name: free_blocks(pa.array(levels, pa.string()), greatest)}
    new = FreshColumns(blocks, {}).fill(len(levels), 0, draw_seed(rng), [one])[one.name].to_pylist()
    stays = {str(value) for value in named}
    keys = [old if old in stays else key for old, key in zip(levels, new, strict=True)]
    changed = (codes >= 0) & ~np.isin(codes, [i for i, key in enumerate(levels) if key in stays])
    if one.is_whole:
        whole = pa.array([*map(int, keys), None]).take(pa.array(codes % (len(keys) + 1)))
        return pa.chunked_array([whole.cast(one.arrow_type)]), changed
    indices = pa.array(codes, mask=codes < 0)
    return pa.DictionaryArray.from_arrays(indices, pa.array(keys, pa.string())), changed


@dataclass
class NumberColumn:
    """One column of numbers or instants, and where its values move."""

    field: Field
    values: Floats  # missing is NaN, shape (n,)
    moved: Floats  # the values after protection, (n,)
    must_move: Mask  # rows whose value is held by one person or lies in a tail, (n,)
    is_open: Mask  # rows whose value too few persons share, (n,)
    bounds: tuple[float, float]  # smallest and greatest value; no protected value equals them
    enough: int  # persons that make a value a shared one

    @classmethod
    def from_dataset(
        cls,
        real: Dataset,
        field: Field,
        persons: Codes,
        named: frozenset[object],
        rng: np.random.Generator,
    ) -> NumberColumn:
        """Return the column of a field with its values moved, each value for itself."""
        values = real.values(field.name)
        there = np.flatnonzero(~np.isnan(values))
        nobody = np.zeros(len(values), dtype=bool)
        if not len(there):
            return cls(field, values, values.copy(), nobody, nobody, (0.0, 0.0), MIN_HOLDERS)
        distinct, where = np.unique(values[there], return_inverse=True)
        holders = count_holders(where, persons[there], len(distinct))
        unit = field.column_kind.step(distinct, field.decimals)
        marginal = Marginal(distinct, holders, unit, field.is_time)
        stays = np.isin(distinct, [v for v in named if isinstance(v, int | float)])
        new = marginal.protected(rng, stays)
        moved, must, is_open = values.copy(), nobody.copy(), nobody.copy()
        moved[there] = new[where]
        must[there] = (marginal.is_moved & ~stays)[where]
        is_open[there] = ((holders < marginal.enough) & ~stays)[where]
        return cls(field, values, moved, must, is_open, marginal.free_bounds, marginal.enough)

    def move_by_person(self, persons: Codes) -> None:
        """Shift all times of a person by the same amount, in place, so that intervals stay."""
        rows = np.flatnonzero(self.must_move)
        known, first = np.unique(persons[rows], return_index=True)
        lead = np.full(int(persons.max(initial=0)) + 1, -1, dtype=np.int64)
        lead[known] = rows[first]
        own = lead[persons]
        rest = np.flatnonzero((own >= 0) & (own != np.arange(len(own))))
        self.follow(rest, (self.moved - self.values)[own[rest]])

    def follow(self, rows: Codes, shift: Floats) -> Mask:
        """Shift values of these rows by so much; return which could follow, shape (m,)."""
        target = self.values[rows] + shift
        low, high = self.bounds
        fits = self.is_open[rows] & (target > low) & (target < high)
        self.moved[rows[fits]] = target[fits]
        return np.asarray(fits)


def move_together(columns: Sequence[NumberColumn]) -> None:
    """Shift numbers of a row that belong together by the same amount, in place.

    Those are numbers equal to one another in many rows (a payment that is the bill before), and
    dates that lie close (admission and discharge).
    """
    for group in _linked(columns):
        members = [columns[i] for i in group]
        settled = np.zeros((len(members), len(members[0].values)), dtype=bool)
        for lead, column in enumerate(members):
            rows = np.flatnonzero(column.must_move & ~settled.any(axis=0))
            shift = column.moved[rows] - column.values[rows]
            settled[lead, rows] = True
            for other, member in enumerate(members):
                if other != lead:
                    settled[other, rows] = member.follow(rows, shift)


def _linked(columns: Sequence[NumberColumn]) -> list[list[int]]:
    """Return groups of two or more columns whose numbers move together."""
    root = list(range(len(columns)))

    def find(i: int) -> int:
        while root[i] != i:
            i = root[i]
        return i

    for one, other in [*_equal_pairs(columns), *_close_dates(columns)]:
        root[max(find(one), find(other))] = min(find(one), find(other))
    groups: dict[int, list[int]] = {}
    for i in range(len(columns)):
        groups.setdefault(find(i), []).append(i)
    return [group for group in groups.values() if len(group) > 1]


def _equal_pairs(columns: Sequence[NumberColumn]) -> list[tuple[int, int]]:
    """Return pairs of columns that often have the same number, which few persons share, in a row."""
    if len(columns) < 2:
        return []
    step = max(1, len(columns[0].values) // _LINK_ROWS)
    table = np.column_stack([np.where(c.is_open, c.values, np.nan)[::step] for c in columns])
    order = np.argsort(table, axis=1, kind="stable")
    ranked = np.take_along_axis(table, order, axis=1)
    row, at = np.nonzero(ranked[:, 1:] == ranked[:, :-1])
    pairs = np.sort(np.column_stack([order[row, at], order[row, at + 1]]), axis=1)
    found, counts = np.unique(pairs, axis=0, return_counts=True)
    often = counts >= max(_MIN_LINKS, _LINK_SHARE * len(table))
    return [(int(a), int(b)) for a, b in found[often]]


def _close_dates(columns: Sequence[NumberColumn]) -> list[tuple[int, int]]:
    dates = [i for i, column in enumerate(columns) if column.field.is_time]
    found = []
    for place, one in enumerate(dates):
        for other in dates[:place]:
            gap = columns[one].values - columns[other].values
            spreads = [_spread(columns[i].values) for i in (one, other)]
            if _spread(gap) < _CLOSE_DATES * min(spreads):
                found.append((one, other))
    return found


def _spread(values: Floats) -> float:
    known = values[~np.isnan(values)]
    low, high = np.quantile(known, [0.1, 0.9]) if len(known) else (0.0, 0.0)
    return float(high - low)


def _protected_numbers(
    real: Dataset,
    column: NumberColumn,
    persons: Codes,
    named: frozenset[object],
    rng: np.random.Generator,
) -> tuple[pa.ChunkedArray, Mask]:
    """Return the column with moved numbers and without rare missing values, and the changed rows."""
    old = real.records.column(column.field.name)
    missing = np.isnan(column.values)
    changed = ~missing & (column.moved != column.values)
    filled, emptied = _rare_missing(missing, persons, None in named)
    values = column.moved.copy()
    if filled.any():
        values[filled] = rng.choice(values[~missing], int(filled.sum()))
    changed |= filled | emptied
    if not changed.any():
        return old, changed
    made = number_array(column.field, np.nan_to_num(values), emptied if emptied.any() else None)
    return pc.if_else(pa.array(changed), made, old), changed


def _rare_missing(missing: Mask, persons: Codes, is_named: bool) -> tuple[Mask, Mask]:
    """Return which rows are filled, and which are emptied: too few persons are like them."""
    nobody = np.zeros(len(missing), dtype=bool)
    if is_named or not missing.any() or missing.all():
        return nobody, nobody
    counts = count_holders(missing.astype(np.int64), persons, 2)
    enough = min_holders(int(persons.max()) + 1)
    return (missing if counts[1] < enough else nobody), (~missing if counts[0] < enough else nobody)


def _protected_levels(
    real: Dataset,
    one: Field,
    persons: Codes,
    named: frozenset[object],
    rng: np.random.Generator,
) -> tuple[pa.Array, Mask, Field]:
    """Return the column with rare levels drawn again, the changed rows, and its field."""
    codes, levels = real.codes(one.name)
    old = codes.astype(np.int64)
    there = old >= 0
    holders = count_holders(old[there], persons[there], max(len(levels), 1))
    enough = min_holders(len(np.unique(persons[there])))
    texts = {str(value).lower() if isinstance(value, bool) else str(value) for value in named}
    kept = (holders >= enough) | np.isin(np.array(levels or ("",)), sorted(texts))
    new, shown = old.copy(), list(levels)
    rare = there & ~kept[old]
    is_shared = bool((holders[kept] >= enough).any())
    if not is_shared and not is_text(one.stored_type):
        kept[holders == holders.max()] = is_shared = True  # no new word fits the source's type
        rare = there & ~kept[old]
    if rare.any() and is_shared:
        new[rare] = _redrawn(old, levels, rare, kept, persons, rng)
    elif rare.any():
        new[rare], shown = len(levels), [*levels, OTHER]
    filled, emptied = _rare_missing(~there, persons, None in named)
    if filled.any() and (new >= 0).any():
        new[filled] = rng.choice(new[new >= 0], int(filled.sum()))
    new[emptied] = -1
    changed = new != old
    used = np.unique(new[new >= 0])
    names = [shown[i] for i in used]
    if one.levels is not None and changed.any():
        one = replace(one, levels=tuple(sorted(set(names))))
    place = np.searchsorted(used, new)
    if pa.types.is_boolean(one.arrow_type):
        truth = np.array([*[name == "true" for name in names], False])
        return pa.array(truth[np.where(new < 0, -1, place)], mask=new < 0), changed, one
    indices = pa.array(place.astype(np.int32), mask=new < 0)
    return pa.DictionaryArray.from_arrays(indices, pa.array(names, pa.string())), changed, one


def _redrawn(
    codes: Codes,
    levels: Sequence[str],
    rare: Mask,
    kept: Mask,
    persons: Codes,
    rng: np.random.Generator,
) -> Codes:
    """Return new codes of the rows with a rare level; one for all rows of a person with it.

    The nearest level where levels are numbers, else one drawn by the number of rows.
    """
    rows = np.flatnonzero(rare)
    counts = np.bincount(codes[codes >= 0], minlength=len(levels)) * kept
    _, first, member = np.unique(
        codes[rows] * (int(persons.max()) + 1) + persons[rows],
        return_index=True,
        return_inverse=True,
    )
    try:
        numbers = np.array([float(level) for level in levels])
    except ValueError:
        new = rng.choice(len(levels), len(first), p=counts / counts.sum())
    else:
        known = np.flatnonzero(counts)
        gaps = np.abs(numbers[codes[rows[first]]][:, None] - numbers[known])
        new = known[gaps.argmin(axis=1)]
    return np.asarray(new[member.ravel()])

"""Value protection: no value that a single person holds is left in the rows that a generator sees."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from twinset.core.data.dataset import Dataset
from twinset.core.data.encoding import number_array
from twinset.core.data.kinds.datetime import MICROSECONDS
from twinset.core.data.kinds.kind import is_text
from twinset.core.data.persons import count_holders, person_codes
from twinset.core.data.schema import Field
from twinset.core.data.tails import draw_tail
from twinset.core.data.where import Where

Floats = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]

# Persons that must share a level. Health statistics of the United States suppress counts below 11
# (CMS cell size policy); small tables use a quarter of their persons, at least 2.
MIN_HOLDERS, _SHARE_OF_SMALL = 11, 4
PROTECTED = "values of single persons are replaced"  # note on the card of protected rows
OTHER = "other"  # the level of a column none of whose levels is shared by enough persons

_REACH = 5  # values below and above among which one moves: with its own the 11 of above
_REACH_SHARE = 0.01  # of all persons, likewise: where many values are shared, neighbours lie far
_MIN_PLACES = 4  # of the same last digits within reach; with fewer a value would hardly move
_HEAPING = 3.0  # times as many values with these last digits as chance would give
_DECIMAL = tuple(10**k for k in range(1, 7))  # last digits that may be heaped
_SECONDS = (60, 300, 900, 1_800, 3_600)  # the same for times: minutes, quarters, hours
_LARGEST = 2.0**53  # units from which on floats skip whole numbers: such numbers have no grid
DAY = MICROSECONDS["day"]
_MIN_DAYS = 2  # reach from which on the day and the time of day move apart from each other
_LINK_SHARE, _MIN_LINKS = 0.004, 5  # of rows with the same number in two columns: no chance
_LINK_ROWS = 4_000  # rows looked at for these: 16 of them show the smallest share
_CLOSE_DATES = 0.25  # spread of the distance of two dates, relative to that of either

Named = Mapping[str, frozenset[object]]


def min_holders(n_persons: int) -> int:
    """Return how many persons must hold a value for it to be shared.

    Examples
    --------
    >>> min_holders(1_000), min_holders(20)
    (11, 5)
    """
    return min(MIN_HOLDERS, max(2, n_persons // _SHARE_OF_SMALL))


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
        parts = [_named(value) for key, value in condition.items() if key in ("not", "in", "eq")]
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
    - Numbers of one row that are equal, and dates that lie close, move together.

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
    fields = [f for f in real.schema.fields if f.is_tabular and f.role not in _KEY_ROLES]
    numbers = {
        f.name: NumberColumn.from_dataset(real, f, persons, named.get(f.name, frozenset()), rng)
        for f in fields
        if not f.has_levels
    }
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
    card = replace(real.card, notes=(*real.card.notes, PROTECTED))
    return ProtectedRows(Dataset(records, schema, card), changed)


_KEY_ROLES = ("group", "identifier")  # their values are persons; generators that copy them say so


@dataclass(frozen=True)
class Grid:
    """The places that numbers of a column may take: multiples of a step, with frequent last digits."""

    unit: float | None  # last decimal place, or smallest unit of time; None for a free number
    start: float = 0.0  # a number on the grid, in units
    step: int = 1  # distance of neighbouring places, in units
    # Number of last units -> last units that are frequent, ascending
    heaped: Mapping[int, Floats] = field(default_factory=dict)

    @classmethod
    def fit(cls, values: Floats, holders: Codes, unit: float | None, is_time: bool) -> Grid:
        """Return the grid of distinct values, shape (k,), that so many persons hold each, (k,)."""
        if unit is None or np.abs(values).max(initial=0.0) >= _LARGEST * unit:
            return cls(None)
        if len(values) < 2:
            return cls(unit)
        whole = np.rint(values / unit)
        step = max(1, int(np.gcd.reduce(np.abs(whole - whole[0]).astype(np.int64))))
        enough = min_holders(int(holders.sum()))
        heaped = {}
        for modulus in _moduli(unit, step, is_time):
            last, where = np.unique(np.mod(whole, modulus), return_inverse=True)
            counts = np.bincount(where, holders)
            frequent = counts >= max(enough, _HEAPING * holders.sum() * step / modulus)
            is_weekday = is_time and modulus * unit == 7 * DAY
            heaped[modulus] = last if is_weekday else last[frequent]
        return cls(unit, float(whole[0]), step, heaped)

    @property
    def place_width(self) -> float:
        """Distance of neighbouring places; 0 for free numbers."""
        return 0.0 if self.unit is None else self.unit * self.step

    def round(self, drawn: Floats, own: Floats, low: Floats, high: Floats) -> Floats:
        """Return the drawn numbers on the grid, with the last digits of `own` if those are frequent.

        All have the shape (k,); `low` and `high` bound where each number may lie.
        """
        if self.unit is None:
            return drawn
        whole, mine, low, high = (v / self.unit for v in (drawn, own, low, high))
        mine = np.rint(mine)
        found = self._nearest(whole, mine, low, high, self.step, np.mod(self.start, self.step))[0]
        for modulus, frequent in self.heaped.items():
            last = np.mod(mine, modulus)
            near, n_places = self._nearest(whole, mine, low, high, modulus, last)
            found = np.where(np.isin(last, frequent) & (n_places >= _MIN_PLACES), near, found)
        if self.unit < 1:
            return np.asarray(np.round(found * self.unit, round(-np.log10(self.unit))))
        return np.asarray(found * self.unit)

    @staticmethod
    def _nearest(
        drawn: Floats, own: Floats, low: Floats, high: Floats, step: int, last: Floats | float
    ) -> tuple[Floats, Floats]:
        """Return the places `last` + k `step` nearest to `drawn`, and how many there are; all (k,).

        Where there are several, the own one is not among them.
        """
        first, end = np.ceil((low - last) / step), np.floor((high - last) / step)
        at = np.clip(np.rint((drawn - last) / step), first, np.maximum(first, end))
        mine = (own - last) / step
        aside = np.where((drawn < own) & (mine > first) | (mine >= end), -1, 1)
        at = np.where((at == mine) & (end - first + 1 >= _MIN_PLACES), at + aside, at)
        return last + step * at, end - first + 1


def _moduli(unit: float, step: int, is_time: bool) -> list[int]:
    """Return the numbers of units that last digits are counted in, ascending."""
    wide: list[float] = list(_DECIMAL)
    if is_time:
        wide = [7 * DAY / unit] if unit >= DAY else [s * 1e6 / unit for s in _SECONDS]
    return [int(m) for m in wide if m == int(m) and m > step and int(m) % step == 0]


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

    def follow(self, rows: Codes, shift: Floats) -> Mask:
        """Shift values of these rows by so much; return which could follow, shape (m,)."""
        target = self.values[rows] + shift
        low, high = self.bounds
        fits = self.is_open[rows] & (target > low) & (target < high)
        self.moved[rows[fits]] = target[fits]
        return np.asarray(fits)


@dataclass(frozen=True)
class Marginal:
    """The distinct values of a column, ascending, and how many persons hold each, shape (k,)."""

    values: Floats
    holders: Codes
    unit: float | None
    is_time: bool = False

    @cached_property
    def enough(self) -> int:
        """Number of persons that make a value a shared one."""
        return min_holders(int(self.holders.sum()))

    @cached_property
    def grid(self) -> Grid:
        """The places that values may take."""
        return Grid.fit(self.values, self.holders, self.unit, self.is_time)

    @cached_property
    def tails(self) -> tuple[Mask, Mask]:
        """Which values lie beyond the eleventh person from below and from above, shape (k,) each."""
        below, above = np.cumsum(self.holders), np.cumsum(self.holders[::-1])[::-1]
        if below[-1] < 2 * self.enough:  # three persons or fewer have no tails
            return below < 0, above < 0
        return below < self.enough, above < self.enough

    @property
    def is_moved(self) -> Mask:
        """Which values are held by one person or lie in a tail, shape (k,)."""
        low, high = self.tails
        return np.asarray((self.holders == 1) | low | high)

    @property
    def free_bounds(self) -> tuple[float, float]:
        """Open interval of protected values: a shared smallest or greatest value may occur again."""
        (low, high), margin = self.tails, max(self.grid.place_width, 1e-9)
        return (
            float(self.values[0] - (0 if low[0] else margin)),
            float(self.values[-1] + (0 if high[-1] else margin)),
        )

    def protected(self, rng: np.random.Generator, stays: Mask) -> Floats:
        """Return the value that replaces each, shape (k,); those in `stays` and shared ones stay."""
        low, high = self.tails
        new = self.values.copy()
        inner = np.flatnonzero((self.holders == 1) & ~low & ~high & ~stays)
        if len(inner):
            new[inner] = self._among_neighbors(inner, rng)
        for tail, sign in ((high, 1.0), (low, -1.0)):
            if tail.any():
                new[tail] = self._in_tail(tail, sign, rng)
        return np.where(stays, self.values, new)

    def _in_tail(self, tail: Mask, sign: float, rng: np.random.Generator) -> Floats:
        """Return new values of one tail, in the order of the old ones."""
        own = np.sort(sign * self.values[tail])
        start = float((sign * self.values[~tail]).max())
        holders = self.holders[tail][:: int(sign)]
        drawn = sign * draw_tail(start, own, holders, rng)
        here = sign * own
        first, last = np.full(len(own), sign * start), np.full(len(own), here[-1])
        ends = (first, last) if sign > 0 else (last, first)
        drawn = self._placed(drawn, here, *ends, rng)
        return np.asarray(drawn if sign > 0 else drawn[::-1])

    def _inside(self, values: Floats) -> Floats:
        """Return the values with those at or beyond an extreme of few persons one step inside."""
        low, high = self.free_bounds
        step = self.grid.place_width
        if not step or high - low <= 2 * step:
            return values
        ends = np.array([low + step, high - step])
        first, last = self.grid.round(ends, ends, ends, ends)
        return np.asarray(np.clip(values, first, last))

    def _among_neighbors(self, chosen: Codes, rng: np.random.Generator) -> Floats:
        """Return new places of single values among those near them that are not shared."""
        low_tail, high_tail = self.tails
        open_ = np.flatnonzero((self.holders < self.enough) & ~low_tail & ~high_tail)
        own, values = np.searchsorted(open_, chosen), self.values[open_]
        rank = np.cumsum(self.holders) - self.holders / 2
        width = max(float(self.enough), _REACH_SHARE * float(self.holders.sum()))
        low, high = (
            np.clip(
                np.interp(rank[chosen] + side * width, rank, self.values),
                values[np.maximum(own - _REACH, 0)],
                values[np.minimum(own + _REACH, len(values) - 1)],
            )
            for side in (-1, 1)
        )
        mine = self.values[chosen]
        # Evenly on one side or the other: the order of the column stays, and draws do not pile up
        # where two values lie close, as they would between adjacent ones.
        is_below = (rng.random(len(chosen)) < 0.5) & (low < mine) | (high <= mine)
        end = np.where(is_below, low, high)
        return self._placed(mine + rng.random(len(chosen)) * (end - mine), mine, low, high, rng)

    def _placed(
        self, drawn: Floats, own: Floats, low: Floats, high: Floats, rng: np.random.Generator
    ) -> Floats:
        """Return drawn numbers on the grid, inside the range; all shapes (k,)."""
        if self.is_time and self.unit is not None and self.unit < DAY:
            return self._day_and_time(drawn, own, low, high, rng)
        return self._inside(self.grid.round(drawn, own, low, high))

    def _day_and_time(
        self, drawn: Floats, own: Floats, low: Floats, high: Floats, rng: np.random.Generator
    ) -> Floats:
        """Return instants; where they move by days, hours stay those at which the source has rows."""
        near = self.grid.round(drawn, own, low, high)
        days = np.floor(self.values / DAY)
        clock, where = np.unique(self.values - days * DAY, return_inverse=True)
        times = Marginal(clock, np.bincount(where, self.holders).astype(np.int64), self.unit, True)
        moved = times._smoothed(rng)
        here = moved[np.searchsorted(clock, own - np.floor(own / DAY) * DAY)]
        whole = Grid(DAY, heaped={7: np.arange(7.0)})
        day = whole.round(*(np.floor(v / DAY) * DAY for v in (drawn, own, low, high)))
        by_day = (high - low >= _MIN_DAYS * DAY) & (self.values[-1] - self.values[0] > 30 * DAY)
        return np.asarray(np.where(by_day, day + here, near))

    def _smoothed(self, rng: np.random.Generator) -> Floats:
        """Return a new place for each value that one person holds, without tails."""
        new, single = self.values.copy(), np.flatnonzero(self.holders == 1)
        if len(single):
            places = np.arange(len(new), dtype=np.float64)
            at = single + rng.uniform(-_REACH, _REACH, len(single))
            low, high = (np.interp(single + side * _REACH, places, new) for side in (-1, 1))
            drawn = np.interp(at, places, new)
            new[single] = self.grid.round(drawn, self.values[single], low, high)
        return new


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

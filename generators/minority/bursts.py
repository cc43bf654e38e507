"""`minority.bursts`: whole bursts of fraud on a card, not single rows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import pyarrow as pa

from twinset.core.contracts import FittedGenerator, Generator, Progress, silent
from twinset.core.data.conditions import (
    column_masks,
    keep_drawing,
    parents_of,
    rows_to_learn_from,
    unmet,
)
from twinset.core.data.dataset import Card, Dataset
from twinset.core.data.encoding import number_array
from twinset.core.data.schema import TABULAR_KINDS, Field
from twinset.core.data.where import Where
from twinset.core.data.window_features import Aggregate
from twinset.core.errors import FitError
from twinset.core.parameters import Fraction
from twinset.core.stats.neighbors import nearest

from ._engine.burst_templates import (
    BurstTemplates,
    Mask,
    UsualValues,
    numeric_columns,
    place_columns,
)
from ._engine.streams import Floats, Positions

_N_SIMILAR = 20  # cards to choose from: enough that a burst does not always go to the same card
_GAP_NOISE = (
    0.2  # standard deviation of the logarithm of pauses: hides the real ones, keeps their size
)
_MAX_CARD_STEP = 1_000_000  # range that new card numbers are drawn from without repetition


@dataclass(frozen=True, kw_only=True)
class Bursts(Generator):
    """Bursts of the rare class: a few rows of one card in a short span, as real frauds come.

    A burst is a run of rare rows of one card (account, patient) without a long pause. Each new burst
    has a real one as its template: its length, its pauses (blurred), its amounts relative to the card's
    usual ones. It is carried over to a card with similar usual amounts and begins when some real burst
    began. Where the real rows are at a shop that the real card uses otherwise, the new ones are at one
    that the new card uses; other shops stay, since they are part of the pattern. Declared aggregates are
    computed afterwards, from the card's real past and the new rows.

    Fit it on the whole table, genuine rows included (in a recipe: `counts`), so that it knows what
    is usual for a card; fitted on frauds alone, these are what is usual. Rows of a burst follow each
    other; the last burst of a request may be incomplete.

    Parameters
    ----------
    group, time, target : str, optional
        Columns of the card, the time and the label; by default those with these roles.
    positive : str, optional
        Label of the bursts; by default the rarest.
    gap : str or float, optional
        Longest pause within a burst, e.g. "3d"; by default the 0.9 quantile of the pauses.
    noise : float
        Blur of amounts, as a share of their spread in the rare class; 0 to 1.
    fresh_fraction : float
        Share of bursts that go to cards with a new name, in [0, 1].

    Examples
    --------
    >>> table = pa.table({
    ...     "card": ["a", "a", "a", "b", "b", "b"], "when": [1, 2, 9, 3, 4, 5],
    ...     "amount": [5.0, 50.0, 60.0, 7.0, 8.0, 9.0], "fraud": ["no", "yes", "yes", "no", "no", "no"],
    ... })
    >>> real = Dataset.from_arrow(table)
    >>> bursts = Bursts(group="card", time="when", target="fraud")
    >>> fitted = bursts.fit(real, np.random.default_rng(0))
    >>> rows = fitted.sample(4, np.random.default_rng(1))
    >>> rows.codes("fraud")[1], rows.codes("card")[0].tolist()
    (('yes',), [0, 0, 0, 0])
    """

    group: str | None = None
    time: str | None = None
    target: str | None = None
    positive: str | None = None
    gap: str | float | None = None
    noise: Fraction = 0.1
    fresh_fraction: Fraction = 0.0

    kinds: ClassVar[frozenset[str]] = TABULAR_KINDS
    note: ClassVar[str] = "follows single real bursts row by row: treat as the source data"

    def __post_init__(self) -> None:
        super().__post_init__()
        self.max_pause()

    def max_pause(self) -> float | None:
        """Return `gap` in seconds, or in the unit of a numeric time column."""
        return None if self.gap is None else Aggregate(how="count", over=self.gap).seconds

    def fit(
        self, real: Dataset | None, rng: np.random.Generator, progress: Progress = silent
    ) -> FittedGenerator:
        """Return the generator of bursts like those of the rare class.

        Raises
        ------
        FitError
            A column is neither named nor has its role, or no row is of the rare class.
        """
        train = rows_to_learn_from(real, self.kinds, component="minority.bursts")
        group = _named(train, self.group, "group")
        time = _named(train, self.time, "time")
        target = _named(train, self.target, "target")
        if not train.schema[time].has_order:
            raise FitError(
                f"minority.bursts cannot read the time '{time}'",
                got=train.schema[time].kind,
                allowed="datetime, integer, number",
            )
        if train.is_null(time).all():
            raise FitError(f"every value of the time '{time}' is missing")
        return _FittedBursts(train, self, group, time, target)


class _FittedBursts(FittedGenerator):
    def __init__(
        self, train: Dataset, settings: Bursts, group: str, time: str, target: str
    ) -> None:
        self.train, self.schema, self.settings = train, train.schema, settings
        self.group, self.time = group, time
        codes, levels = train.codes(group)
        self.cards: Positions = codes.astype(np.int64)
        self.unit = 1e6 if train.schema[time].is_time else 1.0
        self.times: Floats = train.values(time) / self.unit
        is_rare = _find_rare(train, target, settings.positive)
        self.templates = BurstTemplates.from_rows(
            self.cards, self.times, is_rare, settings.max_pause()
        )
        skipped, n = {group, time, target}, max(1, len(levels))
        self.usual = [
            UsualValues.fit(train, name, self.cards, n, is_rare)
            for name in numeric_columns(train, skipped)
        ]
        self.places = place_columns(train, skipped)
        genuine = np.flatnonzero(~is_rare & (self.cards >= 0))
        self.genuine = genuine[np.argsort(self.cards[genuine], kind="stable")]
        self.n_genuine = np.bincount(self.cards[self.genuine], minlength=n)
        self.row_of_card = np.zeros(n, dtype=np.int64)
        known = self.cards >= 0
        self.row_of_card[self.cards[known]] = np.flatnonzero(known)

    def sample(self, n: int, rng: np.random.Generator, where: Where | None = None) -> Dataset:
        cards = np.unique(self.cards)  # -1 stands for rows without a card
        if where is not None:
            column_masks(self.train, where)
            if self.group in where.conditions:
                on_card = Where({self.group: where.conditions[self.group]})
                cards = np.unique(self.cards[self.train.mask(on_card)])
        if where is None or set(where.conditions) <= {self.group}:
            return self._draw(n, rng, cards)
        return keep_drawing(lambda size: self._draw(size, rng, cards), n, where)

    def _draw(self, n: int, rng: np.random.Generator, cards: Positions) -> Dataset:
        named = cards[cards >= 0]
        usable = np.where(self.templates.cards >= 0, len(named) > 0, -1 in cards)
        possible = np.flatnonzero(usable)
        if not len(possible):
            raise unmet(Where({self.group: {"not": None}}))
        lengths = self.templates.lengths
        chosen = np.empty(0, dtype=np.int64)
        while lengths[chosen].sum() < n:
            more = 1 + int(1.1 * (n - lengths[chosen].sum()) / lengths[possible].mean())
            chosen = np.concatenate([chosen, rng.choice(possible, more)])
        return self._rows(chosen, n, rng, named)

    def _rows(
        self, chosen: Positions, n: int, rng: np.random.Generator, named: Positions
    ) -> Dataset:
        """Return the first n rows of bursts that follow the chosen templates."""
        lengths = self.templates.lengths[chosen]
        burst = np.repeat(np.arange(len(chosen)), lengths)
        start = self.templates.first[chosen] - np.cumsum(lengths) + lengths
        at = np.repeat(start, lengths) + np.arange(len(burst))
        rows = self.templates.rows[at]
        drawn = self.train.without_reserved().take(rows[:n])
        records = drawn.records
        for name, column in self._columns(chosen, burst, at, named, rng):
            place = records.schema.get_field_index(name)
            records = records.set_column(place, name, column.slice(0, n))
        parents = parents_of(self.train, rows[:n])
        if parents is not None:
            records = records.append_column("_parents", parents)
        return replace(drawn, records=records, card=Card(name="synthetic", origin="synthetic"))

    def _columns(
        self,
        chosen: Positions,
        burst: Positions,
        at: Positions,
        named: Positions,
        rng: np.random.Generator,
    ) -> Iterator[tuple[str, pa.Array]]:
        """Yield the columns that differ from those of the template."""
        rows, old = self.templates.rows[at], self.templates.cards[chosen]
        new = self._similar_cards(old, named, rng)
        is_fresh = (rng.random(len(chosen)) < self.settings.fresh_fraction) & (old >= 0)
        yield self.time, self._times(at, chosen, burst, rng)
        yield self.group, self._groups(rows, new[burst], is_fresh[burst], burst, rng)
        for usual in self.usual:
            yield usual.name, self._numbers(usual, rows, old[burst], new[burst], rng)
        for field in self.places:
            yield field.name, self._places(field, rows, new[burst], rng)

    def _similar_cards(
        self, old: Positions, named: Positions, rng: np.random.Generator
    ) -> Positions:
        """Return a card with similar usual values for each burst; another one where there is one."""
        new = np.where(old >= 0, old, -1)
        known = np.flatnonzero(old >= 0)
        if not len(known) or not len(named):
            return new
        profiles = np.column_stack(
            [_ranked(u.median) for u in self.usual] or [np.zeros(len(self.n_genuine))]
        )
        query, back = np.unique(old[known], return_inverse=True)
        k = min(_N_SIMILAR, len(named))
        near = named[nearest(profiles[query], profiles[named], k)[1]]
        pick = near[back, rng.integers(0, k, len(known))]
        again = near[back, rng.integers(0, k, len(known))]
        new[known] = np.where(pick == old[known], again, pick)
        return new

    def _times(
        self, at: Positions, chosen: Positions, burst: Positions, rng: np.random.Generator
    ) -> pa.Array:
        t = self.templates
        gaps = t.gaps[at] * np.exp(_GAP_NOISE * rng.normal(size=len(at)))
        passed = np.cumsum(gaps)
        first = np.flatnonzero(np.diff(burst, prepend=-1))
        passed -= np.repeat(passed[first], np.diff(np.append(first, len(burst))))
        known = np.isfinite(self.times)
        begins = t.begins[rng.integers(0, len(t.begins), len(chosen))]
        pause = t.gaps[t.gaps > 0]
        blur = float(np.median(pause)) / 2 if len(pause) else 0.0
        begins = begins + blur * rng.uniform(-1, 1, len(chosen))
        lasts = np.zeros(len(chosen))
        np.maximum.at(lasts, burst, passed)
        low, high = float(self.times[known].min()), float(self.times[known].max())
        begins = np.clip(begins, low, np.maximum(low, high - lasts))
        values = np.minimum(begins[burst] + passed, high)
        return _to_arrow(self.schema[self.time], values * self.unit)

    def _groups(
        self,
        rows: Positions,
        new: Positions,
        is_fresh: Mask,
        burst: Positions,
        rng: np.random.Generator,
    ) -> pa.Array:
        column = self.train.records.column(self.group)
        known = column.take(pa.array(np.where(new >= 0, self.row_of_card[new], rows)))
        known = known.combine_chunks()
        if not is_fresh.any():
            return known
        numbers = rng.choice(_MAX_CARD_STEP, int(burst.max()) + 1, replace=False)[burst]
        field = self.schema[self.group]
        values = known.to_pylist()
        highest = 0 if field.has_levels else int(np.nanmax(self.train.values(self.group)))
        for i in np.flatnonzero(is_fresh):
            number = int(numbers[i])
            values[i] = f"new-{number:06d}" if field.has_levels else highest + 1 + number
        return pa.array(values, known.type)

    def _numbers(
        self,
        usual: UsualValues,
        rows: Positions,
        old: Positions,
        new: Positions,
        rng: np.random.Generator,
    ) -> pa.Array:
        values = self.train.values(usual.name)[rows]
        noise = self.settings.noise * rng.normal(size=len(rows))
        moved = usual.carry_over(values, np.maximum(old, 0), np.maximum(new, 0), noise)
        field = self.schema[usual.name]
        return _to_arrow(
            field, moved if field.decimals is None else np.round(moved, field.decimals)
        )

    def _places(
        self, field: Field, rows: Positions, new: Positions, rng: np.random.Generator
    ) -> pa.Array:
        """Return the new card's own places where the real card was at one of its own."""
        codes = self.train.codes(field.name)[0].astype(np.int64)
        wide = int(codes.max(initial=0)) + 2
        pairs = np.unique(self.cards[self.genuine] * wide + codes[self.genuine])
        own = np.isin(self.cards[rows] * wide + codes[rows], pairs) & (new >= 0)
        counts = self.n_genuine[np.maximum(new, 0)]
        ends = np.cumsum(self.n_genuine)[np.maximum(new, 0)]
        drawn = ends - counts + np.floor(rng.random(len(rows)) * counts).astype(np.int64)
        moves = own & (counts > 0)
        source = rows.copy()
        source[moves] = self.genuine[drawn[moves]]
        return self.train.records.column(field.name).take(pa.array(source)).combine_chunks()


def _find_rare(train: Dataset, target: str, positive: str | None) -> Mask:
    """Return which rows have the label of the bursts, by default the rarest, shape (n,)."""
    codes, levels = train.codes(target)
    if not len(levels):
        raise FitError(f"every value of the target '{target}' is missing")
    if positive is not None and positive not in levels:
        raise FitError(
            f"no row of '{target}' has the label '{positive}'", allowed=", ".join(levels[:20])
        )
    counts = np.bincount(codes[codes >= 0], minlength=len(levels))
    code = int(np.argmin(counts)) if positive is None else levels.index(positive)
    return np.asarray(codes == code)


def _named(train: Dataset, name: str | None, role: str) -> str:
    found = name or next((field.name for field in train.schema.with_role(role)), None)
    if found is None:
        raise FitError(
            f"minority.bursts needs a column with the role {role}",
            todo=f"give one column this role in the schema, or name it by the setting '{role}'",
        )
    return train.schema[found].name


def _ranked(values: Floats) -> Floats:
    """Return ranks in [0, 1], so that each column has the same weight."""
    return np.searchsorted(np.sort(values), values) / max(1, len(values) - 1)


def _to_arrow(field: Field, values: Floats) -> pa.Array:
    whole = values if field.is_continuous else np.rint(values)
    return number_array(field, whole, np.isnan(values))

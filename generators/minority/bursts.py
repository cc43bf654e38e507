"""`minority.bursts`: whole bursts of fraud on a card, not single rows."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import numpy.typing as npt
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
from twinset.core.data.schema import TABULAR_KINDS, Field
from twinset.core.data.where import Where
from twinset.core.data.window_features import Aggregate
from twinset.core.errors import FitError, ParameterError
from twinset.core.stats.neighbors import nearest

from ._engine.burst_templates import (
    BurstTemplates,
    ColumnBehaviour,
    Floats,
    Ints,
    numeric_columns,
    place_columns,
)

_ALIKE = 20
_GAP_NOISE = 0.2
_LARGEST_STEP = 1_000_000


@dataclass(frozen=True, kw_only=True)
class Bursts(Generator):
    """Bursts of the rare class: a few rows of one card in a short span, as real frauds come.

    A burst is a run of rare rows of one card (account, patient) without a long pause. Each new burst
    takes a real one for its pattern: its length, its pauses (blurred), its amounts relative to what
    the card usually spends. It is carried over to a card that usually behaves alike, begins when some
    real burst began, and goes to that card's own shops where the real one did so; shops where the real
    card had never been stay, since they are part of the pattern. Declared aggregates are computed
    afterwards, from the card's real past and the new rows.

    Learn it on the whole table, genuine rows included (in a recipe: `counts`), so that it knows what
    is usual for a card; learnt on frauds alone, these are what is usual. Rows of a burst follow each
    other; the last burst of a request may be cut.

    Parameters
    ----------
    group, time, target : str, optional
        Columns of the card, the time and the label; by default those with these roles.
    positive : str, optional
        Label of the bursts; by default the rarest.
    gap : str or float, optional
        Longest pause within a burst, e.g. "3d"; by default nine in ten pauses are no longer.
    noise : float
        How much amounts are blurred, as a share of how much they vary in the rare class; 0 to 1.
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
    noise: float = 0.1
    fresh_fraction: float = 0.0

    kinds: ClassVar[frozenset[str]] = TABULAR_KINDS
    note: ClassVar[str] = "follows single real bursts row by row: treat as the source data"

    def __post_init__(self) -> None:
        for name in ("noise", "fresh_fraction"):
            value = getattr(self, name)
            if not 0 <= value <= 1:
                raise ParameterError(f"{name} is out of range", got=str(value), allowed="0 to 1")
        if self.gap is not None:
            Aggregate(how="count", over=self.gap)

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
        self.group, self.time, self.target = group, time, target
        codes, levels = train.codes(group)
        self.cards: Ints = codes.astype(np.int64)
        unit = 1e6 if train.schema[time].is_time else 1.0
        self.times: Floats = train.values(time) / unit
        self.unit = unit
        rare = self._rare()
        gap = settings.gap if settings.gap is None else Aggregate(how="count", over=settings.gap)
        self.templates = BurstTemplates.of(
            self.cards, self.times, rare, gap if gap is None else gap.seconds
        )
        skipped = {group, time, target}
        n = max(1, len(levels))
        self.usual = [
            ColumnBehaviour.of(train, name, self.cards, n, rare)
            for name in numeric_columns(train, skipped)
        ]
        self.places = place_columns(train, skipped)
        genuine = np.flatnonzero(~rare & (self.cards >= 0))
        self.genuine = genuine[np.argsort(self.cards[genuine], kind="stable")]
        self.n_genuine = np.bincount(self.cards[self.genuine], minlength=n)
        self.row_of_card = np.zeros(n, dtype=np.int64)
        known = self.cards >= 0
        self.row_of_card[self.cards[known]] = np.flatnonzero(known)

    def sample(self, n: int, rng: np.random.Generator, where: Where | None = None) -> Dataset:
        if where is not None:
            column_masks(self.train, where)
        cards = self._cards_that_meet(where)
        if where is None or set(where.conditions) <= {self.group}:
            return self._draw(n, rng, cards)
        return keep_drawing(lambda size: self._draw(size, rng, cards), n, where)

    def _rare(self) -> npt.NDArray[np.bool_]:
        codes, levels = self.train.codes(self.target)
        counts = np.bincount(codes[codes >= 0], minlength=len(levels))
        if not len(levels):
            raise FitError(f"every value of the target '{self.target}' is missing")
        label = self.settings.positive
        if label is not None and label not in levels:
            raise FitError(
                f"no row of '{self.target}' has the label '{label}'", allowed=", ".join(levels[:20])
            )
        wanted = int(np.argmin(counts)) if label is None else levels.index(label)
        return np.asarray(codes == wanted)

    def _cards_that_meet(self, where: Where | None) -> Ints:
        """Return the codes of cards that bursts may go to; -1 stands for rows without a card."""
        if where is None or self.group not in where.conditions:
            return np.unique(self.cards)
        asked = Where({self.group: where.conditions[self.group]})
        return np.unique(self.cards[self.train.mask(asked)])

    def _draw(self, n: int, rng: np.random.Generator, cards: Ints) -> Dataset:
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
        return self._written(chosen, n, rng, named)

    def _written(self, chosen: Ints, n: int, rng: np.random.Generator, named: Ints) -> Dataset:
        """Return the first n rows of bursts that follow the chosen ones."""
        t = self.templates
        lengths = t.lengths[chosen]
        burst = np.repeat(np.arange(len(chosen)), lengths)
        at = np.repeat(t.first[chosen] - np.cumsum(lengths) + lengths, lengths) + np.arange(
            len(burst)
        )
        rows, old = t.rows[at], t.cards[chosen]
        new = self._alike(old, named, rng)
        is_fresh = (rng.random(len(chosen)) < self.settings.fresh_fraction) & (old >= 0)
        columns: dict[str, pa.Array] = {}
        columns[self.time] = self._times(at, chosen, burst, rng)
        columns[self.group] = self._groups(rows, new[burst], is_fresh[burst], burst, rng)
        for usual in self.usual:
            columns[usual.name] = self._numbers(usual, rows, old[burst], new[burst], rng)
        for field in self.places:
            columns[field.name] = self._places(field, rows, new[burst], rng)
        keep = slice(0, n)
        drawn = self.train.without_reserved().take(rows[keep])
        records = drawn.records
        for name, column in columns.items():
            place = records.schema.get_field_index(name)
            records = records.set_column(place, name, column.slice(0, n))
        parents = parents_of(self.train, rows[keep])
        if parents is not None:
            records = records.append_column("_parents", parents)
        return replace(drawn, records=records, card=Card(name="synthetic", origin="synthetic"))

    def _alike(self, old: Ints, named: Ints, rng: np.random.Generator) -> Ints:
        """Return a card for each burst that usually behaves as its own does; another where it can."""
        new = np.where(old >= 0, old, -1)
        known = np.flatnonzero(old >= 0)
        if not len(known) or not len(named):
            return new
        profiles = np.column_stack(
            [_ranked(u.median) for u in self.usual] or [np.zeros(len(self.n_genuine))]
        )
        asked, back = np.unique(old[known], return_inverse=True)
        k = min(_ALIKE, len(named))
        near = named[nearest(profiles[asked], profiles[named], k)[1]]
        pick = near[back, rng.integers(0, k, len(known))]
        again = near[back, rng.integers(0, k, len(known))]
        new[known] = np.where(pick == old[known], again, pick)
        return new

    def _times(self, at: Ints, chosen: Ints, burst: Ints, rng: np.random.Generator) -> pa.Array:
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
        return _as_column(self.schema[self.time], values * self.unit, np.isnan(values))

    def _groups(
        self,
        rows: Ints,
        new: Ints,
        is_fresh: npt.NDArray[np.bool_],
        burst: Ints,
        rng: np.random.Generator,
    ) -> pa.Array:
        column = self.train.records.column(self.group)
        known = column.take(pa.array(np.where(new >= 0, self.row_of_card[new], rows)))
        known = known.combine_chunks()
        if not is_fresh.any():
            return known
        numbers = rng.choice(_LARGEST_STEP, int(burst.max()) + 1, replace=False)[burst]
        field = self.schema[self.group]
        values = known.to_pylist()
        highest = 0 if field.has_levels else int(np.nanmax(self.train.values(self.group)))
        for i in np.flatnonzero(is_fresh):
            number = int(numbers[i])
            values[i] = f"new-{number:06d}" if field.has_levels else highest + 1 + number
        return pa.array(values, known.type)

    def _numbers(
        self, usual: ColumnBehaviour, rows: Ints, old: Ints, new: Ints, rng: np.random.Generator
    ) -> pa.Array:
        values = self.train.values(usual.name)[rows]
        noise = self.settings.noise * rng.normal(size=len(rows))
        mine, theirs = np.maximum(old, 0), np.maximum(new, 0)
        moved = usual.carried(values, mine, theirs, noise)
        field = self.schema[usual.name]
        if field.decimals is not None:
            moved = np.round(moved, field.decimals)
        return _as_column(field, moved, np.isnan(values))

    def _places(self, field: Field, rows: Ints, new: Ints, rng: np.random.Generator) -> pa.Array:
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


def _named(train: Dataset, name: str | None, role: str) -> str:
    found = name or next((field.name for field in train.schema.with_role(role)), None)
    if found is None:
        raise FitError(
            f"minority.bursts needs a column with the role {role}",
            todo=f"give one column this role in the schema, or name it by the setting '{role}'",
        )
    return train.schema[found].name


def _ranked(values: Floats) -> Floats:
    """Return ranks in [0, 1], so that each column counts alike."""
    return np.searchsorted(np.sort(values), values) / max(1, len(values) - 1)


def _as_column(field: Field, values: Floats, missing: npt.NDArray[np.bool_]) -> pa.Array:
    kept = np.where(missing, 0.0, values)
    if not field.is_continuous:
        whole = pa.array(np.rint(kept).astype(np.int64), mask=missing)
        return whole.cast(field.arrow_type)
    return pa.array(kept, mask=missing).cast(field.arrow_type, safe=False)

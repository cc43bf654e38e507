"""Canaries: made-up rows planted in a table before a generator is fitted, and looked for in what it makes.

A generator that hands out a canary has learnt a row by heart; nothing else in the table could have
told it that combination. Canaries are for trials: what is made from a planted table is not delivered.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from twinset.core.contracts import Remake, Score
from twinset.core.data.dataset import Dataset
from twinset.core.data.placeholders import FreshColumns
from twinset.core.data.schema import TABULAR_KINDS
from twinset.core.errors import DataError, ParameterError, SchemaError
from twinset.core.features.encoder import FeatureEncoder, distances_to
from twinset.core.findings import CanaryCounts
from twinset.core.rules.enforce import RuleEnforcer
from twinset.core.seeding import draw_seed
from twinset.core.stats.neighbors import nearest

_FAR = 0.99
"""A canary lies farther from every real row than this share of real rows from their nearest other one."""

_ROUNDS = 20
_JUDGED_ROWS = 2_000
_MOST_ENCODED = 20_000
_REACH = 1.96


@dataclass(frozen=True)
class Canaries:
    """Canaries that were planted, and as many drawn alike that were not.

    Parameters
    ----------
    planted, control : Dataset
        n rows each, exchangeable but for the planting.
    """

    planted: Dataset
    control: Dataset
    _encoder: FeatureEncoder = field(repr=False, compare=False)


@dataclass(frozen=True)
class CanaryRecall:
    """What became of the canaries.

    Parameters
    ----------
    n : int
        Canaries that were planted.
    recall : float
        Share of them that came back, every cell equal after rounding, 0 to 1.
    control_recall : float
        The same share of those that were not planted: what chance does.
    auc : float
        How often a planted canary lies nearer to the synthetic rows than one that was not planted,
        ties counting half: 0.5 is chance, whatever the generator and the table.
    interval : tuple of float
        Its 95 % interval.
    """

    n: int
    recall: float
    control_recall: float
    auc: float
    interval: tuple[float, float]


def plant(dataset: Dataset, n: int, rng: np.random.Generator) -> tuple[Dataset, Canaries]:
    """Return the table with `n` canaries at random places, and the canaries.

    A canary takes each cell from the distinct values of its column, each equally likely, so every cell
    is plausible and the combination is not. It keeps the rules of the schema and lies farther from
    every real row than 99 % of real rows from their nearest other one. Ids are fresh, texts are
    placeholders. Twice as many are drawn; half of them are kept back as control.

    Parameters
    ----------
    dataset : Dataset
        Real rows of a table; left as they are.
    n : int
        Canaries to plant, 1 or more. 50 make a useful interval; below 1 % of the rows they hardly
        move what a generator learns of the rest.
    rng : numpy.random.Generator
        The stream. The same stream gives the same canaries, so a trial need not store them.

    Returns
    -------
    planted : Dataset
        All rows, without reserved columns; the card says that canaries are among them.
    canaries : Canaries
        For `recover_canaries`.

    Raises
    ------
    ParameterError
        `n` is below 1.
    SchemaError
        A column holds images, masks, boxes or spans, or no column holds values.
    DataError
        There are too few rows, or too few far combinations of values.

    References
    ----------
    Carlini, Liu, Erlingsson, Kos, Song (2019), The Secret Sharer: Evaluating and Testing Unintended
    Memorization in Neural Networks, USENIX Security.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> x = np.round(rng.normal(size=200), 2)
    >>> real = Dataset.from_arrow(pa.table({"x": x, "y": x, "c": np.where(x > 0, "a", "b")}))
    >>> planted, canaries = plant(real, 5, rng)
    >>> len(planted), recover_canaries(canaries, planted).recall, recover_canaries(canaries, real).recall
    (205, 1.0, 0.0)
    """
    if n < 1:
        raise ParameterError("too few canaries", got=str(n), allowed="1 or more")
    real = dataset.without_reserved()
    odd = real.schema.kinds - TABULAR_KINDS - {"id", "text"}
    if odd or not real.schema.kinds & TABULAR_KINDS:
        raise SchemaError(
            "canaries are planted in tables",
            got=f"columns of the kinds {', '.join(sorted(odd or real.schema.kinds))}",
            todo="leave out the columns that are not cells of a table",
        )
    if len(real) < 2:
        raise DataError("there are too few rows", got=str(len(real)), allowed="2 or more")
    encoder = FeatureEncoder.fit(real.select([f.name for f in real.schema.of_kind(*TABULAR_KINDS)]))
    drawn = _far_rows(real, 2 * n, encoder, rng)
    canaries = Canaries(drawn.slice(0, n), drawn.slice(n, n), encoder)
    both = Dataset.concat([real, canaries.planted])
    places = np.concatenate([np.arange(len(real)), rng.integers(0, len(real) + 1, n) - 0.5])
    note = f"{n:,} made-up rows (canaries) are planted in it: for trials, not for delivery"
    whole = both.take(np.argsort(places, kind="stable"))
    return whole.with_card(notes=(*dataset.card.notes, note)), canaries


def recover_canaries(canaries: Canaries, synthetic: Dataset) -> CanaryRecall:
    """Return how many canaries came back, and whether the synthetic rows lean towards them.

    Parameters
    ----------
    canaries : Canaries
        What `plant` returned.
    synthetic : Dataset
        Rows made by a generator that was fitted to the planted table.

    Raises
    ------
    SchemaError
        A column of the canaries is lacking.
    DataError
        There are no synthetic rows.
    """
    if not len(synthetic):
        raise DataError("there are no synthetic rows", todo="draw some")
    names = [f.name for f in canaries.planted.schema.of_kind(*TABULAR_KINDS)]
    for name in names:
        synthetic.schema[name]
    sides = canaries.planted, canaries.control
    found = [float(_came_back(side, synthetic, names).mean()) for side in sides]
    near = [
        distances_to(canaries._encoder.transform(side), synthetic.select(names), canaries._encoder)
        for side in sides
    ]
    auc, interval = _auc(near[0], near[1])
    return CanaryRecall(len(canaries.planted), found[0], found[1], auc, interval)


def _far_rows(
    real: Dataset, wanted: int, encoder: FeatureEncoder, rng: np.random.Generator
) -> Dataset:
    """Return `wanted` different rows, all of them far from every real row, in the order drawn."""
    judged = encoder.transform(real.at_most(_MOST_ENCODED, rng))
    asked = judged[rng.choice(len(judged), min(_JUDGED_ROWS, len(judged)), replace=False)]
    far = float(np.quantile(nearest(asked, judged, 2)[0][:, 1], _FAR))
    keeper = RuleEnforcer.learn(real)
    fresh, seed = FreshColumns.fit(real), draw_seed(rng)
    values = [_distinct(real, name) for name in real.schema.names]
    kept = real.slice(0, 0)
    for _ in range(_ROUNDS):
        made = _draw(real, 2 * wanted, values, rng)
        if keeper is not None:
            made = keeper.hold(made, rng).dataset.without_reserved()
        apart = distances_to(encoder.transform(made), real, encoder) > far
        kept = Dataset.concat([kept, made.filter(apart)])
        first = np.unique(encoder.transform(kept), axis=0, return_index=True)[1]
        kept = kept.take(np.sort(first)[:wanted])
        if len(kept) == wanted:
            return kept if fresh is None else _with_fresh(kept, fresh, seed)
    raise DataError(
        f"the table has no room for {wanted // 2:,} canaries",
        got=f"{len(kept):,} of {wanted:,} combinations of its values far from every row",
        todo="plant fewer, or keep more columns",
    )


def _distinct(real: Dataset, name: str) -> npt.NDArray[np.int64]:
    """Return the position of one row for each distinct value of a column; of an empty one, all rows."""
    present = ~real.is_null(name)
    has_values = real.schema[name].column_kind.has_float_values
    cells = real.values(name) if has_values else real.codes(name)[0]
    rows = np.flatnonzero(present) if present.any() else np.arange(len(real))
    return rows[np.unique(cells[rows], return_index=True)[1]]


def _draw(
    real: Dataset, n: int, values: list[npt.NDArray[np.int64]], rng: np.random.Generator
) -> Dataset:
    names = list(real.schema.names)
    columns = [
        real.records.column(name).take(pa.array(rows[rng.integers(0, len(rows), n)]))
        for name, rows in zip(names, values)
    ]
    return replace(real, records=pa.table(columns, names=names))


def _with_fresh(made: Dataset, fresh: FreshColumns, seed: int) -> Dataset:
    """Return the rows with ids and texts that no real row has."""
    records = made.records
    for name, column in fresh.fill(len(made), 0, seed, made.schema.fields).items():
        place = records.column_names.index(name)
        records = records.set_column(place, name, column.cast(records.schema.field(name).type))
    return replace(made, records=records)


def _came_back(canaries: Dataset, synthetic: Dataset, names: list[str]) -> npt.NDArray[np.bool_]:
    columns = [_cells(canaries, synthetic, name) for name in names]
    out = np.zeros(len(canaries), dtype=bool)
    for i in range(len(canaries)):
        rows = np.arange(len(synthetic))
        for own, made in columns:
            rows = rows[made[rows] == own[i]]
        out[i] = len(rows) > 0
    return out


def _cells(
    canaries: Dataset, synthetic: Dataset, name: str
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Return a column of both sets as numbers that are equal where delivered cells are."""
    own_field = canaries.schema[name]
    if own_field.has_levels:
        place: dict[str, int] = {}
        sides = []
        for part in (canaries, synthetic):
            codes, levels = part.codes(name)
            numbers = [float(place.setdefault(level, len(place))) for level in levels]
            sides.append(np.array([*numbers, -1.0])[codes])
        return sides[0], sides[1]
    found = []
    for part in (canaries, synthetic):
        values = part.values(name)
        if own_field.decimals is not None:
            values = np.round(values, own_field.decimals)
        found.append(np.where(np.isnan(values), np.inf, values))
    return found[0], found[1]


def _auc(
    planted: npt.NDArray[np.float64], control: npt.NDArray[np.float64]
) -> tuple[float, tuple[float, float]]:
    """Return how often planted ones lie nearer, and its 95 % interval by DeLong's variance."""
    wins = np.asarray(planted[:, None] < control) + 0.5 * (planted[:, None] == control)
    auc, n = float(wins.mean()), len(planted)
    variance = wins.mean(axis=1).var(ddof=1) + wins.mean(axis=0).var(ddof=1) if n > 1 else 1.0
    # No error is smaller than that of a share seen 0 times in n.
    reach = _REACH * max(float(np.sqrt(variance / n)), 0.7 / n)
    return auc, (max(0.0, auc - reach), min(1.0, auc + reach))


_SHARE, _FEWEST, _MOST = 0.01, 5, 50
_MOST_ROWS = 50_000


def with_canaries(score: Score, train: Dataset, remake: Remake, rng: np.random.Generator) -> Score:
    """Return the score of an attack with the counts of canaries among its findings.

    The verdict is that of the attack alone.

    Parameters
    ----------
    score : Score
        Result of the attack.
    train : Dataset
        Real rows to plant canaries among.
    remake : Remake
        Fits the generator again.
    rng : numpy.random.Generator
        Draws canaries and rows.
    """
    if score.value is None:
        return score
    return replace(score, findings=(*score.findings, canary_trial(train, remake, rng)))


def canary_trial(train: Dataset, remake: Remake, rng: np.random.Generator) -> CanaryCounts:
    """Return how many canaries came back.

    Up to 50 are planted, at most one in a hundred rows, so that they hardly change what is learnt of
    the other rows. Where a table has no room for any, the result has a `reason`.

    Examples
    --------
    >>> import pyarrow as pa
    >>> x = np.round(np.random.default_rng(0).normal(size=600), 2)
    >>> real = Dataset.from_arrow(pa.table({"x": x, "y": x, "c": np.where(x > 0, "a", "b")}))
    >>> found = canary_trial(real, lambda rows, most, rng: rows, np.random.default_rng(1))
    >>> found.n, found.n_recovered, found.n_control_recovered
    (6, 6, 0)
    """
    n = int(np.clip(round(_SHARE * len(train)), _FEWEST, _MOST))
    draws, learning = rng.spawn(2)
    try:
        planted, canaries = plant(train, n, draws)
    except (DataError, SchemaError) as reason:
        return CanaryCounts(reason=str(reason))
    found = recover_canaries(canaries, remake(planted, _MOST_ROWS, learning))
    recovered, control = (round(rate * found.n) for rate in (found.recall, found.control_recall))
    return CanaryCounts(found.n, recovered, control, found.auc, found.interval)

"""Canaries: invented rows that are planted in a table before a generator is fitted, to see if it repeats
them.

A generator that returns a canary has memorised a row: nothing else in the table shows that combination.
Canaries are for trials; rows of a generator that was fitted on them are not delivered.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from twinset.core.contracts import Refit
from twinset.core.data.dataset import Dataset
from twinset.core.data.placeholders import FreshColumns
from twinset.core.data.schema import TABULAR_KINDS
from twinset.core.errors import DataError, ParameterError, SchemaError
from twinset.core.features.encoder import FeatureEncoder, distances_to
from twinset.core.findings import CanaryCounts
from twinset.core.rules.enforce import RuleEnforcer
from twinset.core.seeding import draw_seed
from twinset.core.stats.neighbors import nearest

Floats = npt.NDArray[np.float64]

_FAR_QUANTILE = 0.99  # of the distances between real rows: a canary lies farther from each of them
_MAX_ROUNDS = 20  # draws before a table counts as too small for canaries
_MAX_QUERIES = 2_000  # real rows that set the distance: its quantile is then exact to 0.2 %
_MAX_ENCODED = 20_000  # real rows among which neighbours are searched, to bound the time
_NORMAL_QUANTILE = 1.96  # two-sided 95 % interval of a normal distribution
# Share of the rows that are planted, within bounds: more would change what is learnt of the other rows,
# fewer make no useful interval.
_PLANTED_SHARE, _MIN_PLANTED, _MAX_PLANTED = 0.01, 5, 50
_MAX_SYNTHETIC = 50_000  # rows that are searched for canaries


@dataclass(frozen=True)
class Canaries:
    """Planted canaries, and as many from the same distribution that were not planted.

    Parameters
    ----------
    planted, control : Dataset
        n rows each.
    """

    planted: Dataset
    control: Dataset
    _encoder: FeatureEncoder = field(repr=False, compare=False)


@dataclass(frozen=True)
class CanaryRecall:
    """Recall of canaries by a generator.

    Parameters
    ----------
    n : int
        Planted canaries.
    recall : float
        Share of them that came back, every cell equal after rounding, 0 to 1.
    control_recall : float
        The same share of those that were not planted: the effect of chance.
    auc : float
        Probability that a planted canary lies nearer to the synthetic rows than one that was not planted,
        ties counting half: 0.5 is chance, for any generator and table.
    interval : tuple of float
        Its 95 % interval, by DeLong's variance.
    """

    n: int
    recall: float
    control_recall: float
    auc: float
    interval: tuple[float, float]


def plant_canaries(dataset: Dataset, n: int, rng: np.random.Generator) -> tuple[Dataset, Canaries]:
    """Return the table with `n` canaries at random positions, and the canaries.

    A canary takes each cell from the distinct values of its column, all equally likely, so that every
    cell is plausible and the combination is not. It satisfies the rules of the schema and lies farther from
    every real row than 99 % of real rows from their nearest other one. Ids are new, texts are
    placeholders. Twice as many are drawn; half of them are the control.

    Parameters
    ----------
    dataset : Dataset
        Real rows of a table.
    n : int
        Canaries to plant, 1 or more. 50 make a useful interval; below 1 % of the rows they hardly change
        what a generator learns of the others.
    rng : numpy.random.Generator
        Equal streams give equal canaries, so that a trial need not store them.

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
    >>> planted, canaries = plant_canaries(real, 5, rng)
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
            todo="remove the columns that are not cells of a table",
        )
    if len(real) < 2:
        raise DataError("there are too few rows", got=str(len(real)), allowed="2 or more")
    encoder = FeatureEncoder.fit(real.select([f.name for f in real.schema.of_kind(*TABULAR_KINDS)]))
    drawn = _far_rows(real, 2 * n, encoder, rng)
    canaries = Canaries(drawn.slice(0, n), drawn.slice(n, n), encoder)
    both = Dataset.concat([real, canaries.planted])
    places = np.concatenate([np.arange(len(real)), rng.integers(0, len(real) + 1, n) - 0.5])
    note = f"{n:,} invented rows (canaries) are planted in it: for trials, not for delivery"
    whole = both.take(np.argsort(places, kind="stable"))
    return whole.with_card(notes=(*dataset.card.notes, note)), canaries


def recover_canaries(canaries: Canaries, synthetic: Dataset) -> CanaryRecall:
    """Return how many canaries came back, and whether the synthetic rows lie near them.

    Parameters
    ----------
    canaries : Canaries
        From `plant_canaries`.
    synthetic : Dataset
        Rows of a generator that was fitted to the planted table.

    Raises
    ------
    SchemaError
        A column of the canaries is absent.
    DataError
        There are no synthetic rows.
    """
    if not len(synthetic):
        raise DataError("there are no synthetic rows", todo="draw some")
    names = [f.name for f in canaries.planted.schema.of_kind(*TABULAR_KINDS)]
    for name in names:
        synthetic.schema[name]
    recalls, distances = [], []
    for rows in (canaries.planted, canaries.control):
        recalls.append(float(_find_equal_rows(rows, synthetic, names).mean()))
        encoded = canaries._encoder.transform(rows)
        distances.append(distances_to(encoded, synthetic.select(names), canaries._encoder))
    auc, interval = _compute_auc(*distances)
    return CanaryRecall(len(canaries.planted), recalls[0], recalls[1], auc, interval)


def measure_canaries(train: Dataset, refit: Refit, rng: np.random.Generator) -> CanaryCounts:
    """Return how many canaries a generator repeats; up to 50, at most one in a hundred rows, are planted.

    Where a table has no room for any, the result has a `reason`.

    >>> import pyarrow as pa
    >>> x = np.round(np.random.default_rng(0).normal(size=600), 2)
    >>> real = Dataset.from_arrow(pa.table({"x": x, "y": x, "c": np.where(x > 0, "a", "b")}))
    >>> found = measure_canaries(real, lambda rows, most, rng: rows, np.random.default_rng(1))
    >>> found.n, found.n_recovered, found.n_control_recovered
    (6, 6, 0)
    """
    n = int(np.clip(round(_PLANTED_SHARE * len(train)), _MIN_PLANTED, _MAX_PLANTED))
    drawing, fitting = rng.spawn(2)
    try:
        planted, canaries = plant_canaries(train, n, drawing)
    except (DataError, SchemaError) as reason:
        return CanaryCounts(reason=str(reason))
    found = recover_canaries(canaries, refit(planted, _MAX_SYNTHETIC, fitting))
    recovered, control = (round(rate * found.n) for rate in (found.recall, found.control_recall))
    return CanaryCounts(found.n, recovered, control, found.auc, found.interval)


def _far_rows(real: Dataset, n: int, encoder: FeatureEncoder, rng: np.random.Generator) -> Dataset:
    """Return `n` different rows, all of them far from every real row, in the order drawn."""
    encoded = encoder.transform(real.at_most(_MAX_ENCODED, rng))
    asked = encoded[rng.choice(len(encoded), min(_MAX_QUERIES, len(encoded)), replace=False)]
    far = float(np.quantile(nearest(asked, encoded, 2)[0][:, 1], _FAR_QUANTILE))
    enforcer = RuleEnforcer.learn(real)
    new_columns, seed = FreshColumns.fit(real), draw_seed(rng)
    values = [_distinct(real, name) for name in real.schema.names]
    kept = real.slice(0, 0)
    for _ in range(_MAX_ROUNDS):
        drawn = _draw_rows(real, 2 * n, values, rng)
        if enforcer is not None:
            drawn = enforcer.enforce(drawn, rng).dataset.without_reserved()
        is_far = distances_to(encoder.transform(drawn), real, encoder) > far
        kept = Dataset.concat([kept, drawn.filter(is_far)])
        first = np.unique(encoder.transform(kept), axis=0, return_index=True)[1]
        kept = kept.take(np.sort(first)[:n])
        if len(kept) == n:
            return kept if new_columns is None else _replace_columns(kept, new_columns, seed)
    raise DataError(
        f"the table has no room for {n // 2:,} canaries",
        got=f"{len(kept):,} of {n:,} combinations of its values far from every row",
        todo="plant fewer, or keep more columns",
    )


def _distinct(real: Dataset, name: str) -> npt.NDArray[np.int64]:
    """Return the position of one row for each distinct value of a column; of an empty one, all rows."""
    present = ~real.is_null(name)
    has_values = real.schema[name].column_kind.has_float_values
    cells = real.values(name) if has_values else real.codes(name)[0]
    rows = np.flatnonzero(present) if present.any() else np.arange(len(real))
    return rows[np.unique(cells[rows], return_index=True)[1]]


def _draw_rows(
    real: Dataset, n: int, values: list[npt.NDArray[np.int64]], rng: np.random.Generator
) -> Dataset:
    names = list(real.schema.names)
    columns = [
        real.records.column(name).take(pa.array(rows[rng.integers(0, len(rows), n)]))
        for name, rows in zip(names, values)
    ]
    return replace(real, records=pa.table(columns, names=names))


def _replace_columns(rows: Dataset, columns: FreshColumns, seed: int) -> Dataset:
    """Return the rows with ids and texts that no real row has."""
    records = rows.records
    for name, column in columns.fill(len(rows), 0, seed, rows.schema.fields).items():
        place = records.column_names.index(name)
        records = records.set_column(place, name, column.cast(records.schema.field(name).type))
    return replace(rows, records=records)


def _find_equal_rows(
    canaries: Dataset, synthetic: Dataset, names: list[str]
) -> npt.NDArray[np.bool_]:
    """Return which canaries equal a synthetic row in all named columns."""
    own, others = zip(*(_cells(canaries, synthetic, name) for name in names), strict=True)
    rows = np.vstack([np.column_stack(own), np.column_stack(others)])
    key = np.unique(rows, axis=0, return_inverse=True)[1].ravel()
    return np.isin(key[: len(canaries)], key[len(canaries) :])


def _cells(canaries: Dataset, synthetic: Dataset, name: str) -> list[Floats]:
    """Return a column of both sets as numbers that are equal where delivered cells are."""
    field, out = canaries.schema[name], []
    place: dict[str, int] = {}
    for part in (canaries, synthetic):
        if field.has_levels:
            codes, levels = part.codes(name)
            numbers = [float(place.setdefault(level, len(place))) for level in levels]
            out.append(np.array([*numbers, -1.0])[codes])
        else:
            values = part.values(name)
            values = values if field.decimals is None else np.round(values, field.decimals)
            out.append(np.where(np.isnan(values), np.inf, values))
    return out


def _compute_auc(planted: Floats, control: Floats) -> tuple[float, tuple[float, float]]:
    """Return the probability that planted ones lie nearer, and its 95 % interval by DeLong's variance."""
    wins = np.asarray(planted[:, None] < control) + 0.5 * (planted[:, None] == control)
    auc, n = float(wins.mean()), len(planted)
    variance = wins.mean(axis=1).var(ddof=1) + wins.mean(axis=0).var(ddof=1) if n > 1 else 1.0
    # No error is smaller than that of a share that was seen 0 times in n.
    reach = _NORMAL_QUANTILE * max(float(np.sqrt(variance / n)), 0.7 / n)
    return auc, (max(0.0, auc - reach), min(1.0, auc + reach))

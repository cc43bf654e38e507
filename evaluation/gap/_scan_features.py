"""Scores of rows whose means a scan compares: location, spread, tails, roundness, dependence."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from twinset.core.data.dataset import Dataset
from twinset.core.data.schema import Field
from twinset.core.differences import DifferenceKind
from twinset.core.features.models import Task, fit_discriminator
from twinset.core.stats.neighbors import nearest

from .._bootstrap_metric import Bools, Floats, Ints
from ._columns import choose_rounding_steps, count_rounding_steps
from .time_patterns import hours, local_microseconds, months, weekdays

Scores = npt.NDArray[np.float32]

_MIN_SHARE = 0.005  # of the rows, of a level with a score of its own: rarer ones have too few rows
_MAX_LEVELS = 20  # of a column, the most frequent: the others are one level together
_MAX_SCORE = 5.0  # standard deviations; one extreme row must not decide the mean of a slice
# Shares of the rows in a tail: from the few of a tail that was cut off to those of a thin one
_TAILS = (0.003, 0.007, 0.015, 0.03)
_MIN_ROUND = 0.01  # of the rows, round or not, so that slices hold some of both
_DEGREES = (3, 4, 5, 6)  # of polynomials of the rank: skewness, kurtosis, and finer shape
_RIDGE = 1e-3  # of the variance of a score: keeps the regression on equal columns solvable
_MAX_PAIRED = 48  # scores of which all pairs are compared: 1,128 pairs
_MAX_SLICE_PAIRS = 20  # pairs that are compared within slices as well, those that depend most
_NEIGHBORS = 5  # nearest rows: how far the last is says how close the first is for its place
_NEAR = 1e-3  # standard deviations of a column; nearer rows count as equal
_MAX_CLASSES = 8  # of a target that trees predict: each takes a tree of its own
_MAX_CODES = 200  # levels that trees tell apart: their bins end at 255
_TREES = 60  # as the discriminator of synthetic rows has
_MIN_TREE_ROWS = 200  # two folds of a hundred: of fewer, trees learn next to nothing
_MAX_TREE_ROWS = 10_000  # rows of a fit: more make it hardly better, but slower
_MIN_CHANCE = 0.02  # smaller probabilities are not known so well, and would decide the mean alone
_MAX_NEAR_ROWS = 9_000  # rows whose neighbours are searched: the time grows with their square
_MONTHS = "January February March April May June July August September October November December"
_DAYS = "Monday Tuesday Wednesday Thursday Friday Saturday Sunday"


@dataclass(frozen=True)
class ScoreName:
    """Meaning of one score: the kind of difference that it shows, and its columns."""

    kind: DifferenceKind
    columns: tuple[str, ...]
    detail: str = ""  # The level, or the number that a tail begins at
    in_slices: bool = False  # Whether slices are compared by it as well as the whole
    known: int = 0  # Column of `RowScores.known`


@dataclass(frozen=True)
class RowColumn:
    """A column of all rows, real ones first."""

    field: Field
    values: Floats  # (n,): numbers or codes of levels, NaN where missing
    levels: tuple[str, ...] = ()  # of codes

    @property
    def name(self) -> str:
        """Name of the column."""
        return self.field.name

    @property
    def missing(self) -> Bools:
        """Rows without a value."""
        return np.isnan(self.values)


@dataclass(frozen=True)
class Links:
    """Rows and the nearest other row of each."""

    rows: Ints  # (m,): positions among all rows
    neighbors: Ints  # (m,): position among `rows` of the nearest
    weights: Floats  # (m,): near 1 where it is far nearer than the fifth nearest, else near 0

    def count_mixed(self, is_synthetic: Bools) -> float:
        """Return the weight of the pairs of a synthetic and a real row; labels are those of `rows`."""
        return float(self.weights @ (is_synthetic != is_synthetic[self.neighbors]))


@dataclass(frozen=True)
class RowScores:
    """Scores of all rows, each with mean 0 and variance 1 over the rows that have it."""

    # Scores by which slices are compared, (n, p); 0 where a row has no such score
    names: tuple[ScoreName, ...]
    values: Scores
    # Further scores, by which only all rows are compared, (n, q)
    global_names: tuple[ScoreName, ...]
    global_values: Scores
    # Scores of which all pairs are compared, (n, v)
    paired_names: tuple[ScoreName, ...]
    paired: Scores
    known: Scores  # (n, k): 1 where a row has the scores of a column; the first is 1 throughout
    links: Links

    def take(self, rows: Ints) -> RowScores:
        """Return the scores of some rows."""
        own = ("values", "global_values", "paired", "known")
        return replace(self, **{name: getattr(self, name)[rows] for name in own})


def read_columns(parts: Sequence[Dataset]) -> list[RowColumn]:
    """Return the tabular columns of the parts, one part after the other."""
    found = []
    for field in parts[0].schema.fields:
        if not field.is_tabular:
            continue
        if field.has_order:
            values = np.concatenate([part.values(field.name) for part in parts])
            values[~np.isfinite(values)] = np.nan
            column = RowColumn(field, values)
        else:
            coded = [part.codes(field.name) for part in parts]
            levels = tuple(sorted({level for _, own in coded for level in own}))
            place = {level: float(i) for i, level in enumerate(levels)}
            tables = [np.array([*[place[level] for level in own], np.nan]) for _, own in coded]
            values = np.concatenate([table[codes] for table, (codes, _) in zip(tables, coded)])
            column = RowColumn(field, values, levels)
        # A column of nothing but missing cells or rare levels has no score.
        if not column.missing.all() and (field.has_order or any(level_masks(column))):
            found.append(column)
    return found


def read_calendar(parts: Sequence[Dataset]) -> list[RowColumn]:
    """Return hour, weekday and month of each time, as columns of levels."""
    found = []
    for field in parts[0].schema.of_kind("datetime"):
        times = np.concatenate([local_microseconds(part, field.name) for part in parts])
        known = np.isfinite(times)
        for title, code, levels in (
            ("hour", hours, tuple(str(hour) for hour in range(24))),
            ("weekday", weekdays, tuple(_DAYS.split())),
            ("month", months, tuple(_MONTHS.split())),
        ):
            values = np.full(len(times), np.nan)
            values[known] = code(times[known])
            if len(np.unique(values[known])) > 1:
                own = Field(name=f"{title} of {field.name}", kind="category")
                found.append(RowColumn(own, values, levels))
    return found


def level_masks(column: RowColumn) -> Iterator[tuple[str, Bools]]:
    """Yield the frequent levels of a column and the rows that have them.

    Numbers with few distinct values, which may be codes, count as levels.
    """
    values, counts = np.unique(column.values[~column.missing], return_counts=True)
    if not column.levels and len(values) > _MAX_LEVELS:
        return
    least = max(_MIN_SHARE * len(column.values), 1)
    for i in np.argsort(-counts, kind="stable")[:_MAX_LEVELS].tolist():
        if counts[i] >= least:
            text = column.levels[int(values[i])] if column.levels else f"{values[i]:g}"
            yield text, column.values == values[i]


def score_rows(
    columns: Sequence[RowColumn],
    calendar: Sequence[RowColumn],
    target: str | None,
    rng: np.random.Generator,
) -> RowScores:
    """Return the scores of all rows; no score depends on whether a row is real."""
    from scipy.special import ndtri

    n = len(columns[0].values)
    table = _ScoreTable(n)
    blocks: list[tuple[RowColumn, Floats]] = []
    paired: list[tuple[ScoreName, Floats]] = []
    for column in columns:
        known = table.add_known(column)
        levels = [] if column.field.is_time else list(level_masks(column))
        masks = (
            np.zeros((n, 0)) if not levels else np.stack([m for _, m in levels], 1).astype(float)
        )
        for level, mask in levels:
            is_code = not column.levels
            name = ScoreName(DifferenceKind.SHARE, (column.name,), level, not is_code)
            table.add(name, mask.astype(float))
        if column.levels:
            block = _standardise(masks)
            paired += [
                (ScoreName(DifferenceKind.DEPENDENCE, (column.name,), level), block[:, i])
                for i, (level, _) in enumerate(levels[: 2 if len(levels) > 2 else 1])
            ]
        else:
            ranks = _ranks(column.values)
            score = np.where(column.missing, 0.0, ndtri(ranks))
            table.add(ScoreName(DifferenceKind.LOCATION, (column.name,), "", True, known), score)
            _add_shape(table, column, ranks, known)
            score = _standardise(score[:, None])[:, 0]
            block = np.stack([score, score**2, _most_frequent(column.values)], 1)
            block = np.concatenate([block, masks], axis=1)
            paired.insert(0, (ScoreName(DifferenceKind.DEPENDENCE, (column.name,)), score))
        blocks.append((column, _standardise(block)))
    extra = [np.stack([mask for _, mask in level_masks(c)], 1).astype(float) for c in calendar]
    _add_residuals(table, blocks, [_standardise(block) for block in extra])
    spaces = [block if column.levels else block[:, :1] for column, block in blocks]
    links = _add_density(table, spaces, rng)
    _add_target(table, columns, target, rng)
    paired = paired[:_MAX_PAIRED]
    names = tuple(name for name, _ in paired)
    scores = np.stack([score for _, score in paired], 1).astype(np.float32)
    _add_pairs(table, names, scores)
    return table.finish(names, scores, links)


class _ScoreTable:
    """Scores that are collected one after the other."""

    def __init__(self, n: int) -> None:
        self.names: list[ScoreName] = []
        self.scores: list[Scores] = []
        self.known: list[Scores] = [np.ones(n, dtype=np.float32)]
        self.known_of: dict[str, int] = {}

    def add_known(self, column: RowColumn) -> int:
        """Return the position of the rows with a value; add it, and a score of missing cells."""
        missing = column.missing
        if not missing.any() or missing.all():
            return 0
        self.add(ScoreName(DifferenceKind.MISSING, (column.name,), "", True), missing.astype(float))
        self.known_of[column.name] = self._add_mask(~missing)
        return self.known_of[column.name]

    def _add_mask(self, mask: Bools) -> int:
        self.known.append(mask.astype(np.float32))
        return len(self.known) - 1

    def add(self, name: ScoreName, score: Floats, mask: Bools | None = None) -> None:
        """Add a score, unless it is the same in all rows that have it."""
        known = self._add_mask(mask) if mask is not None else name.known
        own = self.known[known] > 0
        spread = float(np.std(score[own])) if own.any() else 0.0
        if spread < 1e-9:
            return
        score = np.clip((score - score[own].mean()) / spread, *(_limits(name)))
        self.names.append(ScoreName(name.kind, name.columns, name.detail, name.in_slices, known))
        self.scores.append(np.where(own, score, 0.0).astype(np.float32))

    def finish(
        self, paired_names: tuple[ScoreName, ...], paired: Scores, links: Links
    ) -> RowScores:
        """Return all scores."""
        names, values = self._select(in_slices=True)
        others, other_values = self._select(in_slices=False)
        known = np.stack(self.known, 1)
        return RowScores(names, values, others, other_values, paired_names, paired, known, links)

    def _select(self, in_slices: bool) -> tuple[tuple[ScoreName, ...], Scores]:
        own = [i for i, name in enumerate(self.names) if name.in_slices == in_slices]
        empty = np.zeros((len(self.known[0]), 0), dtype=np.float32)
        values = np.stack([self.scores[i] for i in own], 1) if own else empty
        return tuple(self.names[i] for i in own), values


def _limits(name: ScoreName) -> tuple[float, float]:
    """Return the range of a score; one of two values is left as it is."""
    two = (DifferenceKind.SHARE, DifferenceKind.MISSING, DifferenceKind.TAIL)
    limit = np.inf if name.kind in two else _MAX_SCORE
    return -limit, limit


def _standardise(block: Floats) -> Floats:
    spread = block.std(axis=0)
    scaled: Floats = (block - block.mean(axis=0)) / np.where(spread > 1e-9, spread, 1.0)
    return scaled


def _ranks(values: Floats) -> Floats:
    """Return the mean rank of each value, in (0, 1); 0.5 where missing."""
    known = ~np.isnan(values)
    _, place, counts = np.unique(values[known], return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    out = np.full(len(values), 0.5)
    out[known] = ((ends - counts / 2) / max(known.sum(), 1))[place]
    return out


def _most_frequent(values: Floats) -> Floats:
    """Return which rows have the most frequent value, if a twentieth of all rows do; else 0."""
    distinct, counts = np.unique(values[~np.isnan(values)], return_counts=True)
    if not len(counts) or counts.max() < len(values) / 20:
        return np.zeros(len(values))
    return np.asarray(values == distinct[counts.argmax()], dtype=float)


def _add_shape(table: _ScoreTable, column: RowColumn, ranks: Floats, known: int) -> None:
    """Add the scores of a number's tails, shape, roundness and repeated values, of all rows."""
    values, own = column.values, (column.name,)
    present = np.sort(values[~column.missing])
    edges = set()
    for share in _TAILS:
        for high in (False, True):
            edge = present[int((1 - share if high else share) * (len(present) - 1))]
            if (edge, high) in edges:
                continue
            edges.add((edge, high))
            mask = values > edge if high else values < edge
            # Not the edge itself, which may be the value of one person.
            title = f"{'largest' if high else 'smallest'} {100 * mask.mean():.2g} %"
            name = ScoreName(DifferenceKind.TAIL, own, title, False, known)
            table.add(name, mask.astype(float))
    centred = 2 * ranks - 1
    for degree in _DEGREES:
        shape = np.polynomial.legendre.Legendre.basis(degree)(centred)
        table.add(ScoreName(DifferenceKind.SHAPE, own, "", False, known), shape)
    table.add(ScoreName(DifferenceKind.SPREAD, own, "", True, known), np.abs(centred))
    steps = choose_rounding_steps(column.field.is_time, present)
    rounded = count_rounding_steps(values, steps)
    masks = {int(k): rounded >= k for k in np.unique(rounded[~np.isnan(rounded)])[1:]}
    # The one that tells most rows from others is compared in slices as well.
    even = min(masks, key=lambda k: abs(float(masks[k].mean()) - 0.5), default=0)
    for k, mask in masks.items():
        in_slices = k == even and _MIN_ROUND < mask.mean() < 1 - _MIN_ROUND
        name = ScoreName(DifferenceKind.ROUNDNESS, own, f"{steps[k - 1]:g}", in_slices, known)
        table.add(name, mask.astype(float))
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    table.add(
        ScoreName(DifferenceKind.REPEATS, own, "", False, known), np.log(counts)[place.ravel()]
    )


def _add_residuals(
    table: _ScoreTable, blocks: Sequence[tuple[RowColumn, Floats]], extra: Sequence[Floats]
) -> None:
    """Add how far each column is from its ridge regression on all others."""
    design = np.concatenate([*[block for _, block in blocks], *extra], axis=1)
    gram = design.T @ design / len(design)
    precision = np.linalg.inv(gram + _RIDGE * np.eye(len(gram)))
    start, total = 0, np.zeros(len(design))
    for column, block in blocks:
        mine = slice(start, start + block.shape[1])
        start = mine.stop
        weights = precision[:, mine] @ np.linalg.inv(precision[mine, mine])
        residual = design @ weights
        own, known = (column.name,), table.known_of.get(column.name, 0)
        if column.levels:
            size = np.sqrt((residual**2).mean(axis=1))
        else:
            size = np.abs(residual[:, 0])
            name = ScoreName(DifferenceKind.RESIDUAL, own, "", True, known)
            table.add(name, _normal_scores(residual[:, 0]))
        ranks = _ranks(np.where(column.missing, np.nan, size))
        table.add(ScoreName(DifferenceKind.NOISE, own, "", True, known), ranks)
        total += ranks
    if len(blocks) > 1:
        table.add(ScoreName(DifferenceKind.NOISE, (), "", True), total)


def _normal_scores(values: Floats) -> Floats:
    from scipy.special import ndtri

    return np.asarray(ndtri(_ranks(values)))


def _add_density(table: _ScoreTable, blocks: Sequence[Floats], rng: np.random.Generator) -> Links:
    """Add how close the nearest other rows are, and return which row is nearest."""
    n = len(blocks[0])
    rows = np.sort(rng.permutation(n)[:_MAX_NEAR_ROWS])
    # A column of levels counts as one number, whatever its number of levels.
    space = np.concatenate([block[rows] / np.sqrt(block.shape[1]) for block in blocks], axis=1)
    distances, found = nearest(space, space, min(_NEIGHBORS + 1, len(space)))
    # Of equal rows, the row itself need not come first.
    first = found[:, 0] == np.arange(len(rows))
    neighbors = np.where(first, found[:, 1], found[:, 0])
    near = np.log(np.where(first, distances[:, 1], distances[:, 0]) + _NEAR)
    far = np.log(distances[:, -1] + _NEAR)
    mask, score = np.zeros(n, dtype=bool), np.full(n, np.nan)
    mask[rows], score[rows] = True, near
    table.add(ScoreName(DifferenceKind.DENSITY, ()), _ranks(score), mask)
    # The fourth power gives a tenth of the rows, those in a very tight pair, half of the weight.
    return Links(rows, neighbors, _ranks(far - near) ** 4)


def _add_target(
    table: _ScoreTable, columns: Sequence[RowColumn], target: str | None, rng: np.random.Generator
) -> None:
    """Add how far the target is from what boosted trees predict of rows that they were not fitted on."""
    own = next((column for column in columns if column.name == target), None)
    others = [column for column in columns if column is not own]
    if own is None or not others or len(own.levels) > _MAX_CLASSES:
        return
    known = np.flatnonzero(~own.missing)
    y = own.values[known] if own.levels else _normal_scores(own.values[known])
    if len(known) < _MIN_TREE_ROWS or len(np.unique(y)) < 2:
        return
    x = np.stack(
        [np.minimum(c.values[known], _MAX_CODES) if c.levels else c.values[known] for c in others],
        1,
    )
    categorical = np.array([bool(c.levels) for c in others])
    task: Task = "classification" if own.levels else "regression"
    fold, loss, error = rng.permutation(len(known)) % 2, np.zeros(len(known)), np.zeros(len(known))
    for k in range(2):
        fitted = np.flatnonzero(fold != k)[:_MAX_TREE_ROWS]
        model = fit_discriminator(
            x[fitted], y[fitted], categorical, task=task, seed=0, iterations=_TREES
        )
        rows = np.flatnonzero(fold == k)
        if own.levels:
            place = np.searchsorted(model.classes_, y[rows])
            place = np.minimum(place, len(model.classes_) - 1)
            chance = model.predict_proba(x[rows])[np.arange(len(rows)), place]
            loss[rows] = -np.log(np.maximum(chance, _MIN_CHANCE))
        else:
            error[rows] = y[rows] - model.predict(x[rows])
            loss[rows] = np.log(np.abs(error[rows]) + _MIN_CHANCE)
    mask, values = np.zeros(len(own.values), dtype=bool), np.zeros(len(own.values))
    mask[known], values[known] = True, loss
    table.add(ScoreName(DifferenceKind.NOISE, (own.name,), "trees", True), values, mask)
    if not own.levels:
        values[known] = error
        table.add(ScoreName(DifferenceKind.RESIDUAL, (own.name,), "trees", True), values, mask)


def _add_pairs(table: _ScoreTable, names: Sequence[ScoreName], paired: Scores) -> None:
    """Add the products of the pairs of scores that depend most on each other, for slices."""
    strength = np.abs(paired.T @ paired) / len(paired)
    first, second = np.triu_indices(len(names), 1)
    apart = [names[i].columns != names[j].columns for i, j in zip(first.tolist(), second.tolist())]
    first, second = first[apart], second[apart]
    order = np.argsort(-strength[first, second], kind="stable")[:_MAX_SLICE_PAIRS]
    chosen: list[tuple[int, int]] = np.stack([first[order], second[order]], 1).tolist()
    for i, j in chosen:
        columns = (*names[i].columns, *names[j].columns)
        detail = " and ".join(filter(None, (names[i].detail, names[j].detail)))
        name = ScoreName(DifferenceKind.DEPENDENCE, columns, detail, True)
        table.add(name, paired[:, i].astype(float) * paired[:, j])

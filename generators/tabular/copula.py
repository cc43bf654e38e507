"""`tabular.copula`: a Gaussian copula with empirical margins."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, ClassVar

import numpy as np
import numpy.typing as npt

from twinset.core.contracts import FittedGenerator, Generator, Progress, silent
from twinset.core.data.conditions import column_masks, rows_to_learn_from, unmet
from twinset.core.data.dataset import Dataset
from twinset.core.data.encoding import EncodedColumn, TableEncoding
from twinset.core.data.schema import TABULAR_KINDS
from twinset.core.data.where import Where
from twinset.core.errors import ParameterError
from twinset.core.parameters import Ge

Floats = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]

MIN_EIGENVALUE = 1e-4  # of a correlation matrix: smaller ones make its Cholesky root unstable
# Search of the latent normal for a combination that no real row has: a million rows take about a
# second for ten columns, and rarer combinations are refused.
_SEARCH_ROUNDS, _SEARCH_ROWS = 64, 16_384
_ORDER_ROUNDS = 2  # a second one, since the first changes the scores that levels are ordered by


@dataclass(frozen=True)
class Margin:
    """The distribution of one encoded column, as cells of the unit interval, one a distinct value.

    A value that p of the rows have owns a cell of width p, in ascending order of the values. Ties
    need no special handling: a category, a repeated zero and a continuous column differ only in the
    width of their cells.
    """

    values: Floats  # distinct values in the order of their cells, shape (k,)
    edges: Floats  # ends of the cells, from 0 to 1, (k + 1,)
    # Values that are drawn exactly, (k,); in the cells of the others `value_at` goes evenly from
    # halfway to the value before to halfway to the value after.
    exact: Mask

    @classmethod
    def from_numbers(cls, column: Floats, min_repeats: int) -> Margin:
        """Return the margin of a numeric column; values with `min_repeats` rows or more are exact."""
        values, counts = np.unique(column, return_counts=True)
        return cls(values, _edges(counts), counts >= min_repeats)

    @classmethod
    def from_codes(cls, column: Floats, order: Codes) -> Margin:
        """Return the margin of a column of codes whose cells stand in the given order."""
        counts = np.bincount(column.astype(np.int64), minlength=len(order))
        return cls(order.astype(np.float64), _edges(counts[order]), np.ones(len(order), bool))

    def cells(self, column: Floats) -> Codes:
        """Return the cell of each value, shape (n,); every value must be one of `values`."""
        ascending = np.argsort(self.values)
        # Searching values in ascending order is several times faster than at random.
        rows = np.argsort(column)
        cells = np.empty(len(column), dtype=np.int64)
        cells[rows] = ascending[np.searchsorted(self.values, column[rows], sorter=ascending)]
        return cells

    def scores(self, column: Floats) -> Floats:
        """Return the mean standard-normal score in each value's cell, shape (n,); mean 0."""
        from scipy.special import ndtri

        density = np.exp(-0.5 * ndtri(self.edges) ** 2) / np.sqrt(2 * np.pi)
        widths = np.diff(self.edges)
        means = np.divide(-np.diff(density), widths, out=np.zeros_like(widths), where=widths > 0)
        return np.asarray(means[self.cells(column)])

    def uniform_in_cell(self, column: Floats, rng: np.random.Generator) -> Floats:
        """Return a uniform number from the cell of each value, shape (n,)."""
        cells = self.cells(column)
        low, high = self.edges[cells], self.edges[cells + 1]
        return np.asarray(low + (high - low) * rng.random(len(column)))

    def value_at(self, uniform: Floats) -> Floats:
        """Return the value at each point of the unit interval, shape (n,)."""
        if self.exact.all():
            cells = np.searchsorted(self.edges[1:-1], uniform, side="right")
            return np.asarray(self.values[cells])
        rows = np.argsort(uniform)
        values = np.empty(len(uniform))
        values[rows] = np.interp(uniform[rows], *self.corners)
        return values

    @cached_property
    def corners(self) -> tuple[Floats, Floats]:
        """Corners of the inverse distribution: both ends of every cell, and the values there."""
        halfway = 0.5 * (self.values[:-1] + self.values[1:])
        lower = np.where(self.exact, self.values, np.append(self.values[0], halfway))
        upper = np.where(self.exact, self.values, np.append(halfway, self.values[-1]))
        ends = np.column_stack([self.edges[:-1], self.edges[1:]])
        return ends.ravel(), np.column_stack([lower, upper]).ravel()


def _edges(counts: Codes) -> Floats:
    edges = np.append(0.0, np.cumsum(counts) / max(int(counts.sum()), 1))
    edges[-1] = 1.0
    return edges


@dataclass(frozen=True)
class LatentNormal:
    """A standard normal vector with the correlation matrix `correlation`, shape (d, d)."""

    correlation: Floats

    def draw(self, n: int, rng: np.random.Generator) -> Floats:
        """Return `n` draws, shape (n, d)."""
        root = np.linalg.cholesky(self.correlation)
        return np.asarray(rng.standard_normal((n, len(root))) @ root.T)

    def draw_given(self, known: list[int], values: Floats, rng: np.random.Generator) -> Floats:
        """Return one draw, shape (n, d), for each row of `values` of the components `known`.

        A free draw moved by the regression on the difference of its known components is a draw from
        the conditional normal (Matheron's rule; Hoffman and Ribak 1991).
        """
        drawn = self.draw(len(values), rng)
        if known:
            some = self.correlation[np.ix_(known, known)]
            weights = np.linalg.solve(some, self.correlation[known])
            drawn += (values - drawn[:, known]) @ weights
            drawn[:, known] = values
        return drawn

    def select(self, known: list[int]) -> LatentNormal:
        """Return the normal of these components alone."""
        return LatentNormal(self.correlation[np.ix_(known, known)])


def correlation_of_scores(scores: Floats) -> Floats:
    """Return the latent correlation matrix, (d, d), of mean normal scores, (n, d); NaN for missing.

    A score is the mean of the latent normal in its value's cell. The covariance of two such columns
    is, to first order, the latent correlation times both variances (exactly so when one of them is
    continuous: the polyserial case), so dividing by the variances reverses the loss through ties.
    Each entry then shrinks to 0 by its own sampling error, and the nearest positive definite matrix
    is taken.
    """
    present = (~np.isnan(scores)).astype(np.float64)
    filled = np.nan_to_num(scores)
    pairs = np.maximum(present.T @ present, 1.0)
    covariance = filled.T @ filled / pairs
    variances = np.diag(covariance)
    product = np.outer(variances, variances)
    # Constant columns have variance 0 and depend on nothing.
    ratio = np.divide(covariance, product, out=np.zeros_like(product), where=product > 1e-12)
    error = np.divide(1.0, pairs * product, out=np.ones_like(product), where=product > 1e-12)
    kept = 1.0 - np.divide(error, ratio**2, out=np.ones_like(ratio), where=ratio != 0)
    correlation = np.clip(ratio, -1.0, 1.0) * np.maximum(kept, 0.0)
    np.fill_diagonal(correlation, 1.0)
    return positive_definite(correlation)


def positive_definite(correlation: Floats) -> Floats:
    """Return a near correlation matrix without eigenvalues below 1e-4: clipped, diagonal back to 1."""
    values, vectors = np.linalg.eigh(correlation)
    if values[0] >= MIN_EIGENVALUE:
        return correlation
    clipped = (vectors * np.maximum(values, MIN_EIGENVALUE)) @ vectors.T
    scale = 1.0 / np.sqrt(np.diag(clipped))
    clipped = clipped * np.outer(scale, scale)
    np.fill_diagonal(clipped, 1.0)
    return np.asarray((clipped + clipped.T) / 2)


@dataclass
class ClassCopula(FittedGenerator):
    """A Gaussian copula with the empirical margins of `train`; see `tabular.copula`."""

    train: Dataset
    encoding: TableEncoding
    margins: list[Margin]  # of each matrix column of the encoding
    latent: LatentNormal

    def __post_init__(self) -> None:
        self.schema = self.train.schema

    @classmethod
    def fit(cls, train: Dataset, min_repeats: int, progress: Progress) -> ClassCopula:
        """Return the copula of these rows, 2 or more."""
        encoding = TableEncoding.from_dataset(train)
        matrix = encoding.encode(train)
        scores = np.full(matrix.shape, np.nan)
        margins: list[Margin] = []
        for done, column in enumerate(encoding.columns):
            present = _present(column, matrix)
            margins.append(_margin_of(column, matrix[present, column.value], min_repeats))
            scores[present, column.value] = margins[-1].scores(matrix[present, column.value])
            if column.missing is not None:
                margins.append(Margin.from_codes(matrix[:, column.missing], np.arange(2)))
                scores[:, column.missing] = margins[-1].scores(matrix[:, column.missing])
            progress("margins", done + 1, len(encoding.columns))
        for _ in range(_ORDER_ROUNDS):
            _order_levels(encoding, matrix, margins, scores)
        return cls(train, encoding, margins, LatentNormal(correlation_of_scores(scores)))

    def sample(self, n: int, rng: np.random.Generator, where: Where | None = None) -> Dataset:
        """Return exactly `n` new rows that meet `where`."""
        every = list(range(len(self.margins)))
        if where is None or not where.conditions:
            return self.encoding.decode(self._values(self.latent.draw(n, rng), every))
        masks = column_masks(self.train, where)
        parts = [
            part
            for column in self.encoding.columns
            if column.field.name in masks
            for part in (column.value, column.missing)
            if part is not None
        ]
        rows = np.flatnonzero(np.logical_and.reduce(list(masks.values())))
        if len(rows):
            values, uniforms = self._draw_from_real(rng.choice(rows, n), parts, where, rng)
        else:
            values, uniforms = self._search_latent(n, parts, where, rng)
        matrix = self._values(self._draw_others(uniforms, parts, rng), every)
        matrix[:, parts] = values
        synthetic = self.encoding.decode(matrix)
        if not synthetic.mask(where).all():
            raise unmet(where)
        return synthetic

    def _draw_from_real(
        self, rows: Codes, parts: list[int], where: Where, rng: np.random.Generator
    ) -> tuple[Floats, Floats]:
        """Return values of the conditioned parts like those of these train rows, and their uniforms."""
        encoded = self.encoding.encode(self.train.take(rows))
        uniforms = np.full((len(rows), len(parts)), np.nan)
        values = encoded[:, parts]
        column_of = {column.value: column for column in self.encoding.columns}
        for k, part in enumerate(parts):
            present = np.ones(len(encoded), dtype=bool)
            if part in column_of:
                present = _present(column_of[part], encoded)
            drawn = self.margins[part].uniform_in_cell(encoded[present, part], rng)
            uniforms[present, k] = drawn
            values[present, k] = self.margins[part].value_at(drawn)
        # A value drawn inside a cell at the edge of the condition may fall outside it.
        outside = ~self._decode_parts(values, parts, where).mask(where)
        values[outside] = encoded[outside][:, parts]
        return values, uniforms

    def _search_latent(
        self, n: int, parts: list[int], where: Where, rng: np.random.Generator
    ) -> tuple[Floats, Floats]:
        """Search the latent normal for a combination that no real row has; fail after a million."""
        latent, kept, found = self.latent.select(parts), [], 0
        for _ in range(_SEARCH_ROUNDS):
            drawn = latent.draw(_SEARCH_ROWS, rng)
            fits = self._decode_parts(self._values(drawn, parts), parts, where).mask(where)
            kept.append(drawn[fits])
            found += len(kept[-1])
            if found >= n:
                break
        if not found:
            raise unmet(where)
        normals = np.concatenate(kept)
        normals = normals[:n] if found >= n else normals[rng.integers(0, found, n)]
        return self._values(normals, parts), _uniforms(normals)

    def _draw_others(self, uniforms: Floats, parts: list[int], rng: np.random.Generator) -> Floats:
        """Return whole latent rows, shape (n, d), given the uniforms of some parts (NaN: unknown)."""
        from scipy.special import ndtri

        normals = ndtri(np.clip(uniforms, 1e-12, 1 - 1e-12))
        drawn = np.empty((len(uniforms), len(self.margins)))
        known = ~np.isnan(uniforms)
        for pattern in np.unique(known, axis=0):
            rows = np.flatnonzero((known == pattern).all(axis=1))
            given = [part for part, is_known in zip(parts, pattern) if is_known]
            drawn[rows] = self.latent.draw_given(given, normals[np.ix_(rows, pattern)], rng)
        return drawn

    def _values(self, normals: Floats, parts: list[int]) -> Floats:
        """Return the values of latent normals of these parts, shape (n, len(parts))."""
        uniforms = _uniforms(normals)
        for k, part in enumerate(parts):
            uniforms[:, k] = self.margins[part].value_at(uniforms[:, k])
        return uniforms

    def _decode_parts(self, values: Floats, parts: list[int], where: Where) -> Dataset:
        matrix = np.zeros((len(values), len(self.margins)))
        matrix[:, parts] = values
        return self.encoding.decode(matrix, names=list(where.conditions))


def _uniforms(normals: Floats) -> Floats:
    from scipy.special import ndtr

    return np.asarray(ndtr(normals))


def _present(column: EncodedColumn, matrix: Floats) -> Mask:
    if column.missing is None:
        return np.ones(len(matrix), dtype=bool)
    return np.asarray(matrix[:, column.missing] < 0.5)


def _margin_of(column: EncodedColumn, present: Floats, min_repeats: int) -> Margin:
    if not len(present):
        return Margin.from_numbers(np.array([column.fill]), min_repeats)
    if column.is_nominal:
        counts = np.bincount(present.astype(np.int64), minlength=len(column.levels))
        return Margin.from_codes(present, np.argsort(-counts, kind="stable"))
    return Margin.from_numbers(present, min_repeats)


def _order_levels(
    encoding: TableEncoding, matrix: Floats, margins: list[Margin], scores: Floats
) -> None:
    """Put the levels of each category in the order of the column that differs most between them.

    A copula uses only the order of values: that of levels decides how much dependence it keeps.
    """
    for column in encoding.columns:
        present = _present(column, matrix)
        if len(column.levels) < 3 or not present.any():
            continue
        codes = matrix[present, column.value].astype(np.int64)
        shares = np.bincount(codes, minlength=len(column.levels)) / len(codes)
        others = np.nan_to_num(scores[present])
        means = (
            np.stack([np.bincount(codes, part, len(column.levels)) for part in others.T], axis=1)
            / np.maximum(len(codes) * shares, 1)[:, None]
        )
        variances = others.var(axis=0)
        explained = np.divide(
            shares @ means**2, variances, out=np.zeros(len(variances)), where=variances > 1e-12
        )
        explained[column.value] = 0.0
        order = np.argsort(means[:, explained.argmax()], kind="stable")
        margins[column.value] = Margin.from_codes(matrix[present, column.value], order)
        scores[present, column.value] = margins[column.value].scores(matrix[present, column.value])


Rows = npt.NDArray[np.int64]

_MIN_ROWS_PER_LABEL = 50  # a copula of fewer rows would all but copy them


@dataclass(frozen=True, kw_only=True)
class Copula(Generator):
    """Gaussian copula with empirical margins: every column as it is, dependence by correlations.

    Each column keeps its own distribution; one correlation matrix of normal scores represents the
    dependence between columns. Categories, repeated values and missing values take part through the
    mean score of their share. The levels of a category are put in the order that correlates best
    with the other columns. One correlation matrix cannot represent the difference of two classes, so
    each label of the target has a copula, with margins, of its own. Fast, and a fair baseline; it
    cannot learn dependence inside a label that is no correlation.

    A condition is met exactly: its columns are drawn from the real rows that meet it (inside their
    cells, so continuous values are new ones), the other columns from the normal given these.

    Parameters
    ----------
    min_repeats : int
        Rows from which on a value of a number is drawn as it is; between rarer values new ones are
        drawn. 2 or more.
    per_label : bool
        Fit a copula to each label of a category or boolean target that has 50 rows or more. Rarer
        labels share one, or, below 50 rows together, join the label with the fewest rows; without a
        target there is one for all rows.

    References
    ----------
    Nelsen, "An Introduction to Copulas", 2006; Rueschendorf, "On the distributional transform",
    J. Statist. Plann. Inference 139, 2009; polyserial correlation: Olsson et al., Psychometrika 47,
    1982.

    Examples
    --------
    >>> import pyarrow as pa
    >>> x = np.random.default_rng(0).normal(size=500)
    >>> real = Dataset.from_arrow(pa.table({"x": x, "big": np.where(x > 1, "yes", "no")}))
    >>> fitted = Copula().fit(real, np.random.default_rng(1))
    >>> rows = fitted.sample(200, np.random.default_rng(2), Where({"big": "yes"}))
    >>> len(rows), bool(rows.values("x").mean() > 1)
    (200, True)
    """

    min_repeats: Annotated[int, Ge(2)] = 5
    per_label: bool = True

    kinds: ClassVar[frozenset[str]] = TABULAR_KINDS

    def fit(
        self, real: Dataset | None, rng: np.random.Generator, progress: Progress = silent
    ) -> FittedGenerator:
        """Return the copula of `real`; needs 2 rows. Time grows as n d log n + n d²."""
        train = rows_to_learn_from(
            real, self.kinds, component="tabular.copula", min_rows=2
        ).without_reserved()
        groups = _rows_by_label(train) if self.per_label else [np.arange(len(train))]
        class_copulas = [
            ClassCopula.fit(train.take(rows), self.min_repeats, progress) for rows in groups
        ]
        return _FittedCopula(train, groups, class_copulas)


class _FittedCopula(FittedGenerator):
    def __init__(
        self, train: Dataset, groups: list[Rows], class_copulas: list[ClassCopula]
    ) -> None:
        self.train, self.schema = train, train.schema
        self.groups, self.class_copulas = groups, class_copulas

    def sample(self, n: int, rng: np.random.Generator, where: Where | None = None) -> Dataset:
        meets = np.ones(len(self.train), dtype=bool)
        if where is not None:
            for mask in column_masks(self.train, where).values():
                meets &= mask
            if not meets.any():
                return self._sample_unseen(n, rng, where)
        sizes = np.array([np.count_nonzero(meets[rows]) for rows in self.groups])
        counts = rng.multinomial(n, sizes / sizes.sum())
        parts = [
            copula.sample(int(count), rng, where)
            for copula, count, size in zip(self.class_copulas, counts, sizes, strict=True)
            if size
        ]
        synthetic = Dataset.concat(parts)
        return synthetic if len(self.class_copulas) == 1 else synthetic.take(rng.permutation(n))

    def _sample_unseen(self, n: int, rng: np.random.Generator, where: Where) -> Dataset:
        """Take the first label whose copula reaches a combination that no real row has."""
        for copula in self.class_copulas:
            try:
                return copula.sample(n, rng, where)
            except ParameterError:
                continue
        raise unmet(where)


def _rows_by_label(train: Dataset) -> list[Rows]:
    """Return the rows of each frequent label of the target, then those of all others together."""
    target = train.schema.target
    if target is None or not target.has_levels:
        return [np.arange(len(train))]
    codes, levels = train.codes(target.name)
    counts = np.bincount(codes[codes >= 0], minlength=len(levels))
    frequent = np.flatnonzero(counts >= _MIN_ROWS_PER_LABEL)
    groups = [np.flatnonzero(codes == code) for code in frequent]
    others = np.flatnonzero(~np.isin(codes, frequent))
    if groups and len(others) < _MIN_ROWS_PER_LABEL:
        smallest = min(range(len(groups)), key=lambda i: len(groups[i]))
        groups[smallest] = np.sort(np.append(groups[smallest], others))
        return groups
    return [*groups, others]

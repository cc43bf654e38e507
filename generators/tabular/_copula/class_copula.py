"""One Gaussian copula over one class of rows: what `tabular.copula` fits for each label."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from twinset.core.contracts import Progress
from twinset.core.data.conditions import column_masks, unmet
from twinset.core.data.dataset import Dataset
from twinset.core.data.encoding import EncodedColumn, TableEncoding
from twinset.core.data.where import Where

from .correlation import Floats, LatentNormal, correlation_of_scores
from .margins import Margin

_SEARCH_ROUNDS, _SEARCH_ROWS = 64, 16_384
_ORDER_ROUNDS = 2


class ClassCopula:
    """A Gaussian copula with the empirical margins of `train`; see `tabular.copula`."""

    def __init__(
        self, train: Dataset, encoding: TableEncoding, margins: list[Margin], latent: LatentNormal
    ) -> None:
        self.train, self.encoding, self.margins, self.latent = train, encoding, margins, latent

    @classmethod
    def of(cls, train: Dataset, min_repeats: int, progress: Progress) -> ClassCopula:
        """Return the copula of these rows, 2 or more."""
        encoding = TableEncoding.from_dataset(train)
        matrix = encoding.encode(train)
        scores = np.full(matrix.shape, np.nan)
        margins: list[Margin] = []
        for done, column in enumerate(encoding.columns):
            present = _present(column, matrix)
            margins.append(_margin(column, matrix[present, column.value], min_repeats))
            scores[present, column.value] = margins[-1].scores(matrix[present, column.value])
            if column.missing is not None:
                margins.append(Margin.of_codes(matrix[:, column.missing], np.arange(2)))
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
            values, uniforms = self._from_real(rng.choice(rows, n), parts, where, rng)
        else:
            values, uniforms = self._from_latent(n, parts, where, rng)
        matrix = self._values(self._complete(uniforms, parts, rng), every)
        matrix[:, parts] = values
        made = self.encoding.decode(matrix)
        if not made.mask(where).all():
            raise unmet(where)
        return made

    def _from_real(
        self,
        rows: npt.NDArray[np.int64],
        parts: list[int],
        where: Where,
        rng: np.random.Generator,
    ) -> tuple[Floats, Floats]:
        """Return values of the conditioned parts like those of these train rows, and their uniforms.

        The uniform is NaN where the value is missing: what is not there tells nothing.
        """
        encoded = self.encoding.encode(self.train.take(rows))
        uniforms = np.full((len(rows), len(parts)), np.nan)
        values = encoded[:, parts]
        for k, part in enumerate(parts):
            present = self._is_present(part, encoded)
            drawn = self.margins[part].uniform_in_cell(encoded[present, part], rng)
            uniforms[present, k] = drawn
            values[present, k] = self.margins[part].value_at(drawn)
        # A value drawn inside a cell at the edge of the condition may fall outside it.
        outside = ~self._decode_parts(values, parts, where).mask(where)
        values[outside] = encoded[outside][:, parts]
        return values, uniforms

    def _from_latent(
        self, n: int, parts: list[int], where: Where, rng: np.random.Generator
    ) -> tuple[Floats, Floats]:
        """Search the latent normal for a combination that no real row has; give up after a while."""
        latent, kept, found = self.latent.part(parts), [], 0
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

    def _complete(self, uniforms: Floats, parts: list[int], rng: np.random.Generator) -> Floats:
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
        """Return the values that latent normals of these parts stand for, shape (n, len(parts))."""
        uniforms = _uniforms(normals)
        for k, part in enumerate(parts):
            uniforms[:, k] = self.margins[part].value_at(uniforms[:, k])
        return uniforms

    def _decode_parts(self, values: Floats, parts: list[int], where: Where) -> Dataset:
        matrix = np.zeros((len(values), len(self.margins)))
        matrix[:, parts] = values
        return self.encoding.decode(matrix, names=list(where.conditions))

    def _is_present(self, part: int, encoded: Floats) -> npt.NDArray[np.bool_]:
        for column in self.encoding.columns:
            if column.value == part:
                return _present(column, encoded)
        return np.ones(len(encoded), dtype=bool)


def _uniforms(normals: Floats) -> Floats:
    from scipy.special import ndtr

    return np.asarray(ndtr(normals))


def _present(column: EncodedColumn, matrix: Floats) -> npt.NDArray[np.bool_]:
    if column.missing is None:
        return np.ones(len(matrix), dtype=bool)
    return np.asarray(matrix[:, column.missing] < 0.5)


def _margin(column: EncodedColumn, present: Floats, min_repeats: int) -> Margin:
    if not len(present):
        return Margin.of_numbers(np.array([column.fill]), min_repeats)
    if column.is_nominal:
        counts = np.bincount(present.astype(np.int64), minlength=len(column.levels))
        return Margin.of_codes(present, np.argsort(-counts, kind="stable"))
    return Margin.of_numbers(present, min_repeats)


def _order_levels(
    encoding: TableEncoding, matrix: Floats, margins: list[Margin], scores: Floats
) -> None:
    """Put the levels of each category in the order of the column that differs most between them.

    Margins and scores are changed in place. A copula sees only the order of values, so the order of
    levels decides how much of a category's dependence it can carry.
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
        margins[column.value] = Margin.of_codes(matrix[present, column.value], order)
        scores[present, column.value] = margins[column.value].scores(matrix[present, column.value])

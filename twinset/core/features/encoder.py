"""Features: a set of any modality as an (n, d) float matrix in which distances mean something."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from twinset.core.data.dataset import Dataset
from twinset.core.data.kinds import Encoding
from twinset.core.data.schema import Field
from twinset.core.features.embedders import DEFAULT_EMBEDDERS, Embedding, read_embeddings
from twinset.core.features.embedders.handcrafted import drawn_in
from twinset.core.stats.neighbors import Distances, nearest

Matrix = npt.NDArray[np.float32]
Floats = npt.NDArray[np.float64]
ColumnEncoder = Callable[[Dataset], Matrix]

# Rows that scales and levels are read from; quantiles are stable to 0.5 % from there
FIT_ROWS = 50_000
# Images or texts that directions are fitted on: decoding them takes the time
CONTENT_FIT_ROWS = 2_000
TOP_LEVELS = 30  # levels with a column of their own; rarer ones share one
_CHUNK = 16_384  # rows that are encoded at a time where a set is only searched
_TEXT_BLOCK = 1_024  # texts that are embedded at a time: 8 MB of hashed words
_CONTENT_SIZE = 32  # features of an image or text column, which bounds the time of searches
_CONTENT_VARIANCE = 8.0  # an image or text weighs in a distance as much as eight numbers
# Feature of a missing number when the train set has none: far out, but no further than an outlier.
_MISSING_NUMBER = 4.0


@dataclass(frozen=True)
class FeatureEncoder:
    """Turns sets into feature matrices; fitted on the real train set, for metrics only.

    Numbers and datetimes are centred and scaled to unit spread, with tails drawn in by a logarithm.
    Categories are one-hot over their most frequent levels, such that two different levels lie at
    distance 1. A missing number becomes the middle value, with an indicator column of its own. Texts
    become at most 32 numbers of each text embedder (by default of hashed words), images as many of
    each embedder whose vectors they have (of the handcrafted one otherwise), boxes and spans become
    counts. Ids, masks and columns with the roles identifier and split are excluded.
    """

    names: tuple[str, ...]  # Columns that are encoded
    _encoders: tuple[ColumnEncoder, ...]

    @classmethod
    def fit(
        cls,
        train: Dataset,  # real rows. Of more than 50,000 rows a part is looked at
        # chooses the part; without it, evenly spaced rows are taken
        rng: np.random.Generator | None = None,
        # embedders of texts; by default hashed words and pairs of words
        texts: Sequence[Embedding] = (),
    ) -> FeatureEncoder:
        """Return an encoder for sets with the columns of `train`."""
        train = _part(train, FIT_ROWS, rng)
        found = [(field.name, _fit_column(train, field, rng, texts)) for field in _encoded(train)]
        return cls(tuple(name for name, _ in found), tuple(encoder for _, encoder in found))

    def transform(self, dataset: Dataset) -> Matrix:
        """Return the features of `dataset`, shape (n, d), float32 and without NaN."""
        if not self._encoders:
            return np.zeros((len(dataset), 0), dtype=np.float32)
        return np.concatenate([encode(dataset) for encode in self._encoders], axis=1)


def shared_encoder(
    train: Dataset, names: Sequence[str], cache: dict[str, Any], texts: Sequence[Embedding] = ()
) -> FeatureEncoder:
    """Return the encoder of the named columns of `train`, fitted once for all who share the cache."""
    key = f"encoder of {tuple(names)}"
    if key not in cache:
        cache[key] = FeatureEncoder.fit(train.select(names), texts=texts)
    found: FeatureEncoder = cache[key]
    return found


def distances_to(rows: Matrix, among: Dataset, encoder: FeatureEncoder) -> Distances:
    """Return the distance of each row of features to the nearest row of a set, shape (n,).

    The set is encoded chunk by chunk.
    """
    found = np.full(len(rows), np.inf)
    for start in range(0, len(among), _CHUNK):
        chunk = encoder.transform(among.slice(start, _CHUNK))
        np.minimum(found, nearest(rows, chunk, 1)[0][:, 0], out=found)
    return found


def _encoded(train: Dataset) -> list[Field]:
    return [
        field
        for field in train.schema.fields
        if field.column_kind.encoding is not None and field.role not in ("identifier", "split")
    ]


def _part(dataset: Dataset, size: int, rng: np.random.Generator | None) -> Dataset:
    n = len(dataset)
    if n <= size:
        return dataset
    rows = np.linspace(0, n - 1, size).astype(np.int64)
    return dataset.take(np.sort(rng.choice(n, size, replace=False)) if rng is not None else rows)


def _fit_column(
    train: Dataset, field: Field, rng: np.random.Generator | None, texts: Sequence[Embedding]
) -> ColumnEncoder:
    encoding = field.column_kind.encoding
    if encoding is Encoding.NUMBER:
        return _fit_number(train, field.name)
    if encoding is Encoding.LEVELS:
        return _fit_category(train, field.name)
    if encoding is Encoding.LABELS:
        return _fit_labels(train, field)
    return _fit_embedder(_part(train, CONTENT_FIT_ROWS, rng), field, texts)


def _fit_number(train: Dataset, name: str) -> ColumnEncoder:
    values = train.values(name)
    present = values[np.isfinite(values)]
    centre, scale = robust_scale(present)
    flagged = len(present) < len(values)

    def encode(dataset: Dataset) -> Matrix:
        values = dataset.values(name)
        missing = ~np.isfinite(values)
        scaled = drawn_in((values - centre) / scale)
        if not flagged:
            return np.where(missing, _MISSING_NUMBER, scaled).astype(np.float32)[:, None]
        return np.column_stack([np.where(missing, 0.0, scaled), missing]).astype(np.float32)

    return encode


def robust_scale(values: npt.NDArray[np.float64]) -> tuple[float, float]:
    """Return the median and a spread of `values`: the middle 90 % of a normal law has spread 1.

    Where the middle 90 % are one value the standard deviation steps in, and 1 where that is 0 too.
    """
    if len(values) == 0:
        return 0.0, 1.0
    low, centre, high = np.quantile(values, [0.05, 0.5, 0.95])
    spread = (high - low) / 3.2897
    if spread <= 1e-9 * max(1.0, abs(centre)):
        spread = float(np.std(values))
    if not spread > 1e-9 * max(1.0, abs(float(centre))):
        spread = 1.0
    return float(centre), float(spread)


def _fit_category(train: Dataset, name: str) -> ColumnEncoder:
    codes, levels = train.codes(name)
    counts = np.bincount(codes[codes >= 0], minlength=len(levels))
    common = [levels[i] for i in np.argsort(-counts, kind="stable")[:TOP_LEVELS]]
    place = {level: i for i, level in enumerate(common)}
    # Two places more: for any other level and for a missing value. Only a level that the train
    # set lacks needs the first, so most tables carry two empty columns; they cost no distance.
    used = len(common) + 2

    def encode(dataset: Dataset) -> Matrix:
        codes, levels = dataset.codes(name)
        target = np.array([*[place.get(level, used - 2) for level in levels], used - 1])
        out = np.zeros((len(dataset), used), dtype=np.float32)
        out[np.arange(len(dataset)), target[codes]] = np.sqrt(0.5)
        return out

    return encode


def _fit_labels(train: Dataset, field: Field) -> ColumnEncoder:
    key = field.column_kind.label_key
    assert key is not None
    found = pc.unique(field.column_kind.labels(train.records.column(field.name))).to_pylist()
    labels = pa.array(sorted(label for label in found if label is not None), pa.string())

    def encode(dataset: Dataset) -> Matrix:
        """Return log(1 + n) of the number of items with each label."""
        column = dataset.records.column(field.name).combine_chunks()
        rows = np.asarray(pc.list_parent_indices(column))
        items = pc.index_in(pc.struct_field(pc.list_flatten(column), key), labels)
        codes = pc.fill_null(items, -1).to_numpy(zero_copy_only=False)
        out = np.zeros((len(column), len(labels)), dtype=np.float32)
        np.add.at(out, (rows[codes >= 0], codes[codes >= 0]), 1.0)
        return np.log1p(out)

    return encode


def _fit_embedder(train: Dataset, field: Field, texts: Sequence[Embedding]) -> ColumnEncoder:
    """Return the encoder by the vectors that the column carries, else by chosen or default embedders."""
    name, column = field.name, train.records.column(field.name)
    chosen = [one for one in texts if one.kind == field.kind]
    vectors = read_embeddings(column)
    fitted: list[Embedding] = []
    if not vectors:
        fitted = chosen or [DEFAULT_EMBEDDERS[field.kind].fit(column, None, 0)]
        vectors = {one.name: one.embed(column) for one in fitted}
    # All embedders together weigh as much as one would.
    variance = _CONTENT_VARIANCE / len(vectors)
    reductions = {
        key: Reduction.fit(own, size=_CONTENT_SIZE, variance=variance)
        for key, own in vectors.items()
    }

    def encode(dataset: Dataset) -> Matrix:
        column = dataset.records.column(name)
        step = _TEXT_BLOCK if field.column_kind.is_free_text else max(len(column), 1)
        parts = []
        for start in range(0, max(len(column), 1), step):
            block = column.slice(start, step)
            found = {one.name: one.embed(block) for one in fitted} or read_embeddings(block)
            own = [reduction.apply(found[key]) for key, reduction in reductions.items()]
            parts.append(np.concatenate(own, axis=1))
        return np.concatenate(parts)

    return encode


@dataclass(frozen=True)
class Reduction:
    """A fitted projection on the main directions, scaled to a given mean squared length."""

    mean: Matrix  # Centre of the data, shape (d,)
    directions: Matrix  # Main directions, scaled, shape (d, r)

    @classmethod
    def fit(cls, vectors: Matrix, *, size: int, variance: float) -> Reduction:
        """Return the projection of `vectors`, shape (n, d), on at most `size` directions.

        The projected rows have the total variance `variance`, so that an image or a text weighs as
        much in a distance as that many numbers.
        """
        vectors = vectors[~np.isnan(vectors).any(axis=1)]
        if len(vectors) == 0:
            return cls(np.zeros(1, dtype=np.float32), np.zeros((1, 0), dtype=np.float32))
        mean = vectors.mean(axis=0)
        lengths, rows = _main_directions(vectors - mean, size)
        kept = int((lengths > 1e-4 * max(float(lengths[0]), 1e-9)).sum())
        total = float((lengths[:kept] ** 2).sum()) / len(vectors)
        scale = np.sqrt(variance / total) if total > 1e-12 else 1.0
        return cls(mean, (rows[:kept].T * scale).astype(np.float32))

    def apply(self, vectors: Matrix) -> Matrix:
        """Return the projected rows, shape (n, r); a row with NaN lies at the centre."""
        if self.directions.shape[1] == 0:
            return np.zeros((len(vectors), 0), dtype=np.float32)
        projected: Matrix = np.nan_to_num(vectors - self.mean) @ self.directions
        return projected


def _main_directions(centred: Matrix, size: int) -> tuple[Floats, Floats]:
    """Return the largest `size` singular values and right singular vectors, largest first.

    Few of many are needed: those of the smaller of the products with the transpose take a sixth of the
    time of a whole decomposition.
    """
    from scipy.linalg import eigh

    x = centred.astype(np.float64)
    is_wide = x.shape[0] < x.shape[1]
    product = x @ x.T if is_wide else x.T @ x
    n = len(product)
    squares, vectors = eigh(product, subset_by_index=[max(n - size, 0), n - 1])
    lengths = np.sqrt(np.maximum(squares[::-1], 0.0))
    vectors = vectors[:, ::-1]
    if is_wide:
        vectors = x.T @ vectors / np.where(lengths > 0, lengths, 1.0)
    return lengths, vectors.T

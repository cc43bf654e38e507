"""Features: a set of any modality as an (n, d) float matrix in which distances mean something."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from twinset.core.data.dataset import Dataset
from twinset.core.data.kinds import Encoding
from twinset.core.data.schema import Field
from twinset.core.features.embedders import Classical, TextEmbedding, read_embeddings
from twinset.core.features.embedders.text import WORDS
from twinset.core.features.reduction import Reduction, label_counts, labels_of, text_vectors
from twinset.core.stats.neighbors import Distances, nearest

Matrix = npt.NDArray[np.float32]
ColumnEncoder = Callable[[Dataset], Matrix]

FIT_ROWS = 50_000
CONTENT_FIT_ROWS = 2_000
TOP_LEVELS = 30
_CHUNK = 16_384
_CONTENT_SIZE = 32
_CONTENT_VARIANCE = 8.0
_ODD = 4.0
"""Where a missing number goes when the train set has none: far out, but no further than an outlier."""


@dataclass(frozen=True)
class FeatureEncoder:
    """Turns sets into feature matrices; fitted on the real train part, for metrics only.

    Numbers and datetimes are centred and scaled to unit spread, with tails drawn in by a logarithm.
    Categories are one-hot over their commonest levels, such that two different levels lie at distance
    1. A number that is missing sits in the middle, with a column of its own that says so. Texts become
    at most 32 numbers of each embedder of texts (by default of hashed words), images as many of each
    embedder whose vectors they carry (of the classical one where they carry none), boxes and spans become
    counts. Ids, masks and columns with the roles identifier and split are passed over.

    Parameters
    ----------
    names : tuple of str
        Columns that are encoded.

    Examples
    --------
    >>> import pyarrow as pa
    >>> real = Dataset.from_arrow(pa.table({"x": [1.0, 2.0, 3.0], "c": ["a", "b", "a"]}))
    >>> features = FeatureEncoder.fit(real).transform(real)
    >>> features.shape, round(float(np.linalg.norm(features[0, 1:] - features[1, 1:])), 3)
    ((3, 5), 1.0)
    """

    names: tuple[str, ...]
    _encoders: tuple[ColumnEncoder, ...]

    @classmethod
    def fit(
        cls,
        train: Dataset,
        rng: np.random.Generator | None = None,
        texts: Sequence[TextEmbedding] = (),
    ) -> FeatureEncoder:
        """Return an encoder for sets with the columns of `train`.

        Parameters
        ----------
        train : Dataset
            Real rows. Of more than 50,000 rows a part is looked at.
        rng : numpy.random.Generator, optional
            Chooses the part; without it, evenly spaced rows are taken.
        texts : sequence of TextEmbedding
            What texts are looked at with; by default hashed words and pairs of words.
        """
        train = _part(train, FIT_ROWS, rng)
        found = [(field.name, _fit_column(train, field, rng, texts)) for field in _encoded(train)]
        return cls(tuple(name for name, _ in found), tuple(encoder for _, encoder in found))

    def transform(self, dataset: Dataset) -> Matrix:
        """Return the features of `dataset`, shape (n, d), float32 and without NaN."""
        if not self._encoders:
            return np.zeros((len(dataset), 0), dtype=np.float32)
        return np.concatenate([encode(dataset) for encode in self._encoders], axis=1)


def shared_encoder(
    train: Dataset,
    names: Sequence[str],
    cache: dict[str, Any],
    texts: Sequence[TextEmbedding] = (),
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
    train: Dataset,
    field: Field,
    rng: np.random.Generator | None,
    texts: Sequence[TextEmbedding],
) -> ColumnEncoder:
    encoding = field.column_kind.encoding
    if encoding is Encoding.NUMBER:
        return _fit_number(train, field.name)
    if encoding is Encoding.LEVELS:
        return _fit_category(train, field.name)
    if encoding is Encoding.LABELS:
        return _fit_labels(train, field)
    if field.column_kind.is_media:
        return _fit_images(_part(train, CONTENT_FIT_ROWS, rng), field.name)
    return _fit_texts(_part(train, CONTENT_FIT_ROWS, rng), field.name, texts)


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
            return np.where(missing, _ODD, scaled).astype(np.float32)[:, None]
        return np.column_stack([np.where(missing, 0.0, scaled), missing]).astype(np.float32)

    return encode


def robust_scale(values: npt.NDArray[np.float64]) -> tuple[float, float]:
    """Return the median and a spread of `values`: the middle 90 % of a normal law has spread 1.

    Where the middle 90 % are one value the standard deviation steps in, and 1 where that is 0 too.

    Examples
    --------
    >>> robust_scale(np.array([5.0, 5.0]))
    (5.0, 1.0)
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


def drawn_in(scaled: npt.NDArray[np.float64], knee: float = 3.0) -> npt.NDArray[np.float64]:
    """Return `scaled` with values beyond +-`knee` on a logarithmic scale; order is kept.

    Examples
    --------
    >>> drawn_in(np.array([2.0, -2.0, 1003.0])).round(2).tolist()
    [2.0, -2.0, 9.91]
    """
    beyond = np.maximum(np.abs(scaled) - knee, 0.0)
    tamed: npt.NDArray[np.float64] = np.minimum(np.abs(scaled), knee) + np.log1p(beyond)
    return np.copysign(tamed, scaled)


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
    labels = labels_of(train.records.column(field.name), key)
    return lambda dataset: label_counts(dataset.records.column(field.name), key, labels)


def _fit_texts(train: Dataset, name: str, chosen: Sequence[TextEmbedding]) -> ColumnEncoder:
    looks: Mapping[str, Callable[[pa.ChunkedArray], Matrix]] = {
        one.name: one.vectors for one in chosen
    } or {WORDS: text_vectors}
    column = train.records.column(name)
    # All embedders together weigh as much as one would.
    variance = _CONTENT_VARIANCE / len(looks)
    reductions = {
        key: Reduction.fit(look(column), size=_CONTENT_SIZE, variance=variance)
        for key, look in looks.items()
    }
    size = sum(reduction.directions.shape[1] for reduction in reductions.values())
    blocks = 1_024

    def encode(dataset: Dataset) -> Matrix:
        column = dataset.records.column(name)
        parts = []
        for start in range(0, len(column), blocks):
            block = column.slice(start, blocks)
            found = [reductions[key].apply(look(block)) for key, look in looks.items()]
            parts.append(np.concatenate(found, axis=1))
        return np.concatenate(parts) if parts else np.zeros((0, size), dtype=np.float32)

    return encode


def _fit_images(train: Dataset, name: str) -> ColumnEncoder:
    column = train.records.column(name)
    held = read_embeddings(column)
    classical = None if held else Classical().fit(column, None, 0)
    if classical is not None:
        held = {classical.name: classical.vectors(column)}
    # All embedders together weigh as much as one would.
    reductions = {
        key: Reduction.fit(v, size=_CONTENT_SIZE, variance=_CONTENT_VARIANCE / len(held))
        for key, v in held.items()
    }

    def encode(dataset: Dataset) -> Matrix:
        column = dataset.records.column(name)
        if classical is not None:
            return reductions[classical.name].apply(classical.vectors(column))
        found = read_embeddings(column)
        return np.concatenate([reductions[key].apply(found[key]) for key in reductions], axis=1)

    return encode

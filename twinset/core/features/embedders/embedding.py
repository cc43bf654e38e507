"""`Embedder` and `Embedding`: columns of images or texts as vectors in which distances mean something."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from twinset.core.data.dataset import Dataset
from twinset.core.errors import DataError
from twinset.core.image.codec import Pixels, decode_pixels

Matrix = npt.NDArray[np.float32]
Codes = npt.NDArray[np.int64]


class Embedder(ABC):
    """Settings of a way to turn the values of a column into vectors.

    Class attributes
    ----------------
    kind : str
        Kind of the columns that it embeds, e.g. "image".
    learns : bool
        Whether it learns from values; such an embedder is fitted on the real train set only.
    """

    kind: ClassVar[str]
    learns: ClassVar[bool] = False
    if TYPE_CHECKING:  # an annotation of the class would be a field without a default

        @property
        def name(self) -> str:
            """Name in recipes and reports."""

    @abstractmethod
    def fit(
        self,
        column: pa.ChunkedArray,  # values of the real train set, in the canonical type of the kind
        labels: Codes | None,  # class of each value, -1 where it is not known, shape (n,)
        seed: int,  # seed of everything that is drawn
    ) -> Embedding:
        """Return the fitted embedder."""


@dataclass(frozen=True)
class Embedding(Embedder):
    """A fitted embedder: equal values get equal vectors."""

    block: ClassVar[int]
    """Number of values that are decoded at a time, so that not all of them fill the memory."""

    name: str  # Name in recipes and reports, e.g. "classical"
    size: int  # Length of its vectors, d
    # Decoded values -> vectors, shape (n, d), float32 and finite
    apply: Callable[[Sequence[Any]], Matrix] = field(repr=False)
    # What is needed to compute the vectors again: architecture, seed, number of train images,
    # SHA-256 of the weights. Plain JSON values
    facts: Mapping[str, Any] = field(default_factory=dict)

    @abstractmethod
    def decode(self, column: pa.ChunkedArray) -> list[tuple[int, Any]]:
        """Return position and content of each value that can be read."""

    def fit(self, column: pa.ChunkedArray, labels: Codes | None, seed: int) -> Embedding:
        """Return the embedding itself."""
        return self

    def embed(self, column: pa.ChunkedArray) -> Matrix:
        """Return one vector for each value, shape (n, d); NaN where a value cannot be read."""
        out = np.full((len(column), self.size), np.nan, dtype=np.float32)
        for start in range(0, len(column), self.block):
            found = self.decode(column.slice(start, self.block))
            if found:
                rows = [start + row for row, _ in found]
                out[rows] = self.apply([content for _, content in found])
        return out


class ImageEmbedding(Embedding):
    """A fitted embedder of images; `apply` takes arrays of pixels."""

    kind: ClassVar[str] = "image"
    block: ClassVar[int] = 64  # some 200 MB of pixels where images have a megapixel

    def decode(self, column: pa.ChunkedArray) -> list[tuple[int, Pixels]]:
        """Return position and pixels of each image that is neither missing nor damaged."""
        return decode_images(column)


def decode_images(column: pa.ChunkedArray) -> list[tuple[int, Pixels]]:
    """Return position and pixels of each image that is neither missing nor damaged."""
    found = []
    for row, cell in enumerate(column):
        data = cell.as_py()
        if data is not None and data["bytes"]:
            try:
                found.append((row, decode_pixels(data["bytes"])))
            except DataError:
                continue
    return found


def with_vectors(
    dataset: Dataset,
    embeddings: Mapping[str, Sequence[Embedding]],  # image column -> its embeddings
) -> Dataset:
    """Return the set with vectors beside the bytes of its images, for all metrics that follow.

    They are fields of the image's own struct, one for each embedding, and so stay with the row.
    """
    for name, chosen in embeddings.items():
        found = [(one, one.embed(dataset.records.column(name))) for one in chosen]
        carried = {
            one.name: pa.FixedSizeListArray.from_arrays(vectors.ravel(), one.size)
            for one, vectors in found
        }
        dataset = with_carried(dataset, name, carried)
    return dataset


def with_carried(dataset: Dataset, name: str, carried: Mapping[str, pa.Array]) -> Dataset:
    """Return the set with further fields in the struct of an image column."""
    records = dataset.records
    column = one_chunk(records.column(name))
    parts = {own.name: column.field(own.name) for own in column.type} | dict(carried)
    merged = pa.StructArray.from_arrays(list(parts.values()), list(parts), mask=pc.is_null(column))
    place = records.schema.get_field_index(name)
    return replace(dataset, records=records.set_column(place, name, pa.chunked_array([merged])))


def one_chunk(column: pa.ChunkedArray) -> pa.Array:
    """Return a column as one array, also one without any chunk."""
    found = column.combine_chunks()
    if isinstance(found, pa.ChunkedArray):
        return pa.concat_arrays(found.chunks) if found.chunks else pa.array([], column.type)
    return found


def read_embeddings(column: pa.ChunkedArray) -> dict[str, Matrix]:
    """Return the vectors that the values of a column carry, by embedding; empty if they carry none."""
    if not pa.types.is_struct(column.type):
        return {}
    names = [own.name for own in column.type if pa.types.is_fixed_size_list(own.type)]
    if not names:
        return {}
    found = one_chunk(column)
    return {name: _to_matrix(found.field(name)) for name in names}


def _to_matrix(vectors: pa.FixedSizeListArray) -> Matrix:
    size = vectors.type.list_size
    out = np.full((len(vectors), size), np.nan, dtype=np.float32)
    # `flatten` leaves out what lies under a missing image.
    out[np.asarray(vectors.is_valid())] = np.asarray(vectors.flatten()).reshape(-1, size)
    return out

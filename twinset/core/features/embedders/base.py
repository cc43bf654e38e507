"""What an embedder promises, and sets whose images carry their vectors with them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from twinset.core.data.dataset import Dataset
from twinset.core.errors import DataError
from twinset.core.image.codec import Pixels, decode_pixels

Matrix = npt.NDArray[np.float32]
Codes = npt.NDArray[np.int64]

_BLOCK = 64


@dataclass(frozen=True)
class Embedding:
    """A fitted embedder: pictures in, vectors out, the same for equal pictures.

    Parameters
    ----------
    name : str
        What it is called on the report, e.g. "classical".
    size : int
        Length of its vectors.
    apply : callable
        Pixel arrays -> vectors, shape (n, size), float32 and finite.
    facts : mapping
        What a reader must know to make the vectors again: architecture, seed, number of training
        images, SHA-256 of the weights. Plain JSON values.
    """

    name: str
    size: int
    apply: Callable[[Sequence[Pixels]], Matrix]
    facts: Mapping[str, Any] = field(default_factory=dict)

    def vectors(self, column: pa.ChunkedArray) -> Matrix:
        """Return one row an image, shape (n, size); one that is missing or damaged is a row of NaN.

        Images are decoded 64 at a time: all the pixels of a set together would not fit the memory.
        """
        out = np.full((len(column), self.size), np.nan, dtype=np.float32)
        for start in range(0, len(column), _BLOCK):
            found = decoded(column.slice(start, _BLOCK))
            if found:
                rows = [start + row for row, _ in found]
                out[rows] = self.apply([pixels for _, pixels in found])
        return out


class Embedder(ABC):
    """Settings of a way to turn pictures into vectors: subclasses are frozen, keyword-only dataclasses.

    Class attributes
    ----------------
    learns : bool
        Whether it learns from pictures; one that does is fitted on the real train part, never on rows
        that are compared.
    """

    learns: ClassVar[bool]

    @property
    @abstractmethod
    def name(self) -> str:
        """What it is called on the report."""

    @abstractmethod
    def fit(self, images: pa.ChunkedArray, labels: Codes | None, seed: int) -> Embedding:
        """Return the fitted embedder.

        Parameters
        ----------
        images : pyarrow.ChunkedArray of struct<bytes, path>
            Real training images.
        labels : numpy.ndarray of int, shape (n,), optional
            Class of each image, -1 where it is not known.
        seed : int
            Decides all that is drawn.

        Raises
        ------
        MissingExtraError
            A library that it needs is not installed.
        FitError
            These images cannot be learnt from.
        """


def decoded(column: pa.ChunkedArray) -> list[tuple[int, Pixels]]:
    """Return position and pixels of each image that is there and can be read."""
    found = []
    for row, cell in enumerate(column):
        data = cell.as_py()
        if data is not None and data["bytes"]:
            try:
                found.append((row, decode_pixels(data["bytes"])))
            except DataError:
                continue
    return found


def with_vectors(dataset: Dataset, embeddings: Mapping[str, Sequence[Embedding]]) -> Dataset:
    """Return the set with vectors beside the bytes of its images, for all metrics that follow.

    They lie in the image's own struct, one field an embedding, and so go wherever the row goes.

    Parameters
    ----------
    dataset : Dataset
        Any set.
    embeddings : mapping
        Image column -> what to embed it by.

    Examples
    --------
    >>> from twinset.core.image.codec import encode_png
    >>> from twinset.core.data.schema import Field, Schema
    >>> cells = [{"bytes": encode_png(np.full((8, 8), 7 * i, np.uint8)), "path": ""} for i in range(3)]
    >>> d = Dataset.from_arrow(pa.table({"photo": cells}), Schema((Field(name="photo", kind="image"),)))
    >>> mean = Embedding("mean", 1, lambda many: np.array([[p.mean()] for p in many], np.float32))
    >>> held = read_embeddings(with_vectors(d, {"photo": [mean]}).take([2, 0]).records.column("photo"))
    >>> held["mean"].ravel().tolist()
    [14.0, 0.0]
    """
    for name, chosen in embeddings.items():
        found = [(one, one.vectors(dataset.records.column(name))) for one in chosen]
        carried = {
            one.name: pa.FixedSizeListArray.from_arrays(vectors.ravel(), one.size)
            for one, vectors in found
        }
        dataset = with_carried(dataset, name, carried)
    return dataset


def with_carried(dataset: Dataset, name: str, carried: Mapping[str, pa.Array]) -> Dataset:
    """Return the set with more fields in the struct of an image column, beside those it has."""
    records = dataset.records
    column = whole(records.column(name))
    parts = {held.name: column.field(held.name) for held in column.type} | dict(carried)
    made = pa.StructArray.from_arrays(list(parts.values()), list(parts), mask=pc.is_null(column))
    place = records.schema.get_field_index(name)
    return replace(dataset, records=records.set_column(place, name, pa.chunked_array([made])))


def whole(column: pa.ChunkedArray) -> pa.Array:
    """Return a column in one piece, also one without any chunk."""
    found = column.combine_chunks()
    if isinstance(found, pa.ChunkedArray):
        return pa.concat_arrays(found.chunks) if found.chunks else pa.array([], column.type)
    return found


def read_embeddings(column: pa.ChunkedArray) -> dict[str, Matrix]:
    """Return the vectors that the images of a column carry, by embedding; empty where they carry none."""
    names = [held.name for held in column.type if pa.types.is_fixed_size_list(held.type)]
    if not names:
        return {}
    found = whole(column)
    return {name: _matrix(found.field(name)) for name in names}


def _matrix(held: pa.FixedSizeListArray) -> Matrix:
    out = np.full((len(held), held.type.list_size), np.nan, dtype=np.float32)
    # What lies under a missing image is left out when lists are flattened.
    out[np.asarray(held.is_valid())] = np.asarray(held.flatten()).reshape(-1, held.type.list_size)
    return out

"""Fresh identifiers and placeholder texts for the columns that no generator may learn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from twinset.core._fresh_ids import IdBlock, Whole, free_blocks
from twinset.core.dataset import Dataset
from twinset.core.errors import DataError
from twinset.core.mixing import scramble
from twinset.core.schema import Field
from twinset.core.seeding import rng_for

_TEXT = (
    "lorem ipsum dolor sit amet consectetur adipiscing elit sed do eiusmod tempor incididunt ut "
    "labore et dolore magna aliqua enim ad minim veniam quis nostrud exercitation ullamco laboris "
    "nisi aliquip ex ea commodo consequat duis aute irure in reprehenderit voluptate velit esse "
    "cillum eu fugiat nulla pariatur excepteur sint occaecat cupidatat non proident sunt culpa qui "
    "officia deserunt mollit anim id est laborum"
)
WORDS = tuple(_TEXT.split())
_LENGTHS = 1_000


@dataclass(frozen=True)
class FreshColumns:
    """Columns that are made anew, row by row, from the seed and the row's position alone.

    Ids have the shape of the source's (fixed characters, digits, letters), never repeat and are never
    one of the ids it was fitted on. Texts are placeholder sentences with as many words as the
    source's; no word is taken over. The first n rows are the same however many follow.

    Examples
    --------
    >>> import pyarrow as pa
    >>> from twinset.core.schema import Schema
    >>> fields = (Field(name="card", kind="id"), Field(name="note", kind="text"))
    >>> table = pa.table({"card": ["C-104", "C-377"], "note": ["all is well", "call me back"]})
    >>> fresh = FreshColumns.fit(Dataset.from_arrow(table, Schema(fields)))
    >>> made = fresh.fill(3, 0, 7, fields)
    >>> all(one[:2] == "C-" and one[2:].isdigit() for one in made["card"].to_pylist())
    True
    >>> [len(one.split()) for one in made["note"].to_pylist()]
    [3, 3, 3]
    """

    ids: dict[str, tuple[IdBlock, ...]]
    texts: dict[str, tuple[npt.NDArray[np.int64], float]]
    missing: dict[str, float] = field(default_factory=dict)

    @classmethod
    def fit(cls, train: Dataset) -> FreshColumns | None:
        """Return the fresh columns for the ids and texts of `train`; None if it has neither.

        Give the holdout too where there is one: its ids are kept out of the fresh ones as well.
        """
        ids, texts, missing = {}, {}, {}
        for key in train.schema.of_kind("id"):
            column = train.records.column(key.name)
            missing[key.name] = column.null_count / max(len(column), 1)
            ids[key.name] = free_blocks(pc.unique(column.drop_null()), _greatest(key))
        for text in train.schema.of_kind("text"):
            column = train.records.column(text.name)
            texts[text.name] = (_word_counts(column), column.null_count / max(len(column), 1))
        return cls(ids, texts, missing) if ids or texts else None

    def fill(self, n: int, start: int, seed: int, fields: Sequence[Field]) -> dict[str, pa.Array]:
        """Return the fresh values of rows `start` .. `start + n - 1`, by column.

        Parameters
        ----------
        n : int
            Number of rows.
        start : int
            Position of the first of them in the whole set.
        seed : int
            The recipe's seed; the key of the ids.
        fields : sequence of Field
            The fields of the set; those that are not fresh columns are passed over.

        Raises
        ------
        DataError
            The source's integer type has no room for so many new ids.
        """
        rows = np.arange(start, start + n, dtype=np.uint64)
        columns = {}
        for wanted in fields:
            name = wanted.name
            keys = rng_for(seed, "fresh", name).integers(0, 2**63, size=5, dtype=np.uint64)
            if name in self.ids:
                made = _fresh_ids(self.ids[name], rows, keys, wanted)
                # An id that is missing says something too: as many stay missing.
                absent = scramble(rows ^ keys[4]).astype(np.float64) / 2.0**64
                gone = pa.array(absent < self.missing.get(name, 0.0))
                columns[name] = pc.if_else(gone, pa.scalar(None, made.type), made)
            elif name in self.texts:
                counts, null_fraction = self.texts[name]
                columns[name] = _fresh_texts(counts, null_fraction, rows, keys)
        return columns


def _fresh_ids(blocks: Sequence[IdBlock], rows: Whole, keys: Whole, field: Field) -> pa.Array:
    parts, first = [pa.array([], pa.string())], 0
    for block in blocks:
        own = rows[(rows >= first) & (rows < first + block.n_free)]
        if len(own):
            parts.append(block.ids(own - np.uint64(first), own, keys))
        first += block.n_free
    made = pa.concat_arrays(parts)
    if len(made) < len(rows):
        raise DataError(
            f"there are not enough new ids for the column '{field.name}'",
            got=f"room for {first:,} in the type {field.stored}",
            todo="store the column as text or as a wider integer, or leave it out",
        )
    return made


def _fresh_texts(
    counts: npt.NDArray[np.int64], null_fraction: float, rows: Whole, keys: Whole
) -> pa.Array:
    lengths = counts[(scramble(rows ^ keys[0]) % np.uint64(len(counts))).astype(np.int64)]
    ends = np.cumsum(lengths)
    begins = ends - lengths
    place = np.arange(int(lengths.sum())) - np.repeat(begins, lengths)
    mixed = scramble(np.repeat(scramble(rows ^ keys[1]), lengths) + place.astype(np.uint64))
    words = np.array(WORDS, dtype=object)[(mixed % np.uint64(len(WORDS))).astype(np.int64)]
    texts = [
        " ".join(words[a:b]).capitalize() + "." if b > a else ""
        for a, b in zip(begins, ends, strict=True)
    ]
    missing = scramble(rows ^ keys[2]).astype(np.float64) / 2.0**64 < null_fraction
    return pa.array(texts, pa.string(), mask=missing)


def _word_counts(column: pa.ChunkedArray) -> npt.NDArray[np.int64]:
    """Return the word counts of the texts as up to 1,000 quantiles; one word when there is none."""
    words = pc.list_value_length(pc.utf8_split_whitespace(pc.utf8_trim_whitespace(column)))
    counts = words.drop_null().to_numpy()
    if not len(counts):
        return np.ones(1, dtype=np.int64)
    grid = np.linspace(0, 1, min(len(counts), _LENGTHS))
    return np.asarray(np.quantile(counts, grid, method="nearest"), dtype=np.int64)


def _greatest(field: Field) -> int | None:
    kind = field.stored_type
    if pa.types.is_integer(kind):
        return int(np.iinfo(kind.to_pandas_dtype()).max)
    return 2**53 if pa.types.is_floating(kind) else None

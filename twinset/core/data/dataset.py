"""`Dataset` and `Card`: records of any modality with their schema, and what was done to get them."""

from __future__ import annotations

import hashlib
import html
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from twinset.core.data.arrow_tables import conform, infer_schema, restore, to_table
from twinset.core.data.schema import RESERVED, Schema
from twinset.core.data.where import Where, rows_that_meet
from twinset.core.errors import DataError, SchemaError
from twinset.core.extras import optional

if TYPE_CHECKING:
    import pandas
    import polars

Origin = Literal["real", "synthetic", "augmented"]

# What cards say of sets that hold real rows or pieces of them.
_FROM_REAL = re.compile(
    r"derived from|interpolat|cop(y|ies|ied)|real (row|record|image|text)", re.I
)


@dataclass(frozen=True, kw_only=True)
class Card:
    """What was done to get a set. It holds no clock, duration, host or path.

    Parameters
    ----------
    name : str
        Name of the set.
    origin : {"real", "synthetic", "augmented"}
        Where the rows come from.
    parents : tuple of str
        Digests of the sets it was made from.
    seed : int, optional
        Seed of the run.
    recipe_digest : str
        SHA-256 of the recipe, or empty.
    licence : str
        SPDX expression; of a derived set, what its parents allow.
    component : str
        Name of the generator or augmenter, with its settings in `settings`.
    settings : mapping
        Settings of the component.
    where : mapping, optional
        Condition under which the rows were made.
    provenance : mapping
        Citation, address, member, hash and the like of a real source.
    notes : tuple of str
        What a reader must know, e.g. "derived from real records: treat as the source data".
    reading : mapping
        How the real source was read, as far as that was requested: options of `--read`.
    """

    name: str
    origin: Origin
    parents: tuple[str, ...] = ()
    seed: int | None = None
    recipe_digest: str = ""
    licence: str = ""
    component: str = ""
    settings: Mapping[str, Any] = field(default_factory=dict)
    where: Mapping[str, Any] | None = None
    provenance: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    reading: Mapping[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Return the card as plain JSON values."""
        return {key: value for key, value in asdict(self).items() if value or key != "reading"}

    @property
    def is_from_real(self) -> bool:
        """Whether the rows are real ones varied, or a note says that they hold pieces of real ones."""
        return self.origin == "augmented" or any(_FROM_REAL.search(note) for note in self.notes)

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Card:
        """Return the card that `to_json` wrote."""
        known = dict(value)
        known["parents"] = tuple(known.get("parents", ()))
        known["notes"] = tuple(known.get("notes", ()))
        return cls(**known)


@dataclass(frozen=True)
class Dataset:
    """A table of records, its schema and its card. Methods return new sets; nothing is changed in place.

    Parameters
    ----------
    records : pyarrow.Table
        Columns of the schema in their canonical Arrow types, then any of the reserved columns
        `_id`, `_origin`, `_parents`. Build sets with `from_arrow`, which brings any table there.
    schema : Schema
        The columns' meaning.
    card : Card
        The set's history.

    Examples
    --------
    >>> import pyarrow as pa
    >>> d = Dataset.from_arrow(pa.table({"age": [31, 47], "sex": ["f", "m"]}))
    >>> len(d), d.schema["sex"].kind
    (2, 'category')
    """

    records: pa.Table
    schema: Schema
    card: Card = Card(name="data", origin="real")

    @classmethod
    def from_arrow(
        cls, data: object, schema: Schema | None = None, card: Card | None = None
    ) -> Dataset:
        """Return a set from anything that speaks the Arrow C stream protocol.

        Parameters
        ----------
        data : object
            A pandas or polars frame, a pyarrow table or batch, a duckdb relation, ...
        schema : Schema, optional
            What the columns are; inferred when not given.
        card : Card, optional
            The set's history; by default a nameless real set.

        Raises
        ------
        DataError
            `data` offers no Arrow stream, has no columns, or has two columns of one name.
        SchemaError
            A column cannot be read as its field says.
        """
        table = to_table(data)
        own = [name for name in table.column_names if name not in RESERVED]
        reserved = [name for name in RESERVED if name in table.column_names]
        plain = table.select(own)
        schema = schema if schema is not None else infer_schema(plain)
        records = conform(plain, schema)
        for name in reserved:
            records = records.append_column(name, table.column(name).cast(_RESERVED_TYPES[name]))
        return cls(records, schema, card or Card(name="data", origin="real"))

    def __len__(self) -> int:
        return int(self.records.num_rows)

    def values(self, name: str) -> npt.NDArray[np.float64]:
        """Return a numeric, boolean or datetime column as floats, shape (n,); missing is NaN.

        Datetimes become microseconds since 1970.
        """
        field_ = self.schema[name]
        column = self.records.column(name)
        if not field_.column_kind.has_float_values:
            raise SchemaError(f"the column '{name}' is not numeric", got=field_.kind)
        if pa.types.is_timestamp(column.type):
            column = column.cast(pa.int64())
        return np.asarray(
            pc.cast(column, pa.float64(), safe=False).to_numpy(zero_copy_only=False), dtype=float
        ).copy()

    def codes(self, name: str) -> tuple[npt.NDArray[np.int32], tuple[str, ...]]:
        """Return a column as codes into its sorted distinct texts, shape (n,); missing is -1."""
        column = self.records.column(name)
        if not pa.types.is_dictionary(column.type):
            column = pc.dictionary_encode(pc.cast(column, pa.string()))
        encoded = column.unify_dictionaries().combine_chunks()
        levels = pc.cast(encoded.dictionary, pa.string()).to_pylist()
        indices = encoded.indices
        if indices.null_count:
            indices = pc.fill_null(indices, len(levels))
        raw = indices.to_numpy(zero_copy_only=False)
        used = np.flatnonzero(np.bincount(raw, minlength=len(levels) + 1)[:-1])
        order = sorted(used.tolist(), key=lambda i: str(levels[i]))
        rank = np.full(len(levels) + 1, -1, dtype=np.int32)
        rank[order] = np.arange(len(order))
        # All codes are in range; `clip` only spares a copy of them as wide integers.
        return rank.take(raw, mode="clip"), tuple(levels[i] for i in order)

    def is_null(self, name: str) -> npt.NDArray[np.bool_]:
        """Return which values of a column are missing, shape (n,)."""
        return np.asarray(pc.is_null(self.records.column(name)).to_numpy(zero_copy_only=False))

    def take(self, rows: npt.NDArray[np.integer[Any]] | Sequence[int]) -> Dataset:
        """Return the rows with these positions, in this order."""
        return replace(self, records=self.records.take(pa.array(np.asarray(rows, dtype=np.int64))))

    def filter(self, keep: npt.NDArray[np.bool_]) -> Dataset:
        """Return the rows where `keep` is true."""
        return replace(self, records=self.records.filter(pa.array(keep)))

    def at_most(self, n: int, rng: np.random.Generator) -> Dataset:
        """Return `n` rows at random, in their order; the whole set when it has no more."""
        return self if len(self) <= n else self.take(sample_positions(len(self), n, rng))

    def where(self, where: Where | None) -> Dataset:
        """Return the rows that `where` means; all of them for None."""
        return self if where is None else self.filter(self.mask(where))

    def mask(self, where: Where) -> npt.NDArray[np.bool_]:
        """Return which rows meet `where`, shape (n,).

        Raises
        ------
        SchemaError
            A column does not exist, or a value cannot be compared with it.
        """
        return rows_that_meet(where, self.records, self.schema)

    def slice(self, start: int, length: int) -> Dataset:
        """Return `length` rows from position `start` on."""
        return replace(self, records=self.records.slice(start, length))

    def select(self, names: Sequence[str]) -> Dataset:
        """Return the set with only the named columns; reserved columns stay."""
        kept = [name for name in RESERVED if name in self.records.column_names]
        return replace(
            self, records=self.records.select([*names, *kept]), schema=self.schema.select(names)
        )

    def without_reserved(self) -> Dataset:
        """Return the set without `_id`, `_origin` and `_parents`."""
        return replace(self, records=self.records.select(list(self.schema.names)))

    def without_parents(self) -> Dataset:
        """Return the set with `_id` as its only reserved column, which is what generators see."""
        kept = [name for name in self.records.column_names if name not in RESERVED[1:]]
        return replace(self, records=self.records.select(kept))

    def with_reserved(
        self, *, ids: Sequence[str], parents: Sequence[Sequence[str]] | None = None
    ) -> Dataset:
        """Return the set with ids, origin (from the card) and parents stamped on every row."""
        records = self.records.select(list(self.schema.names))
        origin = pa.DictionaryArray.from_arrays(
            pa.array(np.zeros(len(self), dtype=np.int8)), pa.array([self.card.origin])
        )
        lists = parents if parents is not None else [[]] * len(self)
        columns = {"_id": pa.array(ids, pa.string()), "_origin": origin}
        columns["_parents"] = pa.array(lists, pa.list_(pa.string()))
        for name, column in columns.items():
            records = records.append_column(name, column)
        return replace(self, records=records)

    def with_card(self, **changes: Any) -> Dataset:
        """Return the set with these facts of its card changed."""
        return replace(self, card=replace(self.card, **changes))

    def with_schema(self, schema: Schema) -> Dataset:
        """Return the set read by another schema over the same columns.

        Raises
        ------
        SchemaError
            A column is lacking or its values do not fit the new kind.
        """
        if schema == self.schema:
            return self
        plain = restore(self.records.select(list(self.schema.names)), self.schema)
        again = Dataset.from_arrow(plain, schema, self.card)
        records = again.records
        for name in RESERVED:
            if name in self.records.column_names:
                records = records.append_column(name, self.records.column(name))
        return replace(again, records=records)

    @staticmethod
    def concat(parts: Sequence[Dataset]) -> Dataset:
        """Return the rows of all parts, one after the other; schema and card of the first."""
        if not parts:
            raise DataError("nothing to put together", todo="give at least one set")
        tables = [part.records for part in parts]
        return replace(parts[0], records=pa.concat_tables(tables).unify_dictionaries())

    def to_arrow(self) -> pa.Table:
        """Return the records with the source's own column types; reserved columns come last."""
        return restore(self.records, self.schema)

    def to_pandas(self) -> pandas.DataFrame:
        """Return the records as a pandas frame (needs pandas)."""
        return self.to_arrow().to_pandas()

    def to_polars(self) -> polars.DataFrame:
        """Return the records as a polars frame (needs polars)."""
        polars = optional("polars")
        frame = polars.from_arrow(self.to_arrow())
        assert isinstance(frame, polars.DataFrame)
        return frame

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        return self.to_arrow().__arrow_c_stream__(requested_schema)

    @property
    def digest(self) -> str:
        """SHA-256 over the schema and every value, 64 hexadecimal digits."""
        sink = hashlib.sha256(json.dumps(self.schema.to_json(), sort_keys=True).encode())
        update_digest(sink, restore(self.records, self.schema))
        return sink.hexdigest()

    def _repr_html_(self) -> str:
        rows = "".join(
            f"<tr><td>{html.escape(f.name)}</td><td>{f.kind}</td><td>{f.role}</td></tr>"
            for f in self.schema.fields
        )
        title = f"{html.escape(self.card.name)} ({self.card.origin}): {len(self):,} rows"
        head = "<tr><th>column</th><th>kind</th><th>role</th></tr>"
        return f"<p><b>{title}</b></p><table>{head}{rows}</table>"


def sample_positions(n: int, limit: int, rng: np.random.Generator) -> npt.NDArray[np.int64]:
    """Return at most `limit` of the positions 0 to n - 1 at random, rising; all where there are no more.

    Examples
    --------
    >>> sample_positions(3, 5, np.random.default_rng(0)).tolist()
    [0, 1, 2]
    """
    if n <= limit:
        return np.arange(n)
    return np.sort(rng.choice(n, limit, replace=False)).astype(np.int64)


def update_digest(sink: Any, table: pa.Table) -> None:
    """Feed names, types and every value of a table into a hash object.

    Slices, chunks, dictionaries and what lies in memory under missing values make no difference, which
    the bytes of an Arrow stream would show.
    """
    for name, column in zip(table.column_names, table.columns):
        sink.update(f"{name}\x1f{column.type}\x1f{len(column)}\x1f".encode())
        if pa.types.is_dictionary(column.type):
            column = pc.cast(column, column.type.value_type)
        _update(sink, column.combine_chunks())


def _update(sink: Any, array: pa.Array) -> None:
    if isinstance(array, pa.ChunkedArray):  # combine_chunks of a column without any chunk
        array = pa.concat_arrays(array.chunks) if array.chunks else pa.nulls(0, array.type)
    sink.update(np.packbits(array.is_valid().to_numpy(zero_copy_only=False)).tobytes())
    if array.null_count:
        array = array.drop_null()
    if pa.types.is_large_string(array.type) or pa.types.is_large_binary(array.type):
        array = array.cast(pa.binary())
    kind = array.type
    if pa.types.is_null(kind) or len(array) == 0:
        return
    if pa.types.is_struct(kind):
        for part in array.flatten():
            _update(sink, part)
    elif pa.types.is_list(kind) or pa.types.is_large_list(kind):
        sink.update(pc.list_value_length(array).cast(pa.int64()).to_numpy().tobytes())
        _update(sink, array.flatten())
    elif pa.types.is_boolean(kind):
        sink.update(np.packbits(array.to_numpy(zero_copy_only=False)).tobytes())
    elif pa.types.is_string(kind) or pa.types.is_binary(kind):
        sink.update(pc.binary_length(array).to_numpy().tobytes())
        ends = np.frombuffer(array.buffers()[1], np.int32)[
            array.offset : array.offset + len(array) + 1
        ]
        data = array.buffers()[2]
        sink.update(memoryview(data)[int(ends[0]) : int(ends[-1])] if data is not None else b"")
    else:
        width = kind.bit_width // 8
        data = memoryview(array.buffers()[1])
        sink.update(data[array.offset * width : (array.offset + len(array)) * width])


_RESERVED_TYPES = {
    "_id": pa.string(),
    "_origin": pa.dictionary(pa.int8(), pa.string()),
    "_parents": pa.list_(pa.string()),
}

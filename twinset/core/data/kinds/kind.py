"""`ColumnKind`: everything that the library needs to know about one kind of column."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from typing import Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

Role = Literal["feature", "target", "identifier", "sensitive", "group", "time", "split"]
Floats = npt.NDArray[np.float64]

BLOB = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
"""A file: its content, or where it lies."""

# Texts whose words are counted: a table of millions needs no more to be classified.
_SAMPLE = 20_000
_MANY_LEVELS = 100  # a category rarely has more: hundreds of values are surnames or towns
_MIN_ROWS = 20  # in fewer rows, values that differ all say nothing


class Encoding(StrEnum):
    """How `FeatureEncoder` turns a column into features."""

    NUMBER = "number"
    """Centred and scaled."""
    LEVELS = "levels"
    """One-hot."""
    LABELS = "labels"
    """Counts of the labels in a list."""
    EMBEDDER = "embedder"
    """Vectors of the embedders for this kind."""


def is_text(kind: pa.DataType) -> bool:
    """Return whether values are plain texts."""
    return str(kind) in ("string", "large_string", "string_view")


def is_file(kind: pa.DataType) -> bool:
    """Return whether a type has the fields of a file, in any order."""
    return pa.types.is_struct(kind) and {f.name for f in kind} == {f.name for f in BLOB}


@dataclass(frozen=True)
class ColumnSample:
    """A column whose kind is to be inferred, with the figures that several kinds ask for."""

    name: str
    column: pa.ChunkedArray

    @property
    def type(self) -> pa.DataType:
        """The Arrow type."""
        return self.column.type

    @property
    def is_text(self) -> bool:
        """Whether the values are plain texts."""
        return is_text(self.type)

    @cached_property
    def present(self) -> pa.ChunkedArray:
        """The values that are not missing; texts as plain strings."""
        column = pc.cast(self.column, pa.string()) if self.is_text else self.column
        return column.drop_null()

    @cached_property
    def n_distinct(self) -> int:
        """Number of different values that are not missing."""
        return int(pc.count_distinct(self.present).as_py())

    @cached_property
    def texts(self) -> list[str]:
        """The first 20,000 texts."""
        texts: list[str] = self.present.slice(0, _SAMPLE).to_pylist()
        return texts

    @cached_property
    def mean_words(self) -> float:
        """Mean number of words of a text."""
        return float(np.mean([text.count(" ") + 1 for text in self.texts] or [1]))

    @cached_property
    def seldom_repeats(self) -> bool:
        """Whether most texts occur in a few rows only, so that they are no labels."""
        n = len(self.present)
        many = self.n_distinct > _MANY_LEVELS and self.n_distinct > 0.2 * n
        return many or (n >= _MIN_ROWS and self.n_distinct > 0.5 * n)


class ColumnKind:
    """Meaning, Arrow type and treatment of one kind of column; each kind is one module of this package.

    The module's name is the kind's name, its variable ``KIND`` the instance.
    """

    arrow_type: ClassVar[pa.DataType]  # canonical type of the records
    # Type of delivered files where the source had none of its own; None for the canonical one
    delivered_type: ClassVar[pa.DataType | None] = None
    # Tests of Arrow types: a column of a type that passes one may be of this kind
    sources: ClassVar[tuple[Callable[[pa.DataType], bool], ...]] = ()
    # Fields of the structures in a list; such a list may be of this kind, too
    item_fields: ClassVar[frozenset[str]] = frozenset()
    usual_names: ClassVar[tuple[str, ...]] = ()  # a column has one of these; empty for any name
    form: ClassVar[str] = ""  # shape of a nested type, for errors
    precedence: ClassVar[int] = 0  # kinds with a smaller number are asked first
    default_role: ClassVar[Role] = "feature"  # role of a column whose kind was inferred
    is_tabular: ClassVar[bool] = False  # cells of an ordinary table, which every generator makes
    is_numeric: ClassVar[bool] = False  # values can be added and multiplied
    has_order: ClassVar[bool] = False  # values can be compared by size
    has_levels: ClassVar[bool] = False  # values are labels from a short list
    has_float_values: ClassVar[bool] = False  # `Dataset.values` returns the values as floats
    is_media: ClassVar[bool] = False  # a value is a file that the row is about, e.g. an image
    is_annotation: ClassVar[bool] = False  # a value describes the image or text in the same row
    is_free_text: ClassVar[bool] = False  # a value is running text
    is_time: ClassVar[bool] = False  # values are instants, as microseconds since 1970
    is_whole: ClassVar[bool] = False  # numbers are integers
    is_continuous: ClassVar[bool] = False  # numbers are real numbers
    is_key: ClassVar[bool] = False  # values identify rows or persons, and carry nothing to learn
    # New values are filled in for generators that do not make this kind
    has_placeholders: ClassVar[bool] = False
    label_key: ClassVar[str | None] = None  # field of a list item that holds its label
    encoding: ClassVar[Encoding | None] = None  # as features; None if it is no input of models

    @property
    def is_nested(self) -> bool:
        """Whether values are structures or lists, which plain text files cannot hold."""
        return bool(pa.types.is_nested(self.arrow_type))

    @property
    def holds_files(self) -> bool:
        """Whether a value is the content of a file."""
        return bool(self.arrow_type == BLOB)

    def may_hold(self, name: str, kind: pa.DataType) -> bool:
        """Return whether a column of this name and Arrow type may be of this kind."""
        if self.usual_names and name not in self.usual_names:
            return False
        if self.item_fields and (pa.types.is_list(kind) or pa.types.is_large_list(kind)):
            item = kind.value_type
            return pa.types.is_struct(item) and self.item_fields <= {f.name for f in item}
        return any(test(kind) for test in self.sources)

    def infer(self, sample: ColumnSample) -> dict[str, Any] | None:
        """Return settings of the field if a column that it may hold is of this kind, else None."""
        return {"stored": ""} if pa.types.is_nested(sample.type) else {}

    def canonical_type(self, stored: pa.DataType) -> pa.DataType:
        """Return the type of the records for a source of type `stored`."""
        return self.arrow_type

    def cast(self, column: pa.ChunkedArray, target: pa.DataType) -> pa.ChunkedArray:
        """Return the column in the canonical type; raise a pyarrow error if a value does not fit."""
        column = plain_values(column)
        return pc.cast(column, target, safe=not pa.types.is_decimal(column.type))

    def check(self, column: pa.ChunkedArray, name: str) -> pa.ChunkedArray:
        """Return the cast column with unusable values made missing, or raise SchemaError."""
        return column

    def step(self, values: Floats, decimals: int | None) -> float | None:
        """Return the smallest difference that values are rounded to; None if they are not."""
        return None

    def labels(self, column: pa.ChunkedArray) -> pa.ChunkedArray:
        """Return the labels of all items as texts; of a kind without items, its values."""
        if self.label_key is None:
            return pc.cast(column, pa.string())
        return pc.struct_field(pc.list_flatten(column), self.label_key)

    def level_value(self, text: str) -> str | bool:
        """Return the value that `Dataset.codes` names by `text`."""
        return text

    def level_words(self, name: str, text: str) -> str:
        """Return a condition that a column has the value named by `text`, in words."""
        return f"{name} = {text.strip()}"

    def content(self, column: pa.ChunkedArray) -> pa.ChunkedArray:
        """Return plain values that are equal where the contents are equal."""
        if self.holds_files:  # hashes of the pixels
            from twinset.core.image.codec import hash_images

            return hash_images(column)
        return plain_values(column)


def plain_values(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return a column without dictionary encoding."""
    kind = column.type
    return pc.cast(column, kind.value_type) if pa.types.is_dictionary(kind) else column


def whole_floats(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return 1.0, 2.0, missing as 1, 2, missing, so that labels read the same from every source."""
    values = column.to_numpy(zero_copy_only=False)
    present = values[~np.isnan(values)]
    as_null = pa.array(values, from_pandas=True)
    if present.size and np.all(np.mod(present, 1) == 0) and np.abs(present).max() < 2**53:
        return pa.chunked_array([as_null.cast(pa.int64())])
    return pa.chunked_array([as_null])

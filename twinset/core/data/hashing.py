"""One digest for equal values, however Arrow lays them out in memory."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc


def update_digest(sink: Any, table: pa.Table) -> None:
    """Feed names, types and every value of a table into a hash object.

    Slices, chunks, dictionaries and what lies in memory under missing values make no difference, which
    the bytes of an Arrow stream would show.

    Parameters
    ----------
    sink : hashlib hash object
        What is fed.
    table : pyarrow.Table
        Any table of the types that records hold.

    Examples
    --------
    >>> import hashlib
    >>> one, other = hashlib.sha256(), hashlib.sha256()
    >>> update_digest(one, pa.table({"a": ["x", "y", "z"]}).slice(1))
    >>> update_digest(other, pa.table({"a": ["y", "z"]}))
    >>> one.digest() == other.digest()
    True
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


Bits = npt.NDArray[np.uint64]

GOLDEN = np.uint64(0x9E3779B97F4A7C15)
"""2 ** 64 over the golden ratio, odd: what one step of SplitMix64 adds."""


def spread(bits: Bits) -> Bits:
    """Return the numbers with every bit spread over all 64, shape as given; 0 stays 0.

    The finaliser of SplitMix64, a one-to-one map.

    References
    ----------
    Steele, Lea and Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014.

    Examples
    --------
    >>> near, next_to_it = spread(np.array([1, 2], dtype=np.uint64)).tolist()
    >>> bin(near ^ next_to_it).count("1") > 20
    True
    """
    mixed = bits ^ (bits >> np.uint64(30))
    mixed *= np.uint64(0xBF58476D1CE4E5B9)
    mixed ^= mixed >> np.uint64(27)
    mixed *= np.uint64(0x94D049BB133111EB)
    mixed ^= mixed >> np.uint64(31)
    return np.asarray(mixed)


def scramble(values: Bits) -> Bits:
    """Return 64-bit hashes of whole numbers, 0 among them: one step of SplitMix64.

    Examples
    --------
    >>> hex(int(scramble(np.zeros(1, dtype=np.uint64))[0]))  # the first output for the seed 0
    '0xe220a8397b1dcdaf'
    """
    return spread(values + GOLDEN)

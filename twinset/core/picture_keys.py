"""Keys of pictures: equal for equal pixels, however they were packed into a file."""

from __future__ import annotations

import hashlib

import numpy as np
import pyarrow as pa

from twinset.core.errors import DataError
from twinset.core.pixels import decode_pixels


def picture_key(data: bytes) -> bytes:
    """Return a key of 16 bytes for the pixels of an encoded picture; of one that is damaged, for its bytes.

    A picture that is copied and saved anew without loss keeps its key, whatever the format.

    Examples
    --------
    >>> from twinset.core.pixels import encode_png
    >>> one = encode_png(np.zeros((2, 3), np.uint8))
    >>> picture_key(one) == picture_key(one[:-12] + one[-12:])
    True
    >>> picture_key(one) == picture_key(encode_png(np.zeros((3, 2), np.uint8)))
    False
    """
    sink = hashlib.blake2b(digest_size=16)
    try:
        pixels = decode_pixels(data)
    except DataError:
        sink.update(data)
        return sink.digest()
    sink.update(f"{pixels.dtype}{pixels.shape}".encode())
    sink.update(np.ascontiguousarray(pixels).tobytes())
    return sink.digest()


def picture_keys(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return the key of each picture of a column as binary; missing stays missing."""
    keys = [
        None if cell is None or cell["bytes"] is None else picture_key(cell["bytes"])
        for cell in (one.as_py() for one in column)
    ]
    return pa.chunked_array([pa.array(keys, pa.binary())])

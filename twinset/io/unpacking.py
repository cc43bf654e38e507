"""The size of what is packed in a gzip or zlib file, found before it is unpacked into memory."""

from __future__ import annotations

import zlib
from pathlib import Path

from twinset.core.errors import DataError
from twinset.core.limits import FREE_UNPACKED_BYTES, MAX_EXPANSION

_BLOCK = 1 << 20  # bytes that are unpacked at once
_EITHER = 47  # zlib's number for gzip or zlib, whichever the header says


def check_expansion(path: Path) -> None:
    """Raise DataError for a gzip or zlib file that unpacks to far more bytes than it has.

    Any other file is left to its reader, and so is one that is damaged.
    """
    n_packed, n_unpacked = path.stat().st_size, 0
    if n_packed * 1_032 <= FREE_UNPACKED_BYTES:  # the most that deflate can expand
        return
    inflate = zlib.decompressobj(_EITHER)
    with path.open("rb") as stream:
        try:
            while packed := inflate.unconsumed_tail or inflate.unused_data or stream.read(_BLOCK):
                if inflate.eof:  # several gzip files in one
                    inflate = zlib.decompressobj(_EITHER)
                n_unpacked += len(inflate.decompress(packed, _BLOCK))
                if n_unpacked > max(FREE_UNPACKED_BYTES, MAX_EXPANSION * n_packed):
                    break
            else:
                return
        except zlib.error:
            return
    raise DataError(
        f"the file '{path.name}' unpacks to far more than it is",
        got=f"more than {n_unpacked:,} bytes, packed in {n_packed:,}",
        allowed=f"up to {MAX_EXPANSION} times as many",
        todo="unpack it yourself, e.g. with gunzip, if it is what you expect",
    )

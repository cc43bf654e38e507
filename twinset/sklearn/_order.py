"""An order of rows that depends on what they hold, not on where they stood."""

from __future__ import annotations

import hashlib

import numpy as np
import numpy.typing as npt

from twinset.core.data.dataset import Dataset
from twinset.core.data.hashing import spread
from twinset.core.seeding import rng_for

Hashes = npt.NDArray[np.uint64]


def row_hashes(dataset: Dataset) -> Hashes:
    """Return a 64-bit number for each row, shape (n,); equal rows have equal numbers.

    Examples
    --------
    >>> import pyarrow as pa
    >>> d = Dataset.from_arrow(pa.table({"x": [1.5, 2.5, 1.5], "c": ["a", "b", "a"]}))
    >>> one, other, same = row_hashes(d).tolist()
    >>> one == same, one == other
    (True, False)
    """
    rng = rng_for(0, "row order")
    joint = np.zeros(len(dataset), dtype=np.uint64)
    for field in dataset.schema.fields:
        if field.kind == "category":
            codes, levels = dataset.codes(field.name)
            known = [_hash_of(level) for level in levels]
            bits = np.array([*known, 1], dtype=np.uint64)[codes]
        else:
            # Plus 0.0, so that -0.0 and 0.0 are the same.
            bits = (dataset.values(field.name) + 0.0).view(np.uint64)
        factor = np.uint64(int(rng.integers(2**62)) * 2 + 1)
        joint = spread(joint ^ (bits * factor)) + factor
    return joint


def canonical_order(dataset: Dataset) -> npt.NDArray[np.int64]:
    """Return the positions of the rows in an order that any shuffled copy of them would have, too."""
    return np.argsort(row_hashes(dataset), kind="stable")


def uniforms(hashes: Hashes, seed: int) -> npt.NDArray[np.float64]:
    """Return a number in [0, 1) for each row, decided by its hash and the seed alone."""
    key = np.uint64(int(rng_for(seed, "uniform by row").integers(2**63)))
    return np.asarray((spread(hashes ^ key) >> np.uint64(11)) * 2.0**-53)


def _hash_of(text: str) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little")

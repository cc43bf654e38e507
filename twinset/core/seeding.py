"""Randomness from one seed: named streams, hashes as random bits, and the guard for global generators."""

from __future__ import annotations

import hashlib
import random
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    pass

Bits = npt.NDArray[np.uint64]

_GLOBAL_STATE_LOCK = threading.RLock()


def rng_for(seed: int, *path: str | int) -> np.random.Generator:
    """Return the random stream that belongs to `path` under `seed`.

    The stream depends on the path alone, so adding or reordering steps moves no other stream,
    and chunk k is the same on whichever worker draws it.

    Parameters
    ----------
    seed : int
        The recipe's seed, 0 or greater.
    *path : str or int
        Names from the outside in, e.g. ``"generate", "minority.smote", "chunk-0"``.

    Examples
    --------
    >>> a, b = rng_for(7, "fit"), rng_for(7, "fit")
    >>> bool(a.integers(1 << 30) == b.integers(1 << 30))
    True
    """
    joined = "\x1f".join(str(part) for part in path).encode()
    words = np.frombuffer(hashlib.sha256(joined).digest(), dtype="<u4")
    sequence = np.random.SeedSequence(entropy=seed, spawn_key=tuple(int(w) for w in words))
    return np.random.Generator(np.random.PCG64DXSM(sequence))


def draw_seed(rng: np.random.Generator) -> int:
    """Draw a 31-bit seed from `rng`, for libraries that want an integer."""
    return int(rng.integers(0, 2**31 - 1))


@contextmanager
def seeded_globals(rng: np.random.Generator) -> Iterator[None]:
    """Seed the global generators of `random`, numpy and torch for one block, then restore them.

    For libraries that know nothing else. One thread at a time holds the guard.

    Examples
    --------
    >>> before = random.getstate()
    >>> with seeded_globals(rng_for(1, "x")):
    ...     _ = random.random()
    >>> random.getstate() == before
    True
    """
    with _GLOBAL_STATE_LOCK:
        torch_module: Any = sys.modules.get("torch")
        python_state, numpy_state = random.getstate(), np.random.get_state()  # noqa: NPY002
        torch_state = torch_module.get_rng_state() if torch_module else None
        seed = draw_seed(rng)
        try:
            random.seed(seed)
            np.random.seed(seed)  # noqa: NPY002
            if torch_module:
                torch_module.manual_seed(seed)
            yield
        finally:
            random.setstate(python_state)
            np.random.set_state(numpy_state)  # noqa: NPY002
            if torch_module:
                torch_module.set_rng_state(torch_state)


GOLDEN = np.uint64(0x9E3779B97F4A7C15)
"""2 ** 64 over the golden ratio, odd: what one step of SplitMix64 adds."""


def spread(bits: Bits) -> Bits:
    """Return the numbers with every bit spread over all 64, shape as given; 0 stays 0.

    The finaliser of SplitMix64, a one-to-one map.

    References
    ----------
    Steele, Lea and Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014.
    """
    mixed = bits ^ (bits >> np.uint64(30))
    mixed *= np.uint64(0xBF58476D1CE4E5B9)
    mixed ^= mixed >> np.uint64(27)
    mixed *= np.uint64(0x94D049BB133111EB)
    mixed ^= mixed >> np.uint64(31)
    return np.asarray(mixed)


def scramble(values: Bits) -> Bits:
    """Return 64-bit hashes of whole numbers, 0 among them: one step of SplitMix64."""
    return spread(values + GOLDEN)

"""Well-mixed 64-bit numbers: the one place that knows SplitMix64."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

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

"""Random streams addressed by block and purpose: row i draws the same however many rows follow."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Positions = npt.NDArray[np.int64]

BLOCK_ROWS = 4_096  # drawn at a time: 30 columns of them fit a processor's cache

# Purposes: each has streams of its own, so one that draws more or less moves no other.
PARENTS, ROUNDING, NOISE, CLASSES = range(4)


@dataclass(frozen=True)
class Streams:
    """The key of one request; every block of rows, purpose and attempt has a stream of its own.

    Philox is a counter-based generator, so a stream opens at once, in any order and in any thread.
    """

    key: tuple[int, int]

    @classmethod
    def from_rng(cls, rng: np.random.Generator) -> Streams:
        """Return streams under a key drawn from `rng`."""
        first, second = rng.integers(0, 2**63, size=2)
        return cls((int(first), int(second)))

    def at(self, block: int, purpose: int, attempt: int = 0) -> np.random.Generator:
        """Return the stream of one block of rows for one purpose."""
        counter = np.array([0, block, purpose, attempt], dtype=np.uint64)
        key = np.array(self.key, dtype=np.uint64)
        return np.random.Generator(np.random.Philox(key=key, counter=counter))


@dataclass(frozen=True)
class RandomDraws:
    """Random numbers for some rows of one block; `attempt` counts how often they are drawn again."""

    streams: Streams
    block: int
    rows: Positions  # positions in the block, ascending, shape (r,)
    attempt: int = 0

    def uniform(self, purpose: int, width: int) -> Floats:
        """Return numbers in [0, 1), shape (r, width)."""
        stream = self.streams.at(self.block, purpose, self.attempt)
        return self._at_rows(stream.random((self._n_drawn, width)))

    def normal(self, purpose: int, width: int) -> Floats:
        """Return standard normal numbers, shape (r, width)."""
        stream = self.streams.at(self.block, purpose, self.attempt)
        return self._at_rows(stream.standard_normal((self._n_drawn, width)))

    @property
    def _n_drawn(self) -> int:
        return int(self.rows[-1]) + 1 if len(self.rows) else 0

    def _at_rows(self, drawn: Floats) -> Floats:
        return drawn if len(drawn) == len(self.rows) else drawn[self.rows]

"""64-bit mixing against the published sequence of SplitMix64."""

from __future__ import annotations

import numpy as np

from twinset.core.seeding import GOLDEN, scramble, spread


def test_the_sequence_is_that_of_splitmix64_from_seed_0() -> None:
    states = np.arange(3, dtype=np.uint64) * GOLDEN
    expected = [0xE220A8397B1DCDAF, 0x6E789E6AA1B965F4, 0x06C45D188009454F]
    assert scramble(states).tolist() == expected


def test_spreading_is_one_to_one_and_leaves_its_input_alone() -> None:
    numbers = np.arange(100_000, dtype=np.uint64)
    mixed = spread(numbers)
    assert (numbers == np.arange(100_000)).all()
    assert len(np.unique(mixed)) == len(numbers)
    # Each of the 64 bits is set in about half of them.
    set_bits = (mixed[:, None] >> np.arange(64, dtype=np.uint64)) & np.uint64(1)
    assert np.abs(set_bits.mean(axis=0) - 0.5).max() < 0.01

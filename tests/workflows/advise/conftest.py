"""A small table with a rare class, and one with times and cards."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from twinset.core.seeding import rng_for


def payments(n: int = 3_000, rare: int = 150, seed: int = 1) -> pa.Table:
    """Numbers with missing ones, a category, a card, a time in days and a label that they tell in part."""
    rng = rng_for(seed, "payments")
    fraud = np.zeros(n, dtype=bool)
    fraud[rng.choice(n, rare, replace=False)] = True
    age = np.where(rng.random(n) < 0.1, np.nan, rng.normal(50, 10, n))
    return pa.table(
        {
            "amount": np.round(rng.lognormal(3 + fraud, 0.8), 2),
            "speed": rng.normal(1.5 * fraud, 1.0),
            "age": age,
            "shop": np.where(fraud & (rng.random(n) < 0.5), "web", rng.choice(["web", "till"], n)),
            "card": [f"card-{i % 300:04d}" for i in rng.permutation(n)],
            "day": np.sort(rng.uniform(0, 100, n)),
            "fraud": np.where(fraud, "yes", "no"),
        }
    )


@pytest.fixture(scope="session")
def table() -> pa.Table:
    """3,000 payments, 150 of them frauds."""
    return payments()

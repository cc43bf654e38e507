"""Small sets for the metrics."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from twinset.core.contracts import Comparison
from twinset.core.data.dataset import Dataset
from twinset.core.seeding import rng_for


@pytest.fixture
def rng() -> np.random.Generator:
    return rng_for(5, "metric")


@pytest.fixture
def people() -> Callable[[int, int], Dataset]:
    """Draw rows with linked columns: x and y go together, colour follows x, a tenth of y is missing."""

    def draw(n: int, seed: int) -> Dataset:
        rng = rng_for(seed, "people")
        x = rng.normal(size=n)
        y = x + 0.5 * rng.normal(size=n)
        colour = np.where(x > 0, "red", np.where(rng.random(n) < 0.5, "green", "blue"))
        late = pa.array(y, mask=rng.random(n) < 0.1)
        return Dataset.from_arrow(pa.table({"x": x, "y": late, "colour": colour}))

    return draw


@pytest.fixture
def compare() -> Callable[..., Comparison]:
    def build(synthetic: Dataset, reference: Dataset, train: Dataset | None = None, **more: Any):
        return Comparison(reference if train is None else train, synthetic, reference, **more)

    return build

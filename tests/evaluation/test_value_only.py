"""Where the frame reads nothing but the value, a metric may do less, and says the same."""

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from twinset.core.contracts import Comparison
from twinset.core.data.arrow_tables import infer_schema
from twinset.core.data.dataset import Dataset
from twinset.core.seeding import rng_for
from twinset.registry import build

NAMES = (
    "coverage.density_coverage",
    "coverage.slices",
    "gap.classifier",
    "gap.conditionals",
    "gap.k_marginals",
    "gap.mean_embedding",
    "gap.pairs",
)


def _rows(seed: int) -> pa.Table:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=400)
    return pa.table(
        {
            "x": x,
            "y": x + rng.normal(size=400) * (1 + seed),
            "kind": rng.choice(["a", "b", "c"], 400),
            "label": np.where(x + rng.normal(size=400) > 0, "yes", "no"),
        }
    )


@pytest.mark.parametrize("name", NAMES)
def test_the_value_is_the_same_when_nothing_else_is_read(name: str) -> None:
    schema = infer_schema(_rows(0)).with_target("label")
    train, synthetic, reference = (Dataset.from_arrow(_rows(seed), schema) for seed in (0, 1, 2))
    metric = build("metric", name, {})
    whole = Comparison(train, synthetic, reference, "label", "yes")
    only = replace(whole, value_only=True, cache={})
    expected = metric.compute(whole, rng_for(0, "value")).value
    assert metric.compute(only, rng_for(0, "value")).value == expected

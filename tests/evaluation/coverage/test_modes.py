"""Crowds of rows: by hand, and a mode that is dropped."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from twinset.core.contracts import Comparison, NotMeasurable
from twinset.core.data.dataset import Dataset
from twinset.core.errors import ParameterError
from twinset.core.findings import ClusterShares
from twinset.evaluation.coverage.modes import Modes, name_clusters

CENTRES = np.array([[0.0, 0.0], [50.0, 0.0], [0.0, 50.0]])


def blobs(counts: tuple[int, int, int], seed: int) -> Dataset:
    rng = np.random.default_rng(seed)
    at = np.repeat(np.arange(3), counts)
    x, y = (CENTRES[at] + rng.normal(size=(len(at), 2))).T
    return Dataset.from_arrow(pa.table({"x": x, "y": y, "kind": np.array(["p", "q", "r"])[at]}))


def test_a_dropped_mode_is_a_hole_with_a_name() -> None:
    real, held, made = blobs((200, 100, 100), 0), blobs((200, 100, 100), 1), blobs((300, 100, 0), 2)
    found = Modes(n_modes=3, replicates=50).compute(
        Comparison(real, made, held), np.random.default_rng(0)
    )
    assert found.value == 0.25
    assert found.components is not None
    off = dict(zip(found.components.names, found.components.values))
    hole = next(name for name in off if "kind = r" in name)
    assert off[hole] == 0.25
    assert next(c for c in found.finding(ClusterShares).clusters if c.name == hole).synthetic == 0
    assert sorted(off.values()) == [0.0, 0.25, 0.25]
    low, high = np.quantile(found.replicates, [0.025, 0.975])
    assert low < 0.25 < high < 0.35
    same = Modes(n_modes=3, replicates=10).compute(
        Comparison(real, held, held), np.random.default_rng(0)
    )
    assert same.value == 0


def test_names_tell_what_sets_a_crowd_apart_and_nothing_rare() -> None:
    rows = Dataset.from_arrow(
        pa.table({
            "level": ["a"] * 18 + ["b"] * 7 + ["c"] * 20 + ["a"] * 5,
            "number": [1.0] * 25 + [2.0] * 25,
            "same": [3.0] * 50,
        })
    )  # fmt: skip
    assert name_clusters(rows, np.repeat([0, 1], 25), 2) == (
        "number low, level = a",
        "number high, level = c",
    )
    # Ten rows are too few to be told of; crowds that nothing sets apart get numbers.
    assert name_clusters(rows, np.repeat([0, 1, 0], [15, 10, 25]), 2)[1] == "cluster 2"
    assert name_clusters(rows.select(["same"]), np.repeat([0, 1], 25), 2) == (
        "cluster 1",
        "cluster 2",
    )
    alike = name_clusters(rows.select(["number"]), np.repeat([0, 1, 2], [12, 13, 25]), 3)
    assert alike == ("number low", "number low (2)", "number high")


def test_what_cannot_be_measured_is_said() -> None:
    few = blobs((20, 20, 20), 0)
    with pytest.raises(NotMeasurable, match="at least 100 rows"):
        Modes().compute(Comparison(few, few, few), np.random.default_rng(0))
    for settings in ({"n_modes": 1}, {"max_rows": 10}, {"margin": -1.0}):
        with pytest.raises(ParameterError, match="out of"):
            Modes(**settings)

"""The figures of the cells, on lines whose answers are worked out by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from benchmarks.minority.cell_figures import cells_of, figures
from benchmarks.minority.cells import CellSet, parts_of
from twinset.core.seeding import rng_for
from twinset.workflows.advise.labelled_table import read_labelled_table
from twinset.workflows.options import AdviseOptions


def split(name: str, took: float, good: float, bad: float, oracle: float) -> dict[str, Any]:
    """One split: 'repeat 0.1' gains `good`, 'thin' `bad`; inside, the first is ahead by `took` errors."""
    tested = {
        "none": [0.5, 0.0, 0.0, 0.1],
        "repeat 0.1": [0.5 + good, good, 0.01, 0.1],
        "thin": [0.5 + bad, bad, 0.01, 0.1],
        "smote 1": [0.4, -0.1, 0.01, 0.1],
        "oracle": [0.5 + oracle, oracle, 0.01, 0.1],
    }
    inner = {
        "none": [0, 0, 0, True],
        "repeat 0.1": [0, 0.01, 0.01 * took, True],
        "thin": [0, 0.01, -0.01, True],
    }
    value = {"set": name, "model": "linear", "split": 0, "train": [900, 50], "test": [900, 50]}
    value |= {"is_chance": name == "chance"}
    value |= {"inner": inner, "test_figures": tested, "log_loss_ratio": {"repeat 0.1": 1.01}}
    return value


def test_regret_hits_and_harm() -> None:
    rows = [split("taken", 3.0, 0.06, -0.03, 0.1), split("left", 1.1, 0.04, -0.03, 0.1)]
    cells = cells_of([*rows, split("harm", 2.0, -0.05, 0.0, -0.1)])
    assert [cell.chosen for cell in cells] == [["repeat 0.1"], ["none"], ["repeat 0.1"]]
    found = {name: entry["value"] for name, entry in figures(cells).items()}
    # Regrets of advise: 0, 0.04 and 0.05; of none: 0.06, 0.04 and 0.
    assert found["regret, advise"] == pytest.approx(0.03)
    assert found["regret to that of none, all cells"] == pytest.approx(0.9)
    assert found["regret to that of none, where a candidate helps"] == pytest.approx(0.4)
    assert found["splits where a helping candidate is taken"] == 0.5
    assert found["cells with a significant loss"] == 1
    assert found["worst relative difference"] == pytest.approx(-0.1)
    # The two cells with a gain to be had bring 0.06 of 0.2.
    assert found["share of the oracle's gain"] == pytest.approx(0.3)


def test_a_candidate_that_is_as_far_ahead_is_counted_beside_the_hits() -> None:
    """'thin' helps surely; the chosen one gains more, and its own interval is wide."""
    wide = split("wide", 3.0, 0.06, 0.04, 0.1)
    wide["test_figures"]["repeat 0.1"][2] = 0.05
    cells = cells_of([wide, split("chance", 3.0, 0.06, 0.0, 0.1)])
    assert [cell.chosen for cell in cells] == [["repeat 0.1"], ["none"]]
    found = {name: entry["value"] for name, entry in figures(cells).items()}
    assert found["splits where a helping candidate is taken"] == 0
    assert found["splits where such a one, or one as far ahead, is taken"] == 0.5
    assert found["cells where a candidate helps by 3 standard errors"] == 2


def test_parts_are_disjoint_and_have_the_same_share_of_rare_rows() -> None:
    fraud = np.arange(3_000) % 20 == 0
    table = pa.table({"x": np.arange(3_000), "fraud": fraud})
    labelled = read_labelled_table(table, AdviseOptions(target="fraud"))
    one = CellSet(lambda: None, "fraud", "true", 40, 60)
    parts = parts_of(one, labelled, rng_for(1, "cells"))
    every = np.concatenate([parts.train, parts.test, parts.aside])
    assert len(np.unique(every)) == len(every)
    assert labelled.truth[parts.aside].all()
    assert len(parts.aside) == 40
    shares = [labelled.truth[rows].mean() for rows in (parts.train, parts.test)]
    assert shares[0] == pytest.approx(shares[1], rel=0.05)

"""Wide tables: what is done once a column takes no longer because there are many columns."""

from __future__ import annotations

import time

import numpy as np
import pyarrow as pa

from twinset.core.data.dataset import Dataset
from twinset.core.seeding import rng_for
from twinset.generators.tabular._trees.chain import DependenceMatrix, max_parents
from twinset.generators.tabular._trees.table import ChainTable

MAX_SECONDS = 3.0  # of CPU; it was 9 with a search per column, and is 0.3


def wide(n_rows: int, n_columns: int) -> pa.Table:
    numbers = rng_for(1).normal(size=(n_columns, n_rows)).round(3)
    return pa.table(list(numbers), names=[f"c{j}" for j in range(n_columns)])


def test_a_table_of_4_000_columns_is_read_and_restored_in_seconds() -> None:
    table, before = wide(12, 4_000), time.process_time()
    dataset = Dataset.from_arrow(table)
    assert dataset.to_arrow().equals(table)
    assert dataset.schema.select(dataset.schema.names[::-1]).names[0] == "c3999"
    assert all(name in dataset.schema for name in table.column_names)
    assert time.process_time() - before < MAX_SECONDS


def test_wide_tables_have_as_many_pairs_of_a_link_and_a_parent_in_all() -> None:
    widths = np.array([64, 100, 300, 400, 1_000, 1_200])
    pairs = widths * [max_parents(width) for width in widths]
    assert [max_parents(width) for width in widths[:3]] == [64, 64, 64]
    assert (pairs[3:] <= 300 * 64).all()


def test_the_closest_parents_are_found_among_many() -> None:
    table = wide(400, 320)
    columns = {name: np.array(table.column(name)) for name in table.column_names}
    columns["c319"] = columns["c7"] + 2 * columns["c200"]
    dataset = Dataset.from_arrow(pa.table(columns))
    chain = ChainTable.from_dataset(dataset)
    dependence = DependenceMatrix(chain.encode(dataset), chain.variables)
    few, many = dependence.closest([5, 319], [range(5), range(319)])
    assert few == [0, 1, 2, 3, 4]
    assert len(many) == max_parents(320)
    assert {7, 200} <= set(many)
    assert many == sorted(many)

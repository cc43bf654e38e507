"""Refunds and repeated events across the sets are found; habits of cards and columns of the day are not."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from twinset.core.data.dataset import Dataset
from twinset.measurement.leakage.encodings import SplitColumns
from twinset.measurement.leakage.events import find_divided_events

N = 1_600  # payments of 600 cards in 12 days
DAY = 86_400_000_000  # microseconds
Columns = dict[str, np.ndarray]


def payments(seed: int) -> Columns:
    """Return payments: most cards have few of them, each at its own few shops; the day is a column."""
    rng = np.random.default_rng(seed)
    card = rng.integers(0, 600, N)
    time = rng.integers(0, 12 * DAY, N)
    shop = card * 3 % 500 + rng.integers(0, 3, N)
    amount = np.round(rng.gamma(2, 20, N), 2)
    return {"card": card, "time": time, "shop": shop, "amount": amount, "day": time // DAY}


def find(columns: Columns) -> list[int]:
    order = np.random.default_rng(5).permutation(len(columns["card"]))
    table = pa.table(
        {
            "card": [f"C{value}" for value in columns["card"][order]],
            "time": pa.array(columns["time"][order], pa.timestamp("us")),
            "shop": [f"S{value}" for value in columns["shop"][order]],
            "amount": columns["amount"][order],
            "day": columns["day"][order],
        }
    )
    data = Dataset.from_arrow(table)
    train, test = data.slice(0, len(order) // 2), data.slice(len(order) // 2, len(order) // 2)
    split = SplitColumns.from_datasets(train, test, None)
    return [leak.rows for leak in find_divided_events(train, test, split, np.random.default_rng(0))]


@pytest.mark.parametrize("seed", range(2))
def test_payments_of_few_cards_at_their_usual_shops_pass(seed: int) -> None:
    assert find(payments(seed)) == []


def test_refunds_are_found() -> None:
    first = payments(0)
    again = {name: values[:300] for name, values in first.items()}
    again |= {"amount": -again["amount"], "day": again["day"] + 1}
    found = find({name: np.append(first[name], again[name]) for name in first})
    assert len(found) == 1
    assert 120 <= found[0] <= 220

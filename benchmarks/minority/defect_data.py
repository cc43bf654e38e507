"""A table with the rules that real ones have, and how many rows of another one break each."""

from __future__ import annotations

from typing import Any

import numpy as np

N, RARE = 4_000, 200
ONE_HOT = tuple(f"is_{i}" for i in range(4))
_DATES = ("day",)


def ruled(*, with_dates: bool = True, seed: int = 3) -> tuple[Any, np.ndarray]:
    """Return a pandas frame of 4,000 rows and its labels, 200 of them rare.

    net + tax = total, all in cents; exactly one of is_0 ... is_3 is 1; start <= end; whole `items`,
    `age` whole but of a float type; `share` in [0, 1]; `day` a date without time.
    """
    import pandas as pd

    rng = np.random.default_rng(seed)
    y = np.repeat([0, 1], [N - RARE, RARE])
    net = np.round(rng.gamma(2, 30 + 40 * y), 2)
    tax = np.round(net * rng.choice([0.07, 0.19], N), 2)
    kind = rng.integers(0, 4, N)
    start = rng.integers(0, 300, N)
    table: dict[str, Any] = {"net": net, "tax": tax, "total": np.round(net + tax, 2)}
    table |= {name: (kind == i).astype(np.uint8) for i, name in enumerate(ONE_HOT)}
    table |= {"start": start, "end": start + rng.integers(0, 90, N)}
    table |= {"items": rng.poisson(2.75, N), "age": rng.integers(18, 90, N).astype(float)}
    table |= {"share": np.clip(rng.beta(0.5, 0.5, N), 0, 1)}
    if with_dates:
        days = pd.to_timedelta(rng.integers(0, 600, N), unit="D")
        table["day"] = pd.Timestamp("2023-01-01") + days
    return pd.DataFrame(table), y


def violations(made: Any, real: Any) -> dict[str, float]:
    """Return the share of rows of `made` that break each rule; `real` are real rows of the class."""
    cents = made[["net", "tax", "total"]].to_numpy() * 100
    away = np.abs(cents - np.round(cents)).max(axis=1) > 1e-4
    parts = made["net"].round(2) + made["tax"].round(2) - made["total"].round(2)
    numbers = ["net", "tax", "total", "start", "end", "items", "age", "share"]
    low, high = real[numbers].min(), real[numbers].max()
    outside = ((made[numbers] < low - 1e-9) | (made[numbers] > high + 1e-9)).any(axis=1)
    found = {
        "one-hot group does not add up to 1": made[list(ONE_HOT)].sum(axis=1) != 1,
        "integer in a float column is not whole": made["age"] % 1 != 0,
        "money has more than 2 decimals": away,
        "total is not the sum of its rounded parts": parts.abs() > 1e-6,
        "end before start": made["end"] < made["start"],
        "number outside the real range of the class": outside,
    }
    if "day" in made:
        found["date has a time of day"] = made["day"] != made["day"].dt.normalize()
    return {name: float(np.mean(mask)) for name, mask in found.items()}

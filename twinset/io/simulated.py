"""A simulated table of card payments, for a first run without a download."""

from __future__ import annotations

import csv
import io
import math
import random
from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")

_SEED = 11  # any: the hash of the file in `twinset.io.fetch` goes with it
_N_ROWS = 24_000  # a default evaluation then decides nearly every question, in half a minute
# Median amounts, of the order of those in a public simulation of card payments
_MERCHANTS = {"grocery": 22.0, "fuel": 41.0, "travel": 180.0, "online": 48.0, "restaurant": 31.0}
_SHARES = (34, 16, 6, 28, 16)  # of the merchants, in percent
_COUNTRIES, _COUNTRY_SHARES = ("DE", "FR", "IT", "PL", "US"), (52, 18, 13, 10, 7)
_HOURS = (1, 1, 1, 1, 1, 2, 4, 7, 9, 9, 9, 10, 12, 11, 9, 9, 10, 12, 13, 11, 8, 6, 4, 2)  # weights


def simulated_payments() -> bytes:
    """Return the table as CSV; one in six is disputed, more often abroad, online, at night.

    Only `random.Random.random` is drawn from, which gives the same numbers on every version of Python.
    """
    rng = random.Random(_SEED)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    names = ["amount", "hour", "merchant", "country", "card_age", "payments_today", "disputed"]
    writer.writerow(names)
    for _ in range(_N_ROWS):
        writer.writerow(_payment(rng))
    return text.getvalue().encode()


def _payment(rng: random.Random) -> list[object]:
    merchant = _choose(rng, tuple(_MERCHANTS), _SHARES)
    country = _choose(rng, _COUNTRIES, _COUNTRY_SHARES)
    hour = _choose(rng, tuple(range(24)), _HOURS)
    abroad = country != "DE"
    amount = _MERCHANTS[merchant] * math.exp(0.6 * _normal(rng) + 0.25 * abroad)
    card_age = int(60 + 900 * rng.random() ** 2)
    today = min(int(-1.3 * math.log(1 - rng.random()) + 0.8 * (merchant == "online")), 9)
    risk = -3.0 + 1.1 * abroad + 1.2 * (merchant == "online") + 1.4 * (hour < 6) + 0.45 * today
    risk += 0.8 * math.log(amount / _MERCHANTS[merchant]) - card_age / 900
    disputed = rng.random() < 1 / (1 + math.exp(-risk))
    return [f"{amount:.2f}", hour, merchant, country, card_age, today, int(disputed)]


def _choose(rng: random.Random, values: Sequence[T], weights: Sequence[int]) -> T:
    at = rng.random() * sum(weights)
    for value, weight in zip(values, weights):
        at -= weight
        if at < 0:
            return value
    return values[-1]


def _normal(rng: random.Random) -> float:
    """Return a standard normal number (Box and Muller, 1958)."""
    return math.sqrt(-2 * math.log(1 - rng.random())) * math.cos(2 * math.pi * rng.random())

"""Synthetic tables that competitors' products made themselves, scored with this benchmark's code.

They come from mostly-ai/paper-fidelity-accuracy (BSD-3-Clause): real train and holdout halves of
Adult and Online Shoppers, and tables made from the train half by products of 2023 and 2024. Train
and holdout being equal halves, they serve as members and control of the privacy protocol too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd

from .score import Scorer
from .sets import ABSENT, DATA, DataAbsentError, Roles, TableSet

Cached = Callable[..., dict[str, Any]]

_NUMBERS = {
    "adult": ("age", "fnlwgt", "education-num", "capital-gain", "capital-loss", "hours-per-week"),
    "online-shoppers": [
        "Administrative",
        "Administrative_Duration",
        "Informational",
        "Informational_Duration",
        "ProductRelated",
        "ProductRelated_Duration",
        "BounceRates",
        "ExitRates",
        "PageValues",
        "SpecialDay",
    ],
}
_TARGETS = {"adult": ("income", ">50K"), "online-shoppers": ("Revenue", "True")}
_YEARS = {"fidelity_2023_05": "2023", "fidelity_2024_12": "2024"}


def rows(cached: Cached, data: Path = DATA) -> Iterator[dict[str, Any]]:
    """Yield the scored row of every released table, and of the real holdout as one of them."""
    for name in _TARGETS:
        scorer = Scorer(real(name, data), given_halves=True)
        for label, path in tables(name, data):
            frame = pd.read_csv(path).head(len(scorer.table.train))
            if label == "real.holdout":
                yield cached(scorer.table.name, label, 0, partial(_holdout, scorer))
                continue
            yield cached(scorer.table.name, label, 0, partial(_scores, scorer, frame))


def real(name: str, data: Path = DATA) -> TableSet:
    """Return the real halves of a released set."""
    folder = data / "fidelity_2024_12"
    if not folder.is_dir():
        raise DataAbsentError(ABSENT)
    train, holdout = (pd.read_csv(folder / f"{name}_{half}.csv.gz") for half in ("trn", "hol"))
    numbers, (target, positive) = _NUMBERS[name], _TARGETS[name]
    categories = tuple(c for c in train.columns if c not in numbers)
    typed = [half.astype(dict.fromkeys(numbers, "float64")) for half in (train, holdout)]
    roles = Roles(tuple(train.columns), categories, target, positive)
    short = {"adult": "adult", "online-shoppers": "shoppers"}[name]
    return TableSet(f"released:{short}", typed[0], typed[1], roles, "given")


def tables(name: str, data: Path = DATA) -> Iterator[tuple[str, Path]]:
    """Yield label and path of each released synthetic table of a set; the real holdout first."""
    yield "real.holdout", data / "fidelity_2024_12" / f"{name}_hol.csv.gz"
    found = []
    for folder, year in _YEARS.items():
        for path in (data / folder).glob(f"{name}_*.csv.gz"):
            product = path.name.removeprefix(f"{name}_").removesuffix(".csv.gz")
            if product not in ("trn", "val", "hol"):
                found.append((f"{product} ({year})", path))
    # Tables made under differential privacy, many of them, come last.
    yield from sorted(found, key=lambda table: ("DP" in table[0], table))


def _holdout(scorer: Scorer) -> dict[str, Any]:
    return {"scores": scorer.holdout()}


def _scores(scorer: Scorer, frame: pd.DataFrame) -> dict[str, Any]:
    return {"scores": scorer.fidelity(frame) | scorer.leakage(frame)}

"""Rules that the real tables obey (in all but 0.03 % of their rows) not given to any generator."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd

from benchmarks.tabular.sets import TableSet

Rule = Callable[[pd.DataFrame], "pd.Series[bool]"]


def broken_share(table: TableSet, frame: pd.DataFrame) -> float:
    """Return the share of rows that break at least one rule of the set; NaN where none is known."""
    rules = RULES.get(table.name.split(":")[-1])
    if rules is None:
        return float("nan")
    broken = np.zeros(len(frame), dtype=bool)
    for rule in rules:
        broken |= ~rule(frame).to_numpy(dtype=bool)
    if table.name.split(":")[-1] == "adult":
        years = table.train.groupby("education")["education-num"].first()
        broken |= (frame["education"].map(years) != frame["education-num"]).to_numpy()
    return float(broken.mean())


def _text(frame: pd.DataFrame, name: str) -> pd.Series:
    return frame[name].str.strip()


def _only_if(holds: pd.Series, then: pd.Series) -> pd.Series:
    return ~holds | then


def _real_date(frame: pd.DataFrame) -> pd.Series:
    return pd.to_datetime(frame[["year", "month", "day"]], errors="coerce").notna()


RULES: dict[str, tuple[Rule, ...]] = {
    "adult": (
        lambda f: _only_if(_text(f, "relationship") == "Husband", _text(f, "sex") == "Male"),
        lambda f: _only_if(_text(f, "relationship") == "Wife", _text(f, "sex") == "Female"),
        lambda f: _only_if(
            _text(f, "relationship").isin(["Husband", "Wife"]),
            _text(f, "marital-status").isin(["Married-civ-spouse", "Married-AF-spouse"]),
        ),
        lambda f: (f["capital-gain"] <= 0) | (f["capital-loss"] <= 0),
    ),
    "default": (
        lambda f: f["LIMIT_BAL"] % 10_000 == 0,
        lambda f: (f[[f"PAY_AMT{i}" for i in range(1, 7)]] >= 0).all(axis=1),
    ),
    "shoppers": (
        *(
            lambda f, name=name: _only_if(f[f"{name}_Duration"] > 0, f[name] > 0)
            for name in ("Administrative", "Informational", "ProductRelated")
        ),
        lambda f: _only_if(f["SpecialDay"] > 0, f["Month"].isin(["Feb", "May"])),
    ),
    "magic": (lambda f: f["fConc1"] <= f["fConc"], lambda f: f["fWidth"] <= f["fLength"]),
    "beijing": (_real_date, lambda f: f["DEWP"] <= f["TEMP"]),
}

"""How often 95 % intervals hold the truth, over repeated draws from large real populations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

FRESH_RATE = 1000.0  # a fresh real row is worth a real row


def figures(found: Mapping[str, Any]) -> dict[str, tuple[float, float, float]]:
    """Return figure, low and high end of every difference and exchange rate of a report."""
    rows = {}
    for score in found["scores"]:
        for finding in score.get("findings", ()):
            if finding["type"] == "ExchangeRate" and finding.get("half_width"):
                rate, half = finding["rate"], finding["half_width"]
                rows["exchange rate"] = (rate, rate - half, rate + half)
        ends, *pair = (score.get(key) for key in ("interval", "value", "baseline"))
        if ends and None not in pair and "exchange" not in score["metric"]:
            difference = (
                pair[0] - pair[1]
            )  # the interval is of the degradation, whichever sign it has
            signed = min((difference, -difference), key=lambda d: abs(d - sum(ends) / 2))
            rows[score["metric"]] = (signed, *ends)
    return rows


def coverage(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return for every kind and figure the share of the intervals that hold the truth."""
    lines = []
    for key in sorted({(row["kind"], name) for row in rows for name in row.get("figures", ())}):
        cases: dict[str, list[Any]] = {}
        for row in (
            row for row in rows if row["kind"] == key[0] and key[1] in row.get("figures", ())
        ):
            cases.setdefault(row["id"], []).append(row["figures"][key[1]])
        held = n = 0
        for ends in cases.values():
            truth = sum(row[0] for row in ends) / len(ends)
            if key[0] == "fresh":
                truth = FRESH_RATE if key[1] == "exchange rate" else 0.0
            held += sum(low <= truth <= high for _, low, high in ends)
            n += len(ends)
        lines.append(f"{key[0]:16}{key[1]:36}{n:5} intervals, {held / n:6.1%} hold the truth")
    return lines

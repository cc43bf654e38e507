"""How often 95 % intervals hold the truth, over repeated draws from large real populations.

python -m benchmarks.independent.intervals --data default --repeats 200 --family gap,utility

The truth of fresh rows is known: no difference, and an exchange rate of 1,000. For a candidate with a fault
it is the mean of all repeats, so that only the width of the intervals is tested, not their bias.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.independent.changes import change
from benchmarks.independent.run import report
from benchmarks.independent.sets import draw

CANDIDATES: Mapping[str, Sequence[Mapping[str, Any]]] = {
    "fresh": [],
    "noisy labels": [{"share": 0.3, "set": {"{target}": "rng.permutation(x)"}}],
    "blocks apart": [{"frame": "permute(c, c.columns[: len(c.columns) // 2], rng)"}],
}
FRESH_RATE = 1000.0  # a fresh real row is worth a real row


def figures(found: Mapping[str, Any]) -> dict[str, tuple[float, float, float]]:
    """Return figure, low and high end of every difference and exchange rate of a report."""
    rows = {}
    for score in found["scores"]:
        for finding in score.get("findings", ()):
            if finding["type"] == "ExchangeRate" and finding.get("half_width"):
                rate, half = finding["rate"], finding["half_width"]
                rows["exchange rate"] = (rate, rate - half, rate + half)
        ends, value, baseline = (score.get(key) for key in ("interval", "value", "baseline"))
        if (
            ends
            and value is not None
            and baseline is not None
            and "exchange" not in score["metric"]
        ):
            difference = min(
                (value - baseline, baseline - value), key=lambda d: abs(d - sum(ends) / 2)
            )
            rows[score["metric"]] = (difference, *ends)
    return rows


def main(arguments: Sequence[str] | None = None) -> int:
    """Draw, measure and count."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", default="default")
    parser.add_argument("--candidate", choices=list(CANDIDATES), default="fresh")
    parser.add_argument("--repeats", type=int, default=200)
    parser.add_argument("--first", type=int, default=10_000, help="seed of the first repeat")
    parser.add_argument("--family", default="gap,utility")
    parser.add_argument("--out", type=Path, default=Path("out/independent"))
    settings = parser.parse_args(arguments)
    settings.out.mkdir(parents=True, exist_ok=True)
    path = settings.out / f"intervals-{settings.data}-{settings.candidate.replace(' ', '-')}.jsonl"
    done = (
        [json.loads(line) for line in path.read_text("utf-8").splitlines()] if path.exists() else []
    )
    with path.open("a", encoding="utf-8") as log:
        for seed in range(settings.first + len(done), settings.first + settings.repeats):
            parts = draw(settings.data, seed)
            steps = json.loads(
                json.dumps(CANDIDATES[settings.candidate]).replace("{target}", str(parts.target))
            )
            candidate, _ = change(parts, steps, seed)
            done.append(figures(report(parts, candidate, settings.family.split(","))))
            log.write(json.dumps(done[-1]) + "\n")
            log.flush()
    for name in sorted({key for row in done for key in row}):
        rows = [row[name] for row in done if name in row]
        truth = sum(row[0] for row in rows) / len(rows)
        if settings.candidate == "fresh":
            truth = FRESH_RATE if name == "exchange rate" else 0.0
        held = sum(low <= truth <= high for _, low, high in rows)
        print(
            f"{name:40}{len(rows):5} intervals, truth {truth:10.4f}: {held / len(rows):6.1%} hold it"
        )
    return 0


if __name__ == "__main__":
    raise SystemExit(main())

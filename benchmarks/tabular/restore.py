"""Put the rows of the committed results back into an empty cache, so that a run adds to them."""

from __future__ import annotations

import json
from pathlib import Path

from .jobs import Method
from .score import VERSION


def restore(results: Path, cache: Path) -> int:
    """Write what `results` holds and `cache` lacks into the cache; return how many rows that was.

    Rows of another scorer version stay out. The synthetic tables themselves are not committed: a
    peer's restored row is final, a row of ours is made anew once its source has changed.
    """
    if not results.exists():
        return 0
    written = 0
    for row in json.loads(results.read_text(encoding="utf-8"))["rows"]:
        folder = cache / row["set"] / Method(row["method"]).folder / str(row["seed"])
        if row["version"] != VERSION or any(folder.glob("*.json")):
            continue
        folder.mkdir(parents=True, exist_ok=True)
        for part, costs in (row.get("costs") or {}).items():
            (folder / f"{part}.json").write_text(json.dumps(costs, indent=1))
        (folder / "row.json").write_text(json.dumps(row, indent=1))
        written += 1
    return written

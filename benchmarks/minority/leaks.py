"""How many planted leaks the guard refuses, and how many clean cuts it lets pass.

``python -m benchmarks.minority.leaks [SET ...]`` writes leaks.json and LEAKS.md beside this file, after
every set, so that an interrupted run keeps what it has. Named sets replace their own results only.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.minority.clean_cuts import CLEAN
from benchmarks.minority.planted_leaks import KINDS, plant
from benchmarks.minority.real_sets import ABSENT, DATA, RealSet, real_sets
from twinset.measurement.leakage import check

HERE = Path(__file__).parent
PLANTED_SETS = (
    "mammography", "wilt", "us_crime", "polish", "shoppers", "adult", "default", "handbook",
)  # fmt: skip
CLEAN_SETS = (
    *PLANTED_SETS, "magic", "yeast_me2", "jm1", "wine_quality", "ozone_level_8hr", "churn",
)  # fmt: skip
CLEAN_SEEDS = (0, 1, 2)
_NOTE = """# The leakage guard: planted leaks and clean cuts

Written by `python -m benchmarks.minority.leaks`. A cell is what the guard says of a real set with that
leak: refused, MISSED, or - where the set cannot have it. Interpolation is by imbalanced-learn.

What is known to be missed: SMOTE before the cut where every number is rounded again, nearly all columns
are whole numbers with few values or categories, and the class grows little (Adult to 1:5: 5 to 7 % of its
rows lie between two others, which is let pass as natural). Fewer copies than chance explains are not seen
either: about 15 where nothing repeats by nature.
A class of up to 50 distinct rows, or of numbers that are all finer than those of other classes, may be so
by nature: multiplied or interpolated rows are then a remark, not a refusal.
"""


def try_set(real: RealSet) -> list[dict[str, Any]]:
    """Return one result for every leak and every clean cut of a set."""
    jobs = [(kind, 0) for kind in KINDS if real.name in PLANTED_SETS]
    jobs += [(kind, seed) for kind in CLEAN for seed in CLEAN_SEEDS]
    return [found for kind, seed in jobs if (found := _try(real, kind, seed)) is not None]


def _try(real: RealSet, kind: str, seed: int) -> dict[str, Any] | None:
    planted = plant(kind, real, seed)
    if planted is None:
        return None
    started = time.process_time()
    found = check(planted.train, planted.holdout, planted.synthetic, split_by=planted.split_by)
    return {
        "set": real.name,
        "kind": kind,
        "seed": seed,
        "is_leak": kind in KINDS,
        "refused": not found.is_clean,
        "found": [leak.to_json() for leak in found.leaks],
        "rows": len(planted.train) + len(planted.holdout),
        "cpu_seconds": round(time.process_time() - started, 2),
    }


def as_markdown(results: Sequence[dict[str, Any]]) -> str:
    """Return the table of a run."""
    leaks = [row for row in results if row["is_leak"]]
    clean = [row for row in results if not row["is_leak"]]
    alarms = [row for row in clean if row["refused"]]
    sets = list(dict.fromkeys(row["set"] for row in leaks))
    refused = sum(row["refused"] for row in leaks)
    lines = [
        _NOTE,
        f"**{refused} of {len(leaks)} planted leaks are refused** ({len({r['kind'] for r in leaks})} "
        f"kinds on {len(sets)} sets); **{len(alarms)} false alarms on {len(clean)} clean cuts** "
        f"({len({r['set'] for r in clean})} sets). Slowest check: "
        f"{max(r['cpu_seconds'] for r in results):.1f} CPU seconds "
        f"(largest set: {max(r['rows'] for r in results):,} rows).",
        "",
        "| planted | " + " | ".join(sets) + " |",
        "|---" * (len(sets) + 1) + "|",
    ]
    told = {(row["set"], row["kind"]): "refused" if row["refused"] else "MISSED" for row in leaks}
    for kind in KINDS:
        lines.append(f"| {kind} | " + " | ".join(told.get((s, kind), "-") for s in sets) + " |")
    lines += ["", "| clean | cuts | false alarms |", "|---|---|---|"]
    for kind in CLEAN:
        mine = [row for row in clean if row["kind"] == kind]
        if mine:
            lines.append(f"| {kind} | {len(mine)} | {sum(row['refused'] for row in mine)} |")
    return "\n".join(lines) + "\n"


def main(names: Sequence[str]) -> None:
    """Try the named sets, or all, and write what came out."""
    if not DATA.is_dir():
        raise SystemExit(ABSENT)
    written = HERE / "leaks.json"
    known: list[dict[str, Any]] = json.loads(written.read_text()) if names else []
    results = [row for row in known if row["set"] not in names]
    for name in names or CLEAN_SETS:
        (real,) = real_sets(name)
        results += try_set(real)
        results.sort(key=lambda row: CLEAN_SETS.index(row["set"]))
        lines = ",\n".join(json.dumps(row) for row in results)
        written.write_text(f"[\n{lines}\n]\n")
        (HERE / "LEAKS.md").write_text(as_markdown(results))


if __name__ == "__main__":
    main(sys.argv[1:])

"""Count the planted leaks that the guard refuses, and the clean cuts that it lets pass.

    python -m benchmarks.minority.leakage
    python -m benchmarks.minority.leakage --sets wilt --keep    # one set again, the others as they are

Results: LEAKS.md and leaks.json.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

from benchmarks.markdown import table
from benchmarks.minority.planted_leaks import CLEAN, KINDS, plant
from benchmarks.minority.real_sets import RealSet, real_sets
from benchmarks.results import Row, grouped
from benchmarks.runner import Benchmark, Settings
from twinset.measurement.leakage import find_leakage

HERE = Path(__file__).parent
PLANTED_SETS = (
    "mammography", "wilt", "us_crime", "polish", "shoppers", "adult", "default", "handbook",
)  # fmt: skip
CLEAN_SETS = (
    *PLANTED_SETS, "magic", "yeast_me2", "jm1", "wine_quality", "ozone_level_8hr", "churn",
)  # fmt: skip
CLEAN_SEEDS = (0, 1, 2)  # clean cuts are few kinds, so each is made three times


def jobs(options: Settings) -> list[Row]:
    """Return every leak and every clean cut of each set."""
    found = []
    for name in options.sets:
        kinds = [(kind, 0) for kind in KINDS if name in PLANTED_SETS]
        kinds += [(kind, seed) for kind in CLEAN for seed in CLEAN_SEEDS]
        found += [{"set": name, "kind": kind, "seed": seed} for kind, seed in kinds]
    return found


@lru_cache(maxsize=1)
def _real(name: str) -> RealSet:
    return real_sets(name)[0]


def measure(job: Row) -> Row:
    """Return what the guard finds in one set; "refused" is None where the set cannot have the leak."""
    planted = plant(job["kind"], _real(job["set"]), job["seed"])
    row = {**job, "is_leak": job["kind"] in KINDS, "refused": None}
    if planted is None:
        return row
    started = time.process_time()
    found = find_leakage(
        planted.train, planted.holdout, planted.synthetic, split_by=planted.split_by
    )
    return row | {
        "refused": not found.is_clean,
        "found": [leak.to_json() for leak in found.leaks],
        "rows": len(planted.train) + len(planted.holdout),
        "cpu_seconds": round(time.process_time() - started, 2),
    }


def blocks(rows: Sequence[Row]) -> dict[str, str]:
    """Return the blocks of LEAKS.md."""
    leaks, clean = ([row for row in rows if row["is_leak"] == leak] for leak in (True, False))
    sets = list(grouped(leaks, "set"))
    refused, n_false = (sum(row["refused"] for row in part) for part in (leaks, clean))
    summary = (
        f"**{refused} of {len(leaks)} planted leaks are refused** ({len(grouped(leaks, 'kind'))} "
        f"kinds on {len(sets)} sets); **{n_false} false positives on {len(clean)} clean cuts** "
        f"({len(grouped(clean, 'set'))} sets). Slowest check: "
        f"{max(row['cpu_seconds'] for row in rows):.1f} CPU seconds "
        f"(largest set: {max(row['rows'] for row in rows):,} rows)."
    )
    cells = {(r["set"], r["kind"]): "refused" if r["refused"] else "MISSED" for r in leaks}
    planted = [[kind, *(cells.get((name, kind), "-") for name in sets)] for kind in KINDS]
    by_kind = grouped(clean, "kind")
    passed = [
        [kind, len(by_kind[kind]), sum(row["refused"] for row in by_kind[kind])]
        for kind in CLEAN
        if kind in by_kind
    ]
    return {
        "summary": summary,
        "planted": table(["planted", *sets], planted),
        "clean": table(["clean", "cuts", "false positives"], passed),
    }


BENCHMARK = Benchmark(
    about=__doc__,
    results=HERE / "leaks.json",
    page=HERE / "LEAKS.md",
    key=("set", "kind", "seed"),
    jobs=jobs,
    measure=measure,
    blocks=blocks,
    summary=lambda rows: [row for row in rows if row["refused"] is not None],
    order=lambda rows: sorted(rows, key=lambda row: CLEAN_SETS.index(row["set"])),
    settings={"sets": list(CLEAN_SETS)},
)

if __name__ == "__main__":
    BENCHMARK.run()

"""Scenes a CPU second, scenes that a plan needs, and whether a level of a condition is in the pixels.

    python -m benchmarks.vision.scenes --images 60

Results: scenes.json; RESULTS.md shows them.
"""

from __future__ import annotations

import argparse
import statistics
import time
from pathlib import Path
from typing import Any

from benchmarks.results import write_json
from benchmarks.vision.scene_probes import PLAIN, PROBED, drawer, recalls
from twinset.core.seeding import rng_for
from twinset.core.stats.covering_arrays import Coverage, covering_rows

EIGHT = (4, 4, 3, 3, 3, 4, 3, 2)  # levels of the eight conditions of a scene plan


def rates(rounds: int = 9, images: int = 60) -> dict[str, float]:
    """Return scenes a CPU second with all labels in memory, six objects at 256 px, no effects."""
    found: dict[str, float] = {}
    for ground in ("clouds", "gradient", "road", "smear"):
        scenes, levels, seconds = drawer(n_objects_range=(6, 6)), {**PLAIN, "ground": ground}, []
        for k in range(rounds):
            start = time.process_time()
            for i in range(images):
                scenes.draw("sign", 6, levels, rng_for(1000 * k + i, "scene"))
            seconds.append((time.process_time() - start) / images)
        found[ground] = 1 / statistics.median(seconds)
    return found


def plans() -> dict[str, dict[str, float]]:
    """Return how many scenes hold all pairs and triples of the eight-condition case, and at random."""
    found: dict[str, dict[str, float]] = {}
    for strength, noun in ((2, "pairs"), (3, "triples")):
        start = time.process_time()
        rows = len(covering_rows(Coverage(EIGHT, strength)))
        seconds = time.process_time() - start
        random = []
        for seed in range(5):
            rng, coverage, n = rng_for(seed, "uniform"), Coverage(EIGHT, strength), 0
            while coverage.n_met < coverage.n_required:
                coverage.add(tuple(int(rng.integers(size)) for size in EIGHT))
                n += 1
            random.append(n)
        found[noun] = {
            "planned": rows,
            "seconds": seconds,
            "random_median": statistics.median(random),
        }
    return found


def main() -> None:
    """Measure, write scenes.json and print the figures that RESULTS.md shows."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=60, help="scenes a level to learn from")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent)
    options = parser.parse_args()
    probes = {name: recalls(name, options.images) for name in PROBED}
    found: dict[str, Any] = {"rates": rates(), "plans": plans(), "probes": probes}
    write_json(options.out / "scenes.json", found)
    for part, rows in found.items():
        print(f"{part}:", *(f"{name} {value}" for name, value in rows.items()), sep="\n  ")


if __name__ == "__main__":
    main()

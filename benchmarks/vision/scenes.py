"""Scenes a CPU second, scenes that a plan needs, and whether a level of a condition is in the pixels.

Run: python -m benchmarks.vision.scenes [--images 60]
Writes scenes.json beside this file and prints the tables that RESULTS.md shows.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from twinset.core.covering import Coverage, covering_rows
from twinset.core.seeding import rng_for
from twinset.registry import build

EIGHT = (4, 4, 3, 3, 3, 4, 3, 2)
PROBED: dict[str, tuple[str, ...]] = {
    "weather": ("clear", "fog", "rain", "snow"),
    "light": ("day", "dusk", "night", "glare"),
    "blur": ("none", "motion", "defocus"),
    "sensor": ("good", "noisy", "jpeg", "dirty"),
}
PLAIN = {
    "weather": "clear", "light": "day", "blur": "none", "sensor": "good",
    "scale": "medium", "occlusion": "none", "truncation": "none", "ground": "clouds",
}  # fmt: skip
Pixels = npt.NDArray[Any]


def drawer(**settings: Any) -> Any:
    generator: Any = build("generator", "image.scenes", settings)
    return generator.fit(None, rng_for(0, "benchmark"))


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
            while coverage.n_met < coverage.n_wanted:
                coverage.add(tuple(int(rng.integers(size)) for size in EIGHT))
                n += 1
            random.append(n)
        found[noun] = {
            "planned": rows,
            "seconds": seconds,
            "random_median": statistics.median(random),
        }
    return found


def traits(image: Pixels) -> list[float]:
    """Return what a classical probe sees: light, contrast, edges along two ways, grain, blocks of eight."""
    grey = image.astype(float).mean(axis=2)
    dx, dy = np.diff(grey, axis=1), np.diff(grey, axis=0)
    fine = (
        grey[1:-1, 1:-1] - (grey[:-2, 1:-1] + grey[2:, 1:-1] + grey[1:-1, :-2] + grey[1:-1, 2:]) / 4
    )
    seams = np.abs(dx[:, 7::8]).mean() / (np.abs(dx).mean() + 1e-6)
    halves = [part.mean() for part in np.array_split(grey, 4)]
    tall = np.abs(grey[8:] - grey[:-8]).mean() / (np.abs(grey[:, 8:] - grey[:, :-8]).mean() + 1e-6)
    channels = image.reshape(-1, 3).mean(axis=0)
    levels = np.quantile(grey, [0.01, 0.1, 0.5, 0.9, 0.99, 0.999]).tolist()
    edges = [np.abs(d).mean() for d in (dx, dy)] + [np.quantile(np.abs(d), 0.99) for d in (dx, dy)]
    grain = [np.median(np.abs(fine)), np.abs(fine).mean(), np.quantile(np.abs(fine), 0.99)]
    colour = image.astype(float).std(axis=2).mean()
    dark = [float((grey < grey.mean() - k * 20).mean()) for k in (1, 2, 3)]
    coarse = np.abs(grey[4::8, 4::8][1:] - grey[4::8, 4::8][:-1]).mean()
    return [
        *channels,
        *levels,
        *edges,
        *grain,
        *halves,
        seams,
        tall,
        colour,
        *dark,
        coarse,
        grey.std(),
    ]


def probes(images: int) -> dict[str, dict[str, float]]:
    """Return the recall of each level by a forest that saw other scenes; all else is drawn plainly."""
    from sklearn.ensemble import ExtraTreesClassifier

    found: dict[str, dict[str, float]] = {}
    scenes = drawer(n_objects_range=(3, 6), size=160)
    for name, levels in PROBED.items():
        rows, labels = [], []
        for k, level in enumerate(levels):
            for i in range(2 * images):
                rng = rng_for(i, "probe", name, level)
                _, image = scenes.draw("ball", int(rng.integers(3, 7)), {**PLAIN, name: level}, rng)
                rows.append(traits(image))
                labels.append(k)
        x, y = np.array(rows), np.array(labels)
        seen = np.arange(len(y)) % 2 == 0
        forest = ExtraTreesClassifier(400, random_state=0).fit(x[seen], y[seen])
        told = forest.predict(x[~seen])
        found[name] = {v: float((told[y[~seen] == k] == k).mean()) for k, v in enumerate(levels)}
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=60)
    found: dict[str, Any] = {"rates": rates(), "plans": plans()}
    found["probes"] = probes(parser.parse_args().images)
    Path(__file__).with_name("scenes.json").write_text(json.dumps(found, indent=1) + "\n")
    print("| ground | scenes a CPU second |\n|---|---|")
    for name, rate in found["rates"].items():
        print(f"| {name} | {rate:.0f} |")
    for noun, plan in found["plans"].items():
        print(
            f"all {noun}: {plan['planned']} scenes planned, {plan['random_median']:.0f} at random"
        )
    for name, recalls in found["probes"].items():
        print(name, ", ".join(f"{level} {recall:.0%}" for level, recall in recalls.items()))


if __name__ == "__main__":
    main()

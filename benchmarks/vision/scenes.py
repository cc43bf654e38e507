"""Scenes a CPU second, scenes that a plan needs, and whether a level of a condition is in the pixels."""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
from sklearn.ensemble import ExtraTreesClassifier

from benchmarks.markdown import table
from benchmarks.runner import Row, Settings, grouped, load_yaml
from twinset.core.seeding import rng_for
from twinset.core.stats.covering_arrays import Coverage, covering_rows
from twinset.registry import build

EIGHT = (4, 4, 3, 3, 3, 4, 3, 2)  # levels of the eight conditions of a scene plan
GROUNDS = ("clouds", "gradient", "road", "smear")
PLANS = {"pairs": 2, "triples": 3}

# A plain level of each condition, and the levels that a probe has to separate.
_YAML = load_yaml(__file__, "scenes.yaml")
PLAIN: dict[str, str] = _YAML["plain"]
PROBED: dict[str, list[str]] = _YAML["probed"]
# Conditions of the main object -> numbers of objects: with others, all else would vary too.
_OF_OBJECT = {"scale": (1, 1), "occlusion": (2, 2), "truncation": (1, 1)}
# A red ball and blue boxes on a plain ground: colour says which pixels are the main object's.
TWO_COLOURS = {
    "ball": {"shape": "circle", "colours": ["#dd2222"], "tilt": 0, "weight": 0},
    "box": {"shape": "rectangle", "colours": ["#2222dd"], "tilt": 0},
}
Pixels = npt.NDArray[Any]


def drawer(**settings: Any) -> Any:
    generator: Any = build("generator", "image.scenes", settings)
    return generator.fit(None, rng_for(0, "benchmark"))


def recalls(name: str, images: int, size: int = 160) -> dict[str, float]:
    """Return the recall of each level of a condition, on as many other scenes as were learnt from."""
    of_object = name in _OF_OBJECT
    n_range = _OF_OBJECT.get(name, (3, 6))
    more = {"classes": TWO_COLOURS} if of_object else {}
    scenes = drawer(n_objects_range=n_range, size=size, **more)
    plain = {**PLAIN, "ground": "plain"} if of_object else PLAIN
    rows, labels = [], []
    for k, level in enumerate(PROBED[name]):
        for i in range(2 * images):
            rng = rng_for(i, "probe", name, level)
            n = int(rng.integers(n_range[0], n_range[1] + 1))
            _, image = scenes.draw("ball", n, {**plain, name: level}, rng)
            rows.append(red_traits(image) if of_object else traits(image))
            labels.append(k)
    x, y = np.array(rows), np.array(labels)
    seen = np.arange(len(y)) % 2 == 0
    forest = ExtraTreesClassifier(400, random_state=0).fit(x[seen], y[seen])
    predicted = forest.predict(x[~seen])
    return {
        level: float((predicted[y[~seen] == k] == k).mean()) for k, level in enumerate(PROBED[name])
    }


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
    shades = [seams, tall, colour, *dark, coarse, grey.std(), *cells(grey)]
    return [*channels, *levels, *edges, *grain, *halves, *shades]


def cells(grey: Pixels) -> list[float]:
    """Return how uneven the ground is in cells of a sixteenth: clouds are, a plain colour is not."""
    # A bent plane is laid through most cells, so that objects, which cover the others, do not count.
    n = min(grey.shape) // 16
    parts = grey[: 16 * n, : 16 * n].reshape(16, n, 16, n).transpose(0, 2, 1, 3)
    blocks = np.median(parts, axis=(2, 3)).ravel()
    y, x = (axis.ravel() for axis in np.mgrid[-1:1:16j, -1:1:16j])
    terms = np.stack([np.ones(256), x, y, x * y, x * x, y * y], axis=1)
    near = np.ones(256, bool)
    for share in (0.9, 0.75, 0.6, 0.6, 0.6):
        slope = np.linalg.lstsq(terms[near], blocks[near], rcond=None)[0]
        left = np.abs(blocks - terms @ slope)
        near = left <= np.quantile(left, share)
    bends = [float(np.hypot(*slope[1:3])), *(float(v) for v in slope[4:])]
    return [*bends, *np.quantile(left, [0.2, 0.4, 0.6, 0.8]).tolist()]


def red_traits(image: Pixels) -> list[float]:
    """Return how much of the image is red, and how much of a whole disc that is."""
    wide = image.astype(int)
    red = (wide[..., 0] - np.maximum(wide[..., 1], wide[..., 2]) > 60).astype(np.uint8)
    height, width = red.shape
    at = cv2.findNonZero(red)
    if at is None:
        return [0.0] * 7
    _, radius = cv2.minEnclosingCircle(at)
    x, y, w, h = cv2.boundingRect(at)
    edge = min(x, y, width - x - w, height - y - h)
    area = float(red.sum())
    hull = float(cv2.contourArea(cv2.convexHull(at))) + 1
    return [
        area, area / (np.pi * radius**2), area / hull, max(w, h), min(w, h) / max(w, h), edge,
        area / (w * h),
    ]  # fmt: skip


def rate(ground: str, rounds: int = 9, images: int = 60) -> float:
    """Return scenes a CPU second with all labels in memory, six objects at 256 px, no effects."""
    scenes, levels, seconds = drawer(n_objects_range=(6, 6)), {**PLAIN, "ground": ground}, []
    for k in range(rounds):
        start = time.process_time()
        for i in range(images):
            scenes.draw("sign", 6, levels, rng_for(1000 * k + i, "scene"))
        seconds.append((time.process_time() - start) / images)
    return 1 / statistics.median(seconds)


def plan(strength: int) -> dict[str, float]:
    """Return how many scenes hold all pairs or triples of the eight-condition case, and at random."""
    start = time.process_time()
    rows = len(covering_rows(Coverage(EIGHT, strength)))
    seconds, random = time.process_time() - start, []
    for seed in range(5):
        rng, coverage, n = rng_for(seed, "uniform"), Coverage(EIGHT, strength), 0
        while coverage.n_met < coverage.n_required:
            coverage.add(tuple(int(rng.integers(size)) for size in EIGHT))
            n += 1
        random.append(n)
    return {"planned": rows, "seconds": seconds, "random_median": statistics.median(random)}


def jobs(options: Settings) -> list[Row]:
    parts = (("rates", GROUNDS), ("plans", PLANS), ("probes", PROBED))
    return [
        {"part": part, "name": name, "images": options.images} for part, names in parts for name in names
    ]  # fmt: skip


def measure(job: Row) -> Row:
    part, name = job["part"], job["name"]
    if part == "rates":
        return {**job, "figures": {"scenes a CPU second": rate(name)}}
    found = plan(PLANS[name]) if part == "plans" else recalls(name, job["images"])
    return {**job, "figures": found}


def blocks(rows: Sequence[Row]) -> dict[str, str]:
    lines = [
        [part, row["name"], ", ".join(f"{name} {value:.3g}" for name, value in row["figures"].items())]
        for part, own in grouped(rows, "part").items()
        for row in own
    ]  # fmt: skip
    return {"scenes": table(["part", "case", "figures"], lines)}

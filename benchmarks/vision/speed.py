"""Images a CPU second of one core: ours against plain albumentations, in the same process.

Run: python -m benchmarks.vision.speed [--seconds 2] [--rounds 7]
Writes speed.json beside this file and prints the table that RESULTS.md shows.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")

import numpy as np
import numpy.typing as npt

from benchmarks.vision.labels import changer, labels_of, scene

Pixels = npt.NDArray[Any]

SIX: tuple[dict[str, Any], ...] = (
    {"HorizontalFlip": {"p": 0.5}},
    {"Affine": {"scale": [0.9, 1.1], "rotate": [-15, 15], "p": 0.7}},
    {"RandomBrightnessContrast": {"p": 0.5}},
    {"HueSaturationValue": {"p": 0.5}},
    {"GaussianBlur": {"p": 0.3}},
    {"GaussNoise": {"p": 0.3}},
)


def rates(jobs: dict[str, Callable[[int], Any]], seconds: float, rounds: int) -> dict[str, float]:
    """Return calls a CPU second of each job: the median over rounds in which the jobs take turns."""
    found: dict[str, list[float]] = {name: [] for name in jobs}
    for k in range(rounds):
        for name, job in jobs.items():
            n, start = 0, time.process_time()
            while time.process_time() - start < seconds / rounds:
                job(1000 * k + n)
                n += 1
            found[name].append(n / (time.process_time() - start))
    return {name: statistics.median(values) for name, values in found.items()}


def enlarged(size: int) -> tuple[Pixels, Pixels, tuple[float, float]]:
    image, ids, point = scene(3)
    times = size // image.shape[0]
    grow = (times, times)
    big = np.kron(image, np.ones((*grow, 1), np.uint8))
    noisy = np.clip(big + np.random.default_rng(0).integers(0, 60, big.shape), 0, 255)
    return (
        noisy.astype(np.uint8),
        np.kron(ids, np.ones(grow, np.uint16)),
        (point[0] * times, point[1] * times),
    )


def pipelines(size: int) -> dict[str, Callable[[int], Any]]:
    import albumentations

    image, ids, point = enlarged(size)
    objects = labels_of(ids, point)
    for k, label in enumerate(objects):
        label["keypoints"] = [{"name": "tip", "x": point[0] - 3 * k, "y": point[1], "v": 2}]
    boxes = np.array([o["box"] for o in objects], np.float32)
    points = np.array([[p["x"], p["y"]] for o in objects for p in o["keypoints"]], np.float32)
    steps = [
        getattr(albumentations, name)(
            **{k: tuple(v) if isinstance(v, list) else v for k, v in given.items()}
        )
        for step in SIX
        for name, given in step.items()
    ]
    compose = albumentations.Compose(
        steps,
        bbox_params=albumentations.BboxParams(format="pascal_voc", label_fields=["ids"]),
        keypoint_params=albumentations.KeypointParams(format="xy"),
        seed=7,
    )
    vary = changer("image.albumentations", transforms=SIX)
    bare = [{**label, "keypoints": []} for label in objects]
    return {
        "albumentations, boxes and keypoints": lambda k: compose(
            image=image, mask=ids, bboxes=boxes, ids=[1, 2, 3], keypoints=points
        ),
        "twinset, boxes": lambda k: vary(image, ids, bare, k),
        "twinset, boxes and keypoints": lambda k: vary(image, ids, objects, k),
    }


def effects(size: int) -> dict[str, Callable[[int], Any]]:
    import albumentations

    image, ids, point = enlarged(size)
    objects = labels_of(ids, point)
    jobs: dict[str, Callable[[int], Any]] = {}
    for name in ("fog", "rain", "snow", "night", "glare"):
        settings = {"kinds_of_weather": [name], "amount_range": (0.6, 0.6)}
        jobs[f"twinset, {name}"] = partial(_over, changer("image.weather", **settings), image)
    names = {
        "fog": "RandomFog",
        "rain": "RandomRain",
        "snow": "RandomSnow",
        "glare": "RandomSunFlare",
    }
    for name, theirs in names.items():
        operation = albumentations.Compose([getattr(albumentations, theirs)(p=1.0)], seed=7)
        jobs[f"albumentations, {name}"] = partial(_plain, operation, image)
    bend = changer("image.elastic")
    elastic = albumentations.Compose(
        [albumentations.ElasticTransform(p=1.0)],
        bbox_params=albumentations.BboxParams(format="pascal_voc", label_fields=["ids"]),
        keypoint_params=albumentations.KeypointParams(format="xy"),
        seed=7,
    )
    boxes = np.array([o["box"] for o in objects], np.float32)
    points = np.array([point], np.float32)
    jobs["albumentations, elastic"] = lambda k: elastic(
        image=image, mask=ids, bboxes=boxes, ids=[1, 2, 3], keypoints=points
    )
    jobs["twinset, elastic"] = lambda k: bend(image, ids, objects, k)
    return jobs


def _over(vary: Any, image: Pixels, k: int) -> None:
    vary(image, None, None, k)


def _plain(operation: Any, image: Pixels, k: int) -> None:
    operation(image=image)


def table(found: dict[str, dict[str, float]]) -> str:
    lines = ["| operation | image | albumentations | twinset | ratio |", "|---|---|---|---|---|"]
    for size, rate in found.items():
        plain = rate["albumentations, boxes and keypoints"]
        for words in ("boxes", "boxes and keypoints"):
            ours = rate[f"twinset, {words}"]
            lines.append(
                f"| six operations, {words} | {size} | {plain:.0f} | {ours:.0f} | {ours / plain:.2f} |"
            )
        for name in ("fog", "rain", "snow", "glare", "night", "elastic"):
            ours, theirs = rate[f"twinset, {name}"], rate.get(f"albumentations, {name}")
            shown = (
                f"{theirs:.0f} | {ours:.0f} | {ours / theirs:.1f}"
                if theirs
                else f"- | {ours:.0f} | -"
            )
            lines.append(f"| {name} | {size} | {shown} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--rounds", type=int, default=7)
    given = parser.parse_args()
    found = {
        f"{size} px": rates({**pipelines(size), **effects(size)}, given.seconds, given.rounds)
        for size in (256, 512)
    }
    Path(__file__).with_name("speed.json").write_text(json.dumps(found, indent=1) + "\n")
    print(table(found))


if __name__ == "__main__":
    main()

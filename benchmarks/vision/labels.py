"""Exactness and speed of labels after image operations: ours against plain albumentations."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from functools import partial
from statistics import median
from typing import Any

import numpy as np
import numpy.typing as npt

os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")

import albumentations

from benchmarks.markdown import NOTHING, table
from benchmarks.runner import Row, load_yaml
from twinset.core.image.instance_maps import extents_of, objects_from_ids
from twinset.core.seeding import rng_for
from twinset.registry import build

SIZE = 256  # pixels a side
FINE = 4  # subpixels a side: the truth of an edge is known to a quarter of a pixel
Pixels = npt.NDArray[Any]
Jobs = dict[str, Callable[[int], Any]]

# Settings of operations whose labels are compared, and the six operations whose speed is.
_YAML = load_yaml(__file__, "labels.yaml")
SETTINGS: dict[str, dict[str, Any]] = _YAML["settings"]
SIX: list[dict[str, Any]] = _YAML["six"]
WEATHER = {"fog": "RandomFog", "rain": "RandomRain", "snow": "RandomSnow", "glare": "RandomSunFlare",
           "night": ""}  # fmt: skip
BOTH = "boxes and keypoints"


def scene(seed: int) -> tuple[Pixels, Pixels, tuple[float, float]]:
    """Return an image (ellipses in red, a disc in green), its id map, and the centre of the disc."""
    rng = rng_for(seed, "benchmark", "labels")
    y, x = (np.mgrid[: SIZE * FINE, : SIZE * FINE] + 0.5) / FINE
    fine = np.zeros(x.shape, np.uint16)
    for i in range(1, 4):
        centre = rng.uniform(60, SIZE - 60, 2)
        a, b, turn = rng.uniform(15, 40), rng.uniform(10, 25), rng.uniform(0, np.pi)
        u = (x - centre[0]) * np.cos(turn) + (y - centre[1]) * np.sin(turn)
        v = -(x - centre[0]) * np.sin(turn) + (y - centre[1]) * np.cos(turn)
        fine[(u / a) ** 2 + (v / b) ** 2 < 1] = i
    ids, covered = np.zeros((SIZE, SIZE), np.uint16), np.zeros((SIZE, SIZE))
    for i in range(1, 4):
        share = _coarse(fine == i)
        ids[share >= 0.5] = i
        covered += share
    point = rng.uniform(60, SIZE - 60, 2)
    green = _coarse(np.clip(5.5 - np.hypot(x - point[0], y - point[1]), 0, 1))
    image = np.stack([covered, green, np.zeros_like(green)], axis=2)
    return np.rint(255 * image).astype(np.uint8), ids, (float(point[0]), float(point[1]))


def _coarse(fine: Pixels) -> Pixels:
    return np.asarray(fine.reshape(SIZE, FINE, SIZE, FINE).mean(axis=(1, 3)))


def labels_of(ids: Pixels, point: tuple[float, float]) -> list[Any]:
    """Return the objects of an id map, the first one with a keypoint."""
    objects = objects_from_ids(ids, dict.fromkeys(np.unique(ids)[1:].tolist(), "cell"))
    objects[0]["keypoints"] = [{"name": "tip", "x": point[0], "y": point[1], "v": 2}]
    return objects


def changer(name: str, **settings: Any) -> Any:
    """Return the function of an augmenter that varies an image, its id map and labels by a seed."""
    augmenter: Any = build("augmenter", name, settings)
    return augmenter.prepare()


def composed(operations: list[Any], **settings: Any) -> Any:
    """Return operations of albumentations that move boxes and keypoints along."""
    return albumentations.Compose(
        operations,
        bbox_params=albumentations.BboxParams(format="pascal_voc", label_fields=["ids"]),
        keypoint_params=albumentations.KeypointParams(format="xy"),
        **settings,
    )


def operation(name: str, **settings: Any) -> Any:
    """Return one operation of albumentations; lists are tuples there."""
    more = {k: tuple(v) if isinstance(v, list) else v for k, v in settings.items()}
    return getattr(albumentations, name)(**more)


def exactness(image: Pixels, ids: Pixels, boxes: dict[int, Any], point: Any) -> dict[str, Any]:
    """Return how well the labels of one changed scene fit its pixels."""
    seen, tight, _ = extents_of(ids)
    row: dict[str, Any] = {
        "iou": [iou(boxes[int(i)], b) for i, b in zip(seen, tight) if int(i) in boxes]
    }
    red, green = image[..., 0] / 255.0, image[..., 1] / 255.0
    if (ids > 0).sum() > 200:  # less is the rim of an object that was cut off
        row["shift"] = centre(red) - centre((ids > 0).astype(float))
        hard = red >= 0.5
        row["overlap"] = (hard & (ids > 0)).sum() / max((hard | (ids > 0)).sum(), 1)
    edge = np.concatenate([green[0], green[-1], green[:, 0], green[:, -1]])
    if point is not None and green.sum() > 20 and edge.max() == 0:
        row["point"] = float(np.hypot(*(centre(green) - np.asarray(point))))
    return row


def iou(a: Any, b: Any) -> float:
    both = max(0.0, min(a[2], b[2]) - max(a[0], b[0])) * max(0.0, min(a[3], b[3]) - max(a[1], b[1]))
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (a, b)]
    return float(both / (sum(areas) - both))


def centre(weights: Pixels) -> Pixels:
    """Return the centre of mass of a plane, x and y, pixel centres at +0.5."""
    sums = [weights.sum(axis=axis) for axis in (0, 1)]
    return np.array([(s * (np.arange(len(s)) + 0.5)).sum() / weights.sum() for s in sums])


def ours(vary: Any, seed: int) -> dict[str, Any]:
    """Return the exactness of our labels after one operation in a scene."""
    image, ids, point = scene(seed)
    new, new_ids, objects = vary((image, ids, labels_of(ids, point)), seed)
    points = [p for o in objects for p in o["keypoints"] if p["v"] > 0]
    at = (points[0]["x"], points[0]["y"]) if points else None
    return exactness(new, new_ids, {o["id"]: o["box"] for o in objects}, at)


def plain(compose: Any, seed: int) -> dict[str, Any]:
    """Return the same of albumentations by itself: its own boxes, keypoints and mask sampling."""
    image, ids, point = scene(seed)
    boxes = {o["id"]: o["box"] for o in labels_of(ids, point)}
    compose.set_random_seed(seed)
    points = np.array([point], np.float32) - 0.5
    args = {"image": image, "mask": ids, "bboxes": np.array(list(boxes.values()), np.float32)}
    made = compose(**args, ids=list(boxes), keypoints=points)
    at = np.asarray(made["keypoints"])[0, :2] + 0.5 if len(made["keypoints"]) else None
    found = {int(i): b for i, b in zip(made["ids"], made["bboxes"])}
    return exactness(made["image"], made["mask"], found, at)


def measure(job: Row) -> Row:
    name = job["operation"]
    settings = {**SETTINGS.get(name, {}), "p": 1.0}
    vary = changer("image.albumentations", transforms=[{name: settings}])
    compose, seeds = composed([operation(name, **settings)]), range(job["scenes"])
    return {
        **job,
        "albumentations": averages([plain(compose, seed) for seed in seeds]),
        "twinset": averages([ours(vary, seed) for seed in seeds]),
    }


def averages(rows: list[dict[str, Any]]) -> dict[str, float | None]:
    ious = np.concatenate([row["iou"] for row in rows])
    shifts = np.array([row["shift"] for row in rows if "shift" in row])
    points = [row["point"] for row in rows if "point" in row]
    return {
        "iou_mean": float(ious.mean()),
        "iou_min": float(ious.min()),
        "shift": float(np.abs(shifts.mean(axis=0)).max()),
        "mask_image_iou": float(np.mean([row["overlap"] for row in rows if "overlap" in row])),
        "point_p95": float(np.quantile(points, 0.95)) if points else None,
        "n_points": float(len(points)),
    }


def blocks(results: Sequence[Row]) -> dict[str, str]:
    head, rows = ["operation"], []
    for title in ("box IoU mean / min", "shift px", "mask on image IoU", "keypoint p95 px"):
        head += [title, "ours"]
    for found in results:
        pair = (found["albumentations"], found["twinset"])
        row = [found["operation"], *(f"{s['iou_mean']:.3f} / {s['iou_min']:.3f}" for s in pair)]
        row += [f"{s[key]:.3f}" for key in ("shift", "mask_image_iou") for s in pair]
        row += [NOTHING if s["point_p95"] is None else f"{s['point_p95']:.2f}" for s in pair]
        rows.append(row)
    return {"labels": table(head, rows)}


def enlarged(size: int) -> tuple[Pixels, Pixels, tuple[float, float]]:
    """Return a scene of another size, with noise."""
    image, ids, point = scene(3)
    times = size // SIZE
    big = np.kron(image, np.ones((times, times, 1), np.uint8))
    noisy = np.clip(big + np.random.default_rng(0).integers(0, 60, big.shape), 0, 255)
    grown = np.kron(ids, np.ones((times, times), np.uint16))
    return noisy.astype(np.uint8), grown, (point[0] * times, point[1] * times)


def speed_jobs(size: int) -> Jobs:
    """Return calls of both libraries on a scene: six operations, weather and an elastic change."""
    image, ids, point = enlarged(size)
    objects = labels_of(ids, point)
    boxes = np.array([o["box"] for o in objects], np.float32)
    many = [
        {**o, "keypoints": [{"name": "tip", "x": point[0] - 3 * k, "y": point[1], "v": 2}]}
        for k, o in enumerate(objects)
    ]
    bare = [{**label, "keypoints": []} for label in objects]
    points = np.array([[p["x"], p["y"]] for o in many for p in o["keypoints"]], np.float32)
    six = composed([operation(n, **given) for step in SIX for n, given in step.items()], seed=7)
    bending = composed([operation("ElasticTransform", p=1.0)], seed=7)
    vary, bend = changer("image.albumentations", transforms=SIX), changer("image.elastic")
    args = {"image": image, "mask": ids, "bboxes": boxes, "ids": [1, 2, 3]}
    jobs: Jobs = {
        f"albumentations, {BOTH}": lambda k: six(**args, keypoints=points),
        "twinset, boxes": lambda k: vary((image, ids, bare), k),
        f"twinset, {BOTH}": lambda k: vary((image, ids, many), k),
        "albumentations, elastic": lambda k: bending(
            **args, keypoints=np.array([point], np.float32)
        ),
        "twinset, elastic": lambda k: bend((image, ids, objects), k),
    }
    for name, theirs in WEATHER.items():
        effect = changer("image.weather", kinds_of_weather=[name], amount_range=(0.6, 0.6))
        jobs[f"twinset, {name}"] = partial(effect, (image, None, None))
        if theirs:
            compose = albumentations.Compose([operation(theirs, p=1.0)], seed=7)
            jobs[f"albumentations, {name}"] = lambda k, c=compose: c(image=image)  # type: ignore[misc]
    return jobs


def blocks_speed(found: Sequence[Row]) -> dict[str, str]:
    rows = []
    for one in found:
        size, rate = f"{one['size']} px", one["rates"]
        theirs = rate[f"albumentations, {BOTH}"]
        for labels in ("boxes", BOTH):
            own = rate[f"twinset, {labels}"]
            cells = [f"{theirs:.0f}", f"{own:.0f}", f"{own / theirs:.2f}"]
            rows.append([f"six operations, {labels}", size, *cells])
        for name in (*WEATHER, "elastic"):
            own, other = rate[f"twinset, {name}"], rate.get(f"albumentations, {name}")
            pair = [f"{other:.0f}", f"{own / other:.1f}"] if other else [NOTHING, NOTHING]
            rows.append([name, size, pair[0], f"{own:.0f}", pair[1]])
    return {"speed": table(["operation", "image", "albumentations", "twinset", "ratio"], rows)}


def measure_speed(job: Row) -> Row:
    """Return calls a CPU second of each job: the median over rounds, each of which runs every job."""
    jobs, seconds = speed_jobs(job["size"]), job["seconds"] / job["rounds"]
    found: dict[str, list[float]] = {name: [] for name in jobs}
    for k in range(job["rounds"]):
        for name, call in jobs.items():
            n, start = 0, time.process_time()
            while time.process_time() - start < seconds:
                call(1000 * k + n)
                n += 1
            found[name].append(n / (time.process_time() - start))
    return {**job, "rates": {name: median(values) for name, values in found.items()}}

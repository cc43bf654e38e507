"""How exact labels are after every geometric operation: ours against plain albumentations.

Run: python -m benchmarks.vision.labels [--scenes 40]
Writes labels.json beside this file and prints the table that RESULTS.md shows.
"""

from __future__ import annotations

import argparse
import importlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from twinset.core.image.instance_maps import extents_of, objects_from_ids
from twinset.core.seeding import rng_for
from twinset.registry import build

SIZE = 256
Pixels = npt.NDArray[Any]

SETTINGS: dict[str, dict[str, Any]] = {
    "Affine": {
        "scale": [0.8, 1.2],
        "rotate": [-45, 45],
        "shear": [-10, 10],
        "translate_percent": 0.05,
    },
    "CenterCrop": {"height": 200, "width": 210},
    "Crop": {"x_min": 20, "y_min": 30, "x_max": 230, "y_max": 240},
    "CropAndPad": {"percent": [-0.15, 0.15]},
    "LongestMaxSize": {"max_size": 200},
    "Pad": {"padding": [10, 23]},
    "PadIfNeeded": {"min_height": 300, "min_width": 310},
    "RandomCrop": {"height": 200, "width": 210},
    "RandomResizedCrop": {"size": [200, 230]},
    "RandomSizedCrop": {"min_max_height": [150, 220], "size": [201, 203]},
    "Resize": {"height": 201, "width": 333},
    "SmallestMaxSize": {"max_size": 321},
    "ElasticTransform": {"alpha": 60, "sigma": 8},
}


def scene(seed: int) -> tuple[Pixels, Pixels, tuple[float, float]]:
    """Return an image (objects in red, a disc in green), its id map, and where the disc's centre is."""
    rng = rng_for(seed, "benchmark", "labels")
    y, x = (np.mgrid[: SIZE * 4, : SIZE * 4] + 0.5) / 4
    fine = np.zeros((SIZE * 4, SIZE * 4), np.uint16)
    for i in range(1, 4):
        centre = rng.uniform(60, SIZE - 60, 2)
        a, b, turn = rng.uniform(15, 40), rng.uniform(10, 25), rng.uniform(0, np.pi)
        u = (x - centre[0]) * np.cos(turn) + (y - centre[1]) * np.sin(turn)
        v = -(x - centre[0]) * np.sin(turn) + (y - centre[1]) * np.cos(turn)
        fine[(u / a) ** 2 + (v / b) ** 2 < 1] = i
    ids = np.zeros((SIZE, SIZE), np.uint16)
    covered = np.zeros((SIZE, SIZE))
    for i in range(1, 4):
        share = (fine == i).reshape(SIZE, 4, SIZE, 4).mean(axis=(1, 3))
        ids[share >= 0.5] = i
        covered += share
    point = rng.uniform(60, SIZE - 60, 2)
    disc = np.clip(5.5 - np.hypot(x - point[0], y - point[1]), 0, 1)
    green = disc.reshape(SIZE, 4, SIZE, 4).mean(axis=(1, 3))
    image = np.stack([covered, green, np.zeros_like(green)], axis=2)
    return np.rint(255 * image).astype(np.uint8), ids, (float(point[0]), float(point[1]))


def labels_of(ids: Pixels, point: tuple[float, float]) -> list[Any]:
    names = dict.fromkeys(np.unique(ids)[1:].tolist(), "cell")
    objects = objects_from_ids(ids, names)
    objects[0]["keypoints"] = [{"name": "tip", "x": point[0], "y": point[1], "v": 2}]
    return objects


def changer(name: str, **settings: Any) -> Any:
    """Return what an augmenter does to one row: takes image, id map, labels and seed."""
    augmenter: Any = build("augmenter", name, settings)
    return augmenter.change()


def iou(a: Any, b: Any) -> float:
    """Return intersection over union of two boxes."""
    wide = max(0.0, min(a[2], b[2]) - max(a[0], b[0])) * max(0.0, min(a[3], b[3]) - max(a[1], b[1]))
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (a, b)]
    return float(wide / (sum(areas) - wide))


def centre(weights: Pixels) -> Pixels:
    """Return the centre of mass of a plane, x and y, pixel centres at +0.5."""
    total = weights.sum()
    columns, rows = weights.sum(axis=0), weights.sum(axis=1)
    return np.array(
        [
            (columns * (np.arange(len(columns)) + 0.5)).sum() / total,
            (rows * (np.arange(len(rows)) + 0.5)).sum() / total,
        ]
    )


def facts(image: Pixels, ids: Pixels, boxes: dict[int, Any], point: Any) -> dict[str, Any]:
    """Return what one varied scene says about its labels."""
    seen, tight, _ = extents_of(ids)
    row: dict[str, Any] = {
        "iou": [iou(boxes[int(i)], b) for i, b in zip(seen, tight) if int(i) in boxes]
    }
    red = image[..., 0] / 255.0
    if (ids > 0).sum() > 200:
        row["shift"] = centre(red) - centre((ids > 0).astype(float))
        hard = red >= 0.5
        row["overlap"] = (hard & (ids > 0)).sum() / max((hard | (ids > 0)).sum(), 1)
    green = image[..., 1] / 255.0
    edge = np.concatenate([green[0], green[-1], green[:, 0], green[:, -1]])
    if point is not None and green.sum() > 20 and edge.max() == 0:
        row["point"] = float(np.hypot(*(centre(green) - np.asarray(point))))
    return row


def ours(name: str, n: int) -> list[dict[str, Any]]:
    vary = changer(
        "image.albumentations", transforms=[{name: {**SETTINGS.get(name, {}), "p": 1.0}}]
    )
    rows = []
    for seed in range(n):
        image, ids, point = scene(seed)
        new, new_ids, objects = vary(image, ids, labels_of(ids, point), seed)
        points = [p for o in objects for p in o["keypoints"] if p["v"] > 0]
        at = (points[0]["x"], points[0]["y"]) if points else None
        rows.append(facts(new, new_ids, {o["id"]: o["box"] for o in objects}, at))
    return rows


def plain(name: str, n: int) -> list[dict[str, Any]]:
    """Return the same of albumentations by itself: its own boxes, keypoints and mask sampling."""
    import albumentations

    chosen = {k: tuple(v) if isinstance(v, list) else v for k, v in SETTINGS.get(name, {}).items()}
    compose = albumentations.Compose(
        [getattr(albumentations, name)(**chosen, p=1.0)],
        bbox_params=albumentations.BboxParams(format="pascal_voc", label_fields=["ids"]),
        keypoint_params=albumentations.KeypointParams(format="xy"),
    )
    rows = []
    for seed in range(n):
        image, ids, point = scene(seed)
        boxes = {o["id"]: o["box"] for o in labels_of(ids, point)}
        compose.set_random_seed(seed)
        made = compose(
            image=image,
            mask=ids,
            bboxes=np.array(list(boxes.values()), np.float32),
            ids=list(boxes),
            keypoints=np.array([point], np.float32) - 0.5,
        )
        at = np.asarray(made["keypoints"])[0, :2] + 0.5 if len(made["keypoints"]) else None
        found = {int(i): b for i, b in zip(made["ids"], made["bboxes"])}
        rows.append(facts(made["image"], made["mask"], found, at))
    return rows


def summary(rows: list[dict[str, Any]]) -> dict[str, float | None]:
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


def table(results: dict[str, Any]) -> str:
    lines = [
        "| operation | box IoU mean / min | ours | shift px | ours | mask on image IoU | ours "
        "| keypoint p95 px | ours |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for name, sides in results.items():
        a, b = sides["albumentations"], sides["twinset"]
        cells = [
            f"{a['iou_mean']:.3f} / {a['iou_min']:.3f}",
            f"{b['iou_mean']:.3f} / {b['iou_min']:.3f}",
            f"{a['shift']:.3f}",
            f"{b['shift']:.3f}",
            f"{a['mask_image_iou']:.3f}",
            f"{b['mask_image_iou']:.3f}",
            *("-" if s["point_p95"] is None else f"{s['point_p95']:.2f}" for s in (a, b)),
        ]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scenes", type=int, default=40)
    n = parser.parse_args().scenes
    catalogue: Any = importlib.import_module("twinset.augment.image._catalogue")
    results = {
        name: {"albumentations": summary(plain(name, n)), "twinset": summary(ours(name, n))}
        for name in sorted(catalogue.PLANE | catalogue.WARP)
    }
    Path(__file__).with_name("labels.json").write_text(json.dumps(results, indent=1) + "\n")
    print(table(results))


if __name__ == "__main__":
    main()

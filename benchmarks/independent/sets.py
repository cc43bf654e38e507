"""Real sets of the trials: read, drawn into train, holdout and candidate, and written as files."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any
from zlib import crc32

import cv2
import numpy as np
import pandas as pd
import yaml

from benchmarks import datasets
from benchmarks.datasets import DATA, DataAbsentError

Table = Any  # a pandas frame; a row is a row of a table, a text or an image with its labels
SETS: dict[str, dict[str, Any]] = yaml.safe_load(Path(__file__).with_name("sets.yaml").read_text())
CROP = 48  # pixels of an image of one cell


@dataclass(frozen=True)
class Splits:
    """Rows of one real set, drawn without overlap; `spare` are rows of none of the three."""

    name: str
    train: Table
    holdout: Table
    candidate: Table
    spare: Table

    @property
    def target(self) -> str | None:
        return SETS[self.name].get("target")


def notes(n: int, rng: np.random.Generator) -> list[str]:
    """Return different sentences that stand for free text in a table, and blanks where they run out."""
    texts = sorted({row["said"].strip() for row in datasets.snips("train")})
    return [texts[i] for i in rng.permutation(len(texts))[:n]] + [""] * max(0, n - len(texts))


@cache
def load(name: str) -> Table:
    """Return every row of a real set."""
    spec = SETS[name]
    if "reader" in spec:
        return READERS[spec["reader"]]()
    source = SETS[spec["like"]] if "like" in spec else spec
    path = DATA / source["file"]
    if not path.exists():
        raise DataAbsentError(f"The data is absent: expected {path}.")
    parquet = path.suffix == ".parquet"
    d = pd.read_parquet(path) if parquet else pd.read_csv(path, **source.get("read", {}))
    for step in dict.fromkeys((source.get("frame", "d"), spec.get("frame", "d"))):
        shared = {"pd": pd, "np": np, "notes": notes, "rng": np.random.default_rng(1)}
        d = eval(step, {**shared, "d": d.reset_index(drop=True)})
    return d.reset_index(drop=True)


def draw(name: str, seed: int, rows: int | None = None) -> Splits:
    """Return disjoint parts of a real set; without `rows` as many as the set's own size."""
    every, n = load(name), rows or SETS[name].get("rows", 3000)
    order = np.random.default_rng([seed, crc32(name.encode())]).permutation(len(every))
    cuts = (order[:n], order[n : 2 * n], order[2 * n : 3 * n], order[3 * n :])
    a, b, c, d = (every.iloc[cut].reset_index(drop=True) for cut in cuts)
    return Splits(name, a, b, c, d)


def _texts(rows: list[dict[str, Any]], label: str | None, spans: bool) -> Table:
    columns: dict[str, Any] = {"text": [row["said"] for row in rows]}
    if label is not None:
        columns[label] = [row["about"] for row in rows]
    if spans:
        keys = ("start", "end", "label")
        columns["spans"] = [[{k: m[k] for k in keys} for m in row["marks"]] for row in rows]
    return pd.DataFrame(columns).drop_duplicates("text").reset_index(drop=True)


def _smears() -> list[tuple[Any, list[list[Any]]]]:
    """Return the blood smears at half their size, with boxes [x0, y0, x1, y1, label]."""
    cells, found = datasets.blood_cells(), []
    image, boxes = (cells.schema.of_kind(kind)[0].name for kind in ("image", "boxes"))
    for row in cells.records.to_pylist():
        pixels: Any = cv2.imdecode(np.frombuffer(row[image]["bytes"], np.uint8), cv2.IMREAD_COLOR)
        pixels = cv2.resize(pixels, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
        found.append(
            (pixels, [[*(round(v / 2) for v in m["box"]), m["category"]] for m in row[boxes]])
        )
    return found


def _tiles(pixels: Any, side: int) -> list[tuple[int, int, tuple[slice, slice]]]:
    """Return corner and slices of the tiles of an image."""
    tops, lefts = (range(0, size - side + 1, side) for size in pixels.shape[:2])
    return [(y, x, (slice(y, y + side), slice(x, x + side))) for y in tops for x in lefts]


def _cells() -> Table:
    rng, rows = np.random.default_rng(1), []
    for pixels, marks in _smears():
        for x0, y0, x1, y1, label in marks:
            x, y = (x0 + x1 - CROP) // 2, (y0 + y1 - CROP) // 2
            crop = pixels[max(y, 0) : y + CROP, max(x, 0) : x + CROP].copy()
            if crop.shape[:2] == (CROP, CROP) and (label != "RBC" or rng.random() < 0.3):
                rows.append({"image": crop, "label": label})
    return pd.DataFrame(rows)


def _blood(side: int = 120) -> Table:
    rows = []
    for pixels, marks in _smears():
        for y, x, part in _tiles(pixels, side):
            inside = [
                [max(x0 - x, 0), max(y0 - y, 0), min(x1 - x, side), min(y1 - y, side), label]
                for x0, y0, x1, y1, label in marks
                if x <= (x0 + x1) / 2 < x + side and y <= (y0 + y1) / 2 < y + side
            ]
            rows.append({"image": pixels[part].copy(), "boxes": inside})
    return pd.DataFrame(rows)


def _nuclei(side: int = 128) -> Table:
    rows = []
    for path in sorted(datasets.data_folder("vision", "nuclei", "images").glob("*.png")):
        label = next((path.parents[1] / "labels").glob(f"{path.stem}*.png"))
        pixels: Any = cv2.imread(str(path), cv2.IMREAD_COLOR)
        mask: Any = cv2.imread(str(label), cv2.IMREAD_UNCHANGED)
        for _, _, part in _tiles(mask, side):
            rows.append({"image": pixels[part].copy(), "mask": mask[part].copy()})
    return pd.DataFrame(rows)


READERS: dict[str, Callable[[], Table]] = {
    "snips": lambda: _texts(datasets.snips("train"), "intent", spans=True),
    "orders": lambda: _texts(datasets.snips("train"), None, spans=True),
    "banking": lambda: _texts(datasets.banking("train"), "intent", spans=False),
    "sms": lambda: _texts(datasets.sms(), "label", spans=False),
    "cells": _cells,
    "blood": _blood,
    "nuclei": _nuclei,
}


def write(frame: Table, path: Path, whole: frozenset[str] = frozenset()) -> Path:
    """Write rows as a CSV file, JSON Lines or a folder of images, and return its path.

    Integers of the columns in `whole` are written without a fraction where cells are missing.
    """
    if "image" in frame.columns:
        return _write_images(frame, path)
    if "text" in frame.columns:
        lines = (json.dumps(row, ensure_ascii=False) for row in frame.to_dict("records"))
        path.with_suffix(".jsonl").write_text("".join(f"{line}\n" for line in lines), "utf-8")
        return path.with_suffix(".jsonl")
    cells = {name: frame[name] for name in whole if frame[name].dtype.kind == "f"}
    for name, column in cells.items():
        values = [int(v) if v == v and float(v).is_integer() else v for v in column]
        plain = pd.Series(values, index=column.index, dtype=object)
        cells[name] = plain.where(column.notna(), None)
    frame.assign(**cells).to_csv(path.with_suffix(".csv"), index=False)
    return path.with_suffix(".csv")


def whole_columns(frame: Table) -> frozenset[str]:
    """Return the columns of floats whose values are all whole numbers."""
    floats = frame.select_dtypes("float")
    return frozenset(c for c in floats if (floats[c].dropna() % 1 == 0).all())


def _write_images(frame: Table, path: Path) -> Path:
    """Write sub-folders of labels, COCO or id maps, as the columns ask for."""
    names = [f"{i:05d}.png" for i in range(len(frame))]
    folders = frame["label"].astype(str) if "label" in frame.columns else ["images"] * len(frame)
    files = [path / folder / name for folder, name in zip(folders, names)]
    images = list(zip(files, frame["image"]))
    if "mask" in frame.columns:
        images += [(path / "masks" / n, m.astype(np.uint16)) for n, m in zip(names, frame["mask"])]
    for file, pixels in images:
        file.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(file), pixels)
    if "boxes" in frame.columns:
        (path / "annotations.json").write_text(json.dumps(_coco(frame, names)), "utf-8")
    return path


def _coco(frame: Table, names: list[str]) -> dict[str, Any]:
    marks = [(i, *map(float, b[:4]), b[4]) for i, boxes in enumerate(frame["boxes"]) for b in boxes]
    labels = sorted({mark[5] for mark in marks})
    sizes = [dict(zip(("height", "width"), pixels.shape)) for pixels in frame["image"]]
    objects: list[dict[str, Any]] = []
    for image, x0, y0, x1, y1, label in marks:
        box = {"bbox": [x0, y0, x1 - x0, y1 - y0], "area": (x1 - x0) * (y1 - y0), "iscrowd": 0}
        number = {"id": len(objects) + 1, "image_id": image}
        objects.append({**number, **box, "category_id": labels.index(label) + 1})
    return {
        "images": [{"id": i, "file_name": n, **sizes[i]} for i, n in enumerate(names)],
        "categories": [{"id": i, "name": label} for i, label in enumerate(labels, 1)],
        "annotations": objects,
    }

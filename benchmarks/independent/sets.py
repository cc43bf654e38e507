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

Frame = Any  # a pandas frame; a row is a row of a table, a text or an image with its labels
HERE = Path(__file__).parent
SETS: dict[str, dict[str, Any]] = yaml.safe_load((HERE / "sets.yaml").read_text("utf-8"))
CROP = 48  # pixels of an image of one cell
TILE = {"blood": 120, "nuclei": 128}  # pixels of a tile; smears are halved before


@dataclass(frozen=True)
class Parts:
    """Rows of one real set, drawn without overlap."""

    name: str
    train: Frame
    holdout: Frame
    candidate: Frame
    spare: Frame  # rows of none of the three

    @property
    def target(self) -> str | None:
        return SETS[self.name].get("target")

    @property
    def kind(self) -> str:
        """Return "tables", "texts" or "images"."""
        if "image" in self.train.columns:
            return "images"
        return "texts" if "reader" in SETS[self.name] else "tables"


def notes(n: int, rng: np.random.Generator) -> list[str]:
    """Return different sentences that stand for free text in a table."""
    texts = sorted({row["said"].strip() for row in datasets.snips("train")})
    return [texts[i] for i in rng.permutation(len(texts))[:n]] + [""] * max(0, n - len(texts))


@cache
def load(name: str) -> Frame:
    """Return every row of a real set."""
    spec = SETS[name]
    if "reader" in spec:
        return READERS[spec["reader"]]()
    source = SETS[spec["like"]] if "like" in spec else spec
    path = DATA / source["file"]
    if not path.exists():
        raise DataAbsentError(f"The data is absent: expected {path}.")
    d = (
        pd.read_parquet(path)
        if path.suffix == ".parquet"
        else pd.read_csv(path, **source.get("read", {}))
    )
    for step in dict.fromkeys((source.get("frame", "d"), spec.get("frame", "d"))):
        rng = np.random.default_rng(1)
        d = eval(
            step, {"pd": pd, "np": np, "rng": rng, "notes": notes, "d": d.reset_index(drop=True)}
        )
    return d.reset_index(drop=True)


def draw(name: str, seed: int, rows: int | None = None) -> Parts:
    """Return disjoint parts of a real set; without `rows` as many as the set's own size."""
    every = load(name)
    n = rows or SETS[name].get("rows", 3000)
    order = np.random.default_rng([seed, crc32(name.encode())]).permutation(len(every))
    cuts = [every.iloc[order[i * n : (i + 1) * n]].reset_index(drop=True) for i in range(3)]
    return Parts(name, *cuts, every.iloc[order[3 * n :]].reset_index(drop=True))


def _texts(rows: list[dict[str, Any]], label: str | None, spans: bool) -> Frame:
    columns: dict[str, Any] = {"text": [row["said"] for row in rows]}
    if label is not None:
        columns[label] = [row["about"] for row in rows]
    if spans:
        columns["spans"] = [
            [{k: m[k] for k in ("start", "end", "label")} for m in row["marks"]] for row in rows
        ]
    return pd.DataFrame(columns).drop_duplicates("text").reset_index(drop=True)


def _smears() -> list[tuple[Any, list[list[Any]]]]:
    """Return the blood smears at half their size, with boxes [x0, y0, x1, y1, label]."""
    cells = datasets.blood_cells()
    image, boxes = (cells.schema.of_kind(kind)[0].name for kind in ("image", "boxes"))
    found = []
    for row in cells.records.to_pylist():
        pixels = cv2.imdecode(np.frombuffer(row[image]["bytes"], np.uint8), cv2.IMREAD_COLOR)
        pixels = cv2.resize(pixels, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
        marks = [[*(round(v / 2) for v in one["box"]), one["category"]] for one in row[boxes]]
        found.append((pixels, marks))
    return found


def _cells() -> Frame:
    rng, rows = np.random.default_rng(1), []
    for pixels, marks in _smears():
        height, width = pixels.shape[:2]
        for x0, y0, x1, y1, label in marks:
            if label == "RBC" and rng.random() > 0.3:
                continue
            x, y = (x0 + x1 - CROP) // 2, (y0 + y1 - CROP) // 2
            if 0 <= x <= width - CROP and 0 <= y <= height - CROP:
                rows.append({"image": pixels[y : y + CROP, x : x + CROP].copy(), "label": label})
    return pd.DataFrame(rows)


def _blood() -> Frame:
    side, rows = TILE["blood"], []
    for pixels, marks in _smears():
        for y in range(0, pixels.shape[0] - side + 1, side):
            for x in range(0, pixels.shape[1] - side + 1, side):
                inside = [
                    [max(x0 - x, 0), max(y0 - y, 0), min(x1 - x, side), min(y1 - y, side), label]
                    for x0, y0, x1, y1, label in marks
                    if x <= (x0 + x1) / 2 < x + side and y <= (y0 + y1) / 2 < y + side
                ]
                rows.append({"image": pixels[y : y + side, x : x + side].copy(), "boxes": inside})
    return pd.DataFrame(rows)


def _nuclei() -> Frame:
    side, rows = TILE["nuclei"], []
    for path in sorted(datasets.data_folder("vision", "nuclei", "images").glob("*.png")):
        pixels = cv2.imread(str(path), cv2.IMREAD_COLOR)
        label = next((path.parents[1] / "labels").glob(f"{path.stem}*.png"))
        mask = cv2.imread(str(label), cv2.IMREAD_UNCHANGED)
        for y in range(0, mask.shape[0] - side + 1, side):
            for x in range(0, mask.shape[1] - side + 1, side):
                part = (slice(y, y + side), slice(x, x + side))
                rows.append({"image": pixels[part].copy(), "mask": mask[part].copy()})
    return pd.DataFrame(rows)


READERS: dict[str, Callable[[], Frame]] = {
    "snips": lambda: _texts(datasets.snips("train"), "intent", spans=True),
    "orders": lambda: _texts(datasets.snips("train"), None, spans=True),
    "banking": lambda: _texts(datasets.banking("train"), "intent", spans=False),
    "sms": lambda: _texts(datasets.sms(), "label", spans=False),
    "cells": _cells,
    "blood": _blood,
    "nuclei": _nuclei,
}


def write(frame: Frame, path: Path, whole: frozenset[str] = frozenset()) -> Path:
    """Write rows as a CSV file, JSON Lines or a folder of images, and return its path.

    Integers of the columns in `whole` are written without a fraction where cells are missing.
    """
    if "image" in frame.columns:
        return _write_images(frame, path)
    if {"text", "spans"} <= set(frame.columns) or "text" in frame.columns:
        path = path.with_suffix(".jsonl")
        lines = (json.dumps(row, ensure_ascii=False) for row in frame.to_dict("records"))
        path.write_text("".join(f"{line}\n" for line in lines), "utf-8")
        return path
    path, frame = path.with_suffix(".csv"), frame.copy()
    for name in whole & {c for c in frame.columns if frame[c].dtype.kind == "f"}:
        cells = frame[name].astype(object)
        frame[name] = [int(v) if v == v and float(v).is_integer() else v for v in cells]
        frame[name] = frame[name].astype(object).where(cells.notna(), None)
    frame.to_csv(path, index=False)
    return path


def whole_columns(frame: Frame) -> frozenset[str]:
    """Return the columns of floats whose values are all whole numbers."""
    numeric = frame.select_dtypes("float")
    return frozenset(c for c in numeric if (numeric[c].dropna() % 1 == 0).all())


def _write_images(frame: Frame, path: Path) -> Path:
    """Write sub-folders of labels, COCO or id maps, as the columns ask for."""
    path.mkdir(parents=True)
    names = [f"{i:05d}.png" for i in range(len(frame))]
    folders = ["images"] * len(frame)
    if "label" in frame.columns:
        folders = [str(label) for label in frame["label"]]
    for folder, name, pixels in zip(folders, names, frame["image"]):
        (path / folder).mkdir(exist_ok=True)
        cv2.imwrite(str(path / folder / name), pixels)
    if "mask" in frame.columns:
        (path / "masks").mkdir()
        for name, mask in zip(names, frame["mask"]):
            cv2.imwrite(str(path / "masks" / name), mask.astype(np.uint16))
    if "boxes" in frame.columns:
        (path / "annotations.json").write_text(json.dumps(_coco(frame, names)), "utf-8")
    return path


def _coco(frame: Frame, names: list[str]) -> dict[str, Any]:
    labels = sorted({box[4] for boxes in frame["boxes"] for box in boxes})
    images, marks = [], []
    for number, (name, pixels, boxes) in enumerate(zip(names, frame["image"], frame["boxes"])):
        height, width = pixels.shape[:2]
        images.append({"id": number, "file_name": name, "width": width, "height": height})
        for x0, y0, x1, y1, label in boxes:
            box = [float(x0), float(y0), float(x1 - x0), float(y1 - y0)]
            mark = {"id": len(marks) + 1, "image_id": number, "bbox": box, "iscrowd": 0}
            category = labels.index(label) + 1
            marks.append({**mark, "category_id": category, "area": box[2] * box[3]})
    categories = [{"id": i + 1, "name": label} for i, label in enumerate(labels)]
    return {"images": images, "annotations": marks, "categories": categories}

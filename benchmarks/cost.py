"""Costs of wide and long tables, and of images with many objects: ``python -m benchmarks.cost [NAME]``."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv


def write_table(path: Path, rows: int, columns: int) -> None:
    """Write decimals, whole numbers and letters that share one hidden number a row."""
    rng = np.random.default_rng(0)
    hidden = rng.normal(size=rows)
    table = {}
    for j in range(columns):
        values = hidden * (j % 7) / 7 + rng.normal(size=rows)
        kinds = (values.round(3), np.rint(3 * values).astype(int), np.array(list("abcde")))
        table[f"c{j}"] = kinds[2][rng.integers(0, 5, rows)] if j % 3 == 2 else kinds[j % 3]
    pyarrow.csv.write_csv(pa.table(table), path)


def write_coco(path: Path, objects: int) -> None:
    """Write one image with so many small objects in COCO's form."""
    import cv2

    rng = np.random.default_rng(0)
    path.mkdir()
    cv2.imwrite(str(path / "a.png"), rng.integers(0, 255, (2000, 2000, 3), dtype=np.uint8))
    annotations = []
    for i, (x, y, w, h) in enumerate(
        rng.integers((0, 0, 3, 3), (1900, 1900, 40, 40), (objects, 4)).tolist()
    ):
        ring = [x, y, x + w, y, x + w, y + h, x, y + h]
        entry = {"id": i + 1, "image_id": 1, "category_id": 1, "bbox": [x, y, w, h]}
        annotations.append({**entry, "area": w * h, "iscrowd": 0, "segmentation": [ring]})
    image = {"id": 1, "file_name": "a.png", "width": 2000, "height": 2000}
    content = {
        "images": [image],
        "categories": [{"id": 1, "name": "k"}],
        "annotations": annotations,
    }
    (path / "annotations.json").write_text(json.dumps(content))


CASES: dict[str, tuple[Callable[[Path], None], tuple[str, ...]]] = {
    "register 12 x 5,000": (lambda p: write_table(p, 12, 5_000), ("register", "in.csv")),
    "register 12 x 20,000": (lambda p: write_table(p, 12, 20_000), ("register", "in.csv")),
    "20,000 objects in an image": (lambda p: write_coco(p, 20_000), ("register", "in")),
    "twin 2,000 x 100": (lambda p: write_table(p, 2_000, 100), ("twin", "in.csv", "out.csv")),
    "twin 2,000 x 1,000": (lambda p: write_table(p, 2_000, 1_000), ("twin", "in.csv", "out.csv")),
    "twin 200,000 x 5": (lambda p: write_table(p, 200_000, 5), ("twin", "in.csv", "out.csv")),
}


def measure(name: str) -> tuple[float, float]:
    """Return CPU seconds and the peak of memory in MB of the command of a case."""
    write, words = CASES[name]
    with tempfile.TemporaryDirectory() as folder:
        write(Path(folder, words[1]))
        command = [sys.executable, "-m", "twinset", *words]
        with Path(folder, "log").open("wb") as log:
            child = subprocess.Popen(command, cwd=folder, stdout=log, stderr=log)
            _, status, used = os.wait4(child.pid, 0)
        if status:
            raise SystemExit(Path(folder, "log").read_text())
    return used.ru_utime + used.ru_stime, used.ru_maxrss / 1024


if __name__ == "__main__":
    print("| input | CPU s | peak MB |\n|---|---|---|")
    for chosen in sys.argv[1:] or CASES:
        spent, peak = measure(chosen)
        print(f"| {chosen} | {spent:.1f} | {peak:,.0f} |", flush=True)

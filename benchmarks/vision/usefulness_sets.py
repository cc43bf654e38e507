"""Real pictures for the trials of usefulness: what may be learnt from, and what is locked away."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from twinset.core.data.dataset import Dataset
from twinset.core.data.schema import Field, Schema
from twinset.core.image.codec import decode_ids, decode_pixels, encode_png
from twinset.core.image.instance_maps import objects_from_ids
from twinset.core.seeding import rng_for
from twinset.io.reading import read_dataset

VISION = Path(__file__).parents[3] / "shared" / "data" / "vision"
NUCLEUS = "object"
"""What the masks folder calls what its maps hold."""
_WINDOW = 256


def nuclei() -> Dataset:
    """Return the middle of each nuclei picture, at most 256 pixels wide and high, with its id map."""
    rows = read_dataset(VISION / "nuclei")
    records = rows.records
    image, mask, boxes = (rows.schema.of_kind(k)[0].name for k in ("image", "mask", "boxes"))
    cells: dict[str, list[object]] = {image: [], mask: [], boxes: []}
    for row in records.select([image, mask]).to_pylist():
        pixels, ids = decode_pixels(row[image]["bytes"]), decode_ids(row[mask]["bytes"])
        top, left = (max(side - _WINDOW, 0) // 2 for side in ids.shape)
        place = slice(top, top + _WINDOW), slice(left, left + _WINDOW)
        own = np.ascontiguousarray(ids[place].astype(np.uint16))
        names = dict.fromkeys(np.unique(own[own > 0]).tolist(), NUCLEUS)
        cells[image].append(_png(np.ascontiguousarray(pixels[place][..., :3])))
        cells[mask].append(_png(own))
        cells[boxes].append(objects_from_ids(own, names))
    for name, values in cells.items():
        column = pa.array(values, rows.schema[name].arrow_type)
        records = records.set_column(records.schema.get_field_index(name), name, column)
    return Dataset.from_arrow(records.select(list(cells)), rows.schema.select(list(cells)))


def blood_cells() -> Dataset:
    """Return the blood smears, 640 by 480 pixels, with boxes of RBC, WBC and Platelets."""
    rows = read_dataset(VISION / "bccd" / "BCCD", on_fault="skip")
    names = [rows.schema.of_kind(kind)[0].name for kind in ("image", "boxes")]
    return rows.select(names).without_reserved()


def with_platelets(rows: Dataset) -> Dataset:
    """Return blood smears with a column that says whether a picture shows platelets: some or none."""
    objects = rows.records.column("objects").to_pylist()
    seen = ["some" if any(o["category"] == "Platelets" for o in row) else "none" for row in objects]
    column = pa.array(seen).dictionary_encode()
    records = rows.records.append_column("platelets", column)
    schema = Schema((*rows.schema.fields, Field(name="platelets", kind="category")))
    return Dataset.from_arrow(records, schema)


def opened(rows: Dataset, n: int, name: str) -> tuple[Dataset, Dataset]:
    """Return `n` pictures to design a trial on and to learn from, and those locked away till the end."""
    order = rng_for(2026, name, "locked").permutation(len(rows))
    return rows.take(np.sort(order[:n])), rows.take(np.sort(order[n:]))


def _png(pixels: npt.NDArray[np.generic]) -> dict[str, object]:
    return {"bytes": encode_png(pixels), "path": None}

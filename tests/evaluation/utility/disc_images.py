"""Images of light and dark discs with exact masks and boxes, to try small nets on."""

import numpy as np
import pyarrow as pa

from twinset.core.data.dataset import Dataset
from twinset.core.data.schema import BLOB, OBJECT, Field, Schema
from twinset.core.image.codec import encode_png
from twinset.core.image.instance_maps import objects_from_ids
from twinset.core.seeding import rng_for


def discs(n: int, seed: int, *, side: int = 32, wrong: str = "") -> Dataset:
    """Draw `n` pictures of two discs each, a light and a dark one; `wrong`: place or name."""
    rng = rng_for(seed, "discs")
    y, x = np.mgrid[:side, :side] + 0.5
    rows = []
    for _ in range(n):
        ids = np.zeros((side, side), np.uint16)
        pixels = rng.normal(120, 6, (side, side))
        for k, (centre, light) in enumerate((((9, 9), 80), ((23, 22), -80)), start=1):
            cx, cy = np.array(centre) + rng.uniform(-2, 2, 2)
            inside = (x - cx) ** 2 + (y - cy) ** 2 <= rng.uniform(4, 6) ** 2
            ids[inside] = k
            pixels[inside] += light
        if wrong == "place":
            ids = np.ascontiguousarray(ids[::-1])
        names = {1: "dark", 2: "light"} if wrong == "name" else {1: "light", 2: "dark"}
        rows.append(
            {
                "photo": _png(
                    np.repeat(pixels.clip(0, 255).astype(np.uint8)[..., None], 3, axis=2)
                ),
                "mask": _png(ids),
                "objects": objects_from_ids(ids, names),
            }
        )
    types = {"photo": BLOB, "mask": BLOB, "objects": pa.list_(OBJECT)}
    kinds = {"photo": "image", "mask": "mask", "objects": "boxes"}
    table = pa.table({name: pa.array([r[name] for r in rows], types[name]) for name in types})
    return Dataset.from_arrow(table, Schema(tuple(Field(name=n, kind=kinds[n]) for n in types)))


def _png(pixels):
    return {"bytes": encode_png(np.ascontiguousarray(pixels)), "path": None}

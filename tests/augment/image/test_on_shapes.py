"""Generated shapes through the augmenter: one records table carries both, and labels stay exact."""

import numpy as np
import pytest

from twinset.augment.image.albumentations import Albumentations
from twinset.core.image.codec import decode_pixels
from twinset.core.seeding import rng_for
from twinset.generators.image.shapes import Shapes

pytest.importorskip("albumentations")


def test_labels_of_varied_shapes_follow_from_their_maps():
    drawn = Shapes(size=64).fit(None, rng_for(0, "fit")).sample(16, rng_for(0, "draw"))
    parents = drawn.with_reserved(ids=[f"shapes-{i}" for i in range(16)])
    augmenter = Albumentations()
    out = augmenter.apply(parents, augmenter.draw(parents, rng_for(0, "augment")))
    assert out.schema == drawn.schema
    assert out.records.column("_parents").to_pylist() == [[f"shapes-{i}"] for i in range(16)]
    rows, before = out.records.to_pylist(), drawn.records.to_pylist()
    for row, parent in zip(rows, before):
        ids = decode_pixels(row["instances"]["bytes"])
        categories = {o["id"]: o["category"] for o in parent["objects"]}
        assert [o["id"] for o in row["objects"]] == sorted(set(ids.ravel().tolist()) - {0})
        for item in row["objects"]:
            ys, xs = np.nonzero(ids == item["id"])
            assert item["box"] == [xs.min(), ys.min(), xs.max() + 1, ys.max() + 1]
            assert item["category"] == categories[item["id"]]
        assert row["light"] == parent["light"]
    changed = [a["image"]["bytes"] != b["image"]["bytes"] for a, b in zip(rows, before)]
    assert sum(changed) >= 12

"""Images with planted faults: each is found in the rows that have it, and fresh real images have none."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from twinset.core.contracts import Comparison
from twinset.core.data.dataset import Dataset
from twinset.core.data.schema import OBJECT, Field, Schema
from twinset.core.features.embedders import Classical, with_vectors
from twinset.core.features.image_statistics import with_properties
from twinset.core.findings import Verdict
from twinset.core.image.codec import encode_png
from twinset.core.integrity import FaultKind, IntegrityFault, IntegrityFaults
from twinset.core.seeding import rng_for
from twinset.evaluation.integrity import image_rows
from twinset.evaluation.integrity._image_contents import ImageContents
from twinset.evaluation.integrity.image_rows import ImageRows
from twinset.measurement.harness import measure

N, SIDE, N_FAULTY = 90, 32, 9
LABELS = ("cell", "dust")
SCHEMA = Schema((Field(name="photo", kind="image"), Field(name="objects", kind="boxes")))
Row = tuple[np.ndarray, list[dict[str, Any]]]


def draw_row(rng: np.random.Generator) -> Row:
    pixels = (
        rng.normal(120, 8, (SIDE, SIDE, 3)) + np.linspace(0, rng.uniform(10, 60), SIDE)[:, None]
    )
    objects = []
    for _ in range(rng.integers(1, 4)):
        x, y = rng.integers(2, 20, 2)
        w, h = rng.integers(6, 10, 2)
        label = "cell" if rng.random() < 0.7 else "dust"
        pixels[y : y + h, x : x + w] += 70 if label == "cell" else -70
        objects.append({"category": label, "box": [float(v) for v in (x, y, x + w, y + h)]})
    return pixels.clip(0, 255).astype(np.uint8), objects


def rows(seed: int) -> list[Row]:
    rng = rng_for(seed, "images")
    return [draw_row(rng) for _ in range(N)]


def as_images(own: list[Row]) -> pa.ChunkedArray:
    return pa.chunked_array([[{"bytes": encode_png(pixels), "path": ""} for pixels, _ in own]])


def as_dataset(own: list[Row]) -> Dataset:
    cells = as_images(own)
    objects = pa.array([found for _, found in own], pa.list_(OBJECT))
    found = Dataset.from_arrow(pa.table({"photo": cells, "objects": objects}), SCHEMA)
    return with_properties(with_vectors(found, {"photo": [EMBEDDING]}), LABELS)


EMBEDDING = Classical().fit(as_images(rows(1)), None, 0)
REAL = as_dataset(rows(1)), as_dataset(rows(2))
FACTS_OF_REAL: dict[str, Any] = {}


def find_faults(own: list[Row]) -> tuple[IntegrityFault, ...]:
    comparison = Comparison(REAL[0], as_dataset(own), REAL[1], cache=FACTS_OF_REAL)
    found = ImageRows().compute(comparison, rng_for(0, "metric")).findings[0]
    assert isinstance(found, IntegrityFaults)
    return found.faults


def test_fresh_real_images_have_no_fault():
    assert find_faults(rows(3)) == ()


def alter_box(**changes: Any) -> Callable[[Row], Row]:
    return lambda row: (row[0], [{**row[1][0], **changes}, *row[1][1:]])


@pytest.mark.parametrize(
    ("change", "detail"),
    [
        (lambda row: (row[0][:20, :20], row[1]), "size in pixels"),
        (lambda row: (row[0][..., 0], row[1]), "channels"),
        (lambda row: (row[0].astype(np.uint16) * 257, row[1]), "bits"),
        (lambda row: (np.zeros_like(row[0]), row[1]), "one colour only"),
        (lambda row: (np.zeros_like(row[0]), row[1]), "objects on one colour"),
        (alter_box(box=[9.0, 9.0, 10.0, 15.0]), "a whole box thinner than two pixels"),
        (lambda row: (row[0], []), "no object"),
        (alter_box(box=[25.0, 5.0, 40.0, 12.0]), "a box outside of the image"),
        (alter_box(box=[9.0, 9.0, 9.0, 12.0]), "a box without area"),
        (alter_box(category="Cell"), "an unknown label"),
        (lambda row: (row[0], [*row[1], row[1][0]]), "equal boxes"),
    ],
)  # fmt: skip
def test_images_that_real_ones_rule_out_are_found(change, detail):
    own = rows(3)
    found = find_faults([*map(change, own[:N_FAULTY]), *own[N_FAULTY:]])
    faults = {sign: one for one in found for sign in (one.detail, *one.also)}
    assert set(faults[detail].rows) <= set(range(1, N_FAULTY + 1))
    assert faults[detail].n_synthetic >= N_FAULTY - 2


def test_copies_of_the_set_and_of_flipped_train_images_are_found():
    own = rows(3)
    (copy,) = find_faults([*own[:9], *own[:9], *own[18:]])
    assert {"of the set", "equal"} <= {copy.detail, *copy.also}
    flipped = [(pixels[:, ::-1].copy(), objects) for pixels, objects in rows(1)[:9]]
    assert "of the train set" in {one.detail for one in find_faults([*flipped, *own[9:]])}


def test_images_darker_than_real_ones_are_found():
    own = rows(3)
    dark = [((pixels * 0.5).astype(np.uint8), objects) for pixels, objects in own[:20]]
    (fault, *_) = find_faults([*dark, *own[20:]])
    assert fault.kind == FaultKind.IMAGE_CONTENT
    assert set(fault.rows) <= set(range(1, 21))


def test_the_harness_measures_images_with_the_vectors_that_they_carry(monkeypatch):
    monkeypatch.setattr(image_rows, "DEFAULT_EMBEDDERS", {})
    own = [(pixels[:20, :20], objects) for pixels, objects in rows(3)]
    (score,) = measure(
        train=REAL[0], synthetic=as_dataset(own), holdout=REAL[1],
        metrics=[("integrity.image_rows", ImageRows())], embedders=[Classical()],
    )  # fmt: skip
    assert (score.verdict, score.value) == (Verdict.DIFFERENT, 1.0)


def test_a_single_image_of_another_size_is_found():
    own = rows(3)
    (fault,) = find_faults([(own[0][0][:20, :20], []), *own[1:]])
    assert (fault.detail, fault.rows) == ("size in pixels", (1,))


@pytest.mark.parametrize(
    ("by", "sign"),
    [
        ((-2, 0, -2, 0), "more: objects right of their boxes"),
        ((0, 2, 0, 2), "less: objects below their boxes"),
        ((-2, -2, 2, 2), "more: boxes too large"),
    ],
)
def test_boxes_off_their_objects_are_found(by, sign):
    def move(row: Row) -> Row:
        moved = [
            {**one, "box": [float(np.clip(v + d, 0, SIDE)) for v, d in zip(one["box"], by)]}
            for one in row[1]
        ]
        return row[0], moved

    own = rows(3)
    found = find_faults([*map(move, own[:30]), *own[30:]])
    assert sign in {sign for one in found for sign in (one.detail, *one.also)}


@pytest.mark.parametrize(
    ("change", "sign"),
    [
        (lambda pixels: pixels[..., ::-1].copy(), "red and blue exchanged"),
        (lambda pixels: 255 - pixels, "a negative"),
        (lambda pixels: pixels[::-1].copy(), "upside down"),
    ],
)
def test_changes_that_train_images_undo_are_named(change, sign):
    def read(seed: int, n_changed: int = 0) -> ImageContents:
        tint = np.array([1.0, 0.8, 0.6]) * np.linspace(0.2, 1, SIDE)[:, None, None]
        pixels = [(one * tint).astype(np.uint8) for one, _ in rows(seed)]
        pixels = [change(one) if i < n_changed else one for i, one in enumerate(pixels)]
        return ImageContents.from_columns(as_images([(one, []) for one in pixels]), None, None)

    checks = image_rows._check_undone("photo", [read(1), read(3, 30), read(2)])
    found = {check.detail: check for check in checks}
    assert found[sign].p_value < 1e-4
    assert (found[sign].rows < 30).mean() > 0.8

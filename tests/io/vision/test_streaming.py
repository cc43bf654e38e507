"""Folders of images one picture at a time: the same rows, the same faults, memory of one picture."""

import tracemalloc
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from twinset.core.data.dataset import Dataset
from twinset.core.errors import DataError
from twinset.core.image.codec import encode_lossless
from twinset.core.seeding import rng_for
from twinset.io import read_dataset, stream_dataset, write_dataset
from twinset.registry import build

pytest.importorskip("cv2")


def scenes(n: int, size: int = 48) -> Dataset:
    settings = {"size": size, "n_objects_range": [1, 3], "factors": {"light": ["day", "night"]}}
    drawn = build("generator", "image.scenes", settings).fit(None, rng_for(1, "f"))
    data = drawn.sample(n, rng_for(1, "d"))
    score = pa.array([k / 2 if k % 3 else None for k in range(n)], pa.float64())
    return Dataset.from_arrow(data.records.append_column("score", score))


def test_streamed_rows_are_those_that_are_read(tmp_path: Path) -> None:
    for number, layout in enumerate(["coco", "yolo", "voc", "masks", "webdataset"]):
        folder = tmp_path / str(number)
        folder.mkdir()
        write_dataset([scenes(7)], folder / "set", layout)
        whole = read_dataset(folder / "set")
        rows = list(stream_dataset(folder / "set"))
        assert [len(row) for row in rows] == [1] * 7
        assert all(row.schema == whole.schema and row.card == whole.card for row in rows)
        joined = pa.concat_tables([row.records for row in rows], promote_options="permissive")
        assert joined.to_pylist() == whole.records.to_pylist()


def test_a_plain_folder_with_labels_is_streamed_too(tmp_path: Path) -> None:
    for k in range(5):
        (tmp_path / "set" / "ab"[k % 2]).mkdir(parents=True, exist_ok=True)
        pixels = np.full((9, 9 + k), k, np.uint8)
        (tmp_path / "set" / "ab"[k % 2] / f"{k}.png").write_bytes(encode_lossless(pixels))
    (tmp_path / "set/labels.csv").write_text("file,dose\n0.png,1\n1.png,2.5\n3.png,\n")
    whole = read_dataset(tmp_path / "set")
    rows = list(stream_dataset(tmp_path / "set"))
    assert all(row.schema == whole.schema for row in rows)
    assert [r for row in rows for r in row.records.to_pylist()] == whole.records.to_pylist()


def test_other_sets_come_as_one_chunk(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("a\n1\n2\n")
    (chunk,) = stream_dataset(tmp_path / "t.csv")
    assert chunk.records.equals(read_dataset(tmp_path / "t.csv").records)


def test_faults_are_reported_before_the_first_row(tmp_path: Path) -> None:
    write_dataset([scenes(4)], tmp_path / "set", "coco")
    last = sorted((tmp_path / "set/images").iterdir())[-1]
    last.write_bytes(last.read_bytes()[:-40])
    with pytest.raises(DataError, match="holds one fault"):
        next(stream_dataset(tmp_path / "set"))
    rows = list(stream_dataset(tmp_path / "set", on_fault="skip"))
    assert len(rows) == 3
    assert any("left out" in note for note in rows[0].card.notes)


def test_memory_holds_one_image(tmp_path: Path) -> None:
    (tmp_path / "set").mkdir()
    noise = rng_for(0, "x").integers(0, 255, (400, 500, 3)).astype(np.uint8)
    for k in range(12):
        (tmp_path / f"set/{k:02}.png").write_bytes(encode_lossless(np.roll(noise, k)))
    size = len(encode_lossless(noise))
    next(stream_dataset(tmp_path / "set"))  # what is imported on first use does not count
    tracemalloc.start()
    for row in stream_dataset(tmp_path / "set"):
        assert len(row) == 1
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 6 * size

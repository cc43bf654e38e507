import hashlib
import json
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from twinset.core.data.dataset import Dataset
from twinset.core.errors import DataError, UnknownNameError
from twinset.core.image.codec import encode_jpeg, encode_png
from twinset.io import open_writer, parquet, read_dataset, write_dataset
from twinset.io.formats import writable_formats

PNG = encode_png(np.zeros((2, 2), np.uint8))
JPEG = encode_jpeg(np.zeros((2, 2), np.uint8))


def sha(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def cut(data: Dataset, at: list[int]) -> Iterator[Dataset]:
    borders = [0, *sorted(min(i, len(data)) for i in at), len(data)]
    for start, stop in pairwise(borders):
        yield data.slice(start, stop - start)


@pytest.mark.parametrize("word", writable_formats("table"))
@given(at=st.lists(st.integers(0, 40), max_size=5))
def test_bytes_do_not_depend_on_the_chunks(word: str, at: list[int]) -> None:
    import tempfile

    rows = {
        "x": [i / 7 for i in range(40)],
        "c": ["ab"[i % 2] if i % 3 else None for i in range(40)],
    }
    data = Dataset.from_arrow(pa.table(rows))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_dataset([data], folder / "one", word)
        # Each chunk is rebuilt from values, so its dictionaries are its own.
        parts = (Dataset.from_arrow(p.to_arrow(), data.schema) for p in cut(data, at))
        write_dataset(parts, folder / "many", word)
        assert sha(folder / "one") == sha(folder / "many")


def test_parquet_row_groups_have_a_fixed_size(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parquet, "GROUP_ROWS", 4)
    data = Dataset.from_arrow(pa.table({"x": [float(i) for i in range(10)]}))
    for parts in ([data], cut(data, [1]), cut(data, [4, 8]), cut(data, [5, 6, 7, 9])):
        write_dataset(parts, tmp_path / "t.parquet", "parquet")
        meta = pq.read_metadata(tmp_path / "t.parquet")
        assert [meta.row_group(i).num_rows for i in range(meta.num_row_groups)] == [4, 4, 2]
        assert pq.read_table(tmp_path / "t.parquet").column("x").to_pylist() == [*range(10)]


def test_parquet_keeps_types_and_drops_metadata(every_kind: Dataset, tmp_path: Path) -> None:
    noted = every_kind.to_arrow().replace_schema_metadata({"host": "me", "pandas": "{}"})
    data = Dataset.from_arrow(noted, every_kind.schema)
    write_dataset([data], tmp_path / "t.parquet", "parquet")
    found = pq.ParquetFile(tmp_path / "t.parquet")
    assert found.schema_arrow.types == every_kind.to_arrow().schema.types
    assert set(found.metadata.metadata or {}) <= {b"ARROW:schema"}
    again = read_dataset(tmp_path / "t.parquet", data.schema)
    assert again.to_arrow().equals(every_kind.to_arrow())


def test_bytes_do_not_depend_on_where_a_nested_column_came_from(tmp_path: Path) -> None:
    blobs = [{"bytes": PNG, "path": None}]
    data = Dataset.from_arrow(
        pa.table(
            {"image": pa.array(blobs, pa.struct([("bytes", pa.binary()), ("path", pa.string())]))}
        )
    )
    write_dataset([data], tmp_path / "a.parquet", "parquet")
    write_dataset([read_dataset(tmp_path / "a.parquet")], tmp_path / "b.parquet", "parquet")
    assert sha(tmp_path / "a.parquet") == sha(tmp_path / "b.parquet")


def test_json_lines_hold_plain_json(every_kind: Dataset, tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    write_dataset([every_kind], path, "jsonl")
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    assert [row["price"] for row in rows] == [2.0, 0.25, None, -17.5, 1e6]
    assert [row["flag"] for row in rows] == [True, False, None, True, True]
    assert [row["word"] for row in rows] == every_kind.records.column("word").to_pylist()
    assert rows[0]["moment"] == "2024-01-01T12:30:00.25"
    assert rows[0]["class"] == 0
    assert read_dataset(path, every_kind.schema).to_arrow().equals(every_kind.to_arrow())


@given(st.lists(st.text(st.characters(codec="utf-8")), min_size=1))
def test_any_text_survives_json(words: list[str]) -> None:
    import tempfile

    data = Dataset.from_arrow(pa.table({"w": words, 'é"': words}))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "t.jsonl")
        write_dataset([data], path, "jsonl")
        assert [
            json.loads(line)["w"] for line in path.read_bytes().decode().split("\n")[:-1]
        ] == words


def test_boxes_spans_and_images_come_back(tmp_path: Path) -> None:
    for number, word in enumerate(["csv", "jsonl"]):
        folder = tmp_path / str(number)
        folder.mkdir()
        png = PNG + b"12"
        table = pa.table(
            {
                "image": [
                    {"bytes": png, "path": "a"},
                    {"bytes": JPEG, "path": "b"},
                    None,
                ],
                "objects": [[{"category": "car", "box": [0.0, 1.0, 2.0, 3.5]}], [], None],
                "text": ["hi bob", "yo", "x"],
                "spans": [[{"start": 3, "end": 6, "label": "name", "value": "bob"}], [], None],
            }
        )
        data = Dataset.from_arrow(table)
        assert data.schema.kinds >= {"image", "boxes", "spans"}
        path = folder / f"scene.{word}"
        write_dataset([data.slice(0, 1), data.slice(1, 2)], path, word)
        files = sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*.*g"))
        assert files == ["scene_files/image/0000000.png", "scene_files/image/0000001.jpg"]
        again = read_dataset(path, data.schema)
        for name in ("objects", "spans", "text"):
            assert again.records.column(name).to_pylist() == data.records.column(name).to_pylist()
        images = again.records.column("image").to_pylist()
        assert [image and image["bytes"] for image in images] == [
            png,
            JPEG,
            None,
        ]


def test_image_paths_may_not_leave_the_folder(tmp_path: Path) -> None:
    data = Dataset.from_arrow(pa.table({"image": [{"bytes": PNG, "path": "a"}]}))
    (tmp_path / "in").mkdir()
    (tmp_path / "secret.png").write_bytes(PNG)
    (tmp_path / "in" / "t.csv").write_text("image\n../secret.png\n")
    with pytest.raises(DataError, match="leads out of its folder"):
        read_dataset(tmp_path / "in" / "t.csv", data.schema)


def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    for number, word in enumerate(writable_formats("table")):
        folder = tmp_path / str(number)
        folder.mkdir()
        path = folder / f"t.{word}"
        path.write_text("old")
        data = Dataset.from_arrow(pa.table({"x": [1.5]}))

        def failing(data: Dataset = data) -> Iterator[Dataset]:
            yield data
            raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            write_dataset(failing(), path, word)
        with pytest.raises(DataError, match="nothing to write"):
            write_dataset([], path, word)
        assert path.read_text() == "old"
        assert [p.name for p in folder.iterdir()] == [path.name]


def test_a_set_without_rows(tmp_path: Path) -> None:
    for number, word in enumerate(writable_formats("table")):
        folder = tmp_path / str(number)
        folder.mkdir()
        data = Dataset.from_arrow(pa.table({"x": [1.5], "w": ["a"]}))
        write_dataset([data.slice(0, 0)], folder / "t", word)
        if word == "parquet":
            assert pq.read_table(folder / "t").schema.names == ["x", "w"]
        else:
            assert (folder / "t").read_text() == {"csv": "x,w\n"}.get(word, "")


def test_unknown_format_and_unwritable_place(tmp_path: Path) -> None:
    data = Dataset.from_arrow(pa.table({"x": [1.5]}))
    with pytest.raises(UnknownNameError, match="did you mean 'parquet'"):
        write_dataset([data], tmp_path / "t", "parqet")
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(DataError, match="cannot write"),
        open_writer(tmp_path / "file" / "t", "csv"),
    ):
        pass

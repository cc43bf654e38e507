"""Files that unpack to far more than they are, are refused before they fill memory."""

import gzip
import zlib
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from twinset.core.errors import DataError
from twinset.io import parquet, read_dataset
from twinset.io.unpacking import check_expansion

ROWS = b"12,34\n" * 16_000_000  # 96 MB


@pytest.fixture(scope="module")
def packed() -> bytes:
    return gzip.compress(b"a,b\n" + ROWS, 1)


def test_a_packed_table_that_expands_too_far_is_refused(tmp_path: Path, packed: bytes) -> None:
    for name in ("a.csv.gz", "a.jsonl.gz", "a.tfrecord"):
        (tmp_path / name).write_bytes(packed)
        with pytest.raises(DataError, match=r"'a\..*' unpacks to far more .* up to 100 times"):
            read_dataset(tmp_path / name)


def test_parts_count_together_and_usual_files_do_not(tmp_path: Path, packed: bytes) -> None:
    half = gzip.compress(ROWS[: 6 << 23], 1)
    (tmp_path / "two.csv.gz").write_bytes(half + half)
    with pytest.raises(DataError, match="unpacks"):
        check_expansion(tmp_path / "two.csv.gz")
    for data in (half, packed[:-5000], zlib.compress(b"x"), b"", b"no archive" * 99_999):
        (tmp_path / "fine.csv.gz").write_bytes(data)
        if data != packed[:-5000]:
            check_expansion(tmp_path / "fine.csv.gz")


def repeated(path: Path, size: int, n_rows: int) -> Path:
    """Write a file of one text in every row: its bytes stand in the file once."""
    text = pa.DictionaryArray.from_arrays(pa.array([0] * n_rows, pa.int32()), ["x" * size])
    pq.write_table(pa.table({"n": range(n_rows), "text": text}), path, compression="zstd")
    return path


def test_texts_that_a_parquet_file_repeats_are_counted(tmp_path: Path) -> None:
    file = repeated(tmp_path / "a.parquet", 1_000_000, 5_000)
    assert file.stat().st_size < 100_000
    with pytest.raises(DataError, match="too large for its file"):
        read_dataset(file)
    assert len(read_dataset(repeated(tmp_path / "b.parquet", 1_000, 5_000))) == 5_000


def test_values_that_a_parquet_file_claims_are_counted(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(parquet, "MAX_TABLE_BYTES", 1 << 20)
    file = repeated(tmp_path / "a.parquet", 1, 200_000)
    monkeypatch.setattr(parquet, "MAX_EXPANSION", 1)
    with pytest.raises(DataError, match=r"got 2,\d+,\d+ bytes or more"):
        read_dataset(file)


def test_lists_that_a_parquet_file_repeats_are_counted(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(parquet, "MAX_TABLE_BYTES", 1 << 25)
    text = pa.array([["y" * 10_000] * 10] * 500)
    pq.write_table(pa.table({"lists": text}), tmp_path / "a.parquet", compression="zstd")
    with pytest.raises(DataError, match="too large for its file"):
        read_dataset(tmp_path / "a.parquet")

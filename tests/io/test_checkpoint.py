"""Checkpoints: equal bytes for equal content, and nothing unpickled."""

from pathlib import Path

import numpy as np
import pytest

from twinset.core.errors import DataError
from twinset.io.checkpoint import read_checkpoint, write_checkpoint

ARRAYS = {
    "net/weights": np.linspace(0, 1, 7, dtype=np.float32),
    "flag": np.array(True),
    "none": np.empty((0, 9)),
}
META = {"component": "tabular.network", "losses": [0.1, 1 / 3], "name": "Zoë"}


def test_what_is_written_is_read(tmp_path: Path) -> None:
    write_checkpoint(tmp_path / "a" / "b", ARRAYS, META)
    arrays, meta = read_checkpoint(tmp_path / "a" / "b")
    assert meta == META
    assert set(arrays) == set(ARRAYS)
    for name, array in ARRAYS.items():
        assert arrays[name].dtype == array.dtype
        assert np.array_equal(arrays[name], array)


def test_equal_content_gives_equal_bytes_and_leaves_no_other_file(tmp_path: Path) -> None:
    for folder in ("a", "b", "b"):
        write_checkpoint(tmp_path / folder, dict(reversed(ARRAYS.items())), META)
    files = sorted(path.name for path in (tmp_path / "b").iterdir())
    assert files == ["arrays.npz", "checkpoint.json"]
    for name in files:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_objects_are_neither_written_nor_read(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="'x'"):
        write_checkpoint(tmp_path, {"x": np.array([{}])}, {})
    write_checkpoint(tmp_path, ARRAYS, META)
    np.savez(tmp_path / "arrays.npz", x=np.array([{}]))
    with pytest.raises(DataError, match="damaged"):
        read_checkpoint(tmp_path)


def test_a_missing_or_cut_off_checkpoint_is_reported(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no checkpoint"):
        read_checkpoint(tmp_path / "nowhere")
    write_checkpoint(tmp_path, ARRAYS, META)
    whole = (tmp_path / "arrays.npz").read_bytes()
    (tmp_path / "arrays.npz").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match="damaged"):
        read_checkpoint(tmp_path)

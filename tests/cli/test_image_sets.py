"""Folders of images are evaluated and compared with no configuration."""

from pathlib import Path

import pytest

from tests.core.features.test_embedders import pictures

pytest.importorskip("cv2")


def folder(place: Path, n: int, seed: int, noise: float = 4.0) -> Path:
    data = pictures(n, seed, noise=noise)
    rows = zip(data.records.column("photo").to_pylist(), data.records.column("size").to_pylist())
    for i, (cell, label) in enumerate(rows):
        (place / label).mkdir(parents=True, exist_ok=True)
        (place / label / f"{i:03}.png").write_bytes(cell["bytes"])
    return place


def test_a_noisy_folder_is_found_out(twinset, tmp_path: Path) -> None:
    real, made = folder(tmp_path / "real", 160, 1), folder(tmp_path / "made", 80, 2, noise=9.0)
    page, scores = tmp_path / "report.html", tmp_path / "scores.md"
    done = twinset(
        "evaluate", real, made, "--quick", "--html", page, "--markdown", scores,
        "--embedder", "classical",
    )  # fmt: skip
    assert done.code == 0, done.err
    assert "compared by: classical (classical features, 210 numbers)" in done.out
    assert "Models predict 'label'" in done.out
    assert "properties of images" in page.read_text().lower()
    assert "beyond chance: " in page.read_text()
    (row,) = [line for line in scores.read_text().splitlines() if "gap.image_properties" in line]
    assert "different" in row


def test_a_copy_is_reported(twinset, tmp_path: Path) -> None:
    real = folder(tmp_path / "real", 60, 1)
    done = twinset("evaluate", real, real, "--quick", "--embedder", "classical")
    assert done.code == 0, done.err
    assert "60 of 60 synthetic rows equal a real row" in done.out


def test_two_folders_are_compared(twinset, tmp_path: Path) -> None:
    real = folder(tmp_path / "real", 120, 1)
    near, far = folder(tmp_path / "near", 60, 2), folder(tmp_path / "far", 60, 3, noise=12.0)
    done = twinset("compare", real, near, far, "--quick")
    assert done.code == 0, done.err
    assert "properties of images" in done.out


def test_an_unknown_embedder_is_one_message(twinset, tmp_path: Path) -> None:
    real = folder(tmp_path / "real", 30, 1)
    done = twinset("evaluate", real, real, "--embedder", "clip")
    assert done.code == 2
    assert "'clip' names no embedder" in done.err


def test_an_unknown_embedder_of_candidates_is_one_message(twinset, tmp_path: Path) -> None:
    real = folder(tmp_path / "real", 30, 1)
    made = [folder(tmp_path / name, 30, seed) for name, seed in (("a", 2), ("b", 3))]
    done = twinset("compare", real, *made, "--embedder", "clip")
    assert (done.code, done.out) == (2, "")
    assert "'clip' names no embedder" in done.err

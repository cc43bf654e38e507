"""Mesh files whose numbers claim more than a memory holds are refused before they are read."""

import json
import struct
from pathlib import Path

import numpy as np
import pytest

from twinset.core.errors import DataError
from twinset.io import read_dataset

pytest.importorskip("trimesh", reason="the extra '3d' is not installed")
CORNERS = np.random.default_rng(0).random((3_000, 3)).astype("<f4").tobytes()


def glb(path: Path, *, n: int = 3_000, nodes: int = 1, parts: int = 1) -> Path:
    """Write a file of one mesh: `n` corners that it claims, nodes and parts that repeat it."""
    scene = {
        "asset": {"version": "2.0"},
        "scene": 0,
        "scenes": [{"nodes": list(range(nodes))}],
        "nodes": [{"mesh": 0}] * nodes,
        "meshes": [{"primitives": [{"attributes": {"POSITION": 0}}] * parts}],
        "accessors": [{"componentType": 5126, "count": n, "type": "VEC3"}],
        "bufferViews": [{"buffer": 0, "byteLength": len(CORNERS)}],
        "buffers": [{"byteLength": len(CORNERS)}],
    }
    if n == 3_000:
        scene["accessors"][0]["bufferView"] = 0
    text = json.dumps(scene).encode()
    text += b" " * (-len(text) % 4)
    body = struct.pack("<II", len(text), 0x4E4F534A) + text
    body += struct.pack("<II", len(CORNERS), 0x004E4942) + CORNERS
    path.write_bytes(struct.pack("<III", 0x46546C67, 2, 12 + len(body)) + body)
    return path


def test_a_usual_file_is_read(tmp_path: Path) -> None:
    assert len(read_dataset(glb(tmp_path / "a.glb", nodes=2))) == 2_000


@pytest.mark.parametrize("claim", [{"n": 2_000_000_000}, {"nodes": 20_000}, {"parts": 20_000}])
def test_claims_are_refused_before_reading(tmp_path: Path, claim: dict[str, int]) -> None:
    with pytest.raises(DataError, match=r"claims too many triangles; .* allowed: up to 5,000,000"):
        read_dataset(glb(tmp_path / "a.glb", **claim))


def test_a_scene_that_is_nested_too_deep_is_refused(tmp_path: Path) -> None:
    text = b"[" * 40_000
    head = struct.pack("<III", 0x46546C67, 2, 20 + len(text)) + struct.pack(
        "<II", len(text), 0x4E4F534A
    )
    (tmp_path / "a.glb").write_bytes(head + text)
    with pytest.raises(DataError, match="cannot be read"):
        read_dataset(tmp_path / "a.glb")


def test_a_file_larger_than_memory_is_refused_unread(tmp_path: Path) -> None:
    with (tmp_path / "a.stl").open("wb") as stream:
        stream.truncate(3 << 30)  # holes: no space on the disk
    with pytest.raises(DataError, match=r"the mesh file 'a\.stl' is too large"):
        read_dataset(tmp_path / "a.stl")

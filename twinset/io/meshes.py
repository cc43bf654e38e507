"""Meshes as tables of triangles: STL, OBJ, PLY, OFF and GLB files, one or a folder of them."""

from __future__ import annotations

import io
import struct
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from twinset.core.errors import DataError
from twinset.core.extras import optional
from twinset.core.limits import MAX_TRIANGLES
from twinset.core.untrusted import parse_json
from twinset.io.files import inside, read_whole
from twinset.io.formats import all_formats
from twinset.io.images import holds_images

_CORNERS = tuple(f"{axis}{corner}" for corner in range(3) for axis in "xyz")
# What a reader of these formats raises on files that are damaged, or are none.
_DAMAGED = (
    ValueError, TypeError, KeyError, IndexError, AttributeError, EOFError, OverflowError,
    NotImplementedError, struct.error, MemoryError, RecursionError,
)  # fmt: skip


def read_meshes(path: Path, text_columns: Sequence[str] = ()) -> pa.Table:
    """Return the triangles of a mesh file, or of all mesh files of a folder in the order of their names.

    The columns are `mesh`, the file's name, and x0, y0, z0, ... z2.
    """
    files = [inside(path, f.name) for f in mesh_files(path)] if path.is_dir() else [path]
    meshes = {
        file.name: _triangles(read_whole(file, f"the mesh file '{file.name}'"), file.name)
        for file in files
    }
    names = [name for name, triangles in meshes.items() for _ in range(len(triangles))]
    corners = np.concatenate([triangles.reshape(-1, 9) for triangles in meshes.values()])
    columns = {"mesh": pa.array(names).dictionary_encode()}
    return pa.table({**columns, **{c: pa.array(corners[:, k]) for k, c in enumerate(_CORNERS)}})


def sniff_meshes(path: Path) -> Path | None:
    """Return a folder of mesh files without images."""
    return path if mesh_files(path) and not holds_images(path) else None


def mesh_files(folder: Path) -> list[Path]:
    """Return the mesh files of a folder, sorted by name."""
    endings = all_formats()["meshes"].read_endings
    found = (p for p in folder.iterdir() if p.suffix.lower() in endings and p.is_file())
    return sorted(p for p in found if not p.name.startswith("."))


def _check_glb(data: bytes) -> None:
    """Raise DataError for a file that claims too many corners: its nodes may repeat a mesh at will."""
    (size,) = struct.unpack_from("<I", data, 12)
    scene = parse_json(data[20 : 20 + size])
    counts = [int(one["count"]) for one in scene.get("accessors", ())]
    corners = [
        sum(
            counts[part.get("indices", part["attributes"]["POSITION"])]
            for part in mesh["primitives"]
        )
        for mesh in scene.get("meshes", ())
    ]
    n_corners = sum(corners) + sum(
        corners[node["mesh"]] for node in scene.get("nodes", ()) if "mesh" in node
    )
    if max(n_corners // 3, *counts, 0) > MAX_TRIANGLES:
        raise DataError(
            "a GLB file claims too many triangles",
            got=f"{max(n_corners // 3, *counts):,}",
            allowed=f"up to {MAX_TRIANGLES:,}, with those that its nodes repeat",
            todo="simplify the mesh, or save it in parts",
        )


def _triangles(data: bytes, name: str) -> npt.NDArray[np.float64]:
    trimesh = optional("trimesh")
    ending = name.rpartition(".")[2].lower()
    try:
        if ending == "glb":
            _check_glb(data)
        mesh = trimesh.load_mesh(io.BytesIO(data), file_type=ending, process=False)
        made = np.asarray(mesh.triangles, np.float64).reshape(-1, 3, 3)
    except _DAMAGED as error:
        raise DataError(
            f"the mesh file '{name}' cannot be read",
            got=f"{len(data):,} bytes",
            allowed=f"a whole {ending.upper()} file",
            todo="write it again, or remove it",
        ) from error
    if (
        not len(made)
        or not np.isfinite(made).all()
        or not np.ptp(made.reshape(-1, 3), axis=0).any()
    ):
        raise DataError(
            f"the mesh file '{name}' holds no surface",
            got=f"{len(made):,} triangles",
            allowed="one triangle or more, with corners that are numbers",
            todo="write it again, or remove it",
        )
    return made

"""What the objects of a scene of meshes look like: solids, or meshes that the recipe hands in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from twinset.core.data.dataset import Dataset
from twinset.core.data.schema import Label
from twinset.core.errors import ParameterError, UnknownNameError
from twinset.core.extras import optional

from .._labelled_images import Rgb, find_asset
from .._scenes.spec import check_keys, read_colours, read_number

Triangles = npt.NDArray[np.float64]
"""Corners of triangles, shape (k, 3, 3), as x, y, z; z points up."""

EXTRA = "3d"
SOLIDS = ("box", "capsule", "cone", "cylinder", "sphere", "torus")
CORNERS = tuple(f"{axis}{corner}" for corner in range(3) for axis in "xyz")
"""Columns of an asset of meshes: x0, y0, z0, ... z2, a row for each triangle."""

_KEYS = ("mesh", "asset", "colours", "weight", "tumble", "points")


@dataclass(frozen=True)
class MeshClass:
    """One class of objects."""

    name: str
    mesh: str  # One of `SOLIDS`; empty where `asset` gives meshes
    asset: str  # Name of an asset of meshes
    # Red, green, blue (0 to 1); one of them is drawn. None: drawn at random
    colours: tuple[Rgb, ...] | None
    weight: float  # How often it comes
    # Whether any side may be up; else it stands as it is and is turned about the upright axis
    tumble: bool
    # Name -> x, y, z of the keypoints, in the coordinates of the mesh
    points: Mapping[str, tuple[float, float, float]]

    @property
    def label(self) -> Label:
        """Its entry in the taxonomy."""
        return Label(self.name, keypoints=tuple(self.points))


def read_mesh_classes(given: Mapping[str, Mapping[str, Any]]) -> tuple[MeshClass, ...]:
    """Return the classes that a recipe declares."""
    if not given:
        raise ParameterError("'classes' holds no class", allowed="{ball: {mesh: sphere}}")
    made = tuple(_read(name, spec or {}) for name, spec in given.items())
    if not sum(kind.weight for kind in made):
        raise ParameterError("no class has a weight above 0", todo="raise a weight in 'classes'")
    return made


def forms_of(
    classes: tuple[MeshClass, ...], assets: Mapping[str, Dataset]
) -> dict[str, tuple[Triangles, ...]]:
    """Return class -> its meshes."""
    return {
        kind.name: _of_asset(kind, assets) if kind.asset else (solid(kind.mesh),)
        for kind in classes
    }


def solid(name: str) -> Triangles:
    """Return the triangles of one of `SOLIDS`."""
    creation = optional("trimesh.creation")
    made = {
        "box": lambda: creation.box((1, 1, 1)),
        "capsule": lambda: creation.capsule(height=1.2, radius=0.35),
        "cone": lambda: creation.cone(radius=0.5, height=1, sections=48),
        "cylinder": lambda: creation.cylinder(radius=0.5, height=1, sections=48),
        "sphere": lambda: creation.icosphere(subdivisions=4),
        "torus": lambda: creation.torus(0.4, 0.15, major_sections=48, minor_sections=24),
    }[name]()
    return np.asarray(made.triangles, np.float64)


def _of_asset(kind: MeshClass, assets: Mapping[str, Dataset]) -> tuple[Triangles, ...]:
    place = f"classes.{kind.name}.asset"
    rows = find_asset(assets, kind.asset, place, "FILE.stl")
    if not {"mesh", *CORNERS} <= set(rows.schema.names):
        raise ParameterError(
            f"the asset '{kind.asset}', which {place} names, holds no meshes",
            got="columns " + ", ".join(rows.schema.names[:8]),
            allowed="STL, OBJ, PLY, OFF or GLB files, or a folder of them",
        )
    corners = np.stack([rows.values(name) for name in CORNERS], axis=1).reshape(-1, 3, 3)
    names = np.array(rows.records.column("mesh").to_pylist(), dtype=object)
    return tuple(corners[names == name] for name in dict.fromkeys(names.tolist()))


def _read(name: str, spec: Mapping[str, Any]) -> MeshClass:
    place = f"classes.{name}"
    check_keys(spec, _KEYS, place)
    mesh, asset = str(spec.get("mesh", "")), str(spec.get("asset", ""))
    if bool(mesh) == bool(asset):
        raise ParameterError(
            f"{place} needs either a mesh or an asset",
            got="both" if mesh else "none of them",
            allowed="mesh: " + ", ".join(SOLIDS) + "; or asset: a name under the recipe's assets",
        )
    if mesh and mesh not in SOLIDS:
        raise UnknownNameError.for_name("mesh", mesh, SOLIDS, place)
    weight = read_number(spec, "weight", 1.0, (0.0, 1e9), place)
    points = {}
    for point, at in spec.get("points", {}).items():
        if not isinstance(at, list | tuple) or len(at) != 3:
            raise ParameterError(
                f"{place}.points.{point} is no point", got=str(at), allowed="[x, y, z]"
            )
        points[str(point)] = (float(at[0]), float(at[1]), float(at[2]))
    rgb = read_colours(spec, place)
    return MeshClass(name, mesh, asset, rgb, weight, bool(spec.get("tumble", False)), points)

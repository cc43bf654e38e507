"""Where the meshes of a scene stand, and the labels that rays at them tell."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from twinset.core.image.instance_maps import ObjectLabel, drop_hidden
from twinset.core.image.keypoints import HIDDEN, OUT, SEEN, Keypoint, in_frame

from .._labelled_images import WholeObject, box_of_mask, label_objects
from .forms import MeshClass, Triangles
from .rays import Camera, Points, Scenery, ground, silhouette

_N_PLACES = 40  # places tried for an object before the whole scene is drawn again
_REACH = 0.95  # half width of the square on which objects stand; the camera sees 1 each way


@dataclass(frozen=True)
class MeshScene:
    """Objects on their ground, seen by a camera: object k has the id k + 1."""

    kinds: tuple[MeshClass, ...]
    scenery: Scenery  # Their meshes, then the ground
    camera: Camera  # From where they are seen
    ids: npt.NDArray[np.uint16]  # Who is seen, shape (h, w)
    # How far away, along the camera's axis; 0 where there is nothing, shape (h, w)
    depth: npt.NDArray[np.float32]
    objects: tuple[ObjectLabel, ...]


@dataclass(frozen=True)
class _Placed:
    kind: MeshClass
    mesh: Triangles
    points: Points


def lay_out_meshes(
    kinds: Sequence[MeshClass],
    forms: Mapping[str, tuple[Triangles, ...]],
    *,
    scale_range: tuple[float, float],
    elevation_range: tuple[float, float],
    size: tuple[int, int],
    min_visible_fraction: float,
    rng: np.random.Generator,
) -> MeshScene | None:
    """Return a scene in which no two meshes meet; None when the places that were drawn do not allow it."""
    placed: list[_Placed] = []
    circles: list[tuple[float, float, float]] = []
    for kind in kinds:
        meshes = forms[kind.name]
        form = meshes[int(rng.integers(len(meshes)))]
        mesh, points = _standing(form, kind, 2 * float(rng.uniform(*scale_range)), rng)
        radius = float(np.linalg.norm(mesh[..., :2], axis=-1).max())
        at = _free_place(radius, circles, rng)
        if at is None:
            return None
        circles.append((*at, radius))
        shift = np.array([*at, 0.0])
        placed.append(_Placed(kind, mesh + shift, points + shift))
    elevation = np.deg2rad(rng.uniform(*elevation_range))
    camera = Camera.about(float(rng.uniform(0, 2 * np.pi)), float(elevation), size)
    return _seen(placed, camera, min_visible_fraction)


def _standing(
    form: Triangles, kind: MeshClass, side: float, rng: np.random.Generator
) -> tuple[Triangles, Points]:
    """Return a mesh, and its keypoints, of this longest side, turned, on the ground about the origin."""
    corners = form.reshape(-1, 3)
    low, high = corners.min(axis=0), corners.max(axis=0)
    scale = side / max(float((high - low).max()), 1e-12)
    turn = _any_turn(rng) if kind.tumble else _about_upright(rng.uniform(0, 2 * np.pi))
    middle = (low + high) / 2
    turned = ((corners - middle) * scale) @ turn.T
    named = np.array(list(kind.points.values()), float).reshape(-1, 3)
    points = ((named - middle) * scale) @ turn.T
    lift = np.array([0, 0, -turned[:, 2].min()])
    return (turned + lift).reshape(-1, 3, 3), points + lift


def _free_place(
    radius: float, circles: Sequence[tuple[float, float, float]], rng: np.random.Generator
) -> tuple[float, float] | None:
    for _ in range(_N_PLACES):
        x, y = (float(v) for v in rng.uniform(-_REACH, _REACH, 2))
        if all(np.hypot(x - a, y - b) > radius + r for a, b, r in circles):
            return x, y
    return None


def _seen(placed: Sequence[_Placed], camera: Camera, min_visible_fraction: float) -> MeshScene:
    height, width = camera.size
    scenery = Scenery([*(one.mesh for one in placed), ground()])
    y, x = np.mgrid[:height, :width] + 0.5
    rays = camera.rays(x.ravel(), y.ravel())
    hits = scenery.hits(camera.eye, rays)
    owner = hits.owner.reshape(height, width)
    ids = np.where((owner >= 0) & (owner < len(placed)), owner + 1, 0).astype(np.uint16)
    along = hits.distance * (rays @ camera.axes[2].astype(np.float32))
    depth = np.where(owner >= 0, along.reshape(height, width), 0).astype(np.float32)
    wholes = {}
    for i, one in enumerate(placed, start=1):
        mask, left, top = silhouette(one.mesh, camera)
        if mask.any():
            box = box_of_mask(mask, left, top)
            wholes[i] = WholeObject(one.kind.name, int(np.count_nonzero(mask)), box)
    found = label_objects(ids, wholes)
    for label in found:
        label["keypoints"] = _keypoints(placed[label["id"] - 1], scenery, camera)
    kept_ids, kept = drop_hidden(ids, found, min_visible_fraction)
    kinds = tuple(one.kind for one in placed)
    return MeshScene(kinds, scenery, camera, np.asarray(kept_ids, np.uint16), depth, tuple(kept))


def _keypoints(one: _Placed, scenery: Scenery, camera: Camera) -> list[Keypoint]:
    """Return the keypoints of an object: hidden are those that any surface, its own too, lies before."""
    if not one.kind.points:
        return []
    at, seen = camera.seen(one.points), scenery.sees(camera.eye, one.points)
    made = []
    for name, (x, y), is_seen in zip(one.kind.points, at.tolist(), seen.tolist()):
        inside = in_frame(x, y, camera.size)
        v = OUT if not inside else SEEN if is_seen else HIDDEN
        made.append(Keypoint(name=name, x=x if inside else 0.0, y=y if inside else 0.0, v=v))
    return made


def _about_upright(angle: float) -> Points:
    cos, sin = np.cos(angle), np.sin(angle)
    return np.array([[cos, -sin, 0], [sin, cos, 0], [0, 0, 1.0]])


def _any_turn(rng: np.random.Generator) -> Points:
    """Return a turn, all equally likely: a random quaternion of length 1."""
    w, x, y, z = (q := rng.normal(size=4)) / np.linalg.norm(q)
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
            [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
            [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
        ]
    )

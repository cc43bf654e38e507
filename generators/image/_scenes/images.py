"""Images that a recipe hands to scenes: cutouts with an alpha channel, and photographs as grounds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from twinset.core.data.dataset import Dataset
from twinset.core.errors import DataError, ParameterError
from twinset.core.extras import optional
from twinset.core.image.codec import decode_pixels
from twinset.core.image.polygons import signed_area

from .._labelled_images import find_asset
from .view import HALF_PIXEL, project

Canvas = npt.NDArray[np.float32]
Quad = npt.NDArray[np.float64]
"""Four corners as x, y, shape (4, 2)."""

HALF = (
    128  # smallest alpha, of 255, of a pixel that belongs to a cutout: a half, as for all objects
)

_SUB = 2  # sub-pixels along each side of a pixel, where a cutout is shown smaller than it is
_NEARLY_ALL = 0.99  # scale from which a cutout counts as unscaled, whatever rounding does
_EDGE = 1  # empty pixels around an object
_MIN_WINDOW = 0.6  # of the largest window of a photograph that is taken as a ground
_FINER = 2  # times the side of the scenes that a photograph is kept at


@dataclass(frozen=True)
class SceneCutout:
    """One object with transparent surroundings."""

    name: str  # Name of its file
    # Premultiplied RGBA, each 0 to 1: transparent pixels have no colour. Its shape is (h, w, 4).
    pixels: Canvas
    box: tuple[int, int, int, int]  # Of the pixels that are opaque to a half or more

    @property
    def corners(self) -> Quad:
        """The corners of its box, clockwise from the upper left one."""
        x0, y0, x1, y1 = self.box
        return np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1]], float)

    def seen_at(self, corners: Quad) -> tuple[Canvas, npt.NDArray[np.uint8], tuple[int, int]]:
        """Return how it looks with the corners of its box at four places of an image."""
        cv2 = optional("cv2")
        height, width = self.pixels.shape[:2]
        matrix = _homography(self.corners, corners)
        frame = np.array([[0, 0], [width, 0], [width, height], [0, height]], float)
        seen = project(matrix, frame)
        low = np.floor(seen.min(axis=0)).astype(int) - _EDGE
        columns, rows = (np.ceil(seen.max(axis=0)).astype(int) + _EDGE - low).tolist()
        # Sampling a large image at few points would miss most of it: it is averaged down first.
        ratio = np.sqrt(abs(signed_area(corners) / signed_area(self.corners)))
        sub = 1 if ratio > _NEARLY_ALL else _SUB  # at its own size every pixel stays itself
        source = _shrunk(self.pixels, sub * ratio)
        to_source = np.diag([width / source.shape[1], height / source.shape[0], 1.0])
        to_fine = np.array([[sub, 0, -sub * low[0]], [0, sub, -sub * low[1]], [0, 0, 1.0]])
        table = HALF_PIXEL @ to_fine @ matrix @ to_source @ np.linalg.inv(HALF_PIXEL)
        fine = cv2.warpPerspective(source, table, (columns * sub, rows * sub))
        made = cv2.resize(fine, (columns, rows), interpolation=cv2.INTER_AREA)
        alpha = made[..., 3]
        colours = np.clip(made[..., :3] / np.maximum(alpha, 1e-6)[..., None], 0, 1)
        cover = np.rint(alpha * 255).clip(0, 255).astype(np.uint8)
        return np.asarray(colours, np.float32), cover, (int(low[0]), int(low[1]))


@dataclass(frozen=True)
class SceneImages:
    """The images of the assets that a declaration of scenes names."""

    cutouts: Mapping[str, tuple[SceneCutout, ...]]
    grounds: tuple[npt.NDArray[np.uint8], ...] = ()

    @classmethod
    def read(
        cls,
        cutouts: Mapping[str, str],
        grounds: str | None,
        assets: Mapping[str, Dataset],
        size: tuple[int, int],
    ) -> SceneImages:
        """Return the images of the named assets, no finer than scenes of this size can show."""
        found: dict[str, tuple[SceneCutout, ...]] = {}
        for place, name in cutouts.items():
            if name not in found:
                rows = _cells(name, place, assets)
                found[name] = tuple(_cutout(name, path, data, max(size)) for path, data in rows)
        if grounds is None:
            return cls(found)
        rows = _cells(grounds, "backgrounds", assets)
        return cls(found, tuple(_ground(grounds, path, data, size) for path, data in rows))

    def ground(self, height: int, width: int, rng: np.random.Generator) -> Canvas:
        """Return a window of one of the photographs, 0 to 1, shape (h, w, 3), mirrored half the time."""
        cv2 = optional("cv2")
        image = self.grounds[int(rng.integers(len(self.grounds)))]
        share = rng.uniform(_MIN_WINDOW, 1.0)
        scale = share * min(image.shape[0] / height, image.shape[1] / width)
        rows, columns = max(1, int(scale * height)), max(1, int(scale * width))
        top = int(rng.integers(image.shape[0] - rows + 1))
        left = int(rng.integers(image.shape[1] - columns + 1))
        window = image[top : top + rows, left : left + columns]
        if rng.random() < 0.5:
            window = window[:, ::-1]
        method = cv2.INTER_AREA if rows > height else cv2.INTER_LINEAR
        made = cv2.resize(np.ascontiguousarray(window), (width, height), interpolation=method)
        return np.asarray(made.astype(np.float32) * np.float32(1 / 255))


def _cells(name: str, place: str, assets: Mapping[str, Dataset]) -> list[tuple[str, bytes]]:
    """Return file name and content of each image of an asset."""
    asset = find_asset(assets, name, place, "FOLDER")
    images = asset.schema.of_kind("image")
    if not images:
        raise ParameterError(
            f"the asset '{name}', which {place} names, holds no images",
            got="columns " + ", ".join(asset.schema.names[:8]),
            allowed="a folder of PNG files",
        )
    cells = asset.records.column(images[0].name).drop_null().to_pylist()
    return [(cell["path"] or f"image {k}", cell["bytes"]) for k, cell in enumerate(cells)]


def _cutout(asset: str, file: str, data: bytes, max_side: int) -> SceneCutout:
    pixels = _decoded(asset, file, data)
    if pixels.ndim != 3 or pixels.shape[2] != 4:
        channels = 1 if pixels.ndim == 2 else pixels.shape[2]
        raise DataError(
            f"the cutout '{file}' of the asset '{asset}' has no alpha channel",
            got=f"{channels} channel{'' if channels == 1 else 's'}",
            allowed="PNG files with red, green, blue and alpha",
            todo="save it with transparent surroundings, or take it out of the folder",
        )
    whole = _in_parts(pixels)
    whole[..., :3] *= whole[..., 3:]
    seen = whole[..., 3] > 0
    if not (whole[..., 3] * 255 >= HALF - 0.5).any():
        raise DataError(
            f"the cutout '{file}' of the asset '{asset}' holds no object",
            got=f"a greatest alpha of {round(float(whole[..., 3].max()) * 255)} of 255",
            allowed=f"pixels with an alpha of {HALF} or more: they are the object",
            todo="make it opaque, or take it out of the folder",
        )
    x0, y0, x1, y1 = _box(seen)
    kept = np.ascontiguousarray(whole[y0:y1, x0:x1])
    kept = _shrunk(kept, max_side / max(kept.shape[:2]))
    opaque = kept[..., 3] * 255 >= HALF - 0.5
    if not opaque.any():  # so thin that averaging has thinned it out
        opaque = kept[..., 3] >= kept[..., 3].max()
    return SceneCutout(file, kept, _box(opaque))


def _ground(asset: str, file: str, data: bytes, size: tuple[int, int]) -> npt.NDArray[np.uint8]:
    pixels = _decoded(asset, file, data)
    if pixels.ndim == 2:
        pixels = np.repeat(pixels[..., None], 3, axis=2)
    if pixels.shape[2] != 3:
        raise DataError(
            f"the background '{file}' of the asset '{asset}' is no colour image",
            got=f"{pixels.shape[2]} channels",
            allowed="1 channel (grey) or 3 (red, green, blue)",
            todo="save it without transparency, or take it out of the folder",
        )
    fits = min(pixels.shape[0] / size[0], pixels.shape[1] / size[1])
    return np.rint(_shrunk(_in_parts(pixels), _FINER / fits) * 255).clip(0, 255).astype(np.uint8)


def _decoded(asset: str, file: str, data: bytes) -> npt.NDArray[Any]:
    try:
        return decode_pixels(data)
    except DataError as error:
        raise DataError(
            f"the image '{file}' of the asset '{asset}' cannot be read",
            got=error.got,
            allowed=error.allowed,
            todo="replace it, or take it out of the folder",
        ) from error


def _in_parts(pixels: npt.NDArray[Any]) -> Canvas:
    """Return pixels as parts of their whole range, 0 to 1."""
    if np.issubdtype(pixels.dtype, np.integer):
        return np.asarray(pixels / np.float32(np.iinfo(pixels.dtype).max), np.float32)
    return np.asarray(np.clip(pixels, 0, 1), np.float32)


def _shrunk(pixels: Canvas, scale: float) -> Canvas:
    """Return an image averaged down to a scale; one that is small enough stays as it is."""
    if scale >= 1:
        return pixels
    cv2 = optional("cv2")
    height, width = (max(1, round(scale * length)) for length in pixels.shape[:2])
    return np.asarray(cv2.resize(pixels, (width, height), interpolation=cv2.INTER_AREA))


def _box(mask: npt.NDArray[np.bool_]) -> tuple[int, int, int, int]:
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


def _homography(start: Quad, end: Quad) -> npt.NDArray[np.float64]:
    """Return the perspective map that takes four points to four others."""
    lines = []
    for (x, y), (u, v) in zip(start, end):
        lines += [[x, y, 1, 0, 0, 0, -u * x, -u * y], [0, 0, 0, x, y, 1, -v * x, -v * y]]
    found = np.linalg.solve(np.array(lines), end.ravel())
    return np.append(found, 1.0).reshape(3, 3)

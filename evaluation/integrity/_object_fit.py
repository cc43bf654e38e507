"""Facts of how boxes and masks sit on what they mark: shifts, growth, and what they leave out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from twinset.core.image.codec import open_cv

from .._bootstrap_metric import Bools, Floats

Grey = npt.NDArray[np.float32]
Facts = dict[str, float]

_REACH = (
    6  # pixels beside a border that are searched for its edge: larger moves show in all of them
)
_SIDE_REACH = 0.3  # the same for a box, as a share of its side: beyond lies the next object
_STEPS = 13  # places within this reach
_MAX_OBJECTS = 40  # boxes of one image: their sum hardly changes by more
_MIN_SIDE = 4.0  # pixels of a box whose two sides are apart
_MIN_PIXELS = 16  # of ground and of figure: fewer have no typical level


def measure_masks(grey: Grey, ids: npt.NDArray[np.generic]) -> Facts:
    """Return how far masks lie off the edges in the image, and what they leave out."""
    figure: Bools = ids != 0
    if figure.all():
        return {}
    steps = [np.abs(step) for step in _gradients(grey)]
    found: Facts = {}
    for word, axis in (("right of", 1), ("below", 0)):
        place = np.nonzero(np.diff(figure.astype(np.int8), axis=axis))
        n = figure.shape[axis]
        moved = [place[axis] + by for by in range(-_REACH, _REACH + 1)]
        at = [(place[0], m % n) if axis else (m % n, place[1]) for m in moved]
        inside = [(m >= 0) & (m < n) for m in moved]
        profile = [steps[1 - axis][a][i].mean() if i.any() else 0.0 for a, i in zip(at, inside)]
        found[f"objects {word} their masks"] = _centre(np.array(profile), float(_REACH))
    found["masks too large"] = -_outward_edge(figure, np.hypot(*steps))
    return found | measure_rest(grey, figure, "masks")


def _outward_edge(figure: Bools, strength: Grey) -> float:
    """Return how many pixels outside of the border of the figure the image is steepest."""
    cv2 = open_cv()
    inner, outer = (
        cv2.distanceTransform(one.astype(np.uint8), cv2.DIST_L2, 3) for one in (figure, ~figure)
    )
    at = np.rint(outer - inner).astype(np.int64) + _REACH
    near = (at >= 0) & (at <= 2 * _REACH)
    total = np.bincount(at[near], strength[near], 2 * _REACH + 1)
    count = np.bincount(at[near], minlength=2 * _REACH + 1)
    return _centre(total / np.maximum(count, 1), float(_REACH))


def measure_boxes(grey: Grey, boxes: Floats) -> Facts:
    """Return how far sides of boxes lie off edges, in shares of the side, and what boxes leave out."""
    height, width = grey.shape
    across, down = (np.abs(step) for step in _gradients(grey))
    profiles = np.zeros((4, _STEPS))
    inside = np.zeros(grey.shape, dtype=bool)
    offsets = np.linspace(-_SIDE_REACH, _SIDE_REACH, _STEPS)
    for x0, y0, x1, y1 in boxes[:_MAX_OBJECTS]:
        left, top, right, bottom = (max(round(float(v)), 0) for v in (x0, y0, x1, y1))
        inside[top:bottom, left:right] = True
        wide, high = x1 - x0, y1 - y0
        if min(wide, high) < _MIN_SIDE:
            continue
        # Objects touch their box near the middle of its sides.
        rows = slice(int(max(y0 + high / 3, 0)), int(max(y1 - high / 3, 0)) + 1)
        columns = slice(int(max(x0 + wide / 3, 0)), int(max(x1 - wide / 3, 0)) + 1)
        for k, (edge, side, limit) in enumerate(
            ((x0, wide, width), (x1, wide, width), (y0, high, height), (y1, high, height))
        ):
            part = across[rows] if k < 2 else down[:, columns].T
            # A side at the edge of the image cuts the object off.
            if 0.5 < edge < limit - 0.5 and len(part):
                profiles[k] += part[
                    :, np.clip(edge + offsets * side, 0, limit - 1).astype(int)
                ].mean(axis=0)
    west, east, north, south = (_centre(one, _SIDE_REACH) for one in profiles)
    return {
        "objects right of their boxes": (west + east) / 2,
        "objects below their boxes": (north + south) / 2,
        "boxes too large": (west - east + north - south) / 4,
    } | measure_rest(grey, inside, "boxes")


def _gradients(grey: Grey) -> tuple[Grey, Grey]:
    """Return the steps across and down of an image, smoothed against noise."""
    cv2 = open_cv()
    smooth = cv2.GaussianBlur(grey, (0, 0), 1.0)
    return cv2.Sobel(smooth, cv2.CV_32F, 1, 0), cv2.Sobel(smooth, cv2.CV_32F, 0, 1)


def _centre(profile: Floats, reach: float) -> float:
    """Return the centre of the peaks of a profile from -reach to reach; NaN where it is flat."""
    weight = (profile - profile.min()) ** 2
    total = float(weight.sum())
    offsets = np.linspace(-reach, reach, len(profile))
    return float((weight * offsets).sum()) / total if total > 0 else float("nan")


def measure_rest(grey: Grey, figure: Bools, noun: str) -> Facts:
    """Return how figure and ground differ, and which shares of each look like the other.

    Where the figure fits better after a change, that change was made by mistake.
    """
    ground = ~figure
    if min(figure.sum(), ground.sum()) < _MIN_PIXELS:
        return {}
    levels = [float(np.median(grey[part])) for part in (figure, ground)]
    middle = sum(levels) / 2
    looks = (grey > middle) == (levels[0] > levels[1])
    contrast = _contrast(grey, figure)
    exchanged = figure.T if figure.shape[0] == figure.shape[1] else figure
    return {
        f"ground within {noun}": float((figure & ~looks).sum() / figure.sum()),
        f"unmarked beside {noun}": float((ground & looks).sum() / max(looks.sum(), 1)),
        f"contrast of {noun}": contrast,
        f"better fit of mirrored {noun}": _contrast(grey, figure[:, ::-1]) - contrast,
        f"better fit of {noun} with x and y exchanged": _contrast(grey, exchanged) - contrast,
    }


def _contrast(grey: Grey, figure: Bools) -> float:
    """Return by how much figure and ground differ in grey, in standard deviations of the image."""
    spread = float(grey.std())
    apart = float(grey[figure].mean()) - float(grey[~figure].mean())
    return abs(apart) / spread if spread > 0 else 0.0


def measure_keypoints(objects: Sequence[Mapping[str, Any]]) -> Facts:
    """Return on which side left points lie of right ones, and whether points lie outside of their box."""
    sides: list[float] = []
    n_outside = n_points = 0
    for one in objects:
        points = {p["name"]: (p["x"], p["y"]) for p in one["keypoints"] or () if p["v"]}
        if not points or one["box"] is None:
            continue
        x0, y0, x1, y1 = one["box"]
        n_points += len(points)
        n_outside += sum(not (x0 <= x <= x1 and y0 <= y <= y1) for x, y in points.values())
        pairs = ((name, (name or "").replace("left", "right")) for name in points)
        sides += [
            (points[left][0] - points[right][0]) / max(x1 - x0, 1.0)
            for left, right in pairs
            if left != right and right in points
        ]
    found: Facts = {"keypoints outside of their box": float(n_outside)} if n_points else {}
    return found | ({"left keypoints right of right ones": float(np.mean(sides))} if sides else {})

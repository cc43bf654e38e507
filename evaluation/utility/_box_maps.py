"""Objects in boxes: what a net is taught of them, and the boxes it means."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from twinset.core.image.codec import open_cv

from ._annotated import Annotated, Codes, Floats, Matrix
from ._dense_net import LOGIT_AT_START
from ._matching import overlaps

_UNIT = 16.0  # pixels: a usual distance from the middle of an object to its edge
_SPREAD = 0.16  # of a side: how far round its middle an object is told
_FOCUS, _NEAR = 2, 4
_LEAST_SURE = 0.05
_MOST = 200
_SAME = 0.5


@dataclass(frozen=True)
class Centres:
    """Teaches, for each class, where objects have their middle, and how far their edges are from there.

    Parameters
    ----------
    n_classes : int
        Number of classes.

    References
    ----------
    Zhou, Wang, Krahenbuhl (2019), Objects as Points. Liu et al. (2020), Training-Time-Friendly Network
    for Real-Time Object Detection, AAAI: distances are taught all round the middle.
    """

    n_classes: int
    step: int = 4
    norm_groups: int = 0

    @property
    def n_outputs(self) -> int:
        """Channels of the output: a map for each class, and distances to left, top, right, bottom."""
        return self.n_classes + 4

    def targets(self, batch: Sequence[Annotated], size: int) -> Matrix:
        """Return middles, edges and their weight, shape (b, n_classes + 5, size / step, size / step)."""
        return np.stack([self._target(one, size // self.step) for one in batch])

    def loss(self, said: Any, wanted: Any) -> Any:
        """Return the focal loss of the middles plus one less the overlap of the boxes."""
        import torch

        k = self.n_classes
        sure, truth = torch.sigmoid(said[:, :k]).clamp(1e-4, 1 - 1e-4), wanted[:, :k]
        is_middle = (truth > 0.99).float()
        found = is_middle * torch.log(sure) * (1 - sure) ** _FOCUS
        empty = (1 - is_middle) * (1 - truth) ** _NEAR * torch.log(1 - sure) * sure**_FOCUS
        middles = -(found + empty).sum() / is_middle.sum().clamp(min=1)
        own, true = _distances(said[:, k:].clamp(max=3)), wanted[:, k : k + 4]
        wide = torch.minimum(own[:, 0], true[:, 0]) + torch.minimum(own[:, 2], true[:, 2])
        high = torch.minimum(own[:, 1], true[:, 1]) + torch.minimum(own[:, 3], true[:, 3])
        areas = [(d[:, 0] + d[:, 2]) * (d[:, 1] + d[:, 3]) for d in (own, true)]
        share = wide * high / (areas[0] + areas[1] - wide * high).clamp(min=1e-3)
        weight = wanted[:, k + 4]
        return middles + 2 * (weight * (1 - share)).sum() / weight.sum().clamp(min=1)

    def _target(self, one: Annotated, side: int) -> Matrix:
        made = np.zeros((self.n_classes + 5, side, side), np.float32)
        at = (np.arange(side) + 0.5) * self.step
        sizes = (one.boxes[:, 2:] - one.boxes[:, :2]).prod(axis=1)
        for m in np.argsort(-sizes, kind="stable"):  # where two meet, the smaller one is told
            x0, y0, x1, y1 = one.boxes[m]
            column, row = (
                min(int(middle / self.step), side - 1) for middle in ((x0 + x1) / 2, (y0 + y1) / 2)
            )
            bells = [
                np.exp(-((at - at[place]) ** 2) / (2 * max(_SPREAD * length, self.step / 2) ** 2))
                for place, length in ((column, x1 - x0), (row, y1 - y0))
            ]
            bell = bells[1][:, None] * bells[0][None]
            heat = made[one.classes[m]]
            np.maximum(heat, bell, out=heat)
            near = bell > 0.3
            y, x = at[:, None], at[None]
            edges = np.broadcast_arrays(x - x0, y - y0, x1 - x, y1 - y)
            made[-5:-1, near] = np.maximum([edge[near] for edge in edges], 0.1)
            made[-1, near] = bell[near] / bell[near].sum()  # a small object counts as a large one
        return made


def _distances(said: Any) -> Any:
    """Return distances in pixels; `_UNIT` at first."""
    import torch

    return _UNIT * torch.exp(said - LOGIT_AT_START)


def boxes_of(said: Matrix, n_classes: int, step: int) -> tuple[Matrix, Codes, Floats]:
    """Return the boxes that a net means, shape (n, 4), their classes, and how sure it is, 0 to 1.

    Parameters
    ----------
    said : numpy.ndarray, shape (n_classes + 4, h, w)
        Logits of middles, logarithms of distances.
    n_classes, step : int
        Number of classes, pixels of the picture to one of the output.
    """
    cv2 = open_cv()
    sure = 1 / (1 + np.exp(-said[:n_classes].astype(np.float64)))
    peaks = np.array([one == cv2.dilate(one, np.ones((3, 3), np.uint8)) for one in sure])
    places = np.argwhere(peaks & (sure >= _LEAST_SURE))
    surest = np.argsort(-sure[tuple(places.T)], kind="stable")[:_MOST]
    classes, rows, columns = places[surest].T
    scores = sure[classes, rows, columns]
    logs = np.minimum(said[n_classes:, rows, columns], 3.0) - LOGIT_AT_START
    left, top, right, bottom = _UNIT * np.exp(logs)
    x, y = (columns + 0.5) * step, (rows + 0.5) * step
    boxes = np.stack([x - left, y - top, x + right, y + bottom], axis=1).astype(np.float32)
    kept = _distinct(boxes, classes)
    return boxes[kept], classes[kept], scores[kept]


def _distinct(boxes: Matrix, classes: Codes) -> Codes:
    """Return the places of boxes, surest first, that do not say again what a surer one says."""
    alike = (overlaps(boxes, boxes) > _SAME) & (classes[:, None] == classes[None])
    kept: list[int] = []
    for k in range(len(boxes)):
        if not alike[k, kept].any():
            kept.append(k)
    return np.array(kept, np.int64)

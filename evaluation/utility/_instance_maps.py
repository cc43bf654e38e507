"""Objects told apart pixel by pixel: what a net is taught of an id map, and the id map it means."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from twinset.core.image.codec import open_cv

from ._annotated import Annotated, Ids, Matrix

_CORE = 0.45  # of the greatest distance to the edge: what lies deeper is an object's core
_LEAST_PIXELS = 12


@dataclass(frozen=True)
class Instances:
    """Teaches two things of a pixel: whether it is an object's, and whether it lies deep inside one.

    Pictures under the microscope are dark with bright objects or the reverse: what a batch of both has in
    common fits neither, so each picture is normed by itself.

    References
    ----------
    Wu, He (2018), Group Normalization, ECCV.
    """

    step: int = 2
    n_outputs: int = 2
    norm_groups: int = 8

    def targets(self, batch: Sequence[Annotated], size: int) -> Matrix:
        """Return foreground and cores of each window, shape (b, 2, size / step, size / step)."""
        made = []
        for one in batch:
            assert one.ids is not None
            made.append([one.ids > 0, cores(one.ids)])
        return np.array(made, np.float32)

    def loss(self, said: Any, wanted: Any) -> Any:
        """Return the cross-entropy of both."""
        from torch.nn.functional import binary_cross_entropy_with_logits

        return binary_cross_entropy_with_logits(said, wanted)


def cores(ids: Ids) -> Any:
    """Return the pixels deep inside an object, shape (h, w): no two objects' cores touch.

    An object that the picture's edge cuts goes on behind it.

    Examples
    --------
    >>> ids = np.zeros((5, 10), np.int32)
    >>> ids[:, :5], ids[:, 5:] = 1, 2
    >>> cores(ids)[2].astype(int).tolist()
    [1, 1, 1, 0, 0, 0, 0, 1, 1, 1]
    """
    cv2 = open_cv()
    own = ids.astype(np.float32)
    square = np.ones((3, 3), np.uint8)
    inside = (ids > 0) & (cv2.dilate(own, square) == own) & (cv2.erode(own, square) == own)
    frame = cv2.copyMakeBorder(inside.astype(np.uint8), 1, 1, 1, 1, cv2.BORDER_REPLICATE)
    deep = cv2.distanceTransform(frame, cv2.DIST_L2, 3)[1:-1, 1:-1]
    places = np.unique(ids, return_inverse=True)[1].reshape(ids.shape)
    most = np.zeros(places.max(initial=0) + 1, np.float32)
    np.maximum.at(most, places.ravel(), deep.ravel())
    return inside & (deep > _CORE * most[places])


def instances_of(said: Matrix, shape: tuple[int, int]) -> Ids:
    """Return the id map that a net means, shape (h, w).

    Each core is an object; a pixel of the foreground belongs to the nearest core of its own patch.

    Parameters
    ----------
    said : numpy.ndarray, shape (2, h / step, w / step)
        Logits of foreground and cores.
    shape : tuple of int
        Height and width of the picture.
    """
    cv2 = open_cv()
    height, width = shape
    foreground, core = (
        cv2.resize(np.ascontiguousarray(one), (width, height), interpolation=cv2.INTER_LINEAR) > 0
        for one in said
    )
    core &= foreground
    if not core.any():
        return np.zeros(shape, np.int32)
    _, nearest = cv2.distanceTransformWithLabels(
        (~core).astype(np.uint8), cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_CCOMP
    )
    _, patches = cv2.connectedComponents(foreground.astype(np.uint8), connectivity=4)
    # A patch without a core of its own is no object; nor may a core reach over a gap into another.
    pairs = nearest.astype(np.int64) * (int(patches.max()) + 1) + patches
    kept = np.isin(pairs, np.unique(pairs[core])) & foreground
    ids = np.where(kept, nearest, 0).astype(np.int32)
    large = np.bincount(ids.ravel()) >= _LEAST_PIXELS
    return np.where(large[ids], ids, 0).astype(np.int32)

"""Segmentation by small networks that were trained with and without synthetic images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

import numpy as np
import numpy.typing as npt

from twinset.core.contracts import Comparison
from twinset.core.data.dataset import Dataset
from twinset.core.extras import optional
from twinset.core.image.codec import open_cv
from twinset.core.parameters import Ge

from ._annotated import AnnotatedImage, Ids, Matrix, read_annotated_images
from ._holdout_scores import Scorer
from ._network_comparison import DenseMetric, DenseTask

_CORE = 0.45  # of the largest distance to the edge: deeper pixels are an object's core
_MIN_PIXELS = 12  # of an object: smaller ones are specks along edges
_HIT_OVERLAP = 0.5  # intersection over union beyond which no other object can match


@dataclass(frozen=True, kw_only=True)
class ImageSegmentation(DenseMetric):
    """F1 score of masks by small U-Nets trained on real and synthetic images.

    The value is the F1 of objects whose masks have an intersection over union above 0.5, over all images of
    the real holdout, of networks trained on both; the baseline is that of networks trained on real images
    alone. All networks start from equal weights, take equally many steps and augment their images alike: of
    three standard augmentations (mirrors, turns, scale, light), the best on held-out real training
    images, so that synthetic images compete with tuned augmentation. Findings hold the effect of adding
    synthetic images, with an interval over holdout images and networks, both paired.

    References
    ----------
    Ronneberger, Fischer, Brox (2015), U-Net: Convolutional Networks for Biomedical Image Segmentation,
    MICCAI. Caicedo et al. (2019), Nucleus segmentation across imaging experiments: the 2018 Data Science
    Bowl, Nature Methods 16.

    Examples
    --------
    >>> ImageSegmentation(steps=400, seeds=5).margin
    0.02
    """

    kinds: ClassVar[frozenset[str]] = frozenset({"image", "mask"})
    title: ClassVar[str] = "masks by a small network trained on real and synthetic images"
    interpretation: ClassVar[str] = (
        "How well a small network that was trained on real and synthetic images segments objects in "
        "unseen real ones. The baseline is a network trained on real images alone, at equal steps and "
        "with tuned augmentation: above it, adding synthetic ones helps."
    )
    needs: ClassVar[frozenset[str]] = frozenset({"image", "mask"})

    steps: Annotated[int, Ge(1)] = 200

    def open_task(self, comparison: Comparison) -> Instances:
        """Return the task of the first columns of images and masks."""
        image, mask = (comparison.train.schema.of_kind(kind)[0].name for kind in ("image", "mask"))
        return Instances(settings=self, columns=(image, mask))


@dataclass(frozen=True, kw_only=True)
class Instances(DenseTask):
    """Targets of a segmentation: whether a pixel belongs to an object, and whether it lies deep inside.

    Microscopic images are dark with bright objects or the reverse, so that statistics of a batch fit
    neither; each image is normalized by itself.

    References
    ----------
    Wu, He (2018), Group Normalization, ECCV.
    """

    noun: ClassVar[str] = "masks"
    measures: ClassVar[tuple[str, ...]] = ("F1 at IoU 0.5",)
    step: ClassVar[int] = 2
    n_outputs: ClassVar[int] = 2
    norm_groups: ClassVar[int] = 8

    columns: tuple[str, str] = ("", "")

    def read(self, rows: Dataset) -> list[AnnotatedImage]:
        """Return the images with their id maps."""
        image, mask = self.columns
        return read_annotated_images(rows, image, None, mask, {}, self.settings.longest)

    def targets(self, batch: Sequence[AnnotatedImage]) -> Matrix:
        """Return foreground and cores of each window, shape (b, 2, window / step, window / step)."""
        maps = []
        for one in batch:
            assert one.ids is not None
            maps.append([one.ids > 0, find_cores(one.ids)])
        return np.array(maps, np.float32)

    def loss(self, output: Any, targets: Any) -> Any:
        """Return the cross-entropy of both."""
        binary_cross_entropy_with_logits = optional(
            "torch.nn.functional"
        ).binary_cross_entropy_with_logits
        return binary_cross_entropy_with_logits(output, targets)

    def score(self, images: Sequence[AnnotatedImage], outputs: Sequence[Matrix]) -> Scorer:
        """Return a scorer of the F1 of objects."""
        counts = np.array(
            [
                count_objects(one.ids, decode_instances(output, one.ids.shape))
                for one, output in zip(images, outputs)
                if one.ids is not None
            ]
        )
        return lambda weights: np.array([compute_f1(weights[:, None] * counts)])


def find_cores(ids: Ids) -> Any:
    """Return the pixels deep inside an object, shape (h, w): the cores of two objects never touch.

    An object at the border of the image continues behind it.

    Examples
    --------
    >>> ids = np.zeros((5, 10), np.int32)
    >>> ids[:, :5], ids[:, 5:] = 1, 2
    >>> find_cores(ids)[2].astype(int).tolist()
    [1, 1, 1, 0, 0, 0, 0, 1, 1, 1]
    """
    cv2 = open_cv()
    own = ids.astype(np.float32)
    square = np.ones((3, 3), np.uint8)
    inside = (ids > 0) & (cv2.dilate(own, square) == own) & (cv2.erode(own, square) == own)
    padded = cv2.copyMakeBorder(inside.astype(np.uint8), 1, 1, 1, 1, cv2.BORDER_REPLICATE)
    deep = cv2.distanceTransform(padded, cv2.DIST_L2, 3)[1:-1, 1:-1]
    places = np.unique(ids, return_inverse=True)[1].reshape(ids.shape)
    deepest = np.zeros(places.max(initial=0) + 1, np.float32)
    np.maximum.at(deepest, places.ravel(), deep.ravel())
    return inside & (deep > _CORE * deepest[places])


def decode_instances(output: Matrix, shape: tuple[int, int]) -> Ids:
    """Return the id map, shape (h, w), of logits of foreground and cores, (2, h / step, w / step).

    Each core is an object; a pixel of the foreground belongs to the nearest core of its own patch.
    """
    cv2 = open_cv()
    height, width = shape
    foreground, core = (
        cv2.resize(np.ascontiguousarray(one), (width, height), interpolation=cv2.INTER_LINEAR) > 0
        for one in output
    )
    core &= foreground
    if not core.any():
        return np.zeros(shape, np.int32)
    _, nearest = cv2.distanceTransformWithLabels(
        (~core).astype(np.uint8), cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_CCOMP
    )
    _, patches = cv2.connectedComponents(foreground.astype(np.uint8), connectivity=4)
    # A patch without a core is no object, and no core reaches over a gap into another patch.
    pairs = nearest.astype(np.int64) * (int(patches.max()) + 1) + patches
    kept = np.isin(pairs, np.unique(pairs[core])) & foreground
    ids = np.where(kept, nearest, 0).astype(np.int32)
    large = np.bincount(ids.ravel()) >= _MIN_PIXELS
    return np.where(large[ids], ids, 0).astype(np.int32)


def count_objects(truth: Ids, found: Ids) -> npt.NDArray[np.int64]:
    """Return the numbers of objects that are found, wrongly found and missed."""
    places = [np.unique(ids, return_inverse=True)[1].reshape(ids.shape) for ids in (truth, found)]
    firsts = [int(np.min(ids, initial=0) == 0 and (ids == 0).any()) for ids in (truth, found)]
    n = [int(p.max(initial=-1)) + 1 for p in places]
    table = np.bincount((places[0] * n[1] + places[1]).ravel(), minlength=n[0] * n[1])
    table = table.reshape(n[0], n[1])
    union = table.sum(axis=1)[:, None] + table.sum(axis=0)[None] - table
    share = (table / np.maximum(union, 1))[firsts[0] :, firsts[1] :]
    hits = int((share > _HIT_OVERLAP).sum())
    return np.array([hits, share.shape[1] - hits, share.shape[0] - hits])


def compute_f1(counts: npt.NDArray[np.int64]) -> float:
    """Return the F1 score of counts, shape (n, 3), over all images together, 0 to 1."""
    hits, wrong, missed = counts.reshape(-1, 3).sum(axis=0)
    return float(2 * hits / max(2 * hits + wrong + missed, 1))

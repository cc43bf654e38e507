"""Detection by small networks that were trained with and without synthetic images."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from twinset.core.contracts import Comparison, NotMeasurable
from twinset.core.data.dataset import Dataset
from twinset.core.extras import optional
from twinset.core.image.codec import open_cv

from ._annotated import AnnotatedImage, Codes, Floats, Matrix, read_annotated_images
from ._holdout_scores import Scorer
from ._network_comparison import LOGIT_AT_START, DenseMetric, DenseTask

Bools = npt.NDArray[np.bool_]

_MEASURE = "mean average precision at IoU 0.5"
_MIN_OBJECTS = 2  # of a class, in train and holdout: one object has no spread
_UNIT = 16.0  # pixels: a usual distance from the middle of an object to its edge
_SPREAD = 0.16  # of a side: radius of an object's middle in the targets
_FOCUS, _NEAR = 2, 4  # exponents of the focal loss in Objects as Points
_MIN_CONFIDENCE = 0.05  # of a box: less changes no average precision and slows the matching
_MAX_BOXES = 200  # of an image, most confident first: bounds the pairwise overlaps
_MAX_OVERLAP = 0.5  # of two boxes of one class: beyond, the less confident one repeats the other
_HIT_OVERLAP = 0.5  # intersection over union of a right box, as in PASCAL VOC
_REPORTED_CONFIDENCE = 0.3  # of the boxes that recall counts


@dataclass(frozen=True, kw_only=True)
class ImageDetection(DenseMetric):
    """Mean average precision of small detectors trained on real and synthetic images.

    The value is the average precision of boxes at an intersection over union of 0.5, mean over the classes,
    on the real holdout, of networks trained on both; the baseline is that of networks trained on real
    images alone. The detector predicts, without anchors, the middles of objects of each class and the
    distances to their edges. All networks start from equal weights, take equally many steps and augment
    their images alike: of three standard augmentations (mirrors, right-angle turns, scale, light), the
    best on held-out real training images, so that synthetic images compete with tuned augmentation.
    Findings hold the average precision of each class, its recall by boxes with a confidence above 0.3,
    and the effect of adding synthetic images, with an interval over holdout images and networks, both
    paired.

    References
    ----------
    Zhou, Wang, Krahenbuhl (2019), Objects as Points. Everingham et al. (2010), The PASCAL Visual Object
    Classes Challenge, IJCV 88.

    Examples
    --------
    >>> ImageDetection(steps=400, seeds=5).margin
    0.02
    """

    kinds: ClassVar[frozenset[str]] = frozenset({"image", "boxes"})
    title: ClassVar[str] = "boxes by a small network trained on real and synthetic images"
    interpretation: ClassVar[str] = (
        "How well a small network that was trained on real and synthetic images finds objects in unseen "
        "real ones. The baseline is a network trained on real images alone, at equal steps and with "
        "tuned augmentation: above it, adding synthetic ones helps."
    )
    needs: ClassVar[frozenset[str]] = frozenset({"image", "boxes"})

    def open_task(self, comparison: Comparison) -> Centres:
        """Return the task of the classes that both real sets have."""
        image, boxes = (
            comparison.train.schema.of_kind(kind)[0].name for kind in ("image", "boxes")
        )
        names = list_classes(comparison.train, comparison.reference, boxes)
        return Centres(settings=self, names=tuple(names), columns=(image, boxes))


@dataclass(frozen=True, kw_only=True)
class Centres(DenseTask):
    """Targets of a detector: for each class a map of the middles of objects, and distances to edges.

    References
    ----------
    Zhou, Wang, Krahenbuhl (2019), Objects as Points. Liu et al. (2020), Training-Time-Friendly Network
    for Real-Time Object Detection, AAAI: distances are learnt all around the middle.
    """

    noun: ClassVar[str] = "boxes"
    step: ClassVar[int] = 4

    names: tuple[str, ...]
    columns: tuple[str, str] = ("", "")

    @property
    def n_outputs(self) -> int:
        """Channels of the output: a map for each class, and distances to left, top, right, bottom."""
        return len(self.names) + 4

    @property
    def measures(self) -> tuple[str, ...]:
        """Names of the measures, the deciding one first."""
        kinds = ("average precision", "recall")
        return (_MEASURE, *(f"{kind} of {name}" for kind in kinds for name in self.names))

    def read(self, rows: Dataset) -> list[AnnotatedImage]:
        """Return the images with the boxes of the classes."""
        levels = {name: k for k, name in enumerate(self.names)}
        image, boxes = self.columns
        return read_annotated_images(rows, image, boxes, None, levels, self.settings.longest)

    def targets(self, batch: Sequence[AnnotatedImage]) -> Matrix:
        """Return middles, edges and their weight, shape (b, classes + 5, window / step, window / step)."""
        return np.stack([self._target(one, one.pixels.shape[0] // self.step) for one in batch])

    def loss(self, output: Any, targets: Any) -> Any:
        """Return the focal loss of the middles plus twice 1 - IoU of the boxes."""
        torch = optional("torch")
        k = len(self.names)
        sure, truth = torch.sigmoid(output[:, :k]).clamp(1e-4, 1 - 1e-4), targets[:, :k]
        is_middle = (truth > 0.99).float()
        found = is_middle * torch.log(sure) * (1 - sure) ** _FOCUS
        empty = (1 - is_middle) * (1 - truth) ** _NEAR * torch.log(1 - sure) * sure**_FOCUS
        middles = -(found + empty).sum() / is_middle.sum().clamp(min=1)
        own = _UNIT * torch.exp(output[:, k:].clamp(max=3) - LOGIT_AT_START)
        true = targets[:, k : k + 4]
        wide = torch.minimum(own[:, 0], true[:, 0]) + torch.minimum(own[:, 2], true[:, 2])
        high = torch.minimum(own[:, 1], true[:, 1]) + torch.minimum(own[:, 3], true[:, 3])
        areas = [(d[:, 0] + d[:, 2]) * (d[:, 1] + d[:, 3]) for d in (own, true)]
        share = wide * high / (areas[0] + areas[1] - wide * high).clamp(min=1e-3)
        weight = targets[:, k + 4]
        return middles + 2 * (weight * (1 - share)).sum() / weight.sum().clamp(min=1)

    def _target(self, one: AnnotatedImage, side: int) -> Matrix:
        out = np.zeros((len(self.names) + 5, side, side), np.float32)
        at = (np.arange(side) + 0.5) * self.step
        sizes = (one.boxes[:, 2:] - one.boxes[:, :2]).prod(axis=1)
        for m in np.argsort(-sizes, kind="stable"):  # where two meet, the smaller one counts
            x0, y0, x1, y1 = one.boxes[m]
            column, row = (
                min(int(middle / self.step), side - 1) for middle in ((x0 + x1) / 2, (y0 + y1) / 2)
            )
            bells = [
                np.exp(-((at - at[place]) ** 2) / (2 * max(_SPREAD * length, self.step / 2) ** 2))
                for place, length in ((column, x1 - x0), (row, y1 - y0))
            ]
            bell = bells[1][:, None] * bells[0][None]
            heat = out[one.classes[m]]
            np.maximum(heat, bell, out=heat)
            near = bell > 0.3
            y, x = at[:, None], at[None]
            edges = np.broadcast_arrays(x - x0, y - y0, x1 - x, y1 - y)
            out[-5:-1, near] = np.maximum([edge[near] for edge in edges], 0.1)
            out[-1, near] = bell[near] / bell[near].sum()  # small and large objects weigh the same
        return out

    def score(self, images: Sequence[AnnotatedImage], outputs: Sequence[Matrix]) -> Scorer:
        """Return a scorer: mean average precision, average precision by class, recall by class."""
        n_classes = len(self.names)
        n_true = np.zeros((len(images), n_classes))
        found: list[list[tuple[Floats, Floats, Floats]]] = [[] for _ in range(n_classes)]
        for place, (one, output) in enumerate(zip(images, outputs)):
            boxes, classes, sure = decode_boxes(output, n_classes, self.step)
            for k in range(n_classes):
                true, own = one.classes == k, classes == k
                n_true[place, k] = true.sum()
                hits = match_boxes(one.boxes[true], boxes[own], sure[own])
                found[k].append((hits.astype(float), sure[own], np.full(len(hits), float(place))))
        flat = [tuple(np.concatenate(part) for part in zip(*of_class)) for of_class in found]
        ones = np.ones(len(images))

        def score(weights: Floats) -> Floats:
            precisions, recalls = np.full((2, n_classes), np.nan)
            for k, (hits, sure, places) in enumerate(flat):
                # A bootstrap draw without objects of a class takes the score of all images.
                own = weights if weights @ n_true[:, k] else ones
                n, of_box = float(own @ n_true[:, k]), own[places.astype(np.int64)]
                if n:
                    precisions[k] = average_precision(hits > 0, sure, n, of_box)
                    recalls[k] = of_box @ (hits * (sure >= _REPORTED_CONFIDENCE)) / n
            mean = np.nanmean(precisions) if np.isfinite(precisions).any() else 0.0
            return np.array([mean, *precisions, *recalls])

        return score


def list_classes(train: Dataset, holdout: Dataset, boxes: str) -> list[str]:
    """Return the categories with two real objects or more in train and in the holdout, at least one."""
    counts = [
        Counter(
            one["category"] for row in part.records.column(boxes).to_pylist() for one in row or ()
        )
        for part in (train, holdout)
    ]
    names = sorted(
        name for name in counts[0] if min(count[name] for count in counts) >= _MIN_OBJECTS
    )
    if not names:
        raise NotMeasurable(
            f"no class has {_MIN_OBJECTS} real objects in the train set and in the holdout"
        )
    return names


def decode_boxes(output: Matrix, n_classes: int, step: int) -> tuple[Matrix, Codes, Floats]:
    """Return the boxes of an output, shape (n, 4), their classes, and confidences, 0 to 1.

    The output, shape (n_classes + 4, h, w), has logits of middles and logarithms of distances.
    """
    cv2 = open_cv()
    sure = 1 / (1 + np.exp(-output[:n_classes].astype(np.float64)))
    peaks = np.array([one == cv2.dilate(one, np.ones((3, 3), np.uint8)) for one in sure])
    places = np.argwhere(peaks & (sure >= _MIN_CONFIDENCE))
    order = np.argsort(-sure[tuple(places.T)], kind="stable")[:_MAX_BOXES]
    classes, rows, columns = places[order].T
    scores = sure[classes, rows, columns]
    logs = np.minimum(output[n_classes:, rows, columns], 3.0) - LOGIT_AT_START
    left, top, right, bottom = _UNIT * np.exp(logs)
    x, y = (columns + 0.5) * step, (rows + 0.5) * step
    boxes = np.stack([x - left, y - top, x + right, y + bottom], axis=1).astype(np.float32)
    kept = _remove_repeats(boxes, classes)
    return boxes[kept], classes[kept], scores[kept]


def _remove_repeats(boxes: Matrix, classes: Codes) -> Codes:
    """Return the places of boxes, most confident first, that repeat no more confident one."""
    alike = (compute_iou(boxes, boxes) > _MAX_OVERLAP) & (classes[:, None] == classes[None])
    kept: list[int] = []
    for k in range(len(boxes)):
        if not alike[k, kept].any():
            kept.append(k)
    return np.array(kept, np.int64)


def match_boxes(truth: Matrix, boxes: Matrix, scores: Floats) -> Bools:
    """Return which boxes of one class on one image are right, shape (n,).

    The most confident box takes the true one that it overlaps most, by one half or more of their union;
    each true one is taken once.
    """
    hits = np.zeros(len(boxes), bool)
    shares = compute_iou(boxes, truth)
    for k in np.argsort(-scores, kind="stable"):
        if not shares.shape[1]:
            break
        best = int(np.argmax(shares[k]))
        if shares[k, best] >= _HIT_OVERLAP:
            hits[k] = True
            shares[:, best] = -1
    return hits


def compute_iou(a: Matrix, b: Matrix) -> Floats:
    """Return the intersection over union of all pairs of boxes, shape (len(a), len(b))."""
    low = np.maximum(a[:, None, :2], b[None, :, :2])
    high = np.minimum(a[:, None, 2:], b[None, :, 2:])
    shared = np.clip(high - low, 0, None).prod(axis=2)
    areas = [(one[:, 2:] - one[:, :2]).prod(axis=1) for one in (a, b)]
    union = areas[0][:, None] + areas[1][None] - shared
    return np.asarray(shared / np.maximum(union, 1e-9), np.float64)


def average_precision(hits: Bools, scores: Floats, n_true: float, weights: Floats) -> float:
    """Return the area under precision over recall, 0 to 1; NaN without a true object.

    AP = sum_i (R_i - R_(i-1)) max_(j >= i) P_j, as PASCAL VOC has it since 2010. `n_true` objects are
    weighted as the boxes are, by their images.

    References
    ----------
    Everingham et al. (2010), The PASCAL Visual Object Classes Challenge, IJCV 88.
    """
    if n_true <= 0:
        return float("nan")
    order = np.argsort(-scores, kind="stable")
    right = np.cumsum(weights[order] * hits[order])
    every = np.cumsum(weights[order])
    recall = np.concatenate([[0.0], right / n_true])
    precision = right / np.maximum(every, 1e-12)
    best = np.maximum.accumulate(precision[::-1])[::-1]
    return float((np.diff(recall) * best).sum())

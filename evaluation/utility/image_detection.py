"""Detection by small networks that were trained with and without synthetic images."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from functools import partial
from typing import ClassVar

import numpy as np

from twinset.core.contracts import Comparison, Measurement, NotMeasurable
from twinset.core.data.dataset import Dataset

from ._annotated import AnnotatedImage, read_annotated_images
from ._box_maps import Centres, score_detections
from ._dense_comparison import DenseComparison

_MEASURE = "mean average precision at IoU 0.5"
_MIN_OBJECTS = 2  # of a class, in train and holdout: one object has no spread


@dataclass(frozen=True, kw_only=True)
class ImageDetection(DenseComparison):
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

    Parameters
    ----------
    margin : float
        Largest degradation that still counts as equivalent, in the unit of the value.
    steps : int
        Steps of the optimizer, of 8 windows each.
    seeds : int
        Networks of each kind; with one, the interval covers images alone.
    window : int
        Side of the training windows in pixels, a multiple of 16.
    longest : int
        Images with a longer side are shrunk to so many pixels.
    synthetic_share : float
        Part of each batch that is synthetic.
    max_rows : int
        Training images of each set, and holdout images.
    replicates : int
        Bootstrap replicates.
    augmentation : {"tuned", "plain", "moderate", "strong"}
        The best of the other three, or always that one, which takes half the time.
    device : {"auto", "cpu", "cuda"}
        Device of torch.

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

    def compute(self, comparison: Comparison, rng: np.random.Generator) -> Measurement:
        """Return the mean average precision on real images, 0 to 1."""
        image, boxes = (
            comparison.train.schema.of_kind(kind)[0].name for kind in ("image", "boxes")
        )
        names = list_classes(comparison.train, comparison.reference, boxes)
        levels = {name: k for k, name in enumerate(names)}

        def read(rows: Dataset) -> list[AnnotatedImage]:
            return read_annotated_images(rows, image, boxes, None, levels, self.longest)

        task, kinds = Centres(len(names)), ("average precision", "recall")
        measures = (_MEASURE, *(f"{kind} of {name}" for kind in kinds for name in names))
        score = partial(score_detections, task)
        return self.measure(comparison, read, task, score, measures, "boxes", rng)


def list_classes(train: Dataset, holdout: Dataset, boxes: str) -> list[str]:
    """Return the categories with two real objects or more in train and in the holdout.

    Raises
    ------
    NotMeasurable
        There is none.
    """
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

"""Whether a small net finds objects better when synthetic pictures are added to the real ones."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import ClassVar

import numpy as np

from twinset.core.contracts import Comparison, Measurement, NotMeasurable
from twinset.core.data.dataset import Dataset

from ._annotated import Annotated, Floats, Matrix, annotated
from ._box_maps import Centres, boxes_of
from ._dense_trial import DenseTrial, Judged, measured
from ._matching import average_precision, box_hits

_MEASURE = "mean average precision at IoU 0.5"
_LEAST_OF_CLASS = 2
_SURE = 0.3


@dataclass(frozen=True, kw_only=True)
class ImageDetection(DenseTrial):
    """Trains small detectors on real pictures with and without synthetic ones and tests their boxes.

    The detector has no anchors: it says where objects of each class have their middle, and how far their
    edges are. All nets start from the same weights, take equally many steps of the optimiser and vary
    their pictures in the same way: of three standard augmentations (mirrors, right-angle turns, scale,
    light) the one that does best on inner parts of the real training pictures, so that synthetic ones
    are held against tuned augmentation, not against nothing. The value is the average precision at an
    overlap of one half, mean over the classes, of nets trained on both. Details tell that of each class
    and its recall by boxes that are surer than 0.3, and answer whether adding synthetic pictures helps,
    hurts or shows no evidence, by an interval over holdout pictures and nets, both paired.

    Parameters
    ----------
    margin : float
        Largest harm that still counts as good as real, in the unit of the value.
    steps : int
        Steps of the optimiser, of 8 windows each, 1 or more.
    seeds : int
        Nets of each kind, 1 or more; with one, the interval speaks of pictures alone.
    window : int
        Side of the windows that nets are trained on, in pixels, 32 to 512, a multiple of 16.
    longest : int
        Pictures with a longer side are shrunk to so many pixels, 32 or more.
    synthetic_share : float
        Part of each batch that is synthetic, above 0 and below 1.
    max_rows : int
        Pictures of each set that nets are trained on, and of the holdout.
    replicates : int
        Bootstrap replicates.
    augmentation : {"tuned", "plain", "moderate", "strong"}
        The best of the other three, or always that one, which saves half the time.
    device : {"auto", "cpu", "cuda"}
        Where to compute.

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
        """Return the mean average precision on real pictures, 0 to 1; details compare both nets."""
        image, boxes = (
            comparison.train.schema.of_kind(kind)[0].name for kind in ("image", "boxes")
        )
        names = classes_of(comparison.train, comparison.reference, boxes)
        levels = {name: k for k, name in enumerate(names)}

        def pictures(rows: Dataset) -> list[Annotated]:
            return annotated(rows, image, boxes, None, levels, self.longest)

        task = Centres(len(names))
        kinds = ("average precision", "recall")
        measures = (_MEASURE, *(f"{kind} of {name}" for kind in kinds for name in names))
        return measured(
            self,
            comparison,
            pictures,
            task,
            partial(score_detections, task),
            measures,
            "boxes",
            rng,
        )


def classes_of(train: Dataset, holdout: Dataset, boxes: str) -> list[str]:
    """Return the categories that can be learnt and tested: of two real objects or more in both parts.

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
        name for name in counts[0] if min(count[name] for count in counts) >= _LEAST_OF_CLASS
    )
    if not names:
        raise NotMeasurable(
            f"no class has {_LEAST_OF_CLASS} real objects in the train part and in the holdout"
        )
    return names


def score_detections(
    task: Centres, pictures: Sequence[Annotated], said: Sequence[Matrix]
) -> Judged:
    """Return average precisions, their mean first, and recalls, by how often each picture counts."""
    n_true = np.zeros((len(pictures), task.n_classes))
    found: list[list[tuple[Floats, Floats, Floats]]] = [[] for _ in range(task.n_classes)]
    for place, (one, told) in enumerate(zip(pictures, said)):
        boxes, classes, sure = boxes_of(told, task.n_classes, task.step)
        for k in range(task.n_classes):
            true, own = one.classes == k, classes == k
            n_true[place, k] = true.sum()
            hits = box_hits(one.boxes[true], boxes[own], sure[own])
            found[k].append((hits.astype(float), sure[own], np.full(len(hits), float(place))))
    flat = [tuple(np.concatenate(part) for part in zip(*of_class)) for of_class in found]

    every = np.ones(len(pictures))

    def scores(weights: Floats) -> Floats:
        precisions, recalls = np.full((2, task.n_classes), np.nan)
        for k, (hits, sure, places) in enumerate(flat):
            # A draw without any of a class says nothing of it: the whole speaks.
            own = weights if weights @ n_true[:, k] else every
            n, of_box = float(own @ n_true[:, k]), own[places.astype(np.int64)]
            if n:
                precisions[k] = average_precision(hits > 0, sure, n, of_box)
                recalls[k] = of_box @ (hits * (sure >= _SURE)) / n
        mean = np.nanmean(precisions) if np.isfinite(precisions).any() else 0.0
        return np.array([mean, *precisions, *recalls])

    return scores

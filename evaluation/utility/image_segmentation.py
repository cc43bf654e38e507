"""Whether a small net tells objects apart better when synthetic pictures are added to the real ones."""

from __future__ import annotations

import typing
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from twinset.core.contracts import Comparison, Measurement
from twinset.core.data.dataset import Dataset
from twinset.core.parameters import Ge

from ._annotated import Annotated, Floats, Matrix, annotated
from ._dense_trial import DenseTrial, Judged, measured
from ._instance_maps import Instances, instances_of
from ._matching import f1, mask_counts

_MEASURE = "F1 at IoU 0.5"


@dataclass(frozen=True, kw_only=True)
class ImageSegmentation(DenseTrial):
    """Trains small U-Nets on real pictures with and without synthetic ones and tests their masks.

    All nets start from the same weights, take equally many steps of the optimiser and vary their
    pictures in the same way: of three standard augmentations (mirrors, turns, scale, light) the one that
    does best on inner parts of the real training pictures, so that synthetic ones are held against tuned
    augmentation, not against nothing. The value is the F1 score of objects whose masks overlap by more
    than one half, over all holdout pictures, of nets trained on both. Details answer whether adding
    synthetic pictures helps, hurts or shows no evidence, by an interval over holdout pictures and nets,
    both paired.

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

    steps: typing.Annotated[int, Ge(1)] = 200

    def compute(self, comparison: Comparison, rng: np.random.Generator) -> Measurement:
        """Return the F1 score on real pictures, 0 to 1; details compare both kinds of nets."""
        image, mask = (comparison.train.schema.of_kind(kind)[0].name for kind in ("image", "mask"))

        def pictures(rows: Dataset) -> list[Annotated]:
            return annotated(rows, image, None, mask, {}, self.longest)

        return measured(
            self, comparison, pictures, Instances(), score_segments, (_MEASURE,), "masks", rng
        )


def score_segments(pictures: Sequence[Annotated], said: Sequence[Matrix]) -> Judged:
    """Return the F1 score of what a net says, as a function of how often each picture counts."""
    counts = np.array(
        [
            mask_counts(one.ids, instances_of(told, one.ids.shape))
            for one, told in zip(pictures, said)
            if one.ids is not None
        ]
    )

    def scores(weights: Floats) -> Floats:
        return np.array([f1(weights[:, None] * counts)])

    return scores

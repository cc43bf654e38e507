"""Segmentation by small networks that were trained with and without synthetic images."""

from __future__ import annotations

import typing
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from twinset.core.contracts import Comparison, Measurement
from twinset.core.data.dataset import Dataset
from twinset.core.parameters import Ge

from ._annotated import AnnotatedImage, read_annotated_images
from ._dense_comparison import DenseComparison
from ._instance_maps import Instances, score_segments

_MEASURE = "F1 at IoU 0.5"


@dataclass(frozen=True, kw_only=True)
class ImageSegmentation(DenseComparison):
    """F1 score of masks by small U-Nets trained on real and synthetic images.

    The value is the F1 of objects whose masks have an intersection over union above 0.5, over all images of
    the real holdout, of networks trained on both; the baseline is that of networks trained on real images
    alone. All networks start from equal weights, take equally many steps and augment their images alike: of
    three standard augmentations (mirrors, turns, scale, light), the best on held-out real training
    images, so that synthetic images compete with tuned augmentation. Findings hold the effect of adding
    synthetic images, with an interval over holdout images and networks, both paired.

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
        """Return the F1 score on real images, 0 to 1."""
        image, mask = (comparison.train.schema.of_kind(kind)[0].name for kind in ("image", "mask"))

        def read(rows: Dataset) -> list[AnnotatedImage]:
            return read_annotated_images(rows, image, None, mask, {}, self.longest)

        return self.measure(
            comparison, read, Instances(), score_segments, (_MEASURE,), "masks", rng
        )

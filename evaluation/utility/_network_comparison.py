"""Networks of real images compared with networks of real and synthetic ones, on unseen real images."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt

from twinset.core.contracts import Comparison, Measurement, NotMeasurable
from twinset.core.data.dataset import Dataset
from twinset.core.errors import ParameterError
from twinset.core.extras import optional
from twinset.core.features.torch_device import device_of, one_thread, require_torch
from twinset.core.parameters import Device, Ge, Interval, Margin
from twinset.core.seeding import rng_for

from ._annotated import (
    AnnotatedImage,
    Matrix,
    WindowAugmentation,
    draw_batch,
    list_augmentations,
    normalize_pixels,
)
from ._holdout_scores import Scorer, UtilityMetric, compare_models, fit_sets
from ._networks import STRIDE, build_unet, fit_network

LOGIT_AT_START = -2.0  # output of an untrained network: most pixels belong to no object
_AUGMENTATIONS = ("plain", "moderate", "strong")
_BATCH = 8  # windows of a step
_RATE = 5e-3  # learning rate at which 200 to 300 steps are enough
_FEW = 16  # images: with fewer, augmentation is tuned on two halves, not on a fifth
_MIN_TRAIN, _MIN_HOLDOUT = 2, 4  # images: one to learn from and one to tune on; less has no spread


class NetworkTask(ABC):
    """Images, networks and scores of one comparison."""

    stream: ClassVar[str] = "net"
    n_seeds: ClassVar[int] = 2**31 - 1  # numbers that the seed of all networks is drawn from

    @property
    @abstractmethod
    def measures(self) -> tuple[str, ...]:
        """Names of the measures of a scorer, the deciding one first."""

    @abstractmethod
    def read(self, rows: Dataset) -> Any:
        """Return the images that have labels."""

    @abstractmethod
    def check(self, images: Any, name: str) -> None:
        """Raise NotMeasurable where there are too few real images."""

    @abstractmethod
    def add_synthetic(self, train: Any, synthetic: Any) -> dict[str, list[Any]]:
        """Return the sets to train on by name; raise NotMeasurable for too few synthetic images."""

    @abstractmethod
    def tune(self, train: Any, seed: int) -> Any:
        """Return the augmentation with the best score on held-out real training images."""

    @abstractmethod
    def fit(
        self, sources: Sequence[Any], augmentation: Any, unseen: Any, rng: np.random.Generator
    ) -> Scorer:
        """Return the scorer of one network; equal streams give equal weights at the start."""

    def strata(self, unseen: Any) -> npt.NDArray[np.int64]:
        """Return the stratum of each image, within which images are drawn."""
        return np.zeros(len(unseen), dtype=np.int64)

    def describe(self, unseen: Any) -> Mapping[str, Any]:
        """Return further fields of the model comparison."""
        return {"decides": False}


@dataclass(frozen=True, kw_only=True)
class NetworkMetric(UtilityMetric):
    """Metric that trains small networks with and without synthetic images.

    Parameters
    ----------
    steps : int
        Steps of the optimizer.
    seeds : int
        Networks of each kind; with one, the interval covers images alone.
    max_rows : int
        Training images of each set, and holdout images.
    device : {"auto", "cpu", "cuda"}
        Device of torch.
    """

    is_thorough: ClassVar[bool] = True
    extra: ClassVar[str | None] = "torch"

    margin: Margin = 0.02
    steps: Annotated[int, Ge(1)] = 300
    seeds: Annotated[int, Ge(1)] = 3
    max_rows: Annotated[int, Ge(4)] = 400
    device: Device = "auto"

    @abstractmethod
    def open_task(self, comparison: Comparison) -> NetworkTask:
        """Return the task; raise NotMeasurable where a column is missing."""

    def compute(self, comparison: Comparison, rng: np.random.Generator) -> Measurement:
        """Return the score on real images, 0 to 1; findings compare the networks."""
        task = self.open_task(comparison)
        require_torch()
        draws, nets_rng, *row_rngs = rng.spawn(5)
        seed, cache = int(nets_rng.integers(task.n_seeds)), comparison.cache

        def read(rows: Dataset, k: int) -> Any:
            return task.read(rows.at_most(self.max_rows, row_rngs[k]))

        def fit(parts: list[Any]) -> list[Scorer]:
            streams = (rng_for(seed, task.stream, k) for k in range(self.seeds))
            return [task.fit(parts, cache["augmentation"], unseen, stream) for stream in streams]

        if "images" not in cache:
            cache["images"] = read(comparison.train, 0), read(comparison.reference, 1)
        train, unseen = cache["images"]
        task.check(train, "train set")
        task.check(unseen, "holdout")
        sources = {"real": [train]}
        if comparison.synthetic is not comparison.train:
            sources |= task.add_synthetic(train, read(comparison.synthetic, 2))
        if "augmentation" not in cache:
            cache["augmentation"] = task.tune(train, seed)
        name = cache["augmentation"].name
        return compare_models(
            task.measures, fit_sets(sources, fit, cache), sources,
            task.strata(unseen), self.replicates, draws, margin=self.margin,
            facts={"augmentation": name, "steps": self.steps, "nets": self.seeds},
            subject="images", **task.describe(unseen),
        )  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class DenseMetric(NetworkMetric):
    """Metric of networks with an output for every few pixels, trained on windows of images.

    Parameters
    ----------
    steps : int
        Steps of the optimizer, of 8 windows each.
    window : int
        Side of the training windows in pixels, a multiple of 16.
    longest : int
        Images with a longer side are shrunk to so many pixels.
    synthetic_share : float
        Part of each batch that is synthetic.
    augmentation : {"tuned", "plain", "moderate", "strong"}
        The best of the other three, or always that one, which takes half the time.
    """

    on_request: ClassVar[bool] = True

    window: Annotated[int, Interval(ge=32, le=512)] = 128
    longest: Annotated[int, Ge(32)] = 320
    synthetic_share: Annotated[float, Interval(gt=0, lt=1)] = 0.5
    augmentation: Literal["tuned", "plain", "moderate", "strong"] = "tuned"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.window % STRIDE:
            raise ParameterError(
                "'window' is no multiple of 16", got=str(self.window), allowed="32, 48, ... 512"
            )


@dataclass(frozen=True, kw_only=True)
class DenseTask(NetworkTask):
    """Networks with one output for `step` by `step` pixels; all that are compared train alike.

    `noun` are the labels, in the plural; channels are normalized in `norm_groups` groups in each image, or
    over the batch where that is 0.
    """

    settings: DenseMetric
    noun: ClassVar[str]
    step: ClassVar[int]
    norm_groups: ClassVar[int] = 0

    @property
    @abstractmethod
    def n_outputs(self) -> int:
        """Channels of the output."""

    @abstractmethod
    def targets(self, batch: Sequence[AnnotatedImage]) -> Matrix:
        """Return the targets of windows, shape (b, any, window / step, window / step)."""

    @abstractmethod
    def loss(self, output: Any, targets: Any) -> Any:
        """Return the loss of an output, a torch scalar."""

    @abstractmethod
    def score(self, images: Sequence[AnnotatedImage], outputs: Sequence[Matrix]) -> Scorer:
        """Return the scorer of outputs for whole images."""

    def check(self, images: Any, name: str) -> None:
        """Raise NotMeasurable where there are too few real images."""
        n = _MIN_TRAIN if name == "train set" else _MIN_HOLDOUT
        if len(images) < n:
            raise NotMeasurable(
                f"it needs at least {n} real images with {self.noun} in the {name}, and there are "
                f"{len(images)}"
            )

    def add_synthetic(self, train: Any, synthetic: Any) -> dict[str, list[Any]]:
        """Return the set of both; networks of synthetic images alone are not compared."""
        if not synthetic:
            raise NotMeasurable(f"there is no synthetic image with {self.noun}")
        return {"mixed": [train, synthetic]}

    def tune(self, train: Any, seed: int) -> WindowAugmentation:
        """Return the chosen augmentation, or the best one.

        Networks take half the steps; the sum of their scores over the folds decides.
        """
        tried = list_augmentations(self.noun == "masks")
        if self.settings.augmentation != "tuned":
            return tried[_AUGMENTATIONS.index(self.settings.augmentation)]
        order = rng_for(seed, "fold").permutation(len(train))
        folds = np.array_split(order, 2) if len(train) < _FEW else [order[: len(order) // 5]]
        steps, scores = -(-self.settings.steps // 2), []
        half = replace(self, settings=replace(self.settings, steps=steps))
        for augmentation in tried:
            total = 0.0
            for fold in folds:
                kept = [train[k] for k in np.setdiff1d(order, fold)]
                test = [train[k] for k in fold]
                scorer = half.fit([kept], augmentation, test, rng_for(seed, "tune"))
                total += float(scorer(np.ones(len(test)))[0])
            scores.append(total)
        return tried[int(np.argmax(scores))]

    def fit(
        self, sources: Sequence[Any], augmentation: Any, unseen: Any, rng: np.random.Generator
    ) -> Scorer:
        """Return the scorer of one network, trained on windows of real, then synthetic images."""
        torch = optional("torch")
        settings, device = self.settings, device_of(self.settings.device)
        shares = count_windows(len(sources), settings.synthetic_share)

        def draw(draws: np.random.Generator) -> tuple[Matrix, Matrix]:
            x, labels = draw_batch(sources, shares, settings.window, augmentation, self.step, draws)
            return x, self.targets(labels)

        net = fit_network(
            partial(build_unet, self.n_outputs, self.step, self.norm_groups, LOGIT_AT_START),
            draw, self.loss, steps=settings.steps, rate=_RATE, rng=rng, device=device,
        )  # fmt: skip
        with one_thread(), torch.no_grad():
            outputs = [_predict(net, image, self.step, device) for image in unseen]
        return self.score(unseen, outputs)


def count_windows(n_sources: int, synthetic_share: float) -> list[int]:
    """Return the number of windows of a batch from each source: real, then synthetic."""
    n_synthetic = round(_BATCH * synthetic_share) if n_sources > 1 else 0
    return [_BATCH - n_synthetic, n_synthetic][:n_sources]


def _predict(net: Any, image: AnnotatedImage, step: int, device: str) -> Matrix:
    """Return the output for a whole image, shape (n_outputs, h / step, w / step), rounded up."""
    torch = optional("torch")
    height, width = image.pixels.shape[:2]
    room = ((0, 0), (0, -height % STRIDE), (0, -width % STRIDE))
    x = np.pad(normalize_pixels(image.pixels, image.pixels), room, mode="edge")
    output = net(torch.from_numpy(x[None]).to(device))[0].cpu().numpy()
    return np.asarray(output[:, : -(-height // step), : -(-width // step)])

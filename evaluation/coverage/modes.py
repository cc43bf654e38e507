"""Whether each crowd of real rows has its share of the synthetic ones: a map with its holes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np
import numpy.typing as npt

from twinset.core.contracts import (
    Comparison,
    ComponentResults,
    Measurement,
    Metric,
    MetricFamily,
    NotMeasurable,
)
from twinset.core.data.schema import TABULAR_KINDS
from twinset.core.features.encoder import Matrix, shared_encoder
from twinset.core.findings import ClusterShare, ClusterShares
from twinset.core.parameters import Ge, Margin, Replicates
from twinset.core.seeding import draw_seed
from twinset.core.stats.bootstrap import Groups, total_variation

from ._cluster_names import mode_names

Floats = npt.NDArray[np.float64]
Labels = npt.NDArray[np.int64]

_LEAST_ROWS = 100
_ROWS_OF_MODE = 25


@dataclass(frozen=True, kw_only=True)
class Modes(Metric):
    """Compares how many rows fall into each crowd of the real rows, and draws a map of the crowds.

    Real train rows are cut into crowds of rows that are alike (k-means on the features). Each unseen
    real row and each synthetic one belongs to the nearest. The value is the total variation distance
    of the two tables of shares, 0 (alike) to 1; a crowd whose share is off by more than its own margin
    makes the whole different. A mode that was dropped shows as a crowd without rows: a hole. Crowds
    of a table are named by the two columns that set them apart most; the details hold their places on
    the plane in which real rows spread most.

    Parameters
    ----------
    margin : float
        Largest distance that still counts as good as real.
    mode_margin : float
        Largest difference of one crowd's share.
    n_modes : int
        Number of crowds, 2 or more; of few rows fewer are cut, 25 rows for each.
    max_rows : int
        Rows of each side that are looked at, 100 or more.
    replicates : int
        Bootstrap replicates; the crowds are not cut again.

    References
    ----------
    Bau et al., "Seeing What a GAN Cannot Generate", ICCV 2019; Richardson and Weiss, "On GANs and
    GMMs", NeurIPS 2018 (number of statistically different bins).

    Examples
    --------
    >>> import pyarrow as pa
    >>> from twinset.core.data.dataset import Dataset
    >>> rng = np.random.default_rng(0)
    >>> at = np.repeat([0.0, 100.0], 200)
    >>> parts = [Dataset.from_arrow(pa.table({"x": at + rng.normal(size=400)})) for _ in range(3)]
    >>> told = Comparison(parts[0], parts[1].take(range(200)), parts[2])
    >>> found = Modes(n_modes=2, replicates=10).compute(told, rng)
    >>> found.value, sorted(cluster.name for cluster in found.findings[0].clusters)
    (0.5, ['x high', 'x low'])
    """

    family: ClassVar[MetricFamily] = "coverage"
    title: ClassVar[str] = "clusters of similar rows"
    interpretation: ClassVar[str] = (
        "Real rows are divided into clusters of similar rows, and the shares of the clusters are "
        "compared: 0 is the same shares. A cluster without synthetic rows is a hole in the set."
    )
    higher_is_better: ClassVar[bool] = False
    bounds: ClassVar[tuple[float, float]] = (0.0, 1.0)
    kinds: ClassVar[frozenset[str]] = TABULAR_KINDS | {"image", "text", "boxes", "spans"}

    margin: Margin = 0.04
    mode_margin: Margin = 0.03
    n_modes: Annotated[int, Ge(2)] = 16
    max_rows: Annotated[int, Ge(_LEAST_ROWS)] = 10_000
    replicates: Replicates = 200

    def compute(self, comparison: Comparison, rng: np.random.Generator) -> Measurement:
        """Return the distance of the crowds' shares, 0 to 1."""
        names = [field.name for field in comparison.train.schema.fields]
        train, real, made = (
            part.select(names).at_most(self.max_rows, rng)
            for part in (comparison.train, comparison.reference, comparison.synthetic)
        )
        if min(len(train), len(real), len(made)) < _LEAST_ROWS:
            raise NotMeasurable(f"it needs at least {_LEAST_ROWS} rows of each part")
        encoder = shared_encoder(
            comparison.train, names, comparison.cache, comparison.text_embeddings
        )
        seed = draw_seed(rng)
        if "modes" not in comparison.cache:
            n = min(self.n_modes, max(2, len(train) // _ROWS_OF_MODE))
            crowds = _Crowds.of(encoder.transform(train), n, seed)
            comparison.cache["modes"] = crowds, mode_names(train, crowds.own, len(crowds.centres))
        crowds, titles = comparison.cache["modes"]
        sides = []
        for rows in (real, made):
            deal = Groups.assign(len(rows), self.replicates, rng)
            labels = crowds.labels(encoder.transform(rows))
            sides.append(deal.shares(deal.counts(labels, len(titles))))
        (theirs, their_draws), (ours, our_draws) = sides
        apart, drawn = np.abs(ours - theirs)[0], np.abs(our_draws - their_draws)
        clusters = [
            ClusterShare(
                title,
                x=round(float(crowds.places[i, 0]), 3),
                y=round(float(crowds.places[i, 1]), 3),
                real=round(float(theirs[0, i]), 3),
                synthetic=round(float(ours[0, i]), 3),
            )
            for i, title in enumerate(titles)
        ]
        return Measurement(
            float(total_variation(ours, theirs)[0]),
            total_variation(our_draws, their_draws),
            (ClusterShares(tuple(clusters)),),
            ComponentResults("cluster", titles, apart, drawn, self.mode_margin),
            {"max_rows": self.max_rows},
        )


@dataclass(frozen=True)
class _Crowds:
    """Centres of crowds, the crowd of each row they were cut from, and their places on a plane."""

    centres: Matrix
    own: Labels
    places: Floats

    @classmethod
    def of(cls, features: Matrix, n: int, seed: int) -> _Crowds:
        from sklearn.cluster import KMeans
        from threadpoolctl import threadpool_limits

        with threadpool_limits(limits=1):
            cut = KMeans(n, n_init=3, max_iter=100, random_state=seed).fit(features)
            centred = features - features.mean(axis=0)
            _, axes = np.linalg.eigh(centred.T @ centred)
        plane = axes[:, [-1, -2]] if axes.shape[1] > 1 else np.hstack([axes, np.zeros_like(axes)])
        # The sign of an axis is arbitrary: its largest part points up.
        plane *= np.sign(plane[np.abs(plane).argmax(axis=0), [0, 1]] + 1e-300)
        centres = np.asarray(cut.cluster_centers_, dtype=np.float32)
        return cls(
            centres,
            cut.labels_.astype(np.int64),
            np.asarray((centres - features.mean(axis=0)) @ plane, dtype=np.float64),
        )

    def labels(self, features: Matrix) -> Labels:
        """Return the nearest crowd of each row, shape (n,)."""
        square = (self.centres**2).sum(axis=1) - 2 * features @ self.centres.T
        return np.asarray(square.argmin(axis=1), dtype=np.int64)

"""Distances of the shares of clusters of similar rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np

from twinset.core.contracts import Comparison, ComponentResults, Measurement
from twinset.core.data.dataset import Dataset
from twinset.core.features.encoder import Matrix
from twinset.core.findings import ClusterShare, ClusterShares
from twinset.core.parameters import Ge, Margin
from twinset.core.seeding import draw_seed
from twinset.core.stats.bootstrap import Groups

from .._bootstrap_metric import Floats, Ints, SampledMetric
from .._results import share_distance
from .._samples import MIN_SHOWN, cached, require_rows, row_encoder

NamePart = tuple[float, str]
"""How many standard deviations a column sets a cluster apart, and its part of the name."""

_MIN_ROWS = 100  # four clusters of 25 rows
_ROWS_PER_CLUSTER = 25  # train rows: the centre of a smaller cluster is mostly chance
_N_STARTS, _MAX_ITERATIONS = 3, 100  # of k-means: more starts hardly lower its inertia
_MAX_NAME_PARTS = 2  # columns in a name: a longer one is not read
_MIN_STRENGTH = 0.5  # standard deviations: columns below it do not set a cluster apart


@dataclass(frozen=True, kw_only=True)
class Modes(SampledMetric):
    """Total variation distance of the shares of clusters of similar real rows.

    k-means on the features divides the real train rows into clusters; each reference and each
    synthetic row belongs to the nearest centre. value = sum_k |p_synthetic(k) - p_real(k)| / 2, in
    [0, 1]. A cluster whose share is off by more than its own margin makes the whole different; a mode
    that was dropped is a cluster without rows. Clusters of a table are named by the two columns that
    set them apart most; findings hold their places on the two main directions of the real rows.

    Parameters
    ----------
    mode_margin : float
        Equivalence margin of the share of one cluster.
    n_modes : int
        Number of clusters, 2 or more; fewer for few rows, 25 train rows for each.

    References
    ----------
    Bau et al., "Seeing What a GAN Cannot Generate", ICCV 2019; Richardson and Weiss, "On GANs and
    GMMs", NeurIPS 2018 (number of statistically different bins).

    Examples
    --------
    >>> import pyarrow as pa
    >>> rng = np.random.default_rng(0)
    >>> at = np.repeat([0.0, 100.0], 200)
    >>> sets = [Dataset.from_arrow(pa.table({"x": at + rng.normal(size=400)})) for _ in range(3)]
    >>> comparison = Comparison(sets[0], sets[1].take(range(200)), sets[2])
    >>> found = Modes(n_modes=2, replicates=10).compute(comparison, rng)
    >>> found.value, sorted(cluster.name for cluster in found.findings[0].clusters)
    (0.5, ['x high', 'x low'])
    """

    family = "coverage"
    title = "clusters of similar rows"
    interpretation = (
        "Real rows are divided into clusters of similar rows, and the shares of the clusters are "
        "compared: 0 is the same shares. A cluster without synthetic rows is a hole in the set."
    )

    margin: Margin = 0.04
    mode_margin: Margin = 0.03
    n_modes: Annotated[int, Ge(2)] = 16
    max_rows: Annotated[int, Ge(_MIN_ROWS)] = 10_000

    def compute(self, comparison: Comparison, rng: np.random.Generator) -> Measurement:
        """Return the distance of the clusters' shares, 0 to 1."""
        names = [field.name for field in comparison.train.schema.fields]
        train, *sets = (
            part.select(names).at_most(self.max_rows, rng)
            for part in (comparison.train, comparison.reference, comparison.synthetic)
        )
        require_rows((train, *sets), _MIN_ROWS)
        encoder = row_encoder(comparison, names)
        seed = draw_seed(rng)
        n = min(self.n_modes, max(2, len(train) // _ROWS_PER_CLUSTER))
        centres, places, titles = cached(
            comparison, "modes", lambda: _find_clusters(train, encoder.transform(train), n, seed)
        )
        shares = []
        for rows in sets:
            groups = Groups.assign(len(rows), self.replicates, rng)
            square = (centres**2).sum(axis=1) - 2 * encoder.transform(rows) @ centres.T
            labels = np.asarray(square.argmin(axis=1), dtype=np.int64)
            shares.append(groups.shares(groups.counts(labels, len(titles))))
        (real, real_drawn), (synthetic, synthetic_drawn) = shares
        distance, replicates = share_distance(shares[1], shares[0])
        clusters = [
            ClusterShare(title, *(round(float(number), 3) for number in numbers))
            for title, *numbers in zip(titles, *places.T, real[0], synthetic[0])
        ]
        components = ComponentResults(
            "cluster",
            titles,
            np.abs(synthetic - real)[0],
            np.abs(synthetic_drawn - real_drawn),
            self.mode_margin,
        )
        findings = (ClusterShares(tuple(clusters)),)
        return Measurement(distance, replicates, findings, components, {"max_rows": self.max_rows})


def _find_clusters(
    train: Dataset, features: Matrix, n: int, seed: int
) -> tuple[Matrix, Floats, tuple[str, ...]]:
    """Return n centres, their places on the two main directions, and their names."""
    from sklearn.cluster import KMeans
    from threadpoolctl import threadpool_limits

    with threadpool_limits(limits=1):
        model = KMeans(n, n_init=_N_STARTS, max_iter=_MAX_ITERATIONS, random_state=seed)
        model.fit(features)
        centred = features - features.mean(axis=0)
        _, axes = np.linalg.eigh(centred.T @ centred)
    plane = axes[:, [-1, -2]] if axes.shape[1] > 1 else np.hstack([axes, np.zeros_like(axes)])
    # The sign of an axis is arbitrary: its largest part points up.
    plane *= np.sign(plane[np.abs(plane).argmax(axis=0), [0, 1]] + 1e-300)
    centres = np.asarray(model.cluster_centers_, dtype=np.float32)
    places = np.asarray((centres - features.mean(axis=0)) @ plane, dtype=np.float64)
    return centres, places, name_clusters(train, model.labels_.astype(np.int64), n)


def name_clusters(rows: Dataset, labels: Ints, n: int) -> tuple[str, ...]:
    """Return a name of each cluster: levels that are more frequent in it, numbers high or low.

    Levels are named where 11 rows of the cluster have them; clusters without or of equal names get
    numbers.
    """
    parts: list[list[NamePart]] = [[] for _ in range(n)]
    for field in rows.schema.fields:
        if field.has_levels:
            found = _level_parts(rows, field.name, labels, n)
        elif field.has_order:
            found = _number_parts(rows, field.name, labels, n)
        else:
            continue
        for cluster, part in found.items():
            parts[cluster].append(part)
    names: list[str] = []
    for number, own in enumerate(parts):
        best = sorted(own, key=lambda part: -part[0])[:_MAX_NAME_PARTS]
        name = ", ".join(text for strength, text in best if strength >= _MIN_STRENGTH)
        name = name or f"cluster {number + 1}"
        n_equal = sum(one == name or one.startswith(f"{name} (") for one in names)
        names.append(f"{name} ({n_equal + 1})" if n_equal else name)
    return tuple(names)


def _level_parts(rows: Dataset, name: str, labels: Ints, n: int) -> dict[int, NamePart]:
    """Return the level of each cluster whose share is most above that of all rows."""
    codes, levels = rows.codes(name)
    known = codes >= 0
    if not levels or not known.any():
        return {}
    flat = labels[known] * len(levels) + codes[known]
    counts = np.bincount(flat, minlength=n * len(levels)).reshape(n, -1)
    sizes = np.maximum(np.bincount(labels, minlength=n), 1)
    share = counts.sum(axis=0) / len(codes)
    spread = np.sqrt(np.maximum(share * (1 - share), 1e-9))
    excess = np.where(counts >= MIN_SHOWN, (counts / sizes[:, None] - share) / spread, -np.inf)
    best = excess.argmax(axis=1)
    strength = excess[np.arange(n), best]
    return {
        int(k): (float(strength[k]), f"{name} = {levels[best[k]]}")
        for k in np.flatnonzero(np.isfinite(strength))
    }


def _number_parts(rows: Dataset, name: str, labels: Ints, n: int) -> dict[int, NamePart]:
    """Return how far the mean rank of each cluster lies from the middle."""
    values = rows.values(name)
    known = ~np.isnan(values)
    if known.sum() < MIN_SHOWN or np.ptp(values[known]) == 0:
        return {}
    _, place, counts = np.unique(values[known], return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - counts / 2)[place] / known.sum() - 0.5
    sizes = np.bincount(labels[known], minlength=n)
    means = np.bincount(labels[known], ranks, n) / np.maximum(sizes, 1)
    strength = means / max(float(ranks.std()), 1e-9)
    return {
        int(k): (float(abs(strength[k])), f"{name} {'high' if strength[k] > 0 else 'low'}")
        for k in np.flatnonzero(sizes >= MIN_SHOWN)
    }

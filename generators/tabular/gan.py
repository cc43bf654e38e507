"""`tabular.gan`: a conditional GAN."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np

from twinset.core.contracts import Generator, Progress, silent
from twinset.core.data.conditions import rows_to_learn_from
from twinset.core.data.dataset import Dataset
from twinset.core.data.schema import TABULAR_KINDS
from twinset.core.features.torch_device import device_of, one_thread, require_torch
from twinset.core.parameters import Device, Interval
from twinset.core.seeding import torch_generator

from ._gan.fitted import FittedGan
from ._gan.layout import Features, RealRows, SlotLayout
from ._gan.sampler import GanSampler, calibrate
from ._gan.states import Floats, StateTable
from ._gan.training import GanTrainingOptions, train

_MOST_CELLS = 60_000_000


@dataclass(frozen=True, kw_only=True)
class Gan(Generator):
    """Conditional GAN in the line of CTGAN, with matched pair moments and calibrated margins.

    After Xu et al.: mode-specific normalisation, training by sampling (a condition on one column,
    its rarer states more often than they occur), packs of rows for the critic, Wasserstein loss with
    gradient penalty. Different from there: a mode is an interval of ranks, so numbers are even inside
    it; repeated numbers, missing values and levels are states alike, each can be the condition, and
    the condition is written into the row; states come from a straight-through Gumbel softmax;
    the generator is also pulled towards the real two-way tables and correlations (their squared
    distance, estimated without bias from the halves of a batch) and towards rows on which a
    predictor of the target errs as on real ones; its weights are averaged; and after
    training the scores of states and the places inside intervals are shifted until every column
    has its real distribution.

    Where it is weak: dependence among three columns and more comes from critic and predictor alone,
    so a boosted detector still tells its rows from real ones and models trained on them lose more
    than with `tabular.trees`, which is also many times faster, and better on small tables. Take this
    one to compare with GANs, or where a graphics card is idle.

    One equality on a label, a repeated number or "missing" is the network's own condition. Of any
    other condition the rarest part is, and the rest is met by drawing again; what is still lacking
    after a bounded number of draws gets the admissible states by force.

    Parameters
    ----------
    steps : int
        Training steps, 1 or more; each takes one batch through critic and generator.
    batch_rows : int
        Rows in a batch, 2 or more; rounded down to a multiple of twice `pack`.
    pack : int
        Rows that the critic judges together, 1 to 100.
    width : int
        Units of the hidden layers, 8 to 8,192.
    noise : int
        Dimensions of the noise, 1 to 8,192.
    learning_rate : float
        Step size of Adam, 1e-6 to 0.1; it goes to zero along the second half.
    temperature : float
        Of the Gumbel softmax, 0.01 to 10; lower is closer to the drawn states, with noisier gradients.
    penalty : float
        Weight of the gradient penalty, 0 to 1,000.
    moments : float
        Weight of the distance between pair moments, 0 (off) to 1,000.
    downstream : float
        Weight of what a predictor of the target, if the table has one, finds different, 0 (off) to
        1,000.
    modes : int
        Most intervals of a number, 1 to 256; small tables take fewer.
    max_levels : int
        Commonest levels of a category that get a state each, 2 to 10,000; the others share one and
        are drawn by their share inside it.
    device : {"auto", "cpu", "cuda"}
        Where to compute; "auto" takes a graphics card when torch sees one.

    References
    ----------
    Xu, Skoularidou, Cuesta-Infante and Veeramachaneni, "Modeling Tabular Data using Conditional
    GAN", NeurIPS 2019; Lin et al., "PacGAN", NeurIPS 2018; Gulrajani et al., "Improved Training of
    Wasserstein GANs", NeurIPS 2017; Zhao et al., "CTAB-GAN+", Frontiers in Big Data, 2024.

    Examples
    --------
    >>> import pyarrow as pa
    >>> from twinset.core.data.where import Where
    >>> x = np.random.default_rng(0).normal(size=300)
    >>> real = Dataset.from_arrow(pa.table({"x": x, "big": np.where(x > 1, "yes", "no")}))
    >>> fitted = Gan(steps=5, width=16).fit(real, np.random.default_rng(1))
    >>> rows = fitted.sample(7, np.random.default_rng(2), Where({"big": "yes"}))
    >>> len(rows), rows.codes("big")[1]
    (7, ('yes',))
    """

    steps: Annotated[int, Interval(ge=1, le=10_000_000)] = 2_500
    batch_rows: Annotated[int, Interval(ge=2, le=1_000_000)] = 500
    pack: Annotated[int, Interval(ge=1, le=100)] = 10
    width: Annotated[int, Interval(ge=8, le=8_192)] = 256
    noise: Annotated[int, Interval(ge=1, le=8_192)] = 64
    learning_rate: Annotated[float, Interval(ge=1e-6, le=0.1)] = 2e-3
    temperature: Annotated[float, Interval(ge=0.01, le=10)] = 0.7
    penalty: Annotated[float, Interval(ge=0, le=1_000)] = 10.0
    moments: Annotated[float, Interval(ge=0, le=1_000)] = 0.5
    downstream: Annotated[float, Interval(ge=0, le=1_000)] = 3.0
    modes: Annotated[int, Interval(ge=1, le=256)] = 10
    max_levels: Annotated[int, Interval(ge=2, le=10_000)] = 128
    device: Device = "auto"

    kinds: ClassVar[frozenset[str]] = TABULAR_KINDS
    extra: ClassVar[str | None] = "torch"

    def fit(
        self, real: Dataset | None, rng: np.random.Generator, progress: Progress = silent
    ) -> FittedGan:
        """Return the trained generator; needs 10 rows. Time grows with `steps`, hardly with rows.

        On a CPU torch computes on one thread, so that the seed alone decides; on a graphics card
        results repeat on that card only. Tables of more than 60 million cells are thinned at random.
        """
        train_rows = rows_to_learn_from(real, self.kinds, component="tabular.gan", min_rows=10)
        require_torch()
        device = device_of(self.device)
        most = _MOST_CELLS // max(len(train_rows.schema.fields), 1)
        rows = train_rows.without_reserved().at_most(most, rng)
        table, matrix = StateTable.of(rows, n_modes=self.modes, max_levels=self.max_levels)
        with one_thread():
            return FittedGan(self._train(table, matrix, device, rng, progress))

    def _train(
        self,
        table: StateTable,
        matrix: Floats,
        device: str,
        rng: np.random.Generator,
        progress: Progress,
    ) -> GanSampler:
        layout = SlotLayout.of(table)
        if not layout.spans:
            return GanSampler.of_constants(table, layout, device)
        states, positions = table.encode(matrix, rng)
        slots = states[:, list(layout.spans)] + layout.starts
        places = positions[:, [layout.spans[i] for i in layout.numbers]]
        counts = np.bincount(slots.ravel(), minlength=layout.n_slots)
        features = Features.of(layout, layout.rank_weights(table, counts), device)
        random = torch_generator(rng, device)
        real = RealRows(features, slots, places)
        target = table.encoding.schema.target
        place = None if target is None else table.encoding.schema.names.index(target.name)
        span = layout.spans.index(place) if place in layout.spans else None
        average = train(real, self._plan(), span, random, progress)
        shares = (real.counts / len(real)).float()
        weights, margins = calibrate(average, features, shares, random)
        return GanSampler(table, features, weights, margins, shares)

    def _plan(self) -> GanTrainingOptions:
        names = GanTrainingOptions.__dataclass_fields__
        return GanTrainingOptions(**{name: getattr(self, name) for name in names})

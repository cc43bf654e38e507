"""`tabular.gan`: a conditional GAN."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

import numpy as np
import numpy.typing as npt

from twinset.core.contracts import FittedGenerator, Generator, Progress, silent
from twinset.core.data.conditions import keep_drawing, rows_to_learn_from
from twinset.core.data.dataset import Dataset
from twinset.core.data.schema import TABULAR_KINDS
from twinset.core.data.where import Where
from twinset.core.errors import ParameterError
from twinset.core.features.torch_device import (
    device_of,
    one_thread,
    require_torch,
    torch,
    torch_generator,
)
from twinset.core.parameters import Device, Interval

from ._discrete import AdmissibleValues, Floats
from ._fitted import Arrays, ReadArrays, pack, unpack
from ._gan.layout import RealRows, SlotLayout, StateFeatures, StateTable, force_condition
from ._gan.networks import (
    GanSampler,
    Predictor,
    calibrate_margins,
    generate_scores,
    gumbel,
    new_critic,
    new_generator,
    score_packs,
)

_BETAS = (0.5, 0.9)  # of Adam, as in Xu et al.
_PENALTY_EVERY = 4  # steps; the second derivative costs as much as the rest of a step
_EVERY_OTHER = 2  # moments and predictor alternate, each with twice its weight
# A moment is divided by the fourth roots of both mean squares, so that rare cells count more than by
# their share; cells below 1e-4 are noise.
_MIN_MOMENT, _MOMENT_POWER = 1e-4, 0.25
_MAX_FEATURES = 1_024  # of which all pairs are compared: the cost grows as their square
_AVERAGE = 0.995  # of the weights of the step before: the mean spans the last few hundred steps
_REPORT_EVERY = 20  # steps between two calls of `progress`
_MAX_CELLS = 60_000_000  # rows times columns; longer tables are thinned: their slots need 0.5 GB
# Draws for a condition that is more than one state, and rows of the first one: then what is missing
# is forced. Small requests draw up to four times their rows.
_ROUNDS, _MIN_DRAWN = 4, 256


@dataclass(frozen=True, kw_only=True)
class Gan(Generator):
    """Conditional GAN in the line of CTGAN, with matched pair moments and calibrated margins.

    After Xu et al.: mode-specific normalisation, training by sampling (a condition on one column,
    its rarer states more often than they occur), packs of rows for the critic, Wasserstein loss with
    gradient penalty. Different from there: a mode is an interval of ranks, so numbers are even inside
    it; repeated numbers, missing values and levels are all states, each can be the condition, and
    the condition is written into the row; states come from a straight-through Gumbel softmax; the
    loss includes the squared distance to the real two-way tables and correlations (estimated without
    bias from the halves of a batch) and to the errors of a predictor of the target on real rows; the
    weights are averaged; and after training the scores of states and the places inside intervals are
    shifted until every column has its real distribution.

    Its weakness: dependence among three columns and more comes from critic and predictor alone, so a
    boosted discriminator still separates its rows from real ones and models trained on them lose
    more than with `tabular.trees`, which is also many times faster, and better on small tables. Use
    this one to compare with GANs.

    One equality on a label, a repeated number or "missing" is the network's own condition. Of any
    other condition the rarest part is, and the rest is met by drawing again; after a bounded number
    of draws the remaining rows are forced into admissible states.

    Parameters
    ----------
    steps : int
        Training steps, 1 or more; each takes one batch through critic and generator.
    batch_rows : int
        Rows in a batch, 2 or more; rounded down to a multiple of twice `pack`.
    pack : int
        Rows that the critic scores together, 1 to 100.
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
        Weight of the predictor of the target, if the table has one, 0 (off) to 1,000.
    modes : int
        Intervals of a number at most, 1 to 256; small tables take fewer.
    max_levels : int
        Most frequent levels of a category that get a state each, 2 to 10,000; the others share one
        and are drawn by their share inside it.
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
        max_rows = _MAX_CELLS // max(len(train_rows.schema.fields), 1)
        rows = train_rows.without_reserved().at_most(max_rows, rng)
        table, matrix = StateTable.from_dataset(
            rows, n_modes=self.modes, max_levels=self.max_levels
        )
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
        layout = SlotLayout.from_table(table)
        if not layout.spans:
            return GanSampler.of_constants(table, layout, device)
        states, positions = table.encode(matrix, rng)
        slots = states[:, list(layout.spans)] + layout.starts
        places = positions[:, [layout.spans[i] for i in layout.numbers]]
        counts = np.bincount(slots.ravel(), minlength=layout.n_slots)
        features = StateFeatures.from_layout(layout, layout.rank_weights(table, counts), device)
        random = torch_generator(rng, device)
        real = RealRows(features, slots, places)
        target = table.encoding.schema.target
        place = None if target is None else table.encoding.schema.names.index(target.name)
        span = layout.spans.index(place) if place in layout.spans else None
        average = train_gan(real, self, span, random, progress)
        shares = (real.counts / len(real)).float()
        calibrated = calibrate_margins(average, features, shares, random)
        return GanSampler(table, features, *calibrated, shares)


def train_gan(
    real: RealRows,
    settings: Gan,
    target: int | None,
    random: torch.Generator,
    progress: Progress,
) -> dict[str, torch.Tensor]:
    """Return the running average of the generator's weights over the last few hundred steps."""
    features = real.features
    n_slots, n_places = features.layout.n_slots, len(features.interval_slots)
    generator = new_generator(settings.noise, settings.width, n_slots, n_places, random)
    critic = new_critic(features.n_features, n_slots, settings.width, settings.pack, random)
    average = {name: weight.clone() for name, weight in generator.items()}
    optimizers = [_adam(weights, settings) for weights in (generator, critic)]
    match = PairMoments(real)
    predictor = None
    if settings.downstream and target is not None:
        predictor = Predictor(features, target, random)
    n_rows = max(settings.batch_rows // (2 * settings.pack), 1) * 2 * settings.pack
    for step in range(settings.steps):
        _slow_down(optimizers, settings, step)
        slots, rows = real.batch(n_rows, random)
        generated = draw_rows(generator, features, slots, settings, random)
        penalty = settings.penalty if step % _PENALTY_EVERY == 0 else 0.0
        loss = critic_loss(critic, rows, generated.detach(), slots, settings.pack, penalty, random)
        _step(optimizers[1], loss)
        loss = -score_packs(critic, generated, slots, settings.pack).mean()
        if settings.moments and step % _EVERY_OTHER == 0:
            loss = loss + settings.moments * _EVERY_OTHER * match.distance(generated, rows, random)
        if predictor and step % _EVERY_OTHER:
            predictor.learn(rows)
            loss = loss + settings.downstream * _EVERY_OTHER * predictor.distance(generated, rows)
        _step(optimizers[0], loss)
        share = 1 - min(_AVERAGE, (1 + step) / (10 + step))
        with torch.no_grad():
            torch._foreach_lerp_(list(average.values()), list(generator.values()), share)
        if step % _REPORT_EVERY == 0 or step == settings.steps - 1:
            progress("train", step + 1, settings.steps)
    return average


def draw_rows(
    weights: dict[str, torch.Tensor],
    features: StateFeatures,
    slots: torch.Tensor,
    settings: Gan,
    random: torch.Generator,
) -> torch.Tensor:
    """Return generated rows of features that have the requested states, shape (n, f).

    States are drawn by the straight-through Gumbel softmax (Jang et al. 2017): one-hot as in real
    rows, with the gradient of the softmax. The requested state is written into the row.
    """
    device = slots.device
    noise = torch.randn(len(slots), settings.noise, generator=random, device=device)
    scores, places = generate_scores(weights, noise, slots).split(
        [features.layout.n_slots, len(features.interval_slots)], 1
    )
    scores = scores.masked_fill(~features.used, -1e9) + gumbel(scores, random)
    soft = features.layout.softmax(scores / settings.temperature)
    hard = features.one_hot(features.layout.choose(scores.detach()))
    states = hard + soft - soft.detach()
    is_requested = features.span_of == features.span_of[slots][:, None]
    requested = features.one_hot(slots[:, None])
    return features.rows(torch.where(is_requested, requested, states), torch.tanh(places))


def critic_loss(
    critic: dict[str, torch.Tensor],
    real: torch.Tensor,
    generated: torch.Tensor,
    slots: torch.Tensor,
    pack: int,
    penalty: float,
    random: torch.Generator,
) -> torch.Tensor:
    """Return the Wasserstein loss with gradient penalty (Gulrajani et al. 2017) of the critic."""
    loss = (
        score_packs(critic, generated, slots, pack).mean()
        - score_packs(critic, real, slots, pack).mean()
    )
    if not penalty:
        return loss
    n_packs = len(real) // pack
    along = torch.rand(n_packs, generator=random, device=real.device).repeat_interleave(pack)
    between = (generated + along[:, None] * (real - generated)).requires_grad_()
    total = score_packs(critic, between, slots, pack).sum()
    (slope,) = torch.autograd.grad(total, between, create_graph=True)
    lengths = slope.reshape(n_packs, -1).norm(dim=1)
    return loss + penalty * ((lengths - 1) ** 2).mean()


class PairMoments:
    """Distance between the mean products of any two features in real and in generated rows.

    For one-hot features a mean product is a cell of the table of two columns, for ranks it is their
    correlation. The two halves of a batch are independent, so the product of their deviations is an
    unbiased estimate of the squared distance; rare cells weigh more than by their share.

    Up to 1,024 features the real products are those of all rows; beyond, each step compares as
    many features at random with a batch of real rows, so that the cost stays bounded.
    """

    def __init__(self, real: RealRows) -> None:
        own = real.mean_squares()
        scale = own.clamp_min(_MIN_MOMENT) ** -_MOMENT_POWER
        self.scale = torch.where(own > 0, scale, 0.0)
        self.expected: torch.Tensor | None = None
        if len(own) <= _MAX_FEATURES:
            self.expected = real.moments() * self.scale * self.scale[:, None]

    def distance(
        self, generated: torch.Tensor, real: torch.Tensor, random: torch.Generator
    ) -> torch.Tensor:
        """Return the estimate for two batches of features, shape (n, f) each."""
        half = len(generated) // 2
        if self.expected is not None:
            parts = (generated * self.scale).split(half)
            one, two = (part.T @ part / half - self.expected for part in parts)
            return (one * two).sum()
        order = torch.rand(len(self.scale), generator=random, device=generated.device).argsort()
        some = order[:_MAX_FEATURES]
        generated, real = generated[:, some] * self.scale[some], real[:, some] * self.scale[some]
        one, two = (
            (m.T @ m - r.T @ r) / half
            for m, r in zip(generated.split(half), real.split(half), strict=True)
        )
        return (one * two).sum() * (len(order) / _MAX_FEATURES) ** 2


def _adam(weights: dict[str, torch.Tensor], settings: Gan) -> Any:
    for weight in weights.values():
        weight.requires_grad_()
    return torch.optim.Adam(list(weights.values()), settings.learning_rate, _BETAS, fused=True)


def _step(optimizer: Any, loss: torch.Tensor) -> None:
    optimizer.zero_grad()
    # No gradient of the other network, which the loss passes through.
    loss.backward(inputs=optimizer.param_groups[0]["params"])
    optimizer.step()


def _slow_down(optimizers: list[Any], settings: Gan, step: int) -> None:
    """Lower the step size to zero along the second half of the training."""
    left = 2 * (1 - step / settings.steps)
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["lr"] = settings.learning_rate * min(1.0, left)


class FittedGan(FittedGenerator):
    """A trained conditional GAN; `to_arrays` and `from_arrays` move it between processes."""

    def __init__(self, sampler: GanSampler) -> None:
        self.sampler = sampler
        self.schema = sampler.table.encoding.schema

    def sample(self, n: int, rng: np.random.Generator, where: Where | None = None) -> Dataset:
        """Return `n` rows that meet `where`.

        Raises
        ------
        ParameterError
            No value of a column meets its condition.
        """
        sampler = self.sampler
        with one_thread():
            random = torch_generator(rng, str(sampler.shares.device))
            if where is None or not where.conditions:
                return self._decode(sampler.draw(n, random)[0])
            admissible = sampler.table.find_admissible(where)
            requested = _rarest(sampler, admissible)
            try:
                return keep_drawing(
                    lambda size: self._decode(sampler.draw(size, random, requested=requested)[0]),
                    n,
                    where,
                    rounds=_ROUNDS,
                    min_draw=min(_MIN_DRAWN, 4 * n),
                )
            except ParameterError:
                return self._force(n, rng, random, admissible, requested)

    def _force(
        self,
        n: int,
        rng: np.random.Generator,
        random: torch.Generator,
        admissible: Mapping[int, AdmissibleValues],
        requested: torch.Tensor | None,
    ) -> Dataset:
        """Return `n` rows whose conditioned columns may only be in admissible states.

        The other columns depend on these only through the network's own condition.
        """
        sampler = self.sampler
        allowed = sampler.features.used.clone()
        for i, column in admissible.items():
            own = sampler.features.layout.slots_of(i)
            if own is not None:
                allowed[own] = False
                allowed[own.start + np.unique(column.states)] = True
        values, states = sampler.draw(n, random, requested=requested, allowed=allowed)
        for i, column in admissible.items():
            force_condition(column, values, states[:, i], rng)
        return self._decode(values)

    def _decode(self, values: npt.NDArray[np.float64]) -> Dataset:
        return self.sampler.table.encoding.decode(values)

    def to_arrays(self) -> tuple[Arrays, dict[str, Any]]:
        """Return plain arrays and JSON values of the fitted generator; they contain no row.

        They contain frequent values and points of each column's own distribution.
        """
        sampler, arrays = self.sampler, dict[str, npt.NDArray[Any]]()
        meta = {"table": pack(sampler.table, "table", arrays)}
        tensors = {f"weights/{name}": weight for name, weight in sampler.weights.items()}
        tensors |= {"bias": sampler.bias, "knots": sampler.knots}
        tensors |= {"shares": sampler.shares, "rank_of_state": sampler.features.rank_of_state}
        tensors |= {"rank_of_place": sampler.features.rank_of_place}
        return arrays | {name: t.cpu().numpy() for name, t in tensors.items()}, meta

    @classmethod
    def from_arrays(
        cls, arrays: ReadArrays, meta: Mapping[str, Any], device: str = "auto"
    ) -> FittedGan:
        """Return the fitted generator that `to_arrays` wrote, on `device`."""
        require_torch()
        device = device_of(device)
        table = unpack(StateTable, meta["table"], arrays)

        def tensor(name: str) -> torch.Tensor:
            return torch.tensor(np.asarray(arrays[name]), device=device)

        names = [name for name in arrays if name.startswith("weights/")]
        weights = {name.removeprefix("weights/"): tensor(name) for name in names}
        ranks = np.asarray(arrays["rank_of_state"]), np.asarray(arrays["rank_of_place"])
        features = StateFeatures.from_layout(SlotLayout.from_table(table), ranks, device)
        parts = (tensor(name) for name in ("bias", "knots", "shares"))
        return cls(GanSampler(table, features, weights, *parts))


def _rarest(sampler: GanSampler, admissible: Mapping[int, AdmissibleValues]) -> torch.Tensor | None:
    """Return the chances of the network's condition: the admissible states of the rarest column."""
    found: list[tuple[float, torch.Tensor]] = []
    for i, column in admissible.items():
        own = sampler.features.layout.slots_of(i)
        if own is not None:
            chances = torch.zeros_like(sampler.shares)
            slots = own.start + np.unique(column.states)
            chances[slots] = sampler.shares[slots]
            found.append((float(chances.sum()), chances))
    found = [(share, chances) for share, chances in found if share > 0]
    return min(found, key=lambda pair: pair[0])[1] if found else None

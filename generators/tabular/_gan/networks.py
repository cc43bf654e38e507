"""Networks of the conditional GAN as plain dictionaries of tensors, and sampling from them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from twinset.core.features.torch_device import torch

from .._discrete import Floats
from .layout import SlotLayout, StateFeatures, StateTable

if TYPE_CHECKING:
    Weights = Mapping[str, torch.Tensor]


_SLOPE = 0.2  # of the leaky ReLU of the critic, as in Xu et al.
_EPSILON = 1e-5  # added to variances, as in batch normalisation
# Units and step size of the predictor: it must follow the real rows faster than the generator does.
_PREDICTOR_WIDTH, _PREDICTOR_RATE = 128, 2e-3


def new_generator(
    n_noise: int, width: int, n_slots: int, n_places: int, random: torch.Generator
) -> dict[str, torch.Tensor]:
    """Return first weights of a generator: two residual blocks after Xu et al., then its outputs."""
    n_in, n_out = 2 * n_noise, n_slots + n_places
    weights = {"condition": draw_normal_weights(n_slots, n_noise, 1.0, random)}
    for layer in ("1", "2"):
        weights["w" + layer] = draw_normal_weights(n_in, width, n_in**-0.5, random)
        weights["g" + layer] = fill_weights(width, 1.0, random)
        weights["b" + layer] = fill_weights(width, 0.0, random)
        n_in += width
    weights["w3"] = draw_normal_weights(n_in, n_out, n_in**-0.5, random)
    weights["b3"] = fill_weights(n_out, 0.0, random)
    return weights


def generate_scores(weights: Weights, noise: torch.Tensor, slots: torch.Tensor) -> torch.Tensor:
    """Return scores of all slots and, before the tanh, places of all intervals, shape (n, p + h)."""
    rows = torch.cat([noise, weights["condition"][slots]], 1)
    for layer in ("1", "2"):
        hidden = rows @ weights["w" + layer]
        if "g" + layer in weights:
            spread, mean = torch.var_mean(hidden, 0, unbiased=False)
            hidden = (hidden - mean) * (torch.rsqrt(spread + _EPSILON) * weights["g" + layer])
        rows = torch.cat([torch.relu(hidden + weights["b" + layer]), rows], 1)
    return rows @ weights["w3"] + weights["b3"]


def fix_normalization(
    weights: Weights, noise: torch.Tensor, slots: torch.Tensor
) -> dict[str, torch.Tensor]:
    """Return a generator whose normalisation is fixed to the moments of this large batch."""
    fixed = {k: v.detach().clone() for k, v in weights.items() if not k.startswith("g")}
    rows = torch.cat([noise, fixed["condition"][slots]], 1)
    for layer in ("1", "2"):
        hidden = rows @ weights["w" + layer]
        spread, mean = torch.var_mean(hidden, 0, unbiased=False)
        scale = torch.rsqrt(spread + _EPSILON) * weights["g" + layer]
        fixed["w" + layer] = weights["w" + layer] * scale
        fixed["b" + layer] = weights["b" + layer] - mean * scale
        hidden = rows @ fixed["w" + layer] + fixed["b" + layer]
        rows = torch.cat([torch.relu(hidden), rows], 1)
    return {k: v.detach() for k, v in fixed.items()}


def new_critic(
    n_features: int, n_slots: int, width: int, pack: int, random: torch.Generator
) -> dict[str, torch.Tensor]:
    """Return first weights of a critic of packs of `pack` rows (PacGAN, Lin et al. 2018)."""
    narrow = max(32, 3 * width // 8)
    return {
        "condition": draw_normal_weights(n_slots, narrow, 0.3, random),
        "w0": draw_normal_weights(n_features, narrow, n_features**-0.5, random),
        "b0": fill_weights(narrow, 0.0, random),
        "w1": draw_normal_weights(narrow * pack, width, (narrow * pack) ** -0.5, random),
        "b1": fill_weights(width, 0.0, random),
        "w2": draw_normal_weights(width, width, width**-0.5, random),
        "b2": fill_weights(width, 0.0, random),
        "w3": draw_normal_weights(width, 1, width**-0.5, random),
    }


def score_packs(
    weights: Weights, rows: torch.Tensor, slots: torch.Tensor, pack: int
) -> torch.Tensor:
    """Return the critic's score of each pack of rows, shape (n / pack,); larger is more real."""
    requested = weights["condition"][slots]
    hidden = torch.nn.functional.leaky_relu(
        rows @ weights["w0"] + weights["b0"] + requested, _SLOPE
    )
    hidden = hidden.reshape(len(rows) // pack, -1) @ weights["w1"] + weights["b1"]
    hidden = torch.nn.functional.leaky_relu(hidden, _SLOPE) @ weights["w2"] + weights["b2"]
    return (torch.nn.functional.leaky_relu(hidden, _SLOPE) @ weights["w3"])[:, 0]


def gumbel(like: torch.Tensor, random: torch.Generator) -> torch.Tensor:
    """Return standard Gumbel noise in the shape of `like`."""
    drawn = torch.empty_like(like, requires_grad=False).exponential_(generator=random)
    return -torch.log(drawn.clamp_min_(1e-20))


def draw_normal_weights(
    rows: int, columns: int, scale: float, random: torch.Generator
) -> torch.Tensor:
    """Return normal weights with this standard deviation, on the generator's device."""
    empty = torch.empty(rows, columns, device=random.device)
    return empty.normal_(0.0, float(np.float32(scale)), generator=random)


def fill_weights(size: int, value: float, random: torch.Generator) -> torch.Tensor:
    """Return equal weights, on the generator's device."""
    return torch.full((size,), value, device=random.device)


class Predictor:
    """Predicts the state of the target (a span) from the other columns; trained on real rows.

    The downstream loss of CTAB-GAN+ without its pull towards easy rows: the correlation of the
    prediction error on generated rows with the predictor's hidden units is kept at that of real
    rows. In expectation this is the gradient of the predictor's loss by its last layer, which is
    zero on real rows; a model trained on rows with the same property comes out as on real rows.
    """

    def __init__(self, features: StateFeatures, target: int, random: torch.Generator) -> None:
        layout, device, width = features.layout, features.used.device, features.n_features
        start, size = int(layout.starts[target]), layout.sizes[target]
        self.own = slice(start, start + size)
        places = torch.tensor(layout.numbers, dtype=torch.int64, device=device)
        self.is_other = torch.cat([features.span_of, places, places]) != target
        self.weights = {
            "w1": draw_normal_weights(width, _PREDICTOR_WIDTH, width**-0.5, random),
            "b1": fill_weights(_PREDICTOR_WIDTH, 0.0, random),
            "w2": draw_normal_weights(
                _PREDICTOR_WIDTH, _PREDICTOR_WIDTH, _PREDICTOR_WIDTH**-0.5, random
            ),
            "b2": fill_weights(_PREDICTOR_WIDTH, 0.0, random),
            "w3": draw_normal_weights(_PREDICTOR_WIDTH, size, 0.01, random),
            "b3": fill_weights(size, 0.0, random),
        }
        for weight in self.weights.values():
            weight.requires_grad_()
        self.optimizer: Any = torch.optim.Adam(
            list(self.weights.values()), _PREDICTOR_RATE, fused=True
        )

    def learn(self, real: torch.Tensor) -> None:
        """Take one step on a batch of features of real rows, shape (n, f)."""
        _, scores = self._predict(real)
        loss = -(real[:, self.own] * torch.log_softmax(scores, 1)).sum(1).mean()
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()

    def distance(self, generated: torch.Tensor, real: torch.Tensor) -> torch.Tensor:
        """Return an unbiased estimate of the squared distance of the correlations of the errors."""
        with torch.no_grad():
            expected = self._errors(real)
        one, two = (m - r for m, r in zip(self._errors(generated), expected, strict=True))
        return (one * two).sum()

    def _errors(self, rows: torch.Tensor) -> list[torch.Tensor]:
        """Return the mean product of error and hidden units in each half of the rows."""
        hidden, scores = self._predict(rows)
        error = rows[:, self.own] - torch.softmax(scores, 1)
        hidden = torch.cat([hidden, torch.ones_like(hidden[:, :1])], 1)
        half = len(rows) // 2
        halves = zip(error.split(half), hidden.split(half), strict=True)
        return [e.T @ h / half for e, h in halves]

    def _predict(self, rows: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return hidden units and scores of the states of the target."""
        weights = self.weights
        hidden = torch.relu((rows * self.is_other) @ weights["w1"] + weights["b1"])
        hidden = torch.relu(hidden @ weights["w2"] + weights["b2"])
        return hidden, hidden @ weights["w3"] + weights["b3"]


# Rows of the calibration: shares have an error of .002 then; fewer where states are many, for memory.
_MAX_DRAWS, _MAX_CELLS = 49_152, 20_000_000
_ROUNDS, _PACE = 20, 0.7  # of the correction of scores: damped, since spans influence one another
_MIN_SHARE, _MAX_STEP = 1e-4, 1.0  # bound the correction of a state that is never drawn
_KNOTS = 33  # quantiles of the places in an interval
_MIN_PLACES = 64  # rows of an interval: quantiles of fewer are noise, and places stay as they are
_CELLS_AT_ONCE = 8_000_000  # 32-bit floats of a block of scores: 32 MB


def calibrate_margins(
    average: Weights, features: StateFeatures, shares: torch.Tensor, random: torch.Generator
) -> tuple[dict[str, torch.Tensor], torch.Tensor, torch.Tensor]:
    """Return the generator with fixed normalisation, and `GanSampler.bias` and `.knots` for it."""
    device = shares.device
    weights = fix_normalization(average, *_draw_inputs(average, shares, random))
    noise, slots = _draw_inputs(average, shares, random)
    scores, places = generate_scores(weights, noise, slots).split(
        [features.layout.n_slots, len(features.interval_slots)], 1
    )
    scores = scores.masked_fill(~features.used, -1e9) + gumbel(scores, random)
    bias = torch.zeros(len(shares), device=device)
    for _ in range(_ROUNDS):
        chosen = force_requested_slots(features.layout.choose(scores + bias), slots, features)
        found = torch.bincount(chosen.flatten(), minlength=len(shares)) / len(chosen)
        ratio = (shares + _MIN_SHARE) / (found + _MIN_SHARE)
        bias += _PACE * torch.log(ratio).clamp(-_MAX_STEP, _MAX_STEP)
    states = force_requested_slots(features.layout.choose(scores + bias), slots, features)
    knots = _quantiles(torch.tanh(places), features.one_hot(states)[:, features.interval_slots])
    return weights, bias.masked_fill(~features.used, 0.0), knots


def _draw_inputs(
    weights: Weights, shares: torch.Tensor, random: torch.Generator
) -> tuple[torch.Tensor, torch.Tensor]:
    width = weights["condition"].shape[1]
    n = min(_MAX_DRAWS, _MAX_CELLS // len(shares))
    noise = torch.randn(n, width, generator=random, device=shares.device)
    return noise, torch.multinomial(shares, n, replacement=True, generator=random)


def force_requested_slots(
    states: torch.Tensor, requested: torch.Tensor, features: StateFeatures
) -> torch.Tensor:
    """Return the chosen slots, shape (n, s), with the requested one, shape (n,), in its span."""
    return states.scatter(1, features.span_of[requested][:, None], requested[:, None])


def _quantiles(places: torch.Tensor, is_there: torch.Tensor) -> torch.Tensor:
    """Return the quantiles of each column of places over the rows that are there, shape (h, k)."""
    even = torch.linspace(-1, 1, _KNOTS, device=places.device)
    if not places.shape[1]:
        return even.repeat(0, 1)
    # Absent places sort to the end, so each column's quantiles are positions among its first ones.
    ordered = torch.where(is_there > 0, places, 2.0).sort(0).values
    count = is_there.sum(0)
    along = (even[:, None] + 1) / 2 * (count - 1).clamp_min(0)
    low = along.floor().long()
    high = along.ceil().long()
    found = torch.lerp(ordered.gather(0, low), ordered.gather(0, high), along - low).T
    found[:, 0], found[:, -1] = -1.0, 1.0
    return torch.where((count >= _MIN_PLACES)[:, None], found, even).contiguous()


@dataclass(frozen=True)
class GanSampler:
    """A trained generator with the tables that turn its scores into values."""

    table: StateTable
    features: StateFeatures
    weights: Weights  # of `fix_normalization`
    bias: torch.Tensor  # added to the scores, shape (p,): states that are too rare become commoner
    knots: torch.Tensor  # quantiles of the places in each interval, (h, k): mapped to even ones
    shares: torch.Tensor  # share of each slot among the real rows, shape (p,)

    @classmethod
    def of_constants(cls, table: StateTable, layout: SlotLayout, device: str) -> GanSampler:
        """Return the sampler of a table in which nothing varies."""
        features = StateFeatures.from_layout(layout, (np.zeros((0, 0)), np.zeros((0, 0))), device)
        nothing = torch.zeros(0, device=device)
        return cls(table, features, {}, nothing, nothing, nothing)

    def draw(
        self,
        n: int,
        random: torch.Generator,
        *,
        requested: torch.Tensor | None = None,
        allowed: torch.Tensor | None = None,
    ) -> tuple[Floats, npt.NDArray[np.int64]]:
        """Return `n` rows for the encoding of the table, shape (n, d), and their states."""
        layout = self.features.layout
        at_once = max(_CELLS_AT_ONCE // max(layout.n_slots, 1), 1)
        values = np.tile(self._constants, (n, 1))
        states = np.zeros((n, len(self.table.columns)), dtype=np.int64)
        for start in range(0, n if layout.spans else 0, at_once):
            part = slice(start, min(start + at_once, n))
            slots, places = self._slots_and_places(part.stop - start, random, requested, allowed)
            for span, i in enumerate(layout.spans):
                state = slots[:, span] - int(layout.starts[span])
                drawn = self._values(span, state, places, random)
                column = self.table.columns[i].column
                states[part, i] = state.cpu().numpy()
                values[part, column.value] = drawn.cpu().numpy()
                if column.missing is not None:
                    values[part, column.missing] = states[part, i] == self.table.columns[i].missing
        return values, states

    def _slots_and_places(
        self,
        n: int,
        random: torch.Generator,
        requested: torch.Tensor | None,
        allowed: torch.Tensor | None,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the slot of every span, shape (n, s), and evenly spread places, shape (n, h)."""
        layout, device = self.features.layout, self.shares.device
        chances = self.shares if requested is None else requested
        if allowed is not None:
            chances = torch.where(allowed, chances, torch.zeros((), device=device))
        slots = torch.multinomial(chances, n, replacement=True, generator=random)
        width = self.weights["condition"].shape[1]
        noise = torch.randn(n, width, generator=random, device=device)
        scores, places = generate_scores(self.weights, noise, slots).split(
            [layout.n_slots, len(self.features.interval_slots)], 1
        )
        usable = self.features.used if allowed is None else allowed
        scores = scores + self.bias + gumbel(scores, random)
        chosen = layout.choose(scores.masked_fill(~usable, -1e9))
        return force_requested_slots(chosen, slots, self.features), self._spread(torch.tanh(places))

    def _spread(self, places: torch.Tensor) -> torch.Tensor:
        """Return places spread evenly over -1 to 1, shape (n, h)."""
        given = places.T.contiguous()
        after = torch.searchsorted(self.knots, given).clamp(1, _KNOTS - 1)
        low, high = self.knots.gather(1, after - 1), self.knots.gather(1, after)
        within = ((given - low) / (high - low).clamp_min(1e-9)).clamp(0, 1)
        return (2 * (after - 1 + within) / (_KNOTS - 1) - 1).T

    def _values(
        self, span: int, state: torch.Tensor, places: torch.Tensor, random: torch.Generator
    ) -> torch.Tensor:
        """Return the values of one column, shape (n,), float64."""
        column, layout = self.table.columns[self.features.layout.spans[span]], self.features.layout
        by_state, corners, rest = self._lookups[span]
        n_atoms, n_intervals = len(column.atoms), column.n_intervals
        values = by_state[state]
        if n_intervals:
            interval = (state - n_atoms).clamp(0, n_intervals - 1)
            first = int(np.searchsorted(layout.interval_owner, layout.numbers.index(span)))
            place = places.gather(1, (first + interval)[:, None])[:, 0].double()
            numbers = _interpolate(corners, (interval + (place + 1) / 2) / n_intervals)
            is_between = (state >= n_atoms) & (state < n_atoms + n_intervals)
            values = torch.where(is_between, numbers, values)
        if column.other is not None:
            along = torch.rand(len(state), generator=random, device=state.device)
            rare = torch.searchsorted(rest[1], along.double()).clamp_max(rest.shape[1] - 1)
            rare = rest[0][rare]
            values = torch.where(state == column.other, rare, values)
        return values

    @cached_property
    def _constants(self) -> Floats:
        """Values and missing indicators of a row in which every column is in its first state."""
        row = np.zeros(self.table.encoding.width)
        for state in self.table.columns:
            column = state.column
            row[column.value] = state.atoms[0] if len(state.atoms) else column.fill
            if column.missing is not None:
                row[column.missing] = state.missing == 0
        return row

    @cached_property
    def _lookups(self) -> list[tuple[torch.Tensor, ...]]:
        """Values by state, corners, and rest of each span's column, on the device."""
        lookups = []
        for i in self.features.layout.spans:
            column = self.table.columns[i]
            by_state = np.full(column.n_states, column.column.fill)
            by_state[: len(column.atoms)] = column.atoms
            tables = (by_state, column.corners, column.rest)
            device = self.shares.device
            lookups.append(
                tuple(torch.tensor(t, dtype=torch.float64, device=device) for t in tables)
            )
        return lookups


def _interpolate(corners: torch.Tensor, along: torch.Tensor) -> torch.Tensor:
    """Return the values of the inverse distribution with these corners, as `numpy.interp` does."""
    after = torch.searchsorted(corners[0].contiguous(), along, right=True)
    after = after.clamp(1, corners.shape[1] - 1)
    low, high = corners[0][after - 1], corners[0][after]
    within = ((along - low) / (high - low).clamp_min(1e-300)).clamp(0, 1)
    return torch.lerp(corners[1][after - 1], corners[1][after], within)

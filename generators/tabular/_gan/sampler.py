"""Sampling from a trained conditional GAN: margins are calibrated, states and values drawn."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from twinset.core.features.torch_device import torch

from .._discrete import Floats
from .layout import SlotLayout, StateFeatures
from .networks import fix_normalization, generate_scores, gumbel
from .states import StateTable

if TYPE_CHECKING:
    from .networks import Weights


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

"""Draws from the trained network: column by column, each given all that is known of the row."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from twinset.core.features.torch_device import torch

from .cells import ColumnCells
from .model import MaskedNet

_ROWS_AT_ONCE = 2_048  # rows whose hidden layers stay in a processor's cache
# Share of distinct rows below which the network runs once for equal rows: beyond, finding equal rows
# costs more than it saves.
_SHARING_LIMIT = 0.6
# Rounds of raking: further ones change no share measurably. Rows added to either count, so that the
# offset of a rare token stays near 0.
_RAKING_ROUNDS, _PRIOR_ROWS = 4, 5.0


class Drawer:
    """Conditional distributions of one column after another, on the device.

    `offset` is added to the score of every coarse token, shape (slots,); see `calibration`.
    """

    def __init__(
        self, net: MaskedNet, weights: dict[str, torch.Tensor], offset: torch.Tensor
    ) -> None:
        self.net, self.weights, self.bias = net, weights, weights["out_bias"] + offset
        with torch.inference_mode():
            self.output = net.output(weights)
        self.fine_of = {
            p: (g, k) for g, group in enumerate(net.layout.fine_groups)
            for k, p in enumerate(group.columns)
        }  # fmt: skip
        self.grids = [torch.as_tensor(cells.grid, device=net.device) for cells in net.layout.cells]

    def fill(
        self,
        codes: torch.Tensor,
        visible: torch.Tensor,
        order: npt.NDArray[np.int64],
        generator: torch.Generator,
        shares: dict[int, torch.Tensor] | None = None,
        *,
        most_likely: bool = False,
    ) -> torch.Tensor:
        """Draw every hidden cell of the columns in `order`; return log p of admissible cells."""
        weight = torch.zeros(len(codes), device=codes.device)
        same, inputs = _EqualRows(codes, visible), self._inputs(codes, visible)
        for p in order.tolist():
            rows = (~visible[:, p]).nonzero()[:, 0]
            if not len(rows):
                continue
            share = (shares or {}).get(p)
            own, back = same.representatives(rows)
            hidden = self._hidden(inputs[own])
            drawn, chance = self._draw_column(p, hidden, back, generator, share, most_likely)
            codes[rows, p] = drawn
            inputs[rows] += self.net.input_of(self.weights, p, drawn)
            weight[rows] += chance
            visible[rows, p] = True
            same.split_by(codes[:, p], len(self.net.layout.cells[p].coarse))
        return weight

    def log_probability(self, codes: torch.Tensor, order: npt.NDArray[np.int64]) -> torch.Tensor:
        """Return log p of whole rows as the product along `order`, shape (n,), in nats."""
        total = torch.zeros(len(codes), dtype=torch.float64, device=codes.device)
        visible = torch.zeros_like(codes, dtype=torch.bool)
        same, inputs = _EqualRows(codes, visible), self._inputs(codes, visible)
        rows = torch.arange(len(codes), device=codes.device)
        for p in order.tolist():
            own, back = same.representatives(rows)
            hidden = self._hidden(inputs[own])
            start = int(self.net.base[p])
            coarse = self.net.token[start + codes[:, p]] - int(self.net.layout.slot[p])
            fine = self.net.fine[start + codes[:, p]]
            scores = self._coarse_scores(p, hidden)
            total += torch.log_softmax(scores, dim=1)[back, coarse]
            finer = self._fine_scores(p, hidden[back], scores[back], coarse)
            if finer is not None:
                total += torch.log_softmax(finer, dim=1).gather(1, fine[:, None])[:, 0]
            inputs += self.net.input_of(self.weights, p, codes[:, p])
            same.split_by(codes[:, p], len(self.net.layout.cells[p].coarse))
        return total

    def calibration(self, codes: torch.Tensor, order: npt.NDArray[np.int64]) -> torch.Tensor:
        """Return offsets with which each column's mean distribution is that of these rows."""
        offset = torch.zeros_like(self.bias)
        visible = torch.zeros_like(codes, dtype=torch.bool)
        same, inputs = _EqualRows(codes, visible), self._inputs(codes, visible)
        every = torch.arange(len(codes), device=codes.device)
        for p in order.tolist():
            own, back = same.representatives(every)
            scores = self._coarse_scores(p, self._hidden(inputs[own]))
            at, n = int(self.net.layout.slot[p]), self.net.layout.n_coarse[p]
            coarse = self.net.token[int(self.net.base[p]) + codes[:, p]] - at
            found = torch.bincount(coarse, minlength=n)
            rows = torch.bincount(back, minlength=len(own)).to(scores.dtype)
            added = torch.zeros(n, device=codes.device)
            for _ in range(_RAKING_ROUNDS):
                meant = rows @ torch.softmax(scores + added, dim=1)
                added += ((found + _PRIOR_ROWS) / (meant + _PRIOR_ROWS)).log()
            offset[at : at + n] = added
            inputs += self.net.input_of(self.weights, p, codes[:, p])
            same.split_by(codes[:, p], len(self.net.layout.cells[p].coarse))
        return offset

    def _inputs(self, codes: torch.Tensor, visible: torch.Tensor) -> torch.Tensor:
        pairs = zip(codes.split(_ROWS_AT_ONCE), visible.split(_ROWS_AT_ONCE), strict=True)
        return torch.cat([self.net.inputs(self.weights, *pair) for pair in pairs])

    def _hidden(self, inputs: torch.Tensor) -> torch.Tensor:
        parts = inputs.split(_ROWS_AT_ONCE)
        return torch.cat([self.net.trunk(self.weights, part) for part in parts])

    def _coarse_scores(self, p: int, hidden: torch.Tensor) -> torch.Tensor:
        at = int(self.net.layout.slot[p])
        end = at + self.net.layout.n_coarse[p]
        return (hidden @ self.output[at:end].T + self.bias[at:end]).float()

    def _fine_scores(
        self, p: int, hidden: torch.Tensor, coarse_scores: torch.Tensor, coarse: torch.Tensor
    ) -> torch.Tensor | None:
        """Return the scores of fine tokens, shape (n, fine); None for one fine token."""
        if p in self.net.ramps:
            return self.net.ramps[p].scores(coarse_scores, coarse)
        if p not in self.fine_of:
            return None
        g, k = self.fine_of[p]
        scores = self.net.fine_scores(self.weights, g, hidden, coarse[:, None], slice(k, k + 1))
        return scores[:, 0, : self.net.layout.n_fine[p]]

    def _draw_column(
        self,
        p: int,
        hidden: torch.Tensor,
        back: torch.Tensor,
        generator: torch.Generator,
        share: torch.Tensor | None,
        most_likely: bool,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        scores = self._coarse_scores(p, hidden)
        chance = torch.zeros(len(hidden), device=hidden.device)
        grid = self.grids[p]
        limited = scores
        if share is not None:
            limited = scores + _coarse_shares(self.net.layout.cells[p], share).log()
            chance = limited.logsumexp(1) - scores.logsumexp(1)
        ordered = self.net.layout.cells[p].is_number
        coarse = _pick(torch.softmax(limited, 1)[back], generator, most_likely, ordered)
        fine = torch.zeros_like(coarse)
        finer = self._fine_scores(p, hidden[back], scores[back], coarse)
        if finer is not None:
            if share is not None:
                padded = torch.cat([share, share.new_zeros(1)])
                finer = finer + padded[grid[coarse]].log()
            fine = _pick(torch.softmax(finer, 1), generator, most_likely, ordered)
        return grid[coarse, fine], chance[back]


class _EqualRows:
    """Rows with equal visible cells: the network runs once for all of them."""

    def __init__(self, codes: torch.Tensor, visible: torch.Tensor) -> None:
        known = torch.where(visible, codes, -1)
        self.group: torch.Tensor | None = None
        self.n = len(codes)
        self._set(torch.unique(known, dim=0, return_inverse=True)[1])

    def _set(self, group: torch.Tensor) -> None:
        n_groups = int(group.max()) + 1 if len(group) else 0
        self.group = group if n_groups < _SHARING_LIMIT * self.n else None

    def representatives(self, rows: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return one row of each group in `rows`, and for each of these its place among them."""
        if self.group is None:
            return rows, torch.arange(len(rows), device=rows.device)
        groups, back = torch.unique(self.group[rows], return_inverse=True)
        first = torch.full((len(groups),), len(rows), device=rows.device)
        places = torch.arange(len(rows), device=rows.device)
        first = first.scatter_reduce(0, back, places, "amin")
        return rows[first], back

    def split_by(self, column: torch.Tensor, n_cells: int) -> None:
        """Split the groups by one more visible column."""
        if self.group is not None:
            self._set(torch.unique(self.group * n_cells + column, return_inverse=True)[1])


def _pick(
    chances: torch.Tensor, generator: torch.Generator, most_likely: bool, is_ordered: bool
) -> torch.Tensor:
    """Return a token for each row of `chances`, shape (n, tokens)."""
    if most_likely and not is_ordered:
        return chances.argmax(1)
    total = chances.cumsum(1, dtype=torch.float64)
    if most_likely:
        at = torch.full((len(chances), 1), 0.5, dtype=torch.float64, device=chances.device)
    else:
        at = torch.rand(
            (len(chances), 1), generator=generator, device=chances.device, dtype=torch.float64
        )
    # Strictly above: a token of probability 0 is never taken, not even at a draw of 0.
    return (total <= at * total[:, -1:]).sum(1).clamp(max=chances.shape[1] - 1)


def _coarse_shares(cells: ColumnCells, share: torch.Tensor) -> torch.Tensor:
    """Return the part of each coarse token's train rows that is admissible, shape (tokens,)."""
    coarse = torch.as_tensor(cells.coarse, device=share.device)
    mass = torch.as_tensor(np.maximum(cells.mass, 1e-6), dtype=share.dtype, device=share.device)
    sums = torch.zeros(int(cells.coarse.max()) + 1, device=share.device, dtype=share.dtype)
    return sums.index_add(0, coarse, mass * share) / sums.index_add(0, coarse, mass)

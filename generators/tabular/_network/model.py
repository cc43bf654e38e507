"""The masked network, from the visible cells of a row to every hidden one, and draws from it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from twinset.core.features.torch_device import torch

from .._discrete import offsets
from .cells import FINE_RANK, ColumnCells, Ramp, TokenLayout, fine_shares

if TYPE_CHECKING:
    Weights = dict[str, torch.Tensor]


class MaskedNet:
    """The network on a device; its weights are passed to each method, by name.

    Codes are the cells of the network's own columns, shape (n, d). A hidden cell enters as a token
    of its own, so that one set of weights serves every set of visible columns.
    """

    def __init__(self, layout: TokenLayout, blocks: int, device: str) -> None:
        self.layout, self.blocks, self.device = layout, blocks, device

        def put(array: Any) -> torch.Tensor:
            return torch.as_tensor(np.asarray(array), device=device)

        cells, slot = layout.cells, layout.slot
        self.base = put(offsets([len(c.coarse) for c in cells]))
        self.token = put(np.concatenate([c.coarse + slot[p] for p, c in enumerate(cells)]))
        self.hidden_token = put(layout.n_slots + np.arange(layout.n_columns))
        self.wide = put(np.array(layout.wide_labels, dtype=np.int64))
        self.nothing = layout.shapes(1, 0)["embed"][0] - 1
        self.fine = put(np.concatenate([c.fine for c in cells]))
        first = layout.n_slots + layout.n_columns
        self.wide_base = put(first + offsets([layout.n_fine[p] for p in layout.wide_labels]))
        self.numbers = put(np.array(layout.numbers, dtype=np.int64))
        smooth = layout.smooth
        self.ramps = {p: Ramp.from_cells(cells[p], device) for p in smooth}
        self.smooth = put(np.array(smooth, dtype=np.int64))
        self.last_cell = put(np.array([len(cells[p].coarse) - 1 for p in smooth], dtype=np.int64))
        per_bin = [len(cells[p].coarse) / layout.n_coarse[p] for p in smooth]
        self.bin_cells = put(np.array(per_bin, dtype=np.float32))
        # A cell with a coarse token to itself is a tie, a label or "missing": it has no neighbours.
        self.is_single = put(np.concatenate([np.bincount(c.coarse)[c.coarse] == 1 for c in cells]))
        if layout.numbers:
            self.waves = put(np.concatenate(layout.waves))
            self.wave_base = put(offsets([len(w) for w in layout.waves]))
            self.slot_waves, self.wave_of_slot = (put(a) for a in layout.slot_waves())
        self.slot = put(slot)
        self.fine_columns = [put(np.array(group.columns)) for group in layout.fine_groups]
        self.fine_shares, self.fine_rows = [], []
        for group in layout.fine_groups:
            sizes = [(p, layout.n_coarse[p]) for p in group.columns]
            shares = [fine_shares(cells[p], n, group.width) for p, n in sizes]
            self.fine_shares.append(put(np.concatenate(shares)))
            self.fine_rows.append(put(offsets([n for _, n in sizes])))

    def hidden(
        self,
        weights: Weights,
        codes: torch.Tensor,
        visible: torch.Tensor,
        noise: TrainingNoiseLayers | None = None,
    ) -> torch.Tensor:
        """Return the last hidden layer given the visible cells, shape (n, width)."""
        return self.trunk(weights, self.inputs(weights, codes, visible), noise)

    def inputs(self, weights: Weights, codes: torch.Tensor, visible: torch.Tensor) -> torch.Tensor:
        """Return the sum of the embeddings of the visible cells, shape (n, width)."""
        at = codes + self.base
        tokens = torch.where(visible, self.token[at], self.hidden_token)
        if len(self.wide):
            fine = self.fine[at[:, self.wide]] + self.wide_base
            fine = fine.masked_fill(~visible[:, self.wide], self.nothing)
            tokens = torch.cat([tokens, fine], dim=1)
        x = torch.nn.functional.embedding_bag(
            tokens, weights["embed"], mode="sum", padding_idx=self.nothing
        )
        if len(self.numbers):
            waves = self.waves[codes[:, self.numbers] + self.wave_base]
            waves = waves * visible[:, self.numbers, None]
            x = x + waves.flatten(1) @ weights["waves"]
        return x + weights["start"]

    def input_of(self, weights: Weights, p: int, cells: torch.Tensor) -> torch.Tensor:
        """Return the change of `inputs` when these cells of column `p` become visible."""
        at = cells + self.base[p]
        x = weights["embed"][self.token[at]] - weights["embed"][self.hidden_token[p]]
        if p in self.layout.wide_labels:
            first = self.wide_base[self.layout.wide_labels.index(p)]
            x = x + weights["embed"][self.fine[at] + first]
        if p in self.layout.numbers:
            i = self.layout.numbers.index(p)
            own = weights["waves"].view(len(self.numbers), -1, x.shape[1])[i]
            x = x + self.waves[cells + self.wave_base[i]] @ own
        return x

    def trunk(
        self,
        weights: Weights,
        x: torch.Tensor,
        noise: TrainingNoiseLayers | None = None,
    ) -> torch.Tensor:
        """Return the output of the residual blocks for `inputs`, shape (n, width)."""
        for b in range(self.blocks):
            gate, value = (_normalize(x) @ weights[f"in{b}"]).chunk(2, dim=1)
            inner = torch.nn.functional.silu(gate) * value
            if noise is not None:
                inner = noise.drop(inner)
            x = x + inner @ weights[f"back{b}"]
        return _normalize(x)

    def output(self, weights: Weights) -> torch.Tensor:
        """Return the output vector of every coarse token, shape (slots, width)."""
        if not self.layout.numbers:
            return weights["out"]
        smooth = torch.bmm(self.slot_waves, weights["out_waves"]).flatten(0, 1)
        smooth = torch.cat([smooth, smooth.new_zeros(1, smooth.shape[1])])
        return weights["out"] + torch.nn.functional.embedding(self.wave_of_slot, smooth)

    def losses(
        self,
        weights: Weights,
        codes: torch.Tensor,
        visible: torch.Tensor,
        noise: TrainingNoiseLayers | None = None,
    ) -> torch.Tensor:
        """Return -log p of every cell given the visible ones, shape (n, d), in nats."""
        given = codes if noise is None else noise.jitter(self, codes)
        hidden = self.hidden(weights, given, visible, noise)
        logits = (hidden @ self.output(weights).T + weights["out_bias"]).float()
        at = codes + self.base
        tokens = self.token[at]
        parts = []
        for group in self.layout.groups:
            n = len(group.columns)
            part = logits[:, group.start : group.start + n * group.width]
            parts.append(torch.logsumexp(part.reshape(-1, n, group.width), dim=2))
        # Groups follow one another in the order of columns.
        loss = torch.cat(parts, dim=1) - logits.gather(1, tokens)
        for g in range(len(self.layout.fine_groups)):
            columns = self.fine_columns[g]
            coarse = tokens[:, columns] - self.slot[columns]
            scores = self.fine_scores(weights, g, hidden, coarse)
            chosen = scores.gather(2, self.fine[at[:, columns], None])[:, :, 0]
            loss = loss.index_add(1, columns, torch.logsumexp(scores, dim=2) - chosen)
        return loss

    def fine_scores(
        self,
        weights: Weights,
        g: int,
        hidden: torch.Tensor,
        coarse: torch.Tensor,
        members: slice = slice(None),
    ) -> torch.Tensor:
        """Return the scores of fine tokens given coarse ones, shape (n, columns, width of group)."""
        rows = coarse + self.fine_rows[g][members]
        n = rows.shape[1]
        down = weights[f"fine{g}_down"]
        down = down.view(down.shape[0], -1, FINE_RANK)[:, members].flatten(1)
        given = (hidden @ down).view(len(hidden), n, FINE_RANK)
        given = given * weights[f"fine{g}_scale"][rows] + weights[f"fine{g}_shift"][rows]
        scores = torch.einsum("nkr,krw->nkw", given, weights[f"fine{g}_out"][members])
        return (scores + self.fine_shares[g][rows]).float()


@dataclass(frozen=True)
class TrainingNoiseLayers:
    """Noise of the training, so that the network memorises no row."""

    dropout: float  # share of the units that are 0, at random
    blur: float  # standard deviation, in bins, of the steps by which visible numbers are moved
    generator: torch.Generator

    def drop(self, units: torch.Tensor) -> torch.Tensor:
        """Return the units, some of them 0 and the others larger for it."""
        if not self.dropout:
            return units
        drawn = torch.rand(units.shape, generator=self.generator, device=units.device)
        return units * (drawn >= self.dropout).mul(1 / (1 - self.dropout))

    def jitter(self, net: MaskedNet, codes: torch.Tensor) -> torch.Tensor:
        """Return the codes with those of smooth numbers moved to a cell near by."""
        if not self.blur or not len(net.smooth):
            return codes
        own = codes[:, net.smooth]
        drawn = torch.randn(own.shape, generator=self.generator, device=own.device)
        moved = (own + (self.blur * net.bin_cells * drawn).round().long()).clamp(min=0)
        moved = torch.minimum(moved, net.last_cell)
        base = net.base[net.smooth]
        stays = net.is_single[own + base] | net.is_single[moved + base]
        codes = codes.clone()
        codes[:, net.smooth] = torch.where(stays, own, moved)
        return codes


def _normalize(x: torch.Tensor) -> torch.Tensor:
    return x * (x.square().mean(dim=1, keepdim=True) + 1e-6).rsqrt()


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
        for p, hidden, back in self._along(codes, order):
            start = int(self.net.base[p])
            coarse = self.net.token[start + codes[:, p]] - int(self.net.layout.slot[p])
            fine = self.net.fine[start + codes[:, p]]
            scores = self._coarse_scores(p, hidden)
            total += torch.log_softmax(scores, dim=1)[back, coarse]
            finer = self._fine_scores(p, hidden[back], scores[back], coarse)
            if finer is not None:
                total += torch.log_softmax(finer, dim=1).gather(1, fine[:, None])[:, 0]
        return total

    def calibration(self, codes: torch.Tensor, order: npt.NDArray[np.int64]) -> torch.Tensor:
        """Return offsets with which each column's mean distribution is that of these rows."""
        offset = torch.zeros_like(self.bias)
        for p, hidden, back in self._along(codes, order):
            scores = self._coarse_scores(p, hidden)
            at, n = int(self.net.layout.slot[p]), self.net.layout.n_coarse[p]
            coarse = self.net.token[int(self.net.base[p]) + codes[:, p]] - at
            found = torch.bincount(coarse, minlength=n)
            rows = torch.bincount(back, minlength=len(hidden)).to(scores.dtype)
            added = torch.zeros(n, device=codes.device)
            for _ in range(_RAKING_ROUNDS):
                meant = rows @ torch.softmax(scores + added, dim=1)
                added += ((found + _PRIOR_ROWS) / (meant + _PRIOR_ROWS)).log()
            offset[at : at + n] = added
        return offset

    def _along(
        self, codes: torch.Tensor, order: npt.NDArray[np.int64]
    ) -> Iterator[tuple[int, torch.Tensor, torch.Tensor]]:
        """Yield each column, the hidden layers given those before it, and each row's place there."""
        visible = torch.zeros_like(codes, dtype=torch.bool)
        same, inputs = _EqualRows(codes, visible), self._inputs(codes, visible)
        every = torch.arange(len(codes), device=codes.device)
        for p in order.tolist():
            own, back = same.representatives(every)
            yield p, self._hidden(inputs[own]), back
            inputs += self.net.input_of(self.weights, p, codes[:, p])
            same.split_by(codes[:, p], len(self.net.layout.cells[p].coarse))

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

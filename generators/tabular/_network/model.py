"""The masked network of `tabular.network`: from the visible cells of a row to every hidden one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from twinset.core.features.torch_device import torch

from .._discrete import offsets
from .layout import FINE_RANK, Ramp, TokenLayout, fine_shares

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

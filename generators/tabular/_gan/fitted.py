"""What a fitted conditional GAN answers: rows, rows under conditions, a checkpoint."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from twinset.core.contracts import FittedGenerator
from twinset.core.data.conditions import keep_drawing
from twinset.core.data.dataset import Dataset
from twinset.core.data.where import Where
from twinset.core.errors import ParameterError
from twinset.core.features.torch_device import device_of, one_thread, require_torch
from twinset.core.seeding import torch_generator

from .layout import Features, SlotLayout
from .sampler import GanSampler, Margins
from .states import StateTable
from .where import AdmissibleStates, admissible

if TYPE_CHECKING:
    import torch

Arrays = dict[str, npt.NDArray[Any]]

_ROUNDS = 4
_LEAST_DRAWN = 256


class FittedGan(FittedGenerator):
    """A trained conditional GAN; `to_arrays` and `from_arrays` carry it between processes."""

    def __init__(self, sampler: GanSampler) -> None:
        self.sampler = sampler
        self.schema = sampler.table.encoding.schema

    def sample(self, n: int, rng: np.random.Generator, where: Where | None = None) -> Dataset:
        """Return `n` rows that meet `where`; a ParameterError says when a column never can."""
        sampler = self.sampler
        with one_thread():
            random = torch_generator(rng, str(sampler.shares.device))
            if where is None or not where.conditions:
                return self._decode(sampler.draw(n, random)[0])
            wanted = admissible(where, sampler.table.columns, self.schema)
            asked = _rarest(sampler, wanted)
            try:
                return keep_drawing(
                    lambda size: self._decode(sampler.draw(size, random, asked=asked)[0]),
                    n,
                    where,
                    rounds=_ROUNDS,
                    min_draw=min(_LEAST_DRAWN, 4 * n),
                )
            except ParameterError:
                return self._force(n, rng, random, wanted, asked)

    def _force(
        self,
        n: int,
        rng: np.random.Generator,
        random: torch.Generator,
        wanted: Mapping[int, AdmissibleStates],
        asked: torch.Tensor | None,
    ) -> Dataset:
        """Return `n` rows whose conditioned columns may only be in admissible states.

        The other columns follow these no more than the network's own condition makes them.
        """
        sampler = self.sampler
        allowed = sampler.features.used.clone()
        for i, column in wanted.items():
            own = _slots_of(sampler.features.layout, i)
            if own is not None:
                allowed[own] = False
                allowed[own.start + np.unique(column.states)] = True
        values, states = sampler.draw(n, random, asked=asked, allowed=allowed)
        for i, column in wanted.items():
            column.force(values, states[:, i], rng)
        return self._decode(values)

    def _decode(self, values: npt.NDArray[np.float64]) -> Dataset:
        return self.sampler.table.encoding.decode(values)

    def to_arrays(self) -> tuple[Arrays, dict[str, Any]]:
        """Return plain arrays and JSON values that hold all of this; no row is in them.

        Frequent values and points of each column's own distribution are.
        """
        sampler = self.sampler
        arrays, meta = sampler.table.to_arrays()
        tensors = {f"weight-{name}": weight for name, weight in sampler.weights.items()}
        tensors |= {"bias": sampler.margins.bias, "knots": sampler.margins.knots}
        tensors |= {"shares": sampler.shares, "ranks-of-states": sampler.features.rank_of_state}
        tensors |= {"ranks-of-places": sampler.features.rank_of_place}
        return arrays | {name: t.cpu().numpy() for name, t in tensors.items()}, meta

    @classmethod
    def from_arrays(
        cls, arrays: Mapping[str, npt.NDArray[Any]], meta: Mapping[str, Any], device: str = "auto"
    ) -> FittedGan:
        """Return the fitted generator that `to_arrays` wrote, on `device`."""
        require_torch()
        import torch

        device = device_of(device)
        table = StateTable.from_arrays(arrays, meta)
        tensors = {
            name: torch.tensor(np.asarray(values), device=device)
            for name, values in arrays.items()
            if not name.startswith("column-")
        }
        weights = {
            name.removeprefix("weight-"): tensor
            for name, tensor in tensors.items()
            if name.startswith("weight-")
        }
        ranks = np.asarray(arrays["ranks-of-states"]), np.asarray(arrays["ranks-of-places"])
        features = Features.of(SlotLayout.of(table), ranks, device)
        margins = Margins(tensors["bias"], tensors["knots"])
        return cls(GanSampler(table, features, weights, margins, tensors["shares"]))


def _rarest(sampler: GanSampler, wanted: Mapping[int, AdmissibleStates]) -> torch.Tensor | None:
    """Return the chances of the network's condition: the admissible states of the rarest column."""
    import torch

    found: list[tuple[float, torch.Tensor]] = []
    for i, column in wanted.items():
        own = _slots_of(sampler.features.layout, i)
        if own is not None:
            chances = torch.zeros_like(sampler.shares)
            slots = own.start + np.unique(column.states)
            chances[slots] = sampler.shares[slots]
            found.append((float(chances.sum()), chances))
    found = [(share, chances) for share, chances in found if share > 0]
    return min(found, key=lambda pair: pair[0])[1] if found else None


def _slots_of(layout: SlotLayout, column: int) -> slice | None:
    """Return the slots of a column of the table; None if it has but one state."""
    if column not in layout.spans:
        return None
    span = layout.spans.index(column)
    start = int(layout.starts[span])
    return slice(start, start + layout.sizes[span])

"""The trained network of `tabular.network`: draws, completion, likelihoods and its checkpoint."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from twinset.core.contracts import FittedGenerator
from twinset.core.data.dataset import Dataset
from twinset.core.data.where import Where
from twinset.core.errors import DataError
from twinset.core.features.torch_device import device_of, one_thread
from twinset.core.seeding import rng_for, torch_generator

from .cells import Codes
from .drawing import Drawer
from .layout import TokenLayout
from .model import MaskedNet
from .table import Arrays, TableCells
from .training import Progressed, named
from .where import AdmissibleCells, admissible_parts

if TYPE_CHECKING:
    import torch

_CANDIDATES_PER_ROW = 4
_LEAST_CANDIDATES = 512
_ROWS_AT_ONCE = 16_384
_CALIBRATION_ROWS = 50_000
_VECTORS = ("weights", "mean", "best", "first", "second")


class FittedNetwork(FittedGenerator):
    """What `tabular.network` learnt.

    Parameters
    ----------
    table : TableCells
        The cells of the columns.
    progressed : Progressed
        The weights, and where training stands.
    width, blocks : int
        Size of the network.
    device : {"auto", "cpu", "cuda"}
        Where to compute.
    offset : numpy.ndarray, optional
        What is added to the scores of coarse tokens; see `calibrated`.
    """

    def __init__(
        self,
        table: TableCells,
        progressed: Progressed,
        width: int,
        blocks: int,
        device: str,
        offset: npt.NDArray[np.float32] | None = None,
    ) -> None:
        self.table, self.progressed, self.schema = table, progressed, table.schema
        self.width, self.blocks, self.device = width, blocks, device_of(device)
        self.layout = TokenLayout(table.columns)
        place = {j: p for p, j in enumerate(self.layout.columns)}
        self.order = np.array([place[j] for j in table.order if j in place], dtype=np.int64)
        none = np.zeros(self.layout.n_slots, dtype=np.float32)
        self.offset = none if offset is None else offset
        self._drawer: Drawer | None = None

    @property
    def losses(self) -> tuple[float, ...]:
        """Held-out -log p of a row after each epoch, in nats."""
        return tuple(self.progressed.losses)

    def calibrated(self, codes: Codes) -> FittedNetwork:
        """Return the network with the mean of every prediction set right on these train cells.

        Parameters
        ----------
        codes : numpy.ndarray
            Cells of the network's own columns, shape (n, d); 50,000 rows at random are taken.
        """
        import torch

        if len(codes) > _CALIBRATION_ROWS:
            rng = rng_for(self.progressed.seed, "calibration")
            codes = codes[rng.choice(len(codes), _CALIBRATION_ROWS, replace=False)]
        with torch.inference_mode():
            rows = torch.as_tensor(codes, device=self.device)
            offset = self._the_drawer().calibration(rows, self.order).cpu().numpy()
        return FittedNetwork(
            self.table, self.progressed, self.width, self.blocks, self.device, offset
        )

    def sample(self, n: int, rng: np.random.Generator, where: Where | None = None) -> Dataset:
        """Return exactly `n` new rows that meet `where`."""
        parts = admissible_parts(self.table, where)
        made = [
            self._sample(min(_ROWS_AT_ONCE, n - start), rng, parts)
            for start in range(0, max(n, 1), _ROWS_AT_ONCE)
        ]
        return Dataset.concat(made)

    def complete(
        self, rows: Dataset, rng: np.random.Generator, *, likeliest: bool = False
    ) -> Dataset:
        """Return the rows with every missing value filled, given all that is known of its row.

        Values that are there stay as they are. A column without any value in the train set stays
        as it is.

        Parameters
        ----------
        rows : Dataset
            Rows of the same columns, any of them missing anywhere.
        rng : numpy.random.Generator
            The only source of randomness.
        likeliest : bool
            Fill in the likeliest label and the median, each given the values filled in before,
            rather than a draw: nearer to the truth on average, and less varied than it.

        Raises
        ------
        SchemaError
            A column is lacking or of another kind.
        """
        given = rows.with_schema(self.schema)
        with one_thread():
            codes = self.table.encode(given)
            gone = np.column_stack([given.is_null(name) for name in self.schema.names])
            for start in range(0, len(codes), _ROWS_AT_ONCE):
                part = slice(start, start + _ROWS_AT_ONCE)
                codes[part] = self._filled(codes[part], gone[part], rng, likeliest)
        values = self.table.values(codes, rng)
        if likeliest:
            for j, column in enumerate(self.table.columns):
                if column.is_number and column.n_present:
                    middle = (column.knots.shape[1] - 1) / 2
                    at = np.full(len(codes), middle)
                    values[:, j] = column.value_at(
                        np.minimum(codes[:, j], column.n_present - 1), at
                    )
        return _with_filled(given, self.table.decode(values, codes), gone)

    def log_likelihood(self, rows: Dataset) -> npt.NDArray[np.float64]:
        """Return the log probability of each row's cells, shape (n,), in nats.

        The product runs along the order of unconditional draws, so that ``exp`` of it is the chance
        to draw a row in the same cells. A cell is a label, a repeated number, or an interval that
        holds at least about a thousandth of the train rows; missing is a cell too. Where train had
        no such label (or nothing missing) it is -inf.

        Raises
        ------
        SchemaError
            A column is lacking or of another kind.
        """
        codes = self.table.encode(rows.with_schema(self.schema))
        known = (codes >= 0).all(axis=1)
        logs = np.where(known, 0.0, -np.inf)
        if not self.layout.n_columns:
            return logs
        import torch

        with one_thread(), torch.inference_mode():
            drawer = self._the_drawer()
            own = torch.as_tensor(codes[:, self.layout.columns], device=self.device)
            for part in torch.as_tensor(np.flatnonzero(known)).split(_ROWS_AT_ONCE):
                found = drawer.log_probability(own[part.to(self.device)], self.order)
                logs[part.numpy()] = found.cpu().numpy()
        return logs

    def to_arrays(self, *, resumable: bool = True) -> tuple[Arrays, dict[str, Any]]:
        """Return the fitted network as plain arrays and JSON values; no row of train is in them.

        Parameters
        ----------
        resumable : bool
            Whether to keep what going on with training needs, four times the weights themselves.
        """
        arrays, meta = self.table.to_arrays()
        arrays["network/offset"] = self.offset
        kept = _VECTORS if resumable else ("best",)
        arrays |= {f"network/{name}": getattr(self.progressed, name) for name in kept}
        meta |= {
            "component": "tabular.network",
            "format": 1,
            "width": self.width,
            "blocks": self.blocks,
            "losses": list(self.progressed.losses),
            "step": self.progressed.step,
            "seed": self.progressed.seed,
        }
        return arrays, meta

    @classmethod
    def from_arrays(
        cls, arrays: Mapping[str, npt.NDArray[Any]], meta: Mapping[str, Any], device: str = "auto"
    ) -> FittedNetwork:
        """Return the network that `to_arrays` wrote.

        Raises
        ------
        DataError
            The arrays are of another component or format, or do not fit together.
        """
        if meta.get("component") != "tabular.network" or meta.get("format") != 1:
            raise DataError(
                "this is no checkpoint of tabular.network that this version can read",
                got=f"{meta.get('component')}, format {meta.get('format')}",
            )
        columns = {k: v for k, v in arrays.items() if k.startswith("column")}
        table = TableCells.from_arrays(columns, dict(meta))
        best = np.asarray(arrays["network/best"], dtype=np.float32)
        vectors = {
            name: np.asarray(arrays.get(f"network/{name}", best), np.float32) for name in _VECTORS
        }
        is_whole = all(f"network/{name}" in arrays for name in _VECTORS)
        step = int(meta["step"]) if is_whole else -1
        state = Progressed(**vectors, losses=list(meta["losses"]), step=step, seed=meta["seed"])
        offset = np.asarray(arrays["network/offset"], dtype=np.float32)
        fitted = cls(table, state, int(meta["width"]), int(meta["blocks"]), device, offset)
        shapes = fitted.layout.shapes(fitted.width, fitted.blocks).values()
        size = sum(int(np.prod(shape)) for shape in shapes)
        if size != len(best) or len(offset) != fitted.layout.n_slots:
            raise DataError("the checkpoint's weights do not fit its columns", todo="fit again")
        return fitted

    def _the_drawer(self) -> Drawer:
        if self._drawer is None:
            import torch

            net = MaskedNet(self.layout, self.blocks, self.device)
            flat = torch.tensor(self.progressed.best, device=self.device)
            weights = named(self.layout, self.width, self.blocks, flat)
            offset = torch.tensor(self.offset, device=self.device)
            self._drawer = Drawer(net, weights, offset)
        return self._drawer

    def _sample(
        self, n: int, rng: np.random.Generator, parts: Mapping[int, AdmissibleCells]
    ) -> Dataset:
        codes = np.zeros((n, len(self.table.columns)), dtype=np.int64)
        if self.layout.n_columns and n:
            codes[:, self.layout.columns] = self._draw(n, rng, parts)
        values = self.table.values(codes, rng)
        for j, part in parts.items():
            values[:, j] = part.draw(codes[:, j], rng)
        return self.table.decode(values, codes)

    def _draw(
        self, n: int, rng: np.random.Generator, parts: Mapping[int, AdmissibleCells]
    ) -> Codes:
        """Return cells of the network's columns, shape (n, d): first those under a condition."""
        import torch

        with one_thread(), torch.inference_mode():
            drawer, generator = self._the_drawer(), torch_generator(rng, self.device)
            shares = {
                p: torch.as_tensor(parts[j].share, dtype=torch.float32, device=self.device)
                for p, j in enumerate(self.layout.columns)
                if j in parts
            }
            first = np.array([p for p in self.order if p in shares], dtype=np.int64)
            rest = np.array([p for p in self.order if p not in shares], dtype=np.int64)
            open_ones = sum(int((share > 0).sum()) > 1 for share in shares.values())
            # One condition can be drawn as it is. Of several, the early ones must foresee the later.
            pool = n if open_ones < 2 else max(_CANDIDATES_PER_ROW * n, _LEAST_CANDIDATES)
            codes = torch.zeros(pool, self.layout.n_columns, dtype=torch.int64, device=self.device)
            visible = torch.zeros_like(codes, dtype=torch.bool)
            if len(first):
                chance = drawer.fill(codes, visible, first, generator, shares)
                if pool > n:
                    chosen = _resampled(chance.double(), n, generator)
                    codes, visible = codes[chosen], visible[chosen]
            drawer.fill(codes, visible, rest, generator)
            found: Codes = codes.cpu().numpy()
        return found

    def _filled(
        self, codes: Codes, gone: npt.NDArray[np.bool_], rng: np.random.Generator, likeliest: bool
    ) -> Codes:
        """Return cells in which those that are gone are drawn, none of them as missing."""
        codes = np.where(gone, 0, codes)
        if not self.layout.n_columns or not len(codes):
            return np.maximum(codes, 0)
        import torch

        columns = self.layout.columns
        with torch.inference_mode():
            drawer, generator = self._the_drawer(), torch_generator(rng, self.device)
            own = torch.as_tensor(np.maximum(codes[:, columns], 0), device=self.device)
            known = (codes[:, columns] >= 0) & ~gone[:, columns]
            visible = torch.as_tensor(known, device=self.device)
            shares = {}
            for p, cells in enumerate(self.layout.cells):
                if cells.has_missing:
                    present = torch.ones(len(cells.coarse), device=self.device)
                    present[-1] = 0.0
                    shares[p] = present
            drawer.fill(own, visible, self.order, generator, shares, likeliest=likeliest)
            codes[:, columns] = own.cpu().numpy()
        return np.maximum(codes, 0)


def _resampled(weight: torch.Tensor, n: int, generator: torch.Generator) -> torch.Tensor:
    """Return `n` candidates in proportion to exp(weight), shape (n,), evenly spread and mixed."""
    import torch

    total = torch.softmax(weight, 0).cumsum(0)
    start = torch.rand(n, generator=generator, device=weight.device, dtype=torch.float64)
    steps = (torch.arange(n, device=weight.device) + start) / n
    chosen = torch.searchsorted(total, steps * total[-1]).clamp(max=len(weight) - 1)
    return chosen[torch.randperm(n, generator=generator, device=weight.device)]


def _with_filled(given: Dataset, filled: Dataset, gone: npt.NDArray[np.bool_]) -> Dataset:
    """Return `given` with the missing cells taken from `filled`."""
    records = given.records
    for j, name in enumerate(given.schema.names):
        if not gone[:, j].any():
            continue
        kind = records.schema.field(name).type
        is_label = pa.types.is_dictionary(kind)
        old, new = (d.records.column(name) for d in (given, filled))
        if is_label:
            old, new = pc.cast(old, pa.string()), pc.cast(new, pa.string())
        joined = pc.coalesce(old, new)
        if is_label:
            joined = pc.dictionary_encode(joined).unify_dictionaries().cast(kind)
        records = records.set_column(records.schema.get_field_index(name), name, joined)
    return Dataset(records, given.schema, given.card)

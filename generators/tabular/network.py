"""`tabular.network`: one network for every conditional of a table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Any, ClassVar

import numpy as np
import numpy.typing as npt

from twinset.core.contracts import FittedGenerator, Generator, Progress, silent
from twinset.core.data.conditions import rows_to_learn_from
from twinset.core.data.dataset import Dataset
from twinset.core.data.schema import TABULAR_KINDS
from twinset.core.data.where import Where
from twinset.core.errors import DataError, FitError
from twinset.core.features.torch_device import (
    device_of,
    one_thread,
    require_torch,
    torch,
    torch_generator,
)
from twinset.core.parameters import Device, Fraction, Ge, Interval
from twinset.core.seeding import rng_for

from ._discrete import Codes
from ._fitted import Arrays, ReadArrays, check_checkpoint, fill_missing, pack, unpack
from ._network.cells import AdmissibleCells, TableCells, TokenLayout
from ._network.model import Drawer, MaskedNet
from ._network.training import (
    VECTORS,
    NetworkTrainingOptions,
    TrainingState,
    start_training,
    train_network,
    view_weights,
)

# Candidates for each row, and in all, when several conditions are weighed: fewer repeat rows.
_CANDIDATES_PER_ROW, _MIN_CANDIDATES = 4, 512
_ROWS_AT_ONCE = 16_384  # rows that are drawn, completed or scored together: bounds the memory
_CALIBRATION_ROWS = 50_000  # train rows of the calibration: shares have an error of .002 then
_FORMAT = 2  # of checkpoints; raised when their arrays or values change


@dataclass(frozen=True, kw_only=True)
class Network(Generator):
    """Any-order network: one fit draws rows, meets any conditions, fills gaps and scores rows.

    Every column becomes cells: a label, a number that many rows share, an interval between
    quantiles, or "missing". A residual network predicts the distribution of each hidden cell of a
    row from the visible ones. Trained with random sets of visible cells it serves every condition,
    half of the time along the one order, few values first, of unconditional draws. Inside an
    interval numbers are drawn along its quantiles, with the source's decimals, so values that few
    rows have are not repeated; times are numbers too, so weekdays and hours are kept only as far as
    intervals separate them. Beyond 256 levels a category is drawn in two steps, which bounds the
    cost for 100,000 levels.

    Conditions are met exactly: their columns are drawn first, from admissible cells only, and inside
    a cell at the edge from admissible values only. Several open conditions (ranges, sets) are
    weighed against one another by importance resampling.

    Training holds out a tenth of the rows, at most 2,000, and keeps the averaged weights of the
    epoch that predicts these best. On a CPU torch computes on one thread: results depend on the seed
    alone. On a graphics card it uses bfloat16 there, and results repeat on that card only.

    Parameters
    ----------
    epochs : int
        Passes over the train rows at most, 1 or more; a pass takes 65,536 rows of a longer table at
        random, and goes through a short one until 64 steps are done.
    batch_rows : int
        Rows in one step, 2 or more; small tables take fewer.
    width : int
        Units of the network, 8 to 8,192.
    blocks : int
        Residual blocks, 0 to 64.
    bins : int
        Quantile bins of a number, about, 2 to 1,024; each is divided into 16 cells where it can be.
        Small tables and more than 128 numbers get fewer.
    learning_rate : float
        Step size of AdamW, above 0 to 1.
    weight_decay : float
        Shrinkage of weights, 0 to 1.
    dropout : float
        Share of the inner units that are 0 in each step, 0 to 0.9.
    blur : float
        Steps, in bins, by which the visible numbers of a column without ties are moved in training,
        as a standard deviation, 0 to 100. It keeps single rows from being memorised.
    patience : int
        Epochs without a lower holdout loss after which training stops, 1 or more.
    max_seconds : float, optional
        Stop after the epoch in which this wall time ends; the result then depends on the machine.
        None for no limit.
    device : {"auto", "cpu", "cuda"}
        Where to compute; "auto" takes a graphics card when torch sees one.

    References
    ----------
    Germain et al., "MADE", ICML 2015; Uria, Murray and Larochelle, "A Deep and Tractable Density
    Estimator", ICML 2014; Tiwald et al., "TabularARGN", 2025 (arXiv 2501.12012).

    Examples
    --------
    >>> import pyarrow as pa
    >>> x = np.random.default_rng(0).integers(0, 2, (400, 2)).astype(bool)
    >>> table = pa.table({"a": x[:, 0], "b": x[:, 1], "differ": x[:, 0] ^ x[:, 1]})
    >>> fitted = Network(epochs=2, width=16).fit(
    ...     Dataset.from_arrow(table), np.random.default_rng(1)
    ... )
    >>> rows = fitted.sample(5, np.random.default_rng(2), Where({"a": True}))
    >>> rows.values("a").tolist()
    [1.0, 1.0, 1.0, 1.0, 1.0]
    """

    epochs: Annotated[int, Interval(ge=1, le=100_000)] = 20
    batch_rows: Annotated[int, Interval(ge=2, le=1_000_000)] = 256
    width: Annotated[int, Interval(ge=8, le=8_192)] = 192
    blocks: Annotated[int, Interval(ge=0, le=64)] = 3
    bins: Annotated[int, Interval(ge=2, le=1_024)] = 64
    learning_rate: Annotated[float, Interval(ge=1e-6, le=1)] = 2e-3
    weight_decay: Fraction = 0.02
    dropout: Annotated[float, Interval(ge=0, le=0.9)] = 0.1
    blur: Annotated[float, Interval(ge=0, le=100)] = 1.0
    patience: Annotated[int, Interval(ge=1, le=100_000)] = 6
    max_seconds: Annotated[float, Ge(0)] | None = None
    device: Device = "auto"

    kinds: ClassVar[frozenset[str]] = TABULAR_KINDS
    extra: ClassVar[str | None] = "torch"

    def fit(
        self,
        real: Dataset | None,
        rng: np.random.Generator,
        progress: Progress = silent,
        *,
        resume: FittedNetwork | None = None,
    ) -> FittedNetwork:
        """Return the network trained on `real`, which has 10 rows or more.

        Parameters
        ----------
        real : Dataset
            Rows to learn from.
        rng : numpy.random.Generator
            Source of the first weights and of every mask; not drawn from when `resume` is given.
        progress : callable
            Called with the step "epochs", the epochs done and their largest number.
        resume : FittedNetwork, optional
            Continue its training. With the same rows and settings the result is the same, to the
            byte, as of a training that never stopped. Its columns' cells and its size are kept,
            `width`, `blocks` and `bins` are not used.

        Raises
        ------
        FitError
            Too few rows, or `resume` was trained on other columns or values, or was saved without
            the state of its training.
        """
        rows = rows_to_learn_from(real, self.kinds, component="tabular.network", min_rows=10)
        require_torch()
        rows = rows.without_reserved()
        with one_thread():
            first = resume or self._start(rows, rng)
            codes = _cells_of(rows, first)
            if not first.layout.n_columns:
                return first
            state = train_network(
                MaskedNet(first.layout, first.blocks, first.device),
                codes,
                first.state,
                self._options(),
                first.width,
                first.order,
                lambda done, total: progress("epochs", done, total),
            )
            fitted = FittedNetwork(first.table, state, first.width, first.blocks, first.device)
            return fitted.calibrated(codes)

    def from_arrays(self, arrays: ReadArrays, meta: Mapping[str, Any]) -> FittedNetwork:
        """Return the network that `FittedNetwork.to_arrays` wrote, on the device of these settings."""
        require_torch()
        return FittedNetwork.from_arrays(arrays, meta, self.device)

    def _start(self, rows: Dataset, rng: np.random.Generator) -> FittedNetwork:
        table = TableCells.from_dataset(rows, self.bins)
        state = start_training(TokenLayout(table.columns), self.width, self.blocks, rng)
        return FittedNetwork(table, state, self.width, self.blocks, self.device)

    def _options(self) -> NetworkTrainingOptions:
        names = set(NetworkTrainingOptions.__dataclass_fields__) & set(self.__dataclass_fields__)
        return NetworkTrainingOptions(**{name: getattr(self, name) for name in names})


def _cells_of(rows: Dataset, first: FittedNetwork) -> Codes:
    """Return the cells of the network's columns, shape (n, d), if its training can be continued."""
    if rows.schema.names != first.schema.names:
        raise FitError("the training to continue was on other columns")
    if first.state.step < 0:
        raise FitError(
            "this checkpoint was saved without the state of its training",
            todo="save it by to_arrays(resumable=True)",
        )
    codes = first.table.encode(rows)[:, first.layout.columns]
    if (codes < 0).any():
        raise FitError("there are values that the training to continue did not have")
    return codes


class FittedNetwork(FittedGenerator):
    """A trained network.

    Parameters
    ----------
    table : TableCells
        The cells of the columns.
    state : TrainingState
        The weights, and the state of the training.
    width, blocks : int
        Size of the network.
    device : {"auto", "cpu", "cuda"}
        Where to compute.
    offset : numpy.ndarray, optional
        Added to the scores of coarse tokens; see `calibrated`.
    """

    def __init__(
        self,
        table: TableCells,
        state: TrainingState,
        width: int,
        blocks: int,
        device: str,
        offset: npt.NDArray[np.float32] | None = None,
    ) -> None:
        self.table, self.state, self.schema = table, state, table.encoding.schema
        self.width, self.blocks, self.device = width, blocks, device_of(device)
        self.layout = TokenLayout(table.columns)
        place = {j: p for p, j in enumerate(self.layout.columns)}
        self.order = np.array([place[j] for j in table.order if j in place], dtype=np.int64)
        none = np.zeros(self.layout.n_slots, dtype=np.float32)
        self.offset = none if offset is None else offset

    @property
    def losses(self) -> tuple[float, ...]:
        """Mean -log p of a holdout row after each epoch, in nats."""
        return tuple(self.state.losses)

    def calibrated(self, codes: Codes) -> FittedNetwork:
        """Return the network whose mean predictions are the shares of these train cells, (n, d).

        Of more than 50,000 rows so many are drawn.
        """
        if len(codes) > _CALIBRATION_ROWS:
            rng = rng_for(self.state.seed, "calibration")
            codes = codes[rng.choice(len(codes), _CALIBRATION_ROWS, replace=False)]
        with torch.inference_mode():
            rows = torch.as_tensor(codes, device=self.device)
            offset = self.drawer.calibration(rows, self.order).cpu().numpy()
        return FittedNetwork(self.table, self.state, self.width, self.blocks, self.device, offset)

    def sample(self, n: int, rng: np.random.Generator, where: Where | None = None) -> Dataset:
        """Return exactly `n` new rows that meet `where`."""
        admissible = self.table.find_admissible(where)
        starts = range(0, max(n, 1), _ROWS_AT_ONCE)
        return Dataset.concat(
            [self._sample(min(_ROWS_AT_ONCE, n - start), rng, admissible) for start in starts]
        )

    def complete(
        self, rows: Dataset, rng: np.random.Generator, *, most_likely: bool = False
    ) -> Dataset:
        """Return the rows with every missing value filled, given all known values of its row.

        Other values stay as they are. A column without any value in the train set stays as it is.

        Parameters
        ----------
        rows : Dataset
            Rows of the same columns, any of them missing anywhere.
        rng : numpy.random.Generator
            The only source of randomness.
        most_likely : bool
            Fill in the most likely label and the median, each given the values filled in before,
            rather than a draw: nearer to the truth on average, and less varied.

        Raises
        ------
        SchemaError
            A column is missing or of another kind.
        """
        given = rows.with_schema(self.schema)
        with one_thread():
            codes = self.table.encode(given)
            missing = np.column_stack([given.is_null(name) for name in self.schema.names])
            for start in range(0, len(codes), _ROWS_AT_ONCE):
                part = slice(start, start + _ROWS_AT_ONCE)
                codes[part] = self._fill(codes[part], missing[part], rng, most_likely)
        values = self.table.draw(codes, rng)
        if most_likely:
            for j, column in enumerate(self.table.columns):
                if column.is_number and column.n_present:
                    at = np.full(len(codes), (column.knots.shape[1] - 1) / 2)
                    cells = np.minimum(codes[:, j], column.n_present - 1)
                    values[:, j] = column.value_at(cells, at)
        names = [name for j, name in enumerate(self.schema.names) if missing[:, j].any()]
        return fill_missing(given, self.table.decode(values, codes), names)

    def log_likelihood(self, rows: Dataset) -> npt.NDArray[np.float64]:
        """Return the log probability of each row's cells, shape (n,), in nats.

        The product runs along the order of unconditional draws, so that ``exp`` of it is the
        probability of a row in the same cells. A cell is a label, a repeated number, or an interval
        of at least about a thousandth of the train rows; missing is a cell too. Where train had no
        such label (or no missing value) it is -inf.

        Raises
        ------
        SchemaError
            A column is missing or of another kind.
        """
        codes = self.table.encode(rows.with_schema(self.schema))
        known = (codes >= 0).all(axis=1)
        logs = np.where(known, 0.0, -np.inf)
        if not self.layout.n_columns:
            return logs
        with one_thread(), torch.inference_mode():
            drawer = self.drawer
            own = torch.as_tensor(codes[:, self.layout.columns], device=self.device)
            for part in torch.as_tensor(np.flatnonzero(known)).split(_ROWS_AT_ONCE):
                found = drawer.log_probability(own[part.to(self.device)], self.order)
                logs[part.numpy()] = found.cpu().numpy()
        return logs

    def to_arrays(self, *, resumable: bool = True) -> tuple[Arrays, dict[str, Any]]:
        """Return the fitted network as plain arrays and JSON values; they contain no train row.

        Parameters
        ----------
        resumable : bool
            Keep the state that a continued training needs, four times the weights themselves.
        """
        arrays: Arrays = {"network/offset": self.offset}
        kept = VECTORS if resumable else ("best",)
        arrays |= {f"network/{name}": getattr(self.state, name) for name in kept}
        meta = {
            "component": "tabular.network",
            "format": _FORMAT,
            "table": pack(self.table, "table", arrays),
            "width": self.width,
            "blocks": self.blocks,
            "losses": list(self.state.losses),
            "step": self.state.step,
            "seed": self.state.seed,
        }
        return arrays, meta

    @classmethod
    def from_arrays(
        cls, arrays: ReadArrays, meta: Mapping[str, Any], device: str = "auto"
    ) -> FittedNetwork:
        """Return the network that `to_arrays` wrote.

        Raises
        ------
        DataError
            The arrays are of another component or format, or do not fit together.
        """
        check_checkpoint(meta, "tabular.network", _FORMAT)
        table = unpack(TableCells, meta["table"], arrays)
        best = np.asarray(arrays["network/best"], dtype=np.float32)
        vectors = {
            name: np.asarray(arrays.get(f"network/{name}", best), np.float32) for name in VECTORS
        }
        is_whole = all(f"network/{name}" in arrays for name in VECTORS)
        step = int(meta["step"]) if is_whole else -1
        state = TrainingState(**vectors, losses=list(meta["losses"]), step=step, seed=meta["seed"])
        offset = np.asarray(arrays["network/offset"], dtype=np.float32)
        fitted = cls(table, state, int(meta["width"]), int(meta["blocks"]), device, offset)
        shapes = fitted.layout.shapes(fitted.width, fitted.blocks).values()
        size = sum(int(np.prod(shape)) for shape in shapes)
        if size != len(best) or len(offset) != fitted.layout.n_slots:
            raise DataError("the checkpoint's weights do not fit its columns", todo="fit again")
        return fitted

    @cached_property
    def drawer(self) -> Drawer:
        """The network with its weights on the device."""
        flat = torch.tensor(self.state.best, device=self.device)
        weights = view_weights(self.layout, self.width, self.blocks, flat)
        offset = torch.tensor(self.offset, device=self.device)
        return Drawer(MaskedNet(self.layout, self.blocks, self.device), weights, offset)

    def _sample(
        self, n: int, rng: np.random.Generator, admissible: Mapping[int, AdmissibleCells]
    ) -> Dataset:
        codes = np.zeros((n, len(self.table.columns)), dtype=np.int64)
        if self.layout.n_columns and n:
            codes[:, self.layout.columns] = self._draw(n, rng, admissible)
        values = self.table.draw(codes, rng)
        for j, column in admissible.items():
            values[:, j] = column.draw(codes[:, j], rng)
        return self.table.decode(values, codes)

    def _draw(
        self, n: int, rng: np.random.Generator, admissible: Mapping[int, AdmissibleCells]
    ) -> Codes:
        """Return cells of the network's columns, shape (n, d): first those under a condition."""
        with one_thread(), torch.inference_mode():
            drawer, generator = self.drawer, torch_generator(rng, self.device)
            shares = {
                p: torch.as_tensor(admissible[j].share, dtype=torch.float32, device=self.device)
                for p, j in enumerate(self.layout.columns)
                if j in admissible
            }
            first = np.array([p for p in self.order if p in shares], dtype=np.int64)
            rest = np.array([p for p in self.order if p not in shares], dtype=np.int64)
            open_ones = sum(int((share > 0).sum()) > 1 for share in shares.values())
            # One condition can be drawn as it is. With several, early draws must fit the later ones.
            pool = n if open_ones < 2 else max(_CANDIDATES_PER_ROW * n, _MIN_CANDIDATES)
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

    def _fill(
        self,
        codes: Codes,
        missing: npt.NDArray[np.bool_],
        rng: np.random.Generator,
        most_likely: bool,
    ) -> Codes:
        """Return the cells with the missing ones drawn, none of them as missing."""
        codes = np.where(missing, 0, codes)
        if not self.layout.n_columns or not len(codes):
            return np.maximum(codes, 0)
        columns = self.layout.columns
        with torch.inference_mode():
            drawer, generator = self.drawer, torch_generator(rng, self.device)
            own = torch.as_tensor(np.maximum(codes[:, columns], 0), device=self.device)
            known = (codes[:, columns] >= 0) & ~missing[:, columns]
            visible = torch.as_tensor(known, device=self.device)
            shares = {}
            for p, cells in enumerate(self.layout.cells):
                if cells.has_missing:
                    present = torch.ones(len(cells.coarse), device=self.device)
                    present[-1] = 0.0
                    shares[p] = present
            drawer.fill(own, visible, self.order, generator, shares, most_likely=most_likely)
            codes[:, columns] = own.cpu().numpy()
        return np.maximum(codes, 0)


def _resampled(weight: torch.Tensor, n: int, generator: torch.Generator) -> torch.Tensor:
    """Return `n` candidates in proportion to exp(weight), shape (n,), evenly spread and mixed."""
    total = torch.softmax(weight, 0).cumsum(0)
    start = torch.rand(n, generator=generator, device=weight.device, dtype=torch.float64)
    steps = (torch.arange(n, device=weight.device) + start) / n
    chosen = torch.searchsorted(total, steps * total[-1]).clamp(max=len(weight) - 1)
    return chosen[torch.randperm(n, generator=generator, device=weight.device)]

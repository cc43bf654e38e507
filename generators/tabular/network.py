"""`tabular.network`: one network for every conditional of a table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

import numpy as np
import numpy.typing as npt

from twinset.core.contracts import Generator, Progress, silent
from twinset.core.data.conditions import rows_to_learn_from
from twinset.core.data.dataset import Dataset
from twinset.core.data.schema import TABULAR_KINDS
from twinset.core.errors import FitError
from twinset.core.features.torch_device import one_thread, require_torch
from twinset.core.parameters import Device, Fraction, Ge, Interval

from ._network.fitted import FittedNetwork
from ._network.layout import TokenLayout
from ._network.model import MaskedNet
from ._network.table import TableCells
from ._network.training import NetworkTrainingOptions, begin, train


@dataclass(frozen=True, kw_only=True)
class Network(Generator):
    """Any-order network: one fit draws rows, meets any conditions, fills gaps and scores rows.

    Every column becomes cells: a label, a number that many rows share, an interval between
    quantiles, or "missing". A residual network sees some cells of a row and gives the distribution
    of each hidden one. Trained with random sets of visible cells it serves every condition,
    half of the time along the one order, few values first, that unconditional draws go through.
    Inside an interval numbers are drawn along its quantiles, with the source's decimals, so values
    that few rows have are not repeated; times are numbers too, so weekdays and hours are kept only as
    far as intervals tell them apart. Beyond 256 levels a category is drawn in two steps, which
    bounds the cost for 100,000 levels.

    Conditions are met exactly: their columns are drawn first, from admissible cells only, and inside
    a cell at the edge from admissible values only. Several open conditions (ranges, sets) are
    weighed against one another by importance resampling.

    Training holds a tenth of the rows out, at most 2,000, and keeps the averaged weights of the
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
        Part of the inner units left out in each step, 0 to 0.9.
    blur : float
        Steps, in bins, by which the visible numbers of a column without heaps are moved in training,
        as a standard deviation, 0 to 100. It keeps single rows from being learnt by heart.
    patience : int
        Epochs without a lower held-out loss after which training stops, 1 or more.
    max_seconds : float, optional
        Stop after the epoch in which this wall time ends, whatever was learnt; the result then
        depends on the machine. None for no limit.
    device : {"auto", "cpu", "cuda"}
        Where to compute; "auto" takes a graphics card when torch sees one.

    References
    ----------
    Germain et al., "MADE", ICML 2015; Uria, Murray and Larochelle, "A Deep and Tractable Density
    Estimator", ICML 2014; Tiwald et al., "TabularARGN", 2025 (arXiv 2501.12012).

    Examples
    --------
    >>> import pyarrow as pa
    >>> from twinset.core.data.where import Where
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
            Told the epochs done and the most there may be.
        resume : FittedNetwork, optional
            Go on from where its training stands. With the same rows and settings the result is
            the same, to the byte, as of a training that never stopped. Its columns' cells and its
            size are kept, `width`, `blocks` and `bins` are not read.

        Raises
        ------
        FitError
            Too few rows, or `resume` was trained on other columns or values, or was saved without
            what going on needs.
        """
        rows = rows_to_learn_from(real, self.kinds, component="tabular.network", min_rows=10)
        require_torch()
        rows = rows.without_reserved()
        with one_thread():
            begun = resume or self._begin(rows, rng)
            codes = _codes_of(rows, begun)
            if not begun.layout.n_columns:
                return begun
            net = MaskedNet(begun.layout, begun.blocks, begun.device)
            state = train(
                net,
                codes,
                begun.progressed,
                self._plan(),
                begun.width,
                begun.order,
                lambda done, most: progress("epochs", done, most),
            )
            fitted = FittedNetwork(begun.table, state, begun.width, begun.blocks, begun.device)
            return fitted.calibrated(codes)

    def from_arrays(
        self, arrays: dict[str, npt.NDArray[Any]], meta: dict[str, Any]
    ) -> FittedNetwork:
        """Return the network that `FittedNetwork.to_arrays` wrote, on the device of these settings."""
        require_torch()
        return FittedNetwork.from_arrays(arrays, meta, self.device)

    def _begin(self, rows: Dataset, rng: np.random.Generator) -> FittedNetwork:
        table = TableCells.of(rows, self.bins, _SPLITS)
        state = begin(TokenLayout(table.columns), self.width, self.blocks, rng)
        return FittedNetwork(table, state, self.width, self.blocks, self.device)

    def _plan(self) -> NetworkTrainingOptions:
        return NetworkTrainingOptions(
            self.epochs,
            self.batch_rows,
            self.learning_rate,
            self.weight_decay,
            self.patience,
            self.max_seconds,
            self.dropout,
            self.blur,
        )


_SPLITS = 16


def _codes_of(rows: Dataset, begun: FittedNetwork) -> npt.NDArray[np.int64]:
    if rows.schema.names != begun.schema.names:
        raise FitError("the training to go on with was on other columns")
    if begun.progressed.step < 0:
        raise FitError(
            "this checkpoint was saved without what going on with training needs",
            todo="save it by to_arrays(resumable=True)",
        )
    codes = begun.table.encode(rows)[:, begun.layout.columns]
    if (codes < 0).any():
        raise FitError("there are values that the training to go on with has not seen")
    return codes

"""`tabular.jitter`: real rows with numbers moved a little and a few labels swapped."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Annotated, Any, ClassVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from twinset.core.contracts import Augmenter
from twinset.core.data.conditions import parents_of
from twinset.core.data.dataset import Dataset
from twinset.core.data.encoding import TableEncoding, round_to_step, to_arrow
from twinset.core.data.schema import KINDS
from twinset.core.parameters import Fraction, Interval

_KEPT_ROLES = frozenset({"target", "identifier", "group", "time", "split"})


@dataclass(frozen=True, kw_only=True)
class Jitter(Augmenter):
    """Vary rows of a table: numbers move by a share of their spread, a few labels are swapped.

    Numbers and integers get normal noise, stay on their grid (integers, decimals) and inside the
    range of the rows at hand; rounding goes up or down at random, so means stay. Categories and
    booleans take the label of another row of the same chunk, which keeps their shares. Missing
    values stay missing. In a recipe values of single persons are replaced first, unless
    `value_protection` is false. Targets, identifiers, groups, times and all other kinds are left alone.

    Parameters
    ----------
    scale : float
        Standard deviation of the noise as a share of the column's own, 0 or more.
    swap_fraction : float
        Share of labels to swap, 0 to 1.

    Examples
    --------
    >>> data = Dataset.from_arrow(pa.table({"price": [10.25, 11.5, 13.0], "n": [1, 5, 9]}))
    >>> jitter = Jitter(scale=0.5)
    >>> varied = jitter.apply(data, jitter.draw(data, np.random.default_rng(0)))
    >>> varied.records.column("n").to_pylist()
    [3, 6, 8]
    """

    scale: Annotated[float, Interval(ge=0, lt=np.inf)] = 0.05
    swap_fraction: Fraction = 0.02

    kinds: ClassVar[frozenset[str]] = frozenset(KINDS)
    varies_cells: ClassVar[bool] = True

    def draw(self, dataset: Dataset, rng: np.random.Generator) -> Mapping[str, npt.NDArray[Any]]:
        """Return, by column, the shift of each number and the new label of each row.

        Returns
        -------
        mapping
            ``"shift:NAME"`` -> floats in the column's unit, shape (n,), 0 where missing;
            ``"label:NAME"`` -> labels as text, shape (n,), empty where missing.
        """
        params: dict[str, npt.NDArray[Any]] = {}
        for field in dataset.schema.of_kind("number", "integer", "category", "boolean"):
            if field.role in _KEPT_ROLES:
                continue
            present = np.flatnonzero(~dataset.is_null(field.name))
            if field.is_numeric:
                shift = np.zeros(len(dataset))
                if len(present):
                    values = dataset.values(field.name)[present]
                    drawn = self.scale * values.std() * rng.standard_normal(len(values))
                    step = field.column_kind.step(values, field.decimals)
                    drawn = drawn if step is None else round_to_step(drawn, step, rng)
                    low, high = values.min(), values.max()
                    shift[present] = np.clip(values + drawn, low, high) - values
                params[f"shift:{field.name}"] = shift
            else:
                rows = np.arange(len(dataset))
                swapped = present[rng.random(len(present)) < self.swap_fraction]
                if len(swapped):
                    rows[swapped] = rng.choice(present, len(swapped))
                codes, levels = dataset.codes(field.name)
                params[f"label:{field.name}"] = np.array([*levels, ""])[codes[rows]]
        return params

    def apply(self, dataset: Dataset, params: Mapping[str, npt.NDArray[Any]]) -> Dataset:
        """Return the varied rows, in order; the same parameters give the same bytes."""
        records = dataset.without_reserved().records
        for key, drawn in params.items():
            what, _, name = key.partition(":")
            if what == "label":
                labels = pa.array(drawn, pa.string(), mask=dataset.is_null(name))
                column = labels.cast(dataset.schema[name].arrow_type)
            else:
                column = _shifted(dataset.select([name]), drawn)
            records = records.set_column(records.schema.get_field_index(name), name, column)
        parents = parents_of(dataset, np.arange(len(dataset)))
        if parents is not None:
            records = records.append_column("_parents", parents)
        return replace(dataset, records=records)


def _shifted(dataset: Dataset, shift: npt.NDArray[np.float64]) -> pa.Array:
    (column,) = TableEncoding.from_dataset(dataset).columns
    values = dataset.values(column.field.name)
    missing = np.isnan(values)
    moved = np.where(missing, 0.0, values + shift)
    # The drawn shift keeps the range of the whole chunk; these rows alone may have a narrower one.
    return to_arrow(replace(column, low=-np.inf, high=np.inf), moved, missing)

"""Labels, their codes and counts; the rows that `sampling_strategy` requests for each class."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from numbers import Real
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from twinset.core.errors import did_you_mean
from twinset.sklearn._columns import Rows, SamplerInputError


@dataclass(frozen=True)
class Labels:
    """Labels of real rows."""

    given: Any  # as the caller gave them
    classes: npt.NDArray[Any]  # the distinct labels, sorted, shape (c,)
    codes: Rows  # position of each row's label in `classes`, shape (n,)

    @classmethod
    def read(cls, y: Any, n_rows: int) -> Labels:
        """Return the labels in `y`: one per row, or one column per class with a single 1.

        Raises
        ------
        SamplerInputError
            They are missing, not as many as rows, continuous, or of several outputs.
        """
        from sklearn.utils.multiclass import check_classification_targets, type_of_target

        if y is None:
            raise SamplerInputError(
                "requires y to be passed, but the target y is None", allowed="one label a row"
            )
        values = _as_array(y)
        if len(values) != n_rows:
            raise SamplerInputError(
                "Found input variables with inconsistent numbers of samples",
                got=f"{n_rows} rows and {len(values)} labels",
            )
        if any(map(_is_missing, values.ravel())) if values.dtype.kind == "O" else _has_nan(values):
            raise SamplerInputError(
                "Input y contains NaN.",
                allowed="a label for every row",
                todo="drop rows without label",
            )
        if values.ndim == 1 and values.dtype.kind in "iubfU":
            return cls(y, *_classes(values))
        kind = type_of_target(values, input_name="y")
        check_classification_targets(values)
        if kind.startswith("multi") and values.ndim == 2 and values.shape[1] > 1:
            if kind != "multilabel-indicator" or np.any(values.sum(axis=1) > 1):
                raise SamplerInputError(
                    "Multilabel and multioutput targets are not supported.",
                    allowed="one label a row, or one column a class",
                )
            values = values.argmax(axis=1)
        values = values.reshape(len(values), -1)[:, 0]
        classes, codes = np.unique(values, return_inverse=True)
        return cls(y, classes, codes.astype(np.int64))

    @property
    def counts(self) -> Rows:
        """Rows of each class, shape (c,)."""
        return np.bincount(self.codes, minlength=len(self.classes))

    def rows_of(self, code: int) -> Rows:
        """Return the positions of the rows of one class."""
        return np.flatnonzero(self.codes == code)

    def take(self, rows: Rows, index: Any = None) -> Any:
        """Return the labels of these rows in the caller's type; `index` is that of a pandas X."""
        y = self.given
        if isinstance(y, list | tuple):
            return [y[i] for i in rows.tolist()]
        if hasattr(y, "iloc"):
            out = y.iloc[rows]
            if index is not None:
                return out.set_axis(index)
            return out.reset_index(drop=True) if len(rows) > len(y) else out
        if isinstance(y, pa.Array | pa.ChunkedArray | pa.Table):
            return y.take(pa.array(rows))
        return y[rows]

    def check_classes(self) -> None:
        """Raise an error where there is one class only."""
        if len(self.classes) < 2:
            raise SamplerInputError(
                "The target 'y' needs to have more than 1 class",
                got=f"{len(self.classes)} class instead",
                todo="give rows of both classes",
            )


def _classes(values: npt.NDArray[Any]) -> tuple[npt.NDArray[Any], Rows]:
    """Return the sorted labels and their codes; hashing is many times faster than sorting."""
    from sklearn.utils.multiclass import check_classification_targets

    found = pa.array(values).dictionary_encode()
    distinct = np.asarray(found.dictionary.to_numpy(zero_copy_only=False)).astype(values.dtype)
    check_classification_targets(distinct)
    order = np.argsort(distinct)
    rank = np.empty(len(order), dtype=np.int64)
    rank[order] = np.arange(len(order))
    return distinct[order], rank[found.indices.to_numpy()]


def _as_array(y: Any) -> npt.NDArray[Any]:
    if isinstance(y, pa.Table):
        y = y.column(0)
    if isinstance(y, pa.Array | pa.ChunkedArray):
        y = y.cast(y.type.value_type) if pa.types.is_dictionary(y.type) else y
        values = np.asarray(y.to_pylist() if y.null_count == 0 else [None])
    elif isinstance(getattr(y, "dtype", None), np.dtype) or not hasattr(y, "to_numpy"):
        values = np.asarray(y)
    else:
        values = np.asarray(y.to_numpy())
    if values.dtype == object and len(values) and values.ndim == 1:
        # Nullable and Arrow-backed integers come as objects.
        plain = np.asarray(values.tolist())
        is_alike = all(type(value) is type(values[0]) for value in values)
        values = plain if plain.dtype.kind in "iubU" and is_alike else values
    if values.ndim == 0:
        raise SamplerInputError("y should be a 1d array, got a single value instead")
    return values


def _has_nan(values: npt.NDArray[Any]) -> bool:
    return values.dtype.kind == "f" and bool(np.isnan(values).any())


def _is_missing(value: Any) -> bool:
    return value is None or type(value).__name__ == "NAType" or not bool(value == value)


Strategy = float | str | Mapping[Any, int] | Callable[[Any], Mapping[Any, int]]
NAMES = ("auto", "minority", "not minority", "not majority", "all")


def rows_to_add(strategy: Strategy, labels: Labels) -> dict[Any, int]:
    """Return the number of rows to add to each targeted class, label -> rows, in the order of labels.

    A float is the requested minority / majority ratio, for two classes. A name says which classes
    are raised to the size of the largest: ``auto`` and ``not majority``, ``minority``,
    ``not minority``, ``all``. A mapping gives the requested rows of each class, the real ones
    included. A callable gets y and returns such a mapping.

    Raises
    ------
    SamplerInputError
        There is one class only, or the strategy does not fit the labels.
    """
    labels.check_classes()
    counts = dict(zip(labels.classes.tolist(), labels.counts.tolist()))
    if isinstance(strategy, str):
        return _by_name(strategy, counts)
    if isinstance(strategy, float | int | Real):
        return _by_ratio(float(strategy), counts)
    return _by_class(strategy if isinstance(strategy, Mapping) else strategy(labels.given), counts)


def _by_name(name: str, counts: dict[Any, int]) -> dict[Any, int]:
    largest = max(counts, key=lambda label: counts[label])
    smallest = min(counts, key=lambda label: counts[label])
    chosen = {
        "minority": [smallest],
        "not minority": [label for label in counts if label != smallest],
        "all": list(counts),
    }
    chosen["auto"] = chosen["not majority"] = [label for label in counts if label != largest]
    if name not in chosen:
        raise SamplerInputError(
            "unknown name for 'sampling_strategy'",
            got=repr(name),
            allowed=", ".join(NAMES),
            todo=did_you_mean(name, NAMES),
        )
    return {label: counts[largest] - counts[label] for label in chosen[name]}


def _by_ratio(ratio: float, counts: dict[Any, int]) -> dict[Any, int]:
    if len(counts) != 2:
        raise SamplerInputError(
            '"sampling_strategy" can be a float only when the type of target is binary',
            got=f"{len(counts)} classes",
            todo="For multi-class, use a dict.",
        )
    largest = max(counts, key=lambda label: counts[label])
    other = next(label for label in counts if label != largest)
    n_added = int(counts[largest] * ratio - counts[other])
    if n_added <= 0:
        raise SamplerInputError(
            "The specified ratio required to remove samples from the minority class while trying "
            "to generate new samples",
            got=f"{ratio}, where the data have {counts[other] / counts[largest]:.3g}",
            todo="Please increase the ratio.",
        )
    return {other: n_added}


def _by_class(requested: Mapping[Any, int], counts: dict[Any, int]) -> dict[Any, int]:
    unknown = [label for label in requested if label not in counts]
    if unknown:
        raise SamplerInputError(
            f"The {set(unknown)} target class is/are not present in the data.",
            allowed=", ".join(map(str, list(counts)[:30])),
        )
    added = {label: int(requested[label]) - n for label, n in counts.items() if label in requested}
    for label, n in added.items():
        if n < 0:
            raise SamplerInputError(
                "With over-sampling methods, the number of samples in a class should be greater "
                "or equal to the original number of samples",
                got=f"{requested[label]} for the class {label}, which has {counts[label]}",
            )
    return added

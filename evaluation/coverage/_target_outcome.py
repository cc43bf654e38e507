"""What the target says of a row, as numbers whose group means can be compared."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from twinset.core.contracts import Comparison, NotMeasurable
from twinset.core.data.dataset import Dataset

Floats = npt.NDArray[np.float64]

_MOST_CLASSES = 20


@dataclass(frozen=True)
class TargetOutcome:
    """The outcome of a row: which class it has, or a number in standard deviations.

    Parameters
    ----------
    target : str
        The column.
    classes : tuple of str
        Classes; of two the second is the positive one. Empty for a number.
    mean, scale : float
        Mean and standard deviation of a number among the real train rows.
    """

    target: str
    classes: tuple[str, ...] = ()
    mean: float = 0.0
    scale: float = 1.0

    @classmethod
    def of(cls, comparison: Comparison) -> TargetOutcome:
        """Return the outcome that the comparison's target is.

        Raises
        ------
        NotMeasurable
            There is no target, it has one value only, or too many classes.
        """
        target, train = comparison.target, comparison.train
        if target is None:
            raise NotMeasurable("no target column is named")
        if target not in train.schema.names:
            raise NotMeasurable(f"the target '{target}' is not among the columns of both sets")
        if comparison.positive is not None:
            return cls(target, ("", comparison.positive))
        if train.schema[target].is_numeric:
            values = train.values(target)
            values = values[~np.isnan(values)]
            if not len(values) or values.std() == 0:
                raise NotMeasurable(f"the target '{target}' has one value only")
            return cls(target, (), float(values.mean()), float(values.std()))
        codes, levels = train.codes(target)
        counts = np.bincount(codes[codes >= 0], minlength=len(levels))
        classes = tuple(levels[i] for i in np.argsort(-counts, kind="stable") if counts[i])
        if not 2 <= len(classes) <= _MOST_CLASSES:
            raise NotMeasurable(
                f"the target '{target}' has {len(classes)} classes; 2 to {_MOST_CLASSES} are looked at"
            )
        return cls(target, classes)

    @property
    def words(self) -> str:
        """What the compared number is."""
        if not self.classes:
            return f"mean of '{self.target}'"
        if len(self.classes) == 2:
            return f"share of rows with '{self.target}' = {self.classes[1]}"
        return f"shares of the classes of '{self.target}'"

    def truth(self, rows: Dataset) -> Floats:
        """Return the number, or the position in `classes`, NaN where neither is known, shape (n,)."""
        if not self.classes:
            return rows.values(self.target)
        codes, levels = rows.codes(self.target)
        rest = 0.0 if self.classes[0] == "" else np.nan
        place = {level: float(i) for i, level in enumerate(self.classes)}
        return np.array([*[place.get(level, rest) for level in levels], np.nan])[codes]

    def known(self, rows: Dataset) -> Dataset:
        """Return the rows whose outcome is known."""
        known = ~np.isnan(self.truth(rows))
        return rows if known.all() else rows.filter(known)

    def matrix(self, rows: Dataset) -> Floats:
        """Return one column a class but the first, or the scaled number, shape (n, k)."""
        truth = self.truth(rows)
        if not self.classes:
            return ((truth - self.mean) / self.scale)[:, None]
        return np.asarray(truth[:, None] == np.arange(1, len(self.classes)), dtype=np.float64)

    def differences(self, ours: Floats, theirs: Floats) -> Floats:
        """Return how far means of `matrix` are apart, of shapes (b, g, k); the result has (b, g).

        Classes: half the summed difference of all shares. Numbers: the difference itself.
        """
        apart = ours - theirs
        if not self.classes:
            return np.asarray(np.abs(apart[:, :, 0]))
        first = np.abs(apart.sum(axis=2))
        return np.asarray((np.abs(apart).sum(axis=2) + first) / 2)

    def told(self, real: Floats, made: Floats) -> dict[str, Any]:
        """Return the outcomes of one group on both sides, in the target's own unit.

        Shares are rounded to whole percents: no number of few rows can be told from them.
        """
        if not self.classes:
            return {
                side: self.mean + self.scale * float(mean[0])
                for side, mean in (("real", real), ("synthetic", made))
            }
        if len(self.classes) == 2:
            return {"real": round(float(real[0]), 2), "synthetic": round(float(made[0]), 2)}
        sides = (("real", real), ("synthetic", made))
        return {
            side: {name: round(float(share), 2) for name, share in zip(self.classes[1:], shares)}
            for side, shares in sides
        }

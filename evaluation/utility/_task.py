"""The target and the features that metrics of utility predict it from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from twinset.core.contracts import Comparison, NotMeasurable
from twinset.core.data.dataset import Dataset
from twinset.core.findings import DecidingRows

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class PredictionTask:
    """Target and features of a model; of two classes the second is the positive one."""

    name: Literal["classification", "regression"]
    target: str
    features: tuple[str, ...]
    classes: tuple[str, ...] = ()
    one_against_rest: bool = False

    @classmethod
    def from_comparison(cls, comparison: Comparison) -> PredictionTask:
        """Return the task; raise NotMeasurable where no target is named or it cannot be predicted."""
        target, schema = comparison.target, comparison.train.schema
        if target is None:
            raise NotMeasurable("no target column is named")
        if target not in schema.names:
            raise NotMeasurable(f"the target '{target}' is not among the columns of both sets")
        features = tuple(name for name in schema.names if name != target)
        if not features:
            raise NotMeasurable("there is no column to predict the target from")
        if comparison.positive is not None:
            return cls("classification", target, features, ("", comparison.positive), True)
        if schema[target].is_numeric:
            return cls("regression", target, features)
        if not schema[target].has_levels:
            raise NotMeasurable(f"a target of the kind {schema[target].kind} cannot be predicted")
        codes, levels = comparison.train.codes(target)
        counts = np.bincount(codes[codes >= 0], minlength=len(levels))
        order = np.argsort(-counts, kind="stable")
        levels = tuple(levels[i] for i in order if counts[i])
        # Of two classes the rarer one is the class of interest.
        return cls("classification", target, features, levels)

    def truth(self, dataset: Dataset) -> Floats:
        """Return the targets: numbers, or positions in `classes`; -1 for none of them."""
        if self.name == "regression":
            return dataset.values(self.target)
        codes, levels = dataset.codes(self.target)
        place = {level: float(i) for i, level in enumerate(self.classes)}
        other = 0.0 if self.one_against_rest else -1.0
        return np.array([*[place.get(level, other) for level in levels], -1.0])[codes]

    def labelled(self, dataset: Dataset) -> Dataset:
        """Return the rows whose target is known."""
        truth = self.truth(dataset)
        known = ~np.isnan(truth) if self.name == "regression" else truth >= 0
        return dataset if known.all() else dataset.filter(known)

    def check(self, train: Dataset, holdout: Dataset) -> None:
        """Raise NotMeasurable where a set has one value of the target or none."""
        for part, name in ((train, "train set"), (holdout, "holdout")):
            truth = self.truth(self.labelled(part))
            if len(np.unique(truth)) < 2:
                found = "no row" if not len(truth) else "one value only"
                raise NotMeasurable(f"the target '{self.target}' has {found} in the {name}")

    def measures(self, alert_rate: float) -> tuple[str, ...]:
        """Return the names of the measures of a model, the deciding one first."""
        if self.name == "regression":
            return ("R2",)
        if len(self.classes) > 2:
            return ("mean average precision",)
        return ("average precision", f"recall at {100 * alert_rate:g} % alerts")

    def chance_level(self, holdout: Dataset) -> float:
        """Return the first measure of a model that guesses."""
        if self.name == "regression":
            return 0.0
        truth = self.truth(holdout)
        if len(self.classes) == 2:
            return float((truth == 1).mean())
        return 1.0 / len(np.unique(truth))

    def deciding_rows(self, holdout: Dataset) -> tuple[DecidingRows, ...]:
        """Return the positive holdout rows, which decide where there are two classes."""
        if self.name == "regression" or len(self.classes) != 2:
            return ()
        return (DecidingRows(int((self.truth(holdout) == 1).sum()), "positive holdout rows"),)

    def strata(self, rows: Dataset) -> npt.NDArray[np.int64]:
        """Return the class of each row, within which rows are drawn; numbers are one class."""
        if self.name == "regression":
            return np.zeros(len(rows), dtype=np.int64)
        return self.truth(rows).astype(np.int64)

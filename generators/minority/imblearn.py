"""`minority.imblearn`: any over-sampler of imbalanced-learn, behind twinset's types."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np

from twinset.core.contracts import FittedGenerator, Generator, Progress, silent
from twinset.core.data.conditions import keep_drawing, rows_to_learn_from
from twinset.core.data.dataset import Dataset
from twinset.core.data.encoding import Matrix
from twinset.core.data.schema import TABULAR_KINDS
from twinset.core.data.where import Where
from twinset.core.errors import (
    FitError,
    MissingExtraError,
    ParameterError,
    did_you_mean,
    without_values,
)
from twinset.core.seeding import draw_seed

from ._engine.one_hot_space import IndicatorSpace
from ._engine.per_class import FittedByLabel, Rows

SAMPLERS = ("ADASYN", "BorderlineSMOTE", "KMeansSMOTE", "RandomOverSampler", "SMOTE", "SVMSMOTE")
_ALONE = ("RandomOverSampler", "SMOTE")
_ROUNDS = 12


@dataclass(frozen=True, kw_only=True)
class Imblearn(Generator):
    """An over-sampler of imbalanced-learn by name, with types, gaps, decimals and labels kept.

    Rows become points of scaled numbers and one indicator a level; the points it makes become rows
    again: the strongest level, whole numbers and decimals rounded without bias, dates on their grid.
    Rules of the schema are held by the frame, as for every generator. The cleaners (Tomek links,
    edited nearest neighbours) and under-samplers make no rows, so they are no generators: use
    `twinset.sklearn.ImblearnSampler`. SMOTENC and SMOTEN are `minority.smote`.

    All but SMOTE and RandomOverSampler look at the other classes: learn them on the whole table with
    a label as target, and name the class when rows are drawn.

    Parameters
    ----------
    sampler : str
        ADASYN, BorderlineSMOTE, KMeansSMOTE, RandomOverSampler, SMOTE or SVMSMOTE.
    settings : mapping
        Its settings, as imbalanced-learn names them.

    References
    ----------
    Lemaitre, Nogueira and Aridas, "Imbalanced-learn", J. Mach. Learn. Res. 18, 2017.

    Examples
    --------
    >>> import pyarrow as pa
    >>> table = pa.table({"x": [0.5, 1.5, 2.25, 3.0, 3.5, 9.5], "y": list("aaaabb")})
    >>> real = Dataset.from_arrow(table)
    >>> real = real.with_schema(real.schema.with_target("y"))
    >>> generator = Imblearn(sampler="SMOTE", settings={"k_neighbors": 1})
    >>> fitted = generator.fit(real, np.random.default_rng(0))
    >>> rows = fitted.sample(9, np.random.default_rng(1), Where({"y": "b"}))
    >>> float(rows.values("x").min()) >= 3.5
    True
    """

    sampler: str = "SMOTE"
    settings: Mapping[str, Any] = field(default_factory=dict)

    kinds: ClassVar[frozenset[str]] = TABULAR_KINDS
    needs_others: ClassVar[bool] = True
    extra: ClassVar[str | None] = "imbalanced"
    note: ClassVar[str] = "interpolates between real records: treat as the source data"

    def __post_init__(self) -> None:
        if self.sampler not in SAMPLERS:
            raise ParameterError(
                "sampler is no over-sampler that can be used here",
                got=repr(self.sampler),
                allowed=", ".join(SAMPLERS),
                todo=did_you_mean(self.sampler, SAMPLERS),
            )
        taken = {"sampling_strategy", "random_state"} & set(self.settings)
        if taken:
            raise ParameterError(
                f"settings holds '{min(taken)}', which is given when rows are drawn",
                todo="leave it out",
            )

    def fit(
        self, real: Dataset | None, rng: np.random.Generator, progress: Progress = silent
    ) -> FittedGenerator:
        """Return the sampler for these rows; it does its work when rows are drawn."""
        train = rows_to_learn_from(
            real, self.kinds, component="minority.imblearn", least=2
        ).without_reserved()
        self._sampler({}, 0)

        def part(number: int, rows: Rows) -> FittedGenerator:
            return _Part(self, train, rows)

        fitted = FittedByLabel(train, part, "minority.imblearn", 2)
        if self.sampler not in _ALONE and len(fitted.groups) < 2:
            raise FitError(
                f"{self.sampler} looks at the other classes and was given rows of one only",
                todo="give the whole table with a label as target and name the class under "
                "'counts', or use SMOTE",
            )
        return fitted

    def _sampler(self, strategy: Mapping[int, int], seed: int) -> Any:
        try:
            import imblearn.over_sampling as samplers
        except ImportError as error:
            raise MissingExtraError.for_library("imbalanced-learn", "imbalanced") from error
        given = {"sampling_strategy": dict(strategy), "random_state": seed, **self.settings}
        try:
            return getattr(samplers, self.sampler)(**given)
        except TypeError as error:
            raise ParameterError(
                f"{self.sampler} has no such setting", got=", ".join(sorted(self.settings))
            ) from error


class _Part(FittedGenerator):
    """The rows of one label, and all others as the other class."""

    def __init__(self, generator: Imblearn, train: Dataset, rows: Rows) -> None:
        self.generator, self.schema = generator, train.schema
        target = train.schema.target
        features = [name for name in train.schema.names if target is None or name != target.name]
        self.whole = train.take(rows[:1])
        # The label itself is no feature: it is the same in all rows of the part.
        self.has_label = target is not None and len(rows) < len(train) and bool(features)
        seen = train.select(features) if self.has_label else train
        own = seen.take(rows)
        beside = seen.take(np.setdiff1d(np.arange(len(seen)), rows))
        self.space = IndicatorSpace.of(seen) if self.has_label else IndicatorSpace.of(own)
        self.points = self.space.points(own)
        self.others = self.space.points(beside) if self.has_label else self.points[:0]

    def sample(self, n: int, rng: np.random.Generator, where: Where | None = None) -> Dataset:
        if where is None or not where.conditions:
            return self._draw(n, rng)
        return keep_drawing(lambda size: self._draw(size, rng), n, where)

    def _draw(self, n: int, rng: np.random.Generator) -> Dataset:
        parts, found = [np.empty((0, self.points.shape[1]))], 0
        for _ in range(_ROUNDS if n else 0):
            made = self._new(n - found, draw_seed(rng))
            # ADASYN makes its rows seed by seed: the first ones alone would be those of a few seeds.
            parts.append(made[np.sort(rng.permutation(len(made))[: n - found])])
            found += len(parts[-1])
            if found == n:
                break
        if found < n:
            raise FitError(
                f"{self.generator.sampler} made fewer rows than were asked for",
                got=f"{found} of {n}",
                todo="take another sampler or other settings",
            )
        rows = self.space.rows(np.vstack(parts), rng)
        return self._with_label(rows) if self.has_label else rows

    def _new(self, n: int, seed: int) -> Matrix:
        own, others = self.points, self.others
        if not len(others):
            others = np.vstack([own, own, own[:1]])
        both = np.vstack([own, others])
        classes = np.repeat([1, 0], [len(own), len(others)])
        # ADASYN rounds the share of each seed, and refuses where all of them round to nothing.
        asked = n + n // 10 + len(own) if self.generator.sampler == "ADASYN" else n
        sampler = self.generator._sampler({1: len(own) + asked}, seed)
        sampler = _with_fewer_neighbours(sampler, len(own) - 1)
        try:
            made = sampler.fit_resample(both, classes)[0]
        except (ValueError, RuntimeError) as error:
            raise FitError(
                f"{self.generator.sampler} of imbalanced-learn cannot make rows of these data",
                got=type(error).__name__,
                todo="see what it asks of its data, or take minority.smote",
            ) from without_values(error)
        return np.asarray(made[len(both) :], dtype=np.float64)

    def _with_label(self, made: Dataset) -> Dataset:
        target = self.schema.target
        assert target is not None
        label = self.whole.take(np.zeros(len(made), dtype=np.int64)).records.column(target.name)
        records = made.records.append_column(target.name, label).select(list(self.schema.names))
        return Dataset(records, self.schema, made.card)


def _with_fewer_neighbours(sampler: Any, most: int) -> Any:
    """Return the sampler with no more neighbours than there are other rows of the class."""
    known = sampler.get_params(deep=False)
    for name in ("k_neighbors", "n_neighbors"):
        if isinstance(known.get(name), int) and known[name] > most:
            sampler.set_params(**{name: max(most, 1)})
    return sampler

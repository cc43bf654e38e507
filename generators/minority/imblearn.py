"""`minority.imblearn`: over-samplers of imbalanced-learn with the types of the table kept."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

import numpy as np

from twinset.core.contracts import FittedGenerator, Generator, Progress, silent
from twinset.core.data.conditions import keep_drawing, rows_to_learn_from
from twinset.core.data.dataset import Dataset
from twinset.core.data.encoding import Matrix
from twinset.core.data.schema import TABULAR_KINDS
from twinset.core.data.where import Where
from twinset.core.errors import FitError, ParameterError, without_values
from twinset.core.extras import optional
from twinset.core.seeding import draw_seed

from ._engine.one_hot_space import IndicatorSpace
from ._engine.per_class import FittedByLabel, Rows

Sampler = Literal[
    "ADASYN", "BorderlineSMOTE", "KMeansSMOTE", "RandomOverSampler", "SMOTE", "SVMSMOTE"
]
_NEEDS_NO_OTHERS = ("RandomOverSampler", "SMOTE")
_MAX_ROUNDS = 12  # of calls: ADASYN draws up to a third fewer rows than requested


@dataclass(frozen=True, kw_only=True)
class Imblearn(Generator):
    """An over-sampler of imbalanced-learn by name, with types, gaps, decimals and labels kept.

    Rows become points of scaled numbers and one indicator per level. New points become rows again: the
    level with the greatest indicator, whole numbers and decimals rounded without bias, dates on their
    grid. The rules of the schema are enforced as for every generator. Cleaners (Tomek links, edited
    nearest neighbours) and under-samplers draw no rows, so they are no generators: use
    `twinset.sklearn.ImblearnSampler`. For SMOTENC and SMOTEN use `minority.smote`.

    All but SMOTE and RandomOverSampler need the other classes: fit them on the whole table with a label
    as target, and name the class when rows are drawn.

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

    sampler: Sampler = "SMOTE"
    settings: Mapping[str, Any] = field(default_factory=dict)

    kinds: ClassVar[frozenset[str]] = TABULAR_KINDS
    needs_others: ClassVar[bool] = True
    extra: ClassVar[str | None] = "imbalanced"
    note: ClassVar[str] = "interpolates between real records: treat as the source data"

    def __post_init__(self) -> None:
        super().__post_init__()
        taken = {"sampling_strategy", "random_state"} & set(self.settings)
        if taken:
            raise ParameterError(
                f"settings holds '{min(taken)}', which is given when rows are drawn",
                todo="leave it out",
            )

    def fit(
        self, real: Dataset | None, rng: np.random.Generator, progress: Progress = silent
    ) -> FittedGenerator:
        """Return the sampler for these rows; it runs when rows are drawn."""
        train = rows_to_learn_from(
            real, self.kinds, component="minority.imblearn", min_rows=2
        ).without_reserved()
        self.build_sampler({}, 0)

        def fit_label(number: int, rows: Rows) -> FittedGenerator:
            return _FittedLabel(self, train, rows)

        fitted = FittedByLabel(train, fit_label, "minority.imblearn")
        if self.sampler not in _NEEDS_NO_OTHERS and len(fitted.groups) < 2:
            raise FitError(
                f"{self.sampler} needs the other classes and was given rows of one only",
                todo="give the whole table with a label as target and name the class under "
                "'counts', or use SMOTE",
            )
        return fitted

    def build_sampler(self, strategy: Mapping[int, int], seed: int) -> Any:
        """Return the sampler of imbalanced-learn with these settings.

        Raises
        ------
        MissingExtraError
            imbalanced-learn is not installed.
        ParameterError
            The sampler has no such setting.
        """
        samplers = optional("imblearn.over_sampling")
        given = {"sampling_strategy": dict(strategy), "random_state": seed, **self.settings}
        try:
            return getattr(samplers, self.sampler)(**given)
        except TypeError as error:
            raise ParameterError(
                f"{self.sampler} has no such setting", got=", ".join(sorted(self.settings))
            ) from error


class _FittedLabel(FittedGenerator):
    """The rows of one label, and all others as the other class."""

    def __init__(self, generator: Imblearn, train: Dataset, rows: Rows) -> None:
        self.generator, self.schema = generator, train.schema
        target = train.schema.target
        features = [name for name in train.schema.names if target is None or name != target.name]
        self.first = train.take(rows[:1])
        # The label itself is no feature: it is the same in all rows of the label.
        self.has_label = target is not None and len(rows) < len(train) and bool(features)
        fitted_on = train.select(features) if self.has_label else train.take(rows)
        self.space = IndicatorSpace.fit(fitted_on)
        points = self.space.to_points(fitted_on)
        is_own = (
            np.isin(np.arange(len(points)), rows) if self.has_label else np.ones(len(points), bool)
        )
        self.points, self.others = points[is_own], points[~is_own]

    def sample(self, n: int, rng: np.random.Generator, where: Where | None = None) -> Dataset:
        if where is None or not where.conditions:
            return self._draw(n, rng)
        return keep_drawing(lambda size: self._draw(size, rng), n, where)

    def _draw(self, n: int, rng: np.random.Generator) -> Dataset:
        parts, found = [np.empty((0, self.points.shape[1]))], 0
        for _ in range(_MAX_ROUNDS if n else 0):
            points = self._new_points(n - found, draw_seed(rng))
            # ADASYN draws seed by seed: its first rows alone would be those of a few seeds.
            parts.append(points[np.sort(rng.permutation(len(points))[: n - found])])
            found += len(parts[-1])
            if found == n:
                break
        if found < n:
            raise FitError(
                f"{self.generator.sampler} drew fewer rows than requested",
                got=f"{found} of {n}",
                todo="use another sampler or other settings",
            )
        rows = self.space.to_rows(np.vstack(parts), rng)
        return self._with_label(rows) if self.has_label else rows

    def _new_points(self, n: int, seed: int) -> Matrix:
        own, others = self.points, self.others
        if not len(others):
            others = np.vstack([own, own, own[:1]])
        both = np.vstack([own, others])
        classes = np.repeat([1, 0], [len(own), len(others)])
        # ADASYN rounds the share of each seed, and refuses where all of them round to nothing.
        n_requested = n + n // 10 + len(own) if self.generator.sampler == "ADASYN" else n
        sampler = self.generator.build_sampler({1: len(own) + n_requested}, seed)
        settings = sampler.get_params(deep=False)
        for name in ("k_neighbors", "n_neighbors"):
            if isinstance(settings.get(name), int) and settings[name] > len(own) - 1:
                sampler.set_params(**{name: max(len(own) - 1, 1)})
        try:
            points = sampler.fit_resample(both, classes)[0]
        except (ValueError, RuntimeError) as error:
            raise FitError(
                f"{self.generator.sampler} of imbalanced-learn cannot draw rows from these data",
                got=type(error).__name__,
                todo="see what it needs of its data, or use minority.smote",
            ) from without_values(error)
        return np.asarray(points[len(both) :], dtype=np.float64)

    def _with_label(self, drawn: Dataset) -> Dataset:
        target = self.schema.target
        assert target is not None
        label = self.first.take(np.zeros(len(drawn), dtype=np.int64)).records.column(target.name)
        records = drawn.records.append_column(target.name, label).select(list(self.schema.names))
        return Dataset(records, self.schema, drawn.card)

"""`ImblearnSampler`: any sampler of imbalanced-learn by name, on any kind of table."""

from __future__ import annotations

from collections.abc import Mapping
from numbers import Real
from typing import Any, ClassVar, get_args, get_type_hints

import numpy as np
from sklearn.utils._param_validation import Interval, StrOptions

from twinset.core.contracts import Generator
from twinset.core.errors import did_you_mean
from twinset.core.extras import optional
from twinset.sklearn._columns import SamplerInputError
from twinset.sklearn._labels import NAMES, Labels
from twinset.sklearn._oversampler import GeneratorSampler, generator_class
from twinset.sklearn._rows import distance_matrix
from twinset.sklearn._sampler import sampler_tags
from twinset.sklearn._tables import Table

OVER_SAMPLERS: tuple[str, ...] = get_args(
    get_type_hints(generator_class("minority.imblearn"))["sampler"]
)
UNDER_SAMPLERS = (
    "AllKNN",
    "CondensedNearestNeighbour",
    "EditedNearestNeighbours",
    "InstanceHardnessThreshold",
    "NearMiss",
    "NeighbourhoodCleaningRule",
    "OneSidedSelection",
    "RandomUnderSampler",
    "RepeatedEditedNearestNeighbours",
    "TomekLinks",
)
_INSTEAD = {
    "SMOTENC": "use twinset.sklearn.SMOTE, which finds columns of labels by itself",
    "SMOTEN": "use twinset.sklearn.SMOTE, which finds columns of labels by itself",
    "SMOTEENN": "put SMOTE and ImblearnSampler('EditedNearestNeighbours') into a pipeline",
    "SMOTETomek": "put SMOTE and ImblearnSampler('TomekLinks') into a pipeline",
    "ClusterCentroids": "it replaces real rows by their means, which no rule survives",
}


class ImblearnSampler(GeneratorSampler, component="minority.imblearn"):
    """A sampler of imbalanced-learn by name, with twinset's types, gaps and rules.

    Over-samplers draw rows through `minority.imblearn`: they get scaled numbers and indicators, and
    types and rules are restored; `parents_` is -1, as imbalanced-learn does not report them.
    Under-samplers and cleaners get the same points and only choose real rows, which come back as they
    are, of any type.

    Parameters
    ----------
    sampler : str
        ADASYN, BorderlineSMOTE, KMeansSMOTE, RandomOverSampler, SMOTE, SVMSMOTE; or AllKNN,
        CondensedNearestNeighbour, EditedNearestNeighbours, InstanceHardnessThreshold, NearMiss,
        NeighbourhoodCleaningRule, OneSidedSelection, RandomUnderSampler,
        RepeatedEditedNearestNeighbours, TomekLinks.
    settings : mapping or None
        Its settings, as imbalanced-learn names them.
    sampling_strategy : float, str, dict, list or callable
        As the sampler takes it.

    References
    ----------
    Lemaitre, Nogueira and Aridas, "Imbalanced-learn", J. Mach. Learn. Res. 18, 2017.

    Examples
    --------
    >>> import numpy as np
    >>> y = np.repeat([0, 1], [60, 10])
    >>> X = np.random.default_rng(0).normal(size=(70, 2)) + y[:, None]
    >>> X_new, y_new = ImblearnSampler("ADASYN", random_state=0).fit_resample(X, y)
    >>> int(y_new.sum())
    60
    >>> X_few, y_few = ImblearnSampler("TomekLinks").fit_resample(X, y)
    >>> len(X_few) < 70
    True
    """

    sampler: str = "ADASYN"
    settings: Mapping[str, Any] | None = None
    sampling_strategy: Any = "auto"

    _positional: ClassVar[str] = "sampler"
    _special: ClassVar[dict[str, Any]] = {
        "sampling_strategy": (
            [
                Interval(Real, 0, 1, closed="right"),
                StrOptions({*NAMES, "majority"}),
                Mapping,
                callable,
                list,
            ],
            "float, str, dict, list or callable",
        )
    }

    def _plan(self, labels: Labels) -> dict[Any, int]:
        if self.sampler in OVER_SAMPLERS:
            return super()._plan(labels)
        if self.sampler not in UNDER_SAMPLERS:
            known = (*OVER_SAMPLERS, *UNDER_SAMPLERS)
            raise SamplerInputError(
                "sampler is no sampler that can be used here",
                got=repr(self.sampler),
                allowed=", ".join(known),
                todo=_INSTEAD.get(self.sampler) or did_you_mean(self.sampler, known),
            )
        labels.check_classes()
        return dict(zip(labels.classes.tolist(), labels.counts.tolist()))

    def _generator(self) -> Generator:
        generator: Generator = generator_class(self._component)(
            sampler=self.sampler, settings=dict(self.settings or {})
        )
        return generator

    def _resample(self, table: Table, labels: Labels) -> tuple[Any, Any]:
        if self.sampler in OVER_SAMPLERS:
            return super()._resample(table, labels)
        inner = self._under_sampler(labels)
        inner.fit_resample(distance_matrix(table.dataset(np.arange(len(table)))), labels.codes)
        rows = np.sort(np.asarray(inner.sample_indices_, dtype=np.int64))
        codes = labels.codes[rows]
        kept = np.bincount(codes, minlength=len(labels.classes))
        known = labels.classes.tolist()
        self.sampling_strategy_ = {known[c]: int(kept[c]) for c in inner.sampling_strategy_}
        return self._choose_rows(table, labels, rows, self._weights(codes, labels))

    def _under_sampler(self, labels: Labels) -> Any:
        samplers = optional("imblearn.under_sampling")
        known = labels.classes.tolist()
        strategy: Any = self.sampling_strategy
        if callable(strategy):
            strategy = strategy(labels.given)
        if isinstance(strategy, Mapping):
            strategy = {known.index(label): n for label, n in strategy.items()}
        elif isinstance(strategy, list):
            strategy = [known.index(label) for label in strategy]
        kind = getattr(samplers, self.sampler)
        given = {**(self.settings or {}), "sampling_strategy": strategy}
        if "random_state" in kind().get_params():
            given["random_state"] = self._seed()
        return kind(**given)

    def __sklearn_tags__(self) -> Any:
        return sampler_tags(sample_indices=self.sampler in UNDER_SAMPLERS)

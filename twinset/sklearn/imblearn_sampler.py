"""`ImblearnSampler`: any sampler of imbalanced-learn by name, on any kind of table."""

from __future__ import annotations

from collections.abc import Mapping
from numbers import Real
from typing import Any, ClassVar

import numpy as np
from sklearn.utils._param_validation import Interval, StrOptions

from twinset.core.contracts import Generator
from twinset.core.errors import MissingExtraError, did_you_mean
from twinset.sklearn._columns import SamplerInputError
from twinset.sklearn._declaration import MAKING
from twinset.sklearn._labels import NAMES, Labels, Strategy
from twinset.sklearn._matrix import distance_matrix
from twinset.sklearn._oversampler import GeneratorSampler, generator_class
from twinset.sklearn._rules import RuleWords
from twinset.sklearn._sampler import give, sampler_tags
from twinset.sklearn._tables import Table, dataset_of

MAKERS = ("ADASYN", "BorderlineSMOTE", "KMeansSMOTE", "RandomOverSampler", "SMOTE", "SVMSMOTE")
CHOOSERS = (
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


class ImblearnSampler(GeneratorSampler):
    """A sampler of imbalanced-learn by name, with twinset's types, gaps and rules.

    Over-samplers make rows through `minority.imblearn`: scaled numbers and indicators in, types and
    rules mended out; `parents_` is -1, as imbalanced-learn does not tell. Under-samplers and cleaners
    see the same points and only choose real rows, which come back as they are, of any type.

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
    random_state : int, RandomState, Generator or None
        The seed.
    rules : sequence of Rule or mapping, or None
        What must hold in every new row; None looks for what holds in every real row.
    preserve_mass : bool
        Whether `sample_weight_` leaves the total weight of each class as it was.
    n_jobs : int or None
        Threads that draw rows.

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

    _component: ClassVar[str] = "minority.imblearn"
    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **MAKING,
        "sampling_strategy": [
            Interval(Real, 0, 1, closed="right"),
            StrOptions({*NAMES, "majority"}),
            Mapping,
            callable,
            list,
        ],
        "sampler": [str],
        "settings": [Mapping, None],
    }

    def __init__(
        self,
        sampler: str = "ADASYN",
        *,
        settings: Mapping[str, Any] | None = None,
        sampling_strategy: Strategy | list[Any] = "auto",
        random_state: Any = None,
        rules: RuleWords = None,
        preserve_mass: bool = False,
        n_jobs: int | None = None,
    ) -> None:
        self.sampler = sampler
        self.settings = settings
        self.sampling_strategy = sampling_strategy
        self.random_state = random_state
        self.rules = rules
        self.preserve_mass = preserve_mass
        self.n_jobs = n_jobs

    def _planned(self, labels: Labels) -> dict[Any, int]:
        if self.sampler in MAKERS:
            return super()._planned(labels)
        if self.sampler not in CHOOSERS:
            known = (*MAKERS, *CHOOSERS)
            raise SamplerInputError(
                "sampler is no sampler that can be used here",
                got=repr(self.sampler),
                allowed=", ".join(known),
                todo=_INSTEAD.get(self.sampler) or did_you_mean(self.sampler, known),
            )
        if len(labels.classes) < 2:
            raise SamplerInputError(
                "The target 'y' needs to have more than 1 class", got="1 class instead"
            )
        return dict(zip(labels.classes.tolist(), labels.counts.tolist(), strict=True))

    def _generator(self) -> Generator:
        settings = {"sampler": self.sampler, "settings": dict(self.settings or {})}
        made: Generator = generator_class(self._component)(**settings)
        return made

    def _resampled(self, table: Table, labels: Labels) -> tuple[Any, Any]:
        if self.sampler in MAKERS:
            return super()._resampled(table, labels)
        inner = self._inner(labels)
        points = distance_matrix(dataset_of(table, np.arange(len(table))))
        inner.fit_resample(points, labels.codes)
        rows = np.sort(np.asarray(inner.sample_indices_, dtype=np.int64))
        kept = np.bincount(labels.codes[rows], minlength=len(labels.classes))
        known = labels.classes.tolist()
        self.sampling_strategy_ = {
            known[code]: int(kept[code]) for code in inner.sampling_strategy_
        }
        return give(self, table, labels, rows, self._weights(labels.codes[rows], labels))

    def _inner(self, labels: Labels) -> Any:
        try:
            import imblearn.under_sampling as samplers
        except ImportError as error:
            raise MissingExtraError.for_library("imbalanced-learn", "imbalanced") from error
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
        return sampler_tags(sample_indices=self.sampler in CHOOSERS)

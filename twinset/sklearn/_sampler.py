"""Bases of the samplers: parameter checks, `fit`, `fit_resample`, tags and fitted attributes."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass, field
from functools import cache
from numbers import Integral
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator, OneToOneFeatureMixin

from twinset.core.errors import TwinsetError
from twinset.core.seeding import draw_seed
from twinset.sklearn._columns import Rows, SamplerInputError
from twinset.sklearn._declaration import declare_parameters
from twinset.sklearn._labels import Labels
from twinset.sklearn._tables import Table, read_table

Floats = npt.NDArray[np.float64]


@dataclass(slots=True)
class SamplerTags:
    """`sample_indices`: whether the sampler reports the rows it chose as `sample_indices_`."""

    sample_indices: bool = False


def sampler_tags(*, sample_indices: bool) -> Any:
    """Return the tags of a sampler; they hold the fields of both libraries.

    imbalanced-learn extends scikit-learn's tags by `sampler_tags` and `input_tags.dataframe`. It
    need not be installed, so its fields are added here.
    """
    from sklearn.utils import TargetTags

    all_tags, frame_tags = _tag_classes()
    return all_tags(
        estimator_type="sampler",
        target_tags=TargetTags(required=True),
        input_tags=frame_tags(allow_nan=True, string=True, categorical=True),
        sampler_tags=SamplerTags(sample_indices),
    )


@cache
def _tag_classes() -> tuple[Any, Any]:
    from sklearn.utils import InputTags, Tags

    @dataclass(slots=True)
    class FrameTags(InputTags):  # type: ignore[misc]  # sklearn ships no types
        dataframe: bool = True

    @dataclass(slots=True)
    class AllTags(Tags):  # type: ignore[misc]
        sampler_tags: SamplerTags | None = field(default=None)

    return AllTags, FrameTags


class Sampler(OneToOneFeatureMixin, BaseEstimator):  # type: ignore[misc]  # sklearn has no types
    """A sampler with the interface of imbalanced-learn; see the classes of `twinset.sklearn`.

    Its annotated attributes are its parameters: `declare_parameters` makes `__init__` of them.

    Parameters
    ----------
    random_state : int, RandomState, Generator or None
        The seed. The result depends on it and on the content of the real rows, not on their order.

    Attributes
    ----------
    classes_ : numpy.ndarray, shape (c,)
        The labels, sorted.
    sampling_strategy_ : dict
        Label -> rows added (or kept).
    is_synthetic_ : numpy.ndarray of bool, shape (n_out,)
        Which rows of the output are not real.
    parents_ : numpy.ndarray of int64, shape (n_new, 2)
        Positions in X of the real rows that each new one comes from; -1 where it comes from none.
    sample_weight_ : numpy.ndarray, shape (n_out,)
        A weight for each row of the output, for `fit(X, y, sample_weight=...)`.
    odds_factor_ : numpy.ndarray, shape (c,)
        Factor by which the weight of each class, in the order of `classes_`, has grown. Divide predicted
        probabilities by it, or call `restore_probabilities`.
    n_features_in_, feature_names_in_
        As in scikit-learn.
    """

    random_state: Any = None

    _estimator_type: ClassVar[str] = "sampler"
    _has_indices: ClassVar[bool] = False

    def __init_subclass__(cls, **options: Any) -> None:
        """Declare the parameters of a subclass from its annotated attributes."""
        super().__init_subclass__(**options)
        cls._declare()

    @classmethod
    def _declare(cls) -> None:
        declare_parameters(cls)

    def fit(self, X: Any, y: Any) -> Sampler:
        """Check the data and settings; `fit_resample` makes rows."""
        self._check(X, y)
        return self

    def fit_resample(self, X: Any, y: Any) -> tuple[Any, Any]:
        """Return the resampled rows and labels, in the types of `X` and `y`.

        Parameters
        ----------
        X : array, list of rows, pandas, polars or pyarrow frame, shape (n, d)
            Real rows. NaN, None, NaT and the like are missing values.
        y : array, list, series or column, shape (n,)
            Their labels.

        Raises
        ------
        SamplerInputError
            The data or a setting cannot be used; it is a ValueError, too.
        """
        table, labels = self._check(X, y)
        try:
            return self._resample(table, labels)
        except SamplerInputError:
            raise
        except TwinsetError as error:
            raise SamplerInputError.from_error(error) from error

    @abstractmethod
    def _plan(self, labels: Labels) -> dict[Any, int]:
        """Return label -> rows, which becomes `sampling_strategy_`."""

    @abstractmethod
    def _resample(self, table: Table, labels: Labels) -> tuple[Any, Any]:
        """Return rows and labels, and set the fitted attributes."""

    def _check(self, X: Any, y: Any) -> tuple[Table, Labels]:
        self._validate_params()
        table = read_table(X)
        labels = Labels.read(y, len(table))
        self.n_features_in_ = len(table.names)
        given = table.given_names
        if given is not None and all(isinstance(name, str) for name in given):
            self.feature_names_in_ = np.asarray(given, dtype=object)
        elif hasattr(self, "feature_names_in_"):
            del self.feature_names_in_
        self.classes_ = labels.classes
        self.sampling_strategy_ = self._plan(labels)
        return table, labels

    def _seed(self) -> int:
        """Return a seed from `random_state`: an integer as it is, else drawn from the state."""
        from sklearn.utils import check_random_state

        state = self.random_state
        if isinstance(state, Integral):
            return int(state)
        if isinstance(state, np.random.Generator):
            return draw_seed(state)
        return int(check_random_state(state).randint(2**31 - 1))

    def _note(self, codes: Rows, n_real: int, parents: Rows, weights: Floats, before: Rows) -> None:
        """Set the fitted attributes from the `codes` of all rows, of which the first are real."""
        self.is_synthetic_ = np.arange(len(codes)) >= n_real
        self.parents_ = parents
        self.sample_weight_ = weights
        after = np.bincount(codes, weights=weights, minlength=len(before))
        self.odds_factor_ = after / before

    def _choose_rows(
        self, table: Table, labels: Labels, rows: Rows, weights: Floats
    ) -> tuple[Any, Any]:
        """Return the chosen rows and labels in the caller's types; set the fitted attributes."""
        self.sample_indices_ = rows
        no_parents = np.empty((0, 2), dtype=np.int64)
        self._note(labels.codes[rows], len(rows), no_parents, weights, labels.counts)
        X = table.take(rows)
        return X, labels.take(rows, X.index if hasattr(X, "iloc") else None)

    def __sklearn_tags__(self) -> Any:
        return sampler_tags(sample_indices=self._has_indices)


Sampler._declare()

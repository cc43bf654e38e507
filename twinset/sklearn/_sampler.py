"""Bases of the samplers: parameter checks, `fit`, `fit_resample`, tags and fitted attributes."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass, field
from numbers import Integral
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator, OneToOneFeatureMixin

from twinset.core.errors import TwinsetError
from twinset.core.seeding import draw_seed
from twinset.sklearn._columns import Rows, SamplerInputError
from twinset.sklearn._labels import Labels
from twinset.sklearn._tables import Table, take_in


@dataclass(slots=True)
class SamplerTags:
    """Whether the sampler tells the positions of the rows it chose, as `sample_indices_`."""

    sample_indices: bool = False


def sampler_tags(*, sample_indices: bool) -> Any:
    """Return the tags of a sampler; they hold the fields of both libraries.

    imbalanced-learn extends scikit-learn's tags by `sampler_tags` and `input_tags.dataframe`. It
    need not be installed, so its fields are added here.
    """
    from sklearn.utils import InputTags, Tags, TargetTags

    @dataclass(slots=True)
    class FrameTags(InputTags):  # type: ignore[misc]  # sklearn ships no types
        dataframe: bool = True

    @dataclass(slots=True)
    class AllTags(Tags):  # type: ignore[misc]
        sampler_tags: SamplerTags | None = field(default=None)

    return AllTags(
        estimator_type="sampler",
        target_tags=TargetTags(required=True),
        input_tags=FrameTags(allow_nan=True, string=True, categorical=True),
        sampler_tags=SamplerTags(sample_indices),
    )


Floats = npt.NDArray[np.float64]


class Sampler(OneToOneFeatureMixin, BaseEstimator):  # type: ignore[misc]  # sklearn has no types
    """A sampler in the manner of imbalanced-learn; see the classes of `twinset.sklearn`.

    Attributes
    ----------
    classes_ : numpy.ndarray, shape (c,)
        The labels, sorted.
    sampling_strategy_ : dict
        Label -> rows added (or kept).
    is_synthetic_ : numpy.ndarray of bool, shape (n_out,)
        Which rows of the output are not real.
    parents_ : numpy.ndarray of int64, shape (n_new, 2)
        Positions in X of the real rows that each new one comes from; -1 where there is none to name.
    sample_weight_ : numpy.ndarray, shape (n_out,)
        A weight for each row of the output, for `fit(X, y, sample_weight=...)`.
    odds_factor_ : numpy.ndarray, shape (c,)
        By how much the weight of each class, in the order of `classes_`, has grown. Divide predicted
        probabilities by it, or call `restore_probabilities`.
    n_features_in_, feature_names_in_
        As in scikit-learn.
    """

    _estimator_type: ClassVar[str] = "sampler"
    _tells_indices: ClassVar[bool] = False
    _parameter_constraints: ClassVar[dict[str, Any]] = {}

    def fit(self, X: Any, y: Any) -> Sampler:
        """Check the data and settings; `fit_resample` is what makes rows."""
        self._checked(X, y)
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
        table, labels = self._checked(X, y)
        try:
            return self._resampled(table, labels)
        except SamplerInputError:
            raise
        except TwinsetError as error:
            raise SamplerInputError.of(error) from error

    @abstractmethod
    def _planned(self, labels: Labels) -> dict[Any, int]:
        """Return label -> rows, which becomes `sampling_strategy_`."""

    @abstractmethod
    def _resampled(self, table: Table, labels: Labels) -> tuple[Any, Any]:
        """Return rows and labels, and note where they come from."""

    def _checked(self, X: Any, y: Any) -> tuple[Table, Labels]:
        self._validate_params()
        table = take_in(X)
        labels = Labels.of(y, len(table))
        self.n_features_in_ = len(table.names)
        given = table.feature_names
        if given is not None and all(isinstance(name, str) for name in given):
            self.feature_names_in_ = np.asarray(given, dtype=object)
        elif hasattr(self, "feature_names_in_"):
            del self.feature_names_in_
        self.classes_ = labels.classes
        self.sampling_strategy_ = self._planned(labels)
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

    def _tell(self, codes: Rows, real: int, parents: Rows, weights: Floats, before: Rows) -> None:
        """Note what is known of the output: `codes` of all rows, the first `real` of them real."""
        self.is_synthetic_ = np.arange(len(codes)) >= real
        self.parents_ = parents
        self.sample_weight_ = weights
        after = np.bincount(codes, weights=weights, minlength=len(before))
        self.odds_factor_ = after / before

    def __sklearn_tags__(self) -> Any:
        return sampler_tags(sample_indices=self._tells_indices)


class Chooser(Sampler):
    """A sampler that keeps some real rows and leaves out others, each with a weight."""

    _tells_indices: ClassVar[bool] = True

    @abstractmethod
    def _chosen(self, table: Table, labels: Labels) -> tuple[Rows, Floats]:
        """Return the positions of the rows kept, in their order, and their weights."""

    def _resampled(self, table: Table, labels: Labels) -> tuple[Any, Any]:
        return give(self, table, labels, *self._chosen(table, labels))


def give(
    sampler: Sampler, table: Table, labels: Labels, rows: Rows, weights: Floats
) -> tuple[Any, Any]:
    """Return the chosen rows and labels in the caller's types, and note them on the sampler."""
    sampler.sample_indices_ = rows
    none = np.empty((0, 2), dtype=np.int64)
    sampler._tell(labels.codes[rows], len(rows), none, weights, labels.counts)
    X = table.taken(rows)
    return X, labels.taken(rows, X.index if hasattr(X, "iloc") else None)

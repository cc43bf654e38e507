"""Base of the samplers: parameters from annotated attributes, fit, tags and fitted attributes."""

from __future__ import annotations

import inspect
import re
from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from numbers import Integral, Real
from types import UnionType
from typing import Annotated, Any, ClassVar, Literal, Union, get_args, get_origin, get_type_hints

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator, OneToOneFeatureMixin
from sklearn.utils._param_validation import Interval, StrOptions

from twinset.core.errors import TwinsetError
from twinset.core.parameters import Interval as Range
from twinset.core.parameters import describe_type
from twinset.core.seeding import draw_seed
from twinset.registry import documented_settings, parameters_of
from twinset.sklearn._columns import Rows, SamplerInputError
from twinset.sklearn._labels import Labels
from twinset.sklearn._tables import Table, read_table

# Parameters whose values are no plain types: constraints of scikit-learn, and the type in words.
_SPECIAL: dict[str, tuple[Any, str]] = {
    "sampling_strategy": (
        [
            Interval(Real, 0, 1, closed="right"),
            StrOptions({"auto", "minority", "not minority", "not majority", "all"}),
            Mapping,
            callable,
        ],
        "float, str, dict or callable",
    ),
    "random_state": (["random_state", np.random.Generator], "int, RandomState, Generator or None"),
    "rules": (["array-like", None], "sequence of Rule or mapping, or None"),
    "settings": ([Mapping, None], "mapping or None"),
    "model": ("no_validation", "classifier or None"),
}
_EXAMPLE = """
Examples
--------
>>> import numpy as np
>>> y = np.repeat([0, 1], [90, 10])
>>> X = np.random.default_rng(0).normal(size=(100, 2)) + y[:, None]
>>> X_new, y_new = {name}(sampling_strategy=0.5, random_state=0).fit_resample(X, y)
>>> X_new.shape, int(y_new.sum())
((135, 2), 45)
"""


@dataclass(frozen=True)
class _Declared:
    """One parameter of a sampler."""

    default: Any
    constraints: Any
    type: str
    help: str


def declare_parameters(sampler: Any, generator: Any = None, names: tuple[str, ...] = ()) -> None:
    """Give a sampler class `__init__`, parameter checks and a docstring section "Parameters"."""
    own, special = {}, _SPECIAL | sampler.__dict__.get("_special", {})
    hints, helps = get_type_hints(sampler, include_extras=True), documented_settings(sampler)
    for name in inspect.get_annotations(sampler):
        if not name.startswith("_"):
            constraints, kind = special.get(name) or _describe(hints[name])
            own[name] = _Declared(getattr(sampler, name), constraints, kind, helps[name])
    settings = {one.name: one for one in parameters_of(generator)} if names else {}
    hints = get_type_hints(generator, include_extras=True) if names else {}
    for name in names:
        own[name] = _Declared(settings[name].default, *_describe(hints[name]), settings[name].help)
    sampler._declared = own
    every: dict[str, _Declared] = {}
    for base in reversed(sampler.__mro__):
        every |= base.__dict__.get("_declared", {})
    sampler.__init__ = _init_of({name: one.default for name, one in every.items()}, sampler)
    sampler._parameter_constraints = {name: one.constraints for name, one in every.items()}
    lines = [f"{name} : {one.type}\n    {one.help}" for name, one in every.items()]
    section = "\n".join(["Parameters", "----------", *lines, "", ""])
    text = re.sub(
        r"Parameters\n-+\n(\S.*\n( .*\n)*)*\n?", "", inspect.cleandoc(sampler.__doc__) + "\n"
    )
    at = re.search(r"^\w[\w ]*\n-{3,}\n", text, re.MULTILINE)
    place = at.start() if at else len(text)
    example = _EXAMPLE.format(name=sampler.__name__) if names and "Examples" not in text else ""
    sampler.__doc__ = text[:place] + section + text[place:] + example


def _describe(hint: Any) -> tuple[list[Any], str]:
    return constraints_of(hint), describe_type(hint)


def constraints_of(hint: Any) -> list[Any]:
    """Return the range of an annotation as scikit-learn's constraints.

    Examples
    --------
    >>> [str(one) for one in constraints_of(Annotated[float, Range(gt=0, le=1)])]
    ['a float in the range (0.0, 1.0]']
    """
    if hint is None or hint is type(None):
        return [None]
    if get_origin(hint) in (Union, UnionType):
        return [found for one in get_args(hint) for found in constraints_of(one)]
    if get_origin(hint) is Literal:
        return [StrOptions(set(get_args(hint)))]
    if hint is bool:
        return ["boolean"]
    kind, *marks = get_args(hint) if get_origin(hint) is Annotated else (hint,)
    number = {int: Integral, float: Real}.get(kind)
    if number is None:
        return [kind]
    bounds = next((mark for mark in marks if isinstance(mark, Range)), Range())
    low = bounds.gt if bounds.ge is None else bounds.ge
    high = bounds.lt if bounds.le is None else bounds.le
    closed = {
        (True, True): "both",
        (True, False): "left",
        (False, True): "right",
        (False, False): "neither",
    }[bounds.ge is not None, bounds.le is not None]
    return [Interval(number, low, None if high == np.inf else high, closed=closed)]


def _init_of(defaults: dict[str, Any], sampler: Any) -> Any:
    """Return an `__init__` with these parameters, which `get_params` reads; all but one by keyword."""
    keyword, either = inspect.Parameter.KEYWORD_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD
    first = getattr(sampler, "_positional", "")
    own = [inspect.Parameter("self", either)]
    own += [inspect.Parameter(n, either, default=defaults[n]) for n in defaults if n == first]
    own += [inspect.Parameter(n, keyword, default=defaults[n]) for n in defaults if n != first]
    signature = inspect.Signature(own)

    def __init__(self: Any, *args: Any, **values: Any) -> None:
        bound = signature.bind(self, *args, **values)
        bound.apply_defaults()
        for name in defaults:
            setattr(self, name, bound.arguments[name])

    __init__.__signature__ = signature  # type: ignore[attr-defined]
    return __init__


Floats = npt.NDArray[np.float64]


@dataclass(slots=True)
class SamplerTags:
    """`sample_indices`: whether the sampler reports the rows it chose as `sample_indices_`."""

    sample_indices: bool = False


def sampler_tags(*, sample_indices: bool) -> Any:
    """Return the tags of a sampler; they hold the fields of both libraries."""
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

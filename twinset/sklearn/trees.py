"""`TreesSampler`: rows from a chain of trees."""

from __future__ import annotations

from numbers import Real
from typing import Any, ClassVar

from sklearn.utils._param_validation import Interval

from twinset.sklearn._labels import Strategy
from twinset.sklearn._oversampler import MAKING, GeneratorSampler
from twinset.sklearn._rules import RuleWords


class TreesSampler(GeneratorSampler):
    """Chain of trees: each column drawn from real values of alike rows of the class.

    The trees see as many rows of other classes as `others` says, and values come from rows of the
    class alone. `parents_` is -1: each column of a new row comes from another real one. Types, gaps
    and rules are kept as by `SMOTE`.

    Parameters
    ----------
    sampling_strategy : float, str, dict or callable
        How many rows each class gets, as in imbalanced-learn.
    random_state : int, RandomState, Generator or None
        The seed. The new rows depend on it and on the real rows, not on their order.
    others : float
        Rows of other classes that the trees see for each row of the class, 0 or more.
    rules : sequence of Rule or mapping, or None
        What must hold in every new row; None looks for what holds in every real row.
    preserve_mass : bool
        Whether `sample_weight_` leaves the total weight of each class as it was.
    n_jobs : int or None
        Threads that draw rows; the rows are the same for any number.

    References
    ----------
    Reiter, "Using CART to generate partially synthetic public use microdata", J. Official Statistics
    21, 2005.

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> y = np.array([0] * 90 + [1] * 10)
    >>> X = rng.normal(size=(100, 2)) + y[:, None]
    >>> X_new, y_new = TreesSampler(sampling_strategy=0.5, random_state=0).fit_resample(X, y)
    >>> X_new.shape, int(y_new.sum())
    ((135, 2), 45)
    """

    _component: ClassVar[str] = "minority.trees"
    _settings: ClassVar[tuple[str, ...]] = ("others",)
    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **MAKING,
        "others": [Interval(Real, 0, None, closed="left")],
    }

    def __init__(
        self,
        *,
        sampling_strategy: Strategy = "auto",
        random_state: Any = None,
        others: float = 1.0,
        rules: RuleWords = None,
        preserve_mass: bool = False,
        n_jobs: int | None = None,
    ) -> None:
        self.sampling_strategy = sampling_strategy
        self.random_state = random_state
        self.others = others
        self.rules = rules
        self.preserve_mass = preserve_mass
        self.n_jobs = n_jobs

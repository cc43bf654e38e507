"""`CopulaSampler`: rows from a Gaussian copula of the class."""

from __future__ import annotations

from numbers import Real
from typing import Any, ClassVar

from sklearn.utils._param_validation import Interval

from twinset.core.contracts import Generator
from twinset.sklearn._labels import Strategy
from twinset.sklearn._oversampler import MAKING, GeneratorSampler, generator_class
from twinset.sklearn._rules import RuleWords


class CopulaSampler(GeneratorSampler):
    """Gaussian copula of a class: its own margins and correlations, drawn towards 0 where rows are few.

    New rows lie not between two real ones: they have no parents, and `parents_` is -1. On data where
    synthesis helps at all it helped most of the methods tried; it hurts elsewhere, so let `advise`
    or a cross-validation decide. Types, gaps and rules are kept as by `SMOTE`.

    Parameters
    ----------
    sampling_strategy : float, str, dict or callable
        How many rows each class gets, as in imbalanced-learn.
    random_state : int, RandomState, Generator or None
        The seed. The new rows depend on it and on the real rows, not on their order.
    shrink : float or None
        How far correlations are drawn towards 0, in [0, 1]; None decides by the data.
    rules : sequence of Rule or mapping, or None
        What must hold in every new row; None looks for what holds in every real row.
    preserve_mass : bool
        Whether `sample_weight_` leaves the total weight of each class as it was.
    n_jobs : int or None
        Threads that draw rows; the rows are the same for any number.

    References
    ----------
    Schaefer and Strimmer, "A shrinkage approach to large-scale covariance matrix estimation", Stat.
    Appl. Genet. Mol. Biol. 4, 2005.

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> y = np.array([0] * 90 + [1] * 10)
    >>> X = rng.normal(size=(100, 2)) + y[:, None]
    >>> X_new, y_new = CopulaSampler(sampling_strategy=0.5, random_state=0).fit_resample(X, y)
    >>> X_new.shape, int(y_new.sum())
    ((135, 2), 45)
    """

    _component: ClassVar[str] = "minority.copula"
    _settings: ClassVar[tuple[str, ...]] = ()
    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **MAKING,
        "shrink": [Interval(Real, 0, 1, closed="both"), None],
    }

    def __init__(
        self,
        *,
        sampling_strategy: Strategy = "auto",
        random_state: Any = None,
        shrink: float | None = None,
        rules: RuleWords = None,
        preserve_mass: bool = False,
        n_jobs: int | None = None,
    ) -> None:
        self.sampling_strategy = sampling_strategy
        self.random_state = random_state
        self.shrink = shrink
        self.rules = rules
        self.preserve_mass = preserve_mass
        self.n_jobs = n_jobs

    def _generator(self) -> Generator:
        shrink = -1.0 if self.shrink is None else float(self.shrink)
        made: Generator = generator_class(self._component)(shrink=shrink)
        return made

"""`FilteredSampler`: of many drawn rows, those that look most real."""

from __future__ import annotations

from numbers import Real
from typing import Any, ClassVar

from sklearn.utils._param_validation import Interval, StrOptions

from twinset.sklearn._labels import Strategy
from twinset.sklearn._oversampler import MAKING, GeneratorSampler
from twinset.sklearn._rules import RuleWords
from twinset.sklearn._sampler import COUNT


class FilteredSampler(GeneratorSampler):
    """Rows of SMOTE, ROSE or a copula, of which a model keeps those that look most real.

    Boosted trees learn to tell real rows of the class from drawn ones; only draws that they take for
    real pass. That shrinks the harm of bad rows and the gain of good ones alike. Types, gaps and
    rules are kept as by `SMOTE`.

    Parameters
    ----------
    sampling_strategy : float, str, dict or callable
        How many rows each class gets, as in imbalanced-learn.
    random_state : int, RandomState, Generator or None
        The seed. The new rows depend on it and on the real rows, not on their order.
    method : {"smote", "rose", "copula"}
        What draws the rows.
    keep : float
        Share of the drawn rows that is kept, in (0, 1]; the smaller, the slower.
    k_neighbors : int
        Neighbours to choose from (SMOTE only), 1 or more.
    rules : sequence of Rule or mapping, or None
        What must hold in every new row; None looks for what holds in every real row.
    preserve_mass : bool
        Whether `sample_weight_` leaves the total weight of each class as it was.
    n_jobs : int or None
        Threads that draw rows; the rows are the same for any number.

    References
    ----------
    Azadi et al., "Discriminator Rejection Sampling", ICLR 2019.

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> y = np.array([0] * 90 + [1] * 10)
    >>> X = rng.normal(size=(100, 2)) + y[:, None]
    >>> X_new, y_new = FilteredSampler(sampling_strategy=0.5, random_state=0).fit_resample(X, y)
    >>> X_new.shape, int(y_new.sum())
    ((135, 2), 45)
    """

    _component: ClassVar[str] = "minority.filtered"
    _settings: ClassVar[tuple[str, ...]] = ("method", "keep", "k_neighbors")
    _sorts_itself: ClassVar[bool] = True
    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **MAKING,
        "method": [StrOptions({"smote", "rose", "copula"})],
        "keep": [Interval(Real, 0, 1, closed="right")],
        "k_neighbors": COUNT,
    }

    def __init__(
        self,
        *,
        sampling_strategy: Strategy = "auto",
        random_state: Any = None,
        method: str = "smote",
        keep: float = 1 / 3,
        k_neighbors: int = 5,
        rules: RuleWords = None,
        preserve_mass: bool = False,
        n_jobs: int | None = None,
    ) -> None:
        self.sampling_strategy = sampling_strategy
        self.random_state = random_state
        self.method = method
        self.keep = keep
        self.k_neighbors = k_neighbors
        self.rules = rules
        self.preserve_mass = preserve_mass
        self.n_jobs = n_jobs

"""`ROSE`: real rows again, each moved a little."""

from __future__ import annotations

from numbers import Real
from typing import Any, ClassVar

from sklearn.utils._param_validation import Interval

from twinset.sklearn._labels import Strategy
from twinset.sklearn._oversampler import MAKING, GeneratorSampler
from twinset.sklearn._rules import RuleWords


class ROSE(GeneratorSampler):
    """ROSE, the smoothed bootstrap: a real row drawn again and moved by a little noise.

    Types, gaps and rules are kept as by `SMOTE`.

    Parameters
    ----------
    sampling_strategy : float, str, dict or callable
        How many rows each class gets, as in imbalanced-learn.
    random_state : int, RandomState, Generator or None
        The seed. The new rows depend on it and on the real rows, not on their order.
    shrinkage : float
        Width of the noise, more than 0; 1 is the width that suits normal data.
    rules : sequence of Rule or mapping, or None
        What must hold in every new row; None looks for what holds in every real row.
    preserve_mass : bool
        Whether `sample_weight_` leaves the total weight of each class as it was.
    n_jobs : int or None
        Threads that draw rows; the rows are the same for any number.

    References
    ----------
    Menardi and Torelli, "Training and assessing classification rules with imbalanced data", Data
    Min. Knowl. Discov. 28, 2014.

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> y = np.array([0] * 90 + [1] * 10)
    >>> X = rng.normal(size=(100, 2)) + y[:, None]
    >>> X_new, y_new = ROSE(sampling_strategy=0.5, random_state=0).fit_resample(X, y)
    >>> X_new.shape, int(y_new.sum())
    ((135, 2), 45)
    """

    _component: ClassVar[str] = "minority.rose"
    _settings: ClassVar[tuple[str, ...]] = ("shrinkage",)
    _sorts_itself: ClassVar[bool] = True
    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **MAKING,
        "shrinkage": [Interval(Real, 0, None, closed="neither")],
    }

    def __init__(
        self,
        *,
        sampling_strategy: Strategy = "auto",
        random_state: Any = None,
        shrinkage: float = 1.0,
        rules: RuleWords = None,
        preserve_mass: bool = False,
        n_jobs: int | None = None,
    ) -> None:
        self.sampling_strategy = sampling_strategy
        self.random_state = random_state
        self.shrinkage = shrinkage
        self.rules = rules
        self.preserve_mass = preserve_mass
        self.n_jobs = n_jobs

"""`BorderlineSMOTE`: SMOTE from the rows that other classes press."""

from __future__ import annotations

from typing import Any, ClassVar

from sklearn.utils._param_validation import StrOptions

from twinset.sklearn._labels import Strategy
from twinset.sklearn._oversampler import MAKING, GeneratorSampler
from twinset.sklearn._rules import RuleWords
from twinset.sklearn._sampler import COUNT


class BorderlineSMOTE(GeneratorSampler):
    """Borderline-SMOTE: rows are made from those whose neighbours are mostly of other classes.

    Where no row of a class stands so, all its rows are started from, with a warning; imbalanced-learn
    adds nothing then and does not say so. Types, gaps and rules are kept as by `SMOTE`.

    Parameters
    ----------
    sampling_strategy : float, str, dict or callable
        How many rows each class gets, as in imbalanced-learn.
    random_state : int, RandomState, Generator or None
        The seed. The new rows depend on it and on the real rows, not on their order.
    k_neighbors : int
        Neighbours of its own class to choose from, 1 or more.
    m_neighbors : int
        Neighbours among all rows that tell whether a row stands in danger, 1 or more.
    danger : {"exact", "sampled"}
        Look at all rows of other classes for that, or at a small share near by: faster on large sets.
    rules : sequence of Rule or mapping, or None
        What must hold in every new row; None looks for what holds in every real row.
    preserve_mass : bool
        Whether `sample_weight_` leaves the total weight of each class as it was.
    n_jobs : int or None
        Threads that draw rows; the rows are the same for any number.

    References
    ----------
    Han, Wang and Mao, "Borderline-SMOTE", ICIC 2005 (its first variant).

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> y = np.array([0] * 90 + [1] * 10)
    >>> X = rng.normal(size=(100, 2)) + y[:, None]
    >>> X_new, y_new = BorderlineSMOTE(sampling_strategy=0.5, random_state=0).fit_resample(X, y)
    >>> X_new.shape, int(y_new.sum())
    ((135, 2), 45)
    """

    _component: ClassVar[str] = "minority.borderline"
    _settings: ClassVar[tuple[str, ...]] = ("k_neighbors", "m_neighbors", "danger")
    _sorts_itself: ClassVar[bool] = True
    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **MAKING,
        "k_neighbors": COUNT,
        "m_neighbors": COUNT,
        "danger": [StrOptions({"exact", "sampled"})],
    }

    def __init__(
        self,
        *,
        sampling_strategy: Strategy = "auto",
        random_state: Any = None,
        k_neighbors: int = 5,
        m_neighbors: int = 10,
        danger: str = "exact",
        rules: RuleWords = None,
        preserve_mass: bool = False,
        n_jobs: int | None = None,
    ) -> None:
        self.sampling_strategy = sampling_strategy
        self.random_state = random_state
        self.k_neighbors = k_neighbors
        self.m_neighbors = m_neighbors
        self.danger = danger
        self.rules = rules
        self.preserve_mass = preserve_mass
        self.n_jobs = n_jobs

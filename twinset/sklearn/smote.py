"""`SMOTE`: rows between a real row and one of its nearest real neighbours."""

from __future__ import annotations

from typing import Any, ClassVar

from twinset.sklearn._labels import Strategy
from twinset.sklearn._oversampler import MAKING, GeneratorSampler
from twinset.sklearn._rules import RuleWords
from twinset.sklearn._sampler import COUNT


class SMOTE(GeneratorSampler):
    """SMOTE for numbers, labels and both together, with the rules and types of the table kept.

    Stands in for SMOTE, SMOTENC and SMOTEN of imbalanced-learn: columns of labels are found by their
    type. Distances are scaled; missing values are allowed and come again as a pattern of real rows;
    whole numbers and decimals stay so, without bias.

    Parameters
    ----------
    sampling_strategy : float, str, dict or callable
        How many rows each class gets, as in imbalanced-learn.
    random_state : int, RandomState, Generator or None
        The seed. The new rows depend on it and on the real rows, not on their order.
    k_neighbors : int
        Neighbours to choose from, 1 or more; with fewer other rows, all of these.
    rules : sequence of Rule or mapping, or None
        What must hold in every new row; None looks for what holds in every real row.
    preserve_mass : bool
        Whether `sample_weight_` leaves the total weight of each class as it was.
    n_jobs : int or None
        Threads that draw rows; the rows are the same for any number.

    References
    ----------
    Chawla, Bowyer, Hall and Kegelmeyer, "SMOTE: Synthetic Minority Over-sampling Technique",
    J. Artif. Intell. Res. 16, 2002.

    Examples
    --------
    >>> import numpy as np
    >>> X = np.random.default_rng(0).normal(size=(100, 2))
    >>> y = np.array([0] * 90 + [1] * 10)
    >>> sampler = SMOTE(sampling_strategy=0.5, random_state=0)
    >>> X_new, y_new = sampler.fit_resample(X, y)
    >>> X_new.shape, int(y_new.sum()), int(sampler.is_synthetic_.sum())
    ((135, 2), 45, 35)
    """

    _component: ClassVar[str] = "minority.smote"
    _settings: ClassVar[tuple[str, ...]] = ("k_neighbors",)
    _sorts_itself: ClassVar[bool] = True
    _parameter_constraints: ClassVar[dict[str, Any]] = {**MAKING, "k_neighbors": COUNT}

    def __init__(
        self,
        *,
        sampling_strategy: Strategy = "auto",
        random_state: Any = None,
        k_neighbors: int = 5,
        rules: RuleWords = None,
        preserve_mass: bool = False,
        n_jobs: int | None = None,
    ) -> None:
        self.sampling_strategy = sampling_strategy
        self.random_state = random_state
        self.k_neighbors = k_neighbors
        self.rules = rules
        self.preserve_mass = preserve_mass
        self.n_jobs = n_jobs

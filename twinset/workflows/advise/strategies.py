"""Ways to treat a rare class, and the training rows that each of them makes of a fold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from twinset.core.errors import ParameterError
from twinset.registry import parameters
from twinset.workflows.advise.models import Matrix, Setting

Floats = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]
Family = Literal["none", "learner", "weights", "repeat", "rows", "thin"]

RATIOS = (0.01, 0.03, 0.1)
GENERATORS = (
    ("smote", ("minority.smote",)),
    ("borderline", ("minority.borderline",)),
    ("rose", ("minority.rose",)),
    ("filtered", ("minority.filtered",)),
    ("copula", ("minority.copula", "tabular.copula")),
    ("trees", ("minority.trees", "tabular.trees")),
)
"""Short name -> components that may stand behind it; the first that is there is taken."""

_HARDEST, _SAMPLED = 0.1, 0.2


@dataclass(frozen=True)
class Strategy:
    """One way to treat the rare class.

    Parameters
    ----------
    name : str
        Unique name, e.g. ``"copula 0.1"``.
    family : {"none", "learner", "weights", "repeat", "rows", "thin"}
        Nothing; the same rows and another setting of the model; class weights; real rows repeated;
        synthetic rows added; easy rows of the common class left out and the rest weighted up.
    power : float
        Weights: the rare class gets this power of (common rows / rare rows).
    ratio : float
        Repeat and rows: the rare class is raised to this share of the common one.
    component : str
        Rows: the generator.
    setting : {"plain", "finer", "smoother"}
        Learner: how closely the model follows the rows.
    """

    name: str
    family: Family
    power: float = 0.0
    ratio: float = 0.0
    component: str = ""
    setting: Setting = "plain"

    @property
    def kind(self) -> str:
        """What strategies that differ by their ratio alone have in common."""
        return self.name.split()[0] if self.ratio else self.name

    @property
    def title(self) -> str:
        """The strategy in plain words."""
        if self.family == "learner":
            return f"the same rows and a {self.name}"
        if self.family == "weights":
            return "class weights, balanced" if self.power == 1 else "class weights, square root"
        if self.family == "repeat":
            return f"rare rows repeated, up to {100 * self.ratio:g} for 100 others"
        if self.family == "rows":
            return (
                f"rows from {self.component}, up to {100 * self.ratio:g} rare ones for 100 others"
            )
        if self.family == "thin":
            return "easy rows of the common class thinned"
        return "the rows as they are"


NONE = Strategy("none", "none")


def settings_of(component: str) -> dict[str, object]:
    """Return the settings that a generator is tried with.

    Rare rows are few and rarely two of one card, so advice lets them be interpolated across cards.
    """
    known = {parameter.name for parameter in parameters("generator", component)}
    return {"across_entities": True} if "across_entities" in known else {}


def candidates(
    names: Sequence[str], ratios: Sequence[float] | None, base_rate: float
) -> tuple[Strategy, ...]:
    """Return the strategies to be tried, "none" first.

    Parameters
    ----------
    names : sequence of str
        Generators that are there.
    ratios : sequence of float, optional
        Rare rows per common row that are tried; by default 1, 3 and 10 %. A ratio that the table has
        anyway has nothing to add and is passed over.
    base_rate : float
        Share of the rare class.

    Raises
    ------
    ParameterError
        A ratio lies outside (0, 1].

    Examples
    --------
    >>> [s.name for s in candidates(["tabular.copula"], [0.1], 0.002)][:6]
    ['none', 'finer model', 'smoother model', 'sqrt weights', 'balanced weights', 'repeat 0.1']
    """
    wrong = [ratio for ratio in ratios or () if not 0 < ratio <= 1]
    if wrong:
        raise ParameterError("a ratio is out of range", got=f"{wrong[0]:g}", allowed="0 < r <= 1")
    odds = base_rate / (1 - base_rate)
    asked = sorted(set(RATIOS if ratios is None else ratios))
    tried = [ratio for ratio in asked if ratio > 1.2 * odds]
    found = [
        NONE,
        Strategy("finer model", "learner", setting="finer"),
        Strategy("smoother model", "learner", setting="smoother"),
        Strategy("sqrt weights", "weights", power=0.5),
        Strategy("balanced weights", "weights", power=1.0),
    ]
    found += [Strategy(f"repeat {ratio:g}", "repeat", ratio=ratio) for ratio in tried]
    for short, components in GENERATORS:
        component = next((name for name in components if name in names), None)
        if component is not None:
            found += [
                Strategy(f"{short} {ratio:g}", "rows", ratio=ratio, component=component)
                for ratio in tried
            ]
    return (*found, Strategy("thin", "thin"))


@dataclass(frozen=True)
class TrainingRows:
    """What a model is trained on.

    Parameters
    ----------
    x : numpy.ndarray, shape (n, d)
        Rows in the model's view.
    truth : numpy.ndarray of bool, shape (n,)
        Their class.
    weight : numpy.ndarray, shape (n,), optional
        How much each counts.
    odds_factor : float
        By how much the odds of the rare class are raised.
    """

    x: Matrix
    truth: Mask
    weight: Floats | None = None
    odds_factor: float = 1.0


def extra_rows(strategy: Strategy, truth: Mask) -> int:
    """Return how many rare rows a strategy adds to rows of these classes, 0 or more.

    Examples
    --------
    >>> extra_rows(Strategy("repeat 0.1", "repeat", ratio=0.1), np.arange(110) < 4)
    7
    """
    positives = int(truth.sum())
    return max(0, round(strategy.ratio * (len(truth) - positives)) - positives)


def training_rows(
    strategy: Strategy,
    x: Matrix,
    truth: Mask,
    *,
    made: Matrix | None,
    hardness: Floats | None,
    rng: np.random.Generator,
) -> TrainingRows:
    """Return the training rows that a strategy makes of real ones.

    Parameters
    ----------
    strategy : Strategy
        What to do.
    x, truth : numpy.ndarray
        Real training rows and their class.
    made : numpy.ndarray, shape (m, d), optional
        Made rare rows, as many as needed or more; the first ones are taken.
    hardness : numpy.ndarray, shape (n,), optional
        Opinion of a model without balancing on the training rows, for thinning.
    rng : numpy.random.Generator
        Draws repeated and thinned rows.
    """
    positives = int(truth.sum())
    negatives = len(truth) - positives
    if strategy.family == "weights":
        raised = (negatives / positives) ** strategy.power
        return TrainingRows(x, truth, np.where(truth, raised, 1.0), raised)
    if strategy.family == "thin":
        assert hardness is not None
        return _thinned(x, truth, hardness, rng)
    n = extra_rows(strategy, truth)
    if strategy.family in ("none", "learner") or n == 0:
        return TrainingRows(x, truth)
    if strategy.family == "repeat":
        more = x[rng.choice(np.flatnonzero(truth), n)]
    else:
        assert made is not None
        more = made[:n]
    labels = np.append(truth, np.ones(len(more), dtype=bool))
    return TrainingRows(np.vstack([x, more]), labels, None, (positives + len(more)) / positives)


def _thinned(x: Matrix, truth: Mask, hardness: Floats, rng: np.random.Generator) -> TrainingRows:
    """Keep the hardest tenth of the common rows and a fifth of the others, each of them worth five."""
    common = np.flatnonzero(~truth)
    ranked = common[np.argsort(-hardness[common], kind="stable")]
    split = max(1, int(_HARDEST * len(ranked)))
    rest = ranked[split:]
    kept = np.sort(rng.permutation(rest)[: int(_SAMPLED * len(rest))])
    rows = np.sort(np.concatenate([np.flatnonzero(truth), ranked[:split], kept]))
    weight = np.where(np.isin(rows, kept), len(rest) / max(len(kept), 1), 1.0)
    return TrainingRows(x[rows], truth[rows], weight)

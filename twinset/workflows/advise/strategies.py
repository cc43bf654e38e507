"""Strategies for a rare class, and the training rows that each of them makes of a fold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from twinset.registry import parameters
from twinset.workflows.advise.models import Matrix, Setting

Floats = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]
Family = Literal["none", "learner", "weights", "repeat", "rows", "thin"]

RATIOS = (0.01, 0.03, 0.1)  # the documented default; larger ones are tried on request only
_MIN_INCREASE = 1.2  # of the odds: a ratio closer to those of the table adds next to nothing
# Short name -> generators in order of preference; the first that is installed is used.
GENERATORS = (
    ("smote", ("minority.smote",)),
    ("borderline", ("minority.borderline",)),
    ("rose", ("minority.rose",)),
    ("filtered", ("minority.filtered",)),
    ("copula", ("minority.copula", "tabular.copula")),
    ("trees", ("minority.trees", "tabular.trees")),
)
_HARDEST, _SAMPLED = (
    0.1,
    0.2,
)  # of the common rows when thinned: 28 % remain, the defaults of HardNegatives


@dataclass(frozen=True)
class Strategy:
    """One way to treat the rare class."""

    name: str  # unique, e.g. "copula 0.1"
    # Nothing; another setting of the model; class weights; real rows repeated; synthetic rows added;
    # easy rows of the common class left out and the rest weighted up.
    family: Family
    power: float = 0.0  # weights: the rare class gets this power of (common rows / rare rows)
    ratio: float = 0.0  # repeat and rows: the rare class is raised to this share of the common one
    component: str = ""  # rows: the generator
    setting: Setting = "plain"  # learner

    @property
    def kind(self) -> str:
        """Name without the ratio."""
        return self.name.split()[0] if self.ratio else self.name

    @property
    def title(self) -> str:
        """The strategy in plain words."""
        if self.family == "weights":
            return "class weights, balanced" if self.power == 1 else "class weights, square root"
        percent = f"{100 * self.ratio:g}"
        return {
            "none": "the rows as they are",
            "learner": f"the same rows and a {self.name}",
            "repeat": f"rare rows repeated, up to {percent} for 100 others",
            "rows": f"rows from {self.component}, up to {percent} rare ones for 100 others",
            "thin": "easy rows of the common class thinned",
        }[self.family]


NONE = Strategy("none", "none")


def settings_of(component: str) -> dict[str, object]:
    """Return the settings that a generator is tried with.

    Rare rows are few and rarely two of one card, so advice interpolates them across cards.
    """
    known = {parameter.name for parameter in parameters("generator", component)}
    return {"across_entities": True} if "across_entities" in known else {}


def candidates(
    names: Sequence[str], ratios: Sequence[float] | None, base_rate: float
) -> tuple[Strategy, ...]:
    """Return the strategies to try with these generators, "none" first.

    A ratio that a table with this base rate of rare rows has anyway is skipped.

    Examples
    --------
    >>> [s.name for s in candidates(["tabular.copula"], [0.1], 0.002)][:6]
    ['none', 'finer model', 'smoother model', 'sqrt weights', 'balanced weights', 'repeat 0.1']
    """
    odds = base_rate / (1 - base_rate)
    tried = [
        r for r in sorted(set(RATIOS if ratios is None else ratios)) if r > _MIN_INCREASE * odds
    ]
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
    """Encoded rows that a model is trained on, their classes and weights."""

    x: Matrix
    truth: Mask
    weight: Floats | None = None
    odds_factor: float = 1.0  # by which the odds of the rare class are raised


def extra_rows(strategy: Strategy, truth: Mask) -> int:
    """Return the number of rare rows that a strategy adds to rows of these classes.

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
    synthetic: Matrix | None,
    hardness: Floats | None,
    rng: np.random.Generator,
) -> TrainingRows:
    """Return the training rows that a strategy makes of real ones.

    `synthetic` are rare rows, as many as needed or more; `hardness` are probabilities of the real rows by
    a model without balancing, for thinning; `rng` draws repeated and thinned rows.
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
        assert synthetic is not None
        more = synthetic[:n]
    labels = np.append(truth, np.ones(len(more), dtype=bool))
    return TrainingRows(np.vstack([x, more]), labels, None, (positives + len(more)) / positives)


def _thinned(x: Matrix, truth: Mask, hardness: Floats, rng: np.random.Generator) -> TrainingRows:
    """Return the hardest tenth of the common rows and a fifth of the others, weighted by five."""
    common = np.flatnonzero(~truth)
    ranked = common[np.argsort(-hardness[common], kind="stable")]
    n_hard = max(1, int(_HARDEST * len(ranked)))
    rest = ranked[n_hard:]
    kept = np.sort(rng.permutation(rest)[: int(_SAMPLED * len(rest))])
    rows = np.sort(np.concatenate([np.flatnonzero(truth), ranked[:n_hard], kept]))
    weight = np.where(np.isin(rows, kept), len(rest) / max(len(kept), 1), 1.0)
    return TrainingRows(x[rows], truth[rows], weight)

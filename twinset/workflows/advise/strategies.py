"""Strategies for a rare class, and the models that are trained on the rows they make."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from twinset.core.data.dataset import Dataset
from twinset.core.errors import MissingExtraError, UnknownNameError
from twinset.core.features.models import build_linear_model, fit_boosted_trees
from twinset.registry import parameters

Matrix = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int32]
Floats = npt.NDArray[np.float64]

_MAX_BINS = 255  # scikit-learn's histogram trees have no more
_MAX_LEVELS = 20  # columns per label: keeps the linear model small; rarer levels have few rows each
_MAX_SCALED = 20.0  # standard deviations: a single outlier must not dominate a linear score


@dataclass(frozen=True)
class RawRows:
    """Rows before encoding: numbers (NaN: missing), shape (n, p), and codes (-1: missing), (n, q)."""

    numbers: Matrix
    codes: Codes

    def __len__(self) -> int:
        return len(self.numbers)

    def take(self, rows: npt.NDArray[np.int64]) -> RawRows:
        """Return the rows at these positions."""
        return RawRows(self.numbers[rows], self.codes[rows])


@dataclass(frozen=True)
class Reader:
    """Reads tables into raw rows, by the columns and levels of one real table."""

    numbers: tuple[str, ...]
    labels: tuple[str, ...]
    levels: tuple[tuple[str, ...], ...]

    @classmethod
    def from_dataset(cls, real: Dataset, features: tuple[str, ...]) -> Reader:
        """Return the reader of a table's features."""
        kinds = {name: real.schema[name].kind for name in features}
        labels = tuple(name for name in features if kinds[name] in ("category", "boolean"))
        numbers = tuple(name for name in features if name not in labels)
        return cls(numbers, labels, tuple(real.codes(name)[1] for name in labels))

    def read(self, dataset: Dataset) -> RawRows:
        """Return the rows of a table; labels that the real one lacks count as missing."""
        numbers = np.full((len(dataset), len(self.numbers)), np.nan)
        for i, name in enumerate(self.numbers):
            numbers[:, i] = dataset.values(name)
        codes = np.full((len(dataset), len(self.labels)), -1, dtype=np.int32)
        for i, (name, levels) in enumerate(zip(self.labels, self.levels)):
            own, named = dataset.codes(name)
            place = {level: k for k, level in enumerate(levels)}
            codes[:, i] = np.array([*[place.get(level, -1) for level in named], -1])[own]
        return RawRows(numbers, codes)


class BinnedEncoder:
    """Encodes each number as its bin, at most 255, with edges at quantiles of the real train rows.

    Bins are set once per fold: models of all strategies then differ by their rows alone, and weights
    cost nothing (scikit-learn takes three to seven times as long to find bins of weighted rows).
    Labels are ranked by their frequency, independently of the target.
    """

    def __init__(self, train: RawRows) -> None:
        self.edges = [_bin_edges(column) for column in train.numbers.T]
        self.ranks = []
        for column in train.codes.T:
            top = int(column.max(initial=-1))
            counts = np.bincount(column[column >= 0], minlength=top + 1)
            rank = np.empty(top + 1)
            rank[np.argsort(-counts, kind="stable")] = np.arange(top + 1)
            self.ranks.append(np.minimum(rank, _MAX_BINS - 2))

    def transform(self, rows: RawRows) -> Matrix:
        """Return the matrix, shape (n, p + q); missing is NaN."""
        out = np.full((len(rows), len(self.edges) + len(self.ranks)), np.nan)
        for i, edges in enumerate(self.edges):
            known = np.isfinite(rows.numbers[:, i])
            out[known, i] = np.searchsorted(edges, rows.numbers[known, i])
        for i, rank in enumerate(self.ranks):
            # A level that the train rows lack is as rare as a level can be.
            known = rows.codes[:, i] >= 0
            padded = np.append(rank, float(min(len(rank), _MAX_BINS - 2)))
            place = np.minimum(rows.codes[known, i], len(rank))
            out[known, len(self.edges) + i] = padded[place]
        return out


class ScaledEncoder:
    """Encodes numbers centered and scaled, with an indicator of missing values; labels one-hot.

    The 20 most frequent levels of a label have a column each, all others share one.
    """

    def __init__(self, train: RawRows) -> None:
        numbers = np.where(np.isfinite(train.numbers), train.numbers, np.nan)
        self.missing = np.isnan(numbers).any(axis=0) if len(train) else np.zeros(0, dtype=bool)
        numbers[:, np.isnan(numbers).all(axis=0)] = 0.0
        self.center = np.nanmean(numbers, axis=0)
        spread = np.nanstd(numbers, axis=0)
        self.scale = np.where(spread > 0, spread, 1.0)
        self.frequent = []
        for column in train.codes.T:
            counts = np.bincount(column[column >= 0]) if (column >= 0).any() else np.zeros(1)
            self.frequent.append(np.argsort(-counts, kind="stable")[:_MAX_LEVELS])

    def transform(self, rows: RawRows) -> Matrix:
        """Return the matrix, shape (n, d), free of NaN."""
        scaled = (rows.numbers - self.center) / self.scale
        is_missing = ~np.isfinite(scaled)
        parts = [
            np.where(is_missing, 0.0, scaled).clip(-_MAX_SCALED, _MAX_SCALED),
            is_missing[:, self.missing].astype(float),
        ]
        for column, frequent in zip(rows.codes.T, self.frequent):
            hit = column[:, None] == frequent[None, :]
            parts += [hit.astype(float), ((column >= 0) & ~hit.any(axis=1)).astype(float)[:, None]]
        return np.hstack(parts)


def _bin_edges(column: Matrix) -> Matrix:
    known = column[np.isfinite(column)]
    present = np.unique(known)
    if len(present) <= _MAX_BINS:
        return np.asarray((present[1:] + present[:-1]) / 2)
    return np.unique(np.quantile(known, np.linspace(0, 1, _MAX_BINS + 1)[1:-1]))


Predict = Callable[[Matrix], Floats]
Setting = Literal["plain", "finer", "smoother"]

# Name of a model -> the same in plain words.
MODEL_TITLES = {
    "boosted": "boosted trees (scikit-learn)",
    "linear": "logistic regression",
    "lightgbm": "boosted trees (LightGBM)",
    "xgboost": "boosted trees (XGBoost)",
}
TREES = 100  # with fewer of them each has a larger learning rate
_RATE = 8.0  # learning rate times trees: 0.08 with 100 trees, as in `fit_discriminator`
# By how closely a model follows the rows. "plain" suits one positive row in some hundreds; the others are
# strategies of their own.
_LEAF: Mapping[Setting, int] = {"plain": 20, "finer": 5, "smoother": 60}  # rows of a leaf, at least
# On the values of leaves: the default of 0 lets leaves with a single positive row dominate.
_PENALTY: Mapping[Setting, float] = {"plain": 5.0, "finer": 5.0, "smoother": 20.0}
_C: Mapping[Setting, float] = {
    "plain": 0.3,
    "finer": 3.0,
    "smoother": 0.03,
}  # inverse penalty of "linear"


def check_models(names: tuple[str, ...]) -> None:
    """Raise an error for a model that is unknown or whose library is not installed."""
    for name in names:
        if name not in MODEL_TITLES:
            raise UnknownNameError.for_name("model", name, MODEL_TITLES)
        if name in ("lightgbm", "xgboost") and importlib.util.find_spec(name) is None:
            raise MissingExtraError(
                f"the model '{name}' needs the library '{name}', which is not installed",
                todo=f"install it with: pip install {name}",
            )


def fit_encoder(model_name: str, train: RawRows) -> BinnedEncoder | ScaledEncoder:
    """Return the encoder of a model's rows, fitted on real train rows."""
    return ScaledEncoder(train) if model_name == "linear" else BinnedEncoder(train)


def fit(
    model_name: str,
    x: Matrix,
    truth: npt.NDArray[np.bool_],
    weight: Floats | None,
    seed: int,
    setting: Setting = "plain",
    trees: int = TREES,
) -> Predict:
    """Return a model's function from encoded rows to probabilities of the rare class, shape (n,).

    `x` are encoded rows, (n, d), `truth` their class and `weight` their weight, (n,). `setting` says how
    closely the model follows the rows; see `format_setting`.
    """
    if model_name == "boosted":
        model = fit_boosted_trees(
            x,
            truth,
            weight,
            task="classification",
            seed=seed,
            learning_rate=_RATE / trees,
            max_iter=trees,
            max_leaf_nodes=15,
            min_samples_leaf=_LEAF[setting],
            l2_regularization=_PENALTY[setting],
        )
    else:
        model = _build_model(model_name, setting, seed, trees)
        model.fit(x, truth, sample_weight=weight)

    def predict(rows: Matrix) -> Floats:
        return np.asarray(model.predict_proba(rows)[:, 1], dtype=np.float64)

    return predict


def format_setting(model_name: str, setting: Setting) -> str:
    """Return a setting in plain words.

    >>> format_setting("boosted", "finer"), format_setting("linear", "smoother")
    ('leaves of 5 rows or more instead of 20', 'C = 0.03 instead of 0.3')
    """
    if model_name == "linear":
        return f"C = {_C[setting]:g} instead of {_C['plain']:g}"
    return f"leaves of {_LEAF[setting]} rows or more instead of {_LEAF['plain']}"


def _build_model(name: str, setting: Setting, seed: int, trees: int) -> Any:
    leaf, penalty = _LEAF[setting], _PENALTY[setting]
    if name == "linear":
        return build_linear_model("classification", C=_C[setting], max_iter=500, tol=1e-3)
    shared = {
        "n_estimators": trees,
        "learning_rate": _RATE / trees,
        "reg_lambda": penalty,
        "n_jobs": 1,
        "random_state": seed,
    }
    library: Any = importlib.import_module(name)
    if name == "lightgbm":
        return library.LGBMClassifier(
            **shared,
            num_leaves=15,
            min_child_samples=leaf,
            deterministic=True,
            force_row_wise=True,
            verbose=-1,
        )
    return library.XGBClassifier(
        **shared,
        max_leaves=15,
        grow_policy="lossguide",
        tree_method="hist",
        # Its leaves are counted in second derivatives, which are small where the class is rare.
        min_child_weight=leaf / 20,
    )


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
# of the common rows when thinned: 28 % remain, the defaults of HardNegatives
_HARDEST, _SAMPLED = 0.1, 0.2


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

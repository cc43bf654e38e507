"""Explain how a discriminator found synthetic rows: by which columns, and what such rows share."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import numpy as np
import numpy.typing as npt

from twinset.core.data.dataset import Dataset
from twinset.core.data.where import Where
from twinset.core.features.encoder import FeatureEncoder
from twinset.core.features.models import build_discriminator_table
from twinset.core.findings import ConfidentRow, RegionShare
from twinset.core.stats.hypothesis_tests import excess_p

from .._samples import MIN_SHOWN, shown_share
from ._rounding import choose_rounding_steps, compute_roundness, count_rounding_steps

Floats = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]
Rows = npt.NDArray[np.int64]
Matrix = npt.NDArray[np.floating]
Predictor = Callable[[Floats], Floats]
"""Rows of a `RowTable` -> predicted probability that each is synthetic."""

# Cells of shuffled copies that are predicted in all: more takes longer than the fits themselves,
# fewer makes the drops of weak columns noise.
_MAX_SHUFFLED_CELLS = 1_500_000
_MIN_SHUFFLED_ROWS = 50  # of each fold, however wide the table: an area of fewer rows is noise
_CLEAR_ERRORS = 3.0  # standard errors above 0.5: chance goes beyond once in 740 comparisons
_TOP_SHARE = 0.025  # of all rows: a few plain fakes fill it, and hardly move the whole area
_TOP_ALPHA = 1e-4  # strict, because the most confident rows are looked at after the area
_NOTEWORTHY = 0.25  # of the largest importance: columns below it are side effects of the first
_CLOSE = 0.6  # of the largest importance: shuffling alone does not rank columns this close
_MAX_NAMED = 3  # columns: a longer list would not say where to look
_MAX_ROWS = 6  # rows shown: enough to see a pattern, few enough to read
_MAX_CELL_LENGTH = 40  # characters of a value in a table of the report
_CONFIDENT_SHARE = 0.05  # of the synthetic rows whose common condition is sought
_MIN_CONFIDENT = 25  # of fewer rows some condition holds by chance
_MAX_CONDITION_COLUMNS = 12  # most important columns: the number of pairs grows with their square
_MAX_FIRST_CONDITIONS = 40  # best single conditions that are paired with all others
_MIN_F1_GAIN = 0.03  # a second condition must improve F1 by this, else the shorter rule is clearer
_MIN_F1 = 0.25  # a rule below it misses most confident rows or fits most real ones
_MIN_LIFT = 1.5  # a rule that fits real rows nearly as often explains nothing
_RULE_ALPHA = 0.001  # strict, because the best of thousands of pairs is tested
_QUANTILES = (0.0, 0.01, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 1.0)  # dense in the tails
_MIN_SHARE = 0.02  # of the confident rows: a value that fewer share describes few of them
_MAX_DIGITS = 3  # significant digits of a threshold: it is read by people
_MINUTE, _DAY = 60_000_000, 86_400_000_000  # microseconds
_DAYS_FROM = 20  # thresholds of a longer span are whole days, of a shorter one minutes
_WHOLE_TIMES = ("milliseconds", "seconds", "minutes", "hours", "days")


@dataclass(frozen=True)
class RowTable:
    """Real rows, then synthetic rows, as the discriminator gets them.

    Parameters
    ----------
    x : numpy.ndarray, shape (n, d)
        Columns of `build_discriminator_table`, then the roundness of each number.
    y : numpy.ndarray of int, shape (n,)
        0 for real, 1 for synthetic.
    categorical : numpy.ndarray of bool, shape (d,)
        Which columns of `x` are codes.
    places : mapping
        Column of the set -> its columns in `x`.
    """

    x: Floats
    y: npt.NDArray[np.int64]
    categorical: Mask
    places: Mapping[str, list[int]]

    @classmethod
    def from_sets(cls, real: Dataset, synthetic: Dataset, train: Dataset) -> RowTable:
        """Return the table of both sets; images and texts are encoded as those of `train` are.

        A tree cuts a number into at most 255 ranges, and cannot see that all its values are multiples
        of a hundred: roundness is a column of its own.
        """
        names = list(real.schema.names)
        plain = [name for name in names if real.schema[name].is_tabular]
        table = build_discriminator_table([real, synthetic], plain)
        parts, categorical = [np.concatenate(table.parts)], [table.categorical]
        places = {name: [i] for i, name in enumerate(plain)}
        width = len(plain)
        for name in names:
            if name not in plain:
                # Directions found in one of the two sets would fit its rows better than the other's.
                encoder = FeatureEncoder.fit(train.select([name]))
                found = [encoder.transform(part.select([name])) for part in (real, synthetic)]
                parts.append(np.concatenate(found).astype(np.float64))
            elif (roundness := compute_roundness(real, [synthetic], name)) is not None:
                parts.append(np.concatenate(roundness)[:, None])
            else:
                continue
            added = parts[-1].shape[1]
            categorical.append(np.zeros(added, dtype=bool))
            places.setdefault(name, []).extend(range(width, width + added))
            width += added
        y = np.repeat([0, 1], [len(real), len(synthetic)])
        return cls(np.concatenate(parts, axis=1), y, np.concatenate(categorical), places)

    def without(self, name: str) -> RowTable:
        """Return the table with one column set to 0."""
        x = self.x.copy()
        x[:, self.places[name]] = 0.0
        return replace(self, x=x)


def column_importance(
    table: RowTable,
    fold: npt.NDArray[np.int64],
    predictors: Sequence[Predictor],
    score: Callable[[Floats, Floats], float],
    rng: np.random.Generator,
) -> dict[str, float]:
    """Return the drop of a score when a column is shuffled (permutation importance), largest first.

    A column is shuffled among the rows that a predictor was not fitted on, real and synthetic together:
    shuffled within each set, a column with a wrong distribution would go on separating the sets. Of
    many rows or columns a sample of the rows is used.

    References
    ----------
    Breiman, "Random Forests", Machine Learning 45, 2001.
    """
    names = list(table.places)
    n_cells = table.x.shape[1] * len(names) * len(predictors)
    max_rows = max(_MIN_SHUFFLED_ROWS, _MAX_SHUFFLED_CELLS // n_cells)
    truth, before, after = [], [], []
    for k, predict in enumerate(predictors):
        rows = np.flatnonzero(fold == k)
        rows = np.sort(rng.choice(rows, min(max_rows, len(rows)), replace=False))
        x = table.x[rows]
        shuffled = np.repeat(x[None], len(names), axis=0)
        for copy, name in zip(shuffled, names):
            place = table.places[name]
            copy[:, place] = x[rng.permutation(len(rows))][:, place]
        truth.append(table.y[rows])
        before.append(predict(x))
        after.append(predict(shuffled.reshape(-1, x.shape[1])).reshape(len(names), len(rows)))
    y, whole, parts = np.concatenate(truth), np.concatenate(before), np.concatenate(after, axis=1)
    full = score(whole[y == 0], whole[y == 1])
    drops = {name: full - score(part[y == 0], part[y == 1]) for name, part in zip(names, parts)}
    return dict(sorted(drops.items(), key=lambda pair: (-pair[1], pair[0])))


def rank_close_columns(
    importance: Mapping[str, float], score_without: Callable[[str], float]
) -> dict[str, float]:
    """Return the importance with columns close to the first one ranked by fits without each.

    If a column is shuffled and only its dependence on another column is wrong, shuffling either costs
    the same. Fitted again without the other column, a discriminator still sees how the shuffled one
    depends on third columns; without the shuffled one it sees nothing. So the column without which
    the score is lowest comes first.

    Examples
    --------
    >>> rank_close_columns({"a": 0.3, "b": 0.29, "c": 0.01}, {"a": 0.7, "b": 0.5}.get)
    {'b': 0.29, 'a': 0.3, 'c': 0.01}
    """
    close = _near_the_first(importance, _CLOSE)
    if len(close) < 2:
        return dict(importance)
    scores = {name: score_without(name) for name in close}
    order = sorted(close, key=lambda name: scores[name])
    return {name: importance[name] for name in [*order, *importance]}


def find_important_columns(importance: Mapping[str, float]) -> list[str]:
    """Return the one to three columns that matter: the first, and those with a fourth of its drop.

    Examples
    --------
    >>> find_important_columns({"age": 0.2, "sex": 0.06, "job": 0.001})
    ['age', 'sex']
    """
    return _near_the_first(importance, _NOTEWORTHY)


def _near_the_first(importance: Mapping[str, float], share: float) -> list[str]:
    largest = max(importance.values(), default=0.0)
    return [name for name, drop in importance.items() if 0 < share * largest <= drop][:_MAX_NAMED]


def is_clear(area: float, n_real: int, n_synthetic: int) -> bool:
    """Return whether an area under the ROC curve lies three standard errors above one half.

    Without any difference the area has the standard error sqrt((m + n + 1) / (12 m n)) (Mann-Whitney).

    Examples
    --------
    >>> is_clear(0.6, 1000, 1000), is_clear(0.6, 20, 20)
    (True, False)
    """
    error = np.sqrt((n_real + n_synthetic + 1) / (12 * n_real * n_synthetic))
    return bool(area > 0.5 + _CLEAR_ERRORS * error)


def is_clear_at_the_top(real: Floats, synthetic: Floats) -> bool:
    """Return whether the rows with the highest predictions are synthetic beyond chance.

    A few plain fakes among many perfect rows hardly move an area, so the highest fortieth of all rows
    is tested by itself: Fisher's exact test that synthetic rows are no more frequent in it than real
    ones.

    Examples
    --------
    >>> predictions = np.linspace(0, 0.9, 1000)
    >>> is_clear_at_the_top(predictions, np.append(predictions, np.ones(40)))
    True
    >>> is_clear_at_the_top(predictions, predictions)
    False
    """
    n_synthetic, n_real = _count_top(real, synthetic)
    return excess_p(n_synthetic, len(synthetic), n_real, len(real)) < _TOP_ALPHA


def top_lift(real: Floats, synthetic: Floats) -> float:
    """Return the share of the synthetic rows in the highest fortieth of all, less that of the real ones.

    Examples
    --------
    >>> predictions = np.linspace(0, 0.9, 100)
    >>> round(top_lift(predictions, np.append(predictions, [1.0] * 3)), 2)
    0.03
    """
    n_synthetic, n_real = _count_top(real, synthetic)
    return n_synthetic / len(synthetic) - n_real / len(real)


def _count_top(real: Floats, synthetic: Floats) -> tuple[int, int]:
    bound = float(np.quantile(np.concatenate([real, synthetic]), 1 - _TOP_SHARE))
    return int((synthetic > bound).sum()), int((real > bound).sum())


@dataclass(frozen=True)
class DiscriminatorScores:
    """Rows of both sets with the out-of-fold predictions of a discriminator.

    Parameters
    ----------
    reference, synthetic : Dataset
        The m and n rows.
    probability : numpy.ndarray, shape (m + n,)
        Predicted probability that each row is synthetic, those of the reference first.
    fold : numpy.ndarray of int, shape (m + n,)
        Fold of each row, drawn at random.
    """

    reference: Dataset
    synthetic: Dataset
    probability: Floats
    fold: npt.NDArray[np.int64]

    @property
    def is_synthetic(self) -> Mask:
        """Which rows are synthetic, shape (m + n,)."""
        return np.arange(len(self.probability)) >= len(self.reference)


def find_confident_rows(
    scores: DiscriminatorScores, columns: Sequence[str], places: Rows, train: Dataset
) -> tuple[ConfidentRow, ...]:
    """Return the synthetic rows with the highest predictions, highest first.

    Values are left out where the synthetic rows are made from real ones, and where 1 to 10 real rows
    have the same values: those would disclose real rows.
    """
    synthetic, probability = scores.synthetic, scores.probability[scores.is_synthetic]
    shown = [name for name in columns if synthetic.schema[name].is_tabular]
    rows = []
    for at in np.argsort(-probability, kind="stable")[:_MAX_ROWS]:
        values = {name: synthetic.records.column(name)[int(at)].as_py() for name in shown}
        n_real = sum(
            int(part.mask(Where(values)).sum()) if values else 0
            for part in (train, scores.reference)
        )
        hidden = synthetic.card.is_from_real or 1 <= n_real < MIN_SHOWN
        texts = {} if hidden else {name: _format_cell(value) for name, value in values.items()}
        rows.append(ConfidentRow(int(places[at]) + 1, round(float(probability[at]), 4), texts))
    return tuple(rows)


def find_common_condition(
    scores: DiscriminatorScores, columns: Sequence[str]
) -> RegionShare | None:
    """Return one or two conditions that the most confident twentieth of the synthetic rows share.

    Of all pairs of conditions it is the one with the best F1 at separating these rows from real ones.
    It is searched in half of the folds, and its shares are those of the other half, so that the search
    does not flatter them. None where nothing so simple describes the rows.
    """
    searched, synthetic = scores.fold % 2 == 0, scores.is_synthetic
    candidates = np.flatnonzero(synthetic & searched)
    n = max(_MIN_CONFIDENT, round(_CONFIDENT_SHARE * len(candidates)))
    n = min(n, len(candidates) // 2)
    if n < _MIN_CONFIDENT:
        return None
    order = np.argsort(-scores.probability[candidates], kind="stable")
    confident, real = candidates[order[:n]], np.flatnonzero(~synthetic & searched)
    among = confident - len(scores.reference)
    names = columns[:_MAX_CONDITION_COLUMNS]
    conditions = list_conditions(scores.reference, scores.synthetic, names, among)
    rule = _best_rule(conditions, confident, real, n / len(candidates))
    if not rule:
        return None
    meets = np.all([condition.rows for condition in rule], axis=0)
    sets = [~searched & synthetic, ~searched & ~synthetic]
    (hits, hits_real), (n_synthetic, n_real) = (
        [int((meets & rows).sum()) for rows in sets],
        [int(rows.sum()) for rows in sets],
    )
    is_lifted = hits * n_real >= _MIN_LIFT * hits_real * n_synthetic
    if not is_lifted or excess_p(hits, n_synthetic, hits_real, n_real) > _RULE_ALPHA:
        return None
    words = " and ".join(condition.words for condition in rule)
    return RegionShare(words, shown_share(hits_real, n_real), shown_share(hits, n_synthetic))


@dataclass(frozen=True)
class ColumnCondition:
    """A condition on one column in words, and the rows that meet it, shape (m + n,)."""

    words: str
    rows: Mask


def list_conditions(
    reference: Dataset, synthetic: Dataset, names: Sequence[str], among: Rows
) -> list[ColumnCondition]:
    """Return conditions on single columns that some of the synthetic rows `among` meet.

    Numbers and dates: at least, or at most, a round number near a quantile of these rows; a value that
    2 % of them share; multiples of a step; missing. Labels: each that 2 % of them have. Thresholds come
    from synthetic rows alone, so that none of them is a real value.
    """
    found: list[ColumnCondition] = []
    for name in names:
        field = reference.schema[name]
        if field.is_tabular:
            on_column = _on_labels if field.has_levels else _on_numbers
            found += on_column(reference, synthetic, name, among)
    return [one for one in found if one.rows[len(reference) + among].any()]


def _best_rule(
    conditions: Sequence[ColumnCondition], confident: Rows, real: Rows, share: float
) -> list[ColumnCondition]:
    """Return the one or two conditions with the best F1 at finding the confident rows among real ones.

    `share` is that of the confident rows among all synthetic ones: as many real rows count.
    """
    if not conditions or not len(real):
        return []
    there, elsewhere = (
        np.array([one.rows[rows] for one in conditions], dtype=np.float32)
        for rows in (confident, real)
    )
    alone = _f1(there.mean(axis=1), elsewhere.mean(axis=1), share)
    first = np.argsort(-alone, kind="stable")[:_MAX_FIRST_CONDITIONS]
    both = _f1(
        there[first] @ there.T / len(confident), elsewhere[first] @ elsewhere.T / len(real), share
    )
    one, other = np.unravel_index(int(np.argmax(both)), both.shape)
    pair, single = float(both[one, other]), float(alone[first[0]])
    if max(pair, single) < _MIN_F1:
        return []
    if pair < single + _MIN_F1_GAIN:
        return [conditions[first[0]]]
    return [conditions[i] for i in sorted((int(first[one]), int(other)))]


def _f1(recall: Matrix, false_rate: Matrix, share: float) -> Matrix:
    return np.asarray(2 * share * recall / (share * (1 + recall) + false_rate))


def _on_labels(
    reference: Dataset, synthetic: Dataset, name: str, among: Rows
) -> Iterator[ColumnCondition]:
    (real, real_levels), (codes, levels) = reference.codes(name), synthetic.codes(name)
    shares = np.bincount(codes[among] + 1, minlength=len(levels) + 1) / len(among)
    if shares[0] >= _MIN_SHARE:
        yield ColumnCondition(f"{name} is missing", np.concatenate([real, codes]) < 0)
    for code in np.flatnonzero(shares[1:] >= _MIN_SHARE):
        text = levels[code]
        same = real_levels.index(text) if text in real_levels else len(real_levels)
        words = f"{name} = {text.strip()}"
        if synthetic.schema[name].kind == "boolean":
            words = name if text == "true" else f"not {name}"
        yield ColumnCondition(words, np.concatenate([real == same, codes == code]))


def _on_numbers(
    reference: Dataset, synthetic: Dataset, name: str, among: Rows
) -> Iterator[ColumnCondition]:
    kind, made = synthetic.schema[name].kind, synthetic.values(name)
    values, own = np.concatenate([reference.values(name), made]), made[among]
    if np.isnan(own).mean() >= _MIN_SHARE:
        yield ColumnCondition(f"{name} is missing", np.isnan(values))
    own = own[np.isfinite(own)]
    if not len(own):
        return
    lower, upper = _thresholds(own, kind)
    for bound in lower:
        yield ColumnCondition(f"{name} >= {_format_number(bound, kind)}", values >= bound)
    for bound in upper:
        yield ColumnCondition(f"{name} <= {_format_number(bound, kind)}", values <= bound)
    distinct, counts = np.unique(own, return_counts=True)
    for value in distinct[counts >= max(2, _MIN_SHARE * len(among))]:
        yield ColumnCondition(f"{name} = {_format_number(value, kind)}", values == value)
    steps = choose_rounding_steps(reference, name)
    roundness = count_rounding_steps(values, steps)
    levels = roundness[np.isfinite(roundness)]
    # Of steps that separate alike the coarsest is named: the first of equals is taken.
    for level in range(int(levels.max()), int(levels.min()), -1):
        step = float(steps[level - 1])
        words = "a whole number" if step == 1 else f"a multiple of {step:,.10g}"
        if kind == "datetime":
            words = f"in whole {_WHOLE_TIMES[level - 1]}"
        yield ColumnCondition(f"{name} is {words}", roundness >= level)
        yield ColumnCondition(f"{name} is not {words}", roundness < level)


def _thresholds(values: Floats, kind: str) -> tuple[list[float], list[float]]:
    """Return round numbers just below the quantiles, and just above them, each ascending."""
    near = np.quantile(values, _QUANTILES)
    if kind == "datetime":
        unit = np.full(len(near), float(_DAY if np.ptp(values) > _DAYS_FROM * _DAY else _MINUTE))
    else:
        size = np.floor(np.log10(np.maximum(np.abs(near), 1e-300)))
        unit = 10.0 ** (size - _MAX_DIGITS + 1)
        unit = np.maximum(unit, 1.0) if kind == "integer" else unit
    # Without the rounding error of the product, so that values equal to a bound meet it.
    tidy = float if kind == "datetime" else lambda bound: float(f"{bound:.12g}")
    lower, upper = (
        sorted({tidy(bound) for bound in to_whole(near / unit) * unit})
        for to_whole in (np.floor, np.ceil)
    )
    return lower, upper


def _format_number(value: float, kind: str) -> str:
    if kind != "datetime":
        return f"{value:,.10g}"
    instant = datetime.fromtimestamp(value / 1e6, UTC)
    return instant.strftime("%Y-%m-%d" if value % _DAY == 0 else "%Y-%m-%d %H:%M")


def _format_cell(value: Any) -> str:
    if value is None:
        return "missing"
    text = f"{value:.6g}" if isinstance(value, float) else str(value).strip()
    return text if len(text) <= _MAX_CELL_LENGTH else text[: _MAX_CELL_LENGTH - 1] + "…"

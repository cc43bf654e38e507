"""Explain how a discriminator found synthetic rows: by which columns, and what such rows share."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from twinset.core.data.dataset import Dataset
from twinset.core.data.schema import Field
from twinset.core.data.where import Where
from twinset.core.features.encoder import FeatureEncoder
from twinset.core.features.models import build_discriminator_table
from twinset.core.findings import (
    ConfidentRow,
    ConfidentRows,
    FeatureImportances,
    Finding,
    RegionShare,
)
from twinset.core.stats.hypothesis_tests import areas, excess_p

from .._bootstrap_metric import Bools, Floats, Ints
from .._samples import MIN_SHOWN, shown_share
from ._columns import choose_rounding_steps, compute_roundness, count_rounding_steps

Matrix = npt.NDArray[np.floating]

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
    """Real rows, then synthetic rows, as the discriminator gets them: columns, then roundness."""

    x: Floats  # shape (n, d)
    y: Ints  # 0 for real, 1 for synthetic
    categorical: Bools  # which columns of `x` are codes
    places: Mapping[str, list[int]]  # column of the set -> its columns in `x`

    @classmethod
    def from_sets(cls, real: Dataset, synthetic: Dataset, train: Dataset) -> RowTable:
        """Return the table of both sets; images and texts are encoded as those of `train` are."""
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
            # A tree cuts a number into at most 255 ranges and cannot see multiples of a hundred.
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


def predict_folds(table: RowTable, fold: Ints, models: Sequence[Any]) -> Floats:
    """Return the probability that each row is synthetic, by the model that has not seen its fold."""
    probability = np.empty(len(table.y))
    for k, model in enumerate(models):
        probability[fold == k] = _predict(model, table.x[fold == k])
    return probability


def _predict(model: Any, x: Floats) -> Floats:
    return np.asarray(model.predict_proba(x)[:, 1])


def compute_area(real: Floats, synthetic: Floats) -> float:
    """Return the area under the ROC curve."""
    return float(areas(real, synthetic)[0])


def column_importance(
    table: RowTable,
    fold: Ints,
    models: Sequence[Any],
    score: Callable[[Floats, Floats], float],
    rng: np.random.Generator,
) -> dict[str, float]:
    """Return the permutation importance of each column (Breiman 2001), largest first.

    A column is shuffled among unseen rows of both sets together: within each set, a column with a
    wrong distribution would go on separating the sets.
    """
    names = list(table.places)
    n_cells = table.x.shape[1] * len(names) * len(models)
    max_rows = max(_MIN_SHUFFLED_ROWS, _MAX_SHUFFLED_CELLS // n_cells)
    truth, before, after = [], [], []
    for k, model in enumerate(models):
        rows = np.flatnonzero(fold == k)
        rows = np.sort(rng.choice(rows, min(max_rows, len(rows)), replace=False))
        x = table.x[rows]
        shuffled = np.repeat(x[None], len(names), axis=0)
        for copy, name in zip(shuffled, names):
            place = table.places[name]
            copy[:, place] = x[rng.permutation(len(rows))][:, place]
        truth.append(table.y[rows])
        before.append(_predict(model, x))
        after.append(_predict(model, shuffled.reshape(-1, x.shape[1])).reshape(len(names), -1))
    y, whole, parts = np.concatenate(truth), np.concatenate(before), np.concatenate(after, axis=1)
    full = score(whole[y == 0], whole[y == 1])
    drops = {name: full - score(part[y == 0], part[y == 1]) for name, part in zip(names, parts)}
    return dict(sorted(drops.items(), key=lambda pair: (-pair[1], pair[0])))


def rank_close_columns(
    importance: Mapping[str, float], score_without: Callable[[str], float]
) -> dict[str, float]:
    """Return the importance with columns close to the first one ranked by fits without each.

    If only the dependence of two columns is wrong, shuffling either costs the same; but a fit without
    the wrong one sees nothing, so the column without which the score is lowest comes first.
    """
    close = find_important_columns(importance, _CLOSE)
    if len(close) < 2:
        return dict(importance)
    scores = {name: score_without(name) for name in close}
    order = sorted(close, key=lambda name: scores[name])
    return {name: importance[name] for name in [*order, *importance]}


def find_important_columns(
    importance: Mapping[str, float], share: float = _NOTEWORTHY
) -> list[str]:
    """Return the one to three columns with at least that share of the largest importance."""
    largest = max(importance.values(), default=0.0)
    return [name for name, drop in importance.items() if 0 < share * largest <= drop][:_MAX_NAMED]


def top_lift(real: Floats, synthetic: Floats) -> float:
    """Return the share of the synthetic rows in the highest fortieth of all, less that of real ones."""
    n_synthetic, n_real = _count_top(real, synthetic)
    return n_synthetic / len(synthetic) - n_real / len(real)


def _count_top(real: Floats, synthetic: Floats) -> tuple[int, int]:
    bound = float(np.quantile(np.concatenate([real, synthetic]), 1 - _TOP_SHARE))
    return int((synthetic > bound).sum()), int((real > bound).sum())


@dataclass(frozen=True)
class DiscriminatorScores:
    """Rows of both sets, reference first, with out-of-fold probabilities of being synthetic."""

    reference: Dataset
    synthetic: Dataset
    probability: Floats
    fold: Ints

    @property
    def is_synthetic(self) -> Bools:
        """Which rows are synthetic, shape (m + n,)."""
        return np.arange(len(self.probability)) >= len(self.reference)


def explain_discriminator(
    table: RowTable,
    scores: DiscriminatorScores,
    models: Sequence[Any],
    area_without: Callable[[str], float],
    places: Ints,
    train: Dataset,
    rng: np.random.Generator,
) -> tuple[Finding, ...]:
    """Return the columns that a discriminator needs and its most confident rows, if it sees any.

    `area_without` is the area of one that is fitted without a column.
    """
    low, high = (scores.probability[scores.is_synthetic == kind] for kind in (False, True))
    n, m = len(low), len(high)
    # Without any difference the area has the standard error sqrt((m + n + 1) / (12 m n))
    # (Mann-Whitney). A few plain fakes among many perfect rows hardly move it.
    clear = compute_area(low, high) > 0.5 + _CLEAR_ERRORS * np.sqrt((n + m + 1) / (12 * n * m))
    n_synthetic, n_real = _count_top(low, high)
    # Where the discriminator guesses, the importance of a column is noise.
    if not clear and excess_p(n_synthetic, m, n_real, n) >= _TOP_ALPHA:
        return ()
    score = compute_area if clear else top_lift
    importance = column_importance(table, scores.fold, models, score, rng)
    if clear:
        importance = rank_close_columns(importance, area_without)
    named = find_important_columns(importance)
    features = FeatureImportances(importance, tuple(named))
    if not named:
        return (features,)
    rows = find_confident_rows(scores, named, places, train)
    return features, ConfidentRows(rows, find_common_condition(scores, list(importance)))


def find_confident_rows(
    scores: DiscriminatorScores, columns: Sequence[str], places: Ints, train: Dataset
) -> tuple[ConfidentRow, ...]:
    """Return the synthetic rows with the highest predictions; values that disclose are left out."""
    synthetic, probability = scores.synthetic, scores.probability[scores.is_synthetic]
    shown = [name for name in columns if synthetic.schema[name].is_tabular]
    rows = []
    for at in np.argsort(-probability, kind="stable")[:_MAX_ROWS]:
        values = {name: synthetic.records.column(name)[int(at)].as_py() for name in shown}
        n_real = sum(
            int(part.mask(Where(values)).sum()) if values else 0
            for part in (train, scores.reference)
        )
        # Augmented rows, and values that 1 to 10 real rows have, would disclose real rows.
        hidden = synthetic.card.is_from_real or 1 <= n_real < MIN_SHOWN
        texts = {} if hidden else {name: _format_cell(value) for name, value in values.items()}
        rows.append(ConfidentRow(int(places[at]) + 1, round(float(probability[at]), 4), texts))
    return tuple(rows)


def find_common_condition(
    scores: DiscriminatorScores, columns: Sequence[str]
) -> RegionShare | None:
    """Return one or two conditions that the most confident twentieth of the synthetic rows share.

    Of all pairs of conditions it is the one with the best F1 against real rows. It is searched in half
    of the folds, and its shares are those of the other half, which the search does not flatter.
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
    return RegionShare(
        words, shown_share(hits_real, n_real), shown_share(hits, n_synthetic), n_real, n_synthetic
    )


class ColumnCondition(NamedTuple):
    """A condition on one column in words, and the rows that meet it, shape (m + n,)."""

    words: str
    rows: Bools


def list_conditions(
    reference: Dataset, synthetic: Dataset, names: Sequence[str], among: Ints
) -> list[ColumnCondition]:
    """Return conditions on single columns that some of the synthetic rows `among` meet.

    Thresholds come from synthetic rows alone, so that none of them is a real value.
    """
    found: list[ColumnCondition] = []
    for name in names:
        field = reference.schema[name]
        if field.is_tabular:
            on_column = _on_labels if field.has_levels else _on_numbers
            found += on_column(reference, synthetic, field, among)
    return [one for one in found if one.rows[len(reference) + among].any()]


def _best_rule(
    conditions: Sequence[ColumnCondition], confident: Ints, real: Ints, share: float
) -> list[ColumnCondition]:
    """Return the one or two conditions with the best F1; `share` is that of the confident rows."""
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
    reference: Dataset, synthetic: Dataset, field: Field, among: Ints
) -> Iterator[ColumnCondition]:
    """Yield the labels, and missing, that 2 % of the rows `among` have."""
    (real, real_levels), (codes, levels) = (d.codes(field.name) for d in (reference, synthetic))
    shares = np.bincount(codes[among] + 1, minlength=len(levels) + 1) / len(among)
    if shares[0] >= _MIN_SHARE:
        yield ColumnCondition(f"{field.name} is missing", np.concatenate([real, codes]) < 0)
    for code in np.flatnonzero(shares[1:] >= _MIN_SHARE):
        text = levels[code]
        same = real_levels.index(text) if text in real_levels else len(real_levels)
        words = f"{field.name} = {text.strip()}"
        if field.column_kind.has_float_values:  # true and false
            words = field.name if text == "true" else f"not {field.name}"
        yield ColumnCondition(words, np.concatenate([real == same, codes == code]))


def _on_numbers(
    reference: Dataset, synthetic: Dataset, field: Field, among: Ints
) -> Iterator[ColumnCondition]:
    """Yield round bounds near quantiles of the rows `among`, frequent values, multiples, missing."""
    name, candidates = field.name, synthetic.values(field.name)
    values, own = np.concatenate([reference.values(name), candidates]), candidates[among]
    if np.isnan(own).mean() >= _MIN_SHARE:
        yield ColumnCondition(f"{name} is missing", np.isnan(values))
    own = own[np.isfinite(own)]
    if not len(own):
        return
    lower, upper = _thresholds(own, field)
    distinct, counts = np.unique(own, return_counts=True)
    frequent = distinct[counts >= max(2, _MIN_SHARE * len(among))]
    compared = (
        (">=", lower, np.greater_equal),
        ("<=", upper, np.less_equal),
        ("=", frequent, np.equal),
    )
    for sign, bounds, meets in compared:
        for bound in bounds:
            shown = _format_number(bound, field)
            yield ColumnCondition(f"{name} {sign} {shown}", meets(values, bound))
    steps = choose_rounding_steps(field.is_time, reference.values(name))
    roundness = count_rounding_steps(values, steps)
    levels = roundness[np.isfinite(roundness)]
    # Of steps that separate alike the coarsest is named: the first of equals is taken.
    for level in range(int(levels.max()), int(levels.min()), -1):
        step = float(steps[level - 1])
        words = "a whole number" if step == 1 else f"a multiple of {step:,.10g}"
        if field.is_time:
            words = f"in whole {_WHOLE_TIMES[level - 1]}"
        yield ColumnCondition(f"{name} is {words}", roundness >= level)
        yield ColumnCondition(f"{name} is not {words}", roundness < level)


def _thresholds(values: Floats, field: Field) -> list[list[float]]:
    """Return round numbers just below the quantiles, and just above them, each ascending."""
    near = np.quantile(values, _QUANTILES)
    if field.is_time:
        unit = np.full(len(near), float(_DAY if np.ptp(values) > _DAYS_FROM * _DAY else _MINUTE))
    else:
        size = np.floor(np.log10(np.maximum(np.abs(near), 1e-300)))
        unit = 10.0 ** (size - _MAX_DIGITS + 1)
        unit = np.maximum(unit, 1.0) if field.is_whole else unit
    # Without the rounding error of the product, so that values equal to a bound meet it.
    tidy = float if field.is_time else lambda bound: float(f"{bound:.12g}")
    return [
        sorted({tidy(bound) for bound in to_whole(near / unit) * unit})
        for to_whole in (np.floor, np.ceil)
    ]


def _format_number(value: float, field: Field) -> str:
    if not field.is_time:
        return f"{value:,.10g}"
    instant = datetime.fromtimestamp(value / 1e6, UTC)
    return instant.strftime("%Y-%m-%d" if value % _DAY == 0 else "%Y-%m-%d %H:%M")


def _format_cell(value: Any) -> str:
    if value is None:
        return "missing"
    text = f"{value:.6g}" if isinstance(value, float) else str(value).strip()
    return text if len(text) <= _MAX_CELL_LENGTH else text[: _MAX_CELL_LENGTH - 1] + "…"

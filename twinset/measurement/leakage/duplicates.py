"""Rows that stand on both sides of a cut: whole, but for one column, or within a cell of a grid.

Natural repeats are no leak. If a cut is drawn at random, each crowd of equal rows is cut in two with a
known chance; copies that were carried across are cut in two more often. Where the rows were multiplied
before the cut, the crowds are cut as chance does, but one class holds many more of them than the rest.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from twinset.core.data.dataset import Dataset
from twinset.core.features.encoder import FeatureEncoder
from twinset.core.stats.neighbors import nearest
from twinset.measurement.leakage.findings import Leak, counted, first_rows
from twinset.measurement.leakage.row_keys import Keys, RowKeys
from twinset.measurement.leakage.tail_bounds import log_tail, span_chances

_MOST_COLUMNS = 32
_TELLING = 0.2
"""Two rows of the class agree in a telling column with at most this chance."""
_FEW_ROWS = 50
_LEAST_ROWS = 12
_LEAST_COLUMNS = 3
_TELLS_ROWS_APART = 0.8


def shuffled_share(
    cells: Mapping[str, Keys],
    held: npt.NDArray[np.bool_],
    elsewhere: Keys,
    rng: np.random.Generator,
) -> float:
    """Return the share of holdout rows of a class that stand in train once their columns are shuffled.

    Parameters
    ----------
    cells : mapping
        Column -> mixed number of each row of the class, shape (n,).
    held : numpy.ndarray of bool
        Which of these rows are the holdout's, shape (n,); at least one.
    elsewhere : numpy.ndarray
        Keys of the train rows of other classes.
    rng : numpy.random.Generator
        Source of the shuffles.

    Returns
    -------
    float
        The largest share, in [0, 1], of: every column shuffled for itself, one telling column alone.

    Examples
    --------
    >>> cells = {"x": np.arange(100, dtype=np.uint64) % np.uint64(50) * np.uint64(1000)}
    >>> cells["y"] = cells["x"] * np.uint64(7)
    >>> held = np.arange(100) < 50
    >>> shuffled_share(cells, held, np.zeros(0, np.uint64), np.random.default_rng(0)) < 0.2
    True
    """
    whole = _sum(cells)
    shuffled = [_sum({name: rng.permutation(cell) for name, cell in cells.items()})]
    telling = []
    for name, cell in cells.items():
        sizes = np.unique(cell, return_counts=True)[1]
        if ((sizes / len(cell)) ** 2).sum() <= _TELLING:
            telling.append((len(sizes), name))
    for _, name in sorted(telling)[:_MOST_COLUMNS]:
        shuffled.append(whole - cells[name] + rng.permutation(cells[name]))
    # Train stays as it is: shuffled, rows that were multiplied would fill every combination.
    train = np.append(whole[~held], elsewhere)
    return float(max(np.isin(key[held], train).mean() for key in shuffled))


def has_few_rows(cells: Mapping[str, Keys]) -> bool:
    """Return whether the repeats of a class are of so few rows that they may be its nature.

    Fewer than 12 distinct rows repeat; or up to 50 do, and they are not told apart by each of three
    columns, as rows of measured values are.

    Parameters
    ----------
    cells : mapping
        Column -> mixed number of each row of the class, shape (n,).

    Examples
    --------
    >>> kinds = np.arange(60, dtype=np.uint64) % np.uint64(20)
    >>> has_few_rows({"kind": kinds, "half": kinds // np.uint64(2)})
    True
    >>> has_few_rows({name: kinds * np.uint64(i) for i, name in enumerate("abcd", 1)})
    False
    """
    _, first, sizes = np.unique(_sum(cells), return_index=True, return_counts=True)
    rows = first[sizes > 1]
    if len(rows) > _FEW_ROWS:
        return False
    apart = sum(
        len(np.unique(cell[rows])) >= _TELLS_ROWS_APART * len(rows) for cell in cells.values()
    )
    return len(rows) < _LEAST_ROWS or apart < _LEAST_COLUMNS


def _sum(cells: Mapping[str, Keys]) -> Keys:
    total = np.zeros(len(next(iter(cells.values()))), dtype=np.uint64)
    for cell in cells.values():
        total += cell
    return total


LOG_ALPHA = float(np.log(1e-5))
"""A finding must be rarer than this by chance; where columns or grids are tried, rarer than its part."""

_KEYS_AT_ONCE = 400_000
_NATURAL_SHARE = 0.1
_NATURAL_TIMES = 3.0
_NATURAL_EXCESS = 0.15
_MOST_USUAL = 0.33
_SHUFFLED_TIMES = 1.5
_FEWEST_OF_A_CLASS = 30
_TIED = 1.05
_GRIDS = ((0.02, 0.0), (0.02, 0.5), (0.1, 0.25), (0.1, 0.75), (0.4, 0.0), (0.4, 0.5))
_FEWEST_NUMBERS = 2


@dataclass(frozen=True)
class SplitRows:
    """Rows of a train part, of a holdout and perhaps of a made set, one below the other.

    Parameters
    ----------
    keys : RowKeys
        Their cells.
    side : numpy.ndarray of int
        0 for a train row, 1 for a holdout row, 2 for a made row, shape (n,).
    labels : numpy.ndarray of int, optional
        Code of each row's class, shape (n,); None without a target that holds labels.
    names : tuple of str
        Names of the classes by code.
    columns : tuple of str
        Columns to compare, without identifiers.
    features : tuple of str
        Those of `columns` that are no key of any kind: no target, group or time, none whose values
        differ in nearly every row.
    target : str or None
        The column to predict.
    """

    keys: RowKeys
    side: npt.NDArray[np.int8]
    labels: npt.NDArray[np.int32] | None
    names: tuple[str, ...]
    columns: tuple[str, ...]
    features: tuple[str, ...]
    target: str | None

    @property
    def in_holdout(self) -> npt.NDArray[np.bool_]:
        """Which rows are the holdout's, shape (n,)."""
        return np.asarray(self.side == 1)

    @property
    def fraction(self) -> float:
        """Share of rows that the cut put into the holdout, in (0, 1).

        A class that was grown in the train part after the cut hides the share; the class with the
        largest share tells it.
        """
        shares = [float(self.in_holdout.mean())]
        for code in range(len(self.names)):
            mine = self.in_holdout[self.labels == code]
            if mine.sum() >= _FEWEST_OF_A_CLASS:
                shares.append(float(mine.mean()))
        return max(shares[0], min(max(shares), 0.5))

    def first(self, touched: npt.NDArray[np.bool_]) -> tuple[int, ...]:
        """Return the positions in the holdout of the first of its rows that are touched."""
        return first_rows(touched[self.in_holdout])

    def crowds(self) -> Iterator[tuple[str, npt.NDArray[np.bool_] | None]]:
        """Yield all rows, then the rows of each class with words for them."""
        yield "", None
        if self.labels is not None:
            for code, name in enumerate(self.names):
                yield f" of the class '{name}'", self.labels == code


def copies(cut: SplitRows) -> list[Leak]:
    """Return the leak of rows that stand on both sides, whole or under other keys; or none."""
    fraction = cut.fraction
    for names in dict.fromkeys((cut.columns, cut.features)):
        if not names:
            continue
        key = cut.keys.key(names)
        how = "value for value" if names == cut.columns else _under_other_keys(cut)
        for words, rows in cut.crowds():
            found = _cut_in_two(key, cut.in_holdout, rows, fraction)
            if found is not None:
                kind = "copies" if names == cut.columns else "changed_copies"
                what = (
                    f"{counted(found[0])}{words} also stand in the train part, {how}, where chance "
                    f"explains {found[1]:,.0f}"
                )
                return [Leak(kind, what, found[0], found[2], at=_first_shared(cut, key, rows))]
    return []


def changed_copies(cut: SplitRows) -> list[Leak]:
    """Return the leak of rows that stand on both sides but for one column; or none."""
    fraction = cut.fraction
    for names in dict.fromkeys((cut.columns, cut.features)):
        if len(names) < 2:
            continue
        whole = cut.keys.key(names)
        for name in names:
            key = whole - cut.keys.cells[name]
            kept = _part(key)
            found = _cut_in_two(key, cut.in_holdout, kept, fraction, len(names))
            if found is not None:
                what = (
                    f"{counted(found[0])} also stand in the train part but for the column '{name}', "
                    f"where chance explains {found[1]:,.0f}"
                )
                at = _first_shared(cut, key, kept)
                return [Leak("changed_copies", what, found[0], found[2], at=at)]
    return []


def near_copies(cut: SplitRows) -> list[Leak]:
    """Return the leak of rows that have a near copy on the other side, by cells of a grid; or none."""
    fraction = cut.fraction
    for names in dict.fromkeys((cut.columns, cut.features)):
        if sum(name in cut.keys.numbers for name in names) < _FEWEST_NUMBERS:
            continue
        for width, shift in _GRIDS:
            key = cut.keys.grid_key(names, width, shift)
            for words, rows in cut.crowds():
                found = _cut_in_two(key, cut.in_holdout, rows, fraction, len(_GRIDS))
                if found is not None:
                    what = (
                        f"{counted(found[0])}{words} have a train row within {width:g} of a spread "
                        f"in every column, where chance explains {found[1]:,.0f}"
                    )
                    at = _first_shared(cut, key, rows)
                    return [Leak("near_copies", what, found[0], found[2], at=at)]
    return []


def oversampled(cut: SplitRows, rng: np.random.Generator) -> list[Leak]:
    """Return the leak of a class whose rows were multiplied before the cut; or none.

    What the class's own values explain is natural; repeats of few discrete rows are a doubtful leak.
    """
    if cut.labels is None:
        return []
    doubts: list[Leak] = []
    for names in dict.fromkeys((cut.columns, cut.features)):
        if not names:
            continue
        key = cut.keys.key(names)
        seen = cut.in_holdout & np.isin(key, key[~cut.in_holdout])
        for code in grown_classes(cut):
            mine = cut.labels == code
            n, k = int((cut.in_holdout & mine).sum()), int((seen & mine).sum())
            others = cut.in_holdout & ~mine
            usual = float(seen[others].mean()) if others.any() else 0.0
            natural = max(_NATURAL_SHARE, min(_NATURAL_TIMES * usual, usual + _NATURAL_EXCESS))
            # In a table with few distinct rows every class repeats itself, each in its own measure.
            if usual >= _MOST_USUAL or not n or _chance(k, natural, n) >= LOG_ALPHA:
                continue
            cells = {name: cut.keys.cells[name][mine] for name in names}
            elsewhere = key[~cut.in_holdout & ~mine]
            shuffled = shuffled_share(cells, cut.in_holdout[mine], elsewhere, rng)
            chance = _chance(k, max(natural, _SHUFFLED_TIMES * shuffled), n)
            if chance >= LOG_ALPHA:
                continue
            leak = _multiplied(cut.names[code], k, n, usual, chance, has_few_rows(cells))
            leak = replace(leak, at=cut.first(seen & mine))
            if not leak.is_doubtful:
                return [leak]
            doubts.append(leak)
    return doubts[:1]


def _chance(k: int, share: float, n: int) -> float:
    return log_tail(k, np.array([share]), np.array([n])) if share < 1 else 0.0


def _multiplied(name: str, k: int, n: int, usual: float, chance: float, is_doubtful: bool) -> Leak:
    what = (
        f"{k / n:.0%} of the holdout rows of the class '{name}' also stand in the train part, of other "
        f"classes {usual:.0%}: "
    )
    if is_doubtful:
        what += (
            "they are repeats of few rows, which may be natural; if rows of the class were multiplied, "
            "cut first"
        )
    else:
        what += "its rows were multiplied before the cut"
    return Leak("oversampled", what, k, chance, is_doubtful)


def grown_classes(cut: SplitRows) -> list[int]:
    """Return the classes that may have been grown, rarest first: all but a clearly commonest one."""
    if cut.labels is None:
        return []
    sizes = np.bincount(cut.labels[cut.labels >= 0], minlength=len(cut.names))
    order = np.argsort(sizes, kind="stable")
    tied = len(order) > 1 and sizes[order[-1]] <= _TIED * sizes[order[-2]]
    return [int(code) for code in (order if tied else order[:-1])]


def _cut_in_two(
    key: Keys,
    in_holdout: npt.NDArray[np.bool_],
    rows: npt.NDArray[np.bool_] | None,
    fraction: float,
    n_tried: int = 1,
) -> tuple[int, float, float] | None:
    """Return (rows of the holdout that stand in train, as many by chance, log chance), if too many."""
    if rows is not None:
        key, in_holdout = key[rows], in_holdout[rows]
    if in_holdout.all() or not in_holdout.any():
        return None
    order = np.argsort(key)
    ordered = key[order]
    starts = np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1]]))
    sizes = np.diff(np.append(starts, len(key)))
    held = np.add.reduceat(in_holdout[order].astype(np.int64), starts)
    shared = sizes > 1
    sizes, held = sizes[shared], held[shared]
    both = (held > 0) & (held < sizes)
    chances, counts = span_chances(sizes, fraction)
    chance = log_tail(int(both.sum()), chances, counts)
    if chance >= LOG_ALPHA - np.log(n_tried):
        return None
    mean_held = float(held[both].mean())
    return int(held[both].sum()), float(chances @ counts) * mean_held, chance


def _first_shared(cut: SplitRows, key: Keys, rows: npt.NDArray[np.bool_] | None) -> tuple[int, ...]:
    """Return the first holdout rows, among `rows`, whose key stands in train."""
    rows = np.ones(len(key), dtype=bool) if rows is None else rows
    return cut.first(rows & np.isin(key, key[rows & ~cut.in_holdout]))


def _part(key: Keys) -> npt.NDArray[np.bool_]:
    """Return which rows to look at: crowds of equal keys are taken or left as a whole."""
    share = min(1.0, _KEYS_AT_ONCE / len(key))
    return np.asarray((key >> np.uint64(32)).astype(np.float64) < share * 2.0**32)


def _under_other_keys(cut: SplitRows) -> str:
    left = [name for name in cut.columns if name not in cut.features]
    return "but for " + ", ".join(f"'{name}'" for name in left[:5]) + ", ..." * (len(left) > 5)


def nearly_unique(keys: RowKeys, name: str, train: npt.NDArray[np.bool_]) -> bool:
    """Return whether a column tells nearly every train row apart, as a key does."""
    cells = keys.cells[name][train]
    return len(cells) > 1 and len(np.unique(cells)) > 0.99 * len(cells)


def key_columns(
    keys: RowKeys, names: Sequence[str], kinds: Sequence[str], train: npt.NDArray[np.bool_]
) -> set[str]:
    """Return the columns that act as a key although nothing says so: whole numbers, dates."""
    candidates = ("integer", "datetime")
    return {
        name
        for name, kind in zip(names, kinds)
        if kind in candidates and nearly_unique(keys, name, train)
    }


_MOST_QUERIES = 1_500
_CELLS = 3_000_000
_FEWEST = 40
_SAME = 1e-5
_QUANTILES = {0.002: 1.0, 0.01: 1.0, 0.1: 1.5, 0.3: 1.5}
"""Low quantiles of real distances, and how many times as many rows below them drift may explain."""


def nearer_than_real(
    holdout: Dataset, train: Dataset, rng: np.random.Generator, words: str = ""
) -> list[Leak]:
    """Return the leak of holdout rows that lie too near to train rows; or none.

    Parameters
    ----------
    holdout, train : Dataset
        The same columns.
    rng : numpy.random.Generator
        Chooses the rows that are looked at, at most 1,500 of each side.
    words : str
        What the rows are, for the sentence.
    """
    n_control = min(_MOST_QUERIES, len(train) // 4)
    if n_control < _FEWEST or len(holdout) < _FEWEST:
        return []
    order = rng.permutation(len(train))
    control, rest = train.take(np.sort(order[:n_control])), order[n_control:]
    # Fitted on what neither side is part of: an encoder knows the words and levels of its own rows.
    encoder = FeatureEncoder.fit(train.take(np.sort(rest)))
    queries = [encoder.transform(part) for part in (holdout.at_most(_MOST_QUERIES, rng), control)]
    width = queries[0].shape[1]
    if width < 2:
        return []
    reference = encoder.transform(train.take(np.sort(rest[: max(1_000, _CELLS // width)])))
    found = [nearest(query, reference, 1)[0][:, 0] for query in queries]
    # Whole copies are looked for elsewhere; natural ones would hide what lies next to them.
    mine, own = (apart[apart > _SAME] for apart in found)
    if not len(mine) or not len(own):
        return []
    for quantile, times in _QUANTILES.items():
        bound = float(np.quantile(own, quantile))
        near, usual = int((mine <= bound).sum()), int((own <= bound).sum())
        # Under a cut at random each near row is the holdout's with this chance.
        share = times * len(mine) / (times * len(mine) + len(own))
        chance = log_tail(near, np.array([share]), np.array([near + usual]))
        if chance < LOG_ALPHA:
            expected = usual / len(own)
            what = (
                f"{near / len(mine):.0%} of the holdout rows{words} lie nearer to a train row than "
                f"{1 - expected:.0%} of real rows do"
            )
            return [Leak("near_copies", what, near, chance)]
    return []

"""One event in two rows, such as authorisation and capture or booking and refund, one in each set."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from twinset.core.data.dataset import Dataset
from twinset.measurement.leakage.canonical import Codes
from twinset.measurement.leakage.encodings import SplitColumns
from twinset.measurement.leakage.evidence import (
    LOG_ALPHA,
    Bools,
    Floats,
    Leak,
    first_rows,
    format_count,
    log_tail,
)

Rows = npt.NDArray[np.int64]

_MINUTE = 60e6  # microseconds
_SPANS = (
    10 * _MINUTE,
    1_440 * _MINUTE,
    4_320 * _MINUTE,
)  # seconds apart, or booked up to three days later
_MAX_STEPS = 3  # rows of the group between the two rows of an event, and one more
_MIN_INFORMATION = float(np.log(1e3))  # of what two rows share: chance gives it to 1 pair in 1,000
_NEAR = 2e-3  # of a spread, within which numbers agree: a fee or a rounding apart
_MIN_SHARE = 0.01  # of the test rows: fewer do not change a score
_MIN_ROWS = 11  # events, at least: fewer are not disclosed
_TIMES = 8.0  # as many as rows of the group that lie farther apart share as much
_MAX_CONTROL = 200_000  # pairs of one group at random
_MIN_CONTROL = 100  # pairs of one group that lie apart, before they show what is natural
_GROUP_ROWS = (1.2, 0.05)  # rows a group, on average, at least; share of all rows, at most
_MAX_GROUPS = 3  # columns that may name a card or person


def find_divided_events(
    train: Dataset, test: Dataset, columns: SplitColumns, rng: np.random.Generator
) -> list[Leak]:
    """Return the leak of test rows that repeat an event of the train set; or none.

    Pairs of rows of one group that follow each other within minutes or days are compared with pairs of the
    same group that lie farther apart: what both rows share counts by its rarity. Rows of one time count
    where a number of one is that of the other with the opposite sign, as of a refund.
    """
    time = columns.time if columns.time is not None else _only_time(train, test)
    if time is None:
        return []
    n = len(columns.in_test)
    for by in [name for name in columns.level_columns if name in columns.entities][:_MAX_GROUPS]:
        codes = columns.levels[by]
        n_groups = len(np.unique(codes[codes >= 0]))
        if not _GROUP_ROWS[0] <= n / max(1, n_groups) <= _GROUP_ROWS[1] * n:
            continue
        others = {name: c for name, c in columns.levels.items() if name != by}
        numbers = {name: x for name, x in columns.numbers.items() if name != by}
        found = _test_group(columns.in_test, time, codes, others, numbers, rng)
        if found is not None:
            count, expected, chance, at = found
            message = (
                f"{format_count(count)} repeat an event of the train set: the same '{by}' shortly before "
                f"or after, with values that agree, where chance explains {expected:,.0f}"
            )
            return [Leak("events", message, count, chance, at=at, expected=expected, columns=(by,))]
    return []


def _only_time(train: Dataset, test: Dataset) -> Floats | None:
    """Return the values of the only column of times; None where there is none, or several."""
    names = [
        f.name for f in train.schema.fields if f.column_kind.is_time and f.name in test.schema.names
    ]
    if len(names) != 1:
        return None
    return np.concatenate([part.values(names[0]) for part in (train, test)])


def _test_group(
    in_test: Bools,
    time: Floats,
    codes: Codes,
    levels: dict[str, Codes],
    numbers: dict[str, Floats],
    rng: np.random.Generator,
) -> tuple[int, float, float, tuple[int, ...]] | None:
    """Return (test rows, as many by chance, log chance, positions), if events are divided."""
    rows = np.flatnonzero(np.isfinite(time) & (codes >= 0))
    rows = rows[np.lexsort((time[rows], codes[rows]))]
    near = [(rows[:-step], rows[step:]) for step in range(1, _MAX_STEPS + 1) if len(rows) > step]
    if not near:
        return None
    left, right = (np.concatenate(part) for part in zip(*near))
    same = codes[left] == codes[right]
    left, right = left[same], right[same]
    gap = np.abs(time[right] - time[left])
    apart = gap > _SPANS[-1]
    drawn = _draw_control(rows, codes, rng)
    control = np.append(left[apart], drawn[0]), np.append(right[apart], drawn[1])
    if len(control[0]) < _MIN_CONTROL or len(left) < _MIN_ROWS:
        return None
    information, natural = _shared_information(
        ((left, right), control, _list_strangers(rows, time, codes)), levels, numbers
    )
    crossing = in_test[left] != in_test[right]
    # Rows of one time are copies, which other tests compare with natural repeats, unless one cancels
    # the other.
    crossing &= (gap > 0) | _is_reversed(left, right, numbers)
    # Small groups may share more by nature, so each control counts. A share of zero is known no better
    # than one in the control's size.
    similar = natural >= _MIN_INFORMATION
    shares = [
        part.mean()
        for part in (similar[: apart.sum()], similar[apart.sum() :])
        if len(part) >= _MIN_CONTROL
    ]
    share = max([*map(float, shares), 1 / len(natural)])
    for span in reversed(_SPANS):
        close = crossing & (gap <= span)
        hits = close & (information >= _MIN_INFORMATION)
        touched = np.zeros(len(in_test), dtype=bool)
        touched[left[hits]] = touched[right[hits]] = True
        n = int((touched & in_test).sum())
        expected = share * int(close.sum())
        chance = log_tail(int(hits.sum()), min(1.0, _TIMES * share), int(close.sum()))
        if n >= max(_MIN_ROWS, _MIN_SHARE * in_test.sum()) and chance < LOG_ALPHA:
            return n, expected, chance, first_rows(touched[in_test])
    return None


def _list_strangers(rows: Rows, time: Floats, codes: Codes) -> tuple[Rows, Rows]:
    """Return pairs of rows of different groups that follow each other in time."""
    order = rows[np.argsort(time[rows], kind="stable")]
    strange = codes[order[:-1]] != codes[order[1:]]
    return order[:-1][strange], order[1:][strange]


def _is_reversed(left: Rows, right: Rows, numbers: dict[str, Floats]) -> Bools:
    """Return which pairs have a number and the same one with the opposite sign."""
    found = np.zeros(len(left), dtype=bool)
    for values in numbers.values():
        found |= (values[left] == -values[right]) & (values[left] != 0)
    return found


def _draw_control(rows: Rows, codes: Codes, rng: np.random.Generator) -> tuple[Rows, Rows]:
    """Return pairs of rows of one group, at random places of its history."""
    starts = np.flatnonzero(np.concatenate([[True], codes[rows][1:] != codes[rows][:-1]]))
    sizes = np.diff(np.append(starts, len(rows)))
    first, size = np.repeat(starts, sizes), np.repeat(sizes, sizes)
    far = np.flatnonzero(size > 2 * _MAX_STEPS)
    if not len(far):
        return rows[:0], rows[:0]
    one = rng.choice(far, min(_MAX_CONTROL, 20 * len(far)))
    steps = _MAX_STEPS + 1 + rng.integers(0, size[one] - 2 * _MAX_STEPS)
    other = first[one] + (one - first[one] + steps) % size[one]
    return rows[one], rows[other]


def _shared_information(
    pairs: tuple[tuple[Rows, Rows], ...], levels: dict[str, Codes], numbers: dict[str, Floats]
) -> tuple[Floats, Floats]:
    """Return how much each pair shares beyond chance, in natural units; for near pairs and control.

    `pairs`: near pairs of one group; pairs of one group that lie apart, the control; and rows of different
    groups that follow each other, which share what depends on the time alone.
    """
    found = [np.zeros(len(pairs[0][0])), np.zeros(len(pairs[1][0]))]
    agreements = [[codes[one] == codes[other] for one, other in pairs] for codes in levels.values()]
    agreements.append([_is_reversed(one, other, numbers) for one, other in pairs])
    for values in numbers.values():
        finite = values[np.isfinite(values)]
        if len(finite) < 2:
            continue
        spread = float(np.subtract(*np.quantile(finite, [0.9, 0.1])))
        with np.errstate(invalid="ignore"):
            agreements.append([np.abs(values[a] - values[b]) <= _NEAR * spread for a, b in pairs])
    for near, natural, strange in agreements:
        share = max(float(part.mean()) for part in (natural, strange) if len(part))
        share = max(share, 1 / len(natural))
        if share > 0.99:
            continue
        # Agreement counts for one event, disagreement against it.
        for total, agree in zip(found, (near, natural), strict=True):
            total += np.where(agree, -np.log(share), 0.0)
    return found[0], found[1]

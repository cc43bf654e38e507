"""Why some intervals are wider than chance where nothing is wrong, and what narrower ones would cost.

    python -m benchmarks.evaluation.intervals

In comparisons of real rows with real rows ([NULL.md](NULL.md)) the intervals of several metrics hold 0 in
more than 97 of 100 cases. Two laws explain nearly all of it; here both are drawn 20,000 times, exactly as
such a metric computes its value, its baseline and the standard error of their difference. "Shift" counts
standard errors by which the candidate really differs; "covers" is how often an interval of value minus
baseline holds the true difference, and "width" its standard error beside the true one.

**Squared distances** (`gap.frechet`, `gap.mean_embedding`; folded ones such as those of columns and pairs
are between this and nothing). A bootstrap adds the scatter of the samples a second time: at no difference
the standard error is the root of 3 too large. Taking the surplus off again, as far as it can be estimated,
narrows the intervals at no difference, and makes them fail where there is one.

**Scores that end at chance** (`privacy.*`: an attack below chance counts as chance). Value and baseline
scatter less than the attack's rate because half of their law lies on one point, but replicates are not cut
at chance. With cut ones the interval is too narrow as soon as an attack has some success, which is the
wrong side to err on.

`coverage.density_coverage` draws real and made rows at once, which counts twice what one ball's luck with
one made row is. Drawing real rows alone and adding what pairs of balls share covers 97 % at no difference,
but 91 % for a candidate that is too narrow in 30 dimensions, because the balls' own sizes are luck too; so
it was not taken. `coverage.slices` is 0 on both sides in nearly every comparison: nothing is to be judged.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

HERE = Path(__file__).parent
SHIFTS = (0.0, 0.5, 1.0, 2.0, 3.0, 5.0, 10.0)
N_DRAWS = 20_000
N_DIRECTIONS = 10
_SHARED = 0.5
"""Share of an attack's variance that value and baseline have in common: the rows never seen."""


def main() -> None:
    """Write the tables."""
    rng = np.random.default_rng(0)
    squared = [(shift, *squared_distance(shift, rng)) for shift in SHIFTS]
    ended = [(shift, *ended_at_chance(shift, rng)) for shift in SHIFTS]
    told = [
        *_table("Squared distances", ("bootstrap", "surplus taken off"), squared),
        *_table("Scores that end at chance", ("replicates as drawn", "replicates cut"), ended),
    ]
    title = "# How wide intervals are"
    text = "\n".join([title, "", (__doc__ or "").split("\n\n", 2)[2].strip(), *told]) + "\n"
    (HERE / "INTERVALS.md").write_text(text)
    print(text)


Told = tuple[float, float]
"""How often an interval covers, and its standard error beside the true one."""


def squared_distance(shift: float, rng: np.random.Generator, n: int = N_DRAWS) -> tuple[Told, Told]:
    """Return what a bootstrap tells of |S - B|^2 - |A - B|^2, and what is told with its surplus taken off.

    S, A and B are means of the candidate, of one real half and of the other, in directions whose spreads
    fall as the root of their number. The variance that a bootstrap finds is known exactly.
    """
    spread = np.arange(1.0, N_DIRECTIONS + 1) ** -0.5
    made, one, other = (rng.normal(size=(n, N_DIRECTIONS)) * spread for _ in range(3))
    away = np.zeros(N_DIRECTIONS)
    away[0] = shift * np.sqrt(2)
    u, v = made + away - other, one - other
    difference = (u**2).sum(axis=1) - (v**2).sum(axis=1)
    bent = float((spread**4).sum())
    found = []
    for shrunk in (False, True):
        x, y = (_shrunk(side, spread, bent) if shrunk else side for side in (u, v))
        variance = 12 * bent + sum(4 * (side**2 * spread**2).sum(axis=1) for side in (x, y, x - y))
        found.append(_told(difference, float((away**2).sum()), np.sqrt(variance)))
    return found[0], found[1]


def ended_at_chance(shift: float, rng: np.random.Generator, n: int = N_DRAWS) -> tuple[Told, Told]:
    """Return what replicates tell of max(s, 0) - max(a, 0), as they are and cut at 0 as well.

    s and a are attacks' rates beyond chance on the candidate and on real rows, of standard error 1.
    """
    rates = np.array([shift, 0.0]) + _correlated(n, rng)
    difference = np.maximum(rates, 0).T
    drawn = rates[:, None] + _correlated(200, rng)[None]
    errors = [
        (part[..., 0] - part[..., 1]).std(axis=1, ddof=1) for part in (drawn, np.maximum(drawn, 0))
    ]
    first, second = (_told(difference[0] - difference[1], shift, error) for error in errors)
    return first, second


def _correlated(n: int, rng: np.random.Generator) -> Floats:
    """Return pairs of errors of variance 1 that share a part, shape (n, 2)."""
    own, shared = rng.normal(size=(n, 2)), rng.normal(size=(n, 1))
    return np.asarray(np.sqrt(1 - _SHARED) * own + np.sqrt(_SHARED) * shared)


def _shrunk(side: Floats, spread: Floats, bent: float) -> Floats:
    """Return a difference drawn in so far that the variance told of it has no surplus on average."""
    straight = 8 * (side**2 * spread**2).sum(axis=1)
    kept = np.sqrt(np.maximum(0.0, 1 - 16 * bent / straight))
    return np.asarray(side * kept[:, None])


def _told(difference: Floats, true: float, error: Floats) -> Told:
    covers = float((np.abs(difference - true) <= 1.96 * error).mean())
    return covers, float(np.sqrt((error**2).mean()) / difference.std())


def _table(title: str, names: tuple[str, str], rows: list[tuple[float, Told, Told]]) -> list[str]:
    head = " | ".join(f"{name}: covers | width" for name in names)
    lines = ["", f"## {title}", "", f"| shift | {head} |", "|---|---|---|---|---|"]
    for shift, *both in rows:
        cells = " | ".join(f"{100 * covers:.1f} % | {width:.2f}" for covers, width in both)
        lines.append(f"| {shift:g} | {cells} |")
    return lines


if __name__ == "__main__":
    main()

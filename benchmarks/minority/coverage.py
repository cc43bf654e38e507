"""How many groups must positives belong to, so that intervals of redrawn groups hold what they promise?

    python -m benchmarks.minority.coverage

Tables are drawn of which the truth is known: groups of one or four positive rows, whose scores by two
models have a part of the group in common. The interval of the difference in average precision is that of
`twinset advise`. Writes COVERAGE.md.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from twinset.core.seeding import rng_for
from twinset.workflows.advise.ranking_metrics import Ranking, average_precision
from twinset.workflows.advise.test_results import Drawn, of_few

Floats = npt.NDArray[np.float64]

GROUPS = (3, 5, 8, 12, 20, 31)
ROWS = (1, 4)
COMMON_ROWS = 60
N_DRAWS = 120
N_GROUPS_OF_TRUTH = 2_000


@dataclass(frozen=True)
class Drawing:
    """One drawn table: two scores (2, n), which rows are positive, whose each row is."""

    scores: Floats
    truth: npt.NDArray[np.bool_]
    group: npt.NDArray[np.int64]


def draw(n_groups: int, rows: int, rng: np.random.Generator) -> Drawing:
    """Return a table of so many groups of positives, `rows` each on average, 60 common rows a positive."""
    sizes = rng.geometric(1 / rows, n_groups) if rows > 1 else np.ones(n_groups, dtype=np.int64)
    owner = np.repeat(np.arange(n_groups), sizes)
    n, n_common = len(owner), COMMON_ROWS * n_groups * rows
    shared, own = rng.normal(size=n_groups), rng.normal(size=(2, n_groups))
    means = np.array([[2.0], [2.2]])
    positive = means + 0.7 * shared[owner] + 0.5 * own[:, owner]
    positive += 0.5 * rng.normal(size=n) + 0.5 * rng.normal(size=(2, n))
    common = 0.8 * rng.normal(size=n_common) + 0.6 * rng.normal(size=(2, n_common))
    return Drawing(
        np.concatenate([positive, common], axis=1),
        np.arange(n + n_common) < n,
        np.concatenate([owner, n_groups + np.arange(n_common)]),
    )


def held(n_groups: int, rows: int, n_tables: int) -> tuple[float, float, float]:
    """Return the shares of tables whose interval holds the truth, by redrawing alone and with Student's t,
    and half the mean width of the latter."""
    rng = rng_for(1, "coverage", n_groups, rows)
    truth = _difference(draw(N_GROUPS_OF_TRUTH, rows, rng))
    plain, with_t, widths = 0, 0, []
    for _ in range(n_tables):
        table = draw(n_groups, rows, rng)
        drawn = Drawn.of(table.truth, N_DRAWS, rng, table.group)
        rankings = [Ranking(score, table.truth) for score in table.scores]
        changes = [
            rankings[1].measures(w, 0.01)[0] - rankings[0].measures(w, 0.01)[0]
            for w in drawn.weights()
        ]
        error, away = float(np.std(changes, ddof=1)), abs(_difference(table) - truth)
        factor, reach = of_few(n_groups)
        plain += away <= 1.96 * error
        widths.append(reach * np.sqrt(factor) * error)
        with_t += away <= widths[-1]
    return plain / n_tables, with_t / n_tables, float(np.mean(widths))


def _difference(table: Drawing) -> float:
    none, other = (average_precision(score, table.truth) for score in table.scores)
    return other - none


def main() -> None:
    """Draw the tables and write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tables", type=int, default=400)
    n_tables = parser.parse_args().tables
    lines = [
        "# How few groups of positives are too few?",
        "",
        f"{n_tables} drawn tables a line, `python -m benchmarks.minority.coverage`. Two models differ a "
        "little in average precision; an interval of 95 % should hold the true difference in 95 of 100 "
        f"tables (400 tables tell that to 2 points). {COMMON_ROWS} common rows for each positive one.",
        "",
        "| groups with positives | rows a group | redrawn groups alone hold it | with Student's t, as in "
        "`advise` | ± of average precision |",
        "|---|---|---|---|---|",
    ]
    for rows in ROWS:
        for n_groups in GROUPS:
            plain, with_t, width = held(n_groups, rows, n_tables)
            lines.append(
                f"| {n_groups} | {rows} | {100 * plain:.0f} % | {100 * with_t:.0f} % | {width:.2f} |"
            )
            print(lines[-1], flush=True)
    (Path(__file__).parent / "COVERAGE.md").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()

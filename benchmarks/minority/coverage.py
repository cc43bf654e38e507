"""How many groups must positives belong to, so that intervals of redrawn groups cover what they promise?

    python -m benchmarks.minority.coverage --tables 400

Tables with a known truth: groups of one or four positive rows, whose scores by two models share a part
within the group. The interval of the difference in average precision is that of `twinset advise`.
Results: COVERAGE.md.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from sklearn.metrics import average_precision_score

from benchmarks.markdown import table, write_page
from twinset.core.seeding import rng_for
from twinset.workflows.advise.ranking_metrics import (
    BootstrapDraws,
    WeightedRanking,
    small_sample_factors,
)

PAGE = Path(__file__).with_name("COVERAGE.md")
GROUPS = (3, 5, 8, 12, 20, 31)
ROWS = (1, 4)
COMMON_ROWS = 60  # for each positive one
N_DRAWS = 120  # of groups: `advise` draws as many
N_GROUPS_OF_TRUTH = 2_000  # so many that the truth has no error of its own


@dataclass(frozen=True)
class Drawing:
    """One drawn table: two scores (2, n), which rows are positive (n,), and their groups (n,)."""

    scores: npt.NDArray[np.float64]
    truth: npt.NDArray[np.bool_]
    group: npt.NDArray[np.int64]

    def difference(self) -> float:
        """Return the difference in average precision."""
        none, other = (average_precision_score(self.truth, score) for score in self.scores)
        return float(other - none)


def draw(n_groups: int, rows: int, rng: np.random.Generator) -> Drawing:
    """Return a table of so many groups of positives, `rows` each on average."""
    sizes = rng.geometric(1 / rows, n_groups) if rows > 1 else np.ones(n_groups, dtype=np.int64)
    owner = np.repeat(np.arange(n_groups), sizes)
    n, n_common = len(owner), COMMON_ROWS * n_groups * rows
    shared, own = rng.normal(size=n_groups), rng.normal(size=(2, n_groups))
    positive = np.array([[2.0], [2.2]]) + 0.7 * shared[owner] + 0.5 * own[:, owner]
    positive += 0.5 * rng.normal(size=n) + 0.5 * rng.normal(size=(2, n))
    common = 0.8 * rng.normal(size=n_common) + 0.6 * rng.normal(size=(2, n_common))
    return Drawing(
        np.concatenate([positive, common], axis=1),
        np.arange(n + n_common) < n,
        np.concatenate([owner, n_groups + np.arange(n_common)]),
    )


def covered(n_groups: int, rows: int, n_tables: int) -> tuple[float, float, float]:
    """Return the shares of tables whose interval covers the truth, by redrawing alone and with
    Student's t, and half the mean width of the latter."""
    rng = rng_for(1, "coverage", n_groups, rows)
    truth = draw(N_GROUPS_OF_TRUTH, rows, rng).difference()
    plain, with_t, widths = 0, 0, []
    for _ in range(n_tables):
        drawn = draw(n_groups, rows, rng)
        weights = BootstrapDraws.from_rows(drawn.truth, N_DRAWS, rng, drawn.group).weights()
        none, other = (WeightedRanking(score, drawn.truth) for score in drawn.scores)
        changes = [other.measures(w, 0.01)[0] - none.measures(w, 0.01)[0] for w in weights]
        error, away = float(np.std(changes, ddof=1)), abs(drawn.difference() - truth)
        factor, reach = small_sample_factors(n_groups)
        plain += away <= 1.96 * error
        widths.append(reach * np.sqrt(factor) * error)
        with_t += away <= widths[-1]
    return plain / n_tables, with_t / n_tables, float(np.mean(widths))


def main() -> None:
    """Draw the tables and write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tables", type=int, default=400, help="drawn tables a line")
    parser.add_argument("--out", type=Path, default=PAGE, help="page to write")
    options = parser.parse_args()
    lines = []
    for rows in ROWS:
        for n_groups in GROUPS:
            plain, with_t, width = covered(n_groups, rows, options.tables)
            lines.append([n_groups, rows, f"{plain:.0%}", f"{with_t:.0%}", f"{width:.2f}"])
            print(lines[-1], flush=True)
    head = ["groups with positives", "rows a group", "covered by redrawn groups alone",
            "with Student's t, as in `advise`", "± of average precision"]  # fmt: skip
    write_page(options.out, {"coverage": table(head, lines)}, PAGE)


if __name__ == "__main__":
    main()

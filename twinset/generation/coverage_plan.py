"""Plan edge cases: which combinations of conditions to make, given what the real set and the model lack."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from twinset.core.data.dataset import Dataset
from twinset.core.data.where import Where
from twinset.core.errors import ParameterError
from twinset.core.seeding import rng_for
from twinset.core.stats.covering_arrays import Ban, Coverage, Row, covering_rows
from twinset.measurement.plan_coverage import NOUNS, Factors, encode_ban, encode_levels

_MAX_TABLE_ROWS = 2_000  # rows of the table in JSON: all pairs of 30 levels, or 300 kB


@dataclass(frozen=True)
class CoveragePlan:
    """What to make so that every combination comes often enough."""

    factors: Factors  # Condition -> its levels
    rows: tuple[Mapping[str, str], ...]  # Scenes, condition -> level; the most needed first
    n_planned: int  # Combinations that have to come
    n_met_before: int  # Of these, those that come often enough in the real set
    n_met: int  # And those that do with the plan
    strength: int  # Number of conditions in a combination
    at_least: int  # How often each has to come
    # Of each combination its levels, the counts ``real``, ``planned`` and ``union``, and ``wanted``, which
    # is false where what is forbidden rules it out
    table: tuple[Mapping[str, Any], ...]

    def counts(self) -> list[tuple[Where, int]]:
        """Return the conditions to draw under, each with its number of rows."""
        found: dict[tuple[tuple[str, str], ...], int] = {}
        for row in self.rows:
            key = tuple(sorted(row.items()))
            found[key] = found.get(key, 0) + 1
        return [(Where(dict(key)), n) for key, n in found.items()]

    @property
    def summary(self) -> str:
        """The plan in a sentence."""
        noun = f"{NOUNS[self.strength]}s"
        times = "once" if self.at_least == 1 else f"{self.at_least} times"
        before = f" ({self.n_met_before:,} before it)" if self.n_met_before else ""
        return (
            f"{len(self.rows):,} scenes bring {self.n_met:,} of {self.n_planned:,} {noun} of "
            f"{', '.join(self.factors)} to {times} or more{before}"
        )


def plan_scenes(
    factors: Factors,
    *,
    strength: int = 2,
    at_least: int = 1,
    max_scenes: int | None = None,
    min_scenes: int | None = None,
    forbidden: Sequence[Mapping[str, str]] = (),
    real: Dataset | None = None,
    predictions: Dataset | None = None,
    correct: str = "correct",
    seed: int = 0,
) -> CoveragePlan:
    """Return the scenes to make: those that the real set lacks, where the model errs most first.

    The stop rule is the plan's: every combination of `strength` levels at least `at_least` times, in the
    real set and the plan together.

    Parameters
    ----------
    factors : mapping
        Condition -> its levels.
    strength : int
        1, 2 or 3: every level, every pair, every triple.
    at_least : int
        How often each combination has to come.
    max_scenes : int, optional
        Make no more scenes than this.
    min_scenes : int, optional
        Make at least this many: those beyond the plan have the levels in which the model errs, each level
        as often as its error rate says; without predictions evenly.
    forbidden : sequence of mapping
        Combinations that never come.
    real : Dataset, optional
        The real set, with the conditions as columns; what it holds need not be made.
    predictions : Dataset, optional
        What a model got right: the conditions, and the column `correct` (true or false, 1 or 0; rows
        without it are left out).
    correct : str
        Name of that column.
    seed : int
        Decides between equally good scenes.

    Raises
    ------
    ParameterError
        A condition has no level, a number is out of its range, a forbidden combination is empty, or those
        forbidden leave no scene.
    UnknownNameError
        A forbidden combination names no condition or no level.
    SchemaError
        A condition is no column of the real set or of the predictions.

    Examples
    --------
    >>> plan = plan_scenes({"light": ["day", "night"], "weather": ["clear", "fog"]},
    ...     forbidden=[{"light": "night", "weather": "fog"}])
    >>> len(plan.rows), plan.summary
    (3, '3 scenes bring 3 of 3 pairs of light, weather to once or more')
    """
    names = list(factors)
    for name in names:
        if not factors[name]:
            raise ParameterError(f"the condition '{name}' has no level", allowed="one or more")
    lowest = max(1, min_scenes or 0)
    if max_scenes is not None and max_scenes < lowest:
        raise ParameterError(
            "'max_scenes' is out of its range", got=str(max_scenes), allowed=f"{lowest} or more"
        )
    bans = [encode_ban(entry, factors) for entry in forbidden]
    coverage = Coverage([len(factors[n]) for n in names], strength, at_least, bans)
    if not coverage.n_required:
        raise ParameterError(
            "the forbidden combinations leave no scene that could be made",
            got=f"{len(bans)} forbidden",
            todo="forbid less, or name more levels",
        )
    if real is not None:
        coverage.add_codes(encode_levels(real, factors))
    before = {group: counts.copy() for group, counts in coverage.counts.items()}
    n_before = coverage.n_met
    weights = None if predictions is None else error_weights(predictions, factors, correct)
    rows = covering_rows(coverage, limit=max_scenes, weights=weights, seed=seed)
    levels = [np.ones(len(factors[n])) for n in names] if weights is None else weights
    for row in _drawn((min_scenes or 0) - len(rows), levels, bans, seed):
        coverage.add(row)
        rows.append(row)
    return CoveragePlan(
        factors=dict(factors),
        rows=tuple({n: factors[n][level] for n, level in zip(names, row)} for row in rows),
        n_planned=coverage.n_required,
        n_met_before=n_before,
        n_met=coverage.n_met,
        strength=strength,
        at_least=at_least,
        table=tuple(_table(coverage, before, factors)),
    )


def _drawn(
    n: int, weights: Sequence[npt.NDArray[np.float64]], bans: Sequence[Ban], seed: int
) -> list[Row]:
    """Return `n` scenes whose levels come as often as they weigh, and that nothing forbids."""
    rng, made = rng_for(seed, "scenes beyond the plan"), list[Row]()
    while len(made) < n:
        drawn = np.stack([rng.choice(len(w), n, p=w / w.sum()) for w in weights], axis=1)
        banned = np.zeros(n, bool)
        for ban in bans:
            banned |= np.all([drawn[:, f] == level for f, level in ban.items()], axis=0)
        made += [tuple(row) for row in drawn[~banned].tolist()]
    return made[: max(n, 0)]


def error_weights(
    predictions: Dataset, factors: Factors, correct: str = "correct"
) -> list[npt.NDArray[np.float64]]:
    """Return how much each level of each condition matters: the model's error rate in it.

    Rates are drawn towards the overall one as if ten more rows had been seen, so that a level with few
    rows does not lead by chance. A level that the predictions do not hold weighs like the worst one. Rows
    of which it is not known whether the model was right are left out.

    Raises
    ------
    SchemaError
        A condition, or the column `correct`, is missing.
    """
    predictions.schema[correct]
    predictions = predictions.take(np.flatnonzero(~predictions.is_null(correct)))
    wrong = 1.0 - np.asarray(_is_true(predictions, correct), float)
    codes = encode_levels(predictions, factors)
    overall = float(wrong.mean()) if len(wrong) else 0.5
    made = []
    for k, name in enumerate(factors):
        size = len(factors[name])
        n = np.bincount(codes[:, k], minlength=size + 1)[:size].astype(float)
        errors = np.bincount(codes[:, k], weights=wrong, minlength=size + 1)[:size]
        rates = (errors + 10 * overall) / (n + 10)
        rates[n == 0] = rates.max(initial=overall)
        made.append(np.maximum(rates, 1e-3))
    return made


def _is_true(data: Dataset, name: str) -> npt.NDArray[np.bool_]:
    if data.schema[name].has_levels:
        codes, levels = data.codes(name)
        true = [level.strip().lower() in ("true", "1", "yes") for level in levels]
        return np.asarray(np.array([*true, False])[codes])
    return np.asarray(data.values(name) > 0.5)


def _table(
    coverage: Coverage, before: Mapping[Row, npt.NDArray[np.int64]], factors: Factors
) -> list[dict[str, Any]]:
    names = list(factors)
    rows: list[dict[str, Any]] = []
    for group in coverage.groups:
        for cell in np.ndindex(*before[group].shape):
            if len(rows) == _MAX_TABLE_ROWS:
                return rows
            real, union = int(before[group][cell]), int(coverage.counts[group][cell])
            levels = {names[f]: factors[names[f]][k] for f, k in zip(group, cell)}
            counts = {"real": real, "planned": union - real, "union": union}
            rows.append(
                {"levels": levels, **counts, "wanted": bool(coverage.may_come(group)[cell])}
            )
    return rows

"""What is asked of a table before anything is tested, and the facts and notes that go with any advice."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from twinset.core.seeding import rng_for
from twinset.report.answers.phrases import percent, short
from twinset.workflows.advise.cross_validation import StrategyTrials
from twinset.workflows.advise.folds import TrainTestSplit, suspicions
from twinset.workflows.advise.labelled_table import LabelledTable
from twinset.workflows.advise.ranking_metrics import N_DRAWS, BootstrapDraws, Prices

ASSUMED_COST = 50.0


@dataclass(frozen=True, kw_only=True)
class AdviceInputs:
    """What is known before anything is tested.

    Parameters
    ----------
    case, cut : Case, Cut
        The table and its parts.
    alert_rate : float
        Share of rows that can be looked at.
    cost : float, optional
        See `advise`.
    seed : int
        Decides every draw.
    bench : Bench
        Where models are fitted.
    name : str
        Name of the table.
    notes : tuple of str
        What was guessed.
    """

    labelled: LabelledTable
    split: TrainTestSplit
    alert_rate: float
    cost: float | None
    seed: int
    bench: StrategyTrials
    name: str
    notes: tuple[str, ...] = ()

    @property
    def price(self) -> float:
        """Price of a missed positive row, or, with amounts, of one unit of its amount."""
        if self.cost is not None:
            return self.cost
        return ASSUMED_COST if self.labelled.amount is None else 1.0

    def prices(self, rows: npt.NDArray[np.int64]) -> Prices:
        """Return the prices of these rows."""
        amount = self.labelled.amount
        each = np.full(len(rows), self.price) if amount is None else self.price * amount[rows]
        return Prices(1.0, each, self.cost is None)


def drawn_of(outcome: AdviceInputs) -> BootstrapDraws:
    """Return the bootstrap draws of the test rows, of whole groups where there are groups."""
    labelled, test = outcome.labelled, outcome.split.test
    group = None if labelled.group is None else labelled.group[test]
    rng = rng_for(outcome.seed, "advise", "bootstrap")
    return BootstrapDraws.of(labelled.truth[test], N_DRAWS, rng, group)


def facts_of(outcome: AdviceInputs) -> dict[str, Any]:
    """Return counts, cut, prices and seed."""
    labelled, split = outcome.labelled, outcome.split
    alerts: float | None = None
    if labelled.in_days and labelled.time is not None:
        days = max(float(np.ptp(labelled.time[split.test])), 1e-9)
        alerts = outcome.alert_rate * len(split.test) / days
    return {
        "rows": len(labelled),
        "positives": int(labelled.truth.sum()),
        "target": labelled.target,
        "positive": labelled.positive,
        "train_rows": len(split.train),
        "train_positives": int(labelled.truth[split.train].sum()),
        "test_rows": len(split.test),
        "test_positives": int(labelled.truth[split.test].sum()),
        "left_out_rows": len(labelled) - len(split.train) - len(split.test),
        "cut": split.method,
        "gap": split.gap,
        "alert_rate": outcome.alert_rate,
        "alerts_a_day": alerts,
        "cost_assumed": outcome.cost is None,
        "cost": outcome.price,
        "by_amount": labelled.amount is not None,
        "seed": outcome.seed,
    }


def format_label_delay(gap: float, in_days: bool) -> str:
    """Return how late labels are taken to come, with its unit or what would name it.

    Examples
    --------
    >>> format_label_delay(7.0, in_days=True)
    'labels are taken to arrive after 7.000 days: set --delay if not'
    """
    unit = "days" if in_days else "units of the time"
    todo = "" if in_days else "; --time-unit says what one unit is"
    return f"labels are taken to arrive after {short(gap)} {unit}: set --delay if not{todo}"


def notes_of(outcome: AdviceInputs) -> list[str]:
    """Return what must be read with care, whatever was tested."""
    labelled, split = outcome.labelled, outcome.split
    notes = list(outcome.notes)
    lost = len(labelled) - len(split.train) - len(split.test)
    if lost:
        what = (
            "their labels come too late" if labelled.group is None else "of the gap and the group"
        )
        less = "; without the group there would be more" if labelled.group is not None else ""
        notes.append(
            f"{lost:,} of {len(labelled):,} rows are in neither part, because {what}{less}"
        )
    if split.gap:
        notes.append(format_label_delay(split.gap, labelled.in_days))
    notes += suspicions(labelled, split)
    if labelled.excluded:
        names = ", ".join(labelled.excluded)
        notes.append(f"models do not see {names}: keys, free text, time or group")
    if outcome.cost is None and labelled.amount is None:
        notes.append(
            f"no cost of a missed positive row is given: {ASSUMED_COST:.0f} alerts are assumed; "
            "set --cost or --amount"
        )
    elif outcome.cost is None:
        notes.append("an alert is taken to cost 1 in the unit of the amount; set --cost if not")
    if labelled.time is None:
        notes.append(
            "no time is given, so rows are drawn at random; a model in use meets later rows"
        )
    for component, reason in outcome.bench.refused.items():
        notes.append(f"{component} could not be tried: {reason}")
    if labelled.base_rate > 0.2:
        notes.append(
            f"{percent(labelled.base_rate)} of the rows are positive: this class is not rare"
        )
    return notes

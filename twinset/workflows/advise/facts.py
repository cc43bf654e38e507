"""What is asked of a table before anything is tested, and the facts and notes that go with any advice."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from twinset.core.seeding import rng_for
from twinset.report.answers.phrases import percent, short
from twinset.workflows.advise.cross_validation import StrategyTrials
from twinset.workflows.advise.data_warnings import suspicions
from twinset.workflows.advise.folds import TrainTestSplit
from twinset.workflows.advise.labelled_table import LabelledTable
from twinset.workflows.advise.ranking_metrics import Prices
from twinset.workflows.advise.test_results import N_DRAWS, BootstrapDraws

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

    case: LabelledTable
    cut: TrainTestSplit
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
        return ASSUMED_COST if self.case.amount is None else 1.0

    def prices(self, rows: npt.NDArray[np.int64]) -> Prices:
        """Return the prices of these rows."""
        amount = self.case.amount
        each = np.full(len(rows), self.price) if amount is None else self.price * amount[rows]
        return Prices(1.0, each, self.cost is None)


def drawn_of(outcome: AdviceInputs) -> BootstrapDraws:
    """Return the bootstrap draws of the test rows, of whole groups where there are groups."""
    case, test = outcome.case, outcome.cut.test
    group = None if case.group is None else case.group[test]
    rng = rng_for(outcome.seed, "advise", "bootstrap")
    return BootstrapDraws.of(case.truth[test], N_DRAWS, rng, group)


def facts_of(outcome: AdviceInputs) -> dict[str, Any]:
    """Return counts, cut, prices and seed."""
    case, cut = outcome.case, outcome.cut
    alerts: float | None = None
    if case.in_days and case.time is not None:
        days = max(float(np.ptp(case.time[cut.test])), 1e-9)
        alerts = outcome.alert_rate * len(cut.test) / days
    return {
        "rows": len(case),
        "positives": int(case.truth.sum()),
        "target": case.target,
        "positive": case.positive,
        "train_rows": len(cut.train),
        "train_positives": int(case.truth[cut.train].sum()),
        "test_rows": len(cut.test),
        "test_positives": int(case.truth[cut.test].sum()),
        "left_out_rows": len(case) - len(cut.train) - len(cut.test),
        "cut": cut.how,
        "gap": cut.gap,
        "alert_rate": outcome.alert_rate,
        "alerts_a_day": alerts,
        "cost_assumed": outcome.cost is None,
        "cost": outcome.price,
        "by_amount": case.amount is not None,
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
    case, cut = outcome.case, outcome.cut
    notes = list(outcome.notes)
    lost = len(case) - len(cut.train) - len(cut.test)
    if lost:
        what = "their labels come too late" if case.group is None else "of the gap and the group"
        less = "; without the group there would be more" if case.group is not None else ""
        notes.append(f"{lost:,} of {len(case):,} rows are in neither part, because {what}{less}")
    if cut.gap:
        notes.append(format_label_delay(cut.gap, case.in_days))
    notes += suspicions(case, cut)
    if case.left_out:
        names = ", ".join(case.left_out)
        notes.append(f"models do not see {names}: keys, free text, time or group")
    if outcome.cost is None and case.amount is None:
        notes.append(
            f"nobody told what a missed positive row costs: {ASSUMED_COST:.0f} alerts are assumed; "
            "set --cost or --amount"
        )
    elif outcome.cost is None:
        notes.append("an alert is taken to cost 1 in the unit of the amount; set --cost if not")
    if case.time is None:
        notes.append(
            "no time is given, so rows are drawn at random; a model in use meets later rows"
        )
    for component, why in outcome.bench.refused.items():
        notes.append(f"{component} could not be tried: {why}")
    if case.base_rate > 0.2:
        notes.append(f"{percent(case.base_rate)} of the rows are positive: this class is not rare")
    return notes

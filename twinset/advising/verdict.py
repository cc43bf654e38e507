"""From races and test rows to the advice: which model, what it is worth, and how that is said."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from twinset.advising.calibration import WAYS, Restored, reliability
from twinset.advising.case import Case
from twinset.advising.choice import Race, restored
from twinset.advising.cuts import Cut
from twinset.advising.headline import N_DRAWS, Drawn, Tested, curves, fold_values, measured
from twinset.advising.judges import JUDGES
from twinset.advising.made_rows import look_at_made
from twinset.advising.scores import Prices, log_loss
from twinset.advising.strategies import NONE
from twinset.advising.suspicions import suspicions
from twinset.advising.trials import Bench, FoldResult
from twinset.advising.wording import sentence_of, title_of
from twinset.core.seeding import rng_for
from twinset.report.advice import Advice, Candidate, Measure
from twinset.report.wording import percent, short

Floats = npt.NDArray[np.float64]

ASSUMED_COST = 50.0


@dataclass(frozen=True, kw_only=True)
class Outcome:
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

    case: Case
    cut: Cut
    alert_rate: float
    cost: float | None
    seed: int
    bench: Bench
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


@dataclass(frozen=True)
class Untouched:
    """What the test rows say of "none" and of the challenger of the race; that one is "none" too where
    the generator of the one that won refused the whole train part, as `note` then says."""

    race: Race
    measures: tuple[Measure, ...]
    curves: Mapping[str, Any]
    calibration: Mapping[str, Any]
    made: Mapping[str, Any]
    note: str = ""


def untouched(outcome: Outcome, won: Race) -> Untouched:
    """Return what the untouched rows say of "none" and of the challenger of a race."""
    case, cut = outcome.case, outcome.cut
    truth, prices = case.truth[cut.test], outcome.prices(cut.test)
    pair = [won.strategies[name] for name in dict.fromkeys((NONE.name, won.challenger))]
    (fitted,) = outcome.bench.try_all([("final", cut)], pair, won.judge)
    note = ""
    if won.challenger not in fitted:
        note = (
            f"{won.strategies[won.challenger].title} came first in the trials, but could not be made of "
            "all training rows, so nothing but the rows as they are was tested"
        )
        pair, won = [NONE], replace(won, chosen=NONE.name, challenger=NONE.name)
    ways = {s.name: restored(won, s.name, case) for s in pair}
    tested = {
        s.name: Tested(fitted[s.name].scores, ways[s.name].apply(fitted[s.name].scores))
        for s in pair
    }
    none, other = tested[NONE.name], tested[won.challenger]
    drawn = _drawn(outcome)
    variance = _split_variance(outcome, won, ways)
    measures = measured(none, other, truth, prices, outcome.alert_rate, drawn, variance)
    return Untouched(
        won,
        measures,
        curves(none, other, truth, prices, drawn),
        _calibration(fitted, tested, ways, won.challenger, truth),
        look_at_made(outcome.bench, cut, won.strategies[won.challenger], outcome.seed),
        note,
    )


def advice_of(outcome: Outcome, races: Sequence[Race], tested: Untouched, recipe: str) -> Advice:
    """Return the advice."""
    won = tested.race
    precision = tested.measures[0]
    chosen, challenger = won.strategies[won.chosen], won.strategies[won.challenger]
    verdict = precision.verdict
    return Advice(
        title=outcome.name,
        verdict=verdict,
        chosen=chosen.name,
        chosen_title=title_of(chosen, won.judge),
        challenger=challenger.name,
        challenger_title=title_of(challenger, won.judge),
        is_balancing=challenger.family != "learner",
        judge=JUDGES[won.judge],
        sentence=sentence_of(verdict, won),
        measures=tested.measures,
        candidates=_candidates(won),
        calibration=tested.calibration,
        curves=tested.curves,
        made=tested.made,
        facts={
            **_facts(outcome),
            "judges": {
                JUDGES[r.judge]: {
                    "none": r.differences[NONE.name].precision,
                    "chosen": r.chosen,
                    "precision": r.differences[r.chosen].precision,
                }
                for r in races
            },
            "fits": outcome.bench.fits,
            "fitted_rows": outcome.bench.fitted_rows,
        },
        notes=tuple(_notes(outcome, tested)),
        recipe=recipe,
    )


def too_few(outcome: Outcome, judge: str, needed: int, why: str = "") -> Advice:
    """Return the advice for a table whose rare rows cannot tell strategies apart: no ranking at all.

    `why` says what else than the number of rare test rows stands in the way.
    """
    case, cut = outcome.case, outcome.cut
    truth = case.truth[cut.test]
    n = int(truth.sum())
    half, wanted = 0.98 / math.sqrt(n), math.ceil((0.98 / 0.1) ** 2)
    share = n / max(1, int(case.truth.sum()))
    (fitted,) = outcome.bench.try_all([("final", cut)], [NONE], judge)
    scores = fitted[NONE.name].scores
    tested = Tested(scores, scores)
    drawn = _drawn(outcome)
    prices = outcome.prices(cut.test)
    measures = measured(tested, tested, truth, prices, outcome.alert_rate, drawn, [0.0] * 5)
    counted = (
        f"{n:,} positive rows to test on leave recall open by {100 * half:.0f} "
        f"points either way. Nothing is ranked below {needed}; for 10 points it takes "
        f"{wanted}, about {math.ceil(wanted / share):,} positive rows in the file"
    )
    sentence = f"Too few to tell: {why or counted}. Until then add nothing."
    return Advice(
        title=outcome.name,
        verdict="too few to tell",
        chosen=NONE.name,
        chosen_title=NONE.title,
        challenger=NONE.name,
        challenger_title=NONE.title,
        judge=JUDGES[judge],
        sentence=sentence,
        measures=measures,
        curves=curves(tested, tested, truth, prices, drawn),
        facts={**_facts(outcome), "needed_test_positives": wanted},
        notes=tuple(_notes(outcome, None)),
    )


def _drawn(outcome: Outcome) -> Drawn:
    case, test = outcome.case, outcome.cut.test
    group = None if case.group is None else case.group[test]
    rng = rng_for(outcome.seed, "advise", "bootstrap")
    return Drawn.of(case.truth[test], N_DRAWS, rng, group)


def _split_variance(outcome: Outcome, won: Race, ways: Mapping[str, Restored]) -> Floats:
    """Return for each measure the variance that the choice of training rows adds: that of the inner
    folds' differences, times their test rows per train row (Nadeau and Bengio)."""
    changes = []
    for (_, cut), fold in zip(won.folds, won.results):
        truth, prices = outcome.case.truth[cut.test], outcome.prices(cut.test)
        values = [
            fold_values(
                fold[name].scores,
                ways[name].apply(fold[name].scores),
                truth,
                prices,
                outcome.alert_rate,
            )
            for name in (NONE.name, won.challenger)
        ]
        changes.append(values[1] - values[0])
    share = float(np.mean([len(cut.test) / len(cut.train) for _, cut in won.folds]))
    return np.asarray(share * np.var(changes, axis=0, ddof=1))


def _calibration(
    fitted: Mapping[str, FoldResult],
    tested: Mapping[str, Tested],
    ways: Mapping[str, Restored],
    challenger: str,
    truth: npt.NDArray[np.bool_],
) -> dict[str, Any]:
    raw = {name: result.scores for name, result in fitted.items()}
    base = log_loss(raw[NONE.name], truth)
    lines = {
        "none": raw[NONE.name],
        "before": raw[challenger],
        "after": tested[challenger].probability,
    }
    return {
        "odds_factor": fitted[challenger].odds_factor,
        "way": ways[challenger].way,
        "way_told": WAYS[ways[challenger].way],
        "lines": {
            name: {
                "log_loss": log_loss(p, truth),
                "log_loss_ratio": log_loss(p, truth) / base,
                "predicted_per_actual": float(p.sum() / truth.sum()),
                "reliability": reliability(p, truth),
            }
            for name, p in lines.items()
        },
    }


def _candidates(won: Race) -> tuple[Candidate, ...]:
    return tuple(
        Candidate(
            name=name,
            title=title_of(won.strategies[name], won.judge),
            kind=won.strategies[name].kind,
            ratio=won.strategies[name].ratio,
            precision=found.precision,
            difference=found.mean,
            error=found.error,
            is_finalist=name in won.finalists,
        )
        for name, found in won.differences.items()
    )


def _facts(outcome: Outcome) -> dict[str, Any]:
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


def _notes(outcome: Outcome, tested: Untouched | None) -> list[str]:
    case, cut = outcome.case, outcome.cut
    notes = list(outcome.notes)
    lost = len(case) - len(cut.train) - len(cut.test)
    if lost:
        what = "their labels come too late" if case.group is None else "of the gap and the group"
        less = "; without the group there would be more" if case.group is not None else ""
        notes.append(f"{lost:,} of {len(case):,} rows are in neither part, because {what}{less}")
    if cut.gap:
        unit = " days" if case.in_days else ""
        notes.append(f"labels are taken to arrive after {short(cut.gap)}{unit}: set --delay if not")
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
    if tested is not None and tested.note:
        notes.append(tested.note)
    if tested is not None:
        ratio = tested.calibration["lines"]["after"]["log_loss_ratio"]
        if ratio > 1.03:
            notes.append(
                f"after restoring, the log-loss is {short(ratio)} times that without balancing: use the "
                "scores for ranking, not as probabilities"
            )
    if case.base_rate > 0.2:
        notes.append(f"{percent(case.base_rate)} of the rows are positive: this class is not rare")
    return notes

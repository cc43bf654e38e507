"""From races and test rows to the advice: which model, what it is worth, and how that is said."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from twinset.report.advice import Advice
from twinset.report.advice_model import Candidate, Measure
from twinset.report.answers.phrases import short
from twinset.workflows.advise.calibration import WAYS, CalibrationMethod, reliability
from twinset.workflows.advise.cross_validation import FoldResult
from twinset.workflows.advise.facts import AdviceInputs, drawn_of, facts_of, notes_of
from twinset.workflows.advise.models import JUDGES
from twinset.workflows.advise.phrases import sentence_of, title_of
from twinset.workflows.advise.ranking_metrics import log_loss
from twinset.workflows.advise.sample_diagnostics import measure_novelty
from twinset.workflows.advise.select_strategy import ModelSelection, restored
from twinset.workflows.advise.strategies import NONE
from twinset.workflows.advise.test_results import TestScores, curves, fold_values, measured

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class TestEvidence:
    """What the test rows say of "none" and of the challenger of the race; that one is "none" too where
    the generator of the one that won refused the whole train part, as `note` then says."""

    race: ModelSelection
    measures: tuple[Measure, ...]
    curves: Mapping[str, Any]
    calibration: Mapping[str, Any]
    made: Mapping[str, Any]
    note: str = ""


def untouched(outcome: AdviceInputs, won: ModelSelection) -> TestEvidence:
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
        s.name: TestScores(fitted[s.name].scores, ways[s.name].apply(fitted[s.name].scores))
        for s in pair
    }
    none, other = tested[NONE.name], tested[won.challenger]
    drawn = drawn_of(outcome)
    variance = _split_variance(outcome, won, ways)
    measures = measured(none, other, truth, prices, outcome.alert_rate, drawn, variance)
    return TestEvidence(
        won,
        measures,
        curves(none, other, truth, prices, drawn),
        _calibration(fitted, tested, ways, won.challenger, truth),
        measure_novelty(outcome.bench, cut, won.strategies[won.challenger], outcome.seed),
        note,
    )


def advice_of(
    outcome: AdviceInputs, races: Sequence[ModelSelection], tested: TestEvidence, recipe: str
) -> Advice:
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
            **facts_of(outcome),
            "judges": {
                JUDGES[r.judge]: {
                    "none": r.differences[NONE.name].precision,
                    "chosen": r.chosen,
                    "precision": r.differences[r.chosen].precision,
                }
                for r in races
            },
            "untried": list(won.untried),
            "fits": outcome.bench.fits,
            "fitted_rows": outcome.bench.fitted_rows,
        },
        notes=tuple(_notes(outcome, tested)),
        recipe=recipe,
    )


def _split_variance(
    outcome: AdviceInputs, won: ModelSelection, ways: Mapping[str, CalibrationMethod]
) -> Floats:
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
    tested: Mapping[str, TestScores],
    ways: Mapping[str, CalibrationMethod],
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


def _candidates(won: ModelSelection) -> tuple[Candidate, ...]:
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


def _notes(outcome: AdviceInputs, tested: TestEvidence) -> list[str]:
    notes = notes_of(outcome)
    if tested.note:
        notes.append(tested.note)
    ratio = tested.calibration["lines"]["after"]["log_loss_ratio"]
    if ratio > 1.03:
        notes.append(
            f"after restoring, the log-loss is {short(ratio)} times that without balancing: use the "
            "scores for ranking, not as probabilities"
        )
    return notes

"""From races and test rows to the advice: which model, what it is worth, and how that is said."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from twinset.report.advice import Advice, Candidate, Measure, Verdict
from twinset.report.answers.phrases import short
from twinset.workflows.advise.calibration import WAYS, CalibrationMethod, reliability
from twinset.workflows.advise.cross_validation import FoldResult, measure_novelty
from twinset.workflows.advise.facts import AdviceInputs, drawn_of, facts_of, notes_of
from twinset.workflows.advise.folds import TrainTestSplit
from twinset.workflows.advise.labelled_table import LabelledTable
from twinset.workflows.advise.models import MODEL_TITLES, format_setting
from twinset.workflows.advise.ranking_metrics import (
    TestScores,
    curves,
    fold_values,
    log_loss,
    measured,
)
from twinset.workflows.advise.select_strategy import ModelSelection, n_folds_of, restored
from twinset.workflows.advise.strategies import NONE, Strategy


def title_of(strategy: Strategy, model_name: str) -> str:
    """Return a strategy in plain words; another setting of the model says which one."""
    if strategy.family == "learner":
        return f"{strategy.title} ({format_setting(model_name, strategy.setting)})"
    return strategy.title


def sentence_of(verdict: Verdict, won: ModelSelection) -> str:
    """Return the advice in one or two sentences."""
    challenger = won.strategies[won.challenger]
    best = title_of(challenger, won.model_name)
    if won.is_chance:
        return (
            "Do not balance: inside the training rows the model ranks the rows no better than chance, so "
            f"there is nothing to choose by. {_CHANCE[verdict]}"
        )
    if won.chosen == NONE.name:
        head = (
            "Do not balance: in trials inside the training rows nothing surely beat leaving them as "
            "they are."
        )
        sentences = {
            "helps": f"The test rows see more in it than the choice did: {best} helps there. "
            "One such win after the fact is no ground to change; more rare rows would tell.",
            "hurts": f"The best of the rest, {best}, hurts on the test rows.",
            "no evidence": f"For the best of the rest, {best}, the test rows give no evidence either.",
        }
        return f"{head} {sentences[verdict]}"
    if challenger.family == "learner":
        head = f"{_CHANGES[verdict]}: {best} won the trials inside the training rows"
    else:
        head = f"{_BEGINS[verdict]}: {best} won the trials inside the training rows"
    sentences = {
        "helps": ", and helps on the untouched test rows.",
        "hurts": ", but hurts on the untouched test rows.",
        "no evidence": ", but the untouched test rows give no evidence that it helps. Leaving everything "
        "as it is is the safe choice.",
    }
    return head + sentences[verdict]


_CHANCE = {
    "helps": "That the test rows see something in one of the ways is no ground to take it.",
    "hurts": "Columns that tell the label are wanted first.",
    "no evidence": "Columns that tell the label are wanted first.",
}
_CHANGES = {
    "helps": "Do not balance, change the model",
    "hurts": "Do not balance",
    "no evidence": "Do not balance, but perhaps change the model",
}
_BEGINS = {"helps": "Balance", "hurts": "Do not balance", "no evidence": "Perhaps"}


Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class TestEvidence:
    """What the test rows say of "none" and of the challenger of the race; that one is "none" too where
    the generator of the one that won refused the whole train set, as `note` then says."""

    selection: ModelSelection
    measures: tuple[Measure, ...]
    curves: Mapping[str, Any]
    calibration: Mapping[str, Any]
    made: Mapping[str, Any]
    note: str = ""


def untouched(outcome: AdviceInputs, won: ModelSelection) -> TestEvidence:
    """Return what the untouched rows say of "none" and of the challenger of a race."""
    labelled, split = outcome.labelled, outcome.split
    truth, prices = labelled.truth[split.test], outcome.prices(split.test)
    pair = [won.strategies[name] for name in dict.fromkeys((NONE.name, won.challenger))]
    (fitted,) = outcome.bench.try_all([("final", split)], pair, won.model_name)
    note = ""
    if won.challenger not in fitted:
        note = (
            f"{won.strategies[won.challenger].title} came first in the trials, but could not be made of "
            "all training rows, so nothing but the rows as they are was tested"
        )
        pair, won = [NONE], replace(won, chosen=NONE.name, challenger=NONE.name)
    ways = {s.name: restored(won, s.name, labelled) for s in pair}
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
        measure_novelty(outcome.bench, split, won.strategies[won.challenger], outcome.seed),
        note,
    )


def advice_of(
    outcome: AdviceInputs, selections: Sequence[ModelSelection], tested: TestEvidence, recipe: str
) -> Advice:
    """Return the advice."""
    won = tested.selection
    precision = tested.measures[0]
    chosen, challenger = won.strategies[won.chosen], won.strategies[won.challenger]
    verdict = precision.verdict
    return Advice(
        title=outcome.name,
        verdict=verdict,
        chosen=chosen.name,
        chosen_title=title_of(chosen, won.model_name),
        tested=challenger.name,
        tested_title=title_of(challenger, won.model_name),
        is_balancing=challenger.family != "learner",
        model=MODEL_TITLES[won.model_name],
        sentence=sentence_of(verdict, won),
        measures=tested.measures,
        candidates=_candidates(won),
        calibration=tested.calibration,
        curves=tested.curves,
        sample_diagnostics=tested.made,
        facts={
            **facts_of(outcome),
            "models": {
                MODEL_TITLES[r.model_name]: {
                    "none": r.differences[NONE.name].precision,
                    "chosen": r.chosen,
                    "precision": r.differences[r.chosen].precision,
                }
                for r in selections
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
    for (_, split), fold in zip(won.folds, won.results):
        truth, prices = outcome.labelled.truth[split.test], outcome.prices(split.test)
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
    share = float(np.mean([len(split.test) / len(split.train) for _, split in won.folds]))
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
        "way_title": WAYS[ways[challenger].way],
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
            title=title_of(won.strategies[name], won.model_name),
            kind=won.strategies[name].kind,
            ratio=won.strategies[name].ratio,
            precision=found.precision,
            difference=found.mean,
            error=found.error,
            is_shortlisted=name in won.shortlist,
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


MIN_TEST_POSITIVES = 31
MIN_TRAIN_POSITIVES = 20
MIN_GROUPS = 8
"""Groups with positive rows on either side, see benchmarks/minority/COVERAGE.md: with fewer, redrawn groups
alone miss the truth three times as often as they say, and what Student's t makes of them says nothing."""
MIN_FOLDS = 2
_TARGET_RECALL = 0.1


def refusal(outcome: AdviceInputs, model_name: str) -> Advice | None:
    """Return the advice not to rank, for a table whose rare rows cannot tell strategies apart; else None.

    Parameters
    ----------
    outcome : Outcome
        The table and its parts.
    model_name : str
        The model that the measures of doing nothing are those of.
    """
    labelled, split = outcome.labelled, outcome.split
    needed = math.ceil((0.98 / _TARGET_RECALL) ** 2)
    n_test, n_train = (int(labelled.truth[rows].sum()) for rows in (split.test, split.train))
    if n_test < MIN_TEST_POSITIVES or n_train < MIN_TRAIN_POSITIVES:
        return _unranked(outcome, model_name, _few_rows(n_test, n_train, labelled, needed), needed)
    if labelled.group is not None:
        groups = [_groups(labelled, rows) for rows in (split.test, split.train)]
        if min(groups) < MIN_GROUPS:
            return _unranked(outcome, model_name, _few_groups(groups, labelled, split), needed)
    if n_folds_of(outcome.bench, split.train, split.gap) < MIN_FOLDS:
        return _unranked(outcome, model_name, _too_narrow(labelled), needed)
    return None


def _few_rows(n_test: int, n_train: int, labelled: LabelledTable, needed: int) -> str:
    if n_test >= MIN_TEST_POSITIVES:
        return (
            f"there are {n_train:,} positive rows to learn from, and nothing is ranked below "
            f"{MIN_TRAIN_POSITIVES}"
        )
    half = 98 / math.sqrt(n_test)
    in_file = math.ceil(needed * int(labelled.truth.sum()) / n_test)
    return (
        f"{n_test:,} positive rows to test on leave recall open by {half:.0f} points either way. Nothing "
        f"is ranked below {MIN_TEST_POSITIVES}; for {100 * _TARGET_RECALL:.0f} points it takes "
        f"{needed}, about {in_file:,} positive rows in the file"
    )


def _few_groups(groups: list[int], labelled: LabelledTable, split: TrainTestSplit) -> str:
    every = _groups(labelled, np.concatenate([split.test, split.train]))
    needed = math.ceil(MIN_GROUPS * every / min(groups))
    return (
        f"the positive rows to test on belong to {_counted(groups[0])}, those to learn from to "
        f"{_counted(groups[1])}. Rows of one group tell less than as many of different ones, and nothing "
        f"is ranked below {MIN_GROUPS} groups on either side; that takes about {needed:,} groups with "
        "positive rows in the file"
    )


def _counted(n: int) -> str:
    return f"{n:,} group{'' if n == 1 else 's'}"


def _groups(labelled: LabelledTable, rows: npt.NDArray[np.int64]) -> int:
    assert labelled.group is not None
    return len(np.unique(labelled.group[rows[labelled.truth[rows]]]))


def _too_narrow(labelled: LabelledTable) -> str:
    where = (
        "groups"
        if labelled.time is None
        else "times"
        if labelled.group is None
        else "times or groups"
    )
    return (
        f"the positive training rows lie in too few {where}, so they cannot be cut into folds that each "
        f"hold both classes to learn from and to test on; it takes {MIN_FOLDS} such folds"
    )


def _unranked(outcome: AdviceInputs, model_name: str, reason: str, needed: int) -> Advice:
    """Return the advice without any ranking: what the rows as they are reach, and why there is no more."""
    split, truth = outcome.split, outcome.labelled.truth[outcome.split.test]
    (fitted,) = outcome.bench.try_all([("final", split)], [NONE], model_name)
    scores = fitted[NONE.name].scores
    tested = TestScores(scores, scores)
    drawn, prices = drawn_of(outcome), outcome.prices(split.test)
    measures = measured(tested, tested, truth, prices, outcome.alert_rate, drawn, [0.0] * 5)
    return Advice(
        title=outcome.name,
        verdict="too few to tell",
        chosen=NONE.name,
        chosen_title=NONE.title,
        tested=NONE.name,
        tested_title=NONE.title,
        model=MODEL_TITLES[model_name],
        sentence=f"Too few to tell: {reason}. Until then add nothing.",
        measures=measures,
        curves=curves(tested, tested, truth, prices, drawn),
        facts={**facts_of(outcome), "needed_test_positives": needed},
        notes=tuple(notes_of(outcome)),
    )

"""When a table tells too little to rank anything: what there is, and what it takes."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from twinset.report.advice import Advice
from twinset.workflows.advise.facts import AdviceInputs, drawn_of, facts_of, notes_of
from twinset.workflows.advise.folds import TrainTestSplit
from twinset.workflows.advise.labelled_table import LabelledTable
from twinset.workflows.advise.models import JUDGES
from twinset.workflows.advise.select_strategy import n_folds_of
from twinset.workflows.advise.strategies import NONE
from twinset.workflows.advise.test_results import TestScores, curves, measured

FEWEST_TEST_POSITIVES = 31
FEWEST_TRAIN_POSITIVES = 20
FEWEST_GROUPS = 8
"""Groups with positive rows on either side, see benchmarks/minority/COVERAGE.md: with fewer, redrawn groups
alone miss the truth three times as often as they say, and what Student's t makes of them says nothing."""
FEWEST_FOLDS = 2
_WANTED_RECALL = 0.1


def refusal(outcome: AdviceInputs, judge: str) -> Advice | None:
    """Return the advice not to rank, for a table whose rare rows cannot tell strategies apart; else None.

    Parameters
    ----------
    outcome : Outcome
        The table and its parts.
    judge : str
        The model that the measures of doing nothing are those of.
    """
    case, cut = outcome.case, outcome.cut
    wanted = math.ceil((0.98 / _WANTED_RECALL) ** 2)
    n_test, n_train = (int(case.truth[rows].sum()) for rows in (cut.test, cut.train))
    if n_test < FEWEST_TEST_POSITIVES or n_train < FEWEST_TRAIN_POSITIVES:
        return _unranked(outcome, judge, _few_rows(n_test, n_train, case, wanted), wanted)
    if case.group is not None:
        groups = [_groups(case, rows) for rows in (cut.test, cut.train)]
        if min(groups) < FEWEST_GROUPS:
            return _unranked(outcome, judge, _few_groups(groups, case, cut), wanted)
    if n_folds_of(outcome.bench, cut.train, cut.gap) < FEWEST_FOLDS:
        return _unranked(outcome, judge, _too_narrow(case), wanted)
    return None


def _few_rows(n_test: int, n_train: int, case: LabelledTable, wanted: int) -> str:
    if n_test >= FEWEST_TEST_POSITIVES:
        return (
            f"there are {n_train:,} positive rows to learn from, and nothing is ranked below "
            f"{FEWEST_TRAIN_POSITIVES}"
        )
    half = 98 / math.sqrt(n_test)
    in_file = math.ceil(wanted * int(case.truth.sum()) / n_test)
    return (
        f"{n_test:,} positive rows to test on leave recall open by {half:.0f} points either way. Nothing "
        f"is ranked below {FEWEST_TEST_POSITIVES}; for {100 * _WANTED_RECALL:.0f} points it takes "
        f"{wanted}, about {in_file:,} positive rows in the file"
    )


def _few_groups(groups: list[int], case: LabelledTable, cut: TrainTestSplit) -> str:
    every = _groups(case, np.concatenate([cut.test, cut.train]))
    needed = math.ceil(FEWEST_GROUPS * every / min(groups))
    return (
        f"the positive rows to test on belong to {_counted(groups[0])}, those to learn from to "
        f"{_counted(groups[1])}. Rows of one group tell less than as many of different ones, and nothing "
        f"is ranked below {FEWEST_GROUPS} groups on either side; that takes about {needed:,} groups with "
        "positive rows in the file"
    )


def _counted(n: int) -> str:
    return f"{n:,} group{'' if n == 1 else 's'}"


def _groups(case: LabelledTable, rows: npt.NDArray[np.int64]) -> int:
    assert case.group is not None
    return len(np.unique(case.group[rows[case.truth[rows]]]))


def _too_narrow(case: LabelledTable) -> str:
    where = "groups" if case.time is None else "times" if case.group is None else "times or groups"
    return (
        f"the positive training rows lie in too few {where}, so they cannot be cut into folds that each "
        f"hold both classes to learn from and to test on; it takes {FEWEST_FOLDS} such folds"
    )


def _unranked(outcome: AdviceInputs, judge: str, why: str, wanted: int) -> Advice:
    """Return the advice without any ranking: what the rows as they are reach, and why there is no more."""
    cut, truth = outcome.cut, outcome.case.truth[outcome.cut.test]
    (fitted,) = outcome.bench.try_all([("final", cut)], [NONE], judge)
    scores = fitted[NONE.name].scores
    tested = TestScores(scores, scores)
    drawn, prices = drawn_of(outcome), outcome.prices(cut.test)
    measures = measured(tested, tested, truth, prices, outcome.alert_rate, drawn, [0.0] * 5)
    return Advice(
        title=outcome.name,
        verdict="too few to tell",
        chosen=NONE.name,
        chosen_title=NONE.title,
        challenger=NONE.name,
        challenger_title=NONE.title,
        judge=JUDGES[judge],
        sentence=f"Too few to tell: {why}. Until then add nothing.",
        measures=measures,
        curves=curves(tested, tested, truth, prices, drawn),
        facts={**facts_of(outcome), "needed_test_positives": wanted},
        notes=tuple(notes_of(outcome)),
    )

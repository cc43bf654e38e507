"""`advise`: should the rare class of this table be balanced, and how?"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from twinset.core.contracts import Progress, silent
from twinset.core.errors import ParameterError
from twinset.core.seeding import rng_for
from twinset.registry import component_names
from twinset.report.advice import Advice
from twinset.workflows.advise.conclusion import advice_of, refusal, untouched
from twinset.workflows.advise.cross_validation import StrategyTrials
from twinset.workflows.advise.facts import AdviceInputs
from twinset.workflows.advise.folds import TrainTestSplit, outer_cut
from twinset.workflows.advise.labelled_table import ColumnRoles, read_labelled_table
from twinset.workflows.advise.models import DEFAULT_MODELS, check_models
from twinset.workflows.advise.request import read_request, recipe_of
from twinset.workflows.advise.select_strategy import (
    N_FOLDS,
    ModelSelection,
    pick,
    select_strategies,
)
from twinset.workflows.advise.strategies import Strategy, candidates


def advise(
    source: object,
    *,
    target: str | None = None,
    positive: str | None = None,
    time: str | None = None,
    group: str | None = None,
    amount: str | None = None,
    cost: float | None = None,
    alert_rate: float = 0.01,
    delay: float | None = None,
    time_unit: str | None = None,
    test_fraction: float | None = None,
    ratios: Sequence[float] | None = None,
    models: Sequence[str] = DEFAULT_MODELS,
    seed: int | None = None,
    workers: int = 1,
    progress: Progress = silent,
) -> Advice:
    """Return whether the rare class of a table should be balanced, how, and what that is worth.

    Ways to balance are compared inside the train rows only, "none" among them; one is taken only if it
    beats "none" by more than 1.2 standard errors, and none where no model ranks better than chance. What
    it is worth is then measured once on rows that nothing was chosen by: the latest ones where a time is
    given, those of other groups where a group is given.

    Parameters
    ----------
    source : path or Arrow object
        A CSV, Parquet or JSON-Lines file, or a pandas or polars frame, a pyarrow table, ...; or a
        recipe (.yaml), which tells table, target, split and seed.
    target : str, optional
        The column to predict; it has two labels. By default the one that looks most like it.
    positive : str, optional
        The label that counts as positive; by default the rarer one.
    time : str, optional
        When a row happened: a datetime or a number. Models do not see it.
    group : str, optional
        Whose a row is, e.g. the card. Models do not see it.
    amount : str, optional
        Column that says what is lost when a positive row is missed, in alerts of price 1.
    cost : float, optional
        Price of a missed positive row where an alert costs 1, or, with `amount`, what one unit of it
        costs in alerts. By default 50, or 1 with `amount`; the advice says that this was assumed.
    alert_rate : float
        Share of rows that can be looked at, in (0, 1).
    delay : float, optional
        How long labels take to arrive: days, or the unit of a time of plain numbers. By default 5 % of
        the time before the test part, at most 7 days.
    time_unit : {"second", "minute", "hour", "day"}, optional
        Unit of a numeric time column; alerts per day are then reported and `delay` is in days.
    test_fraction : float, optional
        Share of rows to test on, in (0, 1); by default 0.3.
    ratios : sequence of float, optional
        Rare rows per common row that are tried; by default 0.01, 0.03 and 0.1. More than 0.1 is tried
        only if asked for.
    models : sequence of str
        Models: "boosted", "linear", and "lightgbm" and "xgboost" where they are installed. The first is
        taken unless another is clearly ahead.
    seed : int, optional
        Decides every draw, 0 or greater; by default 1.
    workers : int
        Folds tried at a time; the advice does not depend on it.
    progress : callable
        Called with (step, models fitted, models in all).

    Returns
    -------
    Advice
        The verdict, with `to_json`, `page` and `recipe`.

    Raises
    ------
    TwinsetError
        The arguments or the data cannot be used.

    References
    ----------
    Elor and Averbuch-Elor, "To SMOTE, or not to SMOTE?", arXiv 2201.08528, 2022. Nadeau and Bengio,
    "Inference for the generalization error", Machine Learning 52, 2003.

    Examples
    --------
    >>> import pyarrow as pa
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> fraud = rng.random(600) < 0.05
    >>> table = pa.table({"amount": rng.normal(2.0 * fraud), "fraud": fraud})
    >>> advise(table, target="fraud").verdict
    'too few to tell'
    """
    _check(alert_rate, test_fraction, cost, delay, workers, seed)
    check_models(tuple(models))
    columns = ColumnRoles(
        positive=positive, time=time, group=group, amount=amount, time_unit=time_unit
    )
    question = read_request(source, target, columns, test_fraction, seed, progress)
    labelled = read_labelled_table(question.table, question.columns)
    if delay is not None and labelled.time is None:
        raise ParameterError(
            "a delay of labels needs to know when rows happen",
            got=f"{delay:g}, and no time",
            todo="name the column of the time, or leave out the delay",
        )
    split = outer_cut(
        labelled, question.test_fraction, delay, rng_for(question.seed, "advise", "split")
    )
    if alert_rate * len(split.test) < 1:
        raise ParameterError(
            "the alert rate leaves no alert",
            got=f"{alert_rate:g} of {len(split.test):,} test rows",
            allowed=f"{1 / len(split.test):.2g} or more",
        )
    outcome = AdviceInputs(
        labelled=labelled,
        split=split,
        alert_rate=alert_rate,
        cost=cost,
        seed=question.seed,
        bench=StrategyTrials(labelled, question.seed, workers),
        name=question.name,
        notes=question.notes,
    )
    refused = refusal(outcome, models[0])
    if refused is not None:
        return refused
    tried = candidates(
        component_names("generator"), ratios, float(labelled.truth[split.train].mean())
    )
    selections = _selections(outcome.bench, split, tried, models, progress)
    won = pick(selections, labelled)
    tested = untouched(outcome, won)
    recipe = recipe_of(labelled, split, won.strategies[tested.selection.chosen], question)
    return advice_of(outcome, selections, tested, recipe)


def _selections(
    bench: StrategyTrials,
    split: TrainTestSplit,
    tried: Sequence[Strategy],
    models: Sequence[str],
    progress: Progress,
) -> list[ModelSelection]:
    fitted, total = 0, len(models) * N_FOLDS * (len(tried) + 8)

    def done(n: int) -> None:
        nonlocal fitted, total
        fitted += n
        total = max(total, fitted)
        progress("Fitting models", fitted, total)

    selections = [
        select_strategies(bench, split.train, tried, model_name, split.gap, done=done)
        for model_name in models
    ]
    progress("Fitting models", total, total)
    return selections


def _check(
    alert_rate: float,
    test_fraction: float | None,
    cost: float | None,
    delay: float | None,
    workers: int,
    seed: int | None,
) -> None:
    shares = {"alert rate": alert_rate, "test fraction": test_fraction}
    for name, share in shares.items():
        if share is not None and not 0 < share < 1:
            raise ParameterError(f"the {name} is out of range", got=f"{share:g}", allowed="0 to 1")
    floors: Mapping[str, Any] = {"cost": cost, "delay": delay, "seed": seed}
    for name, value in floors.items():
        if value is not None and not (math.isfinite(value) and value >= 0):
            raise ParameterError(
                f"the {name} is out of range", got=f"{value:g}", allowed="0 or more"
            )
    if workers < 1:
        raise ParameterError("workers is out of range", got=str(workers), allowed="1 or more")

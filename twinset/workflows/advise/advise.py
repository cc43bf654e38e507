"""`advise`: should the rare class of this table be balanced, and how?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from twinset.core.contracts import Progress, silent
from twinset.core.errors import ParameterError
from twinset.core.seeding import rng_for
from twinset.registry import component_names
from twinset.report.advice import Advice
from twinset.workflows.advise.conclusion import (
    AdviceInputs,
    advice_of,
    measure_on_test_rows,
    refusal,
)
from twinset.workflows.advise.cross_validation import StrategyTrials
from twinset.workflows.advise.folds import TrainTestSplit, split_test_set
from twinset.workflows.advise.labelled_table import read_labelled_table
from twinset.workflows.advise.models import check_models
from twinset.workflows.advise.request import read_request, recipe_of
from twinset.workflows.advise.select_strategy import (
    N_FOLDS,
    ModelSelection,
    pick_model,
    select_strategies,
)
from twinset.workflows.advise.strategies import Strategy, candidates
from twinset.workflows.options import AdviseOptions


def advise(
    source: object,
    options: AdviseOptions | None = None,
    *,
    progress: Progress = silent,
    **settings: Any,
) -> Advice:
    """Return whether the rare class of a table should be balanced, how, and what that is worth.

    Strategies to balance are compared inside the train rows only, "none" among them. One is chosen only
    if it beats "none" by more than 1.2 standard errors, and none where no model ranks better than chance.
    Its worth is then measured once on test rows that no choice was based on: the latest ones where a time
    is given, those of other groups where a group is given.

    Parameters
    ----------
    source : path or Arrow object
        A CSV, Parquet or JSON-Lines file, or a pandas or polars frame, a pyarrow table, ...; or a
        recipe (.yaml), which gives table, target, split and seed.
    options : AdviseOptions, optional
        All options.
    progress : callable
        Called with (step, models fitted, models in all).
    **settings
        Single options by name, e.g. ``target="fraud", time="day"``; they override `options`.

    Returns
    -------
    Advice
        The verdict, with `to_json`, `page` and `recipe`.

    Raises
    ------
    TwinsetError
        The options or the data cannot be used.

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
    options = AdviseOptions.merge(options, settings)
    check_models(tuple(options.models))
    inputs = _prepare(source, options, progress)
    refused = refusal(inputs, options.models[0])
    if refused is not None:
        return refused
    labelled, split, request = inputs.labelled, inputs.split, inputs.request
    tried = candidates(
        component_names("generator"), options.ratios, float(labelled.truth[split.train].mean())
    )
    selections = _select_by_model(inputs.trials, split, tried, options.models, progress)
    selection = pick_model(selections, labelled)
    evidence = measure_on_test_rows(inputs, selection)
    chosen = selection.strategies[evidence.selection.chosen]
    return advice_of(inputs, selections, evidence, recipe_of(labelled, split, chosen, request))


def _prepare(source: object, options: AdviseOptions, progress: Progress) -> AdviceInputs:
    request = read_request(source, options, progress)
    labelled = read_labelled_table(request.table, request.options)
    if options.delay is not None and labelled.time is None:
        raise ParameterError(
            "a delay of labels needs to know when rows happen",
            got=f"{options.delay:g}, and no time",
            todo="name the column of the time, or leave out the delay",
        )
    rng = rng_for(request.seed, "advise", "split")
    split = split_test_set(labelled, request.test_fraction, options.delay, rng)
    if options.alert_rate * len(split.test) < 1:
        raise ParameterError(
            "the alert rate leaves no alert",
            got=f"{options.alert_rate:g} of {len(split.test):,} test rows",
            allowed=f"{1 / len(split.test):.2g} or more",
        )
    trials = StrategyTrials(labelled, request.seed, options.workers)
    return AdviceInputs(request=request, labelled=labelled, split=split, trials=trials)


def _select_by_model(
    trials: StrategyTrials,
    split: TrainTestSplit,
    tried: Sequence[Strategy],
    models: Sequence[str],
    progress: Progress,
) -> list[ModelSelection]:
    """Return the selection of each model; the second round adds about 8 fits per fold."""
    fitted, total = 0, len(models) * N_FOLDS * (len(tried) + 8)

    def done(n: int) -> None:
        nonlocal fitted, total
        fitted += n
        total = max(total, fitted)
        progress("Fitting models", fitted, total)

    selections = [
        select_strategies(trials, split.train, tried, model_name, split.gap, done=done)
        for model_name in models
    ]
    progress("Fitting models", total, total)
    return selections

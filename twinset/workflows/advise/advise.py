"""`advise`: should the rare class of this table be balanced, and how?"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from twinset.core.contracts import Progress, silent
from twinset.core.errors import ParameterError
from twinset.core.features.encoder import FeatureEncoder
from twinset.core.seeding import rng_for
from twinset.core.stats.neighbors import nearest
from twinset.registry import component_names
from twinset.report.advice import Advice, Candidate, Measure, advice_sentence, format_label_delay
from twinset.report.answers.phrases import count, percent, short
from twinset.workflows.advise.labelled_table import (
    AdviceRequest,
    Floats,
    LabelledTable,
    Mask,
    Rows,
    TrainTestSplit,
    data_warnings,
    read_labelled_table,
    read_request,
    recipe_of,
    split_test_set,
)
from twinset.workflows.advise.ranking_metrics import (
    METHOD_TEXTS,
    N_DRAWS,
    BootstrapDraws,
    CalibrationMethod,
    Prices,
    TestScores,
    compare_models,
    curves,
    fold_values,
    log_loss,
    reliability,
)
from twinset.workflows.advise.select_strategy import (
    N_FOLDS,
    FoldResult,
    ModelSelection,
    StrategyTrials,
    calibrate_strategy,
    count_folds,
    pick_model,
    select_strategies,
)
from twinset.workflows.advise.strategies import (
    MODEL_TITLES,
    NONE,
    Strategy,
    candidates,
    check_models,
    extra_rows,
    format_setting,
)
from twinset.workflows.options import AdviseOptions

ASSUMED_COST = 50.0  # alerts per missed positive row, the documented default; a note says so
_COMMON_CLASS = 0.2  # share of positives above which a class is not called rare
# of log-loss after calibration to that without balancing, before a note warns
_MAX_LOSS_RATIO = 1.03


@dataclass(frozen=True, kw_only=True)
class AdviceInputs:
    """The table, its split and the options, before anything is tested."""

    request: AdviceRequest
    labelled: LabelledTable
    split: TrainTestSplit
    trials: StrategyTrials

    @property
    def price(self) -> float:
        """Price of a missed positive row, or, with amounts, of one unit of its amount."""
        if self.request.options.cost is not None:
            return self.request.options.cost
        return ASSUMED_COST if self.labelled.amount is None else 1.0

    def prices(self, rows: Rows) -> Prices:
        """Return the prices of these rows."""
        amount = self.labelled.amount
        return Prices(
            1.0, np.full(len(rows), self.price) if amount is None else self.price * amount[rows]
        )

    def draws(self) -> BootstrapDraws:
        """Return the bootstrap draws of the test rows, of whole groups where there are groups."""
        labelled, test = self.labelled, self.split.test
        group = None if labelled.group is None else labelled.group[test]
        rng = rng_for(self.request.seed, "advise", "bootstrap")
        return BootstrapDraws.from_rows(labelled.truth[test], N_DRAWS, rng, group)

    def facts(self) -> dict[str, Any]:
        """Return counts, split, prices and seed."""
        labelled, split = self.labelled, self.split
        alert_rate, alerts = self.request.options.alert_rate, None
        if labelled.in_days and labelled.time is not None:
            days = max(float(np.ptp(labelled.time[split.test])), 1e-9)
            alerts = alert_rate * len(split.test) / days
        return {
            "rows": len(labelled),
            "positives": int(labelled.truth.sum()),
            "target": labelled.target,
            "positive": labelled.positive,
            "train_rows": len(split.train),
            "train_positives": int(labelled.truth[split.train].sum()),
            "test_rows": len(split.test),
            "test_positives": int(labelled.truth[split.test].sum()),
            "excluded_rows": len(labelled) - len(split.train) - len(split.test),
            "split": split.method,
            "gap": split.gap,
            "alert_rate": alert_rate,
            "alerts_a_day": alerts,
            "cost_assumed": self.request.options.cost is None,
            "cost": self.price,
            "by_amount": labelled.amount is not None,
            "seed": self.request.seed,
        }

    def notes(self) -> list[str]:
        """Return what must be read with care, whatever is tested."""
        labelled, split = self.labelled, self.split
        notes = list(self.request.notes)
        lost = len(labelled) - len(split.train) - len(split.test)
        if lost:
            reason = "their labels come too late"
            if labelled.group is not None:
                reason = "of the gap and the group; without the group there would be more"
            notes.append(
                f"{lost:,} of {len(labelled):,} rows are in neither part, because {reason}"
            )
        if split.gap:
            notes.append(format_label_delay(split.gap, labelled.in_days))
        notes += data_warnings(labelled, split)
        if labelled.excluded:
            names = ", ".join(labelled.excluded)
            notes.append(f"models do not see {names}: keys, free text, time or group")
        if self.request.options.cost is None:
            notes.append(
                f"no cost of a missed positive row is given: {ASSUMED_COST:.0f} alerts are assumed; "
                "set --cost or --amount"
                if labelled.amount is None
                else "an alert is taken to cost 1 in the unit of the amount; set --cost if not"
            )
        if labelled.time is None:
            notes.append(
                "no time is given, so rows are drawn at random; a model in use meets later rows"
            )
        for component, reason in self.trials.refused.items():
            notes.append(f"{component} could not be tried: {reason}")
        if labelled.base_rate > _COMMON_CLASS:
            share = percent(labelled.base_rate)
            notes.append(f"{share} of the rows are positive: this class is not rare")
        return notes


def title_of(strategy: Strategy, model_name: str) -> str:
    """Return a strategy in plain words, with the setting of the model where it changes one."""
    if strategy.family == "learner":
        return f"{strategy.title} ({format_setting(model_name, strategy.setting)})"
    return strategy.title


@dataclass(frozen=True)
class TestEvidence:
    """Results on the test rows for "none" and the tested strategy of a selection.

    Where the generator of that strategy refused the whole train set, "none" alone is tested, as `note`
    then says.
    """

    selection: ModelSelection
    measures: tuple[Measure, ...]
    curves: Mapping[str, Any]
    calibration: Mapping[str, Any]
    novelty: Mapping[str, Any]
    note: str = ""


def measure_on_test_rows(inputs: AdviceInputs, selection: ModelSelection) -> TestEvidence:
    """Return the results of "none" and the tested strategy on the test rows."""
    labelled, split = inputs.labelled, inputs.split
    truth, prices = labelled.truth[split.test], inputs.prices(split.test)
    pair = [selection.strategies[name] for name in dict.fromkeys((NONE.name, selection.tested))]
    (fitted,) = inputs.trials.try_all([("final", split)], pair, selection.model_name)
    note = ""
    if selection.tested not in fitted:
        note = (
            f"{selection.strategies[selection.tested].title} came first in the trials, but could not be "
            "made of all training rows, so nothing but the rows as they are was tested"
        )
        pair, selection = [NONE], replace(selection, chosen=NONE.name, tested=NONE.name)
    methods = {s.name: calibrate_strategy(selection, s.name, labelled) for s in pair}
    scores = {
        s.name: TestScores(fitted[s.name].scores, methods[s.name].apply(fitted[s.name].scores))
        for s in pair
    }
    none, other = scores[NONE.name], scores[selection.tested]
    draws = inputs.draws()
    variance = _split_variance(inputs, selection, methods)
    rate = inputs.request.options.alert_rate
    strategy = selection.strategies[selection.tested]
    return TestEvidence(
        selection,
        compare_models(none, other, truth, prices, rate, draws, variance),
        curves(none, other, truth, prices, draws),
        _calibration(none, other, fitted[selection.tested], methods[selection.tested], truth),
        measure_novelty(inputs.trials, split, strategy, inputs.request.seed),
        note,
    )


def advice_of(
    inputs: AdviceInputs, selections: Sequence[ModelSelection], evidence: TestEvidence, recipe: str
) -> Advice:
    """Return the advice."""
    selection = evidence.selection
    verdict = evidence.measures[0].verdict
    chosen, tested = (selection.strategies[n] for n in (selection.chosen, selection.tested))
    notes = inputs.notes() + ([evidence.note] if evidence.note else [])
    ratio = evidence.calibration["lines"]["after"]["log_loss_ratio"]
    if ratio > _MAX_LOSS_RATIO:
        notes.append(
            f"after restoring, the log-loss is {short(ratio)} times that without balancing: use the "
            "scores for ranking, not as probabilities"
        )
    return Advice(
        title=inputs.request.name,
        verdict=verdict,
        chosen=chosen.name,
        chosen_title=title_of(chosen, selection.model_name),
        tested=tested.name,
        tested_title=title_of(tested, selection.model_name),
        is_balancing=tested.family != "learner",
        model=MODEL_TITLES[selection.model_name],
        sentence=advice_sentence(
            verdict,
            title_of(tested, selection.model_name),
            is_chance=selection.is_chance,
            is_chosen=selection.chosen != NONE.name,
            is_balancing=tested.family != "learner",
        ),
        measures=evidence.measures,
        candidates=_candidates(selection),
        calibration=evidence.calibration,
        curves=evidence.curves,
        sample_diagnostics=evidence.novelty,
        facts={
            **inputs.facts(),
            "models": {
                MODEL_TITLES[one.model_name]: {
                    "none": one.differences[NONE.name].precision,
                    "chosen": one.chosen,
                    "precision": one.differences[one.chosen].precision,
                }
                for one in selections
            },
            "untried": list(selection.untried),
            "fits": inputs.trials.fits,
            "fitted_rows": inputs.trials.fitted_rows,
        },
        notes=tuple(notes),
        recipe=recipe,
    )


# Rows whose distances are measured: enough for shares to 1.5 points and a search of seconds.
_MAX_SYNTHETIC, _MAX_COMMON = 1_000, 20_000
_MAX_EQUAL = 1e-6  # distances up to this are rounding: the rows are equal


def measure_novelty(
    trials: StrategyTrials, split: TrainTestSplit, strategy: Strategy, seed: int
) -> dict[str, Any]:
    """Return novelty and intrusion of the synthetic rows of a strategy; empty where it adds none.

    Novelty: the distance of each synthetic row to the nearest real rare row, compared with those of real
    rare rows to each other. Intrusion: the share of synthetic rows whose nearest real row is a common
    one, compared with that of real rare rows.

    References
    ----------
    Hassanat et al., "Stop Oversampling for Class Imbalance Learning", arXiv 2202.03579, 2022.
    """
    labelled = trials.labelled
    truth = labelled.truth[split.train]
    n = extra_rows(strategy, truth)
    if strategy.family != "rows" or n == 0 or truth.sum() < 3:
        return {}
    rng = rng_for(seed, "advise", "made")
    n_measured = min(n, _MAX_SYNTHETIC)
    synthetic = trials.synthetic_rows(strategy.component, split.train, n_measured, "final")
    real = labelled.dataset.take(split.train).select(labelled.features)
    common = rng.permutation(np.flatnonzero(~truth))[:_MAX_COMMON]
    encoder = FeatureEncoder.fit(real)
    rare_x = encoder.transform(real.take(np.flatnonzero(truth)))
    common_x, synthetic_x = encoder.transform(real.take(common)), encoder.transform(synthetic)
    to_rare = nearest(synthetic_x, rare_x, 1)[0][:, 0]
    between = nearest(rare_x, rare_x, 2)[0][:, 1]
    # Thinned common rows lie further away than all of them would: both rates are low by the same rule.
    intruding = nearest(synthetic_x, common_x, 1)[0][:, 0] < to_rare
    real_intruding = nearest(rare_x, common_x, 1)[0][:, 0] < between
    # Real rows that repeat have no distance; among them every synthetic row would look far enough away.
    positive = between[between > _MAX_EQUAL]
    close = float(np.quantile(positive, 0.05)) if len(positive) else 0.0
    top = float(np.quantile(np.concatenate([to_rare, between]), 0.99)) or 1.0
    edges = np.linspace(0, top, 25)

    def shares(values: Any) -> Any:
        return (np.histogram(np.minimum(values, top), edges)[0] / max(1, len(values))).tolist()

    return {
        "rows": n,
        "rows_measured": len(synthetic),
        "component": strategy.component,
        "copies_fraction": float((to_rare <= _MAX_EQUAL).mean()),
        "close_fraction": float((to_rare <= close).mean()),
        "median_distance_ratio": float(np.median(to_rare)) / max(float(np.median(between)), 1e-9),
        "intrusion_fraction": float(intruding.mean()),
        "real_intrusion_fraction": float(real_intruding.mean()),
        "distances": {
            "edges": edges.tolist(),
            "synthetic": shares(to_rare),
            "real": shares(between),
        },
    }


def _split_variance(
    inputs: AdviceInputs, selection: ModelSelection, methods: Mapping[str, CalibrationMethod]
) -> Floats:
    """Return for each measure the variance that the choice of training rows adds.

    That of the inner folds' differences, times their test rows per train row (Nadeau and Bengio).
    """
    rate = inputs.request.options.alert_rate
    changes = []
    for (_, split), fold in zip(selection.folds, selection.results):
        truth, prices = inputs.labelled.truth[split.test], inputs.prices(split.test)
        none, other = (
            fold_values(
                fold[name].scores, methods[name].apply(fold[name].scores), truth, prices, rate
            )
            for name in (NONE.name, selection.tested)
        )
        changes.append(other - none)
    share = float(np.mean([len(split.test) / len(split.train) for _, split in selection.folds]))
    return np.asarray(share * np.var(changes, axis=0, ddof=1))


def _calibration(
    none: TestScores, other: TestScores, result: FoldResult, method: CalibrationMethod, truth: Mask
) -> dict[str, Any]:
    lines = {"none": none.scores, "before": other.scores, "after": other.probability}
    base = log_loss(none.scores, truth)
    return {
        "odds_factor": result.odds_factor,
        "method": method.method,
        "method_text": METHOD_TEXTS[method.method],
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


def _candidates(selection: ModelSelection) -> tuple[Candidate, ...]:
    return tuple(
        Candidate(
            name=name,
            title=title_of(selection.strategies[name], selection.model_name),
            kind=selection.strategies[name].kind,
            ratio=selection.strategies[name].ratio,
            precision=found.precision,
            difference=found.mean,
            error=found.error,
            is_shortlisted=name in selection.shortlist,
        )
        for name, found in selection.differences.items()
    )


# recall is then known to 0.98 / sqrt(31) = 18 points; below, nothing is ranked
MIN_TEST_POSITIVES = 31
MIN_TRAIN_POSITIVES = 20  # three folds then train on 13: fewer fit no model
# Groups with positive rows in either set, see benchmarks/minority/COVERAGE.md: with fewer, redrawn groups
# alone miss the truth three times as often as they say, and Student's t makes intervals that say nothing.
MIN_GROUPS = 8
MIN_FOLDS = 2  # a variance between folds needs two
_TARGET_RECALL = 0.1  # half the width of an interval of recall that a decision can rest on


def refusal(inputs: AdviceInputs, model_name: str) -> Advice | None:
    """Return the advice not to rank, where too few rare rows separate strategies; else None."""
    labelled, split = inputs.labelled, inputs.split
    needed = math.ceil((0.98 / _TARGET_RECALL) ** 2)
    n_test, n_train = (int(labelled.truth[rows].sum()) for rows in (split.test, split.train))
    reason = ""
    if n_test < MIN_TEST_POSITIVES:
        half = 98 / math.sqrt(n_test)
        in_file = math.ceil(needed * int(labelled.truth.sum()) / n_test)
        reason = (
            f"{n_test:,} positive rows to test on leave recall open by {half:.0f} points either way. "
            f"Nothing is ranked below {MIN_TEST_POSITIVES}; for {100 * _TARGET_RECALL:.0f} points it takes "
            f"{needed}, about {in_file:,} positive rows in the file"
        )
    elif n_train < MIN_TRAIN_POSITIVES:
        reason = (
            f"there are {n_train:,} positive rows to learn from, and nothing is ranked below "
            f"{MIN_TRAIN_POSITIVES}"
        )
    elif labelled.group is not None:
        reason = _few_groups(labelled, split)
    if not reason and count_folds(inputs.trials, split.train, split.gap) < MIN_FOLDS:
        found = {"times": labelled.time, "groups": labelled.group}
        units = [name for name, values in found.items() if values is not None] or ["groups"]
        reason = (
            f"the positive training rows lie in too few {' or '.join(units)}, so "
            "they cannot be cut into folds that each hold both classes to learn from and to test on; it "
            f"takes {MIN_FOLDS} such folds"
        )
    return _unranked(inputs, model_name, reason, needed) if reason else None


def _few_groups(labelled: LabelledTable, split: TrainTestSplit) -> str:
    """Return why positive rows of too few groups are not ranked; empty where they are enough."""
    assert labelled.group is not None
    parts = split.test, split.train, np.concatenate([split.test, split.train])
    n_test, n_train, n_both = (
        len(np.unique(labelled.group[rows[labelled.truth[rows]]])) for rows in parts
    )
    if min(n_test, n_train) >= MIN_GROUPS:
        return ""
    needed = math.ceil(MIN_GROUPS * n_both / min(n_test, n_train))
    return (
        f"the positive rows to test on belong to {count(n_test, 'group')}, those to learn from to "
        f"{count(n_train, 'group')}. Rows of one group tell less than as many of different ones, and "
        f"nothing is ranked below {MIN_GROUPS} groups on either side; that takes about {needed:,} groups "
        "with positive rows in the file"
    )


def _unranked(inputs: AdviceInputs, model_name: str, reason: str, needed: int) -> Advice:
    """Return the advice without any ranking: the measures of the rows as they are, and the reason."""
    split, truth = inputs.split, inputs.labelled.truth[inputs.split.test]
    (fitted,) = inputs.trials.try_all([("final", split)], [NONE], model_name)
    scores = TestScores(fitted[NONE.name].scores, fitted[NONE.name].scores)
    draws, prices, rate = (
        inputs.draws(),
        inputs.prices(split.test),
        inputs.request.options.alert_rate,
    )
    return Advice(
        title=inputs.request.name,
        verdict="too few to tell",
        chosen=NONE.name,
        chosen_title=NONE.title,
        tested=NONE.name,
        tested_title=NONE.title,
        model=MODEL_TITLES[model_name],
        sentence=f"Too few to tell: {reason}. Until then add nothing.",
        measures=compare_models(scores, scores, truth, prices, rate, draws, [0.0] * 5),
        curves=curves(scores, scores, truth, prices, draws),
        facts={**inputs.facts(), "needed_test_positives": needed},
        notes=tuple(inputs.notes()),
    )


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

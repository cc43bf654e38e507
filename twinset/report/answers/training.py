"""What models show of training on a set: sentences, and the one place that decides whether it helps."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from twinset.core.contracts import Role, Score
from twinset.core.model_findings import (
    AddedRows,
    Effect,
    ExchangeRate,
    ModelChoice,
    ModelComparison,
    TrainedModel,
    TrainingData,
)
from twinset.report.answers.phrases import capitalize, has_role, short, with_role, worst_first
from twinset.report.answers.sentences import describe


@dataclass(frozen=True)
class TrainingEvidence:
    """What models show of training on a set: the one place that decides whether adding rows helps."""

    models: tuple[Score, ...]  # Measured scores of models; those that replace real rows come first
    rate: Score | None  # Score of the exchange rate

    @classmethod
    def from_scores(cls, scores: Sequence[Score]) -> TrainingEvidence:
        """Return the evidence in the scores of the family utility."""
        own = [s for s in scores if s.family == "utility" and s.is_measured]
        models = [s for s in own if not has_role(s, Role.EXCHANGE_RATE, Role.MODEL_CHOICE)]
        models.sort(key=lambda score: not has_role(score, Role.SUBSTITUTE_MODEL))
        return cls(tuple(models), next(iter(with_role(own, Role.EXCHANGE_RATE)), None))

    @property
    def score(self) -> Score | None:
        """The score with a table of models; the worst one where none has a table."""
        with_table = [score for score in self.models if score.finding(ModelComparison)]
        return next(iter(with_table or worst_first(self.models)), None)

    @property
    def table(self) -> ModelComparison | None:
        """The table of models."""
        return None if self.score is None else self.score.finding(ModelComparison)

    def model(self, data: TrainingData) -> TrainedModel | None:
        """Return the model that was trained on a set."""
        return None if self.table is None else self.table.trained_on(data)

    @property
    def effects(self) -> tuple[Effect | None, Effect | None]:
        """Effect of adding all rows by the models, and by the exchange rate."""
        mixed = self.model(TrainingData.MIXED)
        rate = None if self.rate is None else self.rate.finding(ExchangeRate)
        return (None if mixed is None else mixed.effect, None if rate is None else rate.effect)

    @property
    def tests_disagree(self) -> bool:
        """Whether adding rows helps by the models and hurts by the exchange rate, or the reverse."""
        return Effect.HELPS in self.effects and not {Effect.HURTS, Effect.WORSE}.isdisjoint(
            self.effects
        )

    @property
    def effect_of_adding(self) -> Effect | None:
        """The answer to whether adding rows helps; None where no models were compared."""
        return Effect.NOT_SHOWN if self.tests_disagree else self.effects[0]

    @property
    def makes_no_difference(self) -> bool:
        """Whether adding rows changes the model by less than the margin, in either direction."""
        mixed = self.model(TrainingData.MIXED)
        if self.score is None or mixed is None or mixed.effect != Effect.NOT_SHOWN:
            return False
        ends = mixed.scores[0].interval
        return ends is not None and max(map(abs, ends)) <= self.score.margin

    @property
    def is_chance(self) -> bool:
        """Whether no model predicts the target better than a guess, so that nothing can be compared."""
        return self.table is not None and self.table.is_chance

    @property
    def chance_reason(self) -> str:
        """Why models at chance decide nothing, with their measure."""
        real = self.model(TrainingData.REAL)
        if self.table is None or real is None:
            return ""
        numbers = f"{self.table.measures[0]} {short(real.scores[0].value)}"
        if self.table.chance_level is not None:
            numbers += f", a guess scores {short(self.table.chance_level)}"
        return f"no model predicts the target, not even one of real rows ({numbers})"

    @property
    def is_one_class(self) -> bool:
        """Whether the synthetic rows hold too few classes to train on them alone."""
        models = [self.model(data) for data in (TrainingData.MIXED, TrainingData.SYNTHETIC)]
        return models[0] is not None and models[1] is None


@describe.register
def _(found: ModelComparison) -> str:
    mixed, real = (found.trained_on(TrainingData(key)) for key in ("mixed", "real"))
    # Beside a model of synthetic rows alone, the table of models says the same.
    if found.decides is not None or mixed is None or real is None or mixed.effect is None:
        return ""
    score = mixed.scores[0]
    text = {
        Effect.HELPS: "adding the synthetic {} helps",
        Effect.HURTS: "adding the synthetic {} hurts",
        Effect.WORSE: "adding the synthetic {} does harm, but not certainly beyond the margin",
        Effect.NOT_SHOWN: "there is no evidence that adding the synthetic {} helps or hurts",
    }[mixed.effect].format(found.subject)
    low, high = score.interval or (math.nan, math.nan)
    return (
        f"{text}: {found.measures[0]} {real.scores[0].value:.3f} by real {found.subject} alone, "
        f"{score.value:.3f} with them ({score.difference:+.3f}, {low:+.3f} to {high:+.3f})"
    )


@describe.register
def _(found: ExchangeRate) -> str:
    rate, half = found.rate, found.half_width
    rows = f"rows with {found.target} = {' or '.join(found.classes)}" if found.classes else ""
    ones = f"real {rows}" if rows else "real ones"
    task = f"for this task (predicting '{found.target}' by {found.model})"
    amount = _rounded_rate(abs(rate), half)
    if found.effect in (Effect.HURTS, Effect.WORSE):
        return (
            f"1,000 of these synthetic rows harm as much as taking away {amount} {ones} would {task}: "
            "add none"
        )
    if found.effect == Effect.HELPS:
        return f"1,000 of these synthetic rows are worth {amount} more {ones} {task}"
    # Whether adding helps is answered by the models of the verdict; here stands the rate alone.
    ends = rate - half, rate + half
    fewer = ", less than as many real ones are" if ends[1] < 1000 else ""
    if max(map(abs, ends)) >= 1000:
        return (
            f"the worth of 1,000 of these synthetic rows {task} is uncertain by more than 1,000 {ones}"
            f"{fewer}; more holdout rows would show it"
        )
    low, high = (f"{_rounded(abs(e), half)} {'fewer' if e < 0 else 'more'}" for e in ends)
    return f"1,000 of these synthetic rows are worth between {low} and {high} {ones} {task}{fewer}"


@describe.register
def _(found: AddedRows) -> str:
    said = []
    if found.best:
        said.append(f"of the numbers tried, adding {found.best:,} of them is best")
    if found.n_alone is not None and found.like_real is not None:
        words = {"least": "fewer than", "most": "more than"}.get(found.limit, "about")
        like = _rounded(found.like_real, 0.1 * found.like_real)
        said.append(
            f"training on {found.n_alone:,} of them alone is like having {words} {like} real rows"
        )
    if found.n_train is not None:
        said.append(
            f"only {found.n_train:,} of the train rows are used, so what the synthetic rows know of the "
            "others is credited to them"
        )
    return ". ".join([*said[:1], *map(capitalize, said[1:])])


@describe.register
def _(found: ModelChoice) -> str:
    text = f"by the synthetic rows one would choose {found.by_synthetic}"
    return text if found.by_synthetic == found.by_real else f"{text} rather than {found.by_real}"


def _rounded_rate(value: float, half: float) -> str:
    """Return a rate and its half width; one at the end of the learning curve has none."""
    if half < 0.005 * value:
        return f"at least {_rounded(value, 0.1 * value)}"
    return f"{_rounded(value, half)} ± {_rounded(half, half)}"


def _rounded(value: float, error: float) -> str:
    """Return a number with as many digits as its error allows: two digits of the error."""
    digit = 10 ** max(0, math.floor(math.log10(error)) - 1) if error > 0 else 1
    return f"{round(value / digit) * digit:,.0f}"

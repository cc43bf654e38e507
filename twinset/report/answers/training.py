"""What models show of training on a set."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from twinset.core.contracts import Role, Score
from twinset.core.model_findings import (
    Effect,
    ExchangeRate,
    ModelComparison,
    TrainedModel,
    TrainingData,
)
from twinset.report.answers.phrases import has_role, with_role, worst_first


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
        return set(self.effects) == {Effect.HELPS, Effect.HURTS}

    @property
    def effect_of_adding(self) -> Effect | None:
        """The answer to whether adding rows helps; None where no models were compared."""
        return Effect.NOT_SHOWN if self.tests_disagree else self.effects[0]

    @property
    def is_one_class(self) -> bool:
        """Whether the synthetic rows hold too few classes to train on them alone."""
        models = [self.model(data) for data in (TrainingData.MIXED, TrainingData.SYNTHETIC)]
        return models[0] is not None and models[1] is None

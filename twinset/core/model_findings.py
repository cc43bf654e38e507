"""Typed results of models that were trained on synthetic rows, and what their rows are worth."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from twinset.core.findings import Finding


class Effect(StrEnum):
    """Effect of training on synthetic rows, compared with real rows alone."""

    HELPS = "helps"
    HURTS = "hurts"  # By more than the margin
    WORSE = "worse"  # Not certainly by more than the margin
    NOT_SHOWN = "no evidence"


class TrainingData(StrEnum):
    """Set that a model was trained on."""

    REAL = "real"
    SYNTHETIC = "synthetic"
    MIXED = "mixed"


@dataclass(frozen=True)
class ModelScore:
    """A measure of one model, and its difference from the model of real rows."""

    value: float
    # Difference from the model of real rows, and its 95 % interval
    difference: float | None = None
    interval: tuple[float, float] | None = None


@dataclass(frozen=True)
class TrainedModel:
    """A model by what it was trained on."""

    data: TrainingData
    scores: tuple[ModelScore, ...]  # One score for each measure
    n_rows: int | None = None  # Rows of the set
    effect: Effect | None = None  # Effect on the first measure, compared with real rows alone
    beats_chance: bool | None = None  # Whether it predicts better than a guess; None if not tested


@dataclass(frozen=True)
class ModelComparison(Finding):
    """Models trained on real, on synthetic and on all rows, tested on the same real rows."""

    measures: tuple[str, ...]  # Names of the measures; the first is the value of the metric
    models: tuple[TrainedModel, ...]  # One for each set
    decides: TrainingData | None = None  # Set whose model gives the value of the metric
    n_test_rows: int | None = None  # Real rows that all models are tested on
    chance_level: float | None = None  # First measure of a model that guesses
    subject: str = "rows"  # What one row is, as a plural noun, e.g. "images"

    def trained_on(self, data: TrainingData) -> TrainedModel | None:
        """Return the model that was trained on a set, None where there is none."""
        return next((model for model in self.models if model.data == data), None)

    @property
    def is_chance(self) -> bool:
        """Whether all models were tested against guessing, and none is better."""
        return all(model.beats_chance is False for model in self.models)

    def score(self, measure: str, data: TrainingData) -> ModelScore:
        """Return a measure of one model; KeyError where there is no such model."""
        model = self.trained_on(data)
        if model is None:
            raise KeyError(data)
        return model.scores[self.measures.index(measure)]

    @property
    def reach(self) -> float:
        """The largest difference or end of an interval, so that all intervals share one axis."""
        scores = [score for model in self.models for score in model.scores]
        ends = [abs(end) for score in scores for end in score.interval or ()]
        changes = [abs(score.difference) for score in scores if score.difference is not None]
        return max([*ends, *changes], default=0.0)


@dataclass(frozen=True)
class WorstLabel(Finding, headline=True):
    """Label that models of synthetic texts find worst, with both F1 scores."""

    label: str
    synthetic: float
    real: float


@dataclass(frozen=True)
class ModelChoice(Finding, headline=True):
    """Kind of model that is best by synthetic rows, and that which is best by real ones."""

    by_synthetic: str
    by_real: str


@dataclass(frozen=True)
class ExchangeRate(Finding, headline=True):
    """Real rows that 1,000 synthetic rows are worth to a model."""

    # Column that is predicted, and the kind of model
    target: str
    model: str
    classes: tuple[str, ...]  # Classes whose rows are counted; empty for all rows
    # The rate, and half of its 95 % interval
    rate: float
    half_width: float
    effect: Effect  # Effect of adding all synthetic rows on the loss


@dataclass(frozen=True)
class AddedRows(Finding):
    """Numbers of rows that go with an exchange rate."""

    # Number of synthetic rows to add that is best among those tried; 0 where none helps
    best: int = 0
    n_alone: int | None = None  # Synthetic rows that a model was trained on without any real one
    like_real: float | None = None  # Real rows that those are like
    limit: str = ""  # Whether `like_real` is the least or the most that the learning curve can show
    n_train: int | None = None  # Train rows that were used, where there are more

"""Findings on models that are trained on synthetic rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from .base import Effect, Finding, TrainingData


@dataclass(frozen=True)
class ModelScore:
    """A measure of one model, and its difference from the model of real rows.

    Parameters
    ----------
    value : float
        The measure.
    difference, interval : float, tuple of float, optional
        Difference from the model of real rows, and its 95 % interval.
    """

    value: float
    difference: float | None = None
    interval: tuple[float, float] | None = None


@dataclass(frozen=True)
class TrainedModel:
    """A model by what it was trained on.

    Parameters
    ----------
    data : TrainingData
        The set.
    scores : tuple of ModelScore
        One score for each measure.
    n_rows : int, optional
        Rows of the set.
    effect : Effect, optional
        Effect on the first measure, compared with real rows alone.
    """

    data: TrainingData
    scores: tuple[ModelScore, ...]
    n_rows: int | None = None
    effect: Effect | None = None


@dataclass(frozen=True)
class ModelComparison(Finding):
    """Models trained on real, on synthetic and on all rows, tested on the same real rows.

    Parameters
    ----------
    measures : tuple of str
        Names of the measures; the first is the value of the metric.
    models : tuple of TrainedModel
        The models.
    decides : TrainingData, optional
        Set whose model gives the value of the metric.
    n_test_rows : int, optional
        Real rows that all models are tested on.
    chance_level : float, optional
        First measure of a model that guesses.
    subject : str
        What one row is, as a plural noun, e.g. "images".
    """

    measures: tuple[str, ...]
    models: tuple[TrainedModel, ...]
    decides: TrainingData | None = None
    n_test_rows: int | None = None
    chance_level: float | None = None
    subject: str = "rows"

    def trained_on(self, data: TrainingData) -> TrainedModel | None:
        """Return the model that was trained on a set, None where there is none."""
        return next((model for model in self.models if model.data == data), None)

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
class WorstLabel(Finding):
    """Label that models of synthetic texts find worst, with both F1 scores."""

    is_headline: ClassVar[bool] = True
    label: str
    synthetic: float
    real: float


@dataclass(frozen=True)
class ModelChoice(Finding):
    """Kind of model that is best by synthetic rows, and that which is best by real ones."""

    is_headline: ClassVar[bool] = True
    by_synthetic: str
    by_real: str


@dataclass(frozen=True)
class ExchangeRate(Finding):
    """Real rows that 1,000 synthetic rows are worth to a model.

    Parameters
    ----------
    target, model : str
        Column that is predicted, and the kind of model.
    classes : tuple of str
        Classes whose rows are counted; empty for all rows.
    rate, half_width : float
        The rate, and half of its 95 % interval.
    effect : Effect
        Effect of adding all synthetic rows on the loss.
    """

    is_headline: ClassVar[bool] = True
    target: str
    model: str
    classes: tuple[str, ...]
    rate: float
    half_width: float
    effect: Effect


@dataclass(frozen=True)
class AddedRows(Finding):
    """Numbers of rows that go with an exchange rate.

    Parameters
    ----------
    best : int
        Number of synthetic rows to add that is best among those tried; 0 where none helps.
    n_alone : int, optional
        Synthetic rows that a model was trained on without any real one.
    like_real : float, optional
        Real rows that those are like.
    limit : {"", "least", "most"}
        Whether `like_real` is the least or the most that the learning curve can show.
    n_train : int, optional
        Train rows that were used, where there are more.
    """

    best: int = 0
    n_alone: int | None = None
    like_real: float | None = None
    limit: str = ""
    n_train: int | None = None

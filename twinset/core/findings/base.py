"""Verdicts, notes, the base of all findings, and the findings that the harness adds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any, ClassVar, TypeVar


class Verdict(StrEnum):
    """Outcome of a comparison with real rows; the values are those in JSON."""

    EQUIVALENT = "as good as real"
    DIFFERENT = "different"
    INCONCLUSIVE = "cannot tell"
    NOT_MEASURABLE = "not measurable"


class Effect(StrEnum):
    """Effect of training on synthetic rows, compared with real rows alone."""

    HELPS = "helps"
    HURTS = "hurts"
    NOT_SHOWN = "no evidence"


class TrainingData(StrEnum):
    """Set that a model was trained on."""

    REAL = "real"
    SYNTHETIC = "synthetic"
    MIXED = "mixed"


class ReferenceRows(StrEnum):
    """Real rows that candidate and baseline are both compared with."""

    HALF_OF_HOLDOUT = "half of the holdout"
    HALF_OF_TRAIN = "half of the train rows (no holdout)"
    WHOLE_HOLDOUT = "the whole holdout"


class BaselineKind(StrEnum):
    """Source of the number that a value is compared with."""

    REAL_ROWS = "real rows"
    TRAINED_ON_REAL = "trained on real rows"
    BEST_POSSIBLE = "best possible"


class NoteKind(StrEnum):
    """Subject of a note, for code that acts on it."""

    GENERAL = "general"
    ALLOWED_LEAK = "allowed leak"


class Note(str):
    """A remark for the reader of a report: one or more sentences, with their subject.

    Parameters
    ----------
    text : str
        The sentences.
    kind : NoteKind
        Subject of the note.
    """

    kind: NoteKind

    def __new__(cls, text: str, kind: NoteKind = NoteKind.GENERAL) -> Note:
        """Return the text with its kind."""
        note = super().__new__(cls, text)
        note.kind = kind
        return note


class Finding:
    """Base of all findings: a subclass is a frozen dataclass of numbers, names and enums.

    Class attributes
    ----------------
    is_headline : bool
        Whether its sentence may stand for the whole result of a metric.
    """

    is_headline: ClassVar[bool] = False
    _types: ClassVar[dict[str, type[Finding]]] = {}

    def __init_subclass__(cls) -> None:
        cls._types[cls.__name__] = cls

    @property
    def found_nothing(self) -> bool:
        """Whether nothing was found, so that it does not explain a difference."""
        return False

    def to_json(self) -> dict[str, Any]:
        """Return the finding as plain JSON values, with the name of its type."""
        return {"type": type(self).__name__, **asdict(self)}  # type: ignore[call-overload]

    @staticmethod
    def from_json(value: Mapping[str, Any]) -> Finding:
        """Return the finding that `to_json` wrote."""
        from pydantic import TypeAdapter

        fields = {key: item for key, item in value.items() if key != "type"}
        found: Finding = TypeAdapter(Finding._types[value["type"]]).validate_python(fields)
        return found


FindingType = TypeVar("FindingType", bound=Finding)


class HasFindings:
    """A result that carries findings, at most one of each type."""

    findings: tuple[Finding, ...]

    def finding(self, kind: type[FindingType]) -> FindingType | None:
        """Return the finding of a type, None where there is none."""
        return next((found for found in self.findings if isinstance(found, kind)), None)


@dataclass(frozen=True)
class NotMeasured(Finding):
    """Reason why a metric has no value."""

    reason: str


@dataclass(frozen=True)
class DecidingRows(Finding):
    """Rows that the interval depends on.

    Parameters
    ----------
    n : int
        Number of rows.
    kind : str
        What they are, as a plural noun, e.g. "positive holdout rows".
    """

    n: int
    kind: str


@dataclass(frozen=True)
class ComparisonBasis(Finding):
    """Rows and columns that a score rests on.

    Parameters
    ----------
    baseline : BaselineKind
        Source of the baseline.
    reference : ReferenceRows, optional
        Real rows that both sets are compared with; None where a metric needs none.
    n_rows : mapping
        Set -> number of rows that were compared.
    excluded : mapping
        Column -> reason why it was not compared.
    train_value : float, optional
        Value of real train rows, where the holdout is later than they are.
    real_value : float, optional
        Value of the real rows themselves, for a metric that compares with no real row.
    embedders : mapping
        Column -> embedder -> its facts.
    unused_embedders : tuple of str
        One sentence for each embedder that could not be used.
    """

    baseline: BaselineKind = BaselineKind.REAL_ROWS
    reference: ReferenceRows | None = None
    n_rows: Mapping[str, int] = field(default_factory=dict)
    excluded: Mapping[str, str] = field(default_factory=dict)
    train_value: float | None = None
    real_value: float | None = None
    embedders: Mapping[str, Mapping[str, Mapping[str, Any]]] = field(default_factory=dict)
    unused_embedders: tuple[str, ...] = ()


@dataclass(frozen=True)
class DifferentComponents(Finding):
    """Components, e.g. columns, that are worse than real rows by more than the margin, worst first.

    Parameters
    ----------
    kind : str
        What a component is, as a singular noun.
    names : tuple of str
        Names of the components.
    values, baselines : tuple of float
        Their values and those of real rows.
    margin : float
        Largest acceptable degradation of one component.
    certain_degradation : float
        Near end of the 95 % interval of the largest degradation, in margins.
    decides : bool
        Whether the verdict rests on the components alone, not on the value of the metric.
    """

    kind: str
    names: tuple[str, ...]
    margin: float
    values: tuple[float, ...] = ()
    baselines: tuple[float, ...] = ()
    certain_degradation: float = 1.0
    decides: bool = False

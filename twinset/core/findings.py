"""Typed results of metrics and the harness: `twinset.report.answers.sentences` turns them into text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any, ClassVar, TypeVar


class Verdict(StrEnum):
    """Outcome of a comparison with real rows; the values are those in JSON."""

    EQUIVALENT = "as good as real"
    DIFFERENT = "different"
    INCONCLUSIVE = "cannot tell"
    NOT_MEASURABLE = "not measurable"


class ReferenceRows(StrEnum):
    """Real rows that candidate and baseline are both compared with."""

    HALF_OF_HOLDOUT = "half of the holdout"
    HALF_OF_TRAIN = "half of the train rows (no holdout)"
    WHOLE_HOLDOUT = "the whole holdout"
    ALL_REAL = "all real rows, train and holdout together"
    ALL_TRAIN = "all train rows"


class BaselineKind(StrEnum):
    """Source of the number that a value is compared with."""

    REAL_ROWS = "real rows"
    TRAINED_ON_REAL = "trained on real rows"
    BEST_POSSIBLE = "best possible"


class Finding:
    """Base of all findings: a subclass is a frozen dataclass of numbers, names and enums.

    Keyword arguments of a subclass are `headline`: whether its sentence may stand for the whole result
    of a metric; and `nothing_without`: attributes that are all empty where nothing was found.
    """

    is_headline: ClassVar[bool] = False
    _nothing_without: ClassVar[tuple[str, ...]] = ()
    _types: ClassVar[dict[str, type[Finding]]] = {}

    def __init_subclass__(cls, headline: bool = False, nothing_without: Sequence[str] = ()) -> None:
        cls._types[cls.__name__] = cls
        cls.is_headline, cls._nothing_without = headline, tuple(nothing_without)

    @property
    def found_nothing(self) -> bool:
        """Whether nothing was found, so that it does not explain a difference."""
        names = self._nothing_without
        return bool(names) and not any(getattr(self, name) for name in names)

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
    """Reason why a metric has no value, or why its value is withheld."""

    reason: str


@dataclass(frozen=True)
class DecidingRows(Finding):
    """Rows that the interval depends on."""

    n: int
    kind: str  # What they are, as a plural noun, e.g. "positive holdout rows"


@dataclass(frozen=True)
class ComparisonBasis(Finding):
    """Rows and columns that a score rests on."""

    baseline: BaselineKind = BaselineKind.REAL_ROWS  # Source of the baseline
    # Real rows that both sets are compared with; None where a metric needs none
    reference: ReferenceRows | None = None
    n_rows: Mapping[str, int] = field(default_factory=dict)  # Set -> number of rows compared
    excluded: Mapping[str, str] = field(default_factory=dict)  # Column -> why it was not compared
    train_value: float | None = None  # Of train rows, where they differ from the holdout
    is_later: bool = False  # Whether the reference is later than all train rows
    real_value: float | None = None  # Of the real rows, for a metric that compares with no real row
    # Column -> embedder -> its facts
    embedders: Mapping[str, Mapping[str, Mapping[str, Any]]] = field(default_factory=dict)
    unused_embedders: tuple[str, ...] = ()  # One sentence for each embedder that could not be used


@dataclass(frozen=True)
class DifferentComponents(Finding):
    """Components, e.g. columns, that are worse than real rows by more than the margin, worst first."""

    kind: str  # What a component is, as a singular noun
    names: tuple[str, ...]  # Names of the components
    margin: float  # Largest acceptable degradation of one component
    # Their values and those of real rows
    values: tuple[float, ...] = ()
    baselines: tuple[float, ...] = ()
    # Near end of the 95 % interval of the largest degradation, in margins
    certain_degradation: float = 1.0
    # Whether the verdict rests on the components alone, not on the value of the metric
    decides: bool = False


@dataclass(frozen=True)
class ColumnDistances(Finding):
    """Distance of each column from real, largest first."""

    distances: Mapping[str, float]


@dataclass(frozen=True)
class PairDistances(Finding):
    """Distance of each pair of columns from real, largest first: (column, column, distance)."""

    distances: tuple[tuple[str, str, float], ...]


@dataclass(frozen=True)
class DifferingComponents(Finding, headline=True, nothing_without=("names",)):
    """Components that differ by a test against chance, most significant first."""

    kind: str  # What a component is, as a singular noun
    names: tuple[str, ...]  # Those that differ
    n_tested: int  # Number of components that were tested


@dataclass(frozen=True)
class DifferingTriples(Finding, headline=True, nothing_without=("n_differing",)):
    """Triples of columns that differ by a test against chance."""

    # Triples that differ, and all that were tested
    n_differing: int
    n_tested: int
    # Columns of the triple farthest beyond chance; empty where none differs
    worst: tuple[str, ...] = ()
    # Its distance, and that of two samples of equal distribution
    distance: float = 0.0
    chance_distance: float = 0.0


@dataclass(frozen=True)
class MissingCellPattern(Finding, headline=True, nothing_without=("columns", "moved")):
    """Columns whose missing cells differ from the real ones by a test against chance."""

    columns: tuple[str, ...] = ()  # Columns whose share of missing cells differs
    moved: str | None = None  # Column whose cells are missing in other rows than in the real set
    seen_in: tuple[str, ...] = ()  # Columns that show it
    n_missing: int = 0  # Rows with a missing cell; 0 where no cell is missing in either set


@dataclass(frozen=True)
class PermutationTest(Finding, headline=True):
    """Share of shuffled labels that give as large a distance."""

    p_value: float  # The share, in [0, 1]

    @property
    def found_nothing(self) -> bool:
        """Whether chance explains the distance."""
        # The usual level of a two-sample test; it selects a sentence, never the verdict.
        return self.p_value > 0.05


@dataclass(frozen=True)
class FarthestEmbedding(Finding, headline=True):
    """Name of the embedding by which both sets lie farthest apart."""

    name: str


@dataclass(frozen=True)
class LevelShare:
    """Share of a level in the synthetic set, and its declared share, each in [0, 1]."""

    column: str
    level: str
    found: float
    declared: float


@dataclass(frozen=True)
class LevelShares(Finding, headline=True, nothing_without=("lowest",)):
    """Shares of all declared levels."""

    levels: tuple[LevelShare, ...]  # All levels, column by column
    lowest: LevelShare | None = None  # The level furthest below its declared share


@dataclass(frozen=True)
class GroupOutcome:
    """Outcome of a group, and the loss of models on its real rows."""

    name: str
    # Its outcome in both sets; None where it is more than one number
    real: float | None = None
    synthetic: float | None = None
    # Mean loss of models trained on real and on synthetic rows
    real_loss: float | None = None
    synthetic_loss: float | None = None
    # 95 % interval of the difference of the losses, for all groups at once
    loss_growth: tuple[float, float] | None = None

    @property
    def loss_grows(self) -> bool:
        """Whether models of synthetic rows have a larger loss, beyond chance."""
        return self.loss_growth is not None and self.loss_growth[0] > 0


@dataclass(frozen=True)
class GroupResults(Finding, headline=True, nothing_without=("worst",)):
    """Outcomes of groups of rows."""

    target: str  # Column of the outcome
    # Its classes, of two the second one is counted; empty for the mean of a number
    classes: tuple[str, ...]
    groups: tuple[GroupOutcome, ...]  # All groups

    @property
    def is_share(self) -> bool:
        """Whether outcomes are shares of one class."""
        return len(self.classes) == 2

    @property
    def worst(self) -> GroupOutcome | None:
        """The group whose loss grows most, beyond chance."""
        grown = [group for group in self.groups if group.loss_grows]
        return max(grown, key=lambda g: g.loss_growth[0] if g.loss_growth else 0.0, default=None)

    def group(self, name: str) -> GroupOutcome | None:
        """Return the group of this name."""
        return next((group for group in self.groups if group.name == name), None)


@dataclass(frozen=True)
class ClusterShare:
    """A cluster of similar rows: its place on a plane, and its share of both sets."""

    name: str
    x: float
    y: float
    real: float
    synthetic: float


@dataclass(frozen=True)
class ClusterShares(Finding):
    """Shares of all clusters."""

    clusters: tuple[ClusterShare, ...]


@dataclass(frozen=True)
class RegionShare:
    """A region of rows and its shares in [0, 1]; None where 1 to 10 rows lie in it."""

    condition: str  # The region as a condition
    real: float | None
    synthetic: float | None
    # Rows that the shares are of: those that were compared, which may be fewer than there are
    n_real: int | None = None
    n_synthetic: int | None = None


@dataclass(frozen=True)
class RegionShares(Finding, headline=True, nothing_without=("underrepresented", "overrepresented")):
    """Regions with too few and with too many synthetic rows, most significant first."""

    underrepresented: tuple[RegionShare, ...] = ()
    overrepresented: tuple[RegionShare, ...] = ()


@dataclass(frozen=True)
class DetectableRegion(Finding):
    """Smallest region that could lose half of its rows and be seen, where it is above the margin."""

    # Share of that region among the real rows, and the margin
    share: float
    margin: float
    n_rows_needed: int | None = None  # Rows of each set that would show one as small as the margin


@dataclass(frozen=True)
class ColumnLimit(Finding):
    """Number of columns that were compared, where a setting limits it."""

    n_compared: int
    n_columns: int


@dataclass(frozen=True)
class NamedValues(Finding):
    """Further numbers of a metric, by name."""

    values: Mapping[str, float]


@dataclass(frozen=True)
class FeatureImportances(Finding, headline=True):
    """Loss of a discriminator without each column."""

    importances: Mapping[str, float]  # Column -> loss, largest first
    names: tuple[str, ...]  # Columns whose importance is beyond chance


@dataclass(frozen=True)
class ConfidentRow:
    """A synthetic row that a discriminator is confident of."""

    number: int  # Position in the set that was given, from 1
    probability: float  # Predicted probability of being synthetic
    # Column -> value as text; empty where values are not shown
    values: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class ConfidentRows(Finding):
    """Synthetic rows that a discriminator is most confident of, and what they share."""

    rows: tuple[ConfidentRow, ...]  # The rows, most confident first
    common: RegionShare | None = None  # One or two conditions that most of such rows satisfy

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns whose values are shown."""
        return tuple(dict.fromkeys(name for row in self.rows for name in row.values))


@dataclass(frozen=True)
class BrokenRule:
    """A rule that synthetic rows break more often than real ones."""

    rule: str
    n_synthetic: int  # Synthetic rows that break it
    n_real: int | None  # Real rows that break it; None for 1 to 10


@dataclass(frozen=True)
class BrokenRules(Finding, headline=True, nothing_without=("rules",)):
    """Rules that synthetic rows break more often than real ones, worst first, of `n_rules`."""

    rules: tuple[BrokenRule, ...]
    n_rules: int


@dataclass(frozen=True)
class TextAnomalyShare(Finding, headline=True):
    """Most frequent anomaly of texts, and its share of synthetic and of real texts."""

    description: str
    synthetic: float
    real: float


@dataclass(frozen=True)
class TextFeatures(Finding, headline=True):
    """Words and shapes of words by which a model separates synthetic from real texts."""

    features: tuple[str, ...]


@dataclass(frozen=True)
class ContradictedLabel(Finding, headline=True):
    """Most frequent label that its image contradicts."""

    column: str
    confusion: str


@dataclass(frozen=True)
class CopyCounts(Finding, headline=True):
    """Rows or values that equal one of the train set."""

    column: str | None  # Column of images or texts; None for whole rows
    # Synthetic ones that equal a train one, and all
    n_copies: int
    n_synthetic: int
    # The same of real rows that the generator did not see
    n_real_copies: int
    n_real: int


@dataclass(frozen=True)
class OnePersonCounts(Finding, headline=True):
    """Values that one train person holds."""

    n_values: int  # Over all columns
    n_kept: int  # Of them that occur in the synthetic rows
    n_expected: int  # Of them, if as large a share occurred as of values of unseen persons
    columns: tuple[str, ...] = ()  # Columns with more than chance explains
    n_people: int = (
        0  # Train persons whose values occur, beyond chance, in the worst of these columns
    )


@dataclass(frozen=True)
class AttackRates(Finding, headline=True):
    """Success of an attack on train rows, and on rows that the generator did not see."""

    # Shares in [0, 1]; the text of a range where an exact share would disclose 1 to 10 rows
    members: float | str
    control: float | str
    n_members: int  # Train rows that were attacked
    n_control: int  # Others that were
    n_attempts: int | None = None  # Attempts, where they are not the rows themselves
    attribute: str | None = None  # Sensitive attribute that is inferred best
    n_attributes: int | None = None  # Number of sensitive attributes


@dataclass(frozen=True)
class MembershipAttack(Finding, headline=True):
    """Success of telling a train row from another real row; 0.5 is guessing."""

    success: float  # Share of pairs in which the train row is picked
    upper: float | None = None  # Upper end of its 95 % interval


@dataclass(frozen=True)
class OutlierCounts(Finding, headline=True):
    """Outlier rows that have a near synthetic row; a count is None for 1 to 10."""

    # Outlier rows of the train set, and of rows that the generator did not see
    n_train: int
    n_control: int
    # Those with a synthetic row less than half as far away as any other real row
    near_train: int | None
    near_control: int | None


@dataclass(frozen=True)
class SmallCells(Finding, headline=True):
    """Share of synthetic rows with a combination of values that fewer than `k` train rows have."""

    columns: tuple[str, ...]
    k: int
    share: float


@dataclass(frozen=True)
class CanaryCounts(Finding):
    """Rows that were planted in the train set and came back; `reason` where none could be planted."""

    n: int = 0
    # Those that came back; and of as many that were not planted, those that occur all the same
    n_recovered: int = 0
    n_control_recovered: int = 0
    auc: float | None = None  # Probability that a planted canary lies nearer than another one
    interval: tuple[float, float] | None = None  # Its 95 % interval
    reason: str = ""  # Why none was planted

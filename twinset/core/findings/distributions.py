"""Findings on distributions: columns, pairs, levels, groups, clusters and regions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from .base import Finding


@dataclass(frozen=True)
class ColumnDistances(Finding):
    """Distance of each column from real, largest first."""

    distances: Mapping[str, float]


@dataclass(frozen=True)
class PairDistances(Finding):
    """Distance of each pair of columns from real, largest first: (column, column, distance)."""

    distances: tuple[tuple[str, str, float], ...]


@dataclass(frozen=True)
class DifferingComponents(Finding):
    """Components that differ by a test against chance, most significant first.

    Parameters
    ----------
    kind : str
        What a component is, as a singular noun.
    names : tuple of str
        Those that differ.
    n_tested : int
        Number of components that were tested.
    """

    is_headline: ClassVar[bool] = True
    kind: str
    names: tuple[str, ...]
    n_tested: int

    @property
    def found_nothing(self) -> bool:
        """Whether no component differs."""
        return not self.names


@dataclass(frozen=True)
class DifferingTriples(Finding):
    """Triples of columns that differ by a test against chance.

    Parameters
    ----------
    n_differing, n_tested : int
        Triples that differ, and all that were tested.
    worst : tuple of str
        Columns of the triple farthest beyond chance; empty where none differs.
    distance, chance_distance : float
        Its distance, and that of two samples of equal distribution.
    """

    is_headline: ClassVar[bool] = True
    n_differing: int
    n_tested: int
    worst: tuple[str, ...] = ()
    distance: float = 0.0
    chance_distance: float = 0.0

    @property
    def found_nothing(self) -> bool:
        """Whether no triple differs."""
        return not self.n_differing


@dataclass(frozen=True)
class MissingCellPattern(Finding):
    """Columns whose missing cells differ from the real ones by a test against chance.

    Parameters
    ----------
    columns : tuple of str
        Columns whose share of missing cells differs.
    moved : str, optional
        Column whose cells are missing in other rows than in the real set.
    seen_in : tuple of str
        Columns that show it.
    n_missing : int
        Rows with a missing cell; 0 where no cell is missing in either set.
    """

    is_headline: ClassVar[bool] = True
    columns: tuple[str, ...] = ()
    moved: str | None = None
    seen_in: tuple[str, ...] = ()
    n_missing: int = 0

    @property
    def found_nothing(self) -> bool:
        """Whether the missing cells do not differ."""
        return not self.columns and self.moved is None


@dataclass(frozen=True)
class PermutationTest(Finding):
    """Share of shuffled labels that give as large a distance.

    Parameters
    ----------
    p_value : float
        The share, in [0, 1].
    """

    is_headline: ClassVar[bool] = True
    p_value: float

    @property
    def found_nothing(self) -> bool:
        """Whether chance explains the distance."""
        # The usual level of a two-sample test; it selects a sentence, never the verdict.
        return self.p_value > 0.05


@dataclass(frozen=True)
class FarthestEmbedding(Finding):
    """Name of the embedding by which both sets lie farthest apart."""

    is_headline: ClassVar[bool] = True
    name: str


@dataclass(frozen=True)
class LevelShare:
    """Share of a level in the synthetic set, and its declared share, each in [0, 1]."""

    column: str
    level: str
    found: float
    declared: float


@dataclass(frozen=True)
class LevelShares(Finding):
    """Shares of all declared levels.

    Parameters
    ----------
    levels : tuple of LevelShare
        All levels, column by column.
    lowest : LevelShare, optional
        The level furthest below its declared share.
    """

    is_headline: ClassVar[bool] = True
    levels: tuple[LevelShare, ...]
    lowest: LevelShare | None = None

    @property
    def found_nothing(self) -> bool:
        """Whether no level is below its declared share."""
        return self.lowest is None


@dataclass(frozen=True)
class GroupOutcome:
    """Outcome of a group, and the loss of models on its real rows.

    Parameters
    ----------
    name : str
        The group.
    real, synthetic : float, optional
        Its outcome in both sets; None where it is more than one number.
    real_loss, synthetic_loss : float, optional
        Mean loss of models trained on real and on synthetic rows.
    loss_growth : tuple of float, optional
        95 % interval of the difference of the losses, for all groups at once.
    """

    name: str
    real: float | None = None
    synthetic: float | None = None
    real_loss: float | None = None
    synthetic_loss: float | None = None
    loss_growth: tuple[float, float] | None = None

    @property
    def loss_grows(self) -> bool:
        """Whether models of synthetic rows have a larger loss, beyond chance."""
        return self.loss_growth is not None and self.loss_growth[0] > 0


@dataclass(frozen=True)
class GroupResults(Finding):
    """Outcomes of groups of rows.

    Parameters
    ----------
    target : str
        Column of the outcome.
    classes : tuple of str
        Its classes, of two the second one is counted; empty for the mean of a number.
    groups : tuple of GroupOutcome
        All groups.
    """

    is_headline: ClassVar[bool] = True
    target: str
    classes: tuple[str, ...]
    groups: tuple[GroupOutcome, ...]

    @property
    def is_share(self) -> bool:
        """Whether outcomes are shares of one class."""
        return len(self.classes) == 2

    @property
    def worst(self) -> GroupOutcome | None:
        """The group whose loss grows most, beyond chance."""
        grown = [group for group in self.groups if group.loss_grows]
        return max(grown, key=lambda g: g.loss_growth[0] if g.loss_growth else 0.0, default=None)

    @property
    def found_nothing(self) -> bool:
        """Whether the loss grows in no group."""
        return self.worst is None

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
    """A region of rows and its shares; a share is None where 1 to 10 rows lie in it.

    Parameters
    ----------
    condition : str
        The region as a condition.
    real, synthetic : float, optional
        Shares of both sets, in [0, 1].
    """

    condition: str
    real: float | None
    synthetic: float | None


@dataclass(frozen=True)
class RegionShares(Finding):
    """Regions with too few and with too many synthetic rows, most significant first."""

    is_headline: ClassVar[bool] = True
    underrepresented: tuple[RegionShare, ...] = ()
    overrepresented: tuple[RegionShare, ...] = ()

    @property
    def found_nothing(self) -> bool:
        """Whether no region differs."""
        return not self.underrepresented and not self.overrepresented


@dataclass(frozen=True)
class DetectableRegion(Finding):
    """Smallest region that could lose half of its rows and be seen, where it is above the margin.

    Parameters
    ----------
    share, margin : float
        Share of that region among the real rows, and the margin.
    n_rows_needed : int, optional
        Rows of each set that would show a region as small as the margin.
    """

    share: float
    margin: float
    n_rows_needed: int | None = None


@dataclass(frozen=True)
class ColumnLimit(Finding):
    """Number of columns that were compared, where a setting limits it."""

    n_compared: int
    n_columns: int


@dataclass(frozen=True)
class NamedValues(Finding):
    """Further numbers of a metric, by name."""

    values: Mapping[str, float]

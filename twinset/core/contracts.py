"""What a generator, an augmenter and a metric promise; `twinset.testing` checks every promise."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from twinset.core.data.dataset import Dataset
from twinset.core.data.schema import Schema
from twinset.core.data.where import Where
from twinset.core.findings import Finding, HasFindings, NotMeasured, Verdict
from twinset.core.parameters import check_parameters
from twinset.core.reading_faults import ReadingFault

if TYPE_CHECKING:
    import numpy.typing as npt

    from twinset.core.features.embedders import TextEmbedding

Progress = Callable[[str, int, int], None]
"""Called as ``progress(step, done, total)``."""

Refit = Callable[[Dataset, int, np.random.Generator], Dataset]
"""Called as ``refit(real, n, rng)``: fits the generator of a set to other rows, draws at most `n` rows."""
Positions = npt.NDArray[np.int64]
RefitRows = Callable[[Positions, Positions, int, np.random.Generator], Dataset]
"""Called as ``refit(train positions, reference positions, n, rng)``: fits to these real rows."""

MetricFamily = Literal["integrity", "gap", "coverage", "utility", "privacy"]


def silent(step: str, done: int, total: int) -> None:
    """Report progress to nobody."""


class FittedGenerator(ABC):
    """What `Generator.fit` returns: it knows its schema and can be asked for rows."""

    schema: Schema

    @abstractmethod
    def sample(self, n: int, rng: np.random.Generator, where: Where | None = None) -> Dataset:
        """Return exactly `n` new rows in `schema`, drawn from `rng` alone.

        Parameters
        ----------
        n : int
            Number of rows, 0 or more.
        rng : numpy.random.Generator
            The only source of randomness; it is not kept.
        where : Where, optional
            Condition that every row must meet.

        Raises
        ------
        ParameterError
            The condition is of a form this generator cannot honour, or cannot be met.
        """


@runtime_checkable
class TracedGenerator(Protocol):
    """A fitted generator whose rows are each made from one or two real rows, and that says which.

    Equal streams give equal rows, of which the first n do not depend on how many follow.
    """

    schema: Schema

    def draw(
        self, n: int, rng: np.random.Generator, where: Where | None = None
    ) -> tuple[Dataset, npt.NDArray[np.int64]]:
        """Return `n` rows, and the positions of their parents in the rows given to `fit`, (n, 2)."""

    def fill(
        self, out: npt.NDArray[np.float64], rng: np.random.Generator, where: Where | None = None
    ) -> npt.NDArray[np.int64]:
        """Write the numbers of `len(out)` rows into `out`, shape (n, p), and return the parents.

        One column for each field of kind number, integer and datetime (microseconds since 1970), in
        the order of the schema; missing is NaN. The same rows as `draw` gives, without Arrow.
        """


class Generator(ABC):
    """Settings of a way to make rows: subclasses are frozen, keyword-only dataclasses.

    One generator is one file; the path below `generators/` is its name in recipes, the first line of
    the class docstring its text in ``twinset list``, its dataclass fields are its parameters.

    Class attributes
    ----------------
    kinds : frozenset of str
        Field kinds it can make. `id` and `text` columns are withheld from generators that do
        not list them, and get placeholders.
    chunk_rows : int
        Rows in one chunk. Every chunk has its own stream, so output does not depend on workers.
    needs_real : bool
        Whether `fit` needs a real set; a procedural generator takes None.
    needs_others : bool
        Whether, to make rows of one class, it looks at rows of the other classes. Such a one is fitted
        on the whole train set, and `where` names the class when rows are drawn.
    extra, note : str or None, str
        The extra that brings its libraries; what the card of its output must say, e.g. of generators that
        interpolate between real rows.
    """

    kinds: ClassVar[frozenset[str]]
    chunk_rows: ClassVar[int] = 16_384
    needs_real: ClassVar[bool] = True
    needs_others: ClassVar[bool] = False
    extra: ClassVar[str | None] = None
    note: ClassVar[str] = ""

    def __post_init__(self) -> None:
        """Check every setting against the range that its annotation declares."""
        check_parameters(self)

    @abstractmethod
    def fit(
        self, real: Dataset | None, rng: np.random.Generator, progress: Progress = silent
    ) -> FittedGenerator:
        """Return a fitted generator; `real` is left as it was.

        `real` holds only the rows that the step's `where` means, with no reserved column but `_id`.

        Raises
        ------
        FitError
            These data cannot be learnt from.
        SchemaError
            A column is of a kind that this generator does not make.
        """


class Augmenter(ABC):
    """Settings of a way to vary real rows: parameters are drawn first, then applied by a pure function.

    Every output row keeps the `_id` of its parent in `_parents`. Class attributes are those of `Generator`.
    """

    kinds: ClassVar[frozenset[str]]
    chunk_rows: ClassVar[int] = 4_096
    varies_cells: ClassVar[bool] = False  # Cells of tables, whose values may be those of one person
    extra: ClassVar[str | None] = None
    note: ClassVar[str] = ""

    def __post_init__(self) -> None:
        """Check every setting against the range that its annotation declares."""
        check_parameters(self)

    @abstractmethod
    def draw(self, dataset: Dataset, rng: np.random.Generator) -> Mapping[str, npt.NDArray[Any]]:
        """Return the parameters for each row: arrays whose first axis is the row, length n."""

    @abstractmethod
    def apply(self, dataset: Dataset, params: Mapping[str, npt.NDArray[Any]]) -> Dataset:
        """Return the varied rows, in order; the same parameters give the same bytes."""


@dataclass(frozen=True)
class ComparisonContext:
    """What the harness passes to a metric beside the rows.

    Parameters
    ----------
    value_only : bool
        Whether only the value will be read, as of the floor; it must be the same either way.
    places : numpy.ndarray of int, shape (n,), optional
        Positions of the candidate's rows in the set that was given, from 0; None for all in order.
    refit : callable, optional
        Fits the generator of the candidate to other real rows; None where it is not at hand.
    text_embeddings : tuple of TextEmbedding
        Embedders of texts; empty for hashed words and pairs of words.
    reading_faults : tuple of ReadingFault, optional
        How the candidate's file is written otherwise than the real one; None where it was not read.
    """

    value_only: bool = False
    places: Positions | None = None
    refit: RefitRows | None = None
    text_embeddings: tuple[TextEmbedding, ...] = ()
    reading_faults: tuple[ReadingFault, ...] | None = None


@dataclass(frozen=True)
class Comparison:
    """Rows that a metric compares; the harness fills it, so that metrics need not know about halves.

    Parameters
    ----------
    train, reference : Dataset
        Real rows that the generator was fitted on, and real rows that it was not.
    synthetic : Dataset
        The candidate: synthetic rows, or real rows where the harness measures the baseline.
    target, positive : str, optional
        The column to predict, and its label that counts as positive, as text.
    population : mapping
        Declared shares, column -> {level: share}; from the brief.
    cache : dict
        Results of one metric on real rows, for all candidates of one size; never of a candidate's rows.
    context : ComparisonContext
        Further inputs.
    """

    train: Dataset
    synthetic: Dataset
    reference: Dataset
    target: str | None = None
    positive: str | None = None
    population: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    cache: dict[str, Any] = field(default_factory=dict, compare=False, repr=False)
    context: ComparisonContext = field(default_factory=ComparisonContext, compare=False, repr=False)

    @property
    def value_only(self) -> bool:
        """Whether only the value will be read."""
        return self.context.value_only

    @property
    def places(self) -> Positions | None:
        """Positions of the candidate's rows in the set that was given."""
        return self.context.places

    @property
    def text_embeddings(self) -> tuple[TextEmbedding, ...]:
        """Embedders of texts."""
        return self.context.text_embeddings


@dataclass(frozen=True)
class ComponentResults:
    """Values of a metric by component, e.g. by column; the harness finds those that differ.

    A mean over many columns hides one that is off. So each component is compared with its own baseline,
    and the false discovery rate over all of them is controlled before any is called different.

    Parameters
    ----------
    kind, names : str, tuple of str
        What a component is, as a singular noun: "column", "pair"; and its name for the reader.
    values, replicates : numpy.ndarray, shapes (p,) and (b, p)
        Value of each component, in the direction and unit of the metric; and its bootstrap replicates.
    margin : float
        Largest degradation of one component that is still equivalent to real rows.
    """

    kind: str
    names: tuple[str, ...]
    values: npt.NDArray[np.float64]
    replicates: npt.NDArray[np.float64]
    margin: float


@dataclass(frozen=True)
class Measurement(HasFindings):
    """What `Metric.compute` returns.

    Parameters
    ----------
    value : float
        The number.
    replicates : numpy.ndarray, shape (b,)
        Bootstrap replicates of the number; empty when it has no sampling error. Two calls with equal
        streams on equally large sets resample alike, which lets the harness pair them.
    findings : tuple of Finding
        Typed results, at most one of each type, without any real row. The harness reads
        `DecidingRows`, where not all rows decide the number.
    components : ComponentResults, optional
        Values by component; one component that is different makes the whole different.
    facts : mapping
        Further plain JSON values, which no code reads.
    """

    value: float
    replicates: npt.NDArray[np.float64] = field(default_factory=lambda: np.empty(0))
    findings: tuple[Finding, ...] = ()
    components: ComponentResults | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)


class NotMeasurable(Exception):
    """Raised by a metric that lacks what it needs; its sentence goes onto the report."""


class Role(StrEnum):
    """Use of a metric in the report beside the answer of its family."""

    APPEARANCE = "appearance"
    """A difference makes the rows unlike real ones to the eye."""
    BASIC_APPEARANCE = "basic appearance"
    """As above; one such metric at least must be measured for an answer."""
    IMAGE_APPEARANCE = "image appearance"
    """A difference is reported as a caution before any use."""
    DEPENDENCE = "dependence"
    """Compares the dependence between columns, so that its floor is the worst case."""
    REPRESENTATION = "representation"
    """A difference means that groups or regions do not have their share."""
    SUBSTITUTE_MODEL = "substitute model"
    """Compares a model of synthetic rows with one of real rows."""
    EXCHANGE_RATE = "exchange rate"
    """Counts synthetic rows in real ones."""
    MODEL_CHOICE = "model choice"
    """Compares the order of models by synthetic and by real rows."""
    DECLARED_SHARES = "declared shares"
    """Compares with declared shares, not with real rows."""


class Metric(ABC):
    """Settings of a measure: subclasses are frozen, keyword-only dataclasses with a field `margin`.

    The harness computes baseline, floor, interval and verdict; a metric's author writes `compute` only.
    A metric describes itself: one file holds all that a report needs to show it.

    Class attributes
    ----------------
    family : {"integrity", "gap", "coverage", "utility", "privacy"}
        Which question it answers; its place on the page.
    title : str
        Its name for the reader; by default the last part of its path.
    interpretation : str
        How to read the value; by default the first line of the class docstring.
    roles : frozenset of Role
        What it is used for beside its family.
    sees_everything : bool
        Whether it compares all columns at once, and cannot say where a difference lies.
    attack : str or None
        Name by which a user requests it, of an attack that takes far longer than all other metrics.
    higher_is_better : bool
        Direction of good.
    bounds : tuple of float
        Least and greatest possible value.
    kinds, needs : frozenset of str
        Field kinds it can compare, others are excluded; and those it cannot do without.
    has_floor : bool
        Whether independent columns are a sensible worst case for it.
    known_baseline : float or None
        What real rows score by definition, e.g. 1,000 where rows are counted in real rows. The harness
        takes it as exact and does not measure real rows; None has them measured.
    needs_real : bool
        Whether it needs real rows; one that does not gets empty `train` and `reference`.
    is_thorough : bool
        Whether it takes a while and a quick look leaves it out.
    on_request : bool
        Whether it runs only where it is requested, because it takes far longer than all others.
    whole_holdout : bool
        Whether it compares with all of the holdout; only with a known baseline, which needs no half.
    reads_identifiers : bool
        Whether identifiers, and free texts of tables, are among its columns.
    uses_all_rows : bool
        Whether it compares all synthetic rows with all real ones, `train` and `reference` together, as
        one that needs no sets of equal size.
    uses_learnt_embedders : bool
        Whether it compares vectors of embedders that learn; where no metric does, none is trained.
    needs_same_time : bool
        Whether it takes train and holdout for draws from one distribution, which a later holdout is not.
    """

    family: ClassVar[MetricFamily]
    title: ClassVar[str] = ""
    interpretation: ClassVar[str] = ""
    roles: ClassVar[frozenset[Role]] = frozenset()
    sees_everything: ClassVar[bool] = False
    attack: ClassVar[str | None] = None
    higher_is_better: ClassVar[bool]
    bounds: ClassVar[tuple[float, float]]
    kinds: ClassVar[frozenset[str]]
    needs: ClassVar[frozenset[str]] = frozenset()
    has_floor: ClassVar[bool] = True
    known_baseline: ClassVar[float | None] = None
    needs_real: ClassVar[bool] = True
    is_thorough: ClassVar[bool] = False
    on_request: ClassVar[bool] = False
    whole_holdout: ClassVar[bool] = False
    reads_identifiers: ClassVar[bool] = False
    uses_all_rows: ClassVar[bool] = False
    uses_learnt_embedders: ClassVar[bool] = True
    needs_same_time: ClassVar[bool] = False
    extra: ClassVar[str | None] = None
    margin: float

    def __post_init__(self) -> None:
        """Check every setting against the range that its annotation declares."""
        check_parameters(self)

    @abstractmethod
    def compute(self, comparison: Comparison, rng: np.random.Generator) -> Measurement:
        """Return the measurement of `comparison`.

        Raises
        ------
        NotMeasurable
            Something that the measure needs is not there.
        """


@dataclass(frozen=True)
class Estimate:
    """Numbers of a score.

    Parameters
    ----------
    value, baseline, floor : float or None
        Value of the candidate, of real rows in its place, and of independent columns.
    interval : tuple of float or None
        95 % interval of `value - baseline`.
    detectable : float or None
        Smallest degradation that this comparison would have called different, in four cases of five: the
        margin, and as much again as chance may hide.
    """

    value: float | None = None
    baseline: float | None = None
    floor: float | None = None
    interval: tuple[float, float] | None = None
    detectable: float | None = None


@dataclass(frozen=True)
class Score(HasFindings):
    """A metric's result beside its real-against-real baseline.

    Parameters
    ----------
    metric, family : str
        Name and family of the metric.
    margin, higher_is_better : float, bool
        Largest degradation, in the metric's unit, that is still equivalent; direction of good.
    verdict : Verdict
        By margin: the whole interval inside it, outside it, or neither.
    estimate : Estimate
        The numbers; each is also an attribute of the score.
    findings : tuple of Finding
        Typed results of the metric, and those that the harness adds.
    facts : mapping
        Further plain JSON values, which no code reads.
    """

    metric: str
    family: MetricFamily
    margin: float
    higher_is_better: bool
    verdict: Verdict
    estimate: Estimate = field(default_factory=Estimate)
    findings: tuple[Finding, ...] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)

    @property
    def value(self) -> float | None:
        """Value of the candidate."""
        return self.estimate.value

    @property
    def baseline(self) -> float | None:
        """Value of real rows in the candidate's place."""
        return self.estimate.baseline

    @property
    def floor(self) -> float | None:
        """Value of independent columns."""
        return self.estimate.floor

    @property
    def interval(self) -> tuple[float, float] | None:
        """95 % interval of `value - baseline`."""
        return self.estimate.interval

    @property
    def detectable(self) -> float | None:
        """Smallest degradation that this comparison would have called different."""
        return self.estimate.detectable

    @property
    def is_measured(self) -> bool:
        """Whether the score has a value."""
        return self.verdict != Verdict.NOT_MEASURABLE

    @property
    def reason(self) -> str:
        """Reason why there is no value; empty where there is one, or no reason is known."""
        found = self.finding(NotMeasured)
        return "" if found is None else found.reason

    def to_json(self) -> dict[str, Any]:
        """Return the score as plain JSON values, the numbers of the estimate beside the others."""
        own = {
            name: getattr(self, name) for name in self.__dataclass_fields__ if name != "estimate"
        }
        numbers = {name: getattr(self, name) for name in Estimate.__dataclass_fields__}
        return {
            **own,
            **numbers,
            "interval": list(self.interval) if self.interval else None,
            "verdict": self.verdict.value,
            "findings": [found.to_json() for found in self.findings],
            "facts": dict(self.facts),
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Score:
        """Return the score that `to_json` wrote; further keys are ignored."""
        numbers = {name: value[name] for name in Estimate.__dataclass_fields__}
        low_high = numbers["interval"]
        numbers["interval"] = (low_high[0], low_high[1]) if low_high else None
        own = {name: value[name] for name in cls.__dataclass_fields__ if name != "estimate"}
        own["verdict"] = Verdict(own["verdict"])
        own["findings"] = tuple(map(Finding.from_json, own["findings"]))
        return cls(**own, estimate=Estimate(**numbers))


class WholeSet(Protocol):
    """What a generator keeps of one set while it is drawn in chunks, so that promises hold over all of it.

    `place` may be called for several chunks at once; the others are called in the order of the rows.
    """

    def begin(self, n: int, where: Where | None) -> None:
        """Start a part of `n` rows under a condition; raise ParameterError if they cannot be had."""

    def place(self, first: int, n: int, rng: np.random.Generator, where: Where | None) -> Dataset:
        """Return the `n` rows from position `first` of the part on, whatever other chunks hold."""

    def record(self, earlier: Dataset) -> None:
        """Remember rows that were made before this set."""

    def admit(
        self, placed: Dataset, first: int, n: int, rng: np.random.Generator, where: Where | None
    ) -> Dataset:
        """Return the first `n` rows of a placed chunk, repaired where they clash with earlier ones."""

    def notes(self) -> tuple[str, ...]:
        """Return what the card tells of the set, once all rows are admitted."""


@runtime_checkable
class ChecksSettings(Protocol):
    """A generator that can say before any work whether it will be able to do it."""

    def check(self, rows: int | None = None) -> None:
        """Raise what `fit` would raise of the settings alone, and of making `rows` rows."""


@runtime_checkable
class TakesAssets(Protocol):
    """A generator that uses data sets which the recipe names under `assets`."""

    def with_assets(self, assets: Mapping[str, Dataset]) -> Generator:
        """Return the generator with these sets in hand."""


@runtime_checkable
class SetGenerator(Protocol):
    """A fitted generator that promises something about whole sets: exact shares, no row twice."""

    schema: Schema

    def open_set(self) -> WholeSet:
        """Return the state of a new set."""


class Account(Protocol):
    """What an augmenter keeps of one step while its chunks are varied, one after the other.

    `draw` and `apply` stand in the place of the augmenter's own, and are called in the order of the rows.
    """

    def draw(self, dataset: Dataset, rng: np.random.Generator) -> Mapping[str, npt.NDArray[Any]]:
        """Return the parameters for each row, seen what came before."""

    def apply(self, dataset: Dataset, params: Mapping[str, npt.NDArray[Any]]) -> Dataset:
        """Return the varied rows, and remember what came of them."""

    def notes(self) -> tuple[str, ...]:
        """Return what the card tells of the step, once all rows are varied."""


@runtime_checkable
class KeepsAccount(Protocol):
    """An augmenter that promises something about whole steps: every template with every noise."""

    def open_account(self) -> Account | None:
        """Return the account of a new step; None where these settings promise nothing."""


LeakKind = Literal[
    "synthetic_rows", "parents", "copies", "changed_copies", "near_copies", "oversampled",
    "interpolated", "group", "time", "events", "preprocessing", "future", "label",
]  # fmt: skip

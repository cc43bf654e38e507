"""Values that one person of the train set holds, in synthetic rows and in unseen real rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, ClassVar

import numpy as np
import numpy.typing as npt

from twinset.core.contracts import Comparison, Measurement, Metric, MetricFamily, NotMeasurable
from twinset.core.data.dataset import Dataset
from twinset.core.data.knowable_columns import propose_quasi_identifiers
from twinset.core.data.marginal import Grid
from twinset.core.data.persons import count_holders, person_codes
from twinset.core.data.schema import TABULAR_KINDS
from twinset.core.disclosure import UntestedColumns
from twinset.core.findings import OnePersonCounts
from twinset.core.parameters import Interval, Margin
from twinset.core.stats.hypothesis_tests import excess_p

from ._canonical import canonical_columns
from ._spelt_values import Keys, identifier_keys, running_numbers, word_runs

Floats = npt.NDArray[np.float64]
# Share of unseen rows with an identifier or text of one train person, from which a copied one cannot be
# distinguished from one that both sets share, as customers of both
_MAX_SHARED = 0.5
_NEAR = 10  # train values on either side that show how many places near a number are taken


@dataclass(frozen=True, kw_only=True)
class OnePersonValues(Metric):
    """Share of the values of single train persons that synthetic rows repeat, beyond unseen real rows.

    value = sum_j max(0, k_j - e_j) / sum_j u_j  over the columns j beyond chance

    Columns are tabular ones, identifiers and free texts; units, spellings and codes are made alike first.
    The values of a text are its runs of eight words, so that a copied sentence counts in a new text. In
    column j, u_j values are held by exactly one person of the train set, k_j of them occur in the
    synthetic rows, and e_j is how many would occur in as many unseen real rows: with h hits among m
    rows of the holdout, u_j (1 - exp(-h n / (m u_j))) for n synthetic rows. A person is a row, or all
    rows of one value of the column with the role group (else of a repeated identifier). Where no number
    occurs in two real rows, as in a running number, h / m is the share of the places near the synthetic
    numbers that train rows have; so it is with numbered identifiers.

    A column counts if Fisher's exact test says that synthetic rows hit such values more often than
    unseen ones (at `significance` divided by the number of columns). If none does, all columns together
    count if the hits of a row are more on average (a one-sided z test). The share is not exact, so that 0
    decides nothing, where such values in a quarter of the synthetic rows could be chance. The gate
    ``max: 0`` means: no value of a single person is shown to be repeated more often than by chance.
    Range [0, 1].

    Parameters
    ----------
    margin : float
        Largest share that still counts as equivalent.
    significance : float
        Level of the tests, in (0, 0.5].
    """

    family: ClassVar[MetricFamily] = "privacy"
    title: ClassVar[str] = "values of single persons"
    interpretation: ClassVar[str] = (
        "The share of values that only one training person has and that synthetic rows repeat, beyond "
        "what unseen real rows repeat by chance. Such a value can be looked up."
    )
    higher_is_better: ClassVar[bool] = False
    bounds: ClassVar[tuple[float, float]] = (0.0, 1.0)
    kinds: ClassVar[frozenset[str]] = TABULAR_KINDS | {"id", "text"}
    has_floor: ClassVar[bool] = False
    known_baseline: ClassVar[float | None] = 0.0
    whole_holdout: ClassVar[bool] = True
    reads_identifiers: ClassVar[bool] = True

    margin: Margin = 0.0
    significance: Annotated[float, Interval(gt=0, le=0.5)] = 0.01

    def compute(self, comparison: Comparison, rng: np.random.Generator) -> Measurement:
        """Return the share beyond chance, 0 to 1; facts name the columns and count their values."""
        sets = (comparison.train, comparison.synthetic, comparison.reference)
        if not all(len(part) for part in sets):
            raise NotMeasurable("there are no rows to compare")
        counted = count_one_person_values(*sets)
        columns = {name: one for name, one in counted.items() if one.n_values}
        n_values = sum(one.n_values for one in columns.values())
        beyond = beyond_chance(columns, self.significance)
        excess = sum(max(0.0, columns[name].kept - columns[name].expected) for name in beyond)
        found = OnePersonCounts(
            n_values,
            sum(one.kept for one in columns.values()),
            round(sum(one.expected for one in columns.values())),
            tuple(beyond),
            max((columns[name].n_people for name in beyond), default=0),
        )
        facts = {name: [one.n_values, one.kept, one.expected] for name, one in columns.items()}
        value = excess / n_values if n_values else 0.0
        # Without replicates the share counts as exact; with some, as that of so few rows.
        is_shown = not columns or beyond or self._has_power(len(columns), *map(len, sets[1:]))
        replicates = np.empty(0) if is_shown else np.zeros(2)
        untested = _untested(comparison.train, counted, len(comparison.reference))
        return Measurement(value, replicates, findings=(found, untested), facts={"columns": facts})

    def _has_power(self, n_columns: int, n: int, n_unseen: int) -> bool:
        """Return whether the test of a column finds values in a quarter of the rows, unseen in others."""
        return excess_p(-(-n // 4), n, 0, n_unseen) < self.significance / n_columns


@dataclass(frozen=True)
class ColumnCounts:
    """Values of one column that a single person holds, and how often other rows have them."""

    n_values: int
    kept: int  # of them that occur in the synthetic rows
    hits: npt.NDArray[np.bool_]  # synthetic rows that have one of them, shape (n,)
    unseen_hits: Floats  # how many of them each unseen real row has on average, 0 to 1, (m,)
    people: int  # train persons who hold those that occur in the synthetic rows

    @classmethod
    def from_keys(
        cls, train: Keys, synthetic: Keys, unseen: Keys, persons: npt.NDArray[np.int64]
    ) -> ColumnCounts:
        """Return the counts of a column whose values are given as one key a row.

        Examples
        --------
        >>> keys = lambda *values: np.array(values, dtype=np.uint64)
        >>> counts = ColumnCounts.from_keys(keys(1, 1, 2, 3), keys(2, 9, 9), keys(1, 1), np.arange(4))
        >>> counts.n_values, counts.kept, counts.expected
        (2, 1, 0.0)
        """
        known, where = np.unique(train, return_inverse=True)
        is_single = count_holders(where.ravel(), persons, len(known)) == 1
        single = known[is_single]
        is_kept = np.isin(known, synthetic) & is_single
        hits, unseen_hits = (np.isin(part, single) for part in (synthetic, unseen))
        people = np.unique(persons[is_kept[where.ravel()]])
        return cls(
            len(single), int(is_kept.sum()), hits, unseen_hits.astype(np.float64), len(people)
        )

    @classmethod
    def from_texts(
        cls, sets: Sequence[Dataset], name: str, persons: npt.NDArray[np.int64]
    ) -> ColumnCounts:
        """Return the counts of a column of texts in train, synthetic and unseen rows.

        A text counts as a value if one of its runs of words is in the texts of one person alone.
        """
        (train, row), *others = word_runs(sets, name)
        known, where = np.unique(train, return_inverse=True)
        single = known[count_holders(where.ravel(), persons[row], len(known)) == 1]
        is_single, is_kept = np.isin(train, single), np.isin(train, others[0][0])
        kept = np.unique(row[is_single & is_kept])
        hits = [np.zeros(len(part), dtype=bool) for part in sets[1:]]
        for hit, (runs, at) in zip(hits, others, strict=True):
            hit[at[np.isin(runs, single)]] = True
        people = len(np.unique(persons[kept]))
        n_values = len(np.unique(row[is_single]))
        return cls(n_values, len(kept), hits[0], hits[1].astype(np.float64), people)

    @property
    def expected(self) -> float:
        """Number of the values that as many unseen real rows as there are synthetic ones would have."""
        hits = self.unseen_hits.mean() * len(self.hits)
        return float(self.n_values * -np.expm1(-hits / self.n_values))

    @property
    def n_people(self) -> int:
        """Train persons who hold the values that occur, beyond those of whom as many unseen rows would."""
        return max(0, round(self.people - self.expected))

    @property
    def p_value(self) -> float:
        """Probability of so many hits if synthetic rows hit such values as often as unseen ones."""
        hits, unseen = int(self.hits.sum()), round(self.unseen_hits.sum())
        return excess_p(hits, len(self.hits), unseen, len(self.unseen_hits))


def _untested(
    train: Dataset, counted: Mapping[str, ColumnCounts], n_unseen: int
) -> UntestedColumns:
    """Return what the values of single columns do not show."""
    shared = {
        name for name, one in counted.items() if one.unseen_hits.sum() > _MAX_SHARED * n_unseen
    }
    fields = [field for field in train.schema.fields if field.name in shared]
    identifiers = tuple(f.name for f in fields if f.column_kind.is_key or f.role == "identifier")
    texts = tuple(field.name for field in fields if field.kind == "text")
    return UntestedColumns(identifiers, texts, propose_quasi_identifiers(train))


def beyond_chance(columns: dict[str, ColumnCounts], significance: float) -> list[str]:
    """Return the columns whose values are repeated beyond chance; all where only their sum is."""
    if not columns:
        return []
    found = [name for name, one in columns.items() if one.p_value < significance / len(columns)]
    if found:
        return found
    from scipy.special import ndtr

    every = list(columns.values())
    rows: Floats = np.sum([one.hits for one in every], axis=0, dtype=np.float64)
    unseen: Floats = np.sum([one.unseen_hits for one in every], axis=0, dtype=np.float64)
    # One row more that hits every column: a variance of 0 in few rows shows nothing.
    spread = [(part.var() + len(every) / len(part)) / len(part) for part in (rows, unseen)]
    z = (rows.mean() - unseen.mean()) / np.sqrt(sum(spread))
    return list(columns) if ndtr(-z) < significance else []


def count_one_person_values(
    train: Dataset, synthetic: Dataset, unseen: Dataset
) -> dict[str, ColumnCounts]:
    """Return the counts of each column of three sets: tabular ones, identifiers and texts."""
    persons = person_codes(train)
    sets = train, synthetic, unseen
    counts = {}
    plain, spelt = [], []
    for field in train.schema.fields:
        if field.kind == "text":
            counts[field.name] = ColumnCounts.from_texts(sets, field.name, persons)
        elif field.column_kind.is_key or field.role == "identifier":
            spelt.append(field.name)
        elif field.is_tabular:
            plain.append(field.name)
    for name in spelt:
        keys = identifier_keys(sets, name)
        found = ColumnCounts.from_keys(keys[0], keys[1], keys[2], persons)
        counts[name] = _correct(found, running_numbers(sets, name), 1.0, is_time=False)
    for column in canonical_columns(train, unseen, synthetic, plain):
        if column.is_drifted(len(train)):
            continue  # synthetic rows of the time of the train set hit its values without a leak
        real, made = column.exact
        keys = [part.astype(np.uint64) for part in (real[: len(train)], made, real[len(train) :])]
        found = ColumnCounts.from_keys(keys[0], keys[1], keys[2], persons)
        if column.is_number:
            field = train.schema[column.name]
            numbers = [column.real[: len(train)], column.synthetic, column.real[len(train) :]]
            unit = field.column_kind.step(
                np.sort(numbers[0][~np.isnan(numbers[0])]), field.decimals
            )
            found = _correct(found, numbers, unit, is_time=field.is_time)
        counts[column.name] = found
    return {name: counts[name] for name in train.schema.names if name in counts}


def _correct(
    found: ColumnCounts, numbers: Sequence[Floats] | None, unit: float | None, *, is_time: bool
) -> ColumnCounts:
    """Return the counts with hits expected from the places that are taken, where no number repeats."""
    if numbers is None:
        return found
    real = np.concatenate([part[~np.isnan(part)] for part in (numbers[0], numbers[2])])
    if len(np.unique(real)) < len(real):
        return found
    share = _share_of_places(numbers[0], numbers[1], unit, is_time)
    return replace(found, unseen_hits=np.full(len(found.unseen_hits), share, dtype=np.float64))


def _share_of_places(train: Floats, synthetic: Floats, unit: float | None, is_time: bool) -> float:
    """Return how many of the places where synthetic numbers lie train rows have, 0 to 1, on average.

    No number of a key occurs in two real rows, so unseen rows say nothing: a row number that some
    train row has is hit by any number drawn near it.
    """
    known, made = (np.sort(part[~np.isnan(part)]) for part in (train, synthetic))
    width = Grid.fit(known, np.ones(len(known), np.int64), unit, is_time).place_width
    if not width or not len(made) or len(known) < 2:
        return 0.0
    at = np.searchsorted(known, made)
    low, high = np.maximum(at - _NEAR, 0), np.minimum(at + _NEAR, len(known) - 1)
    places = (known[high] - known[low]) / width
    inside = (made >= known[0]) & (made <= known[-1])
    return float(np.sum(np.minimum((high - low) / places, 1.0) * inside) / len(synthetic))

"""Values that one person of the train set holds, in synthetic rows and in unseen real rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np
import numpy.typing as npt

from twinset.core.contracts import Comparison, Measurement, Metric, MetricFamily, NotMeasurable
from twinset.core.data.dataset import Dataset
from twinset.core.data.persons import count_holders, person_codes
from twinset.core.data.schema import TABULAR_KINDS
from twinset.core.findings import OnePersonCounts
from twinset.core.parameters import Interval, Margin
from twinset.core.stats.hypothesis_tests import excess_p

from .exact_copies import Keys, column_keys

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class OnePersonValues(Metric):
    """Share of the values of single train persons that synthetic rows repeat, beyond unseen real rows.

    value = sum_j max(0, k_j - e_j) / sum_j u_j  over the columns j beyond chance

    In column j, u_j values are held by exactly one person of the train set, k_j of them occur in the
    synthetic rows, and e_j is how many would occur in as many unseen real rows: with h hits among m
    rows of the holdout, u_j (1 - exp(-h n / (m u_j))) for n synthetic rows. A person is a row, or all
    rows of one value of the column with the role group (else of a repeated identifier).

    A column counts if Fisher's exact test says that synthetic rows hit such values more often than
    unseen ones (at `significance` divided by the number of columns). If none does, all columns together
    count if the hits of a row are more on average (a one-sided z test). The gate ``max: 0`` means:
    no value of a single person is repeated more often than by chance. Range [0, 1].

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
    kinds: ClassVar[frozenset[str]] = TABULAR_KINDS
    has_floor: ClassVar[bool] = False

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
        )
        facts = {name: [one.n_values, one.kept, one.expected] for name, one in columns.items()}
        value = excess / n_values if n_values else 0.0
        return Measurement(value, findings=(found,), facts={"columns": facts})


@dataclass(frozen=True)
class ColumnCounts:
    """Values of one column that a single person holds, and how often other rows have them."""

    n_values: int
    kept: int  # of them that occur in the synthetic rows
    unseen_kept: int  # of them that occur in unseen real rows
    hits: npt.NDArray[np.bool_]  # synthetic rows that have one of them, shape (n,)
    unseen_hits: npt.NDArray[np.bool_]  # the same of unseen real rows, (m,)

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
        single = known[count_holders(where.ravel(), persons, len(known)) == 1]
        kept, also = (int(np.isin(single, part).sum()) for part in (synthetic, unseen))
        return cls(len(single), kept, also, np.isin(synthetic, single), np.isin(unseen, single))

    @property
    def expected(self) -> float:
        """Number of the values that as many unseen real rows as there are synthetic ones would have."""
        hits = self.unseen_hits.mean() * len(self.hits)
        return float(self.n_values * -np.expm1(-hits / self.n_values))

    @property
    def p_value(self) -> float:
        """Probability of so many hits if synthetic rows hit such values as often as unseen ones."""
        hits, unseen = int(self.hits.sum()), int(self.unseen_hits.sum())
        return excess_p(hits, len(self.hits), unseen, len(self.unseen_hits))


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
    """Return the counts of each tabular column of three sets."""
    persons = person_codes(train)
    counts = {}
    for field in train.schema.of_kind(*TABULAR_KINDS):
        keys = [column_keys(part, field.name) for part in (train, synthetic, unseen)]
        counts[field.name] = ColumnCounts.from_keys(keys[0], keys[1], keys[2], persons)
    return counts

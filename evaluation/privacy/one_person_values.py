"""Values that one person of the train set holds, in synthetic rows and in unseen real rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np
import numpy.typing as npt

from twinset.core.contracts import Comparison, Measurement, Metric, MetricFamily, NotMeasurable
from twinset.core.data.dataset import Dataset
from twinset.core.data.knowable_columns import propose_quasi_identifiers
from twinset.core.data.persons import count_holders, person_codes
from twinset.core.data.schema import TABULAR_KINDS
from twinset.core.disclosure import UntestedColumns
from twinset.core.findings import OnePersonCounts
from twinset.core.parameters import Interval, Margin
from twinset.core.stats.hypothesis_tests import excess_p

from ._canonical import CanonicalColumn, canonical_columns
from ._spelt_values import Keys, identifier_keys, running_numbers, word_runs

Floats = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int64]
# Share of the train persons who must have an identifier or text of their own for it to be tested: those of
# customers of both sets are no copies
_MIN_SINGLE = 0.1


@dataclass(frozen=True, kw_only=True)
class OnePersonValues(Metric):
    """Share of the values of single train persons that synthetic rows repeat, beyond unseen real rows.

    value = sum_j max(0, k_j - e_j) / sum_j u_j  over the columns j beyond chance

    Columns are tabular ones, identifiers and free texts; units, spellings and codes are made alike first.
    The values of a text are its runs of eight words, so that a copied sentence counts in a new text.
    A person is a row, or all rows of one value of the column with the role group (else of a repeated
    identifier). In column j, u_j values are held by exactly one real person, who is a train person; k_j
    of them occur in the synthetic rows, and e_j would if as large a share of them occurred as of the
    values that exactly one unseen person holds.

    If no value is copied, a value that occurs is as likely to be an unseen person's. A column counts if
    Fisher's exact test says otherwise (at `significance` divided by the number of columns). If none does,
    all columns together count if train persons have more such values on average (a one-sided z test). So
    a running number, an age or a level that is drawn without knowing a person does not count. The share is
    not exact, so that 0 decides nothing, where values of a quarter of the synthetic rows could be
    chance. The gate ``max: 0`` means: no value of a single person is shown to be repeated more often
    than by chance. Columns in which train set and holdout differ, as in time, are excluded. Range [0, 1].

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
    significance: Annotated[float, Interval(gt=0, le=0.5)] = 0.003

    def compute(self, comparison: Comparison, rng: np.random.Generator) -> Measurement:
        """Return the share beyond chance, 0 to 1; facts name the columns and count their values."""
        sets = (comparison.train, comparison.synthetic, comparison.reference)
        if not all(len(part) for part in sets):
            raise NotMeasurable("there are no rows to compare")
        counted = count_one_person_values(*sets)
        columns = {name: one for name, one in counted.items() if one.n_values + one.n_unseen_values}
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
        is_shown = (
            not columns
            or beyond
            or self._has_power(len(columns), len(sets[1]), next(iter(columns.values())))
        )
        replicates = np.empty(0) if is_shown else np.zeros(2)
        untested = _untested(comparison.train, counted)
        return Measurement(value, replicates, findings=(found, untested), facts={"columns": facts})

    def _has_power(self, n_columns: int, n: int, counts: ColumnCounts) -> bool:
        """Return whether values of a quarter of the rows are beyond chance where no unseen one occurs."""
        n_train, n_unseen = len(counts.hits), len(counts.unseen_hits)
        kept = min(-(-n // 4), n_train)
        return excess_p(kept, n_train, 0, n_unseen) < self.significance / n_columns


@dataclass(frozen=True)
class ColumnCounts:
    """Values of one column that a single real person holds, and those that synthetic rows have."""

    # Values of train persons, and those of them that occur in the synthetic rows
    n_values: int
    kept: int
    # The same of unseen persons
    n_unseen_values: int
    unseen_kept: int
    # Values of each train person, and of each unseen one, that occur, shapes (n,) and (m,)
    hits: Floats
    unseen_hits: Floats

    @classmethod
    def from_keys(
        cls, train: Keys, synthetic: Keys, unseen: Keys, persons: tuple[Codes, Codes]
    ) -> ColumnCounts:
        """Return the counts of a column whose values are given as one key a row.

        `persons` are those of the train rows and of the unseen rows; a value that both sets have is of
        two persons.

        Examples
        --------
        >>> keys = lambda *values: np.array(values, dtype=np.uint64)
        >>> persons = np.arange(4), np.arange(2)
        >>> counts = ColumnCounts.from_keys(keys(1, 1, 2, 3), keys(2, 9, 9), keys(3, 4), persons)
        >>> counts.n_values, counts.kept, counts.n_unseen_values, counts.unseen_kept
        (1, 1, 1, 0)
        """
        units, n_train, n = _join_persons(persons)
        known, first, where = np.unique(
            np.concatenate([train, unseen]), return_index=True, return_inverse=True
        )
        single = count_holders(where.ravel(), units, len(known)) == 1
        is_kept = np.isin(known, synthetic)[single]
        return cls._from_items(units[first[single]], is_kept, n_train, n)

    @classmethod
    def from_texts(
        cls, sets: Sequence[Dataset], name: str, persons: tuple[Codes, Codes]
    ) -> ColumnCounts:
        """Return the counts of a column of texts in train, synthetic and unseen rows.

        A text counts as a value if one of its runs of words is in the texts of one person alone.
        """
        (train, row), (synthetic, _), (unseen, unseen_row) = word_runs(sets, name)
        units, n_train, n = _join_persons(persons)
        rows = np.concatenate([row, unseen_row + len(sets[0])])
        known, where = np.unique(np.concatenate([train, unseen]), return_inverse=True)
        single = (count_holders(where.ravel(), units[rows], len(known)) == 1)[where.ravel()]
        kept = single & np.isin(known, synthetic)[where.ravel()]
        texts = np.unique(rows[single])
        return cls._from_items(units[texts], np.isin(texts, rows[kept]), n_train, n)

    @classmethod
    def _from_items(
        cls, unit: Codes, is_kept: npt.NDArray[np.bool_], n_train: int, n: int
    ) -> ColumnCounts:
        """Return the counts of values whose persons are given, train persons first."""
        is_train = unit < n_train
        hits = np.bincount(unit[is_kept], minlength=n).astype(np.float64)
        own, other = is_kept[is_train], is_kept[~is_train]
        return cls(
            len(own), int(own.sum()), len(other), int(other.sum()), hits[:n_train], hits[n_train:]
        )

    @property
    def expected(self) -> float:
        """Number of the values that would occur as often as those of unseen persons do."""
        if not self.n_unseen_values:
            return self.unseen_kept * len(self.hits) / max(len(self.unseen_hits), 1)
        return self.unseen_kept * self.n_values / self.n_unseen_values

    @property
    def n_people(self) -> int:
        """Train persons with a value that occurs, beyond what unseen persons let expect."""
        people, unseen = int((self.hits > 0).sum()), int((self.unseen_hits > 0).sum())
        return max(0, round(people - unseen * len(self.hits) / max(len(self.unseen_hits), 1)))

    @property
    def p_value(self) -> float:
        """Probability of so many values of train persons among those that occur, by chance alone."""
        return excess_p(self.kept, self.n_values, self.unseen_kept, self.n_unseen_values)


def _join_persons(persons: tuple[Codes, Codes]) -> tuple[Codes, int, int]:
    """Return the persons of train and unseen rows as codes, and the numbers of train and of all persons."""
    n_train, n_unseen = (int(part.max(initial=-1)) + 1 for part in persons)
    return np.concatenate([persons[0], persons[1] + n_train]), n_train, n_train + n_unseen


def _untested(train: Dataset, counted: Mapping[str, ColumnCounts]) -> UntestedColumns:
    """Return the columns whose values show nothing: those that both sets share, or that are drifted."""
    shown = {name for name, one in counted.items() if one.n_values >= _MIN_SINGLE * len(one.hits)}
    fields = [field for field in train.schema.fields if field.name not in shown]
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
    # One person more with a value of every column: a variance of 0 in few rows shows nothing.
    spread = [(part.var() + len(every) / len(part)) / len(part) for part in (rows, unseen)]
    z = (rows.mean() - unseen.mean()) / np.sqrt(sum(spread))
    return list(columns) if ndtr(-z) < significance else []


def count_one_person_values(
    train: Dataset, synthetic: Dataset, unseen: Dataset
) -> dict[str, ColumnCounts]:
    """Return the counts of each column of three sets: tabular ones, identifiers and texts."""
    persons = person_codes(train), person_codes(unseen)
    sets = train, synthetic, unseen
    counts: dict[str, ColumnCounts] = {}
    plain = []
    for field in train.schema.fields:
        if field.kind == "text":
            counts[field.name] = ColumnCounts.from_texts(sets, field.name, persons)
        elif field.column_kind.is_key or field.role == "identifier":
            keys = identifier_keys(sets, field.name)
            if not _is_later(running_numbers([train, unseen], field.name)):
                counts[field.name] = ColumnCounts.from_keys(keys[0], keys[1], keys[2], persons)
        elif field.is_tabular:
            plain.append(field.name)
    for column in canonical_columns(train, unseen, synthetic, plain):
        if column.is_drifted(len(train)):
            continue  # synthetic rows of the time of the train set have its values without a leak
        real, made = column.exact
        keys = [part.astype(np.uint64) for part in (real[: len(train)], made, real[len(train) :])]
        counts[column.name] = ColumnCounts.from_keys(keys[0], keys[1], keys[2], persons)
    return {name: counts[name] for name in train.schema.names if name in counts}


def _is_later(numbers: Sequence[Floats] | None) -> bool:
    """Return whether the numbers in identifiers of the holdout lie elsewhere than those of train."""
    if numbers is None:
        return False
    real = np.concatenate(numbers)
    return CanonicalColumn("", True, real, real[:0]).is_drifted(len(numbers[0]))

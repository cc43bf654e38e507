"""`minority.smote`: SMOTE through imbalanced-learn."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from twinset.core.conditions import column_masks, keep_drawing, rows_to_learn_from, unmet
from twinset.core.contracts import FittedGenerator, Generator, Progress, silent
from twinset.core.dataset import Dataset
from twinset.core.encoding import Matrix, TableEncoding
from twinset.core.errors import MissingExtraError, ParameterError
from twinset.core.schema import TABULAR_KINDS
from twinset.core.seeding import draw_seed
from twinset.core.where import Where

_CELLS_AT_ONCE = 20_000_000
_REDRAWS = 5


@dataclass(frozen=True, kw_only=True)
class Smote(Generator):
    """SMOTE: new rows on the line between a real row and one of its nearest real neighbours.

    Made by imbalanced-learn: SMOTE for numbers alone, SMOTENC as soon as there is a category or a
    boolean (each gets the commonest label among the neighbours; a missing label counts as one).
    Learn it on the rare class alone: `where` of the step names the rows. Learnt on a whole table with
    a label as target it makes each class from its own rows, at its own share.

    Distances are taken on numbers divided by their standard deviation among these rows; a label
    that differs counts as much as one standard deviation. Datetimes are numbers. Integers, decimals
    and whole days are restored by rounding up or down at random, so that means stay. Missing
    numbers stand at the median meanwhile, and a new row misses the numbers that the real row
    nearest to it misses. Columns that hold one value pass through. Equal rows count once, since a row
    between two of them would be a copy.

    Parameters
    ----------
    k_neighbors : int
        Neighbours to choose from, 1 or more; with fewer other rows, all of these.

    References
    ----------
    Chawla, Bowyer, Hall and Kegelmeyer, "SMOTE: Synthetic Minority Over-sampling Technique",
    J. Artif. Intell. Res. 16, 2002. Lemaitre, Nogueira and Aridas, "Imbalanced-learn", J. Mach.
    Learn. Res. 18, 2017.

    Examples
    --------
    >>> import pyarrow as pa
    >>> frauds = pa.table({"amount": [9.99, 12.5, 11.25], "fraud": [1, 1, 1]})
    >>> fitted = Smote().fit(Dataset.from_arrow(frauds), np.random.default_rng(0))
    >>> rows = fitted.sample(100, np.random.default_rng(1))
    >>> float(rows.values("amount").min()) >= 9.99, rows.codes("fraud")[1]
    (True, ('1',))
    """

    k_neighbors: int = 5

    kinds: ClassVar[frozenset[str]] = TABULAR_KINDS
    extra: ClassVar[str | None] = "imbalanced"
    note: ClassVar[str] = "interpolates between real records: treat as the source data"

    def __post_init__(self) -> None:
        if self.k_neighbors < 1:
            raise ParameterError(
                "k_neighbors is out of range", got=str(self.k_neighbors), allowed="1 or more"
            )

    def fit(
        self, real: Dataset | None, rng: np.random.Generator, progress: Progress = silent
    ) -> FittedGenerator:
        """Return the generator for the class of these rows; needs 2. Neighbours are found later."""
        train = rows_to_learn_from(real, self.kinds, component="minority.smote", least=2)
        _import_samplers()
        return _FittedSmote(train.without_reserved(), self.k_neighbors)


class _FittedSmote(FittedGenerator):
    def __init__(self, train: Dataset, k_neighbors: int) -> None:
        self.train, self.schema, self.k_neighbors = train, train.schema, k_neighbors

    def sample(self, n: int, rng: np.random.Generator, where: Where | None = None) -> Dataset:
        if where is None or not where.conditions:
            return _Classes(self.train, self.k_neighbors).sample(n, rng)
        column_masks(self.train, where)
        seeds = self.train.where(where)
        if len(seeds) < 2:
            raise unmet(where)
        classes = _Classes(seeds, self.k_neighbors)
        return keep_drawing(lambda size: classes.sample(size, rng), n, where)


class _Classes:
    """The rows of each label of the target as a crowd of its own; one crowd without a target.

    Labels of a single row have nothing to lie between: their share is drawn among all rows.
    """

    def __init__(self, train: Dataset, k_neighbors: int) -> None:
        target = train.schema.target
        groups = [np.arange(len(train))]
        if target is not None and target.kind in ("category", "boolean"):
            codes, _ = train.codes(target.name)
            found, counts = np.unique(codes, return_counts=True)
            if len(found) > 1:
                groups = [np.flatnonzero(codes == code) for code in found[counts > 1]]
                if (counts == 1).any():
                    groups.append(np.arange(len(train)))
        singles = len(train) - sum(len(rows) for rows in groups if len(rows) < len(train))
        sizes = [len(rows) if len(rows) < len(train) else singles for rows in groups]
        self.shares = np.array(sizes) / len(train)
        self.crowds = [_Crowd(train.take(rows), k_neighbors) for rows in groups]

    def sample(self, n: int, rng: np.random.Generator) -> Dataset:
        """Return n rows; each class has its share of them, rounded up or down at random."""
        if len(self.crowds) == 1:
            return self.crowds[0].sample(n, rng)
        wanted = n * self.shares
        counts = np.floor(wanted + 1e-9).astype(np.int64)
        odd = n - int(counts.sum())
        if odd:
            left = np.maximum(wanted - counts, 0.0)
            up = rng.choice(len(counts), odd, replace=False, p=left / left.sum())
            counts[up] += 1
        parts = [crowd.sample(int(k), rng) for crowd, k in zip(self.crowds, counts, strict=True)]
        return Dataset.concat(parts).take(rng.permutation(n))


class _Crowd:
    """The rows of one class as a matrix that imbalanced-learn can take."""

    def __init__(self, train: Dataset, k_neighbors: int) -> None:
        self.known = set(_rows(train.without_reserved()))
        self.encoding = TableEncoding.of(train)
        # Between two equal rows there is nothing but a copy of them: every row counts once.
        rows = self.encoding.encode(train)
        first = np.unique(rows, axis=0, return_index=True)[1]
        self.matrix = rows[np.sort(first)]
        if len(self.matrix) == 1:
            self.matrix = np.repeat(self.matrix, 2, axis=0)
        self.k_neighbors = min(k_neighbors, len(self.matrix) - 1)
        self.numbers, self.labels = [], []
        for column in self.encoding.columns:
            if column.is_nominal:
                if column.missing is not None:
                    missing = self.matrix[:, column.missing] == 1
                    self.matrix[missing, column.value] = len(column.levels)
                self.labels.append(column.value)
            else:
                self.numbers.append(column.value)
        deviations = self.matrix.std(axis=0)
        self.numbers = [i for i in self.numbers if deviations[i] > 0]
        self.labels = [i for i in self.labels if deviations[i] > 0]
        self.centre = self.matrix[:, self.numbers].mean(axis=0)
        self.scale = deviations[self.numbers]

    def sample(self, n: int, rng: np.random.Generator) -> Dataset:
        """Return n rows, none of which equals a real one where that can be avoided."""
        made = self._draw(n, rng)
        for _ in range(_REDRAWS):
            copies = [i for i, row in enumerate(_rows(made)) if row in self.known]
            if not copies:
                break
            # Rounding can bring a row back onto its real neighbour: it is drawn again.
            again = self._draw(len(copies), rng)
            place = np.arange(n)
            place[copies] = n + np.arange(len(copies))
            made = Dataset.concat([made, again]).take(place)
        return made

    def _draw(self, n: int, rng: np.random.Generator) -> Dataset:
        made = np.repeat(self.matrix[:1], n, axis=0)
        varying = self.numbers + self.labels
        if varying and n:
            scaled = (self.matrix[:, self.numbers] - self.centre) / self.scale
            points = np.hstack([scaled, self.matrix[:, self.labels]])
            drawn = _oversample(points, len(self.labels), n, self.k_neighbors, rng)
            made[:, varying] = drawn
            self._copy_missing_numbers(scaled, drawn[:, : len(self.numbers)], made)
            made[:, self.numbers] = drawn[:, : len(self.numbers)] * self.scale + self.centre
        for column in self.encoding.columns:
            if column.is_nominal and column.missing is not None:
                made[:, column.missing] = made[:, column.value] == len(column.levels)
        return self.encoding.decode(made, rng)

    def _copy_missing_numbers(self, scaled: Matrix, drawn: Matrix, made: Matrix) -> None:
        columns = [c for c in self.encoding.columns if not c.is_nominal]
        indicators = [
            c.missing for c in columns if c.missing is not None and c.value in self.numbers
        ]
        if not indicators:
            return
        from sklearn.neighbors import NearestNeighbors

        nearest = NearestNeighbors(n_neighbors=1).fit(scaled).kneighbors(drawn)[1][:, 0]
        made[:, indicators] = self.matrix[np.ix_(nearest, indicators)]


def _rows(dataset: Dataset) -> Iterator[tuple[str | None, ...]]:
    """Yield every row as the texts of its cells."""
    columns = (dataset.records.column(name) for name in dataset.schema.names)
    return zip(*(pc.cast(column, pa.string()).to_pylist() for column in columns), strict=True)


def _oversample(
    points: Matrix, n_labels: int, n: int, k_neighbors: int, rng: np.random.Generator
) -> Matrix:
    """Return `n` new rows for `points`, shape (m, d), whose last `n_labels` columns are codes."""
    sampler, sampler_with_labels = _import_samplers()
    points, n_numbers = np.array(points), points.shape[1] - n_labels
    if n_numbers == 0:
        # SMOTENC wants a number. One row that is far from all others leaves their order as it is
        # and gives it the unit of distance.
        points = np.hstack([np.zeros((len(points), 1)), points])
        points[0, 0] = np.sqrt(len(points))
    if n_labels:
        width = int((points[:, -n_labels:].max(axis=0) + 1).sum()) + max(n_numbers, 1)
        at_once = max(_CELLS_AT_ONCE // (width * k_neighbors), 256)
    else:
        at_once = n
    # imbalanced-learn wants a second, larger class; only its existence matters.
    both = np.vstack([points, points, points[:1]])
    classes = np.repeat([1, 0], [len(points), len(points) + 1])
    parts = []
    for start in range(0, n, at_once):
        size = min(at_once, n - start)
        settings: dict[str, Any] = {
            "sampling_strategy": {1: len(points) + size},
            "k_neighbors": k_neighbors,
            "random_state": draw_seed(rng),
        }
        if n_labels:
            settings["categorical_features"] = list(range(max(n_numbers, 1), points.shape[1]))
            chosen = sampler_with_labels(**settings)
        else:
            chosen = sampler(**settings)
        parts.append(chosen.fit_resample(both, classes)[0][len(both) :])
    made: npt.NDArray[np.float64] = np.vstack(parts)
    return made[:, -n_labels:] if n_numbers == 0 else made


def _import_samplers() -> tuple[Any, Any]:
    try:
        from imblearn.over_sampling import SMOTE, SMOTENC
    except ImportError as error:
        raise MissingExtraError.of("imbalanced-learn", "imbalanced") from error
    return SMOTE, SMOTENC

"""`tabular.sdv`: the synthesizers of SDV."""

from __future__ import annotations

import contextlib
import io
import re
import sys
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, TextIO

import numpy as np

from twinset.core.contracts import FittedGenerator, Generator, Progress, silent
from twinset.core.data.conditions import Mask, column_masks, keep_drawing, rows_to_learn_from, unmet
from twinset.core.data.dataset import Dataset
from twinset.core.data.encoding import EncodedColumn, Matrix, TableEncoding
from twinset.core.data.rule import Rule
from twinset.core.data.schema import TABULAR_KINDS
from twinset.core.data.where import Where
from twinset.core.errors import FitError, ParameterError
from twinset.core.extras import optional
from twinset.core.parameters import Ge
from twinset.core.rules.violations import violations
from twinset.core.seeding import draw_seed, seeded_globals

if TYPE_CHECKING:
    import pandas

_CLASSES = {
    "gaussian_copula": "GaussianCopulaSynthesizer",
    "ctgan": "CTGANSynthesizer",
    "tvae": "TVAESynthesizer",
    "copula_gan": "CopulaGANSynthesizer",
}
_EPOCH = re.compile(r"(\d+)/(\d+) \[")
_TABLE = "table"  # name of the one table in SDV's metadata
_ROUNDS = 8  # of drawing until enough rows meet a condition


@dataclass(frozen=True, kw_only=True)
class Sdv(Generator):
    """Synthesizers of SDV 2: Gaussian copula, CTGAN, TVAE and CopulaGAN by name.

    SDV is licensed under BUSL-1.1: using it inside your organisation is allowed, selling a product
    or service that gives others its synthesis is not. It is an extra of its own and part of no
    other. SDV is fitted on texts of categories, numbers and datetimes (as microseconds), without
    columns of one value. Its metadata are written from the schema, so SDV guesses nothing; its fit
    uses global seeds, which are set and restored.

    Conditions on one value use the Gaussian copula's own conditional sampling; all others are met by
    drawing again, a bounded number of times, as SDV does for neural models.

    Parameters
    ----------
    model : {"gaussian_copula", "ctgan", "tvae", "copula_gan"}
        Name of the synthesizer.
    epochs : int
        Passes over the data, 1 or more; the Gaussian copula needs none.
    batch_rows : int
        Rows in a batch of the neural ones, 10 or more, a multiple of 10.
    distribution : {"norm", "beta", "truncnorm", "uniform", "gamma", "gaussian_kde"}
        Distribution that the two copulas fit to numbers.
    use_rules : bool
        Pass the rules of the schema that SDV has constraints for (orders, one-hot groups,
        combinations, dependencies). A recipe enforces all rules in either case.
    use_gpu : bool
        Let the neural ones use a graphics card; results are then repeatable only on it.

    References
    ----------
    Xu, Skoularidou, Cuesta-Infante and Veeramachaneni, "Modeling Tabular Data using Conditional
    GAN", NeurIPS 2019. Patki, Wedge and Veeramachaneni, "The Synthetic Data Vault", DSAA 2016.

    Examples
    --------
    >>> Sdv(model="tvae", epochs=50).epochs
    50
    """

    model: Literal["gaussian_copula", "ctgan", "tvae", "copula_gan"] = "gaussian_copula"
    epochs: Annotated[int, Ge(1)] = 300
    batch_rows: Annotated[int, Ge(10)] = 500
    distribution: Literal["norm", "beta", "truncnorm", "uniform", "gamma", "gaussian_kde"] = "beta"
    use_rules: bool = True
    use_gpu: bool = False

    kinds: ClassVar[frozenset[str]] = TABULAR_KINDS
    chunk_rows: ClassVar[int] = 8_192
    extra: ClassVar[str | None] = "sdv"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.batch_rows % 10:
            raise ParameterError(
                "'batch_rows' is out of its range",
                got=str(self.batch_rows),
                allowed="multiples of 10 from 10 on",
            )

    def fit(
        self, real: Dataset | None, rng: np.random.Generator, progress: Progress = silent
    ) -> FittedGenerator:
        """Return the fitted synthesizer; needs 10 rows. Epochs are read from SDV's own bar."""
        train = rows_to_learn_from(real, self.kinds, component="tabular.sdv", min_rows=10)
        synthesizers = _import_sdv()
        train = train.without_reserved()
        encoding = TableEncoding.from_dataset(train)
        frame = _to_frame(train, encoding)
        if frame.shape[1] == 0:
            return _FittedSdv(train, encoding, frame, None, False)
        with _quietly(rng, progress):
            cls = getattr(synthesizers, _CLASSES[self.model])
            synthesizer = cls(_metadata(frame, encoding), **self._settings())
            try:
                if self.use_rules and (constraints := _constraints(train, frame)):
                    synthesizer.add_constraints(constraints)
                synthesizer.fit({_TABLE: frame})
            except (ValueError, RuntimeError, ArithmeticError) as error:
                raise FitError(
                    f"SDV's {self.model} cannot be fitted to these data",
                    got=type(error).__name__,
                    todo="try another model, or more rows",
                ) from error
        return _FittedSdv(train, encoding, frame, synthesizer, self.model == "gaussian_copula")

    def _settings(self) -> dict[str, Any]:
        """Return the keywords of SDV's class."""
        settings: dict[str, Any] = {}
        if self.model != "gaussian_copula":
            settings |= {"epochs": self.epochs, "batch_size": self.batch_rows}
            settings |= {"enable_gpu": self.use_gpu, "verbose": True}
        if self.model in ("gaussian_copula", "copula_gan"):
            settings["default_distribution"] = self.distribution
        return settings


class _FittedSdv(FittedGenerator):
    def __init__(
        self,
        train: Dataset,
        encoding: TableEncoding,
        frame: pandas.DataFrame,
        synthesizer: Any,
        is_conditional: bool,
    ) -> None:
        self.train, self.schema, self.is_conditional = train, train.schema, is_conditional
        self.encoding, self.frame, self.synthesizer = encoding, frame, synthesizer

    def sample(self, n: int, rng: np.random.Generator, where: Where | None = None) -> Dataset:
        if where is None or not where.conditions:
            return self._draw(n, rng, {})
        masks = column_masks(self.train, where)
        fixed = self._fixed_values(where, masks)
        try:
            return keep_drawing(lambda size: self._draw(size, rng, fixed), n, where, rounds=_ROUNDS)
        except ValueError as error:  # SDV found no such row
            raise unmet(where) from error

    def _fixed_values(self, where: Where, masks: dict[str, Mask]) -> dict[str, Any]:
        """Return the columns that must equal one value, with that value in SDV's frame."""
        if not self.is_conditional:
            return {}
        return {
            name: self.frame[name].iloc[int(masks[name].argmax())]
            for name, condition in where.conditions.items()
            if isinstance(condition, str | int | float) and name in self.frame.columns
        }

    def _draw(self, n: int, rng: np.random.Generator, fixed: dict[str, Any]) -> Dataset:
        matrix = np.repeat(self.encoding.encode(self.train.slice(0, 1)), n, axis=0)
        if n == 0 or self.synthesizer is None:
            return self.encoding.decode(matrix)
        with _quietly(rng):
            # SDV continues its streams between calls; a sample must depend on rng alone.
            self.synthesizer.reset_sampling()
            self.synthesizer._set_random_state(draw_seed(rng))
            frame = self._sample_frame(n, fixed)
        matrix = matrix[: len(frame)]
        for column in self.encoding.columns:
            if column.field.name in frame.columns:
                _fill_column(matrix, column, frame[column.field.name])
        return self.encoding.decode(matrix)

    def _sample_frame(self, n: int, fixed: dict[str, Any]) -> pandas.DataFrame:
        if not fixed:
            return next(iter(self.synthesizer.sample(num_rows=n).values()))
        conditions = [optional("sdv.sampling").Condition(num_rows=n, column_values=fixed)]
        return next(iter(self.synthesizer.sample_from_conditions(conditions).values()))


def _import_sdv() -> Any:
    # Merely importing SDV draws from the global streams.
    with seeded_globals(np.random.default_rng(0)):
        return optional("sdv.single_table")


@contextlib.contextmanager
def _quietly(rng: np.random.Generator, progress: Progress = silent) -> Iterator[None]:
    """Seed the global streams, and hide SDV's bars and its advice on saving metadata."""
    with (
        seeded_globals(rng),
        warnings.catch_warnings(),
        contextlib.redirect_stderr(_BarReader(progress, sys.stderr)),
    ):
        warnings.simplefilter("ignore")
        yield


class _BarReader(io.TextIOBase):
    """A stream that shows nothing and passes the epochs of SDV's bars to `progress`."""

    def __init__(self, progress: Progress, screen: TextIO) -> None:
        self.progress, self.screen, self.last = progress, screen, (0, 0)

    def write(self, text: str) -> int:
        """Read "17/300 [" out of a bar; ignore anything else."""
        for done, total in _EPOCH.findall(text):
            if (int(done), int(total)) != self.last:
                self.last = (int(done), int(total))
                # Our own bar belongs on the screen, not on this stream.
                with contextlib.redirect_stderr(self.screen):
                    self.progress("train", *self.last)
        return len(text)


def _to_frame(train: Dataset, encoding: TableEncoding) -> pandas.DataFrame:
    """Return the columns that vary: labels as text, everything else as floats, missing as NaN."""
    pandas = optional("pandas")
    matrix = encoding.encode(train)
    columns = {}
    for column in encoding.columns:
        values = matrix[:, column.value].astype(object if column.is_nominal else float)
        if column.is_nominal and column.levels:
            values = np.array(column.levels, dtype=object)[matrix[:, column.value].astype(int)]
        if column.missing is not None:
            values[matrix[:, column.missing] == 1] = np.nan
        series = pandas.Series(values)
        if series.nunique(dropna=False) > 1:
            columns[column.field.name] = series
    return pandas.DataFrame(columns)


def _fill_column(matrix: Matrix, column: EncodedColumn, series: pandas.Series) -> None:
    """Write one column of a frame of SDV into the encoded rows, in place."""
    missing = series.isna().to_numpy()
    if column.is_nominal:
        series = series.map({level: code for code, level in enumerate(column.levels)})
    values = series.to_numpy(dtype=float)
    matrix[:, column.value] = np.where(missing, column.fill, values)
    if column.missing is not None:
        matrix[:, column.missing] = missing


def _metadata(frame: pandas.DataFrame, encoding: TableEncoding) -> Any:
    """Return SDV's metadata of the columns, by the schema and not by SDV's inference."""
    columns = {
        column.field.name: {"sdtype": "categorical" if column.is_nominal else "numerical"}
        for column in encoding.columns
        if column.field.name in frame.columns
    }
    return optional("sdv.metadata").Metadata.load_from_dict(
        {"tables": {_TABLE: {"columns": columns}}}
    )


def _constraints(train: Dataset, frame: pandas.DataFrame) -> list[Any]:
    """Return SDV's constraints for the rules of the schema that it can express.

    An order of two or three columns is an Inequality or a Range of SDV, a one-hot group of numbers a
    OneHotEncoding, a combination or dependency among labels FixedCombinations. Other rules are left
    to the enforcement after sampling: those that real rows violate (SDV would refuse to fit), on
    columns that do not vary or have missing values, and those that share a column with an earlier
    one (SDV's constraints must not overlap).
    """
    taken: set[str] = set()
    found = []
    for rule in train.schema.rules:
        constraint = _constraint(rule, train)
        if constraint is None or not set(rule.columns) <= set(frame.columns):
            continue
        if taken & set(rule.columns) or frame[list(rule.columns)].isna().to_numpy().any():
            continue
        if not violations(rule, train).any():
            taken |= set(rule.columns)
            found.append(constraint)
    return found


def _constraint(rule: Rule, train: Dataset) -> Any:
    """Return SDV's constraint for a rule; None where it has none."""
    cag = optional("sdv.cag")
    columns = list(rule.columns)
    kinds = {train.schema[name].kind for name in columns}
    if rule.kind == "order" and len(columns) in (2, 3) and len(kinds) == 1:
        cls = cag.Inequality if len(columns) == 2 else cag.Range
        return cls(*columns, strict_boundaries=bool(rule.settings.get("strict", False)))
    if rule.kind == "one_hot" and kinds <= {"number", "integer"}:
        return cag.OneHotEncoding(columns)
    if rule.kind in ("combination", "dependency"):
        # SDV draws the combinations of the real rows, which satisfy the rule.
        is_labels = len(columns) > 1 and kinds <= {"category", "boolean"}
        return cag.FixedCombinations(columns) if is_labels else None
    return None

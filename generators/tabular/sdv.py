"""`tabular.sdv`: the synthesizers of SDV."""

from __future__ import annotations

import contextlib
import io
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np

from twinset.core.conditions import Mask, column_masks, keep_drawing, rows_to_learn_from, unmet
from twinset.core.contracts import FittedGenerator, Generator, Progress, silent
from twinset.core.dataset import Dataset
from twinset.core.encoding import EncodedColumn, TableEncoding
from twinset.core.errors import FitError, MissingExtraError, ParameterError
from twinset.core.schema import TABULAR_KINDS
from twinset.core.seeding import draw_seed, seeded_globals
from twinset.core.where import Where

if TYPE_CHECKING:
    import pandas

_CLASSES = {
    "gaussian_copula": "GaussianCopulaSynthesizer",
    "ctgan": "CTGANSynthesizer",
    "tvae": "TVAESynthesizer",
    "copula_gan": "CopulaGANSynthesizer",
}


@dataclass(frozen=True, kw_only=True)
class Sdv(Generator):
    """Synthesizers of SDV 2: Gaussian copula, CTGAN, TVAE and CopulaGAN by name.

    SDV is licensed under BUSL-1.1: using it inside your organisation is allowed, selling a product
    or service that gives others its synthesis is not. It is an extra of its own and part of no
    other. Texts of categories, numbers and datetimes (as microseconds) go in, columns of one value
    pass by.

    Conditions that ask for one value go to the Gaussian copula's own conditional sampling; all
    others are met by drawing again, a bounded number of times, as SDV does for neural models.

    Parameters
    ----------
    model : {"gaussian_copula", "ctgan", "tvae", "copula_gan"}
        Which synthesizer.
    epochs : int
        Passes over the data, 1 or more; the Gaussian copula needs none.
    use_gpu : bool
        Whether the neural ones may take a graphics card; results are then repeatable only on it.

    References
    ----------
    Xu, Skoularidou, Cuesta-Infante and Veeramachaneni, "Modeling Tabular Data using Conditional
    GAN", NeurIPS 2019. Patki, Wedge and Veeramachaneni, "The Synthetic Data Vault", DSAA 2016.

    Examples
    --------
    >>> Sdv(model="tvae", epochs=50)
    Sdv(model='tvae', epochs=50, use_gpu=False)
    """

    model: Literal["gaussian_copula", "ctgan", "tvae", "copula_gan"] = "gaussian_copula"
    epochs: int = 300
    use_gpu: bool = False

    kinds: ClassVar[frozenset[str]] = TABULAR_KINDS
    chunk_rows: ClassVar[int] = 8_192
    extra: ClassVar[str | None] = "sdv"

    def __post_init__(self) -> None:
        if self.model not in _CLASSES:
            raise ParameterError("unknown model", got=str(self.model), allowed=", ".join(_CLASSES))
        if self.epochs < 1:
            raise ParameterError(
                "epochs is out of range", got=str(self.epochs), allowed="1 or more"
            )

    def fit(
        self, real: Dataset | None, rng: np.random.Generator, progress: Progress = silent
    ) -> FittedGenerator:
        """Return the fitted synthesizer; needs 10 rows. SDV itself reports no progress."""
        train = rows_to_learn_from(real, self.kinds, component="tabular.sdv", least=10)
        synthesizers = _import_sdv()
        train = train.without_reserved()
        encoding = TableEncoding.of(train)
        frame = _to_frame(train, encoding)
        if frame.shape[1] == 0:
            return _FittedSdv(train, encoding, frame, None, False)
        is_neural = self.model != "gaussian_copula"
        settings = {"epochs": self.epochs, "enable_gpu": self.use_gpu} if is_neural else {}
        with _quietly(rng):
            metadata = _metadata(frame, encoding)
            synthesizer = getattr(synthesizers, _CLASSES[self.model])(metadata, **settings)
            try:
                synthesizer.fit({"table": frame})
            except (ValueError, RuntimeError, ArithmeticError) as error:
                raise FitError(
                    f"SDV's {self.model} cannot be fitted to these data",
                    got=type(error).__name__,
                    todo="try another model, or more rows",
                ) from error
        return _FittedSdv(train, encoding, frame, synthesizer, not is_neural)


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
            return keep_drawing(lambda size: self._draw(size, rng, fixed), n, where, rounds=8)
        except ValueError as error:  # SDV found no such row
            raise unmet(where) from error

    def _fixed_values(self, where: Where, masks: dict[str, Mask]) -> dict[str, Any]:
        """Return the columns that must equal one value, with that value as SDV saw it."""
        if not self.is_conditional:
            return {}
        return {
            name: self.frame[name].iloc[int(masks[name].argmax())]
            for name, condition in where.conditions.items()
            if isinstance(condition, str | int | float) and name in self.frame.columns
        }

    def _draw(self, n: int, rng: np.random.Generator, fixed: dict[str, Any]) -> Dataset:
        made = np.repeat(self.encoding.encode(self.train.slice(0, 1)), n, axis=0)
        if n == 0 or self.synthesizer is None:
            return self.encoding.decode(made)
        with _quietly(rng):
            # SDV keeps the place in its streams between calls; a sample must depend on rng alone.
            self.synthesizer.reset_sampling()
            self.synthesizer._set_random_state(draw_seed(rng))
            frame = self._ask(n, fixed)
        made = made[: len(frame)]
        for column in self.encoding.columns:
            if column.field.name in frame.columns:
                _fill(made, column, frame[column.field.name])
        return self.encoding.decode(made)

    def _ask(self, n: int, fixed: dict[str, Any]) -> pandas.DataFrame:
        if not fixed:
            return next(iter(self.synthesizer.sample(num_rows=n).values()))
        from sdv.sampling import Condition

        asked = [Condition(num_rows=n, column_values=fixed)]
        return next(iter(self.synthesizer.sample_from_conditions(asked).values()))


def _import_sdv() -> Any:
    try:
        # Merely importing SDV draws from the global streams.
        with seeded_globals(np.random.default_rng(0)):
            import sdv.single_table
    except ImportError as error:
        raise MissingExtraError.of("sdv", "sdv") from error
    return sdv.single_table


@contextlib.contextmanager
def _quietly(rng: np.random.Generator) -> Iterator[None]:
    """Seed the global streams, and keep SDV's bars and its advice on saving metadata off the screen."""
    with (
        seeded_globals(rng),
        warnings.catch_warnings(),
        contextlib.redirect_stderr(io.StringIO()),
    ):
        warnings.simplefilter("ignore")
        yield


def _to_frame(train: Dataset, encoding: TableEncoding) -> pandas.DataFrame:
    """Return the columns that vary: labels as text, everything else as floats, missing as NaN."""
    import pandas

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


def _metadata(frame: pandas.DataFrame, encoding: TableEncoding) -> Any:
    from sdv.metadata import Metadata

    columns = {
        column.field.name: {"sdtype": "categorical" if column.is_nominal else "numerical"}
        for column in encoding.columns
        if column.field.name in frame.columns
    }
    return Metadata.load_from_dict({"tables": {"table": {"columns": columns}}})


def _fill(made: np.ndarray, column: EncodedColumn, series: pandas.Series) -> None:
    missing = series.isna().to_numpy()
    if column.is_nominal:
        codes = {level: code for code, level in enumerate(column.levels)}
        values = series.map(codes).to_numpy(dtype=float)
    else:
        values = series.to_numpy(dtype=float)
    made[:, column.value] = np.where(missing, column.fill, values)
    if column.missing is not None:
        made[:, column.missing] = missing

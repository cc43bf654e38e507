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
from twinset.core.data.encoding import TableEncoding
from twinset.core.data.schema import TABULAR_KINDS
from twinset.core.data.where import Where
from twinset.core.errors import FitError, MissingExtraError, ParameterError
from twinset.core.parameters import Ge
from twinset.core.seeding import draw_seed, seeded_globals

from ._sdv_frame import TABLE, constraints, fill_column, metadata, to_frame

if TYPE_CHECKING:
    import pandas

_CLASSES = {
    "gaussian_copula": "GaussianCopulaSynthesizer",
    "ctgan": "CTGANSynthesizer",
    "tvae": "TVAESynthesizer",
    "copula_gan": "CopulaGANSynthesizer",
}
_EPOCH = re.compile(r"(\d+)/(\d+) \[")


@dataclass(frozen=True, kw_only=True)
class Sdv(Generator):
    """Synthesizers of SDV 2: Gaussian copula, CTGAN, TVAE and CopulaGAN by name.

    SDV is licensed under BUSL-1.1: using it inside your organisation is allowed, selling a product
    or service that gives others its synthesis is not. It is an extra of its own and part of no
    other. Texts of categories, numbers and datetimes (as microseconds) go in, columns of one value
    pass by. Its metadata are written from the schema, so SDV guesses nothing; its fit knows only
    global seeds, which are set for it and put back.

    Conditions that ask for one value go to the Gaussian copula's own conditional sampling; all
    others are met by drawing again, a bounded number of times, as SDV does for neural models.

    Parameters
    ----------
    model : {"gaussian_copula", "ctgan", "tvae", "copula_gan"}
        Which synthesizer.
    epochs : int
        Passes over the data, 1 or more; the Gaussian copula needs none.
    batch_rows : int
        Rows in a batch of the neural ones, 10 or more, a multiple of 10.
    distribution : {"norm", "beta", "truncnorm", "uniform", "gamma", "gaussian_kde"}
        What the two copulas fit to numbers.
    use_rules : bool
        Whether SDV gets the rules of the schema that it has constraints for (orders, one-hot groups,
        combinations, dependencies). All rules hold in what a recipe makes, with this or without.
    use_gpu : bool
        Whether the neural ones may take a graphics card; results are then repeatable only on it.

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
        """Return the fitted synthesizer; needs 10 rows. Epochs are told as SDV's own bar tells them."""
        train = rows_to_learn_from(real, self.kinds, component="tabular.sdv", min_rows=10)
        synthesizers = _import_sdv()
        train = train.without_reserved()
        encoding = TableEncoding.from_dataset(train)
        frame = to_frame(train, encoding)
        if frame.shape[1] == 0:
            return _FittedSdv(train, encoding, frame, None, False)
        with _quietly(rng, progress):
            make = getattr(synthesizers, _CLASSES[self.model])
            synthesizer = make(metadata(frame, encoding), **self._settings())
            try:
                if self.use_rules and (asked := constraints(train, frame)):
                    synthesizer.add_constraints(asked)
                synthesizer.fit({TABLE: frame})
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
                fill_column(made, column, frame[column.field.name])
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
        raise MissingExtraError.for_library("sdv", "sdv") from error
    return sdv.single_table


@contextlib.contextmanager
def _quietly(rng: np.random.Generator, progress: Progress = silent) -> Iterator[None]:
    """Seed the global streams, and keep SDV's bars and its advice on saving metadata off the screen."""
    with (
        seeded_globals(rng),
        warnings.catch_warnings(),
        contextlib.redirect_stderr(_BarReader(progress, sys.stderr)),
    ):
        warnings.simplefilter("ignore")
        yield


class _BarReader(io.TextIOBase):
    """A stream that shows nothing; of SDV's bars of epochs it tells `progress`."""

    def __init__(self, progress: Progress, screen: TextIO) -> None:
        self.progress, self.screen, self.last = progress, screen, (0, 0)

    def write(self, text: str) -> int:
        """Read "17/300 [" out of a bar; anything else is passed over."""
        for done, total in _EPOCH.findall(text):
            if (int(done), int(total)) != self.last:
                self.last = (int(done), int(total))
                # Whoever draws our own bar means the screen, not this stream.
                with contextlib.redirect_stderr(self.screen):
                    self.progress("train", *self.last)
        return len(text)

"""What some components offer beside: promises over whole sets, checks before the work, files and assets."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Protocol, runtime_checkable

import numpy as np

from twinset.core.dataset import Dataset
from twinset.core.schema import Schema
from twinset.core.where import Where

if TYPE_CHECKING:
    import numpy.typing as npt

    from twinset.core.contracts import Generator


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
        self, made: Dataset, first: int, n: int, rng: np.random.Generator, where: Where | None
    ) -> Dataset:
        """Return the first `n` rows of a placed chunk, mended where they clash with earlier ones."""

    def notes(self) -> tuple[str, ...]:
        """Return what the card tells of the set, once all rows are admitted."""


@runtime_checkable
class ChecksSettings(Protocol):
    """A generator that can say before any work whether it will be able to do it."""

    def check(self, rows: int | None = None) -> None:
        """Raise what `fit` would raise of the settings alone, and of making `rows` rows."""


class NamesFiles(Protocol):
    """A generator some of whose settings are names of files.

    `files` is: setting, as a path with ``*`` for any key -> what the file holds, further settings in YAML
    or values. A recipe puts the content in the place of the name: components open no files.
    """

    files: ClassVar[Mapping[str, Literal["settings", "values"]]]


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

"""Options of `twin`, `evaluate` and `compare`: one definition for Python and the command line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING, Annotated, Any, Self

from twinset.core.errors import ParameterError, did_you_mean
from twinset.core.parameters import Ge, Interval, check_parameters

if TYPE_CHECKING:
    from twinset.core.data.where import Where
    from twinset.core.features.embedders import Embedder
else:  # the annotations are read at run time, and these two modules load slowly
    Where = Embedder = object


@dataclass(frozen=True, kw_only=True)
class SharedOptions:
    """Options that every workflow on one table takes.

    Parameters
    ----------
    target : str, optional
        Column that models will predict; without it usefulness is not measurable.
    positive : str, optional
        Label of the target that counts as positive.
    where : Where, mapping or str, optional
        Condition on the rows, e.g. "Class = 1 and Amount >= 100".
    seed : int, optional
        Seed of every random draw; by default that of the files' provenance, else 0.
    workers : int
        Number of threads; the result does not depend on it.

    Raises
    ------
    ParameterError
        An option is out of its range.
    """

    target: str | None = None
    positive: str | None = None
    where: Where | Mapping[str, Any] | str | None = None
    seed: Annotated[int, Ge(0)] | None = None
    workers: Annotated[int, Ge(1)] = 1

    def __post_init__(self) -> None:
        check_parameters(self)

    @classmethod
    def merge(cls, options: Self | None, settings: Mapping[str, Any]) -> Self:
        """Return `options`, by default those without a value, with single settings changed.

        Raises
        ------
        ParameterError
            There is no such setting.

        Examples
        --------
        >>> EvaluateOptions.merge(None, {"quick": True}).quick
        True
        """
        known = [one.name for one in fields(cls)]
        for name in settings:
            if name not in known:
                raise ParameterError(
                    f"there is no option '{name}'",
                    allowed=", ".join(known),
                    todo=did_you_mean(name, known),
                )
        return replace(cls() if options is None else options, **settings)


@dataclass(frozen=True, kw_only=True)
class EvaluateOptions(SharedOptions):
    """Options of `evaluate` and `compare`.

    Parameters
    ----------
    gates : mapping
        Bounds on metrics as in a recipe: metric -> ``{max: number, min: number, of: ...}``. On the
        command line e.g. --gate "gap.marginals difference <= 0.05"; may be repeated.
    quick : bool
        Leave out slow metrics; a note names them.
    time : str, optional
        Column of the time: every row of the real table must be earlier than the holdout.
    group : str, optional
        Column of an entity (card, patient) that must not occur in both train and holdout, unless the
        split is by time.
    allow_leaks : sequence of str
        Kinds of leakage to report instead of refuse: see `twinset.measurement.leakage.LEAKS`.
    embedders : sequence of str or Embedder, optional
        Embedders of images (classical, net, onnx:FILE, torchvision:MODEL:FILE, timm:MODEL:FILE) or of
        texts (words, wordllama, minilm). By default classical and, with a holdout, net; for texts words.
    attacks : sequence of str
        Attacks that run only on request. "shadow" fits the generator many times and needs the provenance
        file that `twin` wrote.
    """

    gates: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    quick: bool = False
    time: str | None = None
    group: str | None = None
    allow_leaks: Sequence[str] = ()
    embedders: Sequence[str | Embedder] | None = None
    attacks: Sequence[str] = ()


@dataclass(frozen=True, kw_only=True)
class TwinOptions(SharedOptions):
    """Options of `twin`.

    Parameters
    ----------
    use : str
        The generator; see `twinset list generator`.
    settings : mapping
        Settings of the generator. On the command line e.g. --with k_neighbors=3; may be repeated.
    rows : int, optional
        Number of rows to sample; by default as many as the source has (of those that meet `where`).
    holdout_fraction : float
        Share of rows that the generator does not see; with 0 leaks cannot be measured.
    """

    use: str = "tabular.trees"
    settings: Mapping[str, object] = field(default_factory=dict)
    rows: Annotated[int, Ge(1)] | None = None
    holdout_fraction: Annotated[float, Interval(ge=0, lt=1)] = 0.2

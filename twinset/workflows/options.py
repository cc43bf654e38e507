"""Options of `twin`, `evaluate`, `compare` and `advise`, for Python and the command line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from math import inf
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from twinset.core.errors import ParameterError, did_you_mean
from twinset.core.parameters import Each, Ge, Interval, MinLen, check_parameters

if TYPE_CHECKING:
    from twinset.core.data.where import Where
    from twinset.core.features.embedders import Embedder
    from twinset.io.reading.options import ReadOptions
else:  # the annotations are read at run time, and these modules load slowly
    Where = Embedder = ReadOptions = object


@dataclass(frozen=True, kw_only=True)
class TableOptions:
    """Options that every workflow on one table takes.

    Parameters
    ----------
    target : str, optional
        Column that models will predict; without it usefulness is not measurable.
    positive : str, optional
        Label of the target that counts as positive.
    seed : int, optional
        Seed of every random draw; by default that of the files' provenance, else 0.
    workers : int
        Number of threads; the result does not depend on it.
    read : ReadOptions, mapping or sequence of str, optional
        How to read a CSV file of real rows whose cells allow several readings. On the command line e.g.
        --read decimal=, --read text=zip; may be repeated.

    Raises
    ------
    ParameterError
        An option is out of its range.
    """

    target: str | None = None
    positive: str | None = None
    seed: Annotated[int, Ge(0)] | None = None
    workers: Annotated[int, Ge(1)] = 1
    read: ReadOptions | Mapping[str, Any] | Sequence[str] | None = None

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
class SharedOptions(TableOptions):
    """Options of the workflows that measure synthetic rows.

    Parameters
    ----------
    where : Where, mapping or str, optional
        Condition on the rows, e.g. "Class = 1 and Amount >= 100".
    ignore : sequence of str
        Columns that are not measured; the report names them. May be repeated.
    """

    where: Where | Mapping[str, Any] | str | None = None
    ignore: Sequence[str] = ()


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
    quasi_identifiers : sequence of str
        Columns that others may know of a person, e.g. age, sex and place: rows whose combination of them
        few real rows share are counted. On the command line --quasi-identifier; may be repeated.
    """

    gates: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    quick: bool = False
    time: str | None = None
    group: str | None = None
    allow_leaks: Sequence[str] = ()
    embedders: Sequence[str | Embedder] | None = None
    attacks: Sequence[str] = ()
    quasi_identifiers: Sequence[str] = ()


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
    value_protection : bool
        Replace values that a single person holds, rare levels and extremes before the generator sees
        them. Without it synthetic rows may repeat them, and card and report say so.
    escape_formulas : bool
        In CSV, put an apostrophe before texts that a spreadsheet would run as a formula. twinset reads
        them back as they were.
    """

    use: str = "tabular.trees"
    settings: Mapping[str, object] = field(default_factory=dict)
    rows: Annotated[int, Ge(1)] | None = None
    holdout_fraction: Annotated[float, Interval(ge=0, lt=1)] = 0.2
    value_protection: bool = True
    escape_formulas: bool = False


@dataclass(frozen=True, kw_only=True)
class AdviseOptions(TableOptions):
    """Options of `advise`.

    Parameters
    ----------
    target : str, optional
        Column to predict; it has two labels. By default the column that looks most like a target.
    positive : str, optional
        Label that counts as positive; by default the rarer one.
    time : str, optional
        Column of the time of each row, a datetime or a number: the latest rows are the test set.
        Models do not see it.
    group : str, optional
        Column of an entity, e.g. the card, that must not occur in both train and test. Models do not
        see it.
    amount : str, optional
        Column of the loss when a positive row is missed, in units of one alert.
    cost : float, optional
        Price of a missed positive row where an alert costs 1, or, with `amount`, of one unit of it. By
        default 50, or 1 with `amount`; a note says that this was assumed.
    alert_rate : float
        Share of rows that can be inspected, in (0, 1).
    delay : float, optional
        Time until a label is known, in days or in the unit of a numeric time. By default 5 % of the time
        before the test set, at most 7 days.
    time_unit : {"second", "minute", "hour", "day"}, optional
        Unit of a numeric time column; then alerts per day are reported and `delay` is in days.
    test_fraction : float, optional
        Share of rows in the test set, in (0, 1); by default that of a recipe, else 0.3.
    ratios : sequence of float, optional
        Rare rows per common row to try; by default 0.01, 0.03 and 0.1. On the command line e.g.
        --ratio 0.05; may be repeated.
    models : sequence of str
        Models to compare: "boosted", "linear", and "lightgbm" and "xgboost" where they are installed.
        The first is used unless another is clearly better. On the command line --model; may be repeated.
    seed : int, optional
        Seed of every random draw; by default that of a recipe, else 1.
    """

    time: str | None = None
    group: str | None = None
    amount: str | None = None
    cost: Annotated[float, Interval(ge=0, lt=inf)] | None = None
    alert_rate: Annotated[float, Interval(gt=0, lt=1)] = 0.01
    delay: Annotated[float, Interval(ge=0, lt=inf)] | None = None
    time_unit: Literal["second", "minute", "hour", "day"] | None = None
    test_fraction: Annotated[float, Interval(gt=0, lt=1)] | None = None
    ratios: Annotated[Sequence[float], Each(Interval(gt=0, le=1))] | None = None
    models: Annotated[Sequence[str], MinLen(1)] = ("boosted", "linear")

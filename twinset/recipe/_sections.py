"""The sections of a recipe around its steps: brief, source, split, report and delivery."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema, model_validator
from pydantic_core import PydanticCustomError

from twinset.core.data import schema as columns
from twinset.core.data.rule import RULE_KINDS, rules_from_json
from twinset.core.data.taxonomy import first_repeated
from twinset.core.data.where import Where
from twinset.core.data.window_features import Aggregate
from twinset.core.errors import TwinsetError
from twinset.io.formats import writable_formats
from twinset.io.licences import NOT_STATED, read_licence
from twinset.io.reading.options import ReadOptions

NAME_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"
_SHARE_TOLERANCE = 0.01  # published shares are rounded to percent and need not sum to exactly 1


class Section(BaseModel):
    """Part of a recipe: frozen, strict about types, closed to unknown keys."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, strict=True, allow_inf_nan=False, use_attribute_docstrings=True
    )


def fault(text: str) -> PydanticCustomError:
    """Return the error of a validator with a text of ours."""
    # The text is passed as a value: braces in it are no template.
    return PydanticCustomError("recipe", "{text}", {"text": text})


def _label(value: Any) -> Any:
    """Return a label as text, as YAML writes it: 1 and true are labels too."""
    if isinstance(value, bool):
        return str(value).lower()
    return str(value) if isinstance(value, int | float) else value


@contextmanager
def our_faults() -> Iterator[None]:
    """Turn an error of twinset into that of a validator."""
    try:
        yield
    except TwinsetError as error:
        raise fault(str(error)) from error


def _where(value: Any) -> Any:
    """Return a condition as a mapping; text has the form of the command line."""
    with our_faults():
        where = None if value is None else Where.from_value(value)
    return None if where is None else where.to_json()


_ANY_LABEL = WithJsonSchema({"type": ["string", "number", "boolean"]})
Label = Annotated[str, BeforeValidator(_label), _ANY_LABEL]
Conditions = Annotated[
    dict[str, Any],
    BeforeValidator(_where),
    WithJsonSchema(
        {
            "anyOf": [{"type": "object"}, {"type": "string"}, {"type": "null"}],
            "description": "Column -> condition: a scalar (equals), a list (one of), "
            "{ge, gt, le, lt: bound}, null (missing), {not: ...}.",
            "examples": [{"Class": 1, "Amount": {"ge": 100}}],
        }
    ),
]
Rows = Annotated[int, Field(ge=1, le=10**10)]
Name = Annotated[str, Field(pattern=NAME_PATTERN)]
if TYPE_CHECKING:
    from twinset.io.tiling import Tiling

    Format = str
else:
    Format = Literal[tuple(writable_formats())]
Share = Annotated[float, Field(ge=0, le=1)]


class Brief(Section):
    """The request: the task, its target, and how many rows of which label."""

    purpose: str = ""
    """Purpose of the data, in free words."""
    task: Literal[
        "classification", "regression", "detection", "segmentation", "intent", "entities", "other"
    ] = "other"
    """Task of the models that are trained on the data."""
    modality: Literal["table", "image", "text"] | None = None
    """Kind of the records; inferred from the columns when not given."""
    target: str | None = Field(default=None, examples=["Class"])
    """Column to predict."""
    positive: Label | None = Field(default=None, examples=[1])
    """Label of the target that counts as positive."""
    want: dict[str, Rows] = Field(default_factory=dict, examples=[{"1": 5000}])
    """Label of the target -> its number of rows in the finished train set."""
    population: dict[str, dict[str, Share]] = Field(
        default_factory=dict, examples=[{"sex": {"F": 0.51, "M": 0.49}}]
    )
    """Column -> {level: share}: the true shares in the population."""

    @model_validator(mode="after")
    def _is_consistent(self) -> Self:
        if self.target is None and (self.want or self.positive is not None):
            named = "want" if self.want else "positive"
            raise fault(f"'{named}' names labels and no target is named; set brief.target")
        for column, shares in self.population.items():
            total = sum(shares.values())
            if abs(total - 1) > _SHARE_TOLERANCE:
                raise fault(f"the shares of population.{column} sum to {total:.3g}; allowed: 1")
        return self


class Split(Section):
    """How the holdout is drawn before anything is fitted."""

    by: Literal["stratified", "time", "group", "given"] = "stratified"
    """Keep label shares; latest rows; whole groups; a given column."""
    on: str | None = Field(default=None, examples=["Time"])
    """Column that decides the split."""
    holdout_fraction: float = Field(default=0.2, gt=0, lt=1)
    """Share of the rows in the holdout."""


class ReportSpec(Section):
    """Content of the report beside the verdicts."""

    show_real_rows: bool = False
    """Whether real rows may be shown as examples."""


class Deliver(Section):
    """Folder, formats and content of the delivery."""

    to: str | None = None
    """Folder, in the working folder or absolute; by default out/<recipe name>."""
    formats: list[Format] = Field(default_factory=lambda: ["parquet"], min_length=1)
    """Data formats to write."""
    include: Literal["synthetic", "training_set"] = "synthetic"
    """Only the synthetic rows, or also a train set of real and synthetic rows."""
    escape_formulas: bool = False
    """In CSV, put an apostrophe before texts that a spreadsheet would run as a formula."""

    @model_validator(mode="after")
    def _is_consistent(self) -> Self:
        if len(set(self.formats)) != len(self.formats):
            raise fault(f"the format '{first_repeated(self.formats)}' is named twice")
        return self


def _rule(value: Any) -> Any:
    if isinstance(value, Mapping):
        with our_faults():
            rules_from_json([value])
    return value


def _aggregate(value: Any) -> Any:
    with our_faults():
        return Aggregate.from_json(value).to_json() if isinstance(value, Mapping) else value


def _licence(value: Any) -> Any:
    with our_faults():
        return read_licence(value) if isinstance(value, str) else value


Licence = Annotated[str, BeforeValidator(_licence)]
AggregateEntry = Annotated[dict[str, Any], BeforeValidator(_aggregate)]
RuleEntry = Annotated[dict[str, Any], BeforeValidator(_rule)]


class ColumnSpec(Section):
    """Declaration of one column; what is not declared is inferred."""

    kind: columns.Kind | None = None
    """Kind of the values."""
    role: columns.Role | None = None
    """Role of the column."""
    nullable: bool | None = None
    """Whether values may be missing."""
    decimals: int | None = Field(default=None, ge=0, le=30)
    """Digits after the point."""
    description: str | None = None
    """Free words for readers."""
    aggregate: AggregateEntry | None = Field(
        default=None, examples=[{"of": "amount", "how": "sum", "by": "card", "over": "7d"}]
    )
    """Definition of a velocity feature; it is computed, never interpolated."""


class LabelSpec(Section):
    """Declaration of one label."""

    definition: str = ""
    """Meaning of the label."""
    parent: Label | None = None
    """The broader label above it."""


class TilesSpec(Section):
    """How large images are cut into tiles, before all other steps."""

    size: int | list[int] = Field(default=640, examples=[512, [512, 768]])
    """Side of the tiles in pixels, or height and width."""
    overlap: int = Field(default=64, ge=0)
    """Smallest overlap of adjacent tiles in pixels."""
    min_visible_fraction: float = Field(default=0.1, ge=0, le=1)
    """Objects with a smaller visible share on a tile are removed from its map and labels."""
    keep_empty: bool = True
    """Whether tiles without objects are kept."""

    @model_validator(mode="after")
    def _is_tiling(self) -> Self:
        if isinstance(self.size, list) and len(self.size) != 2:
            raise fault(
                f"size must be one number, or height and width; got {len(self.size)} numbers"
            )
        with our_faults():
            self.tiling()
        return self

    def tiling(self) -> Tiling:
        """Return the settings of the cut."""
        from twinset.io.tiling import Tiling

        return Tiling(
            size=self.size if isinstance(self.size, int) else (self.size[0], self.size[1]),
            overlap=self.overlap,
            min_visible_fraction=self.min_visible_fraction,
            keep_empty=self.keep_empty,
        )


class ReadSpec(Section):
    """How a CSV file is read whose cells allow several readings."""

    header: bool | None = None
    """Whether the first line holds the names of the columns."""
    skip: int = Field(default=0, ge=0)
    """Number of lines before the header."""
    delimiter: str = ""
    """The character between cells, or tab, comma, semicolon, bar or space."""
    decimal: Literal["", ".", ","] = ""
    """The mark before decimals."""
    dates: Literal["", "day-first", "month-first"] = ""
    """The order of dates such as 03/04/2021."""
    text: list[str] = Field(default_factory=list)
    """Columns that stay texts."""
    number: list[str] = Field(default_factory=list)
    """Columns of numbers: any other cell is missing."""
    category: list[str] = Field(default_factory=list)
    """Columns of labels."""
    missing: list[Label] = Field(default_factory=list)
    """Cells that are missing values, in every column."""
    escaped_formulas: bool | None = None
    """Whether an apostrophe stands before texts that a spreadsheet would run."""

    @model_validator(mode="after")
    def _is_consistent(self) -> Self:
        with our_faults():
            self.options()
        return self

    def options(self) -> ReadOptions:
        """Return the options of the reader."""
        return ReadOptions().merge(self.model_dump(exclude_defaults=True))


class Source(Section):
    """The real set: its place, licence, columns, labels and rules."""

    name: Name | None = Field(default=None, examples=["ulb"])
    """Name in the catalogue."""
    fetch: str | None = Field(default=None, examples=["ulb-creditcard"])
    """Name of a public set; see: twinset fetch."""
    path: str | None = Field(default=None, examples=["data/claims.csv"])
    """File or folder, relative to the recipe; after --set, to the working folder."""
    set_: str | None = Field(default=None, alias="set", examples=["ulb@1"])
    """Registered set, name or name@version."""
    on_fault: Literal["stop", "skip"] = "stop"
    """Whether faulty files, boxes and spans end the run, or are left out and noted."""
    read: ReadSpec | None = Field(default=None, examples=[{"decimal": ",", "text": ["zip"]}])
    """How to read a CSV file whose cells allow several readings."""
    tiles: TilesSpec | None = Field(default=None, examples=[{"size": 640, "overlap": 64}])
    """Cut of large images into tiles; they stay whole when not given."""
    licence: Licence = Field(default=NOT_STATED, examples=["CC-BY-4.0", "LicenseRef-contract"])
    """SPDX expression, or proprietary, unknown, NONE, NOASSERTION, DbCL-1.0."""
    provenance: dict[str, Any] = Field(default_factory=dict)
    """Citation, address and the like, for the card."""
    schema_: dict[str, ColumnSpec] = Field(
        default_factory=dict, alias="schema", examples=[{"Time": {"role": "time"}}]
    )
    """Column -> its declaration, only where it differs from what is inferred."""
    rules: list[RuleEntry] = Field(
        default_factory=list,
        description=f"Rules of every row, real or synthetic; kinds: {', '.join(RULE_KINDS)}.",
        examples=[
            [
                {"kind": "order", "columns": ["start", "end"]},
                {"kind": "predicate", "expression": "age >= 18 or job is null"},
            ]
        ],
    )
    labels: dict[str, dict[str, LabelSpec]] = Field(
        default_factory=dict,
        examples=[{"Class": {"0": {"definition": "genuine"}, "1": {"definition": "fraud"}}}],
    )
    """Column -> its closed list of labels, each with definition and parent."""

    @model_validator(mode="after")
    def _is_consistent(self) -> Self:
        named = [key for key in ("fetch", "path", "set_") if getattr(self, key) is not None]
        if len(named) != 1:
            got = " and ".join(key.rstrip("_") for key in named) or "none of them"
            raise fault(f"a source needs exactly one of fetch, path and set; got {got}")
        for column, labels in self.labels.items():
            try:
                _taxonomy(labels)
            except TwinsetError as error:
                raise fault(f"labels.{column}: {error}") from error
        return self

    def read_options(self) -> ReadOptions:
        """Return how the file is read."""
        return ReadOptions() if self.read is None else self.read.options()

    def fields(self, schema: columns.Schema) -> tuple[columns.Field, ...]:
        """Return the fields of `schema` that the recipe declares, as it declares them.

        Aggregates that are no column yet are not among them: see `new_aggregates`.
        """
        new = self.new_aggregates(schema)
        declared = [c for c in dict.fromkeys([*self.schema_, *self.labels]) if c not in new]
        return tuple(self._field(schema[column]) for column in declared)

    def new_aggregates(self, schema: columns.Schema) -> dict[str, Aggregate]:
        """Return the declared aggregates that are no column of the source."""
        return {
            name: Aggregate.from_json(spec.aggregate)
            for name, spec in self.schema_.items()
            if spec.aggregate is not None and name not in schema.names
        }

    def _field(self, field: columns.Field) -> columns.Field:
        spec = self.schema_.get(field.name, ColumnSpec())
        changes = spec.model_dump(exclude_none=True)
        if spec.aggregate is not None:
            changes["aggregate"] = Aggregate.from_json(spec.aggregate)
        labels = self.labels.get(field.name)
        if labels is not None:
            changes["taxonomy"] = _taxonomy(labels)
            if not (field.column_kind.label_key or field.kind == "category"):
                changes.setdefault("kind", "category")
        if changes.get("kind", field.kind) != field.kind:
            changes.setdefault("decimals", None)
            changes["levels"] = None
        return replace(field, **changes)


def _taxonomy(labels: Mapping[str, LabelSpec]) -> columns.Taxonomy:
    return columns.Taxonomy(
        tuple(columns.Label(name, spec.definition, spec.parent) for name, spec in labels.items())
    )

"""The plain sections of a recipe: brief, split, report and delivery; and what all sections share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema, model_validator
from pydantic_core import PydanticCustomError

from twinset.core.data.where import Where
from twinset.core.errors import TwinsetError
from twinset.io.formats import writable_formats

NAME_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"
_SHARE_TOLERANCE = 0.01


class Section(BaseModel):
    """Part of a recipe: frozen, strict about types, closed to unknown keys."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


def fault(text: str) -> PydanticCustomError:
    """Return the error by which a validator tells a fault in our own words."""
    # The text goes in as a value: braces in it are no template.
    return PydanticCustomError("recipe", "{text}", {"text": text})


def _label(value: Any) -> Any:
    """Read a label as text, as YAML writes it: 1 and true are labels too."""
    if isinstance(value, bool):
        return str(value).lower()
    return str(value) if isinstance(value, int | float) else value


def _where(value: Any) -> Any:
    """Check a condition; text in the form of the command line becomes a mapping."""
    if value is None:
        return value
    try:
        where = Where.of(value)
    except TwinsetError as error:
        raise fault(str(error)) from error
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
    Format = str
else:
    Format = Literal[tuple(writable_formats())]
Share = Annotated[float, Field(ge=0, le=1)]


class Brief(Section):
    """What is asked for: the task, its target, and how much of what is wanted."""

    purpose: str = Field(default="", description="What the data are for, in free words.")
    task: Literal[
        "classification", "regression", "detection", "segmentation", "intent", "entities", "other"
    ] = Field(default="other", description="What will be trained on the data.")
    modality: Literal["table", "image", "text"] | None = Field(
        default=None, description="What the records are; read from the columns when not given."
    )
    target: str | None = Field(default=None, description="Column to predict.", examples=["Class"])
    positive: Label | None = Field(
        default=None, description="Label of the target that counts as positive.", examples=[1]
    )
    want: dict[str, Rows] = Field(
        default_factory=dict,
        description="Label of the target -> rows of it that the finished training set shall hold.",
        examples=[{"1": 5000}],
    )
    population: dict[str, dict[str, Share]] = Field(
        default_factory=dict,
        description="Column -> {level: share}: the shares that the population truly has.",
        examples=[{"sex": {"F": 0.51, "M": 0.49}}],
    )

    @property
    def positive_label(self) -> str | None:
        """The positive label as text, or None."""
        return self.positive

    @model_validator(mode="after")
    def _is_consistent(self) -> Self:
        if self.target is None and (self.want or self.positive is not None):
            named = "want" if self.want else "positive"
            raise fault(f"'{named}' speaks of labels and no target is named; set brief.target")
        for column, shares in self.population.items():
            total = sum(shares.values())
            if abs(total - 1) > _SHARE_TOLERANCE:
                raise fault(f"the shares of population.{column} sum to {total:.3g}; allowed: 1")
        return self


class Split(Section):
    """How the holdout is cut off before anything is learnt."""

    by: Literal["stratified", "time", "group", "given"] = Field(
        default="stratified",
        description="Keep label shares; latest rows; whole groups; a given column.",
    )
    on: str | None = Field(
        default=None, description="Column that the cut looks at.", examples=["Time"]
    )
    holdout_fraction: float = Field(
        default=0.2, gt=0, lt=1, description="Share of the rows that is locked away."
    )


class ReportSpec(Section):
    """What the report shows beside the verdicts."""

    show_real_rows: bool = Field(
        default=False, description="Whether real rows may be shown as examples."
    )


def _parquet_only() -> list[Format]:
    return ["parquet"]


class Deliver(Section):
    """Where the finished sets go."""

    to: str | None = Field(
        default=None,
        description="Folder, in the working folder or absolute; by default out/<recipe name>.",
    )
    formats: list[Format] = Field(
        default_factory=_parquet_only, min_length=1, description="Data formats to write."
    )
    include: Literal["synthetic", "training_set"] = Field(
        default="synthetic",
        description="Only the made rows, or beside them the real training rows with the made ones.",
    )

    @model_validator(mode="after")
    def _is_consistent(self) -> Self:
        if len(set(self.formats)) != len(self.formats):
            raise fault("a format is named twice")
        return self

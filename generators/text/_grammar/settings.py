"""Settings of a grammar: their types, short forms and JSON Schema; editors complete files by it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Any, ClassVar, Literal, TypeVar

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetJsonSchemaHandler,
    ValidationError,
    WithJsonSchema,
    model_validator,
)
from pydantic_core import CoreSchema, PydanticCustomError

from twinset.core.errors import ParameterError, Place, did_you_mean

MAX_CALLS = 1_000_000  # of Faker: a pool of 25 to 120 seconds, held in memory
# Weights have nine decimals, so that fractions of them have a common denominator and a round of the
# apportionment is finite.
MIN_WEIGHT, MAX_WEIGHT = 1e-6, 1e6

_SYNTAX = (
    "text with {slot}, [optional ?0.3], (one|other *2), <rule>; a backslash before a sign writes it"
)
_MAX_SHOWN = 60  # characters of a value in an error
_PROBLEMS = {
    "extra_forbidden": "there is no such setting",
    "is_instance_of": "it is no list",
    "missing": "it is missing",
    "model_type": "it is no mapping",
    "sequence_str": "it is no list",
    "too_short": "it is empty",
}


def _spelled(value: object) -> object:
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else value


def _name(value: object) -> object:
    text = _spelled(value)
    if isinstance(text, str) and not text.strip():
        raise PydanticCustomError("name", "it is no text")
    return text


def _clean(value: object) -> object:
    text = _spelled(value)
    if isinstance(text, str) and (not text.strip() or text != text.strip()):
        raise PydanticCustomError("value", "a value is empty or has blanks round it")
    return text


_SCALAR = WithJsonSchema({"type": ["string", "number"]})
Name = Annotated[str, BeforeValidator(_name), _SCALAR]
Spelled = Annotated[str, BeforeValidator(_spelled), _SCALAR]
Text = Annotated[str, BeforeValidator(_clean), _SCALAR]
Identifier = Annotated[str, Field(pattern=r"^[^\W\d]\w*$")]
Weight = Annotated[float, Field(ge=MIN_WEIGHT, le=MAX_WEIGHT, allow_inf_nan=False)]
Names = Annotated[
    Sequence[str], BeforeValidator(lambda value: [value] if isinstance(value, str) else value)
]


class _Settings(BaseModel):
    """A mapping of settings; a plain value stands for the setting `short`."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)
    short: ClassVar[str] = ""

    @model_validator(mode="before")
    @classmethod
    def _expand(cls, given: Any) -> Any:
        if isinstance(given, Mapping):
            return dict(given)
        return {cls.short: given} if cls.short else given

    @classmethod
    def __get_pydantic_json_schema__(
        cls, core: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        own = handler.resolve_ref_schema(handler(core))
        return {"anyOf": [own["properties"][cls.short], own]} if cls.short else own


class TemplateSettings(_Settings):
    """A template, or a text of a rule; further keys become columns."""

    model_config = ConfigDict(extra="allow")
    short: ClassVar[str] = "text"

    text: str = Field(description=_SYNTAX)
    weight: Weight = 1
    name: Name | None = None


class LabelSettings(_Settings):
    """The templates of a label and its share; further keys become columns."""

    model_config = ConfigDict(extra="allow")
    short: ClassVar[str] = "templates"

    templates: Sequence[TemplateSettings] = Field(min_length=1)
    share: Weight = 1


class RuleSettings(_Settings):
    """The texts that a rule stands for; with a label they become spans."""

    short: ClassVar[str] = "any_of"

    any_of: Sequence[TemplateSettings] = Field(min_length=1)
    label: Annotated[str, Field(min_length=1)] | None = None


class ValueSettings(_Settings):
    """A listed value with its other names; the weight is that of the thing, and its names share it."""

    short: ClassVar[str] = "value"

    value: Text
    weight: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 1
    synonyms: Sequence[Text] = ()
    canonical: Spelled | None = None


def _one_source(schema: dict[str, Any]) -> None:
    schema["oneOf"] = [{"required": [name]} for name in SlotSettings.sources]
    # Arguments of Faker's providers have no schema here.
    schema["if"] = {"required": ["faker"]}
    schema["else"] = {"propertyNames": {"enum": list(schema["properties"])}}


class SlotSettings(_Settings):
    """The source of a slot's values, and what holds for them."""

    model_config = ConfigDict(extra="allow", json_schema_extra=_one_source)
    short: ClassVar[str] = "values"
    sources: ClassVar[tuple[str, ...]] = (
        "values", "lexicon", "faker", "date_range", "number", "pattern", "mask", "like", "column",
    )  # fmt: skip
    # Setting -> the sources that have it; all others fit every source.
    own: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "format": ("date_range", "number", "column"),
        "marks": ("number", "column"),
        "decimals": ("number",),
        "scale": ("number",),
        "letters": ("mask",),
        "pool": ("faker",),
    }

    values: Annotated[Sequence[ValueSettings], Field(min_length=1)] | None = None
    lexicon: str | None = Field(None, description="File with a value a line, UTF-8.")
    faker: str | None = Field(None, description="Provider of Faker; further keys are arguments.")
    date_range: Any = Field(None, examples=[["2025-01-01", "2025-12-31"]])
    number: Any = Field(None, examples=[[5, 900]])
    pattern: Spelled | None = Field(None, examples=[r"[A-Z]{2}-\d{6}"])
    mask: Spelled | None = Field(None, examples=["??-####"])
    like: str | None = None
    column: str | None = Field(None, examples=["customer.name"])
    label: Name | None = None
    role: Name | None = None
    group: Name | None = None
    unique: bool = False
    distinct_from: Names = ()
    locale: Name | None = None
    format: str | None = None
    marks: str = ",."
    decimals: Annotated[int, Field(ge=0)] = 0
    scale: Literal["linear", "log"] = "linear"
    letters: str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
    pool: Annotated[int, Field(ge=1, le=MAX_CALLS)] | None = None

    @property
    def kind(self) -> str:
        """The one source."""
        return next(name for name in self.sources if name in self.model_fields_set)

    @model_validator(mode="after")
    def _check_source(self) -> SlotSettings:
        given = [name for name in self.sources if name in self.model_fields_set]
        if "lexicon" in given:
            raise PydanticCustomError(
                "lexicon",
                "it names a file, and files are opened for recipes only; give its values as a list",
            )
        if len(given) != 1:
            raise PydanticCustomError(
                "source",
                "it has no one source; allowed: a list of values, {faker: name}, {number: [5, 9]}, "
                "{date_range: [2025-01-01, 2025-12-31]}, or one of {others}",
                {"others": ", ".join(self.sources)},
            )
        kind = given[0]
        known = [
            key
            for key in type(self).model_fields
            if key not in self.sources and kind in self.own.get(key, (kind,))
        ]
        unknown = sorted(self.model_fields_set.difference(known, (kind,)))
        if unknown and kind != "faker":
            hint = did_you_mean(unknown[0], known)
            raise PydanticCustomError(
                "extra",
                "unknown setting '{key}'; allowed: {known}",
                {"key": unknown[0], "known": ", ".join((kind, *known)) + (hint and f"; {hint}")},
            )
        return self

    @property
    def faker_arguments(self) -> dict[str, Any]:
        """Arguments of the provider of Faker."""
        own = [key for key in self.own if key in self.model_fields_set and key != "pool"]
        return {key: getattr(self, key) for key in own} | dict(self.model_extra or {})


class FormatSettings(_Settings):
    """The format of numbers or dates in a column."""

    format: str = "{}"
    marks: str = ",."


class TableSettings(_Settings):
    """The rows of a table, or the asset of the recipe that has them."""

    rows: Any = None
    asset: str = ""
    key: Name | None = None
    labels: Mapping[str, str | None] | None = None
    formats: Mapping[str, FormatSettings] = Field(default_factory=dict)
    unique: bool = False

    @model_validator(mode="before")
    @classmethod
    def _expand(cls, given: Any) -> Any:
        if isinstance(given, Mapping) and not hasattr(given, "__arrow_c_stream__"):
            return dict(given)
        return {"asset" if isinstance(given, str) else "rows": given}

    @model_validator(mode="after")
    def _check_rows(self) -> TableSettings:
        if self.rows is None and not self.asset:
            raise PydanticCustomError(
                "rows",
                "it has no rows; allowed: a list of rows, the name of an asset, or "
                "{asset: NAME, key: COLUMN, labels: {COLUMN: LABEL}}",
            )
        return self


class HoldoutSettings(_Settings):
    """Share of the templates of each label, and of the values of slots, that is held out."""

    fraction: Annotated[float, Field(gt=0, lt=1)] = 0.2
    slots: Sequence[str] = ()


class GrammarSettings(_Settings):
    """What short labelled texts are made from."""

    model_config = ConfigDict(title="Grammar of text.templates")

    templates: Mapping[Name, LabelSettings] = Field(min_length=1)
    slots: Mapping[Identifier, SlotSettings] = Field(
        default_factory=dict, description="Slot -> where its values come from."
    )
    rules: Mapping[Identifier, RuleSettings] = Field(
        default_factory=dict, description="Rule -> the texts that <rule> stands for."
    )
    tables: Mapping[Identifier, TableSettings] = Field(
        default_factory=dict,
        description="Table -> its rows, or the name of an asset of the recipe.",
    )
    locale: str = Field("en_US", examples=["en_US", "de_DE"])
    shares: Mapping[Name, Weight] | None = None
    unique_rows: bool = True
    nested: bool = False
    capitalise: bool = False
    max_depth: Annotated[int, Field(ge=1)] = 10
    holdout: HoldoutSettings | None = None


S = TypeVar("S", bound=_Settings)


def read_settings(model: type[S], given: Mapping[str, Any], above: Place = ()) -> S:
    """Return checked settings, found at `above`; an error names the first wrong one and its place."""
    try:
        return model.model_validate(given)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = (*above, *place_in(given, first["loc"]))
        spelled = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in place)
        got = repr(first["input"])
        problem = _PROBLEMS.get(first["type"], first["msg"].replace("Input", "it"))
        raise ParameterError(
            f"'{spelled[1:]}' cannot be used as it is: {problem}",
            got=got if len(got) <= _MAX_SHOWN else f"a {type(first['input']).__name__}",
            place=place,
        ) from None


def unknown_name(
    problem: str, name: str, known: Iterable[str], place: Place, *, got: str = "", none: str = ""
) -> ParameterError:
    """Return the error for a name that is none of the known ones; `none` is said where there are none."""
    names = list(known)
    allowed, hint = ", ".join(names) or none, did_you_mean(name, names)
    return ParameterError(problem, got=got, allowed=allowed, todo=hint, place=place)


def place_in(given: object, location: Sequence[str | int]) -> Place:
    """Return where a setting stands: a short form has no key of its own."""
    place: list[str | int] = []
    at = given
    for part in location:
        if part == "[key]" or (isinstance(part, str) and not isinstance(at, Mapping)):
            continue
        place.append(part)
        is_there = isinstance(at, Mapping) and part in at
        is_item = isinstance(at, Sequence) and isinstance(part, int) and part < len(at)
        at = at[part] if is_there or is_item else None  # type: ignore[index]
    return tuple(place)


def grammar_schema() -> dict[str, Any]:
    """Return the JSON Schema of a grammar."""
    schema = GrammarSettings.model_json_schema()
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}

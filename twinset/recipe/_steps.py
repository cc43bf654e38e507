"""The sections of a recipe that name components: generate, augment and evaluate."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, WithJsonSchema, model_validator

from twinset.core.contracts import LeakKind, Metric
from twinset.core.features.embedders import EmbedderName
from twinset.core.features.embedders.names import FORMS
from twinset.recipe._sections import Conditions, Name, Rows, Section, fault, our_faults
from twinset.registry import build, component_names


class CountSpec(Section):
    """Number of rows under one condition."""

    where: Conditions
    """Condition of these rows."""
    rows: Rows
    """Number of rows."""


class CoverSpec(Section):
    """Conditions of which every combination shall occur."""

    factors: dict[str, list[str]] = Field(
        min_length=1, examples=[{"light": ["day", "night"], "weather": ["clear", "fog"]}]
    )
    """Column -> its levels."""
    strength: int = Field(default=2, ge=1, le=3)
    """Every level, every pair, every triple."""
    at_least: int = Field(default=1, ge=1)
    """Smallest number of rows of each combination."""
    most: int | None = Field(default=None, ge=1)
    """Largest number of rows."""
    forbidden: list[dict[str, str]] = Field(default_factory=list)
    """Combinations that never occur."""
    beyond_real: bool = False
    """Whether combinations in the real train rows count as covered."""
    predictions: str | None = Field(
        default=None,
        min_length=1,
        description="File of a model's predictions with these columns and whether each was right; "
        "combinations on which the model errs come first.",
        examples=["predictions.csv"],
    )
    correct: str = "correct"
    """Column of the predictions: true or false, 1 or 0."""
    least: int | None = Field(default=None, ge=1)
    """Smallest number of rows: those beyond the plan are where the model errs, or even."""


class ComponentStep(Section):
    """Keys that generate and augment steps share."""

    use: str
    """Name of the component; see: twinset list."""
    name: Name | None = None
    """Name of the step; by default the last word of `use`."""
    where: Conditions | None = None
    """Condition of the drawn, or varied, rows."""
    with_: dict[str, Any] = Field(default_factory=dict, alias="with")
    """Settings; see: twinset show NAME."""

    @property
    def settings(self) -> dict[str, Any]:
        """Settings of the component."""
        return self.with_


class GenerateStep(ComponentStep):
    """Draw new rows from a generator."""

    rows: Rows | None = None
    """Number of rows; by default those of the brief, else as many as real."""
    counts: list[CountSpec] = Field(default_factory=list)
    """Numbers of rows under several conditions; replaces rows."""
    cover: CoverSpec | None = None
    """As few rows as have every combination of these conditions; replaces rows."""
    value_protection: bool = True
    """Replace values that a single person holds, rare levels and extremes before the fit."""

    @property
    def follows_brief(self) -> bool:
        """Whether the brief decides the rows: the step has neither rows nor a condition."""
        own = (self.rows, self.where, self.cover)
        return not self.counts and all(value is None for value in own)

    @model_validator(mode="after")
    def _is_consistent(self) -> Self:
        cover = self.cover
        if cover is not None and cover.least and cover.most and cover.least > cover.most:
            raise fault("no plan fits: cover.least is more than cover.most")
        given = [name for name in ("rows", "counts", "cover") if getattr(self, name)]
        if len(given) > 1:
            raise fault(f"a step takes '{given[0]}' or '{given[1]}', not both")
        return self


class AugmentStep(ComponentStep):
    """Vary real train rows, or rows of an earlier step."""

    of: Name | None = None
    """Step whose rows are varied; by default the real train rows are."""
    replace: bool = Field(
        default=False,
        description="Whether the varied rows replace those of `of`, which are then neither measured nor "
        "delivered.",
    )

    copies: int = Field(default=1, ge=1, le=10_000)
    """Number of varied rows of each row."""
    value_protection: bool = True
    """Whether values of single persons are replaced before cells of real tables are varied."""

    @model_validator(mode="after")
    def _is_consistent(self) -> Self:
        if self.replace and self.of is None:
            raise fault("'replace' needs 'of': real rows are not replaced")
        return self


class MetricUse(Section):
    """One metric with its settings."""

    use: str
    """Name of a metric; see: twinset list."""
    with_: dict[str, Any] = Field(default_factory=dict, alias="with")
    """Settings; see: twinset show NAME."""


class GateSpec(Section):
    """Bounds of a metric for the run to pass."""

    max: float | None = None
    """Largest value that passes."""
    min: float | None = None
    """Smallest value that passes."""
    of: Literal["value", "difference"] = "value"
    """The metric's value, or its difference from real rows."""

    @model_validator(mode="after")
    def _is_consistent(self) -> Self:
        if self.max is None and self.min is None:
            raise fault("a gate needs 'max' or 'min'")
        if self.max is not None and self.min is not None and self.max < self.min:
            raise fault("no number passes this gate: 'max' is less than 'min'")
        return self


def _metric_uses(value: Any) -> Any:
    """Return the long form: "default" becomes None, a bare name {use: name}."""
    if value == "default":
        return None
    if isinstance(value, list):
        return [{"use": item} if isinstance(item, str) else item for item in value]
    return value


def _embedders(value: Any) -> Any:
    """Return a list of names, each that of an embedder, none twice."""
    names = [value] if isinstance(value, str) else value
    if not isinstance(names, list):
        return names
    for name in names:
        with our_faults():
            if isinstance(name, str):
                EmbedderName.parse(name)
    if len(set(map(str, names))) < len(names):
        raise fault("an embedder stands here twice")
    return names


class Evaluate(Section):
    """How the synthetic rows are measured, and the gates of the run."""

    metrics: Annotated[list[MetricUse] | None, BeforeValidator(_metric_uses)] = None
    """'default' (all that suit the columns), or a list of metrics."""
    gates: dict[str, GateSpec] = Field(
        default_factory=dict, examples=[{"privacy.exact_copies": {"max": 0}}]
    )
    """Metric -> bounds; a run that misses a gate ends with exit code 3."""
    allow_leaks: list[LeakKind] = Field(default_factory=list, examples=[["group"]])
    """Kinds of leakage between holdout and train rows that are reported, not refused."""

    ignore: list[str] = Field(default_factory=list, examples=[["comment"]])
    """Columns that are not measured; the report names them."""
    quasi_identifiers: list[str] = Field(default_factory=list, examples=[["age", "sex", "place"]])
    """Columns that others may know of a person: combinations that few real rows share are counted."""

    attacks: list[Literal["shadow"]] = Field(default_factory=list, examples=[["shadow"]])
    """Attacks that refit the generator many times."""

    embedder: Annotated[
        list[str],
        BeforeValidator(_embedders),
        WithJsonSchema(
            {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]}
        ),
    ] = Field(
        default_factory=list,
        description=f"Embedders of images and texts, one or a list: {FORMS}. By default classical and, "
        "with a holdout, net; for texts words.",
        examples=["classical", ["classical", "onnx:eye.onnx"]],
    )

    def metrics_json(self) -> list[dict[str, Any]]:
        """Return the metrics that may be computed, as plain JSON values."""
        attacks = [{"use": f"attack {name}", "with": {}} for name in self.attacks]
        columns = {
            key: one for key in ("ignore", "quasi_identifiers") if (one := getattr(self, key))
        }
        asked = [*attacks, *([{"use": "columns", "with": columns}] if columns else [])]
        if self.metrics is None:
            return [{"use": name, "with": {}} for name in component_names("metric")] + asked
        return [{"use": metric.use, "with": metric.with_} for metric in self.metrics] + asked

    def gates_json(self) -> dict[str, dict[str, Any]]:
        """Return the gates as plain JSON values: metric -> {max or min, of}."""
        return {name: gate.model_dump(exclude_none=True) for name, gate in self.gates.items()}

    def built_metrics(self, kinds: frozenset[str]) -> list[tuple[str, Metric]]:
        """Return the metrics by name; of the default ones those for columns of `kinds`."""
        from twinset.registry import attack_metrics, default_metrics

        if self.metrics is None:
            chosen = default_metrics(kinds, quasi_identifiers=self.quasi_identifiers)
        else:
            chosen = [(use.use, build("metric", use.use, use.with_)) for use in self.metrics]
        named = {name for name, _ in chosen}
        return chosen + [pair for pair in attack_metrics(self.attacks) if pair[0] not in named]

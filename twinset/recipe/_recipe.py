"""`Recipe`: what to do, from the brief to the delivery."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import Field, PrivateAttr

from twinset.core.errors import ParameterError, RecipeError
from twinset.core.features.embedders import EmbedderName
from twinset.recipe._sections import Brief, Deliver, Name, ReportSpec, Section, Source, Split
from twinset.recipe._steps import AugmentStep, Evaluate, GenerateStep
from twinset.recipe._yaml import Document, spell_path
from twinset.recipe._yaml import Path as YamlPath
from twinset.registry import ComponentKind, component_class, component_names

RESERVED_STEPS = frozenset(
    {"source", "split", "real", "train", "holdout", "measure", "report", "deliver"}
)
"""Steps of every run; no generation step may have their names."""


class Recipe(Section):
    """What to do, from the brief to the delivery. Build one with `load_recipe` or `parse_recipe`.

    Its paths are relative to `base`; deliveries are written below `home`.
    """

    name: Name = Field(examples=["card-fraud"])
    """Name of the synthetic set in the catalogue."""
    seed: int = Field(default=0, ge=0)
    """Decides every random draw of the run."""
    brief: Brief
    """The request."""
    source: Source | None = None
    """The real set; none for a recipe that only draws by rules."""
    split: Split = Field(default_factory=Split)
    """How the holdout is drawn."""
    assets: dict[str, str] = Field(default_factory=dict)
    """Name -> path of a data file, or a folder of images, for components."""
    generate: list[GenerateStep] = Field(default_factory=list)
    """Steps that draw new rows."""
    augment: list[AugmentStep] = Field(default_factory=list)
    """Steps that vary real train rows, or rows of an earlier step."""
    evaluate: Evaluate = Field(default_factory=Evaluate)
    """How it is measured."""
    report: ReportSpec = Field(default_factory=ReportSpec)
    """What the report may show."""
    deliver: Deliver = Field(default_factory=Deliver)
    """Where the results go."""

    _base: Path = PrivateAttr(default=Path())
    _home: Path = PrivateAttr(default=Path())
    _name: str = PrivateAttr(default="")
    _document: Document | None = PrivateAttr(default=None)

    @property
    def base(self) -> Path:
        """The folder of the relative paths in the recipe."""
        return self._base

    def placed(self, base: Path, home: Path, name: str, document: Document) -> Recipe:
        """Return the recipe with the folders of its paths, and its file to name the lines of faults."""
        copy = self.model_copy()
        copy._base, copy._home, copy._name, copy._document = base, home, name, document
        return copy

    @contextmanager
    def faults_of(self, step: str) -> Iterator[None]:
        """Add file, line and path to the ParameterError of a setting that proves wrong while a step runs.

        Some faults need the data: a template may name a column that a table does not have.
        """
        try:
            yield
        except ParameterError as error:
            if not error.place or self._document is None:
                raise
            number, n = [name for name, _ in self.named_steps()].index(step), len(self.generate)
            section: YamlPath = ("generate", number) if number < n else ("augment", number - n)
            path = (*section, "with", *error.place)
            line = self._document.place(path)
            at = line if isinstance(line, str) else f"{self._name}:{line}"
            raise ParameterError(
                f"{at}: {spell_path(path)}: {error.message}",
                got=error.got,
                allowed=error.allowed,
                todo=error.todo,
                place=error.place,
            ) from error

    @property
    def digest(self) -> str:
        """SHA-256 of everything but the place of delivery, 64 hexadecimal digits."""
        # A key added later counts only where it is set: recipes of before keep their digest.
        apart = {"to"} if self.deliver.escape_formulas else {"to", "escape_formulas"}
        value = self.model_dump(mode="json", by_alias=True, exclude={"deliver": apart})
        text = json.dumps(value, sort_keys=True, ensure_ascii=False)
        return hashlib.sha256(text.encode()).hexdigest()

    @property
    def source_name(self) -> str:
        """Name of the real set in the catalogue."""
        source = self.source
        assert source is not None
        registered = source.set_.partition("@")[0] if source.set_ else None
        return source.name or source.fetch or registered or f"{self.name}.real"

    def named_steps(self) -> tuple[tuple[str, GenerateStep | AugmentStep], ...]:
        """Return every step with its name, generate before augment; names are unique.

        A step without a name gets the last word of its component, with a number if that is taken.
        """
        steps: list[GenerateStep | AugmentStep] = [*self.generate, *self.augment]
        taken = {step.name for step in steps if step.name is not None} | RESERVED_STEPS
        named: list[tuple[str, GenerateStep | AugmentStep]] = []
        for step in steps:
            name = step.name
            if name is None:
                stem = step.use.rpartition(".")[2]
                tries = (stem if i == 1 else f"{stem}-{i}" for i in range(1, len(steps) + 2))
                name = next(word for word in tries if word not in taken)
                taken.add(name)
            named.append((name, step))
        return tuple(named)

    def delivered_steps(self) -> tuple[str, ...]:
        """Return the names of the steps whose rows are measured and delivered, in their order.

        The rows of a step that a later one varies and replaces are not.
        """
        steps = self.named_steps()
        replaced = {s.of for _, s in steps if isinstance(s, AugmentStep) and s.replace}
        return tuple(name for name, _ in steps if name not in replaced)

    def source_path(self) -> Path:
        """Return the path of the source's file or folder."""
        assert self.source is not None
        assert self.source.path is not None
        return self._base / self.source.path

    def asset_path(self, name: str) -> Path:
        """Return the path of an asset."""
        return self._base / self.assets[name]

    def embedders(self) -> tuple[str, ...]:
        """Return the names of the embedders, with the paths of their files."""
        return tuple(
            str(EmbedderName.parse(name).placed(self._base)) for name in self.evaluate.embedder
        )

    def delivery_folder(self) -> Path:
        """Return the folder of the delivery."""
        return self._home / (self.deliver.to or f"out/{self.name}")


_STEPS: dict[str, ComponentKind] = {
    "GenerateStep": "generator",
    "AugmentStep": "augmenter",
    "MetricUse": "metric",
}


def recipe_schema() -> dict[str, Any]:
    """Return the JSON Schema of a recipe, with the names of the installed components as examples.

    Examples
    --------
    >>> schema = recipe_schema()
    >>> sorted(schema["required"])
    ['brief', 'name']
    """
    schema = Recipe.model_json_schema(by_alias=True)
    parts = schema["$defs"]
    for part, kind in _STEPS.items():
        parts[part]["properties"]["use"]["examples"] = list(component_names(kind))
    metrics = parts["Evaluate"]["properties"]["metrics"]
    uses = {"anyOf": [{"type": "string"}, {"$ref": "#/$defs/MetricUse"}]}
    metrics["anyOf"] = [{"const": "default"}, {"type": "array", "items": uses}]
    metrics["default"] = "default"
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}


def file_schema(use: str) -> dict[str, Any]:
    """Return the JSON Schema of a file of settings for a generator.

    Examples
    --------
    >>> file_schema("text.templates")["required"]
    ['templates']
    """
    cls = component_class("generator", use)
    publish = getattr(cls, "settings_schema", None)
    if publish is None:
        raise RecipeError(
            f"the generator '{use}' reads no file of settings",
            todo="see the settings that a recipe gives it: twinset show " + use,
        )
    return dict(publish())


def known_keys(path: YamlPath) -> list[str]:
    """Return the keys that a recipe may hold at `path`; empty where any key may stand.

    Examples
    --------
    >>> known_keys(("split",))
    ['by', 'on', 'holdout_fraction']
    """
    schema = _schema_of_keys()
    at: Any = schema
    for part in path:
        if isinstance(part, int):
            at = at.get("items", {})
        else:
            at = at.get("properties", {}).get(part, at.get("additionalProperties", {}))
        at = _resolved(at, schema)
    return list(at.get("properties", {}))


def _resolved(at: Any, schema: dict[str, Any]) -> dict[str, Any]:
    """Return the schema that a reference names; of alternatives the one with a structure."""
    if not isinstance(at, dict):
        return {}
    for choice in at.get("anyOf", ()):
        if choice.get("type") in ("array", "object") or "$ref" in choice:
            at = choice
            break
    if "$ref" in at:
        return dict(schema["$defs"][at["$ref"].rpartition("/")[2]])
    return dict(at)


@cache
def _schema_of_keys() -> dict[str, Any]:
    return Recipe.model_json_schema(by_alias=True)

"""`Recipe`: what to do, from the brief to the delivery."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pydantic import Field, PrivateAttr

from twinset.core.errors import ParameterError
from twinset.core.features.embedders import EmbedderName
from twinset.recipe._sections import Brief, Deliver, Name, ReportSpec, Section, Source, Split
from twinset.recipe._steps import AugmentStep, Evaluate, GenerateStep
from twinset.recipe._yaml import Document, spell_path

RESERVED_STEPS = frozenset(
    {"source", "split", "real", "train", "holdout", "measure", "report", "deliver"}
)
"""Steps of every run; no making step may take their names."""


class Recipe(Section):
    """What to do, from the brief to the delivery. Build one with `load_recipe` or `parse_recipe`.

    Paths in it are read relative to `base`; what is delivered is written below `home`.
    """

    name: Name = Field(
        description="Name of the set that is made, in the catalogue.", examples=["card-fraud"]
    )
    seed: int = Field(default=0, ge=0, description="Decides every random draw of the run.")
    brief: Brief = Field(description="What is asked for.")
    source: Source | None = Field(
        default=None, description="The real set; none for a recipe that only draws by rules."
    )
    split: Split = Field(default_factory=Split, description="How the holdout is cut off.")
    assets: dict[str, str] = Field(
        default_factory=dict,
        description="Name -> path of a data file, or a folder of pictures, that components are given.",
    )
    generate: list[GenerateStep] = Field(
        default_factory=list, description="Steps that draw new rows."
    )
    augment: list[AugmentStep] = Field(
        default_factory=list,
        description="Steps that vary real training rows, or rows that were made.",
    )
    evaluate: Evaluate = Field(default_factory=Evaluate, description="How it is measured.")
    report: ReportSpec = Field(default_factory=ReportSpec, description="What the report may show.")
    deliver: Deliver = Field(default_factory=Deliver, description="Where the results go.")

    _base: Path = PrivateAttr(default=Path())
    _home: Path = PrivateAttr(default=Path())
    _name: str = PrivateAttr(default="")
    _document: Document | None = PrivateAttr(default=None)

    @property
    def base(self) -> Path:
        """The folder that relative paths of the recipe start from."""
        return self._base

    def placed(self, base: Path, home: Path) -> Recipe:
        """Return the recipe with the folders that its paths are relative to."""
        copy = self.model_copy()
        copy._base, copy._home = base, home
        return copy

    def written_in(self, name: str, document: Document) -> Recipe:
        """Return the recipe with the file that it was read from, so that later faults tell their line."""
        copy = self.model_copy()
        copy._name, copy._document = name, document
        return copy

    @contextmanager
    def faults_of(self, step: str) -> Iterator[None]:
        """Tell file, line and path of a setting of a step that turns out wrong while the step works.

        Some faults show only when the data are there: a template may name a column that a table lacks.

        Raises
        ------
        ParameterError
            What was raised inside, with its place in front where that is known.
        """
        try:
            yield
        except ParameterError as error:
            if not error.place or self._document is None:
                raise
            path = (*self._path_of(step), "with", *error.place)
            line = self._document.place(path)
            at = line if isinstance(line, str) else f"{self._name}:{line}"
            raise ParameterError(
                f"{at}: {spell_path(path)}: {error.what}",
                got=error.got,
                allowed=error.allowed,
                todo=error.todo,
                place=error.place,
            ) from error

    def _path_of(self, step: str) -> tuple[str | int, ...]:
        number = [name for name, _ in self.named_steps()].index(step)
        first = len(self.generate)
        return ("generate", number) if number < first else ("augment", number - first)

    @property
    def digest(self) -> str:
        """SHA-256 of everything but the place of delivery, 64 hexadecimal digits."""
        value = self.model_dump(mode="json", by_alias=True, exclude={"deliver": {"to"}})
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
        """Return every making step with its name, generate before augment; names are unique.

        A step without a name takes the last word of its component, with a number if that is taken.
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

        Those of a step that a later one varies and replaces are not.
        """
        steps = self.named_steps()
        gone = {s.of for _, s in steps if isinstance(s, AugmentStep) and s.replace}
        return tuple(name for name, _ in steps if name not in gone)

    def source_path(self) -> Path:
        """Return the place of the source's file or folder."""
        assert self.source is not None
        assert self.source.path is not None
        return self._base / self.source.path

    def asset_path(self, name: str) -> Path:
        """Return the place of the file that an asset names."""
        return self._base / self.assets[name]

    def embedders(self) -> tuple[str, ...]:
        """Return the names of the embedders, with the paths of their files from here."""
        return tuple(
            str(EmbedderName.of(name).placed(self._base)) for name in self.evaluate.embedder
        )

    def delivery_folder(self) -> Path:
        """Return the folder that the results are delivered to."""
        return self._home / (self.deliver.to or f"out/{self.name}")

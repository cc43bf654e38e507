"""What one evaluation needs besides the data: options, embedders, and how to refit the generator."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Self

from twinset.core.contracts import Progress, Remake, silent
from twinset.core.data.dataset import Dataset
from twinset.core.data.where import Where
from twinset.core.features.embedders import Embedder
from twinset.measurement.cache import ResultCache
from twinset.measurement.load_embedders import embedders_of, label_of_images
from twinset.workflows.options import EvaluateOptions


@dataclass(frozen=True, kw_only=True)
class EvaluationTask:
    """Options whose names are resolved.

    Parameters
    ----------
    options : EvaluateOptions
        Options as given, with target and seed filled in.
    embedders : tuple, optional
        Embedders of images and texts; None takes the default ones.
    guessed_target : str, optional
        The target, where nobody named it.
    refit : Remake, optional
        Fits the generator of the synthetic set again, for attacks that need it.
    cache : ResultCache, optional
        Results on the real rows, shared by several candidates.
    progress : Progress
        Called with (step, done, total) for every metric.
    """

    options: EvaluateOptions
    embedders: tuple[Embedder, ...] | None = None
    guessed_target: str | None = None
    refit: Remake | None = None
    cache: ResultCache | None = None
    progress: Progress = silent

    @classmethod
    def of(
        cls,
        options: EvaluateOptions,
        real: Dataset,
        *,
        refit: Remake | None = None,
        cache: ResultCache | None = None,
        progress: Progress = silent,
    ) -> Self:
        """Return the task; the only label of an image set becomes the target where none is named."""
        guessed = label_of_images(real) if options.target is None else None
        named = options.embedders
        return cls(
            options=replace(options, target=options.target or guessed),
            embedders=None if named is None else embedders_of(named),
            guessed_target=guessed,
            refit=refit,
            cache=cache,
            progress=progress,
        )

    @property
    def target(self) -> str | None:
        """Column to predict."""
        return self.options.target

    @property
    def positive(self) -> str | None:
        """Label of the target that counts as positive."""
        return self.options.positive

    @property
    def where(self) -> Where | None:
        """Condition on the rows that are compared."""
        return Where.of(self.options.where)

    @property
    def seed(self) -> int:
        """Seed of the measurement."""
        return self.options.seed or 0

    @property
    def leakage_settings(self) -> dict[str, Any]:
        """Arguments of the leakage checks."""
        by = None if self.options.time is None else "time"
        split = {"split_by": by, "split_on": self.options.time, "target": self.target}
        return {**split, "allow": tuple(self.options.allow_leaks), "seed": self.seed}

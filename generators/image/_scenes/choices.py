"""Levels, main class and number of objects of a scene: their weights, also under a condition."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np

from twinset.core.data.schema import Schema
from twinset.core.data.where import Where
from twinset.core.errors import ParameterError, UnknownNameError

from .._labelled_images import Choices, pick
from .spec import LEVELS, ObjectClass, known_levels

_N_TRIES = 2_000  # draws until a combination is allowed: enough where one in 300 is
_MIN_TO_HIDE = 2  # objects: one hides the other
_IN_VIEW = "none"


@dataclass(frozen=True)
class SceneChoices(Choices):
    """Choices of a scene: conditions, main class, number of objects, and forbidden combinations."""

    classes: Mapping[str, float]  # Class -> weight, for the other objects
    forbidden: tuple[Mapping[str, str], ...]

    @classmethod
    def from_settings(
        cls,
        kinds: Sequence[ObjectClass],
        levels: Mapping[str, Mapping[Any, float]],
        n_objects_range: tuple[int, int],
        forbidden: Sequence[Mapping[str, str]],
    ) -> Self:
        """Return the choices that the settings allow."""
        classes = {kind.name: kind.weight for kind in kinds}
        if not sum(classes.values()):
            raise ParameterError(
                "no class has a weight above 0", todo="raise a weight in 'classes'"
            )
        low, high = n_objects_range
        numbers = dict.fromkeys(range(low, high + 1), 1.0)
        for entry in forbidden:
            for name, level in entry.items():
                if name not in (*levels, "main_class"):
                    known = [*LEVELS, "main_class"]
                    raise UnknownNameError.of("condition", str(name), known, "forbidden")
                own = classes if name == "main_class" else known_levels(name)
                if level not in own:
                    raise UnknownNameError.of("level", str(level), own, f"forbidden.{name}")
        weights = {**levels, "main_class": classes, "n_objects": numbers}
        choices = cls(weights, classes, tuple(forbidden))
        choices._without_hidden_singles()
        return choices

    def under(self, where: Where | None, schema: Schema, name: str) -> Self:
        """Return the choices that meet a condition."""
        return super().under(where, schema, name)._without_hidden_singles()

    def _without_hidden_singles(self) -> Self:
        """Return the choices, without hidden main objects where no second object is possible."""
        levels = self.weights["occlusion"]
        if any(n >= _MIN_TO_HIDE for n in self.weights["n_objects"]):
            return self
        alone = {level: weight for level, weight in levels.items() if level == _IN_VIEW}
        if not sum(alone.values()):
            hidden = [level for level, weight in levels.items() if weight]
            raise ParameterError(
                "the main object of a scene of one object cannot be hidden, for nothing can hide it",
                got=f"occlusion {' or '.join(hidden)} with n_objects 1",
                allowed=f"occlusion {_IN_VIEW} with 1 object, any level with {_MIN_TO_HIDE} or more",
                todo="let n_objects_range, or the condition on n_objects, reach 2; or take occlusion: none",
            )
        return replace(self, weights={**self.weights, "occlusion": alone})

    def draw(self, rng: np.random.Generator) -> tuple[dict[str, str], str, int]:
        """Return the level of every condition, the main class and the number of objects."""
        for _ in range(_N_TRIES):
            row = {name: _pick(weights, rng) for name, weights in self.weights.items()}
            if any(all(row[k] == v for k, v in entry.items()) for entry in self.forbidden):
                continue
            main, n_objects = row.pop("main_class"), row.pop("n_objects")
            if row["occlusion"] != _IN_VIEW and n_objects < _MIN_TO_HIDE:
                numbers = self.weights["n_objects"]
                n_objects = _pick({n: w for n, w in numbers.items() if n >= _MIN_TO_HIDE}, rng)
            return row, main, int(n_objects)
        raise ParameterError(
            "every combination of levels is forbidden", todo="forbid less, or widen the condition"
        )

    def others(self, n: int, rng: np.random.Generator) -> Sequence[str]:
        """Return the classes of the other objects."""
        names = list(self.classes)
        shares = np.array(list(self.classes.values()), float)
        picked = rng.choice(len(names), size=max(n, 0), p=shares / shares.sum())
        return [names[int(k)] for k in picked]


def _pick(weights: Mapping[Any, float], rng: np.random.Generator) -> Any:
    """Return a value, drawn by weight; a single value takes no random number."""
    return next(iter(weights)) if len(weights) == 1 else pick(weights, rng)

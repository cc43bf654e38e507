"""What may come in a scene, how often, and under which condition: levels, main class, number of objects."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol, Self

import numpy as np

from twinset.core.data.schema import Schema
from twinset.core.data.where import Where
from twinset.core.errors import ParameterError, UnknownNameError

from ..._conditions import outcomes_that_meet
from .spec import LEVELS, known_levels, read_classes

_N_TRIES = 2_000
_N_TO_HIDE = 2
_IN_VIEW = "none"


class SceneSettings(Protocol):
    """The settings of `image.scenes` that decide what may come in a scene."""

    @property
    def classes(self) -> Any:
        """Class -> how it is drawn."""

    @property
    def n_objects_range(self) -> tuple[int, int]:
        """Smallest and largest number of objects."""

    @property
    def levels(self) -> Mapping[str, Mapping[Any, float]]:
        """Factor -> {level: weight}."""

    @property
    def forbidden(self) -> Sequence[Mapping[str, str]]:
        """Combinations of levels that never come."""


@dataclass(frozen=True)
class Choices:
    """Every column that is chosen, with its values and their weights; the columns are independent.

    Parameters
    ----------
    weights : mapping
        Column -> {value: weight}.
    classes : mapping
        Class -> weight, for the other objects.
    forbidden : tuple of mapping
        Combinations that never come.
    """

    weights: Mapping[str, Mapping[Any, float]]
    classes: Mapping[str, float]
    forbidden: tuple[Mapping[str, str], ...]

    @classmethod
    def from_settings(cls, settings: SceneSettings) -> Self:
        """Return the choices that the settings allow.

        Raises
        ------
        UnknownNameError
            A forbidden combination names no condition or no level.
        ParameterError
            A weight cannot be used, or the main object is to be hidden with no second object.
        """
        classes = {kind.name: kind.weight for kind in read_classes(settings.classes)}
        if not sum(classes.values()):
            raise ParameterError(
                "no class has a weight above 0", todo="raise a weight in 'classes'"
            )
        low, high = settings.n_objects_range
        weights: dict[str, Mapping[Any, float]] = dict(settings.levels)
        weights["main_class"] = classes
        weights["n_objects"] = dict.fromkeys(range(low, high + 1), 1.0)
        for entry in settings.forbidden:
            for name, level in entry.items():
                if name not in weights or name == "n_objects":
                    raise UnknownNameError.for_name(
                        "condition", str(name), [*LEVELS, "main_class"], "forbidden"
                    )
                known = classes if name == "main_class" else known_levels(name)
                if level not in known:
                    raise UnknownNameError.for_name("level", str(level), known, f"forbidden.{name}")
        choices = cls(weights, classes, tuple(settings.forbidden))
        choices._without_hiding_alone()
        return choices

    def under(self, where: Where | None, schema: Schema, name: str) -> Choices:
        """Return the choices that meet a condition.

        Raises
        ------
        ParameterError
            The condition is on a column that is not chosen, nothing meets it, or it asks for a hidden
            main object with no second object to hide it.
        """
        if where is None:
            return self._without_hiding_alone()
        for column in where.conditions:
            if column not in self.weights:
                raise ParameterError(
                    f"'{name}' cannot make rows under a condition on '{column}'",
                    allowed="conditions on " + ", ".join(self.weights),
                )
        kept = dict(self.weights)
        for column, condition in where.conditions.items():
            values = list(self.weights[column])
            meets = outcomes_that_meet(Where({column: condition}), {column: values}, schema, name)
            kept[column] = {
                v: self.weights[column][v] or 1e-9 for v, fits in zip(values, meets) if fits
            }
        return replace(self, weights=kept)._without_hiding_alone()

    def _without_hiding_alone(self) -> Choices:
        """Return the choices, without hidden main objects where no second object may come."""
        levels = self.weights["occlusion"]
        if any(n >= _N_TO_HIDE for n in self.weights["n_objects"]):
            return self
        alone = {level: weight for level, weight in levels.items() if level == _IN_VIEW}
        if not sum(alone.values()):
            hidden = [level for level, weight in levels.items() if weight]
            raise ParameterError(
                "the main object of a scene of one object cannot be hidden, for nothing can hide it",
                got=f"occlusion {' or '.join(hidden)} with n_objects 1",
                allowed=f"occlusion {_IN_VIEW} with 1 object, any level with {_N_TO_HIDE} or more",
                todo="let n_objects_range, or the condition on n_objects, reach 2; or take occlusion: none",
            )
        return replace(self, weights={**self.weights, "occlusion": alone})

    def draw(self, rng: np.random.Generator) -> tuple[dict[str, str], str, int]:
        """Return the level of every condition, the main class and the number of objects.

        Raises
        ------
        ParameterError
            Every combination tried is forbidden.
        """
        for _ in range(_N_TRIES):
            row = {name: _pick(weights, rng) for name, weights in self.weights.items()}
            if not any(all(row[k] == v for k, v in entry.items()) for entry in self.forbidden):
                main, n_objects = row.pop("main_class"), row.pop("n_objects")
                if row["occlusion"] != _IN_VIEW and n_objects < _N_TO_HIDE:
                    enough = {
                        n: weight
                        for n, weight in self.weights["n_objects"].items()
                        if n >= _N_TO_HIDE
                    }
                    n_objects = _pick(enough, rng)  # nothing is hidden without something before it
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
    values = list(weights)
    if len(values) == 1:
        return values[0]
    edges = np.cumsum(list(weights.values()))
    return values[int(np.searchsorted(edges, rng.uniform(0, edges[-1]), side="right"))]

"""What a scene may hold, as a recipe declares it: classes of objects, levels of conditions, choices."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np

from twinset.core.data.schema import Label, Schema
from twinset.core.data.where import Where
from twinset.core.errors import ParameterError, UnknownNameError, did_you_mean

from .._labelled_images import Choices, Rgb, pick
from .images import SceneCutout
from .shapes import FORMS, KEYPOINTS, Form, Make

TEXTURES = ("plain", "stripes", "checks", "spots", "mottled")
GROUNDS = ("clouds", "gradient", "plain", "road", "smear")
PHOTOGRAPH = "photograph"
"""The ground that is a window of one of the user's photographs; there only where they are named."""

LEVELS: Mapping[str, Mapping[str, Any]] = {
    "weather": {
        "clear": None, "fog": ("fog", 0.45, 0.8), "rain": ("rain", 0.5, 0.9), "snow": ("snow", 0.5, 0.9),
    },
    "light": {
        "day": None, "dusk": ("night", 0.45, 0.6), "night": ("night", 0.85, 1.0),
        "glare": ("glare", 0.55, 0.9),
    },
    "blur": {"none": None, "motion": ("motion_blur", 0.5, 1.0), "defocus": ("defocus", 0.35, 0.7)},
    "sensor": {
        "good": None, "noisy": ("noise", 0.5, 1.0), "jpeg": ("jpeg", 0.75, 1.0),
        "dirty": ("dirt", 0.6, 1.0),
    },
    "scale": {"small": (0.08, 0.13), "medium": (0.18, 0.28), "large": (0.36, 0.5)},
    "occlusion": {"none": (0.0, 0.02), "partial": (0.15, 0.45), "heavy": (0.45, 0.75)},
    "truncation": {"none": (0.0, 0.0), "partial": (0.15, 0.4), "heavy": (0.4, 0.7)},
    "ground": dict.fromkeys(GROUNDS),
}  # fmt: skip
"""Condition -> its levels. Of weather, light, blur and sensor: the effect and its least and greatest
amount. Of scale: the main object's longer side over that of the image. Of occlusion and truncation: the
share of the main object that others hide, or that lies outside the image."""

# Weights of the levels where the recipe names none: clear conditions, with objects of all sizes.
PLAIN: Mapping[str, Mapping[str, float]] = {
    "weather": {"clear": 1},
    "light": {"day": 1},
    "blur": {"none": 1},
    "sensor": {"good": 1},
    "scale": {"small": 1, "medium": 2, "large": 1},
    "occlusion": {"none": 3, "partial": 1},
    "truncation": {"none": 5, "partial": 1},
    "ground": {"clouds": 1},
}

DEFAULT_CLASSES: Mapping[str, Mapping[str, Any]] = {
    "sign": {"shape": "sign", "colours": ["#d22", "#eee", "#888"]},
    "pedestrian": {"shape": "figure"},
    "ball": {"shape": "circle", "texture": "stripes"},
}

_KEYS = ("shape", "outline", "points", "cutouts", "colours", "texture", "weight", "turn", "tilt")
_NOT_OF_CUTOUTS = ("shape", "outline", "points", "colours", "texture")
_N_TRIES = 2_000  # draws until a combination is allowed: enough where one in 300 is
_MIN_TO_HIDE = 2  # objects: one hides the other
_IN_VIEW = "none"
_COLOUR = re.compile(r"#([0-9a-fA-F]{3}|[0-9a-fA-F]{6})")


@dataclass(frozen=True)
class ObjectClass:
    """One class of objects."""

    name: str
    make: Make  # Draws a form
    # Red, green, blue (0 to 1) of the parts by their number; None where they are drawn at random
    colours: tuple[Rgb, ...] | None
    textures: tuple[str, ...]  # What its surface may look like
    weight: float  # How often it comes
    turn: float  # Greatest turn either way, in degrees
    tilt: float  # How far it may be seen from the side, 0 to 0.5
    label: Label  # Its entry in the taxonomy, with keypoints


def read_classes(
    given: Mapping[str, Mapping[str, Any]],
    cutouts: Mapping[str, tuple[SceneCutout, ...]] | None = None,
) -> tuple[ObjectClass, ...]:
    """Return the classes that a recipe declares."""
    if not given:
        raise ParameterError("'classes' holds no class", allowed="{ball: {shape: circle}}")
    return tuple(_read_class(name, spec or {}, cutouts or {}) for name, spec in given.items())


def assets_of(given: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """Return place in the settings -> asset, for each class of cutouts."""
    return {
        f"classes.{name}.cutouts": str(spec["cutouts"])
        for name, spec in given.items()
        if spec and "cutouts" in spec
    }


def known_levels(condition: str) -> tuple[str, ...]:
    """Return the levels that a condition can have."""
    return (*LEVELS[condition], *([PHOTOGRAPH] if condition == "ground" else ()))


def check_keys(spec: Mapping[str, Any], known: Sequence[str], place: str) -> None:
    """Raise ParameterError at a setting of a class that is none of the known ones."""
    for key in spec:
        if key not in known:
            raise ParameterError(
                f"{place} has no setting '{key}'",
                allowed=", ".join(known),
                todo=did_you_mean(str(key), known),
            )


def _read_class(
    name: str, spec: Mapping[str, Any], cutouts: Mapping[str, tuple[SceneCutout, ...]]
) -> ObjectClass:
    place = f"classes.{name}"
    check_keys(spec, _KEYS, place)
    make, label = _shape(name, spec, place, cutouts)
    texture = spec.get("texture", "plain")
    textures = (texture,) if isinstance(texture, str) else tuple(texture)
    for one in textures:
        if one not in TEXTURES:
            raise UnknownNameError.for_name("texture", str(one), TEXTURES, place)
    weight = read_number(spec, "weight", 1.0, (0.0, 1e9), place)
    turn = read_number(spec, "turn", 180.0 if label.keypoints == () else 8.0, (0.0, 180.0), place)
    tilt = read_number(spec, "tilt", 0.15, (0.0, 0.5), place)
    return ObjectClass(name, make, read_colours(spec, place), textures, weight, turn, tilt, label)


def _shape(
    name: str, spec: Mapping[str, Any], place: str, cutouts: Mapping[str, tuple[SceneCutout, ...]]
) -> tuple[Make, Label]:
    if "cutouts" in spec:
        return _of_cutouts(spec, place, cutouts), Label(name)
    if "outline" in spec:
        corners = np.asarray(spec["outline"], dtype=float)
        if corners.ndim != 2 or corners.shape[1] != 2 or len(corners) < 3:
            raise ParameterError(
                f"{place}.outline is no outline",
                allowed="three corners or more: [[0, 0], [1, 0], [0, 1]]",
            )
        points = {str(k): (float(x), float(y)) for k, (x, y) in spec.get("points", {}).items()}
        form = Form(((corners, 0),), points)
        return lambda rng: form, Label(name, keypoints=tuple(points))
    shape = spec.get("shape", "ellipse")
    if shape not in FORMS:
        raise UnknownNameError.for_name("shape", str(shape), FORMS, place)
    points_of, skeleton = KEYPOINTS.get(shape, ((), ()))
    return FORMS[shape], Label(name, keypoints=points_of, skeleton=skeleton)


def _of_cutouts(
    spec: Mapping[str, Any], place: str, cutouts: Mapping[str, tuple[SceneCutout, ...]]
) -> Make:
    for key in _NOT_OF_CUTOUTS:
        if key in spec:
            raise ParameterError(
                f"{place}.{key} does not go with cutouts, which bring their own form and colours",
                allowed=", ".join(k for k in _KEYS if k not in _NOT_OF_CUTOUTS),
                todo=f"take out {key} or cutouts",
            )
    if not isinstance(spec["cutouts"], str):
        raise ParameterError(
            f"{place}.cutouts is no name of an asset",
            got=str(spec["cutouts"]),
            allowed="a name under the recipe's assets, e.g. assets: {leaves: FOLDER}",
        )
    bank = cutouts.get(spec["cutouts"], ())

    def make(rng: np.random.Generator) -> Form:
        cutout = bank[int(rng.integers(len(bank)))]
        return Form(((cutout.corners, 0),), cutout=cutout)

    return make


def read_number(
    spec: Mapping[str, Any], key: str, default: float, bounds: tuple[float, float], place: str
) -> float:
    """Return a number of a class's settings, which must lie within the bounds."""
    value = spec.get(key, default)
    if not isinstance(value, int | float) or not bounds[0] <= value <= bounds[1]:
        raise ParameterError(
            f"{place}.{key} is out of its range",
            got=str(value),
            allowed=f"{bounds[0]:g} to {bounds[1]:g}",
        )
    return float(value)


def read_colours(spec: Mapping[str, Any], place: str) -> tuple[Rgb, ...] | None:
    """Return the colours of a class, None where it names none."""
    colours = spec.get("colours")
    return None if colours is None else tuple(read_colour(c, f"{place}.colours") for c in colours)


def read_colour(text: Any, place: str) -> Rgb:
    """Return red, green and blue, 0 to 1, of a colour '#c33'; errors name `place`."""
    found = _COLOUR.fullmatch(str(text))
    if found is None:
        raise ParameterError(
            f"{place} holds no colour", got=str(text), allowed="'#c33' or '#cc3333'"
        )
    digits = found[1] if len(found[1]) == 6 else "".join(2 * d for d in found[1])
    red, green, blue = (int(digits[k : k + 2], 16) / 255 for k in (0, 2, 4))
    return red, green, blue


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
                    raise UnknownNameError.for_name("condition", str(name), known, "forbidden")
                own = classes if name == "main_class" else known_levels(name)
                if level not in own:
                    raise UnknownNameError.for_name("level", str(level), own, f"forbidden.{name}")
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

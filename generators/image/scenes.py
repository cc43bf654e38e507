"""Draw scenes from a declaration: classes of objects, grounds and conditions, with every label exact."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt

from twinset.core.contracts import FittedGenerator, Generator, Progress, silent
from twinset.core.data.dataset import Dataset
from twinset.core.data.schema import Field, Taxonomy
from twinset.core.data.where import Where
from twinset.core.errors import ParameterError
from twinset.core.extras import optional
from twinset.core.image.effects import CAMERA, WEATHER
from twinset.core.parameters import Ascending, Each, Fraction, Interval

from ._backgrounds import paint_ground
from ._labelled_images import (
    build_dataset,
    category_field,
    height_and_width,
    label_cells,
    label_schema,
    read_factors,
)
from ._scenes.images import SceneImages
from ._scenes.layout import Layout, SpriteScene
from ._scenes.render import lay
from ._scenes.spec import (
    DEFAULT_CLASSES,
    LEVELS,
    PHOTOGRAPH,
    PLAIN,
    SceneChoices,
    assets_of,
    known_levels,
    read_classes,
    read_colour,
)
from ._scenes.view import View

_NAME = "image.scenes"
_EFFECTS = {**WEATHER, **CAMERA}
# In the order in which light meets them: the scene, the air, the lens, the sensor.
_ORDER = ("light", "weather", "blur", "sensor")
_N_SCENES = 40  # scenes drawn until one shows as many objects as requested


@dataclass(frozen=True, kw_only=True)
class Scenes(Generator):
    """Draw scenes from a declaration: classes of objects, grounds and conditions, with every label exact.

    Needs no real data. Each scene has a main object that meets the levels of scale, occlusion and
    truncation, measured on its pixels, and other objects behind it. A pixel belongs to the object that
    covers a half of it or more; this map of owners defines boxes, areas, visible fractions and hidden
    keypoints. Labels also hold the box of the whole object (`amodal_box`). Conditions on `main_class`,
    `n_objects` and all factors are met by construction.

    Parameters
    ----------
    size : int or tuple of int
        Side, or height and width, of the images in pixels, 32 to 4096.
    classes : mapping
        Class -> its appearance: `shape` (see the guide), `outline` with `points`, or `cutouts`, an
        asset of RGBA images; `colours`, `texture`, `weight`, `turn` (degrees), `tilt`.
    n_objects_range : tuple of int
        Smallest and largest number of objects, 1 to 200. A hidden main object needs a second one: scenes
        of one object have the occlusion none.
    factors : mapping
        Condition -> its levels, with weights when a mapping: weather, light, blur, sensor, scale,
        occlusion, truncation, ground.
    forbidden : sequence of mapping
        Combinations of levels that are not drawn, e.g. ``[{weather: fog, light: glare}]``.
    layout : {"random", "grid", "surface"}
        Places of the other objects; on a surface, nearer ones are lower in the image and larger.
    ground_colour : str, optional
        Colour of the ground, e.g. '#e8d9d0'; random by default.
    backgrounds : str, optional
        Asset of photographs; random windows of them are the ground "photograph", which is the only ground
        unless `factors` names others.
    perspective : float
        Largest tilt of the camera, 0 (frontal) to 0.5; its direction is random.
    shadow : float
        Darkness of shadows, 0 to 1.
    min_visible_fraction : float
        Objects with a smaller visible fraction are removed from map and labels.

    Raises
    ------
    ParameterError
        A setting is outside its range, a combination of levels cannot be laid out, or scenes of one
        object ask for occlusion.
    UnknownNameError
        A shape, texture, condition or level is unknown.

    Examples
    --------
    >>> from twinset.core.seeding import rng_for
    >>> drawer = Scenes(size=64, factors={"light": ["day", "night"]}).fit(None, rng_for(1, "fit"))
    >>> nights = drawer.sample(3, rng_for(1, "draw"), Where({"light": "night", "main_class": "sign"}))
    >>> nights.records["light"].to_pylist(), nights.records["main_class"].to_pylist()
    (['night', 'night', 'night'], ['sign', 'sign', 'sign'])
    """

    kinds: ClassVar[frozenset[str]] = frozenset({"image", "mask", "boxes", "category", "integer"})
    chunk_rows: ClassVar[int] = (
        8  # plans need few rows under each of many conditions, and a chunk is drawn whole
    )
    needs_real: ClassVar[bool] = False
    extra: ClassVar[str | None] = "image"
    _images: ClassVar[SceneImages | None] = None

    size: (
        Annotated[int, Interval(ge=32, le=4096)]
        | Annotated[tuple[int, int], Each(Interval(ge=32, le=4096))]
    ) = 256
    classes: Mapping[str, Mapping[str, Any]] = field(default_factory=lambda: dict(DEFAULT_CLASSES))
    n_objects_range: Annotated[tuple[int, int], Each(Interval(ge=1, le=200)), Ascending()] = (2, 6)
    factors: Mapping[str, Sequence[str] | Mapping[str, float]] = field(default_factory=dict)
    forbidden: Sequence[Mapping[str, str]] = ()
    layout: Literal["random", "grid", "surface"] = "random"
    ground_colour: str | None = None
    backgrounds: str | None = None
    perspective: Annotated[float, Interval(ge=0, le=0.5)] = 0.0
    shadow: Fraction = 0.4
    min_visible_fraction: Fraction = 0.1

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.ground_colour is not None:
            read_colour(self.ground_colour, "ground_colour")
        if self.levels["ground"].get(PHOTOGRAPH) and self.backgrounds is None:
            raise ParameterError(
                f"factors.ground names '{PHOTOGRAPH}', and there are no images for it",
                todo="say backgrounds: ASSET, with a folder of photographs under the recipe's assets",
            )
        self.choices  # noqa: B018 - checks classes, levels and forbidden combinations

    @property
    def choices(self) -> SceneChoices:
        """Levels, main class and number of objects, with their weights."""
        kinds = read_classes(self.classes)
        return SceneChoices.from_settings(kinds, self.levels, self.n_objects_range, self.forbidden)

    @property
    def levels(self) -> dict[str, dict[str, float]]:
        """Condition -> {level: weight}."""
        own = {"ground": (PHOTOGRAPH,)} if self.backgrounds is not None else {}
        known = {name: known_levels(name) for name in LEVELS}
        return read_factors({**own, **self.factors}, known, PLAIN)

    def with_assets(self, assets: Mapping[str, Dataset]) -> Scenes:
        """Return the generator with the cutouts and photographs that it names, by the recipe's assets."""
        named, size = assets_of(self.classes), height_and_width(self.size)
        supplied = replace(self)
        # No setting: cards hold the name of the asset, not its pixels.
        images = SceneImages.read(named, self.backgrounds, assets, size)
        object.__setattr__(supplied, "_images", images)
        return supplied

    def fit(
        self, real: Dataset | None, rng: np.random.Generator, progress: Progress = silent
    ) -> FittedGenerator:
        """Return the generator ready to draw; `real` is not used."""
        if self._images is None:
            return FittedScenes(self.with_assets({}), SceneImages({}))
        return FittedScenes(self, self._images)


class FittedScenes(FittedGenerator):
    """Draws the scenes of a declaration."""

    def __init__(self, settings: Scenes, images: SceneImages) -> None:
        self._settings, self._images = settings, images
        classes = read_classes(settings.classes, images.cutouts)
        self._classes = {kind.name: kind for kind in classes}
        self._choices = settings.choices
        given = settings.ground_colour
        self._colour = None if given is None else read_colour(given, "ground_colour")
        self.schema = label_schema(
            Taxonomy(tuple(kind.label for kind in classes)),
            category_field("main_class", self._classes),
            Field(name="n_objects", kind="integer", nullable=False),
            *(category_field(name, levels) for name, levels in settings.levels.items()),
        )

    def sample(self, n: int, rng: np.random.Generator, where: Where | None = None) -> Dataset:
        """Return `n` scenes; the first of them do not depend on `n`."""
        choices = self._choices.under(where, self.schema, _NAME)
        rows = []
        for _ in range(n):
            levels, main, n_objects = choices.draw(rng)
            scene, image = self.draw(main, n_objects, levels, rng)
            row: dict[str, Any] = {"main_class": main, "n_objects": len(scene.objects), **levels}
            row |= label_cells(image, scene.ids, scene.objects)
            rows.append(row)
        return build_dataset(rows, self.schema, _NAME, self._settings)

    def draw(
        self, main: str, n_objects: int, levels: Mapping[str, str], rng: np.random.Generator
    ) -> tuple[SpriteScene, npt.NDArray[np.uint8]]:
        """Return one scene and its image, RGB, shape (h, w, 3), in memory.

        All `n_objects` objects, the main one of class `main`, are visible; `levels` is the level of
        every condition.
        """
        settings = self._settings
        size = height_and_width(settings.size)
        view = View.draw(settings.perspective, size, rng)
        layout = Layout(size, settings.layout, settings.min_visible_fraction, view, rng)
        for _ in range(_N_SCENES):
            others = [self._classes[name] for name in self._choices.others(n_objects - 1, rng)]
            scene = layout.scene(self._classes[main], others, levels)
            if len(scene.objects) == n_objects:
                return scene, self._paint(scene, levels, view, rng)
        raise ParameterError(
            f"{n_objects} objects do not find room in one image of {size[1]} x {size[0]}",
            todo="lower n_objects_range or min_visible_fraction",
        )

    def _paint(
        self, scene: SpriteScene, levels: Mapping[str, str], view: View, rng: np.random.Generator
    ) -> npt.NDArray[np.uint8]:
        height, width = height_and_width(self._settings.size)
        if levels["ground"] == PHOTOGRAPH:
            ground = self._images.ground(height, width, rng)
        else:
            ground = paint_ground(levels["ground"], height, width, self._colour, rng)
        canvas = view.ground(ground)
        for sprite in scene.sprites:
            lay(canvas, sprite, self._settings.shadow, rng)
        for name in _ORDER:
            effect = LEVELS[name][levels[name]]
            if effect is not None:
                kind, low, high = effect
                canvas = _EFFECTS[kind](canvas, float(rng.uniform(low, high)), rng)
        cv2 = optional("cv2")
        np.maximum(canvas, 0, out=canvas)
        return np.asarray(cv2.convertScaleAbs(canvas, alpha=255))

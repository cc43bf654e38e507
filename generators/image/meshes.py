"""Draw scenes of 3D meshes, with exact masks, depth and visible fractions."""

from __future__ import annotations

import colorsys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Annotated, Any, ClassVar

import numpy as np
import numpy.typing as npt

from twinset.core.contracts import FittedGenerator, Generator, Progress, silent
from twinset.core.data.dataset import Dataset
from twinset.core.data.schema import Field, Taxonomy
from twinset.core.data.where import Where
from twinset.core.errors import ParameterError
from twinset.core.image.codec import encode_lossless
from twinset.core.parameters import Ascending, Each, Ends, Fraction, Interval

from ._labelled_images import (
    Choices,
    Rgb,
    build_dataset,
    category_field,
    height_and_width,
    label_cells,
    label_schema,
    pick,
    read_factors,
)
from ._meshes.forms import EXTRA, Triangles, forms_of, read_mesh_classes
from ._meshes.scene import MeshScene, lay_out_meshes
from ._meshes.shade import LIGHTS, VIEWS, paint
from ._scenes.spec import read_colour

_NAME = "image.meshes"
_N_SCENES = 40  # scenes drawn until one shows as many objects as requested
_LEVELS: Mapping[str, Sequence[str]] = {"view": tuple(VIEWS), "light": tuple(LIGHTS)}


@dataclass(frozen=True, kw_only=True)
class Meshes(Generator):
    """Draw scenes of 3D meshes, with exact masks, depth and visible fractions.

    Needs no real data. Solids, or meshes of your own, stand on a ground and are seen by a pinhole camera.
    A pixel belongs to the object that the ray through its centre meets first; this map of owners defines
    boxes and areas, and rays at each object alone define its visible fraction. Surfaces are matt, lit by
    one lamp that casts shadows. Conditions on `n_objects`, `view` and `light` are met by construction.

    Parameters
    ----------
    size : int or tuple of int
        Side, or height and width, of the images in pixels, 32 to 2048.
    classes : mapping
        Class -> `mesh` (box, capsule, cone, cylinder, sphere, torus) or `asset` (meshes that the recipe
        names), `colours`, `weight`, `tumble` (any side up), `points` (keypoints x, y, z).
    n_objects_range : tuple of int
        Smallest and largest number of objects, 1 to 30.
    scale_range : tuple of float
        Longest side of an object over that of the visible ground, smallest and largest, 0.03 to 0.6.
    factors : mapping
        Condition -> its levels, with weights when a mapping: view (low, oblique, top), light (day,
        evening, overcast, night).
    ground_colour : str, optional
        Colour of the ground, e.g. '#887766'; random by default.
    shadow : float
        Darkness of shadows, 0 to 1.
    samples : int
        Rays along each side of a pixel, 1 to 4; their mean is its colour.
    min_visible_fraction : float
        Objects with a smaller visible fraction are removed from map and labels.
    depth : bool
        Whether to add a column `depth`, the distance along the camera's axis: float32, TIFF, 0 where there
        is nothing. Formats of annotated images hold one column of images; use parquet.

    Raises
    ------
    ParameterError
        A setting is outside its range, or the objects do not find room.
    UnknownNameError
        A mesh, condition or level is unknown.

    Examples
    --------
    >>> from twinset.core.seeding import rng_for
    >>> drawer = Meshes(size=48, n_objects_range=(2, 2)).fit(None, rng_for(1, "fit"))
    >>> drawn = drawer.sample(2, rng_for(1, "draw"), Where({"view": "top"}))
    >>> [len(objects) for objects in drawn.records["objects"].to_pylist()]
    [2, 2]
    """

    kinds: ClassVar[frozenset[str]] = frozenset({"image", "mask", "boxes", "category", "integer"})
    chunk_rows: ClassVar[int] = 8
    needs_real: ClassVar[bool] = False
    extra: ClassVar[str | None] = EXTRA
    _forms: ClassVar[Mapping[str, tuple[Triangles, ...]] | None] = None

    size: (
        Annotated[int, Interval(ge=32, le=2048)]
        | Annotated[tuple[int, int], Each(Interval(ge=32, le=2048))]
    ) = 256
    classes: Mapping[str, Mapping[str, Any]] = field(
        default_factory=lambda: {name: {"mesh": name} for name in ("box", "cylinder", "sphere")}
    )
    n_objects_range: Annotated[tuple[int, int], Each(Interval(ge=1, le=30)), Ascending()] = (1, 5)
    scale_range: Annotated[Ends, Each(Interval(ge=0.03, le=0.6)), Ascending()] = (0.12, 0.3)
    factors: Mapping[str, Sequence[str] | Mapping[str, float]] = field(default_factory=dict)
    ground_colour: str | None = None
    shadow: Fraction = 0.7
    samples: Annotated[int, Interval(ge=1, le=4)] = 2
    min_visible_fraction: Fraction = 0.1
    depth: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        read_mesh_classes(self.classes)
        if self.ground_colour is not None:
            read_colour(self.ground_colour, "ground_colour")
        self.levels  # noqa: B018 - checks the factors

    @property
    def levels(self) -> dict[str, dict[str, float]]:
        """Condition -> {level: weight}; conditions that are not named take all their levels."""
        return read_factors(self.factors, _LEVELS, {})

    def with_assets(self, assets: Mapping[str, Dataset]) -> Meshes:
        """Return the generator with the meshes that it names, by the recipe's assets."""
        supplied = replace(self)
        # No setting: cards hold the name of the asset, not its triangles.
        object.__setattr__(supplied, "_forms", forms_of(read_mesh_classes(self.classes), assets))
        return supplied

    def fit(
        self, real: Dataset | None, rng: np.random.Generator, progress: Progress = silent
    ) -> FittedGenerator:
        """Return the generator ready to draw; `real` is not used."""
        ready = self if self._forms is not None else self.with_assets({})
        return FittedMeshes(ready, ready._forms or {})


class FittedMeshes(FittedGenerator):
    """Draws the scenes of a declaration."""

    def __init__(self, settings: Meshes, forms: Mapping[str, tuple[Triangles, ...]]) -> None:
        self._settings, self._forms = settings, forms
        self._classes = read_mesh_classes(settings.classes)
        low, high = settings.n_objects_range
        numbers = dict.fromkeys(range(low, high + 1), 1.0)
        self._choices = Choices({**settings.levels, "n_objects": numbers})
        depth = Field(name="depth", kind="image", nullable=False, description="float32")
        self.schema = label_schema(
            Taxonomy(tuple(kind.label for kind in self._classes)),
            Field(name="n_objects", kind="integer", nullable=False),
            *(category_field(name, levels) for name, levels in settings.levels.items()),
            *([depth] if settings.depth else ()),
        )

    def sample(self, n: int, rng: np.random.Generator, where: Where | None = None) -> Dataset:
        """Return `n` scenes; the first of them do not depend on `n`."""
        choices = self._choices.under(where, self.schema, _NAME).weights
        rows = []
        for _ in range(n):
            row = {name: pick(weights, rng) for name, weights in choices.items()}
            scene, image = self.draw(row["n_objects"], row["view"], row["light"], rng)
            row |= label_cells(image, scene.ids, scene.objects)
            if self._settings.depth:
                row["depth"] = {"bytes": encode_lossless(scene.depth), "path": None}
            rows.append(row)
        return build_dataset(rows, self.schema, _NAME, self._settings)

    def draw(
        self, n_objects: int, view: str, light: str, rng: np.random.Generator
    ) -> tuple[MeshScene, npt.NDArray[np.uint8]]:
        """Return one scene and its image, RGB, shape (h, w, 3), in memory."""
        settings = self._settings
        shares = np.array([kind.weight for kind in self._classes], float)
        for _ in range(_N_SCENES):
            picked = rng.choice(len(shares), size=n_objects, p=shares / shares.sum())
            scene = lay_out_meshes(
                [self._classes[int(k)] for k in picked],
                self._forms,
                scale_range=settings.scale_range,
                elevation_range=VIEWS[view],
                size=height_and_width(settings.size),
                min_visible_fraction=settings.min_visible_fraction,
                rng=rng,
            )
            if scene is not None and len(scene.objects) == n_objects:
                colours = [_colour(kind.colours, rng) for kind in scene.kinds]
                colours.append(self._ground(rng))
                image = paint(
                    scene.scenery, scene.camera, colours, light=light, shadow=settings.shadow,
                    samples=settings.samples, rng=rng,
                )  # fmt: skip
                return scene, image
        raise ParameterError(
            f"{n_objects} objects do not find room on the ground",
            got=f"sides of at least {settings.scale_range[0]:.0%} of it",
            todo="lower scale_range, n_objects_range or min_visible_fraction",
        )

    def _ground(self, rng: np.random.Generator) -> Rgb:
        drawn = colorsys.hsv_to_rgb(rng.uniform(), rng.uniform(0.05, 0.3), rng.uniform(0.35, 0.75))
        given = self._settings.ground_colour
        return drawn if given is None else read_colour(given, "ground_colour")


def _colour(colours: tuple[Rgb, ...] | None, rng: np.random.Generator) -> Rgb:
    if colours is None:
        return colorsys.hsv_to_rgb(rng.uniform(), rng.uniform(0.25, 0.9), rng.uniform(0.4, 1.0))
    drawn = np.array(colours[int(rng.integers(len(colours)))]) + rng.uniform(-0.05, 0.05, 3)
    red, green, blue = np.clip(drawn, 0, 1).tolist()
    return red, green, blue

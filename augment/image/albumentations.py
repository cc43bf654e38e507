"""Vary images by one albumentations pipeline; boxes are derived from the transformed id map."""

from __future__ import annotations

import importlib.metadata
import inspect
import os
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar

import numpy as np

from twinset.core.errors import (
    MissingExtraError,
    ParameterError,
    UnknownNameError,
    did_you_mean,
)
from twinset.core.extras import optional

from ._catalogue import PHOTOMETRIC, PLANE, REFUSED, SAFE
from ._labels import objects_from_map, objects_from_outlines
from ._motion import Motion, coordinates
from ._pixels import compact, from_working, to_working
from ._rows import Row, SeededImages

Transforms = Sequence[Mapping[str, Mapping[str, object] | None]]

# Mild by choice: an object stays what it is, and labels lose little at the edge of the image.
DEFAULT: Transforms = (
    {"HorizontalFlip": {"p": 0.5}},
    {"Affine": {"scale": [0.9, 1.1], "rotate": [-15, 15], "translate_percent": 0.05, "p": 0.7}},
    {"RandomBrightnessContrast": {"brightness_limit": 0.2, "contrast_limit": 0.2, "p": 0.5}},
    {"HueSaturationValue": {"hue_shift_limit": 8, "sat_shift_limit": 20, "p": 0.3}},
    {"GaussNoise": {"std_range": [0.01, 0.05], "p": 0.3}},
    {"GaussianBlur": {"sigma_limit": [0.3, 1.0], "p": 0.2}},
)

# Set here and nowhere else, because labels depend on them: a mirrored border would show an object
# twice under one id, an interpolated id would be another object's, a shifted blur would move pixels
# away from their labels.
_FIXED = ("border_mode", "fill_mask", "mask_interpolation", "allow_shifted")

# Those that scale by OpenCV's resize; the others warp, which rounds to the nearest centre by itself.
_RESIZERS = frozenset(
    {
        "CropAndPad", "LongestMaxSize", "RandomResizedCrop", "RandomScale", "RandomSizedCrop", "Resize",
        "SmallestMaxSize",
    }
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Albumentations(SeededImages):
    """Vary images by flips, affine moves, light, blur and noise; masks, boxes and keypoints follow.

    Where a row has an id map, boxes, areas and the truncated flag are derived from the transformed
    map and so are exact; objects that vanish are removed. Without a map, outlines are moved corner by
    corner, and boxes alone stay exact while they stay upright; rotated ones are bounded and flagged
    "approximate". Keypoints move with the pixels; in mirrored images the words left and right in their
    names are exchanged. Images may be uint8, uint16 or float32, of any number of channels; they come out as
    PNG or TIFF. Other columns keep the values of the parent row. Every row has its own seed, so order and
    number of workers change nothing.

    Parameters
    ----------
    transforms : sequence of mapping
        Transforms in order, each ``{name: settings}`` as in albumentations 2.0.8, e.g.
        ``[{HorizontalFlip: {p: 0.5}}, {RandomFog: {p: 0.1}}]``. Transforms that would make
        labels wrong are an error, which gives the reason.

    References
    ----------
    Buslaev et al., "Albumentations: fast and flexible image augmentations", Information 11(2), 2020.

    Examples
    --------
    >>> import numpy as np
    >>> import pyarrow as pa
    >>> from twinset.core.data.dataset import Dataset
    >>> from twinset.core.image.codec import decode_pixels, encode_png
    >>> from twinset.core.seeding import rng_for
    >>> png = encode_png(np.array([[0, 9]], np.uint8))
    >>> data = Dataset.from_arrow(pa.table({"image": [{"bytes": png, "path": None}]}))
    >>> flip = Albumentations(transforms=[{"HorizontalFlip": {"p": 1.0}}])
    >>> out = flip.apply(data, flip.draw(data, rng_for(0, "doc")))
    >>> decode_pixels(out.records["image"][0]["bytes"].as_py())
    array([[9, 0]], dtype=uint8)
    """

    use: ClassVar[str] = "image.albumentations"

    transforms: Sequence[Mapping[str, Mapping[str, object] | None]] = DEFAULT

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_names(self.transforms)

    def prepare(self) -> Callable[[Row, int], Row]:
        """Return the function that varies a row by its seed; threads do not share it."""
        return partial(_vary_image, _build_pipeline(self.transforms))


def _check_names(transforms: Transforms) -> None:
    """Raise for an entry that is no ``{name: settings}`` pair with a known name."""
    if isinstance(transforms, str) or not transforms:
        raise ParameterError(
            "'transforms' holds no transform", allowed="[{HorizontalFlip: {p: 0.5}}]"
        )
    for place, entry in enumerate(transforms):
        if not isinstance(entry, Mapping) or len(entry) != 1:
            raise ParameterError(
                f"transforms[{place}] is not one name with its settings",
                got=type(entry).__name__,
                allowed="{HorizontalFlip: {p: 0.5}}",
            )
        ((name, settings),) = entry.items()
        if name in REFUSED:
            raise ParameterError(
                f"the transform {name} is not offered: {REFUSED[name]}",
                todo="leave it out, or take another one",
            )
        if name not in SAFE:
            raise UnknownNameError.for_name("transform", str(name), SAFE, f"transforms[{place}]")
        if settings is not None and not isinstance(settings, Mapping):
            raise ParameterError(
                f"the settings of {name} are not a mapping",
                got=type(settings).__name__,
                allowed=f"{{{name}: {{p: 0.5}}}}",
            )
        fixed = [key for key in settings or {} if key in _FIXED]
        if fixed:
            raise ParameterError(
                f"'{fixed[0]}' of {name} cannot be set",
                todo="leave it out: twinset sets it so that labels stay exact",
            )


@dataclass(frozen=True)
class _Pipeline:
    """The library's pipeline, and what its transforms do to labels."""

    compose: Any  # Takes ``image``, ``mask`` (the id map) and ``places`` (the map of coordinates)
    moves: bool  # Whether a transform moves pixels
    bends: bool  # Whether one of them bends straight lines
    colours: bool  # Whether one of them changes colours


def _build_pipeline(transforms: Transforms) -> _Pipeline:
    """Return the pipeline of `transforms`, which `_check_names` has passed."""
    library = _import_library()
    names = {next(iter(entry)) for entry in transforms}
    steps = [_build_one(library, *next(iter(entry.items()))) for entry in transforms]
    return _Pipeline(
        library.Compose(steps, additional_targets={"places": "mask"}),
        moves=bool(names - PHOTOMETRIC),
        bends=bool(names - PHOTOMETRIC - PLANE),
        colours=bool(names & PHOTOMETRIC),
    )


def _refusals() -> tuple[type[Exception], ...]:
    """Return the errors by which the library says that a transform does not fit an image."""
    crops = optional("albumentations.augmentations.crops.transforms")
    return (ValueError, crops.CropSizeError, optional("cv2").error)


def _build_one(library: Any, name: str, settings: Mapping[str, object] | None) -> Any:
    chosen = {k: tuple(v) if isinstance(v, list) else v for k, v in (settings or {}).items()}
    transform = getattr(library, name)
    known = [key for key in inspect.signature(transform.__init__).parameters if key != "self"]
    unknown = [key for key in chosen if key not in known]
    if unknown:
        raise ParameterError(
            f"the transform {name} has no setting '{unknown[0]}'",
            allowed=", ".join(key for key in known if key not in _FIXED),
            todo=did_you_mean(unknown[0], known),
        )
    if "allow_shifted" in known:
        chosen["allow_shifted"] = False
    if name in _RESIZERS:
        # Plain nearest neighbour floors, which shifts the map by half a pixel against the image.
        cv2 = optional("cv2")
        chosen["mask_interpolation"] = cv2.INTER_NEAREST_EXACT
    try:
        return transform(**chosen)
    except (TypeError, ValueError) as error:
        raise ParameterError(
            f"the transform {name} refuses its settings", got=_first_line(error)
        ) from error


def _import_library() -> Any:
    """Import albumentations 2.0.8 without its call to the network; refuse its AGPL successor."""
    try:
        importlib.metadata.distribution("albumentationsx")
    except importlib.metadata.PackageNotFoundError:
        pass
    else:
        raise MissingExtraError(
            "the library installed under the name 'albumentations' is AlbumentationsX, whose licence "
            "(AGPL-3.0 or paid) would bind your work",
            allowed="albumentations 2.0.8 (MIT)",
            todo="pip uninstall albumentationsx, then pip install 'twinset[image]'",
        )
    os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")
    return optional("albumentations")


def _first_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return " ".join(lines[1:3]) if len(lines) > 2 else " ".join(lines)


def _vary_image(pipeline: _Pipeline, row: Row, seed: int) -> Row:
    """Return a row after the pipeline; equal seeds give equal results."""
    image, ids, objects = row
    given: dict[str, Any] = {"image": to_working(image, colours=pipeline.colours)}
    names = None
    if ids is not None:
        small, names = compact(ids)
        given["mask"] = small
    # Without a map, and of keypoints and whole objects, labels are moved by points, not by pixels.
    by_points = ids is None or any(o["keypoints"] or o.get("amodal_box") for o in objects or ())
    if pipeline.moves and objects and by_points:
        given["places"] = coordinates(*image.shape[:2])
    made = _run(pipeline, given, seed)
    moved = from_working(made["image"], image)
    motion = None
    if "places" in given:
        motion = Motion.from_planes(made["places"], is_plane=not pipeline.bends)
        if not pipeline.bends and not motion.is_plane:
            objects = []  # nothing of the old image is left
    if ids is None or names is None:
        labels = None if objects is None else objects_from_outlines(objects, motion, moved.shape)
        return moved, None, labels
    new_ids = made["mask"] if names.size == 0 else names[made["mask"]].astype(ids.dtype)
    labels = None if objects is None else objects_from_map(new_ids, objects, motion)
    return moved, new_ids, labels


def _run(pipeline: _Pipeline, given: dict[str, Any], seed: int) -> dict[str, Any]:
    # One shared state: `Compose.set_random_seed` would give every transform the same stream, so
    # that all transforms of equal p happen together or not at all.
    pipeline.compose.set_random_state(np.random.default_rng(seed), random.Random(seed))
    try:
        made: dict[str, Any] = pipeline.compose(**given)
    except _refusals() as error:
        raise ParameterError(
            "the transforms cannot be applied to an image",
            got=f"an image of shape {given['image'].shape} and: {str(error).splitlines()[0]}",
        ) from error
    return made

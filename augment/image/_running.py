"""One image through a pipeline: pixels, id map and labels go together."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import numpy.typing as npt

from twinset.core.errors import ParameterError
from twinset.core.image.instance_maps import ObjectLabel

from ._depth import from_working, to_working
from ._labels import Objects, objects_from_map, objects_from_outlines
from ._motion import Motion, coordinates
from ._rows import compact
from ._transforms import Pipeline, refusals

Pixels = npt.NDArray[Any]


def vary_image(
    pipeline: Pipeline, image: Pixels, ids: Pixels | None, objects: Objects | None, seed: int
) -> tuple[Pixels, Pixels | None, list[ObjectLabel] | None]:
    """Return image, id map and labels after the pipeline; equal seeds give equal results."""
    given: dict[str, Any] = {"image": to_working(image, colours=pipeline.colours)}
    names = None
    if ids is not None:
        small, names = compact(ids)
        given["mask"] = small
    if pipeline.moves and objects and _need_motion(ids, objects):
        given["places"] = coordinates(*image.shape[:2])
    made = _run(pipeline, given, seed)
    moved = from_working(made["image"], image)
    motion = None
    if "places" in given:
        motion = Motion.of(made["places"], is_plane=not pipeline.bends)
        if not pipeline.bends and not motion.is_plane:
            objects = []  # nothing of the old picture is left
    if ids is None or names is None:
        labels = None if objects is None else objects_from_outlines(objects, motion, moved.shape)
        return moved, None, labels
    new_ids = made["mask"] if names.size == 0 else names[made["mask"]].astype(ids.dtype)
    labels = None if objects is None else objects_from_map(new_ids, objects, motion)
    return moved, new_ids, labels


def _need_motion(ids: Pixels | None, objects: Objects) -> bool:
    """Whether a label must be moved by points, not by pixels."""
    return ids is None or any(o["keypoints"] or o.get("amodal_box") for o in objects)


def _run(pipeline: Pipeline, given: dict[str, Any], seed: int) -> dict[str, Any]:
    # One shared state: `Compose.set_random_seed` would give every transform the same stream, so
    # that all transforms of equal p happen together or not at all.
    pipeline.compose.set_random_state(np.random.default_rng(seed), random.Random(seed))
    try:
        made: dict[str, Any] = pipeline.compose(**given)
    except refusals() as error:
        raise ParameterError(
            "the transforms cannot be applied to an image",
            got=f"an image of shape {given['image'].shape} and: {str(error).splitlines()[0]}",
        ) from error
    return made

"""Add defects to images of faultless surfaces, each with its exact mask."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

import numpy as np
import numpy.typing as npt

from twinset.core.data.dataset import Dataset
from twinset.core.errors import DataError, SchemaError
from twinset.core.image.instance_maps import objects_from_ids
from twinset.core.image.keypoints import SEEN, in_frame, keypoints_from_ids
from twinset.core.image.surface_defects import DEFECTS, marked
from twinset.core.parameters import Ascending, Each, Ends, Interval, read_weights

from ._labels import Objects
from ._pixels import Pixels, from_fractions, to_working
from ._rows import Row, SeededImages

_HIGHEST_ID = 2**31 - 1  # labels hold ids of 32 bits with a sign


@dataclass(frozen=True, kw_only=True)
class AddDefects(SeededImages):
    """Add defects to images of faultless surfaces, each with its exact mask.

    The set needs columns of id maps and objects, which may be empty: a folder `images/` beside `masks/`
    and an `objects.csv` without the good images is read that way. Pixels under a defect no longer belong
    to the object below, and keypoints under it become hidden (v = 1).

    Parameters
    ----------
    kinds_of_defect : sequence of str, or mapping of str to float
        Kinds, with weights when a mapping: scratch, crack, dent, stain, hole, blot, patch.
    n_defects_range : tuple of int
        Smallest and largest number of defects on an image, 1 to 20.
    side_range : tuple of float
        Longer side of a defect over that of the image, smallest and largest, 0.02 to 0.8.
    amount_range : tuple of float
        Contrast of defects, smallest and largest, 0 (hardly visible) to 1.

    Examples
    --------
    >>> from twinset.core.seeding import rng_for
    >>> from twinset.testing import example_dataset
    >>> good = example_dataset({"image", "mask", "boxes"})
    >>> add = AddDefects(kinds_of_defect=["scratch"], n_defects_range=(1, 1))
    >>> out = add.apply(good, add.draw(good, rng_for(0, "doc")))
    >>> "scratch" in {o["category"] for row in out.records["objects"].to_pylist() for o in row}
    True
    """

    use: ClassVar[str] = "image.add_defects"

    kinds_of_defect: Sequence[str] | Mapping[str, float] = tuple(DEFECTS)
    n_defects_range: Annotated[tuple[int, int], Each(Interval(ge=1, le=20)), Ascending()] = (1, 2)
    side_range: Annotated[Ends, Each(Interval(ge=0.02, le=0.8)), Ascending()] = (0.1, 0.35)
    amount_range: Annotated[Ends, Each(Interval(ge=0, le=1)), Ascending()] = (0.3, 0.9)

    def __post_init__(self) -> None:
        super().__post_init__()
        self._weights  # noqa: B018 - checks the kinds

    @property
    def _weights(self) -> dict[str, float]:
        return read_weights(self.kinds_of_defect, DEFECTS, "kinds_of_defect", "kind of defect")

    def apply(self, dataset: Dataset, params: Mapping[str, npt.NDArray[Any]]) -> Dataset:
        """Return the rows with defects, in order; the same seeds give the same bytes."""
        boxes = dataset.schema.of_kind("boxes")
        if not boxes or not dataset.schema.of_kind("mask"):
            raise SchemaError(
                "defects need columns of id maps and of objects to be labelled in",
                todo="read the images as a folder of masks: images/, masks/ and objects.csv",
            )
        if boxes[0].taxonomy is not None:
            boxes[0].taxonomy.check(self.kinds_of_defect, "kinds_of_defect")
        return super().apply(dataset, params)

    def _vary(self, row: Row, seed: int) -> Row:
        image, ids, objects = row
        if ids is None:
            raise DataError(
                "a row has no id map to draw its defects in", todo="give it an empty one"
            )
        names, rng = list(self._weights), np.random.default_rng(seed)
        shares = np.array(list(self._weights.values()))
        shares /= shares.sum()
        working = to_working(image, colours=True).astype(np.float32)
        canvas = working if working.ndim == 3 else working[..., None]
        canvas = canvas / np.float32(255) if image.dtype == np.uint8 else canvas
        owners = ids.astype(np.int64)
        categories = {item["id"]: item["category"] for item in objects or ()}
        low, high = self.n_defects_range
        for _ in range(int(rng.integers(low, high + 1))):
            name = names[int(rng.choice(len(names), p=shares))]
            side = float(rng.uniform(*self.side_range)) * max(ids.shape)
            amount = float(rng.uniform(*self.amount_range))
            canvas, mask = marked(name, canvas, side, amount, rng)
            number = int(max(owners.max(initial=0), *categories, 0)) + 1
            _check_id(number)
            owners[mask] = number
            categories[number] = name
        labels = _labels(owners, owners != ids, categories, objects or ())
        return from_fractions(canvas, image), owners.astype(_type_for(owners, ids)), labels


def _check_id(number: int) -> None:
    if number > _HIGHEST_ID:
        raise DataError(
            "the ids of an image leave no number for a defect",
            got=f"id {number - 1}",
            allowed=f"ids below {_HIGHEST_ID}",
            todo="number the objects of each image from 1",
        )


def _type_for(owners: Pixels, before: Pixels) -> npt.DTypeLike:
    """Return the type of the map before where it holds every number, else the least that does."""
    least = np.min_scalar_type(int(owners.max(initial=0)))
    if before.dtype.kind in "ui" and np.can_cast(least, before.dtype):
        return before.dtype
    return np.promote_types(least, np.uint16)


def _labels(
    owners: Pixels, covered: Pixels, categories: Mapping[int, str], before: Objects
) -> list[Any]:
    """Return the labels of defects and of what is left of the objects there were."""
    known = {item["id"]: item for item in before}
    found = objects_from_ids(owners, dict(categories))
    for label in found:
        parent = known.get(label["id"])
        if parent is None:
            continue
        share = label["area"] / parent["area"] if parent["area"] else 1.0
        whole = parent["visible_fraction"]
        label["visible_fraction"] = None if whole is None else whole * share
        label["truncated"] = parent["truncated"]
        points = parent["keypoints"] or ()
        label["keypoints"] = [_hidden(p, owners, covered, label["id"]) for p in points]
        label["flags"], label["amodal_box"] = parent.get("flags"), parent.get("amodal_box")
    return found


def _hidden(
    point: Mapping[str, Any], owners: Pixels, covered: Pixels, own_id: int
) -> dict[str, Any]:
    """Return a keypoint, hidden where a defect came to lie over it."""
    made = dict(point)
    x, y = point["x"], point["y"]
    if point["v"] == SEEN and in_frame(x, y, owners.shape) and covered[int(y), int(x)]:
        found = keypoints_from_ids({point["name"]: (x, y)}, owners, own_id)
        made["v"] = found[0]["v"]
    return made

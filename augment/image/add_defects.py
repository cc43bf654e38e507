"""Put defects onto images of faultless surfaces; each comes with its exact mask."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from twinset.core.data.dataset import Dataset
from twinset.core.errors import DataError, ParameterError, SchemaError, UnknownNameError
from twinset.core.image.instance_maps import extents_of, objects_from_ids
from twinset.core.image.keypoints import SEEN, in_frame, keypoints_from_ids
from twinset.core.image.surface_defects import DEFECTS, marked

from ._depth import from_working, to_working
from ._labels import Objects
from ._rows import Change, Pixels, Row, SeededImages

_HIGHEST_ID = 2**31 - 1  # labels hold ids of 32 bits with a sign


@dataclass(frozen=True, kw_only=True)
class AddDefects(SeededImages):
    """Put defects onto images of faultless surfaces; each comes with its exact mask.

    The set needs columns of id maps and objects, which may be empty: a folder `images/` beside `masks/`
    and an `objects.csv` that does not name the good images is read that way. What a defect covers of an
    earlier object is taken off that object, and keypoints under it become hidden (v = 1).

    Parameters
    ----------
    kinds_of_defect : sequence of str, or mapping of str to float
        Kinds, with weights when a mapping: scratch, crack, dent, stain, hole, blot, patch.
    n_defects_range : tuple of int
        Fewest and most defects on an image, 1 to 20.
    side_range : tuple of float
        Longer side of a defect over that of the image, least and greatest, 0.02 to 0.8.
    amount_range : tuple of float
        How glaring defects are, 0 (hardly to be seen) to 1.

    Raises
    ------
    ParameterError
        A number is out of its range, or no kind has a weight above 0.
    UnknownNameError
        A kind of defect is none of those there are.

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
    n_defects_range: tuple[int, int] = (1, 2)
    side_range: tuple[float, float] = (0.1, 0.35)
    amount_range: tuple[float, float] = (0.3, 0.9)

    def __post_init__(self) -> None:
        for name in self.kinds_of_defect:
            if name not in DEFECTS:
                raise UnknownNameError.for_name("kind of defect", name, DEFECTS)
        self._weights()
        for field, least, most in (
            ("n_defects_range", 1, 20), ("side_range", 0.02, 0.8), ("amount_range", 0, 1),
        ):  # fmt: skip
            low, high = getattr(self, field)
            if not least <= low <= high <= most:
                raise ParameterError(
                    f"'{field}' is out of its range",
                    got=f"{low} to {high}",
                    allowed=f"{least} to {most}, low end first",
                )

    def apply(self, dataset: Dataset, params: Mapping[str, npt.NDArray[Any]]) -> Dataset:
        """Return the rows with defects, in order; the same seeds give the same bytes.

        Raises
        ------
        SchemaError
            There is no column of id maps or of objects, or the list of labels lacks a defect.
        DataError
            An image cannot be decoded, has no id map, or its ids leave no number for a defect.
        """
        boxes = dataset.schema.of_kind("boxes")
        if not boxes or not dataset.schema.of_kind("mask"):
            raise SchemaError(
                "defects need columns of id maps and of objects to be labelled in",
                todo="read the images as a folder of masks: images/, masks/ and objects.csv",
            )
        if boxes[0].taxonomy is not None:
            boxes[0].taxonomy.check(self.kinds_of_defect, "kinds_of_defect")
        return super().apply(dataset, params)

    def change(self) -> Change:
        """Return what is done to a row: takes image, id map, labels and seed."""
        weights = self._weights()
        names = list(weights)
        shares = np.array(list(weights.values()), float)
        shares /= shares.sum()

        def vary(image: Pixels, ids: Pixels | None, objects: Objects | None, seed: int) -> Row:
            if ids is None:
                raise DataError(
                    "a row has no id map to draw its defects in", todo="give it an empty one"
                )
            rng = np.random.default_rng(seed)
            working = to_working(image, colours=True).astype(np.float32)
            canvas = working if working.ndim == 3 else working[..., None]
            canvas = canvas / np.float32(255) if image.dtype == np.uint8 else canvas
            owners = ids.astype(np.int64)
            categories = {item["id"]: item["category"] for item in objects or ()}
            low, high = self.n_defects_range
            for _ in range(int(rng.integers(low, high + 1))):
                name = names[int(rng.choice(len(names), p=shares))]
                side = float(rng.uniform(*self.side_range)) * max(ids.shape)
                canvas, mask = marked(
                    name, canvas, side, float(rng.uniform(*self.amount_range)), rng
                )
                number = int(max(owners.max(initial=0), *categories, 0)) + 1
                _check_id(number)
                owners[mask] = number
                categories[number] = name
            made = _in_depth(canvas.reshape(image.shape), image)
            covered = owners != ids
            labels = _labels(owners, covered, categories, objects or ())
            return made, owners.astype(_type_for(owners, ids)), labels

        return vary

    def _weights(self) -> dict[str, float]:
        given = self.kinds_of_defect
        weights = dict(given) if isinstance(given, Mapping) else dict.fromkeys(given, 1.0)
        for name, weight in weights.items():
            if not 0 <= weight < float("inf"):
                raise ParameterError(
                    f"the weight of '{name}' in 'kinds_of_defect' is out of its range",
                    got=str(weight),
                    allowed="0 or more",
                )
        if not sum(weights.values()):
            raise ParameterError(
                "'kinds_of_defect' gives nothing a weight above 0",
                got=str(given),
                allowed=", ".join(DEFECTS),
                todo="name a kind, or raise a weight",
            )
        return weights


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


def _in_depth(canvas: Pixels, image: Pixels) -> Pixels:
    if image.dtype != np.uint8:
        return from_working(np.asarray(canvas, np.float32), image)
    return np.rint(np.clip(canvas, 0, 1) * np.float32(255)).astype(np.uint8)


def _labels(
    owners: Pixels, covered: Pixels, categories: Mapping[int, str], before: Objects
) -> list[Any]:
    """Return the labels of defects and of what is left of the objects there were."""
    known = {item["id"]: item for item in before}
    found = objects_from_ids(owners, dict(categories))
    seen = set(extents_of(owners)[0].tolist())
    for label in found:
        parent = known.get(label["id"])
        if parent is None or label["id"] not in seen:
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

"""Paste objects cut out of the real training images onto them: more of the rare ones, with exact labels."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Annotated, Any, ClassVar, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from twinset.core.contracts import FittedGenerator, Generator, Progress, silent
from twinset.core.data.dataset import Card, Dataset
from twinset.core.data.schema import KINDS
from twinset.core.data.where import Where
from twinset.core.errors import FitError, ParameterError, SchemaError, UnknownNameError
from twinset.core.image.codec import decode_ids, decode_pixels, encode_lossless
from twinset.core.image.instance_maps import ObjectLabel, extents_of
from twinset.core.image.keypoints import Keypoint, in_frame
from twinset.core.parameters import Ascending, Each, Ends, Fraction, Interval, OneOf, read_weights

from .._quotas import allocate
from ._copy_paste.counts import CountWish, counts_of
from ._copy_paste.cutouts import (
    BLENDS,
    MASKS_FROM_BOXES,
    Cutout,
    ImageColumns,
    Paste,
    Pixels,
    cut_out,
    lay,
    look_of,
    prepare,
)
from ._labelled_images import box_of_mask, overlap

Floats = npt.NDArray[np.float64]

_NAME = "image.copy_paste"
_N_IMAGES = 40  # that are tried before a number of objects is given up
_N_PASTES = 4  # times the most pastes that are tried on one image
_N_PLACES = (
    15  # places tried for one paste; a cutout that fits in a third of them is missed once in 400
)
_EDGES = ("none", "feather", "poisson")


@dataclass(frozen=True, kw_only=True)
class CopyPaste(Generator):
    """Paste objects cut out of the real training images onto them: more of the rare ones, exact labels.

    Each synthetic image is a real one with objects of others pasted onto it. Masks, boxes and visible
    fractions of the objects below are updated. Only train rows are cut out or pasted onto. Columns other
    than image, id map and objects keep the values of the image below. Conditions may be on numbers of
    objects, e.g. ``{"objects 'WBC'": {ge: 2}, "all objects": {lt: 30}}``: they are met by pasting the
    missing objects and no others, whatever the shares in `classes`.

    Parameters
    ----------
    n_pastes_range : tuple of int
        Smallest and largest number of objects pasted onto an image, 1 to 200.
    classes : sequence of str, or mapping of str to float, optional
        Classes to paste, with shares when a mapping; all of them equally by default. A class that fits
        nowhere on an image comes first on the next one, so that shares are exact in each chunk of 64
        images, except for objects that are still unplaced at its end.
    scale_range : tuple of float
        Scale of a pasted object, smallest and largest, 0.1 to 10.
    turn : float
        Largest rotation in degrees, 0 to 180.
    mirror : bool
        Whether half of the objects are mirrored.
    blend : {"none", "feather", "poisson", "mixed"}
        Blending of edges; mixed uses the three equally often, so that a model cannot learn one of them.
    match : float
        Share of the difference in brightness to its new place that is removed, 0 to 1.
    max_hidden_fraction : float
        Largest share of an object below that a paste may hide, 0 to 1.
    min_inside_fraction : float
        Smallest share of a pasted object that lies inside the image, 0.01 to 1.
    look_distance : float
        Largest difference in median colour, as a share of the whole range, between the image of an object
        and the one that it is pasted onto; 1 allows all.
    masks_from_boxes : {"refuse", "ellipse", "grabcut"}
        Masks of objects that have only a box: an error, an ellipse, or GrabCut.

    Raises
    ------
    ParameterError
        A setting is outside its range.

    References
    ----------
    Dwibedi, Misra, Hebert, "Cut, Paste and Learn", ICCV 2017.
    Ghiasi et al., "Simple Copy-Paste is a strong data augmentation method for instance segmentation",
    CVPR 2021.

    Examples
    --------
    >>> from twinset.core.seeding import rng_for
    >>> from twinset.testing import example_dataset
    >>> real = example_dataset({"image", "mask", "boxes"})
    >>> made = CopyPaste(n_pastes_range=(1, 1), scale_range=(0.5, 0.5)).fit(
    ...     real, rng_for(0, "fit")).sample(3, rng_for(0, "draw"))
    >>> [len(objects) >= 1 for objects in made.records["objects"].to_pylist()]
    [True, True, True]
    """

    kinds: ClassVar[frozenset[str]] = frozenset(KINDS) - {"id", "text", "spans"}
    chunk_rows: ClassVar[int] = 64
    extra: ClassVar[str | None] = "image"
    note: ClassVar[str] = "holds pixels of real images: treat as the source data"

    n_pastes_range: Annotated[tuple[int, int], Each(Interval(ge=1, le=200)), Ascending()] = (1, 6)
    classes: Sequence[str] | Mapping[str, float] | None = None
    scale_range: Annotated[Ends, Each(Interval(ge=0.1, le=10)), Ascending()] = (0.8, 1.25)
    turn: Annotated[float, Interval(ge=0, le=180)] = 180.0
    mirror: bool = True
    blend: Annotated[str, OneOf(BLENDS)] = "feather"
    match: Fraction = 0.5
    max_hidden_fraction: Fraction = 0.3
    min_inside_fraction: Annotated[float, Interval(ge=0.01, le=1)] = 0.7
    look_distance: Fraction = 0.2
    masks_from_boxes: Annotated[str, OneOf(MASKS_FROM_BOXES)] = "refuse"

    def fit(
        self, real: Dataset | None, rng: np.random.Generator, progress: Progress = silent
    ) -> FittedGenerator:
        """Return the generator with its bank of cutouts."""
        if real is None or not len(real):
            raise FitError("copy-paste needs real images", todo="give a source")
        foreign = sorted(real.schema.kinds - self.kinds)
        if foreign:
            raise SchemaError(
                f"'{_NAME}' cannot make columns of kind {foreign[0]}",
                allowed=", ".join(sorted(self.kinds)),
            )
        columns = ImageColumns.from_schema(real.schema)
        rows = real.records[columns.boxes].to_pylist()
        known = sorted({o["category"] for row in rows for o in row or ()})
        for name in self.classes or ():
            if name not in known:
                raise UnknownNameError.for_name("class", name, known, "classes")
        bank = cut_out(real, columns, self.masks_from_boxes, self.classes or ())
        return _FittedCopyPaste(self, real, columns, bank)


@dataclass
class _PasteScene:
    """A real image and its labels, changed paste by paste; `rows` are those whose pixels it holds.

    Where the image has an id map, it is the truth. Without one, boxes of the objects below stay as they
    are, and no paste may lie over more than the allowed share of a box.
    """

    columns: ImageColumns
    image: Pixels
    is_grey: bool
    ids: npt.NDArray[Any] | None
    objects: list[ObjectLabel]
    rows: list[int]
    look: Floats  # Of the real image

    @classmethod
    def from_row(cls, real: Dataset, at: int, columns: ImageColumns) -> Self:
        """Return the scene of a real row."""
        row = real.records.slice(at, 1).to_pylist()[0]
        pixels = decode_pixels(row[columns.image]["bytes"])
        blob = row[columns.mask] if columns.mask else None
        ids = None if blob is None else decode_ids(blob["bytes"])
        if ids is not None:
            ids = ids.astype(np.uint16 if ids.max(initial=0) < 60_000 else np.int32)
        image = (pixels if pixels.ndim == 3 else pixels[..., None]).copy()
        objects = list(row[columns.boxes] or ())
        return cls(columns, image, pixels.ndim == 2, ids, objects, [at], look_of(image))

    def paste(self, cutout: Cutout, settings: CopyPaste, rng: np.random.Generator) -> bool:
        """Paste a cutout where it may lie; return whether there was such a place."""
        if cutout.pixels.dtype != self.image.dtype or cutout.pixels.shape[2] != self.image.shape[2]:
            return False
        edge = settings.blend if settings.blend != "mixed" else _EDGES[int(rng.integers(3))]
        paste = prepare(
            cutout,
            scale=float(rng.uniform(*settings.scale_range)),
            turn=float(rng.uniform(-settings.turn, settings.turn)),
            mirrored=bool(settings.mirror and rng.random() < 0.5),
            soft=edge != "none",
        )
        height, width = self.image.shape[:2]
        h, w = paste.mask.shape
        for _ in range(_N_PLACES):
            left = int(rng.integers(-w // 2, width - w // 2))
            top = int(rng.integers(-h // 2, height - h // 2))
            if self._may_lie(paste, left, top, settings):
                lay(self.image, paste, left, top, blend=edge, match=settings.match)
                self._label(cutout.category, paste, left, top)
                self.rows.append(cutout.row)
                return True
        return False

    def cells(self) -> dict[str, Any]:
        """Return the cells of the synthetic row."""
        image = self.image[..., 0] if self.is_grey else self.image
        made: dict[str, Any] = {self.columns.image: {"bytes": encode_lossless(image), "path": None}}
        if self.columns.mask is not None:
            blob = None if self.ids is None else {"bytes": encode_lossless(self.ids), "path": None}
            made[self.columns.mask] = blob
        made[self.columns.boxes] = self.objects
        return made

    def _may_lie(self, paste: Paste, left: int, top: int, settings: CopyPaste) -> bool:
        place, own = overlap(paste.mask.shape, left, top, self.image.shape)
        mask = paste.mask[own]
        total = int(paste.mask.sum())
        if total == 0 or mask.sum() < max(settings.min_inside_fraction * total, 1):
            return False
        most = settings.max_hidden_fraction
        if self.ids is not None:
            hidden = np.bincount(self.ids[place][mask].ravel().astype(np.int64))
            areas = {item["id"]: item["area"] for item in self.objects}
            return all(
                hidden[i] <= most * areas.get(int(i), np.inf) for i in np.flatnonzero(hidden) if i
            )
        box = list(box_of_mask(mask, place[1].start, place[0].start))
        return all(
            _shared_area(box, item["box"]) <= most * _area(item["box"]) for item in self.objects
        )

    def _label(self, category: str, paste: Paste, left: int, top: int) -> None:
        place, own = overlap(paste.mask.shape, left, top, self.image.shape)
        mask = paste.mask[own]
        number = max((item["id"] for item in self.objects), default=0) + 1
        if self.ids is not None:
            number = max(number, int(self.ids.max(initial=0)) + 1)
            self.ids[place][mask] = number
            self.objects = self._seen()
        self._hide_points(mask, place)
        total, inside = int(paste.mask.sum()), int(mask.sum())
        whole = list(box_of_mask(paste.mask, left, top))
        self.objects.append(
            ObjectLabel(
                id=number,
                category=category,
                box=list(box_of_mask(mask, place[1].start, place[0].start)),
                area=float(inside),
                visible_fraction=inside / total,
                truncated=inside < total,
                keypoints=self._points(paste, left, top),
                amodal_box=whole,
            )
        )

    def _seen(self) -> list[ObjectLabel]:
        """Return the labels of the objects below as the map shows them now."""
        assert self.ids is not None
        found = {int(i): (b, a) for i, b, a in zip(*extents_of(self.ids))}
        kept = []
        for item in self.objects:
            if item["id"] not in found:
                continue
            box, area = found[item["id"]]
            share = float(area) / item["area"] if item["area"] else 1.0
            label = item.copy()
            if share < 1:
                seen = item["visible_fraction"]
                label["visible_fraction"] = None if seen is None else seen * share
                label["polygons"] = None
            label["box"], label["area"] = [float(edge) for edge in box], float(area)
            kept.append(label)
        return kept

    def _hide_points(self, mask: npt.NDArray[np.bool_], place: tuple[slice, slice]) -> None:
        """Mark the keypoints below that the paste lies over as hidden."""
        rows, columns = place
        for item in self.objects:
            for point in item["keypoints"] or ():
                y, x = int(point["y"]) - rows.start, int(point["x"]) - columns.start
                inside = 0 <= y < mask.shape[0] and 0 <= x < mask.shape[1]
                if point["v"] == 2 and inside and mask[y, x]:
                    point["v"] = 1

    def _points(self, paste: Paste, left: int, top: int) -> list[Keypoint]:
        made = []
        for name, (x, y, v) in paste.points.items():
            at = (x + left, y + top)
            stays = v > 0 and in_frame(*at, self.image.shape)
            if paste.is_mirrored:  # in a mirror a left hand looks like a right one
                swapped = name.replace("left", "right")
                name = swapped if swapped != name else name.replace("right", "left")
            x, y, v = (*at, v) if stays else (0.0, 0.0, 0)
            made.append(Keypoint(name=name, x=x, y=y, v=v))
        return made


def _shared_area(a: list[float], b: list[float]) -> float:
    wide, high = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    return max(wide, 0.0) * max(high, 0.0)


def _area(box: list[float]) -> float:
    return (box[2] - box[0]) * (box[3] - box[1])


class _FittedCopyPaste(FittedGenerator):
    """Pastes the cutouts of its bank onto the real images."""

    def __init__(
        self, settings: CopyPaste, real: Dataset, columns: ImageColumns, bank: list[Cutout]
    ) -> None:
        self._settings, self._real, self._columns = settings, real, columns
        self._bank: dict[str, list[Cutout]] = {}
        for cutout in bank:
            self._bank.setdefault(cutout.category, []).append(cutout)
        self._objects = [row or [] for row in real.records[columns.boxes].to_pylist()]
        self._labels = sorted({item["category"] for row in self._objects for item in row})
        self._weights = self._class_weights()
        self.schema = real.schema

    def sample(self, n: int, rng: np.random.Generator, where: Where | None = None) -> Dataset:
        """Return `n` images; the first of them do not depend on `n`.

        Conditions on columns of the set choose the image below; conditions on numbers of objects (`all
        objects`, or `objects 'WBC'` of a label) are met by pasting.
        """
        most = self._settings.n_pastes_range[1]
        plain, wish = CountWish.from_where(
            where, self.schema.names, self._labels, max(map(len, self._objects)) + 2 * most
        )
        usable = self._usable(plain, wish, where)
        names = list(self._weights)
        order = (names[k] for k in allocate(list(self._weights.values()), rng))
        owed: list[str] = []
        cells, rows = [], []
        for _ in range(n):
            scene = self._compose(usable, wish, order, owed, rng)
            cells.append(scene.cells())
            rows.append(list(dict.fromkeys(scene.rows)))
        return self._dataset(cells, rows)

    def _usable(
        self, plain: Where | None, wish: CountWish, where: Where | None
    ) -> npt.NDArray[np.intp]:
        """Return the positions of the real images that the made ones may begin with."""
        meets = np.ones(len(self._real), bool) if plain is None else self._real.mask(plain)
        usable = np.flatnonzero(meets & ~self._real.is_null(self._columns.image))
        if wish:
            room = self._settings.n_pastes_range[1]
            needs = [wish.missing_objects(counts_of(self._objects[k]), room) for k in usable]
            known = {"", *(name for name, weight in self._weights.items() if weight)}
            can = [need is not None and need.keys() <= known for need in needs]
            usable = usable[np.array(can, bool)]
        if not len(usable):
            raise ParameterError(
                f"'{_NAME}' can make no row that meets the condition",
                got=str(where),
                todo="raise n_pastes_range, or name the classes in 'classes', so that real images and "
                "pastes have so many objects"
                if wish
                else "no real image meets it: correct the condition",
            )
        return usable

    def _compose(
        self,
        usable: npt.NDArray[np.intp],
        wish: CountWish,
        order: Iterator[str],
        owed: list[str],
        rng: np.random.Generator,
    ) -> _PasteScene:
        """Return a synthetic image."""
        low, high = self._settings.n_pastes_range
        for _ in range(_N_IMAGES):
            at = int(usable[int(rng.integers(len(usable)))])
            scene = _PasteScene.from_row(self._real, at, self._columns)
            if not wish:
                for _ in range(int(rng.integers(low, high + 1))):
                    self._paste(scene, order, owed, rng)
                return scene
            self._paste_as_wished(scene, wish, rng)
            if len(scene.rows) > 1 and wish.is_met(counts_of(scene.objects)):
                return scene
        raise ParameterError(
            f"'{_NAME}' finds no place for the objects that the condition asks for",
            todo="raise max_hidden_fraction or look_distance, lower scale_range, or ask for fewer objects",
        )

    def _paste_as_wished(
        self, scene: _PasteScene, wish: CountWish, rng: np.random.Generator
    ) -> None:
        """Paste the objects that the condition still requires.

        Counts without a condition stay close to those of the real image. If fewer objects are required than
        `n_pastes_range` asks for, other allowed ones are pasted: no synthetic image equals a real one.
        """
        low, high = self._settings.n_pastes_range
        names = list(self._weights)
        weights = np.array(list(self._weights.values()))
        for _ in range(_N_PASTES * high):
            counts = counts_of(scene.objects)
            n_pasted = len(scene.rows) - 1
            lacking = wish.missing_objects(counts, high - n_pasted)
            if lacking is None or (n_pasted >= low and not sum(lacking.values())):
                break
            due = [name for name in lacking if name] or names
            may = np.array([name in due and wish.allows(name, counts) for name in names])
            shares = np.where(may, weights, 0.0)
            if not shares.sum():
                break
            self._pastes(names[int(rng.choice(len(names), p=shares / shares.sum()))], scene, rng)

    def _paste(
        self, scene: _PasteScene, order: Iterator[str], owed: list[str], rng: np.random.Generator
    ) -> None:
        """Paste one object: of a class that is owed a place, else of the one in turn.

        A class that finds no place stays in `owed` and comes first next time, so that shares are kept.
        """
        for name in [*dict.fromkeys(owed), None]:
            if name is None:
                name, known = next(order), set(owed)
                owed.append(name)
                if name in known:  # tried on this image just now
                    return
            if self._pastes(name, scene, rng):
                owed.remove(name)
                return

    def _pastes(self, name: str, scene: _PasteScene, rng: np.random.Generator) -> bool:
        """Paste an object of a class from an image that looks alike; return whether there was one."""
        bank, look = self._bank[name], scene.look
        looks = [c.look if len(c.look) == len(look) else np.full(len(look), np.inf) for c in bank]
        far = np.abs(np.array(looks) - look).max(axis=1)
        fitting = np.flatnonzero(far <= self._settings.look_distance)
        if not len(fitting):
            return False
        cutout = bank[int(fitting[int(rng.integers(len(fitting)))])]
        return scene.paste(cutout, self._settings, rng)

    def _dataset(self, cells: list[dict[str, Any]], rows: list[list[int]]) -> Dataset:
        base = self._real.records.select(list(self.schema.names))
        records = base.take(pa.array([own[0] for own in rows], pa.int64()))
        for name in (self._columns.image, self._columns.mask, self._columns.boxes):
            if name is not None:
                column = pa.array([cell[name] for cell in cells], self.schema[name].arrow_type)
                records = records.set_column(records.schema.get_field_index(name), name, column)
        card = Card(
            name=_NAME, origin="synthetic", component=_NAME, settings=asdict(self._settings)
        )
        made = replace(self._real, records=records, card=card)
        if "_id" not in self._real.records.column_names:
            return made
        ids = self._real.records.column("_id").to_pylist()
        parents = [[ids[k] for k in own] for own in rows]
        own_ids = [f"{own[0]}+{k}" for k, own in enumerate(parents)]
        return made.with_reserved(ids=own_ids, parents=parents)

    def _class_weights(self) -> dict[str, float]:
        given = self._settings.classes
        weights = read_weights(given or sorted(self._bank), self._labels, "classes", "class")
        for name, weight in weights.items():
            if weight and name not in self._bank:
                raise FitError(
                    f"there is no object of class '{name}' to cut out",
                    allowed="objects that are seen whole and are not tiny",
                    todo="leave the class out of 'classes'",
                )
        return weights

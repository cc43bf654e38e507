"""Paste objects cut out of the real training images onto them: more of the rare ones, with exact labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np

from twinset.core.contracts import FittedGenerator, Generator, Progress, silent
from twinset.core.data.dataset import Dataset
from twinset.core.data.schema import KINDS
from twinset.core.errors import FitError, SchemaError, UnknownNameError
from twinset.core.parameters import Ascending, Each, Fraction, Interval, OneOf

from ._copy_paste.blend import BLENDS
from ._copy_paste.cutouts import MASKS_FROM_BOXES, ImageColumns, cut_out
from ._copy_paste.fitted import FittedCopyPaste

_NAME = "image.copy_paste"
_KINDS = frozenset(KINDS) - {"id", "text", "spans"}


@dataclass(frozen=True, kw_only=True)
class CopyPaste(Generator):
    """Paste objects cut out of the real training images onto them: more of the rare ones, exact labels.

    Each synthetic image is a real one with objects of others laid over it. What they hide is taken off the
    masks, boxes and visible fractions of those below. Only the rows given to `fit`, the train rows, are
    cut or pasted on. Columns other than image, id map and objects keep the values of the image below.
    `where` may ask for numbers of objects, e.g. ``{"objects 'WBC'": {ge: 2}, "all objects": {lt: 30}}``:
    these are met by pasting what lacks and no more, whatever the shares in `classes`.

    Parameters
    ----------
    n_pastes_range : tuple of int
        Fewest and most objects pasted onto an image, 1 to 200.
    classes : sequence of str, or mapping of str to float, optional
        Classes to paste, with shares when a mapping; all of them equally by default. A class that finds no
        place on an image comes first at the next place, so that shares are exact, in each chunk of 64
        images, but for those that still found none at its end.
    scale_range : tuple of float
        Scale of a pasted object, least and greatest, 0.1 to 10.
    turn : float
        Greatest turn either way in degrees, 0 to 180.
    mirror : bool
        Whether half of the objects are mirrored.
    blend : {"none", "feather", "poisson", "mixed"}
        How edges are blended; mixed takes each of the three as often, so that none can be learnt.
    match : float
        How far an object's light is drawn to that of its new place, 0 to 1.
    max_hidden_fraction : float
        Largest share of an object below that a paste may hide, 0 to 1.
    min_inside_fraction : float
        Least share of a pasted object that must lie in the image, above 0, at most 1.
    look_distance : float
        Greatest difference of the median colours of two images, as a share of the whole range, for
        objects of one to be pasted onto the other; 1 lets everything pass.
    masks_from_boxes : {"refuse", "ellipse", "grabcut"}
        What tells the pixels of objects that have a box alone.

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

    kinds: ClassVar[frozenset[str]] = _KINDS
    chunk_rows: ClassVar[int] = 64
    extra: ClassVar[str | None] = "image"
    note: ClassVar[str] = "holds pixels of real images: treat as the source data"

    n_pastes_range: Annotated[tuple[int, int], Each(Interval(ge=1, le=200)), Ascending()] = (1, 6)
    classes: Sequence[str] | Mapping[str, float] | None = None
    scale_range: Annotated[tuple[float, float], Each(Interval(ge=0.1, le=10)), Ascending()] = (
        0.8,
        1.25,
    )
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
        known = {
            o["category"] for row in real.records[columns.boxes].to_pylist() for o in row or ()
        }
        for name in self.classes or ():
            if name not in known:
                raise UnknownNameError.for_name("class", name, sorted(known), "classes")
        bank = cut_out(real, columns, self.masks_from_boxes, self.classes or ())
        return FittedCopyPaste(self, real, columns, bank)

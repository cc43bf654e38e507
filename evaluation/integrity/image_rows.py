"""Share of images that real images rule out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np

from twinset.core.contracts import Comparison, Measurement, NotMeasurable
from twinset.core.data.dataset import Dataset
from twinset.core.data.persons import shared_levels
from twinset.core.features.embedders import DEFAULT_EMBEDDERS, read_embeddings
from twinset.core.features.embedders.handcrafted import BLOCKS
from twinset.core.features.image_statistics import (
    MASK_PROPERTIES,
    PIXEL_PROPERTIES,
    box_labels,
    image_properties,
)
from twinset.core.integrity import FaultKind
from twinset.core.stats.hypothesis_tests import excess_p

from .._bootstrap_metric import Bools, Floats, Ints
from .._samples import cached, check_not_empty, place_levels, require_rows
from ._checks import Check, measure_checks
from ._exact_tests import Fault, compare_flags, compare_keys, compare_scores
from ._image_contents import (
    FLAGS,
    FORM_FLAGS,
    FORMS,
    OBJECT_KINDS,
    RARE_FLAGS,
    THUMBNAIL_SIDE,
    ImageContents,
)
from ._integrity_metric import IntegrityMetric
from ._label_model import MAX_LABELS
from ._text_arrays import Hashes

_MIN_ROWS = 20  # real images of each set: fewer rule nothing out
_MIN_LABEL_ROWS = 10  # train images of a label: of fewer no nearest one is near
_NEAREST = 3  # train images of a label: one alone may be an outlier
_MAX_LABEL_COLUMNS = 3  # beside an image
_MAX_LABELS = 20  # labels that are tested one by one
_MAX_IMAGES = 4_000  # whose thumbnails are compared with one another: 16 million pairs
# Of what no real image has, e.g. another size: that it is valid is improbable beforehand, so that four
# images of a hundred show it.
_PRIOR = 0.02
# The same of what a set has in one form only, e.g. one size, and of what no image may have: that a later
# image breaks it is as improbable as in ten thousand real ones.
_PRIOR_INVALID = 1e-4
_GREY_LEVELS = 256  # of a patch
_SQUARE = (THUMBNAIL_SIDE, THUMBNAIL_SIDE)
# Of quantiles of red, green and blue, and of thumbnails: what undoes a change
_CHANGES: Mapping[str, Callable[[Floats], Floats]] = {
    "red and blue exchanged": lambda q: q.reshape(-1, 3, 3)[:, ::-1].reshape(q.shape),
    "a negative": lambda q: 1 - q.reshape(-1, 3, 3)[:, :, ::-1].reshape(q.shape),
}
_ROTATIONS: Mapping[str, Callable[[Floats], Floats]] = {
    "turned to the left": lambda t: np.rot90(t.reshape(-1, *_SQUARE), 3, (1, 2)).reshape(t.shape),
    "turned to the right": lambda t: np.rot90(t.reshape(-1, *_SQUARE), 1, (1, 2)).reshape(t.shape),
    "upside down": lambda t: t[:, ::-1],
}
# Of the thumbnails of a copy, after noise of 3 % of the range or a margin of 4 % cut off; the most similar
# of 400 different round blood cells have 0.93 to 0.98.
_MIN_SIMILARITY = 0.95
_MIN_DISTANCE = 1e-4  # of two thumbnails: what one step of brightness changes in a copy


@dataclass(frozen=True, kw_only=True)
class ImageRows(IntegrityMetric):
    """Share of images with a fault: something that real images do not have, or more seldom.

    value = (images with a fault) / (images), in [0, 1]. Every image is checked for its size, channels,
    depth and format; its brightness, sharpness, noise and borders; for copies within the set and of train
    images; for its boxes and masks; and for a label that other images contradict. What real images have as
    well is a fault where more images have it than chance allows, by exact tests corrected for their number.
    Faults that hardly any valid set has, e.g. cut-off files, are tested at a larger level (Genovese, Roeder
    & Wasserman, "False discovery control with p-value weighting", Biometrika 93, 2006).

    Parameters
    ----------
    margin : float
        Largest acceptable share, 0 or more.

    Examples
    --------
    >>> import pyarrow as pa
    >>> from twinset.core.data.schema import Field, Schema
    >>> from twinset.core.image.codec import encode_png
    >>> schema = Schema((Field(name="photo", kind="image"),))
    >>> def images(side, seed):
    ...     pixels = np.random.default_rng(seed).integers(0, 256, (60, side, side), dtype=np.uint8)
    ...     cells = [{"bytes": encode_png(one), "path": ""} for one in pixels]
    ...     return Dataset.from_arrow(pa.table({"photo": cells}), schema)
    >>> sets = Comparison(images(16, 0), images(24, 1), images(16, 2))
    >>> ImageRows().compute(sets, np.random.default_rng(0)).value
    1.0
    """

    title = "images, boxes and masks"
    interpretation = (
        "The share of synthetic images with something that real images do not have: another size, one "
        "colour, copies, boxes outside, empty or contradicted labels; 0 is best, and any fault beyond "
        "chance counts."
    )
    kinds = frozenset({"image", "boxes", "mask", "category", "boolean"})
    needs = frozenset({"image"})
    extra = "image"

    def compute(self, comparison: Comparison, rng: np.random.Generator) -> Measurement:
        """Return the share of images with a fault; findings name each fault."""
        if not comparison.reference.schema.of_kind("image"):
            raise NotMeasurable("there is no image column")
        check_not_empty(comparison)
        require_rows([comparison.train, comparison.reference], _MIN_ROWS, "images")
        return measure_checks(comparison, list(_find_checks(comparison)))


def _find_checks(comparison: Comparison) -> Iterator[Check]:
    sets = comparison.train, comparison.synthetic, comparison.reference
    first = {kind: comparison.train.schema.of_kind(kind)[:1] for kind in OBJECT_KINDS}
    columns = {kind: found[0].name for kind, found in first.items() if found}
    name = columns["image"]
    labels = box_labels(comparison.train)

    def read(rows: Dataset) -> tuple[ImageContents, Dataset]:
        return _read_facts(rows, columns), image_properties(rows, labels)

    # The images of train set and holdout are the same beside every candidate.
    train, holdout = cached(comparison, "real images", lambda: (read(sets[0]), read(sets[2])))
    own = read(sets[1])
    facts, properties = (train[0], own[0], holdout[0]), (train[1], own[1], holdout[1])
    yield from _check_forms(columns, facts)
    for found in properties[0].schema.names:
        kind = "image" if found in PIXEL_PROPERTIES else "boxes"
        kind = "mask" if found in MASK_PROPERTIES else kind
        yield from _check_both_tails(columns, kind, found, [p.values(found) for p in properties])
    for kind in columns:
        for found in facts[1].scores[kind]:
            nothing = [np.full(len(rows), np.nan) for rows in sets]
            values = [one.scores[kind].get(found, none) for one, none in zip(facts, nothing)]
            yield from _check_both_tails(columns, kind, found, values)
    yield from _check_copies(name, facts)
    yield from _check_undone(name, facts)
    patches = [_patch_keys(one) for one in facts]
    yield compare_keys(
        Fault(FaultKind.IMAGE_CONTENT, name, "the same patch in one place"),
        patches[1], len(sets[1]),
        [(patches[i], len(sets[i])) for i in (2, 0)],
    )  # fmt: skip
    vectors = _read_vectors(sets, name)
    yield from _check_far(name, vectors, properties)
    yield from _check_neighbors(comparison, vectors)
    yield from _check_unknown_labels(sets)


def _read_facts(rows: Dataset, columns: Mapping[str, str]) -> ImageContents:
    return ImageContents.from_columns(
        *(rows.records.column(columns[kind]) if kind in columns else None for kind in OBJECT_KINDS)
    )


def _patch_keys(facts: ImageContents) -> tuple[Hashes, Ints]:
    """Return a key for the place and the grey level of each patch of each image, and its row."""
    n, n_patches = facts.levels.shape
    keys = facts.levels + _GREY_LEVELS * np.arange(n_patches)
    return keys.ravel().astype(np.uint64), np.repeat(np.arange(n), n_patches)


def _check_forms(columns: Mapping[str, str], facts: Sequence[ImageContents]) -> Iterator[Check]:
    """Yield the checks of form and of what no valid image has, beside all real images."""
    train, own, holdout = facts
    for form in FORMS:
        known = set(train.forms[form]) | {""}
        flags = [np.array([v not in known for v in one.forms[form]]) for one in (own, holdout)]
        fault = Fault(FaultKind.IMAGE_FORM, columns["image"], form)
        if len(known) > 2 or flags[1].any():
            yield compare_flags(fault, *flags)
        else:
            nothing = np.zeros(len(train.keys), dtype=bool)
            yield _check_constant(fault, flags[0], flags[1], nothing, _PRIOR_INVALID)
    for flag in FLAGS:
        if flag in own.flags and flag in holdout.flags and flag in train.flags:
            kind, column = FaultKind.IMAGE_FORM, columns["image"]
            if flag not in FORM_FLAGS:
                kind, column = FaultKind.IMAGE_OBJECTS, columns.get("boxes") or columns["mask"]
            prior = _PRIOR if flag in RARE_FLAGS else _PRIOR_INVALID
            real = holdout.flags[flag], train.flags[flag]
            yield _check_constant(Fault(kind, column, flag), own.flags[flag], *real, prior)


def _check_constant(fault: Fault, own: Bools, holdout: Bools, train: Bools, prior: float) -> Check:
    """Return the check of something that no real image has, or else of how many have it."""
    found = compare_flags(fault, own, holdout, train)
    if sum(found.n_unseen) or not len(found.rows):
        return found
    p = excess_p(len(found.rows), len(own), 0, sum(found.n_real)) * prior
    return replace(found, p_value=p)


def _check_both_tails(
    columns: Mapping[str, str], kind: str, found: str, values: Sequence[Floats]
) -> Iterator[Check]:
    """Yield the checks of a score of train, synthetic and holdout images, none of them a model of it."""
    train, own, holdout = values
    fault = FaultKind.IMAGE_CONTENT if kind == "image" else FaultKind.IMAGE_OBJECTS
    for word, sign in (("more", 1.0), ("less", -1.0)):
        yield compare_scores(
            Fault(fault, columns[kind], f"{word}: {found}"),
            *(sign * v for v in (own, holdout, train)),
        )


def _check_copies(name: str, facts: Sequence[ImageContents]) -> Iterator[Check]:
    """Yield the checks of copies within the set, beside as many real images, and of train images."""
    train, own, holdout = (one.thumbnails for one in facts)
    pooled = np.concatenate([train, holdout])
    keys = facts[1].keys, [*facts[0].keys, *facts[2].keys]
    n = min(len(own), len(pooled), _MAX_IMAGES)
    places = [np.linspace(0, len(one) - 1, n).astype(np.int64) for one in (own, pooled)]
    repeats = [_is_repeated([one[i] for i in place]) for one, place in zip(keys, places)]
    found = _check_constant(
        Fault(FaultKind.REPEATED_IMAGE, name, "equal"),
        repeats[0],
        repeats[1],
        repeats[1][:0],
        _PRIOR,
    )
    yield replace(found, rows=places[0][found.rows])
    near = [_largest_earlier(one[place]) for one, place in zip((own, pooled), places)]
    repeated = Fault(FaultKind.REPEATED_IMAGE, name, "of the set")
    found = compare_scores(repeated, _only_copies(near[0]), near[1], is_smooth=True)
    yield replace(found, rows=places[0][found.rows])
    known = train[:_MAX_IMAGES]
    copies = [_stretch(_largest_similarities(one, known).max(axis=1)) for one in (own, holdout)]
    train_copies = Fault(FaultKind.REPEATED_IMAGE, name, "of the train set")
    yield compare_scores(train_copies, _only_copies(copies[0]), copies[1], is_smooth=True)


def _check_undone(name: str, facts: Sequence[ImageContents]) -> Iterator[Check]:
    """Yield the checks of images that are more like train images once a change is undone.

    Colours are compared with those of the nearest train images, turned images with the mean of all.
    """
    scores: dict[str, list[Floats]] = {}
    train, *others = (one.colours for one in facts)
    train = train[~np.isnan(train).any(axis=1)][:_MAX_IMAGES]
    if len(train) >= _MIN_ROWS:
        within = _distances(train, train)
        np.fill_diagonal(within, np.inf)
        usual = float(np.median(within.min(axis=1))) + _MIN_DISTANCE
        before = [_mean_nearest(one, train) + usual for one in others]
        for word, change in _CHANGES.items():
            after = [_mean_nearest(change(one), train) + usual for one in others]
            scores[word] = [a / b for a, b in zip(before, after)]
    mean = facts[0].thumbnails.mean(axis=0)
    for word, turn in _ROTATIONS.items():
        scores[word] = [(turn(one.thumbnails) - one.thumbnails) @ mean for one in facts[1:]]
    for word, own in scores.items():
        yield compare_scores(Fault(FaultKind.IMAGE_CONTENT, name, word), *own)


def _mean_nearest(rows: Floats, train: Floats) -> Floats:
    """Return the mean distance of each row to its nearest train images; NaN if unreadable."""
    near = np.partition(_distances(rows, train), _NEAREST - 1, axis=1)[:, :_NEAREST].mean(axis=1)
    return np.where(np.isfinite(near), near, np.nan)


def _is_repeated(keys: Sequence[bytes]) -> Bools:
    """Return which images equal an earlier one."""
    first = {key: i for i, key in reversed([*enumerate(keys)])}
    return np.array([bool(key) and first[key] < i for i, key in enumerate(keys)], dtype=bool)


def _largest_earlier(thumbnails: Floats) -> Floats:
    """Return the largest similarity of each image to an earlier one, so that a pair counts once."""
    found = _largest_similarities(thumbnails, thumbnails)
    found[np.triu_indices(len(found))] = -1.0
    return _stretch(found.max(axis=1))


def _largest_similarities(rows: Floats, known: Floats) -> Floats:
    """Return the similarity of each pair of thumbnails, the largest of all flips and quarter turns."""
    square = known.reshape(-1, *_SQUARE)
    found = np.full((len(rows), len(known)), -1.0)
    for flipped in (square, square[:, :, ::-1]):
        for k in range(4):
            turned = np.rot90(flipped, k, (1, 2)).reshape(known.shape)
            np.maximum(found, rows @ turned.T, out=found)
    return found


def _only_copies(stretched: Floats) -> Floats:
    """Return stretched similarities, the least possible one where it is too small for a copy."""
    least = _stretch(np.array([_MIN_SIMILARITY, -1.0]))
    return np.where(stretched >= least[0], stretched, least[1])


def _stretch(similarity: Floats) -> Floats:
    """Return similarities on a scale without an end, so that 0.999 is far from 0.99."""
    return np.asarray(-np.log(np.maximum(1 - similarity, 0.0) + _MIN_DISTANCE))


def _check_far(
    name: str, vectors: Sequence[Floats], properties: Sequence[Dataset]
) -> Iterator[Check]:
    """Yield the checks of images far from all train images: by all of their vectors, and by each block.

    Where train images are sparse, others are farther: distances are compared as they are, and beside that
    of the nearest train image to its own nearest one.
    """
    ends = [0, *np.cumsum(BLOCKS)]
    parts = [slice(None), *(slice(a, b) for a, b in pairwise(ends))]
    for part in parts:
        train, own, real = (one[:, part] for one in vectors)
        train = train[~np.isnan(train).any(axis=1)][:_MAX_IMAGES]
        if len(train) < _MIN_ROWS:
            return
        within = _distances(train, train)
        np.fill_diagonal(within, np.inf)
        usual = within.min(axis=1)
        usual = usual + np.median(usual) + _MIN_DISTANCE
        distances = [_distances(one, train) for one in (own, real)]
        near = [one.min(axis=1) for one in distances]
        beside = [d / usual[one.argmin(axis=1)] for d, one in zip(near, distances)]
        for values in (near, beside):
            values = [np.where(np.isfinite(one), one, np.nan) for one in values]
            found = compare_scores(Fault(FaultKind.IMAGE_CONTENT, name), *values)
            unlike = (
                f"unlike all train images, most of all in {_name_property(found.rows, properties)}"
            )
            yield replace(found, detail=unlike)


def _name_property(rows: Ints, properties: Sequence[Dataset]) -> str:
    """Return the property of pixels by which some images differ most from real ones."""
    apart: dict[str, float] = {}
    for found in PIXEL_PROPERTIES:
        train, own, holdout = (one.values(found) for one in properties)
        real = np.sort(np.concatenate([train, holdout]))
        real, own = real[~np.isnan(real)], own[rows]
        own = own[~np.isnan(own)]
        below = [np.searchsorted(real, own, side) for side in ("left", "right")]
        share = np.mean(below) / len(real) if len(own) and len(real) else 0.5
        apart[found] = abs(float(share) - 0.5)
    return max(apart, key=apart.__getitem__)


def _check_neighbors(comparison: Comparison, vectors: Sequence[Floats]) -> Iterator[Check]:
    """Yield the checks of labels that near train images contradict."""
    train, own, real = (one[:_MAX_IMAGES] if i == 0 else one for i, one in enumerate(vectors))
    distances = [_distances(one, train) for one in (own, real)]
    fields = comparison.train.schema.fields
    for label in [f.name for f in fields if f.kind in ("category", "boolean")][:_MAX_LABEL_COLUMNS]:
        codes, levels = comparison.train.codes(label)
        if not 2 <= len(levels) <= MAX_LABELS:
            continue
        known: Ints = codes[: len(train)].astype(np.int64)
        sets = comparison.synthetic, comparison.reference
        scores = [
            _contradictions(one, known, levels, rows, label) for one, rows in zip(distances, sets)
        ]
        yield compare_scores(Fault(FaultKind.CONTRADICTED_LABEL, label), *(s for s, _ in scores))
        shared = shared_levels(comparison.train, label)[:_MAX_LABELS]
        for level in [place for place, one in enumerate(levels) if one in shared]:
            parts = (np.where(given == level, s, np.nan) for s, given in scores)
            yield compare_scores(
                Fault(FaultKind.CONTRADICTED_LABEL, label, str(levels[level])), *parts
            )


def _distances(rows: Floats, train: Floats) -> Floats:
    """Return the Euclidean distance of each row to each train image; infinite where one is unreadable."""
    squares = (rows**2).sum(axis=1)[:, None] + (train**2).sum(axis=1)[None] - 2 * rows @ train.T
    return np.asarray(np.where(np.isnan(squares), np.inf, np.sqrt(np.maximum(squares, 0.0))))


def _contradictions(
    distances: Floats, codes: Ints, levels: Sequence[str], rows: Dataset, label: str
) -> tuple[Floats, Ints]:
    """Return how much nearer train images of another label are, and the given labels among `levels`."""
    given = np.asarray(place_levels(rows, label, levels, -1, -1), dtype=np.int64)
    near = np.stack(
        [
            np.partition(distances[:, codes == k], _NEAREST - 1, axis=1)[:, :_NEAREST].mean(axis=1)
            if (codes == k).sum() >= _MIN_LABEL_ROWS
            else np.full(len(distances), np.inf)
            for k in range(len(levels))
        ],
        axis=1,
    )
    own = np.take_along_axis(near, np.maximum(given, 0)[:, None], axis=1)[:, 0]
    np.put_along_axis(near, np.maximum(given, 0)[:, None], np.inf, axis=1)
    other = near.min(axis=1)
    known = (given >= 0) & np.isfinite(own) & np.isfinite(other) & (other > 0)
    return np.where(known, own / np.where(known, other, 1.0), np.nan), given


def _read_vectors(sets: Sequence[Dataset], name: str) -> list[Floats]:
    """Return the classical vectors of the images of each set."""
    columns = [rows.records.column(name) for rows in sets]
    carried = [read_embeddings(column).get("classical") for column in columns]
    if all(one is not None for one in carried):
        return [np.asarray(one, dtype=np.float64) for one in carried]
    fitted = DEFAULT_EMBEDDERS["image"].fit(columns[0], None, 0)
    return [fitted.embed(column).astype(np.float64) for column in columns]


def _check_unknown_labels(sets: Sequence[Dataset]) -> Iterator[Check]:
    """Yield the checks of labels of images and of objects that no train image has."""
    schema = sets[0].schema
    for field in (*schema.of_kind("boxes")[:1], *schema.of_kind("category")[:_MAX_LABEL_COLUMNS]):
        columns = [rows.records.column(field.name).to_pylist() for rows in sets]
        held = [[_labels_of(cell) for cell in column] for column in columns]
        uses = Counter(label for cell in held[0] for label in cell)
        # Where labels occur once, further ones are to be expected (Good, Biometrika 40, 1953).
        prior = _PRIOR_INVALID if min(uses.values(), default=0) > 1 else 1.0
        own, real = (
            np.array([not one <= uses.keys() for one in cells], dtype=bool) for cells in held[1:]
        )
        kind = FaultKind.IMAGE_OBJECTS if field.kind == "boxes" else FaultKind.LEVEL
        nothing = np.zeros(len(held[0]), dtype=bool)
        fault = Fault(kind, field.name, "an unknown label")
        yield _check_constant(fault, own, real, nothing, prior)


def _labels_of(cell: Any) -> set[str]:
    """Return the labels in a cell of labels or of objects."""
    if isinstance(cell, list):
        return {one["category"] for one in cell}
    return set() if cell is None else {cell}

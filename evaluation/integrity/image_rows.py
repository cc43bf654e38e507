"""Share of images that real images rule out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from twinset.core.contracts import Comparison, Measurement, NotMeasurable
from twinset.core.data.dataset import Dataset
from twinset.core.data.persons import shared_levels
from twinset.core.features.embedders import DEFAULT_EMBEDDERS, read_embeddings
from twinset.core.features.image_statistics import box_labels, image_properties
from twinset.core.integrity import FaultKind
from twinset.core.stats.hypothesis_tests import excess_p

from .._bootstrap_metric import Bools, Floats, Ints
from .._samples import check_not_empty, place_levels, require_rows
from ._checks import Check, measure_checks
from ._exact_tests import Fault, compare_flags, compare_scores
from ._image_contents import FLAGS, FORM_FLAGS, FORMS, THUMBNAIL_SIDE, ImageContents
from ._integrity_metric import IntegrityMetric
from ._label_model import MAX_LABELS

_MIN_ROWS = 20  # real images of each set: fewer rule nothing out
_MIN_LABEL_ROWS = 10  # train images of a label: of fewer no nearest one is near
_NEAREST = 3  # train images of a label: one alone may be an outlier
_MAX_LABEL_COLUMNS = 3  # beside an image
_MAX_LABELS = 20  # labels that are tested one by one
_MAX_IMAGES = 4_000  # whose thumbnails are compared with one another: 16 million pairs
# Of what no real image has, e.g. another size: that it is valid is improbable beforehand, so that four
# images of a hundred show it.
_PRIOR = 0.02
_MIN_DISTANCE = 1e-4  # of two thumbnails: what one step of brightness changes in a copy
# Steps along both axes: as it is, mirrored, upside down, turned by 180 degrees
_FLIPS = ((1, 1), (1, -1), (-1, 1), (-1, -1))


@dataclass(frozen=True, kw_only=True)
class ImageRows(IntegrityMetric):
    """Share of images with a fault: something that real images do not have, or more seldom.

    value = (images with a fault) / (images), in [0, 1]. Every image is checked for its size, channels,
    depth and format; its brightness, sharpness, noise and borders; for copies within the set and of train
    images; for its boxes and masks; and for a label that other images contradict. What real images have as
    well is a fault where more images have it than chance allows, by exact tests corrected for their number.

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
    name = comparison.train.schema.of_kind("image")[0].name
    facts = [_read_facts(rows, name) for rows in sets]
    yield from _check_forms(name, facts)
    labels = box_labels(comparison.train)
    properties = [image_properties(rows, labels) for rows in sets[1:]]
    for found in properties[0].schema.names:
        yield from _check_both_tails(name, found, *(one.values(found) for one in properties))
    for found in facts[0].scores:
        own, real = (one.scores.get(found) for one in facts[1:])
        if own is not None and real is not None:
            yield from _check_both_tails(name, found, own, real)
    yield from _check_copies(name, facts)
    yield from _check_neighbors(name, comparison, _read_vectors(sets, name))
    yield from _check_box_labels(sets)


def _read_facts(rows: Dataset, name: str) -> ImageContents:
    columns = [rows.schema.of_kind(kind)[:1] for kind in ("boxes", "mask")]
    objects = [rows.records.column(own[0].name) if own else None for own in columns]
    return ImageContents.from_columns(rows.records.column(name), *objects)


def _check_forms(name: str, facts: Sequence[ImageContents]) -> Iterator[Check]:
    """Yield the checks of form and of what no valid image has, beside all real images."""
    train, own, holdout = facts
    for form in FORMS:
        known = set(train.forms[form]) | {""}
        flags = [np.array([v not in known for v in one.forms[form]]) for one in (own, holdout)]
        fault = Fault(FaultKind.IMAGE_FORM, name, form)
        if len(known) > 2 or flags[1].any():
            yield compare_flags(fault, *flags)
        else:
            nothing = np.zeros(len(train.keys), dtype=bool)
            yield _check_constant(fault, flags[0], flags[1], nothing)
    for flag in FLAGS:
        if flag in own.flags and flag in holdout.flags and flag in train.flags:
            kind = FaultKind.IMAGE_FORM if flag in FORM_FLAGS else FaultKind.IMAGE_OBJECTS
            fault = Fault(kind, name, flag)
            real = holdout.flags[flag], train.flags[flag]
            yield _check_constant(fault, own.flags[flag], real[0], real[1])


def _check_constant(fault: Fault, own: Bools, holdout: Bools, train: Bools) -> Check:
    """Return the check of something that no real image has, or else of how many have it."""
    found = compare_flags(fault, own, holdout, train)
    if sum(found.n_unseen) or not len(found.rows):
        return found
    p = excess_p(len(found.rows), len(own), 0, sum(found.n_real)) * _PRIOR
    return replace(found, p_value=p)


def _check_both_tails(name: str, found: str, own: Floats, real: Floats) -> Iterator[Check]:
    for word, sign in (("more", 1.0), ("less", -1.0)):
        fault = Fault(FaultKind.IMAGE_CONTENT, name, f"{word}: {found}")
        yield compare_scores(fault, sign * own, sign * real)


def _check_copies(name: str, facts: Sequence[ImageContents]) -> Iterator[Check]:
    """Yield the checks of copies within the set, beside as many real images, and of train images."""
    train, own, holdout = (one.thumbnails for one in facts)
    pooled = np.concatenate([train, holdout])
    keys = facts[1].keys, [*facts[0].keys, *facts[2].keys]
    n = min(len(own), len(pooled), _MAX_IMAGES)
    places = [np.linspace(0, len(one) - 1, n).astype(np.int64) for one in (own, pooled)]
    repeats = [_is_repeated([one[i] for i in place]) for one, place in zip(keys, places)]
    found = _check_constant(
        Fault(FaultKind.REPEATED_IMAGE, name, "equal"), repeats[0], repeats[1], repeats[1][:0]
    )
    yield replace(found, rows=places[0][found.rows])
    near = [_largest_earlier(one[place]) for one, place in zip((own, pooled), places)]
    found = compare_scores(
        Fault(FaultKind.REPEATED_IMAGE, name, "of the set"), *near, is_smooth=True
    )
    yield replace(found, rows=places[0][found.rows])
    known = train[:_MAX_IMAGES].reshape(-1, THUMBNAIL_SIDE, THUMBNAIL_SIDE)
    flipped = np.concatenate([known[:, ::a, ::b].reshape(len(known), -1) for a, b in _FLIPS])
    copies = [_stretch(np.max(one @ flipped.T, axis=1)) for one in (own, holdout)]
    train_copies = Fault(FaultKind.REPEATED_IMAGE, name, "of the train set")
    yield compare_scores(train_copies, *copies, is_smooth=True)


def _is_repeated(keys: Sequence[bytes]) -> Bools:
    """Return which images equal an earlier one."""
    first = {key: i for i, key in reversed([*enumerate(keys)])}
    return np.array([bool(key) and first[key] < i for i, key in enumerate(keys)], dtype=bool)


def _largest_earlier(thumbnails: Floats) -> Floats:
    """Return the largest similarity of each image to an earlier one, so that a pair counts once."""
    found = thumbnails @ thumbnails.T
    found[np.triu_indices(len(found))] = -1.0
    return _stretch(found.max(axis=1))


def _stretch(similarity: Floats) -> Floats:
    """Return similarities on a scale without an end, so that 0.999 is far from 0.99."""
    return np.asarray(-np.log(np.maximum(1 - similarity, 0.0) + _MIN_DISTANCE))


def _check_neighbors(
    name: str, comparison: Comparison, vectors: Sequence[Floats]
) -> Iterator[Check]:
    """Yield the checks of images far from all train images, and of labels that near ones contradict."""
    train, own, real = (one[:_MAX_IMAGES] if i == 0 else one for i, one in enumerate(vectors))
    distances = [np.asarray(_distances(one, train)) for one in (own, real)]
    far = Fault(FaultKind.IMAGE_CONTENT, name, "far from all train images")
    yield compare_scores(far, *(one.min(axis=1) for one in distances))
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


def _check_box_labels(sets: Sequence[Dataset]) -> Iterator[Check]:
    """Yield the check of labels of objects that no train image has."""
    for field in sets[0].schema.of_kind("boxes")[:1]:
        columns = [rows.records.column(field.name).to_pylist() for rows in sets]
        held = [[{one["category"] for one in cell or ()} for cell in column] for column in columns]
        known = set().union(*held[0])
        own, real = (
            np.array([not one <= known for one in cells], dtype=bool) for cells in held[1:]
        )
        yield _check_constant(
            Fault(FaultKind.IMAGE_OBJECTS, field.name, "an unknown label"), own,
            real, np.zeros(len(held[0]), dtype=bool),
        )  # fmt: skip

"""Test images that are train images: mirrored, turned, moved, brighter, blurred or of another size.

Images are compared as grey thumbnails whose spectrum is levelled: what all images of a set look like
has no weight, and details that two images share have all of it. The test images among themselves show how
similar images are by nature.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from twinset.core.data.dataset import Dataset
from twinset.core.errors import DataError, MissingExtraError
from twinset.core.image.codec import decode_pixels, open_cv
from twinset.measurement.leakage.evidence import Floats, Leak, first_rows, format_count
from twinset.measurement.leakage.nearness import compare_nearness

Spectra = npt.NDArray[np.complexfloating[Any, Any]]

_SIDE = 32  # pixels of a thumbnail: compression and noise leave most of its details
_MAX_FREQUENCY = 0.4  # cycles a pixel: above lies what scaling leaves of noise
_MAX_TEST, _MAX_TRAIN = 400, 2_000  # images that are compared: about a second of CPU
_MIN_IMAGES = 40  # with fewer, the control says nothing
_N_CANDIDATES = 5  # train images of each turn whose best shift is searched
# Similarity at the best shift, 1 for a copy. Mirrored, turned, brighter, blurred and rescaled copies of
# cells and smears have 0.99 or more, those that were moved by a tenth 0.77 or more; other images 0.45.
_LIMITS = (0.97, 0.9, 0.8, 0.7)


def note_unsearched_images(train: Dataset) -> list[str]:
    """Return the remark that images cannot be decoded, so that their copies are not searched; or none."""
    if not train.schema.of_kind("image") or _can_decode():
        return []
    return ["changed copies of images were not searched: OpenCV is not installed"]


def _can_decode() -> bool:
    try:
        open_cv()
    except MissingExtraError:
        return False
    return True


def find_image_copies(train: Dataset, test: Dataset, rng: np.random.Generator) -> list[Leak]:
    """Return the leak of test images that are changed copies of train images; or none.

    Without OpenCV no image is searched: see `note_unsearched_images`.
    """
    for field in train.schema.of_kind("image") if _can_decode() else ():
        if field.name not in test.schema.names:
            continue
        chosen = [
            np.sort(rng.permutation(len(part))[:limit])
            for part, limit in ((train, _MAX_TRAIN), (test, _MAX_TEST))
        ]
        thumbnails, rows = zip(
            *(
                _read_thumbnails(part.records.column(field.name), places)
                for part, places in zip((train, test), chosen, strict=True)
            ),
            strict=True,
        )
        if min(map(len, thumbnails)) < _MIN_IMAGES:
            continue
        near = measure_similarity(thumbnails[1], thumbnails[0])
        control = measure_similarity(thumbnails[1], thumbnails[1], among_itself=True)
        more = max(1.0, len(thumbnails[0]) / len(thumbnails[1]))
        found = compare_nearness(near, control, more, _LIMITS)
        if found is not None:
            limit, n, expected, chance = found
            touched = np.zeros(len(test), dtype=bool)
            touched[rows[1][near >= limit]] = True
            message = (
                f"{format_count(n)} of {len(near):,} that were examined hold a train image "
                f"('{field.name}') that was mirrored, turned, moved or changed in brightness or size, "
                f"where chance explains {expected:,.0f}"
            )
            at = first_rows(touched)
            name = (field.name,)
            return [Leak("near_copies", message, n, chance, at=at, expected=expected, columns=name)]
    return []


def measure_similarity(test: Floats, train: Floats, among_itself: bool = False) -> Floats:
    """Return the largest similarity of each test thumbnail to a train thumbnail, at most 1, shape (n,).

    `test`, `train`, shapes (n, side, side) and (m, side, side): grey thumbnails. `among_itself`: whether
    both are the same thumbnails, so that none is compared with itself.

    >>> rng = np.random.default_rng(0)
    >>> thumbnails = rng.normal(size=(50, 32, 32))
    >>> same = measure_similarity(thumbnails[:1, :, ::-1], thumbnails)[0]
    >>> other = measure_similarity(rng.normal(size=(1, 32, 32)), thumbnails)[0]
    >>> bool(same > 0.99), bool(other < 0.5)
    (True, True)
    """
    side = train.shape[1]
    edge = np.hanning(side + 2)[1:-1]
    window = np.outer(edge, edge)
    # An even train set has frequencies without power, which must not be divided by.
    power = np.sqrt((np.abs(np.fft.fft2(train * window)) ** 2).mean(axis=0))
    power += max(1e-6 * float(power.max()), 1e-12)
    known = _level_spectra(train * window, power)
    details, sizes = _as_vectors(known), np.abs(known).reshape(len(known), -1)
    usual = sizes.mean(axis=0)
    best = np.full(len(test), -1.0)
    for turned in _list_turns(test):
        own = _level_spectra(turned * window, power)
        # The size of a spectrum is the same wherever the content lies; the details say more where it did
        # not move.
        for mine, theirs in (
            (_as_vectors(own), details),
            (_unit(np.abs(own).reshape(len(own), -1) - usual), _unit(sizes - usual)),
        ):
            alike = mine.astype(np.float32) @ theirs.astype(np.float32).T
            if among_itself:
                np.fill_diagonal(alike, -2.0)
            n_kept = min(_N_CANDIDATES, alike.shape[1] - 1)
            for other in np.argpartition(-alike, n_kept, axis=1)[:, :n_kept].T:
                shifted = np.fft.ifft2(own * np.conj(known[other])).real
                np.maximum(best, shifted.max(axis=(1, 2)), out=best)
    return best


def _read_thumbnails(
    column: pa.ChunkedArray, places: npt.NDArray[np.int64]
) -> tuple[Floats, npt.NDArray[np.int64]]:
    """Return thumbnails of the images that can be read, shape (n, side, side), and their rows."""
    cv2 = open_cv()
    thumbnails, rows = [], []
    for place in places:
        cell = column[int(place)].as_py()
        try:
            pixels = decode_pixels((cell or {}).get("bytes") or b"")
        except DataError:
            continue
        grey = pixels.astype(np.float32)
        grey = grey if grey.ndim == 2 else grey[..., :3].mean(axis=2)
        # An image of one colour has no details.
        if np.ptp(grey) > 0:
            small = cv2.resize(grey, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA)
            thumbnails.append(small.astype(np.float64) - float(small.mean()))
            rows.append(place)
    return np.array(thumbnails).reshape(-1, _SIDE, _SIDE), np.array(rows, dtype=np.int64)


def _list_turns(thumbnails: Floats) -> Iterator[Floats]:
    """Yield the thumbnails turned by quarters, as they are and mirrored."""
    for mirrored in (thumbnails, thumbnails[:, :, ::-1]):
        for quarters in range(4):
            yield np.ascontiguousarray(np.rot90(mirrored, quarters, (1, 2)))


def _level_spectra(thumbnails: Floats, power: Floats) -> Spectra:
    """Return spectra of length 1 in which all low frequencies have equal weight on average."""
    side = thumbnails.shape[1]
    found = np.fft.fft2(thumbnails) / power
    frequency = np.fft.fftfreq(side)
    found[:, np.hypot(frequency[:, None], frequency[None]) > _MAX_FREQUENCY] = 0
    found[:, 0, 0] = 0
    length = np.sqrt((np.abs(found) ** 2).sum(axis=(1, 2), keepdims=True)) / side
    return np.asarray(found / np.maximum(length, 1e-12))


def _as_vectors(spectra: Spectra) -> Floats:
    """Return the thumbnails of spectra, one row each."""
    return np.fft.ifft2(spectra).real.reshape(len(spectra), -1)


def _unit(rows: Floats) -> Floats:
    """Return rows of length 1."""
    return np.asarray(rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12))

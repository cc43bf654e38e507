"""Put fog, rain, snow, night, glare and the faults of a camera over images; labels stay."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from twinset.core.errors import ParameterError, UnknownNameError
from twinset.core.image.effects import CAMERA, WEATHER

from ._depth import from_working, to_working
from ._labels import Objects
from ._rows import Change, Pixels, Row, SeededImages

EFFECTS = {**WEATHER, **CAMERA}


@dataclass(frozen=True, kw_only=True)
class Weather(SeededImages):
    """Put fog, rain, snow, night or glare over images; every label stays where it is.

    Each image gets one kind, drawn by the weights, at an amount drawn from the range. Faults of the
    camera can be given as kinds too. Thick fog or deep night may hide an object that is still labelled:
    that is what the amount is for.

    Parameters
    ----------
    kinds_of_weather : sequence of str, or mapping of str to float
        Kinds, with their weights when a mapping: fog, rain, snow, night, glare; also motion_blur,
        defocus, noise, jpeg, dirt. The five kinds of weather equally by default.
    amount_range : tuple of float
        How much of it, least and greatest, 0 (nothing) to 1 (as much as there can be).
    fraction : float
        Share of images that are changed, 0 to 1.

    Raises
    ------
    UnknownNameError
        A kind is none of these.
    ParameterError
        A number is out of its range.

    Examples
    --------
    >>> from twinset.core.seeding import rng_for
    >>> import pyarrow as pa
    >>> from twinset.core.data.dataset import Dataset
    >>> from twinset.core.image.codec import decode_pixels, encode_png
    >>> png = encode_png(np.full((32, 32, 3), 40, np.uint8))
    >>> data = Dataset.from_arrow(pa.table({"image": [{"bytes": png, "path": None}]}))
    >>> foggy = Weather(kinds_of_weather=["fog"], amount_range=(0.6, 0.6))
    >>> out = foggy.apply(data, foggy.draw(data, rng_for(0, "doc")))
    >>> bool(decode_pixels(out.records["image"][0]["bytes"].as_py()).mean() > 80)
    True
    """

    use: ClassVar[str] = "image.weather"

    kinds_of_weather: Sequence[str] | Mapping[str, float] = tuple(WEATHER)
    amount_range: tuple[float, float] = (0.2, 0.7)
    fraction: float = 1.0

    def __post_init__(self) -> None:
        for name in self.kinds_of_weather:
            if name not in EFFECTS:
                raise UnknownNameError.for_name("kind of weather", name, EFFECTS)
        low, high = self.amount_range
        if not 0 <= low <= high <= 1:
            raise ParameterError(
                "'amount_range' is out of its range",
                got=f"{low} to {high}",
                allowed="0 to 1, low end first",
            )
        if not 0 <= self.fraction <= 1:
            raise ParameterError(
                "'fraction' is out of its range", got=str(self.fraction), allowed="0 to 1"
            )
        if any(weight < 0 for weight in self._weights.values()) or not sum(self._weights.values()):
            raise ParameterError(
                "the weights of 'kinds_of_weather' cannot be used",
                got=str(dict(self._weights)),
                allowed="numbers of 0 or more, one of them above 0",
            )

    @property
    def _weights(self) -> Mapping[str, float]:
        given = self.kinds_of_weather
        return given if isinstance(given, Mapping) else dict.fromkeys(given, 1.0)

    def change(self) -> Change:
        """Return what is done to a row: takes image, id map, labels and seed."""
        names = list(self._weights)
        shares = np.array([self._weights[name] for name in names], float)
        shares /= shares.sum()

        def vary(image: Pixels, ids: Pixels | None, objects: Objects | None, seed: int) -> Row:
            rng = np.random.default_rng(seed)
            is_changed = rng.random() < self.fraction
            name = names[int(rng.choice(len(names), p=shares))]
            amount = float(rng.uniform(*self.amount_range))
            made = put_effect(image, name, amount, rng) if is_changed else image
            return made, ids, objects

        return vary


def put_effect(image: Pixels, name: str, amount: float, rng: np.random.Generator) -> Pixels:
    """Return an image of any depth with one effect over it, in its own depth.

    Parameters
    ----------
    image : numpy.ndarray
        uint8, uint16 or float32 (fractions of 1), shape (h, w) or (h, w, channels).
    name : str
        A key of `EFFECTS`.
    amount : float
        0 to 1.
    rng : numpy.random.Generator
        Draws where drops and flakes fall.
    """
    working = to_working(image, colours=True)
    if working.dtype == np.uint8:
        working = working.astype(np.float32)
        working *= np.float32(1 / 255)
    flat = working if working.ndim == 3 else working[..., None]
    made = EFFECTS[name](flat, amount, rng).reshape(working.shape)
    if image.dtype == np.uint8:
        made *= np.float32(255)
        np.rint(made, out=made)
        return np.clip(made, 0, 255, out=made).astype(np.uint8)
    return from_working(made, image)

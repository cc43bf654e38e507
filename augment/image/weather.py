"""Add fog, rain, snow, night, glare and camera faults to images; labels stay."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np

from twinset.core.image.effects import CAMERA, WEATHER
from twinset.core.parameters import Ascending, Each, Ends, Fraction, Interval, read_weights

from ._pixels import Pixels, from_fractions, to_working
from ._rows import Row, SeededImages

EFFECTS = {**WEATHER, **CAMERA}


@dataclass(frozen=True, kw_only=True)
class Weather(SeededImages):
    """Add fog, rain, snow, night or glare to images; all labels stay.

    Each image gets one kind, drawn by the weights, at a random amount. Camera faults are kinds too. Thick
    fog or deep night may hide an object that is still labelled: limit it by `amount_range`.

    Parameters
    ----------
    kinds_of_weather : sequence of str, or mapping of str to float
        Kinds, with their weights when a mapping: fog, rain, snow, night, glare; also motion_blur,
        defocus, noise, jpeg, dirt. The five kinds of weather equally by default.
    amount_range : tuple of float
        Strength of the effect, smallest and largest, 0 (nothing) to 1 (strongest).
    fraction : float
        Share of images that are changed, 0 to 1.

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
    amount_range: Annotated[Ends, Each(Interval(ge=0, le=1)), Ascending()] = (0.2, 0.7)
    fraction: Fraction = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        self._weights  # noqa: B018 - checks the kinds

    @property
    def _weights(self) -> dict[str, float]:
        return read_weights(self.kinds_of_weather, EFFECTS, "kinds_of_weather", "kind of weather")

    def _vary(self, row: Row, seed: int) -> Row:
        image, ids, objects = row
        shares = np.array(list(self._weights.values()))
        shares /= shares.sum()
        rng = np.random.default_rng(seed)
        is_changed = rng.random() < self.fraction
        name = list(self._weights)[int(rng.choice(len(shares), p=shares))]
        amount = float(rng.uniform(*self.amount_range))
        return put_effect(image, name, amount, rng) if is_changed else image, ids, objects


def put_effect(image: Pixels, name: str, amount: float, rng: np.random.Generator) -> Pixels:
    """Return an image of any depth with one effect over it, in its own depth.

    The image is uint8, uint16 or float32 (fractions of 1), shape (h, w) or (h, w, channels); `name` is
    a key of `EFFECTS`, and `amount` is 0 to 1.
    """
    working = to_working(image, colours=True)
    if working.dtype == np.uint8:
        working = working.astype(np.float32)
        working *= np.float32(1 / 255)
    flat = working if working.ndim == 3 else working[..., None]
    made = EFFECTS[name](flat, amount, rng)
    return from_fractions(made, image)

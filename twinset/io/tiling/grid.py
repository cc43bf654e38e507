"""The grid of the tiles of an image."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, NamedTuple

from twinset.core.errors import ParameterError
from twinset.core.parameters import Each, Fraction, Ge, Interval, check_parameters

_SIDE = Interval(ge=16, le=16_384)


class Window(NamedTuple):
    """One tile, half-open, in pixels of the whole image."""

    x0: int
    y0: int
    x1: int
    y1: int

    @property
    def slices(self) -> tuple[slice, slice]:
        """Its rows and columns."""
        return slice(self.y0, self.y1), slice(self.x0, self.x1)

    @property
    def shape(self) -> tuple[int, int]:
        """Its height and width."""
        return self.y1 - self.y0, self.x1 - self.x0


@dataclass(frozen=True, kw_only=True)
class Tiling:
    """Settings of the cut of images into tiles.

    Tiles cover the whole image in reading order. The last ones of a row and of a column are moved back
    into the image and overlap by more, so that all tiles have one size. An image that is smaller than a
    tile is one tile of its own size: nothing is padded.

    Parameters
    ----------
    size : int or tuple of int
        Side, or height and width, of the tiles in pixels, 16 to 16,384.
    overlap : int
        Smallest overlap of adjacent tiles in pixels, less than the size. An object that is no longer than
        this is whole on one tile.
    min_visible_fraction : float
        An object is removed from the map and the labels of a tile that shows a smaller share of its visible
        part. 0 to 1.
    keep_empty : bool
        Whether tiles without an object are kept, if the set has objects.

    Raises
    ------
    ParameterError
        A setting is outside its range.

    Examples
    --------
    >>> Tiling(size=100, overlap=20).windows(100, 250)[-1]
    Window(x0=150, y0=0, x1=250, y1=100)
    """

    size: Annotated[int, _SIDE] | Annotated[tuple[int, int], Each(_SIDE)] = 640
    overlap: Annotated[int, Ge(0)] = 64
    min_visible_fraction: Fraction = 0.1
    keep_empty: bool = True

    def __post_init__(self) -> None:
        check_parameters(self)
        if self.overlap >= min(self.height_width):
            raise ParameterError(
                "'overlap' is out of its range",
                got=str(self.overlap),
                allowed=f"0 to {min(self.height_width) - 1}, less than a tile's side",
            )

    @property
    def height_width(self) -> tuple[int, int]:
        """Height and width of a tile."""
        return (self.size, self.size) if isinstance(self.size, int) else self.size

    @property
    def sentence(self) -> str:
        """The tiling as a card states it."""
        height, width = self.height_width
        return (
            f"large images were cut into tiles of {width} x {height} pixels that overlap by "
            f"{self.overlap} or more; objects of which a tile shows less than "
            f"{self.min_visible_fraction:g} are left out"
        )

    def windows(self, height: int, width: int) -> tuple[Window, ...]:
        """Return the tiles of an image of this height and width, row by row."""
        rows = _spans(height, self.height_width[0], self.overlap)
        columns = _spans(width, self.height_width[1], self.overlap)
        return tuple(Window(x0, y0, x1, y1) for y0, y1 in rows for x0, x1 in columns)


def _spans(length: int, size: int, overlap: int) -> list[tuple[int, int]]:
    if length <= size:
        return [(0, length)]
    starts = [*range(0, length - size, size - overlap), length - size]
    return [(start, start + size) for start in starts]

"""Which transforms of albumentations may be used, and the pipeline that is built from them."""

from __future__ import annotations

import importlib.metadata
import inspect
import os
from collections.abc import Mapping, Sequence
from typing import Any

from twinset.core.errors import MissingExtraError, ParameterError, UnknownNameError, did_you_mean

Transforms = Sequence[Mapping[str, Mapping[str, object] | None]]

# Only transforms that move pixels and labels alike. Left out on purpose: those that tear or merge
# objects (grid shuffle, morphology, dropout) and those whose labels drift from the pixels (elastic,
# thin plate spline).
SAFE = (
    "Affine", "CenterCrop", "CLAHE", "ColorJitter", "Defocus", "Downscale", "GaussianBlur",
    "GaussNoise", "HorizontalFlip", "HueSaturationValue", "ImageCompression", "ISONoise",
    "MotionBlur", "Perspective", "RandomBrightnessContrast", "RandomCrop", "RandomFog",
    "RandomGamma", "RandomRain", "RandomRotate90", "RandomShadow", "Resize", "Rotate", "Sharpen",
    "ToGray", "Transpose", "VerticalFlip",
)  # fmt: skip

DEFAULT: Transforms = (
    {"HorizontalFlip": {"p": 0.5}},
    {"Affine": {"scale": [0.9, 1.1], "rotate": [-15, 15], "translate_percent": 0.05, "p": 0.7}},
    {"RandomBrightnessContrast": {"brightness_limit": 0.2, "contrast_limit": 0.2, "p": 0.5}},
    {"HueSaturationValue": {"hue_shift_limit": 8, "sat_shift_limit": 20, "p": 0.3}},
    {"GaussNoise": {"std_range": [0.01, 0.05], "p": 0.3}},
    {"GaussianBlur": {"sigma_limit": [0.3, 1.0], "p": 0.2}},
)

# Set here and nowhere else, because labels depend on them: a mirrored border would show an object
# twice under one id, an interpolated id would be another object's, a shifted blur would move pixels
# away from their labels.
_FIXED = ("border_mode", "fill_mask", "mask_interpolation", "allow_shifted")


def check_names(transforms: Transforms) -> None:
    """Raise for an entry that is no ``{name: settings}`` pair with a known name.

    Raises
    ------
    UnknownNameError
        The transform is not on the safe list.
    ParameterError
        The list is empty, an entry has another shape, or a setting is one that twinset fixes.
    """
    if isinstance(transforms, str) or not transforms:
        raise ParameterError(
            "'transforms' holds no transform", allowed="[{HorizontalFlip: {p: 0.5}}]"
        )
    for place, entry in enumerate(transforms):
        if not isinstance(entry, Mapping) or len(entry) != 1:
            raise ParameterError(
                f"transforms[{place}] is not one name with its settings",
                got=type(entry).__name__,
                allowed="{HorizontalFlip: {p: 0.5}}",
            )
        ((name, settings),) = entry.items()
        if name not in SAFE:
            raise UnknownNameError.of("transform", str(name), SAFE, f"transforms[{place}]")
        if settings is not None and not isinstance(settings, Mapping):
            raise ParameterError(
                f"the settings of {name} are not a mapping",
                got=type(settings).__name__,
                allowed=f"{{{name}: {{p: 0.5}}}}",
            )
        fixed = [key for key in settings or {} if key in _FIXED]
        if fixed:
            raise ParameterError(
                f"'{fixed[0]}' of {name} cannot be set",
                todo="leave it out: twinset sets it so that labels stay exact",
            )


def build_pipeline(transforms: Transforms, *, with_boxes: bool) -> Any:
    """Return the `albumentations.Compose` of `transforms`.

    Parameters
    ----------
    transforms : sequence of mapping
        Checked by `check_names`.
    with_boxes : bool
        Whether boxes are handed in, because there is no id map to derive them from.

    Raises
    ------
    ParameterError
        A transform does not know a setting, or refuses its value.
    MissingExtraError
        The library is absent, or another one took its name.
    """
    library = _import_library()
    steps = [_build_one(library, *next(iter(entry.items()))) for entry in transforms]
    boxes = (
        library.BboxParams(format="pascal_voc", label_fields=["positions"], clip=True)
        if with_boxes
        else None
    )
    return library.Compose(steps, bbox_params=boxes)


def refusals() -> tuple[type[Exception], ...]:
    """Return the errors by which the library says that a transform does not fit an image."""
    import cv2
    from albumentations.augmentations.crops.transforms import CropSizeError

    return (ValueError, CropSizeError, cv2.error)


def _build_one(library: Any, name: str, settings: Mapping[str, object] | None) -> Any:
    chosen = {k: tuple(v) if isinstance(v, list) else v for k, v in (settings or {}).items()}
    transform = getattr(library, name)
    known = [key for key in inspect.signature(transform.__init__).parameters if key != "self"]
    unknown = [key for key in chosen if key not in known]
    if unknown:
        raise ParameterError(
            f"the transform {name} has no setting '{unknown[0]}'",
            allowed=", ".join(key for key in known if key not in _FIXED),
            todo=did_you_mean(unknown[0], known),
        )
    if "allow_shifted" in known:
        chosen["allow_shifted"] = False
    if name == "Resize":
        # Plain nearest neighbour floors, which shifts the map by half a pixel against the image.
        import cv2

        chosen["mask_interpolation"] = cv2.INTER_NEAREST_EXACT
    try:
        return transform(**chosen)
    except (TypeError, ValueError) as error:
        raise ParameterError(
            f"the transform {name} refuses its settings", got=_first_line(error)
        ) from error


def _import_library() -> Any:
    """Import albumentations 2.0.8 without its call to the network; refuse its AGPL successor."""
    try:
        importlib.metadata.distribution("albumentationsx")
    except importlib.metadata.PackageNotFoundError:
        pass
    else:
        raise MissingExtraError(
            "the library installed under the name 'albumentations' is AlbumentationsX, whose licence "
            "(AGPL-3.0 or paid) would bind your work",
            allowed="albumentations 2.0.8 (MIT)",
            todo="pip uninstall albumentationsx, then pip install 'twinset[image]'",
        )
    os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")
    try:
        import albumentations
    except ImportError as error:
        raise MissingExtraError.of("albumentations", "image") from error
    return albumentations


def _first_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return " ".join(lines[1:3]) if len(lines) > 2 else " ".join(lines)

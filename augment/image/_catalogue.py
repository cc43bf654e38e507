"""Which transforms of albumentations are offered, what each does to labels, and why others are not."""

from __future__ import annotations

from collections.abc import Mapping

PHOTOMETRIC = frozenset(
    {
        "AdditiveNoise", "AutoContrast", "CLAHE", "ChannelDropout", "ChannelShuffle", "ColorJitter",
        "Defocus", "Downscale", "Equalize", "FancyPCA", "GaussNoise", "GaussianBlur",
        "HueSaturationValue", "ISONoise", "Illumination", "ImageCompression", "InvertImg",
        "MedianBlur", "MotionBlur", "MultiplicativeNoise", "PlanckianJitter", "PlasmaShadow",
        "Posterize", "RGBShift", "RandomBrightnessContrast", "RandomFog", "RandomGamma", "RandomRain",
        "RandomShadow", "RandomSnow", "RandomSunFlare", "RandomToneCurve", "RingingOvershoot",
        "SaltAndPepper", "Sharpen", "ShotNoise", "Solarize", "Spatter", "ToGray", "ToSepia",
        "UnsharpMask",
    }
)  # fmt: skip
"""They change colours and leave every label where it is."""

PLANE = frozenset(
    {
        "Affine", "CenterCrop", "Crop", "CropAndPad", "D4", "HorizontalFlip", "LongestMaxSize", "Pad",
        "PadIfNeeded", "Perspective", "RandomCrop", "RandomCropFromBorders", "RandomResizedCrop",
        "RandomRotate90", "RandomScale", "RandomSizedCrop", "Resize", "Rotate", "SafeRotate",
        "ShiftScaleRotate", "SmallestMaxSize", "SquareSymmetry", "Transpose", "VerticalFlip",
    }
)  # fmt: skip
"""They move the image as one plane: straight lines stay straight."""

WARP = frozenset({"ElasticTransform", "GridDistortion"})
"""They bend the image: right for id maps and keypoints, not for labels that are boxes alone."""

SAFE = tuple(sorted(PHOTOMETRIC | PLANE | WARP))

_TEARS = "it tears objects apart and lays the pieces elsewhere"
_DRIFTS = "it moves masks and points otherwise than pixels, by many pixels"
_HIDES = "it hides objects behind patches that no label knows of"

REFUSED: Mapping[str, str] = {
    "CoarseDropout": _HIDES,
    "ConstrainedCoarseDropout": _HIDES,
    "Erasing": _HIDES,
    "GridDropout": _HIDES,
    "GridElasticDeform": "it folds objects over one another at the borders of its cells",
    "MaskDropout": _HIDES,
    "Morphological": "it lets objects grow into one another, so that their boxes merge",
    "Mosaic": "it needs other images; use image.mosaic",
    "OpticalDistortion": "its masks and points lie up to 0.7 pixels beside the image",
    "PiecewiseAffine": _DRIFTS,
    "PixelDropout": _HIDES,
    "RandomGridShuffle": _TEARS,
    "ThinPlateSpline": _DRIFTS,
    "XYMasking": _HIDES,
    "Blur": "a box blur of even width shifts the image against its labels; use GaussianBlur",
    "ChromaticAberration": "it bends the colours away from the labels",
    "GlassBlur": "it moves single pixels away from their labels",
    "ZoomBlur": "it smears objects away from their labels",
    "Superpixels": "it repaints the edges of objects",
}
"""Transform -> why it is not offered."""

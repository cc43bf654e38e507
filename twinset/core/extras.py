"""The optional libraries: the extra that installs each of them, and the one way to import them."""

from __future__ import annotations

from importlib import import_module
from types import MappingProxyType
from typing import Any

from twinset.core.errors import MissingExtraError

EXTRAS = MappingProxyType(
    {
        "albumentations": "image",
        "cv2": "image",
        "embreex": "3d",
        "faker": "text",
        "httpx": "llm",
        "imagecodecs": "image",
        "imblearn": "imbalanced",
        "onnxruntime": "embedders",
        "pandas": "frames",
        "polars": "frames",
        "pydicom": "dicom",
        "safetensors": "embedders",
        "sdv": "sdv",
        "spacy": "spacy",
        "tifffile": "image",
        "timm": "embedders",
        "tokenizers": "minilm",
        "torch": "torch",
        "torchvision": "embedders",
        "trimesh": "3d",
    }
)
"""The extra that installs a library, by the name that the library is imported by."""


def optional(module: str, *, extra: str = "") -> Any:
    """Import a module of an optional library and return it.

    Parameters
    ----------
    module : str
        Name of the module, such as "cv2" or "torch.nn".
    extra : str, default ""
        The extra to name when the library is not installed; by default the one of `EXTRAS`.

    Raises
    ------
    MissingExtraError
        The library is not installed, or it is and cannot be loaded.

    Examples
    --------
    >>> optional("cv2", extra="image").__name__
    'cv2'
    """
    library = module.partition(".")[0]
    extra = extra or EXTRAS[library]
    try:
        import_module(library)
        return import_module(module)
    except ModuleNotFoundError as error:
        if error.name != library:
            raise _unloadable(library, extra, f"no module '{error.name}'") from error
        raise MissingExtraError.for_library(library, extra) from error
    except ImportError as error:
        raise _unloadable(library, extra, str(error)) from error


def _unloadable(library: str, extra: str, reason: str) -> MissingExtraError:
    """Return the error for a library that is installed and cannot be loaded."""
    return MissingExtraError(
        f"the library '{library}' is installed and cannot be loaded",
        got=" ".join(reason.split())[:200],
        todo=f"install it again with: pip install --force-reinstall 'twinset[{extra}]'",
    )

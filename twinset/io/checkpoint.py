"""Files of models: fitted generators as plain arrays and JSON values, and weights of networks."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from twinset.core.errors import DataError
from twinset.core.untrusted import parse_json
from twinset.io.drafts import private_folder
from twinset.io.files import replacing, write_text

ARRAYS, VALUES = "arrays.npz", "checkpoint.json"
_WEIGHT_ENDINGS = (".onnx", ".safetensors", ".pt", ".pth")


def write_checkpoint(
    folder: Path, arrays: Mapping[str, npt.NDArray[Any]], meta: Mapping[str, Any]
) -> None:
    """Write what a fitted generator's `to_arrays` returned; equal content gives equal bytes.

    Parameters
    ----------
    folder : Path
        Created if it does not exist; an earlier checkpoint in it is replaced. Only its owner may
        read the files: what was learned from real rows may reveal some.
    arrays : mapping
        Name -> array of numbers or booleans.
    meta : mapping
        Plain JSON values.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_checkpoint(Path(folder), {"a": np.arange(3)}, {"component": "my.own"})
    ...     arrays, meta = read_checkpoint(Path(folder))
    >>> arrays["a"].tolist(), meta
    ([0, 1, 2], {'component': 'my.own'})
    """
    for name, array in arrays.items():
        if array.dtype.hasobject:
            raise DataError(f"the array '{name}' of a checkpoint holds objects", allowed="numbers")
    private_folder(folder)
    in_order: dict[str, Any] = {name: arrays[name] for name in sorted(arrays)}
    text = json.dumps(meta, indent=1, sort_keys=True) + "\n"
    with replacing(folder / ARRAYS, private=True) as draft, draft.open("wb") as stream:
        np.savez_compressed(stream, **in_order)  # numpy gives all entries one fixed date
    write_text(folder / VALUES, text, private=True)


def read_checkpoint(folder: Path) -> tuple[dict[str, npt.NDArray[Any]], dict[str, Any]]:
    """Return the arrays and JSON values of a checkpoint, for a generator's `from_arrays`."""
    try:
        meta = parse_json((folder / VALUES).read_text(encoding="utf-8"))
        with np.load(folder / ARRAYS, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
    except FileNotFoundError as error:
        raise DataError(
            f"'{folder}' holds no checkpoint",
            allowed=f"a folder with {ARRAYS} and {VALUES}",
        ) from error
    except (ValueError, OSError, zipfile.BadZipFile) as error:
        raise DataError(f"the checkpoint in '{folder}' is damaged", todo="fit again") from error
    return arrays, meta


def read_weights(path: Path, also: tuple[str, ...] = ()) -> bytes:
    """Return the bytes of a file of weights; its ending may also be one of `also`.

    Raises
    ------
    DataError
        The file is missing or may not be read, is empty, or its ending is none of weights.
    """
    if path.suffix.lower() not in (*_WEIGHT_ENDINGS, *also):
        raise DataError(
            f"the file of weights '{path}' is of no known format",
            got=path.suffix or "no ending",
            allowed=", ".join(_WEIGHT_ENDINGS),
        )
    if not path.is_file():
        raise DataError(f"there is no file of weights '{path}'", todo="give the path of the file")
    try:
        data = path.read_bytes()
    except OSError as error:
        raise DataError(f"the file '{path}' may not be read", todo="check its rights") from error
    if not data:
        raise DataError(f"the file of weights '{path}' is empty", todo="fetch it again")
    return data

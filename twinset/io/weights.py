"""Files of weights: read as bytes, handed in as data."""

from __future__ import annotations

from pathlib import Path

from twinset.core.errors import DataError

ENDINGS = (".onnx", ".safetensors", ".pt", ".pth")


def read_weights(path: Path, also: tuple[str, ...] = ()) -> bytes:
    """Return the bytes of a file of weights, or of one with an ending of `also`.

    Raises
    ------
    DataError
        The file is missing or may not be read, is empty, or its ending is none of weights.
    """
    if path.suffix.lower() not in (*ENDINGS, *also):
        raise DataError(
            f"the file of weights '{path}' is of no known format",
            got=path.suffix or "no ending",
            allowed=", ".join(ENDINGS),
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

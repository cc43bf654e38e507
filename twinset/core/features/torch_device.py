"""One torch thread for as long as somebody needs it, and which device to work on."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from twinset.core.errors import ParameterError, needs_extra

_LOCK = threading.Lock()
_INSIDE: list[int] = []


@contextmanager
def one_thread() -> Iterator[None]:
    """Let torch compute on one thread inside the block, whatever is set outside.

    A sum over several threads depends in its last digits on how many there are, and one flipped
    draw changes a table. The number is restored when the last of several concurrent blocks ends.
    """
    import torch

    with _LOCK:
        _INSIDE.append(torch.get_num_threads())
        torch.set_num_threads(1)
    try:
        yield
    finally:
        with _LOCK:
            before = _INSIDE[0]
            _INSIDE.pop()
            if not _INSIDE:
                torch.set_num_threads(before)


def require_torch() -> None:
    """Raise MissingExtraError when torch is not installed."""
    with needs_extra("torch", "torch"):
        import torch  # noqa: F401


def device_of(name: str) -> str:
    """Return the device that "auto", "cpu" or "cuda" means here."""
    import torch

    has_card = torch.cuda.is_available()
    if name == "auto":
        return "cuda" if has_card else "cpu"
    if name == "cuda" and not has_card:
        raise ParameterError(
            "device 'cuda' is asked for and torch sees no graphics card", allowed="auto, cpu"
        )
    return name

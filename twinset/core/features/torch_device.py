"""Torch imported when it is first used, on one thread while needed; its device and its generators."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from twinset.core.errors import ParameterError
from twinset.core.extras import optional
from twinset.core.seeding import draw_seed

if TYPE_CHECKING:
    import torch as torch
else:

    class _Torch:
        """Torch, imported when it is first used: modules that need it load without it."""

        def __getattr__(self, name: str) -> Any:
            return getattr(optional("torch"), name)

    torch = _Torch()

_LOCK = threading.Lock()
_INSIDE: list[int] = []


@contextmanager
def one_thread() -> Iterator[None]:
    """Let torch compute on one thread inside the block, whatever is set outside.

    A sum over several threads depends in its last digits on how many there are, and one flipped
    draw changes a table. The number is restored when the last of several concurrent blocks ends.
    """
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
    optional("torch")


def torch_generator(rng: np.random.Generator, device: str = "cpu") -> torch.Generator:
    """Return a private torch generator seeded from `rng`; torch's global state is untouched."""
    return torch.Generator(device=device).manual_seed(draw_seed(rng))


def device_of(name: str) -> str:
    """Return the device that "auto", "cpu" or "cuda" means here.

    Raises
    ------
    ParameterError
        A graphics card is asked for and torch sees none.
    """
    has_card = torch.cuda.is_available()
    if name == "auto":
        return "cuda" if has_card else "cpu"
    if name == "cuda" and not has_card:
        raise ParameterError(
            "device 'cuda' is asked for and torch sees no graphics card", allowed="auto, cpu"
        )
    return name

"""Embedders: what turns pictures into vectors in which distances mean something."""

from twinset.core.embedders.classical import Classical
from twinset.core.embedders.embedder import (
    Embedder,
    Embedding,
    vectors_held,
    with_carried,
    with_vectors,
)
from twinset.core.embedders.names import EmbedderName
from twinset.core.embedders.net import SmallNet
from twinset.core.embedders.outside import Family, OutsideNet, Weights

__all__ = [
    "Classical",
    "Embedder",
    "EmbedderName",
    "Embedding",
    "Family",
    "OutsideNet",
    "SmallNet",
    "Weights",
    "vectors_held",
    "with_carried",
    "with_vectors",
]

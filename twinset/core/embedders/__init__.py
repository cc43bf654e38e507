"""Embedders: what turns pictures and texts into vectors in which distances mean something."""

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
from twinset.core.embedders.texts import SHIPPED, Shipped, TextEmbedding, hashed_words

Looker = Embedder | TextEmbedding
"""What looks at images or at texts."""

__all__ = [
    "SHIPPED",
    "Classical",
    "Embedder",
    "EmbedderName",
    "Embedding",
    "Family",
    "Looker",
    "OutsideNet",
    "Shipped",
    "SmallNet",
    "TextEmbedding",
    "Weights",
    "hashed_words",
    "vectors_held",
    "with_carried",
    "with_vectors",
]

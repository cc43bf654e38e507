"""Embedders: what turns pictures and texts into vectors in which distances mean something."""

from twinset.core.features.embedders.base import (
    Embedder,
    Embedding,
    read_embeddings,
    with_carried,
    with_vectors,
)
from twinset.core.features.embedders.handcrafted import Classical
from twinset.core.features.embedders.names import EmbedderName
from twinset.core.features.embedders.pretrained import Family, OutsideNet, Weights
from twinset.core.features.embedders.small_cnn import SmallNet
from twinset.core.features.embedders.text import SHIPPED, Shipped, TextEmbedding, hashed_words

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
    "read_embeddings",
    "with_carried",
    "with_vectors",
]

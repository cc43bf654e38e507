"""Embedders: turn columns of images or texts into vectors in which distances mean something."""

from collections.abc import Mapping

from twinset.core.features.embedders.embedding import (
    Embedder,
    Embedding,
    ImageEmbedding,
    read_embeddings,
    with_vectors,
)
from twinset.core.features.embedders.handcrafted import Classical
from twinset.core.features.embedders.names import EmbedderName
from twinset.core.features.embedders.pretrained import Family, OutsideNet, Weights
from twinset.core.features.embedders.small_cnn import SmallNet
from twinset.core.features.embedders.text import SHIPPED, Shipped, TextEmbedding, hashed_words

DEFAULT_EMBEDDERS: Mapping[str, Embedder] = {one.kind: one for one in (Classical(), hashed_words())}
"""Kind of column -> the embedder that `FeatureEncoder` takes where none is chosen."""

__all__ = [
    "DEFAULT_EMBEDDERS",
    "SHIPPED",
    "Classical",
    "Embedder",
    "EmbedderName",
    "Embedding",
    "Family",
    "ImageEmbedding",
    "OutsideNet",
    "Shipped",
    "SmallNet",
    "TextEmbedding",
    "Weights",
    "hashed_words",
    "read_embeddings",
    "with_vectors",
]

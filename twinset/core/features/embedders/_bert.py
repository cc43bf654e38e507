"""The forward pass of a small BERT, from its tensors: no library of models, nothing to train."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_HEADS = 12
_EPSILON = 1e-12


class Bert:
    """Reads a text and returns the mean of its tokens' vectors, brought to length 1.

    Parameters
    ----------
    tensors : mapping of str to torch.Tensor
        The weights, named as Hugging Face names those of BERT.

    References
    ----------
    Devlin, Chang, Lee and Toutanova, "BERT: Pre-training of Deep Bidirectional Transformers for Language
    Understanding", NAACL 2019; Reimers and Gurevych, "Sentence-BERT", EMNLP 2019.
    """

    def __init__(self, tensors: Mapping[str, Any]) -> None:
        self._held = dict(tensors)
        self._n_layers = len({key.split(".")[2] for key in tensors if key.startswith("encoder.")})

    def sentence(self, ids: Any) -> Any:
        """Return the vector of one text, shape (d,).

        Parameters
        ----------
        ids : torch.Tensor of int, shape (t,)
            Its tokens, the marks of begin and end among them.
        """
        words = self._held["embeddings.word_embeddings.weight"][ids]
        places = self._held["embeddings.position_embeddings.weight"][: len(ids)]
        kind = self._held["embeddings.token_type_embeddings.weight"][0]
        x = self._normed(words + places + kind, "embeddings.LayerNorm")
        for layer in range(self._n_layers):
            x = self._layer(x, f"encoder.layer.{layer}")
        mean = x.mean(dim=0)
        return mean / mean.norm().clamp(min=1e-12)

    def _layer(self, x: Any, name: str) -> Any:
        from torch.nn.functional import gelu, scaled_dot_product_attention

        def heads(part: str) -> Any:
            told = self._linear(x, f"{name}.attention.self.{part}")
            return told.view(len(x), _HEADS, -1).transpose(0, 1)

        seen = scaled_dot_product_attention(heads("query"), heads("key"), heads("value"))
        seen = seen.transpose(0, 1).reshape(x.shape)
        seen = self._linear(seen, f"{name}.attention.output.dense")
        x = self._normed(x + seen, f"{name}.attention.output.LayerNorm")
        wide = gelu(self._linear(x, f"{name}.intermediate.dense"))
        return self._normed(
            x + self._linear(wide, f"{name}.output.dense"), f"{name}.output.LayerNorm"
        )

    def _linear(self, x: Any, name: str) -> Any:
        return x @ self._held[f"{name}.weight"].T + self._held[f"{name}.bias"]

    def _normed(self, x: Any, name: str) -> Any:
        from torch.nn.functional import layer_norm

        weight, bias = self._held[f"{name}.weight"], self._held[f"{name}.bias"]
        return layer_norm(x, weight.shape, weight, bias, _EPSILON)

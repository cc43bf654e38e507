"""Embedders of texts: what they compute, held against references, and weights that are not those known."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pytest

from twinset.core.data.dataset import Dataset
from twinset.core.data.schema import Field, Schema
from twinset.core.errors import DataError, MissingExtraError, ParameterError
from twinset.core.features.embedders import SHIPPED, EmbedderName, TextEmbedding, hashed_words
from twinset.core.features.embedders import text as module
from twinset.core.features.encoder import FeatureEncoder
from twinset.measurement.embedders import _shipped, hash_embedders, load_embedders

SAID = ("play some jazz", "Please refund 5.20 EUR to Zoë Müller.", "")


def lengths(texts: Sequence[str]) -> npt.NDArray[np.float32]:
    return np.array([[len(text), text.count(" ")] for text in texts], np.float32)


LENGTHS = TextEmbedding("lengths", 2, lengths)


def said(*texts: str | None) -> Dataset:
    table = pa.table({"said": pa.array(texts, pa.string())})
    return Dataset.from_arrow(table, Schema((Field(name="said", kind="text"),)))


def safetensors(tensors: dict[str, npt.NDArray[np.float16]]) -> bytes:
    head, body = {}, b""
    for name, held in tensors.items():
        data = held.tobytes()
        kind = {"float16": "F16", "float32": "F32"}[str(held.dtype)]
        head[name] = {"dtype": kind, "shape": list(held.shape),
                      "data_offsets": [len(body), len(body) + len(data)]}  # fmt: skip
        body += data
    told = json.dumps({"__metadata__": {"a": "b"}, **head}).encode()
    return len(told).to_bytes(8, "little") + told + body


def test_a_missing_text_is_an_empty_one_and_long_columns_go_in_blocks() -> None:
    column = said(*("ab c" for _ in range(300)), None).records.column("said")
    found = LENGTHS.embed(column)
    assert found.shape == (301, 2)
    assert found[-1].tolist() == [0, 0]
    assert LENGTHS.embed(column.slice(0, 0)).shape == (0, 2)


def test_words_named_are_words_by_default() -> None:
    data = said(*(f"play {k} songs by band {k % 7}" for k in range(60)))
    plain, named = (
        FeatureEncoder.fit(data, texts=looks).transform(data) for looks in ((), (hashed_words(),))
    )
    assert np.array_equal(plain, named)


def test_two_embedders_weigh_as_much_as_one() -> None:
    data = said(*("a " * (k % 9) + "b" * (k % 4) for k in range(200)))
    spreads = [
        float(FeatureEncoder.fit(data, texts=looks).transform(data).var(axis=0).sum())
        for looks in ((LENGTHS,), (LENGTHS, hashed_words()))
    ]
    assert spreads[0] == pytest.approx(spreads[1], rel=1e-3)


def test_vectors_that_are_kept_are_those_that_were_computed() -> None:
    asked: list[str] = []

    def slow(texts: Sequence[str]) -> npt.NDArray[np.float32]:
        asked.extend(texts)
        return lengths(texts)

    kept = module._cached(slow)
    assert np.array_equal(kept(["a", "bb", "a"]), lengths(["a", "bb", "a"]))
    assert np.array_equal(kept(["bb", "c c"]), lengths(["bb", "c c"]))
    assert asked == ["a", "bb", "c c"]


def test_a_safetensors_file_is_read_by_its_head() -> None:
    tensors = {"b": np.arange(6, dtype=np.float16).reshape(2, 3), "a": np.ones(2, np.float16)}
    found = module._tensors(safetensors(tensors))
    assert found.keys() == tensors.keys()
    assert all(np.array_equal(found[name], held) for name, held in tensors.items())


def test_the_forward_pass_is_that_of_torch() -> None:
    """One encoder layer and its mean, beside torch's own layer with the same weights."""
    torch = pytest.importorskip("torch")
    from twinset.core.features.embedders.text import _Bert

    d, wide = 24, 32
    generator = torch.Generator().manual_seed(3)
    with torch.random.fork_rng(devices=[]):
        layer = torch.nn.TransformerEncoderLayer(
            d, 12, wide, dropout=0.0, activation="gelu", layer_norm_eps=1e-12, batch_first=True
        ).eval()
    for held in layer.parameters():
        held.data = torch.randn(held.shape, generator=generator) * 0.3
    own = dict(layer.state_dict())
    names = {
        "attention.output.dense": "self_attn.out_proj", "attention.output.LayerNorm": "norm1",
        "intermediate.dense": "linear1", "output.dense": "linear2", "output.LayerNorm": "norm2",
    }  # fmt: skip
    told = {
        f"encoder.layer.0.{ours}.{part}": own[f"{theirs}.{part}"]
        for ours, theirs in names.items()
        for part in ("weight", "bias")
    }
    for part in ("weight", "bias"):
        split = own[f"self_attn.in_proj_{part}"].chunk(3)
        for name, held in zip(("query", "key", "value"), split):
            told[f"encoder.layer.0.attention.self.{name}.{part}"] = held
    for name, rows in (("word", 50), ("position", 16), ("token_type", 2)):
        key = f"embeddings.{name}_embeddings.weight"
        told[key] = torch.randn((rows, d), generator=generator)
    told["embeddings.LayerNorm.weight"] = torch.rand(d, generator=generator)
    told["embeddings.LayerNorm.bias"] = torch.rand(d, generator=generator)
    ids = torch.tensor([7, 3, 41, 3, 0])
    x = told["embeddings.word_embeddings.weight"][ids]
    x = x + told["embeddings.position_embeddings.weight"][:5]
    x = x + told["embeddings.token_type_embeddings.weight"][0]
    normed = torch.nn.functional.layer_norm(
        x, (d,), told["embeddings.LayerNorm.weight"], told["embeddings.LayerNorm.bias"], 1e-12
    )
    with torch.no_grad():
        expected = layer(normed[None])[0].mean(dim=0)
        found = _Bert(told).sentence(ids)
    assert torch.allclose(found, expected / expected.norm(), atol=1e-6)


def test_static_vectors_are_means_over_tokens() -> None:
    tokenizers = pytest.importorskip("tokenizers")
    words = {"[UNK]": 0, "play": 1, "jazz": 2, "now": 3}
    model = tokenizers.models.WordLevel(words, unk_token="[UNK]")
    told = tokenizers.Tokenizer(model)
    told.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    table = np.arange(12, dtype=np.float16).reshape(4, 3)
    own = SHIPPED["wordllama"].__class__(**{**SHIPPED["wordllama"].__dict__, "size": 3})
    look = own.build(safetensors({"table": table}), told.to_str().encode())
    found = look.embed(said("play jazz", "now now now odd", "", None).records.column("said"))
    assert found.tolist() == [[4.5, 5.5, 6.5], [6.75, 7.75, 8.75], [0, 0, 0], [0, 0, 0]]


def test_names_of_texts_are_names() -> None:
    assert str(EmbedderName.parse("wordllama")) == "wordllama"
    assert hash_embedders(["minilm", "words"]) == [
        ("minilm", "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"),
        ("words", ""),
    ]
    with pytest.raises(ParameterError, match=r"of texts: words, wordllama, minilm; did you mean"):
        EmbedderName.parse("wordlama")


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package of that name which must never be imported."""
    folder = tmp_path / "wordllama"
    for path, _ in (SHIPPED["wordllama"].weights, SHIPPED["wordllama"].tokenizer):
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(b"something else")
    (folder / "__init__.py").write_text("raise RuntimeError('imported')")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "wordllama", raising=False)
    _shipped.cache_clear()
    return folder


def test_other_weights_are_refused(package: Path) -> None:
    words = (
        r"the package 'wordllama' holds another 'l2_supercat_256.safetensors' than twinset knows"
    )
    with pytest.raises(DataError, match=words + r".*pip install 'wordllama==0.4.0.post1'"):
        load_embedders(["wordllama"])


def test_a_package_without_its_weights_is_refused(package: Path) -> None:
    (package / SHIPPED["wordllama"].weights[0]).unlink()
    with pytest.raises(DataError, match="there is no file of weights"):
        load_embedders(["wordllama"])


@pytest.mark.parametrize("name", ["wordllama", "minilm"])
def test_a_package_that_is_not_there_is_named(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    _shipped.cache_clear()
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(MissingExtraError, match=rf"{SHIPPED[name].package}.*twinset\[{name}\]"):
        load_embedders([name])


# First four numbers of three texts, as the packages' own code gives them.
KNOWN = {
    "wordllama": [
        [0.14099, 0.59723, 0.63456, -0.13098],
        [0.43831, 0.30082, -0.12519, 0.05673],
        [0.0, 0.0, 0.0, 0.0],
    ],
    "minilm": [
        [0.06504, -0.03815, 0.01018, -0.00093],
        [-0.05667, -0.01037, 0.09203, -0.02362],
        [-0.11884, 0.04830, -0.00255, -0.01101],
    ],
}


@pytest.mark.parametrize("name", ["wordllama", "minilm"])
def test_the_vectors_are_those_of_the_package(name: str) -> None:
    if find_spec(SHIPPED[name].module) is None:
        pytest.skip(f"{SHIPPED[name].package} is not installed")
    _shipped.cache_clear()
    (look,) = load_embedders([name])
    assert isinstance(look, TextEmbedding)
    found = look.embed(said(*SAID).records.column("said"))
    assert found.shape == (3, SHIPPED[name].size)
    assert found[:, :4].tolist() == pytest.approx(np.array(KNOWN[name]), abs=2e-5)

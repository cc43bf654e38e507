from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from twinset.core.data.dataset import Dataset
from twinset.core.data.schema import Field, Schema
from twinset.core.errors import DataError, FitError, ParameterError
from twinset.core.features.embedders import (
    Classical,
    OutsideNet,
    SmallNet,
    Weights,
    read_embeddings,
    with_vectors,
)
from twinset.core.features.embedders.handcrafted import BLOCKS, SIZE, classical_vector
from twinset.core.features.encoder import FeatureEncoder
from twinset.core.image.codec import encode_png
from twinset.core.seeding import rng_for

pytest.importorskip("cv2")


def pictures(n: int, seed: int = 0, side: int = 32, noise: float = 4.0) -> Dataset:
    """Draw grey pictures with a bright square somewhere; half of the squares are large."""
    rng = rng_for(seed, "pictures")
    cells = []
    for i in range(n):
        size = 12 if i % 2 else 5
        x, y = rng.integers(0, side - size, 2)
        pixels = np.full((side, side, 3), 90.0)
        pixels[y : y + size, x : x + size] = 200
        pixels += noise * rng.normal(size=pixels.shape)
        cells.append({"bytes": encode_png(np.clip(pixels, 0, 255).astype(np.uint8)), "path": ""})
    table = pa.table({"photo": cells, "size": ["small", "large"] * (n // 2)})
    fields = (Field(name="photo", kind="image"), Field(name="size", kind="category"))
    return Dataset.from_arrow(table, Schema(fields))


def column(dataset: Dataset) -> pa.ChunkedArray:
    return dataset.records.column("photo")


def test_a_flat_grey_picture_by_hand() -> None:
    found = classical_vector(np.full((16, 16), 51, np.uint8))
    colours, edges, rings, patterns, quality = np.split(found, np.cumsum(BLOCKS)[:-1])
    # 51 of 255 is 0.2: below it lie levels 1/16 to 3/16 without a pixel, from 4/16 on all are below.
    assert colours[:16].round(6).tolist() == [0.0] * 3 + [1.0] * 12 + [np.float32(0.2).round(6)]
    assert not edges.any()
    assert np.allclose(rings, -8)
    # No neighbour is darker than its middle: every pixel has the pattern of eight ones.
    assert patterns.max() == 1
    assert (patterns > 0).sum() == 1
    assert quality.tolist() == [-4.0, -8.0, 0.0, 0.0, 0.0, 4.0, 4.0]


def test_depth_and_channels_make_no_difference_to_equal_pictures() -> None:
    eight = rng_for(1, "x").integers(0, 256, (20, 24), dtype=np.uint8)
    as_16 = eight.astype(np.uint16) * 257
    as_float = (eight / 255).astype(np.float32)
    rgba = np.dstack([eight, eight, eight, np.full_like(eight, 7)])
    wanted = classical_vector(eight)
    assert wanted.shape == (SIZE,) == (210,)
    for other in (as_16, as_float, rgba, np.dstack([eight] * 3)):
        assert np.allclose(classical_vector(other), wanted, atol=1e-4)


@pytest.mark.parametrize("shape", [(1, 1), (2, 5), (7, 3), (300, 20)])
def test_odd_sizes_give_finite_numbers(shape: tuple[int, int]) -> None:
    assert np.isfinite(classical_vector(np.zeros(shape, np.uint8))).all()


def test_noise_moves_the_classical_vectors_and_a_fresh_draw_does_not() -> None:
    train, same, noisy = pictures(60), pictures(60, 1), pictures(60, 2, noise=9.0)
    embedding = Classical().fit(column(train), None, 0)
    means = [embedding.embed(column(part)).mean(axis=0) for part in (train, same, noisy)]
    assert np.linalg.norm(means[2] - means[0]) > 5 * np.linalg.norm(means[1] - means[0])


def test_vectors_go_with_their_rows_and_damaged_pictures_lie_in_the_middle() -> None:
    data = pictures(20)
    cells = [*column(data).to_pylist(), {"bytes": b"no image", "path": ""}, None]
    table = pa.table({"photo": cells, "size": ["small"] * 22})
    data = Dataset.from_arrow(table, data.schema)
    embedding = Classical().fit(column(data), None, 0)
    held = with_vectors(data, {"photo": [embedding]})
    order = np.array([21, 3, 20, 0, 5])
    found = read_embeddings(column(held.take(order)))["classical"]
    assert np.isnan(found[[0, 2]]).all()
    assert np.array_equal(found[[1, 3, 4]], embedding.embed(column(data.take([3, 0, 5]))))
    assert column(held).null_count == 1
    encoder = FeatureEncoder.fit(held.select(["photo"]))
    assert np.isfinite(encoder.transform(held)).all()
    assert not encoder.transform(held.take([21])).any()
    assert read_embeddings(column(held.slice(0, 0)))["classical"].shape == (0, 210)


@pytest.fixture(scope="module")
def learnt():
    pytest.importorskip("torch")
    train = pictures(80)
    labels = train.codes("size")[0].astype(np.int64)
    return train, labels, SmallNet(steps=30, side=32, device="cpu").fit(column(train), labels, 3)


def test_the_net_is_the_same_for_a_seed_and_leaves_torch_alone(learnt) -> None:
    import torch

    train, labels, embedding = learnt
    before = torch.get_rng_state()
    again = SmallNet(steps=30, side=32, device="cpu").fit(column(train), labels, 3)
    assert torch.equal(torch.get_rng_state(), before)
    wanted = embedding.embed(column(train))
    assert np.array_equal(again.embed(column(train)), wanted)
    other = SmallNet(steps=30, side=32, device="cpu").fit(column(train), labels, 4)
    assert not np.array_equal(other.embed(column(train)), wanted)


def test_the_net_tells_what_it_was_trained_on(learnt) -> None:
    _, _, embedding = learnt
    assert embedding.size == 192 == embedding.facts["size"]
    assert embedding.facts["trained_on_images"] == 80
    assert embedding.facts["labels"] == 2
    assert embedding.facts["seed"] == 3


def test_vectors_of_the_net_do_not_depend_on_the_batch(learnt) -> None:
    train, _, embedding = learnt
    whole = embedding.embed(column(train))
    assert np.allclose(embedding.embed(column(train.slice(70, 1))), whole[70:71], atol=1e-4)


def test_too_few_pictures_and_wrong_settings_are_refused() -> None:
    pytest.importorskip("torch")
    with pytest.raises(FitError, match="too few images"):
        SmallNet(steps=1).fit(column(pictures(4)), None, 0)
    with pytest.raises(ParameterError, match="multiple of 8"):
        SmallNet(side=30)


def tiny_state():
    torch = pytest.importorskip("torch")
    return {"weight": torch.ones(2, 2)}


def test_weights_of_another_model_are_refused_by_name() -> None:
    pytest.importorskip("torchvision")
    import io

    import torch

    file = io.BytesIO()
    torch.save(tiny_state(), file)
    net = OutsideNet(
        family="torchvision", architecture="resnet18", weights=Weights("x.pt", file.getvalue())
    )
    with pytest.raises(DataError, match="not those of resnet18"):
        net.fit(column(pictures(2)), None, 0)


def test_a_state_dictionary_of_torchvision_is_run_without_its_head() -> None:
    models = pytest.importorskip("torchvision.models")
    import io

    import torch

    with torch.random.fork_rng(devices=[]):
        state = models.get_model("squeezenet1_1", weights=None).state_dict()
    file = io.BytesIO()
    torch.save(state, file)
    weights = Weights("squeezenet.pt", file.getvalue())
    net = OutsideNet(
        family="torchvision", architecture="squeezenet1_1", weights=weights, side=64, device="cpu"
    )
    data = column(pictures(2))
    embedding = net.fit(data, None, 0)
    assert embedding.facts["weights_sha256"] == weights.sha256
    assert np.isfinite(embedding.embed(data)).all()


def test_a_file_that_would_run_code_is_refused() -> None:
    torch = pytest.importorskip("torch")
    pytest.importorskip("torchvision")
    import io

    file = io.BytesIO()
    torch.save({"weight": Exception("not a tensor")}, file)
    net = OutsideNet(
        family="torchvision", architecture="resnet18", weights=Weights("x.pt", file.getvalue())
    )
    with pytest.raises(DataError, match="tensors alone"):
        net.fit(column(pictures(2)), None, 0)


def test_an_onnx_model_is_run_and_a_damaged_one_refused() -> None:
    pytest.importorskip("onnxruntime")
    data = column(pictures(2))
    net = OutsideNet(family="onnx", weights=Weights("mean.onnx", global_mean_onnx()), side=16)
    found = net.fit(data, None, 0).embed(data)
    assert found.shape == (2, 3)
    # The mean over the picture of what is left once ImageNet's mean is taken off.
    grey = 0.356
    assert found[0, 0] == pytest.approx((grey - 0.485) / 0.229, abs=0.2)
    with pytest.raises(DataError, match="cannot be used"):
        replace(net, weights=Weights("mean.onnx", b"nonsense")).fit(data, None, 0)


def global_mean_onnx() -> bytes:
    """Return an ONNX file with one GlobalAveragePool over (n, 3, h, w), written field by field."""

    def field(number: int, data: bytes) -> bytes:
        return bytes([number << 3 | 2, len(data)]) + data

    def number(key: int, value: int) -> bytes:
        return bytes([key << 3, value])

    def tensor(name: bytes, sizes: list[bytes]) -> bytes:
        shape = b"".join(field(1, size) for size in sizes)
        kind = number(1, 1) + field(2, shape)
        return field(1, name) + field(2, field(1, kind))

    named = [field(2, letter) for letter in (b"n", b"h", b"w")]
    entry = tensor(b"x", [named[0], number(1, 3), named[1], named[2]])
    leave = tensor(b"y", [named[0], number(1, 3), number(1, 1), number(1, 1)])
    node = field(1, b"x") + field(2, b"y") + field(4, b"GlobalAveragePool")
    graph = field(1, node) + field(2, b"g") + field(11, entry) + field(12, leave)
    return number(1, 8) + field(7, graph) + field(8, field(1, b"") + number(2, 13))


def test_settings_of_outside_nets_are_checked() -> None:
    with pytest.raises(ParameterError, match="name of their architecture"):
        OutsideNet(family="timm", weights=Weights("x.pt", b"x"))

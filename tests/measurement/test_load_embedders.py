from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from tests.core.features.test_embedders import pictures
from twinset.core.contracts import Score
from twinset.core.data.dataset import Dataset
from twinset.core.errors import DataError, FitError, ParameterError
from twinset.core.features.embedders import (
    Classical,
    Embedder,
    Embedding,
    ImageEmbedding,
    SmallNet,
    read_embeddings,
)
from twinset.core.findings import ComparisonBasis, Verdict
from twinset.core.image.codec import decode_pixels, encode_png, hash_image
from twinset.measurement.embedders import (
    embed_sets,
    find_image_label,
    hash_embedders,
    load_embedders,
)
from twinset.measurement.harness import measure
from twinset.measurement.leakage.duplicates import count_copied_rows
from twinset.measurement.notes import (
    note_embedder_mismatch,
    note_embedders,
    note_embedders_on_card,
    note_images,
)
from twinset.registry import default_metrics
from twinset.workflows.compare import compare

cv2 = pytest.importorskip("cv2")

ScoreOf = Callable[[str], Score]


class Watching(Embedder):
    """Remembers which pictures it was fitted on."""

    kind = "image"
    learns = True

    def __init__(self) -> None:
        self.seen: list[bytes] = []
        self.labels: list[int] = []

    @property
    def name(self) -> str:
        return "watching"

    def fit(self, images: pa.ChunkedArray, labels: object, seed: int) -> Embedding:
        self.seen = [cell["bytes"] for cell in images.to_pylist()]
        self.labels = np.asarray(labels).tolist()
        return ImageEmbedding("watching", 2, lambda many: np.ones((len(many), 2), np.float32))


def bytes_of(data: Dataset) -> list[bytes]:
    return [cell["bytes"] for cell in data.records.column("photo").to_pylist()]


def test_embedders_learn_from_train_alone() -> None:
    train, made, holdout = (pictures(20, seed) for seed in (1, 2, 3))
    watching = Watching()
    found = embed_sets(train, made, holdout, [watching], target="size")
    assert watching.seen == bytes_of(train)
    assert not set(watching.seen) & {*bytes_of(made), *bytes_of(holdout)}
    assert watching.labels == train.codes("size")[0].tolist()
    for part in (found.train, found.synthetic, found.holdout):
        assert part is not None
        assert read_embeddings(part.records.column("photo"))["watching"].shape == (20, 2)
    assert bytes_of(found.synthetic) == bytes_of(made)


def test_without_a_holdout_or_with_few_images_the_net_is_left_out() -> None:
    train = pictures(20)
    assert set(embed_sets(train, train, None).facts["photo"]) == {"classical"}
    assert set(embed_sets(train, train, train).facts["photo"]) == {"classical"}


def test_an_embedder_that_cannot_learn_is_reported_and_the_others_go_on() -> None:
    class Failing(Watching):
        def fit(self, images: pa.ChunkedArray, labels: object, seed: int) -> Embedding:
            raise FitError("too few images")

    train = pictures(20)
    found = embed_sets(train, train, train, [Classical(), Failing()])
    assert set(found.facts["photo"]) == {"classical"}
    notes = note_embedders({**found.facts, "left out": found.excluded})
    assert notes[0].startswith("The images of 'photo' were compared by: classical")
    assert notes[1] == "The embedder 'watching' is left out of 'photo': too few images"


def test_tables_and_sets_with_vectors_come_back_as_they_are() -> None:
    table = Dataset.from_arrow(pa.table({"x": [1.0, 2.0]}))
    assert embed_sets(table, table, None).train is table
    first = embed_sets(pictures(20), pictures(20), None)
    assert first.train is not None
    again = embed_sets(first.train, first.synthetic, None)
    assert again.train is first.train
    assert again.facts == {}
    partly = embed_sets(first.train, pictures(20), None)
    assert "classical" in read_embeddings(partly.synthetic.records.column("photo"))


def test_names_of_embedders() -> None:
    assert load_embedders(["classical", "net"]) == (Classical(), SmallNet())
    for names, why in (
        (["clasical"], "did you mean 'classical'"),
        ([], "none"),
        (["net", "net"], "net, net"),
        (["timm:resnet18"], "names no file"),
        (["onnx:"], "names no embedder"),
    ):
        with pytest.raises(ParameterError, match=why):
            load_embedders(names)


def test_files_of_weights_are_checked(tmp_path: Path) -> None:
    for name, data, why in (
        ("w.pkl", b"x", "no known format"),
        ("w.onnx", b"", "is empty"),
        ("gone.onnx", None, "there is no file"),
    ):
        if data is not None:
            (tmp_path / name).write_bytes(data)
        with pytest.raises(DataError, match=why):
            load_embedders([f"onnx:{tmp_path / name}"])
    (tmp_path / "eye.onnx").write_bytes(b"weights")
    (net,) = load_embedders([f"onnx:{tmp_path / 'eye.onnx'}"])
    assert net.name == "eye"


def test_scores_of_images_name_what_looked_and_others_do_not() -> None:
    train, made = pictures(60, 1), pictures(60, 2)
    metrics = [m for m in default_metrics({"image", "category"}) if m[0] in _TWO]
    scores = measure(train=train, synthetic=made, holdout=None, metrics=metrics)
    told = {score.metric: bool(score.finding(ComparisonBasis).embedders) for score in scores}
    assert told == {"gap.marginals": False, "gap.mean_embedding": True}
    # Images alone have no columns to shuffle apart; with a label there are two.
    assert scores[1].floor is not None
    assert note_images(scores, "size")[1] == "Models predict 'size', the only column of labels."


_TWO = ("gap.marginals", "gap.mean_embedding")


def test_the_label_of_an_image_set() -> None:
    data = pictures(10)
    assert find_image_label(data) == "size"
    assert find_image_label(data.select(["photo"])) is None
    assert find_image_label(data.slice(0, 1)) is None


def test_copies_are_known_by_their_pixels() -> None:
    data = pictures(30, 1)
    pixels = decode_pixels(bytes_of(data)[0])
    _, saved = cv2.imencode(".bmp", pixels[..., ::-1])
    assert hash_image(bytes(saved)) == hash_image(bytes_of(data)[0])
    assert hash_image(b"damaged") != hash_image(b"other")
    cells = [{"bytes": bytes(saved), "path": ""}, *data.records.column("photo").to_pylist()[1:5]]
    cells += pictures(26, 2).records.column("photo").to_pylist()[:25]
    made = Dataset.from_arrow(
        pa.table({"photo": cells, "size": ["small", "large"] * 15}), data.schema
    )
    assert count_copied_rows(data, made).shared == 5
    assert encode_png(pixels) == bytes_of(data)[0]


def test_a_card_tells_embedders_with_the_hashes_of_their_weights() -> None:
    found = {
        "photo": {"classical": {"size": 210}, "eye": {"weights": "e.onnx", "weights_sha256": "ab"}},
        "left out": ["The embedder 'net' is left out of 'photo': too few images"],
    }
    assert note_embedders_on_card(found) == (
        "images of 'photo' measured by: classical, eye (weights SHA-256 ab)",
    )
    assert note_embedders_on_card({}) == ()


def test_the_content_of_embedders_follows_the_bytes_not_the_folder(tmp_path: Path) -> None:
    for folder, data in (("a", b"one"), ("b", b"one"), ("c", b"two")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "eye.onnx").write_bytes(data)
    a, b, c = (hash_embedders([f"onnx:{tmp_path / f / 'eye.onnx'}"]) for f in "abc")
    assert a == b != c
    assert a[0][0] == "onnx:eye.onnx"


def test_candidates_are_compared_by_the_embedders_that_were_asked_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    metrics = [m for m in default_metrics({"image", "category"}) if m[0] in _TWO]
    monkeypatch.setattr("twinset.workflows.evaluate.default_metrics", lambda kinds, **_: metrics)
    real, made = (
        pictures(60, 1).records,
        {n: pictures(60, s).records for n, s in (("a", 2), ("b", 3))},
    )
    plain = compare(real, made)
    assert list(plain.facts["embedders"]["photo"]) == ["classical"]
    told = compare(real, made, embedders=[Watching()])
    assert list(told.facts["embedders"]["photo"]) == ["watching"]
    assert any("compared by: watching" in note for note in told.notes)
    assert any("do not compare them with a report that names others" in note for note in told.notes)
    assert "<dd>watching</dd>" in told.to_html()
    assert not any("by the same embedders" in note for note in told.notes)


def test_candidates_that_were_looked_at_differently_are_reported(score_of: ScoreOf) -> None:
    notes = note_embedder_mismatch({"a": [score_of("classical")], "b": [score_of("eye")]})
    assert "their numbers on images or texts are not comparable" in notes[0]
    assert len(notes) == 1
    assert "a: images of 'photo' measured by: classical" in notes[0]
    assert note_embedder_mismatch({"a": [score_of("eye")], "b": [score_of("eye")]}) == []


@pytest.fixture
def score_of() -> ScoreOf:
    """Return the maker of a score that rests on one embedder."""

    def made(embedder: str) -> Score:
        basis = ComparisonBasis(embedders={"photo": {embedder: {"size": 2}}})
        return Score("gap.a", "gap", 0.2, False, Verdict.EQUIVALENT, findings=(basis,))

    return made

"""The small net as a judge of texts: it reads what a linear model cannot, and keeps the contract."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from scipy.sparse import csr_matrix

from twinset.core.data.dataset import Dataset
from twinset.core.data.schema import Field, Schema
from twinset.core.errors import MissingExtraError, ParameterError
from twinset.evaluation.utility._word_net import WordNet, build_text_model
from twinset.evaluation.utility.exchange_rate import ExchangeRate
from twinset.evaluation.utility.train_synthetic_test_real import TrainSyntheticTestReal
from twinset.measurement.harness import measure

torch = pytest.importorskip("torch")

SCHEMA = Schema((Field(name="said", kind="text"), Field(name="about", kind="category")))
WORDS = {
    "play": ["play", "song", "listen", "album"],
    "weather": ["rain", "sunny", "forecast", "snow"],
    "book": ["table", "restaurant", "seats", "dinner"],
}
COMMON = ["please", "the", "a", "today", "for", "me", "some", "now", "near", "with"]


def texts(n: int, seed: int, wrong: float = 0.0) -> Dataset:
    rng = np.random.default_rng(seed)
    said, about = [], []
    for _ in range(n):
        label = str(rng.choice(list(WORDS)))
        own = [str(rng.choice(WORDS[label]))] if rng.random() < 0.85 else []
        words = [*own, *(str(word) for word in rng.choice(COMMON, 4))]
        said.append(" ".join(rng.permutation(words)))
        about.append(str(rng.choice(list(WORDS))) if rng.random() < wrong else label)
    return Dataset.from_arrow(pa.table({"said": said, "about": about}), SCHEMA)


def test_it_learns_that_two_words_together_mean_another_thing() -> None:
    """Exclusive or: no weighing of the words one by one tells these classes apart."""
    patterns = np.array([[1, 1, 0, 0], [0, 0, 1, 1], [1, 0, 0, 1], [0, 1, 1, 0]], float)
    x = csr_matrix(np.tile(patterns, (50, 1)) / np.sqrt(2))
    y = np.tile([0.0, 0.0, 1.0, 1.0], 50)
    linear = build_text_model("words", "classification", 0).fit(x, y).predict_proba(x)
    net = WordNet("classification", seed=3).fit(x, y)
    assert abs(linear - 0.5).max() < 0.01
    assert (net.predict_proba(x).argmax(axis=1) == y).all()


def test_it_predicts_numbers() -> None:
    x = csr_matrix(np.tile(np.eye(3), (60, 1)))
    y = np.tile([10.0, 20.0, 60.0], 60)
    assert WordNet("regression", seed=1).fit(x, y).predict(csr_matrix(np.eye(3))) == pytest.approx(
        [10, 20, 60], abs=4
    )


def test_rows_of_more_weight_count_more() -> None:
    x = csr_matrix(np.ones((100, 1)))
    y = np.tile([0.0, 1.0], 50)
    weight = np.tile([1.0, 9.0], 50)
    (told,) = WordNet("classification", seed=1).fit(x, y, weight).predict_proba(x[:1])
    assert told[1] == pytest.approx(0.9, abs=0.05)


def test_unknown_words_and_empty_texts_get_the_usual_answer() -> None:
    x = csr_matrix(np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]] * 30))
    net = WordNet("classification", seed=1).fit(x, np.tile([0.0, 1.0], 30))
    unknown = net.predict_proba(csr_matrix(np.array([[0.0, 0.0, 5.0], [0.0, 0.0, 0.0]])))
    assert unknown[0] == pytest.approx(unknown[1])


def test_one_seed_gives_one_net_and_leaves_torch_as_it_was() -> None:
    x = csr_matrix(np.random.default_rng(0).random((80, 12)))
    y = np.tile([0.0, 1.0], 40)
    state, threads = torch.get_rng_state(), torch.get_num_threads()
    told = [WordNet("classification", seed=s).fit(x, y).predict_proba(x) for s in (1, 1, 2)]
    assert np.array_equal(told[0], told[1])
    assert not np.array_equal(told[0], told[2])
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.get_num_threads() == threads


@pytest.mark.parametrize("judge", ["linear", "net"])
def test_fresh_texts_serve_as_real_ones_and_spoilt_ones_do_not(judge: str) -> None:
    (fresh, spoilt) = (
        measure(
            train=texts(300, 1),
            synthetic=texts(300, 2, wrong),
            holdout=texts(400, 3),
            metrics=[("served", TrainSyntheticTestReal(text_model=judge, replicates=50))],
            target="about",
        )[0]
        for wrong in (0.0, 0.9)
    )
    assert fresh.baseline is not None
    assert fresh.interval is not None
    assert abs(fresh.value - fresh.baseline) < 0.03
    assert spoilt.value < fresh.value - 0.1


def test_of_both_the_better_on_real_texts_is_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("twinset.evaluation.utility._word_net._MIN_STEPS", 60)
    settings: dict[str, Any] = {"replicates": 20, "text_model": "both"}
    (found,) = measure(
        train=texts(160, 1, 0.1),
        synthetic=texts(100, 2, 0.1),
        holdout=texts(300, 3, 0.1),
        metrics=[("worth", ExchangeRate(**settings))],
        target="about",
    )
    judges = found.facts["models"]
    assert set(judges) == {"words", "net"}
    least = min(judges, key=lambda name: judges[name]["real_loss"])
    assert found.facts["model"] == least


def test_without_torch_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(MissingExtraError, match=r"twinset\[torch\]"):
        build_text_model("net", "classification", 0)


def test_an_unknown_model_is_reported() -> None:
    with pytest.raises(
        ParameterError, match="got 'nets'; allowed: linear, net; did you mean 'net'"
    ):
        TrainSyntheticTestReal(text_model="nets")  # type: ignore[arg-type]
    with pytest.raises(ParameterError, match="allowed: linear, net, both"):
        ExchangeRate(text_model="boosted")  # type: ignore[arg-type]

"""Embedders of texts in a comparison: metrics look through them, reports tell them, the default stays."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pytest

from twinset import evaluate
from twinset.core.contracts import Score
from twinset.core.data.dataset import Dataset
from twinset.core.data.schema import Field, Schema
from twinset.core.features.embedders import Embedder, TextEmbedding
from twinset.measurement.embedders import embed_sets, load_embedders, split_embedders
from twinset.measurement.harness import measure
from twinset.measurement.notes import list_score_embedders, note_embedders, note_embedders_on_card
from twinset.recipe import parse_recipe
from twinset.registry import build
from twinset.workflows.run import step_addresses

WORDS = ("play", "stop", "the", "a", "song", "rain", "now", "please")


def texts(n: int, seed: int, shout: bool = False) -> Dataset:
    rng = np.random.default_rng(seed)
    loud = 1.0 if shout else 0.1
    said = [
        " ".join(w.upper() if rng.random() < loud else w for w in rng.choice(WORDS, 6).tolist())
        for _ in range(n)
    ]
    schema = Schema((Field(name="said", kind="text"),))
    return Dataset.from_arrow(pa.table({"said": said}), schema)


def capitals(told: Sequence[str]) -> npt.NDArray[np.float32]:
    """Sees nothing of a text but how many of its letters are capitals, and its length."""
    rows = [[sum(map(str.isupper, one)) / len(one), len(one) / 40] for one in told]
    return np.array(rows, np.float32)


CAPITALS = TextEmbedding(
    "capitals", 2, capitals, {"kind": "share of capitals", "of": "texts", "size": 2}
)
METRICS = ("gap.frechet", "gap.mean_embedding", "coverage.density_coverage", "gap.texts")


def scores(made: Dataset, embedders: Sequence[Embedder] | None) -> dict[str, Score]:
    found = measure(
        train=texts(200, 1),
        synthetic=made,
        holdout=texts(400, 2),
        metrics=[(name, build("metric", name, {})) for name in METRICS],
        embedders=embedders,
    )
    return {score.metric: score for score in found}


def test_metrics_look_through_the_embedder_that_is_named() -> None:
    """Words in capitals are the same words to the default, and nothing alike to this embedder."""
    by_words = scores(texts(200, 3, shout=True), None)
    by_capitals = scores(texts(200, 3, shout=True), [CAPITALS])
    # Density is a share of neighbours: none is near where all letters are large.
    assert by_words["coverage.density_coverage"].value > 0.8
    assert by_capitals["coverage.density_coverage"].value == 0.0
    assert by_capitals["gap.frechet"].value > 10 * max(by_words["gap.frechet"].value, 0.1)
    assert list(by_capitals["gap.frechet"].facts["embeddings"]) == ["capitals"]


def test_the_default_and_words_by_name_are_one() -> None:
    made = texts(200, 3)
    plain, named = scores(made, None), scores(made, load_embedders(["words"]))
    for name in ("gap.mean_embedding", "coverage.density_coverage", "gap.texts"):
        assert plain[name].value == named[name].value
    assert list_score_embedders(list(plain.values())) == {}
    assert set(list_score_embedders(list(named.values()))["said"]) == {"words"}


def test_reports_and_cards_name_them() -> None:
    facts = embed_sets(texts(9, 1), texts(9, 2), None, [CAPITALS]).facts
    assert note_embedders(facts) == [
        "The texts of 'said' were compared by: capitals (share of capitals, 2 numbers)."
    ]
    assert note_embedders_on_card(facts) == ("texts of 'said' measured by: capitals",)


def test_those_of_one_kind_leave_the_other_its_default() -> None:
    assert split_embedders([CAPITALS]) == ((CAPITALS,), None)
    of_texts, of_images = split_embedders(load_embedders(["classical"]))
    assert of_texts == ()
    assert of_images is not None
    assert [one.name for one in of_images] == ["classical"]
    assert split_embedders(None) == ((), None)


def test_evaluate_takes_them_by_name(tmp_path: Path) -> None:
    report = evaluate(texts(120, 1), texts(120, 2), embedders=["words"], quick=True)
    assert "The texts of 'said' were compared by: words" in report.to_json()


RECIPE = """
name: x
brief: {task: intent, target: label, modality: text}
generate: [{use: text.templates, rows: 5}]
evaluate: {embedder: EMBEDDER}
"""


@pytest.mark.parametrize("name", ["wordllama", "minilm"])
def test_a_recipe_measures_again_by_another_embedder(name: str) -> None:
    """The weights are pinned, so a plan needs no installed package."""
    plain, other = (
        step_addresses(parse_recipe(RECIPE.replace("EMBEDDER", one)), None)
        for one in ("words", name)
    )
    assert plain["templates"] == other["templates"]
    assert plain["measure"] != other["measure"]

"""Several candidates look at the same real rows: these are looked at once, and no number changes."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from tests.core.features.test_embedders import pictures
from tests.measurement.test_harness import quick
from twinset.core.contracts import Comparison, Measurement, Metric, Score
from twinset.core.data.dataset import Dataset
from twinset.core.data.schema import TABULAR_KINDS
from twinset.core.features.embedders import Embedder, Embedding, ImageEmbedding
from twinset.core.seeding import rng_for
from twinset.measurement.comparison import ResultCache
from twinset.measurement.embedders import embed_sets
from twinset.measurement.harness import measure
from twinset.registry import default_metrics


def people(n: int, seed: int) -> Dataset:
    rng = rng_for(seed, "people")
    age = rng.integers(18, 90, n)
    table = {
        "age": age,
        "income": np.round(rng.lognormal(10, 0.4, n), 2),
        "town": rng.choice(["a", "b", "c"], n),
        "label": np.where(age + rng.normal(0, 8, n) > 55, "yes", "no"),
    }
    return Dataset.from_arrow(pa.table(table))


def told(scores: list[Score]) -> list[dict]:
    return [score.to_json() for score in scores]


def measured(candidate: Dataset, remembered: ResultCache | None = None, **asked: object) -> list:
    settings = {"train": people(300, 1), "holdout": people(240, 2), "target": "label", **asked}
    chosen = settings.pop("metrics", quick(frozenset({"number", "integer", "category"})))
    return told(measure(synthetic=candidate, metrics=chosen, cache=remembered, **settings))


@pytest.mark.slow
def test_every_metric_says_the_same_of_a_candidate_whoever_came_before_it() -> None:
    # The contract checks do the same with each metric alone, also with those that take a while.
    metrics = [pair for pair in quick(TABULAR_KINDS) if not pair[1].is_thorough]
    candidates = [people(200, 3), people(90, 5), people(200, 6)]
    kept = ResultCache()
    real = {"train": people(200, 1), "holdout": people(160, 2), "metrics": metrics}
    for candidate in candidates:
        assert measured(candidate, kept, **real) == measured(candidate, **real)


def test_other_real_rows_or_another_question_are_not_answered_from_memory() -> None:
    quick = [
        pair for pair in default_metrics({"number"}) if pair[0] in ("gap.marginals", "gap.pairs")
    ]
    kept, candidate = ResultCache(), people(200, 3)
    for asked in ({}, {"train": people(200, 9)}, {"seed": 5}, {"holdout": people(150, 8)}, {}):
        asked |= {"metrics": quick}
        assert measured(candidate, kept, **asked) == measured(candidate, **asked)


class Counted(Metric):
    """Counts how often real rows take the candidate's place."""

    family, higher_is_better, bounds = "gap", False, (0.0, 1.0)
    kinds = frozenset({"number", "integer", "category"})
    has_floor = False
    margin = 0.1

    def __init__(self) -> None:
        self.seen: list[int] = []

    def __repr__(self) -> str:
        return "Counted()"

    def compute(self, comparison: Comparison, rng: np.random.Generator) -> Measurement:
        self.seen.append(len(comparison.synthetic))
        return Measurement(0.5, rng.normal(size=20))


def test_the_baseline_is_measured_once_for_candidates_of_one_size() -> None:
    metric, kept = Counted(), ResultCache()
    for n in (100, 100, 100, 40):
        measured(people(n, n), kept, metrics=[("gap.counted", metric)])
    # Real rows and the candidate; then only candidates; a smaller one has another baseline.
    assert metric.seen == [100, 100, 100, 100, 40, 40]


def test_tables_that_are_too_large_to_keep_are_measured_again(monkeypatch) -> None:
    monkeypatch.setattr("twinset.measurement.harness._MAX_CACHED_ROWS", 100)
    metric, kept = Counted(), ResultCache()
    for _ in range(2):
        measured(people(100, 3), kept, metrics=[("gap.counted", metric)])
    assert metric.seen == [100] * 4


class Watching(Embedder):
    """Counts fits and pictures."""

    kind = "image"
    learns = True

    def __init__(self) -> None:
        self.n_fits = self.n_pictures = 0

    @property
    def name(self) -> str:
        return "watching"

    def fit(self, images: pa.ChunkedArray, labels: object, seed: int) -> Embedding:
        self.n_fits += 1

        def apply(many: list) -> np.ndarray:
            self.n_pictures += len(many)
            return np.array([[picture.mean()] for picture in many], np.float32)

        return ImageEmbedding("watching", 1, apply)


def test_real_images_are_embedded_once_for_all_candidates() -> None:
    pytest.importorskip("cv2")
    train, holdout = pictures(20, 1), pictures(12, 2)
    watching, kept = Watching(), ResultCache()
    for seed in (3, 4, 5):
        made = pictures(8, seed)
        found = embed_sets(train, made, holdout, [watching], cache=kept)
        alone = embed_sets(train, made, holdout, [Watching()])
        for part in ("train", "synthetic", "holdout"):
            assert getattr(found, part).records.equals(getattr(alone, part).records)
    assert watching.n_fits == 1
    assert watching.n_pictures == 20 + 12 + 3 * 8

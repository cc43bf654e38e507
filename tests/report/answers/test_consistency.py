"""Contradictions of a report are found by code, and reports of any scores have none."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import numpy as np
import pyarrow as pa
import pytest

from tests.report.conftest import make_score, models
from twinset.core.contracts import Score
from twinset.core.data.dataset import Dataset
from twinset.core.disclosure import UntestedColumns
from twinset.core.findings import (
    ComparisonBasis,
    DetectableRegion,
    DifferingComponents,
    DifferingTriples,
    ReferenceRows,
    Verdict,
)
from twinset.core.model_findings import ModelComparison
from twinset.evaluation.utility.train_synthetic_test_real import TrainSyntheticTestReal
from twinset.measurement.harness import measure
from twinset.report import summarize_families
from twinset.report.answers.consistency import find_contradictions
from twinset.report.answers.power import smallest_faults
from twinset.report.answers.purposes import uses
from twinset.report.answers.sentences import remarks

MODELS = "utility.train_synthetic_test_real"
VERDICTS = [verdict.value for verdict in Verdict]
# What the interval of a model can show beside each verdict by the margin.
EFFECTS = {
    "as good as real": ("helps", "worse", "no evidence"),
    "cannot tell": ("helps", "worse", "no evidence"),
    "different": ("hurts",),
    "not measurable": ("no evidence",),
}


def contradictions(scores: list[Score]) -> list[str]:
    return find_contradictions(scores, summarize_families(scores), uses(scores))


def test_no_combination_of_verdicts_gives_statements_that_contradict_each_other() -> None:
    names = (
        "integrity.table_rows",
        "gap.marginals",
        "coverage.slices",
        "privacy.membership",
        MODELS,
    )
    for verdicts in product(VERDICTS, repeat=len(names)):
        for alone, mixed in product(
            EFFECTS[verdicts[-1]], ("helps", "hurts", "worse", "no evidence")
        ):
            found = (models(mixed, alone),)
            scores = [
                make_score(name, verdict, **({"findings": found} if name == MODELS else {}))
                for name, verdict in zip(names, verdicts)
            ]
            assert contradictions(scores) == [], (verdicts, alone, mixed)


def test_contradictions_are_found() -> None:
    hurts = make_score(MODELS, findings=(models("helps", "hurts"),))
    assert any("'hurts' beside 'as good as real'" in text for text in contradictions([hurts]))
    scores = [make_score("privacy.membership", "different")]
    wrong = [replace(line, mark="good") for line in summarize_families(scores)]  # type: ignore[arg-type]
    assert find_contradictions(scores, wrong, uses(scores))


def test_a_difference_is_not_denied_beside_it_and_a_small_one_is_called_so() -> None:
    nothing, some = DifferingTriples(0, 5), DifferingComponents("column", ("age",), 3)
    assert remarks(make_score("gap.k_marginals", "different", findings=(nothing,))) == []
    (said,) = remarks(make_score("gap.marginals", findings=(some,)))
    assert said.endswith("beyond chance: age: within the margin")


@pytest.mark.parametrize("kind", ["classes", "number"])
def test_a_target_that_no_model_predicts_gives_no_yes(kind: str) -> None:
    def rows(seed: int, signal: float) -> Dataset:
        rng = np.random.default_rng(seed)
        x, noise = rng.normal(size=(2, 800))
        y = signal * x + noise
        return Dataset.from_arrow(
            pa.table({"x": x, "y": y if kind == "number" else np.where(y > 0.8, "yes", "no")})
        )

    settings = {"target": "y", "positive": None if kind == "number" else "yes", "seed": 1}
    metrics = [(MODELS, TrainSyntheticTestReal(iterations=10, replicates=50, margin=0.3))]
    for signal, answer in ((0.0, "cannot tell"), (2.0, "yes")):
        train, synthetic, holdout = (rows(seed, signal) for seed in (1, 2, 3))
        scores = measure(
            train=train, synthetic=synthetic, holdout=holdout, metrics=metrics, **settings
        )
        found = scores[0].finding(ModelComparison)
        assert found is not None
        assert found.is_chance == (signal == 0)
        assert uses(scores)[0].answer == answer
        if not signal:
            assert scores[0].verdict == "cannot tell"
            assert "no model predicts the target" in summarize_families(scores)[2].text
            assert uses(scores)[1].answer == "cannot tell"


def test_nobody_is_asked_for_what_was_given() -> None:
    basis = ComparisonBasis(reference=ReferenceRows.HALF_OF_HOLDOUT)
    scores = [make_score("gap.texts", findings=(basis,))]
    assert uses(scores)[0].reason == "name a target column"
    assert "did not see" in uses([make_score("gap.texts")])[0].reason
    assert "target" not in uses([make_score("gap.texts")], has_target=True)[0].reason
    tagger = make_score("utility.entity_labelling", findings=(models(), basis))
    assert uses([*scores, tagger])[0].answer == "yes"


def test_the_answer_on_leaks_names_what_was_not_tested() -> None:
    untested = UntestedColumns(("ssn",), ("note",), ())
    scores = [make_score("privacy.one_person_values", findings=(untested,))]
    text = summarize_families(scores)[3].text
    assert text.count(".") == 1
    assert "not tested: identifiers (ssn); free texts (note)" in text
    release = uses(scores)[3]
    assert (release.answer, "ssn" in release.reason) == ("not shown to be safe", True)


def test_the_smallest_faults_are_stated() -> None:
    region = make_score("coverage.slices", findings=(DetectableRegion(0.04, 0.02, 900),))
    models_score = make_score(MODELS, findings=(models(),), detectable=0.07)
    text = smallest_faults([make_score("gap.marginals", detectable=0.031), region, models_score])
    assert text.startswith(
        "columns off by 3.1 % on average, half of the rows missing in a region of 4.0 %"
    )
    assert "a model worse by 0.070 in average precision" in text

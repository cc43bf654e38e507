import copy
from pathlib import Path

import numpy as np
import pytest

import benchmarks.text
from benchmarks.datasets import banking, snips
from benchmarks.intervals import difference, hit_difference
from benchmarks.markdown import blocks_of
from benchmarks.runner import read_rows
from benchmarks.text import reference_tagger
from benchmarks.text.arms import BANKING, TEMPLATES, copies, learned, snips_words, templates
from benchmarks.text.learners import (
    STRENGTHS,
    TaggerBench,
    f1_difference,
    hits,
    probabilities,
    strength_for,
    two_sample_area,
)
from benchmarks.text.usefulness import blocks, goals, some_of_each

HERE = Path(benchmarks.text.__file__).parent


@pytest.fixture(scope="module")
def found():
    return {row["trial"]: row["found"] for row in read_rows(HERE / "usefulness.json")}


def rows(said, about):
    return [{"said": text, "about": about, "marks": []} for text in said]


def test_the_interval_is_that_of_a_t_test_where_rows_have_no_error():
    by_seed = np.array([0.01, 0.03, 0.02, 0.05, 0.04])
    found = difference(by_seed, 0.0, 700)
    reach = 2.776445 * np.std(by_seed, ddof=1) / np.sqrt(5)  # t of 4 degrees of freedom
    assert (found.mean, found.high) == pytest.approx((0.03, 0.03 + reach), abs=1e-6)


def test_the_interval_is_normal_where_seeds_agree():
    found = difference(np.full(5, 0.02), 0.01, 100_000)
    assert found.low == pytest.approx(0.02 - 1.96 * 0.01, abs=1e-4)
    same = difference(np.zeros(3), 0.0, 10)
    assert (same.low, same.high) == (0, 0)


def test_hits_are_paired_by_row():
    better = np.array([[1, 1, 1, 0], [1, 1, 0, 0]], dtype=bool)
    worse = np.array([[1, 0, 1, 0], [1, 0, 0, 0]], dtype=bool)
    found = hit_difference(better, worse)
    # Every seed gains a quarter: only which rows are in the test is in doubt.
    assert found.mean == 0.25
    assert found.high > 0.25 > found.low


def test_synthetic_rows_count_by_their_weight():
    real = rows(["play jazz"] * 3, "one") + rows(["play chess"] * 3, "two")
    made = rows(["play jazz"] * 30, "two")
    test = rows(["play jazz"], "one")
    assert hits(real, made, 0.001, 10.0, test).tolist() == [True]
    assert hits(real, made, 1.0, 10.0, test).tolist() == [False]
    assert probabilities(real, (), 1.0, 10.0, test)[1] == ["one", "two"]


def test_synthetic_rows_are_made_without_the_test_rows_of_a_fold():
    real = rows([f"text {i}" for i in range(10)], "one") + rows(
        [f"said {i}" for i in range(10)], "two"
    )
    seen = []

    def make(own, seed):
        seen.append({row["said"] for row in own})
        return own

    assert strength_for(real, make, 1.0, 0) in STRENGTHS
    assert [len(own) for own in seen] == [16] * 5
    assert set.intersection(*seen) == set()


def test_templates_by_hand_are_ten_an_intent_and_their_spans_exact():
    assert {len(texts) for texts in TEMPLATES.values()} == {10}
    made = templates(140).make((), 3)
    assert made == templates(140).make((), 3)
    assert {sum(row["about"] == i for row in made) for i in TEMPLATES} == {20}
    for row in made:
        for mark in row["marks"]:
            assert row["said"][mark["start"] : mark["end"]] == mark["value"]
            assert "__" not in mark["label"]
    assert all(len(phrases) > 1 for phrases in BANKING.values())
    assert "object_name" in snips_words()


def test_copies_bring_no_new_text():
    real = rows(["a", "b"], "one")
    arm = copies(3)
    assert sorted(row["said"] for row in arm.make(real, 0)) == ["a", "a", "a", "b", "b", "b"]
    assert arm.weight * 6 == len(real)


@pytest.mark.usefixtures("shared_data")
def test_words_separate_synthetic_texts_but_not_real_ones():
    train = snips("train")
    order = np.random.default_rng(3).permutation(len(train))[:1_000]
    one, other = ([train[i] for i in part] for part in np.split(order, 2))
    assert 0.45 < two_sample_area(one, other, 0) < 0.55
    assert two_sample_area(one, templates(500).make((), 0), 0) > 0.7
    # Folds that are not shuffled would call these alike.
    assert two_sample_area(one, rows(["the same"] * 500, "x"), 0) == 1


@pytest.mark.usefixtures("shared_data")
def test_the_real_parts_are_what_the_page_says():
    assert (len(snips("train")), len(snips("validation"))) == (13_784, 700)
    assert (len(banking("train")), len(banking("validation"))) == (3_000, 600)
    few = some_of_each(snips("validation"), 2, np.random.default_rng(0))
    assert len(few) == 14
    assert [row["about"] for row in few] == sorted(row["about"] for row in few)


@pytest.mark.usefixtures("shared_data")
def test_learned_rows_help_a_tagger_of_few_real_rows():
    train = snips("train")
    labels = sorted({mark["label"] for row in train for mark in row["marks"]})
    order = np.random.default_rng(5).permutation(len(train))
    bench = TaggerBench([train[i] for i in order[:400]], labels)
    real = some_of_each([train[i] for i in order[400:]], 10, np.random.default_rng(6))
    alone = bench.found(real, (), 0)
    mixed = bench.found(real, learned(10, None, "learned").make(real, 0), 0)
    assert bench.score(mixed) > bench.score(alone) + 0.01
    assert f1_difference([mixed] * 2, [alone] * 2, 400).mean == pytest.approx(
        bench.score(mixed) - bench.score(alone)
    )


def test_the_page_is_that_of_the_figures():
    made = [blocks(read_rows(HERE / "usefulness.json"))]
    made.append(reference_tagger.blocks(read_rows(HERE / "reference_tagger.json")))
    assert blocks_of((HERE / "USEFULNESS.md").read_text("utf-8")) == made[0] | made[1]


def test_a_missed_goal_is_marked(found):
    before = [line for line in goals(found).splitlines() if "**no**" in line]
    worse = copy.deepcopy(found)
    worse["banking"]["arms"]["learned, with lists of phrases"]["gain"]["low"] = -0.001
    worse["controls"]["real"][0] = 0.58
    missed = [line for line in goals(worse).splitlines() if "**no**" in line]
    assert len(missed) == len(before) + 2
    assert "CLINC150" in missed[0]


def test_controls_gain_nothing(found):
    for name in ("intents 5", "intents 100", "banking", "entities 10", "entities 50"):
        gain = found[name]["arms"]["the same rows again"]["gain"]
        assert gain["low"] <= 0 <= gain["high"]
    for sweep in ("entity sweep", "intent sweep"):
        assert set(found[sweep]["arms"]["wrong labels"]["recommended"]) == {0}

"""The trials of entities with another tagger (a conditional random field) and another scorer (seqeval).

Run by an environment that has twinset, sklearn-crfsuite and seqeval.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from benchmarks.datasets import snips
from benchmarks.intervals import Difference, difference
from benchmarks.markdown import spread, table
from benchmarks.runner import Row
from benchmarks.text.arms import Arm, learned, templates
from benchmarks.text.learners import Rows, TaggerBench
from benchmarks.text.usefulness import gain_of, snips_labels, some_of_each, trial
from twinset.evaluation.utility import _entities  # type: ignore[import-not-found, unused-ignore]

SETTINGS = {"c1": 0.1, "c2": 0.1, "max_iterations": 60}
N_SYNTHETIC = 350  # rows beside 70 and 350 real ones


class ReferenceBench(TaggerBench):
    """Test rows in which another tagger looks for entities; what it finds is their F1 by seqeval."""

    def found(self, real: Rows, synthetic: Rows, seed: int, arm: Arm | None = None) -> float:
        import sklearn_crfsuite  # type: ignore[import-not-found, unused-ignore]

        rows = [*real, *synthetic]
        marked = self.tokenized(rows)
        model = sklearn_crfsuite.CRF(algorithm="lbfgs", **SETTINGS)
        model.fit(_features(rows), self.named(marked, marked.tags))
        return self.f1(model.predict(_features(self.test)))

    def f1(self, found: list[list[str]]) -> float:
        from seqeval.metrics import f1_score  # type: ignore[import-not-found, unused-ignore]

        return float(f1_score(self.named(self.holdout, self.holdout.tags), found))

    def score(self, found: float) -> float:
        return found

    def gain(self, better: Sequence[float], worse: Sequence[float]) -> Difference:
        # The rows of the test are fixed here: the interval is over draws of train rows alone.
        return difference(np.array(better) - np.array(worse), 0.0, len(self.test))

    def named(self, marked: Any, tags: Any) -> list[list[str]]:
        names = ["O"] + [part + label for label in self.labels for part in ("B-", "I-")]
        ends = np.searchsorted(marked.tokens.text, np.arange(marked.tokens.n_texts + 1))
        return [[names[t] for t in tags[a:b]] for a, b in pairwise(ends)]


def measure(job: Row) -> Row:
    """Return a trial with the other tagger, or the project's tagger by both scorers (0 real rows)."""
    train, bench, k = snips("train"), ReferenceBench(snips("validation"), snips_labels()), job["k"]
    if not k:
        return {"k": k, "found": [_scorers(train, bench, seed) for seed in range(job["seeds"])]}
    arms = (templates(N_SYNTHETIC), learned(N_SYNTHETIC // (7 * k), None, "learned"))
    return {"k": k, "found": trial(bench, train, k, arms, range(job["seeds"]))}


def _scorers(train: Rows, bench: ReferenceBench, seed: int) -> dict[str, float]:
    """Return the F1 of the project's own tagger by the project's scorer and by seqeval."""
    holdout, rng = bench.holdout, np.random.default_rng
    real = bench.tokenized(some_of_each(train, 10, rng(seed)))
    weights = _entities.fit_tagger(real.tokens.features, real.tags, holdout.n_tags, rng(seed))
    found = _entities.predict_tags(weights, holdout.tokens.features)
    own = _entities.score_tags(found, holdout).f1(np.ones(len(bench.test)))[0]
    return {"own": float(own), "seqeval": bench.f1(bench.named(holdout, found))}


def _features(rows: Rows) -> list[list[dict[str, Any]]]:
    texts = [[m.group() for m in _entities._TOKEN.finditer(row["said"])] for row in rows]
    return [[_word_features(words, i) for i in range(len(words))] for words in texts]


def _word_features(words: list[str], i: int) -> dict[str, Any]:
    word, padded = words[i], ["<", "<", *(word.lower() for word in words), ">", ">"]
    return {
        "bias": 1.0, "word": word.lower(), "end": word[-3:].lower(), "start": word[:3].lower(),
        "capital": word[0].isupper(), "digits": word.isdigit(),
        **{f"word{step}": padded[i + 2 + step] for step in (-2, -1, 1, 2)},
    }  # fmt: skip


def blocks(rows: Sequence[Row]) -> dict[str, str]:
    found, lines = {row["k"]: row["found"] for row in rows}, []
    apart = max(abs(one["own"] - one["seqeval"]) for one in found.pop(0))
    for k, one in found.items():
        lines.append([7 * k, "none", spread(one["real"]), ""])
        for name, arm in one["arms"].items():
            lines.append([7 * k, name, spread(arm["score"]), gain_of(arm).points])
    head = ["real rows", "synthetic rows", "F1: mean (least to most)", "gain in points [95 %]"]
    return {
        "reference": f"The project's own scorer differs from seqeval by {apart:.4f} at most, for "
        f"entities that end inside a token.\n\n{table(head, lines)}"
    }

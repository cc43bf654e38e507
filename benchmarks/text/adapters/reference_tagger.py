"""The trials of entities with another tagger (a conditional random field) and another scorer (seqeval).

Run from the root of the repository by an environment that has twinset, sklearn-crfsuite and seqeval, as
``python -m benchmarks.text.adapters.reference_tagger``; writes reference_tagger.json beside the page.
"""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

import numpy as np
import sklearn_crfsuite
from seqeval.metrics import f1_score

from benchmarks.datasets import snips, text_dataset
from benchmarks.intervals import difference
from benchmarks.text.arms import learned, templates
from benchmarks.text.learners import TaggerBench
from benchmarks.text.usefulness import SEEDS, snips_labels, some_of_each, trial
from twinset.evaluation.utility._entities import (
    _TOKEN,
    TokenizedTexts,
    fit_tagger,
    predict_tags,
    score_tags,
)

_SETTINGS = {"c1": 0.1, "c2": 0.1, "max_iterations": 60}


class ReferenceBench(TaggerBench):
    """Test rows in which another tagger looks for entities; what it finds is their F1 by seqeval."""

    def found(self, real, synthetic, seed, arm=None) -> float:
        rows = [*real, *synthetic]
        marked = TokenizedTexts.from_dataset(text_dataset(rows), self.labels)
        model = sklearn_crfsuite.CRF(algorithm="lbfgs", **_SETTINGS)
        model.fit(_features(rows), self.named(marked, marked.tags))
        return float(f1_score(self.truth(), model.predict(_features(self.test))))

    def score(self, found) -> float:
        return found

    def gain(self, better, worse):
        # The rows of the test are fixed here: the interval is over draws of train rows alone.
        return difference(np.array(better) - np.array(worse), 0.0, len(self.test))

    def named(self, marked, tags) -> list[list[str]]:
        names = ["O"] + [part + label for label in self.labels for part in ("B-", "I-")]
        ends = np.searchsorted(marked.tokens.text, np.arange(marked.tokens.n_texts + 1))
        return [[names[t] for t in tags[a:b]] for a, b in pairwise(ends)]

    def truth(self) -> list[list[str]]:
        return self.named(self.holdout, self.holdout.tags)


def main() -> None:
    train, bench = snips("train"), ReferenceBench(snips("validation"), snips_labels())
    out = {"scorers": _scorers(train, bench), "settings": _SETTINGS, "trials": []}
    for k in (10, 50):
        arms = (templates(350), learned(350 // (7 * k), None, "learned"))
        out["trials"].append(trial(bench, train, k, arms, SEEDS))
    place = Path(__file__).parents[1] / "reference_tagger.json"
    place.write_text(json.dumps(out, indent=1) + "\n", "utf-8")


def _scorers(train, bench) -> list[dict]:
    """Return the F1 of the project's own tagger by the project's scorer and by seqeval."""
    holdout, out = bench.holdout, []
    for seed in SEEDS:
        rng = np.random.default_rng
        rows = text_dataset(some_of_each(train, 10, rng(seed)))
        real = TokenizedTexts.from_dataset(rows, bench.labels)
        weights = fit_tagger(real.tokens.features, real.tags, holdout.n_tags, rng(seed))
        found = predict_tags(weights, holdout.tokens.features)
        own = score_tags(found, holdout).f1(np.ones(len(bench.test)))[0]
        theirs = f1_score(bench.truth(), bench.named(holdout, found))
        out.append({"own": float(own), "seqeval": float(theirs)})
    return out


def _features(rows) -> list[list[dict]]:
    return [_word_features([m.group() for m in _TOKEN.finditer(row["said"])]) for row in rows]


def _word_features(words) -> list[dict]:
    padded = ["<", "<", *(word.lower() for word in words), ">", ">"]
    return [
        {
            "bias": 1.0, "word": word.lower(), "end": word[-3:].lower(), "start": word[:3].lower(),
            "capital": word[0].isupper(), "digits": word.isdigit(),
            **{f"word{step}": padded[i + 2 + step] for step in (-2, -1, 1, 2)},
        }
        for i, word in enumerate(words)
    ]  # fmt: skip


if __name__ == "__main__":
    main()

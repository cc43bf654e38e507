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
from benchmarks.text.usefulness import SEEDS, some_of_each
from twinset.evaluation.utility._entities import (
    TokenizedTexts,
    fit_tagger,
    predict_tags,
    score_tags,
)
from twinset.evaluation.utility._tokens import _TOKEN

_SETTINGS = {"c1": 0.1, "c2": 0.1, "max_iterations": 60}


def main() -> None:
    train, test = snips("train"), snips("validation")
    labels = sorted({mark["label"] for row in train for mark in row["marks"]})
    names = ["O"] + [part + label for label in labels for part in ("B-", "I-")]
    out = {"scorers": _scorers(train, test, labels, names), "settings": _SETTINGS, "trials": []}
    for k in (10, 50):
        arms = {"templates by hand": templates(350), "learned": learned(350 // (7 * k), None, "")}
        found = {name: [] for name in ("real", *arms)}
        for seed in SEEDS:
            real = some_of_each(train, k, np.random.default_rng(seed))
            found["real"].append(_f1(real, test, labels, names))
            for name, arm in arms.items():
                found[name].append(_f1([*real, *arm.make(real, seed)], test, labels, names))
        alone = np.array(found.pop("real"))
        arm_results = {
            # The rows of the test are fixed here: the interval is over draws of train rows alone.
            name: {"score": f1, "gain": difference(np.array(f1) - alone, 0.0, len(test))._asdict()}
            for name, f1 in found.items()
        }
        out["trials"].append({"k": k, "real": alone.tolist(), "arms": arm_results})
    place = Path(__file__).parents[1] / "reference_tagger.json"
    place.write_text(json.dumps(out, indent=1) + "\n", "utf-8")


def _scorers(train, test, labels, names) -> list[dict]:
    """Return the F1 of the project's own tagger by the project's scorer and by seqeval."""
    holdout, out = TokenizedTexts.from_dataset(text_dataset(test), labels), []
    for seed in SEEDS:
        real = TokenizedTexts.from_dataset(
            text_dataset(some_of_each(train, 10, np.random.default_rng(seed))), labels
        )
        weights = fit_tagger(
            real.tokens.features, real.tags, holdout.n_tags, np.random.default_rng(seed)
        )
        found = predict_tags(weights, holdout.tokens.features)
        own = score_tags(found, holdout).f1(np.ones(len(test)))[0]
        theirs = f1_score(_tags(holdout, holdout.tags, names), _tags(holdout, found, names))
        out.append({"own": float(own), "seqeval": float(theirs)})
    return out


def _f1(rows, test, labels, names) -> float:
    model = sklearn_crfsuite.CRF(algorithm="lbfgs", **_SETTINGS)
    train_marks, test_marks = (
        TokenizedTexts.from_dataset(text_dataset(rows), labels),
        TokenizedTexts.from_dataset(text_dataset(test), labels),
    )
    model.fit(_features(rows), _tags(train_marks, train_marks.tags, names))
    return float(
        f1_score(_tags(test_marks, test_marks.tags, names), model.predict(_features(test)))
    )


def _tags(marked, tags, names) -> list[list[str]]:
    ends = np.searchsorted(marked.tokens.text, np.arange(marked.tokens.n_texts + 1))
    return [[names[t] for t in tags[a:b]] for a, b in pairwise(ends)]


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

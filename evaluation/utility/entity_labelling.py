"""Whether models that find entities in texts serve on real texts when trained on synthetic ones."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np

from twinset.core.contracts import Comparison, Measurement, Metric, MetricFamily
from twinset.core.findings import TrainingData, WorstLabel
from twinset.core.parameters import Ge, Margin, Replicates
from twinset.core.seeding import draw_seed

from ._entities import EntityCounts, TokenizedTexts, found_by, labels_of
from ._holdout_scores import replicate
from ._model_comparison import compare_models

_MOST_LABELS = 10


@dataclass(frozen=True, kw_only=True)
class EntityLabelling(Metric):
    """Trains taggers on real, synthetic and mixed texts and lets them find entities in real ones.

    A tagger, an averaged perceptron over words, their ends, shapes and neighbours, learns the spans of
    each set and is asked for those of the untouched real holdout. The value is the F1 of the one that
    saw synthetic texts alone: an entity counts only with the right label and both ends exact. Details
    compare the three taggers, say whether adding the synthetic texts helps, and name the labels that
    come off worst.

    Parameters
    ----------
    margin : float
        Largest harm that still counts as good as real, in the unit of the value.
    max_rows : int
        Texts of each set that a tagger is trained on.
    max_holdout : int
        Texts of the holdout that taggers are tested on.
    replicates : int
        Bootstrap replicates of the holdout texts; taggers are not trained again.

    References
    ----------
    Collins (2002), Discriminative Training Methods for Hidden Markov Models, EMNLP; Tjong Kim Sang,
    De Meulder (2003), Introduction to the CoNLL-2003 Shared Task, CoNLL (exact-match F1).

    Examples
    --------
    >>> import pyarrow as pa
    >>> from twinset.core.data.dataset import Dataset
    >>> def texts(names: list[str]) -> Dataset:
    ...     spans = [[{"start": 5, "end": 5 + len(n), "label": "name", "value": n}] for n in names]
    ...     return Dataset.from_arrow(pa.table({"text": [f"call {n} now" for n in names], "spans": spans}))
    >>> real, made, held = (texts([f"{first}{i}" for i in range(80)]) for first in ("bo", "al", "eve"))
    >>> told = Comparison(train=real, synthetic=made, reference=held)
    >>> EntityLabelling().compute(told, np.random.default_rng(0)).value
    1.0
    """

    family: ClassVar[MetricFamily] = "utility"
    title: ClassVar[str] = "finding entities in texts"
    interpretation: ClassVar[str] = (
        "A model learns to find entities from synthetic texts and is tested on unseen real ones: the F1 "
        "of spans with the right label and both ends exact. The nearer to that of a model of real texts, "
        "the better."
    )
    higher_is_better: ClassVar[bool] = True
    bounds: ClassVar[tuple[float, float]] = (0.0, 1.0)
    kinds: ClassVar[frozenset[str]] = frozenset({"spans", "text"})
    needs: ClassVar[frozenset[str]] = frozenset({"spans", "text"})
    has_floor: ClassVar[bool] = False

    margin: Margin = 0.05
    max_rows: Annotated[int, Ge(1)] = 10_000
    max_holdout: Annotated[int, Ge(1)] = 10_000
    replicates: Replicates = 200

    def compute(self, comparison: Comparison, rng: np.random.Generator) -> Measurement:
        """Return the F1 of the tagger on the holdout, 0 to 1; details compare all taggers."""
        labels = labels_of(comparison.train, comparison.reference)
        holdout = TokenizedTexts.of(comparison.reference.at_most(self.max_holdout, rng), labels)
        rows_rng, draws_rng = rng.spawn(2)
        seed = draw_seed(rng)
        real = TokenizedTexts.of(comparison.train.at_most(self.max_rows, rows_rng), labels)
        sets = {"real": [real]}
        if comparison.synthetic is not comparison.train:
            made = TokenizedTexts.of(comparison.synthetic.at_most(self.max_rows, rows_rng), labels)
            sets = {"real": [real], "mixed": [real, made], "synthetic": [made]}
        found = {}
        for name, parts in sets.items():
            if name == "real" and name in comparison.cache:
                found[name] = comparison.cache[name]
                continue
            whole = [(part, np.arange(part.tokens.n_texts)) for part in parts]
            found[name] = found_by(whole, holdout, seed)
            # Only the real-only tagger is the same in every comparison that shares the cache.
            if name == "real":
                comparison.cache[name] = found[name]
        scorers = [one.f1 for one in found.values()]
        n = holdout.tokens.n_texts
        values = {name: one.f1(np.ones(n)) for name, one in found.items()}
        strata = np.zeros(n, dtype=np.int64)
        drawn = dict(zip(found, replicate(scorers, strata, self.replicates, draws_rng)))
        mode = "synthetic" if "synthetic" in found else "real"
        rows = {name: sum(p.tokens.n_texts for p in parts) for name, parts in sets.items()}
        models = compare_models(
            ("F1 of entities",), values, drawn, rows,
            decides=TrainingData(mode), n_test_rows=n, subject="texts",
        )  # fmt: skip
        by_label = _by_label(found, labels)
        worst = _worst(by_label)
        findings = (models,) if worst is None else (worst, models)
        facts = {"max_rows": self.max_rows, "labels": by_label}
        return Measurement(float(values[mode][0]), drawn[mode][:, 0], findings, facts=facts)


def _by_label(
    found: Mapping[str, EntityCounts], labels: tuple[str, ...]
) -> dict[str, dict[str, float]]:
    """Return the F1 of each label by what the tagger was trained on, those that lose most first."""
    scores = {name: one.f1_by_label() for name, one in found.items()}
    loss = scores["real"] - scores.get("synthetic", scores["real"])
    told = [k for k in np.argsort(-loss, kind="stable") if not np.isnan(loss[k])][:_MOST_LABELS]
    return {labels[k]: {name: float(score[k]) for name, score in scores.items()} for k in told}


def _worst(labels: Mapping[str, Mapping[str, float]]) -> WorstLabel | None:
    for label, scores in labels.items():
        synthetic = scores.get("synthetic", scores["real"])
        if synthetic < scores["real"] - 0.05:
            return WorstLabel(label, synthetic, scores["real"])
    return None

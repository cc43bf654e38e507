"""F1 of entities in real texts, by taggers that were trained on synthetic texts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, ClassVar

import numpy as np

from twinset.core.contracts import Comparison, Measurement
from twinset.core.data.dataset import Dataset
from twinset.core.model_findings import WorstLabel
from twinset.core.parameters import Ge
from twinset.core.seeding import draw_seed

from ._entities import EntityCounts, TokenizedTexts, list_labels, score_tagger
from ._holdout_scores import UtilityMetric, compare_models, fit_sets

_MAX_LABELS = 10  # labels in the facts, those that lose most
_MIN_LOSS = 0.05  # of F1, for a label to be named: less is noise of a few spans


@dataclass(frozen=True, kw_only=True)
class EntityLabelling(UtilityMetric):
    """F1 of the entities that a tagger trained on synthetic texts finds in real ones.

    An entity counts only with the right label and both ends exact: F1 = 2 right / (predicted + true)
    over the real holdout. A tagger, an averaged perceptron over words, their ends, shapes and
    neighbours, is trained on real, synthetic and both texts. Findings compare the three, with the effect
    of adding the synthetic texts, and name the label that loses most.

    Parameters
    ----------
    max_rows : int
        Texts of each set that a tagger is trained on.
    max_holdout : int
        Texts of the holdout that taggers are tested on.

    References
    ----------
    Collins (2002), Discriminative Training Methods for Hidden Markov Models, EMNLP; Tjong Kim Sang,
    De Meulder (2003), Introduction to the CoNLL-2003 Shared Task, CoNLL (exact-match F1).

    Examples
    --------
    >>> import pyarrow as pa
    >>> def texts(names: list[str]) -> Dataset:
    ...     spans = [[{"start": 5, "end": 5 + len(n), "label": "name", "value": n}] for n in names]
    ...     return Dataset.from_arrow(pa.table({"text": [f"call {n} now" for n in names], "spans": spans}))
    >>> real, made, held = (texts([f"{first}{i}" for i in range(80)]) for first in ("bo", "al", "eve"))
    >>> sets = Comparison(train=real, synthetic=made, reference=held)
    >>> EntityLabelling().compute(sets, np.random.default_rng(0)).value
    1.0
    """

    title: ClassVar[str] = "finding entities in texts"
    interpretation: ClassVar[str] = (
        "A model learns to find entities from synthetic texts and is tested on unseen real ones: the F1 "
        "of spans with the right label and both ends exact. The nearer to that of a model of real texts, "
        "the better."
    )
    kinds: ClassVar[frozenset[str]] = frozenset({"spans", "text"})
    needs: ClassVar[frozenset[str]] = frozenset({"spans", "text"})

    max_rows: Annotated[int, Ge(1)] = 10_000
    max_holdout: Annotated[int, Ge(1)] = 10_000

    def compute(self, comparison: Comparison, rng: np.random.Generator) -> Measurement:
        """Return the F1 on the holdout, 0 to 1."""
        labels = list_labels(comparison.train, comparison.reference)
        rows = comparison.reference.at_most(self.max_holdout, rng)
        holdout = TokenizedTexts.from_dataset(rows, labels)
        rows_rng, draws_rng = rng.spawn(2)
        seed = draw_seed(rng)

        def read(rows: Dataset) -> TokenizedTexts:
            return TokenizedTexts.from_dataset(rows.at_most(self.max_rows, rows_rng), labels)

        def fit(parts: Sequence[TokenizedTexts]) -> EntityCounts:
            whole = [(part, np.arange(len(part))) for part in parts]
            return score_tagger(whole, holdout, seed)

        real = read(comparison.train)
        sets = {"real": [real]}
        if comparison.synthetic is not comparison.train:
            synthetic = read(comparison.synthetic)
            sets |= {"mixed": [real, synthetic], "synthetic": [synthetic]}
        found = fit_sets(sets, fit, comparison.cache)
        by_label = _score_labels(found, labels)
        measurement = compare_models(
            ("F1 of entities",), {name: [one.f1] for name, one in found.items()}, sets,
            np.zeros(len(holdout), dtype=np.int64), self.replicates, draws_rng,
            margin=self.margin, subject="texts", facts={"max_rows": self.max_rows, "labels": by_label},
        )  # fmt: skip
        return replace(measurement, findings=(*_find_worst(by_label), *measurement.findings))


def _score_labels(
    found: Mapping[str, EntityCounts], labels: tuple[str, ...]
) -> dict[str, dict[str, float]]:
    """Return the F1 of each label by training set, those that lose most first."""
    scores = {name: one.f1_by_label() for name, one in found.items()}
    loss = scores["real"] - scores.get("synthetic", scores["real"])
    order = [k for k in np.argsort(-loss, kind="stable") if not np.isnan(loss[k])][:_MAX_LABELS]
    return {labels[k]: {name: float(score[k]) for name, score in scores.items()} for k in order}


def _find_worst(labels: Mapping[str, Mapping[str, float]]) -> tuple[WorstLabel, ...]:
    """Return the label that loses most, if it loses enough."""
    for label, scores in labels.items():
        synthetic = scores.get("synthetic", scores["real"])
        if synthetic < scores["real"] - _MIN_LOSS:
            return (WorstLabel(label, synthetic, scores["real"]),)
    return ()

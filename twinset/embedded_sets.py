"""The sets of a run with the vectors of their images; what rests on real images is found once."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from twinset.core.contracts import Progress, silent
from twinset.core.dataset import Dataset
from twinset.core.embedders import (
    Classical,
    Embedder,
    Embedding,
    SmallNet,
    vectors_held,
    with_vectors,
)
from twinset.core.errors import FitError
from twinset.core.image_properties import box_labels, with_properties
from twinset.remembered import Remembered

LEFT_OUT = "left out"
"""Beside the facts of embedders: one sentence on each that could not be used."""

_FEWEST_FOR_NET = 100


@dataclass(frozen=True)
class EmbeddedSets:
    """The sets of a run with the vectors of their images, and what to tell of the embedders.

    Parameters
    ----------
    train : Dataset or None
        The real rows that the generator saw.
    synthetic : Dataset
        The candidate.
    holdout : Dataset or None
        Real rows that it did not see.
    facts : mapping
        Image column -> embedder -> its facts, e.g. the SHA-256 of its weights.
    left_out : tuple of str
        One sentence on each embedder that could not be used, and why.
    """

    train: Dataset | None
    synthetic: Dataset
    holdout: Dataset | None
    facts: Mapping[str, Mapping[str, Mapping[str, Any]]] = field(default_factory=dict)
    left_out: tuple[str, ...] = ()

    def facts_of(self, names: Sequence[str]) -> dict[str, Any]:
        """Return the facts of those of the columns that hold images, as plain JSON values."""
        found: dict[str, Any] = {name: self.facts[name] for name in names if name in self.facts}
        if found and self.left_out:
            found[LEFT_OUT] = list(self.left_out)
        return found


def default_embedders() -> tuple[Embedder, ...]:
    """Return the classical features and, where torch is installed, the small net."""
    has_torch = importlib.util.find_spec("torch") is not None
    return (Classical(), SmallNet()) if has_torch else (Classical(),)


def embed_sets(
    train: Dataset | None,
    synthetic: Dataset,
    holdout: Dataset | None,
    embedders: Sequence[Embedder] | None = None,
    *,
    target: str | None = None,
    seed: int = 0,
    progress: Progress = silent,
    remembered: Remembered | None = None,
) -> EmbeddedSets:
    """Return the sets with vectors beside the images of every column that all of them hold.

    Embedders that learn are fitted on `train` alone. By default these are the classical features and,
    from 100 training images and with a holdout, a small net: without a holdout the real rows that are
    compared are the very ones that it would have learnt from.

    Parameters
    ----------
    train, synthetic, holdout : Dataset or None
        The sets; those without images, or whose images all carry vectors, come back as they are.
    embedders : sequence of Embedder, optional
        What to look at images with.
    target : str, optional
        A column of labels, which embedders may learn from.
    seed : int
        Seed of the run.
    progress : Progress
        Told ``("embed", done, total)``.
    remembered : Remembered, optional
        Where what rests on train and holdout is kept for the next candidate.
    """
    if train is None:
        return EmbeddedSets(train, synthetic, holdout)
    sets = [part for part in (train, synthetic, holdout) if part is not None]
    columns = [
        held.name
        for held in train.schema.of_kind("image")
        if all(held.name in {f.name for f in part.schema.of_kind("image")} for part in sets)
        and not all(vectors_held(part.records.column(held.name)) for part in sets)
    ]
    if not columns:
        return EmbeddedSets(train, synthetic, holdout)
    remembered = Remembered() if remembered is None else remembered
    look = remembered.of(
        ("embedders", tuple(columns)),
        lambda: _Look.at(train, holdout, columns, embedders, target, seed),
    )
    done = []
    for position, part in enumerate(sets):
        progress("embed", position, len(sets))
        if part is synthetic:
            done.append(look.embed(part))
        else:
            which = "train" if part is train else "holdout"
            key = ("embedded", which, tuple(columns))
            done.append(remembered.of(key, partial(look.embed, part)))
    progress("embed", len(sets), len(sets))
    return EmbeddedSets(
        done[0], done[1], done[2] if holdout is not None else None, look.facts, look.left_out
    )


@dataclass(frozen=True)
class _Look:
    """Embedders fitted on the real train part, and the labels of its boxes."""

    fitted: Mapping[str, Sequence[Embedding]]
    labels: tuple[str, ...]
    facts: Mapping[str, Mapping[str, Mapping[str, Any]]]
    left_out: tuple[str, ...]

    @classmethod
    def at(
        cls,
        train: Dataset,
        holdout: Dataset | None,
        columns: Sequence[str],
        embedders: Sequence[Embedder] | None,
        target: str | None,
        seed: int,
    ) -> _Look:
        """Return the embedders of each column; those that cannot learn from it are left out and told."""
        facts: dict[str, dict[str, Any]] = {}
        fitted: dict[str, list[Embedding]] = {}
        left_out: list[str] = []
        for name in columns:
            images = train.records.column(name)
            chosen = embedders
            if chosen is None:
                may_learn = holdout is not None and len(train) >= _FEWEST_FOR_NET
                chosen = [one for one in default_embedders() if may_learn or not one.learns]
            fitted[name] = []
            for one in chosen:
                try:
                    fitted[name].append(one.fit(images, _labels(train, target), seed))
                except FitError as error:
                    left_out.append(f"The embedder '{one.name}' is left out of '{name}': {error}")
            facts[name] = {held.name: dict(held.facts) for held in fitted[name]}
        found = {name: held for name, held in fitted.items() if held}
        return cls(found, box_labels(train), facts, tuple(left_out))

    def embed(self, part: Dataset) -> Dataset:
        """Return a set with the vectors and the properties of its images."""
        return with_properties(with_vectors(part, self.fitted), self.labels)


def _labels(train: Dataset, target: str | None) -> npt.NDArray[np.int64] | None:
    if target is None or target not in train.schema.names:
        return None
    if train.schema[target].kind not in ("category", "boolean"):
        return None
    return train.codes(target)[0].astype(np.int64)

"""What teams do right: cuts that the leakage guard must let pass."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from benchmarks.minority.cuts import Plant, Planted, clean_split, grown, has_fine_numbers, roles_of
from benchmarks.minority.real_sets import RealSet, as_dataset
from twinset.registry import build


def grown_after_the_cut(how: str) -> Plant:
    """Return what should be done: cut, then grow the rare class of the train part alone."""

    def plant(real: RealSet, rng: np.random.Generator) -> Planted | None:
        if how != "ros" and not has_fine_numbers(real):
            return None
        by = "group" if real.data.schema.with_role("group") else "stratified"
        cut = clean_split(real, rng, by)
        frame = cut.train.to_pandas()
        whole = grown(frame, real, 1.0, how.removesuffix(" made"), int(rng.integers(1 << 30)))
        data = as_dataset(whole, real.target, roles_of(real))
        if not how.endswith(" made"):
            return replace(cut, train=data)
        return replace(cut, synthetic=data.slice(len(frame), len(data)))

    return plant


def cut_by(by: str) -> Plant:
    """Return a clean cut by time, group or at random; None where the set has no such column."""

    def plant(real: RealSet, rng: np.random.Generator) -> Planted | None:
        if by in ("time", "group"):
            return clean_split(real, rng, by) if real.data.schema.with_role(by) else None
        if real.data.schema.with_role("group"):
            return None
        return clean_split(real, rng)

    return plant


def drawn_from_train(use: str) -> Plant:
    """Return a clean cut with a made set from a generator that saw the train part alone."""

    def plant(real: RealSet, rng: np.random.Generator) -> Planted | None:
        if real.data.schema.with_role("group") or real.data.schema.of_kind("id"):
            return None  # the generators tried here make no ids
        cut = clean_split(real, rng)
        fitted = build("generator", use, {}).fit(cut.train, rng)
        return replace(cut, synthetic=fitted.sample(len(cut.train), rng))

    return plant


CLEAN: dict[str, Plant] = {
    "cut at random, by class": cut_by("stratified"),
    "cut by time": cut_by("time"),
    "cut by group": cut_by("group"),
    "cut, then random oversampling of train": grown_after_the_cut("ros"),
    "cut, then SMOTE of train": grown_after_the_cut("smote"),
    "cut, then SMOTE of train on whole numbers": grown_after_the_cut("rounded"),
    "cut, SMOTE rows of train as the made set": grown_after_the_cut("smote made"),
    "cut, bootstrap of train as the made set": drawn_from_train("tabular.bootstrap"),
    "cut, copula of train as the made set": drawn_from_train("tabular.copula"),
}

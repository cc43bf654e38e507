"""Leaks of every kind, planted into a real set: what teams do by mistake."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pandas as pd

from benchmarks.minority.clean_cuts import CLEAN
from benchmarks.minority.cuts import (
    Plant,
    Planted,
    clean_split,
    grown,
    has_fine_numbers,
    like_column,
    roles_of,
    rows_of,
)
from benchmarks.minority.real_sets import RealSet, as_dataset
from twinset.core.data.dataset import Dataset
from twinset.core.data.schema import Field, Schema
from twinset.core.seeding import rng_for


def grown_before_the_cut(how: str, ratio: float, real_test: bool = False) -> Plant:
    """Return the mistake of growing the rare class first and cutting after."""

    def plant(real: RealSet, rng: np.random.Generator) -> Planted | None:
        frame = rows_of(real)
        if how != "ros" and not has_fine_numbers(real):
            return None
        whole = grown(frame, real, ratio, how, int(rng.integers(1 << 30)))
        is_real = np.arange(len(whole)) < len(frame)
        data = as_dataset(whole, real.target, roles_of(real))
        if real_test:
            held = is_real & (rng.random(len(whole)) < 0.3)
            return Planted(data.filter(~held), data.filter(held))
        return clean_split(replace(real, data=data), rng)

    return plant


def grown_from_all_rows(real: RealSet, rng: np.random.Generator) -> Planted | None:
    """Cut first, but let SMOTE learn from all rows: its rows come as the made set."""
    if not has_fine_numbers(real):
        return None
    frame = rows_of(real)
    whole = grown(frame, real, 1.0, "smote", int(rng.integers(1 << 30)))
    made = as_dataset(whole, real.target, roles_of(real)).slice(len(frame), len(whole))
    return replace(clean_split(real, rng), synthetic=made)


def copied_into_train(share: float, rare_only: bool = False) -> Plant:
    """Return the mistake of holdout rows that also stand in the train part."""

    def plant(real: RealSet, rng: np.random.Generator) -> Planted:
        cut = clean_split(real, rng)
        pick = _picked(cut.holdout, real, share, rare_only, rng)
        return replace(cut, train=Dataset.concat([cut.train, cut.holdout.take(pick)]))

    return plant


def train_rows_in_holdout(real: RealSet, rng: np.random.Generator) -> Planted:
    """Put 5 % of the train rows into the holdout as well."""
    cut = clean_split(real, rng)
    pick = _picked(cut.train, real, 0.05, False, rng)
    return replace(cut, holdout=Dataset.concat([cut.holdout, cut.train.take(pick)]))


def changed_in_train(change: Callable[[pd.DataFrame, RealSet, np.random.Generator], None]) -> Plant:
    """Return the mistake of holdout rows that stand in the train part with something changed."""

    def plant(real: RealSet, rng: np.random.Generator) -> Planted:
        cut = clean_split(real, rng)
        pick = _picked(cut.holdout, real, 0.05, False, rng)
        moved = cut.holdout.take(pick).to_pandas()
        change(moved, real, rng)
        frame = pd.concat([cut.train.to_pandas(), moved], ignore_index=True)
        return replace(cut, train=as_dataset(frame, real.target, roles_of(real)))

    return plant


def flip_labels(moved: pd.DataFrame, real: RealSet, rng: np.random.Generator) -> None:
    """Give every row another label."""
    levels = list(real.data.codes(real.target)[1])
    texts = moved[real.target].astype(str).str.lower()
    other = {level.lower(): levels[(i + 1) % len(levels)] for i, level in enumerate(levels)}
    moved[real.target] = like_column(rows_of(real)[real.target], texts.map(other))


def jitter(moved: pd.DataFrame, real: RealSet, rng: np.random.Generator) -> None:
    """Blur every number by a hundredth of its spread."""
    for name in moved.columns:
        if name != real.target and pd.api.types.is_float_dtype(moved[name]):
            spread = (
                float(rows_of(real)[name].quantile(0.9) - rows_of(real)[name].quantile(0.1)) / 2.5
            )
            moved[name] += rng.normal(size=len(moved)) * 0.01 * spread


def redraw_one_column(moved: pd.DataFrame, real: RealSet, rng: np.random.Generator) -> None:
    """Shuffle one column among the copies."""
    free = [name for name in moved.columns if name != real.target]
    name = free[int(rng.integers(len(free)))]
    moved[name] = moved[name].to_numpy()[rng.permutation(len(moved))]


def other_column_order(real: RealSet, rng: np.random.Generator) -> Planted:
    """Copy rows into train, whose columns come in another order."""
    cut = copied_into_train(0.05)(real, rng)
    assert cut is not None
    return replace(cut, train=cut.train.select(list(cut.train.schema.names)[::-1]))


def other_keys(column: str) -> Plant:
    """Return the mistake of copies under a new id, a new time or another group."""

    def plant(real: RealSet, rng: np.random.Generator) -> Planted:
        frame = rows_of(real)
        n = len(frame)
        values = {
            "id": [f"R-{i:07d}" for i in range(n)],
            "number": np.arange(n) + 10_000,
            "time": pd.Timestamp("2024-01-01") + pd.to_timedelta(np.sort(rng.random(n)) * 3e7, "s"),
            "group": [f"g{i}" for i in rng.integers(0, max(2, n // 10), n)],
        }[column]
        role = {"time": "time", "group": "group", "id": "identifier"}.get(column, "feature")
        frame.insert(0, column, values)
        roles = {**roles_of(real), column: role}
        widened = replace(real, data=as_dataset(frame, real.target, roles))
        cut = clean_split(widened, rng, "group" if column == "group" else "stratified")
        pick = _picked(cut.holdout, real, 0.05, False, rng)
        moved = cut.holdout.take(pick).to_pandas()
        train = cut.train.to_pandas()
        fresh = {
            "id": [f"X-{i:07d}" for i in range(len(moved))],
            "number": n + 20_000 + np.arange(len(moved)),
            "time": pd.Timestamp("2025-01-01") + pd.to_timedelta(np.arange(len(moved)), "s"),
            "group": [f"h{i}" for i in range(len(moved))],
        }[column]
        moved[column] = fresh
        whole = pd.concat([train, moved], ignore_index=True)
        return replace(cut, train=as_dataset(whole, real.target, roles))

    return plant


def shared_groups(real: RealSet, rng: np.random.Generator) -> Planted:
    """Cut a set of cards by rows, so that cards stand on both sides."""
    if real.data.schema.with_role("group"):
        return clean_split(real, rng)
    frame = rows_of(real)
    frame.insert(
        0, "card", [f"k{i}" for i in rng.integers(0, max(2, len(frame) // 10), len(frame))]
    )
    data = as_dataset(frame, real.target, {**roles_of(real), "card": "group"})
    return clean_split(replace(real, data=data), rng)


def time_travel(real: RealSet, rng: np.random.Generator) -> Planted:
    """Call a cut at random one by time."""
    frame = rows_of(real)
    roles = roles_of(real)
    if "time" not in roles.values():
        frame.insert(0, "when", np.arange(len(frame), dtype=float))
        roles["when"] = "time"
    data = as_dataset(frame, real.target, {k: v for k, v in roles.items() if v != "group"})
    return replace(clean_split(replace(real, data=data), rng), split_by="time")


def flagged_rows(real: RealSet, rng: np.random.Generator) -> Planted:
    """Put rows into the holdout that lineage calls synthetic."""
    cut = clean_split(real, rng)
    half = len(cut.holdout) // 2
    first, second = cut.holdout.slice(0, half), cut.holdout.slice(half, len(cut.holdout) - half)
    made = second.with_card(origin="synthetic")
    parts = [
        part.with_reserved(ids=[f"{name}{i}" for i in range(len(part))])
        for name, part in (("a", first), ("b", made))
    ]
    parts[1] = replace(parts[1], card=parts[0].card)
    return replace(cut, holdout=Dataset.concat(parts))


def synthetic_card(real: RealSet, rng: np.random.Generator) -> Planted:
    """Take a set as holdout whose card says synthetic."""
    cut = clean_split(real, rng)
    return replace(cut, holdout=cut.holdout.with_card(origin="synthetic"))


def parents_in_holdout(real: RealSet, rng: np.random.Generator) -> Planted:
    """Make rows from rows of the holdout, as their lineage tells."""
    named = real.data.with_reserved(ids=[f"{real.name}-{i}" for i in range(len(real.data))])
    cut = clean_split(replace(real, data=named), rng)
    ids = named.records.column("_id").to_pylist()
    lists = [[ids[int(i)]] for i in rng.integers(0, len(ids), 200)]
    made = cut.train.slice(0, 200).with_card(origin="synthetic")
    made = made.with_reserved(ids=[f"made-{i}" for i in range(200)], parents=lists)
    return replace(cut, synthetic=made)


def holdout_copied_as_made(real: RealSet, rng: np.random.Generator) -> Planted:
    """Call copies of all real rows, the holdout among them, a made set."""
    cut = clean_split(real, rng)
    half = rng.permutation(len(real.data))[: len(real.data) // 2]
    made = real.data.take(half).with_card(origin="synthetic")
    return replace(cut, synthetic=made)


KINDS: dict[str, Plant] = {
    "random oversampling to 1:1, then the cut": grown_before_the_cut("ros", 1.0),
    "random oversampling to 1:2, then the cut": grown_before_the_cut("ros", 0.5),
    "the same to 1:1, test rows real": grown_before_the_cut("ros", 1.0, real_test=True),
    "SMOTE to 1:1, then the cut": grown_before_the_cut("smote", 1.0),
    "SMOTE to 1:2, then the cut": grown_before_the_cut("smote", 0.5),
    "SMOTE to 1:5, then the cut": grown_before_the_cut("smote", 0.2),
    "SMOTE to 1:1, test rows real": grown_before_the_cut("smote", 1.0, real_test=True),
    "SMOTE on whole numbers to 1:1, then the cut": grown_before_the_cut("rounded", 1.0),
    "SMOTE on whole numbers to 1:2, then the cut": grown_before_the_cut("rounded", 0.5),
    "SMOTE from all rows as the made set": grown_from_all_rows,
    "copies of 5 % of the holdout in train": copied_into_train(0.05),
    "copies of the rare holdout rows in train": copied_into_train(0.5, rare_only=True),
    "5 % of the train rows in the holdout": train_rows_in_holdout,
    "copies in another order of columns": other_column_order,
    "copies with another label": changed_in_train(flip_labels),
    "copies with one column redrawn": changed_in_train(redraw_one_column),
    "copies blurred by 1 % of the spread": changed_in_train(jitter),
    "copies under other ids": other_keys("id"),
    "copies under other running numbers": other_keys("number"),
    "copies at other times": other_keys("time"),
    "copies under other groups": other_keys("group"),
    "groups on both sides": shared_groups,
    "a cut by time that is none": time_travel,
    "holdout rows flagged as made": flagged_rows,
    "a holdout whose card says synthetic": synthetic_card,
    "parents in the holdout": parents_in_holdout,
    "copies of the holdout as the made set": holdout_copied_as_made,
}


def plant(kind: str, real: RealSet, seed: int) -> Planted | None:
    """Return the set cut with a leak of this kind, or clean; None where the set cannot have it."""
    if kind in KINDS and "group" not in kind:
        # Cards on both sides would be refused first, and hide whether the planted leak is seen.
        fields = [replace(f, role="feature") if f.role == "group" else f for f in _fields(real)]
        real = replace(real, data=real.data.with_schema(Schema(tuple(fields))))
    return {**KINDS, **CLEAN}[kind](real, rng_for(seed, "leak", kind, real.name))


def _fields(real: RealSet) -> tuple[Field, ...]:
    return real.data.schema.fields


def _picked(
    part: Dataset, real: RealSet, share: float, rare_only: bool, rng: np.random.Generator
) -> np.ndarray:
    codes, levels = part.codes(real.target)
    rows = np.flatnonzero(codes == levels.index(real.rare)) if rare_only else np.arange(len(part))
    return np.sort(rng.choice(rows, min(len(rows), max(60, int(share * len(rows)))), replace=False))

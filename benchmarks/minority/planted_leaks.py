"""Leaks of every kind, planted into a real set, and cuts that the leakage guard must let pass."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from benchmarks.minority.real_sets import RealSet, as_dataset
from twinset.core.data.dataset import Dataset
from twinset.core.data.schema import Schema
from twinset.core.seeding import rng_for
from twinset.measurement.comparison import split_rows
from twinset.registry import build

Rng = np.random.Generator
COPIED = 0.05  # share of rows that occur in both parts


@dataclass(frozen=True)
class Planted:
    """A set cut in two, with or without a leak.

    Parameters
    ----------
    train, holdout : Dataset
        The two parts.
    synthetic : Dataset or None
        Synthetic rows to train on.
    split_by : str
        How the cut is said to be made.
    """

    train: Dataset
    holdout: Dataset
    synthetic: Dataset | None = None
    split_by: str = "stratified"


Plant = Callable[[RealSet, Rng], Planted | None]


def clean_split(real: RealSet, rng: Rng, by: str = "stratified") -> Planted:
    """Return the set cut as it should be."""
    fraction = float(rng.choice([0.2, 0.3, 0.5]))
    train, holdout = split_rows(real.data, by=by, on=None, holdout_fraction=fraction, rng=rng)  # type: ignore[arg-type]
    return Planted(real.data.take(train), real.data.take(holdout), None, by)


def grown(frame: pd.DataFrame, real: RealSet, ratio: float, method: str, seed: int) -> pd.DataFrame:
    """Return the data frame with its rare class grown by imbalanced-learn: "ros", "smote" or "rounded"."""
    from imblearn.over_sampling import SMOTE, SMOTENC, RandomOverSampler

    y = frame[real.target].astype(str)
    x = frame.drop(columns=real.target)
    counts = y.value_counts()
    wanted = max(int(ratio * counts.iloc[0]), int(1.2 * counts.iloc[-1]))
    strategy = {counts.index[-1]: min(wanted, int(counts.iloc[0]))}
    settings = {"sampling_strategy": strategy, "random_state": seed}
    if method == "ros":
        sampler = RandomOverSampler(**settings)
    else:
        numeric = x.select_dtypes("number").columns
        x[numeric] = x[numeric].fillna(x[numeric].median())
        nominal = [c for c in x.columns if c not in set(numeric)]
        x[nominal] = x[nominal].astype(str)
        x[numeric] = x[numeric].astype(float) if method == "smote" else x[numeric]
        sampler = SMOTENC(nominal, **settings) if nominal else SMOTE(**settings)
    found, labels = sampler.fit_resample(x, y)
    labels = like_column(frame[real.target], labels)
    return found.copy().assign(**{real.target: labels})[list(frame.columns)]


def roles_of(real: RealSet) -> dict[str, str]:
    """Return the columns that are a group, a time or a key, with their roles."""
    roles = ("group", "time", "identifier")
    return {f.name: f.role for f in real.data.schema.fields if f.role in roles}


def has_fine_numbers(real: RealSet) -> bool:
    """Return whether rows can lie between others: three numbers, and no card, time or key."""
    return len(real.data.schema.of_kind("number", "integer")) >= 3 and not roles_of(real)


def like_column(column: pd.Series, texts: pd.Series) -> pd.Series:
    """Return texts as values of the type of a column."""
    if pd.api.types.is_bool_dtype(column):
        return texts.str.lower() == "true"
    return pd.to_numeric(texts) if pd.api.types.is_numeric_dtype(column) else texts


def grown_before_the_cut(method: str, ratio: float, real_test: bool = False) -> Plant:
    """Return the mistake of growing the rare class first and cutting after."""

    def plant(real: RealSet, rng: Rng) -> Planted | None:
        if method != "ros" and not has_fine_numbers(real):
            return None
        frame = real.data.to_pandas()
        whole = grown(frame, real, ratio, method, int(rng.integers(1 << 30)))
        data = as_dataset(whole, real.target, roles_of(real))
        if real_test:
            is_real = np.arange(len(whole)) < len(frame)
            test = is_real & (rng.random(len(whole)) < 0.3)
            return Planted(data.filter(~test), data.filter(test))
        return clean_split(replace(real, data=data), rng)

    return plant


def grown_from_all_rows(real: RealSet, rng: Rng) -> Planted | None:
    """Cut first, but let SMOTE learn from all rows: its rows come as the synthetic set."""
    if not has_fine_numbers(real):
        return None
    frame = real.data.to_pandas()
    whole = grown(frame, real, 1.0, "smote", int(rng.integers(1 << 30)))
    made = as_dataset(whole, real.target, roles_of(real)).slice(len(frame), len(whole))
    return replace(clean_split(real, rng), synthetic=made)


def copied_into_train(share: float, rare_only: bool = False) -> Plant:
    """Return the mistake of holdout rows that also stand in the train set."""

    def plant(real: RealSet, rng: Rng) -> Planted:
        cut = clean_split(real, rng)
        rows = _picked(cut.holdout, real, share, rare_only, rng)
        return replace(cut, train=Dataset.concat([cut.train, cut.holdout.take(rows)]))

    return plant


def train_rows_in_holdout(real: RealSet, rng: Rng) -> Planted:
    """Put 5 % of the train rows into the holdout as well."""
    cut = clean_split(real, rng)
    rows = _picked(cut.train, real, COPIED, False, rng)
    return replace(cut, holdout=Dataset.concat([cut.holdout, cut.train.take(rows)]))


def changed_in_train(change: Callable[[pd.DataFrame, RealSet, Rng], None]) -> Plant:
    """Return the mistake of holdout rows that stand in the train set with something changed."""

    def plant(real: RealSet, rng: Rng) -> Planted:
        cut = clean_split(real, rng)
        moved = cut.holdout.take(_picked(cut.holdout, real, COPIED, False, rng)).to_pandas()
        change(moved, real, rng)
        frame = pd.concat([cut.train.to_pandas(), moved], ignore_index=True)
        return replace(cut, train=as_dataset(frame, real.target, roles_of(real)))

    return plant


def flip_labels(moved: pd.DataFrame, real: RealSet, rng: Rng) -> None:
    """Give every row another label."""
    levels = list(real.data.codes(real.target)[1])
    texts = moved[real.target].astype(str).str.lower()
    other = {level.lower(): levels[(i + 1) % len(levels)] for i, level in enumerate(levels)}
    moved[real.target] = like_column(real.data.to_pandas()[real.target], texts.map(other))


def jitter(moved: pd.DataFrame, real: RealSet, rng: Rng) -> None:
    """Blur every number by a hundredth of its spread."""
    frame = real.data.to_pandas()
    for name in moved.columns:
        if name != real.target and pd.api.types.is_float_dtype(moved[name]):
            low, high = frame[name].quantile([0.1, 0.9])
            moved[name] += rng.normal(size=len(moved)) * 0.01 * float(high - low) / 2.5


def redraw_one_column(moved: pd.DataFrame, real: RealSet, rng: Rng) -> None:
    """Shuffle one column among the copies."""
    free = [name for name in moved.columns if name != real.target]
    name = free[int(rng.integers(len(free)))]
    moved[name] = moved[name].to_numpy()[rng.permutation(len(moved))]


def other_column_order(real: RealSet, rng: Rng) -> Planted:
    """Copy rows into train, whose columns come in another order."""
    cut = copied_into_train(COPIED)(real, rng)
    assert cut is not None
    return replace(cut, train=cut.train.select(list(cut.train.schema.names)[::-1]))


def other_keys(column: str) -> Plant:
    """Return the mistake of copies under a new id, running number, time or group."""

    def plant(real: RealSet, rng: Rng) -> Planted:
        frame = real.data.to_pandas()
        n, start = len(frame), pd.Timestamp("2024-01-01")
        frame.insert(0, column, {
            "id": [f"R-{i:07d}" for i in range(n)],
            "number": np.arange(n) + 10_000,
            "time": start + pd.to_timedelta(np.sort(rng.random(n)) * 3e7, "s"),
            "group": [f"g{i}" for i in rng.integers(0, max(2, n // 10), n)],
        }[column])  # fmt: skip
        role = {"time": "time", "group": "group", "id": "identifier"}.get(column, "feature")
        roles = {**roles_of(real), column: role}
        widened = replace(real, data=as_dataset(frame, real.target, roles))
        cut = clean_split(widened, rng, "group" if column == "group" else "stratified")
        moved = cut.holdout.take(_picked(cut.holdout, real, COPIED, False, rng)).to_pandas()
        m, later = len(moved), pd.Timestamp("2025-01-01")
        moved[column] = {
            "id": [f"X-{i:07d}" for i in range(m)],
            "number": n + 20_000 + np.arange(m),
            "time": later + pd.to_timedelta(np.arange(m), "s"),
            "group": [f"h{i}" for i in range(m)],
        }[column]
        whole = pd.concat([cut.train.to_pandas(), moved], ignore_index=True)
        return replace(cut, train=as_dataset(whole, real.target, roles))

    return plant


def shared_groups(real: RealSet, rng: Rng) -> Planted:
    """Cut a set of cards by rows, so that cards occur in train and holdout."""
    if real.data.schema.with_role("group"):
        return clean_split(real, rng)
    frame = real.data.to_pandas()
    n = len(frame)
    frame.insert(0, "card", [f"k{i}" for i in rng.integers(0, max(2, n // 10), n)])
    data = as_dataset(frame, real.target, {**roles_of(real), "card": "group"})
    return clean_split(replace(real, data=data), rng)


def time_travel(real: RealSet, rng: Rng) -> Planted:
    """Declare a random cut as one by time."""
    frame, roles = real.data.to_pandas(), roles_of(real)
    if "time" not in roles.values():
        frame.insert(0, "when", np.arange(len(frame), dtype=float))
        roles["when"] = "time"
    data = as_dataset(frame, real.target, {k: v for k, v in roles.items() if v != "group"})
    return replace(clean_split(replace(real, data=data), rng), split_by="time")


def flagged_rows(real: RealSet, rng: Rng) -> Planted:
    """Put rows into the holdout that their lineage calls synthetic."""
    cut = clean_split(real, rng)
    half = len(cut.holdout) // 2
    first, second = cut.holdout.slice(0, half), cut.holdout.slice(half, len(cut.holdout) - half)
    parts = [
        part.with_reserved(ids=[f"{name}{i}" for i in range(len(part))])
        for name, part in (("a", first), ("b", second.with_card(origin="synthetic")))
    ]
    parts[1] = replace(parts[1], card=parts[0].card)
    return replace(cut, holdout=Dataset.concat(parts))


def synthetic_card(real: RealSet, rng: Rng) -> Planted:
    """Take a set as holdout whose card says synthetic."""
    cut = clean_split(real, rng)
    return replace(cut, holdout=cut.holdout.with_card(origin="synthetic"))


def parents_in_holdout(real: RealSet, rng: Rng) -> Planted:
    """Add synthetic rows whose lineage names rows of the holdout as parents."""
    named = real.data.with_reserved(ids=[f"{real.name}-{i}" for i in range(len(real.data))])
    cut = clean_split(replace(real, data=named), rng)
    ids = named.records.column("_id").to_pylist()
    parents = [[ids[int(i)]] for i in rng.integers(0, len(ids), 200)]
    made = cut.train.slice(0, 200).with_card(origin="synthetic")
    made = made.with_reserved(ids=[f"made-{i}" for i in range(200)], parents=parents)
    return replace(cut, synthetic=made)


def holdout_copied_as_synthetic(real: RealSet, rng: Rng) -> Planted:
    """Pass copies of real rows, the holdout among them, as the synthetic set."""
    cut = clean_split(real, rng)
    half = rng.permutation(len(real.data))[: len(real.data) // 2]
    return replace(cut, synthetic=real.data.take(half).with_card(origin="synthetic"))


def _picked(part: Dataset, real: RealSet, share: float, rare_only: bool, rng: Rng) -> np.ndarray:
    codes, levels = part.codes(real.target)
    rows = np.flatnonzero(codes == levels.index(real.rare)) if rare_only else np.arange(len(part))
    # 60 rows at least: fewer copies than chance explains are no leak.
    return np.sort(rng.choice(rows, min(len(rows), max(60, int(share * len(rows)))), replace=False))


def grown_after_the_cut(method: str, as_synthetic: bool = False) -> Plant:
    """Return the right way: cut, then grow the rare class of the train set alone."""

    def plant(real: RealSet, rng: Rng) -> Planted | None:
        if method != "ros" and not has_fine_numbers(real):
            return None
        by = "group" if real.data.schema.with_role("group") else "stratified"
        cut = clean_split(real, rng, by)
        frame = cut.train.to_pandas()
        whole = grown(frame, real, 1.0, method, int(rng.integers(1 << 30)))
        data = as_dataset(whole, real.target, roles_of(real))
        if as_synthetic:
            return replace(cut, synthetic=data.slice(len(frame), len(data)))
        return replace(cut, train=data)

    return plant


def cut_by(by: str) -> Plant:
    """Return a clean cut by time, group or at random; None where the set has no such column."""

    def plant(real: RealSet, rng: Rng) -> Planted | None:
        if by in ("time", "group"):
            return clean_split(real, rng, by) if real.data.schema.with_role(by) else None
        return None if real.data.schema.with_role("group") else clean_split(real, rng)

    return plant


def drawn_from_train(generator: str) -> Plant:
    """Return a clean cut with a synthetic set whose generator saw the train set alone."""

    def plant(real: RealSet, rng: Rng) -> Planted | None:
        if real.data.schema.with_role("group") or real.data.schema.of_kind("id"):
            return None  # the generators used here make no ids
        cut = clean_split(real, rng)
        fitted = build("generator", generator, {}).fit(cut.train, rng)
        return replace(cut, synthetic=fitted.sample(len(cut.train), rng))

    return plant


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
    "SMOTE from all rows as the synthetic set": grown_from_all_rows,
    "copies of 5 % of the holdout in train": copied_into_train(COPIED),
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
    "groups on both sets": shared_groups,
    "a cut by time that is none": time_travel,
    "holdout rows flagged as made": flagged_rows,
    "a holdout whose card says synthetic": synthetic_card,
    "parents in the holdout": parents_in_holdout,
    "copies of the holdout as the synthetic set": holdout_copied_as_synthetic,
}
CLEAN: dict[str, Plant] = {
    "cut at random, by class": cut_by("stratified"),
    "cut by time": cut_by("time"),
    "cut by group": cut_by("group"),
    "cut, then random oversampling of train": grown_after_the_cut("ros"),
    "cut, then SMOTE of train": grown_after_the_cut("smote"),
    "cut, then SMOTE of train on whole numbers": grown_after_the_cut("rounded"),
    "cut, SMOTE rows of train as the synthetic set": grown_after_the_cut(
        "smote", as_synthetic=True
    ),
    "cut, bootstrap of train as the synthetic set": drawn_from_train("tabular.bootstrap"),
    "cut, copula of train as the synthetic set": drawn_from_train("tabular.copula"),
}


def plant(kind: str, real: RealSet, seed: int) -> Planted | None:
    """Return the set cut with a leak of this kind, or clean; None where the set cannot have it."""
    if kind in KINDS and "group" not in kind:
        # Cards in train and holdout would be refused first, and hide whether the planted leak is seen.
        fields = real.data.schema.fields
        plain = [replace(f, role="feature") if f.role == "group" else f for f in fields]
        real = replace(real, data=real.data.with_schema(Schema(tuple(plain))))
    return {**KINDS, **CLEAN}[kind](real, rng_for(seed, "leak", kind, real.name))

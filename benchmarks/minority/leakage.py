"""Count the planted leaks that the guard refuses, and the clean cuts that it lets pass."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.markdown import table
from benchmarks.minority.real_sets import RealSet, as_dataset, real_set
from benchmarks.runner import JOBS, Row, Settings, crossed, grouped, load_yaml
from twinset.core.data.dataset import Dataset
from twinset.core.data.schema import Schema
from twinset.core.seeding import rng_for
from twinset.measurement.comparison import split_rows
from twinset.measurement.leakage import find_leakage
from twinset.registry import build

CLEAN_SETS: list[str] = JOBS["minority.leakage"]["settings"]["sets"]
PLANTED_SETS = CLEAN_SETS[:8]  # leaks are planted into these; clean cuts are made of all
CLEAN_SEEDS = (0, 1, 2)  # clean cuts are few kinds, so each is made three times
COPIED = 0.05  # share of rows that occur in both parts

_YAML = load_yaml(__file__, "leaks.yaml")
KINDS: dict[str, dict[str, Any]] = _YAML["leaks"]
CLEAN: dict[str, dict[str, Any]] = _YAML["clean"]
Rng = np.random.Generator


@dataclass(frozen=True)
class Planted:
    """A set cut in two, with or without a leak."""

    train: Dataset
    holdout: Dataset
    synthetic: Dataset | None = None  # rows to train on
    split_by: str = "stratified"  # how the cut is said to be made


def clean_split(real: RealSet, rng: Rng, by: str = "stratified") -> Planted:
    fraction = float(rng.choice([0.2, 0.3, 0.5]))
    train, holdout = split_rows(real.data, by=by, on=None, holdout_fraction=fraction, rng=rng)  # type: ignore[arg-type]
    return Planted(real.data.take(train), real.data.take(holdout), None, by)


def grown(real: RealSet, frame: pd.DataFrame, ratio: float, method: str, rng: Rng) -> Dataset:
    """Return rows with their rare class grown by imbalanced-learn: "ros", "smote" or "rounded"."""
    from imblearn.over_sampling import SMOTE, SMOTENC, RandomOverSampler

    y, x = frame[real.target].astype(str), frame.drop(columns=real.target)
    counts = y.value_counts()
    wanted = max(int(ratio * counts.iloc[0]), int(1.2 * counts.iloc[-1]))
    strategy = {counts.index[-1]: min(wanted, int(counts.iloc[0]))}
    settings = {"sampling_strategy": strategy, "random_state": int(rng.integers(1 << 30))}
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
    found = found.copy().assign(**{real.target: labels})[list(frame.columns)]
    return as_dataset(found, real.target, roles_of(real))


def roles_of(real: RealSet) -> dict[str, str]:
    """Return the columns that are a group, a time or a key, with their roles."""
    roles = ("group", "time", "identifier")
    return {f.name: f.role for f in real.data.schema.fields if f.role in roles}


def takes(real: RealSet, method: str) -> bool:
    """Return whether rows can lie between others: three numbers, and no card, time or key."""
    numbers = real.data.schema.of_kind("number", "integer")
    return method == "ros" or (len(numbers) >= 3 and not roles_of(real))


def like_column(column: pd.Series, texts: pd.Series) -> pd.Series:
    """Return texts as values of the type of a column."""
    if pd.api.types.is_bool_dtype(column):
        return texts.str.lower() == "true"
    return pd.to_numeric(texts) if pd.api.types.is_numeric_dtype(column) else texts


def grown_first(
    real: RealSet, rng: Rng, method: str, ratio: float, real_test: bool = False
) -> Planted | None:
    """Make the mistake of growing the rare class first and cutting after."""
    if not takes(real, method):
        return None
    data = grown(real, real.data.to_pandas(), ratio, method, rng)
    if not real_test:
        return clean_split(replace(real, data=data), rng)
    test = (np.arange(len(data)) < len(real.data)) & (rng.random(len(data)) < 0.3)
    return Planted(data.filter(~test), data.filter(test))


def grown_from_all_rows(real: RealSet, rng: Rng) -> Planted | None:
    """Cut first, but let SMOTE learn from all rows: its rows come as the synthetic set."""
    if not takes(real, "smote"):
        return None
    whole = grown(real, real.data.to_pandas(), 1.0, "smote", rng)
    made = whole.slice(len(real.data), len(whole))
    return replace(clean_split(real, rng), synthetic=made)


def copied_into_train(
    real: RealSet, rng: Rng, share: float = COPIED, rare_only: bool = False
) -> Planted:
    cut = clean_split(real, rng)
    copies = _picked(cut.holdout, real, rng, share, rare_only)
    return replace(cut, train=Dataset.concat([cut.train, copies]))


def train_rows_in_holdout(real: RealSet, rng: Rng) -> Planted:
    cut = clean_split(real, rng)
    return replace(cut, holdout=Dataset.concat([cut.holdout, _picked(cut.train, real, rng)]))


def _picked(
    part: Dataset, real: RealSet, rng: Rng, share: float = COPIED, rare_only: bool = False
) -> Dataset:
    """Return a share of the rows, 60 at least: fewer copies than chance explains are no leak."""
    codes, levels = part.codes(real.target)
    rows = np.flatnonzero(codes == levels.index(real.rare)) if rare_only else np.arange(len(part))
    n = min(len(rows), max(60, int(share * len(rows))))
    return part.take(np.sort(rng.choice(rows, n, replace=False)))


Change = Callable[[pd.DataFrame, RealSet, Rng], None]


def with_copies(
    split: Planted, real: RealSet, rng: Rng, change: Change, roles: Mapping[str, str]
) -> Planted:
    """Return a cut with holdout rows in the train set that have something changed."""
    moved = _picked(split.holdout, real, rng).to_pandas()
    change(moved, real, rng)
    frame = pd.concat([split.train.to_pandas(), moved], ignore_index=True)
    return replace(split, train=as_dataset(frame, real.target, roles))


def changed_in_train(real: RealSet, rng: Rng, change: str) -> Planted:
    return with_copies(clean_split(real, rng), real, rng, CHANGES[change], roles_of(real))


def flip_labels(moved: pd.DataFrame, real: RealSet, rng: Rng) -> None:
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


CHANGES: dict[str, Change] = {f.__name__: f for f in (flip_labels, jitter, redraw_one_column)}


def other_column_order(real: RealSet, rng: Rng) -> Planted:
    cut = copied_into_train(real, rng)
    return replace(cut, train=cut.train.select(list(cut.train.schema.names)[::-1]))


def other_keys(real: RealSet, rng: Rng, column: str) -> Planted:
    """Make the mistake of copies under a new id, running number, time or group."""
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

    def renew(moved: pd.DataFrame, real: RealSet, rng: Rng) -> None:
        m, later = len(moved), pd.Timestamp("2025-01-01")
        moved[column] = {
            "id": [f"X-{i:07d}" for i in range(m)],
            "number": n + 20_000 + np.arange(m),
            "time": later + pd.to_timedelta(np.arange(m), "s"),
            "group": [f"h{i}" for i in range(m)],
        }[column]

    return with_copies(cut, real, rng, renew, roles)


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
    a, b = (
        part.with_reserved(ids=[f"{name}{i}" for i in range(len(part))])
        for name, part in (("a", first), ("b", second.with_card(origin="synthetic")))
    )
    return replace(cut, holdout=Dataset.concat([a, replace(b, card=a.card)]))


def synthetic_card(real: RealSet, rng: Rng) -> Planted:
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


def grown_last(real: RealSet, rng: Rng, method: str, as_synthetic: bool = False) -> Planted | None:
    """Return the right way: cut, then grow the rare class of the train set alone."""
    if not takes(real, method):
        return None
    by = "group" if real.data.schema.with_role("group") else "stratified"
    cut = clean_split(real, rng, by)
    data = grown(real, cut.train.to_pandas(), 1.0, method, rng)
    if as_synthetic:
        return replace(cut, synthetic=data.slice(len(cut.train), len(data)))
    return replace(cut, train=data)


def cut_by(real: RealSet, rng: Rng, by: str) -> Planted | None:
    """Return a clean cut by time, group or at random; None where the set has no such column."""
    has_role = real.data.schema.with_role("group" if by == "stratified" else by)
    return clean_split(real, rng, by) if bool(has_role) == (by != "stratified") else None


def drawn_from_train(real: RealSet, rng: Rng, generator: str) -> Planted | None:
    """Return a clean cut with a synthetic set whose generator saw the train set alone."""
    if real.data.schema.with_role("group") or real.data.schema.of_kind("id"):
        return None  # the generators used here make no ids
    cut = clean_split(real, rng)
    fitted = build("generator", generator, {}).fit(cut.train, rng)
    return replace(cut, synthetic=fitted.sample(len(cut.train), rng))


PLANTS: dict[str, Callable[..., Planted | None]] = {
    f.__name__: f
    for f in (grown_first, grown_from_all_rows, copied_into_train, train_rows_in_holdout,
              other_column_order, changed_in_train, other_keys, shared_groups, time_travel,
              flagged_rows, synthetic_card, parents_in_holdout, holdout_copied_as_synthetic,
              grown_last, cut_by, drawn_from_train)
}  # fmt: skip


def plant(kind: str, real: RealSet, seed: int) -> Planted | None:
    """Return the set cut with a leak of this kind, or clean; None where the set cannot have it."""
    if kind in KINDS and "group" not in kind:
        # Cards in train and holdout would be refused first, and hide whether the planted leak is seen.
        fields = real.data.schema.fields
        plain = [replace(f, role="feature") if f.role == "group" else f for f in fields]
        real = replace(real, data=real.data.with_schema(Schema(tuple(plain))))
    how = dict({**KINDS, **CLEAN}[kind])
    return PLANTS[how.pop("plant")](real, rng_for(seed, "leak", kind, real.name), **how)


def jobs(options: Settings) -> list[Row]:
    found = []
    for name in options.sets:
        if name in PLANTED_SETS:
            found += crossed(set=[name], kind=KINDS, seed=[0])
        found += crossed(set=[name], kind=CLEAN, seed=CLEAN_SEEDS)
    return found


_real = lru_cache(maxsize=1)(real_set)


def measure(job: Row) -> Row:
    """Return what the guard finds in one set; "refused" is None where the set cannot have the leak."""
    planted = plant(job["kind"], _real(job["set"]), job["seed"])
    row = {**job, "is_leak": job["kind"] in KINDS, "refused": None}
    if planted is None:
        return row
    started = time.process_time()
    found = find_leakage(
        planted.train, planted.holdout, planted.synthetic, split_by=planted.split_by
    )
    return row | {
        "refused": not found.is_clean,
        "found": [leak.to_json() for leak in found.leaks],
        "rows": len(planted.train) + len(planted.holdout),
        "cpu_seconds": round(time.process_time() - started, 2),
    }


def summary(rows: Sequence[Row]) -> list[Row]:
    """Return the rows of leaks that their sets can have, in the order of the sets."""
    known = [row for row in rows if row["refused"] is not None]
    return sorted(known, key=lambda row: CLEAN_SETS.index(row["set"]))


def blocks(rows: Sequence[Row]) -> dict[str, str]:
    leaks, clean = ([row for row in rows if row["is_leak"] == leak] for leak in (True, False))
    sets, by_kind = list(grouped(leaks, "set")), grouped(clean, "kind")
    refused, n_false = (sum(row["refused"] for row in part) for part in (leaks, clean))
    summary = (
        f"**{refused} of {len(leaks)} planted leaks are refused** ({len(grouped(leaks, 'kind'))} "
        f"kinds on {len(sets)} sets); **{n_false} false positives on {len(clean)} clean cuts** "
        f"({len(grouped(clean, 'set'))} sets). Slowest check: "
        f"{max(row['cpu_seconds'] for row in rows):.1f} CPU seconds "
        f"(largest set: {max(row['rows'] for row in rows):,} rows)."
    )
    cells = {(r["set"], r["kind"]): "refused" if r["refused"] else "MISSED" for r in leaks}
    planted = [[kind, *(cells.get((name, kind), "-") for name in sets)] for kind in KINDS]
    passed = [
        [kind, len(by_kind[kind]), sum(row["refused"] for row in by_kind[kind])]
        for kind in CLEAN
        if kind in by_kind
    ]
    return {
        "summary": summary,
        "planted": table(["planted", *sets], planted),
        "clean": table(["clean", "cuts", "false positives"], passed),
    }

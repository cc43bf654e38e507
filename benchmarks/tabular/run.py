"""Run the tabular benchmark: fit, sample, score.

``--methods`` and ``--peers`` take names, ``all`` or ``none``. ``--keep`` leaves the recorded rows of
other methods as they are; ``--resume FOLDER`` continues a run that was stopped.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path

from benchmarks.markdown import bullets, table
from benchmarks.runner import Row, Settings, crossed
from benchmarks.tabular import tables
from benchmarks.tabular.jobs import PEERS, Method, fit
from benchmarks.tabular.score import Scorer, Scores
from benchmarks.tabular.sets import SETS, halves, load

OURS = ("tabular.trees", "tabular.network", "tabular.gan", "tabular.copula", "tabular.marginals")
RELEASED = ("released:adult", "released:shoppers")


@lru_cache(maxsize=1)
def _scorer(name: str) -> Scorer:
    return Scorer(load(name))


def _train_scores(scorer: Scorer) -> Scores:
    train = scorer.table.train
    return scorer.fidelity(train) | scorer.leakage(train.iloc[halves(len(train))[0]])


REAL: Mapping[str, Callable[[Scorer], Scores]] = {
    "real.train": _train_scores,
    "real.holdout": Scorer.holdout,
    "real.halves": Scorer.floor,
}


def jobs(options: Settings) -> list[Row]:
    """Return the fits: of ours for every seed, of peers that are installed for one."""
    chosen = dict.fromkeys(REAL if options.real else (), 1)
    chosen |= dict.fromkeys(_names(options.methods, OURS), options.seeds)
    chosen |= dict.fromkeys(_names(options.peers, PEERS), 1)
    found = [
        job
        for name in _names(options.sets, SETS)
        for label, n_seeds in chosen.items()
        for job in crossed(set=[name], method=[label], seed=range(n_seeds))
    ]
    for label in chosen:
        if not Path(Method(label).python).exists():
            print(f"{label}: not installed (python -m benchmarks.tabular.jobs {PEERS[label]})")
            found = [job for job in found if job["method"] != label]
    parts = ("full",) if options.no_privacy else ("full", "half")
    more = {"parts": parts, "cap_minutes": options.cap_minutes, "threads": options.threads}
    return [job | more for job in found]


def _names(given: Sequence[str], every: Iterable[str]) -> list[str]:
    return list(every) if "all" in given else [name for name in given if name != "none"]


def measure(job: Row) -> Row:
    scorer, seed = _scorer(job["set"]), job["seed"]
    row = {name: job[name] for name in ("set", "method", "seed")}
    if job["method"] in REAL:
        return row | {"scores": REAL[job["method"]](scorer)}
    scores, costs = Scores(), {}
    limits = {"cap_minutes": job["cap_minutes"], "threads": job["threads"]}
    for part in job["parts"]:
        rows, costs[part] = fit(Method(job["method"]), scorer.table, seed, part, **limits)
        if rows is not None:
            full = part == "full"
            scores |= scorer.fidelity(rows, seed=seed) if full else scorer.leakage(rows)
    return row | {"scores": scores, "costs": costs}


def summary(rows: Sequence[Row]) -> list[Row]:
    """Return the rows in the order of sets, then methods (real rows and ours first), then seeds."""
    sets, beginnings = list(SETS), ("real.", "tabular.trees", "tabular.", "minority.")

    def rank(row: Row) -> tuple[object, ...]:
        name, method = row["set"], row["method"]
        first = [method.startswith(text) for text in beginnings]
        place = sets.index(name) if name in sets else len(sets)
        return place, name, first.index(True) if any(first) else 9, method, row["seed"]

    return sorted(rows, key=rank)


def blocks(rows: Sequence[Row]) -> dict[str, str]:
    costs = [(row, part, found) for row in rows for part, found in (row.get("costs") or {}).items()]
    versions = {row["method"]: found["versions"] for row, _, found in costs if "versions" in found}
    lines = [
        [name, ", ".join(f"{p} {v}" for p, v in packages.items() if v != "absent")]
        for name, packages in versions.items()
    ]
    unfinished = [
        f"{row['method']} on {row['set']}, fit to {'all' if part == 'full' else 'half'} of train: "
        f"{found['unfinished']}"
        for row, part, found in costs
        if "unfinished" in found
    ]
    ran = {(row["set"], row["method"]) for row in rows}
    for name in SETS:
        if missing := [peer for peer in PEERS if (name, peer) not in ran]:
            unfinished.append(f"Not run on {name}: {', '.join(missing)}.")
    blocks = {
        "versions": table(["", "versions"], lines),
        "goals": tables.goals(rows),
        "means": tables.over_sets(rows),
        "quoted": tables.quoted(),
        "unfinished": bullets(unfinished) or "Everything finished.",
    }
    return blocks | {name: _set_block(rows, name) for name in (*SETS, *RELEASED)}


def _set_block(rows: Sequence[Row], name: str) -> str:
    own = [row for row in rows if row["set"] == name]
    parts = {
        "As published:": tables.method_table(own, tables.PUBLISHED),
        "Stricter:": tables.method_table(own, tables.STRICTER),
    }
    if name in SETS:
        parts["Worst column and pair:"] = tables.worst_table(own)
        parts["Cost:"] = tables.method_table(own, tables.COSTS)
    return "\n\n".join(f"{title}\n\n{text}" for title, text in parts.items())

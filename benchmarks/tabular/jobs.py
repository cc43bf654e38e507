"""Fit and sample a generator in a fresh process, within a time cap, and keep what it made.

A job's rows and costs lie in ``cache/<set>/<method>/<seed>/<part>.parquet`` and ``.json`` and are
made once; `part` is "full" (fitted to train) or "half" (fitted to the members of the privacy
protocol). A generator of ours is run anew when the source it may use has changed.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import resource
import subprocess
import sys
import time
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

import pandas as pd
import yaml

from benchmarks.tabular.sets import TableSet, halves

HERE = Path(__file__).parent
REPOSITORY = HERE.parents[1]
CACHE = HERE / "cache"
VENVS = HERE / ".venvs"

Part = Literal["full", "half"]

# Peer -> (adapter, virtual environment; None is the running one, the adapter's own name for it).
PEERS: dict[str, tuple[str, str | None, str]] = {
    "sdv.gaussian_copula": ("for_sdv.py", "sdv", "gaussian_copula"),
    "sdv.ctgan": ("for_sdv.py", "sdv", "ctgan"),
    "sdv.tvae": ("for_sdv.py", "sdv", "tvae"),
    "sdv.copulagan": ("for_sdv.py", "sdv", "copulagan"),
    "mostlyai": ("for_mostly.py", "mostly", "mostlyai"),
    "arfpy": ("for_arfpy.py", "arfpy", "arfpy"),
    "forestdiffusion": ("for_forest.py", "forest", "forestdiffusion"),
    "smote": ("for_smote.py", None, "smote"),
}


@dataclass(frozen=True)
class Method:
    """A generator of ours with settings, or a peer.

    Parameters
    ----------
    label : str
        As given on the command line: ``tabular.trees``, ``tabular.trees?min_leaf=80``,
        ``sdv.ctgan``.
    """

    label: str

    @property
    def is_peer(self) -> bool:
        """Whether it is not one of our generators."""
        return self.label in PEERS

    @property
    def folder(self) -> str:
        """Name of its folder in the cache."""
        return re.sub(r"[^A-Za-z0-9._=-]+", "_", self.label)

    def command(self) -> tuple[list[str], str, dict[str, object]]:
        """Return the command before the job file, the adapter's name for it, and its settings."""
        if self.is_peer:
            adapter, venv, name = PEERS[self.label]
            python = str(VENVS / venv / "bin" / "python") if venv else sys.executable
            return [python, str(HERE / "adapters" / adapter)], name, {}
        name, _, settings = self.label.partition("?")
        pairs = (pair.partition("=") for pair in settings.split("&") if pair)
        return (
            [sys.executable, str(HERE / "adapters" / "for_twinset.py")],
            name,
            {key: yaml.safe_load(value) for key, _, value in pairs},
        )

    @property
    def installed(self) -> bool:
        """Whether its virtual environment is there."""
        return Path(self.command()[0][0]).exists()


@dataclass(frozen=True)
class Outcome:
    """What a job left: rows and costs, or why it did not finish.

    Parameters
    ----------
    rows : pandas.DataFrame or None
        The synthetic table.
    costs : mapping
        Seconds, memory and versions; `unfinished` with the reason when there are no rows.
    """

    rows: pd.DataFrame | None
    costs: dict[str, Any]


def outcome(
    method: Method,
    table: TableSet,
    seed: int,
    part: Part,
    *,
    cap_minutes: float,
    threads: int = 2,
    cached_only: bool = False,
    keep_stale: bool = False,
) -> Outcome | None:
    """Return the cached outcome of a job, running it first where needed.

    Parameters
    ----------
    cap_minutes : float
        CPU minutes after which the job is stopped and marked unfinished (wall time: three times).
    threads : int
        Most threads the generator may use.
    cached_only : bool
        Return None rather than run.
    keep_stale : bool
        Keep what an earlier source of our generators made.
    """
    folder = CACHE / table.name / method.folder / str(seed)
    rows, costs = folder / f"{part}.parquet", folder / f"{part}.json"
    source = "" if method.is_peer else _source_digest()
    if costs.exists():
        known = json.loads(costs.read_text())
        older = known.get("source", "") != source and not keep_stale
        longer = "unfinished" in known and known["cap_minutes"] < cap_minutes
        if cached_only or not (older or longer):
            return Outcome(pd.read_parquet(rows) if rows.exists() else None, known)
    if cached_only or not method.installed:
        return None
    folder.mkdir(parents=True, exist_ok=True)
    rows.unlink(missing_ok=True)
    found = _run(method, table, seed, part, rows, cap_minutes, threads)
    if "unfinished" in found:
        found["cap_minutes"] = cap_minutes
    costs.write_text(json.dumps(found | {"source": source}, indent=1))
    return Outcome(pd.read_parquet(rows) if rows.exists() else None, found)


def _run(
    method: Method,
    table: TableSet,
    seed: int,
    part: Part,
    rows: Path,
    cap_minutes: float,
    threads: int,
) -> dict[str, Any]:
    command, name, settings = method.command()
    train = table.train if part == "full" else table.train.iloc[halves(len(table.train))[0]]
    files = {key: rows.with_name(f"{part}.{key}") for key in ("train", "job", "log")}
    made, costs = rows.with_suffix(".partial"), rows.with_name(f"{part}.costs")
    as_written(train, table).to_parquet(files["train"], index=False)
    job = {
        "train": str(files["train"]),
        "out": str(made),
        "costs": str(costs),
        "method": name,
        "settings": settings,
        "categories": list(table.roles.categories),
        "target": table.roles.target,
        "rows": len(train),
        "seed": seed,
        "threads": threads,
    }
    files["job"].write_text(json.dumps(job))
    started = time.perf_counter()
    why = _spawn([*command, str(files["job"])], files["log"], cap_minutes, threads)
    for leftover in (files["train"], files["job"]):
        leftover.unlink()
    if why or not costs.exists():
        made.unlink(missing_ok=True)
        last = files["log"].read_text(errors="replace").strip().splitlines()[-1:]
        return {
            "unfinished": why or f"failed: {' '.join(last)[:200]}",
            "wall": time.perf_counter() - started,
        }
    made.replace(rows)
    found: dict[str, Any] = json.loads(costs.read_text())
    costs.unlink()
    return found


def _spawn(command: list[str], log: Path, cap_minutes: float, threads: int) -> str:
    """Run a command; return why it was stopped, or an empty text."""
    seconds = int(60 * cap_minutes)
    # A busy machine gives a process less than a core.
    wall = max(3 * seconds, seconds + 60)
    environment = os.environ | {
        variable: str(threads)
        for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
    }
    environment |= {"PYTHONPATH": str(REPOSITORY), "PYTHONDONTWRITEBYTECODE": "1"}

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 10))

    with log.open("w") as lines:
        try:
            done = subprocess.run(
                command,
                stdout=lines,
                stderr=subprocess.STDOUT,
                env=environment,
                preexec_fn=limit,
                timeout=wall,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return f"stopped after {wall / 60:g} minutes"
    if done.returncode in (-24, -9, 137, 152):
        return f"stopped after {cap_minutes:g} CPU minutes (or out of memory)"
    return ""


def as_written(frame: pd.DataFrame, table: TableSet) -> pd.DataFrame:
    """Return the frame as a reader of the source file would: whole numbers are integers."""
    whole = [c for c in table.roles.numbers if (table.train[c] % 1 == 0).all()]
    return frame.astype(dict.fromkeys(whole, "int64"))


@cache
def _source_digest() -> str:
    """Return a digest of the source that our generators may use."""
    found = hashlib.sha256()
    for folder in ("generators", "twinset/core"):
        for path in sorted((REPOSITORY / folder).rglob("*.py")):
            found.update(path.read_bytes())
    return found.hexdigest()[:12]

"""Fit and sample a generator in a fresh process, within a time cap, and cache its rows.

A job's rows and costs lie in ``cache/<set>/<method>/<seed>/<part>.parquet`` and ``.json``; `part` is
"full" (fitted to train) or "half" (fitted to the members of the privacy protocol). A generator of ours
is run again when the source it may use has changed.
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

FitPart = Literal["full", "half"]

# Peer -> its virtual environment; None is the running one. R's synthpop is no Debian package: tables
# that it drew are among the released ones that are scored.
PEERS: dict[str, str | None] = {
    **{f"sdv.{name}": "sdv" for name in ("gaussian_copula", "ctgan", "tvae", "copulagan")},
    "mostlyai": "mostly",
    "arfpy": "arfpy",
    "forestdiffusion": "forest",
    "smote": None,
}
_OF_2024 = ("numpy==1.26.4", "pandas==2.2.3", "scikit-learn==1.5.2", "scipy==1.13.1",
            "pyarrow==17.0.0")  # fmt: skip
# Versions of the committed results; older libraries need those of their time. SDV is under BUSL-1.1.
PACKAGES: dict[str, tuple[str, ...]] = {
    "sdv": ("sdv==2.0.0", "pyarrow"),
    "mostly": ("mostlyai-engine==2.7.3", "pyarrow"),
    "arfpy": ("arfpy==0.1.1", *_OF_2024),
    "forest": ("ForestDiffusion==1.0.6", "pandas", "pyarrow"),
}


def install(name: str) -> None:
    """Create the virtual environment of a peer in ``.venvs``, unless it exists."""
    python = VENVS / name / "bin" / "python"
    if not python.exists():
        VENVS.mkdir(exist_ok=True)
        subprocess.run([sys.executable, "-m", "venv", str(VENVS / name)], check=True)
        pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, *PACKAGES[name]], check=True)


@dataclass(frozen=True)
class Method:
    """A generator of ours with settings, or a peer, by its label on the command line.

    ``tabular.trees``, ``tabular.trees?min_leaf=80``, ``sdv.ctgan``.
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

    @property
    def python(self) -> str:
        """Interpreter that it runs by."""
        venv = PEERS.get(self.label)
        return str(VENVS / venv / "bin" / "python") if venv else sys.executable

    def parsed(self) -> tuple[str, dict[str, object]]:
        """Return the name of the method and its settings."""
        name, _, settings = self.label.partition("?")
        pairs = (pair.partition("=") for pair in settings.split("&") if pair)
        return name, {key: yaml.safe_load(value) for key, _, value in pairs}

    @property
    def installed(self) -> bool:
        """Whether its virtual environment exists."""
        return Path(self.python).exists()


@dataclass(frozen=True)
class Outcome:
    """Rows and costs of a job, or the reason why it did not finish."""

    rows: pd.DataFrame | None
    costs: dict[str, Any]  # seconds, memory and versions; `unfinished` with the reason


def outcome(
    method: Method,
    table: TableSet,
    seed: int,
    part: FitPart,
    *,
    cap_minutes: float,
    threads: int = 2,
    cached_only: bool = False,
    keep_stale: bool = False,
) -> Outcome | None:
    """Return the cached outcome of a job, running it first where needed.

    After `cap_minutes` of CPU time (three times as much wall time) the job is stopped and marked
    unfinished. With `cached_only` None is returned rather than a job run; with `keep_stale` rows of
    an earlier source of our generators are kept.
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
    part: FitPart,
    rows: Path,
    cap_minutes: float,
    threads: int,
) -> dict[str, Any]:
    name, settings = method.parsed()
    train = table.train if part == "full" else table.train.iloc[halves(len(table.train))[0]]
    files = {key: rows.with_name(f"{part}.{key}") for key in ("train", "job", "log")}
    drawn, costs = rows.with_suffix(".partial"), rows.with_name(f"{part}.costs")
    as_written(train, table).to_parquet(files["train"], index=False)
    job = {
        "train": str(files["train"]),
        "out": str(drawn),
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
    command = [method.python, str(HERE / "adapter.py"), str(files["job"])]
    reason = _spawn(command, files["log"], cap_minutes, threads)
    for leftover in (files["train"], files["job"]):
        leftover.unlink()
    if reason or not costs.exists():
        drawn.unlink(missing_ok=True)
        last = files["log"].read_text(errors="replace").strip().splitlines()[-1:]
        return {
            "unfinished": reason or f"failed: {' '.join(last)[:200]}",
            "wall": time.perf_counter() - started,
        }
    drawn.replace(rows)
    found: dict[str, Any] = json.loads(costs.read_text())
    costs.unlink()
    return found


def _spawn(command: list[str], log: Path, cap_minutes: float, threads: int) -> str:
    """Run a command; return the reason why it was stopped, or an empty text."""
    seconds = int(60 * cap_minutes)
    # On a busy machine a process has less than a core.
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
    """Return the table as read from the source file: whole numbers are integers."""
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

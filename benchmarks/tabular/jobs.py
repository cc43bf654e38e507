"""Fit and sample a generator in a fresh process, within a time cap.

python -m benchmarks.tabular.jobs sdv mostly    # create the environments of peers in .venvs
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pandas as pd
import yaml

from benchmarks.runner import load_yaml
from benchmarks.tabular.sets import TableSet, halves

HERE = Path(__file__).parent
VENVS = HERE / ".venvs"

FitPart = Literal["full", "half"]  # fitted to train, or to the members of the privacy protocol

_YAML = load_yaml(__file__, "peers.yaml")
PEERS: dict[str, str | None] = _YAML["environments"]
PACKAGES: dict[str, list[str]] = _YAML["packages"]


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
    def python(self) -> str:
        """Interpreter that it runs by; it need not exist."""
        venv = PEERS.get(self.label)
        return str(VENVS / venv / "bin" / "python") if venv else sys.executable

    def parsed(self) -> tuple[str, dict[str, object]]:
        name, _, settings = self.label.partition("?")
        pairs = (pair.partition("=") for pair in settings.split("&") if pair)
        return name, {key: yaml.safe_load(value) for key, _, value in pairs}


def fit(
    method: Method,
    table: TableSet,
    seed: int,
    part: FitPart,
    *,
    cap_minutes: float,
    threads: int = 2,
) -> tuple[pd.DataFrame | None, dict[str, Any]]:
    """Return rows and costs of one fit: seconds, memory and versions.

    After `cap_minutes` of CPU time (three times as much wall time) the process is stopped. There are
    no rows then, and the costs are the reason, `unfinished`.
    """
    name, settings = method.parsed()
    train = table.train if part == "full" else table.train.iloc[halves(len(table.train))[0]]
    with tempfile.TemporaryDirectory() as folder:
        paths = {key: Path(folder) / key for key in ("train", "out", "costs", "job", "log")}
        as_written(train, table).to_parquet(paths["train"], index=False)
        job: dict[str, Any] = {key: str(paths[key]) for key in ("train", "out", "costs")}
        job |= {"method": name, "settings": settings, "target": table.roles.target}
        job |= {"categories": list(table.roles.categories), "rows": len(train)}
        paths["job"].write_text(json.dumps(job | {"seed": seed, "threads": threads}))
        command = [method.python, str(HERE / "adapter.py"), str(paths["job"])]
        reason = spawn(command, paths["log"], cap_minutes, threads)
        if reason or not paths["costs"].exists():
            last = paths["log"].read_text(errors="replace").strip().splitlines()[-1:]
            return None, {"unfinished": reason or f"failed: {' '.join(last)[:200]}"}
        return pd.read_parquet(paths["out"]), json.loads(paths["costs"].read_text())


def spawn(command: list[str], log: Path, cap_minutes: float, threads: int) -> str:
    """Run a command; return the reason why it was stopped, or an empty text."""
    seconds = int(60 * cap_minutes)
    # On a busy machine a process has less than a core.
    wall = max(3 * seconds, seconds + 60)
    variables = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
    environment = os.environ | dict.fromkeys(variables, str(threads))
    environment |= {"PYTHONPATH": str(HERE.parents[1]), "PYTHONDONTWRITEBYTECODE": "1"}

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 10))

    with log.open("w") as lines:
        streams: dict[str, Any] = {"stdout": lines, "stderr": subprocess.STDOUT}
        try:
            done = subprocess.run(
                command, **streams, env=environment, preexec_fn=limit, timeout=wall, check=False
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


if __name__ == "__main__":
    for word in sys.argv[1:]:
        install(word)

"""Run a command of twinset in a fresh folder, with limits on time and memory."""

from __future__ import annotations

import hashlib
import os
import resource
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.robustness.files import build, place

TWINSET = Path(sys.executable).with_name("twinset")
CPU_SECONDS = 60  # what one command may cost; CPU time, so that a busy machine changes nothing
WALL_SECONDS = 240.0  # a command that waits for ever uses no CPU time
RSS_MIB = 2048  # what one command may hold
ADDRESS_SPACE = 8 << 30  # keeps a runaway from the machine's other users; above what libraries map


@dataclass(frozen=True)
class Outcome:
    """What one command did."""

    exit_code: int  # negative: the signal that ended it
    out: str
    err: str
    seconds: float
    cpu_seconds: float
    rss_mib: float
    is_late: bool  # it was ended by a limit of time


@dataclass(frozen=True)
class Sandbox:
    """A folder with a working directory, a home and a folder of temporary files."""

    root: Path

    @property
    def work(self) -> Path:
        return self.root / "work"

    @property
    def temporary(self) -> Path:
        return self.root / "tmp"

    def open(self, files: Mapping[str, Any]) -> Sandbox:
        """Return the sandbox with its folders, and the declared files in the working directory."""
        for folder in (self.work, self.temporary, self.root / "home"):
            folder.mkdir(parents=True)
        for name, spec in files.items():
            place(self.work, name, spec)
        return self

    def step(self, step: Any) -> None:
        """Do one preparing step: a command, ``{write: files}``, ``{delete: glob}`` or ``{mode: ...}``."""
        if isinstance(step, str):
            self.run(shlex.split(step))
            return
        for pattern, spec in step.get("write", {}).items():
            matching = sorted(self.work.glob(pattern)) if "*" in pattern else []
            for path in matching[: step.get("first")]:
                path.chmod(0o600)
                path.write_bytes(build(spec))
            if not matching:
                place(self.work, pattern, spec)
        if "delete" in step:
            for path in sorted(self.work.glob(step["delete"]))[: step.get("first")]:
                path.unlink()
        for pattern, fraction in step.get("cut", {}).items():
            for path in sorted(self.work.glob(pattern))[: step.get("first")]:
                path.chmod(0o600)
                path.write_bytes(path.read_bytes()[: int(path.stat().st_size * fraction)])
        for name, mode in step.get("mode", {}).items():
            (self.work / name).chmod(int(mode, 8))

    def run(self, arguments: Sequence[str], wall: float = WALL_SECONDS) -> Outcome:
        """Run ``twinset ARGUMENTS`` in the working directory."""
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.root / "home"),
            "TMPDIR": str(self.temporary),
            "LANG": "C.UTF-8",
            "OMP_NUM_THREADS": "1",
            "OPENBLAS_NUM_THREADS": "1",
        }
        out, err = self.root / "out", self.root / "err"
        start = time.monotonic()
        with out.open("wb") as out_file, err.open("wb") as err_file:
            process = subprocess.Popen(
                [str(TWINSET), *arguments],
                cwd=self.work,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=out_file,
                stderr=err_file,
                start_new_session=True,
            )
            for kind, limit in (
                (resource.RLIMIT_CPU, CPU_SECONDS),
                (resource.RLIMIT_AS, ADDRESS_SPACE),
                (resource.RLIMIT_CORE, 0),
                (resource.RLIMIT_FSIZE, 4 << 30),
            ):
                resource.prlimit(process.pid, kind, (limit, limit))
            is_late = False
            while True:
                done, status, usage = os.wait4(process.pid, os.WNOHANG)
                if done:
                    break
                if time.monotonic() - start > wall and not is_late:
                    is_late = True
                    os.killpg(process.pid, signal.SIGKILL)
                time.sleep(0.01)
        process.returncode = code = os.waitstatus_to_exitcode(status)
        cpu = usage.ru_utime + usage.ru_stime
        return Outcome(
            exit_code=code,
            out=out.read_bytes().decode("utf-8", "replace"),
            err=err.read_bytes().decode("utf-8", "replace"),
            seconds=time.monotonic() - start,
            cpu_seconds=cpu,
            rss_mib=usage.ru_maxrss / 1024,
            is_late=is_late or cpu > CPU_SECONDS - 1,
        )

    def digests(self) -> dict[str, str]:
        """Return the SHA-256 of every plain file below the working directory."""
        return {
            str(path.relative_to(self.work)): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in sorted(self.work.rglob("*"))
            if path.is_file() and not path.is_symlink() and path.stat().st_size < 1 << 28
        }

"""Interrupt runs in every way that users meet, and start them again: the bytes must be the same.

python -m benchmarks.robustness.interruptions            # 150 interruptions and 50 pairs, minutes
python -m benchmarks.robustness.interruptions --trials 4 --pairs 3
python -m benchmarks.robustness.interruptions --page benchmarks/robustness/RESULTS.md

Each trial begins a command in a fresh folder, interrupts it, and starts it again without a disturbance: a
run of a small recipe, one that replaces the delivery of an earlier run, or `twinset deliver`. The
delivery, the references and digests of the registered sets and the names of all files are compared with
those of a course that nothing disturbed. Runs are forked from a process that has loaded
the libraries, so that a run takes a fraction of a second. POSIX systems only.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import resource
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.markdown import table, write_page

RECIPE = """
name: small
seed: 11
brief: {task: classification, target: town}
source: {name: people, path: people.csv, licence: CC0-1.0}
split: {by: stratified, holdout_fraction: 0.3}
generate:
  - {use: tabular.marginals, rows: 300}
evaluate:
  metrics: [gap.marginals]
deliver: {to: out, formats: [csv, parquet]}
"""
RUN = ("run", "small.yaml")
OTHER = (*RUN, "--set", "seed=12")
# The last command of a course is interrupted; those before it are not.
COURSES: tuple[tuple[tuple[str, ...], ...], ...] = (
    (RUN,),
    (OTHER, RUN),
    (
        ("register", "people.csv", "--licence", "CC0-1.0"),
        ("deliver", "people-real", "out", "--real"),
    ),
)
PAIR_ROWS = "generate.0.rows=20000"  # deliveries that take long enough for two of them to meet
NOBODY = 65534  # the user without rights: permissions do not bind the administrator
TOO_LONG = 120  # seconds after which a run counts as hung
FUTURE = 10 * 365 * 86_400  # seconds: files ten years ahead of a clock that was set back
MAX_EVENTS = 60  # a run of the recipe makes about as many renames, flushes and removals

State = Mapping[str, Any]


@dataclass(frozen=True)
class Outcome:
    """What one trial came to."""

    kind: str
    is_same: bool  # delivery and catalogue after the next start
    n_stray: int  # files after the next start that an undisturbed run does not leave
    is_interrupted: bool  # the first run did not end by itself
    detail: str = ""


def write_inputs(folder: Path) -> None:
    """Write a table of 200 people and the recipe."""
    rng = random.Random(5)
    rows = (f"{20 + 40 * rng.random():.2f},{rng.choice('abc')}\n" for _ in range(200))
    folder.mkdir(parents=True)
    (folder / "people.csv").write_text("age,town\n" + "".join(rows))
    (folder / "small.yaml").write_text(RECIPE)


def load_libraries() -> None:
    """Load what a run needs, without starting a thread."""
    import twinset.cli.recipes
    import twinset.workflows.run  # noqa: F401
    from twinset.registry import list_components

    list_components()


def log_of(folder: Path) -> Path:
    """Return the file that the runs of a folder print to: outside of it, as its disk may be full."""
    return folder.with_name(f"{folder.name}.log")


def start(
    folder: Path, words: Iterable[str] = RUN, prepare: Callable[[], object] = lambda: None
) -> int:
    """Fork a process that runs a command in `folder`; return its number."""
    child = os.fork()
    if child:
        return child
    code = 1
    try:
        os.chdir(folder)
        log = os.open(log_of(folder), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
        os.dup2(log, 1)
        os.dup2(log, 2)
        sys.argv = ["twinset", *words]
        # A process in the background of a shell inherits that these are ignored.
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.signal(signal.SIGHUP, signal.SIG_DFL)
        prepare()
        from twinset.cli import main

        code = main()
    except SystemExit as request:
        code = int(request.code or 0)
    finally:
        if sys.exc_info()[0] is not None:
            traceback.print_exc()
        os._exit(code)


def end(child: int) -> int:
    """Wait for a process; return its exit code, negative for a signal."""
    last = time.monotonic() + TOO_LONG
    while time.monotonic() < last:
        number, status = os.waitpid(child, os.WNOHANG)
        if number:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.005)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return -1000


def state_of(folder: Path) -> dict[str, Any]:
    """Return the delivered bytes, the registered sets and the names of all files."""
    from twinset.catalog import Catalog

    files = sorted(p for p in folder.rglob("*") if p.is_file())
    return {
        "delivery": {
            str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in files
            if path.is_relative_to(folder / "out")
        },
        "sets": {v.ref: v.digest for v in Catalog(folder / ".twinset").sets()},
        "files": {str(path.relative_to(folder)) for path in files},
    }


def dying_at(number: int) -> Callable[[], None]:
    """Return a preparation that kills the process before its file event of that number."""

    def prepare() -> None:
        left = number

        def dies(function: Callable[..., Any]) -> Callable[..., Any]:
            def call(*args: Any, **kwargs: Any) -> Any:
                nonlocal left
                left -= 1
                if left == 0:
                    os.kill(os.getpid(), signal.SIGKILL)
                return function(*args, **kwargs)

            return call

        for name in ("replace", "fsync", "unlink", "rmdir"):
            setattr(os, name, dies(getattr(os, name)))
        connect: Callable[..., sqlite3.Connection] = sqlite3.connect

        def traced(*args: Any, **kwargs: Any) -> sqlite3.Connection:
            connection = connect(*args, **kwargs)
            connection.set_trace_callback(
                dies(lambda text: None) if number % 2 else lambda text: None
            )
            return connection

        sqlite3.connect = traced  # type: ignore[assignment]

    return prepare


def limited(size: int) -> Callable[[], None]:
    """Return a preparation that lets no file grow beyond `size` bytes, as a full disk does."""
    return lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))


def without_rights() -> None:
    """Load all that a run needs by one in another folder, then give up the administrator's rights."""
    from twinset.cli import main as run

    folder = Path.cwd()
    with tempfile.TemporaryDirectory() as other:
        write_inputs(Path(other) / "warm")
        os.chdir(Path(other) / "warm")
        run(sys.argv[1:])
        os.chdir(folder)
    if os.geteuid() == 0:
        os.setegid(NOBODY)
        os.seteuid(NOBODY)


class Trials:
    """The interruptions, each a method that takes a folder with inputs and says what it did."""

    def __init__(self, seed: int, seconds: float) -> None:
        self.rng = random.Random(seed)
        self.seconds = seconds  # on the processor, of an undisturbed run
        self.course = COURSES[0]

    def _moment(self) -> float:
        return self.rng.uniform(0, self.seconds)

    def _signal(self, folder: Path, number: int) -> int:
        """Send a signal to a run after a random part of its time on the processor."""

        def prepare() -> None:
            signal.signal(signal.SIGPROF, lambda *_: os.kill(os.getpid(), number))
            signal.setitimer(signal.ITIMER_PROF, moment)

        moment = max(self._moment(), 0.001)
        return end(start(folder, self.course[-1], prepare))

    def sigkill(self, folder: Path) -> int:
        """SIGKILL at a random moment."""
        return self._signal(folder, signal.SIGKILL)

    def file_event(self, folder: Path) -> int:
        """SIGKILL before a random rename, flush, removal or statement of the database."""
        # An odd number counts the statements of the database too, which are as many again.
        number = self.rng.randint(1, 2 * MAX_EVENTS if self.course == COURSES[0] else MAX_EVENTS)
        return end(start(folder, self.course[-1], dying_at(number)))

    def sigterm(self, folder: Path) -> int:
        """SIGTERM at a random moment."""
        return self._signal(folder, signal.SIGTERM)

    def sigint(self, folder: Path) -> int:
        """SIGINT at a random moment."""
        return self._signal(folder, signal.SIGINT)

    def sighup(self, folder: Path) -> int:
        """SIGHUP at a random moment."""
        return self._signal(folder, signal.SIGHUP)

    def disk_full(self, folder: Path) -> int:
        """The disk is full: a small file system where one can be mounted, else a limit on files."""
        mounted = ["mount", "-t", "tmpfs", "-o", f"size={self.rng.randint(20, 260)}k", "tmpfs"]
        inputs = {path.name: path.read_bytes() for path in folder.iterdir()}
        if self.rng.random() < 0.5 and shutil.which("mount"):
            done = subprocess.run([*mounted, str(folder)], capture_output=True)
            if done.returncode == 0:
                for name, content in inputs.items():
                    (folder / name).write_bytes(content)
                code = end(start(folder))
                kept = folder.with_name(f"{folder.name}.kept")
                shutil.copytree(folder, kept)
                subprocess.run(["umount", str(folder)], check=True)
                shutil.rmtree(folder)
                kept.rename(folder)
                return code
        return end(start(folder, prepare=limited(int(10 ** self.rng.uniform(2, 5.5)))))

    def read_only(self, folder: Path) -> int:
        """A folder of the run may not be written to, before or in the middle of it."""
        if self.rng.random() < 0.5:
            self._signal(folder, signal.SIGKILL)
        paths = [p for p in (folder, *folder.rglob("*")) if p.is_dir() and p.name != "out"]
        for path in (folder, *folder.rglob("*")):
            os.chown(path, NOBODY, NOBODY)
        chosen = self.rng.choice(paths)
        mode = chosen.stat().st_mode
        chosen.chmod(0o500)
        code = end(start(folder, prepare=without_rights))
        chosen.chmod(mode)
        for path in (folder, *folder.rglob("*")):
            os.chown(path, os.getuid(), os.getgid())
        return code

    def two_at_once(self, folder: Path) -> int:
        """Two processes run the recipe; one of them is killed."""
        first = start(folder)
        time.sleep(self._moment() * 0.5)
        second = start(folder)
        time.sleep(self._moment())
        killed, other = self.rng.sample((first, second), 2)
        os.kill(killed, signal.SIGKILL)
        end(killed)
        return -9 if end(other) == 0 else 1

    def deleted_log(self, folder: Path) -> int:
        """SIGKILL at a random event; the log of the database is deleted."""
        code = self.file_event(folder)
        for ending in ("-wal", "-shm"):
            (folder / ".twinset" / f"catalog.sqlite{ending}").unlink(missing_ok=True)
        return code

    def clock_back(self, folder: Path) -> int:
        """SIGKILL at a random moment; all files are ten years ahead of the clock."""
        code = self.sigkill(folder)
        then = time.time() + FUTURE
        for path in (folder, *folder.rglob("*")):
            os.utime(path, (then, then))
        return code


# Kind -> how many of 150 trials; kills are most of what happens.
SHARES = {
    "sigkill": 30, "file_event": 30, "sigterm": 15, "sigint": 10, "sighup": 10, "disk_full": 15,
    "read_only": 10, "two_at_once": 10, "deleted_log": 10, "clock_back": 10,
}  # fmt: skip


KILLS = {"sigkill", "file_event", "sigterm", "sigint", "sighup", "deleted_log", "clock_back"}


def interrupt(trials: Trials, kind: str, folder: Path, wholes: Sequence[State]) -> Outcome:
    """Return the outcome of one interruption and the start after it."""
    number = trials.rng.randrange(len(COURSES)) if kind in KILLS else 0
    trials.course, undisturbed = COURSES[number], wholes[number]
    write_inputs(folder)
    for words in trials.course[:-1]:
        end(start(folder, words))
    code = getattr(trials, kind)(folder)
    again = end(start(folder, trials.course[-1]))
    log = log_of(folder).read_text(errors="replace")
    found = state_of(folder)
    is_same = again == 0 and all(found[key] == undisturbed[key] for key in ("delivery", "sets"))
    # What a run refuses is a sentence, not a traceback.
    is_same = is_same and "Traceback" not in log and code in (0, 2, 129, 130, 143, -9, -15, -2, -1)
    stray = sorted(found["files"] - undisturbed["files"])
    detail = (
        "" if is_same and not stray else f"exit {code}, then {again}; {stray[:3]}; {log[-600:]}"
    )
    shutil.rmtree(folder)
    return Outcome(kind, is_same, len(stray), code != 0, detail)


def pair(rng: random.Random, folder: Path, wholes: Mapping[str, State]) -> Outcome:
    """Return the outcome of two runs into one folder that start up to a second apart.

    Half of the pairs are of one recipe and catalogue, half of two seeds in two catalogues.
    """
    write_inputs(folder)
    is_one = rng.random() < 0.5
    seeds = ["11", "11"] if is_one else ["11", "12"]
    children = []
    for number, seed in enumerate(seeds):
        root = ".twinset" if is_one or not number else ".twinset-2"
        children.append(start(folder, _one_of_pair(seed, root)))
        if not number:
            time.sleep(rng.uniform(0, 1) ** 2)  # half of them within a quarter of a second
    codes = [end(child) for child in children]
    log = log_of(folder).read_text(errors="replace")
    found = state_of(folder)
    is_same = any(found["delivery"] == wholes[seed]["delivery"] for seed in seeds)
    is_same = is_same and 0 in codes and set(codes) <= {0, 2} and "Traceback" not in log
    names = {name for name in found["files"] if not name.startswith(".twinset-2")}
    stray = sorted(n for n in names - wholes["11"]["files"])
    has_waited = "this one waits" in log
    kind = f"{'one recipe' if is_one else 'two recipes'}, {'one waited' if has_waited else 'no overlap'}"
    detail = "" if is_same and not stray else f"exit {codes}; {stray[:3]}; {log[-600:]}"
    shutil.rmtree(folder)
    return Outcome(kind, is_same, len(stray), 2 in codes, detail)


def _one_of_pair(seed: str, root: str) -> tuple[str, ...]:
    return (*RUN, "--set", f"seed={seed}", "--set", PAIR_ROWS, "--root", root)


def measure(n_trials: int, n_pairs: int, seed: int, base: Path) -> dict[str, list[Outcome]]:
    """Return the outcomes of all interruptions and pairs."""
    os.environ["OMP_NUM_THREADS"] = "1"
    load_libraries()
    spent = [0.0]

    def undisturbed(name: str, *course: Sequence[str]) -> State:
        write_inputs(base / name)
        before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
        for words in course:
            assert end(start(base / name, words)) == 0, log_of(base / name).read_text()
        spent.append(resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - before)
        return state_of(base / name)

    wholes = [undisturbed(f"course-{i}", *course) for i, course in enumerate(COURSES)]
    of_seed = {s: undisturbed(s, _one_of_pair(s, ".twinset")) for s in ("11", "12") if n_pairs}
    trials, total = Trials(seed, spent[1]), sum(SHARES.values())
    ends = [
        round(n_trials * sum(list(SHARES.values())[: k + 1]) / total) for k in range(len(SHARES))
    ]
    kinds = [next(k for k, last in zip(SHARES, ends) if i < last) for i in range(n_trials)]
    rng = random.Random(seed)
    return {
        "interruptions": [
            interrupt(trials, kind, base / f"trial-{i}", wholes) for i, kind in enumerate(kinds)
        ],
        "pairs": [pair(rng, base / f"pair-{i}", of_seed) for i in range(n_pairs)],
    }


def tables(found: Mapping[str, list[Outcome]]) -> dict[str, str]:
    """Return the tables of the results page."""
    head = ["trial", "trials", "interrupted", "same bytes", "with stray files"]
    parts = {}
    for name, outcomes in found.items():
        kinds = dict.fromkeys(outcome.kind for outcome in outcomes)
        groups = {kind: [o for o in outcomes if o.kind == kind] for kind in kinds} | {
            "all": outcomes
        }
        rows = []
        for kind, group in groups.items():
            text = (getattr(Trials, kind, None).__doc__ or kind).rstrip(".")
            counts = [sum(map(bool, values)) for values in (
                [o.is_interrupted for o in group], [o.is_same for o in group],
                [o.n_stray for o in group],
            )]  # fmt: skip
            rows.append([text if hasattr(Trials, kind) else kind, len(group), *counts])
        parts[name] = table(head, rows)
    return parts


def main() -> None:
    """Run the trials, print their tables and every failure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=150)
    parser.add_argument("--pairs", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--page", type=Path, help="Markdown page whose tables are written again")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)  # the user without rights must enter it
        found = measure(options.trials, options.pairs, options.seed, Path(folder))
    failures = [o for group in found.values() for o in group if o.detail]
    for outcome in failures:
        print(json.dumps({"kind": outcome.kind, "detail": outcome.detail}))
    blocks = tables({name: outcomes for name, outcomes in found.items() if outcomes})
    print("\n\n".join(blocks.values()))
    if options.page is not None:
        write_page(options.page, blocks)
    sys.exit(bool(failures))


if __name__ == "__main__":
    main()

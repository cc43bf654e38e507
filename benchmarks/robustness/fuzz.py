"""Change the corpus at random and read it: each outcome must be a set or an error of twinset.

    python -m benchmarks.robustness.fuzz --seconds 300 --seed 1              # another seed, other inputs
    python -m benchmarks.robustness.fuzz --seed 1 --first 4711 --count 1     # one input again

Readers run in batches, in a process with 2 GB of memory and 60 seconds for an input. Those that crash, hang
or raise anything else are written to `--out`, each with its command, and the exit code is 1.
"""

from __future__ import annotations

import argparse
import faulthandler
import resource
import shlex
import struct
import subprocess
import sys
import tempfile
import time
import traceback
import warnings
import zlib
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import numpy as np
import pyarrow as pa

from benchmarks.robustness.files import masked_crc, place
from benchmarks.robustness.hostile import HERE, Trial, read_trials
from twinset.core.data.dataset import Dataset
from twinset.core.data.where import Where
from twinset.core.errors import TwinsetError
from twinset.ingest.input_table import inspect_table
from twinset.recipe import load_recipe

BATCH = 500  # inputs of one process, some 10 seconds: its start takes 2
ADDRESS_SPACE = 2 << 30  # bytes
SECONDS = 60  # for one input
LARGEST = 1 << 18  # bytes: larger files test limits, and take the time of many
# Pieces that mean something to a parser: marks of text formats, and numbers at the ends of binary ones.
MARKS = (
    rb"0~-1~1e999~nan~null~[~{~}~'~,~;~=~ and ~ or ~999999999999999999999~../~&a ~*a~: ~<a>~</a>"
)
SIGNS = [
    *MARKS.split(b"~"),
    b"",
    b'"',
    b"\n",
    b"\0",
    b"\xff",
    b"\xef\xbb\xbf",
    b"\x7f" + b"\xff" * 7,
]
SIGNS += [struct.pack("<I", n) for n in (0, 1, 2**31 - 1, 2**31, 2**32 - 1)]
WORDS = b"a~b~label~1~2.5~-3~'x'~\"y z\"~=~!=~<~<=~>=~is~in~not~null~(~)~,~and~or".split(b"~")
ROWS = Dataset.from_arrow(
    pa.table({"a": [1, 2, None], "b": [0.5, 2.5, 1e9], "label": ["x", "y", None]})
)
SPECIAL = {"sparse", "fifo", "symlink", "hardlink"}  # things that have no bytes to change


@cache
def families() -> dict[str, list[Trial]]:
    """Return family -> trials with a file that a reader takes; conditions are made from words."""
    found: dict[str, list[Trial]] = {"conditions": [{}]}
    for trial in read_trials(sorted(HERE.glob("cases/*.yaml"))):
        words = [] if trial.get("before") else shlex.split(trial["run"])
        if words[:1] in (["register"], ["run"]) and len(words) > 1 and trial.get("files"):
            family = trial["family"] if words[0] == "register" else "recipes"
            found.setdefault(family, []).append({**trial, "path": words[1]})
    return found


def changed(data: bytes, rng: np.random.Generator) -> bytes:
    """Return bytes with a few pieces flipped, cut, repeated, drawn anew, or replaced by a sign."""
    for _ in range(rng.geometric(0.3)):
        at = int(rng.integers(len(data) + 1))
        piece = data[at : at + int(rng.choice([1, 1, 4, 64, 4096]))]
        sign, end = SIGNS[rng.integers(len(SIGNS))], at + len(piece)
        flipped = bytes([piece[0] ^ (1 << int(rng.integers(8)))]) + piece[1:] if piece else b""
        choices = (flipped, b"", piece * int(rng.integers(2, 6)), rng.bytes(len(piece)))
        piece = [*choices, sign + piece, sign][rng.integers(6)]
        data = data[:at] + piece + data[end:]
    return data


def sealed(name: str, data: bytes) -> bytes:
    """Return a PNG or TFRecord file with right checksums: wrong ones would hide every other fault."""
    kinds = {".png": (8, 8, 12, ">I"), ".tfrecord": (0, 12, 16, "<Q")}
    out, (at, head, least, length) = bytearray(data), kinds.get(Path(name).suffix, (0, 0, 0, ""))
    while length and at + least <= len(out):
        size = struct.unpack_from(length, out, at)[0]
        end = at + head + min(size, len(out) - at - least)
        if head == 12:
            struct.pack_into("<I", out, at + 8, masked_crc(bytes(out[at : at + 8])))
        seal = (
            masked_crc(bytes(out[at + 12 : end])) if head == 12 else zlib.crc32(out[at + 4 : end])
        )
        struct.pack_into(length[0] + "I", out, end, seal)
        at = end + 4
    return bytes(out)


def make_input(seed: int, number: int, folder: Path) -> Callable[[], object]:
    """Write an input below `folder`, and return what reads it."""
    rng = np.random.default_rng([seed, number])
    family = list(families())[rng.integers(len(families()))]
    trial = families()[family][rng.integers(len(families()[family]))]
    if family == "conditions":
        data = b" ".join(WORDS[i] for i in rng.integers(len(WORDS), size=rng.integers(1, 12)))
        text = (changed(data, rng) if rng.random() < 0.5 else data).decode("utf-8", "replace")
        (folder / "where.txt").write_text(text, "utf-8")
        return lambda: ROWS.mask(Where.from_value(text))
    for name, spec in trial["files"].items():
        if not (isinstance(spec, dict) and SPECIAL & spec.keys()):
            place(folder, name, spec)
    path = folder / trial["path"]
    files = [path] if path.is_file() else sorted(f for f in path.rglob("*") if f.is_file())
    if not files or sum(file.stat().st_size for file in files) > LARGEST:
        return lambda: None
    for i in rng.permutation(len(files))[: 1 + int(rng.random() < 0.2)]:
        data = changed(files[i].read_bytes(), rng)
        files[i].write_bytes(sealed(files[i].name, data) if rng.random() < 0.8 else data)
    return lambda: load_recipe(path) if family == "recipes" else inspect_table(path)


def read_batch(seed: int, first: int, count: int) -> None:
    """Read inputs in this process; print the number of each before it, and each finding."""
    resource.setrlimit(resource.RLIMIT_AS, (ADDRESS_SPACE, ADDRESS_SPACE))
    warnings.simplefilter("ignore")
    for number in range(first, first + count):
        with tempfile.TemporaryDirectory(prefix="fuzz-", ignore_cleanup_errors=True) as folder:
            read = make_input(seed, number, Path(folder))
            print(f"input {number}", flush=True)
            faulthandler.dump_traceback_later(SECONDS, exit=True)
            try:
                read()
            except TwinsetError:
                pass
            except Exception as error:  # noqa: BLE001  (each of them is a finding)
                own = [
                    f
                    for f in traceback.extract_tb(error.__traceback__)
                    if "/twinset/" in f.filename
                ]
                at = f"{Path(own[-1].filename).name}:{own[-1].lineno}" if own else ""
                print(f"found {number} {type(error).__name__} {at}", flush=True)
            faulthandler.cancel_dump_traceback_later()


def fuzz(seed: int, first: int, count: int, seconds: float) -> Iterator[tuple[int, str]]:
    """Yield number and fault of the inputs that end in neither a set nor an error of twinset."""
    start, at = time.monotonic(), first
    while time.monotonic() - start < seconds and at < first + count:
        size = min(BATCH, first + count - at)
        words = ["--batch", "--seed", seed, "--first", at, "--count", size]
        command = [sys.executable, "-m", "benchmarks.robustness.fuzz", *map(str, words)]
        done = subprocess.run(command, capture_output=True, cwd=HERE.parents[1])
        lines = [line.split(maxsplit=2) for line in done.stdout.decode().splitlines()]
        yield from ((int(line[1]), line[2]) for line in lines if line[0] == "found")
        at = max((int(line[1]) for line in lines if line[0] == "input"), default=at)
        if done.returncode:  # a signal, the limit of time, or a fault of this script
            said = done.stderr.decode("utf-8", "replace").strip().splitlines() or [""]
            yield at, f"exit code {done.returncode} {said[-1][:100]}"
        at += 1
    print(f"{at - first:,} inputs of seed {seed} in {time.monotonic() - start:.0f} s")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    for name, default in (("seed", 1), ("first", 0), ("count", 1 << 40), ("seconds", 300)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--out", type=Path, default=Path("out/fuzz"))
    parser.add_argument("--batch", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.batch:
        read_batch(given.seed, given.first, given.count)
        return
    seen: set[str] = set()
    for number, fault in fuzz(given.seed, given.first, given.count, given.seconds):
        if fault not in seen:  # one input of each
            folder = given.out / f"{given.seed}-{number}"
            folder.mkdir(parents=True, exist_ok=True)
            make_input(given.seed, number, folder)
            again = f"--seed {given.seed} --first {number} --count 1"
            print(f"{fault}: {folder}; python -m benchmarks.robustness.fuzz {again}", flush=True)
        seen.add(fault)
    sys.exit(bool(seen))


if __name__ == "__main__":
    main()

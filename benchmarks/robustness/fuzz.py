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
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from importlib import import_module
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

BATCH = 1000  # inputs of one process, some 20 seconds: its start takes 4
MEMORY = 2 << 30  # bytes
SECONDS = 60  # for one input
LARGEST = 1 << 18  # bytes: larger files test limits, and take the time of many
# Pieces that mean something to a parser: marks of text formats, and numbers at the ends of binary ones.
SIGNS = rb"0~-1~1e999~nan~null~[~{~}~'~,~;~=~ and ~999999999999999999999~../~&a ~*a~: ~<a>".split(
    b"~"
)
SIGNS += [b"", b'"', b"\n", b"\0", b"\xff", b"\xef\xbb\xbf"]
SIGNS += [struct.pack("<Q", n) for n in (1, 2**31 - 1, 2**31, 2**32 - 1, 2**63 - 1)]
WORDS = b"a~b~label~1~2.5~'x'~\"y z\"~=~!=~<~>=~is~in~not~null~(~)~,~and~or".split(b"~")
ROWS = Dataset.from_arrow(pa.table({"a": [1, 2], "b": [0.5, 1e9], "label": ["x", None]}))


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
    """Return bytes with a few pieces flipped, cut, repeated, randomised, or replaced by a sign."""
    for _ in range(rng.geometric(0.3)):
        at = int(rng.integers(len(data) + 1))
        piece = data[at : at + int(rng.choice([1, 1, 4, 64, 4096]))]
        sign, end = SIGNS[rng.integers(len(SIGNS))], at + len(piece)
        flipped = bytes([piece[0] ^ (1 << int(rng.integers(8)))]) + piece[1:] if piece else b""
        choices = (flipped, b"", piece * int(rng.integers(2, 6)), rng.bytes(len(piece)))
        data = data[:at] + [*choices, sign + piece, sign][rng.integers(6)] + data[end:]
    return data


def sealed(name: str, data: bytes) -> bytes:
    """Return a PNG or TFRecord file with right checksums: wrong ones would hide every other fault."""
    is_png, out = name.endswith(".png"), bytearray(data)
    at, head, order = (8, 8, ">") if is_png else (0, 12, "<")
    while (is_png or name.endswith(".tfrecord")) and at + head + 4 <= len(out):
        size = struct.unpack_from(">I" if is_png else "<Q", out, at)[0]
        end = at + head + min(size, len(out) - at - head - 4)
        if not is_png:
            struct.pack_into("<I", out, at + 8, masked_crc(bytes(out[at : at + 8])))
        content = bytes(out[at + head - (4 if is_png else 0) : end])
        seal = zlib.crc32(content) if is_png else masked_crc(content)
        struct.pack_into(f"{order}I", out, end, seal)
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
        return lambda: ROWS.where(Where.from_value(text))
    for name, spec in trial["files"].items():
        # What is no file of bytes cannot be changed, and the largest are too large for the process.
        if not (isinstance(spec, dict) and {"sparse", "fifo", "symlink", "hardlink"} & spec.keys()):
            with suppress(MemoryError):
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
    """Read inputs in this process; print the number of each before it is read, and each finding."""
    families()
    for library in ("cv2", "spacy", "tifffile"):
        with suppress(ImportError):
            import_module(library)
    # What the libraries map does not count: it is more than 2 GB with some of them.
    mapped = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (mapped + MEMORY, mapped + MEMORY))
    warnings.simplefilter("ignore")
    for number in range(first, first + count):
        with tempfile.TemporaryDirectory(prefix="fuzz-", ignore_cleanup_errors=True) as folder:
            read = make_input(seed, number, Path(folder))
            print(number, flush=True)
            faulthandler.dump_traceback_later(SECONDS, exit=True)
            try:
                read()
            except TwinsetError:
                pass
            except Exception as error:  # noqa: BLE001  (each of them is a finding)
                frames = traceback.extract_tb(error.__traceback__)
                own = [
                    f
                    for f in frames
                    if "site-packages" not in f.filename and "/twinset/" in f.filename
                ]
                at = f"{Path(own[-1].filename).name}:{own[-1].lineno}" if own else ""
                print(number, type(error).__name__, at, flush=True)
            faulthandler.cancel_dump_traceback_later()


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
    start, at, seen = time.monotonic(), given.first, set[str]()
    while time.monotonic() - start < given.seconds and at < given.first + given.count:
        size = min(BATCH, given.first + given.count - at)
        words = ["--batch", "--seed", given.seed, "--first", at, "--count", size]
        command = [sys.executable, "-m", "benchmarks.robustness.fuzz", *map(str, words)]
        done = subprocess.run(command, capture_output=True, text=True, errors="replace")
        lines = [line.split(maxsplit=1) for line in done.stdout.splitlines()]
        at = max((int(line[0]) for line in lines), default=at)
        if done.returncode:  # a signal, the limit of time, or a fault of this script
            lines.append([str(at), f"exit code {done.returncode} {done.stderr.strip()[-100:]}"])
        for number, *fault in lines:
            if fault and fault[0] not in seen:  # one input of each
                seen.add(fault[0])
                folder = given.out / f"{given.seed}-{number}"
                folder.mkdir(parents=True, exist_ok=True)
                make_input(given.seed, int(number), folder)
                again = f"--seed {given.seed} --first {number} --count 1"
                print(
                    f"{fault[0]}: {folder}; python -m benchmarks.robustness.fuzz {again}",
                    flush=True,
                )
        at += 1
    print(f"{at - given.first:,} inputs of seed {given.seed}: {len(seen)} faults")
    sys.exit(bool(seen))


if __name__ == "__main__":
    main()

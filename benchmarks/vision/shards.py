"""Images straight into WebDataset shards: how many a second, in how much memory, and after a kill.

Run: python -m benchmarks.vision.shards [--images 100000] [--seconds 360] [--kill-after 60]
Writes shards.json beside this file. The set is asked for whole; the process is killed (SIGKILL) once on the
way and begun again; if the set is not whole when the CPU seconds are spent, it is killed for good.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import mkdtemp

RECIPE = """
name: many
seed: 7
brief: {task: detection, modality: image}
generate:
  - use: image.scenes
    rows: IMAGES
    with: {size: 256, n_objects_range: [2, 6]}
"""
_LOOK = 1.0  # seconds between looks at the memory
_PAGE = resource.getpagesize()
_TICK = os.sysconf("SC_CLK_TCK")


@dataclass
class Watched:
    """What was seen of one process: its memory over the shards it had finished, and its CPU seconds."""

    memory: list[tuple[int, float]] = field(default_factory=list)
    cpu_seconds: float = 0.0
    n_shards: int = 0
    ended: bool = False


def watch(words: list[str], folder: Path, seconds: float) -> Watched:
    """Run a command until it ends or has used its CPU seconds, and kill it then."""
    seen = Watched()
    process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    place = Path(f"/proc/{process.pid}")
    while process.poll() is None:
        time.sleep(_LOOK)
        try:
            megabytes = int((place / "statm").read_text().split()[1]) * _PAGE / 1e6
            times = (place / "stat").read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError, IndexError):
            break
        seen.n_shards = finished(folder)
        seen.memory.append((seen.n_shards, megabytes))
        seen.cpu_seconds = (int(times[11]) + int(times[12])) / _TICK
        if seen.cpu_seconds > seconds:
            os.kill(process.pid, signal.SIGKILL)
    seen.ended = process.wait() == 0
    seen.n_shards = finished(folder)
    return seen


def finished(folder: Path) -> int:
    return len(list((folder / ".journal").glob("shard-*.json")))


def table(found: dict[str, float | int | bool]) -> str:
    lines = ["| measure | |", "|---|---|"]
    return "\n".join(
        [*lines, *(f"| {name.replace('_', ' ')} | {v:,} |" for name, v in found.items())]
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=100_000)
    parser.add_argument("--seconds", type=float, default=360.0)
    parser.add_argument("--kill-after", type=float, default=60.0)
    parser.add_argument("--at", type=Path, default=None, help="folder with room for 11 GB")
    given = parser.parse_args()
    home = Path(mkdtemp(dir=given.at))
    try:
        recipe, folder = home / "many.yaml", home / "shards"
        recipe.write_text(RECIPE.replace("IMAGES", str(given.images)))
        words = [sys.executable, "-m", "twinset", "shards", str(recipe), str(folder)]
        words += ["--root", str(home / "root")]
        first = watch(words, folder, given.kill_after)
        entries = {p.name: p.read_bytes() for p in (folder / ".journal").glob("shard-*.json")}
        second = watch(words, folder, given.seconds - given.kill_after)
        kept = sum((folder / ".journal" / n).read_bytes() == data for n, data in entries.items())
        size = sum(p.stat().st_size for p in folder.glob("*.tar"))
    finally:
        shutil.rmtree(home)
    memory = [m for _, m in [*first.memory, *second.memory]]
    early = [m for n, m in second.memory if first.n_shards <= n < first.n_shards + 3]
    late = [m for n, m in second.memory if n >= second.n_shards - 3]
    images = min(1000 * second.n_shards, given.images)
    cpu = first.cpu_seconds + second.cpu_seconds
    found: dict[str, float | int | bool] = {
        "images_asked_for": given.images,
        "images_made": images,
        "whole_set_made": second.ended,
        "shards_before_the_kill": first.n_shards,
        "of_them_kept_after_it": kept,
        "cpu_seconds": round(cpu),
        "images_a_cpu_second": round(images / cpu, 1),
        "peak_memory_mb": round(max(memory)),
        "memory_in_the_first_three_shards_mb": round(max(early, default=0)),
        "memory_in_the_last_three_shards_mb": round(max(late, default=0)),
        "bytes_an_image": round(size / max(images, 1)),
    }
    Path(__file__).with_name("shards.json").write_text(json.dumps(found, indent=1) + "\n")
    print(table(found))


if __name__ == "__main__":
    main()

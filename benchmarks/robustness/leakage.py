"""Look for values of one real person in everything that twinset prints and writes.

    python -m benchmarks.robustness.leakage [--only 'table-.*'] [--out leaks.json]

`leaks/*.yaml` declares data sets with marked values, each of one row only, and paths: commands
that such a set goes through. Afterwards every byte that the commands printed or wrote, unpacked, is
searched for the marked values as text (UTF-8, UTF-16) and as numbers (float64, float32, int64).
Files that the user gave, and real rows in the store of the catalogue, do not count.
"""

from __future__ import annotations

import argparse
import base64
import contextlib
import gzip
import io
import json
import re
import shlex
import sqlite3
import struct
import sys
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import yaml

from benchmarks.markdown import table, write_page
from benchmarks.robustness.sandbox import Outcome, Sandbox

HERE = Path(__file__).parent
DEEPEST = 4  # archives within archives
LARGEST = 1 << 27  # bytes that one packed stream may unpack to


@dataclass(frozen=True)
class Result:
    """The marked values that one path let out, and where."""

    name: str
    family: str
    hits: list[str]  # "MARKER in PLACE"
    failed: list[str]  # commands that ended otherwise than the path declares


def patterns(marker: Any) -> list[bytes]:
    """Return the byte strings that a marked value may be written as."""
    text = str(marker)
    found = [text.encode(), text.encode("utf-16-le")]
    if isinstance(marker, float):
        found += [struct.pack("<d", marker), struct.pack("<f", marker), str(int(marker)).encode()]
        found.append(f"{marker:,}".encode())
        if len(str(int(marker))) < 6:  # too short to be anybody's
            found = [one for one in found if one != str(int(marker)).encode()]
    elif isinstance(marker, int):
        found += [struct.pack("<q", marker), struct.pack("<d", marker), f"{marker:,}".encode()]
    return found


def as_text(records: pa.Table) -> bytes:
    """Return the cells of a table as text, and as the buffers that hold them."""
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, records.schema) as stream:
        stream.write_table(records)
    cells = "\n".join(str(cell) for column in records.columns for cell in column.to_pylist())
    cells += "\n".join(
        str(cell)
        for column in records.columns
        if pa.types.is_temporal(column.type)
        for cell in column.cast(pa.string()).to_pylist()
    )
    return sink.getvalue() + cells.encode("utf-8", "surrogatepass")


def parquet_content(data: bytes) -> bytes:
    """Return what a Parquet file holds besides real rows."""
    records = pq.read_table(io.BytesIO(data))
    if "_origin" in records.column_names:
        records = records.filter(pc.not_equal(records["_origin"].cast(pa.string()), "real"))
    return as_text(records)


def inner(data: bytes) -> Iterator[bytes]:
    """Yield what a packed or encoded file holds."""
    if data[:2] == b"\x1f\x8b":
        yield gzip.decompress(data)
    elif data[:4] == b"PK\x03\x04":
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            yield from map(archive.read, archive.namelist())
            yield "\n".join(archive.namelist()).encode()
    elif data[257:262] == b"ustar":
        with tarfile.open(fileobj=io.BytesIO(data)) as archive:
            for member in archive:
                file = archive.extractfile(member)
                yield member.name.encode() + (file.read() if file else b"")
    elif data[:4] == b"PAR1":
        yield parquet_content(data)
    elif data[:15] == b"SQLite format 3":
        database = sqlite3.connect(":memory:")
        database.deserialize(data)
        lines = [line for line in database.iterdump() if not re.search("'real'|\"real\"", line)]
        yield "\n".join(lines).encode()  # without the sets of real rows
    elif data[:8] == b"\x89PNG\r\n\x1a\n":
        for kind, start in re.findall(rb"(zTXt|iTXt|iCCP)[^\0]*\0+(x.+)", data, re.DOTALL):
            yield kind + zlib.decompressobj().decompress(start, LARGEST)
    elif data[:1] == b"x" and data[1:2] in (b"\x01", b"\x9c", b"\xda"):
        yield zlib.decompressobj().decompress(data, LARGEST)
    for encoded in re.findall(rb";base64,([A-Za-z0-9+/=]{40,})", data):
        yield base64.b64decode(encoded + b"==")


PACKED_FAULTS = (OSError, EOFError, ValueError, zlib.error, zipfile.BadZipFile, sqlite3.Error)


def contents(data: bytes, depth: int = 0) -> Iterator[bytes]:
    """Yield a file's bytes and, unpacked, all that lies in it."""
    if data[:4] not in (b"PAR1", b"SQLi"):  # these are read, without real rows
        yield data
    with contextlib.suppress(*PACKED_FAULTS, pa.ArrowException, tarfile.TarError):
        for part in inner(data) if depth < DEEPEST else ():
            yield from contents(part, depth + 1)


def is_real_manifest(path: Path, data: bytes) -> bool:
    """Return whether a file of the catalogue describes a real set, in the store of real data."""
    if path.suffix != ".json" or "objects" not in path.parts:
        return False
    return re.search(rb'"origin":\s*"real"', data) is not None


def search(
    sandbox: Sandbox, given: Mapping[str, str], markers: Mapping[str, Any], own: Sequence[str]
) -> Iterator[str]:
    """Yield "MARKER in PLACE" for all files that commands wrote, and for their names."""
    for path in sorted(sandbox.root.rglob("*")):
        name = str(path.relative_to(sandbox.root))
        inside = str(path.relative_to(sandbox.work)) if path.is_relative_to(sandbox.work) else name
        if inside in given or any(path.match(pattern) for pattern in own):
            continue
        for marker, value in markers.items():
            if str(value) in path.name:
                yield f"{marker} in the name of {name}"
        if not path.is_file() or path.is_symlink():
            continue
        data = path.read_bytes()
        if "incoming" in path.parts and data:
            yield f"a draft is left: {re.sub('[0-9a-f]{12,}', '*', name)}"
        if is_real_manifest(path, data):
            continue
        found = list(contents(data))
        for marker, value in markers.items():
            if any(one in part for part in found for one in patterns(value)):
                yield f"{marker} in {re.sub('[0-9a-f]{12,}', '*', name)}"


def search_output(label: str, outcome: Outcome, markers: Mapping[str, Any]) -> Iterator[str]:
    """Yield "MARKER in what COMMAND printed"."""
    said = (outcome.out + outcome.err).encode()
    for marker, value in markers.items():
        if any(one in said for one in patterns(value)[:2] + patterns(value)[-1:]):
            yield f"{marker} in what `{label}` printed"


def follow(path: Mapping[str, Any], sets: Mapping[str, Any]) -> Result:
    """Take one path, and search for the marked values of its set."""
    source = sets[path["set"]]
    markers = {k: v for k, v in source["markers"].items() if k not in path.get("without", [])}
    hits: list[str] = []
    failed: list[str] = []
    with tempfile.TemporaryDirectory(prefix="leaks-", ignore_cleanup_errors=True) as folder:
        files = {**source["files"], **path.get("files", {})}
        sandbox = Sandbox(Path(folder)).open(files)
        given = sandbox.digests()
        for step in path["steps"]:
            if isinstance(step, dict) and "kill" in step:
                sandbox.run(shlex.split(step["kill"]), wall=step["after"])
                continue
            if isinstance(step, dict):
                sandbox.step(step)
                continue
            outcome = sandbox.run(shlex.split(step.lstrip("!? ")))
            hits += search_output(step, outcome, markers)
            declared = {"!": (2,), "?": (0, 2, 3)}.get(step[0], (0, 3))
            if outcome.exit_code not in declared or "Traceback" in outcome.err:
                failed.append(f"{step}: exit {outcome.exit_code}: {outcome.err.strip()[-200:]}")
        (sandbox.root / "out").unlink(missing_ok=True)  # searched above
        (sandbox.root / "err").unlink(missing_ok=True)
        hits += search(sandbox, given, markers, path.get("own", []))
    return Result(path["name"], path["set"], list(dict.fromkeys(hits)), failed)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--cases", type=Path, nargs="+", default=[HERE / "leaks" / "paths.yaml"])
    parser.add_argument("--sets", type=Path, default=HERE / "leaks" / "sets.yaml")
    parser.add_argument("--only", default="", help="regular expression of names")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--out", type=Path, help="JSON file of all hits")
    parser.add_argument("--page", type=Path, help="Markdown page whose table is written again")
    settings = parser.parse_args()
    sets = yaml.safe_load(settings.sets.read_bytes())
    paths = [path for file in settings.cases for path in yaml.safe_load(file.read_bytes())]
    paths = [path for path in paths if re.match(settings.only, path["name"])]
    results: list[Result] = []
    try:
        with ThreadPoolExecutor(settings.workers) as pool:
            for result in pool.map(lambda path: follow(path, sets), paths):
                results.append(result)
                for line in result.hits:
                    print(f"{result.name}: {line}", flush=True)
                for line in result.failed:
                    print(f"{result.name}: NOT AS DECLARED: {line}", flush=True)
    finally:
        if settings.out:
            settings.out.write_text(json.dumps([vars(r) for r in results], indent=1), "utf-8")
    lines = [
        [family, len(of), sum(bool(r.hits) for r in of), sum(len(r.hits) for r in of)]
        for family in dict.fromkeys(r.family for r in results)
        for of in [[r for r in results if r.family == family]]
    ]
    found = table(["set", "paths", "paths with hits", "hits"], lines)
    print(found)
    if settings.page:
        write_page(settings.page, {"leak paths": found})
    sys.exit(any(result.hits for result in results))


if __name__ == "__main__":
    main()

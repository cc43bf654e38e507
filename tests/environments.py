"""Run tests in fresh environments: lowest versions, newest versions, and each extra alone.

    python tests/environments.py lowest   # the quick tests, lowest versions of pyproject.toml
    python tests/environments.py newest   # the quick tests, newest versions
    python tests/environments.py extras   # each extra alone: its commands run, others are refused

Environments lie in `.environments`, apart from `.venv`, and are made by `uv`. Where Python of that
version or the package index is absent, it says so and ends well; a failing test, and requirements
that contradict each other, end with 1. Extras with torch are not installed: it takes 2 GB.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
PLACE = ROOT / ".environments"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
LIGHT = ("imbalanced", "image", "text", "llm", "spacy", "frames", "dicom", "3d")  # without torch
TESTED = {"lowest": ("3.11", "lowest-direct"), "newest": ("3.13", "highest")}
TEST_TOOLS = ("pytest>=8.2", "pytest-xdist>=3.6", "hypothesis>=6.100", "jsonschema", "duckdb>=1.1")

TABLE = "id,age,kind\n" + "".join(
    f"{1000 + i},{20 + i * 7 % 60},{'ab'[i % 9 == 0]}\n" for i in range(200)
)
RARE = """\
name: rare
seed: 1
brief: {task: classification, target: kind, positive: b}
source: {path: table.csv}
generate: [{use: USE, rows: 20, where: {kind: b}}]
evaluate: {metrics: []}
"""
MESHES = """\
name: meshes
seed: 1
brief: {task: detection}
generate: [{use: image.meshes, rows: 2, with: {size: 64}}]
"""
WORDINGS = "refund:\n- I want my {amount} back.\n"
TEXTS = '{"text": "Anna called.", "spans": [{"start": 0, "end": 4, "label": "name"}]}\n' * 3
DICOM = (
    "from pydicom.data import get_testdata_file as f; import shutil; "
    "shutil.copy(f('CT_small.dcm', download=False), 'scans/a.dcm')"
)
FRAME = (
    "import pyarrow as pa; from twinset.core.data.dataset import Dataset; "
    "print(Dataset.from_arrow(pa.table({'x': [1, 2]})).to_polars().shape)"
)


@dataclass(frozen=True)
class Smoke:
    """A command that needs one extra, and code that makes what it reads where the extra is there."""

    extra: str  # "" for the base installation
    words: tuple[str, ...]  # of `python -m twinset`, or ("-c", code)
    before: str = ""
    error: str = ""  # the error that it ends with even so, as there is no server


SMOKES = (
    Smoke("", ("twin", "table.csv", "twin.csv", "--target", "kind")),
    Smoke("", ("register", "texts.jsonl")),
    Smoke("image", ("shards", "shapes", "shards", "--set", "generate.0.rows=3")),
    Smoke("image", ("shards", "defects", "defects", "--set", "generate.0.rows=3")),
    Smoke("image", ("tiles", "shown", "tiles", "--size", "256")),
    Smoke(
        "text", ("run", "support_tickets", "--set", "generate.0.rows=40", "--set", "evaluate={}")
    ),
    Smoke("imbalanced", ("run", "imblearn.yaml")),
    Smoke("spacy", ("deliver", "texts-real", "notes", "--real", "--format", "spacy")),
    Smoke("frames", ("-c", FRAME)),
    Smoke("dicom", ("register", "scans"), before=DICOM),
    Smoke("3d", ("shards", "meshes.yaml", "solids")),
    Smoke("torch", ("run", "gan.yaml")),
    Smoke(
        "llm",
        ("paraphrase", "wordings.yaml", "--out", "o.yaml", "--model", "m")
        + ("--base-url", "http://127.0.0.1:9/v1"),
        error="127.0.0.1:9",
    ),
)


class AbsentError(Exception):
    """Something outside the project is absent: the tests cannot be run here."""


def uv(*words: str) -> None:
    """Run uv, which is installed once; raise AbsentError if the index or a Python is absent."""
    tool = PLACE / "uv" / "bin" / "uv"
    if not tool.exists():
        subprocess.run([sys.executable, "-m", "venv", PLACE / "uv"], check=True)
        pip = [PLACE / "uv" / "bin" / "python", "-m", "pip", "install", "--quiet", "uv>=0.5"]
        if subprocess.run(pip).returncode:
            raise AbsentError("uv cannot be installed")
    env = {**os.environ, "UV_PYTHON_DOWNLOADS": "never"}
    if os.environ.get("PIP_CERT"):
        env.setdefault("SSL_CERT_FILE", os.environ["PIP_CERT"])
    done = subprocess.run([tool, *words], capture_output=True, text=True, cwd=ROOT, env=env)
    if done.returncode:
        if "No solution found" in done.stderr:
            print(done.stderr, file=sys.stderr)
            raise SystemExit(1)
        raise AbsentError(" ".join(done.stderr.split())[:300])


def make(
    name: str, python: str, resolution: str, extras: Sequence[str], tools: Sequence[str] = ()
) -> Path:
    """Return the interpreter of a fresh environment with the project and these extras."""
    home = PLACE / name
    shutil.rmtree(home, ignore_errors=True)
    uv("venv", "--quiet", "--python", python, str(home))
    interpreter, pins = str(home / "bin" / "python"), str(home / "requirements.txt")
    wanted = [word for extra in extras for word in ("--extra", extra)]
    versions = ["--resolution", resolution, "--python", interpreter, "--output-file", pins]
    uv("pip", "compile", "--quiet", *versions, *wanted, "pyproject.toml")
    uv("pip", "install", "--quiet", "--python", interpreter, "--requirement", pins, *tools)
    uv("pip", "install", "--quiet", "--python", interpreter, "--no-deps", "--editable", ".")
    return home / "bin" / "python"


def run_suite(name: str) -> int:
    """Run the quick tests with the versions of `TESTED`; return 0 if they pass."""
    python, resolution = TESTED[name]
    interpreter = make(name, python, resolution, LIGHT, TEST_TOOLS)
    marks = "not slow and not browser"
    words = ["-m", "pytest", "-n", "auto", "--dist", "worksteal", "-p", "no:cacheprovider"]
    return subprocess.run([interpreter, *words, "-m", marks], cwd=ROOT).returncode


def provided(extra: str) -> set[str]:
    """Return the extras that one brings, itself among them."""
    found = {extra}
    for line in PROJECT["optional-dependencies"].get(extra, ()):
        if line.startswith("twinset["):
            for name in line.partition("[")[2].rstrip("]").split(","):
                found |= provided(name)
    return found


def run_extras() -> int:
    """Install each extra alone and try all commands; return 0 if each one does as it should."""
    faults = []
    for extra in ("", *LIGHT):
        interpreter = make(f"extra-{extra or 'none'}", "3.11", "highest", [extra] if extra else [])
        found = try_commands(interpreter, provided(extra) | {""})
        print(
            f"{extra or 'no extra'}: {'; '.join(found) if found else 'as it should be'}", flush=True
        )
        faults += found
    return 1 if faults else 0


def try_commands(interpreter: Path, extras: set[str]) -> list[str]:
    """Return what the commands do otherwise than they should, with these extras installed."""
    faults = []
    with tempfile.TemporaryDirectory() as folder:
        write_files(Path(folder))
        for smoke in SMOKES:
            if smoke.before and smoke.extra in extras:
                subprocess.run([interpreter, "-c", smoke.before], cwd=folder, check=True)
            start = () if smoke.words[0] == "-c" else ("-m", "twinset")
            done = subprocess.run(
                [interpreter, *start, *smoke.words], cwd=folder, capture_output=True, text=True
            )
            said, last = done.stdout + done.stderr, (done.stderr.strip().splitlines() or [""])[-1]
            is_plain = "Traceback" not in said or start == ()
            runs = smoke.error in said if smoke.error else done.returncode == 0
            # The library may be there even so: other extras bring it for purposes of their own.
            is_refused = done.returncode != 0 and is_plain and f"twinset[{smoke.extra}]" in last
            fits = runs or (is_refused and smoke.extra not in extras)
            if not fits:
                faults.append(
                    f"{' '.join(smoke.words)[:60]} ends with {done.returncode}: {last[:300]}"
                )
    return faults


def write_files(folder: Path) -> None:
    """Write what the commands read."""
    (folder / "table.csv").write_text(TABLE)
    for name, use in {"imblearn": "minority.imblearn", "gan": "tabular.gan"}.items():
        (folder / f"{name}.yaml").write_text(RARE.replace("USE", use))
    (folder / "meshes.yaml").write_text(MESHES)
    (folder / "wordings.yaml").write_text(WORDINGS)
    (folder / "texts.jsonl").write_text(TEXTS)
    (folder / "shown").mkdir()
    shutil.copy(ROOT / "docs" / "images" / "report.png", folder / "shown")
    (folder / "scans").mkdir()
    (folder / "scans" / "a.dcm").write_bytes(bytes(128) + b"DICM" + bytes(40))


def main(task: str) -> int:
    """Run one task; return the exit code."""
    try:
        return run_extras() if task == "extras" else run_suite(task)
    except AbsentError as reason:
        print(f"{task}: not run, {reason}", file=sys.stderr)
        return 0


if __name__ == "__main__":
    if len(sys.argv) != 2 or sys.argv[1] not in (*TESTED, "extras"):
        raise SystemExit(f"give one of: {', '.join((*TESTED, 'extras'))}")
    raise SystemExit(main(sys.argv[1]))

"""kill -9 at any step: nothing half-made is listed, and the next run ends with the same bytes."""

import hashlib
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import twinset
from tests.end_to_end.conftest import write_recipe
from twinset.catalog import Catalog

CHILD = """
import importlib, os, signal, sys
module, owner, name, calls, recipe, root = sys.argv[1:]
target = importlib.import_module(module)
if owner:
    target = getattr(target, owner)
original, left = getattr(target, name), [int(calls)]
def dying(*args, **kwargs):
    left[0] -= 1
    if left[0] == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    return original(*args, **kwargs)
setattr(target, name, dying)
import twinset
twinset.run(recipe, root=root)
"""

MOMENTS = {
    "registering the real set": ("os", "", "replace", 1),
    "generation, second chunk": ("twinset.generation.sampling", "RowSource", "_with_fresh", 2),
    "catalogue write, in a file": ("pyarrow.parquet", "ParquetWriter", "write_table", 3),
    "evaluation": ("twinset.evaluation.gap.marginals", "Marginals", "compute", 2),
    "delivery": ("twinset.io.delivery", "", "_checksums", 1),
}


def delivered(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, str], dict[str, str]]:
    """Return the hashes of the delivered files and of the registered sets of a run left alone."""
    folder = tmp_path_factory.mktemp("undisturbed")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        result = twinset.run(write_recipe(folder), root=folder / "catalogue")
    sets = Catalog(folder / "catalogue").sets()
    return delivered(result.delivered), {version.ref: version.digest for version in sets}


@pytest.mark.slow
@pytest.mark.parametrize("moment", MOMENTS)
def test_a_killed_run_goes_on_and_ends_with_the_same_bytes(
    moment: str, recipe: Path, tmp_path: Path, undisturbed: tuple[dict[str, str], dict[str, str]]
) -> None:
    expected, expected_sets = undisturbed
    root = tmp_path / "catalogue"
    module, owner, name, calls = MOMENTS[moment]
    command = [sys.executable, "-c", CHILD, module, owner, name, str(calls), str(recipe), str(root)]
    child = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert child.returncode == -signal.SIGKILL, child.stderr
    assert not (recipe.parent / "out").exists()

    if root.exists():
        for version in Catalog(root).sets():
            assert len(Catalog(root).load(version)) == version.n_rows
    result = twinset.run(recipe, root=root)
    assert delivered(result.delivered) == expected
    assert {v.ref: v.digest for v in Catalog(root).sets()} == expected_sets

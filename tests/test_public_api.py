"""`import twinset`: a dozen names, each there when it is asked for."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

import twinset


def test_every_name_of_the_face_is_there() -> None:
    assert {"run", "twin", "evaluate", "load_recipe", "Dataset", "Schema", "Field", "Where"} <= set(
        dir(twinset)
    )
    for name in twinset.__all__:
        assert getattr(twinset, name) is not None


def test_the_functions_stay_functions_after_their_modules_are_imported() -> None:
    import twinset.workflows.evaluate
    import twinset.workflows.run
    import twinset.workflows.twin

    assert callable(twinset.twin)
    assert callable(twinset.evaluate)
    assert callable(twinset.run)


def test_another_name_is_refused() -> None:
    with pytest.raises(AttributeError, match="no attribute 'twn'"):
        _ = twinset.twn


def test_the_version_is_that_of_the_distribution() -> None:
    project = Path(__file__).parent.parent / "pyproject.toml"
    assert twinset.__version__ == tomllib.loads(project.read_text())["project"]["version"]

"""The registry finds components by files and entry points, and builds them from settings."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

import twinset.generators
from twinset import registry
from twinset.core.errors import MissingExtraError, ParameterError, TwinsetError, UnknownNameError
from twinset.registry import (
    build,
    component_class,
    component_names,
    list_components,
    parameters,
    setting_faults,
)

TOY = '''
    """A toy."""
    from __future__ import annotations
    from dataclasses import dataclass
    from typing import Literal
    import numpy as np
    import pyarrow as pa
    from twinset.core.contracts import FittedGenerator, Generator, silent
    from twinset.core.data.dataset import Card, Dataset
    from twinset.core.errors import ParameterError
    from twinset.core.data.schema import Field, Schema

    @dataclass(frozen=True, kw_only=True)
    class Toy(Generator):
        """Count from one.

        Parameters
        ----------
        start : int, optional
            First number,
            0 or more.
        step, stop : float
            How far.
        names : tuple of str
            Names.
        way : {"up", "down"}
            Direction.

        Examples
        --------
        start : not a parameter
        """

        kinds = frozenset({"number"})
        needs_real = False
        start: int = 1
        step: float
        stop: float | None = None
        names: tuple[str, ...] = ("x",)
        way: Literal["up", "down"] = "up"

        def __post_init__(self) -> None:
            if self.start < 0:
                raise ParameterError("start is out of range", got=str(self.start), allowed=">= 0")

        def fit(self, real, rng, progress=silent):
            return FittedToy(self)

    class FittedToy(FittedGenerator):
        def __init__(self, settings):
            self.settings = settings
            self.schema = Schema((Field(name="x", kind="number"),))

        def sample(self, n, rng, where=None):
            numbers = self.settings.start + self.settings.step * np.arange(n)
            return Dataset.from_arrow(pa.table({"x": numbers}), self.schema)
'''


@pytest.fixture
def shipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], None]:
    """Return a function that adds a file to the installed folder `generators`."""
    folder = tmp_path / "generators"
    folder.mkdir()
    monkeypatch.setattr(twinset.generators, "__path__", [*twinset.generators.__path__, str(folder)])
    monkeypatch.setattr(
        twinset.generators.__spec__, "submodule_search_locations", twinset.generators.__path__
    )

    def add(path: str, text: str) -> None:
        (folder / path).parent.mkdir(exist_ok=True)
        (folder / path).write_text(textwrap.dedent(text))
        registry._search.cache_clear()

    yield add
    registry._search.cache_clear()
    for name in [name for name in sys.modules if name.startswith("twinset.generators.toys")]:
        del sys.modules[name]


@pytest.fixture
def plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Return a function that installs a plug-in: a module and its dist-info, nothing else."""
    site = tmp_path / "site"
    site.mkdir()
    monkeypatch.syspath_prepend(str(site))

    def install(entry_points: str, text: str = TOY, dist: str = "toy") -> None:
        (site / f"{dist}_module.py").write_text(textwrap.dedent(text))
        info = site / f"{dist}-0.1.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {dist}\nVersion: 0.1\n")
        (info / "entry_points.txt").write_text(textwrap.dedent(entry_points))

    yield install
    for name in [name for name in sys.modules if name.endswith("_module")]:
        del sys.modules[name]


def test_a_file_in_the_folder_is_a_component(shipped) -> None:
    shipped("toys/counter.py", TOY)
    shipped("toys/_private.py", "raise RuntimeError('never imported')")
    shipped("toys/__init__.py", "")

    assert "toys.counter" in component_names("generator")
    assert not [name for name in component_names("generator") if "_" in name.split(".")[-1][:1]]
    texts = {info.name: info.text for info in list_components("generator")}
    assert texts["toys.counter"] == "Count from one."
    assert "toys.counter" not in {info.name for info in list_components("metric")}
    assert component_class("generator", "toys.counter").__name__ == "Toy"


def test_listing_imports_no_component(shipped) -> None:
    shipped("toys/explosive.py", '"""X."""\nraise RuntimeError\nclass A:\n    """Bang."""\n')
    texts = {info.name: info.text for info in list_components()}
    assert texts["toys.explosive"] == "Bang."


def test_a_file_without_a_public_class_is_refused_with_its_name(shipped) -> None:
    shipped("toys/empty.py", "class _Hidden:\n    pass\n")
    with pytest.raises(TwinsetError, match=r"twinset\.generators\.toys\.empty"):
        list_components()


def test_two_public_classes_are_refused(shipped) -> None:
    again = "\n\nclass Second(Toy):\n    '''Second.'''\n"
    shipped("toys/pair.py", textwrap.dedent(TOY) + again)
    with pytest.raises(TwinsetError, match="one public class"):
        component_class("generator", "toys.pair")


def test_an_entry_point_is_picked_up_with_no_other_edit(plugin) -> None:
    import numpy as np

    assert "toys.plugged" not in component_names("generator")
    plugin("[twinset.generators]\ntoys.plugged = toy_module:Toy\n")

    texts = {info.name: info.text for info in list_components("generator")}
    assert texts["toys.plugged"] == "Count from one."
    toy = build("generator", "toys.plugged", {"start": 2, "step": 3})
    made = toy.fit(None, np.random.default_rng(0)).sample(3, np.random.default_rng(0))
    assert made.values("x").tolist() == [2.0, 5.0, 8.0]


def test_an_entry_point_cannot_hide_a_built_in(shipped, plugin) -> None:
    shipped("toys/counter.py", TOY)
    plugin("[twinset.generators]\ntoys.counter = toy_module:Toy\n")
    with pytest.raises(TwinsetError, match=r"'toys\.counter'.*cannot hide a built-in") as caught:
        list_components()
    assert "toy" in caught.value.got


def test_a_name_is_unique_over_the_three_kinds(shipped, plugin) -> None:
    shipped("toys/counter.py", TOY)
    plugin("[twinset.metrics]\ntoys.counter = toy_module:Toy\n")
    with pytest.raises(TwinsetError, match="two components"):
        component_names("metric")


def test_two_plugins_with_one_name_are_refused(plugin) -> None:
    plugin("[twinset.generators]\ntoys.plugged = toy_module:Toy\n")
    plugin("[twinset.generators]\ntoys.plugged = other_module:Toy\n", dist="other")
    with pytest.raises(TwinsetError, match="two components"):
        component_names("generator")


def test_an_entry_point_must_keep_the_contract(plugin) -> None:
    plugin("[twinset.metrics]\ntoys.wrong = toy_module:Toy\n[twinset.generators]\n")
    with pytest.raises(TwinsetError, match="one public class"):
        component_class("metric", "toys.wrong")


def test_an_entry_point_without_a_class_is_refused(plugin) -> None:
    plugin("[twinset.generators]\ntoys.wrong = toy_module\n")
    with pytest.raises(TwinsetError, match="names no class"):
        component_names("generator")


def test_a_library_missing_at_import_says_what_to_install(plugin) -> None:
    plugin("[twinset.generators]\ntoys.heavy = toy_module:Toy\n", text="import no_such_library_xyz")
    with pytest.raises(MissingExtraError, match="no_such_library_xyz"):
        component_class("generator", "toys.heavy")


def test_unknown_names_get_a_suggestion_and_their_place(shipped) -> None:
    shipped("toys/counter.py", TOY)
    with pytest.raises(UnknownNameError) as caught:
        build("generator", "toys.countr", {}, "fraud.yaml: generate[0].use")
    assert "fraud.yaml: generate[0].use" in str(caught.value)
    assert "did you mean 'toys.counter'?" in str(caught.value)


def test_a_component_of_another_kind_is_named_as_such(shipped) -> None:
    shipped("toys/counter.py", TOY)
    with pytest.raises(UnknownNameError, match="another kind: generator"):
        build("metric", "toys.counter", {})


def test_settings_are_taken_as_yaml_gives_them(shipped) -> None:
    shipped("toys/counter.py", TOY)
    toy = build("generator", "toys.counter", {"step": 2, "names": ["a", "b"], "stop": None})
    assert (toy.step, toy.names, toy.stop) == (2.0, ("a", "b"), None)
    assert isinstance(toy.step, float)


def test_wrong_settings_are_refused_with_their_place(shipped) -> None:
    for settings, sentence in [
        ({"step": 1, "strat": 2}, "with.strat: 'toys.counter' has no setting 'strat'"),
        ({"step": "1"}, "got '1'; allowed: float"),
        ({"step": 1, "start": 1.5}, "got 1.5; allowed: int"),
        ({"step": 1, "start": "1"}, "got '1'; allowed: int"),
        ({"step": 1, "start": True}, "got True; allowed: int"),
        ({"step": 1, "start": None}, "got None; allowed: int"),
        ({"step": True}, "got True; allowed: float"),
        ({"step": 1, "way": "left"}, "got 'left'; allowed: Literal"),
        ({"step": 1, "names": "abc"}, "got 'abc'"),
        ({"step": 1, "names": [object()]}, "with.names: the setting 'names'"),
        ({"start": 1}, "with.step: 'toys.counter' needs the setting 'step'"),
        ({"step": 1, "start": -1}, "with: start is out of range; got -1; allowed: >= 0"),
    ]:
        shipped("toys/counter.py", TOY)
        with pytest.raises(ParameterError) as caught:
            build("generator", "toys.counter", settings, "generate[0].with")
        assert sentence in str(caught.value)
        assert str(caught.value).startswith("generate[0].with")


def test_all_faults_of_the_settings_are_found_at_once(shipped) -> None:
    shipped("toys/counter.py", TOY)
    faults = setting_faults("generator", "toys.counter", {"strat": 2, "way": 3})
    assert [key for key, _ in faults] == ["strat", "way", "step"]
    assert "did you mean 'start'?" in str(faults[0][1])
    assert setting_faults("generator", "toys.counter", {"step": 1}) == []


def test_parameters_carry_type_default_and_help(shipped) -> None:
    shipped("toys/counter.py", TOY)
    found = {p.name: p for p in parameters("generator", "toys.counter")}
    assert list(found) == ["start", "step", "stop", "names", "way"]
    assert (found["start"].type, found["start"].default) == ("int", 1)
    assert found["start"].help == "First number, 0 or more."
    assert found["step"].required
    assert found["step"].help == found["stop"].help == "How far."
    assert found["names"].default == ("x",)


SHIPPED = {
    "generator": {
        "tabular.marginals", "tabular.bootstrap", "tabular.copula", "minority.smote",
        "tabular.sdv", "image.shapes", "text.templates",
    },
    "augmenter": {"image.albumentations", "tabular.jitter"},
    "metric": {
        "gap.marginals", "gap.pairs", "gap.classifier", "coverage.density_coverage",
        "coverage.population", "utility.train_synthetic_test_real", "privacy.nearest_record",
        "privacy.exact_copies",
    },
}  # fmt: skip


def test_the_shipped_components_are_there() -> None:
    for kind in SHIPPED:
        assert set(component_names(kind)) >= SHIPPED[kind]


def test_listing_loads_no_heavy_library() -> None:
    code = (
        "import sys, json; from twinset.registry import list_components; list_components();"
        "print(json.dumps(sorted(m for m in sys.modules if '.' not in m)))"
    )
    loaded = json.loads(
        subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout
    )
    heavy = {"numpy", "pyarrow", "pandas", "sklearn", "torch", "cv2", "pydantic", "sqlite3"}
    assert not heavy & set(loaded)

"""How many rows are asked for, and what the Python face returns."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import twinset
from twinset.core.data.where import Where
from twinset.core.errors import ParameterError, SchemaError
from twinset.core.features.slice_search import Slice
from twinset.recipe import GenerateStep, read_yaml
from twinset.registry import build
from twinset.workflows.gaps import rows_to_add


def test_rows_of_one_slice_by_hand() -> None:
    # 10 of 100 rows, a fifth wanted: (10 + x) / (100 + x) = 0.2.
    assert rows_to_add(np.array([10.0]), np.array([0.2]), np.eye(1), 100).tolist() == [12]


def test_rows_of_a_slice_inside_another_are_counted_once() -> None:
    # All rows of the second lie in the first: 25 new ones bring both to their share.
    within = np.array([[1.0, 1.0], [0.2, 1.0]])
    found = rows_to_add(np.array([15.0, 0.0]), np.array([0.32, 0.2]), within, 100)
    assert found.tolist() == [0, 25]


@settings(max_examples=50, deadline=None)
@given(
    st.lists(st.tuples(st.floats(0.01, 0.15), st.floats(0, 0.99)), min_size=1, max_size=5),
    st.integers(100, 10_000),
)
def test_disjoint_slices_all_reach_their_shares(slices: list[tuple[float, float]], n: int) -> None:
    shares = np.array([share for share, _ in slices])
    counts = np.floor(shares * n * [kept for _, kept in slices])
    added = rows_to_add(counts, shares, np.eye(len(slices)), n)
    assert (added >= 0).all()
    after = (counts + added) / (n + added.sum())
    assert after == pytest.approx(shares, abs=1.0 / n + 1e-6)


def test_tables_give_the_section_alone_and_it_is_one_of_a_recipe() -> None:
    real = pa.table({"sky": ["day", "night"] * 500, "rain": [True, False, False, False] * 250})
    made = real.filter(pa.array(np.arange(1_000) % 4 != 0))
    found = twinset.gaps(real, made)
    section = read_yaml(found.recipe)
    assert not section.faults
    assert list(section.data) == ["generate"]
    step = GenerateStep.model_validate(section.data["generate"][0])
    assert step.counts[0].rows == found.missing[0].rows
    assert found.missing[0].words == "rain"
    assert found.missing[0].rows == 250


def test_a_share_that_cannot_be_is_refused() -> None:
    real = pa.table({"sky": ["day", "night"] * 500})
    with pytest.raises(ParameterError, match="out of range"):
        twinset.gaps(real, real, want={"sky = night": 1.0})
    clash = twinset.gaps(real, real, want={"sky = night": 0.8, "sky = day": 0.7})
    assert any(gap.obstacle == "shares clash" for gap in clash.missing)


def test_more_rows_than_there_are_is_said() -> None:
    real = pa.table({"sky": ["day", "night"] * 500})
    few = twinset.gaps(real, real, want={"sky = night": 0.6})
    assert few.notes == ()
    many = twinset.gaps(real, real, want={"sky = night": 0.9})
    assert "more than the 1,000 that there are" in many.notes[0]


def test_rows_that_a_twin_held_out_are_not_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    age = np.arange(400) % 71
    pyarrow.csv.write_csv(pa.table({"age": age, "fee": np.arange(400.0)}), tmp_path / "real.csv")
    twinset.twin(tmp_path / "real.csv", tmp_path / "twin.csv", use="tabular.marginals")
    looked = []
    for name in ("search_slices", "plan_rows"):
        monkeypatch.setattr(
            f"twinset.workflows.gaps.{name}", lambda real, *_, **__: looked.append(len(real)) or ()
        )
    twinset.gaps(tmp_path / "real.csv", tmp_path / "twin.csv")
    twinset.gaps(tmp_path / "real.csv", pa.table({"age": age, "fee": np.arange(400.0)}))
    assert looked == [320, 320, 400, 400]


def test_a_line_whose_shares_are_alike_is_not_printed(monkeypatch: pytest.MonkeyPatch) -> None:
    real = pa.table({"sky": ["day", "night"] * 500, "sea": ["flat"] * 900 + ["high"] * 100})
    made = pa.table(
        {"sky": ["day"] * 540 + ["night"] * 460, "sea": ["flat"] * 800 + ["high"] * 200}
    )
    found = [
        Slice(f"{column} = {level}", Where({column: level}), there, had, 1000, 1000, z)
        for column, level, there, had, z in (
            ("sky", "night", 500, 460, -9.0),
            ("sky", "day", 500, 540, 9.0),
            ("sea", "high", 100, 200, 9.0),
        )
    ]
    monkeypatch.setattr("twinset.workflows.gaps.search_slices", lambda *_, **__: found)
    told = twinset.gaps(real, made)
    assert told.missing == ()
    assert told.over == (
        "sea = high: 20.0 % of 1,000 synthetic rows compared, 10.0 % of 1,000 real rows compared",
    )


def drawn(n: int) -> pa.Table:
    """Return labelled images of 32 pixels, none of which shows a star at night."""
    pytest.importorskip("cv2")
    shapes = build("generator", "image.shapes", {"size": 32, "n_objects_range": (1, 2)})
    rows = shapes.fit(None, np.random.default_rng(0)).sample(n, np.random.default_rng(1))
    lacks = ~rows.mask(Where({"light": "night", "main_shape": "star"}))
    return rows.take(np.flatnonzero(lacks)).without_reserved().records


def test_images_are_asked_for_by_their_columns_though_no_real_one_shows_them(
    tmp_path: Path,
) -> None:
    file = tmp_path / "real.parquet"
    pyarrow.parquet.write_table(drawn(120), file)
    want = {"light = night and main_shape = star": 0.2}
    found = twinset.gaps(file, file, want=want)
    (gap,) = found.missing
    n = pyarrow.parquet.read_metadata(file).num_rows
    assert (gap.rows, gap.obstacle) == (round(n / 4), None)
    step = GenerateStep.model_validate(read_yaml(found.recipe).data["generate"][0])
    assert (step.use, step.with_) == ("image.shapes", {"size": 32})
    (tmp_path / "gaps.yaml").write_text(found.recipe)
    done = twinset.run(
        tmp_path / "gaps.yaml", root=tmp_path / "kept", overrides=[f"deliver.to={tmp_path / 'out'}"]
    )
    assert done.delivered is not None
    made = pyarrow.parquet.read_table(done.delivered / "synthetic.parquet")
    assert made.column("main_shape").to_pylist() == ["star"] * gap.rows
    assert made.column("light").to_pylist() == ["night"] * gap.rows


def test_what_a_drawing_generator_does_not_know_cannot_be_asked_for() -> None:
    table = drawn(40)
    real = table.append_column("weather", pa.array(["dry", "wet"] * len(table))[: len(table)])
    with pytest.raises(ParameterError, match="cannot be asked for rows by 'weather'"):
        twinset.gaps(real, real, want={"weather = wet": 0.9})
    with pytest.raises(SchemaError, match="kind image"):
        twinset.gaps(real, real, use="tabular.trees")
    tabular = pa.table({"sky": ["day", "night"] * 50})
    with pytest.raises(SchemaError, match="draws none of the columns"):
        twinset.gaps(tabular, tabular, use="image.shapes")

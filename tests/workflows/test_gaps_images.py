"""Slices of annotated images that a set lacks, filled by pasting or by drawing scenes."""

import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest

import twinset
from twinset.core.data.dataset import Dataset
from twinset.core.data.where import Where
from twinset.core.errors import SchemaError
from twinset.core.seeding import rng_for
from twinset.io import read_dataset, write_dataset
from twinset.recipe import read_yaml
from twinset.registry import build
from twinset.workflows.gap_recipe import Filler, with_object_counts
from twinset.workflows.gaps import Aim, plan_rows

pytest.importorskip("cv2")

CROWDED = Where({"objects 'bolt'": {"ge": 2}})


def scenes(n: int, seed: int, **settings) -> Dataset:
    drawer = build("generator", "image.scenes", {"size": 48, **settings})
    return drawer.fit(None, rng_for(seed, "fit")).sample(n, rng_for(seed, "draw"))


def photos(n: int = 160) -> Dataset:
    """Return images without conditions as columns: nuts, and in a third of them two bolts or more."""
    settings = {
        "classes": {"bolt": {"shape": "star"}, "nut": {"shape": "circle", "weight": 3.0}},
        "n_objects_range": [2, 4], "factors": {"occlusion": ["none"], "truncation": ["none"]},
    }  # fmt: skip
    made = scenes(n, 1, **settings)
    kept = made.select(["image", "instances", "objects"])
    site = pa.array(["north", "south", "south", "south"] * (n // 4))
    return Dataset.from_arrow(kept.records.append_column("site", site))


def share(data: Dataset, where: Where) -> float:
    return float(with_object_counts(data, ["bolt", "nut"]).mask(where).mean())


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write `real` and `made`, which lost nearly all images of two bolts or more, as COCO folders."""
    folder = tmp_path_factory.mktemp("written")
    real = photos()
    crowded = with_object_counts(real, ["bolt", "nut"]).mask(CROWDED)
    assert 0.15 < crowded.mean() < 0.5
    keep = ~crowded | (np.arange(len(real)) % 16 == 0)
    lacking = real.filter(keep)
    for name, data in (("real", real), ("made", lacking)):
        write_dataset([data], folder / name, "coco")
    return folder


@pytest.fixture(scope="module")
def read(written: Path) -> tuple[Dataset, Dataset]:
    return read_dataset(written / "real"), read_dataset(written / "made")


@pytest.fixture
def sets(
    written: Path,
    read: tuple[Dataset, Dataset],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> tuple[Dataset, Dataset]:
    """Copy both folders into the working folder, and return their images."""
    shutil.copytree(written, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    return read


def test_running_the_fragment_raises_the_coverage_of_the_slice(sets) -> None:
    real, made = sets
    found = twinset.gaps(Path("real"), Path("made"))
    assert any("objects 'bolt'" in gap.words for gap in found.missing), found.missing
    step = read_yaml(found.recipe).data["generate"][0]
    assert step["use"] == "image.copy_paste"
    Path("gaps.yaml").write_text(found.recipe)
    ran = twinset.run(Path("gaps.yaml"))
    filled = read_dataset(ran.delivered / "synthetic.parquet", made.schema)
    assert len(filled) == found.rows
    assert len(read_dataset(ran.delivered / "synthetic.coco")) == found.rows
    wanted, had = share(real, CROWDED), share(made, CROWDED)
    both = Dataset.concat([made, filled.without_reserved()])
    assert abs(share(both, CROWDED) - wanted) < 0.2 * abs(had - wanted)
    again = twinset.gaps(real, both)
    assert not any("bolt" in gap.words and gap.rows > 3 for gap in again.missing)


def test_what_few_real_images_show_can_be_asked_for_by_pasting(sets) -> None:
    real, made = sets
    rare = {"\"objects 'bolt'\" >= 5 and site = north": 0.1}
    found = twinset.gaps(real, made, want=rare)
    gap = found.missing[0]
    assert gap.declared
    assert gap.obstacle is None
    assert gap.rows > 0
    none = twinset.gaps(real, made, want={"\"objects 'bolt'\" >= 5 and site = west": 0.1})
    assert none.missing[0].obstacle == "no real rows"


def test_slices_of_columns_choose_the_images_below(sets, tmp_path: Path) -> None:
    real, _ = sets
    south = real.filter(~real.mask(Where({"site": "north"})))
    write_dataset([south], Path("south"), "coco")
    found = twinset.gaps(Path("real"), Path("south"))
    assert found.missing[0].words == "site = north"
    Path("gaps.yaml").write_text(found.recipe)
    ran = twinset.run(Path("gaps.yaml"))
    filled = read_dataset(ran.delivered / "synthetic.parquet", real.schema)
    assert set(filled.records["site"].to_pylist()) == {"north"}


def test_boxes_alone_are_cut_out_as_ellipses(sets) -> None:
    real, made = sets
    plain = [data.select(["image", "objects", "site"]) for data in (real, made)]
    bare = []
    for data in plain:
        rows = data.records["objects"].to_pylist()
        for row in rows:
            for item in row:
                item["polygons"] = None
        place = data.records.schema.get_field_index("objects")
        column = pa.array(rows, data.schema["objects"].arrow_type)
        bare.append(Dataset(data.records.set_column(place, "objects", column), data.schema))
    step = read_yaml(twinset.gaps(*bare).recipe).data["generate"][0]
    assert step["with"] == {"masks_from_boxes": "ellipse"}


def test_scenes_fill_their_own_conditions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    factors = {"weather": ["clear", "fog"], "light": ["day", "night"], "occlusion": ["none"]}
    real = scenes(160, 2, factors=factors, n_objects_range=[1, 3])
    foggy = Where({"weather": "fog", "light": "night"})
    made = real.filter(~real.mask(foggy))
    for name, data in (("real", real), ("made", made)):
        pyarrow.parquet.write_table(data.without_reserved().records, f"{name}.parquet")
    found = twinset.gaps("real.parquet", "made.parquet")
    step = read_yaml(found.recipe).data["generate"][0]
    assert step["use"] == "image.scenes"
    assert step["with"]["size"] == 48
    assert step["with"]["factors"]["weather"] == ["clear", "fog"]
    Path("gaps.yaml").write_text(found.recipe)
    ran = twinset.run(Path("gaps.yaml"))
    filled = read_dataset(ran.delivered / "synthetic.parquet", real.schema)
    both = Dataset.concat([made.without_reserved(), filled.without_reserved()])
    wanted = real.mask(foggy).mean()
    assert both.mask(foggy).mean() == pytest.approx(wanted, rel=0.25)
    assert set(filled.records["n_objects"].to_pylist()) <= {1, 2, 3}


def test_settings_of_scenes_are_taken_over_from_their_card() -> None:
    classes = {"bolt": {"shape": "star"}, "nut": {"shape": "circle"}}
    real = scenes(60, 3, classes=classes, factors={"light": ["day", "night"]})
    told = Filler.from_sets(None, real, [real.card])
    assert told.name == "image.scenes"
    assert "main_class" in (told.columns or ())
    assert told.settings["classes"] == classes
    untold = Filler.from_sets("image.scenes", real)
    assert "main_class" not in (untold.columns or ())
    assert "light" in (untold.columns or ())


def test_what_cannot_be_pasted_is_reported(sets) -> None:
    real, _ = sets
    with pytest.raises(SchemaError, match=r"cannot make rows of this set; got image, site"):
        Filler.from_sets("image.copy_paste", real.select(["image", "site"]))


def test_a_slice_that_no_real_image_shows_counts_in_the_slices_that_hold_it(sets) -> None:
    more = Where.parse("objects 'bolt' >= 5")
    real, made = (with_object_counts(data, ["bolt", "nut"]) for data in sets)
    aims = [
        Aim(more, str(more), 0.05, True, Where({})),
        Aim(CROWDED, str(CROWDED), None, False, Where({})),
    ]
    assert not real.mask(more).any()
    found = plan_rows(real, made, aims)
    total = len(made) + sum(gap.rows for gap in found)
    assert found[0].rows == pytest.approx(0.05 * total, abs=1)
    crowded = made.mask(CROWDED).sum() + sum(gap.rows for gap in found)  # all made ones are
    assert crowded == pytest.approx(real.mask(CROWDED).mean() * total, abs=1)


def test_pasted_images_without_columns_of_their_own_are_read_again(sets, tmp_path: Path) -> None:
    real = sets[0].select(["image", "instances", "objects"])
    made = real.slice(0, 3).with_reserved(ids=["a", "b", "c"], parents=[["x"], [], ["y", "z"]])
    for layout in ("coco", "webdataset"):
        write_dataset([made], tmp_path / layout, layout)
        again = read_dataset(tmp_path / layout)
        assert again.schema.names == real.schema.names
        assert again.records["_id"].to_pylist() == ["a", "b", "c"]

"""Scenes with the user's own cutouts and photographs: exact maps, own colours, files found by name."""

from pathlib import Path

import numpy as np
import pytest

from twinset.core.data.where import Where
from twinset.core.errors import DataError, ParameterError, RecipeError
from twinset.core.image.codec import decode_ids, decode_pixels, encode_jpeg, encode_png
from twinset.core.seeding import rng_for
from twinset.generators.image._scenes.images import SceneImages
from twinset.generators.image._scenes.layout import sprite_of
from twinset.generators.image._scenes.spec import read_classes
from twinset.generators.image._scenes.view import View
from twinset.generators.image.scenes import Scenes
from twinset.io import read_dataset
from twinset.recipe import load_recipe
from twinset.workflows.run import run
from twinset.workflows.shards import make_shards

pytest.importorskip("cv2")

UPRIGHT = {"cutouts": "parts", "turn": 0, "tilt": 0}


def square(alpha: int = 255, depth: type = np.uint8) -> np.ndarray:
    """Return 40 x 20 red pixels in 60 x 50 transparent ones that hide a bright green."""
    most = np.iinfo(depth).max
    made = np.zeros((50, 60, 4), depth)
    made[..., 1] = most
    made[10:30, 10:50] = (most, 0, 0, round(most * alpha / 255))
    return made


def assets(folder: Path, **files: bytes) -> dict:
    folder.mkdir(exist_ok=True)
    for name, data in files.items():
        (folder / name.replace("__", ".")).write_bytes(data)
    return {folder.name: read_dataset(folder)}


def kind_of(folder: Path, spec: dict, size: int = 512, **files: bytes):
    images = SceneImages.read({"x": "parts"}, None, assets(folder, **files), (size, size))
    (kind,) = read_classes({"part": spec}, images.cutouts)
    return kind


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("depth", [np.uint8, np.uint16])
def test_a_cutout_at_its_own_size_is_itself(folder: Path, depth: type) -> None:
    kind = kind_of(folder / "parts", UPRIGHT, a__png=encode_png(square(depth=depth)))
    sprite = sprite_of(kind, (30.0, 20.0), 40.0, rng_for(0, "x"), View())
    assert sprite.box() == (10, 10, 50, 30)
    assert sprite.mask.sum() == 40 * 20
    assert set(np.unique(sprite.cover)) == {0, 255}
    assert sprite.colours is not None
    np.testing.assert_allclose(sprite.colours[sprite.mask], np.tile([1, 0, 0], (800, 1)), atol=1e-6)


def test_the_longer_side_of_the_opaque_part_is_as_asked(folder: Path) -> None:
    for side in [12.0, 20.0, 80.0, 300.0]:
        kind = kind_of(folder / "parts", UPRIGHT, a__png=encode_png(square()))
        sprite = sprite_of(kind, (200.0, 150.0), side, rng_for(0, "x"), View())
        assert sprite.box() == (200 - side / 2, 150 - side / 4, 200 + side / 2, 150 + side / 4)


@pytest.mark.parametrize("perspective", [0.0, 0.5])
def test_a_turned_cutout_covers_the_pixels_of_its_turned_outline(
    folder: Path, perspective: float
) -> None:
    kind = kind_of(folder / "parts", {"cutouts": "parts"}, a__png=encode_png(square()))
    outline = {"outline": [[0, 0], [40, 0], [40, 20], [0, 20]]}
    (drawn,) = read_classes({"part": outline})
    view = View.draw(perspective, (200, 200), rng_for(2, "view"))
    for k in range(12):
        # One number more is drawn for a cutout: which of them it is.
        rng = rng_for(k, "x")
        rng.integers(1)
        as_outline = sprite_of(drawn, (90.0, 110.0), 60.0, rng, view)
        sprite = sprite_of(kind, (90.0, 110.0), 60.0, rng_for(k, "x"), view)
        canvas = [np.zeros((260, 260), bool) for _ in range(2)]
        for plane, one in zip(canvas, (sprite, as_outline)):
            place, own = one.moved(30, 30).overlap(260, 260)
            plane[place] = one.mask[own]
        assert (canvas[0] & canvas[1]).sum() / (canvas[0] | canvas[1]).sum() > 0.97


def test_half_of_alpha_decides_and_hidden_colours_never_show(folder: Path) -> None:
    disc = np.zeros((200, 200, 4), np.uint8)
    y, x = np.mgrid[:200, :200] + 0.5
    radius = np.hypot(x - 100, y - 100)
    disc[..., 2] = 255
    disc[..., 3] = np.clip(255 * (90.5 - radius), 0, 255)
    disc[disc[..., 3] == 0] = (0, 255, 0, 0)
    kind = kind_of(folder / "parts", {"cutouts": "parts", "tilt": 0}, a__png=encode_png(disc))
    for side in (18.0, 45.0, 150.0):
        sprite = sprite_of(kind, (100.0, 100.0), side, rng_for(1, "x"), View())
        np.testing.assert_array_equal(sprite.mask, sprite.cover >= 128)
        assert sprite.mask.sum() == pytest.approx(np.pi * (side / 2) ** 2, rel=0.03)
        assert sprite.colours is not None
        assert sprite.colours[sprite.cover > 2][:, 1].max() < 0.02


def test_scenes_of_cutouts_keep_every_label(folder: Path) -> None:
    handed = assets(folder / "parts", a__png=encode_png(square()))
    settings = Scenes(
        size=96, classes={"part": {"cutouts": "parts"}}, shadow=0.0, n_objects_range=(1, 1),
        factors={"ground": ["plain"], "occlusion": ["none"], "truncation": ["none"]},
        ground_colour="#404040",
    )  # fmt: skip
    fitted = settings.with_assets(handed).fit(None, rng_for(0, "fit"))
    data = fitted.sample(8, rng_for(1, "draw"), Where({"main_class": "part"}))
    for row in data.records.to_pylist():
        image, ids = (decode_pixels(row["image"]["bytes"]), decode_ids(row["instances"]["bytes"]))
        (label,) = row["objects"]
        assert label["area"] == (ids == 1).sum()
        red = image[..., 0].astype(int) - image[..., 1]
        # Half red, half ground lies midway: beyond a pixel's rounding the map is what is red.
        assert (ids[red > 135] == 1).all()
        assert (ids[red < 115] == 0).all()
    assert "cutouts" in str(data.card.settings)
    again = fitted.sample(8, rng_for(1, "draw"), Where({"main_class": "part"}))
    assert data.digest == again.digest


def test_a_photograph_is_the_ground(folder: Path) -> None:
    wide = np.zeros((60, 400, 3), np.uint8)
    wide[...] = np.linspace(0, 255, 400, dtype=np.uint8)[None, :, None]
    grey = np.full((80, 70), 77, np.uint8)
    for pixels, spread in ((wide, 15), (grey, 0)):
        handed = assets(folder / "walls", a__png=encode_png(pixels))
        scenes = Scenes(size=64, backgrounds="walls", shadow=0.0, n_objects_range=(1, 1))
        data = scenes.with_assets(handed).fit(None, rng_for(0, "f")).sample(4, rng_for(0, "d"))
        assert set(data.records["ground"].to_pylist()) == {"photograph"}
        for row in data.records.to_pylist():
            image, ids = (decode_pixels(row[n]["bytes"]) for n in ("image", "instances"))
            ground = image[ids == 0]
            assert (np.ptp(ground.astype(int), axis=1) == 0).mean() > 0.8  # grey, but at edges
            assert np.median(np.abs(np.diff(image[..., 0].astype(int), axis=1))) <= 8
            if not spread:
                assert np.median(ground) == 77


def test_a_bad_cutout_is_reported_by_its_name(folder: Path) -> None:
    for data, words in [
        (encode_png(square()[..., :3]), "'bad.png' of the asset 'parts' has no alpha.*3 channels"),
        (encode_png(square()[..., 0]), "has no alpha.*1 channel;"),
        (encode_png(square(alpha=100)), "'bad.png' .*holds no object.*100 of 255.*128 or more"),
        (encode_png(square())[:-200], "'bad.png' .* breaks off"),
        (encode_jpeg(square()[..., :3]), "'bad.png' is no PNG"),
    ]:
        with pytest.raises(DataError, match=words):
            kind_of(folder / "parts", UPRIGHT, good__png=encode_png(square()), bad__png=data)


def test_a_bad_background_is_reported_by_its_name(folder: Path) -> None:
    handed = assets(folder / "walls", bad__png=encode_png(square()))
    with pytest.raises(DataError, match=r"'bad\.png' of the asset 'walls' is no colour image"):
        Scenes(backgrounds="walls").with_assets(handed)


def test_wrong_declarations_are_reported(folder: Path) -> None:
    with pytest.raises(ParameterError, match=r"parts.colours does not go with cutouts"):
        Scenes(classes={"parts": {"cutouts": "x", "colours": ["#fff"]}})
    with pytest.raises(ParameterError, match=r"cutouts is no name of an asset; got 3"):
        Scenes(classes={"part": {"cutouts": 3}})
    with pytest.raises(ParameterError, match="no images for it"):
        Scenes(factors={"ground": ["photograph", "road"]})
    scenes = Scenes(classes={"part": {"cutouts": "prts"}})
    with pytest.raises(ParameterError, match="none: the recipe names no assets"):
        scenes.fit(None, rng_for(0, "fit"))
    handed = assets(folder / "parts", a__png=encode_png(square()))
    with pytest.raises(ParameterError, match=r"classes\.part\.cutouts names.*did you mean 'parts'"):
        scenes.with_assets(handed)
    (folder / "t.csv").write_text("a\n1\n2\n")
    with pytest.raises(ParameterError, match=r"'prts'.*holds no images; got columns a"):
        scenes.with_assets({"prts": read_dataset(folder / "t.csv")})


RECIPE = """
name: parts
seed: 3
brief: {task: detection}
assets: {bolts: cutouts/bolts, walls: photos}
generate:
  - use: image.scenes
    rows: 12
    with:
      size: 48
      classes: {bolt: {cutouts: bolts}, ball: {shape: circle}}
      backgrounds: walls
      n_objects_range: [1, 2]
      factors: {occlusion: [none]}
evaluate: {metrics: []}
deliver: {formats: [webdataset]}
"""


@pytest.fixture
def recipe(folder: Path) -> Path:
    (folder / "cutouts").mkdir()
    assets(folder / "cutouts/bolts", a__png=encode_png(square()), b__png=encode_png(square()[5:35]))
    assets(folder / "photos", w__jpg=encode_jpeg(np.full((70, 90, 3), 99, np.uint8)))
    (folder / "parts.yaml").write_text(RECIPE)
    return folder / "parts.yaml"


def test_a_recipe_hands_the_folders_to_run_and_to_shards(recipe: Path, folder: Path) -> None:
    ran = run(recipe)
    made = make_shards(recipe, folder / "shards")
    delivered = ran.delivered / "synthetic.webdataset/shard-000000.tar"
    assert (made.folder / "shard-000000.tar").read_bytes() == delivered.read_bytes()
    two = make_shards(recipe, folder / "two", rows_a_shard=5, workers=2)
    assert read_dataset(two.folder).records.equals(read_dataset(made.folder).records)
    # Another image is another set.
    (folder / "photos/w.jpg").write_bytes(encode_jpeg(np.full((70, 90, 3), 20, np.uint8)))
    with pytest.raises(DataError, match="shards of another set"):
        make_shards(recipe, folder / "shards")


def test_a_folder_that_is_missing_is_reported_with_its_line(recipe: Path) -> None:
    recipe.write_text(RECIPE.replace("photos}", "photo}"))
    with pytest.raises(RecipeError, match=r"assets\.walls: there is no file or folder 'photo'"):
        load_recipe(recipe)


def test_a_link_out_of_the_folder_is_refused(recipe: Path, folder: Path) -> None:
    (folder / "secret.png").write_bytes(encode_png(square()))
    (folder / "cutouts/bolts/z.png").symlink_to(folder / "secret.png")
    with pytest.raises(DataError, match=r"z\.png"):
        run(recipe)

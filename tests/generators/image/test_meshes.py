"""Scenes of meshes: masks, depth and visibility against geometry worked out by other means."""

from pathlib import Path

import numpy as np
import pytest

from twinset.core.data.where import Where
from twinset.core.errors import DataError, ParameterError, UnknownNameError
from twinset.core.image.codec import decode_ids, decode_pixels
from twinset.core.image.instance_maps import extents_of
from twinset.core.image.polygons import fill
from twinset.core.seeding import rng_for
from twinset.io import read_dataset
from twinset.workflows.run import run

pytest.importorskip("cv2")
trimesh = pytest.importorskip("trimesh", reason="the extra '3d' is not installed")
pytest.importorskip("embreex", reason="the extra '3d' is not installed")

from twinset.generators.image._meshes.forms import read_mesh_classes, solid  # noqa: E402
from twinset.generators.image._meshes.rays import Camera, Scenery, silhouette  # noqa: E402
from twinset.generators.image._meshes.scene import _Placed, _seen  # noqa: E402
from twinset.generators.image.meshes import Meshes  # noqa: E402

SIZE = (120, 160)
CUBE = np.array([[x, y, z] for x in (-0.5, 0.5) for y in (-0.5, 0.5) for z in (0.0, 1.0)])


def camera(azimuth: float = 0.4, elevation: float = 0.5) -> Camera:
    return Camera.about(azimuth, elevation, SIZE)


def hull(points: np.ndarray, beyond: int = 0) -> np.ndarray:
    """Return the pixels whose centres lie in the convex hull of points, and so many beyond the frame."""
    from scipy.spatial import ConvexHull

    ring = points[ConvexHull(points).vertices] + beyond
    return fill([ring], (SIZE[0] + 2 * beyond, SIZE[1] + 2 * beyond))


def cube(side: float, x: float, y: float, **spec) -> _Placed:
    (kind,) = read_mesh_classes({"cube": {"mesh": "box", **spec}})
    shift = np.array([x, y, 0.0])
    points = np.array(list(kind.points.values()), float).reshape(-1, 3) + [0, 0, 0.5]
    mesh = (solid("box") + [0, 0, 0.5]) * side + shift
    return _Placed(kind, mesh, points * side + shift)


def drawn(n: int, where=None, seed: int = 0, **settings):
    given = {"size": 64, "samples": 1, **settings}
    fitted = Meshes(**given).fit(None, rng_for(0, "fit"))
    return fitted.sample(n, rng_for(seed, "draw"), None if where is None else Where(where))


def test_points_are_seen_where_rays_through_their_pixels_go() -> None:
    eye = camera()
    points = rng_for(0, "x").uniform(-0.8, 0.8, (50, 3))
    at = eye.seen(points)
    rays = eye.rays(at[:, 0], at[:, 1])
    ahead = (points - eye.eye) / np.linalg.norm(points - eye.eye, axis=1, keepdims=True)
    np.testing.assert_allclose(rays, ahead, atol=1e-6)
    middle = eye.seen(np.zeros((1, 3)))
    np.testing.assert_allclose(middle, [[80, 60]], atol=1e-9)
    # Up in the scene is up in the image; the ground two units wide fills most of its longer side.
    assert eye.seen(np.array([[0, 0, 0.3]]))[0, 1] < 60
    ends = Camera.about(0.0, np.pi / 2 - 1e-6, SIZE).seen(np.array([[0, -1.0, 0], [0, 1.0, 0]]))
    assert 0.8 * 160 < np.ptp(ends[:, 0]) < 160


def test_the_mask_of_a_ball_is_the_cone_of_rays_that_pass_its_middle() -> None:
    eye, radius = camera(), 0.4
    middle = np.array([0.2, -0.1, radius])
    mask, left, top = silhouette(solid("sphere") * radius + middle, eye)
    full = np.zeros(SIZE, bool)
    full[top : top + mask.shape[0], left : left + mask.shape[1]] = mask
    y, x = np.mgrid[: SIZE[0], : SIZE[1]] + 0.5
    rays = eye.rays(x.ravel(), y.ravel()).astype(float)
    along = rays @ (middle - eye.eye)
    apart = np.sqrt(((middle - eye.eye) ** 2).sum() - along**2).reshape(SIZE)
    expected = apart < radius
    assert (full & expected).sum() / (full | expected).sum() > 0.98
    hits = Scenery([solid("sphere") * radius + middle]).hits(eye.eye, rays.astype(np.float32))
    inner = (apart < 0.9 * radius).ravel()
    exact = along[inner] - np.sqrt(radius**2 - apart.ravel()[inner] ** 2)
    np.testing.assert_allclose(hits.distance[inner], exact, atol=4e-3)
    normal = (eye.eye + rays[inner] * exact[:, None] - middle) / radius
    assert ((normal * hits.normal[inner]).sum(axis=1) > 0.99).all()


def test_who_hides_whom_is_what_the_hulls_of_cubes_say() -> None:
    eye = Camera.about(0.0, 0.35, SIZE)  # it looks along -x: what has more x is nearer
    front, back = cube(0.3, 0.45, 0.05), cube(0.5, -0.3, 0.0)
    scene = _seen([back, front], eye, 0.0)
    hulls = [hull(eye.seen(one.mesh.reshape(-1, 3))) for one in (back, front)]
    for label, own, others in zip(scene.objects, hulls, (hulls[1], np.zeros(SIZE, bool))):
        seen = own & ~others
        mask = scene.ids == label["id"]
        assert np.count_nonzero(mask ^ seen) <= 4  # centres that lie on an edge
        assert label["area"] == mask.sum()
        assert label["visible_fraction"] == pytest.approx(seen.sum() / own.sum(), abs=0.01)
        assert not label["truncated"]
    assert 0.2 < scene.objects[0]["visible_fraction"] < 0.95
    # Depth is that along the axis: of the front cube's face x = 0.6 it is one plane's.
    depth = scene.depth[scene.ids == 2]
    face = (np.array([[0.6, 0.05, 0.15]]) - eye.eye) @ eye.axes[2]
    assert np.abs(depth - face).min() < 0.01
    assert depth.max() < scene.depth[scene.ids == 1].min()
    with_rule = _seen([back, front], eye, 0.99)
    assert [label["id"] for label in with_rule.objects] == [2]
    assert not (with_rule.ids == 1).any()


def test_an_object_that_leaves_the_frame_knows_what_lies_beyond() -> None:
    eye = Camera.about(0.0, 0.6, SIZE)
    scene = _seen([cube(0.6, 0.0, 0.95)], eye, 0.0)
    (label,) = scene.objects
    at = eye.seen(cube(0.6, 0.0, 0.95).mesh.reshape(-1, 3))
    assert label["truncated"]
    x0, y0, x1, y1 = label["amodal_box"]
    np.testing.assert_allclose([x0, y0, x1, y1], [*at.min(axis=0), *at.max(axis=0)], atol=1)
    assert x1 > 160 or x0 < 0
    whole = hull(at, beyond=200).sum()
    assert label["visible_fraction"] == pytest.approx(label["area"] / whole, abs=0.01)
    assert label["visible_fraction"] < 0.95


def test_of_the_corners_of_a_cube_seen_aslant_one_is_hidden() -> None:
    corners = {f"c{k}": (CUBE[k] - [0, 0, 0.5]).tolist() for k in range(8)}
    for azimuth in (0.5, 2.0, 4.1):
        eye = Camera.about(azimuth, 0.5, SIZE)
        scene = _seen([cube(0.5, 0.0, 0.0, points=corners)], eye, 0.0)
        (label,) = scene.objects
        seen = [point["v"] for point in label["keypoints"]]
        assert sorted(seen) == [1] + 7 * [2]
        # The one that is furthest from the eye, on the ground.
        far = np.linalg.norm(CUBE * 0.5 - eye.eye, axis=1)
        assert seen.index(1) == int(np.where(CUBE[:, 2] == 0, far, 0).argmax())


def test_labels_say_what_the_map_shows_and_conditions_are_met() -> None:
    data = drawn(10, {"view": "low", "n_objects": [3, 4], "light": "evening"})
    assert set(data.records["view"].to_pylist()) == {"low"}
    for row in data.records.to_pylist():
        ids, image = decode_ids(row["instances"]["bytes"]), decode_pixels(row["image"]["bytes"])
        assert image.shape == (64, 64, 3)
        seen, boxes, areas = extents_of(ids)
        assert [o["id"] for o in row["objects"]] == seen.tolist()
        assert [o["box"] for o in row["objects"]] == boxes.tolist()
        assert [o["area"] for o in row["objects"]] == areas.tolist()
        assert row["n_objects"] == len(seen)
        assert row["n_objects"] in (3, 4)
        for label in row["objects"]:
            ax0, ay0, ax1, ay1 = label["amodal_box"]
            assert label["truncated"] == (ax0 < 0 or ay0 < 0 or ax1 > 64 or ay1 > 64)
            assert 0.1 <= label["visible_fraction"] <= 1
    with pytest.raises(ParameterError, match="conditions on view, light, n_objects"):
        drawn(1, {"colour": "red"})


def test_light_and_shadow_are_in_the_pixels() -> None:
    means = {
        light: np.mean(
            [
                decode_pixels(cell["bytes"]).mean()
                for cell in drawn(6, {"light": light}, ground_colour="#777777")
                .records["image"]
                .to_pylist()
            ]
        )
        for light in ("day", "overcast", "evening", "night")
    }
    assert means["night"] < 0.4 * means["evening"] < means["day"]
    alike = {"view": "top", "light": "day"}
    dark, bright = (
        decode_pixels(drawn(1, alike, shadow=s).records["image"][0].as_py()["bytes"]).astype(int)
        for s in (1.0, 0.0)
    )
    assert (dark <= bright).all()
    assert (dark < bright - 20).any()


def test_depth_is_a_column_when_asked_for() -> None:
    data = drawn(3, depth=True)
    for row in data.records.to_pylist():
        depth, ids = decode_pixels(row["depth"]["bytes"]), decode_ids(row["instances"]["bytes"])
        assert depth.dtype == np.float32
        assert depth.shape == ids.shape
        assert (depth[ids > 0] > 0.5).all()
    assert "depth" not in drawn(1).schema.names


def stl(folder: Path, name: str, size: tuple[float, float, float]) -> None:
    folder.mkdir(exist_ok=True)
    (folder / name).write_bytes(trimesh.creation.box(size).export(file_type="stl"))


RECIPE = """
name: solids
seed: 3
brief: {task: detection}
assets: {bricks: bricks, pole: pole.obj}
generate:
  - use: image.meshes
    rows: 6
    with:
      size: 48
      classes:
        brick: {asset: bricks, tumble: true, colours: ['#b33']}
        pole: {asset: pole}
        ball: {mesh: sphere}
      n_objects_range: [1, 3]
evaluate: {metrics: []}
deliver: {formats: [parquet, coco]}
"""


def test_a_recipe_hands_meshes_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    stl(tmp_path / "bricks", "a.stl", (2, 1, 0.5))
    stl(tmp_path / "bricks", "b.stl", (1, 1, 1))
    (tmp_path / "pole.obj").write_text(trimesh.creation.box((1, 1, 9)).export(file_type="obj"))
    (tmp_path / "solids.yaml").write_text(RECIPE)
    ran = run(tmp_path / "solids.yaml")
    made = read_dataset(ran.delivered / "synthetic.coco")
    names = {item["category"] for row in made.records["objects"].to_pylist() for item in row}
    assert names == {"brick", "pole", "ball"}
    read = read_dataset(tmp_path / "bricks")
    assert len(read) == 24
    assert read.records["mesh"].to_pylist()[::12] == ["a.stl", "b.stl"]
    (tmp_path / "bricks/c.stl").write_bytes(b"solid of nothing")
    with pytest.raises(DataError, match=r"'c\.stl'"):
        run(tmp_path / "solids.yaml", overrides=["seed=4"])


@pytest.mark.parametrize(("ending", "content"), [
    ("obj", "v 1 2\nf 1 2 3"), ("obj", "# none"), ("ply", "ply\nformat"), ("glb", "gl"),
    ("off", "OFF\n3 1"),
])  # fmt: skip
def test_damaged_meshes_are_told_by_their_name(tmp_path: Path, ending: str, content: str) -> None:
    (tmp_path / f"bad.{ending}").write_text(content)
    with pytest.raises(DataError, match=rf"'bad\.{ending}'"):
        read_dataset(tmp_path / f"bad.{ending}")


@pytest.mark.parametrize(
    ("settings", "error", "words"),
    [
        ({"classes": {}}, ParameterError, "holds no class"),
        ({"classes": {"a": {"mesh": "ring"}}}, UnknownNameError, "ring"),
        ({"classes": {"a": {}}}, ParameterError, "either a mesh or an asset; got none"),
        ({"classes": {"a": {"mesh": "box", "asset": "x"}}}, ParameterError, "got both"),
        ({"classes": {"a": {"mesh": "box", "colour": "#fff"}}}, ParameterError, "did you mean 'colours'"),
        ({"classes": {"a": {"mesh": "box", "weight": -1}}}, ParameterError, "a.weight"),
        ({"classes": {"a": {"mesh": "box", "weight": 0}}}, ParameterError, "weight above 0"),
        ({"classes": {"a": {"mesh": "box", "points": {"p": [1, 2]}}}}, ParameterError, "points.p is no"),
        ({"factors": {"views": ["top"]}}, UnknownNameError, "did you mean 'view'"),
        ({"factors": {"view": ["topp"]}}, UnknownNameError, "did you mean 'top'"),
        ({"factors": {"view": {"top": 0}}}, ParameterError, "factors.view.* nothing a weight"),
        ({"size": 9}, ParameterError, "'size'"),
        ({"scale_range": (0.3, 0.2)}, ParameterError, "'scale_range'"),
        ({"samples": 9}, ParameterError, "'samples'"),
    ],
)  # fmt: skip
def test_wrong_declarations_are_told_before_anything_is_drawn(settings, error, words) -> None:
    with pytest.raises(error, match=words):
        Meshes(**settings)


def test_what_cannot_be_laid_out_or_found_is_told(tmp_path: Path) -> None:
    with pytest.raises(ParameterError, match="do not find room"):
        drawn(1, n_objects_range=(20, 20), scale_range=(0.5, 0.5))
    with pytest.raises(ParameterError, match="the recipe names no assets"):
        drawn(1, classes={"a": {"asset": "bolts"}})
    (tmp_path / "t.csv").write_text("a\n1\n2\n")
    with pytest.raises(ParameterError, match="holds no meshes; got columns a"):
        Meshes(classes={"a": {"asset": "t"}}).with_assets({"t": read_dataset(tmp_path / "t.csv")})

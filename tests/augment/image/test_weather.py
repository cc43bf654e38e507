import numpy as np
import pyarrow as pa
import pytest

from twinset.augment.image.weather import EFFECTS, Weather, put_effect
from twinset.core.data.dataset import Dataset
from twinset.core.errors import DataError, ParameterError, UnknownNameError
from twinset.core.image.codec import decode_pixels, encode_lossless
from twinset.core.seeding import rng_for

pytest.importorskip("cv2")


def picture(dtype=np.uint8, channels: int = 3) -> np.ndarray:
    rng = np.random.default_rng(0)
    grid = rng.uniform(0.2, 0.7, (6, 6, channels)).repeat(8, axis=0).repeat(8, axis=1)
    most = {np.uint8: 255, np.uint16: 65535, np.float32: 1}[dtype]
    return (grid * most).astype(dtype)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize("channels", [1, 3, 5])
@pytest.mark.parametrize("name", EFFECTS)
def test_every_effect_takes_every_depth(name, dtype, channels):
    given = picture(dtype, channels)
    before = given.copy()
    made = put_effect(given, name, 0.6, rng_for(0, name))
    assert (made.dtype, made.shape) == (given.dtype, given.shape)
    np.testing.assert_array_equal(given, before)
    if name != "jpeg" or channels != 5:
        assert (made != given).any()


@pytest.mark.parametrize("name", EFFECTS)
def test_more_of_it_changes_more(name):
    given = picture().astype(float)
    change = [
        np.abs(put_effect(picture(), name, amount, rng_for(1, name)) - given).mean()
        for amount in (0.1, 0.5, 1.0)
    ]
    assert change[0] < change[1] < change[2]


def test_night_is_darker_fog_flatter_and_snow_brighter():
    given = picture()
    night, fog, snow = (put_effect(given, n, 0.8, rng_for(2, n)) for n in ("night", "fog", "snow"))
    assert night.mean() < 0.6 * given.mean()
    assert fog.std() < 0.6 * given.std()
    assert snow.mean() > 1.1 * given.mean()


@pytest.mark.parametrize("name", ["motion_blur", "defocus"])
def test_blurs_leave_things_where_they_are(name):
    dot = np.zeros((65, 65, 1), np.float32)
    dot[32, 32] = 1
    rows, columns = np.mgrid[:65, :65]
    for seed in range(5):
        made = put_effect(dot, name, 0.9, rng_for(seed, name))[..., 0]
        assert (made * rows).sum() / made.sum() == pytest.approx(32, abs=0.02)
        assert (made * columns).sum() / made.sum() == pytest.approx(32, abs=0.02)


def test_rows_get_kinds_by_weight_and_labels_stay():
    cells = [{"bytes": encode_lossless(picture()), "path": None}] * 40
    table = pa.table({"image": cells, "site": ["a"] * 40})
    data = Dataset.from_arrow(table).with_reserved(ids=[str(i) for i in range(40)])
    some = Weather(kinds_of_weather={"night": 1, "fog": 0}, fraction=0.5, amount_range=(0.9, 0.9))
    out = some.apply(data, some.draw(data, rng_for(0, "rows")))
    means = np.array([decode_pixels(c["bytes"]).mean() for c in out.records["image"].to_pylist()])
    plain = picture().mean()
    dark = means < 0.6 * plain
    assert 10 <= dark.sum() <= 30
    np.testing.assert_array_equal(means[~dark], plain)
    assert out.records["site"].equals(data.records["site"])


def test_wrong_settings():
    with pytest.raises(UnknownNameError, match="did you mean 'fog'"):
        Weather(kinds_of_weather=["fogg"])
    with pytest.raises(ParameterError, match="amount_range"):
        Weather(amount_range=(0.5, 1.5))
    with pytest.raises(ParameterError, match="kinds_of_weather"):
        Weather(kinds_of_weather={"fog": 0})
    with pytest.raises(ParameterError, match="fraction"):
        Weather(fraction=2)
    with pytest.raises(DataError, match="float64"):
        put_effect(np.zeros((4, 4)), "fog", 0.5, rng_for(0))

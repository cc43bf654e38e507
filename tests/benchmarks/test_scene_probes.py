"""Every level of every condition that scenes offer can be told from the pixels alone."""

import pytest

from benchmarks.vision.scenes import PROBED, recalls
from twinset.generators.image._scenes.spec import LEVELS

pytest.importorskip("cv2")


def test_every_condition_that_is_offered_is_probed() -> None:
    assert {name: set(levels) for name, levels in PROBED.items()} == {
        name: set(levels) for name, levels in LEVELS.items()
    }


@pytest.mark.parametrize("name", PROBED)
def test_a_probe_tells_each_level_of_nine_scenes_in_ten(name: str) -> None:
    # Faults of the sensor are fine: they need more pixels than the rest.
    found = recalls(
        name, 40 if name == "sensor" else 30, size=160 if name in ("blur", "sensor") else 128
    )
    assert min(found.values()) >= 0.9, found

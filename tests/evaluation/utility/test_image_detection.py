import numpy as np
import pytest

from tests.evaluation.utility.disc_images import discs
from twinset.core.contracts import Comparison, NotMeasurable
from twinset.core.errors import ParameterError
from twinset.core.model_findings import ModelComparison
from twinset.core.seeding import rng_for
from twinset.evaluation.utility._annotated import (
    AnnotatedImage,
    WindowAugmentation,
    read_annotated_images,
)
from twinset.evaluation.utility.image_detection import Centres, ImageDetection, list_classes

pytest.importorskip("cv2")
pytest.importorskip("torch")
MEAN = "mean average precision at IoU 0.5"


def test_a_net_learns_to_tell_classes_apart() -> None:
    levels = {"dark": 0, "light": 1}
    train, unseen = (
        read_annotated_images(discs(n, seed), "photo", "objects", None, levels, 320)
        for n, seed in ((6, 1), (10, 3))
    )
    settings = ImageDetection(steps=80, window=32, device="cpu")
    task = Centres(settings=settings, names=("dark", "light"))
    plain = WindowAugmentation("mirrored, right-angle turns")
    scores = task.fit([train], plain, unseen, rng_for(4, "net"))
    assert scores(np.ones(10)).min() > 0.7


def test_each_class_is_reported() -> None:
    quick = ImageDetection(steps=2, seeds=2, window=32, replicates=10, device="cpu")
    told = Comparison(discs(4, 1), discs(4, 2), discs(5, 3))
    found = quick.compute(told, rng_for(4, "m"))
    models = found.finding(ModelComparison)
    kinds = ("average precision", "recall")
    each = {f"{kind} of {name}" for kind in kinds for name in ("dark", "light")}
    assert set(models.measures) == {MEAN, *each}
    own = [
        models.score(f"average precision of {name}", "mixed").value for name in ("dark", "light")
    ]
    assert found.value == pytest.approx(np.mean(own))


def test_scores_by_hand() -> None:
    """One class; on the first picture a right box, on the second a surer wrong one."""
    box = np.array([[24, 24, 40, 40]], np.float32)
    blank = np.zeros((64, 64, 3), np.uint8)
    pictures = [
        AnnotatedImage(blank, box, np.array([0])),
        AnnotatedImage(blank, box + 16, np.array([0])),
    ]
    said = []
    for place, logit in (((8, 8), 1.0), ((2, 2), 2.0)):
        one = np.full((5, 16, 16), -9.0, np.float32)
        one[0][place] = logit
        one[1:, place[0], place[1]] = np.log(8 / 16) - 2  # eight pixels to each side
        said.append(one)
    scores = Centres(settings=ImageDetection(), names=("disc",)).score(pictures, said)
    # Recall 1/2 at precision 1/2; the first picture alone is perfect, the second has nothing right.
    assert scores(np.ones(2)) == pytest.approx([0.25, 0.25, 0.5])
    assert scores(np.array([1.0, 0.0])) == pytest.approx([1, 1, 1])
    assert scores(np.array([0.0, 1.0])) == pytest.approx([0, 0, 0])


def test_a_class_that_is_not_there_takes_no_part() -> None:
    blank = np.zeros((32, 32, 3), np.uint8)
    only = [AnnotatedImage(blank, np.array([[4, 4, 20, 20]], np.float32), np.array([1]))]
    task = Centres(settings=ImageDetection(), names=("dark", "light"))
    scores = task.score(only, [np.full((6, 8, 8), -9.0, np.float32)])(np.ones(1))
    assert np.isnan(scores[1])
    assert scores[0] == scores[2] == 0


def test_what_is_lacking_is_said() -> None:
    assert list_classes(discs(2, 1), discs(2, 2), "objects") == ["dark", "light"]
    with pytest.raises(NotMeasurable, match="2 real objects"):
        list_classes(discs(2, 1), discs(1, 2), "objects")
    with pytest.raises(ParameterError, match="max_rows"):
        ImageDetection(max_rows=1)

import numpy as np
import pytest

from tests.evaluation.utility.disc_images import discs
from twinset.core.contracts import Comparison, NotMeasurable
from twinset.core.errors import ParameterError
from twinset.core.model_findings import ModelComparison
from twinset.core.seeding import rng_for
from twinset.evaluation.utility._holdout_scores import bootstrap_models
from twinset.evaluation.utility._network_comparison import count_windows
from twinset.evaluation.utility.image_segmentation import ImageSegmentation
from twinset.report.answers.sentences import describe

pytest.importorskip("cv2")
pytest.importorskip("torch")
QUICK = ImageSegmentation(
    steps=30, seeds=2, window=32, replicates=20, augmentation="plain", device="cpu"
)


def test_wrong_masks_hurt_and_are_named_so() -> None:
    told = Comparison(discs(6, 1), discs(18, 2, wrong="place"), discs(8, 3))
    found = QUICK.compute(told, rng_for(4, "m"))
    models = found.finding(ModelComparison)
    scores = {m.data: m.scores[0].value for m in models.models}
    assert scores["real"] > 0.8
    assert scores["mixed"] < 0.7
    assert found.value == scores["mixed"]
    assert models.trained_on("mixed").effect == "hurts"
    assert describe(models).startswith("adding the synthetic images hurts")
    assert [m.n_rows for m in models.models] == [6, 24]


def test_the_baseline_is_the_net_of_real_images_and_equal_streams_give_equal_numbers() -> None:
    quick = ImageSegmentation(steps=2, seeds=2, window=32, replicates=10, device="cpu")
    train, holdout = discs(4, 1), discs(5, 3)
    told = Comparison(train, train, holdout)
    first = quick.compute(told, rng_for(4, "m"))
    assert first.finding(ModelComparison).trained_on("mixed") is None
    cached = quick.compute(
        Comparison(train, discs(4, 2), holdout, cache=told.cache), rng_for(4, "m")
    )
    afresh = quick.compute(Comparison(train, discs(4, 2), holdout), rng_for(4, "m"))
    assert cached.findings == afresh.findings
    assert np.array_equal(cached.replicates, afresh.replicates)
    assert cached.finding(ModelComparison).score("F1 at IoU 0.5", "real").value == first.value


def test_batches_are_shared_out_by_hand() -> None:
    assert count_windows(1, 0.25) == [8]
    assert count_windows(2, 0.25) == [6, 2]


def test_nets_that_agree_have_no_spread_between_them() -> None:
    def share(weights: np.ndarray) -> np.ndarray:
        return np.array([weights @ hits / weights.sum()])

    hits = (rng_for(1, "hits").random(400) < 0.8).astype(float)
    values, drawn = bootstrap_models(
        {"real": [share, share]}, np.zeros(400, int), 600, rng_for(2, "d")
    )
    assert values["real"][0] == pytest.approx(hits.mean())
    assert drawn["real"].std() == pytest.approx(np.sqrt(0.8 * 0.2 / 400), rel=0.15)


def test_what_is_lacking_is_said() -> None:
    few, enough = discs(1, 1), discs(4, 2)
    with pytest.raises(NotMeasurable, match="2 real images with masks in the train set"):
        QUICK.compute(Comparison(few, enough, enough), rng_for(1, "m"))
    with pytest.raises(NotMeasurable, match="4 real images with masks in the holdout"):
        QUICK.compute(Comparison(enough, enough, few), rng_for(1, "m"))


@pytest.mark.parametrize(
    "wrong", [{"seeds": 0}, {"window": 40}, {"synthetic_share": 1.0}, {"longest": 8}]
)
def test_settings_out_of_range_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ParameterError, match=next(iter(wrong))):
        ImageSegmentation(**wrong)

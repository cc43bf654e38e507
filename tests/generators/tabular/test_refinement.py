"""Labels and rows of a chain, mended towards the real ones."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from twinset.core.contracts import FittedGenerator
from twinset.core.data.dataset import Dataset
from twinset.core.data.where import Where
from twinset.generators.tabular._trees.link import ParentView
from twinset.generators.tabular._trees.refinement import RejectionSampler, couple_labels
from twinset.generators.tabular._trees.table import ChainTable
from twinset.generators.tabular.trees import Trees

SEED = 20_240_501


def _rng(salt: int = 0) -> np.random.Generator:
    return np.random.default_rng([SEED, salt])


def _sums(n: int, rng: np.random.Generator) -> Dataset:
    """Twenty numbers of which each tells a little of the label."""
    x = rng.normal(size=(n, 20))
    label = rng.random(n) < 1 / (1 + np.exp(-0.6 * x.sum(1)))
    columns = {f"x{j}": x[:, j].round(2) for j in range(20)}
    table = pa.table({**columns, "label": np.where(label, "yes", "no")})
    dataset = Dataset.from_arrow(table)
    return dataset.with_schema(dataset.schema.with_target("label"))


def _labels(rows: Dataset) -> list[str | None]:
    return list(rows.to_arrow().column("label").to_pylist())


def _auc(rows: Dataset) -> float:
    total = np.sum([rows.values(f"x{j}") for j in range(20)], axis=0)
    return float(roc_auc_score(np.array(_labels(rows)) == "yes", total))


@pytest.fixture(scope="module")
def refined_fit() -> FittedGenerator:
    return Trees().fit(_sums(4_000, _rng(3)), _rng(4))


@given(st.integers(2, 5), st.integers(0, 10**6))
def test_coupled_labels_have_the_wanted_shares(n_levels: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    given_, wanted = rng.dirichlet(np.ones(n_levels), 2)
    n = 20_000
    labels = rng.choice(n_levels, n, p=given_)

    made = couple_labels(labels, np.tile(given_, (n, 1)), np.tile(wanted, (n, 1)), rng)

    shares = np.bincount(made, minlength=n_levels) / n
    assert shares == pytest.approx(wanted, abs=0.02)
    # A maximal coupling changes no more than the distance of the two in total variation.
    assert (made != labels).mean() == pytest.approx(np.abs(given_ - wanted).sum() / 2, abs=0.02)


def test_equal_shares_change_no_label() -> None:
    labels = np.arange(300) % 3
    shares = _rng(1).dirichlet(np.ones(3), 300)

    assert couple_labels(labels, shares, shares, _rng(2)).tolist() == labels.tolist()


def test_what_many_columns_tell_a_little_of_is_not_lost(refined_fit: FittedGenerator) -> None:
    real = _sums(4_000, _rng(3))
    plain = Trees(refine=False).fit(real, _rng(4)).sample(4_000, _rng(5))
    refined = refined_fit.sample(4_000, _rng(5))

    best = _auc(real)
    assert best - _auc(refined) < (best - _auc(plain)) / 2
    assert _auc(refined) < best + 0.01


def test_a_condition_on_the_target_holds_with_refinement() -> None:
    fitted = Trees().fit(_sums(2_000, _rng(6)), _rng(7))

    made = fitted.sample(400, _rng(8), Where({"label": "yes"}))

    assert set(_labels(made)) == {"yes"}


def test_rows_that_lack_their_target_keep_lacking_it() -> None:
    dataset = _sums(2_000, _rng(9))
    real = dataset.to_arrow()
    labels = [None if i % 5 == 0 else v for i, v in enumerate(_labels(dataset))]
    real = real.set_column(real.column_names.index("label"), "label", pa.array(labels))
    dataset = Dataset.from_arrow(real)
    dataset = dataset.with_schema(dataset.schema.with_target("label"))

    made = Trees().fit(dataset, _rng(10)).sample(3_000, _rng(11))

    assert made.is_null("label").mean() == pytest.approx(0.2, abs=0.04)


def test_rows_drawn_too_often_are_drawn_again() -> None:
    real = _sums(4_000, _rng(12))
    table = ChainTable.from_dataset(real.without_reserved())
    matrix = table.encode(real)
    at = next(i for i, v in enumerate(table.variables) if v.name == "x0")
    rng = _rng(14)

    def skewed(n: int) -> np.ndarray:
        """Rows whose x0 is above 1 three times as often as it should be."""
        rows = matrix[rng.choice(len(matrix), n)]
        extra = rng.random(n) < 2 / 3
        far = matrix[matrix[:, at] > 1]
        rows[extra & (rng.random(n) < 0.5)] = far[0]
        return rows

    rejection = RejectionSampler.fit(table, matrix, skewed, rng)

    assert rejection is not None
    assert isinstance(rejection.view, ParentView)
    before = skewed(4_000)
    share = float((matrix[:, at] > 1).mean())
    was = float((before[:, at] > 1).mean())
    after = float((rejection.redraw(before, skewed, rng)[:, at] > 1).mean())
    assert was > share + 0.2
    assert abs(after - share) < (was - share) / 4


def test_rows_like_the_real_ones_need_no_rejection() -> None:
    real = _sums(10_000, _rng(15))
    table, rng = ChainTable.from_dataset(real.without_reserved()), _rng(17)
    matrix = table.encode(real)
    halves = rng.permutation(len(matrix)).reshape(2, -1)

    found = RejectionSampler.fit(table, matrix[halves[0]], lambda n: matrix[halves[1][:n]], rng)

    assert found is None


def test_a_checkpoint_draws_the_same_refined_rows(refined_fit: FittedGenerator) -> None:
    arrays, meta = refined_fit.to_arrays()
    again = Trees().from_arrays(arrays, meta)

    assert meta["refinement"]["correction"], "nothing was refined, so nothing is tested"
    one, two = (f.sample(500, _rng(20)).to_arrow().to_pandas() for f in (refined_fit, again))
    assert one.equals(two)


def test_other_temperatures_are_not_undone() -> None:
    real = _sums(2_000, _rng(21))
    _, meta = replace(Trees(), temperature=1.5).fit(real, _rng(22)).to_arrays()

    assert not any(meta["refinement"].values())


def test_a_level_that_few_rows_have_gives_no_grounds_for_a_correction() -> None:
    real = _sums(2_000, _rng(23)).to_arrow()
    labels = real.column("label").to_pylist()
    labels[:5] = ["zz"] * 5
    real = real.set_column(real.column_names.index("label"), "label", pa.array(labels))
    dataset = Dataset.from_arrow(real)
    dataset = dataset.with_schema(dataset.schema.with_target("label"))

    _, meta = Trees().fit(dataset, _rng(24)).to_arrays()

    assert not meta["refinement"]["correction"]

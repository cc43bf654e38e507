"""Labels and rows of a chain, mended towards the real ones."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from generators.tabular._chain_parents import ParentView
from generators.tabular._rejection import Rejection
from generators.tabular._target_correction import coupled
from generators.tabular.trees import Trees
from twinset.core.dataset import Dataset
from twinset.core.where import Where

SEED = 20_240_501


def _rng(salt: int = 0) -> np.random.Generator:
    return np.random.default_rng([SEED, salt])


def _xor(n: int, rng: np.random.Generator) -> Dataset:
    """Twelve noise columns, two of which decide the label together and neither alone."""
    x = rng.normal(size=(n, 12))
    odds = 4.0 * np.sign(x[:, 4]) * np.sign(x[:, 9])
    label = rng.random(n) < 1 / (1 + np.exp(-odds))
    columns = {f"x{j}": x[:, j].round(2) for j in range(12)}
    table = pa.table({**columns, "label": np.where(label, "yes", "no")})
    dataset = Dataset.from_arrow(table)
    return dataset.with_schema(dataset.schema.with_target("label"))


def _agreement(rows: Dataset) -> float:
    same = np.sign(rows.values("x4")) * np.sign(rows.values("x9")) > 0
    return float((same == (np.array(rows.to_arrow().column("label").to_pylist()) == "yes")).mean())


@given(st.integers(2, 5), st.integers(0, 10**6))
def test_coupled_labels_have_the_wanted_shares(n_levels: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    given_, wanted = rng.dirichlet(np.ones(n_levels), 2)
    n = 20_000
    labels = rng.choice(n_levels, n, p=given_)

    made = coupled(labels, np.tile(given_, (n, 1)), np.tile(wanted, (n, 1)), rng)

    shares = np.bincount(made, minlength=n_levels) / n
    assert shares == pytest.approx(wanted, abs=0.02)
    # A maximal coupling changes no more than the distance of the two in total variation.
    assert (made != labels).mean() == pytest.approx(np.abs(given_ - wanted).sum() / 2, abs=0.02)


def test_equal_shares_change_no_label() -> None:
    labels = np.arange(300) % 3
    shares = _rng(1).dirichlet(np.ones(3), 300)

    assert coupled(labels, shares, shares, _rng(2)).tolist() == labels.tolist()


def test_a_label_that_two_columns_decide_together_is_corrected() -> None:
    real = _xor(6_000, _rng(3))
    plain, refined = (
        Trees(refine=refine).fit(real, _rng(4)).sample(6_000, _rng(5)) for refine in (False, True)
    )

    best = _agreement(real)
    assert _agreement(refined) > _agreement(plain) + 0.02
    assert _agreement(refined) <= best + 0.02


def test_a_condition_on_the_target_holds_with_refinement() -> None:
    fitted = Trees().fit(_xor(3_000, _rng(6)), _rng(7))

    made = fitted.sample(400, _rng(8), Where({"label": "yes"}))

    assert set(made.to_arrow().column("label").to_pylist()) == {"yes"}


def test_rows_that_lack_their_target_keep_lacking_it() -> None:
    real = _xor(3_000, _rng(9)).to_arrow()
    labels = [None if i % 5 == 0 else v for i, v in enumerate(real.column("label").to_pylist())]
    real = real.set_column(real.column_names.index("label"), "label", pa.array(labels))
    dataset = Dataset.from_arrow(real)
    dataset = dataset.with_schema(dataset.schema.with_target("label"))

    made = Trees().fit(dataset, _rng(10)).sample(3_000, _rng(11))

    assert made.is_null("label").mean() == pytest.approx(0.2, abs=0.04)


def test_rows_drawn_too_often_are_drawn_anew() -> None:
    real = _xor(8_000, _rng(12))
    fitted = Trees(refine=False).fit(real, _rng(13))
    table, matrix = fitted._chain.table, fitted._chain.matrix
    at = next(i for i, v in enumerate(table.variables) if v.name == "x0")
    rng = _rng(14)

    def skewed(n: int) -> np.ndarray:
        """Rows whose x0 is above 1 three times as often as it should be."""
        rows = matrix[rng.choice(len(matrix), n)]
        extra = rng.random(n) < 2 / 3
        far = matrix[matrix[:, at] > 1]
        rows[extra & (rng.random(n) < 0.5)] = far[0]
        return rows

    rejection = Rejection.of(table, matrix, skewed, rng)

    assert rejection is not None
    assert isinstance(rejection.view, ParentView)
    before = skewed(8_000)
    share = float((matrix[:, at] > 1).mean())
    was = float((before[:, at] > 1).mean())
    after = float((rejection.redraw(before, skewed, rng)[:, at] > 1).mean())
    assert was > share + 0.2
    assert abs(after - share) < (was - share) / 4


def test_rows_like_the_real_ones_need_no_rejection() -> None:
    real = _xor(6_000, _rng(15))
    fitted = Trees(refine=False).fit(real, _rng(16))
    matrix, rng = fitted._chain.matrix, _rng(17)
    halves = rng.permutation(len(matrix)).reshape(2, -1)

    found = Rejection.of(
        fitted._chain.table, matrix[halves[0]], lambda n: matrix[rng.choice(halves[1], n)], rng
    )

    assert found is None


def test_a_checkpoint_draws_the_same_refined_rows() -> None:
    fitted = Trees().fit(_xor(3_000, _rng(18)), _rng(19))
    arrays, meta = fitted.to_arrays()
    again = Trees().from_arrays(arrays, meta)

    assert meta["refinement"], "nothing was refined, so nothing is tested"
    one, two = (f.sample(500, _rng(20)).to_arrow().to_pandas() for f in (fitted, again))
    assert one.equals(two)


def test_other_temperatures_are_not_undone() -> None:
    real = _xor(3_000, _rng(21))
    _, meta = replace(Trees(), temperature=1.5).fit(real, _rng(22)).to_arrays()

    assert not meta["refinement"]

"""Any table: types, real rows, ranges, grids, labels and gaps are as they were, whatever the sampler."""

import warnings

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from twinset.sklearn import ROSE, SMOTE, BorderlineSMOTE, CopulaSampler, RandomOverSampler

SAMPLERS = [SMOTE, ROSE, BorderlineSMOTE, CopulaSampler, RandomOverSampler]
KINDS = ["float", "float32", "cents", "int8", "Int64", "flag", "bool", "boolean", "word", "category",
         "day", "zone"]  # fmt: skip


def column(kind: str, n: int, rng: np.random.Generator) -> pd.Series:
    missing = rng.random(n) < rng.choice([0, 0.3])
    times = pd.Series(
        pd.Timestamp("2024-03-30") + pd.to_timedelta(rng.integers(0, 99, n), unit="D")
    )
    made = {
        "float": lambda: pd.Series(rng.normal(size=n)).mask(missing),
        "float32": lambda: pd.Series(rng.normal(size=n).astype(np.float32)),
        "cents": lambda: pd.Series(np.round(rng.gamma(2, 9, n), 2)).mask(missing),
        "int8": lambda: pd.Series(rng.integers(-90, 90, n), dtype="int8"),
        "Int64": lambda: pd.Series(rng.poisson(4, n), dtype="Int64").mask(missing),
        "flag": lambda: pd.Series(rng.integers(0, 2, n)),
        "bool": lambda: pd.Series(rng.random(n) < 0.5),
        "boolean": lambda: pd.Series(rng.random(n) < 0.5, dtype="boolean").mask(missing),
        "word": lambda: pd.Series(rng.choice(["a", "b", "c"], n)).mask(missing),
        "category": lambda: pd.Series(pd.Categorical(rng.choice(["x", "y"], n), ["z", "y", "x"])),
        "day": lambda: times.mask(missing),
        "zone": lambda: times.dt.tz_localize("Europe/Berlin"),
    }
    return made[kind]()


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.sampled_from(KINDS), min_size=1, max_size=6),
    st.sampled_from(SAMPLERS),
    st.integers(0, 2**20),
    st.integers(2, 30),
    st.integers(0, 120),
)
def test_new_rows_are_like_real_ones(kinds, sampler, seed, n_rare, n_new) -> None:
    rng = np.random.default_rng(seed)
    n = 60 + n_rare
    X = pd.DataFrame({f"{kind}_{j}": column(kind, n, rng) for j, kind in enumerate(kinds)})
    y = np.repeat(["no", "yes"], [60, n_rare])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        one = sampler(sampling_strategy={"yes": n_rare + n_new}, random_state=seed)
        made, labels = one.fit_resample(X, y)
        more = sampler(sampling_strategy={"yes": n_rare + 2 * n_new}, random_state=seed)
        longer, _ = more.fit_resample(X, y)
    assert longer.iloc[: n + n_new].equals(made)
    assert made.dtypes.equals(X.dtypes)
    assert made.iloc[:n].equals(X)
    assert (labels[n:] == "yes").all()
    assert len(made) == n + n_new == len(one.sample_weight_)
    own, new = X.iloc[60:], made.iloc[n:]
    for name in X:
        real, drawn = own[name].dropna(), new[name].dropna()
        if not own[name].isna().any():
            assert not new[name].isna().any()
        if not len(drawn):
            continue
        if name.startswith(("word", "category", "flag", "bool")):
            assert set(drawn) <= set(real)
        else:
            assert real.min() <= drawn.min()
            assert drawn.max() <= real.max()
        if name.startswith("cents"):
            assert drawn.to_numpy() == pytest.approx(drawn.round(2).to_numpy(), abs=1e-9)
        if name.startswith("day"):
            assert (drawn == drawn.dt.normalize()).all()

"""A real set cut in two, and its rare class grown: what planted leaks and clean cuts are made of."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from benchmarks.minority.real_sets import RealSet
from twinset.core.data.dataset import Dataset
from twinset.core.data.splitting import split_rows

_NEIGHBOURS = 5


@dataclass(frozen=True)
class Planted:
    """A set cut in two, with a leak.

    Parameters
    ----------
    train, holdout : Dataset
        The two parts.
    synthetic : Dataset or None
        Made rows to train on.
    split_by : str
        How the cut is said to be made.
    """

    train: Dataset
    holdout: Dataset
    synthetic: Dataset | None = None
    split_by: str = "stratified"


Plant = Callable[[RealSet, np.random.Generator], Planted | None]


def clean_split(real: RealSet, rng: np.random.Generator, by: str = "stratified") -> Planted:
    """Return the set cut as it should be."""
    train, holdout = split_rows(
        real.data,
        by=by,  # type: ignore[arg-type]
        on=None,
        holdout_fraction=float(rng.choice([0.2, 0.3, 0.5])),
        rng=rng,
    )
    return Planted(real.data.take(train), real.data.take(holdout), None, by)


def rows_of(real: RealSet) -> pd.DataFrame:
    """Return all rows as a frame."""
    return real.data.to_pandas()


def grown(frame: pd.DataFrame, real: RealSet, ratio: float, how: str, seed: int) -> pd.DataFrame:
    """Return the frame with its rare class grown by imbalanced-learn, or by rounded SMOTE."""
    from imblearn.over_sampling import SMOTE, SMOTENC, RandomOverSampler

    y = frame[real.target].astype(str)
    x = frame.drop(columns=real.target)
    counts = y.value_counts()
    wanted = max(int(ratio * counts.iloc[0]), int(1.2 * counts.iloc[-1]))
    strategy = {counts.index[-1]: min(wanted, int(counts.iloc[0]))}
    if how == "ros":
        made, labels = RandomOverSampler(
            sampling_strategy=strategy, random_state=seed
        ).fit_resample(x, y)
    else:
        numeric = x.select_dtypes("number").columns
        x[numeric] = x[numeric].fillna(x[numeric].median())
        nominal = [c for c in x.columns if c not in set(numeric)]
        x[nominal] = x[nominal].astype(str)
        x[numeric] = x[numeric].astype(float) if how == "smote" else x[numeric]
        sampler = (
            SMOTENC(nominal, sampling_strategy=strategy, random_state=seed)
            if nominal
            else SMOTE(sampling_strategy=strategy, random_state=seed)
        )
        made, labels = sampler.fit_resample(x, y)
    labels = like_column(frame[real.target], labels)
    return made.copy().assign(**{real.target: labels})[list(frame.columns)]


def roles_of(real: RealSet) -> dict[str, str]:
    """Return the columns that are a group, a time or a key, with what they are."""
    return {
        f.name: f.role for f in real.data.schema.fields if f.role in ("group", "time", "identifier")
    }


def has_fine_numbers(real: RealSet) -> bool:
    """Return whether rows can lie between others: three numbers, and no card, time or key."""
    return len(real.data.schema.of_kind("number", "integer")) >= 3 and not roles_of(real)


def like_column(column: pd.Series, texts: pd.Series) -> pd.Series:
    """Return texts as values of the type of a column."""
    if pd.api.types.is_bool_dtype(column):
        return texts.str.lower() == "true"
    if pd.api.types.is_numeric_dtype(column):
        return pd.to_numeric(texts)
    return texts

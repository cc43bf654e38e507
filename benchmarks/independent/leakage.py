"""Pairs of train and test rows with a leak that preprocessing makes, and clean pairs."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest.mock import patch

import numpy as np
import pandas as pd

import twinset as tw
from benchmarks.independent.changes import evaluate, numbers
from benchmarks.independent.sets import Table, draw, whole_columns, write
from twinset.core.errors import LeakError


def resample(frame: Table, target: str, sampler: str, **settings: Any) -> Table:
    """Return a frame grown by a sampler of imbalanced-learn; levels are coded where it needs numbers."""
    import imblearn.over_sampling as samplers

    data = frame.dropna().reset_index(drop=True)
    features = data.drop(columns=target)
    levels = [n for n in features if features[n].dtype.kind not in "iufb"]
    if sampler == "SMOTENC":
        settings["categorical_features"] = levels
    elif sampler != "RandomOverSampler":
        features = features.drop(columns=levels)
    grown, labels = getattr(samplers, sampler)(random_state=1, **settings).fit_resample(
        features, data[target]
    )
    grown = pd.DataFrame(grown, columns=features.columns)
    for name in features.select_dtypes("integer"):
        grown[name] = grown[name].round().astype(int)
    return grown.assign(**{target: np.asarray(labels)})


def rose(frame: Table, n: int, rng: Any, width: float = 0.3) -> Table:
    """Return n rows of a smoothed bootstrap: numbers moved by a share of their spread, levels kept."""
    rows = frame.iloc[rng.integers(len(frame), size=n)].reset_index(drop=True)
    for name in (name for name in numbers(frame) if frame[name].nunique() > 2):
        moved = rows[name] + rng.normal(0, width, n) * frame[name].std()
        rows[name] = moved.round().astype(int) if rows[name].dtype.kind == "i" else moved.round(4)
    return rows


def halves(frame: Table, rng: Any) -> tuple[Table, Table]:
    """Return a random half of the rows and the other one."""
    order = rng.permutation(len(frame))
    cut = len(frame) // 2
    return frame.iloc[order[:cut]], frame.iloc[order[cut:]]


def twin(frame: Table, target: str | None, use: str, **settings: Any) -> Table:
    """Return the rows that a generator of twinset makes from a frame."""
    made = tw.twin(frame, target=target, use=use, settings=settings, holdout_fraction=0, seed=1)
    return made.synthetic.to_pandas()[list(frame.columns)]


def outcome(trial: dict[str, Any]) -> dict[str, Any]:
    """Return whether the guard refuses a pair, and whether that is right."""
    parts = draw(trial["data"], trial["seed"], trial.get("rows"))
    rng = np.random.default_rng([trial["seed"], 18])
    a, b = parts.train, parts.holdout
    both = pd.concat([a, b], ignore_index=True)
    names: dict[str, Any] = {f.__name__: f for f in (resample, rose, halves, twin)}
    names |= {"a": a, "b": b, "both": both, "target": parts.target}
    pair = evaluate(trial["pair"], parts, parts.candidate, rng, **names)
    with TemporaryDirectory() as folder:
        whole, root = whole_columns(both), Path(folder)
        train = write(pair[0].reset_index(drop=True), root / "train", whole)
        test = write(pair[1].reset_index(drop=True), root / "test", whole)
        found, by = check(train, test, parts.target, trial)
    return {"found": found, "right": found == (trial["expect"] == "found"), "by": by}


def check(
    train: Path, test: Path, target: str | None, trial: dict[str, Any]
) -> tuple[bool, list[str]]:
    """Return whether the guard finds a leak, and its kinds; without `leaks`, what `evaluate` refuses."""
    options = {name: trial[name] for name in ("time", "group") if name in trial}
    if hasattr(tw, "leaks"):
        found = tw.leaks(train, test, target=target, **options)
        return not found.passed, [str(leak.kind) for leak in found.leaks]
    with patch("twinset.workflows.evaluate.default_metrics", lambda *_, **__: []):
        try:
            tw.evaluate(train, train, holdout=test, target=target, **options)
        except LeakError as error:
            return True, [str(error)[:300]]
    return False, []

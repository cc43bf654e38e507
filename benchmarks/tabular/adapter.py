"""Fit one generator and sample from it: ``python adapter.py job.json``, by the interpreter of a peer.

This file needs pandas and pyarrow at import and nothing else; `jobs.fit` writes the job. Times are wall
and CPU seconds of this process and its ended children, without the import of the library and the reading
of the file. The peak of memory is the process's own high-water mark; `base_mb` is that before the fit.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import time
from collections.abc import Callable, Mapping
from importlib import import_module
from importlib.metadata import distributions, version
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

Job = Mapping[str, Any]
Sample = Callable[[int], pd.DataFrame]


class Adapter(NamedTuple):
    """How a library is fitted, the modules to import before the clocks start, and its packages."""

    fit: Callable[[pd.DataFrame, Job], Sample]
    modules: tuple[str, ...]
    packages: tuple[str, ...]


def fit_sdv(train: pd.DataFrame, job: Job) -> Sample:
    """SDV's single-table synthesizers with their defaults (CTGAN, TVAE, CopulaGAN: 300 epochs)."""
    import sdv.single_table
    import torch
    from sdv.metadata import Metadata

    # SDV has no seed for its fit, so the global generators are the only way to fix one.
    np.random.seed(job["seed"])
    torch.manual_seed(job["seed"])
    names = {"gaussian_copula": "GaussianCopula", "ctgan": "CTGAN", "tvae": "TVAE",
             "copulagan": "CopulaGAN"}  # fmt: skip
    metadata = Metadata()
    metadata.add_table("table")
    for name in train.columns:
        kind = "categorical" if name in job["categories"] else "numerical"
        metadata.add_column(column_name=name, table_name="table", sdtype=kind)
    model = job["method"].removeprefix("sdv.")
    synthesizer = getattr(sdv.single_table, f"{names[model]}Synthesizer")(metadata)
    synthesizer.fit({"table": train})

    def sample(rows: int) -> pd.DataFrame:
        drawn = synthesizer.sample(rows)
        return drawn["table"] if isinstance(drawn, dict) else drawn

    return sample


def fit_mostlyai(train: pd.DataFrame, job: Job) -> Sample:
    """MOSTLY AI's engine (TabularARGN) with its defaults: 100 epochs, early stop, protected values."""
    from mostlyai.engine import TabularARGN

    model = TabularARGN(random_state=job["seed"], device="cpu")
    model.fit(train.astype(dict.fromkeys(job["categories"], str)))
    return lambda rows: pd.DataFrame(model.sample(n_samples=rows))


def fit_arfpy(train: pd.DataFrame, job: Job) -> Sample:
    """Adversarial random forests (arfpy, by the method's authors) with its defaults."""
    from arfpy import arf

    np.random.seed(job["seed"])
    frame = train.copy()
    for name in job["categories"]:
        frame[name] = frame[name].astype(str).astype("category")
    model = arf.arf(x=frame, verbose=False)
    model.forde()
    whole = [c for c in train.columns if pd.api.types.is_integer_dtype(train[c])]

    def sample(rows: int) -> pd.DataFrame:
        # The library draws real numbers everywhere; whole columns are rounded in its favour.
        drawn = model.forge(n=rows)
        return drawn.assign(**{c: drawn[c].round() for c in whole if c not in job["categories"]})

    return sample


def fit_forestdiffusion(train: pd.DataFrame, job: Job) -> Sample:
    """ForestDiffusion (flow matching with XGBoost) with its defaults: hours on such tables."""
    from ForestDiffusion import ForestDiffusionModel

    coded, levels = train.copy(), {}
    for name in job["categories"]:
        levels[name], coded[name] = np.unique(train[name].astype(str), return_inverse=True)
    whole = [c for c in train.columns if c not in levels and (train[c] % 1 == 0).all()]
    position = {name: i for i, name in enumerate(train.columns)}
    model = ForestDiffusionModel(
        coded.to_numpy(dtype=float),
        cat_indexes=[position[c] for c in job["categories"] if len(levels[c]) > 2],
        bin_indexes=[position[c] for c in job["categories"] if len(levels[c]) == 2],
        int_indexes=[position[c] for c in whole],
        diffusion_type="flow",
        n_jobs=job["threads"],
        seed=job["seed"],
    )

    def sample(rows: int) -> pd.DataFrame:
        drawn = pd.DataFrame(model.generate(batch_size=rows), columns=train.columns)
        for name, texts in levels.items():
            drawn[name] = texts[np.rint(drawn[name].to_numpy(dtype=float)).astype(int)]
        return drawn

    return sample


def fit_smote(train: pd.DataFrame, job: Job) -> Sample:
    """imbalanced-learn's SMOTE(NC): every class is doubled, only the new rows are kept.

    TabDDPM's authors use an implementation of their own, so its figures differ. For a numeric target the
    classes are the halves below and above its median, and it is interpolated as the other numbers are.
    """
    from imblearn.over_sampling import SMOTE, SMOTENC

    target = job["target"]
    is_label = target in job["categories"]
    labels = train[target].astype(str) if is_label else train[target] > train[target].median()
    features = train.drop(columns=target) if is_label else train
    categories = [c for c in job["categories"] if c != target]
    features = features.astype(dict.fromkeys(categories, str))
    numbers = [c for c in features.columns if c not in categories]
    features = features.astype(dict.fromkeys(numbers, float))

    def sample(rows: int) -> pd.DataFrame:
        counts = labels.value_counts()
        sizes = {label: int(n + np.ceil(n * rows / len(train))) for label, n in counts.items()}
        settings = {"sampling_strategy": sizes, "random_state": job["seed"]}
        smote = SMOTENC(categories, **settings) if categories else SMOTE(**settings)
        x, y = smote.fit_resample(features, labels)
        drawn = x.iloc[len(train) :].copy()
        if is_label:
            drawn[target] = y.iloc[len(train) :]
        order = np.random.default_rng(job["seed"]).permutation(len(drawn))[:rows]
        drawn = drawn.iloc[order][list(train.columns)]
        for name in numbers:
            if np.issubdtype(train[name].dtype, np.integer):
                drawn[name] = np.rint(drawn[name])
        return drawn.reset_index(drop=True)

    return sample


def fit_twinset(train: pd.DataFrame, job: Job) -> Sample:
    """A generator of ours; reading the table into a set is part of the fit, as it is for the peers."""
    from twinset.core.data.arrow_tables import infer_schema, to_table
    from twinset.core.data.dataset import Dataset
    from twinset.core.data.schema import Field, Schema
    from twinset.core.seeding import rng_for
    from twinset.registry import build

    table = to_table(train)
    fields = []
    for field in infer_schema(table).fields:
        if field.name in job["categories"] and not field.has_levels:
            levels = tuple(sorted({str(v) for v in np.unique(train[field.name])}))
            field = Field(name=field.name, kind="category", stored=field.stored, levels=levels)
        elif field.name not in job["categories"] and not field.is_numeric:
            field = Field(name=field.name, kind="number", stored=str(table.column(field.name).type))
        fields.append(field)
    schema = Schema(tuple(fields)).with_target(job["target"])
    generator = build("generator", job["method"], job["settings"])
    fitted = generator.fit(Dataset.from_arrow(train, schema), rng_for(job["seed"], "fit"))
    return lambda rows: fitted.sample(rows, rng_for(job["seed"], "sample")).to_arrow().to_pandas()


PLAIN = ("numpy", "pandas")
_SDV, _LEARN = ("sdv", "ctgan", "rdt", "torch", *PLAIN), ("scikit-learn", *PLAIN)
_FOREST = ("ForestDiffusion", "xgboost", *PLAIN)
PEERS = {
    "sdv": Adapter(fit_sdv, ("sdv.single_table", "torch"), _SDV),
    "mostlyai": Adapter(fit_mostlyai, ("mostlyai.engine", "torch"), ("mostlyai-engine", "torch", *PLAIN)),
    "arfpy": Adapter(fit_arfpy, ("arfpy.arf",), ("arfpy", *_LEARN)),
    "forestdiffusion": Adapter(fit_forestdiffusion, ("ForestDiffusion",), _FOREST),
    "smote": Adapter(fit_smote, ("imblearn.over_sampling",), ("imbalanced-learn", *_LEARN)),
}  # fmt: skip
_OF_EXTRA = {"torch": ("torch",), "sdv": ("sdv.single_table", "torch"), "imbalanced": ("imblearn",)}


def adapter_of(job: Job) -> Adapter:
    """Return the adapter of the job's method: of a peer, or of a generator of ours."""
    peer = PEERS.get(job["method"].split(".")[0])
    if peer is not None:
        return peer
    from twinset.registry import build

    # Ours import heavy libraries when they first need them; peers do so with their own import.
    extra = build("generator", job["method"], job["settings"]).extra or ""
    modules = ("scipy.stats", "sklearn.tree", *_OF_EXTRA.get(extra, ()))
    packages = ("twinset", "numpy", "scipy", "scikit-learn", "pyarrow", "torch")
    return Adapter(fit_twinset, modules, packages)


def cpu_seconds() -> float:
    """Return the CPU seconds of this process and its ended children."""
    usages = (resource.getrusage(w) for w in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def peak_mb() -> float:
    """Return the largest memory of this process or an ended child of it, in MB (Linux)."""
    # The kernel's own figure for a process (ru_maxrss) includes the memory of its parent when it was
    # forked; VmHWM begins with the program.
    status = Path("/proc/self/status").read_text()
    own = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM"))
    return max(own, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss) / 1024


def main() -> None:
    job = json.loads(Path(sys.argv[1]).read_text())
    train = pd.read_parquet(job["train"])
    adapter = adapter_of(job)
    for module in adapter.modules:
        import_module(module)
    if "torch" in adapter.modules:
        import_module("torch").set_num_threads(job["threads"])
    clocks, base = [(time.perf_counter(), cpu_seconds())], peak_mb()
    sample = adapter.fit(train, job)
    clocks.append((time.perf_counter(), cpu_seconds()))
    rows = sample(job["rows"])
    clocks.append((time.perf_counter(), cpu_seconds()))
    rows.to_parquet(job["out"], index=False)
    costs: dict[str, Any] = {
        f"{step}_{kind}": clocks[i + 1][k] - clocks[i][k]
        for i, step in enumerate(("fit", "sample"))
        for k, kind in enumerate(("wall", "cpu"))
    }
    costs |= {"peak_mb": peak_mb(), "base_mb": base}
    costs["threads"] = int(os.environ.get("OMP_NUM_THREADS", "0"))
    costs["versions"] = {p: version(p) for p in adapter.packages if any(distributions(name=p))}
    Path(job["costs"]).write_text(json.dumps(costs))


if __name__ == "__main__":
    main()

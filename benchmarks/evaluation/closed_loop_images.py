"""One round of `twinset gaps` on images: is a starved slice filled, and does a model see more of it?

    python -m benchmarks.evaluation.closed_loop_images          # writes closed_loop_images.md and .json

The world is simulated, so that the truth is known: shapes with other noise, brightness and sizes than the
generator's own. Nine tenths of the stars at night are taken away from the real training images. `gaps` is
told the true share, its recipe is run as it is written, and the images are added to the training set.
Everything is measured on images of the world that nothing has seen: shares, all default metrics of the
families gap and coverage, and the recall of a small convolutional net, which is shown the largest object of
an image in its box, on real stars at night.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow.parquet
import torch

import twinset
from twinset.core.data.dataset import Dataset
from twinset.core.data.where import Where
from twinset.core.image.codec import decode_pixels
from twinset.core.seeding import rng_for
from twinset.measurement.harness import measure
from twinset.registry import build, default_metrics

SLICE = Where.parse("light = night and main_shape = star")
KEPT = 0.1
WORLD = {
    "size": 64,
    "n_objects_range": (1, 3),
    "night_fraction": 0.3,
    "noise": 8.0,
    "brightness_range": (0.6, 1.0),
    "scale_range": (0.18, 0.4),
}
_EPOCHS = 15
_SIDE = 32
_DRAWS = 500


def one_round(seed: int, rows: int, folder: Path) -> dict[str, Any]:
    """Return what one round of the loop did, as plain JSON values."""
    world = build("generator", "image.shapes", WORLD).fit(None, rng_for(seed, "fit"))
    whole = world.sample(rows, rng_for(seed, "train")).without_reserved()
    holdout = world.sample(rows, rng_for(seed, "holdout")).without_reserved()
    keep = ~whole.mask(SLICE) | (rng_for(seed, "starve").random(len(whole)) < KEPT)
    starved = whole.take(np.flatnonzero(keep))
    file = folder / "real.parquet"
    pyarrow.parquet.write_table(starved.records, file)
    true = float(whole.mask(SLICE).mean())
    found = twinset.gaps(file, file, want={str(SLICE): true}, seed=seed, folder=folder)
    (folder / "recipe.yaml").write_text(found.recipe)
    done = twinset.run(
        folder / "recipe.yaml",
        root=folder / "catalogue",
        overrides=[f"deliver.to={folder / 'out'}"],
    )
    made = Dataset.from_arrow(
        pyarrow.parquet.read_table(done.delivered / "synthetic.parquet"), starved.schema
    ).without_reserved()
    after = Dataset.concat([starved, made])
    share = {"true": true, "holdout": _share(holdout)}
    share |= {"before": _share(starved), "after": _share(after)}
    gap = {when: abs(share[when] - true) for when in ("before", "after")}
    return {
        "seed": seed,
        "rows": {"real": len(starved), "added": len(made)},
        "named": [one.sentence for one in found.missing],
        "share": share,
        "gap": {**gap, "closed": 1 - gap["after"] / gap["before"]},
        "metrics": _metrics(whole, starved, after, holdout, seed),
        "recall": _recalls({"starved": starved, "filled": after, "whole": whole}, holdout, seed),
    }


def _share(rows: Dataset) -> float:
    return float(rows.mask(SLICE).mean())


def _metrics(
    whole: Dataset, before: Dataset, after: Dataset, holdout: Dataset, seed: int
) -> dict[str, dict[str, Any]]:
    """Return every metric of gap and coverage before and after, and its harm."""
    chosen = [
        (name, metric)
        for name, metric in default_metrics(whole.schema.kinds)
        if metric.family in ("gap", "coverage") and metric.needs_real
    ]
    both = [
        measure(
            train=whole, synthetic=rows, holdout=holdout, metrics=chosen,
            target="main_shape", seed=seed,
        )
        for rows in (before, after)
    ]  # fmt: skip
    found = {}
    for old, new in zip(*both):
        if old.value is None or new.value is None:
            continue
        harm = (old.value - new.value) * (1 if old.higher_is_better else -1)
        found[old.metric] = {
            "before": old.value,
            "after": new.value,
            "baseline": new.baseline,
            "margin": old.margin,
            "harm": harm,
            "verdicts": [old.verdict, new.verdict],
        }
    return found


def _recalls(sets: Mapping[str, Dataset], holdout: Dataset, seed: int) -> dict[str, Any]:
    """Return the recall of 'star' on real stars at night, and the accuracy on all real images."""
    levels = holdout.codes("main_shape")[1]
    inside = holdout.mask(SLICE)
    truth = _labels(holdout, levels)
    pixels = _pixels(holdout)
    hits = {
        name: _trained(_pixels(rows), _labels(rows, levels), len(levels), seed, pixels) == truth
        for name, rows in sets.items()
    }
    rng = rng_for(seed, "bootstrap")
    n = int(inside.sum())
    draws = rng.integers(0, n, (_DRAWS, n))
    change = hits["filled"][inside].astype(float) - hits["starved"][inside]
    interval = np.quantile(change[draws].mean(axis=1), (0.025, 0.975)).tolist()
    return {
        "images": n,
        "recall": {name: float(hit[inside].mean()) for name, hit in hits.items()},
        "accuracy": {name: float(hit.mean()) for name, hit in hits.items()},
        "change": [float(change.mean()), *interval],
    }


def _labels(rows: Dataset, levels: Sequence[str]) -> npt.NDArray[np.int64]:
    codes, own = rows.codes("main_shape")
    return np.array([levels.index(level) for level in own])[codes]


def _pixels(rows: Dataset) -> torch.Tensor:
    """Return the largest object of each image in its box, grey, 32 x 32, at its own mean and spread."""
    import cv2

    crops = []
    for image, objects in zip(
        rows.records.column("image").to_pylist(), rows.records.column("objects").to_pylist()
    ):
        grey = decode_pixels(image["bytes"])[..., :3].mean(axis=2)
        x0, y0, x1, y1 = max(objects, key=lambda one: one["area"])["box"]
        crop = grey[int(y0) : int(y1) + 1, int(x0) : int(x1) + 1]
        crops.append(cv2.resize(crop, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA))
    found = np.stack(crops).astype(np.float32)
    found -= found.mean(axis=(1, 2), keepdims=True)
    found /= found.std(axis=(1, 2), keepdims=True) + 1e-3
    return torch.from_numpy(found)[:, None]


def _trained(
    pixels: torch.Tensor,
    labels: npt.NDArray[np.int64],
    n_classes: int,
    seed: int,
    unseen: torch.Tensor,
) -> npt.NDArray[np.int64]:
    """Return what a small net, trained on the images, says of unseen ones."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        layers: list[torch.nn.Module] = []
        for before, after in ((1, 16), (16, 32), (32, 64)):
            layers += [
                torch.nn.Conv2d(before, after, 3, padding=1),
                torch.nn.BatchNorm2d(after),
                torch.nn.ReLU(),
                torch.nn.MaxPool2d(2),
            ]
        layers += [torch.nn.AdaptiveAvgPool2d(4), torch.nn.Flatten(), torch.nn.Dropout(0.3)]
        net = torch.nn.Sequential(*layers, torch.nn.Linear(64 * 16, n_classes))
        optimizer = torch.optim.AdamW(net.parameters(), lr=2e-3, weight_decay=1e-2)
        wanted = torch.from_numpy(labels)
        n_steps = _EPOCHS * (len(labels) // 64)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 4e-3, total_steps=n_steps)
        for _ in range(_EPOCHS):
            order = torch.randperm(len(labels))
            for k in range(len(labels) // 64):
                rows = order[64 * k : 64 * (k + 1)]
                batch = pixels[rows]
                batch = batch.flip(3) if torch.rand(()) < 0.5 else batch
                loss = torch.nn.functional.cross_entropy(net(batch), wanted[rows])
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                schedule.step()
        net.eval()
        with torch.no_grad():
            said = [net(unseen[i : i + 256]).argmax(1) for i in range(0, len(unseen), 256)]
    found: npt.NDArray[np.int64] = torch.cat(said).numpy()
    return found


def _page(rounds: Sequence[Mapping[str, Any]], rows: int) -> str:
    """Return the results as Markdown."""
    lines = [
        "# The closed loop on images",
        "",
        f"Starved: {SLICE}, {1 - KEPT:.0%} of its images, in {rows:,} training images of a simulated",
        "world whose noise, brightness and sizes are not those of the generator. One round of",
        "`twinset gaps` with `image.shapes`; everything is measured on unseen images of the world. Made by",
        "`benchmarks/evaluation/closed_loop_images.py`.",
        "",
        "| seed | images added | share before | after | true | gap closed | worst metric (harm / margin) | "
        "recall of stars at night: starved | filled | change | nothing taken away | accuracy on all: "
        "starved | filled |",
        "|---|---|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for one in rounds:
        share, recall = one["share"], one["recall"]
        name, worst = max(
            one["metrics"].items(), key=lambda item: item[1]["harm"] / item[1]["margin"]
        )
        change = "{:+.3f} ({:+.3f} to {:+.3f})".format(*recall["change"])
        lines.append(
            f"| {one['seed']} | {one['rows']['added']} | {share['before']:.2%} | {share['after']:.2%} | "
            f"{share['true']:.2%} | {one['gap']['closed']:.0%} | "
            f"{name} ({worst['harm']:+.4f} / {worst['margin']:g}) | "
            f"{recall['recall']['starved']:.3f} | {recall['recall']['filled']:.3f} | {change} | "
            f"{recall['recall']['whole']:.3f} | {recall['accuracy']['starved']:.3f} | "
            f"{recall['accuracy']['filled']:.3f} |"
        )
    changes = [one["recall"]["change"] for one in rounds]
    least = min(one["gap"]["closed"] for one in rounds)
    beyond = sum(m["harm"] > m["margin"] for one in rounds for m in one["metrics"].values())
    lines += [
        "",
        f"- The gap in the slice was closed by {least:.0%} or more in each of {len(rounds)} rounds.",
        f"- Metrics that became worse by more than their margin: {beyond}.",
        f"- Recall on real stars at night: surely higher in {sum(c[1] > 0 for c in changes)} of "
        f"{len(rounds)} rounds, surely lower in {sum(c[2] < 0 for c in changes)}, mean change "
        f"{np.mean([c[0] for c in changes]):+.3f}.",
    ]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Run the rounds that the command line asks for, and write both files."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=4_000, help="images of each part")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "closed_loop_images.md")
    args = parser.parse_args()
    torch.set_num_threads(1)
    rounds = []
    for seed in args.seeds:
        with tempfile.TemporaryDirectory() as folder:
            rounds.append(one_round(seed, args.rows, Path(folder)))
        args.out.write_text(_page(rounds, args.rows))
        args.out.with_suffix(".json").write_text(json.dumps(rounds, indent=2) + "\n")


if __name__ == "__main__":
    main()

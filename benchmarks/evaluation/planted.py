"""Plant faults into fresh real rows and see whether they are found, by which metric, and where.

    python -m benchmarks.evaluation.planted tables --sets adult shoppers magic --seeds 2 --workers 2
    python -m benchmarks.evaluation.planted images --sets cells shapes --seeds 3 --workers 2
    python -m benchmarks.evaluation.planted texts --sets snips sms --seeds 2 --nulls 20

Results: PLANTED.md, IMAGE_PLANTED.md, TEXT_PLANTED.md and the JSON files beside them.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import numpy as np
import pyarrow as pa

from benchmarks.datasets import text_dataset
from benchmarks.evaluation import peer_sdmetrics
from benchmarks.evaluation.image_faults import IMAGE_SETS, image_faults
from benchmarks.evaluation.scores import (
    classifier_differs,
    different,
    family_scores,
    first_names,
)
from benchmarks.evaluation.table_faults import PLACES, TableCut, every_row, table_faults
from benchmarks.evaluation.text_faults import TEXT_FAULTS, text_parts
from benchmarks.markdown import NOTHING, bullets, count, percent, table
from benchmarks.results import Row, grouped
from benchmarks.runner import Benchmark, Settings, matches
from twinset.core.contracts import Score
from twinset.core.data.dataset import Dataset
from twinset.core.data.schema import BLOB
from twinset.core.features.embedders import Classical, Embedding, SmallNet, with_vectors
from twinset.core.features.image_statistics import box_labels, with_properties
from twinset.registry import component_class

HERE = Path(__file__).parent
TRAIN_SHARE = 0.3  # of images: embeddings learn from train, comparisons need the rest
CUTS_OF_TRAIN = 10  # comparisons without a fault that share train rows and their embeddings
TEXT_METRICS = ("gap.texts", "gap.text_anomalies", "gap.text_labels", "gap.marginals",
                "gap.text_classifier")  # fmt: skip
# Those that read texts, spans or labels; all of gap and coverage take eight times as long.


def jobs_of(
    names: Mapping[str, Callable[[str], bool]], first_null: int = 0
) -> Callable[..., list[Row]]:
    """Return the jobs of a command line: faults in sets that have a place for them, and nulls.

    Parameters
    ----------
    names : mapping
        Name of a fault -> function of a set that says whether it has a place for the fault.
    first_null : int
        Seed of the first comparison without a fault.
    """

    def jobs(options: Settings) -> list[Row]:
        found = [
            {"set": one, "fault": name, "seed": seed}
            for seed in range(options.seeds)
            for name, fits in names.items()
            for one in options.sets
            if matches(name, options.only) and fits(one)
        ]
        nulls = range(first_null, first_null + options.nulls)
        return found + [{"set": one, "fault": "", "seed": k} for k in nulls for one in options.sets]

    return jobs


def measure_table(job: Row) -> Row:
    """Return which metrics find one fault in one table; without a name nothing is planted."""
    places, seed = PLACES[job["set"]], job["seed"]
    cut = TableCut.draw(every_row(job["set"]), places.target, seed)
    fault = table_faults().get(job["fault"])
    rows = cut.fresh
    if fault is not None:
        rows = fault.plant(rows, cut.train, places, np.random.default_rng(seed))
    families = ("privacy",) if fault is not None and fault.leak else ("gap", "coverage")
    parts = (cut.dataset(cut.train), cut.dataset(rows), cut.dataset(cut.holdout))
    scores = family_scores(parts, families, target=places.target, positive=places.rare, seed=seed)
    columns = () if fault is None else fault.columns(places)
    found = findings_row(job, scores)
    # "age (upper tail)" and "age with sex" name age.
    names = [one.split(" (")[0] for name in found["named"] for one in name.split(" with ")]
    return found | {
        "wanted": list(columns),
        "named": names,
        "right": bool(set(columns) & set(names)) if columns else None,
        "plain": classifier_differs(scores),
        "sdmetrics": peer_sdmetrics.moved_scores(job),
    }


def findings_row(job: Row, scores: Sequence[Score]) -> Row:
    """Return the metrics that differ, worst first, and the names that the worst one gives."""
    found = different(scores)
    names = first_names(found)
    return job | {"found_by": [score.metric for score in found], "named": names, "right": None}


def measure_image(job: Row) -> Row:
    """Return which metrics find one fault in one cut of an image set; "" plants nothing.

    Cuts without a fault share their train rows, which change every ten seeds.
    """
    images, seed, fault = IMAGE_SETS[job["set"]], job["seed"], job["fault"]
    train, rest, embeddings = prepared_images(job["set"], seed if fault else seed // CUTS_OF_TRAIN)
    order = np.random.default_rng([7, seed]).permutation(len(rest))
    rows, holdout = (rest.take(part) for part in np.array_split(order, 2))
    if fault:
        rows = image_faults()[fault].plant(_bare(rows), images, np.random.default_rng(seed))
        rows = with_properties(with_vectors(rows, {"image": embeddings}), box_labels(train))
    parts = (train, rows, holdout)
    scores = family_scores(parts, ("gap", "coverage"), target=images.label, seed=seed)
    return findings_row(job, scores) | {"plain": classifier_differs(scores)}


@lru_cache(maxsize=2)
def prepared_images(name: str, seed: int) -> tuple[Dataset, Dataset, tuple[Embedding, ...]]:
    """Return train, all other rows, and the embeddings that are fitted on train."""
    images = IMAGE_SETS[name]
    every = images.rows(seed)
    order = np.random.default_rng(seed).permutation(len(every))
    train, rest = (every.take(rows) for rows in np.split(order, [int(TRAIN_SHARE * len(order))]))
    labels = train.codes(images.label)[0].astype(np.int64)
    column = train.records.column("image")
    embeddings = tuple(e.fit(column, labels, seed) for e in (Classical(), SmallNet(device="cpu")))
    words = box_labels(train)
    train, rest = (
        with_properties(with_vectors(part, {"image": embeddings}), words) for part in (train, rest)
    )
    return train, rest, embeddings


def _bare(rows: Dataset) -> Dataset:
    """Return rows whose images carry neither vectors nor properties."""
    column = rows.records.column("image").combine_chunks()
    parts = [column.field(part.name) for part in BLOB]
    plain = pa.StructArray.from_arrays(parts, [part.name for part in BLOB])
    place = rows.records.schema.get_field_index("image")
    return replace(rows, records=rows.records.set_column(place, "image", pa.chunked_array([plain])))


def measure_text(job: Row) -> Row:
    """Return which metrics find one fault in one set of texts; "" plants nothing."""
    train, fresh, holdout = text_parts(job["set"], job["seed"])
    fault = TEXTS_BY_NAME.get(job["fault"])
    rows = fresh if fault is None else fault.plant(fresh, train, np.random.default_rng(job["seed"]))
    data = [text_dataset(part, target=False) for part in (train, rows, holdout)]
    parts = (data[0], data[1].with_card(origin="synthetic"), data[2])
    settings = {"only": TEXT_METRICS, "target": "about", "seed": job["seed"]}
    found = findings_row(job, family_scores(parts, ("gap", "coverage"), **settings))
    shown = () if fault is None else fault.shown
    right = any(one.startswith(beginning) for one in found["named"] for beginning in shown)
    return found | {"right": right if shown else None}


Cell = Callable[[Sequence[Row]], str]


def _found(rows: Sequence[Row]) -> list[bool | None]:
    return [bool(row["found_by"]) for row in rows]


def _field(name: str, show: Callable[[Sequence[bool | None]], str] = percent) -> Cell:
    return lambda rows: show([row[name] for row in rows])


def _in_set(name: str) -> Cell:
    return lambda rows: count(_found([row for row in rows if row["set"] == name]))


def _ranking(rows: Sequence[Row]) -> str:
    """Return the four metrics that find a fault most often and stand first in a report."""
    places: dict[str, int] = {}
    for row in rows:
        for place, metric in enumerate(row["found_by"]):
            places[metric] = places.get(metric, 0) + 10 - min(place, 9)
    return ", ".join(sorted(places, key=lambda metric: -places[metric])[:4]) or NOTHING


def _first(rows: Sequence[Row]) -> str:
    return ", ".join(dict.fromkeys(n for row in rows for n in row["named"][:1])) or NOTHING


def fault_table(
    rows: Iterable[Row], columns: Mapping[str, Cell], stated: Iterable[str] | None = None
) -> str:
    """Return one line a fault; those that are not stated are in italics, "nothing planted" last."""
    groups = grouped(rows, "fault")
    groups |= {"": groups.pop("")} if "" in groups else {}
    strong = set(groups) if stated is None else set(stated)
    lines = []
    for name, own in groups.items():
        title = name if name in strong - {""} else f"*{name or 'nothing planted'}*"
        lines.append([title, *(cell(own) for cell in columns.values())])
    return table(["fault", *columns], lines)


def missed_list(rows: Iterable[Row]) -> str:
    """Return the faults that were not found or not named first, and the false positives."""
    return bullets(
        f"{row['set']}: {row['fault'] or 'nothing planted'} ({row['seed']}): "
        f"{', '.join(row['found_by']) or 'nothing'}; {row['named']}"
        for row in rows
        if (bool(row["found_by"]) != bool(row["fault"])) or row["right"] is False
    )


def table_blocks(rows: Sequence[Row]) -> dict[str, str]:
    """Return the blocks of PLANTED.md."""
    planted, nulls = _split(rows)
    columns = {
        "found": lambda own: count(_found(own)),
        "named": _field("right"),
        "plain classifier": _field("plain"),
        "SDMetrics": peer_sdmetrics.share_moved,
        "found by, worst first": _ranking,
    }
    summary = (
        f"Found: {percent(_found(planted))} of {len(planted)}. The right place named: "
        f"{_field('right')(planted)} of those about a column. A plain classifier test finds "
        f"{_field('plain')(planted)}, SDMetrics {peer_sdmetrics.share_moved(planted)}. Nothing planted: "
        f"{sum(map(bool, _found(nulls)))} of {len(nulls)} called different, by SDMetrics "
        f"{peer_sdmetrics.share_moved(nulls)}."
    )
    return {"summary": summary, "faults": fault_table(rows, columns), "missed": missed_list(rows)}


def image_blocks(rows: Sequence[Row]) -> dict[str, str]:
    """Return the blocks of IMAGE_PLANTED.md."""
    stated = [name for name, fault in image_faults().items() if fault.stated]
    planted, nulls = _split(rows)
    strong = [row for row in planted if row["fault"] in stated]
    columns = {
        **{name: _in_set(name) for name in IMAGE_SETS},
        "plain classifier": _field("plain"),
        "found by, worst first": _ranking,
    }
    summary = (
        f"Found at the stated strengths: {percent(_found(strong))} of {len(strong)}. Nothing planted: "
        f"{sum(map(bool, _found(nulls)))} of {len(nulls)} called different ({percent(_found(nulls))}). "
        f"A plain classifier test on the same features finds {_field('plain')(strong)}."
    )
    return {
        "summary": summary,
        "faults": fault_table(rows, columns, stated),
        "missed": missed_list([*strong, *nulls]),
    }


def _names_a_place(metric: str) -> bool:
    """Return whether a metric compares parts of the rows, not all columns at once."""
    return not component_class("metric", metric).sees_everything


def text_blocks(rows: Sequence[Row]) -> dict[str, str]:
    """Return the blocks of TEXT_PLANTED.md."""
    planted, nulls = _split(rows)
    columns = {
        "found": lambda own: count(_found(own)),
        "right first": _field("right", count),
        "found by, worst first": _ranking,
        "named first": _first,
    }
    without = [any(map(_names_a_place, row["found_by"])) for row in planted]
    summary = (
        f"Found: {percent(_found(planted))} of {len(planted)}. Right first: {_field('right')(planted)}. "
        f"False positives: {sum(map(bool, _found(nulls)))} of {len(nulls)}. Found without "
        f"gap.text_classifier: {percent(without)}."
    )
    parts = []
    for title, faults in TEXT_FAULTS.items():
        own = [row for row in planted if row["fault"] in {fault.name for fault in faults}]
        parts += [
            f"## {title}\n\nFound: {percent(_found(own))} of {len(own)}. Right first: "
            f"{_field('right')(own)}.\n\n{fault_table(own, columns)}"
        ]
    return {"summary": summary, "faults": "\n\n".join(parts), "missed": missed_list(rows)}


def _split(rows: Sequence[Row]) -> tuple[list[Row], list[Row]]:
    return [row for row in rows if row["fault"]], [row for row in rows if not row["fault"]]


TEXTS_BY_NAME = {fault.name: fault for faults in TEXT_FAULTS.values() for fault in faults}
KEY = ("set", "fault", "seed")
TABLES = Benchmark(
    about=__doc__,
    results=HERE / "planted.json",
    page=HERE / "PLANTED.md",
    key=KEY,
    jobs=jobs_of(
        {
            # MAGIC has no category that a fault could go into.
            name: lambda one, f=fault: f.columns(PLACES[one]) != ("",)  # type: ignore[misc]
            for name, fault in table_faults().items()
        }
    ),
    measure=measure_table,
    blocks=table_blocks,
    settings={"sets": list(PLACES), "seeds": 2, "nulls": 2, "only": ""},
    workers=2,
)
IMAGES = Benchmark(
    about=__doc__,
    results=HERE / "image_planted.json",
    page=HERE / "IMAGE_PLANTED.md",
    key=KEY,
    jobs=jobs_of(dict.fromkeys(image_faults(), lambda one: True)),
    measure=measure_image,
    blocks=image_blocks,
    settings={"sets": list(IMAGE_SETS), "seeds": 3, "nulls": 20, "only": ""},
    workers=2,
)
TEXTS = Benchmark(
    about=__doc__,
    results=HERE / "text_planted.json",
    page=HERE / "TEXT_PLANTED.md",
    key=KEY,
    jobs=jobs_of(
        {
            name: lambda one, f=fault: one in f.sets  # type: ignore[misc]
            for name, fault in TEXTS_BY_NAME.items()
        },
        first_null=100,
    ),
    measure=measure_text,
    blocks=text_blocks,
    settings={"sets": ["snips", "sms"], "seeds": 2, "nulls": 20, "only": ""},
)
KINDS = {"tables": TABLES, "images": IMAGES, "texts": TEXTS}

if __name__ == "__main__":
    if sys.argv[1:2] and sys.argv[1] in KINDS:
        KINDS[sys.argv[1]].run(sys.argv[2:])
    else:
        raise SystemExit(f"{__doc__}\nExpected one of {', '.join(KINDS)}.")

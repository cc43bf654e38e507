"""Plant faults into fresh real rows and see whether they are found, by which metric, and where."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache, partial
from typing import Any

import numpy as np
import pyarrow as pa

from benchmarks.datasets import text_dataset, with_column
from benchmarks.evaluation import peer_sdmetrics, text_faults
from benchmarks.evaluation.image_faults import IMAGE_FAULTS, IMAGE_SETS, STATED, plant_image_fault
from benchmarks.evaluation.scores import classifier_differs, different, family_scores, first_names
from benchmarks.evaluation.table_faults import PLACES, TABLE_FAULTS, named_columns, planted_cut
from benchmarks.evaluation.text_faults import TEXT_FAULTS, text_parts
from benchmarks.markdown import NOTHING, bullets, count, percent, table
from benchmarks.runner import Row, Settings, crossed, grouped
from twinset.core.contracts import Score
from twinset.core.data.dataset import Dataset
from twinset.core.data.schema import BLOB
from twinset.core.features.embedders import Classical, Embedding, SmallNet, with_vectors
from twinset.core.features.image_statistics import box_labels, with_properties
from twinset.registry import component_class

TRAIN_SHARE = 0.3  # of images: embeddings learn from train, comparisons need the rest
CUTS_OF_TRAIN = 10  # comparisons without a fault that share train rows and their embeddings
# Those that read texts, spans or labels; all of gap and coverage take eight times as long.
TEXT_METRICS = ("gap.texts", "gap.text_anomalies", "gap.text_labels", "gap.marginals",
                "gap.text_classifier")  # fmt: skip


def _jobs(
    options: Settings, names: Iterable[str], fits: Callable[[str, str], bool], first_null: int = 0
) -> list[Row]:
    """Return faults in the sets that have a place for them, and comparisons without a fault."""
    parts = options.only.split(";")
    names = [name for name in names if any(part in name for part in parts)]
    found = crossed(seed=range(options.seeds), fault=names, set=options.sets)
    found = [job for job in found if fits(job["fault"], job["set"])]
    nulls = range(first_null, first_null + options.nulls)
    return found + crossed(seed=nulls, fault=[""], set=options.sets)


def _has_text_fault(fault: str, name: str) -> bool:
    return name in text_faults.FAULTS[fault].get("sets", [name])


jobs_tables = partial(  # MAGIC has no category that a fault could go into
    _jobs, names=TABLE_FAULTS, fits=lambda fault, one: named_columns(fault, PLACES[one]) != [""]
)
jobs_images = partial(_jobs, names=IMAGE_FAULTS, fits=lambda fault, one: True)
jobs_texts = partial(_jobs, names=text_faults.FAULTS, fits=_has_text_fault, first_null=100)


def findings_row(job: Row, scores: Sequence[Score], **more: Any) -> Row:
    """Return the metrics that differ, worst first, and the names that the worst one gives."""
    found = different(scores)
    by = [score.metric for score in found]
    return job | {"found_by": by, "named": first_names(found), "right": None} | more


def measure_tables(job: Row) -> Row:
    """Return which metrics find one fault in one table; without a name nothing is planted."""
    cut, rows, places = planted_cut(job)
    columns = named_columns(job["fault"], places) if job["fault"] else []
    is_leak = TABLE_FAULTS.get(job["fault"], {}).get("leak")
    families = ["privacy"] if is_leak else ["gap", "coverage"]
    parts = (cut.dataset(cut.train), cut.dataset(rows), cut.dataset(cut.holdout))
    classes = {"target": places.target, "positive": places.rare}
    scores = family_scores(parts, families, **classes, seed=job["seed"])
    found = findings_row(job, scores, plain=classifier_differs(scores), wanted=columns)
    # "age (upper tail)" and "age with sex" name age.
    names = [one.split(" (")[0] for name in found["named"] for one in name.split(" with ")]
    right = bool(set(columns) & set(names)) if columns else None
    return found | {"named": names, "right": right, "sdmetrics": peer_sdmetrics.moved_scores(job)}


def measure_images(job: Row) -> Row:
    """Return which metrics find one fault in one cut of an image set; "" plants nothing.

    Cuts without a fault share their train rows, which change every ten seeds.
    """
    images, seed, fault = IMAGE_SETS[job["set"]], job["seed"], job["fault"]
    train, rest, embeddings = prepared_images(job["set"], seed if fault else seed // CUTS_OF_TRAIN)
    order = np.random.default_rng([7, seed]).permutation(len(rest))
    rows, holdout = (rest.take(part) for part in np.array_split(order, 2))
    if fault:
        rows = plant_image_fault(fault, _bare(rows), images, np.random.default_rng(seed))
        rows = with_properties(with_vectors(rows, {"image": embeddings}), box_labels(train))
    scores = family_scores(
        (train, rows, holdout), ("gap", "coverage"), target=images.label, seed=seed
    )
    return findings_row(job, scores, plain=classifier_differs(scores))


@lru_cache(maxsize=2)
def prepared_images(name: str, seed: int) -> tuple[Dataset, Dataset, tuple[Embedding, ...]]:
    """Return train, all other rows, and the embeddings that are fitted on train."""
    images = IMAGE_SETS[name]
    every = images.rows(seed)
    order = np.random.default_rng(seed).permutation(len(every))
    parts = [every.take(rows) for rows in np.split(order, [int(TRAIN_SHARE * len(order))])]
    labels = parts[0].codes(images.label)[0].astype(np.int64)
    column = parts[0].records.column("image")
    embeddings = tuple(e.fit(column, labels, seed) for e in (Classical(), SmallNet(device="cpu")))
    words = box_labels(parts[0])
    train, rest = (with_properties(with_vectors(p, {"image": embeddings}), words) for p in parts)
    return train, rest, embeddings


def _bare(rows: Dataset) -> Dataset:
    """Return rows whose images carry neither vectors nor properties."""
    column = rows.records.column("image").combine_chunks()
    names = [part.name for part in BLOB]
    plain = pa.StructArray.from_arrays([column.field(name) for name in names], names)
    return with_column(rows, "image", plain)


def measure_texts(job: Row) -> Row:
    """Return which metrics find one fault in one set of texts; "" plants nothing."""
    name, rng = job["fault"], np.random.default_rng(job["seed"])
    train, fresh, holdout = text_parts(job["set"], job["seed"])
    rows = text_faults.plant_text_fault(name, fresh, train, rng) if name else fresh
    data = [text_dataset(part, target=False) for part in (train, rows, holdout)]
    parts = (data[0], data[1].with_card(origin="synthetic"), data[2])
    settings = {"only": TEXT_METRICS, "target": "about", "seed": job["seed"]}
    found = findings_row(job, family_scores(parts, ("gap", "coverage"), **settings))
    if name:
        shown = text_faults.shown_names(name)
        found["right"] = any(one.startswith(shown) for one in found["named"])
    return found


Shown = Callable[[Sequence[bool | None]], str]
Cell = Callable[[Sequence[Row]], str]


def _found(rows: Sequence[Row], show: Shown = count) -> str:
    return show([bool(row["found_by"]) for row in rows])


def _field(name: str, show: Shown = percent) -> Cell:
    return lambda rows: show([row[name] for row in rows])


def _in_set(name: str) -> Cell:
    return lambda rows: _found([row for row in rows if row["set"] == name])


def _ranking(rows: Sequence[Row]) -> str:
    """Return the four metrics that find a fault most often and stand first in a report."""
    places = Counter[str]()
    for row in rows:
        places.update({metric: 10 - min(place, 9) for place, metric in enumerate(row["found_by"])})
    return ", ".join(metric for metric, _ in places.most_common(4)) or NOTHING


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


def _split(rows: Sequence[Row]) -> tuple[list[Row], list[Row], int]:
    """Return the rows with a fault, those without, and how many of these are called different."""
    nulls = [row for row in rows if not row["fault"]]
    return [row for row in rows if row["fault"]], nulls, sum(bool(r["found_by"]) for r in nulls)


def blocks_tables(rows: Sequence[Row]) -> dict[str, str]:
    planted, nulls, false = _split(rows)
    right, plain, theirs = _field("right"), _field("plain"), peer_sdmetrics.share_moved
    columns = {"found": _found, "named": right, "plain classifier": plain, "SDMetrics": theirs,
               "found by, worst first": _ranking}  # fmt: skip
    summary = (
        f"Found: {_found(planted, percent)} of {len(planted)}. The right place named: "
        f"{right(planted)} of those about a column. A plain classifier test finds "
        f"{plain(planted)}, SDMetrics {theirs(planted)}. Nothing planted: {false} of {len(nulls)} "
        f"called different, by SDMetrics {theirs(nulls)}."
    )
    return {"summary": summary, "faults": fault_table(rows, columns), "missed": missed_list(rows)}


def blocks_images(rows: Sequence[Row]) -> dict[str, str]:
    planted, nulls, false = _split(rows)
    strong, plain = [row for row in planted if row["fault"] in STATED], _field("plain")
    columns = {name: _in_set(name) for name in IMAGE_SETS}
    columns |= {"plain classifier": plain, "found by, worst first": _ranking}
    summary = (
        f"Found at the stated strengths: {_found(strong, percent)} of {len(strong)}. Nothing planted: "
        f"{false} of {len(nulls)} called different ({_found(nulls, percent)}). A plain classifier test "
        f"on the same features finds {plain(strong)}."
    )
    faults, missed = fault_table(rows, columns, STATED), missed_list([*strong, *nulls])
    return {"summary": summary, "faults": faults, "missed": missed}


def blocks_texts(rows: Sequence[Row]) -> dict[str, str]:
    planted, nulls, false = _split(rows)
    right = _field("right")
    columns = {"found": _found, "right first": _field("right", count),
               "found by, worst first": _ranking, "named first": _first}  # fmt: skip
    # Metrics that compare parts of the rows, not all columns at once, can name a place.
    without = [
        any(not component_class("metric", metric).sees_everything for metric in row["found_by"])
        for row in planted
    ]
    summary = (
        f"Found: {_found(planted, percent)} of {len(planted)}. Right first: {right(planted)}. "
        f"False positives: {false} of {len(nulls)}. Found without gap.text_classifier: "
        f"{percent(without)}."
    )
    parts = []
    for title, faults in TEXT_FAULTS.items():
        own = [row for row in planted if row["fault"] in faults]
        found = f"Found: {_found(own, percent)} of {len(own)}. Right first: {right(own)}."
        parts.append(f"## {title}\n\n{found}\n\n{fault_table(own, columns)}")
    return {"summary": summary, "faults": "\n\n".join(parts), "missed": missed_list(rows)}

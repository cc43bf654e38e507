"""Render templates, and gather what the sections of a page show."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import jinja2

from twinset.core.contracts import Score
from twinset.core.data.dataset import Card
from twinset.core.findings import (
    ClusterShares,
    ConfidentRows,
    DifferentComponents,
    FindingType,
    GroupResults,
    LevelShares,
    ModelComparison,
    PairDistances,
)
from twinset.report import plans
from twinset.report.answers import phrases, sentences
from twinset.report.answers.phrases import MARKS, Mark, plain
from twinset.report.answers.scores import by_question, interpret_metric, metric_title
from twinset.report.answers.verdict import unmeasured
from twinset.report.figures import charts, samples

MAX_HEATMAP_COLUMNS = 40  # squares of 16 px: more would not fit the width of the page
# Rows of a table that a reader takes in; the JSON holds all of them.
N_OPEN_PANELS, N_WORST_PAIRS, N_GROUPS, N_CLUSTERS = 15, 8, 16, 8


def render(template: str, **content: Any) -> str:
    """Return a page: one string, the same bytes for the same content."""
    return _environment().get_template(template).render(**content)


def score_sections(scores: Sequence[Score]) -> dict[str, Any]:
    """Return the content of the sections on scores: tables, groups, clusters, pairs and rows."""
    shared = unmeasured(scores)
    pooled = {id(score) for _, own in shared for score in own}
    groups = first_finding(scores, GroupResults)
    population = first_finding(scores, LevelShares)
    clusters = first_finding(scores, ClusterShares)
    with_outcome = [g for g in (groups.groups if groups else ()) if g.real is not None]
    return {
        "families": by_question([score for score in scores if id(score) not in pooled]),
        "unmeasured": shared,
        "comparisons": sentences.comparison_sentences(scores),
        "model_tables": [
            (found, sentences.describe_test_rows(score))
            for score in scores
            if (found := score.finding(ModelComparison))
        ],
        "population": [
            one for one in (population.levels if population else ()) if one.found or one.declared
        ],
        "group_results": groups,
        "groups": sorted(with_outcome, key=lambda g: -abs((g.synthetic or 0.0) - (g.real or 0.0))),
        "confident": first_finding(scores, ConfidentRows),
        "clusters": sorted(
            clusters.clusters if clusters else (), key=lambda one: -abs(one.synthetic - one.real)
        ),
        "heatmap": _heatmap(scores),
    }


def image_sections(
    images: Sequence[samples.ImageSample], confident: Mapping[int, samples.ImageSample]
) -> dict[str, Any]:
    """Return the content of the sections on images: a contact sheet, and thumbnails by row number."""
    colours = samples.category_colours(images)
    return {
        "colours": colours,
        "images": [
            (image.caption, samples.image_figure(image, colours, i + 1))
            for i, image in enumerate(images)
        ],
        "thumbnails": {
            number: samples.image_figure(image, {}, number) for number, image in confident.items()
        },
    }


@lru_cache(maxsize=1)
def _environment() -> jinja2.Environment:
    """Return what renders the templates; every value is escaped, every unknown name an error."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("twinset.report"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals.update(
        marks=MARKS,
        Mark=Mark,
        n_open_panels=N_OPEN_PANELS,
        n_groups=N_GROUPS,
        n_clusters=N_CLUSTERS,
        n_plan_rows=plans.N_ROWS,
    )
    environment.filters.update(
        short=phrases.short,
        signed=phrases.signed,
        signed_interval=phrases.signed_interval,
        percent=phrases.percent,
        plural=phrases.plural,
        count=phrases.count,
        thousands="{:,}".format,
        with_class=lambda heading: (heading, ""),
        title_of=metric_title,
        interpret_metric=interpret_metric,
        interval=charts.interval_figure,
        column_figure=charts.column_figure,
        change=charts.change_figure,
        draw_cluster_map=charts.draw_cluster_map,
        is_hole=charts.is_hole,
        plan_figure=plans.plan_figure,
        in_words=plans.format_levels,
        components=lambda score: score.finding(DifferentComponents),
        outcome_name=sentences.outcome_name,
        training_set=lambda model, subject: sentences.TRAINED_ON[model.data].format(subject),
        reasons=sentences.reasons,
        remarks=sentences.remarks,
        score_sentence=sentences.score_sentence,
    )
    return environment


def first_finding(scores: Sequence[Score], kind: type[FindingType]) -> FindingType | None:
    """Return the first finding of a type."""
    return next((found for score in scores if (found := score.finding(kind))), None)


def count_facts(
    counts: Mapping[str, int | None], facts: Mapping[str, Any]
) -> list[tuple[str, str]]:
    """Return the counts under a title as (label, value) pairs, and the embedders of images."""
    lines = [(label, f"{value:,}") for label, value in counts.items() if value is not None]
    own = (found for found in facts.get("embedders", {}).values() if isinstance(found, Mapping))
    names = dict.fromkeys(name for embedders in own for name in embedders)
    return [*lines, *([("images compared by", ", ".join(names))] if facts.get("embedders") else [])]


def _heatmap(scores: Sequence[Score]) -> dict[str, Any] | None:
    found = first_finding(scores, PairDistances)
    if found is None or not found.distances:
        return None
    errors = {(one, other): value for one, other, value in found.distances}
    worst: dict[str, float] = {}
    for pair, error in errors.items():
        for name in pair:
            worst[name] = max(worst.get(name, 0.0), error)
    names = sorted(worst, key=lambda name: (-worst[name], name))
    drawn = names[:MAX_HEATMAP_COLUMNS]
    among_drawn = {pair: error for pair, error in errors.items() if set(drawn).issuperset(pair)}
    return {
        "figure": charts.pair_heatmap(drawn, among_drawn),
        "worst": sorted(errors.items(), key=lambda item: (-item[1], item[0]))[:N_WORST_PAIRS],
        "n_pairs": len(errors),
        "n_left": len(names) - len(drawn),
    }


def card_lines(card: Card) -> list[tuple[str, str]]:
    """Return what a card says as (label, text) pairs; empty values are excluded."""
    lines = []
    for key, value in plain(card.to_json()).items():
        if key != "name":
            lines += _lines("note" if key == "notes" else key.replace("_", " "), value)
    return lines


def _lines(label: str, value: Any) -> list[tuple[str, str]]:
    if isinstance(value, dict):
        return [line for key, item in value.items() for line in _lines(f"{label}: {key}", item)]
    if isinstance(value, list) and not any(isinstance(item, list | dict) for item in value):
        return [(label, str(item)) for item in value]
    if value in (None, "", []):
        return []
    return [(label, value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))]


def lineage_lines(node: Any, depth: int = 0) -> list[tuple[int, str, str]]:
    """Return the nested tree as (depth, name, details) lines; parents follow their child."""
    if not node:
        return []
    if not isinstance(node, Mapping):
        return [(depth, str(node), "")]
    parents = next((node[k] for k in ("parents", "children", "made_from") if k in node), ()) or ()
    facts = {k: v for k, v in plain(node).items() if not isinstance(v, list | dict)}
    name = next((facts.pop(k) for k in ("ref", "name", "set") if k in facts), "set")
    details = [
        f"{k.replace('_', ' ')} {_fact(k, v)}" for k, v in facts.items() if v not in (None, "")
    ]
    below = [line for parent in parents for line in lineage_lines(parent, depth + 1)]
    return [(depth, str(name), ", ".join(details)), *below]


def _fact(key: str, value: Any) -> str:
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    return str(value)[:12] if key == "digest" else str(value)

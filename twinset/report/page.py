"""Render a report as one HTML page, or as a short table for a notebook."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import jinja2

from twinset.core.contracts import Score
from twinset.core.data.dataset import Card
from twinset.core.findings import (
    ClusterShare,
    ClusterShares,
    ConfidentRows,
    DifferentComponents,
    FindingType,
    GroupResults,
    LevelShares,
    ModelComparison,
    PairDistances,
)
from twinset.report.answers import phrases as wording
from twinset.report.answers.metrics import interpret_metric, metric_title
from twinset.report.answers.ordering import by_question
from twinset.report.answers.phrases import plain, short
from twinset.report.answers.sentences import (
    TRAINED_ON,
    comparison_sentences,
    describe_test_rows,
    outcome_name,
    plural,
    reasons,
    remarks,
    score_sentence,
)
from twinset.report.answers.verdict import EFFECT_MARKS, VERDICT_MARKS, Unmeasured, unmeasured
from twinset.report.figures import charts, contact_sheet
from twinset.report.figures.cluster_map import draw_cluster_map, is_hole
from twinset.report.plans import N_LACKING, combination_words, plan_figure, plan_groups, plan_rule

if TYPE_CHECKING:
    from twinset.report.model import ReportContent

MAX_HEATMAP_COLUMNS = 40
N_OPEN_PANELS = 15
N_WORST_PAIRS = 8
N_GROUPS = 16
N_CLUSTERS = 8


def render_page(report: ReportContent) -> str:
    """Return the page: one string, the same bytes for the same report."""
    shown = report.examples
    colours = contact_sheet.category_colours(shown.images)
    lacking = unmeasured(report.scores)
    return (
        environment()
        .get_template("report.html")
        .render(
            report=report,
            examples=shown,
            facts=_facts(report.facts),
            families=_families(report.scores, lacking),
            lacking=lacking,
            has_uses=any(use.mark != "unmeasured" for use in report.uses),
            plans=[(plan, plan_rule(plan), plan_groups(plan)) for plan in report.plans],
            n_lacking=N_LACKING,
            comparisons=comparison_sentences(report.scores),
            model_tables=[
                (found, describe_test_rows(score))
                for score in report.scores
                if (found := score.finding(ModelComparison))
            ],
            population=_population(report.scores),
            groups=_groups(report.scores),
            n_groups=N_GROUPS,
            confident=first_finding(report.scores, ConfidentRows),
            thumbnails={
                number: contact_sheet.image_figure(image, {}, number)
                for number, image in shown.confident.items()
            },
            colours=colours,
            clusters=_clusters(report.scores),
            n_clusters=N_CLUSTERS,
            heatmap=_heatmap(report),
            images=[
                (image.caption, contact_sheet.image_figure(image, colours, i + 1))
                for i, image in enumerate(shown.images)
            ],
            cards=[(card, _card_lines(card)) for card in report.cards],
            lineage=_lineage(report.lineage),
            verdict_marks=VERDICT_MARKS,
            effect_marks=EFFECT_MARKS,
        )
    )


def render_notebook(report: ReportContent) -> str:
    """Return verdict and scores as a short piece of HTML."""
    return (
        environment()
        .get_template("notebook.html")
        .render(report=report, scores=[s for _, own in by_question(report.scores) for s in own])
    )


@lru_cache(maxsize=1)
def environment() -> jinja2.Environment:
    """Return what renders the templates; every value is escaped, every unknown name an error."""
    made = jinja2.Environment(
        loader=jinja2.PackageLoader("twinset.report"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters.update(
        short=short,
        signed=wording.signed,
        percent=wording.percent,
        title_of=metric_title,
        interval=charts.interval_figure,
        column_figure=charts.column_figure,
        change=charts.change_figure,
        draw_cluster_map=draw_cluster_map,
        is_hole=is_hole,
        components=lambda score: score.finding(DifferentComponents),
        plural=plural,
        outcome_name=outcome_name,
        training_set=lambda model, subject: TRAINED_ON[model.data].format(subject),
        interpret_metric=interpret_metric,
        reasons=reasons,
        remarks=remarks,
        score_sentence=score_sentence,
        plan_figure=plan_figure,
        in_words=combination_words,
    )
    return made


def first_finding(scores: Sequence[Score], kind: type[FindingType]) -> FindingType | None:
    """Return the first finding of a type."""
    return next((found for score in scores if (found := score.finding(kind))), None)


def _population(scores: Sequence[Score]) -> list[Any]:
    """Return all levels that are found or declared."""
    found = first_finding(scores, LevelShares)
    return [] if found is None else [one for one in found.levels if one.found or one.declared]


def _groups(scores: Sequence[Score]) -> tuple[GroupResults | None, list[Any]]:
    """Return the groups whose outcome is a number, those that are furthest off first."""
    found = first_finding(scores, GroupResults)
    groups = [] if found is None else [g for g in found.groups if g.real is not None]
    return found, sorted(groups, key=lambda g: -abs((g.synthetic or 0.0) - (g.real or 0.0)))


def _clusters(scores: Sequence[Score]) -> list[ClusterShare]:
    """Return the clusters, those that are furthest off first."""
    found = first_finding(scores, ClusterShares)
    clusters = () if found is None else found.clusters
    return sorted(clusters, key=lambda one: -abs(one.synthetic - one.real))


def _families(
    scores: Sequence[Score], lacking: Sequence[Unmeasured]
) -> list[tuple[str, list[Score]]]:
    """Return (question, its scores, worst first), without those that are told in `lacking`."""
    told = {id(score) for one in lacking for score in one.scores}
    return by_question([score for score in scores if id(score) not in told])


def _facts(facts: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return the counts under the title as (label, value) pairs."""
    named = [
        ("synthetic rows", facts.get("synthetic_rows")),
        ("real training rows", facts.get("train_rows")),
        ("holdout rows", facts.get("holdout_rows")),
        ("columns", facts.get("columns")),
    ]
    lines = [(label, f"{value:,}") for label, value in named if value is not None]
    if facts.get("embedders"):
        lines.append(("images looked at by", format_embedders(facts["embedders"])))
    if facts.get("target"):
        lines.append(("target", str(facts["target"])))
    if facts.get("where"):
        counts = facts.get("compared_rows", {})
        told = ", ".join(f"{n:,} {name}" for name, n in counts.items())
        lines.append((f"the rows compared: {told}", str(facts["where"])))
    return lines


def format_embedders(found: Mapping[str, Any]) -> str:
    """Return the names of all embedders, once each; what could not be used stands in the notes."""
    own = (embedders for embedders in found.values() if isinstance(embedders, Mapping))
    return ", ".join(dict.fromkeys(name for embedders in own for name in embedders))


def _heatmap(report: ReportContent) -> dict[str, Any] | None:
    found = first_finding(report.scores, PairDistances)
    if found is None or not found.distances:
        return None
    errors = {(one, other): value for one, other, value in found.distances}
    worst: dict[str, float] = {}
    for pair, error in errors.items():
        for name in pair:
            worst[name] = max(worst.get(name, 0.0), error)
    names = sorted(worst, key=lambda name: (-worst[name], name))
    drawn = set(names[:MAX_HEATMAP_COLUMNS])
    ranked = sorted(errors.items(), key=lambda item: (-item[1], item[0]))
    return {
        "figure": charts.pair_heatmap(
            names[:MAX_HEATMAP_COLUMNS],
            {pair: error for pair, error in errors.items() if drawn.issuperset(pair)},
        ),
        "worst": ranked[:N_WORST_PAIRS],
        "n_pairs": len(errors),
        "n_left": max(0, len(names) - MAX_HEATMAP_COLUMNS),
    }


def _card_lines(card: Card) -> list[tuple[str, str]]:
    """Return what a card says as (label, text) pairs; what it does not say is left out."""
    content = plain(card.to_json())
    lines = []
    for key, value in content.items():
        if key != "name":
            label = "note" if key == "notes" else key.replace("_", " ")
            lines += _lines(label, value)
    return lines


def _lines(label: str, value: Any) -> list[tuple[str, str]]:
    if isinstance(value, dict):
        return [line for key, item in value.items() for line in _lines(f"{label}: {key}", item)]
    if isinstance(value, list) and not any(isinstance(item, list | dict) for item in value):
        return [(label, str(item)) for item in value]
    if value in (None, "", []):
        return []
    return [(label, value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))]


def _lineage(tree: Mapping[str, Any] | None) -> list[tuple[int, str, str]]:
    """Return the nested tree as (depth, name, details) lines; parents follow their child."""
    lines: list[tuple[int, str, str]] = []

    def walk(node: Any, depth: int) -> None:
        if not isinstance(node, Mapping):
            lines.append((depth, str(node), ""))
            return
        parents = next((node[k] for k in ("parents", "children", "made_from") if k in node), ())
        plain_facts = {k: v for k, v in plain(node).items() if not isinstance(v, list | dict)}
        name = next((plain_facts.pop(k) for k in ("ref", "name", "set") if k in plain_facts), "set")
        told = [
            f"{k.replace('_', ' ')} {_fact(k, v)}"
            for k, v in plain_facts.items()
            if v not in (None, "")
        ]
        lines.append((depth, str(name), ", ".join(told)))
        for parent in parents or ():
            walk(parent, depth + 1)

    if tree:
        walk(tree, 0)
    return lines


def _fact(key: str, value: Any) -> str:
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    return str(value)[:12] if key == "digest" else str(value)

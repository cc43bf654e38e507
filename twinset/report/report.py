"""`Report`: the verdict on a synthetic set and all that it rests on, built once, in any form."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any

from twinset.catalog.version import lineage_tree
from twinset.core.contracts import Score
from twinset.core.data.dataset import Card, Dataset
from twinset.core.data.where import Where
from twinset.core.errors import MissingExtraError
from twinset.core.findings import (
    ClusterShares,
    ColumnDistances,
    ConfidentRows,
    DifferentComponents,
    FindingType,
    GroupResults,
    LevelShares,
    PairDistances,
)
from twinset.core.model_findings import ModelComparison
from twinset.core.notes import Note, NoteKind
from twinset.core.quoting import escape_lines
from twinset.measurement.notes import list_score_embedders, note_embedders_on_card
from twinset.measurement.plan_coverage import PlanCoverage
from twinset.report import exports as md
from twinset.report import plans
from twinset.report.answers import phrases, sentences
from twinset.report.answers.consistency import find_contradictions
from twinset.report.answers.phrases import (
    MARKS,
    Mark,
    by_question,
    capitalize,
    interpret_metric,
    metric_title,
    plain,
)
from twinset.report.answers.power import smallest_faults
from twinset.report.answers.purposes import Use, caution, in_short, main_risk, uses
from twinset.report.answers.sentences import score_sentence
from twinset.report.answers.verdict import VerdictLine, merged, summarize_families, unmeasured
from twinset.report.figures import columns, samples
from twinset.report.figures.columns import ColumnPanel, column_panels
from twinset.report.figures.samples import (
    ImageSample,
    RowSample,
    TextSample,
    image_samples,
    numbered_images,
    row_samples,
    text_samples,
)
from twinset.report.gates import Gate
from twinset.report.plans import plan_groups, plan_rule, plan_sentence

if TYPE_CHECKING:
    import jinja2

MAX_HEATMAP_COLUMNS = 40  # squares of 16 px: more would not fit the width of the page
# Rows of a table that a reader takes in; the JSON holds all of them.
N_OPEN_PANELS, N_WORST_PAIRS, N_GROUPS, N_CLUSTERS = 15, 8, 16, 8


def render(template: str, **content: Any) -> str:
    """Return a page: one string, the same bytes for the same content."""
    return escape_lines(_environment().get_template(template).render(**content))


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
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("twinset.report"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals |= {"marks": MARKS, "Mark": Mark, "n_open_panels": N_OPEN_PANELS}
    environment.globals |= {
        "n_groups": N_GROUPS,
        "n_clusters": N_CLUSTERS,
        "n_plan_rows": plans.N_ROWS,
    }
    words: tuple[Callable[..., Any], ...] = (
        *(phrases.short, phrases.signed, phrases.signed_interval, phrases.percent, phrases.plural),
        *(phrases.count, interpret_metric, columns.column_figure, columns.draw_cluster_map),
        *(columns.is_hole, plans.plan_figure, sentences.outcome_name, sentences.reasons),
        *(sentences.remarks, score_sentence),
    )
    environment.filters |= {function.__name__: function for function in words}
    environment.filters |= {
        "thousands": "{:,}".format,
        "with_class": lambda heading: (heading, ""),
        "title_of": metric_title,
        "interval": columns.interval_figure,
        "change": columns.change_figure,
        "in_words": plans.format_levels,
        "components": lambda score: score.finding(DifferentComponents),
        "training_set": lambda model, noun: sentences.TRAINED_ON[model.data].format(noun),
    }
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
        "figure": columns.pair_heatmap(drawn, among_drawn),
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


def lineage_lines(ancestors: Sequence[Mapping[str, Any]]) -> list[tuple[int, str, str]]:
    """Return a lineage as (depth, name, details) lines; parents follow their child."""
    lines = []
    for depth, node in lineage_tree(ancestors):
        facts = {k: v for k, v in plain(node).items() if not isinstance(v, list | dict)}
        name = facts.pop("ref", "set")
        details = [
            f"{k} {str(v)[:12] if k == 'digest' else f'{v:,}' if type(v) is int else v}"
            for k, v in facts.items()
            if v not in (None, "")
        ]
        lines.append((depth, str(name), ", ".join(details)))
    return lines


SCHEMA_VERSION = 2  # of the JSON; grows when a key is renamed, removed or gets another meaning


def score_json(score: Score) -> dict[str, Any]:
    """Return a score as plain JSON values, with the sentence that describes it."""
    return {**score.to_json(), "sentence": score_sentence(score)}


@dataclass(frozen=True)
class ReportExamples:
    """Figures and samples for a reader, without any real row unless requested."""

    panels: tuple[ColumnPanel, ...] = ()
    n_panels_left: int = 0
    images: tuple[ImageSample, ...] = ()
    confident: Mapping[int, ImageSample] = field(default_factory=dict)
    texts: tuple[TextSample, ...] = ()
    rows: tuple[RowSample, ...] = ()
    withheld: bool = False


@dataclass(frozen=True, kw_only=True)
class Report:
    """The verdict on a synthetic set and all that it rests on; it holds no clock, host or path.

    Parameters
    ----------
    title : str
        Heading of the page.
    scores : tuple of Score
        Every metric with its baseline, floor, interval and verdict.
    gates : tuple of Gate
        Every gate with its outcome.
    cards : tuple of Card
        What was done to get the sets.
    lineage : mapping, optional
        Nested tree of the sets that it was made from.
    notes : tuple of str
        What must be read with care.
    facts : mapping
        Counts of rows and columns, condition, target.
    examples : ReportExamples
        Figures and samples.
    plans : tuple of PlanCoverage
        How often each combination came that the rows were planned by.
    """

    title: str
    scores: tuple[Score, ...]
    gates: tuple[Gate, ...] = ()
    cards: tuple[Card, ...] = ()
    lineage: Sequence[Mapping[str, Any]] = ()
    notes: tuple[str, ...] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)
    examples: ReportExamples = ReportExamples()
    plans: tuple[PlanCoverage, ...] = ()

    @property
    def passed(self) -> bool:
        """Whether every gate was passed; true where there is none."""
        return all(gate.passed for gate in self.gates)

    @cached_property
    def verdict(self) -> tuple[VerdictLine, ...]:
        """The four answers in plain words."""
        return summarize_families(self.scores)

    @property
    def answers(self) -> tuple[VerdictLine, ...]:
        """What became of the plans, then the four answers; one where none could be given."""
        return (*map(plan_sentence, self.plans), *merged(self.verdict))

    @cached_property
    def uses(self) -> tuple[Use, ...]:
        """What the set may be used for."""
        return uses(
            self.scores,
            from_real=self._is_from_real,
            has_target=bool(self.facts.get("target")),
            leak_allowed=any(
                isinstance(note, Note) and note.kind == NoteKind.ALLOWED_LEAK for note in self.notes
            ),
        )

    @cached_property
    def contradictions(self) -> tuple[str, ...]:
        """Statements of this report that contradict each other; there should be none."""
        return tuple(find_contradictions(self.scores, self.verdict, self.uses))

    @property
    def smallest_faults(self) -> str:
        """The smallest faults that so many rows show; empty where nothing was measured."""
        return smallest_faults(self.scores)

    @property
    def _is_from_real(self) -> bool:
        return any(card.is_from_real for card in self.cards if card.origin != "real")

    @property
    def main_risk(self) -> str:
        """The worst that may come of using the set; empty where nothing was measured."""
        return main_risk(self.scores, self.uses, self._is_from_real)

    @property
    def caution(self) -> str:
        """What is to be said before any use; empty where nothing is."""
        return caution(self.scores)

    def to_html(self) -> str:
        """Return the report as one self-contained page that asks nothing of the network."""
        shown = self.examples
        return render(
            "report.html",
            report=self,
            examples=shown,
            facts=self._facts(),
            has_uses=any(use.mark != Mark.UNMEASURED for use in self.uses),
            plans=[(plan, plan_rule(plan), plan_groups(plan)) for plan in self.plans],
            cards=[(card, card_lines(card)) for card in self.cards],
            lineage=lineage_lines(self.lineage),
            **score_sections(self.scores),
            **image_sections(shown.images, shown.confident),
        )

    def _facts(self) -> list[tuple[str, str]]:
        facts = self.facts
        counts = {
            "synthetic rows": facts.get("synthetic_rows"),
            "real training rows": facts.get("train_rows"),
            "holdout rows": facts.get("holdout_rows"),
            "columns": facts.get("columns"),
        }
        lines = count_facts(counts, facts)
        if facts.get("target"):
            lines.append(("target", str(facts["target"])))
        if facts.get("where"):
            rows = ", ".join(f"{n:,} {name}" for name, n in facts.get("compared_rows", {}).items())
            lines.append((f"the rows compared: {rows}", str(facts["where"])))
        return lines

    def to_markdown(self) -> str:
        """Return verdict, gates and scores as Markdown, for a pull request."""
        lines = [f"## {md.escape(self.title)}", ""]
        if self.caution:
            lines += [f"Mind that {md.escape(self.caution)}.", ""]
        if any(use.mark != Mark.UNMEASURED for use in self.uses):
            lines += [*md.use_table(self.uses), ""]
        lines += [md.answer_line(a.mark, a.question, a.whole) for a in self.answers]
        if self.main_risk:
            lines += ["", f"Main risk: {md.escape(self.main_risk)}."]
        if self.smallest_faults:
            lines += ["", f"Would notice: {md.escape(self.smallest_faults)}"]
        lines += ["", "### Gates", "", *md.gate_table(self.gates)] if self.gates else []
        lines += ["", "### Scores", "", *md.score_table(self.scores), *md.notes(self.notes)]
        return "\n".join(lines) + "\n"

    def to_junit(self) -> str:
        """Return gates and verdicts as JUnit XML: one test case a metric."""
        return md.junit_xml({self.title: (self.scores, self.gates)})

    def _repr_html_(self) -> str:
        ranked = [score for _, own in by_question(self.scores) for score in own]
        return render("notebook.html", report=self, scores=ranked)

    def to_json(self) -> str:
        """Return the report as JSON text, without the figures and samples."""
        content = {
            "schema_version": SCHEMA_VERSION,
            "title": self.title,
            "passed": self.passed,
            "verdict": [asdict(sentence) for sentence in self.verdict],
            "main_risk": self.main_risk,
            "smallest_faults": self.smallest_faults,
            "caution": self.caution,
            "uses": [asdict(use) for use in self.uses],
            "facts": self.facts,
            "gates": [asdict(gate) for gate in self.gates],
            "scores": [score_json(score) for score in self.scores],
            "notes": self.notes,
            "cards": [card.to_json() for card in self.cards],
            "lineage": list(self.lineage),
        }
        return json.dumps(plain(content), indent=2, ensure_ascii=False, allow_nan=False) + "\n"

    def summary(self) -> str:
        """Return the verdict as plain lines for a terminal."""
        width = max((len(sentence.question) for sentence in self.answers), default=0)
        lines = [f"{s.mark.sign} {s.question:<{width}}  {s.text}" for s in self.answers]
        if self.main_risk:
            lines.append(f"  {'Main risk':<{width}}  {capitalize(self.main_risk)}.")
        if faults := self.smallest_faults:
            lines.append(f"  {'Would notice':<{width}}  {faults}")
        if short := in_short(self.uses, self.caution):
            lines.append(f"  {'In short':<{width}}  {short}.")
        if self.gates:
            failed = [gate.metric for gate in self.gates if not gate.passed]
            sign = (Mark.GOOD if self.passed else Mark.BAD).sign
            text = f"{len(self.gates) - len(failed)} of {len(self.gates)} passed"
            text += f"; failed: {', '.join(failed)}" if failed else ""
            lines.append(f"{sign} {'Gates':<{width}}  {text}")
        return "\n".join(lines)


def _examples(
    compared: Mapping[str, Dataset],
    synthetic: Dataset,
    scores: Sequence[Score],
    cards: Sequence[Card],
    show_real_rows: bool,
) -> ReportExamples:
    """Return the figures of columns and the rows that may be shown."""
    by_column = [s.finding(ColumnDistances) for s in scores if s.family == "gap"]
    # The finding with the most columns: a metric of some columns alone would leave the others last.
    distances = max((found.distances for found in by_column if found), key=len, default={})
    panels, n_left = column_panels(compared, distances)
    examples = ReportExamples(panels=panels, n_panels_left=n_left)
    synthetic_cards = [synthetic.card, *(card for card in cards if card.origin != "real")]
    if show_real_rows:
        shown = {name: rows for name, rows in compared.items() if name != "holdout"}
        examples = replace(examples, rows=row_samples(shown))
    elif any(card.is_from_real for card in synthetic_cards):
        withheld = bool(synthetic.schema.of_kind("image", "text"))
        examples = replace(examples, withheld=withheld)
    return examples


def build_report(
    *,
    title: str,
    train: Dataset | None,
    synthetic: Dataset,
    holdout: Dataset | None,
    scores: Sequence[Score],
    gates: Sequence[Gate],
    cards: Sequence[Card] = (),
    lineage: Sequence[Mapping[str, Any]] = (),
    target: str | None = None,
    where: Where | None = None,
    show_real_rows: bool = False,
    notes: Sequence[str] = (),
    plans: Sequence[PlanCoverage] = (),
) -> Report:
    """Return the report on `synthetic`.

    No real row is shown unless `show_real_rows`: figures pool small counts, samples of synthetic
    images and texts exclude whatever stands in a real set, and are withheld altogether when a card
    says that the rows were made from real ones.

    `title`: heading of the page. `train`, `synthetic`, `holdout`: the sets that were compared;
    `where` filters all three for the figures. `scores`, `gates`: what was measured and what was
    demanded. `cards`: cards to print at the end; synthetic ones name the embedders that measured
    the set. `lineage`: `Lineage.to_json`. `target`: the column to predict. `where`: rows that
    the comparison is about. `show_real_rows`: whether five real rows may be printed beside five
    synthetic ones. `plans`: what became of the plans that the rows were made by.

    Examples
    --------
    >>> import pyarrow as pa
    >>> rows = Dataset.from_arrow(pa.table({"age": [31.5, 47.0, 28.0]}))
    >>> report = build_report(title="ages", train=rows, synthetic=rows, holdout=None, scores=[], gates=[])
    >>> report.passed, "<h1>ages</h1>" in report.to_html()
    (True, True)
    """
    embedders = list_score_embedders(scores)
    cards = [_with_embedders(card, embedders) for card in cards]
    given = {"real": train, "synthetic": synthetic, "holdout": holdout}
    sets = {name: found for name, found in given.items() if found is not None}
    compared = {name: found.where(where) for name, found in sets.items()}
    facts = {
        "synthetic_rows": len(synthetic),
        "train_rows": None if train is None else len(train),
        "holdout_rows": None if holdout is None else len(holdout),
        "compared_rows": {name: len(found) for name, found in compared.items()},
        "columns": len(synthetic.schema.fields),
        "target": target,
        "where": None if where is None else str(where),
        "embedders": embedders,
        "plans": [plan.to_json() for plan in plans],
    }
    examples = _examples(compared, synthetic, scores, cards, show_real_rows)
    texts = list(notes)
    if not examples.withheld:
        examples = _with_media(examples, compared, sets, scores, target, show_real_rows, texts)
    report = Report(
        title=title,
        scores=tuple(scores),
        gates=tuple(gates),
        cards=tuple(cards),
        lineage=lineage,
        notes=tuple(texts),
        facts=facts,
        examples=examples,
        plans=tuple(plans),
    )
    doubts = [
        f"Two statements disagree, trust the worse: {text}." for text in report.contradictions
    ]
    return replace(report, notes=(*doubts, *texts))


def _with_embedders(card: Card, embedders: Mapping[str, Any]) -> Card:
    """Return a card that names what a synthetic set was measured by."""
    notes = () if card.origin == "real" else note_embedders_on_card(embedders)
    return replace(card, notes=(*card.notes, *notes))


def _with_media(
    examples: ReportExamples,
    compared: Mapping[str, Dataset],
    whole: Mapping[str, Dataset],
    scores: Sequence[Score],
    target: str | None,
    show_real_rows: bool,
    notes: list[str],
) -> ReportExamples:
    """Return the examples with synthetic texts and images, of which none stands in a real set."""
    # What is shown may stand in no real row, not only in none of those that are compared.
    real = [] if show_real_rows else [whole[n] for n in ("real", "holdout") if n in whole]
    synthetic = compared["synthetic"]
    examples = replace(examples, texts=text_samples(synthetic, real, target))
    try:
        images = image_samples(synthetic, real, target)
        # Rows are numbered in the set as it was given, whatever the condition.
        rows = next((r for s in scores if (r := s.finding(ConfidentRows))), None)
        numbers = [] if rows is None else [row.number for row in rows.rows]
        confident = numbered_images(whole["synthetic"], real, numbers)
    except MissingExtraError as error:
        notes.append(f"The images are not shown: {error}.")
        return examples
    return replace(examples, images=images, confident=confident)

"""`Report`: everything that a reader gets, built once; as page, JSON, terminal lines and notebook table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from twinset.core.contracts import Score
from twinset.core.data.dataset import Card, Dataset
from twinset.core.data.where import Where
from twinset.core.errors import MissingExtraError
from twinset.core.findings import ColumnDistances, ConfidentRows, Note, NoteKind
from twinset.measurement.plan_coverage import PlanCoverage
from twinset.report.answers.fitness_for_use import in_short
from twinset.report.answers.verdict import summarize_families
from twinset.report.figures.columns import column_panels
from twinset.report.figures.contact_sheet import ImageSample, image_samples, numbered_images
from twinset.report.figures.samples import TextSample, row_samples, text_samples
from twinset.report.gates import Gate
from twinset.report.model import ReportContent, ReportExamples

_MARKS = {"good": "+", "bad": "!", "unclear": "?", "unmeasured": "-"}


@dataclass(frozen=True, kw_only=True)
class Report(ReportContent):
    """A report that renders itself: as page, Markdown, JUnit, terminal lines and notebook table."""

    def to_html(self) -> str:
        """Return the report as one self-contained page that asks nothing of the network."""
        from twinset.report.page import render_page

        return render_page(self)

    def to_markdown(self) -> str:
        """Return verdict, gates and scores as Markdown, for a pull request."""
        from twinset.report.markdown import report_markdown

        return report_markdown(self)

    def to_junit(self) -> str:
        """Return gates and verdicts as JUnit XML: one test case a metric."""
        from twinset.report.junit import junit_xml

        return junit_xml({self.title: (self.scores, self.gates)})

    def _repr_html_(self) -> str:
        from twinset.report.page import render_notebook

        return render_notebook(self)

    def summary(self) -> str:
        """Return the verdict as plain lines for a terminal."""
        width = max((len(sentence.question) for sentence in self.answers), default=0)
        lines = [f"{_MARKS[s.mark]} {s.question:<{width}}  {s.text}" for s in self.answers]
        if short := in_short(self.uses, self.caution):
            lines.append(f"  {'In short':<{width}}  {short}.")
        if self.gates:
            kept = sum(gate.passed for gate in self.gates)
            mark = _MARKS["good" if self.passed else "bad"]
            failed = ", ".join(gate.metric for gate in self.gates if not gate.passed)
            told = f"{kept} of {len(self.gates)} passed" + (f"; failed: {failed}" if failed else "")
            lines.append(f"{mark} {'Gates':<{width}}  {told}")
        return "\n".join(lines)


def build_report(
    *,
    title: str,
    train: Dataset | None,
    synthetic: Dataset,
    holdout: Dataset | None,
    scores: Sequence[Score],
    gates: Sequence[Gate],
    cards: Sequence[Card] = (),
    lineage: Mapping[str, Any] | None = None,
    target: str | None = None,
    where: Where | None = None,
    show_real_rows: bool = False,
    notes: Sequence[str] = (),
    plans: Sequence[PlanCoverage] = (),
    embedders: Mapping[str, Any] | None = None,
) -> Report:
    """Return the report on `synthetic`.

    No real row is shown unless `show_real_rows`: figures pool small counts, samples of synthetic
    images and texts leave out whatever stands in a real set, and are withheld altogether when a card
    says that the rows were made from real ones.

    Parameters
    ----------
    title : str
        Heading of the page.
    train, synthetic, holdout : Dataset
        The sets that were compared; `where` filters all three for the figures.
    scores, gates : sequence
        What was measured and what was demanded.
    cards : sequence of Card
        Cards to print at the end.
    lineage : mapping, optional
        Nested tree of the sets.
    target : str, optional
        The column to predict.
    where : Where, optional
        Rows that the comparison is about.
    show_real_rows : bool
        Whether five real rows may be printed beside five synthetic ones.
    notes : sequence of str
        Warnings for the reader; a `Note` among them has a kind.
    plans : sequence of Covered
        What became of the plans that the rows were made by.
    embedders : mapping, optional
        Image column -> embedder -> its facts: what looked at the images.

    Examples
    --------
    >>> import pyarrow as pa
    >>> rows = Dataset.from_arrow(pa.table({"age": [31.5, 47.0, 28.0]}))
    >>> report = build_report(title="ages", train=rows, synthetic=rows, holdout=None, scores=[], gates=[])
    >>> report.passed, "<h1>ages</h1>" in report.to_html()
    (True, True)
    """
    given = {"real": train, "synthetic": synthetic, "holdout": holdout}
    sets = {name: found for name, found in given.items() if found is not None}
    compared = {name: found.where(where) for name, found in sets.items()}
    texts = list(notes)
    examples = _examples(compared, sets, scores, cards, target, show_real_rows, texts)
    facts = {
        "synthetic_rows": len(synthetic),
        "train_rows": None if train is None else len(train),
        "holdout_rows": None if holdout is None else len(holdout),
        "compared_rows": {name: len(found) for name, found in compared.items()},
        "columns": len(synthetic.schema.fields),
        "target": target,
        "where": None if where is None else str(where),
        "embedders": dict(embedders or {}),
        "plans": [plan.to_json() for plan in plans],
    }
    return Report(
        title=title,
        scores=tuple(scores),
        gates=tuple(gates),
        verdict=summarize_families(scores),
        cards=tuple(cards),
        lineage=lineage,
        notes=tuple(texts),
        leak_allowed=any(
            isinstance(note, Note) and note.kind == NoteKind.ALLOWED_LEAK for note in notes
        ),
        facts=facts,
        examples=examples,
        plans=tuple(plans),
    )


def _examples(
    sets: Mapping[str, Dataset],
    whole: Mapping[str, Dataset],
    scores: Sequence[Score],
    cards: Sequence[Card],
    target: str | None,
    show_real_rows: bool,
    notes: list[str],
) -> ReportExamples:
    synthetic = sets["synthetic"]
    # What is shown may stand in no real row, not only in none of those that are compared.
    real = [] if show_real_rows else [whole[n] for n in ("real", "holdout") if n in whole]
    by_column = [s.finding(ColumnDistances) for s in scores if s.family == "gap"]
    # The finding with the most columns: a metric of some columns alone would leave the others last.
    distances = max((found.distances for found in by_column if found), key=len, default={})
    panels, n_left = column_panels(sets, distances)
    made = [synthetic.card, *(card for card in cards if card.origin != "real")]
    withheld = not show_real_rows and any(card.is_from_real for card in made)
    withheld = withheld and bool(synthetic.schema.of_kind("image", "text"))
    images: tuple[ImageSample, ...] = ()
    confident: Mapping[int, ImageSample] = {}
    texts: tuple[TextSample, ...] = ()
    if not withheld:
        texts = text_samples(synthetic, real, target)
        try:
            images = image_samples(synthetic, real, target)
            # Rows are numbered in the set as it was given, whatever the condition.
            rows = next((r for s in scores if (r := s.finding(ConfidentRows))), None)
            numbers = [] if rows is None else [row.number for row in rows.rows]
            confident = numbered_images(whole["synthetic"], real, numbers)
        except MissingExtraError as error:
            notes.append(f"The images are not shown: {error}.")
    shown = {name: sets[name] for name in ("real", "synthetic") if name in sets}
    return ReportExamples(
        panels=panels,
        n_panels_left=n_left,
        images=images,
        confident=confident,
        texts=texts,
        rows=row_samples(shown) if show_real_rows else (),
        withheld=withheld,
    )

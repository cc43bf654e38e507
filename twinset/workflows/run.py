"""Run a recipe: register, generate, measure and deliver, resumable by step."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from importlib.util import find_spec
from itertools import chain
from pathlib import Path
from typing import Any, Literal

from threadpoolctl import threadpool_limits

from twinset.catalog import Catalog, Version
from twinset.core.contracts import Progress, Score, silent
from twinset.core.data.dataset import Card, Dataset
from twinset.core.data.reading import TableReading
from twinset.core.data.where import Where
from twinset.core.errors import ParameterError, RecipeError
from twinset.core.untrusted import parse_json
from twinset.core.version import __version__
from twinset.generation.coverage_plan import CoveragePlan
from twinset.generation.refit import refit_from_recipe
from twinset.generation.requests import asset_digests, plan_of, predictions_path
from twinset.generation.room import Room
from twinset.generation.run_step import check_brief, open_part, refuse_leaks
from twinset.generation.step import (
    GenerationStep,
    find_base,
    joint_card,
    shared_where,
    training_set_card,
)
from twinset.ingest.candidate import kept_columns
from twinset.ingest.real_data import Real, find_source, register_real, register_split
from twinset.io.delivery import check_place, deliver, is_delivered
from twinset.io.files import file_digest
from twinset.measurement.embedders import hash_embedders
from twinset.measurement.notes import (
    note_embedders_on_card,
    note_images,
    note_kept_values,
    note_rules,
)
from twinset.measurement.plan_coverage import PlanCoverage, measure_plan_coverage
from twinset.recipe import AugmentStep, GenerateStep, Recipe, load_recipe
from twinset.registry import component_class
from twinset.report import apply_gates, build_report
from twinset.workflows.evaluate import EvaluationTask, measure_set, note_ignored
from twinset.workflows.options import EvaluateOptions


@dataclass(frozen=True)
class Step:
    """One step of a run: its name, its content address, and whether it was there already."""

    name: str
    address: str
    state: Literal["kept", "made", "to make"]


def address(*parts: object) -> str:
    """Return the content address of a step: SHA-256 over everything that decides its result.

    The version of twinset is part of it: another version may give other bytes.

    >>> address("split", 7) == address("split", 7), address("split", 7) == address("split", 8)
    (True, False)
    """
    text = json.dumps([__version__, *parts], sort_keys=True, ensure_ascii=False, default=str)
    return hashlib.sha256(text.encode()).hexdigest()


def step_addresses(recipe: Recipe, catalog: Catalog | None) -> dict[str, str]:
    """Return the name of each step -> its address, in the order of the run."""
    found: dict[str, str] = {}
    train = ""
    brief = recipe.brief.model_dump(mode="json")
    if recipe.source is not None:
        apart = {"path", "fetch", "set_", *(() if recipe.source.read else ("read",))}
        declared = recipe.source.model_dump(mode="json", exclude=apart)
        content = find_source(recipe, catalog)
        task = {key: brief[key] for key in ("task", "target")}
        split = recipe.split.model_dump(mode="json")
        on = split["on"] if split["by"] == "time" else None
        found["source"] = address("source", recipe.source_name, content, declared, task, on)
        train = found["split"] = address("split", found["source"], split, recipe.seed)
    made: list[str] = []
    for name, step in recipe.named_steps():
        spec = step.model_dump(mode="json", by_alias=True)
        predictions = predictions_path(recipe, step)
        if predictions is not None:
            spec["cover"]["predictions"] = file_digest(predictions)
        wanted = [brief[key] for key in ("target", "want", "positive")]
        # Fresh identifiers go on where those of the earlier generate steps end.
        earlier = made if isinstance(step, GenerateStep) else []
        if isinstance(step, AugmentStep) and step.of is not None:
            earlier = [found[step.of]]
        # Rows and cards carry the name of the recipe.
        parts = ["make", train, recipe.name, name, spec, wanted, recipe.seed, earlier]
        found[name] = address(*parts, *asset_digests(recipe, step.use))
        made = [*made, found[name]]
    # Without OpenCV images are neither measured nor shown, and the results say so.
    sees_images = find_spec("cv2") is not None
    looks = hash_embedders(recipe.embedders())
    found["measure"] = address(
        "measure",
        train,
        [found[name] for name in recipe.delivered_steps()],
        brief,
        recipe.evaluate.metrics_json(),
        recipe.seed,
        sees_images,
        looks,
    )
    gates = recipe.evaluate.gates_json()
    shown = recipe.report.model_dump(mode="json")
    allowed = recipe.evaluate.allow_leaks
    found["report"] = address("report", found["measure"], gates, shown, recipe.name, allowed)
    return found


def candidate_address(recipe: Recipe, steps: Sequence[str]) -> str:
    """Return the address of the set, under the recipe's name, of all rows that its steps made."""
    return address("join", recipe.name, list(steps))


def recipe_task(
    recipe: Recipe, synthetic: Dataset, where: Where | None, workers: int = 1
) -> EvaluationTask:
    """Return the evaluation task that a recipe declares."""
    brief = recipe.brief
    options = EvaluateOptions(
        target=brief.target,
        positive=brief.positive,
        where=where,
        seed=recipe.seed,
        workers=workers,
        gates=recipe.evaluate.gates_json(),
        embedders=recipe.embedders() or None,
    )
    metrics = recipe.evaluate.built_metrics(synthetic.schema.kinds)
    return EvaluationTask.from_options(options, metrics=metrics, population=brief.population)


def recipe_notes(
    recipe: Recipe,
    train: Dataset | None,
    synthetic: Dataset,
    scores: Sequence[Score],
    cards: Sequence[Card],
) -> list[str]:
    """Return the notes of the report on a set that a recipe made."""
    has_learnt = any(
        not isinstance(step, GenerateStep) or component_class("generator", step.use).needs_real
        for _, step in recipe.named_steps()
    )
    # A value that rows share with real ones by chance is not kept from them.
    kept = note_kept_values(train, synthetic) if has_learnt else ()
    return [*note_images(scores), *note_rules(train, synthetic, cards), *kept]


def plans_of(recipe: Recipe, train: Dataset | None, synthetic: Dataset) -> list[PlanCoverage]:
    """Return, for each step that covers combinations, how often each of them came in the end.

    All rows that the recipe made count, whichever step made them; so do the real ones, where the real
    set has the conditions as columns.
    """
    found = []
    for name, step in recipe.named_steps():
        cover = step.cover if isinstance(step, GenerateStep) else None
        if cover is None or not set(cover.factors) <= set(synthetic.schema.names):
            continue
        has_real = train is not None and set(cover.factors) <= set(train.schema.names)
        found.append(
            measure_plan_coverage(
                cover.factors,
                strength=cover.strength,
                at_least=cover.at_least,
                forbidden=cover.forbidden,
                real=train if has_real else None,
                synthetic=synthetic,
                counts_real=cover.beyond_real,
                step=name,
            )
        )
    return found


def plans(
    recipe: Recipe | Path | str,
    *,
    root: Path | str = Path(".twinset"),
    overrides: Sequence[str] = (),
    predictions: Path | None = None,
) -> dict[str, CoveragePlan]:
    """Return the name of each step that covers conditions -> its plan; no scene is made.

    `recipe`: the recipe, some step of which has `cover`. `root`: folder of the catalogue; the real
    set is registered there where a plan goes beyond it. `overrides`: changes to the recipe, each
    ``"a.b=value"``; only with a path. `predictions`: a model's predictions, in place of those that
    the recipe names.
    """
    recipe = read_recipe(recipe, overrides)
    steps = {
        name: step
        for name, step in recipe.named_steps()
        if isinstance(step, GenerateStep) and step.cover is not None
    }
    if not steps:
        raise RecipeError(
            f"no step of the recipe '{recipe.name}' has a plan",
            allowed="a step with cover: {factors: {light: [day, night], weather: [clear, fog]}}",
            todo="see the guide: fill image edge cases",
        )
    needs_real = any(step.cover is not None and step.cover.beyond_real for step in steps.values())
    train = None
    if needs_real and recipe.source is not None:
        catalog = Catalog(Path(root))
        real = register_parts(recipe, catalog, step_addresses(recipe, catalog))
        train = None if real is None else catalog.load(real.train)
    made = {}
    for name, step in steps.items():
        cover = step.cover
        assert cover is not None
        if predictions is not None:
            cover = cover.model_copy(update={"predictions": str(predictions.absolute())})
            step = step.model_copy(update={"cover": cover})
        plan = plan_of(step, recipe, train)
        assert plan is not None
        made[name] = plan
    return made


def read_recipe(recipe: Recipe | Path | str, overrides: Sequence[str]) -> Recipe:
    """Return the recipe, read from its file where it is none yet."""
    return recipe if isinstance(recipe, Recipe) else load_recipe(Path(recipe), overrides)


def register_parts(
    recipe: Recipe,
    catalog: Catalog,
    addresses: Mapping[str, str],
    progress: Progress = silent,
    readings: list[TableReading] | None = None,
) -> Real | None:
    """Return the registered real set with its split; None for a recipe without a source.

    `readings` gets what the columns of a file are understood as, if it is read now.
    """
    if recipe.source is None:
        return None
    whole = register_real(recipe, catalog, addresses["source"], progress, readings)
    return register_split(recipe, catalog, whole, addresses["split"])


def load_train(recipe: Recipe, catalog: Catalog, real: Real) -> tuple[Dataset, Dataset | None]:
    """Return the train set, and the whole set where its identifiers must not come again.

    A brief that does not fit and a leaking holdout are refused before the work, not after it.
    """
    train = catalog.load(real.train)
    check_brief(recipe, train)
    refuse_leaks(recipe, train, catalog.load(real.holdout))
    return train, catalog.load(real.whole) if train.schema.of_kind("id") else None


DEFAULT_ROOT = Path(".twinset")


@dataclass(frozen=True)
class RunResult:
    """What a run ended with.

    Parameters
    ----------
    passed : bool
        Whether every gate holds.
    summary : str
        The verdict in a few plain sentences.
    report : mapping
        The whole report as JSON values.
    report_path : pathlib.Path
        The page, inside the delivered folder.
    delivered : pathlib.Path
        The delivered folder.
    versions : mapping
        Name of the registered set -> reference, e.g. ``{"card-fraud": "card-fraud@1"}``.
    steps : tuple of Step
        What was made and what was kept from an earlier run.
    reading : TableReading, optional
        What the columns of the source were understood as, where this run read its file.
    """

    passed: bool
    summary: str
    report: dict[str, Any]
    report_path: Path
    delivered: Path
    versions: dict[str, str]
    steps: tuple[Step, ...]
    reading: TableReading | None = None


def run(
    recipe: Recipe | Path | str,
    *,
    root: Path | str = DEFAULT_ROOT,
    overrides: Sequence[str] = (),
    workers: int = 1,
    progress: Progress = silent,
) -> RunResult:
    """Run a recipe from its source to the delivered folder and return what came out.

    Every step has a content address: what an earlier run finished is kept, and an interrupted run goes
    on where it stopped and ends with the same bytes.

    Parameters
    ----------
    recipe : Recipe or path
        What to do.
    root : path
        Folder of the catalogue.
    overrides : sequence of str
        Changes to the recipe, each ``"a.b=value"``; only with a path.
    workers : int
        Threads that draw chunks and compute metrics. The result does not depend on it.
    progress : Progress
        Called with (step, done, total).

    Raises
    ------
    TwinsetError
        The recipe or the data cannot be used; nothing is half-written.
    """
    if workers < 1:
        raise ParameterError(
            "the number of workers is out of range", got=str(workers), allowed="1 or more"
        )
    recipe = read_recipe(recipe, overrides)
    # A folder that cannot be delivered to is found before the work, not after it.
    check_place(recipe.delivery_folder())
    with threadpool_limits(limits=1):
        return _Run(recipe, Catalog(Path(root)), workers, progress).run()


def plan(
    recipe: Recipe | Path | str, *, root: Path | str = DEFAULT_ROOT, overrides: Sequence[str] = ()
) -> tuple[Step, ...]:
    """Return the steps that a run would take, and which are there already; nothing is written."""
    recipe = read_recipe(recipe, overrides)
    catalog = Catalog(Path(root)) if Path(root).exists() else None

    def state(at: str) -> Literal["kept", "to make"]:
        return "kept" if catalog is not None and catalog.has_step(at) else "to make"

    return tuple(Step(name, at, state(at)) for name, at in step_addresses(recipe, catalog).items())


@dataclass
class _Run:
    """One run: the recipe, the catalogue, and the steps done so far with their addresses."""

    recipe: Recipe
    catalog: Catalog
    workers: int
    progress: Progress
    steps: list[Step] = field(default_factory=list)
    addresses: dict[str, str] = field(default_factory=dict)
    readings: list[TableReading] = field(default_factory=list)  # of a source whose file is read

    def run(self) -> RunResult:
        self.addresses = step_addresses(self.recipe, self.catalog)
        with self.catalog.in_use():
            return self._run()

    def _run(self) -> RunResult:
        real = self._register()
        versions = self._generate(real)
        delivered = [versions[name] for name in self.recipe.delivered_steps()]
        candidate = self._merge_steps(delivered, real)
        with self._sole("report"):
            report = self._report(real, delivered, candidate)
        settings = self.recipe.deliver.model_dump(mode="json", exclude={"to"})
        self.addresses["deliver"] = address("deliver", self.addresses["report"], settings)
        with self._sole("deliver"):
            folder = self._deliver(real, candidate, report)
        registered = (*([] if real is None else real.versions), *versions.values(), candidate)
        return RunResult(
            passed=bool(report["passed"]),
            summary=str(report["summary"]),
            report=parse_json(report["json"]),
            report_path=folder / "report.html",
            delivered=folder,
            versions={v.name: v.ref for v in registered},
            steps=tuple(self.steps),
            reading=self.readings[0] if self.readings else None,
        )

    def _register(self) -> Real | None:
        names = () if self.recipe.source is None else ("source", "split")
        if not names:
            return None
        with self._sole("source"):
            kept = {name: self.catalog.has_step(self.addresses[name]) for name in names}
            real = register_parts(
                self.recipe, self.catalog, self.addresses, self.progress, self.readings
            )
        for name in names:
            self._done(name, kept[name])
        return real

    def _generate(self, real: Real | None) -> dict[str, Version]:
        """Return the registered set of each step; what an earlier run made is kept."""
        catalog, versions = self.catalog, dict[str, Version]()
        train: Dataset | None = None
        known: Dataset | None = None
        for name, step in self.recipe.named_steps():
            with self._sole(name):
                version = catalog.find_step(self.addresses[name])
                self._done(name, kept=version is not None)
                if version is None:
                    if train is None and real is not None:
                        train, known = load_train(self.recipe, catalog, real)
                    parent, base = find_base(step, versions, real.train if real else None, catalog)
                    part = GenerationStep(
                        name=name,
                        address=self.addresses[name],
                        step=step,
                        recipe=self.recipe,
                        parent=parent,
                        train=train,
                        known=known,
                        first=sum(earlier.n_rows for earlier in versions.values()),
                        earlier=chain.from_iterable(map(catalog.stream, list(versions.values()))),
                        base=base,
                        room=Room(catalog.root),
                    )
                    opened = open_part(part, self.workers, self.progress)
                    set_name = f"{self.recipe.name}.{name}"
                    version = catalog.register(
                        set_name, opened.chunks(0), opened.card, step=part.address
                    )
            versions[name] = version
        if not versions:
            raise RecipeError("the recipe makes nothing", todo="add a step under 'generate'")
        return versions

    def _merge_steps(self, delivered: Sequence[Version], real: Real | None) -> Version:
        """Return the rows of the delivered steps as one registered set; an earlier run's is kept."""
        catalog, names = self.catalog, self.recipe.delivered_steps()
        at = candidate_address(self.recipe, [self.addresses[name] for name in names])
        found = catalog.find_step(at)
        if found is not None:
            return found

        def chunks() -> Iterator[Dataset]:
            for version in delivered:
                yield from catalog.stream(version)

        card = replace(
            joint_card([catalog.card(version) for version in delivered]),
            name=self.recipe.name,
            parents=tuple(version.digest for version in delivered),
            recipe_digest=at,
            reading={} if real is None else catalog.card(real.whole).reading,
        )
        return catalog.register(self.recipe.name, chunks(), card, step=at)

    def _measure(
        self,
        train: Dataset | None,
        holdout: Dataset | None,
        synthetic: Dataset,
        task: EvaluationTask,
    ) -> list[Score]:
        """Return the scores of the delivered set: those of an earlier run where it has them."""
        at = self.addresses["measure"]
        saved = self.catalog.read_note(at)
        self._done("measure", kept=saved is not None)
        if saved is None:
            refit = refit_from_recipe(self.recipe)
            asked = replace(task.request, refit=refit, progress=self.progress)
            found = measure_set(train, holdout, synthetic, replace(task, request=asked))
            saved = json.dumps([score.to_json() for score in found]).encode()
            self.catalog.note(at, "scores", saved)
        # What a later run will read is what this run goes on with.
        return [Score.from_json(score) for score in parse_json(saved)]

    def _report(
        self, real: Real | None, delivered: list[Version], candidate: Version
    ) -> dict[str, Any]:
        recipe, catalog = self.recipe, self.catalog
        kept = catalog.read_note(self.addresses["report"])
        if kept is not None:
            self._done("measure", kept=True)
            self._done("report", kept=True)
            return dict(parse_json(kept))
        train = None if real is None else catalog.load(real.train)
        holdout = None if real is None else catalog.load(real.holdout)
        synthetic = catalog.load(candidate)
        check_brief(recipe, train, synthetic)
        cards = [catalog.card(version) for version in delivered]
        leaks: list[str] = []
        if train is not None and holdout is not None:
            leaks = refuse_leaks(recipe, train, holdout, {"": synthetic})
        task = recipe_task(recipe, synthetic, shared_where(cards), self.workers)
        if ignored := recipe.evaluate.ignore:
            kept_names = kept_columns(synthetic.schema, ignored, {"target": recipe.brief.target})
            synthetic = synthetic.select(kept_names)
            train = None if train is None else train.select(kept_names)
            holdout = None if holdout is None else holdout.select(kept_names)
        scores = self._measure(train, holdout, synthetic, task)
        cards = [*([catalog.card(real.whole)] if real else []), *cards]
        report = build_report(
            title=recipe.name,
            train=train,
            synthetic=synthetic,
            holdout=holdout,
            scores=scores,
            gates=apply_gates(scores, task.options.gates),
            cards=cards,
            lineage=catalog.lineage(candidate).to_json(numbered=False),
            target=task.options.target,
            where=task.request.where,
            show_real_rows=recipe.report.show_real_rows,
            notes=[
                *note_ignored(ignored),
                *leaks,
                *recipe_notes(recipe, train, synthetic, scores, cards),
            ],
            plans=plans_of(recipe, train, synthetic),
        )
        result = {
            "passed": report.passed,
            "summary": report.summary(),
            "json": report.to_json(),
            "html": report.to_html(),
        }
        catalog.note(self.addresses["report"], "report", json.dumps(result).encode())
        self._done("report", kept=False)
        return result

    def _deliver(self, real: Real | None, candidate: Version, report: dict[str, Any]) -> Path:
        catalog, spec = self.catalog, self.recipe.deliver
        folder, at = self.recipe.delivery_folder(), self.addresses["deliver"]
        recorded = catalog.read_note(at)
        if recorded is not None and is_delivered(folder, recorded.decode()):
            self._done("deliver", kept=True)
            return folder
        embedders = parse_json(report["json"])["facts"].get("embedders", {})
        own = catalog.card(candidate)
        own = replace(own, notes=(*own.notes, *note_embedders_on_card(embedders)))
        sets = {"synthetic": (catalog.stream(candidate), own)}
        if spec.include == "training_set" and real is not None:
            rows = (chunk for v in (real.train, candidate) for chunk in catalog.stream(v))
            card = training_set_card(catalog.card(candidate), (real.train, candidate))
            sets["training_set"] = (rows, card)
        checksums = deliver(
            folder,
            sets=sets,
            formats=spec.formats,
            report_html=report["html"],
            report_json=report["json"],
            escape_formulas=spec.escape_formulas,
            progress=self.progress,
        )
        catalog.note(at, "delivery", checksums.encode())
        self._done("deliver", kept=False)
        return folder

    def _sole(self, name: str) -> AbstractContextManager[None]:
        """Let no other process make this step at the same time: it waits and then finds it."""
        return self.catalog.sole_writer(self.addresses[name], name)

    def _done(self, name: str, kept: bool) -> None:
        self.steps.append(Step(name, self.addresses[name], "kept" if kept else "made"))

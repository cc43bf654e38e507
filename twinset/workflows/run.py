"""Run a recipe: register, generate, measure and deliver, resumable by step."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain
from pathlib import Path
from typing import Any

from threadpoolctl import threadpool_limits

from twinset.catalog import Catalog, Version
from twinset.core.contracts import Progress, Score, silent
from twinset.core.data.dataset import Dataset
from twinset.core.data.where import Where
from twinset.core.errors import ParameterError, RecipeError
from twinset.generation.assets import predictions_of, read_assets
from twinset.generation.cards import joint_card, shared_where, training_set_card
from twinset.generation.refit import refit_from_recipe
from twinset.generation.run_step import check_brief, open_part, refuse_leaks
from twinset.generation.step import GenerationStep, to_vary
from twinset.ingest.real_data import Real, register_real, register_split
from twinset.io.delivery import check_place, deliver, is_delivered
from twinset.measurement.load_embedders import load_embedders
from twinset.measurement.notes import note_embedders_on_card
from twinset.recipe import Recipe, load_recipe
from twinset.workflows.step_addresses import Step, address, candidate_address, step_addresses


def merge_steps(
    recipe: Recipe, catalog: Catalog, addresses: Mapping[str, str], made: Sequence[Version]
) -> Version:
    """Return what the delivered steps made as one registered set; an earlier run's is kept.

    Parameters
    ----------
    recipe : Recipe
        What to do.
    catalog : Catalog
        Where sets lie.
    addresses : mapping of str to str
        Step -> its content address.
    made : sequence of Version
        What the delivered steps made, in their order.
    """
    at = candidate_address(recipe, [addresses[name] for name in recipe.delivered_steps()])
    found = catalog.find_step(at)
    if found is not None:
        return found

    def chunks() -> Iterator[Dataset]:
        for version in made:
            yield from catalog.stream(version)

    card = replace(
        joint_card([catalog.card(version) for version in made]),
        name=recipe.name,
        parents=tuple(version.digest for version in made),
        recipe_digest=at,
    )
    return catalog.register(recipe.name, chunks(), card, step=at)


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
    """

    passed: bool
    summary: str
    report: dict[str, Any]
    report_path: Path
    delivered: Path
    versions: dict[str, str]
    steps: tuple[Step, ...]


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
    recipe = recipe if isinstance(recipe, Recipe) else load_recipe(Path(recipe), overrides)
    # A folder that cannot be delivered to is found before the work, not after it.
    check_place(recipe.delivery_folder())
    with threadpool_limits(limits=1):
        return _Run(recipe, Catalog(Path(root)), workers, progress).run()


def plan(
    recipe: Recipe | Path | str,
    *,
    root: Path | str = DEFAULT_ROOT,
    overrides: Sequence[str] = (),
) -> tuple[Step, ...]:
    """Return the steps that a run would take, and which are there already; nothing is written."""
    recipe = recipe if isinstance(recipe, Recipe) else load_recipe(Path(recipe), overrides)
    catalog = Catalog(Path(root)) if Path(root).exists() else None
    return _Run(recipe, catalog, 1, silent).plan()


@dataclass
class _Run:
    """One run: the recipe, the places of its files, and the steps done so far."""

    recipe: Recipe
    catalog: Catalog | None
    workers: int
    progress: Progress
    steps: list[Step] = field(default_factory=list)

    def plan(self) -> tuple[Step, ...]:
        addresses = step_addresses(self.recipe, self.catalog)
        for name, at in addresses.items():
            there = self.catalog is not None and self.catalog.has_step(at)
            self.steps.append(Step(name, at, "kept" if there else "to make"))
        return tuple(self.steps)

    def run(self) -> RunResult:
        assert self.catalog is not None
        addresses = step_addresses(self.recipe, self.catalog)
        real = self._real(addresses)
        made = self._make(addresses, real)
        kept = [made[name] for name in self.recipe.delivered_steps()]
        candidate = merge_steps(self.recipe, self.catalog, addresses, kept)
        report = self._report(addresses, real, kept, candidate)
        folder = self._deliver(addresses, real, candidate, report)
        versions = {
            v.name: v.ref
            for v in (*([] if real is None else real.versions), *made.values(), candidate)
        }
        return RunResult(
            passed=bool(report["passed"]),
            summary=str(report["summary"]),
            report=json.loads(report["json"]),
            report_path=folder / "report.html",
            delivered=folder,
            versions=versions,
            steps=tuple(self.steps),
        )

    def _real(self, addresses: dict[str, str]) -> Real | None:
        assert self.catalog is not None
        if self.recipe.source is None:
            return None
        kept = self.catalog.has_step(addresses["source"])
        whole = register_real(self.recipe, self.catalog, addresses["source"], self.progress)
        self._done("source", addresses, kept)
        kept = self.catalog.has_step(addresses["split"])
        real = register_split(self.recipe, self.catalog, whole, addresses["split"])
        self._done("split", addresses, kept)
        return real

    def _make(self, addresses: dict[str, str], real: Real | None) -> dict[str, Version]:
        assert self.catalog is not None
        made: dict[str, Version] = {}
        train: Dataset | None = None
        known: Dataset | None = None
        first = 0
        for name, step in self.recipe.named_steps():
            at = addresses[name]
            version = self.catalog.find_step(at)
            if version is None:
                if train is None and real is not None:
                    train = self.catalog.load(real.train)
                    check_brief(self.recipe, train)
                    # A leaking holdout is refused before the work, not after it.
                    refuse_leaks(self.recipe, train, self.catalog.load(real.holdout))
                    known = self.catalog.load(real.whole) if train.schema.of_kind("id") else None
                parent, base = to_vary(step, made, real.train if real else None, self.catalog)
                earlier = chain.from_iterable(map(self.catalog.stream, list(made.values())))
                given = read_assets(self.recipe, step.use)
                predictions = predictions_of(self.recipe, step)
                part = GenerationStep(
                    name,
                    at,
                    step,
                    self.recipe,
                    parent,
                    train,
                    known,
                    first,
                    earlier,
                    given,
                    predictions,
                    base,
                )
                making = open_part(part, self.workers, self.progress)
                version = self.catalog.register(
                    f"{self.recipe.name}.{name}", making.chunks(0), making.card, step=at
                )
                self._done(name, addresses, kept=False)
            else:
                self._done(name, addresses, kept=True)
            made[name] = version
            first += version.n_rows
        if not made:
            raise RecipeError("the recipe makes nothing", todo="add a step under 'generate'")
        return made

    def _report(
        self, addresses: dict[str, str], real: Real | None, made: list[Version], candidate: Version
    ) -> dict[str, Any]:
        assert self.catalog is not None
        kept = self.catalog.read_note(addresses["report"])
        if kept is not None:
            self._done("measure", addresses, kept=True)
            self._done("report", addresses, kept=True)
            return dict(json.loads(kept))
        from twinset.workflows.recipe_report import recipe_report

        train, holdout = (
            (self.catalog.load(real.train), self.catalog.load(real.holdout))
            if real
            else (None, None)
        )
        synthetic = self.catalog.load(candidate)
        check_brief(self.recipe, train, synthetic)
        made_cards = [self.catalog.card(version) for version in made]
        leaks: list[str] = []
        if train is not None and holdout is not None:
            leaks = refuse_leaks(self.recipe, train, holdout, {"": synthetic})
        scores = self._scores(addresses, train, synthetic, holdout, shared_where(made_cards))
        report = recipe_report(
            self.recipe,
            train=train,
            synthetic=synthetic,
            holdout=holdout,
            scores=scores,
            source_cards=[self.catalog.card(real.whole)] if real else [],
            synthetic_cards=made_cards,
            lineage=self.catalog.lineage(candidate).to_json(numbered=False),
            leaks=leaks,
        )
        result = {
            "passed": report.passed,
            "summary": report.summary(),
            "json": report.to_json(),
            "html": report.to_html(),
        }
        self.catalog.note(addresses["report"], "report", json.dumps(result).encode())
        self._done("report", addresses, kept=False)
        return result

    def _scores(
        self,
        addresses: dict[str, str],
        train: Dataset | None,
        synthetic: Dataset,
        holdout: Dataset | None,
        where: Where | None,
    ) -> list[Score]:
        assert self.catalog is not None
        kept = self.catalog.read_note(addresses["measure"])
        if kept is not None:
            self._done("measure", addresses, kept=True)
            return [Score.from_json(score) for score in json.loads(kept)]
        from twinset.measurement.harness import measure

        brief = self.recipe.brief
        scores = measure(
            train=train,
            synthetic=synthetic,
            holdout=holdout,
            metrics=self.recipe.evaluate.built_metrics(synthetic.schema.kinds),
            where=where,
            target=brief.target,
            positive=brief.positive,
            population=brief.population,
            embedders=load_embedders(self.recipe.embedders()) if self.recipe.embedders() else None,
            seed=self.recipe.seed,
            workers=self.workers,
            progress=self.progress,
            refit=refit_from_recipe(self.recipe),
        )
        payload = json.dumps([score.to_json() for score in scores])
        self.catalog.note(addresses["measure"], "scores", payload.encode())
        self._done("measure", addresses, kept=False)
        # What a later run will read is what this run goes on with.
        return [Score.from_json(score) for score in json.loads(payload)]

    def _deliver(
        self,
        addresses: dict[str, str],
        real: Real | None,
        candidate: Version,
        report: dict[str, Any],
    ) -> Path:
        assert self.catalog is not None
        spec = self.recipe.deliver
        folder = self.recipe.delivery_folder()
        at = address("deliver", addresses["report"], spec.model_dump(mode="json", exclude={"to"}))
        recorded = self.catalog.read_note(at)
        if recorded is not None and is_delivered(folder, recorded.decode()):
            self.steps.append(Step("deliver", at, "kept"))
            return folder
        catalog = self.catalog
        looked = json.loads(report["json"])["facts"].get("embedders", {})
        own = catalog.card(candidate)
        own = replace(own, notes=(*own.notes, *note_embedders_on_card(looked)))
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
            progress=self.progress,
        )
        self.catalog.note(at, "delivery", checksums.encode())
        self.steps.append(Step("deliver", at, "made"))
        return folder

    def _done(self, name: str, addresses: dict[str, str], kept: bool) -> None:
        self.steps.append(Step(name, addresses[name], "kept" if kept else "made"))

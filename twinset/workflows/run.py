"""Run a recipe: register, generate, measure and deliver, resumable by step."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain
from pathlib import Path
from typing import Any

from threadpoolctl import threadpool_limits

from twinset.catalog import Catalog, Version
from twinset.core.contracts import Progress, Score, silent
from twinset.core.data.dataset import Dataset
from twinset.core.errors import ParameterError, RecipeError
from twinset.generation.refit import refit_from_recipe
from twinset.generation.run_step import check_brief, open_part, refuse_leaks
from twinset.generation.step import (
    GenerationStep,
    find_base,
    joint_card,
    shared_where,
    training_set_card,
)
from twinset.ingest.real_data import Real, register_real, register_split
from twinset.io.delivery import check_place, deliver, is_delivered
from twinset.measurement.notes import note_embedders_on_card
from twinset.recipe import Recipe, load_recipe
from twinset.workflows.step_addresses import Step, address, candidate_address, step_addresses

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
    """One run: the recipe, the catalogue, and the steps done so far with their addresses."""

    recipe: Recipe
    catalog: Catalog | None
    workers: int
    progress: Progress
    steps: list[Step] = field(default_factory=list)
    addresses: dict[str, str] = field(default_factory=dict)

    def plan(self) -> tuple[Step, ...]:
        self.addresses = step_addresses(self.recipe, self.catalog)
        for name, at in self.addresses.items():
            there = self.catalog is not None and self.catalog.has_step(at)
            self.steps.append(Step(name, at, "kept" if there else "to make"))
        return tuple(self.steps)

    def run(self) -> RunResult:
        assert self.catalog is not None
        self.addresses = step_addresses(self.recipe, self.catalog)
        real = self._register(self.catalog)
        versions = self._generate(self.catalog, real)
        delivered = [versions[name] for name in self.recipe.delivered_steps()]
        candidate = self._merge_steps(self.catalog, delivered)
        report = self._report(self.catalog, real, delivered, candidate)
        folder = self._deliver(self.catalog, real, candidate, report)
        registered = (*([] if real is None else real.versions), *versions.values(), candidate)
        return RunResult(
            passed=bool(report["passed"]),
            summary=str(report["summary"]),
            report=json.loads(report["json"]),
            report_path=folder / "report.html",
            delivered=folder,
            versions={v.name: v.ref for v in registered},
            steps=tuple(self.steps),
        )

    def _register(self, catalog: Catalog) -> Real | None:
        if self.recipe.source is None:
            return None
        kept = catalog.has_step(self.addresses["source"])
        whole = register_real(self.recipe, catalog, self.addresses["source"], self.progress)
        self._done("source", kept)
        kept = catalog.has_step(self.addresses["split"])
        real = register_split(self.recipe, catalog, whole, self.addresses["split"])
        self._done("split", kept)
        return real

    def _generate(self, catalog: Catalog, real: Real | None) -> dict[str, Version]:
        """Return the registered set of each step; what an earlier run made is kept."""
        versions: dict[str, Version] = {}
        train: Dataset | None = None
        known: Dataset | None = None
        for name, step in self.recipe.named_steps():
            version = catalog.find_step(self.addresses[name])
            self._done(name, kept=version is not None)
            if version is None:
                if train is None and real is not None:
                    train = catalog.load(real.train)
                    check_brief(self.recipe, train)
                    # A leaking holdout is refused before the work, not after it.
                    refuse_leaks(self.recipe, train, catalog.load(real.holdout))
                    known = catalog.load(real.whole) if train.schema.of_kind("id") else None
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

    def _merge_steps(self, catalog: Catalog, delivered: Sequence[Version]) -> Version:
        """Return the rows of the delivered steps as one registered set; an earlier run's is kept."""
        names = self.recipe.delivered_steps()
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
        )
        return catalog.register(self.recipe.name, chunks(), card, step=at)

    def _report(
        self, catalog: Catalog, real: Real | None, delivered: list[Version], candidate: Version
    ) -> dict[str, Any]:
        kept = catalog.read_note(self.addresses["report"])
        if kept is not None:
            self._done("measure", kept=True)
            self._done("report", kept=True)
            return dict(json.loads(kept))
        from twinset.workflows.evaluation import measure_set
        from twinset.workflows.recipe_report import recipe_report, recipe_task

        train = None if real is None else catalog.load(real.train)
        holdout = None if real is None else catalog.load(real.holdout)
        synthetic = catalog.load(candidate)
        check_brief(self.recipe, train, synthetic)
        cards = [catalog.card(version) for version in delivered]
        leaks: list[str] = []
        if train is not None and holdout is not None:
            leaks = refuse_leaks(self.recipe, train, holdout, {"": synthetic})
        task = recipe_task(self.recipe, synthetic, shared_where(cards), self.workers)
        saved = catalog.read_note(self.addresses["measure"])
        if saved is None:
            refit = refit_from_recipe(self.recipe)
            measuring = replace(task, refit=refit, progress=self.progress)
            scores = measure_set(train, holdout, synthetic, measuring)
            saved = json.dumps([score.to_json() for score in scores]).encode()
            catalog.note(self.addresses["measure"], "scores", saved)
            self._done("measure", kept=False)
        else:
            self._done("measure", kept=True)
        report = recipe_report(
            self.recipe,
            task,
            train=train,
            synthetic=synthetic,
            holdout=holdout,
            # What a later run will read is what this run goes on with.
            scores=[Score.from_json(score) for score in json.loads(saved)],
            real_cards=[catalog.card(real.whole)] if real else [],
            synthetic_cards=cards,
            lineage=catalog.lineage(candidate).to_json(numbered=False),
            leaks=leaks,
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

    def _deliver(
        self, catalog: Catalog, real: Real | None, candidate: Version, report: dict[str, Any]
    ) -> Path:
        spec = self.recipe.deliver
        folder = self.recipe.delivery_folder()
        settings = spec.model_dump(mode="json", exclude={"to"})
        at = self.addresses["deliver"] = address("deliver", self.addresses["report"], settings)
        recorded = catalog.read_note(at)
        if recorded is not None and is_delivered(folder, recorded.decode()):
            self._done("deliver", kept=True)
            return folder
        embedders = json.loads(report["json"])["facts"].get("embedders", {})
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
            progress=self.progress,
        )
        catalog.note(at, "delivery", checksums.encode())
        self._done("deliver", kept=False)
        return folder

    def _done(self, name: str, kept: bool) -> None:
        self.steps.append(Step(name, self.addresses[name], "kept" if kept else "made"))

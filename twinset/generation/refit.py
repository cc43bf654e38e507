"""Make the generator of a set again on other real rows, as attacks with shadow models do."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np

from twinset.core.contracts import Generator, Refit, silent
from twinset.core.data.dataset import Dataset
from twinset.core.data.where import Where
from twinset.core.errors import ParameterError
from twinset.core.seeding import draw_seed
from twinset.generation.provenance import TwinNote
from twinset.generation.run_step import open_part
from twinset.generation.sampling import fit_source
from twinset.generation.step import Base, GenerationStep
from twinset.recipe import AugmentStep, Recipe
from twinset.registry import build


def refit_from_note(note: TwinNote | None, attacks: Sequence[str]) -> Refit | None:
    """Return what makes a twin again, as its note says; None where no attack needs it.

    Raises
    ------
    ParameterError
        An attack needs it and there is no note of the real table.
    """
    if not attacks:
        return None
    if note is None:
        raise ParameterError(
            f"the attack '{attacks[0]}' makes the generator of the set again, and it is not known",
            got="a set without a note of this real table beside it, or with --holdout",
            allowed="a file that `twinset twin` made, with its note",
            todo="make the twin by `twinset twin`, or say attacks: [shadow] in a recipe",
        )
    generator = build("generator", note.use, note.settings)
    assert isinstance(generator, Generator)
    where, protect = Where.from_value(note.where), note.value_protection
    return build_refit(generator, note.rows, where, value_protection=protect)


def build_refit(
    generator: Generator, rows: int, where: Where | None = None, *, value_protection: bool = True
) -> Refit:
    """Return a function that fits a generator again and samples at most the requested number of rows.

    Examples
    --------
    >>> import pyarrow as pa
    >>> refit = build_refit(build("generator", "tabular.bootstrap", {}), 50)
    >>> real = Dataset.from_arrow(pa.table({"x": [1.0, 2.0, 3.0]}))
    >>> len(refit(real, 20, np.random.default_rng(0)))
    20
    """

    def refit(real: Dataset, max_rows: int, rng: np.random.Generator) -> Dataset:
        source = fit_source(
            generator,
            real,
            seed=draw_seed(rng),
            path=("shadow",),
            where=where,
            value_protection=value_protection,
        )
        return Dataset.concat(list(source.draw(min(rows, max_rows), where=where)))

    return refit


def refit_from_recipe(recipe: Recipe) -> Refit | None:
    """Return what makes all rows of a recipe again; None where none of its steps learns."""
    steps = recipe.named_steps()
    if not steps:
        return None

    def refit(real: Dataset, max_rows: int, rng: np.random.Generator) -> Dataset:
        again = recipe.model_copy(update={"seed": draw_seed(rng)})
        made: dict[str, Dataset] = {}
        for name, step in steps:
            first, earlier = sum(map(len, made.values())), list(made.values())
            base = None
            if isinstance(step, AugmentStep) and step.of is not None:
                rows = made[step.of]
                base = Base(rows.card, partial(iter, (rows,)))
            part = GenerationStep(name, "", step, again, None, real, real, first, earlier, base)
            chunks = open_part(part, 1, silent).chunks(0)
            made[name] = Dataset.concat([chunk.without_reserved() for chunk in chunks])
        kept = [made[name] for name in recipe.delivered_steps()]
        return Dataset.concat(kept).at_most(max_rows, rng)

    return refit

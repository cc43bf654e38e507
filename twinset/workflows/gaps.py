"""`gaps`: which slices a synthetic table lacks, and the recipe that makes exactly those."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from threadpoolctl import threadpool_limits

from twinset.core.data.dataset import Card, Dataset
from twinset.core.data.schema import Field
from twinset.core.data.where import Where
from twinset.core.errors import ParameterError
from twinset.core.features.discretize import infer_factors
from twinset.core.features.slice_search import Slice, search_slices
from twinset.core.seeding import rng_for
from twinset.generation.cards import cards_beside
from twinset.generation.provenance import Seal, TwinNote
from twinset.ingest.draft_recipe import (
    draft_counts,
    draft_drawing,
    draft_filling,
    recipe_name,
    seen_from,
)
from twinset.ingest.input_table import name_target, open_table
from twinset.workflows.evaluate import real_parts
from twinset.workflows.gap_recipe import Filler
from twinset.workflows.gap_slices import Aim, Gap, plan_rows
from twinset.workflows.options import EvaluateOptions

_MOSTLY = 0.5
_MIN_CHANGE = 1.25
_MAX_ROWS = 50_000
"""Real and synthetic rows that the search uses, at most; shares are counted on all rows."""


@dataclass(frozen=True)
class Gaps:
    """What a synthetic table lacks.

    Parameters
    ----------
    missing : tuple of Gap
        Slices with too few rows, the most certain first; declared ones before them.
    over : tuple of str
        Slices with too many rows, in words; adding rows does not cure them.
    recipe : str
        A recipe that makes the missing rows, as YAML text, or only its generate section where the
        real table is no file; empty where there is nothing to make.
    notes : tuple of str
        What must be read with care.
    """

    missing: tuple[Gap, ...]
    over: tuple[str, ...]
    recipe: str
    notes: tuple[str, ...] = field(default=())

    @property
    def rows(self) -> int:
        """Rows that the recipe makes."""
        return sum(gap.rows for gap in self.missing)

    def to_json(self) -> dict[str, Any]:
        """Return the gaps as plain JSON values."""
        return {
            "missing": [gap.to_json() for gap in self.missing],
            "over_covered": list(self.over),
            "rows": self.rows,
            "notes": list(self.notes),
            "recipe": self.recipe,
        }


def gaps(
    real: object,
    synthetic: object,
    *,
    want: Mapping[str, float] | None = None,
    population: Mapping[str, Mapping[Any, float]] | None = None,
    target: str | None = None,
    use: str | None = None,
    seed: int | None = None,
    most: int = 10,
    folder: Path | None = None,
) -> Gaps:
    """Return which slices a synthetic table lacks, and a recipe that makes exactly their rows.

    A slice is a region of up to three conditions, found by a search that tests what it names. Of a set
    of images the columns beside the images are looked at and, where real objects can be pasted, how
    many objects of each label there are. Rows are asked for such that, added to the synthetic table,
    each slice has its share: that of the real table, or the one declared. Slices overlap; the numbers
    of rows take that into account.

    Parameters
    ----------
    real, synthetic : path or Arrow object
        A CSV, Parquet or JSON-Lines file, a folder of annotated images, or a pandas or polars frame, a
        pyarrow table, ... with the same columns. A note that `twin` left beside the synthetic file is
        read, so that the holdout rows stay a holdout.
    want : mapping, optional
        Condition, e.g. "sex = F and age >= 60" -> share that it should have, in (0, 1). A found slice
        that lies mostly in a declared one is left to it.
    population : mapping, optional
        Column -> {level: share}, as in a brief.
    target : str, optional
        Column that models will predict; goes into the recipe.
    use : str, optional
        Generator that the recipe uses; by default `tabular.trees`. For images that of `image.shapes` and
        `image.scenes` that draws more of the columns; where neither draws one, `image.copy_paste`.
    seed : int, optional
        Seed of the recipe; by default that of the note, else 1.
    most : int
        Slices to name, 1 or more.
    folder : Path, optional
        Folder that the recipe will lie in; paths in it start there. By default the working folder.

    Raises
    ------
    TwinsetError
        The arguments or the data cannot be used.

    Examples
    --------
    >>> import pyarrow as pa
    >>> real = pa.table({"sky": ["day", "night"] * 500})
    >>> made = pa.table({"sky": ["day", "day", "day", "night"] * 250})
    >>> found = gaps(real, made)
    >>> found.missing[0].sentence, found.rows
    ('sky = night: 25.0 % of the synthetic rows, 50.0 % of the real ones', 500)
    """
    EvaluateOptions(seed=seed)  # checks its range
    if most < 1:
        raise ParameterError(
            "the number of slices is out of range", got=str(most), allowed="1 or more"
        )
    plain = open_table(real, name="real")
    made = open_table(synthetic, plain.schema, "synthetic")
    filler = Filler.of(use, plain, [*_cards(real, plain), *_cards(synthetic, made)])
    note = _note_of(plain, synthetic)
    if note is not None:
        target = target or note.target
    named = name_target(plain, target)
    # The holdout of the generator is not used here either.
    seen = real_parts(plain, None, note, EvaluateOptions(target=target)).train
    seen, made = filler.seen(seen), filler.seen(made)
    asked = [*_requested(want or {}), *_declared(seen, population or {})]
    for where, _ in asked:
        filler.check(where)
    with threadpool_limits(limits=1):
        found = _distinct_slices(_searched(seen, made, most, filler), seen, made)
    aimed = [where for where, _ in asked]
    missing = [one for one in found if one.is_missing and not _is_settled(one.where, aimed, seen)]
    aims = [Aim(where, str(where), share, True, filler.learnt(where)) for where, share in asked]
    aims += [Aim(one.where, one.words, None, False, filler.learnt(one.where)) for one in missing]
    planned = plan_rows(seen, made, aims, learns=filler.learns)
    counts = [
        (filler.within(gap.where, seen), gap.rows, gap.sentence) for gap in planned if gap.rows
    ]
    recipe = ""
    if counts:
        recipe = draft_counts(filler.name, counts, filler.settings)
        if not filler.learns:
            name = _recipe_name(real.name if isinstance(real, Path) else plain.card.name)
            recipe = draft_drawing(name=name, steps=recipe, seed=_seed(seed, note))
        elif isinstance(real, str | Path):
            recipe = _whole(recipe, named, Path(real), folder or Path(), target, note, seed)
    over = tuple(one.sentence for one in found if not one.is_missing)
    return Gaps(planned, over, recipe, tuple(_notes(plain, made, planned)))


def _cards(source: object, dataset: Dataset) -> tuple[Card, ...]:
    """Return what is known of how a set was made."""
    return cards_beside(Path(source)) if isinstance(source, str | Path) else (dataset.card,)


def _note_of(real: Dataset, synthetic: object) -> TwinNote | None:
    """Return the note beside the synthetic file if it speaks of this real table."""
    note = TwinNote.read(Path(synthetic)) if isinstance(synthetic, str | Path) else None
    if note is None or Seal.of(real, note.seed).real_digest != note.real_digest:
        return None
    return note


def _requested(want: Mapping[str, float]) -> list[tuple[Where, float]]:
    found = []
    for text, share in want.items():
        if not 0 < share < 1:
            raise ParameterError(
                f"the share wanted of '{text}' is out of range",
                got=f"{share:g}",
                allowed="0 < share < 1",
            )
        found.append((Where.parse(text), float(share)))
    return found


def _declared(
    real: Dataset, population: Mapping[str, Mapping[Any, float]]
) -> list[tuple[Where, float]]:
    found = []
    for column, shares in population.items():
        if not (real.schema[column].has_levels or real.schema[column].is_whole):
            raise ParameterError(
                f"no shares can be declared of the levels of '{column}'",
                got=f"a column of kind {real.schema[column].kind}",
                allowed="category, boolean, integer",
                todo="declare the share of a range by --want",
            )
        total = sum(shares.values())
        if any(not 0 <= share <= 1 for share in shares.values()) or total > 1.005:
            raise ParameterError(
                f"the shares declared for '{column}' do not fit",
                got=f"a sum of {total:.3g}",
                allowed="shares of 0 to 1 that sum to at most 1",
            )
        for level, share in shares.items():
            text = str(level).lower() if isinstance(level, bool) else str(level)
            if 0 < share < 1:
                found.append((Where({column: text}), float(share)))
    return found


def _is_settled(found: Where, declared: Sequence[Where], real: Dataset) -> bool:
    """Return whether most real rows of a found slice lie in one whose share is declared."""
    inside = real.mask(found)
    return any(real.mask(where)[inside].mean() > _MOSTLY for where in declared)


def _searched(real: Dataset, made: Dataset, most: int, filler: Filler) -> list[Slice]:
    sample = [
        part.at_most(_MAX_ROWS, rng_for(0, "gaps", name))
        for name, part in (("real", real), ("synthetic", made))
    ]
    factors = [one for one in infer_factors(sample[0]) if filler.knows(one.column)]
    return search_slices(sample[0], sample[1], factors, most=most)


def _distinct_slices(found: Sequence[Slice], real: Dataset, made: Dataset) -> list[Slice]:
    """Return the slices whose two shares, as they will be printed, differ by a fifth or more.

    The search names a slice by the rows that no named one holds; over all rows the difference may be
    gone, and then the line would deny itself.
    """
    kept = []
    for one in found:
        shares = [(one.synthetic_share, one.real_share)]
        if one.is_missing:
            shares.append((float(made.mask(one.where).mean()), float(real.mask(one.where).mean())))
        pairs = shares if one.is_missing else [(there, had) for had, there in shares]
        if all(_MIN_CHANGE * less <= more + 1e-9 for less, more in pairs):
            kept.append(one)
    return kept


def _whole(
    generate: str,
    real: Dataset,
    file: Path,
    folder: Path,
    target: str | None,
    note: TwinNote | None,
    seed: int | None,
) -> str:
    """Return the whole recipe; the holdout of the twin stays a holdout."""
    kept = note is not None and note.holdout_fraction > 0 and seed in (None, note.seed)
    fraction = note.holdout_fraction if kept and note is not None else 0.2
    decided = _seed(seed, note)
    predicted: Field | None = None if target is None else real.schema[target]
    return draft_filling(
        real,
        path=seen_from(file, folder),
        name=_recipe_name(file.name),
        steps=generate,
        seed=decided,
        holdout_fraction=fraction,
        target=predicted,
    )


def _seed(seed: int | None, note: TwinNote | None) -> int:
    if seed is not None:
        return seed
    return note.seed if note is not None else 1


def _recipe_name(file: str) -> str:
    return f"{recipe_name(file.partition('.')[0])[:40]}-gaps"


def _notes(real: Dataset, made: Dataset, planned: Sequence[Gap]) -> list[str]:
    found = []
    rows = sum(gap.rows for gap in planned)
    if rows > len(made):
        found.append(
            f"filling these slices takes {rows:,} rows, more than the {len(made):,} that there are: a "
            "new twin by a better generator will serve you better"
        )
    if any(gap.rows for gap in planned) and real.schema.of_kind("id"):
        names = ", ".join(f"'{f.name}'" for f in real.schema.of_kind("id"))
        found.append(
            f"identifiers ({names}) are generated again in each run: give the rows new ones if they may "
            "not repeat those of the synthetic table"
        )
    return found

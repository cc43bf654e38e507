"""`gaps`: which slices a synthetic table lacks, and the recipe that makes exactly those."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from threadpoolctl import threadpool_limits

from twinset.core.data.dataset import Card, Dataset
from twinset.core.data.where import Where, implies
from twinset.core.errors import ParameterError
from twinset.core.features.discretize import infer_factors
from twinset.core.features.slice_search import MIN_REPORTED, Slice, search_slices
from twinset.core.seeding import rng_for
from twinset.core.stats.hypothesis_tests import Floats
from twinset.generation.step import cards_beside
from twinset.ingest.draft_recipe import (
    draft_counts,
    draft_drawing,
    draft_filling,
    recipe_name,
    seen_from,
)
from twinset.ingest.input_table import name_target, open_table
from twinset.io.reading.options import ReadChoice, read_options
from twinset.report.answers.sentences import (
    Obstacle,
    gap_sentence,
    obstacle_sentence,
    region_sentence,
)
from twinset.workflows.evaluate import prepare_real, read_twin_note
from twinset.workflows.gap_recipe import Filler
from twinset.workflows.options import EvaluateOptions

MAX_GROWTH = 20  # times the rows there are: shares that clash would ask for rows without end
_REACHED = 0.9  # a slice that reaches less of its share misses it by more than rounding


@dataclass(frozen=True)
class Gap:
    """A slice that the synthetic table has too few rows of."""

    words: str  # The slice in words
    where: Where  # The slice as a condition
    synthetic: float | None  # Its share of the synthetic rows; None where 1 to 10 rows lie in it
    target_share: float  # The share that it should have, in (0, 1)
    declared: bool  # Whether `target_share` was declared, rather than counted in the real table
    rows: int  # Rows to make; 0 where other slices bring enough of them, or there is an obstacle
    expected: float  # Share that it will have once all rows are added, as far as real rows tell
    obstacle: Obstacle | None = None  # Reason why its rows cannot be made

    @property
    def sentence(self) -> str:
        """The slice with both shares, in words."""
        return gap_sentence(self.words, self.synthetic, self.target_share, self.declared)

    @property
    def obstacle_text(self) -> str:
        """The obstacle in words; empty without one."""
        return obstacle_sentence(self.obstacle, self.expected) if self.obstacle else ""

    def to_json(self) -> dict[str, Any]:
        """Return the gap as plain JSON values."""
        return {
            "words": self.words,
            "sentence": self.sentence,
            "where": self.where.to_json(),
            "target_share": self.target_share,
            "declared": self.declared,
            "rows": self.rows,
            "expected": self.expected,
            "obstacle": self.obstacle_text,
        }


@dataclass(frozen=True)
class Aim:
    """A slice and the share that it should have; None for that of the real table.

    `learnt` is the part of the condition that real rows must show for it to be made; None: all of it.
    """

    where: Where
    words: str
    share: float | None
    declared: bool
    learnt: Where | None = None


def plan_rows(
    real: Dataset, synthetic: Dataset, aims: Sequence[Aim], *, learns: bool = True
) -> tuple[Gap, ...]:
    """Return the aims that are missed, with the rows that reach them.

    `learns` says that rows are learnt from real ones: a slice of fewer than 11 cannot be made then.
    """
    there = [real.mask(aim.where) for aim in aims]
    counts = np.array([float(synthetic.mask(aim.where).sum()) for aim in aims])
    shares = np.array(
        [float(mask.mean()) if aim.share is None else aim.share for aim, mask in zip(aims, there)]
    )
    known = [
        int(mask.sum()) if aim.learnt is None else int(real.mask(aim.learnt).sum())
        for aim, mask in zip(aims, there)
    ]
    missed = [i for i in range(len(aims)) if counts[i] < shares[i] * len(synthetic)]
    able = [i for i in missed if known[i] >= MIN_REPORTED or not learns]
    wheres = [aim.where for aim in aims]
    within = np.array([[_within(there, wheres, i, j) for j in able] for i in able])
    rows = np.zeros(len(aims), dtype=np.int64)
    if able:
        rows[able] = rows_to_add(counts[able], shares[able], within, len(synthetic))
    total = len(synthetic) + rows.sum()
    gaps = []
    for i in missed:
        inside = sum(_within(there, wheres, i, j) * rows[j] for j in able)
        expected = (counts[i] + inside) / total
        obstacle = None
        if learns and known[i] < MIN_REPORTED:
            obstacle = Obstacle.FEW_ROWS if known[i] else Obstacle.NO_ROWS
        elif expected < _REACHED * shares[i]:
            obstacle = Obstacle.CLASH
        gaps.append(
            Gap(
                words=aims[i].words,
                where=aims[i].where,
                synthetic=None if 0 < counts[i] < MIN_REPORTED else counts[i] / len(synthetic),
                target_share=float(shares[i]),
                declared=aims[i].declared,
                rows=int(rows[i]),
                expected=float(expected),
                obstacle=obstacle,
            )
        )
    return tuple(gaps)


def rows_to_add(counts: Floats, shares: Floats, within: Floats, n: int) -> npt.NDArray[np.int64]:
    """Return how many rows to add of each slice so that all slices come near their shares.

    `counts`, shape (k,): rows of each slice that there are. `shares`, shape (k,): share that each
    slice should have once the rows are added. `within`, shape (k, k): share of the rows of slice j
    (column) that lie in slice i (line) too; 1 on the diagonal. `n`: rows that there are in all. It
    is the least-squares solution without negative numbers; at most 20 `n` rows a slice.

    >>> rows_to_add(np.array([0.0]), np.array([0.2]), np.eye(1), 80).tolist()
    [20]
    >>> rows_to_add(np.zeros(2), np.array([0.25, 0.25]), np.ones((2, 2)), 60).tolist()
    [20, 0]
    """
    from scipy.optimize import nnls

    # counts_i + sum_j within_ij x_j = shares_i (n + sum_j x_j), each line in standard errors.
    scale = np.sqrt(np.maximum(shares * (1 - shares), 1e-12))
    left = (within - shares[:, None]) / scale[:, None]
    found, _ = nnls(left, (shares * n - counts) / scale)
    return np.asarray(np.rint(np.minimum(found, MAX_GROWTH * n)), dtype=np.int64)


def _within(
    there: Sequence[npt.NDArray[np.bool_]], wheres: Sequence[Where], i: int, j: int
) -> float:
    """Return the share of the real rows of slice j that lie in slice i too.

    Where there is no real row of slice j, the conditions themselves tell whether all of it lies in i.
    """
    if i == j:
        return 1.0
    if there[j].any():
        return float(there[i][there[j]].mean())
    return float(implies(wheres[j], wheres[i]))


_MOSTLY = 0.5  # of a slice's real rows: the declared share then sets most of its rows
# ratio of shares: the search asks for the same change among the rows that it uses
_MIN_CHANGE = 1.25
# of each set in the search, which is linear in rows; shares are counted on all rows
_MAX_ROWS = 50_000


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
    max_slices: int = 10,
    folder: Path | None = None,
    read: ReadChoice = None,
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
    max_slices : int
        Slices to name, 1 or more.
    folder : Path, optional
        Folder that the recipe will lie in; paths in it start there. By default the working folder.
    read : ReadOptions, mapping or sequence of str, optional
        How to read a CSV file of real rows whose cells allow several readings.

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
    options = EvaluateOptions(target=target, seed=seed)
    if max_slices < 1:
        raise ParameterError(
            "the number of slices is out of range", got=str(max_slices), allowed="1 or more"
        )
    plain = open_table(real, name="real", read=read)
    candidate = open_table(synthetic, plain.schema, "synthetic")
    filler = Filler.from_sets(use, plain, [*_cards(real, plain), *_cards(synthetic, candidate)])
    note, _ = read_twin_note(plain, synthetic)
    target = target or (None if note is None else note.target)
    options = replace(options, target=target)
    # The holdout of the generator is not used here either.
    train = filler.with_columns(prepare_real(plain, None, note, options).parts.train)
    candidate = filler.with_columns(candidate)
    declared = [*_requested(want or {}), *_declared(train, population or {})]
    for where, _ in declared:
        filler.check(where)
    missing, over = _search(train, candidate, filler, declared, max_slices)
    counts = [
        (filler.within(gap.where, train), gap.rows, gap.sentence) for gap in missing if gap.rows
    ]
    recipe = draft_counts(filler.name, counts, filler.settings) if counts else ""
    seed = seed if seed is not None else 1 if note is None else note.seed
    if counts and not filler.learns:
        name = _recipe_name(real.name if isinstance(real, Path) else plain.card.name)
        recipe = draft_drawing(name=name, steps=recipe, seed=seed)
    elif counts and isinstance(real, str | Path):
        # The holdout of the twin stays a holdout.
        kept = note is not None and note.holdout_fraction > 0 and seed == note.seed
        named = name_target(plain, target)
        recipe = draft_filling(
            named,
            path=seen_from(Path(real), folder or Path()),
            name=_recipe_name(Path(real).name),
            steps=recipe,
            seed=seed,
            holdout_fraction=note.holdout_fraction if kept and note is not None else 0.2,
            target=None if target is None else named.schema[target],
            read=read_options(read),
        )
    return Gaps(missing, over, recipe, tuple(_notes(plain, candidate, missing)))


def _cards(source: object, dataset: Dataset) -> tuple[Card, ...]:
    """Return what is known of how a set was made."""
    return cards_beside(Path(source)) if isinstance(source, str | Path) else (dataset.card,)


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


def _search(
    real: Dataset,
    synthetic: Dataset,
    filler: Filler,
    declared: Sequence[tuple[Where, float]],
    max_slices: int,
) -> tuple[tuple[Gap, ...], tuple[str, ...]]:
    """Return the slices with too few rows, declared ones first, and those with too many in words."""
    samples = [
        rows.at_most(_MAX_ROWS, rng_for(0, "gaps", name))
        for name, rows in (("real", real), ("synthetic", synthetic))
    ]
    with threadpool_limits(limits=1):
        factors = [one for one in infer_factors(samples[0]) if filler.knows(one.column)]
        found = search_slices(samples[0], samples[1], factors, limit=max_slices)
        slices = _distinct_slices(found, real, synthetic)
    masks = [real.mask(where) for where, _ in declared]

    def is_declared(one: Slice) -> bool:
        """Return whether most real rows of a found slice lie in one whose share is declared."""
        inside = real.mask(one.where)
        return any(mask[inside].mean() > _MOSTLY for mask in masks)

    aims = [Aim(where, str(where), share, True, filler.learnt(where)) for where, share in declared]
    aims += [
        Aim(one.where, one.words, None, False, filler.learnt(one.where))
        for one in slices
        if one.is_missing and not is_declared(one)
    ]
    over = tuple(region_sentence(one.region) for one in slices if not one.is_missing)
    return plan_rows(real, synthetic, aims, learns=filler.learns), over


def _distinct_slices(found: Sequence[Slice], real: Dataset, synthetic: Dataset) -> list[Slice]:
    """Return the slices whose two shares, as they will be printed, differ by a fifth or more.

    The search names a slice by the rows that no named one holds; over all rows the difference may be
    gone, and then the line would contradict itself.
    """
    kept = []
    for one in found:
        pairs = [(one.synthetic_share, one.real_share)]
        if one.is_missing:
            pairs.append(
                (float(synthetic.mask(one.where).mean()), float(real.mask(one.where).mean()))
            )
        ordered = pairs if one.is_missing else [(there, had) for had, there in pairs]
        if all(_MIN_CHANGE * less <= more + 1e-9 for less, more in ordered):
            kept.append(one)
    return kept


def _recipe_name(file: str) -> str:
    return f"{recipe_name(file.partition('.')[0])[:40]}-gaps"


def _notes(real: Dataset, synthetic: Dataset, planned: Sequence[Gap]) -> list[str]:
    found = []
    rows = sum(gap.rows for gap in planned)
    if rows > len(synthetic):
        found.append(
            f"filling these slices takes {rows:,} rows, more than the {len(synthetic):,} that there are: a "
            "new twin by a better generator will serve you better"
        )
    if any(gap.rows for gap in planned) and real.schema.of_kind("id"):
        names = ", ".join(f"'{f.name}'" for f in real.schema.of_kind("id"))
        found.append(
            f"identifiers ({names}) are generated again in each run: give the rows new ones if they may "
            "not repeat those of the synthetic table"
        )
    return found

"""`gaps`: which slices a synthetic table lacks, and the recipe that makes exactly those."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from threadpoolctl import threadpool_limits

from twinset.appraisal import check_counts
from twinset.core.dataset import Dataset
from twinset.core.errors import ParameterError, UnknownNameError
from twinset.core.factors import infer_factors
from twinset.core.schema import Field
from twinset.core.seeding import rng_for
from twinset.core.slices import FEWEST_TOLD, Slice, search_slices
from twinset.core.where import Where
from twinset.drafting import draft_counts, draft_filling, recipe_name, seen_from
from twinset.registry import component_names
from twinset.tables import name_target, open_table, refuse_media
from twinset.twin_note import Seal, TwinNote

Floats = npt.NDArray[np.float64]

_MOST_ROWS = 50_000
"""Rows of each side that the search looks at; shares are counted on all rows."""
_MOST_TIMES = 20
_REACHED = 0.9


@dataclass(frozen=True)
class Gap:
    """A slice that the synthetic table holds too little of.

    Parameters
    ----------
    words : str
        The slice in words.
    where : Where
        The slice as a condition.
    found, wanted : float
        Its share of the synthetic rows, and the share that it should have, in (0, 1).
    declared : bool
        Whether `wanted` was declared, rather than counted in the real table.
    rows : int
        Rows to make; 0 where other slices bring enough of them, or `hindrance` says why not.
    expected : float
        Share that it will have once all rows are added, as far as real rows tell.
    hindrance : str
        Why it cannot be asked for; empty where it can.
    told : str
        The found share in words; counts of 1 to 10 rows are not told.
    """

    words: str
    where: Where
    found: float
    wanted: float
    declared: bool
    rows: int
    expected: float
    hindrance: str
    told: str

    @property
    def sentence(self) -> str:
        """The slice with both shares, in words."""
        wanted = f"{100 * self.wanted:.1f} %"
        aim = f"wanted are {wanted}" if self.declared else f"{wanted} of the real ones"
        return f"{self.words}: {self.told} of the synthetic rows, {aim}"

    def to_json(self) -> dict[str, Any]:
        """Return the gap as plain JSON values."""
        return {
            "words": self.words,
            "sentence": self.sentence,
            "where": self.where.to_json(),
            "wanted": self.wanted,
            "declared": self.declared,
            "rows": self.rows,
            "expected": self.expected,
            "hindrance": self.hindrance,
        }


@dataclass(frozen=True)
class Gaps:
    """What a synthetic table lacks.

    Parameters
    ----------
    missing : tuple of Gap
        Slices with too few rows, the surest first; declared ones before them.
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
    use: str = "tabular.trees",
    seed: int | None = None,
    most: int = 10,
    folder: Path | None = None,
) -> Gaps:
    """Return which slices a synthetic table lacks, and a recipe that makes exactly their rows.

    A slice is a region of up to three conditions, found by a search that tests what it names. Rows are
    asked for such that, added to the synthetic table, each slice has its share: that of the real
    table, or the one declared. Slices overlap; the numbers of rows take that into account.

    Parameters
    ----------
    real, synthetic : path or Arrow object
        A CSV, Parquet or JSON-Lines file, or a pandas or polars frame, a pyarrow table, ... with the
        same columns. A note that `twin` left beside the synthetic file is read, so that rows locked
        away then stay locked away.
    want : mapping, optional
        Condition, e.g. "sex = F and age >= 60" -> share that it should have, in (0, 1).
    population : mapping, optional
        Column -> {level: share}, as in a brief. Found slices of a declared column are left to it.
    target : str, optional
        Column that models will predict; goes into the recipe.
    use : str
        Generator that the recipe uses.
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
    check_counts(seed=seed, rows=most)
    if use not in component_names("generator"):
        raise UnknownNameError.of("generator", use, component_names("generator"))
    plain = open_table(real, name="real")
    refuse_media(plain.schema)
    made = open_table(synthetic, plain.schema, "synthetic")
    note = _note_of(plain, synthetic)
    if note is not None:
        target = target or note.target
    named = name_target(plain, target)
    asked = [*_wanted(want or {}), *_declared(plain, population or {})]
    with threadpool_limits(limits=1):
        found = _searched(plain, made, most)
    settled = set(population or {})
    missing = [one for one in found if one.is_missing and not settled & set(one.where.conditions)]
    aims = [_Aim(where, str(where), share, True) for where, share in asked]
    aims += [_Aim(one.where, one.words, None, False) for one in missing]
    planned = _planned(plain, made, aims)
    counts = [(gap.where, gap.rows, gap.sentence) for gap in planned if gap.rows]
    recipe = ""
    if counts:
        recipe = draft_counts(use, counts)
        if isinstance(real, str | Path):
            recipe = _whole(recipe, named, Path(real), folder or Path(), target, note, seed)
    over = tuple(one.sentence for one in found if not one.is_missing)
    return Gaps(planned, over, recipe, tuple(_notes(plain, planned)))


def _note_of(real: Dataset, synthetic: object) -> TwinNote | None:
    """Return the note beside the synthetic file if it speaks of this real table."""
    note = TwinNote.read(Path(synthetic)) if isinstance(synthetic, str | Path) else None
    if note is None or Seal.of(real, note.seed).real_digest != note.real_digest:
        return None
    return note


def _wanted(want: Mapping[str, float]) -> list[tuple[Where, float]]:
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
        if real.schema[column].kind not in ("category", "boolean", "integer"):
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


def _searched(real: Dataset, made: Dataset, most: int) -> list[Slice]:
    sample = [
        part.at_most(_MOST_ROWS, rng_for(0, "gaps", name))
        for name, part in (("real", real), ("synthetic", made))
    ]
    return search_slices(sample[0], sample[1], infer_factors(sample[0]), most=most)


@dataclass(frozen=True)
class _Aim:
    """A slice and the share that it should have; None for that of the real table."""

    where: Where
    words: str
    share: float | None
    declared: bool


def _planned(real: Dataset, made: Dataset, aims: Sequence[_Aim]) -> tuple[Gap, ...]:
    """Return the aims that are missed, with the rows that reach them."""
    there = [aim.where.mask(real) for aim in aims]
    counts = np.array([float(aim.where.mask(made).sum()) for aim in aims])
    shares = np.array(
        [float(mask.mean()) if aim.share is None else aim.share for aim, mask in zip(aims, there)]
    )
    known = [int(mask.sum()) for mask in there]
    lacking = [i for i in range(len(aims)) if counts[i] < shares[i] * len(made)]
    able = [i for i in lacking if known[i] >= FEWEST_TOLD]
    within = np.array([[float(there[i][there[j]].mean()) for j in able] for i in able])
    rows = np.zeros(len(aims), dtype=np.int64)
    if able:
        rows[able] = rows_to_add(counts[able], shares[able], within, len(made))
    total = len(made) + rows.sum()
    planned = []
    for i in lacking:
        inside = sum(float(there[i][there[j]].mean()) * rows[j] for j in able)
        planned.append(
            _gap(
                aims[i],
                counts[i],
                shares[i],
                known[i],
                rows[i],
                (counts[i] + inside) / total,
                len(made),
            )
        )
    return tuple(planned)


def rows_to_add(counts: Floats, shares: Floats, within: Floats, n: int) -> npt.NDArray[np.int64]:
    """Return how many rows to add of each slice so that all slices come near their shares.

    Parameters
    ----------
    counts : numpy.ndarray, shape (k,)
        Rows of each slice that there are.
    shares : numpy.ndarray, shape (k,)
        Share that each slice should have once the rows are added.
    within : numpy.ndarray, shape (k, k)
        Share of the rows of slice j (column) that lie in slice i (line) too; 1 on the diagonal.
    n : int
        Rows that there are in all.

    Returns
    -------
    numpy.ndarray of int, shape (k,)
        The least-squares solution without negative numbers; at most 20 `n` rows a slice.

    Examples
    --------
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
    return np.asarray(np.rint(np.minimum(found, _MOST_TIMES * n)), dtype=np.int64)


def _gap(
    aim: _Aim, count: float, share: float, known: int, rows: int, expected: float, n: int
) -> Gap:
    hindrance = ""
    if known < FEWEST_TOLD:
        many = "no" if known == 0 else f"fewer than {FEWEST_TOLD}"
        hindrance = f"{many} real rows to learn from"
    elif expected < _REACHED * share:
        hindrance = f"its share will be about {100 * expected:.1f} %: the shares asked for clash"
    few = 0 < count < FEWEST_TOLD
    told = f"fewer than {FEWEST_TOLD}" if few else f"{100 * count / n:.1f} %"
    return Gap(
        aim.words, aim.where, count / n, share, aim.declared, int(rows), expected, hindrance, told
    )


def _whole(
    making: str,
    real: Dataset,
    file: Path,
    folder: Path,
    target: str | None,
    note: TwinNote | None,
    seed: int | None,
) -> str:
    """Return the whole recipe; what the note's twin locked away stays locked away."""
    kept = note is not None and note.holdout_fraction > 0 and seed in (None, note.seed)
    fraction = note.holdout_fraction if kept and note is not None else 0.2
    decided = seed if seed is not None else note.seed if note is not None else 1
    predicted: Field | None = None if target is None else real.schema[target]
    return draft_filling(
        real,
        path=seen_from(file, folder),
        name=f"{recipe_name(file.name.partition('.')[0])[:40]}-gaps",
        making=making,
        seed=decided,
        holdout_fraction=fraction,
        target=predicted,
    )


def _notes(real: Dataset, planned: Sequence[Gap]) -> list[str]:
    found = []
    if any(gap.rows for gap in planned) and real.schema.of_kind("id"):
        names = ", ".join(f"'{f.name}'" for f in real.schema.of_kind("id"))
        found.append(
            f"identifiers ({names}) are made afresh in each run: give the rows new ones if they may "
            "not repeat those of the synthetic table"
        )
    return found

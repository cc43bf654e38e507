"""Rows and blocks of columns that repeat single train persons, beyond what unseen persons show."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Annotated, ClassVar

import numpy as np

from twinset.core.contracts import Comparison, Measurement, Metric, MetricFamily, NotMeasurable
from twinset.core.data.dataset import Dataset, sample_positions
from twinset.core.data.persons import person_codes
from twinset.core.data.schema import TABULAR_KINDS, TILE_COLUMNS
from twinset.core.disclosure import DisguisedRows, Fingerprints
from twinset.core.features.discretize import infer_factors
from twinset.core.findings import DecidingRows
from twinset.core.parameters import Ge, Interval, Margin
from twinset.core.stats.hypothesis_tests import METRIC_LEVEL, excess_p_values

from ._canonical import CanonicalColumn, Codes, canonical_columns, subtract_one
from ._excess_tests import Block, ExcessTest, ScannedView, View
from ._matches import NEVER, Cells, Mask, MatchScan, RealPersons, scan_all_but, scan_blocks
from ._nearness import NEARNESS, relative_distances

_MIN_COLUMNS = 3  # of fewer, all but one or two identify nobody
_MAX_BLOCKS = 500  # of one view: all pairs of 31 columns, all triples of 15; of more, a sample
# Bins of a number: six leave a value that moves by a tenth of the range in place, twelve tell more people
# apart. With two offsets each, no edge parts near values in both; many rows need no second one.
_BINS = (6, 12)
# Of all sets together: from here on one offset is enough, which saves a third of the time
_MANY_ROWS = 40_000
_N_WIDE = 60  # random blocks of 4 to p / 2 columns: an attacker's view of part of the columns
_MIN_GROUP = 20  # real persons of a group in which copies are counted: fewer cannot be significant
_MAX_GROUP = 0.34  # share of all train persons: a larger group says nothing about where copies lie
_INSIDE = 0.7  # share of the certain excess; the estimates of a group and of all differ by chance
# Rows of each real set whose distances are searched, a quarter of the synthetic rows; half of many rows
_MAX_NEAR = 3_000


@dataclass(frozen=True, kw_only=True)
class PartialCopies(Metric):
    """Share of synthetic rows that are train rows in disguise, beyond what unseen real rows explain.

    value = (k_train - k_unseen n / m) / c, of c synthetic rows, n train and m unseen persons

    Columns are first brought to a canonical form: units, spellings, codes of levels. A block of columns
    matches a person if a synthetic row has the values that exactly one real person has there, train and
    unseen persons together. Blocks are

    - all columns but at most two, which finds rows with few changed values;
    - the same with numbers in coarse bins, by value and by rank, which finds numbers that are moved
      a little, rescaled or transformed;
    - all sets of three columns and larger random ones, which finds fingerprints of a person in an
      otherwise new row.

    If no row is copied, a match is as likely to be an unseen person as a train person. That is tested by
    Fisher's exact test for each block, for all blocks together that match few persons, and within each
    group of rows (a level, or a band of a number); the smallest p-value counts, times the number of tests
    (Bonferroni). The worst view decides, not the mean. Without a significant excess the value is 0. It is
    not exact, so that 0 decides nothing, where 5 % of copied rows would not have been significant, as with
    a small holdout.

    Values that only one of train and holdout has match nobody in a column where they are rare: a generator
    may know the levels of a column. `privacy.one_person_values` tests these.

    Parameters
    ----------
    margin : float
        Largest share that still counts as equivalent.
    significance : float
        Level of all tests together, in (0, 0.5].
    max_rows : int
        Rows of each set that are compared.

    Examples
    --------
    >>> import pyarrow as pa
    >>> draw = lambda seed: np.random.default_rng(seed).integers(0, 9, (400, 8))
    >>> read = lambda rows: Dataset.from_arrow(pa.table(dict(zip("abcdefgh", rows.T))))
    >>> train, unseen, synthetic = draw(0), draw(1), draw(2)
    >>> synthetic[:120, :6] = train[:120, :6]
    >>> sets = Comparison(train=read(train), synthetic=read(synthetic), reference=read(unseen))
    >>> round(PartialCopies().compute(sets, np.random.default_rng(3)).value, 1)
    0.3
    """

    family: ClassVar[MetricFamily] = "privacy"
    title: ClassVar[str] = "training rows in disguise"
    interpretation: ClassVar[str] = (
        "The share of synthetic rows that repeat one training person in all but a few columns, or nearly, "
        "beyond what unseen real people match by chance. New units, codes or small changes hide none."
    )
    higher_is_better: ClassVar[bool] = False
    bounds: ClassVar[tuple[float, float]] = (0.0, 1.0)
    kinds: ClassVar[frozenset[str]] = TABULAR_KINDS | {"id"}
    has_floor: ClassVar[bool] = False
    known_baseline: ClassVar[float | None] = 0.0
    whole_holdout: ClassVar[bool] = True
    reads_identifiers: ClassVar[bool] = True
    # Train rows of another time than the unseen ones match more rows without a leak.
    needs_same_time: ClassVar[bool] = True

    margin: Margin = 0.0
    significance: Annotated[float, Interval(gt=0, le=0.5)] = METRIC_LEVEL
    max_rows: Annotated[int, Ge(1)] = 50_000

    def compute(self, comparison: Comparison, rng: np.random.Generator) -> Measurement:
        """Return the share beyond chance, 0 to 1; findings count people and name the block."""
        train, synthetic, holdout = (
            part.at_most(self.max_rows, rng)
            for part in (comparison.train, comparison.synthetic, comparison.reference)
        )
        fields = holdout.schema.of_kind(*TABULAR_KINDS)
        names = [f.name for f in fields if f.role != "identifier" and f.name not in TILE_COLUMNS]
        if not all(map(len, (train, synthetic, holdout))):
            raise NotMeasurable("there are no rows to compare")
        if len(names) < _MIN_COLUMNS:
            raise NotMeasurable(f"it needs at least {_MIN_COLUMNS} columns")
        persons = RealPersons.from_codes(person_codes(train), person_codes(holdout))
        columns = canonical_columns(train, holdout, synthetic, names)
        drifted = [column.name for column in columns if column.is_drifted(len(train))]
        if drifted:
            raise NotMeasurable(
                f"train set and holdout differ in {', '.join(drifted)}, so that a copied row looks like "
                "drift; use a random split to measure it"
            )
        groups = _list_groups(train, holdout, names, persons)
        views = list(_scan_views(columns, persons, len(synthetic), rng))
        tests = [test for view in views for test in view.tests(groups)]
        level = self.significance / max(len(tests), 1)
        counted = np.array([(t.matched, t.n_train, t.unseen, t.n_unseen) for t in tests]).T
        p_values = excess_p_values(*counted) if tests else np.empty(0)
        found = [tests[i] for i in np.flatnonzero(p_values < level)]
        counts = DecidingRows(persons.n_unseen, "unseen persons")
        facts = {"tests": len(tests), "persons": [persons.n_train, persons.n_unseen]}
        if not found:
            is_shown = any(view.has_power(level) for view in views if view.is_whole)
            # Without replicates 0 counts as exact; with some, as that of so few rows.
            drawn = np.empty(0) if is_shown else np.zeros(2)
            nothing = DisguisedRows(0, 0, 0, persons.n_train, persons.n_unseen)
            return Measurement(0.0, drawn, findings=(nothing, counts), facts=facts)
        findings = _describe(found, names)
        # At least the matched people count, each for one row.
        rows = max(one.n_people for one in findings) / len(synthetic)
        estimates = [one.share for one in findings if isinstance(one, DisguisedRows)]
        value = min(max(rows, *estimates), 1.0) if estimates else min(rows, 1.0)
        return Measurement(value, findings=(*findings, counts), facts=facts)


def _scan_views(
    columns: Sequence[CanonicalColumn], persons: RealPersons, n: int, rng: np.random.Generator
) -> Iterator[ScannedView]:
    """Return the matches in each view of the columns."""
    p = len(columns)
    drops = [(), *((j,) for j in range(p)), *_some_blocks(p, 2, _MAX_BLOCKS, rng)]
    # Of few columns, all but two are no row any more.
    drops = [names for names in drops if p - len(names) >= _MIN_COLUMNS]
    exact = Cells.from_codes([column.exact for column in columns], persons)
    whole = MatchScan(persons, n)
    yield ScannedView(View.EXACT, whole, scan_all_but(exact, whole, drops))
    blocks = MatchScan(persons, n)
    scan_blocks(exact, blocks, _some_blocks(p, 3, _MAX_BLOCKS, rng) + _wide_blocks(p, rng))
    yield ScannedView(View.BLOCKS, blocks)
    offsets = 1 if n + persons.n > _MANY_ROWS else 2
    for view, bins in ((View.SIMILAR, _BINS * offsets), (View.RANKS, _BINS[:offsets])):
        scan, single = MatchScan(persons, n), 0.0
        for n_bins in bins:
            coded = [
                column.coarse(n_bins, rng.random(), by_rank=view == View.RANKS)
                for column in columns
            ]
            cells = Cells.from_codes(coded, persons)
            single = max(single, scan_all_but(cells, scan, drops))
            scan_blocks(cells, scan, _wide_blocks(p, rng))
        if view == View.SIMILAR and (moved := subtract_one(columns)):
            shifted = Cells.from_codes([column.exact for column in moved], persons)
            scan_all_but(shifted, scan, [names for names in drops if p - 1 not in names])
        yield ScannedView(view, scan, single)
    yield from _near_views(columns, persons, n, rng)


def _near_views(
    columns: Sequence[CanonicalColumn], persons: RealPersons, n: int, rng: np.random.Generator
) -> Iterator[ScannedView]:
    """Return the persons with a near synthetic row: by value, by rank, in random halves of the columns."""
    is_train = persons.person < persons.n_train
    limit = _MAX_NEAR // (2 if n + persons.n > _MANY_ROWS else 1)
    sides = [
        persons.order[side][sample_positions(int(side.sum()), limit, rng)]
        for side in (is_train, ~is_train)
    ]
    rows = np.concatenate(sides)
    person_of = np.empty(len(persons.order), dtype=np.int64)
    person_of[persons.order] = persons.person
    among = sample_positions(n, 4 * limit, rng)
    own, person = np.unique(person_of[rows], return_inverse=True)
    compared = RealPersons(rows, person, int((own < persons.n_train).sum()), 0)
    compared = replace(compared, n_unseen=len(own) - compared.n_train)
    halves = [np.sort(rng.permutation(len(columns))[: -(-len(columns) // 2)]) for _ in range(2)]
    for chosen, by_rank in [(None, False), (None, True), (halves[0], False), (halves[1], False)]:
        used = columns if chosen is None else [columns[j] for j in chosen]
        found = relative_distances(used, rows, among, by_rank=by_rank)
        nearness = np.full(persons.n, np.inf)
        np.minimum.at(nearness, person_of[rows], found)
        scan = MatchScan(compared, n, own)
        reached = np.searchsorted(NEARNESS, nearness[own]) + 1
        scan.rarest = np.where(reached <= len(NEARNESS), reached, NEVER)
        yield ScannedView(View.NEAR, scan, scale=persons.n_train / max(compared.n_train, 1))


def _some_blocks(p: int, size: int, limit: int, rng: np.random.Generator) -> list[Block]:
    """Return all sets of `size` of `p` columns, or as many as the limit allows at random."""
    from math import comb

    if comb(p, size) <= limit:
        return list(combinations(range(p), size))
    drawn = {tuple(sorted(rng.choice(p, size, replace=False).tolist())) for _ in range(limit)}
    return sorted(drawn)


def _wide_blocks(p: int, rng: np.random.Generator) -> list[Block]:
    """Return random sets of 4 to half of the columns."""
    if p // 2 < 4:
        return []
    sizes = rng.integers(4, p // 2 + 1, _N_WIDE)
    drawn = {tuple(sorted(rng.choice(p, size, replace=False).tolist())) for size in sizes}
    return sorted(drawn)


def _list_groups(
    train: Dataset, holdout: Dataset, names: Sequence[str], persons: RealPersons
) -> dict[str, Mask]:
    """Return the persons of each level and band of numbers, as conditions, with enough of them."""
    groups = {}
    for factor in infer_factors(train, names):
        codes: Codes = np.concatenate([factor.codes(part) for part in (train, holdout)])
        codes = codes[persons.order].astype(np.int64)
        for code, level in enumerate(factor.levels):
            mask = np.zeros(persons.n, dtype=bool)
            mask[persons.person[codes == code]] = True
            if _MIN_GROUP <= mask.sum() < persons.n:
                groups[level.words] = mask
    return groups


def _describe(
    found: Sequence[ExcessTest], names: Sequence[str]
) -> list[DisguisedRows | Fingerprints]:
    """Return the findings of significant tests: disguised rows, and a block that singles people out."""
    findings: list[DisguisedRows | Fingerprints] = []
    whole = [test for test in found if test.view.is_whole]
    if whole:
        largest = max(whole, key=lambda test: test.lower)
        # A small group is named where nearly all that is certain lies in it.
        inside = [
            test
            for test in whole
            if test.group
            and test.lower >= _INSIDE * largest.lower
            and test.n_train <= _MAX_GROUP * test.view.scan.persons.n_train
        ]
        group = min(inside, key=lambda test: test.n_train * test.view.scale).group if inside else ""
        share, low, high = largest.share
        findings.append(
            DisguisedRows(
                largest.n_people, largest.matched, largest.unseen, largest.n_train, largest.n_unseen,
                share, (low, high), largest.view.view.value, group,
            )
        )  # fmt: skip
    blocks = [test for test in found if test.view.view == View.BLOCKS]
    # Blocks of disguised rows single out people, too; more people are another finding.
    known = max((test.excess * test.view.scale for test in whole), default=0.0)
    blocks = [test for test in blocks if test.lower > known]
    if blocks:
        single = [test for test in blocks if test.block is not None]
        worst = max(single or blocks, key=lambda test: test.lower)
        columns = tuple(names[j] for j in worst.block or ())
        findings.append(
            Fingerprints(
                worst.n_people, worst.matched, worst.unseen, worst.n_train, worst.n_unseen, columns
            )
        )  # fmt: skip
    return findings

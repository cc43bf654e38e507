"""Small functions of the grammar: shares, buckets, the design of slot values, counts of texts."""

from __future__ import annotations

import numpy as np

from twinset.generators.image._copy_paste.counts import counts_of
from twinset.generators.text._grammar.formats import date_writer, mask_pattern, number_writer
from twinset.generators.text._grammar.plan import Round, _spell_count, usable
from twinset.generators.text._grammar.program import uniforms
from twinset.generators.text._grammar.settings import grammar_schema
from twinset.generators.text._grammar.syntax import Literal, Maybe, walk
from twinset.generators.text._grammar.values import (
    CELLS,
    ValuePool,
    bucket_of,
    cumulated,
    design_level,
)


def test_any_two_columns_of_the_design_hold_each_pair_of_levels_once() -> None:
    for a, b in ((4, 23), (0, 1), (7, 22)):
        pairs = {(design_level(cell, a), design_level(cell, b)) for cell in range(CELLS)}
        assert len(pairs) == CELLS


def test_buckets_and_weights_of_values() -> None:
    assert [bucket_of(i, 3) for i in range(3)] == [0, 1, 2]
    assert bucket_of(99, 100) == 19
    assert cumulated([1, 3]) == (0.25, 1.0)
    assert ValuePool.from_texts(["tea", "coffee"], weights=[1, 3]).bounds == (0.25, 1.0)


def test_a_round_gives_each_item_its_weight_and_few_texts_are_all_used() -> None:
    from fractions import Fraction

    once = Round([Fraction(3), Fraction(1)], seed=0)
    assert (once.length, once.counts(4).tolist()) == (4, [3, 1])
    assert (usable(12), usable(1_000)) == (12, 800)
    assert (_spell_count(12_345), _spell_count(3 * 10**20)) == ("12,345", "about 10^20")


def test_written_forms_of_dates_numbers_and_masks() -> None:
    from datetime import date

    assert date_writer("%-d. %B", "de_DE", subject="a slot")(date(2025, 3, 1)) == "1. März"
    assert number_writer("{:,.2f} €", ".,", subject="a slot")(1234.5) == "1.234,50 €"
    assert mask_pattern("?-%#.", "AB") == r"[AB]\-[1-9][0-9]\."


def test_numbers_nodes_schema_and_counts() -> None:
    rng, same = np.random.default_rng(0), np.random.default_rng(0)
    assert next(uniforms(rng)) == same.random()
    nodes = walk((Maybe((Literal("please"),), 0.5),))
    assert [type(node) for node in nodes] == [Maybe, Literal]
    assert grammar_schema()["required"] == ["templates"]
    counts = counts_of([{"category": "cat"}, {"category": "cat"}])  # type: ignore[typeddict-item]
    assert counts == {"cat": 2, "": 2}

from twinset.report.details import (
    Cell,
    asides,
    column_distances,
    pair_errors,
    population_levels,
    usefulness,
)


def test_column_distances_come_from_numbers_or_mappings(score):
    columns = {"a": 0.1, "b": {"distance": 0.2}, "c": None, "d": float("nan"), "e": True}
    assert column_distances(score("gap.a", details={"columns": columns})) == {"a": 0.1, "b": 0.2}


def test_pair_errors_are_the_lower_triangle(score):
    matrix = {"columns": ["a", "b", "c"], "values": [[0, 1, 2], [1, 0, 3], [2, 3, None]]}
    found = pair_errors(score("gap.a", details={"matrix": matrix}))
    assert found == {("a", "b"): 1.0, ("a", "c"): 2.0, ("b", "c"): 3.0}


def test_a_ragged_matrix_is_left_out(score):
    matrix = {"columns": ["a", "b"], "values": [[0, 1], [1]]}
    assert pair_errors(score("gap.a", details={"matrix": matrix})) == {}


def test_missing_keys_leave_blocks_out(score):
    bare = score("utility.a")
    assert (column_distances(bare), pair_errors(bare), population_levels(bare)) == ({}, {}, [])
    assert usefulness(bare) is None
    assert usefulness(score("gap.a", details={"measures": {"x": {"real": 1.0}}})) is None
    assert asides(bare) == []


def test_usefulness_reads_models_changes_and_answers(score):
    details = {
        "measures": {"AP": {"real": 0.5, "mixed": 0.6}},
        "changes": {"AP": {"mixed": {"difference": 0.1, "interval": [0.05, 0.15]}}},
        "answers": {"mixed": "helps"},
        "rows": {"real": 100, "mixed": 150},
        "holdout_rows": 1000,
        "holdout_positives": 20,
        "guessing": 0.02,
    }
    found = usefulness(score("utility.a", details=details))
    assert found.test == "1,000 rows, 20 of them positive; guessing scores 0.020"
    assert [(row.name, row.n_rows) for row in found.rows] == [
        ("real rows only", 100),
        ("real and synthetic", 150),
    ]
    assert found.trained_on("mixed").cells == (Cell(0.6, 0.1, (0.05, 0.15)),)
    assert (found.trained_on("mixed").mark, found.reach) == ("good", 0.15)
    assert found.trained_on("synthetic") is None


def test_population_levels_that_are_neither_found_nor_declared_are_left_out(score):
    levels = {"F": {"found": 0.3, "declared": 0.5}, "(any other)": {"found": 0.0, "declared": 0.0}}
    details = {"columns": {"sex": {"distance": 0.2, "levels": levels}}}
    assert population_levels(score("coverage.a", details=details)) == [("sex", "F", 0.3, 0.5)]


def test_asides_tell_summary_note_and_the_numbers_of_coverage(score):
    details = {"precision": 0.91, "density": 1.2, "note": "40 columns of 60", "summary": "none"}
    assert asides(score("coverage.a", details=details)) == [
        "none",
        "40 columns of 60",
        "precision 0.910, density 1.200",
    ]

"""Fitting generators to what they may see."""

import pyarrow as pa
import pytest

from twinset.core.data.dataset import Dataset
from twinset.core.data.schema import Field, Schema
from twinset.core.data.where import Where
from twinset.core.errors import FewRowsWarning
from twinset.generation.sampling import fit_source
from twinset.registry import build


def test_texts_with_a_label_of_their_own_are_not_learnt_from_unless_it_is_named():
    texts = [
        "play some blues",
        "play some jazz now",
        "call my boss",
        "call my aunt",
        "greet Zebulon",
    ]
    table = pa.table({"text": texts, "intent": ["play", "play", "call", "call", "zebulon"]})
    schema = Schema(
        (
            Field(name="text", kind="text"),
            Field(name="intent", kind="category", levels=("call", "play", "zebulon")),
        )
    )
    real = Dataset.from_arrow(table, schema)
    learned = build("generator", "text.learned", {"max_similarity": 1.0})

    def labels(**settings):
        source = fit_source(learned, real, seed=1, path=("a",), **settings)
        drawn = set(Dataset.concat(list(source.draw(8))).records["intent"].to_pylist())
        assert drawn <= set(source.schema["intent"].levels)
        return drawn, "zebulon" in source.schema["intent"].levels

    with pytest.warns(FewRowsWarning, match="1 of 5 texts have a label that no other text has"):
        assert labels() == ({"play", "call"}, False)
    assert "zebulon" in labels(named=[Where({"intent": "zebulon"})])[0]
    assert "zebulon" in labels(value_protection=False)[0]

"""Whatever is done to a file, it is read or refused in a sentence; nothing breaks down."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twinset.core.errors import TwinsetError
from twinset.io import read_dataset
from twinset.io.faults import OnFault

from .conftest import AWKWARD, FORMATS, spanned, text_set, written

CHANGES = st.lists(
    st.tuples(
        st.floats(0, 1),
        st.integers(0, 6),
        st.sampled_from(
            [
                b"",
                b"\n",
                b"\t",
                b'"',
                b"[",
                b"}",
                b":",
                b"- ",
                b"\xff",
                b"null",
                b"-1",
                b"B-x",
                b"{}",
                b"\x00",
            ]
        ),
    ),
    min_size=1,
    max_size=4,
)


@pytest.fixture(scope="module")
def originals(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("whole")
    rows = text_set(
        [(text, [spanned(text, v, "x") for v in values], "a") for text, values in AWKWARD[:6]]
    )
    return {
        word: written(rows, folder, word)[0]
        for word in ("conll", "bilou", "conllu", "tokens", "rasa", "labelstudio")
    }


@pytest.mark.parametrize("word", [word for word in FORMATS if isinstance(word, str)])
@given(changes=CHANGES)
def test_a_changed_file_is_read_or_refused(
    word: str, changes: list, originals: dict[str, Path]
) -> None:
    path = originals[word]
    file = {"tokens": path / "rows.jsonl", "labelstudio": path / "tasks.json"}.get(word, path)
    data = file.read_bytes()
    for where, length, put in changes:
        at = int(where * len(data))
        data = data[:at] + put + data[at + length :]
    with tempfile.TemporaryDirectory() as folder:
        changed = Path(folder, file.name)
        changed.write_bytes(data)
        if word == "tokens":
            Path(folder, "features.json").write_bytes((path / "features.json").read_bytes())
        for on_fault in ("stop", "skip"):
            for row in rows_or_refusal(changed, on_fault):
                for span in row.get("spans") or ():
                    assert row["text"][span["start"] : span["end"]] == span["value"] != ""


def rows_or_refusal(file: Path, on_fault: OnFault) -> list[dict[str, Any]]:
    """Return the rows of a file; a row-less answer where it is refused in one line."""
    try:
        return read_dataset(file, on_fault=on_fault).records.to_pylist()
    except TwinsetError as error:
        return [] if "\n" not in str(error) else [{"text": "", "spans": "a refusal of two lines"}]

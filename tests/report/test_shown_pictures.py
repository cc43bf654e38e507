"""Which pictures a page shows: synthetic ones, and none that is a real one."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from twinset.core.data.dataset import Card, Dataset
from twinset.core.data.schema import BLOB, Field, Schema
from twinset.core.data.where import Where
from twinset.core.findings import ConfidentRow, ConfidentRows
from twinset.core.image.codec import encode_png
from twinset.report import build_report

pytest.importorskip("cv2", reason="OpenCV is not installed")

SCHEMA = Schema((Field(name="image", kind="image"), Field(name="light", kind="category")))


def pictures(greys: list[int], light: list[str], **card: object) -> Dataset:
    cells = [{"bytes": encode_png(np.full((8, 8), g, np.uint8)), "path": None} for g in greys]
    table = pa.table({"image": pa.array(cells, BLOB), "light": light})
    return Dataset.from_arrow(table, SCHEMA, Card(name="samples", **card))  # type: ignore[arg-type]


REAL = pictures([1, 2], ["day", "night"], origin="real")
MADE = pictures([2, 7, 8], ["day", "day", "night"], origin="synthetic")


def page(score, made: Dataset = MADE, **asked: object):
    rows = tuple(ConfidentRow(i, 0.9) for i in (1, 2, 3))
    scores = [score("gap.classifier", "different", findings=(ConfidentRows(rows),))]
    return build_report(
        title="t", train=REAL, synthetic=made, holdout=None, scores=scores, gates=[], **asked
    )  # type: ignore[arg-type]


def test_a_real_picture_is_not_shown_even_where_the_condition_leaves_it_out(score) -> None:
    report = page(score, where=Where({"light": "day"}))
    # Row 1 is the real picture taken at night; of the sheet, only the other row of the day is left.
    assert sorted(report.examples.confident) == [2, 3]
    assert len(report.examples.images) == 1
    html = report.to_html()
    assert "Images that look least real" in html
    assert html.count('<svg class="sample pixels"') == 3


def test_pictures_made_from_real_ones_are_not_shown(score) -> None:
    made = replace(MADE, card=Card(name="varied", origin="augmented"))
    report = page(score, made)
    assert report.examples.confident == {}
    assert 'class="sample' not in report.to_html()
    assert "Rows that look least real" in report.to_html()
    assert sorted(page(score, made, show_real_rows=True).examples.confident) == [1, 2, 3]

import re

import pytest

from twinset.registry import list_components
from twinset.report import build_report
from twinset.report.phrases import _READING, interpret_metric


@pytest.mark.parametrize("metric", _READING)
def test_a_text_is_one_to_three_whole_sentences(metric):
    sentences = re.findall(r"[^.!?]+(?:\d\.\d[^.!?]*)*[.](?=\s|$)", _READING[metric])
    assert 1 <= len(sentences) <= 3
    assert 60 < len(_READING[metric]) < 260


def test_every_metric_that_exists_can_be_read():
    for info in list_components("metric"):
        assert interpret_metric(info.name).endswith("."), info.name


def test_of_a_metric_without_a_text_the_first_docstring_line_is_taken(monkeypatch):
    monkeypatch.delitem(_READING, "gap.marginals")
    assert interpret_metric("gap.marginals").startswith("Compares single columns")


def test_the_reading_is_folded_beside_the_score(people, score):
    scores = [score("gap.marginals"), score("gap.nobody_knows")]
    page = build_report(
        title="x", train=people, synthetic=people, holdout=None, scores=scores, gates=[]
    ).to_html()
    (row,) = re.findall(r"<tr>\s*<th scope=\"row\">single columns.*?</tr>", page, re.S)
    assert '<details class="reading"><summary>How to read this</summary>' in row
    assert "<details open" not in page
    assert page.count('class="reading"') == 1


def test_the_text_says_what_the_value_is():
    assert "0 is best" in interpret_metric("gap.rules_kept")
    assert interpret_metric("coverage.alpha_beta").startswith("Beta-recall")

import re

from twinset.report import apply_gates, build_report


def markdown(people, scores, gates=(), **facts):
    return build_report(
        train=people, synthetic=people, holdout=None, scores=scores, gates=gates,
        **({"title": "towns"} | facts),
    ).to_markdown()  # fmt: skip


def test_verdict_gates_scores_and_notes_are_there(people, score):
    scores = [score("privacy.exact_copies", value=0.5), score("gap.marginals", "different")]
    gates = apply_gates(scores, {"privacy.exact_copies": {"max": 0}})
    text = markdown(people, scores, gates, notes=["read with care"])
    assert text.startswith("## towns\n\n| what to use it for | answer | reason |")
    assert "\n\n- ❌ **How far from real?** Different" in text
    assert (
        "| ❌ | exact copies of training rows<br>`privacy.exact_copies` | at most 0 | 0.500 |"
        in text
    )
    row = (
        "| single columns<br>`gap.marginals` | ❌ different | 0.020 | 0.010 | 0 to +0.020 | 0.050 |"
    )
    assert row in text
    # By question, as on the page.
    assert text.index(row) < text.index("| ✅ as good as real |")
    assert text.endswith("### Notes\n\n- read with care\n")


def test_every_row_of_a_table_has_as_many_cells_as_its_head(people, score):
    hostile = "a|b\n|c\\| <img src=x> [x](http://y) HTTPS://z.org www.z.org @octocat mailto:a@b.org"
    scores = [
        score("gap.a", "not measurable", reason=hostile),
        score("gap.b"),
        score("privacy.membership"),
    ]
    text = markdown(people, scores, title=hostile, notes=[hostile])
    table = [line for line in text.splitlines() if line.startswith("|")]
    assert {line.replace(r"\|", "").count("|") for line in table} == {4, 7}
    assert "<img" not in text.replace(r"\<img", "")
    assert "[x](" not in text.replace(r"\[x\](", "")
    # What is a link without any mark around it is broken by a joiner of no width.
    assert not re.search(r"(?i)://|www[.]|@[a-z]|mailto:a", text)
    assert text.replace("\u2060", "").count("www.z.org @octocat") == text.count("octocat") >= 2

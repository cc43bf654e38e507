from xml.etree import ElementTree

from twinset.report import apply_gates, build_report
from twinset.report.exports import junit_xml


def read(scores, gates=(), name="people"):
    return ElementTree.fromstring(junit_xml({name: (scores, gates)}).encode())


def test_a_failed_gate_is_a_failure_and_what_cannot_be_measured_is_skipped(score):
    scores = [
        score("gap.a", "different", value=0.3),
        score("gap.b", "different"),
        score("privacy.a", "not measurable", reason="no holdout"),
        score("privacy.b", "not measurable"),
    ]
    gates = apply_gates(
        scores, {"gap.a": {"max": 0.1}, "gap.b": {"max": 1}, "privacy.b": {"max": 0}}
    )
    root = read(scores, gates)
    assert root.attrib == {
        "name": "twinset", "tests": "4", "failures": "2", "errors": "0", "skipped": "1"
    }  # fmt: skip
    cases = {case.get("name"): case for case in root.iter("testcase")}
    failure = cases["gap.a"].find("failure")
    assert failure.get("message") == "at most 0.100 is allowed, measured 0.300"
    assert failure.text.startswith("different: 0.300, real rows 0.010")
    # A verdict without a gate is told and fails nothing.
    assert cases["gap.b"].find("failure") is None
    assert cases["gap.b"].findtext("system-out").startswith("different: ")
    assert cases["privacy.a"].find("skipped").get("message") == "not measurable: no holdout"
    # What a gate demands and nothing can measure fails, as it does in a recipe.
    assert cases["privacy.b"].find("failure").get("message").endswith("not measurable")
    assert cases["privacy.b"].find("skipped") is None


def test_both_bounds_of_one_metric_are_one_failure(score):
    scores = [score("gap.a", value=0.3)]
    gates = apply_gates(scores, {"gap.a": {"max": 0.1, "min": 0.5}})
    (failure,) = read(scores, gates).iter("failure")
    assert "at most" in failure.get("message")
    assert "at least" in failure.get("message")


def test_what_xml_cannot_hold_is_shown_as_escapes_and_the_rest_escaped(score):
    hostile = "a\x00\x1b\ud800<b a='1'>&\""
    (case,) = read([score("gap.a", "not measurable", reason=hostile)], name=hostile).iter(
        "testcase"
    )
    assert case.findtext("system-out") == "not measurable: a\\x00\\x1b\\ud800<b a='1'>&\""
    assert case.get("classname") == "a\\x00\\x1b\\ud800<b a='1'>&\".gap"


def test_it_holds_no_clock_and_no_host(people, score):
    report = build_report(
        title="x", train=people, synthetic=people, holdout=None, scores=[score("gap.a")], gates=[]
    )
    assert report.to_junit() == report.to_junit()
    assert "time" not in report.to_junit()
    assert "host" not in report.to_junit()

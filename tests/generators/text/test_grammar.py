"""What templates mean: options, choices, rules, escapes; and that weights are shares."""

import numpy as np
import pytest
from scipy.stats import chisquare

from twinset.core.errors import ParameterError
from twinset.core.seeding import rng_for
from twinset.generators.text._grammar.syntax import Choice, Literal, Maybe, SlotUse, escape, parse
from twinset.generators.text.templates import Templates


def write(n, seed=0, **parameters):
    fitted = Templates(**parameters).fit(None, rng_for(seed, "fit"))
    return fitted.sample(n, rng_for(seed, "draw")).records.to_pydict()


def texts(template, n=400, **parameters):
    slots = {"x": ["tea", "milk"], "y": ["cup"]}
    made = write(n, templates={"a": [template]}, slots=slots, unique_rows=False, **parameters)
    return set(made["text"])


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("a[ b] c", {"a b c", "a c"}),
        ("a [b] c", {"a b c", "a c"}),
        ("[b] c", {"b c", "c"}),
        ("a [b]", {"a b", "a"}),
        ("a [b|c]", {"a b", "a c", "a"}),
        ("(a|b)(c|d)", {"ac", "ad", "bc", "bd"}),
        ("(a|(b|c))", {"a", "b", "c"}),
        ("(a|) b", {"a b", "b"}),
        ("a(b[c|d])e", {"a(bc)e", "a(bd)e", "a(b)e"}),
        ("an aside (with {y}) :)", {"an aside (with cup) :)"}),
        ("a|b, sad :( and <3", {"a|b, sad :( and <3"}),
        (r"\[a\] \(b\|c\) \<hi> \{x\} \\", {r"[a] (b|c) <hi> {x} \ ".rstrip()}),
        (r"[really\?0.5]!", {"really?0.5!", "!"}),
        ("{{x}} {y|upper} {y|capital}", {"{x} CUP Cup"}),
        ("{x} {x}", {"tea tea", "milk milk"}),
        ("{x} {x#2}", {"tea milk", "milk tea"}),
        ("[so ?1] {y}", {"so cup"}),
    ],
)
def test_what_a_template_gives(template, expected):
    assert texts(template) == expected


def test_rules_stand_for_their_texts_and_call_others():
    rules = {"who": ["I", "<they>"], "they": ["he", "she"], "now": ["", " now"]}
    found = texts("<who> drank {y}<now>", rules=rules)
    assert found == {f"{who} drank cup{now}" for who in ("I", "he", "she") for now in ("", " now")}


def test_a_template_is_read_as_nodes():
    nodes = parse("a[ {x} ?0.2](b *2|c)", subject="t")
    assert nodes == (
        Literal("a"),
        Maybe((Literal(" "), SlotUse("x")), 0.2),
        Choice(((Literal("b"),), (Literal("c"),)), (2.0, 1.0)),
    )


@pytest.mark.parametrize("text", ["(" * 3_000, "[" * 30 + "]" * 30, "(a|" * 40 + "b" + ")" * 40])
def test_deep_templates_end_quickly(text):
    try:
        parse(text, subject="t")
    except ParameterError:
        return
    assert text == "(" * 3_000


def test_escaped_text_is_itself():
    for text in ("{a} [b] (c|d) <e> \\f \\", "[x ?0.5]", "a *2", "((", "}"):
        assert texts(escape(text) + "{y}") == {f"{text}cup"}


# One statement a line: (settings, what is counted in a row, shares).
SHARES = {
    "choice": ({"a": ["(x *3|y *1.5|z *0.5)"]}, "text", {"x": 0.6, "y": 0.3, "z": 0.1}),
    "option": ({"a": ["o[x ?0.2]"]}, "text", {"ox": 0.2, "o": 0.8}),
    "rule": ({"a": ["<r>"]}, "text", {"x": 0.75, "y": 0.25}),
    "values": ({"a": ["{w}"]}, "text", {"big": 0.4, "large": 0.4, "small": 0.2}),
    "other": ({"a": ["(x|y) (x|y)"]}, "text", dict.fromkeys(("x x", "x y", "y x", "y y"), 0.25)),
}


@pytest.mark.parametrize("case", SHARES)
def test_weights_are_shares_over_twenty_seeds(case):
    templates, column, shares = SHARES[case]
    slots = {"w": [{"value": "big", "synonyms": ["large"], "weight": 4}, "small"]}
    rules = {"r": [{"text": "x", "weight": 3}, "y"]}
    settings = {"templates": templates, "slots": slots, "rules": rules, "unique_rows": False}
    total = np.zeros(len(shares))
    n = 600
    for seed in range(20):
        values = write(n, seed, **settings)[column]
        counts = np.array([values.count(key) for key in shares])
        assert counts.sum() == n
        assert chisquare(counts, n * np.array(list(shares.values()))).pvalue > 0.001
        total += counts
    assert chisquare(total, 20 * n * np.array(list(shares.values()))).pvalue > 0.001


def test_templates_are_alike_however_many_texts_they_can_become():
    rich, poor = "{n} {n#2} [a] [b] [c]", "[only ?0.9] this"
    slots = {"n": {"number": [0, 10**6]}}
    made = write(100, templates={"a": [rich, poor]}, slots=slots, unique_rows=False)
    assert made["template"].count("a-1") == 50
    weighted = [{"text": rich, "weight": 1}, {"text": poor, "weight": 3, "name": "poor"}]
    made = write(100, templates={"a": weighted}, slots=slots, unique_rows=False)
    assert made["template"].count("poor") == 75


def test_further_keys_become_columns():
    templates = {
        "refund": {
            "sentiment": "negative",
            "templates": ["Money back!", {"text": "All fine now", "sentiment": "positive"}],
        },
        "thanks": {"sentiment": "positive", "share": 2, "templates": ["Thanks {x}"]},
    }
    fitted = Templates(templates=templates, slots={"x": ["a lot"]}, unique_rows=False).fit(
        None, rng_for(0, "fit")
    )
    made = fitted.sample(8, rng_for(0, "draw")).records.to_pydict()
    told = {(t, s) for t, s in zip(made["template"], made["sentiment"])}
    assert told == {
        ("refund-1", "negative"), ("refund-2", "positive"), ("thanks-1", "positive"),
    }  # fmt: skip
    assert made["label"].count("thanks") == round(8 * 2 / 3)
    assert fitted.schema["sentiment"].levels == ("negative", "positive")


def test_a_key_must_be_said_by_all():
    with pytest.raises(ParameterError, match="'b-1' does not say its 'tone'"):
        Templates(templates={"a": {"tone": "calm", "templates": ["x"]}, "b": ["y"]}, slots={})


@pytest.mark.parametrize("key", ["text", "spans", "template", "part"])
def test_a_key_cannot_be_called_like_an_own_column(key):
    with pytest.raises(ParameterError, match=f"cannot be called '{key}'"):
        Templates(
            templates={
                "a": [{"text": "x", key: "y"}]
                if key != "text"
                else {"templates": ["x"], "text": "y"}
            },
            slots={},
        )


def test_texts_may_begin_with_a_capital_but_values_stay():
    made = write(
        40, templates={"a": ["[well, ]where is {x}?", "{x} is éteint"]}, slots={"x": ["tea", "öl"]},
        capitalise=True, unique_rows=False,
    )  # fmt: skip
    starts = {text.split()[0] for text in made["text"]}
    assert starts == {"Well,", "Where", "tea", "öl"}


@pytest.mark.parametrize("weight", [0, -1, 1e-9, 1e9, float("nan"), float("inf"), True, "2"])
def test_a_weight_has_a_range(weight):
    with pytest.raises(ParameterError, match=r"templates\.a\[0\]\.weight'"):
        Templates(templates={"a": [{"text": "x", "weight": weight}]}, slots={})


def test_odd_weights_are_met_too():
    templates = {label: {"share": share, "templates": ["x {n}"]} for label, share in ODD.items()}
    made = write(3_000, templates=templates, slots={"n": {"number": [1, 10**6]}})
    for label, share in ODD.items():
        assert abs(made["label"].count(label) - 3_000 * share / sum(ODD.values())) < 1


ODD = {"a": 1 / 3, "b": 0.1234567, "c": 2e-6, "d": 1e-3}

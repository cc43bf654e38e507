import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from twinset.core.data.where import Where
from twinset.core.errors import ParameterError
from twinset.core.seeding import rng_for
from twinset.generators.text._grammar.syntax import escape
from twinset.generators.text.templates import Templates

pytest.importorskip("faker")

TWO = {
    "ask": ["Where is {thing}?", "{thing}, please: {city}!"],
    "thank": ["Thanks, {thing} 👍 {thing}"],
}
SLOTS = {"thing": ["té 🍵", "tea"], "city": {"faker": "city"}}


def write(n, where=None, seed=0, **parameters):
    fitted = Templates(**parameters).fit(None, rng_for(seed, "fit"))
    return fitted.sample(n, rng_for(seed, "draw"), Where.of(where))


def column(data, name):
    return data.records.column(name).to_pylist()


def test_spans_by_hand_in_code_points():
    slots = {"a": ["né"], "b": ["🍵🍵"]}
    data = write(1, templates={"x": ["{{{a}}} 👍 {b}{a}"]}, slots=slots)
    assert column(data, "text") == ["{né} 👍 🍵🍵né"]
    assert [(s["start"], s["end"], s["label"]) for s in column(data, "spans")[0]] == [
        (1, 3, "a"),
        (7, 9, "b"),
        (9, 11, "a"),
    ]


def test_every_span_is_its_value():
    data = write(300)
    for text, spans in zip(column(data, "text"), column(data, "spans")):
        ends = 0
        for span in spans:
            assert text[span["start"] : span["end"]] == span["value"] != ""
            assert span["start"] >= ends
            ends = span["end"]
        assert "{" not in text
        assert "\n" not in text


@settings(max_examples=25, deadline=None)
@given(
    st.lists(
        st.one_of(
            st.just("{s}"),
            st.just("{t}"),
            # Halves of surrogate pairs are no characters and stand in no file.
            st.text(st.characters(exclude_categories=["Cs"])),
        ),
        min_size=1,
    ).filter(lambda parts: "".join(parts).strip())
)
def test_spans_hold_for_any_template(parts):
    written = [part if part in ("{s}", "{t}") else escape(part) for part in parts]
    data = write(3, templates={"x": ["".join(written)]}, slots={"s": ["é", "🍵 b"], "t": ["zz"]})
    for text, spans in zip(column(data, "text"), column(data, "spans")):
        plain = [part for part in parts if part not in ("{s}", "{t}")]
        assert all(part in text for part in plain)
        assert [s["label"] for s in spans] == [p[1] for p in parts if p in ("{s}", "{t}")]
        assert all(text[s["start"] : s["end"]] == s["value"] for s in spans)


def test_labels_have_exact_shares_and_templates_take_turns():
    shares = {"ask": 3, "thank": 1}
    data = write(80, templates=TWO, slots=SLOTS, shares=shares, unique_rows=False)
    assert column(data, "label").count("ask") == 60
    templates = column(data, "template")
    assert [templates.count(t) for t in ("ask-1", "ask-2", "thank-1")] == [30, 30, 20]


def test_labels_are_alike_by_default():
    labels = column(write(100), "label")
    assert {labels.count(label) for label in set(labels)} == {20}
    assert len(set(labels)) == 5


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        ({"label": "refund"}, {"refund"}),
        ({"label": ["refund", "login"]}, {"refund", "login"}),
        ({"label": {"not": ["refund", "login", "cancel", "invoice"]}}, {"delivery"}),
        ({"template": "login-2"}, {"login"}),
    ],
)
def test_conditions_are_met(where, expected):
    data = write(30, where)
    assert set(column(data, "label")) == expected
    assert data.mask(Where(where)).all()


@pytest.mark.parametrize(
    ("where", "words"),
    [({"label": "praise"}, "no row that meets"), ({"text": "x"}, "condition on 'text'")],
)
def test_other_conditions_are_refused(where, words):
    with pytest.raises(ParameterError, match=words):
        write(1, where)


@pytest.mark.parametrize(
    ("template", "words"),
    [
        ("", "'ask-2' is empty"),
        ("  ", "'ask-2' is empty"),
        ("Where is {thing?", "bracket in the template 'ask-2'"),
        ("Where is thing}?", "bracket in the template 'ask-2'"),
        ("Where is {thin}?", "'ask-2' names an unknown slot.*did you mean 'thing'"),
        ("Where is {}?", "'ask-2' names an unknown slot"),
        ("Where is {thing!r}?", "'ask-2' names an unknown slot"),
        ("Where is {thing.__class__}?", "'ask-2' names an unknown slot"),
    ],
)
def test_a_wrong_template_is_named(template, words):
    with pytest.raises(ParameterError, match=words):
        Templates(templates={"ask": ["Fine: {thing}", template]}, slots=SLOTS)


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ([], "slots.x'.*it is empty"),
        ("tea", "slots.x'.*it is no list"),
        (["tea", " "], r"slots.x\[1\]'.*empty or has blanks"),
        ({}, "slots.x'.*no one source"),
        ({"faker": "name", "date_range": ["2025-01-01", "2025-01-02"]}, "slots.x'.*no one source"),
        ({"date_range": ["2025-02-01", "2025-01-01"]}, "'x' are not a range"),
        ({"date_range": ["soon", "later"]}, "'x' are not a range"),
    ],
)
def test_a_wrong_slot_is_named(source, words):
    with pytest.raises(ParameterError, match=words):
        Templates(templates={"a": ["{x}"]}, slots={"x": source})


@pytest.mark.parametrize(
    ("source", "locale", "words"),
    [
        ({"faker": "nam"}, "en_US", "unknown Faker provider.*did you mean 'name'"),
        ({"faker": "seed_instance"}, "en_US", "unknown Faker provider"),
        ({"faker": "__init__"}, "en_US", "unknown Faker provider"),
        ({"faker": "bothify", "txt": "#"}, "en_US", "refuses its arguments"),
        ({"faker": "bothify", "text": ""}, "en_US", "empty text"),
        ({"faker": "name"}, "xx_XX", "does not know the locale 'xx_XX'"),
        ({"faker": "job"}, "en_GB", "no 'job' for the locale 'en_GB'.*would give en_US"),
        ({"faker": "date"}, "en_US", "depends on today's date"),
    ],
)
def test_what_faker_lacks_is_refused_before_the_first_text(source, locale, words):
    generator = Templates(templates={"a": ["{x}"]}, slots={"x": source}, locale=locale)
    with pytest.raises(ParameterError, match=words):
        generator.fit(None, rng_for(0, "fit"))


def test_a_slot_may_have_a_locale_of_its_own():
    slots = {"x": {"faker": "job", "locale": "en_US"}, "y": {"faker": "city"}}
    data = write(20, templates={"a": ["{x} / {y}"]}, slots=slots, locale="de_DE")
    assert len(set(column(data, "text"))) == 20


def test_dates_stay_in_their_range():
    slots = {"x": {"date_range": ["2024-02-28", "2024-03-01"]}}
    texts = column(write(60, templates={"a": ["{x}"]}, slots=slots), "text")
    assert set(texts) == {"2024-02-28", "2024-02-29", "2024-03-01"}


@pytest.mark.parametrize("shares", [{"ask": 1.0}, {"ask": 1, "thank": 0}, {"ask": 1, "thanks": 1}])
def test_shares_must_fit_the_labels(shares):
    with pytest.raises(ParameterError, match="share"):
        Templates(templates=TWO, slots=SLOTS, shares=shares)


@pytest.mark.parametrize("templates", [{}, {"a": []}, {"a": "text"}])
def test_labels_need_templates(templates):
    with pytest.raises(ParameterError):
        Templates(templates=templates, slots=SLOTS)


def test_the_seed_of_faker_is_its_own():
    from faker import Faker

    Faker.seed(1)
    first = write(20)
    Faker.seed(2)
    states = random.getstate(), np.random.get_state()[1].copy()
    assert first.records.equals(write(20).records)
    assert random.getstate() == states[0]
    np.testing.assert_array_equal(np.random.get_state()[1], states[1])
    assert not first.records.equals(write(20, seed=1).records)

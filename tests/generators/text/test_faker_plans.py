"""Plans of Faker's methods give what calls of them give: the same values, equally often, everywhere."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest
from scipy.stats import chi2_contingency

from twinset.core.errors import ParameterError
from twinset.generators.text._faker.changes import has_no_sigma
from twinset.generators.text._faker.draws import (
    AnyOf,
    ConcatenatedDraw,
    FakerCall,
    MappedDraw,
    Pick,
    TextDraw,
    any_of,
    changed,
    joined,
)
from twinset.generators.text._faker.faker import _faker, faker_values
from twinset.generators.text._faker.plan import Planner

faker = pytest.importorskip("faker")

PROVIDERS = (
    "name", "first_name", "last_name", "city", "company", "street_address", "address", "job",
    "phone_number", "postcode", "user_name", "ascii_safe_email", "email",
)  # fmt: skip
KNOWN: dict[int, tuple[frozenset[str], frozenset[int]]] = {}


def ends(plan: TextDraw, text: str, starts: set[int]) -> set[int]:
    """Return where a text may go on behind a part that a plan gives, by brute force."""
    if isinstance(plan, Pick):
        if id(plan) not in KNOWN:
            KNOWN[id(plan)] = frozenset(plan.values), frozenset(map(len, plan.values))
        values, lengths = KNOWN[id(plan)]
        return {s + n for s in starts for n in lengths if text[s : s + n] in values}
    if isinstance(plan, ConcatenatedDraw):
        for part in plan.parts:
            starts = ends(part, text, starts)
        return starts
    if isinstance(plan, AnyOf):
        return set().union(*(ends(one, text, starts) for one in plan.choices))
    assert isinstance(plan, FakerCall | MappedDraw)
    return {end for start in starts for end in range(start, len(text) + 1)}


def may_give(plan: TextDraw, text: str) -> bool:
    return len(text) in ends(plan, text, {0})


def called_in(plan: TextDraw) -> bool:
    if isinstance(plan, ConcatenatedDraw | AnyOf):
        parts = plan.parts if isinstance(plan, ConcatenatedDraw) else plan.choices
        return any(map(called_in, parts))
    return isinstance(plan, FakerCall) or (isinstance(plan, MappedDraw) and called_in(plan.of))


def locales() -> list[str]:
    from faker.config import AVAILABLE_LOCALES

    return sorted(AVAILABLE_LOCALES)


USUAL = ("de_DE", "en_US", "es_ES", "fr_FR", "hu_HU", "ja_JP", "ru_RU")


@pytest.mark.parametrize(
    "locale",
    [pytest.param(one, marks=() if one in USUAL else pytest.mark.slow) for one in locales()],
)
def test_what_a_call_gives_a_plan_may_give(locale: str) -> None:
    fake, planner = _faker(locale)
    fake.seed_instance(5)
    rng = np.random.default_rng(5)
    for provider in PROVIDERS:
        method = getattr(fake, provider, None)
        if method is None:
            continue
        plan = planner.of(method)
        for _ in range(25):
            text = str(method())
            assert may_give(plan, text), (provider, text)
        drawn = plan.draw(25, rng)
        assert len(drawn) == 25
        assert all(may_give(plan, text) for text in drawn)
        if plan.is_plain:
            assert all(text and " ".join(text.split()) == text for text in drawn)


LAWS = [
    ("en_US", "name"), ("en_US", "city"), ("en_US", "company"), ("en_US", "street_address"),
    ("en_US", "phone_number"), ("de_DE", "name"), ("de_DE", "city"), ("de_DE", "street_address"),
    ("fr_FR", "name"), ("fr_FR", "company"), ("es_ES", "street_address"), ("it_IT", "name"),
    ("en_US", "ascii_safe_email"), ("de_DE", "email"), ("fr_FR", "user_name"),
]  # fmt: skip
_N = 6_000


def shape(text: str) -> str:
    """Tell a text by its words' number, its first sign, and its last two."""
    return f"{text.count(' ')}{text[:1]}{text[-2:] if text[-1:].isdigit() is False else '0'}"


@pytest.mark.parametrize(("locale", "provider"), LAWS)
def test_values_come_as_often_as_by_calls(locale: str, provider: str) -> None:
    fake, planner = _faker(locale)
    method = getattr(fake, provider)
    plan = planner.of(method)
    assert not called_in(plan)
    fake.seed_instance(1)
    tables = [
        Counter(shape(str(method())) for _ in range(_N)),
        Counter(map(shape, plan.draw(_N, np.random.default_rng(1)))),
    ]
    kinds = [kind for kind in set().union(*tables) if sum(t[kind] for t in tables) >= 40]
    rows = [[t[kind] for kind in kinds] for t in tables]
    for row in rows:
        row.append(_N - sum(row))
    used = [column for column in zip(*rows) if sum(column)]
    assert len(used) > 3
    assert chi2_contingency(np.array(used).T).pvalue > 1e-3


def test_parts_are_independent_of_each_other() -> None:
    """Two parts of several kinds each must not come in step."""
    kinds = AnyOf((Pick(("a", "b")), Pick(("c",))))
    found = Counter(ConcatenatedDraw((kinds, kinds, kinds)).draw(20_000, np.random.default_rng(2)))
    likely = {"a": 0.25, "b": 0.25, "c": 0.5}
    assert len(found) == 27
    for text, count in found.items():
        expected = 20_000 * np.prod([likely[sign] for sign in text])
        assert abs(count - expected) < 5 * np.sqrt(expected)


def test_short_lists_are_put_together_and_long_ones_are_not() -> None:
    long = Pick(tuple(map(str, range(2_000))))
    assert joined([Pick(("Nr. ",)), long, Pick(("!",))]) == Pick(
        tuple(f"Nr. {i}!" for i in range(2_000))
    )
    assert isinstance(joined([long, long]), ConcatenatedDraw)
    assert joined([]) == Pick(("",))
    assert any_of([Pick(("a",)), Pick(("a",)), Pick(("b",))]) == Pick(("a", "a", "b"))


@pytest.mark.parametrize(
    ("plan", "plain"),
    [
        (joined([Pick(("Ann", "Bo")), Pick((" ",)), Pick(("Ash",) * 2_000)]), True),
        (ConcatenatedDraw((Pick(("Ann ",)), Pick((" Ash",)))), False),
        (ConcatenatedDraw((Pick((" Ann",)), Pick(("Ash",)))), False),
        (ConcatenatedDraw((Pick(("Ann",)), Pick(("Ash", "")))), False),
        (ConcatenatedDraw((Pick(("Ann",)), Pick((" Ash ",)))), False),
        (ConcatenatedDraw((Pick(("Ann",)), Pick((" a  b",)))), False),
        (ConcatenatedDraw((Pick(("Ann",)), Pick((" a\tb",)))), False),
        (AnyOf((Pick(("a",)), Pick(("b c",)))), True),
        (AnyOf((Pick(("a",)), FakerCall(lambda: "x"))), False),
        (Pick(("a b", "")), False),
    ],
)
def test_whether_blanks_need_mending_is_known_beforehand(plan: TextDraw, plain: bool) -> None:
    assert plan.is_plain is plain


class Own:
    """Methods as a provider may have them, some of which a plan cannot say."""

    colours = ("red", "blue")
    formats = ("{{colour}}, {{colour}}", "no {{colour}}")

    def colour(self) -> str:
        return self.random_element(self.colours)  # type: ignore[attr-defined,no-any-return]

    def pair(self) -> str:
        pattern: str = self.random_element(self.formats)  # type: ignore[attr-defined]
        return self.generator.parse(pattern)  # type: ignore[attr-defined,no-any-return]

    def twice(self) -> str:
        one = self.colour()
        return one + one

    def loud(self) -> str:
        return f"{self.colour()}-{self.numerify('%#')}".upper()  # type: ignore[attr-defined]

    def maybe(self) -> str:
        if hasattr(self, "shades"):
            return "never"
        return self.colour()

    def weighed(self) -> str:
        return self.random_elements(self.colours, length=1)[0]  # type: ignore[attr-defined,no-any-return]

    def counted(self, n: int = 3) -> str:
        return "x" * n


@pytest.fixture
def own() -> tuple[Any, Planner]:
    from faker.providers import BaseProvider

    fake = faker.Faker("en_US", use_weighting=False).factories[0]
    fake.add_provider(type("Provider", (Own, BaseProvider), {}))
    return fake, Planner(fake)


def test_what_is_understood_and_what_is_called(own: tuple[Any, Planner]) -> None:
    fake, planner = own
    found = {name: planner.of(getattr(fake, name)) for name in vars(Own) if name.islower()
             and callable(getattr(fake, name, None))}  # fmt: skip
    assert found["colour"] == found["maybe"] == Pick(("red", "blue"))
    assert found["pair"] == any_of(
        [Pick(("red, red", "red, blue", "blue, red", "blue, blue")), Pick(("no red", "no blue"))]
    )
    loud = set(found["loud"].draw(4_000, np.random.default_rng(1)))
    assert len(loud) == 180
    assert {"RED-10", "BLUE-99"} <= loud
    # The same value in two places, other ways of drawing, and arithmetic are left to Faker.
    for name in ("twice", "weighed", "counted"):
        assert isinstance(found[name], FakerCall), name
    assert set(found["twice"].draw(50, np.random.default_rng(1))) == {"redred", "blueblue"}


def test_a_text_is_changed_beforehand_only_where_its_parts_change_alone(
    own: tuple[Any, Planner],
) -> None:
    from faker.utils.text import slugify

    fake, _ = own
    # Small sigma has another form at the end of a word: "\u039f\u03a3" alone, and before "\u0391".
    greek = ConcatenatedDraw((Pick(("\u039f\u03a3", "\u0391")), Pick(("", "\u0391"))))
    small = changed(greek, str.lower, has_no_sigma)
    assert isinstance(small, MappedDraw)
    expected = {(a + b).lower() for a in greek.parts[0].values for b in greek.parts[1].values}  # type: ignore[attr-defined]
    assert set(small.draw(200, np.random.default_rng(1))) == expected
    latin = changed(ConcatenatedDraw((Pick(("OS",)), Pick(("", "A")))), str.lower, has_no_sigma)
    assert latin == Pick(("os", "osa"))
    plans = {name: Planner(fake).of(getattr(fake, name)) for name in ("user_name", "email")}
    rng = np.random.default_rng(4)
    for text in plans["user_name"].draw(2_000, rng):
        assert slugify(text, allow_unicode=True) == text != ""
    mails = plans["email"].draw(2_000, rng)
    assert all(text.partition("@")[2] in fake.email.__self__.safe_domain_names for text in mails)
    assert not [text for text in mails if set(text) & set("#?%")]


def test_one_seed_gives_one_pool_whatever_was_asked_before() -> None:
    def pool(provider: str, seed: int = 3, **arguments: object) -> tuple[str, ...]:
        from twinset.generators.text._faker.faker import _pool

        _pool.cache_clear()
        return faker_values(
            provider, arguments, locale="en_US", calls=200, seed=seed, what="the slot"
        )

    mail, name = pool("ascii_safe_email"), pool("name")
    assert mail == pool("ascii_safe_email")
    assert name == pool("name") != pool("name", 4)
    signs = pool("bothify", text="??-%#")
    assert all(one[2] == "-" and one[3] != "0" and one[:2].isalpha() for one in signs)
    with pytest.raises(ParameterError, match="unknown Faker provider; got _nam"):
        pool("_nam")


def test_the_different_values_come_in_the_order_in_which_they_were_drawn() -> None:
    plan = Pick(("a", "b", "c", "b", "d", "e"))
    for seed in range(20):
        drawn = plan.draw(5, np.random.default_rng(seed))
        assert plan.distinct(5, np.random.default_rng(seed)) == list(dict.fromkeys(drawn))


@pytest.mark.parametrize("name", ["numerify", "bothify", "lexify"])
def test_every_sign_is_filled_as_faker_fills_it(name: str) -> None:
    fake, planner = _faker("en_US")
    text = "a#%$!@?-"
    plan = planner.plan(getattr(fake, name), {"text": text})
    assert not called_in(plan)
    fake.seed_instance(3)
    by_calls = [getattr(fake, name)(text=text) for _ in range(_N)]
    drawn = plan.draw(_N, np.random.default_rng(3))
    for tell in (len, lambda one: one[1:2], lambda one: one[4:5], lambda one: one[-3:-1]):
        tables = [Counter(map(tell, side)) for side in (by_calls, drawn)]
        kinds = [kind for kind in set().union(*tables) if sum(t[kind] for t in tables) >= 40]
        rows = [[t[kind] for kind in kinds] for t in tables]
        assert len(kinds) == 1 or chi2_contingency(rows).pvalue > 1e-3

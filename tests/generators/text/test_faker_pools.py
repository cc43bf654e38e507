"""Pools of Faker: one seed gives one pool, and no value has odd blanks."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor

import pytest

from twinset.core.errors import ParameterError
from twinset.generators.text._grammar import slots

pytest.importorskip("faker")


def pool(
    provider: str,
    arguments: Mapping[str, object] | None = None,
    *,
    locale: str = "en_US",
    calls: int = 200,
    seed: int = 3,
) -> tuple[str, ...]:
    slots._faker_values.cache_clear()
    key = json.dumps(arguments or {})
    return slots._faker_values(provider, key, locale, calls, seed, "the slot")


def test_one_seed_gives_one_pool_whatever_was_drawn_before() -> None:
    email, name = pool("ascii_safe_email"), pool("name")
    assert email == pool("ascii_safe_email")
    assert name == pool("name") != pool("name", seed=4)
    assert pool("name", calls=50) == name[:50]


def test_threads_that_fill_pools_at_the_same_time_get_the_same_values() -> None:
    providers = ["name", "city", "company", "ascii_safe_email"] * 3
    expected = [pool(provider) for provider in providers]
    slots._faker_values.cache_clear()

    def fill(provider: str) -> tuple[str, ...]:
        return slots._faker_values(provider, "{}", "en_US", 200, 3, "the slot")

    with ThreadPoolExecutor(4) as threads:
        assert list(threads.map(fill, providers)) == expected


@pytest.mark.parametrize("locale", ["en_US", "de_DE", "ja_JP"])
def test_values_are_distinct_and_have_single_spaces(locale: str) -> None:
    for provider in ("name", "address"):
        values = pool(provider, locale=locale, calls=100)
        assert len(set(values)) == len(values) <= 100
        assert all(value and " ".join(value.split()) == value for value in values)


def test_arguments_reach_the_provider() -> None:
    values = pool("numerify", {"text": "%#-##"})
    assert all(re.fullmatch(r"[1-9]\d-\d\d", value) for value in values)
    with pytest.raises(ParameterError, match="refuses its arguments"):
        pool("name", {"colour": "red"})
    with pytest.raises(ParameterError, match="unknown Faker provider; got _name"):
        pool("_name")

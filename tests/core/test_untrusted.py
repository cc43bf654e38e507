"""JSON and YAML of files that others wrote: limits of nesting, aliases, keys; one place for all of it."""

import json
import random
import re
from pathlib import Path

import pytest

from twinset.core.untrusted import (
    MAX_ALIASES,
    MAX_DEPTH,
    first_deep_line,
    parse_json,
    parse_yaml,
    plain_rows,
)

ROOT = Path(__file__).parents[2]
DIRECT = re.compile(
    r"\bjson\.loads?\(|JSONDecoder|\byaml\.(\w+_)?(load|compose|parse|scan)(_all)?\("
)
# Files that may parse by themselves, and why.
DIRECT_CALLS = {
    "twinset/core/untrusted.py": "is the place for it",
    "twinset/io/text/rows.py": "single numbers and truth values that a schema of this run declared",
    "twinset/workflows/paraphrase/requests.py": "finds JSON between the words of an answer",
}


def nested(depth: int, opening: str = "[", closing: str = "]") -> str:
    return opening * depth + "1" + closing * depth


def test_json_and_yaml_are_parsed_in_one_place() -> None:
    found = {
        path.relative_to(ROOT).as_posix()
        for top in ("twinset", "generators", "augment", "evaluation")
        for path in (ROOT / top).rglob("*.py")
        if DIRECT.search(path.read_text("utf-8"))
    }
    assert found == set(DIRECT_CALLS)


JSON_FAULTS = [
    (nested(MAX_DEPTH + 1), "line 1: values are nested too deep; allowed: 64 levels"),
    (nested(100_000), "too deep"),
    ("[" * 100_000, "too deep"),
    ('{"a":\n' + nested(20_000, '{"a":', "}") + "}", "line 2: values are nested too deep"),
    ('["' + "]" * 200 + '",' + nested(5_000) + "]", "too deep"),
    (r'["\"' + "]" * 200 + r'\\",' + nested(5_000) + "]", "too deep"),
    (nested(70).encode("utf-16"), "too deep"),
    ('{"a": 1, "b": 2, "a": 1}', "^the key 'a' stands twice in one object$"),
    ('[{"x": {"\\u001b[31m": 1, "\\u001b[31m": 2}}]', r"the key '\\x1b\[31m' stands twice"),
    ('{"%s": 1, "%s": 2}' % (2 * ("k" * 9_000,)), r"^.{20,90}$"),
    ("1" + "0" * 5_000, "a number of too many digits"),
    (b'{"a": "\xff"}', "not encoded in UTF-8"),
    ("{", "Expecting"),
    ("", "Expecting"),
]


def test_json_beyond_a_limit_is_refused() -> None:
    for text, sentence in JSON_FAULTS:
        with pytest.raises(ValueError, match=sentence):
            parse_json(text)


def test_json_within_the_limits_is_read() -> None:
    assert parse_json(nested(MAX_DEPTH)) == json.loads(nested(MAX_DEPTH))
    flat = [{"text": '[[{{"' + "[" * 500, "n": [k], "more": {"a": {}}} for k in range(200)]
    for text in (json.dumps(flat), json.dumps(flat, indent=2)):
        assert parse_json(text) == parse_json(text.encode()) == flat
        assert parse_json(text.encode("utf-16")) == parse_json(text.encode("utf-8-sig")) == flat
    assert parse_json('"\\ud800"') == "\ud800"


def depth_of(value: object) -> int:
    items = (
        value.values() if isinstance(value, dict) else value if isinstance(value, list) else None
    )
    return 0 if items is None else 1 + max(map(depth_of, items), default=0)


def drawn(rng: random.Random, depth: int) -> object:
    """Return a value of this depth whose texts hold what could be taken for brackets and quotes."""
    text = "".join(rng.choice('[]{}"\\a,:\n') for _ in range(rng.randrange(12)))
    if depth == 0:
        return text
    inner = drawn(rng, depth - 1)
    return rng.choice(([text, inner], {text: inner, "": text}, [inner, {}, text], {"k": inner}))


def test_the_depth_of_json_is_counted_exactly() -> None:
    rng = random.Random(7)
    for _ in range(300):
        depth = rng.choice((1, 5, MAX_DEPTH - 1, MAX_DEPTH, MAX_DEPTH + 1, MAX_DEPTH + 9))
        value = drawn(rng, depth)
        line = json.dumps(value, ensure_ascii=rng.random() < 0.5).encode() + b"\n"
        is_deep = depth_of(value) > MAX_DEPTH
        assert (first_deep_line(line) is not None) == is_deep
        good = json.dumps(drawn(rng, 3)).encode() + b"\n"
        assert first_deep_line(good * 4 + line + good) == (4 if is_deep else None)
        assert not is_deep or plain_rows(good + line + good) == 0


def test_nesting_across_lines_is_found() -> None:
    assert first_deep_line(b'{"a":\n' * 100) == MAX_DEPTH
    assert first_deep_line(b'{"a":\n1}\n' * 100) is None
    assert first_deep_line(b"]]]]\n" * 90 + b"[" * 70) == 90
    assert first_deep_line(b'"["\n' * 100 + b"{}") is None
    assert first_deep_line(b'{"a": "[\n' + b"[" * 70) == 1  # a string ends with its line
    assert first_deep_line(b"") is first_deep_line(b"\n\n") is None


def test_rows_that_need_no_second_look_are_counted() -> None:
    row = b'{"a": [{}], "b": "[\\""}'
    assert plain_rows((row + b"\n") * 3) == plain_rows((row + b"\r\n") * 3) == 3
    doubtful = [
        b"",
        b"\n",
        b"\r\n",
        b"{",
        row,
        row + b"\n" + row,
        b" " + row + b"\n",
        b"[1]\n",
        b"null\n",
    ]
    doubtful += [row + b"\n\n", b'{"x": [{}\n, {}]}\n', b'{"a": ' + b"[" * 64 + b"]" * 64 + b"}\n"]
    assert [plain_rows(lines) for lines in doubtful] == [0] * len(doubtful)


BOMB = "a: &a [x, x]\n" + "".join(
    f"{b}: &{b} [{', '.join([f'*{a}'] * 9)}]\n" for a, b in zip("abcdefgh", "bcdefghi")
)
YAML_FAULTS = [
    ("a: " + nested(MAX_DEPTH), "line 1: values are nested too deep; allowed: 64 levels"),
    ("a: " + "[" * 50_000, "too deep"),
    (
        "a:\n" + "".join(" " * k + "a:\n" for k in range(1, 90)),
        "line 65: values are nested too deep",
    ),
    (BOMB, "line 4: there are too many aliases; allowed: 20"),
    ("a: &a [*a]", "line 1: an alias stands inside the value that it names"),
    ("a: &a {b: {c: *a}}", "inside the value that it names"),
    ("a: *b", "not YAML: found undefined alias"),
    ("a: &x {k: 1}\nb:\n  <<: *x", "line 3: the key '<<' is not read"),
    ("a: 1\nb: 2\na: 3", "line 3: the key 'a' stands twice"),
    ("- {b: [{c: 1, c: 2}]}", "line 1: the key 'c' stands twice"),
    ("a: [1\nb: 2", "line 2: this is not YAML"),
    ("a: 1\n---\nb: 2", "this is not YAML"),
    ("a: \x07", "no text"),
    ("a: !!python/object:os.system x", "line 1: a tag or key is none of plain YAML"),
    ("? [a]\n: 1", "a tag or key is none of plain YAML"),
    ("a: 2024-99-99", "a number or date"),
    ("a: 1" + "0" * 5_000, "a number or date"),
]


def test_yaml_beyond_a_limit_is_refused() -> None:
    for text, sentence in YAML_FAULTS:
        with pytest.raises(ValueError, match=sentence):
            parse_yaml(text)


def test_yaml_within_the_limits_is_read() -> None:
    assert parse_yaml("") is None
    assert parse_yaml("names: [cell]\nnc: 1 # a comment") == {"names": ["cell"], "nc": 1}
    assert parse_yaml("a: &a [1]\nb: [" + "*a, " * MAX_ALIASES + "]")["b"] == [[1]] * MAX_ALIASES
    assert parse_yaml(nested(MAX_DEPTH)) == json.loads(nested(MAX_DEPTH))

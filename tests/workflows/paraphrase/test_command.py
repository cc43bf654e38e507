"""`twinset paraphrase` against a server that behaves well, and against one that does not."""

from __future__ import annotations

import random
import socket
import sys
from pathlib import Path

import pytest
import yaml

from twinset.core.seeding import rng_for
from twinset.recipe import load_recipe
from twinset.registry import build

from .conftest import (
    KEY,
    TEMPLATES,
    Asked,
    Reply,
    Run,
    Server,
    files_below,
    listed,
    plain,
    said,
    script_of,
)

GOOD = listed("Give me {amount} back for {order}", "{order}: I would like {amount} returned")


def test_wordings_stand_behind_their_templates(run: Run, server: Server) -> None:
    server.script = lambda asked, _: (
        GOOD if asked.question["template"].startswith("Please") else listed("nothing of it")
    )
    done = run("--variants", 2)
    assert done.code == 0
    assert done.written is not None
    lines = done.written.splitlines()
    assert lines[2] == "# model: small"
    assert lines[3].startswith("# prompt: ")
    assert lines[4] == "# accepted: 2, refused: 2"
    assert lines[5:9] == TEMPLATES.splitlines()[:3] + [lines[8]]
    assert lines[8].startswith('  - "Give me {amount} back for {order}"   # ')
    assert yaml.safe_load(done.written) == {
        "refund": [
            "Please refund {amount} for {order}.",
            "Give me {amount} back for {order}",
            "{order}: I would like {amount} returned",
            "I want {amount} back",
        ],
        "ask": ["Where is {order}?"],
    }
    assert "2 refused because a placeholder was dropped" in done.out
    assert [request.path for request in server.requests] == ["/v1/chat/completions"] * 3
    assert {request.headers["Authorization"] for request in server.requests} == {f"Bearer {KEY}"}


def test_a_recipe_comes_back_as_a_recipe_that_runs(run: Run, server: Server) -> None:
    shipped = Path(__file__).parents[3] / "configs" / "support_tickets.yaml"
    Path("tickets.yaml").write_text(shipped.read_text())
    done = run("--label", "refund", file="tickets.yaml")
    assert done.code == 0
    old, new = (load_recipe(Path(name)).generate[0] for name in ("tickets.yaml", "new.yaml"))
    assert len(new.settings["templates"]["refund"]) == 3 * len(old.settings["templates"]["refund"])
    assert new.settings["templates"]["login"] == old.settings["templates"]["login"]
    assert "# label -> sentences; {slot} is filled and marked as a span" in (done.written or "")
    assert build("generator", "text.templates", new.settings)


@pytest.mark.parametrize(
    ("wording", "why"),
    [
        ("Give me {amount} back", "a placeholder was dropped"),
        ("Give me {amount} for {order} at {city}", "a placeholder was invented"),
        ("Give me {amount} or {amount} for {order}", "a placeholder was repeated"),
        ("Give me {Amount} for {order}", "a placeholder was invented"),
        ("Give me {amount} for {order} [soon]", "a sign that has a meaning"),
        ("Give me {amount} for {order} or {", "a sign that has a meaning"),
        ("please REFUND {amount} for {order}!", "it is there already"),
        ("Where is {order}?", "a placeholder was dropped"),
        ("Give {amount} {order} " + "now " * 90, "far longer"),
        ("{amount} {order}", "it holds no words"),
        ("Give\u0007 {amount} for {order}", "cannot be printed"),
    ],
)
def test_wordings_that_cannot_serve_are_refused(
    wording: str, why: str, run: Run, server: Server
) -> None:
    server.script = script_of([listed(wording)])
    Path("templates.yaml").write_text('a:\n- "Please refund {amount} for {order}."\n')
    done = run()
    assert done.code == 2
    assert f"1 refused because {why}" in done.err or why in done.err
    assert wording not in done.said
    assert done.written is None


def test_a_wording_is_taken_once_under_all_labels(run: Run, server: Server) -> None:
    server.script = script_of([listed("so it is {x}", "So it is {x}!", "or {x}\n is it")])
    Path("templates.yaml").write_text('a:\n- "this is {x}"\nb:\n- "that is {x}"\n')
    done = run()
    assert yaml.safe_load(done.written or "") == {
        "a": ["this is {x}", "so it is {x}", "or {x} is it"],
        "b": ["that is {x}"],
    }
    assert "4 refused because it is there already" in done.out


BUSY = Reply("slow down", 429, {"Retry-After": "0"})
HTML = Reply("<!doctype html><title>Bad gateway</title>", headers={"content-type": "text/html"})

PASSING = {
    "busy": [BUSY, BUSY, GOOD],
    "out of order": [Reply("oops", 500), Reply("<html>", 503), GOOD],
    "broken JSON once": [said('{"variants": ["Give me'), GOOD],
    "a page once": [HTML, GOOD],
    "no list once": [said('{"words": 3}'), GOOD],
    "empty once": [said(""), GOOD],
    "cut off once": [said('{"variants": ["Give', finish="length"), GOOD],
    "a fence": [said('Sure!\n```json\n{"variants": ["Give {amount} for {order}"]}\n```')],
    "thoughts before": [
        said('<think>keep {amount}</think> {"variants": ["Give {amount} for {order}"]}')
    ],
    "another name": [Reply('{"error": "use max_completion_tokens"}', 400), GOOD],
    "no temperature": [Reply('{"error": "temperature is fixed"}', 422), GOOD],
    "no formats": [Reply('{"error": "response_format is not known"}', 400), GOOD],
}


@pytest.mark.parametrize("replies", PASSING.values(), ids=PASSING)
def test_what_passes_is_waited_out(replies: list[Reply], run: Run, server: Server) -> None:
    server.script = script_of(replies)
    done = run("--label", "refund")
    assert done.code == 0, done.err
    assert "wordings accepted" in done.out
    per_template = len(server.requests) / 2
    assert per_template == len(replies)
    last = server.requests[-1].body
    assert ("response_format" in last) == (replies is not PASSING["no formats"])
    assert ("temperature" in last) == (replies is not PASSING["no temperature"])
    assert ("max_completion_tokens" in last) == (replies is PASSING["another name"])


def test_no_more_are_taken_than_asked_for(run: Run, server: Server) -> None:
    Path("templates.yaml").write_text('a:\n- "this is {x}"\n')
    server.script = script_of(
        [listed(*(f"{{x}} comes {word}" for word in ("now", "late", "soon")))]
    )
    done = run("--variants", 2)
    assert yaml.safe_load(done.written or "")["a"] == [
        "this is {x}",
        "{x} comes now",
        "{x} comes late",
    ]
    assert "1 refused because more were given than requested" in done.out


LASTING = {
    "broken JSON": ([said('{"variants": ["Give me')], "no JSON with a list 'variants'", 2),
    "cut off": ([said("{", finish="length")], "breaks off at the limit of tokens", 2),
    "a page": ([HTML], "a page of HTML instead of a completion", 4),
    "other JSON": ([Reply("[]")], "something else instead of a completion", 4),
    "deep JSON": ([Reply("[" * 100_000)], "something else instead of a completion", 4),
    "deep answer": ([said("[" * 2_000)], "no JSON with a list 'variants'", 2),
    "no JSON": ([Reply("\xff\xfe")], "something else instead of a completion", 4),
    "busy": ([BUSY], "status 429", 4),
    "out of order": ([Reply("oops", 502)], "status 502", 4),
    "long wait": ([Reply("", 429, {"Retry-After": "3600"})], "asks to wait for 3600 seconds", 1),
    "wrong key": ([Reply(f"bad key {KEY}", 401)], "status 401; check the key", 1),
    "no model": ([Reply("<html>no such page", 404)], "status 404; check the base URL", 1),
    "moved": ([Reply("", 307, {"Location": "http://127.0.0.1:9/"})], "status 307", 1),
}


@pytest.mark.parametrize(("replies", "words", "n"), LASTING.values(), ids=LASTING)
def test_what_lasts_ends_in_one_sentence(
    replies: list[Reply], words: str, n: int, run: Run, server: Server, tmp_path: Path
) -> None:
    server.script = script_of(replies)
    Path("templates.yaml").write_text('a:\n- "this is {x}"\n')
    before = files_below(tmp_path)
    done = run()
    assert done.code == 2
    assert words in done.err
    assert done.err.count("\n") == 1
    assert done.err.startswith("twinset: ")
    assert len(server.requests) == n
    assert KEY not in done.said
    assert files_below(tmp_path) == before


GRAMMAR = """\
templates:
  ask:
  - "<hello>[, please ?0.3] (send|bring *2) {thing} to {who.name}"
slots: {thing: [tea, milk]}
rules: {hello: [hi, hello]}
tables: {who: {rows: [{name: Ann}, {name: Bo}]}}
"""


def test_a_grammar_goes_out_in_plain_words_and_comes_back_whole(run: Run, server: Server) -> None:
    Path("templates.yaml").write_text(GRAMMAR)
    server.script = script_of(
        [
            listed(
                "{thing} for {who.name}, <hello>", "hello, {thing} for {who.name}", "(so) <hi> {x}"
            )
        ]
    )
    done = run()
    assert server.requests[0].question["template"] == "<hello>, please send {thing} to {who.name}"
    settings = yaml.safe_load(done.written or "")
    assert len(settings["templates"]["ask"]) == 2
    texts = build("generator", "text.templates", settings).fit(None, rng_for(1, "fit"))
    said = texts.sample(4, rng_for(1, "draw")).records.column("text").to_pylist()
    assert {text for text in said if ", h" in text} <= {
        f"{thing} for {who}, {hello}"
        for thing in ("tea", "milk")
        for who in ("Ann", "Bo")
        for hello in ("hi", "hello")
    }


def test_a_wait_that_is_asked_for_is_kept(run: Run, server: Server) -> None:
    server.script = script_of([Reply("", 429, {"Retry-After": "1"}), plain_now()])
    Path("templates.yaml").write_text('a:\n- "this is {x}"\n')
    assert run().code == 0
    first, second = server.requests
    assert second.time - first.time >= 1


def plain_now() -> Reply:
    return listed("here you see {x}")


@pytest.mark.parametrize("slow", [Reply("{}", delay=0.6), Reply("x" * 50, drip=0.05)])
def test_a_slow_server_is_given_up(slow: Reply, run: Run, server: Server) -> None:
    server.script = script_of([slow])
    Path("templates.yaml").write_text('a:\n- "this is {x}"\n')
    done = run("--timeout", 0.2, "--tries", 2)
    assert done.code == 2
    assert "no answer came within 0.2 seconds" in done.err
    assert len(server.requests) == 2


def test_a_server_that_is_not_there_is_reported(run: Run, tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    before = files_below(tmp_path)
    done = run(url=f"http://127.0.0.1:{port}/v1")
    assert done.code == 2
    assert f"the server at 127.0.0.1:{port} cannot be reached" in done.err
    assert files_below(tmp_path) == before


def test_some_templates_may_fail(run: Run, server: Server) -> None:
    server.script = lambda asked, _: (
        Reply("oops", 500) if asked.question["intent"] == "ask" else plain(asked)
    )
    done = run()
    assert done.code == 0
    assert "4 wordings accepted for 2 templates" in done.out
    assert "no answer about ask-1: the server answers with status 500" in done.out


def test_the_order_of_answers_changes_nothing(run: Run, server: Server) -> None:
    order = random.Random(3)
    many = "".join(f'- "number {k} is {{x}}"\n' for k in range(24))
    Path("templates.yaml").write_text(f"a:\n{many}")

    def answer(asked: Asked, _: int) -> Reply:
        reply = plain(asked)
        reply.delay = order.random() / 20
        return reply

    server.script = answer
    written = []
    for concurrency in (1, 8):
        done = run("--concurrency", concurrency, "--cache", f"cache-{concurrency}", "--force")
        assert done.code == 0
        written.append(done.written)
    assert written[0] == written[1]
    assert len(server.requests) == 48


def test_no_more_requests_at_a_time_than_allowed(run: Run, server: Server) -> None:
    now, most = [0], [0]

    def answer(asked: Asked, _: int) -> Reply:
        with server.lock:
            now[0] += 1
            most[0] = max(most[0], now[0])
        threading_wait(0.03)
        with server.lock:
            now[0] -= 1
        return plain(asked)

    server.script = answer
    Path("templates.yaml").write_text("a:\n" + "".join(f'- "no {k} is {{x}}"\n' for k in range(12)))
    assert run("--concurrency", 3).code == 0
    assert 1 < most[0] <= 3


def threading_wait(seconds: float) -> None:
    import threading

    threading.Event().wait(seconds)


def test_answers_are_paid_for_once(run: Run, server: Server, tmp_path: Path) -> None:
    first = run()
    assert len(server.requests) == 3
    again = run("--force", "--budget", 0)
    assert again.written == first.written
    assert len(server.requests) == 3
    kept = sorted(path for path in (tmp_path / "cache").rglob("*") if path.is_file())
    assert len(kept) == 3
    kept[0].write_text("{")
    kept[1].write_text('{"request": "another", "answer": "x"}')
    assert run("--force").written == first.written
    assert len(server.requests) == 5
    assert run("--force", "--variants", 7).code == 0
    assert len(server.requests) == 8


def test_the_key_is_written_nowhere(run: Run, tmp_path: Path) -> None:
    done = run()
    assert KEY not in done.said
    for content in files_below(tmp_path).values():
        assert KEY.encode() not in content


def test_a_dry_run_shows_no_password_of_an_address(run: Run) -> None:
    done = run("--dry-run", url="http://me:hush@127.0.0.1/v1")
    assert done.code != 0
    assert "carries a name, a password" in done.err
    assert "hush" not in done.out + done.err


def test_a_dry_run_sends_nothing(run: Run, server: Server, tmp_path: Path) -> None:
    before = files_below(tmp_path)
    done = run("--dry-run")
    assert done.code == 0
    assert "Please refund {amount} for {order}." in done.out
    assert "3 requests" in done.out
    assert "nothing was sent" in done.out
    assert server.requests == []
    assert files_below(tmp_path) == before


def test_nothing_is_sent_unless_a_server_is_named(
    run: Run, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", server.url)
    done = run(url=None)
    assert done.code == 2
    assert "no server is named, so nothing is asked" in done.err
    assert server.requests == []
    monkeypatch.setenv("TWINSET_LLM_BASE_URL", server.url)
    assert "no model is named" in run(url=None).err
    monkeypatch.setenv("TWINSET_LLM_MODEL", "small")
    assert run(url=None).code == 0
    assert len(server.requests) == 3


def test_the_budget_is_held_before_anything_is_sent(run: Run, server: Server) -> None:
    done = run("--dry-run")
    most = int(done.out.split("at most ")[1].split(" ")[0].replace(",", ""))
    part = run("--budget", most - 1)
    assert "beyond the budget, not asked about: ask-1" in part.out
    assert len(server.requests) == 2
    none = run("--budget", 10, "--cache", "other", "--force")
    assert none.code == 2
    assert "no other wording was accepted" in none.err
    assert len(server.requests) == 2


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--variants", "0"], "1 to 50 variants"),
        (["--concurrency", "0"], "the concurrency is out of its range"),
        (["--timeout", "0"], "'timeout' is out of its range"),
        (
            ["--label", "refnd"],
            "unknown label 'refnd' (templates.yaml); allowed: ask, refund; did you",
        ),
        (["--out", "templates.yaml"], "--out would overwrite 'templates.yaml'"),
        (["--out", "no/such/x.yaml"], "the folder 'no/such' does not exist"),
        (["--out", "taken.yaml"], "there is a 'taken.yaml' already"),
    ],
)
def test_mistakes_are_reported_before_anything_is_sent(
    words: list[str], sentence: str, run: Run, server: Server
) -> None:
    Path("taken.yaml").write_text("mine")
    done = run(*words)
    assert done.code == 2
    assert sentence in done.err
    assert server.requests == []
    assert Path("taken.yaml").read_text() == "mine"


@pytest.mark.parametrize(
    "url",
    ["ftp://127.0.0.1/v1", "127.0.0.1/v1", "http://me:hidden@127.0.0.1/v1", "http://h/v1?k=hidden"],
)
def test_addresses_that_may_hold_secrets_are_refused_unseen(url: str, run: Run) -> None:
    done = run(url=url)
    assert done.code == 2
    assert "the base URL" in done.err
    assert "hidden" not in done.said


def test_without_httpx_the_extra_is_named(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "httpx", None)
    done = run()
    assert done.code == 2
    assert "pip install 'twinset[llm]'" in done.err

"""A server on 127.0.0.1 that answers as a test tells it to, and the command run against it."""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from twinset.cli import main

KEY = "sk-very-secret-7"
TEMPLATES = """\
# Said by customers.
refund:
  - "Please refund {amount} for {order}."
  - "I want {amount} back"   # short
ask:
  - "Where is {order}?"
"""


@dataclass
class Reply:
    """What the server sends: a status, headers, a body, and how slowly."""

    body: str | bytes
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    delay: float = 0.0
    drip: float = 0.0


def said(content: str, finish: str = "stop") -> Reply:
    """A completion with this content."""
    choice = {"message": {"role": "assistant", "content": content}, "finish_reason": finish}
    return Reply(json.dumps({"choices": [choice], "usage": {"total_tokens": 90}}))


def listed(*variants: str) -> Reply:
    """A completion that lists wordings."""
    return said(json.dumps({"variants": list(variants)}))


@dataclass(frozen=True)
class Asked:
    """One request as it arrived."""

    body: dict[str, Any]
    headers: dict[str, str]
    path: str
    time: float

    @property
    def question(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.body["messages"][1]["content"])
        return found


Script = Callable[[Asked, int], Reply]
"""Request and how often the same template was asked about before -> reply."""


class Server:
    """Counts what is asked; the script may be changed between runs."""

    def __init__(self) -> None:
        self.script: Script = lambda asked, _: plain(asked)
        self.requests: list[Asked] = []
        self.lock = threading.Lock()
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                asked = Asked(body, dict(self.headers.items()), self.path, time.monotonic())
                with server.lock:
                    before = sum(r.body["messages"] == body["messages"] for r in server.requests)
                    server.requests.append(asked)
                self.reply(server.script(asked, before))

            def reply(self, reply: Reply) -> None:
                time.sleep(reply.delay)
                data = reply.body.encode() if isinstance(reply.body, str) else reply.body
                try:
                    self.send_response(reply.status)
                    for name, value in reply.headers.items():
                        self.send_header(name, value)
                    self.send_header("content-length", str(len(data)))
                    self.end_headers()
                    for k in range(len(data)) if reply.drip else ():
                        self.wfile.write(data[k : k + 1])
                        self.wfile.flush()
                        time.sleep(reply.drip)
                    if not reply.drip:
                        self.wfile.write(data)
                except OSError:
                    pass  # the client had enough

            def log_message(self, *words: object) -> None:
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.http.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.http.server_address[1]}/v1"
        threading.Thread(target=self.http.serve_forever, args=(0.05,), daemon=True).start()

    def close(self) -> None:
        self.http.shutdown()
        self.http.server_close()


def plain(asked: Asked) -> Reply:
    """Two good wordings of whatever template."""
    template = asked.question["template"]
    names = " and ".join(asked.question["placeholders"])
    first = re.sub(r"[{}<>]", "", template)[:12].strip()
    return listed(f"{first}: it is about {names}", f"{names}, that is what I mean by {first}")


@pytest.fixture
def server() -> Iterator[Server]:
    pytest.importorskip("httpx", reason="httpx is not installed")
    made = Server()
    yield made
    made.close()


@dataclass(frozen=True)
class Outcome:
    """What the command returned, printed and wrote."""

    code: int
    out: str
    err: str
    written: str | None

    @property
    def said(self) -> str:
        return self.out + self.err


Run = Callable[..., Outcome]


@pytest.fixture
def run(
    server: Server,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Run:
    """Run `twinset paraphrase` on `templates.yaml` in a fresh folder, against the server."""
    monkeypatch.chdir(tmp_path)
    for name in ("TWINSET_LLM_MODEL", "TWINSET_LLM_BASE_URL", "HTTP_PROXY", "http_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("TWINSET_LLM_API_KEY", KEY)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr("twinset.workflows.paraphrase.endpoint._FIRST_WAIT", 0.01)
    Path("templates.yaml").write_text(TEMPLATES)

    def go(*words: object, url: str | None = "", file: str = "templates.yaml") -> Outcome:
        capsys.readouterr()
        named = [] if url is None else ["--base-url", url or server.url, "--model", "small"]
        asked = ["paraphrase", file, *named, *(str(word) for word in words)]
        code = main(asked if "--out" in asked else [*asked, "--out", "new.yaml"])
        printed = capsys.readouterr()
        new = Path("new.yaml")
        return Outcome(code, printed.out, printed.err, new.read_text() if new.exists() else None)

    return go


def script_of(replies: Sequence[Reply]) -> Script:
    """Answer each template with these replies in turn; the last one stays."""
    return lambda _, before: replies[min(before, len(replies) - 1)]


def files_below(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }

"""Hand-made scores and sets, and a headless Chromium steered over its DevTools protocol."""

from __future__ import annotations

import base64
import itertools
import json
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
import pytest

from twinset.core.contracts import Estimate, Score
from twinset.core.data.dataset import Dataset
from twinset.core.findings import DifferentComponents, NotMeasured, Verdict
from twinset.core.model_findings import (
    Effect,
    ModelComparison,
    ModelScore,
    TrainedModel,
    TrainingData,
)

FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--disable-dev-shm-usage",
    "--remote-allow-origins=*",
    "--remote-debugging-port=0",
)


def make_score(metric: str, verdict: str = "as good as real", **facts: object) -> Score:
    """Return a score whose unnamed facts are those of an unremarkable one."""
    known: dict = {
        "family": metric.partition(".")[0],
        "margin": 0.05,
        "higher_is_better": False,
    }
    numbers: dict = {
        "value": 0.02,
        "baseline": 0.01,
        "floor": 0.2,
        "interval": (0.0, 0.02),
        "detectable": 0.01,
    }
    if verdict == "not measurable":
        numbers = dict.fromkeys(numbers)
        if reason := facts.pop("reason", ""):
            facts["findings"] = (NotMeasured(str(reason)),)
    estimate = Estimate(**{name: facts.pop(name, value) for name, value in numbers.items()})
    own = known | {"estimate": estimate} | facts
    return Score(metric=metric, verdict=Verdict(verdict), **own)


def components(kind: str, *names: str, certain: float = 1.0) -> DifferentComponents:
    """Return components that are different."""
    return DifferentComponents(kind, names, 0.05, certain_degradation=certain)


def models(mixed: str = "no evidence", synthetic: str | None = "no evidence") -> ModelComparison:
    """Return a comparison of models; None leaves the model of synthetic rows out."""
    measured = {
        TrainingData.REAL: TrainedModel(TrainingData.REAL, (ModelScore(0.8),), 100),
        TrainingData.SYNTHETIC: TrainedModel(
            TrainingData.SYNTHETIC,
            (ModelScore(0.79, -0.01, (-0.03, 0.01)),),
            effect=Effect(synthetic) if synthetic else None,
        ),
        TrainingData.MIXED: TrainedModel(
            TrainingData.MIXED, (ModelScore(0.81, 0.01, (-0.01, 0.03)),), 150, Effect(mixed)
        ),
    }
    if synthetic is None:
        del measured[TrainingData.SYNTHETIC]
    decides = TrainingData.SYNTHETIC if synthetic else TrainingData.MIXED
    return ModelComparison(("average precision",), tuple(measured.values()), decides, 1000, 0.02)


@pytest.fixture
def score():
    """Return the maker of hand-made scores."""
    return make_score


@pytest.fixture
def people() -> Dataset:
    """Return 40 rows of a number, a whole number and a category."""
    rows = {
        "height": [150.0 + i for i in range(40)],
        "children": [i % 4 for i in range(40)],
        "town": ["Ulm"] * 25 + ["Bonn"] * 12 + ["Zwiefalten"] * 3,
    }
    return Dataset.from_arrow(pa.table(rows))


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    """Return a tab of a real browser."""
    if chromium() is None:
        pytest.skip("no chromium, chromium-browser or google-chrome on PATH")
    pytest.importorskip("websocket", reason="websocket-client is not installed")
    with browser(tmp_path_factory.mktemp("chromium") / "profile") as tab:
        yield tab


def chromium() -> str | None:
    """Return the path of a Chromium on PATH, or None."""
    names = ("chromium", "chromium-browser", "google-chrome")
    return next((found for found in map(shutil.which, names) if found), None)


class Page:
    """One tab. Events that arrive while a command waits for its answer are kept in `events`."""

    def __init__(self, address: str) -> None:
        import websocket

        self.socket = websocket.create_connection(address, timeout=60)
        self.numbers = itertools.count(1)
        self.events: list[dict] = []

    def send(self, method: str, **params: object) -> dict:
        number = next(self.numbers)
        self.socket.send(json.dumps({"id": number, "method": method, "params": params}))
        while True:
            message = json.loads(self.socket.recv())
            if message.get("id") == number:
                assert "error" not in message, message
                return message["result"]
            self.events.append(message)

    def open(self, url: str, *, width: int, height: int = 900, dark: bool = False) -> None:
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.send(f"{domain}.enable")
        self.send(
            "Emulation.setDeviceMetricsOverride",
            width=width, height=height, deviceScaleFactor=1, mobile=width < 600,
        )  # fmt: skip
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.send("Emulation.setEmulatedMedia", features=[scheme])
        self.events.clear()
        self.send("Page.navigate", url=url)
        until = time.monotonic() + 60
        while not any(event.get("method") == "Page.loadEventFired" for event in self.events):
            assert time.monotonic() < until, "the page did not load"
            self.evaluate("1")

    def evaluate(self, expression: str) -> object:
        answer = self.send("Runtime.evaluate", expression=expression, returnByValue=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def complaints(self) -> list[str]:
        """Return console errors and warnings, exceptions and log entries so far."""
        said = ("Runtime.exceptionThrown", "Runtime.consoleAPICalled", "Log.entryAdded")
        return [json.dumps(e["params"])[:400] for e in self.events if e.get("method") in said]

    def requests(self) -> list[str]:
        """Return the addresses that the page asked for, data addresses apart."""
        sent = [e for e in self.events if e.get("method") == "Network.requestWillBeSent"]
        urls = [event["params"]["request"]["url"] for event in sent]
        return [url for url in urls if not url.startswith("data:")]

    def screenshot(self, path: Path) -> None:
        answer = self.send("Page.captureScreenshot", captureBeyondViewport=True)
        path.write_bytes(base64.b64decode(answer["data"]))


@contextmanager
def browser(folder: Path) -> Iterator[Page]:
    """Run a Chromium with `folder` for its profile; yield its first tab."""
    import websocket  # noqa: F401

    command = [str(chromium()), *FLAGS, f"--user-data-dir={folder}", "about:blank"]
    with (folder.parent / "chromium.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        yield Page(_tab(folder))
    finally:
        process.terminate()
        try:
            process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _tab(folder: Path) -> str:
    from urllib.request import ProxyHandler, build_opener

    until = time.monotonic() + 60
    while time.monotonic() < until:
        note = folder / "DevToolsActivePort"
        if note.exists() and re.match(r"\d+\n", note.read_text()):
            port = note.read_text().split()[0]
            with build_opener(ProxyHandler({})).open(f"http://127.0.0.1:{port}/json") as answer:
                tabs = [t for t in json.load(answer) if t["type"] == "page"]
            if tabs:
                return tabs[0]["webSocketDebuggerUrl"]
        time.sleep(0.1)
    raise AssertionError("Chromium did not start")

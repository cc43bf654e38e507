"""Requests for other wordings of templates: one for each template, their cost, cache and answers."""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event
from typing import Any

from twinset.core.contracts import Progress, silent
from twinset.core.errors import DataError, ParameterError, UnknownNameError
from twinset.core.untrusted import parse_json
from twinset.io.files import write_text
from twinset.workflows.paraphrase.endpoint import Endpoint, NoAnswer
from twinset.workflows.paraphrase.sheet import Item, Sheet, Variant, Wording, normalize_wording

SYSTEM = """\
You write other wordings of one template of a short message.
Words in braces such as {order} and in angle brackets such as <greeting> are placeholders. Keep every \
placeholder letter for letter, each exactly as often as in the template, and invent none.
Keep what the message wants and the language that it is written in. Vary wording, order, length and tone, \
as different people would write it.
Write each wording on one line, without square brackets, bars or backslashes.
Answer with JSON alone: {"variants": ["...", "..."]}"""

FORMAT: dict[str, Any] = {
    "type": "json_schema",
    "json_schema": {
        "name": "variants",
        "strict": True,
        "schema": {
            "type": "object",
            "properties": {"variants": {"type": "array", "items": {"type": "string"}}},
            "required": ["variants"],
            "additionalProperties": False,
        },
    },
}

_BYTES_A_TOKEN = 3  # below the 4 of English in common tokenizers, so that costs are overestimated
_TOKENS_A_MESSAGE = 8  # role and separators around each message
_ANSWERS_A_REQUEST = 2  # a request whose answer cannot be used is sent once more
_SPARE_TOKENS = 100  # for a sentence or a code fence around the JSON of an answer


@dataclass(frozen=True)
class Request:
    """One request: the body that is sent, and what names it."""

    body: dict[str, Any]  # JSON of the request
    # SHA-256 of address and body, 64 hexadecimal digits: names it in the cache and beside variants
    digest: str
    # Tokens that it can cost at most: an estimate of the question, and the limit of the answer
    max_tokens: int


def request_for(
    wording: Wording, label: str, *, n: int, model: str, base_url: str, temperature: float
) -> Request:
    """Return the request for `n` other wordings of a template that stands under `label`."""
    question = json.dumps(
        {
            "intent": label,
            "template": wording.text,
            "placeholders": list(wording.placeholders),
            "variants": n,
        },
        ensure_ascii=False,
    )
    answer = n * (2 * _tokens(wording.text) + 10) + _SPARE_TOKENS
    body: dict[str, Any] = {
        "model": model,
        "messages": [{"role": "system", "content": SYSTEM}, {"role": "user", "content": question}],
        "temperature": temperature,
        "max_tokens": answer,
        "response_format": FORMAT,
    }
    identity = json.dumps([base_url, body], sort_keys=True, ensure_ascii=False)
    prompt = sum(_tokens(text) + _TOKENS_A_MESSAGE for text in (SYSTEM, question))
    return Request(body, hashlib.sha256(identity.encode()).hexdigest(), prompt + answer)


def prompt_digest() -> str:
    """Return the SHA-256 of what every request has in common, 64 hexadecimal digits."""
    return hashlib.sha256(json.dumps([SYSTEM, FORMAT], sort_keys=True).encode()).hexdigest()


def _tokens(text: str) -> int:
    """Return an estimate that is rather too large: three bytes a token."""
    return -(-len(text.encode()) // _BYTES_A_TOKEN)


class Cache:
    """A folder of answers. It holds what the model wrote, and neither question nor key."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def find(self, digest: str) -> str | None:
        """Return the answer to a request; None when there is none, or its file is damaged."""
        try:
            match parse_json(self._place(digest).read_bytes()):
                case {"request": request, "answer": str(answer)} if request == digest:
                    return answer
        except (OSError, ValueError):
            pass
        return None

    def keep(self, digest: str, answer: str) -> None:
        """Keep an answer; its file appears when it is whole."""
        content = json.dumps({"request": digest, "answer": answer}, ensure_ascii=False, indent=1)
        try:
            write_text(self._place(digest), f"{content}\n", private=True)
        except DataError as error:
            raise DataError(
                f"cannot keep answers in '{self.folder}'",
                got=error.got,
                todo="name another folder with --cache",
            ) from error

    def _place(self, digest: str) -> Path:
        return self.folder / digest[:2] / f"{digest}.json"


@dataclass(frozen=True)
class Job:
    """One template and its request."""

    position: int
    item: Item
    wording: Wording
    request: Request


@dataclass(frozen=True)
class RequestPlan:
    """Requests, decided before anything is sent."""

    jobs: tuple[Job, ...]  # Requests, in the order of the file
    # Templates passed over: they write signs that mean something in templates, or hold no words
    odd: tuple[Item, ...]
    beyond: tuple[Item, ...]  # Templates that the budget does not reach
    max_tokens: int  # What all requests that are not in the cache can cost at most
    n: int  # Wordings that are asked for, and taken at most, of each template


@dataclass
class ParaphraseResult:
    """Other wordings of templates, and what was refused or failed."""

    # Position of a template -> its other wordings, in the order of the answers
    variants: dict[int, list[Variant]] = field(default_factory=dict)
    # Why wordings were refused, and how often
    refused: Counter[str] = field(default_factory=Counter)
    # Position of a template -> why there is no answer about it
    failed: dict[int, str] = field(default_factory=dict)
    n_cached: int = 0  # Answers that were there already

    @property
    def n_accepted(self) -> int:
        """Wordings that were accepted."""
        return sum(map(len, self.variants.values()))


def plan_requests(
    sheet: Sheet,
    *,
    n: int,
    model: str,
    base_url: str,
    temperature: float = 0.8,
    budget: int = 200_000,
    labels: Sequence[str] = (),
    cache: Cache | None = None,
) -> RequestPlan:
    """Return the requests for `n` other wordings of each template, as far as the budget reaches.

    The budget limits what requests can cost at most, in the order of the file, before any is sent: the
    requests do not depend on which answer comes first.
    """
    if not 1 <= n <= 50 or not 0 <= temperature <= 2 or budget < 0:
        raise ParameterError(
            "a setting is out of its range",
            allowed="1 to 50 variants; a temperature of 0 to 2; a budget of 0 or more",
        )
    known = dict.fromkeys(item.label for item in sheet.items)
    for label in labels:
        if label not in known:
            raise UnknownNameError.for_name("label", label, known, sheet.name)
    jobs, odd, beyond, spent = list[Job](), list[Item](), list[Item](), 0
    for position, item in enumerate(sheet.items):
        if labels and item.label not in labels:
            continue
        wording = Wording.from_template(item.text)
        if wording is None:
            odd.append(item)
            continue
        request = request_for(
            wording, item.label, n=n, model=model, base_url=base_url, temperature=temperature
        )
        is_free = cache is not None and cache.find(request.digest) is not None
        cost = 0 if is_free else request.max_tokens * _ANSWERS_A_REQUEST
        if spent + cost > budget:
            beyond.append(item)
        else:
            spent += cost
            jobs.append(Job(position, item, wording, request))
    return RequestPlan(tuple(jobs), tuple(odd), tuple(beyond), spent, n)


def paraphrase(
    sheet: Sheet,
    plan: RequestPlan,
    endpoint: Endpoint,
    *,
    cache: Cache | None = None,
    concurrency: int = 4,
    progress: Progress = silent,
) -> ParaphraseResult:
    """Return other wordings of the planned templates; the same for any number of requests at a time.

    A wording is refused when it drops, repeats or invents a placeholder, holds a sign that templates
    give a meaning to, or is there already under any label.
    """
    if not 1 <= concurrency <= 64:
        raise ParameterError(
            "the concurrency is out of its range", got=str(concurrency), allowed="1 to 64"
        )
    result = ParaphraseResult()
    answers = _answers(plan.jobs, endpoint, cache, concurrency, progress, result)
    readings = [Wording.from_template(item.text) for item in sheet.items]
    known = {normalize_wording(reading.text) for reading in readings if reading is not None}
    for job, answer in zip(plan.jobs, answers):
        if answer is None:
            continue
        for text in variants_in(answer):
            reply = " ".join(text.split())
            reason = job.wording.refusal(reply, known)
            if not reason and len(result.variants.get(job.position, ())) == plan.n:
                reason = "more were given than requested"
            if reason:
                result.refused[reason] += 1
                continue
            known.add(normalize_wording(reply))
            kept = result.variants.setdefault(job.position, [])
            kept.append(Variant(reply, job.request.digest))
    return result


def _answers(
    jobs: Sequence[Job],
    endpoint: Endpoint,
    cache: Cache | None,
    concurrency: int,
    progress: Progress,
    result: ParaphraseResult,
) -> list[str | None]:
    """Return the answer to each job, None where there is none; failures go into `result`."""
    stop = Event()

    def one(job: Job) -> str:
        answer = endpoint.ask(job.request.body, variants_in, stop)
        if cache is not None:
            cache.keep(job.request.digest, answer)
        return answer

    found: list[str | None] = []
    with ThreadPoolExecutor(concurrency, thread_name_prefix="paraphrase") as pool:
        waiting: list[str | Future[str]] = []
        for job in jobs:
            kept = cache.find(job.request.digest) if cache is not None else None
            result.n_cached += kept is not None
            waiting.append(pool.submit(one, job) if kept is None else kept)
        try:
            for done, (job, answer) in enumerate(zip(jobs, waiting), start=1):
                try:
                    found.append(answer if isinstance(answer, str) else answer.result())
                except NoAnswer as error:
                    result.failed[job.position] = str(error)
                    found.append(None)
                progress("paraphrase", done, len(jobs))
        finally:
            # After an error nobody waits for what is not sent yet.
            stop.set()
            pool.shutdown(wait=True, cancel_futures=True)
    return found


def variants_in(answer: str) -> list[str]:
    """Return the wordings that an answer lists, also where words or a fence stand round its JSON.

    >>> variants_in('I keep {x}: {"variants": ["a {x}", "b {x}"]}')
    ['a {x}', 'b {x}']
    """
    decoder, found = json.JSONDecoder(), list[list[str]]()
    for start in re.finditer(r"[{\[]", answer):
        try:
            parsed = decoder.raw_decode(answer, start.start())[0]
        except (ValueError, RecursionError):
            continue
        listed = parsed.get("variants") if isinstance(parsed, dict) else parsed
        if isinstance(listed, list) and listed and all(isinstance(one, str) for one in listed):
            if isinstance(parsed, dict):
                return listed
            found.append(listed)
    if found:
        return found[0]
    raise ValueError("the answer holds no JSON with a list 'variants'")

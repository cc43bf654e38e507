"""Ask for other wordings of every template, and keep those that can stand in its place."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from threading import Event

from twinset.core.contracts import Progress, silent
from twinset.core.errors import ParameterError, UnknownNameError
from twinset.workflows.paraphrase.cache import Cache
from twinset.workflows.paraphrase.endpoint import Endpoint, NoAnswer
from twinset.workflows.paraphrase.prompts import Request, request_for
from twinset.workflows.paraphrase.sheet import Item, Sheet, Variant
from twinset.workflows.paraphrase.wording import Wording, normalize_wording

_ANSWERS_A_REQUEST = 2  # one that cannot be used is asked for once more


@dataclass(frozen=True)
class Job:
    """One template that is asked about."""

    position: int
    item: Item
    wording: Wording
    request: Request


@dataclass(frozen=True)
class RequestPlan:
    """What is to be asked, settled before anything is sent.

    Parameters
    ----------
    jobs : tuple of Job
        Requests, in the order of the file.
    odd : tuple of Item
        Templates passed over: they write signs that mean something in templates, or hold no words.
    beyond : tuple of Item
        Templates that the budget does not reach.
    most_tokens : int
        What all requests that are not in the cache can cost at most.
    n : int
        Wordings that are asked for, and taken at most, of each template.
    """

    jobs: tuple[Job, ...]
    odd: tuple[Item, ...]
    beyond: tuple[Item, ...]
    most_tokens: int
    n: int


@dataclass
class ParaphraseResult:
    """What came of it.

    Parameters
    ----------
    variants : dict
        Position of a template -> its other wordings, in the order of the answers.
    refused : Counter
        Why wordings were refused, and how often.
    failed : dict
        Position of a template -> why there is no answer about it.
    n_cached : int
        Answers that were there already.
    """

    variants: dict[int, list[Variant]] = field(default_factory=dict)
    refused: Counter[str] = field(default_factory=Counter)
    failed: dict[int, str] = field(default_factory=dict)
    n_cached: int = 0

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

    The budget is held against what requests can cost at most, in the order of the file, before any is
    sent: what is asked does not depend on which answer comes first.

    Parameters
    ----------
    sheet : Sheet
    n : int
        Wordings to ask for, 1 to 50.
    model, base_url : str
        Whom to ask.
    temperature : float
        How freely the model writes, 0 to 2.
    budget : int
        Tokens, of questions and answers.
    labels : sequence of str
        Only templates of these labels; of all when empty.
    cache : Cache, optional
        Answers that are in it cost nothing.

    Raises
    ------
    ParameterError
        A number is out of its range.
    UnknownNameError
        A label has no templates.
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
        wording = Wording.of(item.text)
        if wording is None:
            odd.append(item)
            continue
        request = request_for(
            wording, item.label, n=n, model=model, base_url=base_url, temperature=temperature
        )
        is_free = cache is not None and cache.find(request.digest) is not None
        cost = 0 if is_free else request.most_tokens * _ANSWERS_A_REQUEST
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

    Raises
    ------
    EndpointError
        The server refuses or cannot be reached: nothing is to be had from it.
    ParameterError
        `concurrency` lies outside 1 to 64.
    """
    if not 1 <= concurrency <= 64:
        raise ParameterError(
            "the concurrency is out of its range", got=str(concurrency), allowed="1 to 64"
        )
    asked = ParaphraseResult()
    answers = _answers(plan.jobs, endpoint, cache, concurrency, progress, asked)
    readings = [Wording.of(item.text) for item in sheet.items]
    known = {normalize_wording(reading.text) for reading in readings if reading is not None}
    for job, answer in zip(plan.jobs, answers):
        if answer is None:
            continue
        for text in variants_in(answer):
            reply = " ".join(text.split())
            why = job.wording.refusal(reply, known)
            if not why and len(asked.variants.get(job.position, ())) == plan.n:
                why = "more were given than asked for"
            if why:
                asked.refused[why] += 1
                continue
            known.add(normalize_wording(reply))
            kept = asked.variants.setdefault(job.position, [])
            kept.append(Variant(reply, job.request.digest))
    return asked


def _answers(
    jobs: Sequence[Job],
    endpoint: Endpoint,
    cache: Cache | None,
    concurrency: int,
    progress: Progress,
    asked: ParaphraseResult,
) -> list[str | None]:
    """Return the answer to each job, None where there is none; failures go into `asked`."""
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
            asked.n_cached += kept is not None
            waiting.append(pool.submit(one, job) if kept is None else kept)
        try:
            for done, (job, answer) in enumerate(zip(jobs, waiting), start=1):
                try:
                    found.append(answer if isinstance(answer, str) else answer.result())
                except NoAnswer as error:
                    asked.failed[job.position] = str(error)
                    found.append(None)
                progress("paraphrase", done, len(jobs))
        finally:
            # After an error nobody waits for what is not sent yet.
            stop.set()
            pool.shutdown(wait=True, cancel_futures=True)
    return found


def variants_in(answer: str) -> list[str]:
    """Return the wordings that an answer lists, also where words or a fence stand round its JSON.

    Raises
    ------
    ValueError
        It holds no list of texts.

    Examples
    --------
    >>> variants_in('I keep {x}: {"variants": ["a {x}", "b {x}"]}')
    ['a {x}', 'b {x}']
    """
    decoder, found = json.JSONDecoder(), list[list[str]]()
    for start in re.finditer(r"[{\[]", answer):
        try:
            told = decoder.raw_decode(answer, start.start())[0]
        except (ValueError, RecursionError):
            continue
        listed = told.get("variants") if isinstance(told, dict) else told
        if isinstance(listed, list) and listed and all(isinstance(one, str) for one in listed):
            if isinstance(told, dict):
                return listed
            found.append(listed)
    if found:
        return found[0]
    raise ValueError("the answer holds no JSON with a list 'variants'")

"""One server that speaks the chat protocol of OpenAI: asked with patience, and given up in a sentence."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from threading import Event
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import BaseModel

from twinset.core.errors import DataError, ParameterError
from twinset.core.extras import optional
from twinset.core.parameters import Ge, Gt, check_parameters
from twinset.core.untrusted import parse_json

_MAX_BYTES = 4_000_000  # of an answer; 50 wordings take less than 100 kB
_FIRST_WAIT = 0.5  # seconds before the second try; doubled each time
_AGAIN = frozenset({408, 409, 425, 429, 500, 502, 503, 504, 520, 522, 524, 529})


class EndpointError(DataError):
    """The server cannot be used, whatever is asked of it: the key, the address or the model is wrong."""


class NoAnswer(DataError):
    """The server gave no usable answer to one request, also when asked again."""


@dataclass
class _Fault(Exception):
    """Why one try gave no answer: whether it was paid for, and what the server asks to wait."""

    text: str
    is_spoiled: bool = False
    is_absent: bool = False
    wait: float | None = None


class _Message(BaseModel):
    content: str | None = None


class _Choice(BaseModel):
    message: _Message
    finish_reason: str | None = None


class _Completion(BaseModel):
    choices: list[_Choice]


@dataclass(frozen=True, kw_only=True)
class Endpoint:
    """Where to ask, and how patiently."""

    base_url: str  # Address up to ``/chat/completions``, e.g. ``http://127.0.0.1:11434/v1``.
    # Sent as bearer token when not empty. It is in no repr, error or file.
    key: str = field(default="", repr=False)
    timeout: Annotated[float, Gt(0)] = 60.0  # Seconds for one whole request, above 0
    tries: Annotated[int, Ge(1)] = 4  # How often a request is sent at most, 1 or more
    # Seconds to wait between two tries at most; a server that asks for more is given up
    longest_wait: Annotated[float, Ge(0)] = 60.0

    def __post_init__(self) -> None:
        try:
            address = urlsplit(self.base_url)
        except ValueError:  # brackets that are no address of IPv6
            address = urlsplit("")
        # What stands before an @ or behind a ? may be a secret, and addresses are shown and hashed.
        if address.scheme not in ("http", "https") or not address.hostname:
            raise ParameterError(
                "the base URL is no address", allowed="e.g. http://127.0.0.1:11434/v1"
            )
        if address.username or address.password or address.query or address.fragment:
            raise ParameterError(
                "the base URL carries a name, a password or a query",
                todo="give the address alone; the key goes into the environment",
            )
        check_parameters(self)
        if any(not " " < sign < "\x7f" for sign in self.key):
            raise ParameterError("the key holds a blank or a sign that no header can carry")

    def ask(
        self, body: Mapping[str, Any], read: Callable[[str], object], stop: Event | None = None
    ) -> str:
        """Return the text that the model answers with.

        `read` raises ValueError for an answer that cannot be used; the request is then sent once more.
        `stop` ends the waiting between tries.
        """
        stop, body, n_spoiled = stop or Event(), dict(body), 0
        fault = _Fault("")
        for attempt in range(self.tries):
            try:
                answer = self._complete(body)
                read(answer)
                return answer
            except _Fault as error:
                fault = error
            except ValueError as error:
                fault = _Fault(str(error), is_spoiled=True)
            if fault.wait is not None and fault.wait > self.longest_wait:
                raise NoAnswer(f"the server asks to wait for {fault.wait:.0f} seconds")
            n_spoiled += fault.is_spoiled
            wait = _FIRST_WAIT * 2**attempt if fault.wait is None else fault.wait
            # An answer that cannot be used was paid for: it is asked for once more and not again.
            is_last = attempt == self.tries - 1 or n_spoiled > 1
            if is_last or stop.wait(min(wait, self.longest_wait)):
                break
        if fault.is_absent:
            raise EndpointError(
                f"the server at {self._host} cannot be reached",
                got=fault.text,
                todo="check that it runs, and the base URL",
            )
        raise NoAnswer(fault.text)

    def _complete(self, body: dict[str, Any]) -> str:
        """Return what the model writes; what its server does not know is taken out of the request."""
        status, retry_after, data = self._post(body)
        while status in (400, 422) and _adapt(body, data.decode(errors="replace")):
            status, retry_after, data = self._post(body)
        if status in _AGAIN:
            raise _Fault(f"the server answers with status {status}", wait=_seconds(retry_after))
        if status != 200:
            raise self._refused(status)
        try:
            choice = _Completion.model_validate(parse_json(data)).choices[0]
        except (ValueError, IndexError, RecursionError):
            content = "a page of HTML" if data.lstrip()[:1] == b"<" else "something else"
            raise _Fault(f"the server answers with {content} instead of a completion") from None
        if choice.finish_reason == "length":
            raise _Fault("the answer breaks off at the limit of tokens", is_spoiled=True)
        if not choice.message.content:
            raise _Fault("the answer is empty", is_spoiled=True)
        return choice.message.content

    def _post(self, body: Mapping[str, Any]) -> tuple[int, str | None, bytes]:
        """Return status, header Retry-After and content; all must come within the timeout."""
        httpx = optional("httpx")
        headers = {"Authorization": f"Bearer {self.key}"} if self.key else {}
        address = f"{self.base_url.rstrip('/')}/chat/completions"
        slow = _Fault(f"no answer came within {self.timeout:g} seconds")
        deadline, data = time.monotonic() + self.timeout, bytearray()
        try:
            with httpx.stream(
                "POST", address, json=dict(body), headers=headers, timeout=self.timeout
            ) as reply:
                for piece in reply.iter_bytes():
                    data += piece
                    # The limits of httpx hold for each piece: a server that drips would never end.
                    if time.monotonic() > deadline:
                        raise slow
                    if len(data) > _MAX_BYTES:
                        raise _Fault("the answer is larger than 4 MB")
        except httpx.TimeoutException:
            raise slow from None
        except httpx.ConnectError as error:
            is_distrusted = "CERTIFICATE" in str(error).upper()
            text = "its certificate is not trusted" if is_distrusted else "no connection"
            raise _Fault(text, is_absent=True) from None
        except (httpx.TransportError, httpx.InvalidURL, httpx.DecodingError) as error:
            raise _Fault(f"the connection broke off ({type(error).__name__})") from None
        return reply.status_code, reply.headers.get("retry-after"), bytes(data)

    @property
    def _host(self) -> str:
        return urlsplit(self.base_url).netloc

    def _refused(self, status: int) -> EndpointError:
        """Return the error of a request that would be refused again; the server's words may quote it."""
        todo = {
            401: "check the key in the environment",
            403: "check the key in the environment, and what it may do",
            404: "check the base URL and the name of the model",
        }.get(status, "check the base URL, the name of the model and what the server allows")
        return EndpointError(
            f"the server at {self._host} refuses the request", got=f"status {status}", todo=todo
        )


def _adapt(body: dict[str, Any], message: str) -> bool:
    """Take out of a request what its server does not know; return whether anything was left to change."""
    if "max_completion_tokens" in message and "max_tokens" in body:
        body["max_completion_tokens"] = body.pop("max_tokens")
        return True
    if "temperature" in message and "temperature" in body:
        del body["temperature"]
        return True
    # Without its format the answer is asked for in words alone.
    return body.pop("response_format", None) is not None


def _seconds(retry_after: str | None) -> float | None:
    """Return the seconds that a header Retry-After asks for: a number, or a date."""
    if not retry_after:
        return None
    try:
        return max(0.0, float(retry_after))
    except ValueError:
        pass
    try:
        return max(0.0, parsedate_to_datetime(retry_after).timestamp() - time.time())
    except (ValueError, TypeError):
        return None

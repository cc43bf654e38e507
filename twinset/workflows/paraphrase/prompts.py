"""What a model is asked: one request for each template, the same bytes for the same template."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Any

from twinset.workflows.paraphrase.wording import Wording

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
_SPARE_TOKENS = 100  # for a sentence or a code fence around the JSON of an answer


@dataclass(frozen=True)
class Request:
    """One request: the body that is sent, and what names it.

    Parameters
    ----------
    body : mapping
        JSON of the request.
    digest : str
        SHA-256 of address and body, 64 hexadecimal digits: names it in the cache and beside variants.
    most_tokens : int
        Tokens that it can cost at most: an estimate of the question, and the limit of the answer.
    """

    body: dict[str, Any]
    digest: str
    most_tokens: int


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
        "messages": [
            {"role": "system", "content": SYSTEM},
            {"role": "user", "content": question},
        ],
        "temperature": temperature,
        "max_tokens": answer,
        "response_format": FORMAT,
    }
    told = json.dumps([base_url, body], sort_keys=True, ensure_ascii=False)
    asked = sum(_tokens(said) + _TOKENS_A_MESSAGE for said in (SYSTEM, question))
    return Request(body, hashlib.sha256(told.encode()).hexdigest(), asked + answer)


def prompt_digest() -> str:
    """Return the SHA-256 of what every request has in common, 64 hexadecimal digits."""
    told = json.dumps([SYSTEM, FORMAT], sort_keys=True)
    return hashlib.sha256(told.encode()).hexdigest()


def _tokens(text: str) -> int:
    """Return an estimate that is rather too large: three bytes a token."""
    return -(-len(text.encode()) // _BYTES_A_TOKEN)

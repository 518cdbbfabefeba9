"""OpenAI's chat completions: what is sent, and what is made of the answer, whole or in pieces."""

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from agentlab_runner.agents.llm.chat.types import Finish, Message
from agentlab_runner.agents.llm.halves import readable
from agentlab_runner.agents.llm.http import Answer, Cut, Refused, data_uri
from agentlab_runner.runners.frames import Frame

NO_PICTURE = "[no picture]"
"""What stands in a picture's place for a model that cannot see it."""
PIXELS_A_TOKEN = 750
BYTES_A_TOKEN = 3
"""Of text, fewer than the four that English has: other languages, numbers and markup have less."""
MOST_LIKELY = 0.1
"""Log-probabilities are below, but for rounding; what is not is none."""
TURN = 8
"""Tokens that a template puts round a turn."""

OVERFLOW = re.compile(
    r"context[_ ](length|window|size)|maximum (context|prompt|input)|max_model_len|n_ctx|too many (input )?tokens"
    r"|(prompt|input) is too (long|large)|reduce the length|context (the )?overflows|tokens.{0,40}must be <= \d+",
    re.IGNORECASE,
)
PICTURES = re.compile(r"image|vision|multi-?modal|modalit|pictur", re.IGNORECASE)
ROLES = re.compile(
    r"system.{0,20} (role|message|prompt|instruction)|roles? must alternate|only user and assistant|role.{0,20}system",
    re.IGNORECASE,
)
CUT = frozenset({"length", "max_tokens", "model_length", "max_output_tokens"})
"""What servers call an answer that was longer than it might be."""
FILTERED = re.compile(r"content[_ ](filter|policy|management)|moderat|flagged|safety", re.IGNORECASE)
"""What servers say where they have no code for it."""


@dataclass(frozen=True, slots=True)
class Said:
    """One answer, read."""

    text: str
    finish: Finish
    model: str
    tokens_in: int | None
    tokens_out: int | None
    """None where the server does not say."""
    first: Mapping[str, float] | None
    """Log-probabilities of the tokens the answer could have begun with, where they were asked for and given."""
    cost: float | None = None
    """As the server has it, where it does."""


def turns(messages: Sequence[Message], images: bool) -> list[dict[str, Any]]:
    """Messages as the protocol has them; without `images`, words in their place."""
    return [{"role": message.role, "content": _content(message, images)} for message in messages]


def estimate(messages: Sequence[Message], images: bool) -> int:
    """Tokens of a prompt, rather too many than too few."""
    return sum(TURN + sum(_tokens(part, images) for part in message.parts) for message in messages)


def has_pictures(messages: Sequence[Message]) -> bool:
    return any(isinstance(part, Frame) for message in messages for part in message.parts)


def read(answer: Answer) -> Said:
    """What a server said.

    Raises:
        Cut: if it broke off.
        Refused: if it is no chat completion.
    """
    content: Any = None
    try:
        streamed = answer.headers.get("content-type", "").startswith("text/event-stream")
        content = _pieces(answer) if streamed else answer.json()
        if isinstance(content, dict) and isinstance(content.get("error"), dict | str) and not content.get("choices"):
            raise _failed(content["error"])
        choice = content["choices"][0]
        finish = choice.get("finish_reason")
        if choice.get("error") or finish == "error":  # of a gateway, whose server broke off
            raise _failed(choice.get("error") or "without a reason")
        message = choice["message"]
        refusal, text = message.get("refusal"), _text(message.get("content"))
        usage, model = content.get("usage") or {}, content.get("model") or ""
        if finish is None:
            raise Cut("sent an answer that breaks off before it says why it ends")
        kind: Finish = "length" if str(finish).lower() in CUT else "stop"
        if refusal or finish == "content_filter":
            kind, text = "refusal", text or str(refusal or "")
        first = _first(choice.get("logprobs"))
        tokens_in, tokens_out = _count(usage.get("prompt_tokens")), _count(usage.get("completion_tokens"))
        return Said(text, kind, str(model)[:200], tokens_in, tokens_out, first, _cost(usage.get("cost")))
    except (KeyError, IndexError, TypeError, AttributeError) as fault:
        said = content.get("message") or content.get("detail") if isinstance(content, dict) else None
        raise Refused(
            answer.status,
            "no completion",
            f"{answer.url} answered with JSON that is no chat completion{f' ({_line(said)})' if said else ''}; set "
            f"{answer.setting} to the /v1 of an OpenAI-compatible server",
        ) from fault


def _failed(said: Any) -> Cut:
    return Cut(f"answered with an error: {_line(said)}")


def _line(said: Any) -> str:
    return " ".join(str(said).split())[:200]


def cut_at(text: str, stop: Sequence[str]) -> str:
    """The text up to the first of the strings that end it."""
    return text[: min((place for one in stop if (place := text.find(one)) >= 0), default=len(text))]


def tokens_of(text: str) -> int:
    """How many tokens a text may have."""
    return math.ceil(len(text.encode(errors="replace")) / BYTES_A_TOKEN)


def _tokens(part: str | Frame, images: bool) -> int:
    if isinstance(part, str):
        return tokens_of(part)
    return math.ceil(part.shape[0] * part.shape[1] / PIXELS_A_TOKEN) + 85 if images else tokens_of(NO_PICTURE)


def _content(message: Message, images: bool) -> str | list[dict[str, Any]]:
    if not (images and has_pictures([message])):
        return "".join(part if isinstance(part, str) else NO_PICTURE for part in message.parts)
    return [
        {"type": "text", "text": part}
        if isinstance(part, str)
        else {"type": "image_url", "image_url": {"url": _uri(part)}}
        for part in message.parts
    ]


@lru_cache(maxsize=64)
def _uri(frame: Frame) -> str:
    return data_uri(frame.array())


def _text(content: Any) -> str:
    if isinstance(content, list):
        pieces = [part.get("text", "") if isinstance(part, dict) else part for part in content]
        return "".join(piece for piece in pieces if isinstance(piece, str))
    return "" if content is None else str(content)


def _count(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**31 else None


def _cost(value: Any) -> float | None:
    """As OpenRouter states it, in dollars."""
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if number and 0 <= value < math.inf else None


def _first(logprobs: Any) -> dict[str, float] | None:
    try:
        listed = logprobs["content"][0]["top_logprobs"]
        found = {str(one["token"]): float(one["logprob"]) for one in listed}
    except (KeyError, IndexError, TypeError, ValueError, OverflowError):
        return None
    return found if found and all(value < MOST_LIKELY for value in found.values()) else None


def _pieces(answer: Answer) -> dict[str, Any]:
    """An answer that came as events, put together."""
    text, refusal, finish, usage, model, logprobs = "", "", None, None, "", None
    for line in answer.text.split("\n"):
        if not line.startswith("data:"):
            continue
        data = line.removeprefix("data:").strip()
        if data == "[DONE]":
            break
        try:
            event = json.loads(data)
        except (ValueError, RecursionError) as fault:
            raise Cut("sent a stream that breaks off") from fault
        if not isinstance(event, dict) or "error" in event:
            raise Cut(f"broke its stream off: {_line(readable(str(event)))}")
        usage, model = event.get("usage") or usage, event.get("model") or model
        for choice in (event.get("choices") or [])[:1]:
            delta = choice.get("delta") or {}
            text += _text(delta.get("content"))
            refusal += delta.get("refusal") or ""
            finish, logprobs = choice.get("finish_reason") or finish, logprobs or choice.get("logprobs")
    if finish is None:
        raise Cut("sent a stream that breaks off")
    message = {"content": readable(text), "refusal": readable(refusal)}
    choice = {"message": message, "finish_reason": finish, "logprobs": logprobs}
    return {"choices": [choice], "usage": usage, "model": readable(str(model))}

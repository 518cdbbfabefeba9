"""One thing asked of a chat model, with the name by which its answer is kept; and the base of models that answer."""

import hashlib
import json
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from agentlab_runner.agents.llm.chat.types import Conversation, Message, Reply


@dataclass(frozen=True)
class Request:
    """A conversation and how it is to go on."""

    messages: tuple[Message, ...]
    max_tokens: int
    deterministic: bool
    stop: tuple[str, ...] = ()
    choices: tuple[str, ...] | None = None
    draw: int = 0

    def __post_init__(self) -> None:
        if not self.messages:
            raise ValueError("a conversation without a turn was asked; give at least one message")
        if self.max_tokens < 1:
            raise ValueError(f"max_tokens is {self.max_tokens}; give at least 1")
        if self.choices is not None and (not self.choices or len(set(self.choices)) < len(self.choices)):
            raise ValueError(f"the choices {self.choices} are none or hold one twice; give each once")
        if not all(self.stop) or not all(choice.strip() for choice in self.choices or ()):
            raise ValueError("a stop string or a choice is empty; leave it out")

    @property
    def options(self) -> dict[str, Any]:
        """All but the messages."""
        return {
            "max_tokens": self.max_tokens,
            "deterministic": self.deterministic,
            "stop": list(self.stop),
            "choices": None if self.choices is None else list(self.choices),
            "draw": self.draw,
        }

    @cached_property
    def spoken(self) -> tuple[str, ...]:
        """The name of each message."""
        return tuple(digest(plain(message)) for message in self.messages)

    @cached_property
    def digest(self) -> str:
        """Equal for requests that are equal in every part, whoever is asked."""
        return digest([self.spoken, self.options])

    @property
    def seed(self) -> int:
        """31 bits of it: what a sample depends on beside the model."""
        return int(self.digest[:8], 16) & 0x7FFFFFFF


class Answering(ABC):
    """A chat model that tells each reply as soon as it has it, so that none is lost when a later one fails."""

    record: str | None = None
    """Folder that keeps what is asked of it and answered; see `as_chat`."""

    @property
    @abstractmethod
    def name(self) -> str:
        """What it is called in tables."""

    @property
    @abstractmethod
    def sees(self) -> bool:
        """Whether pictures reach it."""

    @property
    def parameters(self) -> Mapping[str, Any]:
        """What decides its answers beside the request: JSON, without keys, addresses or paths."""
        return {}

    @abstractmethod
    def replies(self, requests: Sequence[Request]) -> Iterator[tuple[int, Reply]]:
        """The place and the reply of each request, as they come; raises as `ChatModel.reply`."""

    def reply(
        self,
        conversations: Sequence[Conversation],
        *,
        max_tokens: int,
        deterministic: bool,
        stop: Sequence[str] = (),
        choices: Sequence[Sequence[str]] | None = None,
        draws: Sequence[int] | None = None,
    ) -> list[Reply]:
        """As `ChatModel.reply`."""
        requests = [
            Request(tuple(messages), max_tokens, deterministic, tuple(stop), None if own is None else tuple(own), draw)
            for messages, own, draw in zip(
                conversations,
                [None] * len(conversations) if choices is None else choices,
                [0] * len(conversations) if draws is None else draws,
                strict=True,
            )
        ]
        found = dict(self.replies(requests))
        return [found[place] for place in range(len(requests))]


def plain(message: Message) -> dict[str, Any]:
    """A message as JSON, pictures by their names; as `Call.messages` holds it."""
    parts = [part if isinstance(part, str) else {"frame": part.name} for part in message.parts]
    return {"role": message.role, "parts": parts}


def digest(content: Any) -> str:
    """32 hex digits of JSON content."""
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:32]

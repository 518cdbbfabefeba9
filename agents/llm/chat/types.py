"""What is said to a model and what comes back; light, so that an agent that prompts needs no torch."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from agentlab_runner.agents.llm.halves import readable
from agentlab_runner.runners.frames import Frame

Role = Literal["system", "user", "assistant"]

Part = str | Frame
"""A text, or a picture: uint8 [H, W, 3] at rest, whose name is the hash of its content."""


@dataclass(frozen=True, slots=True)
class Message:
    """One turn."""

    role: Role
    parts: tuple[Part, ...]

    def __post_init__(self) -> None:
        parts = tuple(readable(part) if isinstance(part, str) else part for part in self.parts)
        object.__setattr__(self, "parts", parts)

    @property
    def text(self) -> str:
        """Its texts, without what is between them."""
        return "".join(part for part in self.parts if isinstance(part, str))


Conversation = Sequence[Message]
"""What was said so far, oldest first; the model is to say the next turn."""

Finish = Literal["stop", "length", "refusal", "choice"]


@dataclass(frozen=True, slots=True)
class Reply:
    """A model's turn."""

    text: str
    tokens_in: int
    tokens_out: int
    seconds: float
    """Of the answer that counted, retries left out; 0 from the cache."""
    cost: float
    """In the currency of the config's prices; 0 from the cache."""
    finish: Finish
    """`stop`: it had ended; `length`: cut at `max_tokens`; `choice`: one of the strings it was given."""
    cached: bool = False
    model: str = ""
    """What the one who answered calls itself, so that a silently swapped model shows."""
    dropped: int = 0
    """Oldest turns that did not fit its context and were left out."""
    merged: int = 0
    """Turns that were joined with the one before, since the model's template takes roles in turn alone."""
    requests: int = 1
    """Answers that it took: 2 if it was asked again for one of its choices, 0 from the cache."""


class ChatModel(Protocol):
    """Answers conversations, all of them together."""

    @property
    def name(self) -> str:
        """What it is called in tables."""

    @property
    def sees(self) -> bool:
        """Whether pictures reach it."""

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
        """One turn a conversation, in order; none depends on what else is asked with it.

        Args:
            max_tokens: of one reply.
            deterministic: the mode instead of a sample.
            stop: strings that end a reply, left out of it.
            choices: strings one of which is to be said, one list a conversation; None: free text.
            draws: which of the samples of equal requests is wanted, one number a conversation: equal requests with
                equal numbers are given the same reply. None: 0 for all.

        Raises:
            RunFailed: if it cannot answer any more: unreachable, a cap is reached; what was answered is kept.
        """

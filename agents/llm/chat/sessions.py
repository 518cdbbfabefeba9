"""What every agent that prompts keeps of its live episodes, and how it asks its model about all of them at once."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Generic, TypeVar

from agentlab_runner.agents.llm.chat.types import ChatModel, Conversation, Message, Reply
from agentlab_runner.runners.frames import Frame
from agentlab_runner.runners.types import Call, Trajectory

S = TypeVar("S")


class Sessions(Generic[S]):
    """One thing for each live episode, in the order in which `Agent.act` is shown their observations.

    Args:
        make: a fresh one, for the episode with this number.
    """

    def __init__(self, make: Callable[[int], S]) -> None:
        self._make = make
        self._live: dict[int, S] = {}

    def begin(self, episodes: Sequence[int]) -> None:
        self._live |= {number: self._make(number) for number in episodes}

    def end(self, trajectories: Sequence[Trajectory]) -> list[S]:
        """Those of episodes that are over, which are forgotten here."""
        return [self._live.pop(trajectory.number) for trajectory in trajectories]

    @property
    def live(self) -> Mapping[int, S]:
        """By the episode's number."""
        return self._live


def ask(
    model: ChatModel, module: str, conversations: Sequence[Conversation], **how: Any
) -> list[tuple[Reply, Call]]:
    """What the model says to each, and what that was as `Decision.extras["calls"]` keeps it.

    Args:
        module: which part of the agent asks.
        how: the keyword arguments of `ChatModel.reply`.
    """
    replies = model.reply(conversations, **how)
    return [(reply, _call(module, asked, reply)) for asked, reply in zip(conversations, replies, strict=True)]


def unsaid(reply: Reply, wanted: str) -> str:
    """Why a reply without what was wanted says nothing at all; "" where it says something else.

    Args:
        wanted: what an answer is cut before, in words.
    """
    if reply.finish == "refusal":
        return "the model refused"
    if reply.finish == "length" and not reply.tokens_out:
        return "the prompt is longer than the model reads"
    if reply.finish == "length":
        return f"the answer is cut before {wanted}"
    return "" if reply.text.strip() else "the answer is empty"


def _call(module: str, conversation: Conversation, reply: Reply) -> Call:
    return {
        "module": module,
        "messages": [_message(message) for message in conversation],
        "reply": reply.text,
        "model": reply.model,
        "tokens_in": reply.tokens_in,
        "tokens_out": reply.tokens_out,
        "seconds": reply.seconds,
        "cost": reply.cost,
        "cached": reply.cached,
    }


def _message(message: Message) -> Mapping[str, Any]:
    parts = [{"frame": part.name} if isinstance(part, Frame) else part for part in message.parts]
    return {"role": message.role, "parts": parts}

"""Conversations that do not fit: the oldest turns go first, never the system's nor the last; turns are joined."""

from collections.abc import Callable, Sequence

from agentlab_runner.agents.llm.chat.types import Message

Count = Callable[[Sequence[Message]], int]
"""Tokens of a conversation."""


def fitted(messages: Sequence[Message], room: int | None, count: Count) -> tuple[tuple[Message, ...], int]:
    """The conversation within `room` tokens (None: no bound), and how many turns were left out for it.

    Where even what must stay is longer, that is given.
    """
    kept, dropped = tuple(messages), 0
    while room is not None and count(kept) > room:
        kept, more = _without_oldest(kept)
        if not more:
            break
        dropped += more
    return kept, dropped


def shortened(messages: Sequence[Message], room: int, count: Count) -> tuple[tuple[Message, ...], int]:
    """As `fitted`, but at least one turn goes if any may; 0 dropped means that none may."""
    kept, dropped = _without_oldest(tuple(messages))
    kept, more = fitted(kept, room, count) if dropped else (kept, 0)
    return kept, dropped + more


def in_turn(messages: Sequence[Message]) -> tuple[list[Message], int]:
    """The system's turn first if there is one, then user and assistant by turns; how many were joined for that."""
    turns: list[Message] = []
    for place, message in enumerate(messages):
        role = "user" if message.role == "system" and place else message.role
        if turns and turns[-1].role == role:
            turns[-1] = Message(role, (*turns[-1].parts, "\n\n", *message.parts))
        else:
            turns.append(Message(role, message.parts))
    return turns, len(messages) - len(turns)


def without_system(turns: Sequence[Message]) -> list[Message]:
    """What the system says at the beginning of the first turn."""
    if len(turns) < 2 or turns[0].role != "system":
        return list(turns)
    return [Message(turns[1].role, (*turns[0].parts, "\n\n", *turns[1].parts)), *turns[2:]]


def _without_oldest(messages: tuple[Message, ...]) -> tuple[tuple[Message, ...], int]:
    """The conversation without its oldest turn, and without the answers that then would come first."""
    start = next((place for place, message in enumerate(messages) if message.role != "system"), len(messages))
    end = start + 1
    while end < len(messages) - 1 and messages[end].role == "assistant":
        end += 1
    if end >= len(messages):
        return messages, 0
    return (*messages[:start], *messages[end:]), end - start

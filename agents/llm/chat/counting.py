"""How long a conversation is, before it is asked."""

from collections.abc import Sequence

from agentlab_runner.agents.llm.chat.types import ChatModel, Message

A_TOKEN = 4
"""Characters of English in a token, where nobody can count."""
BESIDE, AT_THE_END = 4, 3
"""Tokens that chat models put beside each turn, and before the answer, as OpenAI counts its own."""


def tokens(model: ChatModel, messages: Sequence[Message]) -> int:
    """Tokens of a prompt: as the model itself counts them, or by the number of characters."""
    count = getattr(model, "tokens", None)
    counted = count(messages) if count is not None else None
    if counted is not None:
        return int(counted)
    said = sum(BESIDE + 1 + -(-len(message.text) // A_TOKEN) for message in messages)
    return said + AT_THE_END

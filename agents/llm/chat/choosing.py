"""Which of some strings a server means: by its first token's probabilities where that is exact, else by its words."""

import math
import random
import re
from collections.abc import Mapping, Sequence

from agentlab_runner.agents.llm.chat.fence import fenced
from agentlab_runner.agents.llm.chat.types import Message

LONGEST_TOKEN = 12
"""Characters of a choice that may be a token of its own."""
LISTED = 20
"""Tokens whose probabilities are asked for, the most that servers give."""


def may_be_tokens(choices: Sequence[str]) -> bool:
    """Whether it is worth asking for probabilities: each choice is short and has no blank inside, and they fit."""
    return len(choices) <= LISTED and all(len(one) <= LONGEST_TOKEN and not re.search(r"\s", one) for one in choices)


def asked(messages: Sequence[Message], choices: Sequence[str]) -> tuple[Message, ...]:
    """The conversation, its last turn telling what may be answered, once."""
    told = fenced("actions", "\n".join(choices))
    if told in messages[-1].text or set(choices) <= set(messages[-1].text.splitlines()):
        return tuple(messages)
    return _with(messages, f"\n\nAnswer with exactly one of these lines and nothing else:\n{told}")


def asked_again(messages: Sequence[Message], said: str, choices: Sequence[str]) -> tuple[Message, ...]:
    """The same, after an answer that was none of them."""
    told = fenced("actions", "\n".join(choices))
    again = f"That is none of them. Answer with exactly one of these lines and nothing else:\n{told}"
    return (*messages, Message("assistant", (said,)), Message("user", (again,)))


def by_tokens(first: Mapping[str, float] | None, choices: Sequence[str]) -> dict[str, float] | None:
    """Log-probability of each choice; None if they cannot be had exactly.

    They can where every choice is a token of its own, and no other token that was listed begins one of them.
    """
    if first is None:
        return None
    found: dict[str, list[float]] = {}
    for token, logprob in first.items():
        word = token.strip()
        if word in choices:
            found.setdefault(word, []).append(logprob)
        elif word and any(choice.startswith(word) for choice in choices):
            return None
    if len(found) < len(choices):
        return None
    return {choice: math.log(max(sum(map(math.exp, found[choice])), 1e-300)) for choice in choices}


def drawn(logprobs: Mapping[str, float], temperature: float, seed: int) -> str:
    """The likeliest choice at temperature 0, else a sample that the seed decides."""
    best = max(logprobs, key=lambda choice: logprobs[choice])
    if temperature == 0:
        return best
    weights = [math.exp((value - logprobs[best]) / temperature) for value in logprobs.values()]
    return random.Random(seed).choices(list(logprobs), weights)[0]


def by_words(text: str, choices: Sequence[str]) -> str | None:
    """The choice that was said: the answer itself, its first or last line, or the only one in it; else None."""
    known = {_bare(choice): choice for choice in choices}
    if len(known) < len(choices):  # they differ in case or marks alone
        known = {choice: choice for choice in choices}
    lines = [line for line in text.splitlines() if line.strip()]
    for said in [text, *lines[:1], *lines[-1:]]:
        for form in (said.strip(), _bare(said)):
            if form in known:
                return known[form]
    inside = [choice for choice in choices if re.search(rf"(?<!\w){re.escape(choice)}(?!\w)", text, re.IGNORECASE)]
    longest = [one for one in inside if not any(one != other and one.lower() in other.lower() for other in inside)]
    return longest[0] if len(longest) == 1 else None


def _bare(text: str) -> str:
    return re.sub(r"^[\s\-*>\"'`(\[]+|[\s.!\"'`)\]]+$", "", text).casefold()


def _with(messages: Sequence[Message], text: str) -> tuple[Message, ...]:
    *before, last = messages
    if last.role != "user":
        return (*messages, Message("user", (text.strip(),)))
    return (*before, Message("user", (*last.parts, text)))

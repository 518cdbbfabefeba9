"""What a model that thinks says aloud, where its server does not tell the two apart."""

import re

_THOUGHT = re.compile(r"\A(?:\s*<think>)?.*?</think>\s*", re.DOTALL)


def aloud(text: str, cut: bool = False) -> str:
    """The text without what stands between <think> and </think> before it; "" where it was `cut` in the middle of that.

    The first mark may be missing: templates that make a model think write it themselves.
    """
    if cut and "</think>" not in text and text.lstrip().startswith("<think>"):
        return ""
    return _THOUGHT.sub("", text, count=1)

"""Spaces the text-operated environments share."""

import string
from typing import Any

from gymnasium import spaces


class AnyText(spaces.Text):
    """Any string up to a length: what a language model says, or reads, has no alphabet."""

    def __init__(self, max_length: int) -> None:
        super().__init__(max_length, min_length=0, charset=string.printable)

    def contains(self, x: Any) -> bool:
        return isinstance(x, str) and len(x) <= self.max_length

"""Spaces the text-operated environments share."""

import string
from typing import Any

import numpy as np
from gymnasium import spaces


class AnyText(spaces.Text):
    """Any string up to a length: what a language model says, or reads, has no alphabet."""

    def __init__(self, max_length: int) -> None:
        super().__init__(max_length, min_length=0, charset=string.printable)

    def contains(self, x: Any) -> bool:
        return isinstance(x, str) and len(x) <= self.max_length


class AnyPicture(spaces.Box):
    """Any picture, uint8 [height, width, 3]: how large it is the other side says."""

    def __init__(self) -> None:
        super().__init__(0, 255, (1, 1, 3), np.uint8)

    def contains(self, x: Any) -> bool:
        return isinstance(x, np.ndarray) and x.dtype == np.uint8 and x.ndim == 3 and x.shape[2] == 3

"""Where the cards come from: one seeded stream an environment, or the generators the release drew from."""

import random
from typing import Protocol

import numpy as np


class Chance(Protocol):
    """Draws a game asks for one by one."""

    def below(self, n: int) -> int:
        """A whole number 0 .. n-1, uniform."""

    def coin(self) -> bool:
        """True half of the time."""


class Seeded:
    """A seeded generator; every draw takes one double, so that a batch of games can be drawn alike (see `vector`)."""

    def __init__(self, generator: np.random.Generator) -> None:
        self._next = generator.random

    def below(self, n: int) -> int:
        return int(self._next() * n)

    def coin(self) -> bool:
        return self._next() <= 0.5


class PythonGlobal:
    """Python's global `random`, as the release draws but for Blackjack; `reset(seed=)` does not seed it."""

    def below(self, n: int) -> int:
        return random.randrange(n)

    def coin(self) -> bool:
        return random.random() <= 0.5


class Choices:
    """The stream of `Generator.choice` on a list, as the release of Blackjack draws; `reset(seed=)` seeds it."""

    def __init__(self, generator: np.random.Generator) -> None:
        self._generator = generator

    def below(self, n: int) -> int:
        return int(self._generator.integers(n))

    def coin(self) -> bool:
        return bool(self.below(2))

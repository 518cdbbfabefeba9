"""Seconds spent in each part of an iteration."""

import time
from collections.abc import Iterator
from contextlib import contextmanager


class Clock:
    """`with clock("part"): ...` adds to `seconds["part"]`."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def __call__(self, part: str) -> Iterator[None]:
        began = time.perf_counter()
        yield
        self.seconds[part] = self.seconds.get(part, 0.0) + time.perf_counter() - began

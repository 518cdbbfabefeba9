"""Ctrl-C without loss: what is under way is finished and saved first."""

import os
import signal
import threading
from types import FrameType, TracebackType
from typing import Any, Self


class Patience:
    """Inside, the first Ctrl-C or SIGTERM only sets `asked`; the second raises KeyboardInterrupt at once.

    Signals reach the main thread alone, so in any other one this does nothing.

    Args:
        promise: one sentence for the user, written to stderr at the first.
    """

    def __init__(self, promise: str) -> None:
        self.promise = promise
        self.asked = False
        self._old: dict[int, Any] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            self._old = {number: signal.signal(number, self._note) for number in (signal.SIGINT, signal.SIGTERM)}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._old.items():
            signal.signal(number, handler)

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self.asked:
            raise KeyboardInterrupt
        self.asked = True
        os.write(2, f"\n{self.promise}\n".encode())  # print may be in the middle of a line, and is not reentrant

"""Signals that ask a run to end: what is under way is finished and saved, whoever asks.

    SIGINT              Ctrl-C; the second one does not wait
    SIGTERM             a scheduler that takes the machine for something else, `kill`
    SIGUSR1, SIGUSR2    the time a scheduler has given is nearly up; submitit sends the latter
    SIGHUP              the terminal is closed
"""

import atexit
import os
import signal
import stat
import subprocess
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from types import FrameType, TracebackType
from typing import Any, ClassVar, Self

STOPS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)


class Stops:
    """Inside, the first of `STOPS` raises KeyboardInterrupt, and so does a second Ctrl-C; others change nothing more.

    Schedulers repeat themselves, and end a job that already saves by yet another signal: none of that may break it off.
    Signals reach the main thread alone, so in any other one this does nothing.
    """

    heard: ClassVar[list[int]] = []
    """What has come since the outermost of them began, in order."""
    _depth: ClassVar[int] = 0

    _old: Mapping[int, Any] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            if not Stops._depth:
                Stops.heard = []
            Stops._depth += 1
            self._old = _handle(self._hear)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._old:
            Stops._depth -= 1
            _restore(self._old)
            self._old = {}

    def answer(self, again: bool) -> None:
        """What to do at the first signal, and at a second Ctrl-C (`again`)."""
        raise KeyboardInterrupt

    def _hear(self, number: int, frame: FrameType | None) -> None:
        Stops.heard.append(number)
        if number == signal.SIGHUP:
            _leave_terminal()
        again = number == signal.SIGINT and Stops.heard.count(number) > 1
        if again or len(Stops.heard) == 1:
            self.answer(again)


class Patience(Stops):
    """Inside, the first signal only sets `asked`; a second Ctrl-C raises KeyboardInterrupt.

    Args:
        promise: one sentence for the user, written to stderr at the first.
    """

    def __init__(self, promise: str) -> None:
        self.promise = promise
        self.asked = False

    def answer(self, again: bool) -> None:
        if again:
            raise KeyboardInterrupt
        self.asked = True
        with suppress(OSError):  # print may be in the middle of a line, and is not reentrant
            os.write(2, f"\n{self.promise}\n".encode())


@contextmanager
def whole() -> Iterator[None]:
    """Inside, signals wait, so that what is being written becomes whole; they are answered at its end."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    waiting: list[int] = []
    old = _handle(lambda number, _: waiting.append(number))
    try:
        yield
    finally:
        _restore(old)
        for number in waiting:
            signal.raise_signal(number)


def ignore(*, but: tuple[int, ...] = ()) -> None:
    """Leave it to another process to answer `STOPS`."""
    for number in STOPS:
        if number not in but:
            signal.signal(number, signal.SIG_IGN)


def ended(code: int) -> None:
    """This process has done its work and tidies up: no signal changes its exit code any more.

    A second Ctrl-C does not wait for threads that are still busy.
    """
    heard: list[int] = []

    def hear(number: int, frame: FrameType | None) -> None:
        heard.append(number)
        if heard.count(signal.SIGINT) > 1:
            os._exit(code)

    _handle(hear)
    atexit.register(ignore)  # the first to be called; later Python forgets its own handlers, and the default one kills


def requeue() -> str:
    """Put this SLURM job back into the queue if SIGUSR1 told it that its time is nearly up; gives what to say of it.

    submitit does so by itself. At SIGTERM it is SLURM that knows whether the job comes back.
    """
    job = os.environ.get("SLURM_JOB_ID")
    if not job or signal.SIGUSR1 not in Stops.heard or "SUBMITIT_EXECUTOR" in os.environ:
        return ""
    try:
        subprocess.run(["scontrol", "requeue", job], check=True, capture_output=True, text=True, timeout=60)
    except (OSError, subprocess.SubprocessError) as fault:
        said = getattr(fault, "stderr", None) or fault
        return f", and SLURM did not take job {job} back into its queue ({' '.join(str(said).split())})"
    return f", and SLURM has job {job} in its queue again"


def _handle(handler: Any) -> dict[int, Any]:
    """Let `handler` answer `STOPS`; gives who did before. What `nohup` had this process ignore stays ignored."""
    ignored = signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
    return {
        number: signal.signal(number, handler) for number in STOPS if not (number == signal.SIGHUP and ignored)
    }


def _restore(old: Mapping[int, Any]) -> None:
    for number, handler in old.items():
        signal.signal(number, handler)


def _leave_terminal() -> None:
    """Write to nowhere from now on: a terminal that is closed answers every line with an error."""
    with suppress(OSError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        for number in (1, 2):
            if stat.S_ISCHR(os.fstat(number).st_mode):
                os.dup2(nowhere, number)

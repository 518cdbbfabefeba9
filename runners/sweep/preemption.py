"""A scheduler that wants its machine back from a job of a sweep: the job saves first, then goes back into the queue.

submitit puts its job back into the queue the moment SLURM signals it, and SLURM then ends within seconds whatever is
left of it. So its answer is held until the process of the job has saved.
"""

import os
import signal
import subprocess
import threading
from types import FrameType, TracebackType
from typing import Any, Self

from agentlab_runner.runners.run.signals import Stops

WARNINGS = (signal.SIGUSR1, signal.SIGUSR2)


class Preemption:
    """Inside, the signal by which a scheduler warns only sets `asked`, where the launcher has an answer to it.

    Signals reach the main thread alone, so in any other one this does nothing.
    """

    def __init__(self) -> None:
        self.asked = False
        self._answers: dict[int, Any] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            self._answers = {number: signal.getsignal(number) for number in WARNINGS}
            self._answers = {n: answer for n, answer in self._answers.items() if callable(answer) and answer != _go_on}
            for number in self._answers:
                signal.signal(number, self._note)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, answer in self._answers.items():
            signal.signal(number, answer)

    def answer(self) -> None:
        """What the launcher does at that signal, now that the job has saved; where it puts it back, this process ends.

        Also due where only the job's own process was told to end (SIGTERM), but not where somebody cancelled it, nor
        where the answer is the sweep's own, which ends all jobs: one job that is told to end is no reason for that.
        """
        if self.asked or not (self._is_own or _cancelled()):
            for number in list(self._answers)[:1]:
                signal.raise_signal(number)

    @property
    def _is_own(self) -> bool:
        return any(isinstance(getattr(answer, "__self__", None), Stops) for answer in self._answers.values())

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.asked = True


def outlive() -> None:
    """Let this worker of a launcher go on at what reaches every process: the terminal's Ctrl-C, a scheduler's warning.

    One that died of it would have its launcher kill the others before they saved. A launcher's own answer stays.
    """
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGINT, _go_on)
        for number in (signal.SIGHUP, *WARNINGS):
            if signal.getsignal(number) == signal.SIG_DFL:
                signal.signal(number, _go_on)


def _go_on(number: int, frame: FrameType | None) -> None:
    pass


def _cancelled() -> bool:
    """Whether SLURM has this job for anything but running; false elsewhere."""
    job = os.environ.get("SLURM_JOB_ID")
    if not job:
        return False
    command = ["squeue", "--noheader", "--jobs", job, "--format", "%T"]
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=60).stdout.strip() != "RUNNING"
    except (OSError, subprocess.SubprocessError):
        return True

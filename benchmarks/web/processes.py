"""A driver's process and all that it started: what they take of the clock, of the cores and of memory."""

import os
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import psutil

PROGRAM = Path(__file__).with_name("drivers.py")


class Driver:
    """One of `drivers.DRIVERS`, with so many environments open."""

    def __init__(self, name: str, python: str, surroundings: Mapping[str, str], count: int) -> None:
        self.name = name
        self._process = subprocess.Popen(
            [python, str(PROGRAM), name, str(count)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            stderr=subprocess.DEVNULL, env=os.environ | surroundings, start_new_session=True,
        )  # fmt: skip

    def open(self) -> None:
        """Wait until it has played its first episode."""
        self._answer()

    def play(self, seeds: Sequence[int]) -> tuple[float, float, int]:
        """Seconds, CPU seconds of all its processes, and how many episodes were right."""
        assert self._process.stdin is not None
        right, worked, began = 0, self.cpu(), time.perf_counter()
        for seed in seeds:
            self._process.stdin.write(f"{seed}\n")
            self._process.stdin.flush()
            right += self._answer()
        return time.perf_counter() - began, self.cpu() - worked, right

    def cpu(self) -> float:
        """Seconds of those that live and of those that they waited for."""
        total = 0.0
        for process in self._tree():
            with suppress(psutil.Error):
                total += sum(process.cpu_times()[:4])  # user, system, and both of ended children
        return total

    def memory(self) -> float:
        """Megabytes: what is shared is counted once."""
        total = 0
        for process in self._tree():
            with suppress(psutil.Error):
                total += process.memory_full_info().pss
        return total / 2**20

    def close(self) -> None:
        with suppress(OSError, subprocess.TimeoutExpired):
            self._process.communicate(timeout=20)
        left = self._tree()
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        for process in left:
            with suppress(psutil.Error):
                process.kill()
        self._process.wait()

    def _tree(self) -> list[psutil.Process]:
        with suppress(psutil.Error):
            own = psutil.Process(self._process.pid)
            return [own, *own.children(recursive=True)]
        return []

    def _answer(self) -> int:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"the driver {self.name} ended; run {PROGRAM.name} {self.name} by hand to see why")
        return int(line)


@contextmanager
def drivers(wanted: Mapping[str, tuple[str, Mapping[str, str], int]]) -> Iterator[dict[str, Driver]]:
    """Drivers by name: the Python, what its environment has beside this one's, and how many environments."""
    made: dict[str, Driver] = {}
    with TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        try:
            for name, (python, surroundings, count) in wanted.items():
                made[name] = Driver(name, python, {"TMPDIR": folder, **surroundings}, count)
                made[name].open()
            yield made
        finally:
            for driver in made.values():
                driver.close()

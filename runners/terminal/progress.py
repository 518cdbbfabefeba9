"""How far long work has come: a bar on a terminal, now and then a plain line when piped."""

import sys
import time
from contextlib import suppress
from types import TracebackType
from typing import ClassVar, Self

from rich.console import Console
from rich.progress import BarColumn, TaskID, TextColumn
from rich.progress import Progress as Bars

PLAIN_SECONDS = 10.0
"""Least time between two plain lines of one piece of work."""


class Progress:
    """Progress of one piece of work, on stderr; one opened inside another is drawn below it.

        with Progress(40, "training") as progress:
            progress.update(1, success=0.41)

    Args:
        total: how many steps the work has.
        label: what it is called.
        done: how many were done before, by an earlier process; they do not count for the rate.
        console: where to write instead.
    """

    _bars: ClassVar[Bars | None] = None
    """The display of the outermost Progress; a terminal has room for one."""

    def __init__(self, total: int, label: str, done: int = 0, console: Console | None = None) -> None:
        self.total = total
        self.label = label
        self.done = self._start = done
        self.console = console or Console(stderr=True)
        self._headline: dict[str, float] = {}
        self._task: TaskID | None = None
        self._owns_bars = False
        self._printed_at = -PLAIN_SECONDS
        self._printed_done = -1

    def __enter__(self) -> Self:
        self._began = time.monotonic()
        if self.console.is_terminal and not self.console.is_dumb_terminal:
            if Progress._bars is None:
                self._owns_bars = True
                Progress._bars = Bars(
                    TextColumn("{task.description}"),
                    BarColumn(bar_width=24),
                    TextColumn("{task.completed:g}/{task.total:g}"),
                    TextColumn("{task.fields[pace]}"),
                    TextColumn("[bold]{task.fields[headline]}"),
                    console=self.console,
                    redirect_stdout=sys.stdout.isatty(),
                )
                Progress._bars.start()
            self._task = Progress._bars.add_task(
                self.label, total=self.total, completed=self.done, pace="", headline=""
            )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._task is None:
            if error is None and self._printed_done != self.done:
                self._print()
        elif self._owns_bars and Progress._bars is not None:
            Progress._bars.stop()
            Progress._bars = None

    def update(self, done: int, **headline: float | None) -> None:
        """`done` of the total are done; `headline` numbers stay on show until they change, None leaves one as it is."""
        self.done = done
        self._headline |= {name: value for name, value in headline.items() if value is not None}
        if self._task is not None and Progress._bars is not None:
            Progress._bars.update(
                self._task, completed=done, total=self.total, pace=self._pace(), headline=self._numbers()
            )
        elif time.monotonic() - self._printed_at >= PLAIN_SECONDS:
            self._print()

    def advance(self, **headline: float | None) -> None:
        """One more is done."""
        self.update(self.done + 1, **headline)

    def report(self, done: int, total: int, **headline: float) -> None:
        """`update` for work that itself knows how long it is (agentlab_runner.runners.experiment.Report)."""
        self.total = total
        self.update(done, **headline)

    def _print(self) -> None:
        self._printed_at, self._printed_done = time.monotonic(), self.done
        parts = [f"{self.label} {self.done}/{self.total}", self._pace(), self._numbers()]
        with suppress(OSError):  # whoever read it has left, or their disk is full: no reason for work to end
            print(", ".join(part for part in parts if part), file=self.console.file, flush=True)

    def _pace(self) -> str:
        """Rate of this process, and the time still to go or, at the end, the time it took."""
        elapsed = time.monotonic() - self._began
        advanced = self.done - self._start
        if advanced <= 0 or elapsed <= 0:
            return ""
        each = elapsed / advanced
        rate = f"{1 / each:.1f}/s" if each < 1 else f"{each:.1f} s each"
        left = max(0, self.total - self.done)
        return f"{rate}, {_clock(each * left)} left" if left else f"{rate}, took {_clock(elapsed)}"

    def _numbers(self) -> str:
        return ", ".join(f"{name} {value:.3g}" for name, value in self._headline.items())


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"

"""What the user sees while a sweep runs: a line as each job ends, whatever launcher runs it, and what runs now."""

import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from agentlab_runner.runners.sweep.job import Record, Status, final_value, logged
from agentlab_runner.runners.sweep.plan import called
from agentlab_runner.runners.terminal.tables import visible


class Watch:
    """Reads the job folders from a thread of its own, since a launcher answers only when all of its jobs have ended.

    On a terminal a bar shows what runs now; elsewhere there is one plain line a finished job and nothing more.
    A job is called by what it does not share with the others: its overrides without those of `fixed` keys. Without a
    `metric` only its end is told.
    """

    INTERVAL = 0.3
    """Seconds between two looks."""

    def __init__(self, folder: Path, fixed: Sequence[str], metric: str | None) -> None:
        self.folder, self.fixed, self.metric, self.console = folder, fixed, metric, Console()
        self._seen = {file: Record.read(file.parent) for file in self._files()}
        self._began = time.monotonic()
        self._total = self._ended = 0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()
        self._bar = Progress(*columns, console=self.console, transient=True, disable=not self.console.is_terminal)
        self._task = self._bar.add_task("starting", total=None)

    def __enter__(self) -> Self:
        self._bar.start()
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join()
        self._look()
        self._bar.stop()

    def expect(self, jobs: int, of: int) -> None:
        """The launcher is about to run this many jobs `of` those in the batch; the others are finished already."""
        self._total += jobs
        if jobs < of:
            self._say(f"{of - jobs} of {of} jobs are finished already and are read back")

    def _watch(self) -> None:
        while not self._over.wait(self.INTERVAL):
            self._look()

    def _look(self) -> None:
        running = []
        for file in self._files():
            record = Record.read(file.parent)
            if record is None:
                continue
            if record.status is Status.RUNNING:
                running.append((file.parent, record))
            elif self._seen.get(file) != record:
                self._ended += 1
                self._report(file.parent, record)
                self._seen[file] = record
        if self.console.is_terminal:
            now = "; ".join(self._headline(folder, record) for folder, record in running) or "waiting"
            shown = escape(visible(now))
            self._bar.update(self._task, description=shown, completed=self._ended, total=self._total or None)

    def _report(self, folder: Path, record: Record) -> None:
        if record.status is Status.FAILED:
            outcome = f"FAILED: {record.error} (see {folder / 'error.txt'})"
        elif record.status is Status.INTERRUPTED:
            outcome = "interrupted; it goes on from its last checkpoint when the sweep is run again"
        else:
            value = final_value(folder, self.metric) if self.metric else None
            without = f"finished without {self.metric}" if self.metric else "finished"
            outcome = without if value is None else f"{self.metric} {value:.4g}"
        total = max(self._total, self._ended)
        left = (time.monotonic() - self._began) / self._ended * (total - self._ended)
        took = clock(record.seconds) + (f", about {clock(left)} to go" if left else "")
        self._say(f"[{self._ended}/{total}] {self._name(record)}: {outcome} ({took})")

    def _headline(self, folder: Path, record: Record) -> str:
        lines = logged(folder)
        step = f"step {lines[-1]['step']}" if lines else "starting"
        values = [f", {self.metric} {entry[self.metric]:.3g}" for entry in lines if self.metric in entry]
        return f"{self._name(record)}: {step}{values[-1] if values else ''}"

    def _name(self, record: Record) -> str:
        return called(record.overrides, self.fixed)

    def _say(self, text: str) -> None:
        with suppress(OSError, SystemExit):  # rich leaves when nobody reads any more; the jobs go on
            self.console.print(visible(text), markup=False, highlight=False, soft_wrap=True)

    def _files(self) -> list[Path]:
        return sorted(self.folder.glob("jobs/*/job.json"))


def clock(seconds: float) -> str:
    """A duration as a person says it: `42 s`, `3 min`, `2 h 5 min`."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 100 else f"{minutes // 60} h {minutes % 60} min"

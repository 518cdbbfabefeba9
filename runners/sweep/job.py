"""One job of a sweep: Hydra's task function, and the process of its own in which the job's run happens.

A process a job costs one start of Python and buys what a sweep needs: nothing leaks from one job into the next, a job
that is killed or runs out of memory is one failed job whatever the launcher, what it prints goes to its `log.txt`,
and it can be told to stop and save from outside.
"""

import json
import logging
import os
import resource
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import deque
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import IO, Any

from omegaconf import DictConfig, OmegaConf

from agentlab_runner.runners.config.identity import config_hash
from agentlab_runner.runners.config.modules import find_modules, found_modules, python_path
from agentlab_runner.runners.errors import UserError
from agentlab_runner.runners.files.atomic import write_atomic
from agentlab_runner.runners.files.lock import is_locked
from agentlab_runner.runners.files.received import read_object
from agentlab_runner.runners.run.folder import Run
from agentlab_runner.runners.run.metrics_file import MetricsFile, is_finite
from agentlab_runner.runners.run.signals import Stops, ended
from agentlab_runner.runners.sweep.plan import as_typed, called
from agentlab_runner.runners.sweep.preemption import Preemption, outlive

log = logging.getLogger(__name__)

STOP = "stop"
"""File in the sweep folder that tells running jobs to save and end, and waiting ones not to begin."""
AT_ONCE = "at once"
"""What the stop file holds when running jobs may not even save."""
POLL = 0.1
"""Seconds between two looks at the stop file."""


class Status(StrEnum):
    RUNNING = "running"
    FINISHED = "finished"
    FAILED = "failed"
    INTERRUPTED = "interrupted"


@dataclass(frozen=True, slots=True)
class Record:
    """What a sweep knows of a job beside its run: `job.json` in the job's folder."""

    overrides: list[str]
    status: Status
    began: float
    """Unix time at which its last process started."""
    seconds: float = 0.0
    """How long that process took; 0 while it runs."""
    error: str = ""
    """The last line of the failure."""
    cpu_seconds: float = 0.0
    """What that process and those it started have computed, on all cores."""

    @classmethod
    def read(cls, folder: Path) -> "Record | None":
        """The record of a job, None if it was never begun; a damaged one is told of and counts as none."""
        try:
            content = read_object(folder, "job.json")
            record = cls(**(content | {"status": Status(content["status"])}))
            texts, numbers = [*record.overrides, record.error], (record.began, record.seconds, record.cpu_seconds)
            if not (all(isinstance(text, str) for text in texts) and all(map(is_finite, numbers))):
                raise ValueError("it says what no job says")
        except FileNotFoundError:
            return None
        except (UserError, KeyError, TypeError, ValueError) as fault:
            log.warning("%s is left out, since its job.json cannot be used (%s)", folder, fault)
            return None
        return record

    def write(self, folder: Path) -> None:
        write_atomic(folder / "job.json", json.dumps(asdict(self), indent=2) + "\n")


@dataclass(frozen=True, slots=True)
class Owner:
    """The process that runs the sweep."""

    host: str
    pid: int
    threads: str | None = None
    """The user's OMP_NUM_THREADS. Where a launcher sets another in its workers, it is the cores it gives to each."""

    @classmethod
    def this_process(cls) -> "Owner":
        return cls(socket.gethostname(), os.getpid(), os.environ.get("OMP_NUM_THREADS"))

    def is_gone(self) -> bool:
        """Whether it ended; never true on another machine, where a scheduler decides how long a job lives."""
        if self.host != socket.gethostname():
            return False
        try:
            os.kill(self.pid, 0)
        except OSError as fault:
            return isinstance(fault, ProcessLookupError)
        return False


@dataclass(frozen=True, slots=True)
class SweepJob:
    """Hydra's task function for every launcher and sweeper: runs a job once, and never raises for a job that failed."""

    folder: Path
    """Of the sweep; seen under the same path by every machine that runs a job."""
    metric: str
    fail_fast: bool
    owner: Owner
    modules: tuple[str, ...] = field(default_factory=found_modules)
    """Folders of the user's own modules, as the process knows them that made this job."""
    fixed: tuple[str, ...] = ()
    """Keys that all jobs share; by the others a job is called in W&B."""

    def __call__(self, cfg: DictConfig) -> float | None:
        """Run the job of this composed config unless it is finished; gives the final metric, None without one."""
        from hydra.core.hydra_config import HydraConfig

        from agentlab_runner.runners.config.validate import validate

        if os.getpid() != self.owner.pid:
            outlive()
        find_modules(self.modules)
        OmegaConf.resolve(cfg)
        validate(cfg)
        config = OmegaConf.to_container(cfg)
        assert isinstance(config, dict)
        overrides = [as_typed(override) for override in HydraConfig.get().overrides.task]
        return self.run({str(key): value for key, value in config.items()}, overrides)

    def run(self, config: dict[str, Any], overrides: list[str]) -> float | None:
        folder = job_folder(self.folder, config)
        record = Record.read(folder)
        if (record is None or record.status is not Status.FINISHED) and not self._must_stop():
            with Preemption() as preemption:
                record = self._run(folder, config, overrides, preemption)
            if record.status is Status.INTERRUPTED and not self._must_stop():
                preemption.answer()
            if record.status is Status.FAILED and self.fail_fast:
                (self.folder / STOP).touch()
        return final_value(folder, self.metric) if record and record.status is Status.FINISHED else None

    def _run(self, folder: Path, config: dict[str, Any], overrides: list[str], preemption: Preemption) -> Record:
        folder.mkdir(parents=True, exist_ok=True)
        self._wait_for_orphan(folder)
        began, since, cpu = time.time(), time.monotonic(), _cpu_of_children()
        (folder / "error.txt").unlink(missing_ok=True)
        Record(overrides, Status.RUNNING, began).write(folder)
        command = [sys.executable, "-P", "-m", "agentlab_runner.runners.sweep.job", str(folder)]
        # What this process can import, the job's can; buffered output would leave its log empty while it runs.
        env = {"PYTHONUNBUFFERED": "1"} | os.environ
        env["PYTHONPATH"] = python_path()
        env.pop("PYTHONSAFEPATH", None)  # for the launcher's processes; what the job starts is its own affair
        share = env.pop("OMP_NUM_THREADS", None) if self.owner.threads is None else None
        task = {
            "config": config,
            "overrides": overrides,
            "name": called(overrides, self.fixed),
            "modules": self.modules,
            "cores": int(share) if share else None,
        }
        with (
            open(folder / "log.txt", "ab") as log,
            # In a session of its own it misses the terminal's Ctrl-C: it is told to stop once, through its input.
            subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=log, stderr=subprocess.STDOUT, env=env, start_new_session=True
            ) as process,
        ):
            assert process.stdin is not None
            _tell(process.stdin, json.dumps(task).encode() + b"\n")
            while process.poll() is None:
                if preemption.asked or self._must_stop():
                    process.stdin.close()
                if self._must_stop(at_once=True):
                    process.kill()
                time.sleep(POLL)
        status, error = _outcome(process.returncode, folder)
        if process.returncode == -signal.SIGKILL and self._must_stop(at_once=True):
            status, error = Status.INTERRUPTED, ""
        record = Record(overrides, status, began, time.monotonic() - since, error, _cpu_of_children() - cpu)
        record.write(folder)
        return record

    def _wait_for_orphan(self, folder: Path) -> None:
        """A job whose sweep was killed notices and saves; until then the run is its own."""
        while is_locked(folder) and not self._must_stop():
            time.sleep(POLL)

    def _must_stop(self, at_once: bool = False) -> bool:
        stop = self.folder / STOP
        if at_once:
            return stop.exists() and stop.read_text() == AT_ONCE
        return stop.exists() or self.owner.is_gone()


def job_folder(sweep: Path, config: dict[str, Any]) -> Path:
    """Where a job of this resolved config lives, whichever sweeper asked for it."""
    return sweep / "jobs" / config_hash(config)


def final_value(folder: Path, metric: str) -> float | None:
    """The metric on the last line of a run that carries it, None if none does."""
    curve = course(folder, metric)
    return curve[max(curve)] if curve else None


def course(folder: Path, metric: str) -> dict[int, float]:
    """The metric by step, where it is a finite number."""
    return {line["step"]: float(line[metric]) for line in logged(folder) if is_finite(line.get(metric))}


def logged(folder: Path) -> list[dict[str, Any]]:
    """Every line the job's run has logged so far; a damaged file is told of and counts as none."""
    try:
        return MetricsFile(folder / "metrics.jsonl").read()
    except UserError as fault:
        log.warning("%s", fault)
        return []


def _cpu_of_children() -> float:
    """Seconds that the ended children of this process, and theirs, have computed."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _tell(stdin: IO[bytes], message: bytes) -> None:
    try:
        stdin.write(message)
        stdin.flush()
    except BrokenPipeError:
        pass  # it died at once; its exit code says so


def _outcome(code: int, folder: Path) -> tuple[Status, str]:
    if code == 0:
        return Status.FINISHED, ""
    if code == 130:
        return Status.INTERRUPTED, ""
    trace = folder / "error.txt"
    if not trace.exists():  # the run had not begun, or could not say anything any more
        with open(folder / "log.txt", errors="replace") as log:
            last = "".join(deque(log, maxlen=30)).rstrip()
        end = f"\nthe job's process ended by {_signal(-code)}" if code < 0 else ""
        write_atomic(trace, f"{last}{end}\n")
    lines = [line for line in trace.read_text().splitlines() if line.strip() and not line.startswith("full_key: ")]
    return Status.FAILED, lines[-1] if lines else f"the job's process ended with code {code} and said nothing"


def _signal(number: int) -> str:
    return signal.Signals(number).name if number in list(signal.Signals) else f"signal {number}"


def main(folder: Path) -> int:
    """The job's process: reads its config from the first line of its input, runs, and saves when that input ends."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})  # Ray blocks it in the processes of its workers
    signal.signal(signal.SIGINT, signal.default_int_handler)
    task = json.loads(sys.stdin.readline())
    find_modules(task["modules"])
    threading.Thread(target=_stop_at_end_of_input, daemon=True).start()
    try:
        with Stops():
            _train(folder, OmegaConf.create(task["config"]), task["overrides"], task["name"], task["cores"])
    except KeyboardInterrupt:
        return 130
    except UserError as fault:
        print(fault, file=sys.stderr)
        return 2
    return 0


def _train(folder: Path, cfg: DictConfig, overrides: list[str], name: str, cores: int | None) -> None:
    from agentlab_runner.runners.launch import train_in

    if (folder / "manifest.json").exists():
        run = Run.open(folder)
        run.update_config(cfg)
    else:
        command, group = ["agentlab", "train", *overrides], folder.parent.parent.name
        run = Run.create(cfg, folder.parent, command, name=name, path=folder, group=group)
    with run:
        train_in(run, cfg, cores)


def _stop_at_end_of_input() -> None:
    sys.stdin.read()  # returns when the sweep closes it, or is killed
    os.kill(os.getpid(), signal.SIGINT)


if __name__ == "__main__":
    code = main(Path(sys.argv[1]))
    ended(code)
    sys.exit(code)

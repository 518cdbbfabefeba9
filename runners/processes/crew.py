"""The processes of one run: one leads, owns the run folder and the terminal; the others follow it.

`agentlab` starts the followers itself, or `torchrun` starts all of them, on one machine or on several. Either way the
leader puts into the store that they share what is to be done, and each follower does it.
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import IO, Any, NoReturn

from omegaconf import DictConfig, OmegaConf

from agentlab_runner.runners.config.modules import find_modules, found_modules, python_path
from agentlab_runner.runners.errors import RunFailed, UserError
from agentlab_runner.runners.processes.threads import settle, wait
from agentlab_runner.runners.run.folder import Run
from agentlab_runner.runners.run.signals import ignore
from agentlab_runner.runners.types import Metrics

Build = Callable[[DictConfig], Any]
"""Makes the experiment of a config."""

TASK = "agentlab/task"
NOTICE = 5.0
"""Seconds in which a follower that died is noticed after a call to it has failed."""
GRACE = 60.0
"""Seconds the leader may stay stuck in a call to a follower that is dead, before it is ended too."""


def follows() -> bool:
    """Whether this process was started by torchrun as one that does not lead."""
    return int(os.environ.get("RANK", "0")) > 0


@contextmanager
def crew(
    run: Run, cfg: DictConfig, verb: str, follower: str, cores: int | None = None, **arguments: Any
) -> Iterator[None]:
    """Inside, every follower runs `Experiment.VERB(run, **arguments)` as the leader does, all with threads as settled.

    Nothing is started for a config of one process.

    Args:
        follower: the module that a follower runs as a program, calling `follow_until_abandoned`.
        cores: how many the run may use; all if None.

    Raises:
        RunFailed: if a follower ended before its time; the others are ended too.
    """
    if (cfg.get("trainer") or {}).get("device", "cpu") != "cpu":
        wait(None)  # to count GPUs is to import torch
    local = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))  # torchrun's
    size = local if local > 1 else wanted(cfg)
    if cfg.get("trainer"):
        threads = settle(cfg, size, run.manifest.get("threads"), cores)
        if run.owned:
            run.record(threads=threads)
    elif cores:
        os.environ["OMP_NUM_THREADS"] = str(cores)
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        _publish(_store(), run, cfg, verb, arguments)
        yield
        return
    if size == 1:
        yield
        return
    from torch.distributed import TCPStore  # type: ignore[attr-defined]

    store = TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)
    shared = {
        "WORLD_SIZE": str(size),
        "LOCAL_WORLD_SIZE": str(size),
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(store.port),
        "TORCHELASTIC_USE_AGENT_STORE": "True",  # the store is there already: none of them makes one
    }
    _publish(store, run, cfg, verb, arguments)
    with _environment(shared | {"RANK": "0", "LOCAL_RANK": "0"}), _Followers(follower, size, shared, run.path):
        yield


def wanted(cfg: DictConfig) -> int:
    """How many processes a config asks for on this machine."""
    node = cfg.get("trainer") or {}
    if node.get("strategy", "single") == "single":
        return 1
    if node.get("processes"):
        return int(node["processes"])
    import torch

    return (torch.cuda.device_count() if node.get("device") != "cpu" else 0) or 2


def follow(build: Build) -> NoReturn:
    """Do what the leader has asked for, in silence, and end this process."""
    code = 1
    ignore(but=(signal.SIGINT,))
    try:
        task = json.loads(_store().get(TASK))
        with open(os.devnull, "w") as nowhere, redirect_stdout(nowhere), redirect_stderr(nowhere):
            find_modules(task["modules"])
            run = FollowedRun(Path(task["run"]))
            experiment = build(OmegaConf.create(task["config"]))
            getattr(experiment, task["verb"])(run, **task["arguments"])
        code = 0
    except KeyboardInterrupt:  # all have agreed to stop
        code = 0
    except Exception:
        traceback.print_exc()
    sys.stderr.flush()
    os._exit(code)  # at the interpreter's own end, torch would abort for the connections still open


class FollowedRun(Run):
    """The leader's run as a follower has it: read, and never written."""

    def __init__(self, path: Path) -> None:
        if not path.is_dir():
            raise UserError(f"{path} is not there; runs_dir must be a folder that all machines of a run share")
        super().__init__(path)

    def log(self, metrics: Metrics, step: int) -> None:
        pass

    def save_checkpoint(self, step: int, state: Mapping[str, Any], score: float | None = None) -> None:
        pass

    def write(self, name: str, content: bytes | str) -> Path:
        return self.path / name

    def write_eval(self, name: str, result: Mapping[str, Any], step: int | None = None) -> Path:
        return self.path / "eval" / f"{name}.json"

    def save_episodes(self, name: str, trajectories: Any, limit: int | None = None, step: int | None = None) -> Path:
        return self.path / "episodes" / name


class _Followers:
    """The processes 1, 2, … of this machine. They end when their input ends, so that none outlives the leader."""

    def __init__(self, module: str, size: int, shared: Mapping[str, str], run: Path) -> None:
        self.module = module
        self.size = size
        self.shared = shared
        self.run = run
        self.ended = threading.Event()

    def __enter__(self) -> None:
        # What this process can import, a follower can; in a session of its own it misses the terminal's Ctrl-C.
        env = {**os.environ, "PYTHONPATH": python_path(), **self.shared}
        self.logs: list[IO[bytes]] = [tempfile.TemporaryFile() for _ in range(1, self.size)]  # noqa: SIM115
        self.processes = [
            subprocess.Popen(
                [sys.executable, "-P", "-m", self.module],
                env=env | {"RANK": str(rank), "LOCAL_RANK": str(rank)},
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            for rank, log in enumerate(self.logs, start=1)
        ]
        threading.Thread(target=self._watch, daemon=True).start()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: Any) -> None:
        fault = self._fault(wait=NOTICE) if isinstance(error, RuntimeError) else None  # as torch tells of a lost peer
        self.ended.set()
        for process in self.processes:
            if error is not None:
                process.kill()
            process.wait()
            assert process.stdin is not None
            process.stdin.close()
        if fault:
            raise RunFailed(fault) from error

    def _fault(self, wait: float = 0.0) -> str | None:
        """What is wrong with the followers; None if all are well after `wait` seconds."""
        until = time.monotonic() + wait
        while True:
            for rank, (process, log) in enumerate(zip(self.processes, self.logs, strict=True), start=1):
                if process.poll():
                    return self._sentence(rank, process.returncode, log)
            if time.monotonic() >= until:
                return None
            time.sleep(0.05)

    def _sentence(self, rank: int, code: int, log: IO[bytes]) -> str:
        log.seek(0)
        lines = log.read().decode(errors="replace").strip().splitlines()
        said = f" ({lines[-1].strip()})" if lines else ""
        how = f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with code {code}{said}"
        return (
            f"process {rank} of 0-{self.size - 1} {how}, so the others were ended too; go on from the last checkpoint "
            f"with: agentlab resume run={self.run}"
        )

    def _watch(self) -> None:
        """A call to a dead process may never return; then there is no other way out than this."""
        while not self.ended.wait(0.5):
            fault = self._fault()
            if fault and not self.ended.wait(GRACE):
                print(f"agentlab: {fault}", file=sys.stderr, flush=True)
                os._exit(1)


def _store() -> Any:
    """The store that torchrun, or the leader, keeps for all processes."""
    from datetime import timedelta

    from torch.distributed import TCPStore  # type: ignore[attr-defined]

    address, port = os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"])
    return TCPStore(address, port, is_master=False, timeout=timedelta(minutes=30))


def _publish(store: Any, run: Run, cfg: DictConfig, verb: str, arguments: Mapping[str, Any]) -> None:
    task = {
        "run": str(run.path.absolute()),
        "config": OmegaConf.to_container(cfg, resolve=True),
        "modules": found_modules(),
        "verb": verb,
        "arguments": arguments,
    }
    store.set(TASK, json.dumps(task))


@contextmanager
def _environment(variables: Mapping[str, str]) -> Iterator[None]:
    """Inside, this process is the leader of a group that torch and accelerate find in the environment."""
    import torch

    before = dict(os.environ)
    os.environ.update(variables)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)
        if torch.distributed.is_initialized():
            torch.distributed.destroy_process_group()


def _end_with_input() -> None:
    sys.stdin.buffer.read()  # returns when the leader has ended, however it ended
    os._exit(1)


def follow_until_abandoned(build: Build) -> NoReturn:
    """`follow`, in a process that the leader started and that does not outlive it."""
    threading.Thread(target=_end_with_input, daemon=True).start()
    follow(build)

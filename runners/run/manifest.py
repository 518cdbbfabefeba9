"""What must be known of a run to believe or repeat it: command, code, packages, hardware, config hash, status."""

import os
import platform
import re
import secrets
import shutil
import subprocess
from collections.abc import Callable, Mapping
from datetime import datetime
from importlib.metadata import distributions
from pathlib import Path
from typing import Any, NotRequired, TypedDict, cast

from agentlab_runner.runners.config.identity import config_hash
from agentlab_runner.runners.errors import UserError
from agentlab_runner.runners.files.received import read_object
from agentlab_runner.runners.run.repositories import Code, Git, Repository

STATUSES = ("running", "finished", "failed", "interrupted")


class Hardware(TypedDict):
    host: str
    cpu: str
    cores: int
    """Those this process may use."""
    memory_gb: float
    gpu: list[str]


class Manifest(TypedDict):
    """The content of `manifest.json`."""

    name: str
    group: NotRequired[str | None]
    """The sweep or claim whose job it is; `name` then says what it has otherwise than the other jobs."""
    command: list[str]
    status: str
    """running, finished, failed or interrupted."""
    started: str
    """ISO 8601 with the zone."""
    ended: str | None
    seconds: NotRequired[float]
    """How long processes have run it, breaks left out; of one that was killed, up to its last checkpoint."""
    seed: int | None
    config_hash: str
    replaced_hash: str | None
    """Of the config before the last permitted change, which stays if a kill comes between the two files."""
    tags: list[str]
    notes: str
    init_from: dict[str, Any] | None
    """The run, step and sha256 of the checkpoint whose weights it started from."""
    wandb_id: str
    git: Git
    repositories: list[Repository]
    python: str
    packages: dict[str, str]
    hardware: Hardware
    resumed: list[dict[str, Any]]
    """One entry a resumption: time, step, command."""
    saved: int | None
    """The step of the newest checkpoint; a run older than this key does not say."""
    threads: dict[str, Any] | None
    """How many threads the run computes with and how they wait, see runners/processes/threads.py."""


def new_manifest(
    name: str, command: list[str], config: Mapping[str, Any], code: Code, group: str | None = None
) -> Manifest:
    """The manifest of a run that starts now, with a resolved `config`, computed with `code`."""
    return Manifest(
        name=name,
        group=group,
        command=list(command),
        status="running",
        started=now(),
        ended=None,
        seconds=0.0,
        seed=config.get("seed"),
        **described(config),
        init_from=None,
        wandb_id=secrets.token_hex(4),
        git=code["git"],
        repositories=code["repositories"],
        python=platform.python_version(),
        packages=dict(sorted((d.name, d.version) for d in distributions() if d.name)),
        hardware=hardware(),
        resumed=[],
        saved=None,
        threads=None,
        replaced_hash=None,
    )


class Described(TypedDict):
    """What a manifest repeats of a config, which a resumption may change."""

    config_hash: str
    tags: list[str]
    notes: str


def described(config: Mapping[str, Any]) -> Described:
    """What the manifest says of a resolved config."""
    tags, notes = config.get("tags") or [], config.get("notes") or ""
    return Described(config_hash=config_hash(config), tags=list(tags), notes=notes)


def read_manifest(path: Path) -> Manifest:
    """The manifest of the run folder `path`.

    Raises:
        UserError: if it is missing or damaged.
    """
    try:
        content = read_object(path, "manifest.json")
    except FileNotFoundError:
        raise UserError(f"{path} is not a run folder (it has no manifest.json); name the folder of a run") from None
    wrong = next((key for key, is_right in _RIGHT.items() if not is_right(content.get(key))), None)
    if wrong is not None:
        raise UserError(f"{path / 'manifest.json'} is damaged (its {wrong} is missing or wrong); restore it")
    content.setdefault("ended", None)  # it is relied on, and may say nothing
    return cast(Manifest, content)


def duration(manifest: Mapping[str, Any], ended: float | None = None) -> float | None:
    """Seconds a run took, whatever its clock was set to meanwhile; None where that cannot be known.

    Args:
        ended: when it ended, in Unix seconds, where the manifest does not say so.
    """
    if isinstance(seconds := manifest.get("seconds"), int | float) and seconds > 0:
        return float(seconds)
    began, ended = moment(manifest.get("started")), moment(manifest.get("ended")) or ended
    return ended - began if began is not None and ended is not None and ended >= began else None


def moment(text: Any) -> float | None:
    """Unix seconds of a time as manifests have it; None for anything else."""
    try:
        return datetime.fromisoformat(text).timestamp()
    except (TypeError, ValueError, OverflowError, OSError):
        return None


def _is_commit(value: Any) -> bool:
    return isinstance(value, dict) and {"commit", "dirty"} <= value.keys() and isinstance(value["commit"], str | None)


def _is_threads(value: Any) -> bool:
    """None, or a number of threads that some machine has: OpenMP takes the process down with too many."""
    number = value.get("number") if isinstance(value, dict) else None
    return value is None or (type(number) is int and 1 <= number <= 4096)


_RIGHT: dict[str, Callable[[Any], bool]] = {
    "name": lambda value: isinstance(value, str),
    "command": lambda value: isinstance(value, list) and all(isinstance(word, str) for word in value),
    "status": lambda value: value in STATUSES,
    "started": lambda value: moment(value) is not None,
    "ended": lambda value: value is None or moment(value) is not None,
    "config_hash": lambda value: isinstance(value, str),
    "init_from": lambda value: value is None or (isinstance(value, dict) and {"step", "sha256"} <= value.keys()),
    "wandb_id": lambda value: isinstance(value, str) and re.fullmatch(r"[\w-]+", value) is not None,
    "seconds": lambda value: value is None or (isinstance(value, int | float) and 0 <= value < 1e12),
    "tags": lambda value: value is None or (isinstance(value, list) and all(isinstance(tag, str) for tag in value)),
    "notes": lambda value: isinstance(value, str | None),
    "group": lambda value: isinstance(value, str | None),
    "seed": lambda value: value is None or isinstance(value, int),
    "git": _is_commit,
    "packages": lambda value: isinstance(value, dict),
    "hardware": lambda value: isinstance(value, dict) and isinstance(value.get("gpu", []), list),
    "resumed": lambda value: isinstance(value, list),
    "saved": lambda value: value is None or type(value) is int,
    "threads": _is_threads,
}
"""What must be right for a folder to count as a run's: the keys that are relied on."""


def now() -> str:
    """The present, ISO 8601 with zone, to the millisecond."""
    return datetime.now().astimezone().isoformat(timespec="milliseconds")


def hardware() -> Hardware:
    """This machine, read without importing torch."""
    gpus = _output("nvidia-smi", "--query-gpu=name", "--format=csv,noheader")
    return Hardware(
        host=platform.node(),
        cpu=_cpu_model(),
        cores=len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1,
        memory_gb=round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9, 1),
        gpu=gpus.splitlines() if gpus else [],
    )


def _cpu_model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def _output(*command: str) -> str | None:
    """What a command printed; None if it is missing, fails or takes more than ten seconds."""
    if shutil.which(command[0]) is None:
        return None
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True)
    except (subprocess.SubprocessError, OSError):
        return None
    return done.stdout.strip()

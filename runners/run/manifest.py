"""What must be known of a run to believe or repeat it: command, code, packages, hardware, config hash, status."""

import json
import os
import platform
import secrets
import shutil
import subprocess
from collections.abc import Mapping
from datetime import datetime
from importlib.metadata import distributions
from pathlib import Path
from typing import Any, TypedDict, cast

from agentlab_runner.runners.config.identity import config_hash
from agentlab_runner.runners.errors import UserError
from agentlab_runner.runners.run.repositories import Code, Git, Repository


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
    command: list[str]
    status: str
    """running, finished, failed or interrupted."""
    started: str
    """ISO 8601 with the zone."""
    ended: str | None
    seed: int | None
    config_hash: str
    wandb_id: str
    git: Git
    repositories: list[Repository]
    python: str
    packages: dict[str, str]
    hardware: Hardware
    resumed: list[dict[str, Any]]
    """One entry a resumption: time, step, command."""


def new_manifest(name: str, command: list[str], config: Mapping[str, Any], code: Code) -> Manifest:
    """The manifest of a run that starts now, with a resolved `config`, computed with `code`."""
    return Manifest(
        name=name,
        command=list(command),
        status="running",
        started=now(),
        ended=None,
        seed=config.get("seed"),
        config_hash=config_hash(config),
        wandb_id=secrets.token_hex(4),
        git=code["git"],
        repositories=code["repositories"],
        python=platform.python_version(),
        packages=dict(sorted((d.name, d.version) for d in distributions() if d.name)),
        hardware=hardware(),
        resumed=[],
    )


def read_manifest(path: Path) -> Manifest:
    """The manifest of the run folder `path`.

    Raises:
        UserError: if it is missing or damaged.
    """
    file = path / "manifest.json"
    try:
        content = json.loads(file.read_text())
    except FileNotFoundError:
        raise UserError(f"{path} is not a run folder (it has no manifest.json); name the folder of a run") from None
    except ValueError as error:
        raise UserError(f"{file} is damaged ({error}); restore it or start a new run") from error
    return cast(Manifest, content)


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

"""What every test may use."""

import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True, slots=True)
class Result:
    """How a command ended."""

    exit_code: int
    stdout: str
    stderr: str


def environment() -> dict[str, str]:
    """The environment of a command run by a test: this checkout, one thread, no settings of the developer."""
    own = {name: value for name, value in os.environ.items() if not name.startswith(("AGENTLAB_", "WANDB_"))}
    paths = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    return own | {"PYTHONPATH": paths, "OMP_NUM_THREADS": "1", "COLUMNS": "200", "NO_COLOR": "1"}


def agentlab(*args: str, cwd: Path, env: Mapping[str, str], timeout: float = 300) -> Result:
    """`agentlab ARGS` as a user runs it, in a process of its own."""
    command = [sys.executable, "-m", "agentlab_runner.runners", *args]
    done = subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, timeout=timeout)
    return Result(done.returncode, done.stdout, done.stderr)


@pytest.fixture
def cli_env() -> dict[str, str]:
    """What `cli` passes as environment; a test may add to it."""
    return environment()


@pytest.fixture
def cli(tmp_path: Path, cli_env: dict[str, str]) -> Callable[..., Result]:
    """`agentlab ARGS` in an empty folder."""
    return lambda *args: agentlab(*args, cwd=tmp_path, env=cli_env)

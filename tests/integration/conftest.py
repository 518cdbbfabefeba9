"""The laptop experiment at a size that trains in seconds, driven by command lines as a user gives them."""

import fcntl
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import chdir
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click.testing
import pytest
import torch
from typer.testing import CliRunner

from agentlab_runner.runners.cli import app
from agentlab_runner.runners.run.metrics_file import MetricsFile
from tests.conftest import Result, agentlab, environment

LONG = 1200.0
"""Seconds until a process counts as stuck; a busy machine makes seconds of work last minutes."""

SMALL = (
    "env.templates=[open_app]",
    "env.horizon=4",
    "env.num_envs=2",
    "rollout_size=6",
    "total_iterations=5",
    "checkpoint.every=1",
    "eval.every=2",
    "eval.episodes=4",
    "eval.record=2",
    "warm_start.episodes=40",
    "warm_start.demonstrator.slip=0.2",
    "model.temperature=0.5",
    "agent.imitation.steps=150",
    "agent.actor_steps=2",
    "agent.batch_size=8",
    "agent.critic_steps=2",
    "agent.instruction_critic_steps=2",
    "agent.heatmap_every=1",
    "agent.scm.pretrain_rounds=5",
    "agent.scm.draws=16",
    "model.make.image_size=32",
    "model.make.width=32",
    "model.make.layers=1",
)


def invoke(*args: str, env: dict[str, str], code: int = 0) -> click.testing.Result:
    """`agentlab ARGS` in this process and folder, which must end with `code`."""
    done = CliRunner().invoke(app, args, env=env)
    assert done.exit_code == code, done.output
    return done


@dataclass(frozen=True)
class Lab:
    """A folder to run commands in; the warm start is made once for all of them."""

    path: Path
    env: dict[str, str]

    def __call__(self, *args: str, code: int = 0) -> Result:
        """`agentlab ARGS`, which must end with `code`; in this process, which has imported torch already."""
        with chdir(self.path):
            done = invoke(*args, env=self.env, code=code)
        return Result(done.exit_code, done.stdout, done.stderr)

    def train(self, *args: str, exp: str = "coso_android", code: int = 0) -> Result:
        """`agentlab train` of the small experiment, without W&B unless `args` say so."""
        return self("train", *small(exp, *args), code=code)

    def alone(self, *args: str, code: int = 0) -> Result:
        """The same in a process of its own."""
        result = agentlab(*args, cwd=self.path, env=self.env)
        assert result.exit_code == code, result.stderr
        return result

    def start(self, *args: str) -> "subprocess.Popen[str]":
        command = [sys.executable, "-m", "agentlab_runner.runners", *args]
        return subprocess.Popen(
            command, cwd=self.path, env=self.env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )

    @property
    def run(self) -> Path:
        """The folder of the only run."""
        (run,) = (self.path / "runs").iterdir()
        return run


def small(exp: str, *args: str) -> list[str]:
    logger = [] if any(a.startswith("logger") for a in args) else ["logger=none"]
    return [f"+exp={exp}", *SMALL, *logger, *args]


def numbers(run: Path) -> list[dict[str, Any]]:
    """Every logged line without what a clock says."""
    lines = MetricsFile(run / "metrics.jsonl").read()
    return [{k: v for k, v in line.items() if not k.startswith("time")} for line in lines]


def lines(folder: Path) -> list[dict[str, Any]]:
    """The `numbers` of the only run below a folder."""
    (file,) = folder.glob("runs/*/metrics.jsonl")
    return numbers(file.parent)


def logged(lab: "Lab") -> int:
    """The last step the only run has logged so far."""
    steps = [line["step"] for file in lab.path.glob("runs/*/metrics.jsonl") for line in numbers(file.parent)]
    return max(steps, default=-1)


def manifest(run: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((run / "manifest.json").read_text())
    return content


def steps_kept(run: Path) -> list[int]:
    """The steps of its checkpoints."""
    return sorted(int(file.stem) for file in (run / "checkpoints").glob("*.json"))


def wait_until(condition: Callable[[], bool], process: "subprocess.Popen[str]") -> None:
    """Until the process has brought it about; it may not end before."""
    while not condition():
        assert process.poll() is None, process.communicate()
        time.sleep(0.01)


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for the whole test session, of all its worker processes."""
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "phone"
    folder.mkdir(exist_ok=True)
    return folder


@pytest.fixture(scope="session")
def finished(shared: Path) -> Path:
    """The folder of a run that nothing disturbed, trained once a session."""
    lab = Lab(shared, environment() | {"AGENTLAB_CACHE": str(shared / "cache")})
    with open(shared / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (shared / "runs").exists():
            lab.alone("train", *small("coso_android"))
    return lab.run


@pytest.fixture
def lab(shared: Path, finished: Path, tmp_path: Path) -> Iterator[Lab]:
    """An empty folder to run commands in, once the warm start is made."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # as in the processes started here
    yield Lab(tmp_path, environment() | {"AGENTLAB_CACHE": str(shared / "cache")})
    torch.set_num_threads(threads)


@pytest.fixture
def trained(lab: Lab, finished: Path) -> Path:
    """A copy of the finished run as the only one of `lab`."""
    shutil.copytree(finished, lab.path / "runs" / finished.name)
    return lab.run

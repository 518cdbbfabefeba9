"""Several processes behind one command, as a user starts them."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from omegaconf import OmegaConf

from agentlab_runner.runners.run.folder import Run
from tests.conftest import Result, agentlab, environment

CONF = str(Path(__file__).parents[1] / "conf")


def train(folder: Path, *overrides: str) -> Result:
    return agentlab("train", "+exp=team", *overrides, cwd=folder, env=environment() | {"AGENTLAB_CONF": CONF})


def only_run(folder: Path) -> Run:
    (run,) = (folder / "runs").iterdir()
    return Run.open(run)


def numbers(run: Run) -> list[dict[str, float]]:
    return [{k: v for k, v in line.items() if not k.startswith("time")} for line in run.metrics()]


@pytest.fixture(scope="module")
def alone(tmp_path_factory) -> Run:
    """The run that one process trains."""
    folder = tmp_path_factory.mktemp("alone")
    result = train(folder)
    assert result.exit_code == 0, result.stderr
    return only_run(folder)


@pytest.mark.slow
def test_a_callback_is_told_in_one_process_and_ends_the_run_in_all(tmp_path):
    told = "callbacks=[{_target_:tests.runners.test_callbacks.Teller,stop:2}]"
    result = train(tmp_path, "trainer=ddp", "trainer.processes=2", "trainer.device=cpu", told)
    assert result.exit_code == 0, result.stderr
    run = only_run(tmp_path)
    assert [line["step"] for line in numbers(run)] == [0, 1, 2]
    assert run.load_checkpoint()[1]["callbacks"] == [{"iterations": 2}]


@pytest.mark.slow
@pytest.mark.parametrize("strategy", ["ddp", "fsdp"])
def test_two_processes_compute_what_one_does(alone, strategy, tmp_path):
    result = train(tmp_path, f"trainer={strategy}", "trainer.processes=2", "trainer.device=cpu")
    assert result.exit_code == 0, result.stderr
    run = only_run(tmp_path)
    for own, expected in zip(numbers(run), numbers(alone), strict=True):
        assert own == pytest.approx(expected, rel=1e-6, abs=1e-6)
        assert own.get("draws", 1) == 1  # random numbers are common to all again, after each has played on its own
    (step, state), (_, expected_state) = run.load_checkpoint(), alone.load_checkpoint()
    assert step == 4
    torch.testing.assert_close(state["agent"], expected_state["agent"], rtol=1e-5, atol=1e-6)
    names = [{file.relative_to(r.path).as_posix() for file in r.path.glob("e*/**/*")} for r in (run, alone)]
    assert names[0] == names[1]
    env = environment() | {"AGENTLAB_CONF": CONF}
    result = agentlab("eval", "run=latest", "trainer.processes=1", cwd=tmp_path, env=env)
    assert result.exit_code == 0, result.stderr


@pytest.mark.slow
def test_an_interrupted_run_goes_on_with_another_number_of_processes(alone, tmp_path):
    env = environment() | {"AGENTLAB_CONF": CONF}
    two = ["trainer=ddp", "trainer.processes=2", "trainer.device=cpu"]
    result = train(tmp_path, *two, "agent.die_at=3")
    assert result.exit_code == 1
    assert "process 1 of 0-1 was ended by SIGKILL, so the others were ended too; go on from" in result.stderr
    run = only_run(tmp_path)
    assert run.status == "failed"
    run.update_config(OmegaConf.merge(run.config, {"agent": {"die_at": 0}}), allow=["agent.die_at"])
    result = agentlab("resume", "run=latest", "trainer.processes=3", cwd=tmp_path, env=env)
    assert result.exit_code == 0, result.stderr
    for own, expected in zip(numbers(only_run(tmp_path)), numbers(alone), strict=True):
        assert own == pytest.approx(expected, rel=1e-5, abs=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("stop", [signal.SIGKILL, signal.SIGINT])
def test_no_follower_outlives_the_leader(stop, tmp_path):
    command = [sys.executable, "-m", "agentlab_runner.runners", "train"]
    command += ["+exp=team", "trainer=ddp", "trainer.device=cpu"]
    leader = subprocess.Popen(
        [*command, "trainer.processes=2", "agent.hold_at=2"],
        cwd=tmp_path,
        env=environment() | {"AGENTLAB_CONF": CONF},
        stderr=subprocess.PIPE,
    )
    while not list(tmp_path.glob("runs/*/checkpoints/*1.json")):
        assert leader.poll() is None, leader.stderr.read().decode()
        time.sleep(0.05)
    followers = [int(pid) for pid in Path(f"/proc/{leader.pid}/task/{leader.pid}/children").read_text().split()]
    assert followers
    for _ in range(1 if stop == signal.SIGKILL else 2):  # the second Ctrl-C does not wait for the iteration
        leader.send_signal(stop)
        time.sleep(0.5)
    assert leader.wait() == (-signal.SIGKILL if stop == signal.SIGKILL else 130)
    while any(_lives(pid) for pid in followers):
        time.sleep(0.05)


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return "zombie" not in Path(f"/proc/{pid}/status").read_text()


@pytest.mark.slow
def test_torchrun_starts_the_same(alone, tmp_path):
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    subprocess.run(
        [*launcher, "-m", "agentlab_runner.runners", "train", "+exp=team", "trainer=ddp", "trainer.device=cpu"],
        cwd=tmp_path,
        env=environment() | {"AGENTLAB_CONF": CONF},
        check=True,
    )
    for own, expected in zip(numbers(only_run(tmp_path)), numbers(alone), strict=True):
        assert own == pytest.approx(expected, rel=1e-6, abs=1e-6)


def test_one_process_cannot_be_several(tmp_path):
    result = train(tmp_path, "trainer=cpu", "+trainer.processes=2")
    assert result.exit_code == 2
    assert "strategy single is one process, not 2; use trainer=ddp" in result.stderr


@pytest.mark.slow
def test_every_process_needs_an_environment(tmp_path):
    result = train(tmp_path, "trainer=ddp", "trainer.device=cpu", "trainer.processes=2", "env.num_envs=1")
    assert result.exit_code == 2
    assert "2 processes cannot share num_envs=1; give each one or more" in result.stderr

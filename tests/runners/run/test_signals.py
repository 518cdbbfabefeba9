"""A run that is told to end, by whatever signal and however often, saves first."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from agentlab_runner.runners.run.folder import Run
from agentlab_runner.runners.run.signals import Stops, whole
from tests.conftest import ROOT, agentlab, environment

CONF = str(ROOT / "tests/runners/conf")
TRAIN = [sys.executable, "-m", "agentlab_runner.runners", "train", "+exp=gamble", "env.pause=0.05"]


@pytest.fixture
def env(tmp_path) -> dict[str, str]:
    """An environment in which SLURM's programs are small scripts; `calls.txt` has what was asked of scontrol."""
    programs = {
        "scontrol": f'echo "$@" >> {tmp_path}/calls.txt',
        "squeue": f"cat {tmp_path}/state.txt",
        "srun": 'exec "$@"',
        "agentlab": f'exec {sys.executable} -m agentlab_runner.runners "$@"',
    }
    (tmp_path / "bin").mkdir()
    for name, line in programs.items():
        file = tmp_path / "bin" / name
        file.write_text(f"#!/bin/sh\n{line}\n")
        file.chmod(0o755)
    own = environment() | {"AGENTLAB_CONF": CONF}
    return own | {"PATH": f"{tmp_path}/bin:{own['PATH']}"}


def calls(folder: Path) -> list[str]:
    file = folder / "calls.txt"
    return file.read_text().splitlines() if file.exists() else []


def logged(folder: Path) -> list[dict[str, float]]:
    lines = [json.loads(line) for file in folder.glob("metrics.jsonl") for line in file.read_text().splitlines()]
    return [{k: v for k, v in line.items() if not k.startswith("time")} for line in lines]


def wait_for_iteration(process: subprocess.Popen[str], runs: Path, iteration: int = 1) -> Path:
    """The run folder under `runs`, once that iteration is logged."""
    while True:
        assert process.poll() is None
        for folder in runs.glob("2*"):
            if iteration in {line["step"] for line in logged(folder)}:
                return folder
        time.sleep(0.02)


def start(command: list[str], folder: Path, env: dict[str, str]) -> subprocess.Popen[str]:
    return subprocess.Popen(command, cwd=folder, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory) -> list[dict[str, float]]:
    folder = tmp_path_factory.mktemp("undisturbed")
    result = agentlab("train", "+exp=gamble", cwd=folder, env=environment() | {"AGENTLAB_CONF": CONF})
    assert result.exit_code == 0, result.stderr
    return logged(next(folder.glob("runs/*")))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2])
def test_the_iteration_under_way_is_finished_and_saved(number, env, tmp_path, undisturbed):
    process = start(TRAIN, tmp_path, env)
    run = wait_for_iteration(process, tmp_path / "runs")
    for again in (number, number, signal.SIGTERM, signal.SIGINT):  # a scheduler may well say so four times
        process.send_signal(again)
    _, stderr = process.communicate()
    assert process.returncode == 130, stderr
    assert stderr.splitlines()[-1] == f"agentlab: interrupted; go on with: agentlab resume run=runs/{run.name}"
    saved = max(int(file.stem) for file in run.glob("checkpoints/*.json"))
    assert saved == logged(run)[-1]["step"] > 0
    assert Run.open(run).status == "interrupted"
    assert calls(tmp_path) == []
    resumed = agentlab("resume", "run=latest", cwd=tmp_path, env=env)
    assert resumed.exit_code == 0, resumed.stderr
    assert logged(run) == undisturbed


def test_a_closed_terminal_ends_a_run_that_writes_to_it(env, tmp_path):
    owner, terminal = os.openpty()
    process = subprocess.Popen(
        TRAIN, cwd=tmp_path, env=env, start_new_session=True, preexec_fn=lambda: os.login_tty(terminal)
    )
    os.close(terminal)
    run = wait_for_iteration(process, tmp_path / "runs")
    os.close(owner)
    assert process.wait() == 130
    assert Run.open(run).status == "interrupted"
    assert list(run.glob("checkpoints/*.json"))


def test_nohup_is_obeyed(env, tmp_path):
    process = start(["nohup", *TRAIN, "total_iterations=3"], tmp_path, env)
    wait_for_iteration(process, tmp_path / "runs")
    process.send_signal(signal.SIGHUP)
    _, stderr = process.communicate()
    assert process.returncode == 0, stderr


def test_what_is_being_written_becomes_whole_and_the_signal_is_answered_after():
    written = []

    def write():
        with Stops():
            with whole():
                os.kill(os.getpid(), signal.SIGINT)
                os.kill(os.getpid(), signal.SIGTERM)
                written.append("all")
            written.append("more")

    with pytest.raises(KeyboardInterrupt):
        write()
    assert written == ["all"]
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


def test_what_follows_the_first_signal_does_not_disturb_the_end():
    with Stops():
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGTERM)
        for number in (signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2, signal.SIGINT):
            os.kill(os.getpid(), number)
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)


def batch_script() -> str:
    """The script that docs/scaling.md shows, with an experiment that runs here."""
    (script,) = re.findall(r"```\n(#!/bin/bash\n#SBATCH.*?)```", (ROOT / "docs/scaling.md").read_text(), re.DOTALL)
    return script.replace("+exp=coso_android_gpu", "+exp=gamble env.pause=0.05")


def test_a_batch_job_whose_time_is_up_is_queued_again_and_goes_on_there(env, tmp_path, undisturbed):
    env |= {"SLURM_JOB_ID": "42"}
    (tmp_path / "job.sh").write_text(batch_script())
    process = start(["bash", "job.sh"], tmp_path, env)
    run = wait_for_iteration(process, tmp_path / "runs/job-42")
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    (step,) = map(int, children)  # srun, whose place agentlab has taken
    os.kill(step, signal.SIGUSR1)
    _, stderr = process.communicate()
    assert "interrupted, and SLURM has job 42 in its queue again; go on with: agentlab resume" in stderr
    assert calls(tmp_path) == ["requeue 42"]
    assert Run.open(run).status == "interrupted"
    again = subprocess.run(["bash", "job.sh"], cwd=tmp_path, env=env, capture_output=True, text=True)
    assert again.returncode == 0, again.stderr
    assert Run.open(run).status == "finished"
    assert logged(run) == undisturbed
    assert len(list((tmp_path / "runs/job-42").iterdir())) == 1


def test_a_queue_that_refuses_is_told_of(env, tmp_path):
    (tmp_path / "bin/scontrol").write_text("#!/bin/sh\necho 'Invalid job id specified' >&2\nexit 1\n")
    process = start(TRAIN, tmp_path, env | {"SLURM_JOB_ID": "42"})
    wait_for_iteration(process, tmp_path / "runs")
    process.send_signal(signal.SIGUSR1)
    _, stderr = process.communicate()
    assert process.returncode == 130
    assert "and SLURM did not take job 42 back into its queue (Invalid job id specified); go on with" in stderr


def test_a_signal_while_python_shuts_down_changes_no_exit_code(tmp_path):
    program = (
        "import atexit, sys, time\n"
        "atexit.register(lambda: (print('tidying', flush=True), time.sleep(1)))\n"
        "from agentlab_runner.runners.cli import main\n"
        "sys.argv = ['agentlab', *sys.argv[1:]]\n"
        "main()\n"
    )
    for verb, code in (("list", 0), ("nothing", 2)):
        with subprocess.Popen(
            [sys.executable, "-c", program, verb], cwd=tmp_path, env=environment(), stdout=subprocess.PIPE, text=True,
            stderr=subprocess.DEVNULL,
        ) as process:  # fmt: skip
            assert process.stdout is not None
            while process.stdout.readline() != "tidying\n":
                pass
            for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
                process.send_signal(number)
        assert process.returncode == code

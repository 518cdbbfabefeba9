"""Sweeps whose machine is taken away: jobs save, go back into the queue, and go on."""

import os
import signal
import subprocess
import time
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.runners.sweep.test_sweep import LONG, Folder, folder, wait_for

__all__ = ["folder"]  # a fixture
SUBMITIT = ["hydra/launcher=submitit_local", "hydra.launcher.timeout_min=60"]


def descendants(pid: int) -> list[int]:
    """The processes that a process has started, and they in turn."""
    found = [pid]
    for known in found:  # which grows
        with suppress(OSError):
            for task in Path(f"/proc/{known}/task").iterdir():
                found += map(int, (task / "children").read_text().split())
    return found[1:]


@pytest.mark.skipif(not find_spec("submitit"), reason="needs the submitit extra")
@pytest.mark.parametrize(
    ("told", "number"), [("task", signal.SIGUSR2), ("both", signal.SIGUSR2), ("job", signal.SIGTERM)]
)
def test_a_job_that_must_go_saves_is_queued_again_and_goes_on(folder: Folder, told: str, number: int) -> None:
    process = folder.start(*LONG, "experiment.pause=0.2", *SUBMITIT)
    wait_for(lambda: len(folder.steps("20")) > 1)
    long = folder.jobs()["20"].name
    (job,) = [pid for pid in descendants(process.pid) if long in command(pid) and "sweep.job" in command(pid)]
    for pid in {"job": [job], "task": [parent(job)], "both": [parent(job), job]}[told]:
        os.kill(pid, number)
    out, err = process.communicate()
    assert process.returncode == 0, out + err
    assert folder.statuses() == ["finished"] * 2
    assert folder.steps("20") == list(range(21))
    assert len(folder.starts()[1]) == 2
    assert folder.starts()[1][1] > 0  # from its checkpoint


def command(pid: int) -> str:
    return Path(f"/proc/{pid}/cmdline").read_text()


def parent(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_sweep_that_is_told_to_end_has_its_jobs_save(folder: Folder, number: int) -> None:
    (folder.path / "held").touch()
    process = folder.start(*LONG)
    wait_for(lambda: len(folder.steps("20")) > 1)
    for _ in range(2):
        process.send_signal(number)
        time.sleep(0.05)
    out, err = process.communicate()
    assert process.returncode == 130, out + err
    assert "\n1 of 2 jobs finished\n" in out
    assert [folder.status(job) for job in ("1", "20")] == ["finished", "interrupted"]


def test_a_sweep_in_a_batch_script_is_queued_again(folder: Folder) -> None:
    programs = folder.path / "bin"
    programs.mkdir()
    (programs / "scontrol").write_text(f'#!/bin/sh\necho "$@" >> {folder.path}/calls.txt\n')
    (programs / "scontrol").chmod(0o755)
    folder.env |= {"SLURM_JOB_ID": "7", "PATH": f"{programs}:{folder.env['PATH']}"}
    (folder.path / "held").touch()
    process = folder.start(*LONG)
    wait_for(lambda: len(folder.steps("20")) > 1)
    os.killpg(process.pid, signal.SIGUSR1)
    out, err = process.communicate()
    assert process.returncode == 130, out + err
    assert "agentlab: interrupted, and SLURM has job 7 in its queue again; the same command does the rest" in err
    assert (folder.path / "calls.txt").read_text() == "requeue 7\n"  # the sweep alone, not its jobs
    assert folder.status("20") == "interrupted"


def test_a_job_that_slurm_has_cancelled_stays_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from agentlab_runner.runners.sweep.preemption import Preemption

    squeue = tmp_path / "squeue"
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setenv("SLURM_JOB_ID", "7")
    answers: list[str] = []
    before = signal.signal(signal.SIGUSR2, lambda *_: answers.append("queued"))
    try:
        for state, expected in (("CANCELLED", []), ("RUNNING", ["queued"])):
            squeue.write_text(f"#!/bin/sh\necho {state}\n")
            squeue.chmod(0o755)
            assert subprocess.run(["squeue"], capture_output=True, text=True).stdout.strip() == state
            with Preemption() as preemption:
                pass
            preemption.answer()
            assert answers == expected
    finally:
        signal.signal(signal.SIGUSR2, before)

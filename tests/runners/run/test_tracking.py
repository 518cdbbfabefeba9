"""W&B as users meet it: offline without an account, one id for a run's whole life, never a reason for a run to stop."""

import json
import logging
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace

import numpy as np
import pytest
import wandb

from agentlab_runner.runners.config.settings import WandbSettings
from agentlab_runner.runners.run.folder import Run
from agentlab_runner.runners.run.tracking import WandbTracker
from agentlab_runner.runners.run.wandb_files import records
from agentlab_runner.runners.types import Decision, Histogram, Picture, Series, Step, StopReason, Table, Trajectory

SCREEN = np.full((24, 16, 3), 200, np.uint8)
EPISODE = Trajectory(
    (Step({"text": "", "image": SCREEN}, Decision("tap"), 1.0, {"marks": [{"kind": "tap", "x": 0.5, "y": 0.5}]}),),
    {"text": "", "image": SCREEN},
    StopReason.SUCCESS,
    success=True,
    seed=1,
    task="alarm",
)


@pytest.fixture
def run(tmp_path, monkeypatch):
    for name in [name for name in os.environ if name.startswith("WANDB_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))  # no login, and nothing may be written there

    def create(**logger):
        node = {"_target_": "agentlab_runner.runners.run.tracking.WandbTracker", **logger}
        return Run.create({"seed": 1, "logger": node}, tmp_path / "runs", [])

    yield create
    wandb.teardown()  # it reads the environment once


def sessions(run):
    return sorted((run.path / "wandb").glob("offline-run-*"))


def missing(run, *names):
    """Those of `names` that W&B did not write; its service writes the rest an instant after `finish` returns."""
    deadline = time.monotonic() + 10
    while True:
        content = b"".join(file.read_bytes() for session in sessions(run) for file in session.glob("*.wandb"))
        absent = [name for name in names if name.encode() not in content]
        if not absent or time.monotonic() > deadline:
            return absent
        time.sleep(0.05)


def rows(run, last):
    """Those that W&B's files hold, once they hold the last one or it has had ten seconds for it."""
    deadline = time.monotonic() + 10
    while True:
        found = {
            int(record.history.step.num)
            for session in sessions(run)
            for file in session.glob("*.wandb")
            for record in records(run.path, str(file.relative_to(run.path)))
            if record.HasField("history")
        }
        if last in found or time.monotonic() > deadline:
            return sorted(found)
        time.sleep(0.05)


def test_a_resumed_run_goes_on_under_the_same_id(run, tmp_path):
    run = run()
    with run:
        run.write_eval("iteration_1", {"success": 0.25, "interval": [0.1, 0.5], "tasks": {"alarm": {"success": 1.0}}})
        run.save_episodes("iteration_1", [replace(EPISODE, goal=goal) for goal in ("6:30", "7:00", "7:30")])
        run.log({"toy/loss": 0.5, "b": Histogram((1, 2), (0.0, 0.5, 1.0)), "map": Picture(SCREEN, "heat")}, step=1)
        run.save_checkpoint(1, {"x": 1}, score=0.25)
    with run:
        run.load_checkpoint()
        run.log({"toy/later": 0.25}, step=2)
    identity = run.manifest["wandb_id"]
    first, second = sessions(run)
    assert identity in first.name
    assert identity in second.name  # within the same second W&B puts a number behind it
    assert missing(run, "toy/loss", "toy/later", "eval/table", "eval/episodes", f"checkpoint-{identity}") == []
    assert len(list(first.rglob("*.gif"))) == 2
    assert len(list(first.rglob("*.png"))) == 1
    left = [file for file in (tmp_path / "home").rglob("*") if file.is_file()]
    assert [file.name for file in left] == ["begun"], "all else stays in the run folder"
    assert "WANDB_DATA_DIR" not in os.environ


@pytest.mark.parametrize("later", [False, True])
def test_series_and_tables_are_mirrored_at_once_and_when_brought_after(run, later):
    run = run()
    logger = run.config["logger"]
    if later:
        run.config["logger"] = None
    with run:
        curve, best = Series((0.0, 1.0), {"rise": (0.5, 1.0)}), Table(("name", "n"), (("winner", 1), (None, 2.5)))
        run.log({"toy/curve": curve, "toy/best": best}, step=1)
        run.save_checkpoint(1, {})
    if later:
        run.config["logger"] = logger
        with run:
            run.load_checkpoint()
            run.log({"toy/later": 1.0}, step=2)
    assert missing(run, "toy/curve", "toy/best") == []
    tables = [json.loads(file.read_text()) for file in run.path.glob("wandb/offline-run-*/files/media/table/**/*.json")]
    assert {"columns": ["name", "n"], "data": [["winner", 1], [None, 2.5]]} in [
        {key: table[key] for key in ("columns", "data")} for table in tables
    ]


@pytest.mark.parametrize("unreachable", [False, True])
def test_without_login_or_network_the_run_goes_on_offline(run, unreachable, monkeypatch, caplog, capfd):
    if unreachable:
        monkeypatch.setenv("WANDB_API_KEY", "0" * 40)
        monkeypatch.setenv("WANDB_BASE_URL", "http://127.0.0.1:9")
        monkeypatch.setattr("agentlab_runner.runners.run.tracking.CONNECT_SECONDS", 2)
    run = run(mode="online")
    with caplog.at_level(logging.WARNING, "agentlab_runner.runners.run.tracking"), run:
        run.log({"toy/loss": 0.5}, step=1)
    assert run.status == "finished"
    (warning,) = (record.getMessage() for record in caplog.records if record.name.endswith(".run.tracking"))
    assert "goes on offline" in warning
    assert ("no login" in warning) is not unreachable
    assert "wandb:" not in "".join(capfd.readouterr()), "W&B itself keeps quiet"
    assert missing(run, "toy/loss") == []
    assert sessions(run)[-1].name.endswith(run.manifest["wandb_id"])


def test_disabled_writes_nothing(run):
    run = run(mode="disabled")
    with run:
        run.log({"toy/loss": 0.5}, step=1)
        run.write_eval("a", {"success": 1.0})
        run.save_episodes("a", [EPISODE])
    assert not (run.path / "wandb").exists()
    assert len(run.metrics()) == 1


def test_a_failed_run_is_closed_too(run):
    run = run()

    def work():
        with run:
            run.log({"toy/loss": 0.5}, step=1)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        work()
    assert missing(run, "toy/loss") == []


def test_wandb_is_imported_only_when_used():
    modules = "agentlab_runner.runners.run.folder, agentlab_runner.runners.run.tracking"
    code = f"import sys, {modules}; print('wandb' in sys.modules)"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout == "False\n"


def test_the_settings_are_what_the_tracker_takes():
    settings = WandbSettings().model_dump()
    tracker = WandbTracker(**settings)
    assert {name: getattr(tracker, name) for name in settings} == settings | {"tags": ()}


def test_a_service_of_wandb_that_dies_ends_no_run(run, caplog):
    with run() as run:
        run.log({"a": 1.0}, step=0)
        run.save_checkpoint(0, {})
        service = subprocess.run(["pgrep", "-P", str(os.getpid()), "wandb-core"], capture_output=True, text=True)
        for process in map(int, service.stdout.split()):
            os.kill(process, signal.SIGKILL)
        assert service.stdout
        for step in range(1, 4):
            time.sleep(0.2)
            run.log({"a": float(step)}, step=step)
            run.write_eval(f"iteration_{step}", {"success": 0.5, "episodes": 2})
    assert run.status == "finished"
    assert [line["step"] for line in run.metrics()] == [0, 1, 2, 3]
    assert sum("goes on without it" in record.message for record in caplog.records) == 1
    with Run.open(run.path) as again:
        again.load_checkpoint()
        for step in range(1, 5):
            again.log({"a": float(step)}, step=step)
    assert rows(run, last=4) == [0, 1, 2, 3, 4]

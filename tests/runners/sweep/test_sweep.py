"""Sweeps as users run them: Hydra, its launchers and real processes; only the experiment is a cheap one."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from agentlab_runner.runners.errors import UserError
from agentlab_runner.runners.run.folder import Run
from agentlab_runner.runners.run.manifest import read_manifest
from agentlab_runner.runners.sweep.job import Record, Status
from agentlab_runner.runners.sweep.plan import Plan, claim
from agentlab_runner.runners.sweep.results import Results
from agentlab_runner.runners.sweep.sweep import sweep
from tests.conftest import ROOT, environment

CONF = str(ROOT / "tests/runners/conf")
LONG = ["+exp=climb", "total_iterations=1,20", "+experiment.hold=held", "experiment.save=true"]
"""A short job, and one that can go on and does not end while there is a file `held`."""
JOBLIB = ["hydra/launcher=joblib", "hydra.launcher.n_jobs=2"]
LAUNCHERS = [pytest.param(JOBLIB, id="joblib"), pytest.param([], id="basic", marks=pytest.mark.slow)]


class Folder:
    """A folder in which sweeps are run by commands of their own."""

    def __init__(self, path: Path) -> None:
        self.path = path
        env = {name: value for name, value in environment().items() if "NUM_THREADS" not in name}
        self.env = env | {"AGENTLAB_CONF": CONF}
        self.started: list[subprocess.Popen[str]] = []

    def start(self, *args: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "agentlab_runner.runners", "sweep", *args]
        # A session of its own, so that a signal to its process group is a terminal's Ctrl-C and never ours.
        process = subprocess.Popen(
            command, cwd=self.path, env=self.env, text=True, start_new_session=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        self.started.append(process)
        return process

    def run(self, *args: str, code: int = 0) -> str:
        """What a sweep prints, errors included."""
        process = self.start(*args)
        out, err = process.communicate(timeout=400)
        assert process.returncode == code, out + err
        return out + err

    def jobs(self) -> dict[str, Path]:
        """The folders of the jobs that were begun, by what was swept: `0.2/1` is slope 0.2, seed 1."""
        found = {}
        for file in self.path.glob("sweeps/*/jobs/*/job.json"):
            values = dict(override.split("=") for override in json.loads(file.read_text())["overrides"])
            swept = [values[key] for key in ("experiment.slope", "seed", "total_iterations") if key in values]
            found["/".join(swept)] = file.parent
        return dict(sorted(found.items()))

    def status(self, job: str) -> str:
        record = Record.read(self.jobs()[job])
        return record.status if record else "unknown"

    def statuses(self) -> list[str]:
        return [self.status(job) for job in self.jobs()]

    def starts(self) -> list[list[int]]:
        """For each job in order, the first step of every process that ran it."""
        files = [path / "starts.txt" for path in self.jobs().values()]
        return [[int(line.split()[0]) for line in file.read_text().splitlines()] for file in files]

    def steps(self, job: str) -> list[int]:
        return [line["step"] for line in Run.open(self.jobs()[job]).metrics()]


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Folder]:
    here = Folder(tmp_path)
    yield here
    for process in here.started:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)  # the workers too, which outlive a killed sweep for some minutes
        process.communicate()


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Folder:
    """The same for sweeps run inside this process."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("AGENTLAB_CONF", CONF)
    return Folder(tmp_path)


def wait_for(condition: Callable[[], bool], seconds: float = 300) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        with suppress(KeyError, FileNotFoundError, UserError):
            if condition():
                return
        time.sleep(0.05)
    raise AssertionError("it never happened")


def test_a_sweep_ends_in_one_table_and_a_plot_and_grows(here: Folder, capsys: pytest.CaptureFixture[str]) -> None:
    grid = ["+exp=climb", "experiment.slope=0.1,0.2"]
    assert sweep([*grid, "seed=0"]) == 0
    assert "[2/2] experiment.slope=0.2 seed=0: eval/success 0.6 " in capsys.readouterr().out
    (path,) = here.path.glob("sweeps/climb-*")
    assert "| 0.1 | 1 | 0.3 | 0 | 0.3 | - |" in (path / "table.md").read_text()
    assert sweep([*grid, "seed=0,1"]) == 0
    assert "2 of 4 jobs are finished already" in capsys.readouterr().out
    assert here.starts() == [[0]] * 4
    table = (path / "table.md").read_text()
    assert "| 0.1 | 2 | 0.305 [0.3, 0.31] | 0.005 [0, 0.01] | 0.3 [0.3, 0.3] | - |" in table
    assert "| 0.2 | 2 | 0.605 [0.6, 0.61] | 0.005 [0, 0.01] | 0.6 [0.6, 0.6] | +0.3 [0.3," in table
    assert "with 2 seeds they are too narrow" in table
    assert str(here.path) not in table, "it is read where the folder is copied to"
    manifests = [read_manifest(job) for job in here.jobs().values()]
    assert {manifest.get("group") for manifest in manifests} == {path.name}
    assert [manifest["name"] for manifest in manifests] == [
        f"experiment.slope={slope} seed={seed}" for slope in (0.1, 0.2) for seed in (0, 1)
    ]
    assert Image.open(path / "curves.png").size == (960, 600)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_failed_job_is_shown_when_it_fails_and_is_repeated_alone(
    here: Folder, capsys: pytest.CaptureFixture[str]
) -> None:
    (here.path / "steep").touch()
    args = ["+exp=climb", "experiment.slope=0.2,0.1", "experiment.fail=steep"]
    assert sweep(args) == 1
    out = capsys.readouterr().out
    shown = next(line for line in out.splitlines() if "[1/2] experiment.slope=0.2: FAILED" in line)
    assert "ValueError: slope 0.2 is too steep" in shown
    assert Path(shown.partition("(see ")[2].partition(")")[0]).read_text().startswith("Traceback")
    assert out.index(shown) < out.index("[2/2] experiment.slope=0.1: eval/success 0.3")
    assert "\nfailed: experiment.slope=0.2: ValueError: slope 0.2 is too steep" in out
    assert here.statuses() == ["finished", "failed"]
    (here.path / "steep").unlink()
    assert sweep(args) == 0
    assert here.starts() == [[0], [0, 0]]


@pytest.mark.slow
@pytest.mark.parametrize("launcher", ["joblib", "submitit_local"])
def test_failed_jobs_stop_no_other_under_any_launcher(folder: Folder, launcher: str) -> None:
    if launcher == "submitit_local" and not find_spec("submitit"):
        pytest.skip("needs the submitit extra")
    (folder.path / "steep").touch()
    args = ["+exp=climb", "experiment.slope=0.2,0.1", "seed=0,1", "experiment.fail=steep", f"hydra/launcher={launcher}"]
    assert folder.run(*args, code=1).count("FAILED: ValueError: slope 0.2 is too steep") == 2
    assert folder.statuses() == ["finished", "finished", "failed", "failed"]
    (folder.path / "steep").unlink()
    folder.run(*args)
    assert folder.starts() == [[0], [0], [0, 0], [0, 0]]
    assert [folder.steps(job) for job in folder.jobs()] == [[0, 1, 2, 3]] * 4


def test_a_job_whose_process_dies_is_one_failed_job(here: Folder, capsys: pytest.CaptureFixture[str]) -> None:
    (here.path / "deadly").touch()
    assert sweep(["+exp=climb", "experiment.slope=0.2,0.1", "experiment.die=deadly"]) == 1
    assert "experiment.slope=0.2: FAILED: the job's process ended by SIGKILL" in capsys.readouterr().out
    assert here.statuses() == ["finished", "failed"]


@pytest.mark.parametrize("launcher", LAUNCHERS)
def test_a_job_that_is_told_to_end_from_outside_stops_no_other_and_is_unfinished(
    folder: Folder, launcher: list[str]
) -> None:
    (folder.path / "deadly").write_text(str(int(signal.SIGTERM)))
    args = ["+exp=climb", "experiment.slope=0.2,0.1", "experiment.die=deadly", *launcher]
    assert "unfinished: experiment.slope=0.2" in folder.run(*args, code=130)
    assert folder.statuses() == ["finished", "interrupted"]
    (folder.path / "deadly").unlink()
    folder.run(*args)
    assert folder.statuses() == ["finished"] * 2


def test_a_signal_without_a_name_is_one_failed_job(here: Folder, capsys: pytest.CaptureFixture[str]) -> None:
    (here.path / "deadly").write_text(str(signal.SIGRTMIN + 3))
    assert sweep(["+exp=climb", "experiment.slope=0.2,0.1", "experiment.die=deadly"]) == 1
    assert f"FAILED: the job's process ended by signal {signal.SIGRTMIN + 3}" in capsys.readouterr().out


def test_fail_fast_tells_running_jobs_to_save_and_begins_no_other(folder: Folder) -> None:
    args = ["seed=0,1", "experiment.slope=0.1,0.2", "total_iterations=1000", "experiment.pause=0.1"]
    process = folder.start("+exp=climb", *args, "experiment.fail=steep", "--fail-fast", *JOBLIB)
    wait_for(lambda: len(folder.steps("0.1/0/1000")) > 1 and len(folder.steps("0.2/0/1000")) > 1)
    (folder.path / "steep").touch()
    out, err = process.communicate(timeout=300)
    assert process.returncode == 1, out + err
    assert {job: folder.status(job) for job in folder.jobs()} == {
        "0.1/0/1000": "interrupted",
        "0.2/0/1000": "failed",
    }
    share = max(1, len(os.sched_getaffinity(0)) // 2)  # of the cores, for each of two jobs at a time
    assert [(path / "starts.txt").read_text() for path in folder.jobs().values()] == [f"0 {share}\n"] * 2


@pytest.mark.parametrize("launcher", LAUNCHERS)
@pytest.mark.parametrize(
    "whole_group", [pytest.param(True, id="terminal"), pytest.param(False, id="main-process", marks=pytest.mark.slow)]
)
def test_ctrl_c_counts_what_is_finished_and_the_rest_goes_on(
    folder: Folder, launcher: list[str], whole_group: bool
) -> None:
    (folder.path / "held").touch()
    process = folder.start(*LONG, *launcher)
    wait_for(lambda: folder.status("1") == "finished" and len(folder.steps("20")) > 1)
    (os.killpg if whole_group else os.kill)(process.pid, signal.SIGINT)
    out, err = process.communicate(timeout=300)
    assert process.returncode == 130, out + err
    assert "Traceback" not in out + err
    assert "\n1 of 2 jobs finished\n" in out
    assert [folder.status(job) for job in ("1", "20")] == ["finished", "interrupted"]
    assert_it_goes_on(folder, launcher)


def assert_it_goes_on(folder: Folder, launcher: list[str]) -> None:
    (folder.path / "held").unlink()
    folder.run(*LONG, *launcher)
    assert folder.statuses() == ["finished"] * 2
    assert folder.steps("1") == [0, 1]
    assert folder.steps("20") == list(range(21))
    assert len(folder.starts()[1]) == 2
    assert folder.starts()[1][1] > 0


@pytest.mark.parametrize("launcher", LAUNCHERS)
def test_a_killed_sweep_goes_on_and_leaves_nothing_running(folder: Folder, launcher: list[str]) -> None:
    (folder.path / "held").touch()
    process = folder.start(*LONG, *launcher)
    wait_for(lambda: len(folder.steps("20")) > 1)
    process.kill()
    process.wait()
    assert_it_goes_on(folder, launcher)


@pytest.mark.slow
@pytest.mark.skipif(not find_spec("ray"), reason="needs the ray extra")
def test_ray_runs_jobs_and_goes_on(folder: Folder) -> None:
    args = ["+exp=climb", "experiment.slope=0.1,0.2", "hydra/launcher=ray"]
    folder.run(*args)
    assert "2 of 2 jobs are finished already" in folder.run(*args)


@pytest.mark.slow
@pytest.mark.skipif(not find_spec("optuna"), reason="needs the optuna extra")
def test_an_optuna_study_goes_on_and_asks_failed_trials_again(folder: Folder) -> None:
    import optuna

    (folder.path / "steep").touch()
    args = ["+exp=climb", "experiment.slope=choice(0.1,0.2,0.3)", "hydra/sweeper=optuna", "experiment.fail=steep"]
    args += ["hydra.sweeper.sampler.seed=1"]
    folder.run(*args, "hydra.sweeper.n_trials=6", code=1)
    assert "0.2" in folder.jobs()
    (folder.path / "steep").unlink()
    folder.run(*args, "hydra.sweeper.n_trials=8")
    (path,) = folder.path.glob("sweeps/*")
    study = optuna.load_study(study_name="agentlab", storage=f"sqlite:///{path}/optuna.sqlite")
    complete = [trial for trial in study.trials if trial.state is optuna.trial.TrialState.COMPLETE]
    assert len(complete) == 8
    assert 0.6 in [pytest.approx(trial.value) for trial in complete]
    assert study.best_params == {"experiment.slope": 0.3}
    assert "hydra" not in folder.run(*args, "hydra.sweeper.n_trials=8")


@pytest.mark.slow
@pytest.mark.skipif(not find_spec("optuna"), reason="needs the optuna extra")
def test_a_study_that_cannot_begin_claims_no_folder(folder: Folder) -> None:
    args = ["+exp=climb", "hydra/sweeper=optuna", "hydra.sweeper.n_trials=1", "--name", "mine"]
    said = folder.run(*args, "experiment.slope=interval(3,1)", code=2)
    assert "the sweeper refuses these overrides: The `low` value must be smaller" in said
    said = folder.run(*args, "experiment.slope=choice(0.1,0.2)", "hydra/sweeper/sampler=nope", code=2)
    assert "Could not find 'hydra/sweeper/sampler/nope'" in said
    assert not list(folder.path.glob("sweeps/*"))
    folder.run(*args, "experiment.slope=choice(0.1,0.2)", "seed=0,1")
    assert (folder.path / "sweeps/mine/table.md").exists()


def test_a_folder_has_one_sweep_at_a_time(folder: Folder, here: Folder) -> None:
    (folder.path / "held").touch()
    folder.start(*LONG)
    wait_for(lambda: len(folder.jobs()) > 0)
    with pytest.raises(UserError, match="is being run by process"):
        sweep(LONG)


@pytest.mark.usefixtures("here")
def test_a_folder_refuses_jobs_of_another_config_and_names_the_key(tmp_path: Path) -> None:
    plan = claim(tmp_path, Plan.parse(["+exp=climb", "seed=0,1", "runs_dir=there"]))
    assert plan.swept_keys == ["seed"]
    assert claim(tmp_path, Plan.parse(["+exp=climb", "seed=2"])).swept_keys == ["seed"]  # a part of the same sweep
    with pytest.raises(UserError, match=r"changed: experiment.slope \(0.1 -> 0.5\); undo that, or give this sweep"):
        claim(tmp_path, Plan.parse(["+exp=climb", "seed=0,1", "experiment.slope=0.5"]))
    with pytest.raises(UserError, match=r"varies seed, but this command varies experiment.slope, seed;"):
        claim(tmp_path, Plan.parse(["+exp=climb", "seed=0,1", "experiment.slope=0.1,0.5"]))
    with pytest.raises(UserError, match=r"varies seed, but this command varies nothing;"):
        claim(tmp_path, Plan.parse(["+exp=climb"]))


def test_the_name_depends_on_what_is_fixed_and_swept_alone() -> None:
    def name(*overrides: str) -> str:
        return Plan.parse(overrides).name

    one = name("+exp=climb", "seed=0,1", "experiment.pause=1")
    assert one == name("experiment.pause=1", "exp=climb", "seed=0,1,2", "runs_dir=x", "hydra/launcher=joblib")
    assert one.startswith("climb-")
    assert len({one, name("+exp=climb", "seed=0,1"), name("+exp=climb", "seed=0", "experiment.pause=1,2")}) == 3


@pytest.mark.parametrize(
    ("overrides", "sentence"),
    [
        (["+exp=climb", "experiment.slop=1,2"], "did you mean 'experiment.slope'"),
        (["+exp=climbb", "seed=0,1"], "did you mean climb"),
        (["+exp=climb", "total_iterations=3,-1"], "total_iterations is -1"),
        (["+exp=climb", "experiment.slope=interval(0,3)"], "does not support sweep type"),
        (["+exp=climb", "seed=range(0,0)"], r"seed=range\(0,0\) names no value"),
        (["+exp=climb", "hydra/launcher=jobli"], "hydra/launcher=jobli is not installed here; did you mean joblib?"),
    ],
)
def test_wrong_input_stops_before_the_first_job(here: Folder, overrides: list[str], sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        sweep(overrides)
    assert not list(here.path.glob("sweeps/*"))


def test_a_command_that_begins_no_job_does_not_claim_a_folder_that_was_there(here: Folder) -> None:
    own = here.path / "sweeps/mine"
    own.mkdir(parents=True)
    with pytest.raises(UserError, match="does not support sweep type"):
        sweep(["+exp=climb", "experiment.slope=interval(0,3)"], name="mine")
    assert sweep(["+exp=climb", "seed=0,1", "total_iterations=1"], name="mine") == 0
    assert (own / "table.md").exists()


def test_a_place_where_no_sweep_can_be_made_is_bad_input(here: Folder) -> None:
    (here.path / "file").touch()
    with pytest.raises(UserError, match=r"sweeps cannot be made in .*file/sweeps"):
        sweep(["+exp=climb", "seed=0,1", "runs_dir=file"])


def test_sweeps_are_made_where_runs_are(here: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(here.path / "home"))
    assert sweep(["+exp=climb", "seed=0,1", "total_iterations=1", "runs_dir=~/there"], name="a") == 0
    assert (here.path / "home/there/sweeps/a/table.md").exists()
    assert not (here.path / "sweeps").exists()


@pytest.mark.usefixtures("here")
def test_jobs_do_not_start_from_a_run_that_may_change_meanwhile() -> None:
    with pytest.raises(UserError, match="name the one they start from: init_from=RUN"):
        sweep(["+exp=climb", "seed=0,1", "init_from=latest"])


# -- results, from job folders written by hand -------------------------------------------------------------------------


def write_job(sweep_folder: Path, arm: str, seed: int, values: Sequence[float], **record: Any) -> None:
    path = sweep_folder / "jobs" / f"{arm}-{seed}"
    with Run.create({"seed": seed}, path.parent, [], path=path) as run:
        for step, value in enumerate(values):
            run.log({"eval/success": value}, step=10 * step)
    began = float(len(list(sweep_folder.glob("jobs/*"))))
    overrides = ["+exp=climb", f"agent.entropy={arm}", f"seed={seed}", "logger=null"]
    replace(Record(overrides, Status.FINISHED, began), **record).write(path)


def read(path: Path) -> Results:
    return Results.read(path, ["exp"], "eval/success")


def test_arms_are_compared_seed_by_seed(tmp_path: Path) -> None:
    for seed, level in enumerate([0.1, 0.5, 0.9]):
        write_job(tmp_path, "none", seed, [0.0, level])
        write_job(tmp_path, "causal", seed, [level / 2, level - 0.3, level + 0.05])
    write_job(tmp_path, "causal", 7, [0.0, 0.0])
    none, causal = read(tmp_path).arms
    assert [none.label, causal.label] == ["agent.entropy=none", "agent.entropy=causal"]
    assert (none.last.mean, none.last.interval) == (pytest.approx(0.5), pytest.approx((0.1, 0.9)))  # type: ignore[union-attr]
    difference = causal.versus(none)
    assert difference is not None
    assert (difference.mean, difference.n, difference.interval) == (
        pytest.approx(0.05), 3, pytest.approx((0.05, 0.05)),
    )  # fmt: skip
    content = json.loads(json.dumps(read(tmp_path).as_dict()))
    assert content["arms"][1]["versus_first_arm"]["interval"] == pytest.approx([0.05, 0.05])
    assert [job["seed"] for job in content["jobs"]] == ["0", "0", "1", "1", "2", "2", "7"]


def test_failed_and_unfinished_jobs_are_named_and_not_counted(tmp_path: Path) -> None:
    write_job(tmp_path, "none", 0, [0.0, 0.4])
    write_job(tmp_path, "none", 1, [0.0, 1.0], status=Status.INTERRUPTED)
    write_job(tmp_path, "causal", 0, [0.9], status=Status.FAILED, error="MemoryError")
    results = read(tmp_path)
    header, body = results.rows()
    # no last column: no arm has a seed in common with the first
    assert header == ["agent.entropy", "seeds", "eval/success [95 %]", "at first", "gain"]
    assert body == [["none", "1", "0.4", "0", "0.4"], ["causal", "0", "-", "-", "-"]]
    notes = results.notes(tmp_path)
    assert f"(see {tmp_path}/jobs/" in notes
    assert "(see jobs/" in results.notes(Path())
    assert "A single seed has no interval" in notes
    assert "failed: agent.entropy=causal seed=0: MemoryError" in notes
    assert "unfinished: agent.entropy=none seed=1" in notes


def test_a_metric_nobody_logged_or_not_a_number_is_said(tmp_path: Path) -> None:
    write_job(tmp_path, "none", 0, [float("nan")])
    assert read(tmp_path).rows()[1] == [["none", "1", "-"]]
    notes = Results.read(tmp_path, ["exp"], "eval/sucess").notes(tmp_path)
    assert "No job logged eval/sucess; they logged eval/success (see --metric)" in notes

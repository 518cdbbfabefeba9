"""A run folder says the same wherever it lies: copied, with other file times, in another order, by another clock."""

import json
import os
import random
import shutil
from pathlib import Path

import pytest

from agentlab_runner.runners.launch import run_folders
from agentlab_runner.runners.online.evaluation import headline, summarise
from agentlab_runner.runners.report import report
from agentlab_runner.runners.report.record import read_run
from agentlab_runner.runners.run import folder, manifest
from agentlab_runner.runners.run.folder import Run
from agentlab_runner.runners.sweep.compare import compare
from tests.runners.report.test_report import Page, episode

WINS = {0: 1, 9: 2, 10: 3}
"""By step: by name alone, iteration_10 stands before iteration_9."""


def make_run(path: Path) -> Path:
    with Run.create({"seed": 0, "logger": None}, path.parent, ["agentlab", "train"], path=path) as run:
        for step, wins in WINS.items():
            played = [episode(k, k < wins) for k in range(4)]
            summary = summarise(played)
            run.write_eval(f"iteration_{step}", summary, step)
            run.save_episodes(f"iteration_{step}", played, limit=1, step=step)
            run.log(headline(summary, "eval"), step=step)
    return path


@pytest.fixture
def run_path(tmp_path):
    return make_run(tmp_path / "here" / "toy")


def copy(path: Path, to: Path) -> Path:
    """The files in another order, with times that say the opposite."""
    files = sorted(file for file in path.rglob("*") if file.is_file())
    random.Random(3).shuffle(files)
    for age, file in enumerate(files):
        target = to / file.relative_to(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, target)
        os.utime(target, (1e9 - age, 1e9 - age))
    for age, place in enumerate(sorted(to.rglob("*"), reverse=True)):
        os.utime(place, (1e9 + age, 1e9 + age))
    return to


def shown(path: Path, out: Path) -> tuple[object, str]:
    """What a report says, but for where the folder lies and when it was written."""
    page = Page(report([path], out))
    for run in page.data["runs"]:
        run.pop("key")
    text = page.text.replace(str(path.resolve()), "FOLDER")
    return page.data, text.partition("Written 2")[0]


def forget(path: Path) -> None:
    """As folders were before evaluations and recordings said their step and time."""
    for file in [*path.glob("eval/*.json"), *path.glob("episodes/*/*/episode.json")]:
        content = json.loads(file.read_text())
        content.pop("step")
        content.pop("time")
        file.write_text(json.dumps(content))


@pytest.mark.parametrize("older", [False, True])
def test_a_copy_reports_and_compares_as_the_original(run_path, tmp_path, older):
    if older:
        forget(run_path)
    there = copy(run_path, tmp_path / "there" / "toy")
    data, text = shown(run_path, tmp_path / "a.html")
    assert "75 % success on held-out tasks" in text
    assert "+50 points since the first evaluation" in text
    assert list(dict.fromkeys(one["set"] for one in data["episodes"])) == ["iteration_10", "iteration_9", "iteration_0"]
    assert shown(there, tmp_path / "b.html") == (data, text)
    assert compare([there]).rows() == compare([run_path]).rows()


def test_an_older_evaluation_of_any_name_stands_where_its_values_were_logged(run_path):
    for name, step in (("z_first", 0), ("a_last", 10)):
        (run_path / f"eval/iteration_{step}.json").rename(run_path / f"eval/{name}.json")
    forget(run_path)
    assert list(read_run(run_path).evals) == ["z_first", "iteration_9", "a_last"]


def test_evaluations_stand_by_step_and_those_of_one_step_by_time(run_path):
    run = Run.open(run_path)
    run.write_eval("checkpoint_9", summarise([episode(0, True)]), 9)
    run.write_eval("mine", summarise([episode(0, True)]))
    assert list(read_run(run_path).evals) == ["iteration_0", "iteration_9", "checkpoint_9", "iteration_10", "mine"]


def test_what_a_rewound_run_left_behind_is_left_out(run_path, tmp_path):
    run = Run.open(run_path)
    run.manifest["resumed"].append({"time": manifest.now(), "step": 9})
    run.write("manifest.json", json.dumps(run.manifest))
    record = read_run(run_path)
    assert list(record.evals) == ["iteration_0", "iteration_9"]
    assert any("iteration_10.json is of a course that the run left" in notice for notice in record.notices)
    page = Page(report([run_path], tmp_path / "a.html"))
    assert {one["set"] for one in page.data["episodes"]} == {"iteration_0", "iteration_9"}


# -- clocks ------------------------------------------------------------------------------------------------------------


def test_a_clock_that_is_set_back_takes_nothing_from_a_runs_duration(tmp_path, monkeypatch):
    real = folder.time.time
    with Run.create({"seed": 0, "logger": None}, tmp_path, [], path=tmp_path / "run") as run:
        run.log({"loss": 2.0}, step=0)
        monkeypatch.setattr(folder.time, "time", lambda: real() - 2e8)
        monkeypatch.setattr(folder, "now", lambda: "2020-01-01T00:00:00.000+00:00")
        run.log({"loss": 1.0}, step=1)
    assert run.manifest["started"] > run.manifest["ended"]
    (entry,) = compare([run.path]).entries
    assert 0 < entry.seconds < 60
    record = read_run(run.path)
    assert 0 < record.seconds < 60
    minutes = Page(report([run.path], tmp_path / "a.html")).data["charts"][0]["series"][0]["minutes"]
    assert 0 <= minutes[0] == minutes[1] < 1


def test_of_an_older_run_whose_clock_was_set_no_duration_is_invented(tmp_path):
    run = Run.create({"seed": 0, "logger": None}, tmp_path, [], path=tmp_path / "run")
    del run.manifest["seconds"]
    run.manifest |= {"status": "finished", "started": "2030-01-01T00:00:00+00:00", "ended": "2020-01-01T00:00:00+00:00"}
    run.write("manifest.json", json.dumps(run.manifest))
    assert ["duration", "-"] in compare([run.path]).rows()
    assert "its clock was set meanwhile" in Page(report([run.path], tmp_path / "a.html")).text


def test_a_killed_run_took_as_long_as_until_its_last_checkpoint(tmp_path):
    run = Run.create({"seed": 0, "logger": None}, tmp_path, [], path=tmp_path / "run")
    with run:
        run._since -= 5.0
        run.save_checkpoint(1, {})
        saved = json.loads((run.path / "manifest.json").read_text())
    assert 5.0 <= saved["seconds"] < 60


# -- which runs --------------------------------------------------------------------------------------------------------


def test_runs_are_named_as_for_the_other_verbs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    older, newer = make_run(Path("runs/older")), make_run(Path("runs/newer"))
    assert run_folders(["run=latest"]) == [newer]
    assert run_folders(["run=older", "runs/newer", f"run={tmp_path / 'runs/older'}"]) == [
        older, newer, tmp_path / "runs/older",
    ]  # fmt: skip
    assert run_folders(["run=older", f"runs_dir={tmp_path / 'runs'}"]) == [tmp_path / "runs/older"]


def test_a_second_report_leaves_the_first(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    one, two = make_run(Path("runs/one")), make_run(Path("runs/two"))
    first = report([one])
    before = first.read_bytes()
    assert [str(report(runs)) for runs in ([one], [one, two])] == ["report-one-2.html", "report-one-and-1-more.html"]
    assert first == Path("report-one.html")
    assert first.read_bytes() == before
    assert report([two], first) == first, "what --out names is written"
    assert first.read_bytes() != before

"""Evaluations as a user runs them: begun, killed, gone on with, compared."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.conftest import agentlab, environment

EXP = """# Riddles, for tests (seconds)
# @package _global_
experiment:
  _target_: agentlab_runner.runners.evaluation.experiment.EvaluationExperiment
agent:
  _target_: tests.runners.talk.Talker
  pause: 0.0
  gone_after: 1000000
  gives_up: true
env:
  _target_: tests.runners.talk.Riddle
  num_envs: 3
  broken: []
logger: null
eval:
  tasks: [sums, names]
  seeds: [1, 2, 6, 7, 12]
  repeats: 2
  record: 3
"""
ROOT = Path(__file__).parent.parent.parent.parent


def knows_talk(folder: Path) -> dict[str, str]:
    """Make the experiment `talk` known in a folder; gives what the environment of commands in it must hold."""
    (folder / "conf" / "exp").mkdir(parents=True)
    (folder / "conf" / "exp" / "talk.yaml").write_text(EXP)
    return {"TALK_LOG": str(folder / "begun")}


@pytest.fixture
def talk(tmp_path, cli, cli_env):
    """`agentlab` where the experiment `talk` is known."""
    cli_env |= knows_talk(tmp_path)
    return cli


@pytest.fixture(scope="module")
def played(tmp_path_factory) -> Path:
    """A run of one seed and three repeats, for tests that take a copy of it."""
    folder = tmp_path_factory.mktemp("played")
    env = environment() | knows_talk(folder)
    return made(agentlab("eval", "+exp=talk", "eval.seeds=1", "eval.repeats=3", cwd=folder, env=env), folder)


def made(result, tmp_path: Path) -> Path:
    assert result.exit_code == 0, result.stderr
    line = next(line for line in result.stdout.splitlines() if line.startswith("run: "))
    return tmp_path / line.removeprefix("run: ")


def table(run: Path) -> dict:
    summary = json.loads((run / "eval" / "evaluation.json").read_text())
    return {key: value for key, value in summary.items() if key != "time"}


def test_a_table_of_tasks_seeds_and_repeats(talk, tmp_path):
    result = talk("eval", "+exp=talk")
    run = made(result, tmp_path)
    found = table(run)
    assert (found["planned"], found["episodes"], found["success"]) == (20, 20, 0.4)  # seeds 2 and 6 of five
    assert [found["tasks"][task]["episodes"] for task in ("names", "sums")] == [10, 10]
    assert [line["number"] for line in found["played"]] == list(range(20))
    assert [(line["task"], line["seed"], line["repeat"]) for line in found["played"]][:3] == [
        ("sums", 1, 0), ("sums", 1, 1), ("sums", 2, 0),
    ]  # fmt: skip
    assert found["gave_up"] == {"no idea": 4}
    assert found["models"] == {"talk-1": found["bill"]["calls"]}
    assert found["repeats"]["pass"]["2"] == found["repeats"]["worst"]["2"]
    assert found["repeats"]["pass"]["2"]["rate"] == 0.4
    said = result.stdout.splitlines()
    assert {"eval/by task", "eval/ends", "eval/repeats", "eval/models"} <= set(said)
    assert said[said.index("eval/conditions") + 2] == "edition 2"
    assert "no idea" in result.stdout
    shown = {folder.parent.name for folder in run.glob("episodes/evaluation/*/episode.json")}
    assert shown == {"000", "001", "010"}  # one of each of the two tasks before a second
    assert talk("train", "+exp=talk").exit_code == 0
    manifest = json.loads((run / "manifest.json").read_text())
    assert (manifest["status"], manifest["command"][1]) == ("finished", "eval")


def test_killed_at_any_moment_it_plays_what_is_missing_and_ends_with_the_same_table(talk, tmp_path, cli_env):
    straight = table(made(talk("eval", "+exp=talk", "agent.pause=0.05"), tmp_path))
    (tmp_path / "begun").unlink()
    command = [sys.executable, "-m", "agentlab_runner.runners", "eval", "+exp=talk", "agent.pause=0.05"]
    told = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    process = subprocess.Popen([*command, "--name", "cut"], cwd=tmp_path, env=cli_env, **told)
    while not (lines := [f for f in tmp_path.glob("runs/*cut/journal.jsonl") if f.read_bytes().count(b"\n") >= 7]):
        assert process.poll() is None
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    (journal,) = lines
    played = journal.read_bytes().count(b"\n")
    assert 7 <= played < 20
    with journal.open("ab") as file:
        file.write(b'{"number": 19, "task": "na')  # torn by the crash
    (tmp_path / "begun").unlink()
    run = made(talk("resume", f"run={journal.parent}", "env.num_envs=2", "eval.record=3"), tmp_path)
    assert table(run) == straight
    assert len((tmp_path / "begun").read_text().split()) == 20 - played
    made(talk("resume", f"run={run}"), tmp_path)  # nothing is left to play
    assert table(run) == straight


def test_a_model_that_has_gone_leaves_what_was_played_and_a_run_that_goes_on(talk, tmp_path):
    result = talk("eval", "+exp=talk", "agent.gone_after=30")
    assert result.exit_code == 1
    assert "has gone; go on with: agentlab resume run=" in result.stderr
    (run,) = (tmp_path / "runs").iterdir()
    found = table(run)
    assert 0 < found["episodes"] < found["planned"] == 20
    assert json.loads((run / "manifest.json").read_text())["status"] == "failed"
    again = talk("resume", "run=latest")  # has another thirty answers
    assert again.exit_code in (0, 1)
    assert table(run)["episodes"] > found["episodes"]


@pytest.mark.parametrize(
    ("change", "key"),
    [
        ("agent.gives_up=false", "agent.gives_up"),
        ("eval.seeds=3", "eval.seeds"),
        ("eval.tasks=[sums]", "eval.tasks"),
        ("eval.repeats=1", "eval.repeats"),
        ("env.broken=[1]", "env.broken"),
    ],
)
def test_a_change_of_answers_is_refused_by_its_key(talk, tmp_path, played, change, key):
    run = shutil.copytree(played, tmp_path / "runs" / played.name)
    before = table(run)
    result = talk("resume", "run=latest", change)
    assert result.exit_code == 2
    assert f"changed: {key}" in result.stderr
    assert table(run) == before


@pytest.mark.parametrize(
    ("overrides", "sentence"),
    [
        (["env._target_=tests.runners.talk.Deaf"], "was asked for the task 'names' and began 'sums'; it takes no task"),
        (["eval.tasks=[sums,fly]"], "the task 'fly' cannot be played: there is no fly; ask for sums, names"),
        (["eval.tasks=[sums,sums]"], "name one twice"),
        (["eval.seeds=4000000000"], "an evaluation of 8,000,000,000 episodes was asked for; 1,000,000 are the most"),
        (["eval.seeds=0"], "eval.seeds is 0, but must be"),
        (["eval.repeats=0"], "eval.repeats is 0, but must be at least 1"),
        (["trainer=ddp"], "an evaluation plays in one process"),
        (["model=tiny"], "this model is made from demonstrations"),
        (["++eval.also={far: {broken: []}}"], "give eval.also=null"),
    ],
)  # fmt: skip
def test_what_cannot_be_played_is_refused_and_leaves_nothing(talk, tmp_path, overrides, sentence):
    result = talk("eval", "+exp=talk", "eval.repeats=1", *overrides)
    assert sentence in result.stderr
    assert result.exit_code == 2
    assert not list((tmp_path / "runs").glob("*"))


def test_an_evaluation_that_says_nothing_of_the_agent_fails_and_is_played_again(talk, tmp_path):
    result = talk("eval", "+exp=talk", "eval.seeds=[1]", "env.broken=[1]", "eval.repeats=1")
    assert result.exit_code == 1
    assert "no episode says anything of the agent: 2 error (the judge broke)" in result.stderr
    (run,) = (tmp_path / "runs").iterdir()
    assert (table(run)["episodes"], table(run)["error"]) == (0, 2)
    assert talk("resume", "run=latest").exit_code == 1
    assert len((tmp_path / "begun").read_text().split()) == 4


def test_learning_agents_are_played_untrained(talk, tmp_path):
    evaluation = "experiment._target_=agentlab_runner.runners.evaluation.experiment.EvaluationExperiment"
    own = ["+exp=saycan_tomato_salad", evaluation, "agent=random_phrase", "~model", "eval.seeds=3", "logger=none"]
    run = made(talk("eval", *own, "eval.tasks=[tomato_salad]"), tmp_path)
    assert table(run)["episodes"] == 3
    online = talk("eval", "+exp=saycan_tomato_salad", "eval.tasks=[tomato_salad]", "logger=none")
    assert online.exit_code == 2
    assert "eval.tasks is for experiments that evaluate alone" in online.stderr


def test_an_evaluation_is_made_again_under_other_overrides_and_compared(talk, tmp_path):
    one = made(talk("eval", "+exp=talk", "eval.repeats=1"), tmp_path)
    other = made(talk("eval", "+exp=talk", "eval.repeats=1", "agent.gives_up=false", "--name", "other"), tmp_path)
    again = talk("eval", f"run={one}", "eval.seeds=[2]", "--name", "few")
    assert again.exit_code == 0
    assert json.loads((one / "eval" / "few.json").read_text())["success"] == 1.0
    assert table(one)["episodes"] == 10
    compared = talk("compare", str(one), str(other))
    assert compared.exit_code == 0
    rows = {line.strip().split("  ")[0]: line for line in compared.stdout.splitlines()}
    assert "0.4 [0.1682, 0.6873]" in rows["success"]
    assert {"tokens in, an episode", "tokens out, an episode", "calls, an episode", "cost, an episode"} <= set(rows)
    assert compared.stdout.count("than the first, on the same starts") == 6
    assert "of 10" in rows["than the first, on the same starts"]
    both = json.loads(talk("compare", str(one), str(other), "--json").stdout)["runs"]
    assert both[1]["against_first"]["success"] == {"difference": 0.0, "interval": [0.0, 0.0], "starts": 10}
    assert both[1]["against_first"]["calls"]["difference"] == pytest.approx(2 * 2 / 10)  # two episodes go on twice more
    assert talk("report", str(one), "-o", "page.html").exit_code == 0
    page = (tmp_path / "page.html").read_text()
    assert "talk-1" in page
    assert "no idea" in page


GROWTH = """
import resource, sys
from omegaconf import OmegaConf
from pathlib import Path
from agentlab_runner.runners.config.compose import compose
from agentlab_runner.runners.evaluation.experiment import EvaluationExperiment
from agentlab_runner.runners.run.folder import Run

def resident():
    return int(next(line for line in open('/proc/self/status') if line.startswith('VmRSS')).split()[1])

def play(count, place):
    cfg = compose(["+exp=talk", f"eval.seeds={count // 2}", "eval.repeats=1", "eval.record=2"])
    with Run.create(cfg, Path(place), ["test"]) as run:
        EvaluationExperiment(cfg).train(run)
    return resident()

play(20, "warm")
few = play(200, "few")
many = play(2000, "many")
print(few, many)
"""


def test_memory_does_not_grow_with_the_episodes(talk, tmp_path, cli_env):
    done = subprocess.run([sys.executable, "-c", GROWTH], cwd=tmp_path, env=cli_env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    few, many = map(int, done.stdout.split()[-2:])
    assert many <= 1.2 * few

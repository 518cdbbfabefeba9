"""Runs as a user makes them, against a server of our own: every environment, trials, a kill at any call, the key."""

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from agentlab_runner.agents.direct import prompts
from agentlab_runner.runners.config.compose import compose
from agentlab_runner.runners.evaluation.experiment import EvaluationExperiment
from agentlab_runner.runners.run.folder import Run
from tests.agents.llm.chat.fault_server import FaultServer, completion, refusal, serving
from tests.runners.received import forge

KEY = "sk-loud-and-secret-0123456789"
EXPERIMENTS = ("alfworld", "android", "cards", "miniwob", "overcooked", "virtualhome")
MODELS = {
    "chat": ["model.base_url=http://localhost:1/v1", "model.name=small", "model.max_cost=2"],
    "recorded": ["model.folder=RUN"],
    "smollm2_chat": [], "smollm2": [], "smolvlm": [], "qwen2_5_vl": [],
}  # fmt: skip
DOOR = """# Doors with codes, for tests (seconds)
# @package _global_
defaults:
  - _self_
  - override /agent: direct
  - override /model: chat
  - override /logger: none
experiment:
  _target_: agentlab_runner.runners.evaluation.experiment.EvaluationExperiment
env:
  _target_: tests.agents.direct.doors.Door
  num_envs: 1
  parser:
    _target_: tests.agents.direct.doors.Codes
model:
  name: small
  pause: 0.0
eval:
  seeds: [0, 1, 2, 3]
"""


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("name", EXPERIMENTS)
def test_every_environment_goes_with_every_model(name, model):
    cfg = compose([f"+exp=direct_{name}", f"model={model}", *MODELS[model]])
    assert cfg.experiment._target_.endswith("EvaluationExperiment")
    EvaluationExperiment(cfg)


@pytest.mark.parametrize("game", ["numberline", "blackjack", "ezpoints", "points24"])
def test_every_game(game):
    assert compose(["+exp=direct_cards", f"env={game}"]).env.game == game


@pytest.mark.parametrize("view", ["tree", "pixels", "both"])
def test_every_view_of_the_phone(view):
    assert compose(["+exp=direct_android", f"env.observation={view}"]).env.observation == view


@pytest.mark.parametrize("style", ["plain", "react", "reflexion"])
def test_every_style_may_try_again(style):
    cfg = compose(["+exp=direct_alfworld", f"agent.style={style}", "agent.trials=3"])
    assert EvaluationExperiment(cfg).plan.trials == 3


# -- played, and replayed ----------------------------------------------------------------------------------------------


def by_the_book(body):
    """The first thing that is listed or that the rules give as an example, in as many words; a thought where asked."""
    last = body["messages"][-1]["content"]
    last = last if isinstance(last, str) else "".join(part.get("text", "") for part in last)
    if "<actions>\n" in last:
        return completion(last.split("<actions>\n")[1].split("\n")[-2 - body.get("seed", 0) % 3])
    return completion(body["messages"][0]["content"].partition("such as\n")[2].partition("\n")[0] or "Look twice.")


def played(overrides, folder: Path):
    """The run's folder, and the episodes of an evaluation without what the model's answers cost."""
    cfg = compose([*overrides, "logger=none"])
    with Run.create(cfg, folder, ["test"]) as run:
        EvaluationExperiment(cfg).train(run)
    lines = [json.loads(line) for line in (run.path / "journal.jsonl").read_text().splitlines()]
    free = ("seconds", "cost", "cached", "calls_seconds")
    kept = [{key: value for key, value in line.items() if key not in free} for line in lines]
    return run.path, sorted(kept, key=lambda one: one["number"])


@pytest.mark.parametrize(
    ("name", "own"),
    [
        ("alfworld", ["env.horizon=4"]),
        ("alfworld", ["env.horizon=3", "env.commands=useful", "agent.style=react"]),
        ("android", ["env.horizon=3"]),
        ("android", ["env.horizon=2", "env.observation=both"]),
        ("android", ["env.horizon=2", "env.observation=pixels"]),
        ("cards", []),
        ("cards", ["env=points24"]),
        ("cards", ["env=blackjack", "env.observation=both"]),
        ("miniwob", ["env.horizon=2"]),
        ("miniwob", ["env.horizon=2", "env.action=utterances", "env.image=true"]),
        ("miniwob", ["env.horizon=2", "env.action=program", "env.parser.form=block"]),
        ("overcooked", ["env.horizon=30"]),
        ("overcooked", ["env.horizon=10", "env.image=true", "agent.style=react"]),
        ("virtualhome", ["env.horizon=4"]),
        ("virtualhome", ["env.horizon=3", "env.task=entertainment", "agent.style=reflexion", "agent.trials=2"]),
    ],
)
def test_three_episodes_are_replayed_without_a_request(name, own, tmp_path, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    common = [f"+exp=direct_{name}", *own, "env.num_envs=2", "eval.episodes=3", "trainer=cpu"]
    with serving(FaultServer(key=KEY, say=by_the_book)) as server:
        model = ["model=chat", "model.name=small", f"model.base_url={server.url}"]
        run, first = played([*common, *model], tmp_path)
        asked = len(server.paths)
        assert len(server.seen) >= 3
        assert len(first) >= 3
        assert all(line["stop"] != "gave_up" for line in first)
        _, again = played([*common, "model=recorded", f"model.folder={run}"], tmp_path)
        assert again == first
        assert len(server.paths) == asked
        pictures = any(isinstance(turn["content"], list) for body in server.seen for turn in body["messages"])
        assert pictures == any("both" in one or "pixels" in one or "image=true" in one for one in own)


# -- trials ------------------------------------------------------------------------------------------------------------


def by_lessons(body):
    """Opens with the code that it has as many lessons for; draws a lesson where it is asked for one."""
    if prompts.REFLECT in body["messages"][-1]["content"]:
        return completion("I shall try\nthe next code.")
    lessons = body["messages"][0]["content"].partition(prompts.LESSONS)[2].count("\n- I shall try the next code.")
    return completion(f"open {lessons}")


@pytest.fixture
def door(tmp_path, cli_env):
    (tmp_path / "conf" / "exp").mkdir(parents=True)
    (tmp_path / "conf" / "exp" / "door.yaml").write_text(DOOR)
    cli_env["OPENAI_API_KEY"] = KEY
    return tmp_path


def start(door, cli_env, *args):
    command = [sys.executable, "-m", "agentlab_runner.runners", *args]
    return subprocess.Popen(command, cwd=door, env=cli_env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def table(run: Path):
    return json.loads((run / "eval" / "evaluation.json").read_text())


def numbers(run: Path):
    """Of every episode what a kill leaves as it is."""
    lines = [json.loads(line) for line in (run / "journal.jsonl").read_text().splitlines()]
    keys = ("number", "trial", "seed", "success", "stop", "length", "calls", "tokens_in", "tokens_out")
    return sorted(tuple(line[key] for key in keys) for line in lines)


def test_lessons_are_drawn_once_read_in_the_next_trial_and_survive_kills(door, cli, cli_env):
    command = ("eval", "+exp=door", "agent.style=reflexion", "agent.trials=3")
    with serving(FaultServer(key=KEY, say=by_lessons)) as server:
        url = f"model.base_url={server.url}"
        result = cli(*command, url, "--name", "straight")
        assert result.exit_code == 0, result.stderr
        (straight,) = door.glob("runs/*straight")
        trials = [(row["played"], row["solved"], row["starts"]) for row in table(straight)["trials"]]
        assert trials == [(4, 1, 4), (3, 2, 4), (2, 3, 4)]
        assert table(straight)["success"] == 0.25, "the first trial is the one that compares"
        assert "eval/trials" in result.stdout
        calls = {(number, trial): calls for number, trial, *_, calls, _, _ in numbers(straight)}
        assert calls == {(0, 0): 1, (1, 0): 2, (2, 0): 2, (3, 0): 2, (5, 1): 2, (6, 1): 3, (7, 1): 3, (10, 2): 2,
                         (11, 2): 3}  # fmt: skip
        assert len(server.seen) == sum(calls.values())
        drawn = [body for body in server.seen if prompts.REFLECT in body["messages"][-1]["content"]]
        assert len(drawn) == 5, "one for each failed trial that another follows"
        assert all("The episode ended: failure." in body["messages"][-1]["content"] for body in drawn)
        assert "I shall try" not in json.dumps(drawn[0])
        whole = len(server.seen)
        server.seen.clear()

        answered, killed, process = [], [], None

        def say(body):
            if len(killed) < len(answered) // 4:
                killed.append(body)
                os.kill(process.pid, signal.SIGKILL)
                process.wait()
            else:
                answered.append(json.dumps(body, sort_keys=True))
            return by_lessons(body)

        server.say = say
        process = start(door, cli_env, *command, url, "--name", "cut")
        process.communicate()
        (cut,) = door.glob("runs/*cut")
        sessions = 1
        while process.returncode == -signal.SIGKILL:
            process = start(door, cli_env, "resume", f"run={cut}")
            _, said = process.communicate()
            sessions += 1
        assert process.returncode == 0, said
        assert sessions == 1 + len(killed) > 4
        assert len(answered) == len(set(answered)) == whole, "nothing that was answered is asked again"
        assert numbers(cut) == numbers(straight)
        assert table(cut)["trials"] == table(straight)["trials"]


@pytest.mark.parametrize("deterministic", ["false", "true"])
def test_without_lessons_a_further_trial_is_another_sample(door, cli, deterministic):
    with serving(FaultServer(key=KEY, say=lambda body: completion("Thought: hm.\nAction: open 0"))) as server:
        seeds = ("eval.seeds=[1]", f"eval.deterministic={deterministic}")
        result = cli("eval", "+exp=door", f"model.base_url={server.url}", "agent.style=react", "agent.trials=3", *seeds)
        assert result.exit_code == 0, result.stderr
        (run,) = (door / "runs").iterdir()
        assert [row["played"] for row in table(run)["trials"]] == [1, 1, 1]
        assert not (run / "memory").exists()
        bodies = [json.dumps(body, sort_keys=True) for body in server.seen]
        assert len(set(bodies)) == len(bodies) == 6


# -- what a run leaves, and what it refuses ----------------------------------------------------------------------------


def test_nothing_that_a_run_writes_holds_the_key(door, cli):
    """A server that repeats the key wherever it can; everything under the user's folder and on the screen is read."""
    (door / "home").mkdir()
    answers = [refusal(f"seed {KEY}"), refusal(KEY, 500), completion("no", model=KEY), completion(f"open 0 {KEY}")]
    with serving(FaultServer(key=KEY, script=answers, say=by_lessons)) as server:
        own = ("logger=wandb", "eval.seeds=[0,1]", "model.record=tape", "agent.style=reflexion", "agent.trials=2")
        result = cli("eval", "+exp=door", f"model.base_url={server.url}", *own)
        assert result.exit_code == 0, result.stderr
        (run,) = (door / "runs").iterdir()
        report = cli("report", str(run), "-o", "page.html")
        assert report.exit_code == 0
        gone = cli("eval", "+exp=door", f"model.base_url={server.url}", "model.name=missing")
        assert gone.exit_code == 2
        said = "".join(one.stdout + one.stderr for one in (result, report, gone))
    files = [file for file in door.rglob("*") if file.is_file()]
    kinds = {file.relative_to(run if run in file.parents else door).parts[0] for file in files}
    assert {"tape", "page.html", "calls", "memory", "wandb", "journal.jsonl", "episodes", "config.yaml"} <= kinds
    assert [file for file in files if KEY.encode() in file.read_bytes()] == []
    assert KEY not in said


@pytest.mark.parametrize(
    ("overrides", "sentence"),
    [
        (["env.parser._target_=tests.agents.direct.doors.Mute"], "Mute does not tell its action language"),
        (["env.parser=null"], "lists no `actions` and the environment has no parser"),
        (["+env.silent=true"], "the environment shows nothing that small can read"),
        (["agent.style=think"], 'agent.style is "think", but must be'),
        (["agent.exemplars=nowhere"], "there is no folder nowhere"),
    ],
)
def test_bad_input_is_told_with_the_fix(door, cli, overrides, sentence):
    with serving(FaultServer(key=KEY)) as server:
        result = cli("eval", "+exp=door", f"model.base_url={server.url}", *overrides)
    assert result.exit_code == 2
    assert sentence in result.stderr
    assert result.stderr.count("\n") == result.stderr.count("preparing") + 1


def test_no_key_names_the_variable_and_the_offline_choice(door, cli, cli_env):
    del cli_env["OPENAI_API_KEY"]
    with serving(FaultServer(key=KEY)) as server:
        result = cli("eval", "+exp=door", f"model.base_url={server.url}")
    assert result.exit_code == 2
    assert "OPENAI_API_KEY" in result.stderr
    assert "smollm2_chat" in result.stderr


def test_a_cap_ends_a_run_that_goes_on(door, cli):
    with serving(FaultServer(key=KEY, say=by_lessons)) as server:
        url = f"model.base_url={server.url}"
        result = cli("eval", "+exp=door", url, "model.max_calls=4")
        assert result.exit_code == 1
        assert "go on with: agentlab resume run=" in result.stderr
        (run,) = (door / "runs").iterdir()
        assert table(run)["episodes"] == 2
        assert len(server.seen) == 4
        again = cli("resume", "run=latest", "model.max_calls=100")
        assert again.exit_code == 0, again.stderr
        assert len(server.seen) == 7
        assert table(run)["episodes"] == 4
        other = cli("eval", "+exp=door", url, "--name", "other")
        assert other.exit_code == 0
        compared = cli("compare", str(run), str(next((door / "runs").glob("*other"))))
        assert compared.exit_code == 0, compared.stderr
        assert "tokens in, an episode" in compared.stdout


def test_where_a_key_is_sent_is_decided_by_whoever_began_the_run_here(door, cli, cli_env, tmp_path):
    with serving(FaultServer(key=KEY, say=by_lessons)) as server:
        assert cli("eval", "+exp=door", f"model.base_url={server.url}", "model.max_calls=4").exit_code == 1
        assert cli("resume", "run=latest", "model.max_calls=5").exit_code == 1, "the run that it was changed to"
        asked = len(server.seen)
        (run,) = (door / "runs").iterdir()
        cli_env["AGENTLAB_CACHE"] = str(tmp_path / "of somebody else")
        received = cli("resume", "run=latest", "model.max_calls=100")
        assert received.exit_code == 2
        assert f"sets model.base_url to '{server.url}', which is for you to decide" in received.stderr
        del cli_env["AGENTLAB_CACHE"]
        copy = Path(shutil.copytree(run, run.with_name("received")))
        assert "for you to decide" in cli("resume", f"run={copy}", "model.max_calls=100").stderr
        forge(run, lambda config: config["model"].update(base_url="http://elsewhere.example/v1"))
        assert "which is for you to decide" in cli("resume", f"run={run}", "model.max_calls=100").stderr
        assert len(server.seen) == asked


def test_an_endpoint_that_is_gone_for_good_leaves_what_was_played(door, cli):
    with serving(FaultServer(key=KEY, say=by_lessons)) as server:
        url = f"model.base_url={server.url}"

        def say(body):
            return by_lessons(body) if len(server.seen) <= 3 else refusal("down", 503)

        server.say = say
        result = cli("eval", "+exp=door", url, "model.retries=1")
        assert result.exit_code == 1
        (run,) = (door / "runs").iterdir()
        assert table(run)["episodes"] == 2
        server.say = by_lessons
        before = len(server.seen)
        assert cli("resume", "run=latest").exit_code == 0
        assert table(run)["episodes"] == 4
        assert len(server.seen) - before == 4

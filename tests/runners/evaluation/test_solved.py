"""Agents that remember: shown what a demonstrator solved, or what another run did, each played just now."""

import json

import pytest

EXP = """# Buttons, for tests (seconds)
# @package _global_
experiment:
  _target_: agentlab_runner.runners.evaluation.experiment.EvaluationExperiment
agent:
  _target_: agentlab_runner.agents.synapse.agent.SynapseAgent
  _schema_: agentlab_runner.agents.synapse.settings.SynapseSettings
  memory:
    embedder: {_target_: agentlab_runner.agents.memory.embedders.Hashed}
    from_run: null
    folder: null
  decoder: analogy
env:
  _target_: tests.agents.synapse.pages.Buttons
  num_envs: 2
  steps: 1
  parser: {_target_: tests.agents.synapse.pages.Calls}
warm_start:
  episodes: 20
  demonstrator: {_target_: tests.agents.synapse.pages.Expert}
logger: null
eval: {episodes: 12, record: 12}
"""


@pytest.fixture
def buttons(tmp_path, cli):
    (tmp_path / "conf" / "exp").mkdir(parents=True)
    (tmp_path / "conf" / "exp" / "buttons.yaml").write_text(EXP)
    return cli


def made(result, tmp_path):
    assert result.exit_code == 0, result.stderr
    line = next(line for line in result.stdout.splitlines() if line.startswith("run: "))
    return tmp_path / line.removeprefix("run: ")


def memory(run):
    return json.loads((run / "memory" / "exemplars.json").read_text())


def test_what_a_demonstrator_solved_is_remembered(buttons, tmp_path):
    run = made(buttons("train", "+exp=buttons"), tmp_path)
    assert json.loads((run / "eval" / "evaluation.json").read_text())["success"] == 1
    logged = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert logged[0]["memory/tasks"] == 1
    assert 2 <= logged[0]["memory/exemplars"] <= 5, "different ones, and only those that were solved"
    kept = memory(run)
    buttons("resume", f"run={run}")
    assert memory(run) == kept


def test_what_another_run_solved_is_played_once_more_and_remembered(buttons, tmp_path):
    first = made(buttons("train", "+exp=buttons"), tmp_path)
    for file in (first / "episodes" / "evaluation").glob("*/episode.json"):
        episode = json.loads(file.read_text())
        if episode["seed"] % 5 == 1:  # the word `two`: somebody's own claims
            episode["steps"][0]["action"] = "press later"
            file.write_text(json.dumps(episode))
    result = buttons("train", "+exp=buttons", f"agent.memory.from_run={first}", "eval.seed=7")
    second = made(result, tmp_path)
    said = {demo["act"] for demo in memory(second)["press"]["demo"]}
    assert said, result.stderr
    assert "agent.press('later')" not in said, "what is not solved when it is played again is no exemplar"
    assert "agent.press('five')" not in said, "what may not be begun here is none either"
    assert "are not solved here and left out" in result.stderr
    origins = json.loads((second / "memory" / "made_from.json").read_text())["press"]
    assert {one["run"] for one in origins} == {str(first)}


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        (["agent.memory.from_run=nowhere"], "there is no folder nowhere"),
        (["warm_start=null"], "the memory is empty; give agent.memory.folder"),
        (["warm_start.demonstrator._target_=tests.agents.synapse.pages.Nobody"], "none of 20 demonstrations is solved"),
        (["agent.memory.folder=x", "agent.memory.from_run=y"], "give either folder"),
        (["agent.memory.folder=nowhere"], "has no exemplars.json"),
    ],
)
def test_nothing_to_remember_is_told_in_one_sentence(buttons, tmp_path, overrides, said):
    result = buttons("train", "+exp=buttons", *overrides)
    assert result.exit_code == 2, result.stderr
    assert said in result.stderr
    assert not (tmp_path / "runs").exists() or not list((tmp_path / "runs").iterdir())

"""A teacher before an agent that plays alone, through the runner."""

import json

import pytest
import yaml
from omegaconf import OmegaConf

from agentlab_runner.runners.config.compose import compose
from agentlab_runner.runners.errors import UserError
from agentlab_runner.runners.online.experiment import OnlineExperiment
from agentlab_runner.runners.run.folder import Run

EXPERIMENT = {
    "agent": {"_target_": "tests.runners.toy.Gambler"},
    "env": {"_target_": "tests.agents.spc.students.Ladder", "num_envs": 3},
    "total_iterations": 8,
    "rollout_size": 6,
    "eval": {"every": 4, "episodes": 3, "record": 0},
    "checkpoint": {"every": 1},
}
TASKS = ("one", "two", "four")


def config(curriculum, **changes):
    cfg = compose([f"curriculum={curriculum}", "logger=none", *(f"curriculum.{k}={v}" for k, v in changes.items())])
    OmegaConf.set_struct(cfg, False)
    return OmegaConf.merge(cfg, EXPERIMENT)


def lines(run):
    return [{name: value for name, value in line.items() if not name.startswith("time")} for line in run.metrics()]


def trained(cfg, path):
    with Run.create(cfg, path.parent, ["test"], path=path) as run:
        OnlineExperiment(cfg).train(run)
    return run


@pytest.mark.parametrize(
    ("curriculum", "changes"),
    [
        ("exp3", {"every": 2, "target_episodes": 2}),
        ("uniform", {}),
        ("vacl", {"initial": 20, "buffer": 30, "reproduction": 5}),
        ("mastery", {"window": 2, "draw": "episode"}),
    ],
)
def test_a_run_that_was_torn_ends_with_the_same_digits(tmp_path, curriculum, changes):
    whole = trained(config(curriculum, **changes), tmp_path / "whole")
    cfg = config(curriculum, **changes)
    cfg.agent.crash_at = 6  # after its tasks were proposed and played
    with pytest.raises(RuntimeError, match="out of luck"):
        trained(cfg, tmp_path / "torn")
    with Run.open(tmp_path / "torn") as again:
        OnlineExperiment(config(curriculum, **changes)).train(again)
    assert [line for line in lines(again) if line["step"] > 5] == [line for line in lines(whole) if line["step"] > 5]
    assert sum(lines(whole)[-1][f"curriculum/played/{task}"] for task in TASKS) == 48


def test_episodes_of_the_target_count_as_steps(tmp_path):
    counts = {}
    for mix in (0.0, 1.0):  # paid by training alone, the bandit looks at no target
        cfg = config("exp3", every=2, target_episodes=5, eval_mix=mix)
        cfg.env._target_ = "tests.agents.spc.students.Hopeless"
        counts[mix] = lines(trained(cfg, tmp_path / str(mix)))[-1]["train/env_steps"]
    assert counts == {0.0: 3 * 6 * 8, 1.0: 3 * (6 * 8 + 5 * 4)}


@pytest.mark.parametrize(
    ("env", "curriculum", "said"),
    [
        ("tests.runners.toy.Guess", "uniform", "curriculum=none"),
        ("tests.agents.spc.students.Lying", "uniform", r"info\['task'\]"),
        ("tests.agents.spc.students.Ladder", "exp3_context", "Gambler does not sum up its policy"),
    ],
)
def test_what_cannot_be_taught_is_told_in_a_sentence(tmp_path, env, curriculum, said):
    cfg = config(curriculum, every=1)
    cfg.env._target_ = env
    with pytest.raises(UserError, match=said):
        trained(cfg, tmp_path / "run")


def test_the_command_teaches_an_agent_that_plays_alone(cli, tmp_path):
    (tmp_path / "conf/exp").mkdir(parents=True)
    head = "# @package _global_\ndefaults:\n  - override /logger: none\n\n"
    (tmp_path / "conf/exp/ladder.yaml").write_text(head + yaml.safe_dump(EXPERIMENT))
    done = cli("train", "+exp=ladder", "curriculum=exp3", "curriculum.every=1", "total_iterations=2")
    assert done.exit_code == 0, done.stderr
    (file,) = tmp_path.glob("runs/*/metrics.jsonl")
    last = json.loads(file.read_text().splitlines()[-1])
    assert sum(last[f"curriculum/prob/{task}"] for task in TASKS) == pytest.approx(1)

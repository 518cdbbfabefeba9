"""Runs of teams, with a curriculum: counted by agent, exact when resumed, refused early where the parts do not fit."""

import json
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import pytest

from agentlab_runner.runners.config.compose import compose
from agentlab_runner.runners.errors import RunFailed, UserError
from agentlab_runner.runners.online.experiment import OnlineExperiment
from agentlab_runner.runners.online.rollout import EVAL, episode_seeds
from agentlab_runner.runners.run.folder import Run
from agentlab_runner.runners.types import Metrics, Trajectory
from tests.runners.online.test_online import config, numbers, train
from tests.runners.toy import Guess
from tests.runners.walkers import Wanderer

HERE = "tests.runners.online.test_team_runs"


class Alternate:
    """Practises one task after the other, looks at the target at every second iteration, and remembers what it saw."""

    def __init__(self, crash_at: int = 0, target: int = 3) -> None:
        self.turn, self.seen, self.crash_at, self.target, self.seeds = 0, 0.0, crash_at, target, list[int]()

    @property
    def target_episodes(self) -> int:
        return self.target if self.turn % 2 == 0 else 0

    def setup(self, tasks: Mapping[str, Mapping[str, float]], seed: int) -> None:
        if not tasks:
            raise UserError("there is no task to choose from; name some in env.tasks")
        self.tasks = list(tasks)

    def propose(self, count: int) -> Sequence[str]:
        self.turn += 1
        if self.turn == self.crash_at:
            raise RuntimeError("the power went")
        return [self.tasks[self.turn % len(self.tasks)]] * count

    def feedback(self, trajectories: Sequence[Trajectory], target: Sequence[Trajectory], agent: Any) -> Metrics:
        assert {one.task for one in trajectories} == {self.tasks[self.turn % len(self.tasks)]}
        self.seeds += [one.seed for one in target]
        self.seen += sum(one.total_reward for one in target)
        return {"curriculum/seen": self.seen, "curriculum/looked": float(len(target))}

    def state_dict(self) -> dict[str, Any]:
        return {"turn": self.turn, "seen": self.seen}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.turn, self.seen = state["turn"], state["seen"]


class Alike(Guess):
    """The guessing game under two names."""

    tasks = ("left", "right")

    def reset(self, *, seed=None, options=None):
        observation, info = super().reset(seed=seed, options=options)
        return observation, {**info, "task": options.get("task", "left")}


def of_teams(**changes):
    env = {"_target_": "tests.runners.walkers.Walkers", "num_envs": 3, "n": 2}
    cfg = config(**{"agent": {"_target_": "tests.runners.walkers.Wanderer"}, **changes})
    cfg.env = env
    cfg.eval.env = {"n": 3}
    cfg.rollout = {"_target_": "agentlab_runner.runners.online.batched_rollout.BatchedRollout"}
    return cfg


def taught(**changes):
    return of_teams(curriculum={"_target_": f"{HERE}.Alternate", **changes})


def test_steps_are_counted_by_team_and_by_agent(tmp_path):
    lines = numbers(train(of_teams(), tmp_path / "run"))[1:]
    for before, after in pairwise(lines):
        steps = [after[f"train/{kind}_steps"] - before[f"train/{kind}_steps"] for kind in ("env", "agent")]
        assert 0 < steps[0] < steps[1] < 3 * steps[0]


def test_agent_steps_end_a_run(tmp_path):
    lines = numbers(train(of_teams(total_agent_steps=40, total_iterations=99), tmp_path / "run"))
    assert lines[-1]["train/agent_steps"] >= 40 > lines[-2]["train/agent_steps"]
    assert "eval/success" in lines[-1]


def test_evaluation_counts_exactly_its_seeds_with_pictures_and_measures(tmp_path):
    run = train(of_teams(total_iterations=1), tmp_path / "run")
    summary = json.loads((run.path / "eval" / "iteration_1.json").read_text())
    assert [line["seed"] for line in summary["played"]] == episode_seeds(9, EVAL, count=5)
    assert all("place" in line["measures"] for line in summary["played"])
    assert len(list((run.path / "episodes" / "iteration_1").glob("*/episode.json"))) == 2
    assert list((run.path / "episodes" / "iteration_1" / "frames").glob("*.png"))


def test_a_resumed_curriculum_gives_the_same_numbers(tmp_path):
    whole = numbers(train(taught(), tmp_path / "whole"))
    with pytest.raises((RuntimeError, RunFailed)):
        train(taught(crash_at=6), tmp_path / "cut")
    cut = Run.open(tmp_path / "cut")
    with cut as run:
        OnlineExperiment(taught()).train(run)
    assert numbers(Run.open(tmp_path / "cut")) == whole
    assert whole[-1]["curriculum/seen"] > 0


def test_a_look_at_the_target_counts_as_steps_and_is_not_the_held_out_episodes(tmp_path):
    blind = numbers(train(taught(target=0), tmp_path / "blind"))
    looking = numbers(train(taught(target=3), tmp_path / "looking"))
    assert [line["train/success"] for line in blind[1:]] == [line["train/success"] for line in looking[1:]]
    assert [line.get("eval/success") for line in blind] == [line.get("eval/success") for line in looking]
    assert looking[-1]["train/env_steps"] > blind[-1]["train/env_steps"]
    assert looking[-1]["train/agent_steps"] > blind[-1]["train/agent_steps"]


def test_a_curriculum_works_for_a_single_agent_too(tmp_path):
    cfg = config(curriculum={"_target_": f"{HERE}.Alternate"})
    cfg.env._target_ = f"{HERE}.Alike"
    lines = numbers(train(cfg, tmp_path / "run"))
    assert {"train/task/left", "train/task/right"} <= {key for line in lines for key in line}


class Busy(Guess):
    """What it calls tasks is something else."""

    tasks = object()


def test_an_attribute_of_the_same_name_is_no_list_of_tasks(tmp_path):
    cfg = config(total_iterations=1)
    cfg.env._target_ = f"{HERE}.Busy"
    assert numbers(train(cfg, tmp_path / "run"))


def test_a_curriculum_without_tasks_is_told_so(tmp_path):
    with pytest.raises(UserError, match=r"name some in env\.tasks"):
        train(config(curriculum={"_target_": f"{HERE}.Alternate"}), tmp_path / "run")


def test_an_agent_is_built_with_the_sizes_of_the_training_environment(tmp_path):
    cfg = of_teams(total_iterations=1)
    cfg.agent._target_ = f"{HERE}.Sized"
    train(cfg, tmp_path / "run")


class Sized(Wanderer):
    def __init__(self, team):
        super().__init__()
        assert (team.agents, team.observation, team.actions, team.state, team.continuous) == (3, 2, 2, 4, False)


@pytest.mark.parametrize(
    ("overrides", "says"),
    [
        (["rollout=batched"], "rollout is for teams as tensors; env is for one agent; agent is for one agent"),
        (["rollout=batched"], "use rollout=local or ray"),
    ],
)
def test_parts_that_do_not_fit_are_refused_before_torch(overrides, says):
    with pytest.raises(UserError, match=says):
        compose(["+exp=pointer_miniwob", *overrides])

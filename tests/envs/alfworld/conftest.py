"""What tests of the household share."""

import json
from pathlib import Path

import pytest

from agentlab_runner.envs.alfworld.pddl import problem
from agentlab_runner.envs.alfworld.scenes import Scenes
from agentlab_runner.envs.alfworld.world import TaskType


@pytest.fixture
def downloaded(tmp_path: Path) -> Path:
    """A folder laid out as `alfworld-download` leaves it: two games a task in `train`, with the older wording."""
    scenes = Scenes(receptacles=5, objects=5, sampling="sequential")
    for number in range(2 * len(TaskType)):
        world = scenes.make(number, number)
        goal = world.goal
        wanted = {
            "object_target": goal.thing.capitalize(),
            "parent_target": "" if goal.task is TaskType.LOOK else goal.target,
            "toggle_target": goal.target if goal.task is TaskType.LOOK else "",
            "mrecep_target": "",
            "object_sliced": False,
        }
        trial = tmp_path / "train" / f"{goal.task}-{goal.thing}-None-{goal.target}-{number}" / "trial_T0"
        trial.mkdir(parents=True)
        game = {
            "pddl_domain": "of another version",
            "grammar": f'"task": [{{"rhs": "Your task is to: {goal.text}."}}]',
            "pddl_problem": problem(world),
            "solvable": True,
        }
        (trial / "game.tw-pddl").write_text(json.dumps(game))
        (trial / "traj_data.json").write_text(json.dumps({"task_type": goal.task, "pddl_params": wanted}))
    return tmp_path

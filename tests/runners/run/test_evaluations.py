"""What is recorded of a run's evaluations: results, episodes, pictures that move."""

import json

import numpy as np
import pytest

from agentlab_runner.runners.run.episodes import gif
from agentlab_runner.runners.run.evaluations import Apart
from agentlab_runner.runners.run.folder import Run
from agentlab_runner.runners.run.tracking import NullTracker
from agentlab_runner.runners.types import Decision, Step, StopReason, Trajectory
from tests.runners.run.test_run import CONFIG, files, run

__all__ = ["run"]


def test_evaluations_and_files_are_written(run):
    run.write_eval("checkpoint_3", {"success": 0.5, "tasks": {"alarm": {"success": 1.0}}})
    assert json.loads((run.path / "eval" / "checkpoint_3.json").read_text())["tasks"]["alarm"]["success"] == 1.0
    assert run.write("notes/a.txt", "é").read_bytes() == "é".encode()
    assert files(run.path / "notes") == ["a.txt"]


def test_saving_episodes_again_replaces_them(run):
    step = Step({"text": "goal"}, Decision("tap"), 1.0)
    episode = Trajectory((step,), {"text": ""}, StopReason.SUCCESS, True, seed=1, task="alarm")
    run.save_episodes("iteration_1", [episode] * 3)
    folder = run.save_episodes("iteration_1", [episode] * 3, limit=2)
    assert files(folder) == ["000", "001"]
    assert files(run.path / "episodes") == ["iteration_1"]
    run.save_episodes("none", [episode], limit=0)
    assert files(run.path / "episodes") == ["iteration_1"]


class Wanting(NullTracker):
    """A tracker that wants two GIFs of each recording."""

    clips = 2

    def __init__(self):
        self.got = []

    def episodes(self, name, gifs):
        self.got += gifs


@pytest.mark.parametrize("apart", [False, True])
def test_as_many_episodes_as_the_tracker_wants_stand_in_the_media_folder(tmp_path, apart):
    node = {"_target_": "tests.runners.run.test_evaluations.Wanting"}
    run = Run.create(CONFIG | {"logger": node}, tmp_path, ["agentlab", "train"], name="demo")
    seen = {"text": "goal", "image": np.full((8, 8, 3), 90, np.uint8)}
    episode = Trajectory((Step(seen, Decision("tap"), 1.0),), seen, StopReason.SUCCESS, True, seed=1, task="alarm")
    run.apart = Apart() if apart else None
    run.tracker = Wanting()
    run.save_episodes("iteration_1", [episode] * 3)
    run.save_episodes("iteration_2", [episode] * 3)
    run.save_episodes("iteration_2", [episode])
    first = run.path / "media" / "iteration_1_episode_000.gif"
    assert files(first.parent) == [first.name, "iteration_1_episode_001.gif", "iteration_2_episode_000.gif"]
    assert first.read_bytes() == gif(episode)
    assert len(run.tracker.got) == (0 if apart else 5)

"""The replay keeps whole episodes, each frame once, and comes back as it was."""

import io

import numpy as np
import torch

from agentlab_runner.agents.rl.replay import TrajectoryReplay
from agentlab_runner.runners.types import Decision, Step, StopReason, Trajectory


def episode(shade: int, length: int = 3) -> Trajectory:
    def screen() -> dict:
        return {"text": f"goal {shade}", "image": np.full((64, 32, 3), shade, dtype=np.uint8)}

    steps = tuple(Step(screen(), Decision("tap", {"token_ids": (1, 2)}), float(i), {"x": i}) for i in range(length))
    return Trajectory(steps, screen(), StopReason.HORIZON, False, seed=shade, task="t", goal="g")


def test_oldest_episodes_make_room_and_take_their_frames_along():
    replay = TrajectoryReplay(capacity=7)
    for shade in (1, 2, 3):
        replay.add(episode(shade), text=torch.full((4, 1), float(shade)))
    assert [trajectory.seed for trajectory, _ in replay.episodes] == [2, 3]
    assert len(replay) == 6
    assert len(replay.state_dict()["frames"]) == 2


def test_an_episode_longer_than_the_capacity_is_kept_alone():
    replay = TrajectoryReplay(capacity=2)
    replay.add(episode(1, length=5))
    assert len(replay) == 5


def test_frames_are_the_replays_own_and_equal_ones_are_one():
    replay = TrajectoryReplay(capacity=100)
    given = episode(5)
    replay.add(given)
    given.steps[0].observation["image"][:] = 0
    ((kept, _),) = replay.episodes
    assert kept.steps[0].observation["image"].max() == 5
    assert kept.steps[0].observation["image"] is kept.final_observation["image"]


def test_state_survives_a_safe_file():
    replay = TrajectoryReplay(capacity=100)
    replay.add(episode(1), text=torch.rand(4, 2))
    replay.add(episode(2))
    file = io.BytesIO()
    torch.save(replay.state_dict(), file)
    file.seek(0)
    again = TrajectoryReplay(capacity=100)
    again.load_state_dict(torch.load(file, weights_only=True))
    assert len(again.state_dict()["frames"]) == 2
    for (mine, kept), (theirs, tensors) in zip(replay.episodes, again.episodes, strict=True):
        assert [s.reward for s in mine.steps] == [s.reward for s in theirs.steps]
        assert [s.decision for s in mine.steps] == [s.decision for s in theirs.steps]
        assert mine.stop is theirs.stop
        np.testing.assert_array_equal(mine.final_observation["image"], theirs.final_observation["image"])
        assert kept.keys() == tensors.keys()
    torch.testing.assert_close(replay.episodes[0][1]["text"], again.episodes[0][1]["text"])

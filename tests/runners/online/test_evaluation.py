"""What evaluation episodes are summed up to."""

import pytest

from agentlab_runner.runners.online.evaluation import headline, summarise
from agentlab_runner.runners.types import Decision, Step, StopReason, Trajectory


def episode(*rewards: float, stop: StopReason = StopReason.SUCCESS, **last) -> Trajectory:
    infos = [{}] * (len(rewards) - 1) + [last]
    steps = tuple(Step({}, Decision(0), reward, info) for reward, info in zip(rewards, infos, strict=True))
    return Trajectory(steps, {}, stop, stop is StopReason.SUCCESS, seed=0, task="climb")


def test_mean_and_spread_are_over_the_episodes():
    summary = summarise([episode(1.0, 1.0), episode(0.0, 0.0, 0.0, 0.0, stop=StopReason.HORIZON)])
    found = {name: summary[name] for name in ("episodes", "success", "return", "return_std", "length")}
    assert found == {"episodes": 2, "success": 0.5, "return": 1.0, "return_std": 1.0, "length": 3.0}
    assert headline(summary, "eval")["eval/task/climb"] == 0.5


def test_a_return_is_what_the_environment_calls_it():
    discounted = episode(1.0, 1.0, episode_return=1.9)
    assert discounted.total_reward == 2.0
    assert summarise([discounted])["return"] == pytest.approx(1.9)


def test_lost_episodes_do_not_count():
    summary = summarise([episode(1.0, stop=StopReason.DEVICE_LOST)])
    assert summary["episodes"] == 0
    assert summary["return"] is summary["return_std"] is None
    assert headline(summary, "eval") == {"eval/device_lost": 1.0}

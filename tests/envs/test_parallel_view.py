"""The view of a batched environment that PettingZoo's own tests pass."""

import warnings

import numpy as np
import pytest
import torch
from pettingzoo.test import parallel_api_test, parallel_seed_test

from agentlab_runner.envs.mpe.push_ball import PushBall
from agentlab_runner.envs.mpe.spread import Spread
from agentlab_runner.envs.mpe.tag import Tag
from agentlab_runner.envs.parallel_view import ParallelView
from tests.runners.walkers import Walkers

MADE = {
    "spread": lambda: Spread(1),
    "continuous": lambda: Spread(1, actions="continuous", terminate_on_success=True, radius=0.9),
    "push_ball": lambda: PushBall(1, n=2),
    "tag": lambda: Tag(1),
    "mixed": lambda: Spread(1, n=2, neighbors=2, tasks=[{"n": 4, "radius": 0.3}]),
    "walkers": lambda: Walkers(1, n=3),
}


@pytest.mark.parametrize("name", MADE)
def test_pettingzoo_finds_no_fault(name):
    with warnings.catch_warnings():
        if name != "mixed":  # there some of the possible agents are in no episode
            warnings.simplefilter("error")
        parallel_api_test(ParallelView(MADE[name]()), num_cycles=200)


@pytest.mark.parametrize("name", [name for name in MADE if name != "walkers"])
def test_seeds_decide_all(name):
    parallel_seed_test(lambda: ParallelView(MADE[name]()), num_cycles=30)


def test_an_episode_is_that_of_a_row():
    batch, view = Spread(5, n=2), ParallelView(Spread(1, n=2))
    batch.reset(torch.arange(5), torch.arange(5), [None] * 5)
    for seed in (0, 3):
        seen, _ = view.reset(seed=seed)
        assert np.array_equal(seen["agent_1"], batch.view().observations[seed, 1])
        assert np.array_equal(view.state(), batch.view().state[seed])
        assert view.observation_space("agent_0").contains(seen["agent_0"])
    assert not np.array_equal(view.reset()[0]["agent_1"], view.reset()[0]["agent_1"])


def test_who_dies_leaves_and_is_terminated():
    view = ParallelView(Walkers(1, n=3))
    seen, infos = view.reset(seed=1, options={"task": "few"})
    assert view.agents == ["agent_0"]
    assert infos == {"agent_0": {"task": "few"}}
    assert seen["agent_0"]["action_mask"].tolist() == [1, 1]
    view.reset(seed=1)
    lived = {}
    for number in range(1, 10):
        _, _, terminated, truncated, infos = view.step(dict.fromkeys(view.agents, 0))
        lived |= {agent: number for agent in terminated if terminated[agent] or truncated[agent]}
        assert set(view.agents).isdisjoint(lived)
        if not view.agents:
            break
    assert sorted(lived) == view.possible_agents
    assert len(set(lived.values())) > 1
    assert infos["agent_2"] == {"success": False, "place": pytest.approx(float(view.env.at.sum()))}


def test_the_end_says_how_it_went_and_a_task_may_be_chosen():
    view = ParallelView(Spread(1, n=2, neighbors=1, horizon=2, tasks=[{"n": 3, "radius": 5.0}]))
    _, infos = view.reset(seed=0, options={"task": "n3_r5"})
    assert infos["agent_2"] == {"task": "n3_r5", "conditions": {"rewards": "dense"}}
    assert view.step(dict.fromkeys(view.agents, 0))[4]["agent_0"] == {}
    *_, truncated, infos = view.step(dict.fromkeys(view.agents, 0))
    assert truncated == dict.fromkeys(view.possible_agents, True)
    assert infos["agent_0"]["success"] is True
    assert infos["agent_0"]["coverage"] == 1.0
    assert view.render().shape == (200, 200, 3)


def test_faults_are_told():
    with pytest.raises(ValueError, match="this environment 2; use num_envs=1"):
        ParallelView(Spread(2))
    view = ParallelView(Spread(1))
    view.reset(seed=0)
    with pytest.raises(ValueError, match="no action of agent_1"):
        view.step({"agent_0": 0, "agent_2": 0})
    with pytest.raises(ValueError, match="there is no task 'n9'"):
        view.reset(options={"task": "n9"})

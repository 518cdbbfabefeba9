"""Teams as PettingZoo has them: the same episodes as a batch, losses counted apart, threads where they block."""

import functools
import threading

import numpy as np
import pytest
import torch
from gymnasium import spaces
from pettingzoo import ParallelEnv

from agentlab_runner.runners.errors import RunFailed, UserError
from agentlab_runner.runners.online.batched_rollout import play
from agentlab_runner.runners.online.parallel_rollout import Stacked
from agentlab_runner.runners.online.rollout import starts_of
from agentlab_runner.runners.teams import TeamChoice
from agentlab_runner.runners.types import StopReason
from tests.runners.walkers import Wanderer


class Ramblers(ParallelEnv):
    """Two agents on a line that ends at 4 for `a`, who then leaves, and at 6 steps for both."""

    metadata = {"name": "ramblers"}  # noqa: RUF012

    def __init__(self, worker=0, fails=(), blocking=False, masked=False, wide=False):
        self.possible_agents, self.fails, self.masked, self.resets = ["a", "b"], list(fails), masked, 0
        self.metadata = {"name": "ramblers", "blocking": blocking}
        self.wide, self.threads = wide, set()

    @functools.cache  # noqa: B019
    def observation_space(self, agent):
        box = spaces.Box(-9, 9, (2 if agent == "a" else 3,), np.float32)
        return spaces.Dict({"observation": box, "action_mask": spaces.MultiBinary(2)}) if self.masked else box

    @functools.cache  # noqa: B019
    def action_space(self, agent):
        return spaces.Text(3) if self.wide else spaces.Discrete(2, start=5 if agent == "b" else 0)

    def reset(self, seed=None, options=None):
        self.resets += 1
        if "reset" in self.fails:
            raise ConnectionError("the game is not there")
        self.agents, self.steps, self.at = ["a", "b"], 0, {"a": seed % 3, "b": seed % 2}
        return self._seen(), {name: {"task": (options or {}).get("task", "own")} for name in self.agents}

    def step(self, actions):
        self.threads.add(threading.current_thread().name)
        assert set(actions) == set(self.agents)
        self.steps += 1
        if self.steps in self.fails:
            self.fails.remove(self.steps)
            raise ConnectionError("the game was closed")
        for name, action in actions.items():
            assert action in self.action_space(name)
            self.at[name] += action - (5 if name == "b" else 0)
        over = {name: name == "a" and self.at["a"] >= 4 for name in self.agents}
        cut = {name: self.steps >= 6 and not over[name] for name in self.agents}
        rewards = {name: float(self.at[name]) for name in self.agents}
        infos = {name: {"success": self.at["b"] > 3, "measures": {"far": self.at["b"]}} for name in self.agents}
        seen = self._seen()
        self.agents = [name for name in self.agents if not (over[name] or cut[name])]
        return seen, rewards, over, cut, infos

    def _seen(self):
        seen = {"a": np.array([self.at["a"], self.steps]), "b": np.array([self.at["b"], self.steps, 1])}
        if self.masked:
            masks = {name: np.array([1, self.at[name] < 2], np.int8) for name in seen}
            return {name: {"observation": seen[name], "action_mask": masks[name]} for name in seen}
        return seen


def stacked(rows, **settings):
    return Stacked([Ramblers(worker, **settings) for worker in range(rows)], "cpu")


def batch(env, count=6):
    return play(Wanderer(), env, starts_of(range(count), None, 1), "cpu", False)


def told(one):
    return one.seed, one.stop, dict(one.measures), [(s.decision.action, s.reward) for s in one.steps]


def test_rows_play_what_one_plays():
    assert [told(one) for one in batch(stacked(4))] == [told(one) for one in batch(stacked(1))]


def test_sizes_are_the_largest_and_what_is_missing_is_zero():
    env = stacked(2)
    assert (env.spec.agents, env.spec.observation, env.spec.actions, env.spec.state) == (2, 3, 2, 6)
    found = batch(env)
    assert not found.observations[:, 0, 2].any()
    assert found.observations[found.present[:, 1]][:, 1, 2].all()


def test_one_that_leaves_is_absent_and_the_other_goes_on():
    found = batch(stacked(3), count=12)
    there = found.padded(found.present)[:, :, 0].sum(dim=1)
    assert 0 < int((there < 6).sum()) < 12
    assert found.final.present[:, 1].all()
    left = found.padded(found.terminated)[:, :, 0].any(dim=1)
    assert torch.equal(found.final.present[:, 0], ~left)
    assert all(one.agent_steps == int(found.padded(found.present)[n].sum()) for n, one in enumerate(found))
    assert {one.stop for one in found} <= {StopReason.HORIZON, StopReason.SUCCESS}
    assert all(one.success == (one.measures["far"] > 3) for one in found)


def test_a_mask_is_heeded():
    found = batch(stacked(2, masked=True))
    walked = found.actions.bool() & found.present
    assert walked.any()
    assert (found.observations[:, :, 0][walked] < 2).all()


def test_a_lost_game_loses_its_episode_and_plays_the_next():
    found = batch(stacked(1, fails=[3]))
    assert found[0].stop == StopReason.DEVICE_LOST
    assert found[0].reason == "the game was closed"
    assert len(found[0].steps) == 3
    assert all(one.stop != StopReason.DEVICE_LOST for one in found[1:])


def test_a_game_that_does_not_begin_ends_the_run_after_some_tries():
    env = stacked(1, fails=["reset"])
    with pytest.raises(RunFailed, match="did not begin in 3 tries: the game is not there"):
        batch(env)
    assert env.rows[0].env.resets == 3


@pytest.mark.parametrize("blocking", [True, False])
def test_those_that_block_step_in_threads(blocking):
    env = stacked(3, blocking=blocking)
    batch(env)
    names = {name for row in env.rows for name in row.env.threads}
    assert (names == {"MainThread"}) is not blocking


def test_spaces_that_no_team_agent_can_use_are_told():
    with pytest.raises(UserError, match=r"Ramblers shows Box.* and takes Text.*; wrap it"):
        stacked(1, wide=True)


def test_a_package_that_was_not_made_for_us():
    from mpe2 import simple_spread_v3

    envs = [simple_spread_v3.parallel_env(N=3, max_cycles=7) for _ in range(2)]
    env = Stacked(envs, "cpu")
    assert (env.spec.agents, env.spec.observation, env.spec.actions, env.spec.state) == (3, 18, 5, 54)

    class Still(Wanderer):
        def decide(self, view, memory, deterministic):
            return TeamChoice(torch.zeros(view.present.shape, dtype=torch.int64))

    found = play(Still(), env, starts_of([0, 3, 4], None, 1), "cpu", True)
    assert [len(one.steps) for one in found] == [7, 7, 7]
    assert {one.stop for one in found} == {StopReason.HORIZON}
    assert found.final.present.all()  # cut short: something was still ahead
    alone = simple_spread_v3.parallel_env(N=3, max_cycles=7)
    seen, _ = alone.reset(seed=3)
    assert np.allclose(found.observations[7, 1], seen["agent_1"])

"""Tag against mpe2, and its prey by hand."""

import numpy as np
import pytest
import torch
from mpe2 import simple_tag_v3
from torch.testing import assert_close

from agentlab_runner.envs.mpe.tag import Tag
from tests.envs.mpe.oracle import placed, put


def directions(actions):
    table = torch.tensor([[0, 0], [-1, 0], [1, 0], [0, -1], [0, 1]], dtype=torch.float64)
    return table[torch.tensor(actions)]


@pytest.mark.parametrize("n", [1, 2, 3, 5])
@pytest.mark.parametrize("speed", [1.0, 0.5])
def test_walks_are_those_of_mpe2(n, speed, monkeypatch):
    rewarded = 0
    for seed in range(4):
        theirs = simple_tag_v3.parallel_env(num_adversaries=n, curriculum=speed < 1)  # whose first stage is half speed
        theirs.reset(seed=seed)
        world = theirs.unwrapped.world
        for agent in world.agents:
            agent.state.p_pos = agent.state.p_pos * 0.3
        ours = Tag(1, n=n, prey_speed=speed)
        ours.reset(torch.tensor([0]), torch.tensor([0]), [None])
        put(ours, world)
        chance = np.random.default_rng(seed)
        for _ in range(25):
            chosen = chance.integers(0, 5, n + 1)
            force = directions(chosen[-1:])[:, :, None] * 4 * speed
            monkeypatch.setattr(ours, "flight", lambda force=force: force)
            names = [agent.name for agent in world.agents]
            seen, rewards, *_ = theirs.step(dict(zip(names, chosen, strict=True)))
            outcome = ours.step(torch.tensor(chosen[None, :-1]))
            expected = torch.tensor(np.stack([seen[f"adversary_{number}"] for number in range(n)]))
            assert_close(ours.view().observations[0], expected, atol=1e-5, rtol=0)
            assert outcome.rewards[0].tolist() == [rewards[f"adversary_{number}"] for number in range(n)]
            rewarded += rewards["adversary_0"] > 0
    assert rewarded or n == 1


def begun(n=1, **keys):
    env = Tag(1, n=n, **keys)
    env.reset(torch.tensor([0]), torch.tensor([0]), [None])
    return env


def test_the_prey_flees_and_comes_back():
    env = begun(2, prey_speed=0.5)
    placed(env, 0, [(5, 5), (6, 6)], [(-0.5, 0.0), (-0.5, 0.0), (0.0, 0.0)])
    assert env.flight()[0, :, 0].tolist() == pytest.approx([2.0, 0.0])
    placed(env, 0, [], [(-0.5, 0.0), (0.5, 0.0), (0.0, 0.0)])
    assert env.flight()[0, :, 0].tolist() == pytest.approx([0.0, 0.0])
    placed(env, 0, [], [(-0.5, 0.0), (0.0, -0.25), (0.0, 0.0)])  # 1 / .5 along x, 1 / .25 along y
    assert env.flight()[0, :, 0].tolist() == pytest.approx([2 / 5**0.5, 4 / 5**0.5])
    placed(env, 0, [], [(-8.0, 0.0), (-8.0, 0.0), (1.5, 0.0)])
    assert env.flight()[0, :, 0].tolist() == pytest.approx([-2.0, 0.0])


def test_the_prey_stays_about():
    env = Tag(64, n=3, horizon=200)
    rows = torch.arange(64)
    env.reset(rows, rows, [None] * 64)
    for step in range(200):
        env.step(torch.full((64, 3), step // 7 % 5))
    assert env.world.at[-1].abs().max() < 2.5


def test_success_and_measures_by_hand():
    env = begun(2, horizon=3)
    placed(env, 0, [(5, 5), (6, 6)], [(0.0, 0.0), (0.1, 0.0), (0.0, 0.05)])
    outcomes = [env.step(torch.zeros(1, 2, dtype=torch.int64)) for _ in range(3)]
    caught = [float(outcome.rewards[0, 0]) > 0 for outcome in outcomes]
    assert outcomes[0].rewards.tolist() == [[20.0, 20.0]]
    assert [bool(outcome.ended) for outcome in outcomes] == [False, False, True]
    assert bool(outcomes[2].success)
    assert float(outcomes[2].measures["caught"]) == pytest.approx(sum(caught) / 3)
    assert float(outcomes[2].measures["collisions"]) >= 1 / 3


def test_an_episode_may_end_with_the_catch_and_shaping_counts_all_predators():
    env = begun(2, terminate_on_success=True, shaped=True)
    placed(env, 0, [(5, 5), (6, 6)], [(-3.0, 0.0), (0.0, 4.0), (0.0, 0.0)])
    outcome = env.step(torch.zeros(1, 2, dtype=torch.int64))
    assert outcome.rewards.tolist() == [[pytest.approx(-0.7), pytest.approx(-0.7)]]
    assert not outcome.ended
    env.reset(torch.tensor([0]), torch.tensor([0]), [None])
    placed(env, 0, [(5, 5), (6, 6)], [(0.0, 0.1), (0.0, 4.0), (0.0, 0.0)])
    outcome = env.step(torch.zeros(1, 2, dtype=torch.int64))
    assert outcome.terminated.tolist() == [[True, True]]
    assert not outcome.truncated.any()
    assert bool(outcome.success)

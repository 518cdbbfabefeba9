"""Spread against mpe2, by hand, and in other rows, batches and mixtures."""

import numpy as np
import pytest
import torch
from mpe2 import simple_spread_v3
from torch.testing import assert_close

from agentlab_runner.envs.mpe.push_ball import PushBall
from agentlab_runner.envs.mpe.spread import Spread
from tests.envs.mpe.oracle import placed, put


def walk(n, seed, crowd=1.0, steps=25, **keys):
    """Play both; gives (observations, rewards, terminated, truncated) of every step, theirs and ours."""
    options = dict(keys)
    continuous = options.pop("actions", "discrete") == "continuous"
    theirs_keys = {"continuous_actions": continuous, "N": n, "max_cycles": options.get("horizon", 25)}
    theirs_keys |= {name: options[name] for name in ("local_ratio", "terminate_on_success") if name in options}
    if "neighbors" in options:
        theirs_keys |= {f"num_{kind}_neighbors": options["neighbors"] for kind in ("agent", "landmark")}
    theirs = simple_spread_v3.parallel_env(**theirs_keys)
    theirs.reset(seed=seed)
    ours = Spread(1, n=n, **keys)
    ours.reset(torch.tensor([0]), torch.tensor([seed]), [None])
    for disc in theirs.unwrapped.world.agents:
        disc.state.p_pos = disc.state.p_pos * crowd
    put(ours, theirs.unwrapped.world)
    chance = np.random.default_rng(seed)
    for _ in range(steps):
        chosen = chance.random((n, 5), np.float32) if continuous else chance.integers(0, 5, n)
        seen, rewards, terminated, truncated, _ = theirs.step({f"agent_{i}": chosen[i] for i in range(n)})
        outcome = ours.step(torch.tensor(chosen)[None])
        yield (
            (seen, rewards, terminated, truncated),
            (ours.view().observations[0], outcome.rewards[0], outcome.terminated[0], outcome.truncated[0]),
        )


def same(theirs, ours, columns=slice(None)):
    names = list(theirs[0])
    assert_close(ours[0][:, columns], torch.tensor(np.stack([theirs[0][name] for name in names])), atol=1e-5, rtol=0)
    assert_close(ours[1].double(), torch.tensor([theirs[1][name] for name in names]).double(), atol=1e-5, rtol=1e-6)
    assert ours[2].tolist() == [theirs[2][name] for name in names]
    assert ours[3].tolist() == [theirs[3][name] for name in names]


@pytest.mark.parametrize("n", range(1, 9))
@pytest.mark.parametrize("crowd", [1.0, 0.25])
def test_walks_are_those_of_mpe2(n, crowd):
    touched = 0
    for seed in range(2):
        for theirs, ours in walk(n, seed, crowd):
            same(theirs, ours)
            others = ours[0][:, 4 + 2 * n : 2 + 4 * n].unflatten(1, (n - 1, 2))
            touched += int((others.norm(dim=2) < 0.3).sum())
    assert touched or n == 1 or crowd == 1.0


@pytest.mark.parametrize(
    "keys",
    [
        {"actions": "continuous"},
        {"local_ratio": 0.1, "horizon": 7},
        {"terminate_on_success": True, "radius": 0.1},
    ],
)
def test_so_are_those_with_other_keys(keys):
    for seed in range(3):
        for theirs, ours in walk(2, seed, steps=keys.get("horizon", 25), **keys):
            same(theirs, ours)
            if ours[2].all():
                return


@pytest.mark.parametrize(("n", "nearest"), [(1, 2), (3, 1), (5, 3), (4, 6)])
def test_neighbours_are_those_of_mpe2(n, nearest):
    for theirs, ours in walk(n, 4, neighbors=nearest):
        same(({name: seen[: 4 + 4 * nearest] for name, seen in theirs[0].items()}, *theirs[1:]), ours,
             slice(0, 4 + 4 * nearest))  # fmt: skip
        there = ours[0][:, 4 + 4 * nearest :]
        assert there.sum(dim=1).tolist() == [min(n, nearest) + min(n - 1, nearest)] * n


def begun(n, marks, movers, kind=Spread, **keys):
    env = kind(1, n=n, **keys)
    env.reset(torch.tensor([0]), torch.tensor([0]), [None])
    placed(env, 0, marks, movers)
    return env


STILL = torch.zeros(1, 2, dtype=torch.int64)


@pytest.mark.parametrize("reward", ["dense", "sparse"])
def test_success_and_measures_by_hand(reward):
    env = begun(2, [(0.0, 0.0), (1.0, 0.0)], [(0.0, 0.25), (1.0, 0.35)], radius=0.3, horizon=2, reward=reward)
    expected = [0.0, 0.0] if reward == "sparse" else [-0.3, -0.3]
    outcome = env.step(STILL)
    assert outcome.rewards[0].tolist() == pytest.approx(expected)
    assert not outcome.ended
    outcome = env.step(STILL)
    assert outcome.truncated.tolist() == [[True, True]]
    assert not outcome.success
    assert float(outcome.measures["coverage"]) == 0.5
    assert float(outcome.measures["collisions"]) == 0.0


def test_sparse_reward_is_for_all_on_every_covered_step_less_collisions():
    env = begun(2, [(0.0, 0.0), (0.1, 0.0)], [(0.0, 0.0), (0.2, 0.0)], radius=0.15, horizon=2, reward="sparse",
                collision_penalty=0.25)  # fmt: skip
    outcome = env.step(STILL)  # contact moves agents from the step after
    assert outcome.rewards[0].tolist() == [0.75, 0.75]
    outcome = env.step(STILL)
    assert float(outcome.measures["collisions"]) >= 0.5
    info = env.reset(torch.tensor([0]), torch.tensor([1]), [None])
    assert info == [{"task": "n2_r0.15", "conditions": {"rewards": "sparse"}}]


def test_the_radius_is_the_tasks():
    env = Spread(2, n=2, radius=0.1, neighbors=1, horizon=1, tasks=[{"n": 2, "radius": 0.4}])
    assert env.tasks == {"n2_r0.4": {"n": 2, "radius": 0.4}}
    env.reset(torch.arange(2), torch.zeros(2, dtype=torch.int64), [None, "n2_r0.4"])
    for row in range(2):
        placed(env, row, [(0.0, 0.0), (1.0, 0.0)], [(0.0, 0.3), (1.0, 0.35)])
    outcome = env.step(STILL.expand(2, 2))
    assert outcome.success.tolist() == [False, True]
    assert outcome.measures["coverage"].tolist() == [0.0, 1.0]
    with pytest.raises(ValueError, match="there is no task 'n9'"):
        env.reset(torch.tensor([0]), torch.tensor([0]), ["n9"])


def test_an_absent_landmark_is_no_landmark():
    env = Spread(1, n=1, radius=0.2, neighbors=3, horizon=1, reward="sparse", tasks=[{"n": 4, "radius": 0.2}])
    env.reset(torch.tensor([0]), torch.tensor([0]), [None])
    placed(env, 0, [(0.5, 0.5)], [(0.5, 0.4)])
    outcome = env.step(torch.zeros(1, 4, dtype=torch.int64))
    assert outcome.rewards.tolist() == [[1.0, 0.0, 0.0, 0.0]]
    assert outcome.measures["coverage"].tolist() == [1.0]


def test_rows_end_each_at_its_own_time():
    env = Spread(3, n=2, horizon=5)
    env.reset(torch.arange(3), torch.arange(3), [None] * 3)
    ended = []
    for step in range(12):
        outcome = env.step(STILL.expand(3, 2))
        if step == 1:
            env.reset(torch.tensor([1]), torch.tensor([7]), [None])
        over = outcome.ended.nonzero().flatten()
        ended.append(over.tolist())
        if len(over):
            env.reset(over, over, [None] * len(over))
    assert ended == [[], [], [], [], [0, 2], [], [1], [], [], [0, 2], [], [1]]


def test_balls_cover_landmarks_and_are_pushed():
    covered = begun(1, [(0.5, 0.0)], [(-0.5, 0.0), (0.45, 0.0)], PushBall, radius=0.1, horizon=1, reward="sparse")
    outcome = covered.step(STILL[:, :1])
    assert outcome.rewards.tolist() == [[4.0]]
    assert bool(outcome.success)
    env = begun(1, [(0.9, 0.0)], [(-0.4, 0.0), (0.0, 0.0)], PushBall, radius=0.3, horizon=60)
    rewards = [float(env.step(torch.tensor([[2]])).rewards) for _ in range(12)]
    assert rewards[-1] > rewards[0] == pytest.approx(-0.45)
    assert float(env.world.at[1, 0, 0]) > 0.05
    assert float(env.world.at[1, 1, 0]) == 0.0


def test_a_ball_of_mass_two_is_pushed_half_as_much():
    env = begun(1, [(5.0, 0.0)], [(0.0, 0.0), (0.2, 0.0)], PushBall)
    env.step(STILL[:, :1])
    agent, ball = env.world.velocity[:, 0, 0].tolist()
    assert agent == pytest.approx(-100 * 0.1 * 0.1)  # 100 x depth x dt
    assert ball == pytest.approx(-agent / 2)

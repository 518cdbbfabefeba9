"""What all particle environments keep to: rows, batches and mixtures change nothing, and nobody sees too much."""

import numpy as np
import pytest
import torch

from agentlab_runner.envs.mpe.push_ball import PushBall
from agentlab_runner.envs.mpe.spread import Spread
from agentlab_runner.envs.mpe.tag import Tag
from tests.envs.mpe.oracle import placed

KINDS = [Spread, PushBall, Tag]
HARDER = {Spread: {"n": 6, "radius": 0.2}, PushBall: {"n": 6, "radius": 0.2}, Tag: {"n": 6, "prey_speed": 0.5}}


def play(env, rows, seeds, tasks=None, steps=25):
    """Observations, states and rewards of these rows, [steps + 1 or steps, rows, ...]; actions depend on the seed."""
    rows, seeds = torch.tensor(rows), torch.tensor(seeds)
    env.reset(rows, seeds, tasks or [None] * len(rows))
    chance = [np.random.default_rng(seed) for seed in seeds.tolist()]
    views, rewards = [env.view()], []
    for _ in range(steps):
        actions = torch.zeros(len(env.steps), env.spec.agents, dtype=torch.int64)
        for row, own in zip(rows.tolist(), chance, strict=True):
            actions[row] = torch.tensor(own.integers(0, 5, 16))[: env.spec.agents]
        rewards.append(env.step(actions).rewards[rows])
        views.append(env.view())
    return (
        torch.stack([view.observations[rows] for view in views]),
        torch.stack([view.state[rows] for view in views]),
        torch.stack(rewards),
    )


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_an_episode_is_the_same_in_any_row_and_batch(kind, dtype):
    keys = {"n": 8, "neighbors": 2, "dtype": dtype}
    whole = play(kind(21, **keys), range(21), range(21))
    assert not torch.equal(whole[0][:, 0], whole[0][:, 1])
    for count in (1, 3, 8):
        rows, seeds = list(range(count))[::-1], list(range(5, 5 + count))
        for part, all_of_it in zip(play(kind(count, **keys), rows, seeds), whole, strict=True):
            assert torch.equal(part, all_of_it[:, seeds])


@pytest.mark.parametrize("kind", KINDS)
def test_larger_teams_beside_change_nothing(kind):
    seeds = [0, 7, 8]
    alone = play(kind(3, n=4, neighbors=2), range(3), seeds)
    mixed = kind(5, n=4, neighbors=2, tasks=[HARDER[kind]])
    (name,) = mixed.tasks
    mixed.reset(torch.tensor([1, 3]), torch.tensor([5, 6]), [name, name])
    beside = play(mixed, [4, 0, 2], seeds)
    assert mixed.spec.agents == 6
    assert torch.equal(beside[0][:, :, :4], alone[0])
    assert torch.equal(beside[2][:, :, :4], alone[2])
    assert not beside[0][:, :, 4:].any()
    assert not beside[2][:, :, 4:].any()
    assert mixed.view().present.sum(dim=1).tolist() == [4, 6, 4, 6, 4]
    state = mixed.view().state.unflatten(1, (-1, 2))
    gone = {Spread: [4, 10, 16], PushBall: [4, 10, 16, 22, 28], Tag: [6, 13]}[kind]  # positions and velocities
    assert not any(state[0, first : first + 2].any() for first in gone)
    assert all(state[1, first : first + 2].any() for first in gone if first < 12)
    assert state[:2, -1, 0].tolist() == [4.0, 6.0]
    assert state[:2, -1, 1].tolist() == pytest.approx(mixed.level[:2].tolist())


@pytest.mark.parametrize("kind", KINDS)
def test_what_absent_agents_choose_is_nobodys(kind):
    mixed = kind(2, n=2, neighbors=2, actions="continuous", tasks=[HARDER[kind]])
    mixed.reset(torch.arange(2), torch.arange(2), [None, None])
    actions = torch.rand(2, 6, 5)
    actions[:, 2:] = float("nan")
    for _ in range(3):
        assert mixed.step(actions).rewards.isfinite().all()
    assert mixed.view().state.isfinite().all()


@pytest.mark.parametrize("kind", KINDS)
def test_seed_zero_is_a_seed_like_any_other(kind):
    env = kind(300)
    env.reset(torch.arange(300), torch.arange(300), [None] * 300)
    state = env.view().state
    assert len({tuple(row) for row in state.tolist()}) == 300
    at = env.world.at
    assert at.abs().max() <= 1
    assert at.mean().abs() < 0.05
    assert at[:, :, 0].std() > 0.2
    again = kind(1)
    again.reset(torch.tensor([0]), torch.tensor([0]), [None])
    assert torch.equal(again.view().state[0], state[0])


@pytest.mark.parametrize("kind", KINDS)
def test_agents_on_one_spot_stay_finite(kind):
    env = kind(1, n=3)
    env.reset(torch.tensor([0]), torch.tensor([3]), [None])
    placed(env, 0, [], [(0.1, 0.2)] * env.world.movers)
    for _ in range(5):
        assert env.step(torch.tensor([[0, 0, 1]])).rewards.isfinite().all()
        assert env.view().observations.isfinite().all()


def test_shown_tensors_are_never_written_to():
    env = Spread(4, n=2, neighbors=1, tasks=[{"n": 3, "radius": 0.4}])
    rows = torch.arange(4)
    env.reset(rows, rows, [None] * 4)
    before = env.view()
    kept = [before.observations.clone(), before.state.clone(), before.present.clone()]
    outcome = env.step(torch.ones(4, 3, dtype=torch.int64))
    rewards = outcome.rewards.clone()
    env.step(torch.ones(4, 3, dtype=torch.int64))
    env.reset(rows, rows + 9, ["n3_r0.4"] * 4)
    env.view()
    assert all(map(torch.equal, kept, [before.observations, before.state, before.present]))
    assert torch.equal(rewards, outcome.rewards)


@pytest.mark.parametrize("kind", [Spread, PushBall])
def test_nobody_sees_beyond_the_nearest(kind):
    env = kind(1, n=4, neighbors=1, radius=0.2)
    env.reset(torch.tensor([0]), torch.tensor([0]), [None])
    balls = [(0.0, 0.4), (3.0, 3.0), (4.0, 4.0), (5.0, 5.0)] if kind is PushBall else []
    marks = [(0.5, 0.0), (3.0, 0.0), (0.0, 3.0), (-3.0, 0.0)]
    placed(env, 0, marks, [(0.0, 0.0), (0.0, 1.0), (0.0, -2.0), (2.0, 2.0), *balls])
    first = env.view().observations[0, 0].tolist()
    near = [0.5, 0.0, 0.0, 1.0, *([0.0, 0.4] if balls else [])]
    assert first == pytest.approx([0, 0, 0, 0, *near, *[1] * (len(near) // 2)])
    moved = [balls[0], *((x + 1, y - 2) for x, y in balls[1:])] if balls else []
    placed(env, 0, [marks[0], (4.0, 1.0), (1.0, 4.0), (-5.0, 1.0)], [(0, 0), (0, 1), (1, -2.5), (3, 2.5), *moved])
    assert env.view().observations[0, 0].tolist() == first
    other = kind(1, n=4, neighbors=1, radius=0.9)  # and the radius, the size of the team and the step are not told
    other.reset(torch.tensor([0]), torch.tensor([0]), [None])
    placed(other, 0, marks, [(0.0, 0.0), (0.0, 1.0), (0.0, -2.0), (2.0, 2.0), *balls])
    assert other.view().observations[0, 0].tolist() == first


def test_float32_drifts_but_little():
    double = Spread(128, n=5)
    single = Spread(128, n=5, dtype="float32")
    for one, other in zip(play(double, range(128), range(128)), play(single, range(128), range(128)), strict=True):
        apart = (one - other).abs()
        assert apart.max() < 2e-2 if one.shape[-1] > 5 else True
        assert apart.median() < 1e-6


@pytest.mark.parametrize("kind", KINDS)
def test_pictures_show_who_is_there(kind):
    env = kind(2, n=2, neighbors=2, tasks=[HARDER[kind]])
    (name,) = env.tasks
    env.reset(torch.arange(2), torch.arange(2), [None, name])
    view = env.view()
    few, many = (env.picture(view.state[row], view.present[row], {}) for row in (0, 1))
    assert few.shape == many.shape == (200, 200, 3)
    assert few.dtype == np.uint8
    plain = env.picture(view.state[1], view.present[1], {})
    assert np.array_equal(plain, many)
    skilled = env.picture(view.state[1], view.present[1], {"skill": torch.zeros(6)})
    heeding = env.picture(view.state[1], view.present[1], {"attention": torch.full((6, 6), 0.9)})
    assert len({picture.tobytes() for picture in (few, many, skilled, heeding)}) == 4
    assert len(np.unique(many.reshape(-1, 3), axis=0)) > len(np.unique(skilled.reshape(-1, 3), axis=0))


def test_an_agent_is_drawn_where_it_is():
    env = Spread(1, n=1, radius=0.3)
    env.reset(torch.tensor([0]), torch.tensor([0]), [None])
    placed(env, 0, [(-0.6, -0.6)], [(0.6, 0.6)])
    view = env.view()
    picture = env.picture(view.state[0], view.present[0], {})
    assert picture[50, 150].tolist() != [255, 255, 255]
    assert picture[150, 50].tolist() == [60, 60, 60]
    ring = picture[150, :].tolist().index([190, 190, 190])
    assert ring == pytest.approx(50 - 0.3 / 2.4 * 200, abs=1.5)
    assert picture[20, 20].tolist() == [255, 255, 255]

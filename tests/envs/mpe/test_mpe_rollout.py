"""Particle environments played as training plays them."""

from types import SimpleNamespace

import pytest
import torch

from agentlab_runner.envs.mpe.push_ball import PushBall
from agentlab_runner.envs.mpe.spread import Spread
from agentlab_runner.envs.mpe.tag import Tag
from agentlab_runner.runners.online.batched_rollout import play
from agentlab_runner.runners.online.rollout import starts_of
from agentlab_runner.runners.teams import TeamChoice

TASKS = {
    Spread: [{"n": 1, "radius": 0.5}, {"n": 4, "radius": 0.3}],
    PushBall: [{"n": 1, "radius": 0.5}, {"n": 4, "radius": 0.3}],
    Tag: [{"n": 1, "prey_speed": 0.5}, {"n": 4, "prey_speed": 0.75}],
}


def by_chance(view, memory, deterministic):
    return TeamChoice((view.uniform(1)[:, :, 0] * 5).long())


@pytest.mark.parametrize("kind", TASKS)
def test_episodes_of_mixed_tasks_are_the_same_however_many_rows_play_them(kind):
    seeds, found = list(range(9)), []
    for rows in (2, 7):
        env = kind(rows, n=2, neighbors=2, horizon=6, terminate_on_success=True, tasks=TASKS[kind])
        tasks = [list(env.tasks)[seed % 2] for seed in seeds]
        agent = SimpleNamespace(decide=by_chance)
        found.append(play(agent, env, starts_of(seeds, tasks, 1), "cpu", False))
    few, many = found
    assert [episode.task for episode in few.episodes] == tasks
    assert few.episodes == many.episodes
    assert [episode.team for episode in few.episodes] == [1, 4, 1, 4, 1, 4, 1, 4, 1]
    for name in ("observations", "rewards", "terminated", "truncated", "state"):
        assert torch.equal(getattr(few, name), getattr(many, name))
    assert {"collisions"} < set(few.episodes[0].measures)

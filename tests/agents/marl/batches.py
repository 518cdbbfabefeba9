"""Batches of teams to learn from, made by hand or played on the walkers."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from agentlab_runner.envs.batched import Spec
from agentlab_runner.runners.online.batched_rollout import play
from agentlab_runner.runners.online.rollout import starts_of
from agentlab_runner.runners.processes.trainer import Trainer
from agentlab_runner.runners.team_batch import TeamBatch, TeamEpisode
from agentlab_runner.runners.teams import TeamView
from agentlab_runner.runners.types import StopReason
from tests.runners.walkers import Walkers

WALKERS = Walkers().spec


def batch_of(
    rewards: Sequence[Any],
    *,
    present: Sequence[Any] | None = None,
    terminated: Sequence[Any] | None = None,
    truncated: Sequence[Any] | None = None,
    final_present: Any = None,
    tasks: Sequence[str] | None = None,
) -> TeamBatch:
    """Episodes of these rewards, [T, N] each; everyone present and nothing ended unless said."""

    def stacked(given: Sequence[Any] | None, default: bool) -> Tensor:
        if given is None:
            return torch.full_like(reward, default, dtype=torch.bool)
        return torch.cat([torch.as_tensor(one, dtype=torch.bool) for one in given])

    lengths = torch.tensor([len(one) for one in rewards])
    reward = torch.cat([torch.as_tensor(one, dtype=torch.float32) for one in rewards])
    steps, team = reward.shape
    episodes = len(rewards)
    here = torch.ones(episodes, team, dtype=torch.bool) if final_present is None else torch.as_tensor(final_present)
    names = tasks or [""] * episodes
    blank = torch.zeros(episodes, dtype=torch.int64)
    return TeamBatch(
        observations=torch.randn(steps, team, 2, generator=torch.Generator().manual_seed(0)),
        present=stacked(present, True),
        legal=None,
        state=torch.zeros(steps, 4),
        actions=torch.zeros(steps, team, dtype=torch.int64),
        extras={"log_prob": torch.full((steps, team), -0.7)},
        rewards=reward,
        terminated=stacked(terminated, False),
        truncated=stacked(truncated, False),
        final=TeamView(torch.zeros(episodes, team, 2), here, None, torch.zeros(episodes, 4), blank, blank),
        lengths=lengths,
        episodes=tuple(TeamEpisode((), {}, StopReason.HORIZON, False, 0, name) for name in names),
    )


def played(agent: Any, episodes: int = 12, tasks: Sequence[str] | None = None, seed: int = 0) -> TeamBatch:
    """Of the walkers, whose agents die one after the other."""
    seeds = range(seed, seed + episodes)
    chosen = [tasks[number % len(tasks)] for number in range(episodes)] if tasks else None
    return play(agent, Walkers(num_envs=16, n=3), starts_of(seeds, chosen, 1), "cpu", False)


def set_up(made: Any) -> tuple[Any, Trainer]:
    """An agent and its trainer."""
    trainer = Trainer()
    made.setup(trainer)
    return made, trainer


def continuous(team: int = 3) -> Spec:
    return Spec(agents=team, observation=2, actions=2, state=4, continuous=True)

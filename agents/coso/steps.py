"""The replay's steps as tensors: what the critics and the advantage are computed from."""

from dataclasses import dataclass

import torch
from torch import Tensor

from agentlab_runner.agents.coso.critics import stacked
from agentlab_runner.agents.rl.replay import TrajectoryReplay
from agentlab_runner.agents.rl.returns import monte_carlo_returns


@dataclass(frozen=True, slots=True)
class StepTable:
    """N steps of E episodes, in the replay's order."""

    states: Tensor
    """[N, Dt + 2 Di]."""
    next_states: Tensor
    reward: Tensor
    """[N]."""
    mc_return: Tensor
    final_reward: Tensor
    """[N], of the episode's last step."""
    remaining: Tensor
    """[N] int64, steps after this one."""
    episode: Tensor
    """[N] int64, number of the episode."""
    instruction: Tensor
    """[E, Dt], text feature of the first observation."""
    final_return: Tensor
    """[E], Monte-Carlo return of the last step."""
    sizes: tuple[int, int]
    """Dt and Di."""


def step_table(replay: TrajectoryReplay, gamma: float, device: torch.device) -> StepTable:
    """Read the table off a replay whose episodes carry `text` [T + 1, Dt] and `image` [T + 1, Di]."""
    here, there, rewards, returns, finals, remaining, episode = [], [], [], [], [], [], []
    for number, (trajectory, features) in enumerate(replay.episodes):
        states, next_states = stacked(features["text"], features["image"])
        own = [step.reward for step in trajectory.steps]
        here.append(states)
        there.append(next_states)
        rewards.append(torch.tensor(own, dtype=torch.float32))
        returns.append(monte_carlo_returns(own, gamma))
        finals.append(torch.full((len(own),), float(own[-1])))
        remaining.append(torch.arange(len(own) - 1, -1, -1))
        episode.append(torch.full((len(own),), number))
    first = replay.episodes[0][1]
    return StepTable(
        states=torch.cat(here).to(device),
        next_states=torch.cat(there).to(device),
        reward=torch.cat(rewards).to(device),
        mc_return=torch.cat(returns).to(device),
        final_reward=torch.cat(finals).to(device),
        remaining=torch.cat(remaining).to(device),
        episode=torch.cat(episode).to(device),
        instruction=torch.stack([features["text"][0] for _, features in replay.episodes]).to(device),
        final_return=torch.stack([own[-1] for own in returns]).to(device),
        sizes=(first["text"].shape[1], first["image"].shape[1]),
    )

"""Advantages relative to a group of episodes that began in the same state: GRPO and GiGPO, which need no critic."""

from collections.abc import Hashable, Sequence
from typing import TypeVar

import torch
from torch import Tensor

from agentlab_runner.agents.rl.returns import monte_carlo_returns

Key = TypeVar("Key", bound=Hashable)


def relative_to_group(scores: Tensor, groups: Sequence[Key], divide_by_std: bool = True) -> Tensor:
    """(score - mean of its group) / standard deviation of its group.

    Args:
        scores: [N] float.
        groups: N keys; equal keys make a group.
        divide_by_std: False leaves the difference as it is (GiGPO's F_norm = 1, Dr. GRPO).

    Returns:
        [N]; 0 in a group of one or of equal scores, since there is nothing to compare.
    """
    members: dict[Key, list[int]] = {}
    for row, key in enumerate(groups):
        members.setdefault(key, []).append(row)
    result = torch.zeros_like(scores)
    for rows in members.values():
        own = scores[rows]
        if len(rows) > 1 and own.max() > own.min():
            centred = own - own.mean()
            result[rows] = centred / (own.std() + 1e-6) if divide_by_std else centred
    return result


def grpo(rewards: Sequence[Sequence[float]], groups: Sequence[Key], divide_by_std: bool = True) -> list[Tensor]:
    """A_t = (R - mean R of the group) / std, R the episode's summed reward, for all its steps (arXiv 2402.03300).

    Args:
        rewards: of each episode's steps.
        groups: a key an episode; equal keys began in the same state.

    Returns:
        [T] for each episode.
    """
    totals = relative_to_group(torch.tensor([float(sum(own)) for own in rewards]), groups, divide_by_std)
    return [total.repeat(len(own)) for total, own in zip(totals, rewards, strict=True)]


def gigpo(
    rewards: Sequence[Sequence[float]],
    groups: Sequence[Key],
    anchors: Sequence[Sequence[Hashable]],
    gamma: float,
    step_coef: float = 1.0,
    divide_by_std: bool = True,
) -> list[Tensor]:
    """A_t = A^E + omega A^S_t: GRPO's advantage, and one among the steps taken from equal states (arXiv 2505.10978).

    A^S_t = (R_t - mean) / std over the steps of the group's episodes whose anchor state is that of step t, where
    R_t = sum_(k>=t) gamma^(k-t) r_k.

    Args:
        rewards, groups: as in `grpo`.
        anchors: of each episode's steps, a key of the state they were taken in.
        step_coef: omega.

    Returns:
        [T] for each episode.
    """
    lengths = [len(own) for own in rewards]
    returns = torch.cat([monte_carlo_returns(own, gamma) for own in rewards])
    places = [(group, state) for group, own in zip(groups, anchors, strict=True) for state in own]
    steps = torch.split(relative_to_group(returns, places, divide_by_std), lengths)
    episodes = grpo(rewards, groups, divide_by_std)
    return [episode + step_coef * step for episode, step in zip(episodes, steps, strict=True)]

"""Advantages of teams, every agent its own, all episodes and agents at once."""

import torch
from torch import Tensor

from agentlab_runner.runners.team_batch import TeamBatch


def team_gae(
    batch: TeamBatch, values: Tensor, final_values: Tensor, gamma: float, gae_lambda: float
) -> tuple[Tensor, Tensor]:
    """Generalised advantages (arXiv 1506.02438, eq. 16) of each agent, and the returns that its critic is to predict.

    R_t = r_t + gamma ((1 - lambda) V_(t+1) + lambda R_(t+1)),  A_t = R_t - V_t

    Nothing follows where an agent is terminated. What follows an episode's last step is the value of its final view;
    where an agent is cut short before, R_t ends in V_(t+1). While an agent is absent V_t *is* R_t, so that what the
    team earns after its death passes through to what it did before; of one that is absent in the final view nothing
    is expected beyond it.

    Args:
        values: [S, N], of the agents that are present.
        final_values: [E, N], of the final views.

    Returns:
        Advantages and returns, [S, N] each, both 0 for agents that are absent.
    """
    inside, lengths = batch.inside(), batch.lengths[:, None]
    present, rewards, own = batch.padded(batch.present), batch.padded(batch.rewards), batch.padded(values)
    terminated, truncated = batch.padded(batch.terminated), batch.padded(batch.truncated)
    final = final_values.masked_fill(~batch.final.present, 0.0)
    returns = torch.zeros_like(own)  # [E, T, N]
    value, ahead = final, final
    for t in reversed(range(own.shape[1])):
        last = lengths == t + 1
        value, ahead = torch.where(last, final, value), torch.where(last, final, ahead)
        mixed = torch.where(truncated[:, t], value, value + gae_lambda * (ahead - value))
        ahead = rewards[:, t] + gamma * mixed.masked_fill(terminated[:, t], 0.0)
        value = torch.where(present[:, t], own[:, t], ahead)
        returns[:, t] = ahead
    found = returns[inside] * batch.present
    return found - values * batch.present, found


def standardised(advantages: Tensor, counted: Tensor, groups: Tensor | None = None) -> Tensor:
    """Mean 0 and standard deviation 1 over what is counted, in each group by itself; 0 elsewhere.

    Args:
        advantages: [S, N].
        counted: [S, N] bool.
        groups: [S] int64 from 0; None: one group.

    Returns:
        [S, N]; a group of one, or of equal ones, gives 0.
    """
    owner = torch.zeros_like(counted[:, 0], dtype=torch.int64) if groups is None else groups
    number = int(owner.max()) + 1 if len(owner) else 0
    weights = counted.to(advantages.dtype)

    def mean(values: Tensor) -> Tensor:
        """[S, 1], of each row's group."""
        both = torch.stack([(values * weights).sum(dim=1), weights.sum(dim=1)])
        sums = values.new_zeros(2, number).index_add_(1, owner, both)
        return (sums[0] / sums[1].clamp(min=1.0))[owner][:, None]

    centred = advantages - mean(advantages)
    return centred / (mean(centred.square()).sqrt() + 1e-5) * weights

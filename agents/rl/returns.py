"""Returns of an episode."""

from collections.abc import Sequence

import torch
from torch import Tensor


def monte_carlo_returns(rewards: Sequence[float], gamma: float) -> Tensor:
    """R_t = sum_{k >= t} gamma^(k - t) r_k of one episode: T numbers -> [T] float32."""
    returns: list[float] = []
    ahead = 0.0
    for reward in reversed(rewards):
        ahead = reward + gamma * ahead
        returns.append(ahead)
    return torch.tensor(returns[::-1], dtype=torch.float32)

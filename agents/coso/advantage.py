"""DigiRL (arXiv 2406.11896): which episodes and which of their steps the actor learns from."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


def released_advantage(
    value: Tensor, next_value: Tensor, reward: Tensor, mc_return: Tensor, threshold: float
) -> Tensor:
    """A = V(s') - V(s) - threshold + r + R, clamped to [0, 1], with V = min(V1, V2)   (DigiRL, released code).

    All tensors [N] float; V is a probability of success, R the discounted return from the step on. Returns [N].
    """
    return (next_value - value - threshold + reward + mc_return).clamp(0.0, 1.0)


def doubly_robust_advantage(
    value: Tensor, next_value: Tensor, reward: Tensor, final_reward: Tensor, remaining: Tensor, lam: float
) -> Tensor:
    """A = lam^(H-h) r(s_H, a_H) + (1 - lam^(H-h)) (V(s') + r - V(s))   (DigiRL, section 4.3).

    Args:
        value, next_value, reward: [N] float.
        final_reward: [N] float, the reward of the episode's last step.
        remaining: [N] int64, H - h, the number of steps after this one.
        lam: lambda in [0, 1], the trust in the outcome over the critic.

    Returns:
        [N] float.
    """
    trust = lam ** remaining.to(value.dtype)
    return trust * final_reward + (1.0 - trust) * (next_value + reward - value)


def hard_indicator(advantage: Tensor, threshold: float = 0.0) -> Tensor:
    """1[A > threshold] as float [N]: a hard filter in place of advantage weighting; the paper's threshold is 1/H."""
    return (advantage > threshold).to(torch.float32)


def instruction_filter(
    rewards: NDArray[np.float64], values: NDArray[np.float64] | None, quantile: float
) -> NDArray[np.bool_]:
    """Automatic curriculum: keep the episodes that went best beyond what their instruction promised.

    A = R - clamp(V, 1e-4, 1 - 1e-4), kept where A >= the `quantile` of all A (linear interpolation).

    Args:
        rewards: [N] total reward of each episode.
        values: [N] the instruction critic's probability of success; None ranks by the reward itself (offline phase,
            filtered behaviour cloning), where every tie with the cut-off is kept.
        quantile: in [0, 1); 0.9 keeps about a tenth.

    Returns:
        [N] bool.
    """
    advantage = rewards if values is None else rewards - np.clip(values, 1e-4, 1.0 - 1e-4)
    return np.asarray(advantage >= np.quantile(advantage, quantile))

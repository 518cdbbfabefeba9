"""Proximal policy optimisation (arXiv 1707.06347) in pure functions: advantages, clipped losses, diagnostics."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

RATIO_GUARD = 10.0
"""Beyond it only the clipped surrogate is used (RL4VLM, after TRL): one row may not carry a whole step away."""


def gae(
    rewards: Sequence[float],
    values: Sequence[float],
    gamma: float | Sequence[float],
    gae_lambda: float,
    bootstrap: float = 0.0,
) -> Tensor:
    """Generalised advantages of one episode (arXiv 1506.02438, eq. 16).

    A_t = delta_t + gamma_t lambda A_(t+1),  delta_t = r_t + gamma_t V(s_(t+1)) - V(s_t)

    Args:
        rewards, values: of its T steps.
        gamma: of every step, or T of them, each step's own (gamma^k for an action of k primitive steps).
        bootstrap: V of what comes after the last step; 0 if nothing does.

    Returns:
        [T] float32; the returns that V is to predict are A + V.
    """
    advantages = torch.zeros(len(rewards))
    discounts = [gamma] * len(rewards) if isinstance(gamma, int | float) else gamma
    following, running = bootstrap, 0.0
    for t in reversed(range(len(rewards))):
        running = rewards[t] + discounts[t] * (following + gae_lambda * running) - values[t]
        advantages[t], following = running, values[t]
    return advantages


def normalised(advantages: Tensor) -> Tensor:
    """[N] with mean 0 and standard deviation 1 over the rollout; a single one, or equal ones, give 0."""
    centred = advantages - advantages.mean()
    return centred / (advantages.std() + 1e-5) if len(advantages) > 1 else centred


def policy_loss(log_prob: Tensor, old_log_prob: Tensor, advantage: Tensor, clip_coef: float) -> Tensor:
    """-min(rho A, clip(rho, 1 - c, 1 + c) A) with rho = pi / pi_old, a row each: [N]; gradient flows into `log_prob`.

    A row with rho > 10 uses the clipped surrogate alone.
    """
    ratio = (log_prob - old_log_prob).exp()
    clipped = ratio.clamp(1.0 - clip_coef, 1.0 + clip_coef) * advantage
    return -torch.where(ratio > RATIO_GUARD, clipped, torch.minimum(ratio * advantage, clipped))


def value_loss(value: Tensor, old_value: Tensor, target: Tensor, clip_coef: float | None) -> Tensor:
    """0.5 max((V - R)^2, (V_old + clip(V - V_old, -c, c) - R)^2), a row each: [N]; without c the first square alone.

    c is in units of the return: at 0.1, V learns of a return of 10 over a hundred iterations.
    """
    if clip_coef is None:
        return 0.5 * (value - target) ** 2
    clipped = old_value + (value - old_value).clamp(-clip_coef, clip_coef)
    return 0.5 * torch.maximum((value - target) ** 2, (clipped - target) ** 2)


def approx_kl(log_prob: Tensor, old_log_prob: Tensor) -> Tensor:
    """(rho - 1) - log rho, a row each: [N]; its mean estimates KL(pi_old || pi) without bias, and never below 0."""
    log_ratio = log_prob - old_log_prob
    return log_ratio.expm1() - log_ratio


def explained_variance(values: Tensor, targets: Tensor) -> float:
    """1 - Var(R - V) / Var(R): 1 is a perfect critic, 0 one that predicts the mean; 0 where all targets are equal."""
    spread = targets.var(correction=0)
    return float(1.0 - (targets - values).var(correction=0) / spread) if spread > 0 else 0.0


class ValueHead(nn.Module):
    """V(s) from the policy's hidden state: layers of `widths` with ReLU between them, then one number.

    The last layer begins at 0, so that an untrained head predicts 0 and pulls at the policy no more than its error.
    """

    def __init__(self, size: int, widths: Sequence[int]) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for width in widths:
            layers += [nn.Linear(size, width), nn.ReLU()]
            size = width
        last = nn.Linear(size, 1)
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)
        self.layers = nn.Sequential(*layers, last)

    def forward(self, states: Tensor) -> Tensor:
        """states [N, D] -> [N]."""
        values: Tensor = self.layers(states).squeeze(-1)
        return values

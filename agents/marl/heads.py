"""What a policy says of actions: a masked categorical or a diagonal Gaussian, for every agent of many teams."""

from typing import Protocol

import torch
from torch import Tensor

NEVER = -1e9
"""Score of what may not be chosen; finite, so that a row without any choice stays so."""


class Head(Protocol):
    """A distribution over the actions of [B, N] agents."""

    def sample(self, chance: Tensor) -> Tensor:
        """Actions by `chance`, [B, N, A] in (0, 1)."""

    def mode(self) -> Tensor: ...

    def log_prob(self, actions: Tensor) -> Tensor:
        """[B, N]."""

    def entropy(self) -> Tensor:
        """[B, N], nats."""

    def kl(self, new: "Head") -> Tensor:
        """[B, N], KL(self || new); `new` is of the same kind."""


class Discrete:
    """One of A actions.

    Args:
        scores: [B, N, A], unnormalised logarithms.
        legal: [B, N, A] bool; None: every action is. Where none is, all are.
    """

    def __init__(self, scores: Tensor, legal: Tensor | None) -> None:
        masked = scores if legal is None else scores.masked_fill(~legal, NEVER)
        self.log_p = masked.float().log_softmax(dim=-1)

    def sample(self, chance: Tensor) -> Tensor:
        """By the Gumbel-max trick."""
        return (self.log_p - (-chance.log()).log()).argmax(dim=-1)

    def mode(self) -> Tensor:
        return self.log_p.argmax(dim=-1)

    def log_prob(self, actions: Tensor) -> Tensor:
        return self.log_p.gather(-1, actions[..., None])[..., 0]

    def entropy(self) -> Tensor:
        return -(self.log_p.exp() * self.log_p).sum(dim=-1)

    def kl(self, new: Head) -> Tensor:
        assert isinstance(new, Discrete)
        return (self.log_p.exp() * (self.log_p - new.log_p)).sum(dim=-1)


class Gaussian:
    """A numbers, each normal by itself.

    Args:
        mean: [B, N, A].
        log_std: [A].
    """

    def __init__(self, mean: Tensor, log_std: Tensor) -> None:
        self.mean, self.log_std = mean.float(), log_std.float().expand_as(mean)

    def sample(self, chance: Tensor) -> Tensor:
        """By the inverse of the normal distribution function."""
        return self.mean + self.log_std.exp() * 2**0.5 * torch.erfinv(2 * chance - 1)

    def mode(self) -> Tensor:
        return self.mean

    def log_prob(self, actions: Tensor) -> Tensor:
        off = (actions - self.mean) * (-self.log_std).exp()
        return -(0.5 * off.square() + self.log_std + 0.5 * LOG_2PI).sum(dim=-1)

    def entropy(self) -> Tensor:
        return (self.log_std + 0.5 * (1 + LOG_2PI)).sum(dim=-1)

    def kl(self, new: Head) -> Tensor:
        assert isinstance(new, Gaussian)
        ratio = (2 * (self.log_std - new.log_std)).exp()
        off = (self.mean - new.mean).square() * (-2 * new.log_std).exp()
        return (0.5 * (ratio + off - 1) + new.log_std - self.log_std).sum(dim=-1)


LOG_2PI = 1.8378770664093453

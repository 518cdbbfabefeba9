"""Entropy of utterances with every token's share scaled by its causal weight, and the controls of a fair comparison."""

from typing import Literal

import numpy as np
import torch
from torch import Tensor

EntropyNorm = Literal["row", "released_outer", "sum"]


def token_entropy(logits: Tensor) -> Tensor:
    """H(y_i | y_<i) = -sum_v pi(v) log pi(v) over the whole vocabulary, differentiable: [B, T, V] -> [B, T], nats."""
    log_probs = logits.log_softmax(dim=-1)
    return -(log_probs.exp() * log_probs).sum(dim=-1)


def weighted_entropy(entropy: Tensor, weights: Tensor, mask: Tensor, norm: EntropyNorm = "row") -> Tensor:
    """H_B(y|s) = sum_i B_i H(y_i | y_<i)   (CoSo, section 4: chain rule with causal weights).

    Args:
        entropy: [B, T] float, nats, from `token_entropy`.
        weights: [B, T] float, the B_i; no gradient flows into them.
        mask: [B, T] bool, True on generated tokens.
        norm: `sum` is the paper's equation; `row` divides by the row's number of tokens, as the release intends;
            `released_outer` is what the release computes, where the division broadcasts to a B x B matrix: every row's
            sum is divided by each row's length and averaged, so that the mean is mean_b(S_b) * mean_b(1 / n_b).

    Returns:
        [B] float, whose mean enters the loss.

    Raises:
        ValueError: if a row has no generated token.
    """
    lengths = mask.sum(dim=1)
    if (lengths == 0).any():
        raise ValueError(f"rows {torch.nonzero(lengths == 0).flatten().tolist()} have no generated token")
    total = (weights.detach() * entropy).masked_fill(~mask, 0.0).sum(dim=1)
    if norm == "sum":
        return total
    if norm == "released_outer":
        return total * (1.0 / lengths).mean()
    return total / lengths


def mass_matched(weights: Tensor, target: Tensor, mask: Tensor) -> Tensor:
    """`weights` scaled row by row to the total of `target` [B, T], so that two shapes of B bring equally large bonuses.

    With `weights` of ones this is the mass-matched uniform control: alpha scaled by the row's mean B. A row of
    `weights` without mass stays 0.
    """
    have = (weights * mask).sum(dim=1, keepdim=True)
    want = (target * mask).sum(dim=1, keepdim=True)
    return torch.where(have > 0, weights * want / have.clamp(min=1e-12), torch.zeros_like(weights)) * mask


def permuted(weights: Tensor, mask: Tensor, rng: np.random.Generator) -> Tensor:
    """The row's own weights in random order over its own tokens: [B, T]. Same mass and histogram, no causality."""
    result = torch.zeros_like(weights)
    for row, tokens in enumerate(mask):
        positions = torch.nonzero(tokens).flatten()
        result[row, positions] = weights[row, positions[torch.from_numpy(rng.permutation(len(positions)))]]
    return result


def random_weights(mask: Tensor, rng: np.random.Generator) -> Tensor:
    """Independent uniform weights in [0, 1) on the tokens of `mask` [B, T], 0 elsewhere."""
    return torch.from_numpy(rng.random(mask.shape, dtype=np.float32)).to(mask.device) * mask

"""Weighted entropy, its three norms, and the controls."""

import numpy as np
import pytest
import torch
from torch.distributions import Categorical
from torch.testing import assert_close

from agentlab_runner.agents.coso.entropy import mass_matched, permuted, random_weights, token_entropy, weighted_entropy

MASK = torch.tensor([[1, 1, 1, 0], [1, 1, 1, 1], [1, 0, 0, 0]]).bool()


def test_uniform_weights_give_plain_entropy():
    logits = torch.randn(3, 4, 7)
    plain = (Categorical(logits=logits).entropy() * MASK).sum(1) / MASK.sum(1)
    assert_close(weighted_entropy(token_entropy(logits), torch.ones(3, 4), MASK), plain)


def test_norms():
    entropy, weights = torch.rand(3, 4), torch.rand(3, 4)
    total = (entropy * weights * MASK).sum(1)
    assert_close(weighted_entropy(entropy, weights, MASK, "sum"), total)
    outer = total[None, :] / MASK.sum(1)[:, None]  # what (B,) divided by (B, 1) broadcasts to
    assert_close(weighted_entropy(entropy, weights, MASK, "released_outer").mean(), outer.mean())
    full = torch.ones_like(MASK)
    assert_close(
        weighted_entropy(entropy, weights, full, "released_outer").mean(),
        weighted_entropy(entropy, weights, full).mean(),
    )


def test_weights_get_no_gradient_and_zero_weights_give_none():
    logits, weights = torch.randn(3, 4, 5, requires_grad=True), torch.zeros(3, 4, requires_grad=True)
    weighted_entropy(token_entropy(logits), weights, MASK).sum().backward()
    assert weights.grad is None
    assert not logits.grad.any()


def test_a_row_without_tokens_is_an_error():
    with pytest.raises(ValueError, match=r"rows \[1\]"):
        weighted_entropy(torch.rand(2, 2), torch.rand(2, 2), torch.tensor([[1, 1], [0, 0]]).bool())


def test_mass_matched_uniform_keeps_each_rows_total():
    target = torch.rand(3, 4) * MASK
    target[2] = 0
    matched = mass_matched(MASK.float(), target, MASK)
    assert_close(matched.sum(1), target.sum(1))
    assert matched[0, :3].unique().numel() == 1
    assert not matched[0, 3]


def test_permuted_keeps_the_rows_own_weights_and_random_stays_on_tokens():
    weights = torch.rand(3, 4) * MASK
    rng = np.random.default_rng(0)
    shuffled = permuted(weights, MASK, rng)
    assert_close(shuffled.sort(dim=1).values, weights.sort(dim=1).values)
    assert not shuffled[~MASK].any()
    drawn = random_weights(MASK, rng)
    assert not drawn[~MASK].any()
    assert ((drawn >= 0) & (drawn < 1)).all()

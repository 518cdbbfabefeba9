"""Known answers of the advantages and of each branch of the clipped losses."""

import math

import pytest
import torch
from torch.testing import assert_close

from agentlab_runner.agents.rl.ppo import (
    ValueHead,
    approx_kl,
    explained_variance,
    gae,
    normalised,
    policy_loss,
    value_loss,
)


def test_gae_by_hand():
    # delta = [1 + .5*2 - 1, 0 + .5*4 - 2, 3 - 4] = [1, 0, -1]; gamma lambda = .25
    expected = [1 + 0.25 * (0 + 0.25 * -1), -0.25, -1.0]
    assert_close(gae([1, 0, 3], [1, 2, 4], gamma=0.5, gae_lambda=0.5), torch.tensor(expected))


def test_gae_bootstraps_a_cut_episode():
    assert gae([1.0], [2.0], gamma=0.9, gae_lambda=0.95, bootstrap=10.0).item() == pytest.approx(1 + 9 - 2)


def test_lambda_one_is_the_return_and_lambda_zero_the_td_error():
    rewards, values = [1.0, -1.0, 2.0], [0.3, 0.7, -0.2]
    returns = [1 - 0.9 + 0.81 * 2, -1 + 0.9 * 2, 2.0]
    assert_close(gae(rewards, values, 0.9, 1.0) + torch.tensor(values), torch.tensor(returns))
    errors = [1 + 0.9 * 0.7 - 0.3, -1 + 0.9 * -0.2 - 0.7, 2 + 0.2]
    assert_close(gae(rewards, values, 0.9, 0.0), torch.tensor(errors))


def test_normalised():
    assert_close(normalised(torch.tensor([1.0, 3.0])), torch.tensor([-1.0, 1.0]) / math.sqrt(2), atol=1e-4, rtol=0)
    assert normalised(torch.tensor([5.0])).tolist() == [0.0]
    assert normalised(torch.full((3,), 5.0)).tolist() == [0.0, 0.0, 0.0]


def grad(ratio, advantage):
    log_prob = torch.tensor([math.log(ratio)], requires_grad=True)
    loss = policy_loss(log_prob, torch.zeros(1), torch.tensor([advantage]), 0.1)
    loss.sum().backward()
    return loss.item(), log_prob.grad.item()


@pytest.mark.parametrize(
    ("ratio", "advantage", "loss", "slope"),
    [
        (1.05, 2.0, -2.1, -2.1),  # inside: the plain surrogate
        (1.5, 2.0, -2.2, 0.0),  # clipped: nothing more to gain
        (0.5, 2.0, -1.0, -1.0),  # below, and better than it was taken for: pulls back
        (1.5, -2.0, 3.0, 3.0),  # above, and worse: pulls back
        (0.5, -2.0, 1.8, 0.0),
        (20.0, -2.0, 2.2, 0.0),  # guarded: without it the loss would be 40
    ],
)
def test_policy_loss_branches(ratio, advantage, loss, slope):
    assert grad(ratio, advantage) == pytest.approx((loss, slope), abs=1e-5)


def test_value_loss_takes_the_worse_of_the_two():
    value, old = torch.tensor([1.0, 0.0]), torch.tensor([0.0, 0.0])
    assert_close(value_loss(value, old, torch.tensor([1.0, 1.0]), 0.1), 0.5 * torch.tensor([0.81, 1.0]))
    assert_close(value_loss(value, old, torch.tensor([1.0, 1.0]), None), torch.tensor([0.0, 0.5]))


def test_diagnostics():
    assert approx_kl(torch.zeros(3), torch.zeros(3)).tolist() == [0, 0, 0]
    assert (approx_kl(torch.randn(50), torch.randn(50)) >= 0).all()
    targets = torch.tensor([1.0, 2.0, 3.0])
    assert explained_variance(targets, targets) == 1
    assert explained_variance(torch.full((3,), 2.0), targets) == 0
    assert explained_variance(torch.zeros(3), torch.ones(3)) == 0


def test_an_untrained_head_values_everything_at_nothing_and_learns():
    head = ValueHead(4, (8,))
    states = torch.randn(5, 4)
    assert not head(states).any()
    head(states).sum().backward()
    assert head.layers[-1].weight.grad.abs().sum() > 0

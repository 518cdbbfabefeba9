"""DigiRL's pieces by hand: returns, filter, advantages, critics, stacking."""

import numpy as np
import pytest
import torch
from torch.testing import assert_close

from agentlab_runner.agents.coso.advantage import (
    doubly_robust_advantage,
    hard_indicator,
    instruction_filter,
    released_advantage,
)
from agentlab_runner.agents.coso.critics import InstructionCritic, StepCritic, stacked
from agentlab_runner.agents.rl.returns import monte_carlo_returns


def test_monte_carlo_returns():
    assert_close(monte_carlo_returns([0, 0, 1], 0.5), torch.tensor([0.25, 0.5, 1.0]))
    assert_close(monte_carlo_returns([1, 0, 2], 0.0), torch.tensor([1.0, 0.0, 2.0]))


def test_released_advantage_and_its_indicator():
    value, following = torch.tensor([0.5, 0.5, 0.5, 0.2]), torch.tensor([0.5, 0.56, 0.1, 0.9])
    reward, returns = torch.tensor([0.0, 0.0, 1.0, 0.0]), torch.tensor([0.0, 0.0, 1.0, 0.25])
    advantage = released_advantage(value, following, reward, returns, 0.05)
    assert_close(advantage, torch.tensor([0.0, 0.01, 1.0, 0.9]))
    assert hard_indicator(advantage).tolist() == [0, 1, 1, 1]


def test_doubly_robust_advantage_mixes_outcome_and_critic():
    found = doubly_robust_advantage(
        torch.tensor([0.4, 0.4]), torch.tensor([0.6, 0.6]), torch.tensor([0.0, 1.0]), torch.tensor([1.0, 1.0]),
        torch.tensor([2, 0]), 0.5,
    )  # fmt: skip
    assert_close(found, torch.tensor([0.25 * 1 + 0.75 * 0.2, 1.0]))
    assert hard_indicator(torch.tensor([0.05, 0.06]), 0.05).tolist() == [0, 1]


def test_instruction_filter_keeps_what_beat_its_promise():
    rewards = np.array([1.0, 1.0, 0.0, 0.0, 1.0])
    values = np.array([0.9, 0.1, 0.1, 0.9, 0.5])
    assert instruction_filter(rewards, values, 0.8).tolist() == [False, True, False, False, False]
    assert instruction_filter(rewards, values, 0.0).all()


def test_ties_at_the_cut_are_kept_when_rewards_rank():
    assert instruction_filter(np.array([0.0, 1.0, 1.0]), None, 0.9).tolist() == [False, True, True]
    assert instruction_filter(np.zeros(4), None, 0.9).all()


def test_values_are_clamped_before_the_quantile():
    kept = instruction_filter(np.array([1.0, 1.0]), np.array([0.0, 1e-5]), 0.9)
    assert kept.all()  # both count as 1e-4


def test_states_stack_the_previous_screen():
    text, image = torch.tensor([[1.0], [2.0], [3.0]]), torch.tensor([[10.0], [20.0], [30.0]])
    here, there = stacked(text, image)
    assert here.tolist() == [[1, 10, 10], [2, 10, 20]]
    assert there.tolist() == [[2, 10, 20], [3, 20, 30]]


def test_step_critic_sums_four_losses_and_takes_the_smaller_value():
    torch.manual_seed(0)
    critic = StepCritic(1, 1, width=4)
    here, there = torch.randn(5, 3), torch.randn(5, 3)
    returns = torch.tensor([0.0, 0.1, 1.0, 0.0, 0.5])
    loss, _ = critic.loss(here, there, returns)
    target = torch.tensor([0, 1, 1, 0, 1])
    parts = [torch.nn.functional.cross_entropy(head(x), target) for head in critic.heads for x in (here, there)]
    assert_close(loss, sum(parts))
    both = torch.stack([head(here).softmax(-1)[:, 1] for head in critic.heads])
    assert_close(critic.value(here), both.min(dim=0).values)


def test_instruction_critic_learns_which_instruction_succeeds():
    torch.manual_seed(0)
    critic = InstructionCritic(2, width=8)
    text, returns = torch.eye(2).repeat(4, 1), torch.tensor([0.0, 1.0]).repeat(4)
    optimizer = torch.optim.Adam(critic.parameters(), lr=0.05)
    for _ in range(60):
        loss, right = critic.loss(text, returns)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert right == 1
    assert critic.value(torch.eye(2)).tolist() == pytest.approx([0, 1], abs=0.1)

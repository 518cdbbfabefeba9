"""Advantages of teams: by hand, and that neither the dead, padding nor other episodes add anything."""

import pytest
import torch
from torch import Tensor

from agentlab_runner.agents.rl.ppo import gae
from agentlab_runner.agents.rl.teams import standardised, team_gae
from tests.agents.marl.batches import batch_of

GAMMA, LAMBDA = 0.9, 0.5
ENDS = [[False], [True]]


def found(batch, values, final) -> list[float]:
    advantages, returns = team_gae(batch, torch.tensor(values), torch.tensor(final), GAMMA, LAMBDA)
    assert torch.allclose(returns, advantages + torch.tensor(values) * batch.present)
    numbers: list[float] = advantages.flatten().tolist()
    return numbers


@pytest.mark.parametrize(("how", "expected"), [("truncated", (1.565, 1.7)), ("terminated", (0.35, -1.0))])
def test_truncated_and_terminated_by_hand(how, expected):
    batch = batch_of([[[1.0], [1.0]]], **{how: [ENDS]})
    assert found(batch, [[2.0], [2.0]], [[3.0]]) == pytest.approx(expected)


def test_nothing_leaks_between_episodes_of_different_lengths():
    lengths = [3, 1, 5]
    episodes = [torch.randn(length, 2) for length in lengths]
    values, final = torch.randn(9, 2), torch.randn(3, 2)
    ends = [torch.arange(length)[:, None].expand(-1, 2) == length - 1 for length in lengths]
    batch = batch_of(episodes, truncated=ends)
    advantages, _ = team_gae(batch, values, final, GAMMA, LAMBDA)
    for number, (own, value) in enumerate(zip(advantages.split(lengths), values.split(lengths), strict=True)):
        for agent in range(2):
            rewards = episodes[number][:, agent].tolist()
            alone = gae(rewards, value[:, agent].tolist(), GAMMA, LAMBDA, float(final[number, agent]))
            assert torch.allclose(own[:, agent], alone, atol=1e-6)


def test_an_agent_terminated_before_the_others_is_given_nothing_of_what_follows():
    ended = [[[False, True], [True, False]]]
    batch = batch_of([[[1.0, 1.0], [1.0, 7.0]]], terminated=ended, present=[[[True, True], [True, False]]])
    assert found(batch, [[2.0, 2.0], [2.0, 0.0]], [[3.0, 3.0]]) == pytest.approx([0.35, -1.0, -1.0, 0.0])


def test_a_shared_reward_credits_what_the_dead_did_before():
    """Dead after its first step, it is still given 0 + .9 (1 + .9 * 2) of what the team earns."""
    batch = batch_of(
        [[[0.0], [1.0], [2.0]]], present=[[[True], [False], [False]]], terminated=[[[False], [False], [True]]]
    )
    assert found(batch, [[0.5], [9.0], [9.0]], [[9.0]]) == pytest.approx([0.9 * (1 + 0.9 * 2) - 0.5, 0.0, 0.0])


def test_of_the_dead_nothing_is_expected_beyond_a_truncation():
    batch = batch_of(
        [[[1.0], [1.0]]], present=[[[True], [False]]], truncated=[[[False], [True]]], final_present=[[False]]
    )
    assert found(batch, [[0.0], [0.0]], [[100.0]]) == pytest.approx([1.9, 0.0])


def test_an_agent_cut_short_before_the_end_is_given_its_next_value():
    batch = batch_of([[[1.0], [5.0]]], truncated=[[[True], [True]]])
    assert found(batch, [[2.0], [4.0]], [[0.0]]) == pytest.approx([1 + 0.9 * 4 - 2, 1.0])


def test_standardising_counts_those_present_alone():
    counted = torch.tensor([[True, False], [True, True], [False, True]])
    values = torch.tensor([[1.0, 50.0], [2.0, 3.0], [-70.0, 6.0]])
    scaled = standardised(values, counted)
    kept = torch.tensor([1.0, 2.0, 3.0, 6.0])
    expected = (kept - kept.mean()) / (kept.std(correction=0) + 1e-5)
    assert torch.allclose(scaled[counted], expected)
    assert not scaled[~counted].any()
    padded = torch.cat([values, torch.full((3, 4), 9.0)], dim=1)
    wider = standardised(padded, torch.cat([counted, torch.zeros(3, 4, dtype=torch.bool)], dim=1))
    assert torch.allclose(wider[:, :2], scaled)


def test_standardising_by_group():
    values = torch.tensor([[1.0], [10.0], [3.0], [50.0]])
    groups = torch.tensor([0, 1, 0, 1])
    scaled = standardised(values, torch.ones(4, 1, dtype=torch.bool), groups)
    assert scaled.flatten().tolist() == pytest.approx([-1, -1, 1, 1], abs=1e-4)


def test_one_of_a_kind_and_none_at_all_stay_finite():
    one = standardised(torch.tensor([[5.0]]), torch.ones(1, 1, dtype=torch.bool))
    nobody = standardised(torch.randn(3, 2), torch.zeros(3, 2, dtype=torch.bool))
    empty: Tensor = standardised(torch.zeros(0, 2), torch.zeros(0, 2, dtype=torch.bool))
    assert float(one) == 0
    assert not nobody.any()
    assert empty.shape == (0, 2)

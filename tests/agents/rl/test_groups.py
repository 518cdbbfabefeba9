"""Group-relative advantages against answers worked by hand."""

import torch
from torch.testing import assert_close

from agentlab_runner.agents.rl.groups import gigpo, grpo, relative_to_group


def test_a_group_is_standardised_and_alone_or_equal_is_nothing():
    scores = torch.tensor([1.0, 3.0, 5.0, 7.0, 2.0, 2.0])
    result = relative_to_group(scores, ["a", "a", "a", "b", "c", "c"])
    assert_close(result, torch.tensor([-1.0, 0.0, 1.0, 0.0, 0.0, 0.0]), atol=1e-5, rtol=0)  # std of 1, 3, 5 is 2
    assert relative_to_group(scores, "aaabcc", divide_by_std=False).tolist() == [-2, 0, 2, 0, 0, 0]


def test_grpo_gives_every_step_its_episodes_advantage():
    first, second, third = grpo([[0, 1], [0, 0, -1], [4]], [7, 7, 8], divide_by_std=False)
    assert first.tolist() == [1, 1]
    assert second.tolist() == [-1, -1, -1]
    assert third.tolist() == [0]


def test_gigpo_compares_the_steps_taken_in_one_state():
    rewards = [[0, 1], [0, 0, 0], [0, 1]]
    groups = [1, 1, 2]
    anchors = [["s", "t"], ["s", "u", "s"], ["s", "t"]]
    # group 1: returns at gamma .5 are [.5, 1] and [0, 0, 0]; state s holds .5, 0, 0 with mean 1/6; t and u are alone
    first, second, third = gigpo(rewards, groups, anchors, gamma=0.5, step_coef=3.0, divide_by_std=False)
    assert_close(first, torch.tensor([0.5 + 3 * (0.5 - 1 / 6), 0.5]))
    assert_close(second, torch.tensor([-0.5 - 3 / 6, -0.5, -0.5 - 3 / 6]))
    assert third.tolist() == [0, 0]  # the only episode of its group, though s was seen elsewhere


def test_without_the_step_term_gigpo_is_grpo():
    rewards, groups = [[0.0, 1.0], [0.5]], [0, 0]
    both = zip(gigpo(rewards, groups, [[1, 2], [1]], 0.9, step_coef=0.0), grpo(rewards, groups), strict=True)
    assert all(torch.equal(a, b) for a, b in both)

"""Semi-Markov advantages against hand-made ones, and the flat batch an update learns from."""

import pytest
import torch
from torch.testing import assert_close

from agentlab_runner.agents.rl.ppo import gae
from agentlab_runner.agents.twosome.batch import advantages, make_batch
from agentlab_runner.agents.twosome.states import episode


def of(rewards, durations, lengths, values, algo="twosome", gamma=0.9, gae_lambda=0.5):
    return advantages(rewards, durations, lengths, values, algo, gamma, gae_lambda).tolist()


def test_a_macro_action_discounts_by_its_duration():
    last = 1.0 - 0.4
    first = 0.5 + 0.9**3 * 0.4 - 0.2 + 0.9**3 * 0.5 * last
    assert of([0.5, 1.0], [3, 7], [1, 1], [0.2, 0.4]) == pytest.approx([first, last])


def test_single_steps_are_plain_gae():
    rewards, values = [0.1, -0.2, 0.7, 0.0], [0.3, 0.1, -0.4, 0.2]
    assert of(rewards, [1] * 4, [1] * 4, values) == pytest.approx(gae(rewards, values, 0.9, 0.5).tolist())


@pytest.mark.parametrize(("algo", "inside"), [("poad", 1.0), ("ntpo", 0.9)])
def test_tokens_share_an_actions_reward(algo, inside):
    values = [0.2, 0.3, 0.1]
    third = 2.0 - 0.1
    second = 0.0 + 0.9**4 * 0.1 - 0.3 + 0.9**4 * 0.5 * third
    first = 0.0 + inside * 0.3 - 0.2 + inside * 0.5 * second
    assert of([0.0, 2.0], [4, 1], [2, 1], values, algo) == pytest.approx([first, second, third])


def test_without_discount_and_with_full_traces_token_credit_is_the_actions():
    """gamma = lambda = 1: every elementary decision's return is what is still to come."""
    values = [0.1, 0.2, 0.3, 0.4, 0.5]
    found = torch.tensor(of([1.0, 2.0], [3, 1], [3, 2], values, "poad", 1.0, 1.0)) + torch.tensor(values)
    assert found.tolist() == pytest.approx([3.0, 3.0, 3.0, 2.0, 2.0])


@pytest.mark.parametrize("algo", ["twosome", "poad"])
def test_a_batch_holds_each_decision_with_its_features_and_probability(make_agent, play, algo):
    agent = make_agent(algo=algo)
    episodes = [episode(trajectory) for trajectory in play(agent, 3)]
    batch = make_batch(episodes, agent.actor, agent.critic, 0.9, 0.5)
    assert len(batch.samples) == sum(map(len, episodes))
    units = [unit for sample in batch.samples for unit in sample.units]
    assert units == list(range(len(batch.values)))
    assert (len(units) == len(batch.samples)) == (algo == "twosome")
    questions = [question for e in episodes for question in e.questions]
    choices = [choice for e in episodes for choice in e.choices]
    for sample, question, choice in zip(batch.samples, questions, choices, strict=True):
        whole = agent.actor.log_policies([question])[0][choice]
        assert_close(batch.logprobs[list(sample.units)].sum(), whole)
        assert_close(batch.features[sample.units[0]], agent.actor.scorer.features([question])[0][0])
    assert_close(batch.values, agent.critic(batch.features).detach())


def test_groups_are_all_samples_once_in_nearly_equal_parts(make_agent, play):
    agent = make_agent()
    batch = make_batch([episode(t) for t in play(agent, 1)], agent.actor, agent.critic, 0.9, 0.5)
    groups = list(batch.groups(5))
    assert sorted(i for group in groups for i in group) == list(range(len(batch.samples)))
    assert max(map(len, groups)) - min(map(len, groups)) <= 1
    assert len(list(batch.groups(10_000))) == 1

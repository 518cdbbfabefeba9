"""The student: any number of agents, in any order, and the absent change nothing."""

import pytest
import torch

from agentlab_runner.agents.marl.heads import Discrete, Gaussian
from agentlab_runner.agents.marl.networks import CentralCritic, Said, SharedMlp, Student, heeded


@pytest.fixture
def student() -> Student:
    torch.manual_seed(0)
    return Student(6, 5, hidden=32, heads=4, head_dim=8, own_critic=True, context=8)


def everyone(observations):
    return torch.ones(observations.shape[:2], dtype=torch.bool)


def asked(student, observations, present) -> Said:
    """With values and attention both, which it says one at a time."""
    said, acting = student(observations, present), student(observations, present, critic=False)
    assert torch.allclose(said.policy, acting.policy, atol=1e-6)
    return Said(said.policy, said.values, acting.attention)


@pytest.mark.parametrize("n", [1, 2, 4, 8, 16])
def test_the_same_weights_serve_any_number_of_agents_in_any_order(student, n):
    observations = torch.randn(7, n, 6)
    said = asked(student, observations, everyone(observations))
    order = torch.randperm(n)
    turned = asked(student, observations[:, order], everyone(observations))
    assert said.policy.shape == (7, n, 5)
    assert torch.allclose(turned.policy, said.policy[:, order], atol=1e-6)
    assert torch.allclose(turned.values, said.values[:, order], atol=1e-6)
    assert torch.allclose(turned.attention, said.attention[:, order][:, :, order], atol=1e-6)


@pytest.mark.parametrize("n", [1, 2, 5])
def test_padding_changes_nothing_whatever_it_holds(student, n):
    observations = torch.randn(4, n, 6)
    said = asked(student, observations, everyone(observations))
    padded = torch.cat([observations, torch.full((4, 3, 6), 1e3)], dim=1)
    present = torch.arange(n + 3).expand(4, -1) < n
    wider = asked(student, padded, present)
    assert torch.allclose(wider.policy[:, :n], said.policy, atol=1e-6)
    assert torch.allclose(wider.values[:, :n], said.values, atol=1e-6)
    assert torch.allclose(wider.attention[:, :n, :n], said.attention, atol=1e-6)
    assert not wider.policy[:, n:].any()
    assert not wider.values[:, n:].any()
    assert not wider.attention[:, n:].any()


def test_messages_by_hand(student):
    """Two agents hear each other's value alone; one alone hears itself."""
    observations = torch.randn(1, 2, 6)
    seen = student.obs_encoder(observations)
    value = student.qkv_layer(seen)[..., 64:]
    for agent, heard in ((0, value[0, 1]), (1, value[0, 0])):
        expected = student.action_decoder(torch.cat([seen[0, agent], heard]))
        said = student(observations, everyone(observations)).policy[0, agent]
        assert torch.allclose(said, expected, atol=1e-6)
    alone = student(observations[:, :1], everyone(observations[:, :1])).policy[0, 0]
    assert torch.allclose(alone, student.action_decoder(torch.cat([seen[0, 0], value[0, 0]])), atol=1e-6)


def test_whom_each_heeds():
    present = torch.tensor([[True, True, False], [False, True, False], [False, False, False]])
    assert heeded(present).int().tolist() == [
        [[0, 1, 0], [1, 0, 0], [1, 1, 0]],
        [[0, 1, 0], [0, 1, 0], [0, 1, 0]],
        [[1, 0, 0], [0, 1, 0], [0, 0, 1]],
    ]


def test_a_team_of_nobody_is_finite_and_so_are_its_gradients(student):
    observations = torch.zeros(2, 3, 6)
    said = asked(student, observations, torch.zeros(2, 3, dtype=torch.bool))
    (said.policy.sum() + said.values.sum()).backward()
    assert torch.isfinite(said.attention).all()
    assert all(torch.isfinite(p.grad).all() for p in student.parameters() if p.grad is not None)


def test_tensors_are_named_as_released(student):
    names = {name.rpartition(".")[0] for name in student.state_dict()}
    assert names == {
        "obs_encoder.0", "obs_encoder.2", "qkv_layer", "action_decoder.0", "action_decoder.2", "value_decoder.0",
        "value_decoder.2", "fc1", "context_decoder", "fc2",
    }  # fmt: skip
    assert not student.state_dict()["action_decoder.2.bias"].any()


def test_the_hidden_state_is_that_of_the_cell_step_by_step(student):
    observations = torch.randn(2, 4, 3, 6)
    states = student.hidden(observations)
    h = torch.zeros(1, 8)
    for t in range(4):
        h = student.context_decoder(torch.relu(student.fc1(observations[1, t, 2]))[None], h)
        assert torch.allclose(states[1, t, 2], h[0], atol=1e-6)


def test_perceptrons_see_each_by_itself_and_a_central_critic_sees_the_state():
    network = SharedMlp(6, 5, 16, own_critic=False, context=0)
    observations, present = torch.randn(3, 4, 6), torch.tensor([[1, 1, 0, 1], [0, 1, 1, 0], [0, 0, 0, 1]]).bool()
    said = network(observations, present)
    assert said.values is None
    assert torch.allclose(said.policy[1, 2], network.actor(observations[1, 2]) * present[1, 2], atol=1e-6)
    critic, state = CentralCritic(6, 3, 16), torch.randn(3, 3, requires_grad=True)
    values = critic(observations, present, state)
    assert not values[~present].any()
    values[0, present[0]].sum().backward()
    assert state.grad is not None
    assert state.grad[0].any()
    assert not state.grad[1].any()


def test_an_illegal_action_is_never_chosen_and_counts_for_nothing():
    scores, legal = torch.tensor([[[9.0, 0.0, 1.0]]]), torch.tensor([[[False, True, True]]])
    head = Discrete(scores, legal)
    two = torch.distributions.Categorical(logits=torch.tensor([0.0, 1.0]))
    assert int(head.mode()) == 2
    assert float(head.entropy()) == pytest.approx(float(two.entropy()))
    assert float(head.log_prob(torch.tensor([[1]]))) == pytest.approx(float(two.log_prob(torch.tensor(0))))
    chance = torch.rand(4000, 1, 3).clamp(1e-6, 1 - 1e-6)
    drawn = Discrete(scores.expand(4000, 1, 3), legal.expand(4000, 1, 3)).sample(chance)
    assert not (drawn == 0).any()
    assert float((drawn == 2).float().mean()) == pytest.approx(float(two.probs[1]), abs=0.03)


def test_gaussian_agrees_with_torch():
    mean, log_std = torch.randn(2, 3, 4), torch.randn(4) * 0.3
    head, other = Gaussian(mean, log_std), Gaussian(mean + 0.3, log_std * 0.5)
    theirs = torch.distributions.Normal(mean, log_std.exp())
    theirs_other = torch.distributions.Normal(mean + 0.3, (log_std * 0.5).exp())
    actions = torch.randn(2, 3, 4)
    assert torch.allclose(head.log_prob(actions), theirs.log_prob(actions).sum(-1), atol=1e-5)
    assert torch.allclose(head.entropy(), theirs.entropy().sum(-1), atol=1e-5)
    kl = torch.distributions.kl_divergence(theirs, theirs_other).sum(-1)
    assert torch.allclose(head.kl(other), kl, atol=1e-5)
    assert torch.allclose(head.sample(torch.full((2, 3, 4), 0.5)), mean)
    chance = torch.linspace(1e-4, 1 - 1e-4, 20000)[:, None, None]
    drawn = Gaussian(torch.zeros(20000, 1, 1), torch.zeros(1)).sample(chance)
    assert float(drawn.std()) == pytest.approx(1.0, abs=0.01)


def test_divergence_of_categoricals():
    first, second = torch.randn(2, 1, 3), torch.randn(2, 1, 3)
    theirs = torch.distributions.kl_divergence(
        torch.distributions.Categorical(logits=first), torch.distributions.Categorical(logits=second)
    )
    assert torch.allclose(Discrete(first, None).kl(Discrete(second, None)), theirs, atol=1e-6)

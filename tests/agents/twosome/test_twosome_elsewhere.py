"""The same room on a device that is not the CPU."""

import pytest
import torch

from agentlab_runner.agents.twosome.saycan import SaycanAgent
from agentlab_runner.agents.twosome.vector_ppo import VectorPpoAgent
from agentlab_runner.runners.processes.trainer import Trainer
from tests.agents.causal_models import text_policy
from tests.elsewhere import elsewhere, here

pytestmark = pytest.mark.filterwarnings("ignore:for .* copying from a non-meta parameter")  # they do have values


@pytest.mark.parametrize("settings", [{}, {"algo": "poad", "adv_norm": "minibatch"}, {"last_k_layers": None}])
def test_an_iteration_elsewhere_is_the_same(make_agent, play, settings):
    at_home, away = make_agent(**settings), make_agent(**settings)
    played = play(at_home, 0)
    torch.manual_seed(0)
    expected = at_home.learn(played, Trainer())
    with elsewhere() as trainer:
        away.setup(trainer)
        torch.manual_seed(0)
        assert away.learn(played, trainer) == pytest.approx(expected, rel=1e-3, abs=1e-4)
        assert expected["losses/policy_update_times"] > 0
        play(away, 1, count=2)
        away.load_state_dict(here(away.state_dict()))
        away.learn(played, trainer)


@pytest.mark.parametrize("kind", [VectorPpoAgent, SaycanAgent])
def test_what_it_is_compared_with(kind, play):
    settings = {"batch_size": 16, "num_actions": 4}
    settings |= {"admissible_only": True} if kind is VectorPpoAgent else {"rounds": 2}
    agent = kind(text_policy(), **settings)
    with elsewhere() as trainer:
        agent.setup(trainer)
        learnt = agent.learn(play(agent, 0), trainer)
        assert any(name.startswith("losses/") for name in learnt)
        agent.load_state_dict(here(agent.state_dict()))
        play(agent, 1, count=2)

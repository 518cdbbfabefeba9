"""Agents on a device that is not the CPU: whatever is made without it, or read off it too early, fails here."""

import pytest
import torch

from agentlab_runner.agents.coso import counterfactual
from tests.elsewhere import elsewhere, here

pytestmark = pytest.mark.filterwarnings("ignore:for .* copying from a non-meta parameter")  # they do have values


@pytest.fixture(autouse=True)
def one_thread(monkeypatch):
    """Where tensors are made elsewhere is known to one thread alone."""
    monkeypatch.setattr(counterfactual, "_over_cores", lambda work, parts, device: [work(part) for part in parts])


def numbers(metrics):
    return {n: v for n, v in metrics.items() if isinstance(v, float) and not n.startswith("time/")}


@pytest.mark.parametrize(
    "settings",
    [
        {"entropy": "causal"},
        {"entropy": "causal", "scm": {"mode": "exact", "exact": "soft", "top_k": 3}},
        {"entropy": "uniform", "mass_matched": True, "entropy_norm": "released_outer", "advantage": "doubly_robust"},
    ],
)
def test_an_iteration_elsewhere_is_the_same(make_agent, play, settings):
    at_home, away = make_agent(**settings), make_agent(**settings)
    torch.manual_seed(0)
    expected = numbers(at_home.learn(play(at_home, 0), at_home._trainer))
    with elsewhere() as trainer:
        away.setup(trainer)
        torch.manual_seed(0)
        assert numbers(away.learn(play(away, 0), trainer)) == pytest.approx(expected, rel=1e-3, abs=1e-4)
        assert next(away.policy.parameters()).device == trainer.device
        away.act([play(away, 1)[0].final_observation], deterministic=False)
        state = here(away.state_dict())
        away.load_state_dict(state)
        away.learn(play(away, 1), trainer)


def test_a_warm_start_elsewhere(make_agent, play):
    agent = make_agent()
    with elsewhere() as trainer:
        agent.setup(trainer)
        assert agent.imitate(play(agent, 0), trainer, lambda *_, **__: None)["imitation/loss"] > 0

"""Small agents and their episodes of the room to tidy up."""

from collections.abc import Callable

import pytest
import torch

from agentlab_runner.agents.twosome.agent import TwosomeAgent
from agentlab_runner.runners.online.rollout import collect, episode_seeds
from agentlab_runner.runners.processes.trainer import Trainer
from agentlab_runner.runners.types import Trajectory
from tests.agents.causal_models import text_policy
from tests.agents.twosome.tidy import Tidy

SMALL = {"batch_size": 24, "policy_lr": 2e-2, "value_lr": 1e-3, "critic_widths": (32, 16), "accumulation": 2}


@pytest.fixture
def make_agent() -> Callable[..., TwosomeAgent]:
    def make(family: str = "llama", last_k_layers: int | None = 2, perturbed: bool = False, **settings) -> TwosomeAgent:
        torch.manual_seed(0)
        agent = TwosomeAgent(text_policy(family, last_k_layers, perturbed), **(SMALL | settings))
        agent.setup(Trainer())
        return agent

    return make


@pytest.fixture
def play() -> Callable[..., list[Trajectory]]:
    def play(agent, seed: int, count: int = 8) -> list[Trajectory]:
        torch.manual_seed(seed)
        return collect(agent, [Tidy(worker) for worker in range(4)], episode_seeds(seed, count=count))

    return play

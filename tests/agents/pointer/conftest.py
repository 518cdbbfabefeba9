"""Small pointers and the rooms they play in."""

import pytest
import torch

from agentlab_runner.agents.pointer.agent import PointerAgent
from agentlab_runner.runners.online.rollout import collect, episode_seeds
from agentlab_runner.runners.processes.trainer import Trainer
from tests.agents.pointer.rooms import Boxes

SMALL = {"network": {"size": 32, "layers": 2}, "lr": 3e-3, "replay": {"steps": 2, "batch_size": 64}}


@pytest.fixture
def make_agent():
    def make(**settings):
        torch.manual_seed(0)
        agent = PointerAgent(**(SMALL | settings))
        agent.setup(Trainer())
        return agent

    return make


@pytest.fixture
def play():
    def play(agent, seed, count=16, *, deterministic=False, group_size=1, **room):
        torch.manual_seed(seed)
        rooms = [Boxes(**room) for _ in range(min(16, count))]
        seeds = episode_seeds(seed, count=count // group_size)
        return collect(agent, rooms, seeds, deterministic=deterministic, group_size=group_size)

    return play

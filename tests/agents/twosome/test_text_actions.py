"""Phrases whose actions are texts: an environment that has a parser, and no numbers for what can be done."""

import numpy as np
import pytest

from agentlab_runner.agents.rl.phrases import listed_action
from agentlab_runner.agents.twosome.agent import TwosomeAgent
from agentlab_runner.agents.twosome.baselines import RandomAgent, ZeroShotAgent
from agentlab_runner.envs.alfworld.env import AlfworldEnv
from agentlab_runner.runners.config.compose import compose
from agentlab_runner.runners.online.parts import make_agent
from agentlab_runner.runners.online.rollout import collect, episode_seeds
from agentlab_runner.runners.processes.trainer import Trainer
from tests.agents.causal_models import text_policy

HOUSEHOLD = ["env=alfworld", "env.parser.format=action_only", "env.commands=listed"]


def household(**settings):
    return AlfworldEnv(horizon=3, commands="listed", prompt="short", history=0, receptacles=4, **settings)


@pytest.mark.parametrize(
    "agent", [RandomAgent(), ZeroShotAgent(text_policy()), TwosomeAgent(text_policy(), batch_size=4)]
)
def test_phrases_of_a_household_are_chosen_among(agent):
    agent.setup(Trainer())
    played = collect(agent, [household(), household()], episode_seeds(0, count=2))
    for trajectory in played:
        for step in trajectory.steps:
            assert step.decision.action in step.observation["action_ids"]
    if isinstance(agent, TwosomeAgent):
        assert agent.learn(played, Trainer())["losses/value_loss"] > 0


def test_an_agent_that_names_no_parser_is_given_none(tmp_path):
    cfg = compose([*HOUSEHOLD, "agent=random_phrase"])
    assert isinstance(make_agent(cfg, tmp_path, Trainer()), RandomAgent)


def test_numbers_of_numpy_become_pythons():
    action = listed_action({"action_ids": np.array([3, 5])}, 1)
    assert (action, type(action)) == (5, int)
    assert listed_action({"action_ids": ("go", "look")}, 1) == "look"

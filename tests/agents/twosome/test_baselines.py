"""What TWOSOME is compared with plays and learns in the same room."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.testing import assert_close

from agentlab_runner.agents.llm.candidates import Question
from agentlab_runner.agents.twosome.actor import PhraseActor
from agentlab_runner.agents.twosome.baselines import RandomAgent, ZeroShotAgent
from agentlab_runner.agents.twosome.saycan import SaycanAgent
from agentlab_runner.agents.twosome.vector_ppo import VectorPpoAgent
from agentlab_runner.runners.errors import UserError
from agentlab_runner.runners.experiment import LearningAgent
from agentlab_runner.runners.processes.trainer import Trainer
from agentlab_runner.runners.types import Decision
from tests.agents.causal_models import text_policy
from tests.agents.twosome.tidy import Tidy, length, stored


def vector_ppo(**settings):
    return VectorPpoAgent(**({"num_actions": 4, "admissible_only": True, "batch_size": 32, "lr": 1e-2} | settings))


def saycan(**settings):
    return SaycanAgent(text_policy(), **({"num_actions": 4, "rounds": 50, "lr": 3e-3, "gamma": 0.5} | settings))


def ready(agent, seed: int = 0):
    torch.manual_seed(seed)
    agent.setup(Trainer())
    return agent


@pytest.mark.parametrize("agent", [RandomAgent(), ZeroShotAgent(text_policy()), vector_ppo(), saycan()])
def test_each_is_a_learning_agent(agent, play):
    assert isinstance(agent, LearningAgent)
    played = play(ready(agent), 0, count=2)
    assert all(math.isfinite(value) for value in agent.learn(played, Trainer()).values())
    agent.load_state_dict(stored(agent.state_dict()))


def test_random_is_uniform_and_needs_no_model():
    torch.manual_seed(0)
    observation = Tidy().reset(seed=0)[0]
    drawn = [decision.action for decision in RandomAgent(policy=None).act([observation] * 4000, True)]
    assert_close(torch.bincount(torch.tensor(drawn)) / 4000, torch.full((4,), 0.25), atol=0.03, rtol=0)


def test_zero_shot_is_the_model_itself(play):
    policy = text_policy(perturbed=False)
    agent = ready(ZeroShotAgent(policy, normalisation="token"))
    observation = Tidy().reset(seed=0)[0]
    question = Question(observation["text"], observation["actions"])
    own = PhraseActor(policy, normalisation="token").log_policies([question])[0]
    [decision] = agent.act([observation], deterministic=True)
    assert decision.action == int(own.argmax())
    assert agent.learn(play(agent, 0), Trainer()) == agent.state_dict() == {}


@pytest.mark.parametrize(
    ("make", "iterations"), [(vector_ppo, 40), (saycan, 15)], ids=["vector_ppo", "saycan"]
)
def test_learners_improve(make, iterations, play):
    agent, trainer = ready(make()), Trainer()
    before = length(play(agent, 1000, count=40))
    for iteration in range(iterations):
        agent.learn(play(agent, iteration), trainer)
    assert length(play(agent, 1000, count=40)) < min(3.0, before)


def test_effect_affordance_learns_which_actions_change_nothing(play):
    agent, trainer = ready(saycan(affordance="effect", rounds=200)), Trainer()
    for iteration in range(4):
        agent.learn(play(agent, iteration), trainer)
    with torch.no_grad():
        chance = agent.network(torch.tensor([[0.0, 0.0]])).sigmoid()[0]
    assert chance[0] > 0.8  # picking up the bowl
    assert chance[3] < 0.2  # the book stays where it is
    assert_close(agent.log_affordance(torch.zeros(2)), torch.full((2,), math.log(0.5)))


def test_value_affordance_is_the_fitted_q(play):
    agent, trainer = ready(saycan(rounds=300, target_every=20)), Trainer()
    for iteration in range(4):
        agent.learn(play(agent, iteration), trainer)
    with torch.no_grad():
        worth = agent.network(torch.tensor([[1.0, 0.0], [0.0, 0.0]]))
    assert float(worth[0, 1]) == pytest.approx(1.0, abs=0.15)  # bedroom with the bowl: done
    assert float(worth[1, 0]) == pytest.approx(0.5, abs=0.15)  # one primitive step before


@pytest.mark.parametrize("make", [vector_ppo, saycan], ids=["vector_ppo", "saycan"])
def test_resuming_gives_the_same_bits(make, play):
    straight, trainer = ready(make()), Trainer()
    played = [play(straight, seed, count=count) for seed, count in ((0, 16), (1, 3), (2, 16))]
    for trajectories in played[:2]:
        straight.learn(trajectories, trainer)
    resumed = ready(make(), seed=5)
    resumed.load_state_dict(stored(straight.state_dict()))
    states = []
    for agent in (straight, resumed):
        torch.manual_seed(4)
        agent.learn(played[2], trainer)
        states.append(agent.state_dict())
    assert_close(states[0], states[1], atol=0, rtol=0)


@pytest.mark.parametrize("make", [vector_ppo, saycan], ids=["vector_ppo", "saycan"])
def test_another_run_gives_its_weights_alone(make, play):
    one, other = ready(make()), ready(make(), seed=5)
    one.learn(play(one, 0, count=16), Trainer())
    other.load_weights(stored(one.state_dict()))
    name = "networks" if make is vector_ppo else "network"
    theirs, ours = one.state_dict()["learnt"], other.state_dict()["learnt"]
    assert all(torch.equal(value, ours[name][key]) for key, value in theirs[name].items())
    assert theirs["optimizer"]["state"]
    assert not ours["optimizer"]["state"]
    assert not any(value for key, value in other.state_dict().items() if key != "learnt")
    with pytest.raises(RuntimeError, match="size mismatch"):
        ready(make(num_actions=5)).load_weights(stored(one.state_dict()))


def test_picking_from_the_full_list_may_give_what_is_not_admissible():
    agent = ready(vector_ppo(admissible_only=False))
    observation = {"vector": np.zeros(2, np.float32), "action_ids": (1,)}
    torch.manual_seed(0)
    assert {decision.action for decision in agent.act([observation] * 200, False)} == {0, 1, 2, 3}
    assert {decision.action for decision in ready(vector_ppo()).act([observation] * 200, False)} == {1}


@pytest.mark.parametrize(
    ("observation", "fault"),
    [
        ({"action_ids": (0,)}, "has no `vector`"),
        ({"vector": np.zeros(2), "action_ids": (0, 9)}, "set it to how many"),
        ({"vector": np.zeros(2), "action_ids": ()}, "set it to how many"),
    ],
)
def test_observations_without_numbers_or_with_other_actions(observation, fault):
    with pytest.raises(UserError, match=fault):
        ready(vector_ppo()).act([observation], False)


def test_bad_episodes_are_refused(play):
    agent = ready(vector_ppo())
    trajectory = play(agent, 0)[0]
    for changes, fault in (
        ({"reward": math.inf}, "finite rewards"),
        ({"decision": Decision(4)}, "were admissible"),
    ):
        wrong = replace(trajectory, steps=(replace(trajectory.steps[0], **changes), *trajectory.steps[1:]))
        with pytest.raises(UserError, match=fault):
            agent.learn([wrong], Trainer())
    with pytest.raises(UserError, match="is none of the 2"):
        ready(vector_ppo(num_actions=2, admissible_only=False)).learn([trajectory], Trainer())

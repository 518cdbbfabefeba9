"""Agents that learn nothing: the language model as it is, and chance."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch

from agentlab_runner.agents.rl.phrases import listed_action
from agentlab_runner.agents.twosome.actor import PhraseActor
from agentlab_runner.agents.twosome.settings import RandomSettings, ZeroShotSettings
from agentlab_runner.agents.twosome.states import question_of
from agentlab_runner.agents.unlearning import Unlearning
from agentlab_runner.runners.types import Decision, Observation

if TYPE_CHECKING:
    from agentlab_runner.agents.llm.policy import LanguagePolicy
    from agentlab_runner.runners.experiment import Trainer


class ZeroShotAgent(Unlearning):
    """Chooses among the admissible phrases by the untouched language model; `ZeroShotSettings` says how."""

    def __init__(self, policy: "LanguagePolicy", **settings: Any) -> None:
        s = ZeroShotSettings(**settings)
        self.policy = policy
        self.actor = PhraseActor(policy, "twosome", s.normalisation, s.cache_mb)

    def setup(self, trainer: "Trainer") -> None:
        trainer.prepare(self.policy)

    def act(self, observations: Sequence[Observation], deterministic: bool) -> list[Decision]:
        return self.actor.decide(observations, deterministic)


class RandomAgent(Unlearning):
    """Every admissible action is as likely, by torch's global generator; a model given is left aside."""

    def __init__(self, policy: "LanguagePolicy | None" = None, **settings: Any) -> None:
        RandomSettings(**settings)

    def act(self, observations: Sequence[Observation], deterministic: bool) -> list[Decision]:
        decisions = []
        for observation in observations:
            question_of(observation).check()
            choice = int(torch.randint(len(observation["action_ids"]), ()))
            decisions.append(Decision(listed_action(observation, choice)))
        return decisions

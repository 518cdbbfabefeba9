"""A team that acts at random and learns nothing: what others must beat."""

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from agentlab_runner.agents.marl.heads import Discrete, Gaussian, Head
from agentlab_runner.agents.marl.settings import RandomTeamSettings
from agentlab_runner.agents.unlearning import Unlearning
from agentlab_runner.runners.teams import TeamChoice, TeamSpec, TeamView


class RandomTeam(Unlearning):
    """Uniform among the legal actions; continuous ones standard normal."""

    def __init__(self, team: TeamSpec, **settings: Any) -> None:
        RandomTeamSettings(**settings)
        self.team = team

    def decide(self, view: TeamView, memory: Mapping[str, Tensor], deterministic: bool) -> TeamChoice:
        scores = view.observations.new_zeros(*view.present.shape, self.team.actions)
        head: Head = Discrete(scores, view.legal)
        if self.team.continuous:
            head = Gaussian(scores, scores.new_zeros(self.team.actions))
        return TeamChoice(head.mode() if deterministic else head.sample(view.uniform(self.team.actions)))

    def load_weights(self, state: Mapping[str, Any]) -> None:
        """There are none."""

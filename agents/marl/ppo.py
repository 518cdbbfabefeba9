"""TeamPPO: IPPO, MAPPO and the student that talks by attention, for teams of any size."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from agentlab_runner.agents.marl.level import Level
from agentlab_runner.agents.marl.representation import Reduce
from agentlab_runner.agents.marl.settings import TeamPPOSettings
from agentlab_runner.runners.team_batch import TeamBatch
from agentlab_runner.runners.teams import TeamChoice, TeamSpec, TeamView
from agentlab_runner.runners.types import Metrics, Trajectory

if TYPE_CHECKING:
    from agentlab_runner.runners.experiment import Trainer


class TeamPPO:
    """A `TeamAgent`: one policy for all agents, PPO on each agent's own advantages.

    Args:
        team: the sizes of the environment.
        settings: those of `TeamPPOSettings`.
    """

    def __init__(self, team: TeamSpec, **settings: Any) -> None:
        self.level = Level(team, TeamPPOSettings(**settings))

    def setup(self, trainer: "Trainer") -> None:
        self.level.setup(trainer)

    @torch.no_grad()
    def decide(self, view: TeamView, memory: Mapping[str, Tensor], deterministic: bool) -> TeamChoice:
        actions, log_prob, attention = self.level.choose(view, deterministic)
        extras = {"log_prob": log_prob}
        if attention is not None:
            extras["attention"] = attention.half()
        return TeamChoice(actions, extras)

    def learn(self, trajectories: Sequence[Trajectory], trainer: "Trainer") -> Metrics:
        batch = usable(trajectories)
        return self.level.learn(batch, batch.extras["log_prob"], trainer) if len(batch) else {}

    def context(self, reduce: Reduce) -> Tensor:
        """The policy in numbers, for a teacher; see `Representation.context`."""
        return self.level.representation.context(reduce)

    def td_error(self) -> Mapping[str, float]:
        """By task, the mean size of the one-step errors of the critic in the newest batch, before it learnt from it."""
        return self.level.td_errors

    def state_dict(self) -> Mapping[str, Any]:
        return self.level.saved()

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.level.restore(state)

    def load_weights(self, state: Mapping[str, Any]) -> None:
        """As `TransferableAgent`; the sizes of observations and actions must be the same, that of the team need not."""
        self.level.load_state_dict(state["weights"])


def usable(trajectories: Sequence[Trajectory]) -> TeamBatch:
    """Episodes that say something of the policy.

    Raises:
        TypeError: if they are not a team's.
    """
    if not isinstance(trajectories, TeamBatch):
        raise TypeError(f"a team learns from a TeamBatch, and was given a {type(trajectories).__name__}")
    counted = [number for number, episode in enumerate(trajectories.episodes) if episode.stop.counts]
    return trajectories if len(counted) == len(trajectories) else trajectories.chosen(counted)

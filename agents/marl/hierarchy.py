"""Teams of two levels: skills are chosen every few steps, and one shared policy acts, told its skill.

As in arXiv 2302.03429: the high level's rewards are the sums over its intervals, and it learns when enough of its steps
have come together; the low level learns from every step's own reward, every iteration.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from agentlab_runner.agents.marl.level import Level
from agentlab_runner.agents.marl.ppo import usable
from agentlab_runner.agents.marl.representation import Reduce
from agentlab_runner.agents.marl.settings import HierarchySettings
from agentlab_runner.runners.team_batch import TeamBatch, TeamEpisode
from agentlab_runner.runners.teams import TeamChoice, TeamSpec, TeamView
from agentlab_runner.runners.types import Metrics, StopReason, Trajectory

if TYPE_CHECKING:
    from agentlab_runner.runners.experiment import Trainer


@dataclass(frozen=True, slots=True)
class Sizes:
    """Of what one level sees and chooses from."""

    agents: int
    observation: int
    actions: int
    state: int
    continuous: bool


class Hierarchy:
    """A `TeamAgent` of two levels.

    A skill is chosen on an episode's first step and every `interval` steps after it, and kept in between.

    Args:
        team: the sizes of the environment.
        settings: those of `HierarchySettings`.
    """

    def __init__(self, team: TeamSpec, **settings: Any) -> None:
        self.settings = s = HierarchySettings(**settings)
        n, d, z = team.agents, team.observation, team.state
        self.high = Level(Sizes(n, d, s.skills, z, False), s.high, number=1)
        self.low = Level(Sizes(n, d + s.skills, team.actions, z, team.continuous), s.low, number=0)
        self._waiting: list[TeamBatch] = []
        """What the high level has not learnt from yet, in its own steps."""

    def setup(self, trainer: "Trainer") -> None:
        self.high.setup(trainer)
        self.low.setup(trainer)
        self._device = trainer.device

    @torch.no_grad()
    def decide(self, view: TeamView, memory: Mapping[str, Tensor], deterministic: bool) -> TeamChoice:
        skill = memory.get("skill", torch.zeros_like(view.present, dtype=torch.int64))
        said = view.observations.new_zeros(skill.shape)
        due = (view.step % self.settings.interval == 0)[:, None]
        if bool(due.any()):
            chosen, log_prob, _ = self.high.choose(replace(view, legal=None), deterministic)
            skill, said = torch.where(due, chosen, skill), torch.where(due, log_prob, said)
        told = replace(view, observations=self._told(view.observations, skill, view.present))
        actions, log_prob, attention = self.low.choose(told, deterministic)
        extras = {"log_prob": log_prob, "skill": skill, "skill_log_prob": said}
        if attention is not None:
            extras["attention"] = attention.half()
        return TeamChoice(actions, extras, {"skill": skill})

    def learn(self, trajectories: Sequence[Trajectory], trainer: "Trainer") -> Metrics:
        batch = usable(trajectories)
        if not len(batch):
            return {}
        results = self.low.learn(self._low_batch(batch), batch.extras["log_prob"], trainer)
        metrics = {_named(name, "low"): value for name, value in results.items()}
        self._waiting.append(high_batch(batch, self.settings.interval))
        self.high.representation.take(self._waiting[-1])
        waiting = sum(len(part.rewards) for part in self._waiting)
        if waiting >= self.settings.high.train_batch_size:
            whole = TeamBatch.joined(self._waiting)
            results = self.high.learn(whole, whole.extras["log_prob"], trainer)
            metrics |= {_named(name, "high"): value for name, value in results.items()}
            self._waiting, waiting = [], 0
        return metrics | {"rollout/skills_waiting": float(waiting)}

    def _told(self, observations: Tensor, skill: Tensor, present: Tensor) -> Tensor:
        """[..., N, D] and [..., N] -> [..., N, D + skills]; zeros stay zeros for one that is absent."""
        one_hot = torch.nn.functional.one_hot(skill, self.settings.skills).to(observations.dtype)
        return torch.cat([observations, one_hot * present[..., None]], dim=-1)

    def _low_batch(self, batch: TeamBatch) -> TeamBatch:
        """What the low level saw; in the final view every agent still has its last skill."""
        skill = batch.extras["skill"]
        last = skill[batch.lengths.cumsum(0) - 1]
        final = replace(
            batch.final, observations=self._told(batch.final.observations, last, batch.final.present)
        )
        return replace(batch, observations=self._told(batch.observations, skill, batch.present), final=final)

    def context(self, reduce: Reduce) -> Tensor:
        """The high level in numbers, for a teacher; see `Representation.context`."""
        return self.high.representation.context(reduce)

    def td_error(self) -> Mapping[str, float]:
        """As `TeamPPO.td_error`, of the low level."""
        return self.low.td_errors

    def state_dict(self) -> Mapping[str, Any]:
        waiting = [_saved(part) for part in self._waiting]
        return {"high": self.high.saved(), "low": self.low.saved(), "waiting": waiting}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.high.restore(state["high"])
        self.low.restore(state["low"])
        self._waiting = [_restored(part).to(self._device) for part in state["waiting"]]

    def load_weights(self, state: Mapping[str, Any]) -> None:
        """As `TransferableAgent`."""
        for level, name in ((self.high, "high"), (self.low, "low")):
            level.load_state_dict(state[name]["weights"])


def high_batch(batch: TeamBatch, interval: int) -> TeamBatch:
    """The same episodes in steps of the high level: each an interval, the last as long as the episode lasts.

    Rewards are sums over the interval; an agent is terminated or cut short in it if it is in one of its steps. Actions
    are the skills, `extras["log_prob"]` their ln pi.
    """
    firsts = batch.lengths.cumsum(0) - batch.lengths
    within = torch.arange(len(batch.rewards), device=firsts.device) - firsts.repeat_interleave(batch.lengths)
    begins = within % interval == 0
    owner = begins.cumsum(0) - 1  # [S], the interval of each step
    rows = begins.nonzero().flatten()

    def summed(values: Tensor) -> Tensor:
        return values.new_zeros(len(rows), *values.shape[1:]).index_add_(0, owner, values)

    return replace(
        batch,
        observations=batch.observations[rows],
        present=batch.present[rows],
        legal=None,
        state=batch.state[rows],
        actions=batch.extras["skill"][rows],
        extras={"log_prob": batch.extras["skill_log_prob"][rows]},
        rewards=summed(batch.rewards),
        terminated=summed(batch.terminated.int()) > 0,
        truncated=summed(batch.truncated.int()) > 0,
        final=replace(batch.final, legal=None),
        lengths=-(-batch.lengths // interval),
        draw=None,
    )


def _named(name: str, level: str) -> str:
    group, _, rest = name.partition("/")
    return f"{group}/{level}/{rest}"


def _saved(batch: TeamBatch) -> dict[str, Any]:
    """What is learnt from, without what is told of the episodes."""
    kept = {each.name: getattr(batch, each.name) for each in fields(TeamBatch) if each.name not in NOT_KEPT}
    final = {each.name: getattr(batch.final, each.name) for each in fields(TeamView)}
    return {**kept, "extras": dict(batch.extras), "final": final, "tasks": [one.task for one in batch.episodes]}


NOT_KEPT = ("episodes", "draw", "final", "extras")


def _restored(state: Mapping[str, Any]) -> TeamBatch:
    tensors = {name: value for name, value in state.items() if name not in ("tasks", "final")}
    episodes = tuple(TeamEpisode((), {}, StopReason.HORIZON, False, 0, task) for task in state["tasks"])
    return TeamBatch(**tensors, final=TeamView(**state["final"]), episodes=episodes)

"""One policy of a team and how it learns: a flat agent has one of these, a hierarchy two.

PPO as in arXiv 2302.03429 (released code), but with the mean over decisions, where that has the sum over agents of
means: so clipping gradients means the same whatever the size of the team.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from agentlab_runner.agents.marl.heads import Discrete, Gaussian, Head
from agentlab_runner.agents.marl.networks import CentralCritic, Imitator, Said, SharedMlp, Student
from agentlab_runner.agents.marl.representation import Representation
from agentlab_runner.agents.marl.settings import LevelSettings
from agentlab_runner.agents.marl.weights import load_by_name
from agentlab_runner.agents.rl.ppo import approx_kl, explained_variance, policy_loss
from agentlab_runner.agents.rl.teams import standardised, team_gae
from agentlab_runner.runners.errors import UserError
from agentlab_runner.runners.processes import collective
from agentlab_runner.runners.team_batch import TeamBatch
from agentlab_runner.runners.teams import TeamSpec, TeamView

if TYPE_CHECKING:
    from agentlab_runner.runners.experiment import Trainer

ROWS = 8192
"""Of one forward pass without gradients."""


class Level(nn.Module):
    """Policy and critic, their optimiser, and PPO.

    Args:
        team: sizes of what it sees and chooses from.
        number: tells the random streams of the levels of one agent apart.

    Raises:
        UserError: if the file of weights does not fit.
    """

    def __init__(self, team: TeamSpec, settings: LevelSettings, number: int = 0) -> None:
        super().__init__()
        self.team, self.settings, self.number = team, settings, number
        s, sizes = settings, (team.observation, team.actions, settings.hidden)
        own = s.critic == "own"
        self.network: Imitator = (
            Student(*sizes, s.heads, s.head_dim, own, s.context_size)
            if s.network == "attention"
            else SharedMlp(*sizes, own, s.context_size)
        )
        if s.weights is not None:
            load_by_name(self.network, Path(s.weights))
        self.central = None if own else CentralCritic(team.observation, team.state, s.hidden)
        self.log_std = nn.Parameter(torch.full((team.actions,), -0.5)) if team.continuous else None
        self.kl_coef = s.kl_coef
        self.representation = Representation(self.network, team.agents, s.probe_episodes)
        self.td_errors: Mapping[str, float] = {}
        """By task, the mean size of r + gamma V' - V in the newest batch."""
        self._chance = torch.Generator().manual_seed((torch.initial_seed() + number) % 2**63)

    def setup(self, trainer: "Trainer") -> None:
        """
        Raises:
            UserError: if the trainer splits weights among processes.
        """
        if trainer.strategy == "fsdp":
            raise UserError("the networks of teams are too small to be split; use trainer=ddp")
        trainer.prepare(self)
        self._optimizer = torch.optim.Adam(self.parameters(), lr=self.settings.lr, eps=1e-5, fused=True)

    # -- acting -------------------------------------------------------------------------------------------------------

    def choose(self, view: TeamView, deterministic: bool) -> tuple[Tensor, Tensor, Tensor | None]:
        """Actions, their ln pi [B, N], and who heeded whom [B, N, N] where that is known."""
        said = self.network(view.observations, view.present, critic=False)
        head = self._head(said.policy, view.legal, self.log_std)
        actions = head.mode() if deterministic else head.sample(view.uniform(self.team.actions, self.number))
        return actions, head.log_prob(actions), said.attention

    def _head(self, policy: Tensor, legal: Tensor | None, log_std: Tensor | None) -> Head:
        return Discrete(policy, legal) if log_std is None else Gaussian(policy, log_std)

    def _said(self, observations: Tensor, present: Tensor, state: Tensor) -> tuple[Said, Tensor]:
        """With values [B, N]."""
        said = self.network(observations, present)
        values = said.values if self.central is None else self.central(observations, present, state)
        assert values is not None
        return said, values

    # -- learning -----------------------------------------------------------------------------------------------------

    def learn(self, batch: TeamBatch, old_log_prob: Tensor, trainer: "Trainer") -> dict[str, float]:
        """Epochs of PPO on these episodes.

        Args:
            old_log_prob: [S, N], ln pi of the actions when they were chosen.
        """
        s = self.settings
        data = self._prepared(batch, old_log_prob)
        sums = torch.zeros(len(SUMS), device=batch.rewards.device)
        rounds, mistakes = 0, list[Tensor]()
        for epoch in range(s.epochs):
            order = torch.randperm(len(batch.rewards), generator=self._chance)
            shares: list[Tensor] = [order[:0]] * s.minibatches  # of episodes, to imitate once
            if self.network.context and epoch == 0:
                shares = list(torch.randperm(len(batch), generator=self._chance).tensor_split(s.minibatches))
            for rows, episodes in zip(order.tensor_split(s.minibatches), shares, strict=True):
                counted = int(data.counted[rows].sum())
                losses = self._losses(batch, data, rows, counted, episodes, sums, mistakes)
                if counted or len(episodes):
                    trainer.step(self._optimizer, losses, self.parameters(), s.max_grad_norm)
                rounds += counted > 0
        self.representation.take(batch)
        return self._results(sums / max(rounds, 1), mistakes, data)

    @torch.no_grad()
    def _prepared(self, batch: TeamBatch, old_log_prob: Tensor) -> "_Data":
        s = self.settings
        heads, values = [], []
        for first in range(0, len(batch.rewards), ROWS):
            part = slice(first, first + ROWS)
            said, known = self._said(batch.observations[part], batch.present[part], batch.state[part])
            values.append(known)
            heads.append(said.policy)
        final = batch.final
        _, after = self._said(final.observations, final.present, final.state)
        value = torch.cat(values) if values else batch.rewards
        advantages, returns = team_gae(batch, value, after, s.gamma, s.gae_lambda)
        tasks = sorted({episode.task for episode in batch.episodes})
        owner = torch.tensor([tasks.index(episode.task) for episode in batch.episodes], dtype=torch.int64)
        groups = owner.to(value.device).repeat_interleave(batch.lengths)
        self.td_errors = _by_task(batch, value, after, s.gamma, groups, tasks)
        groups = groups if s.standardise == "task" else torch.zeros_like(groups)
        counted = batch.present
        if s.skip_unrewarded:
            rewarded = torch.zeros(max(len(tasks), 1), dtype=torch.bool, device=value.device)
            rewarded[groups[(batch.rewards != 0).any(dim=1)]] = True
            counted = counted & rewarded[groups][:, None]
        if s.standardise != "none":
            advantages = standardised(advantages, counted, groups)
        old = torch.cat(heads) if self.kl_coef else None
        spread = None if self.log_std is None else self.log_std.clone()
        return _Data(counted, advantages, value, returns, old_log_prob, old, spread)

    def _losses(
        self, batch: TeamBatch, data: "_Data", rows: Tensor, counted: int, episodes: Tensor, sums: Tensor,
        mistakes: list[Tensor],
    ) -> Iterator[Tensor]:  # fmt: skip
        """Of one minibatch: this process's rows, weighed so that the mean over processes is of all."""
        here, processes = collective.rank(), collective.count()
        own = rows[here::processes].to(batch.rewards.device)
        if counted and len(own):
            parts = self._parts(batch, data, own)
            counts = data.counted[own].float() * (processes / counted)
            loss, found = parts[0], parts[1]
            sums += (torch.stack(found).detach() * counts).sum(dim=(1, 2)) / processes
            yield (loss * counts).sum()
        some = episodes[here::processes].to(sums.device)
        if len(episodes):
            decisions = max(int(batch.padded(batch.present)[episodes.to(sums.device)].sum()), 1)
            if not len(some):
                mistakes.append(sums.new_zeros(()))
                return
            error = self.representation.loss(batch, some)
            mistakes.append(error.detach() / decisions)
            yield error * (self.settings.imitation_coef * processes / decisions)

    def _parts(self, batch: TeamBatch, data: "_Data", rows: Tensor) -> tuple[Tensor, list[Tensor]]:
        """[R, N], the loss of each decision; and what `SUMS` names."""
        s = self.settings
        legal = None if batch.legal is None else batch.legal[rows]
        said, values = self._said(batch.observations[rows], batch.present[rows], batch.state[rows])
        head = self._head(said.policy, legal, self.log_std)
        log_prob, entropy = head.log_prob(batch.actions[rows]), head.entropy()
        old = data.old_log_prob[rows]
        log_prob = torch.where(batch.present[rows], log_prob, old)
        surrogate = policy_loss(log_prob, old, data.advantages[rows], s.clip_coef)
        error = (values - data.returns[rows]).square()
        error = error if s.vf_clip is None else error.clamp(max=s.vf_clip)
        loss = surrogate + s.vf_coef * error - s.ent_coef * entropy
        if data.old_policy is not None:
            kl = self._head(data.old_policy[rows], legal, data.old_log_std).kl(head)
            loss = loss + self.kl_coef * kl
        else:
            kl = approx_kl(log_prob, old)
        moved = (log_prob - old).expm1().abs().gt(s.clip_coef).float()
        return loss, [surrogate, error, entropy, kl, moved]

    def _results(self, sums: Tensor, mistakes: list[Tensor], data: "_Data") -> dict[str, float]:
        """Numbers of all processes; and the coefficient of the KL divergence moved to hold its target."""
        s = self.settings
        found = torch.cat([sums, torch.stack(mistakes).mean()[None] if mistakes else sums[:0]])
        everyones = collective.gather(found.cpu())
        totals = torch.stack(everyones).sum(dim=0).tolist()
        results = {f"losses/{name}": value for name, value in zip(SUMS, totals, strict=False)}
        if mistakes:
            results["losses/imitation"] = totals[len(SUMS)]
        if s.kl_coef:
            factor = 1.5 if totals[3] > 2 * s.kl_target else 0.5 if totals[3] < 0.5 * s.kl_target else 1.0
            self.kl_coef *= factor
            results["losses/kl_coef"] = self.kl_coef
        values, returns = data.values[data.counted], data.returns[data.counted]
        results["losses/explained_variance"] = explained_variance(values, returns) if len(values) else 0.0
        return results | {"rollout/learnt_from": float(len(values))}

    # -- state --------------------------------------------------------------------------------------------------------

    def saved(self) -> dict[str, Any]:
        """As a learner's `state_dict`."""
        return {
            "weights": self.state_dict(),
            "optimizer": self._optimizer.state_dict(),
            "chance": self._chance.get_state(),
            "kl_coef": self.kl_coef,
            "representation": self.representation.state_dict(),
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take back what `saved` gave."""
        self.load_state_dict(state["weights"])
        self._optimizer.load_state_dict(state["optimizer"])
        self._chance.set_state(state["chance"].cpu())
        self.kl_coef = float(state["kl_coef"])
        self.representation.load_state_dict(state["representation"])


SUMS = ("policy_loss", "value_loss", "entropy", "approx_kl", "clipfrac")


@dataclass(frozen=True, slots=True)
class _Data:
    """What is the same in all epochs, [S, N] each."""

    counted: Tensor
    """Decisions that are learnt from."""
    advantages: Tensor
    values: Tensor
    returns: Tensor
    old_log_prob: Tensor
    old_policy: Tensor | None
    """[S, N, A], as a network gives it; where the KL divergence to it is part of the loss."""
    old_log_std: Tensor | None
    """[A], of continuous actions."""


def _by_task(
    batch: TeamBatch, values: Tensor, after: Tensor, gamma: float, groups: Tensor, tasks: list[str]
) -> dict[str, float]:
    errors, _ = team_gae(batch, values, after, gamma, 0.0)
    sums = errors.new_zeros(2, len(tasks))
    sums.index_add_(1, groups, torch.stack([errors.abs().sum(dim=1), batch.present.sum(dim=1).float()]))
    return dict(zip(tasks, (sums[0] / sums[1].clamp(min=1)).tolist(), strict=True))

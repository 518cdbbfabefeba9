"""What a policy is to a teacher: the hidden state of a GRU that learns to do what the policy does."""

from collections.abc import Mapping
from typing import Any, Literal

import torch
from torch import Tensor

from agentlab_runner.agents.marl.networks import Imitator
from agentlab_runner.runners.errors import UserError
from agentlab_runner.runners.team_batch import TeamBatch

Reduce = Literal["last", "mean", "probe"]


class Representation:
    """Of one network.

    Args:
        agents: N, the largest team.
        probes: episodes of the first batch on which `probe` looks at the policy.
    """

    def __init__(self, network: Imitator, agents: int, probes: int) -> None:
        self._network, self._agents, self._probes = network, agents, probes
        self._newest: tuple[Tensor, Tensor] | None = None
        """Observations [E, T, N, D] and who was present [E, T, N]."""
        self._probe: tuple[Tensor, Tensor] | None = None

    def take(self, batch: TeamBatch) -> None:
        """Episodes that were learnt from just now."""
        if not self._network.context or not len(batch):
            return
        self._newest = batch.padded(batch.observations), batch.padded(batch.present)
        self._last = int(batch.lengths[-1])
        if self._probe is None:
            observations, present = self._newest
            self._probe = observations[: self._probes].clone(), present[: self._probes].clone()

    @torch.no_grad()
    def context(self, reduce: Reduce) -> Tensor:
        """The policy in numbers, on the CPU.

        `last`: the hidden states of all agents at the newest episode's last step, zeros of those that are absent
        (released); [N * context]. `mean`: the mean over agents and steps of the newest episodes; `probe`: over those
        of the first, kept for this; [context] whatever the size of the team. Zeros before anything was learnt.

        Raises:
            UserError: if the policy has no such head.
        """
        size = self._network.context
        if not size:
            raise UserError("this agent has no representation for a teacher; give it one with agent.context_size=32")
        seen = self._probe if reduce == "probe" else self._newest
        if seen is None:
            return torch.zeros(size * (self._agents if reduce == "last" else 1))
        observations, present = seen
        if reduce == "last":
            states = self._network.hidden(observations[-1:, : self._last])[0, -1]  # [N, context]
            return (states * present[-1, self._last - 1, :, None]).flatten().cpu()
        states = self._network.hidden(observations)
        mean: Tensor = (states * present[..., None]).sum(dim=(0, 1, 2)) / present.sum().clamp(min=1)
        return mean.cpu()

    def loss(self, batch: TeamBatch, rows: Tensor) -> Tensor:
        """The summed error in saying what was done in some episodes: cross entropy, or half the squared error.

        Args:
            rows: numbers of the episodes, one at least.
        """
        here = batch.padded(batch.present)[rows]
        states = self._network.hidden(batch.padded(batch.observations)[rows])
        said = self._network.fc2(states[here])  # [K, A]
        done = batch.padded(batch.actions)[rows][here]
        loss: Tensor
        if done.is_floating_point():
            loss = 0.5 * (said - done).square().sum()
        else:
            loss = torch.nn.functional.cross_entropy(said, done, reduction="sum")
        return loss

    def state_dict(self) -> dict[str, Any]:
        return {} if self._probe is None else {"observations": self._probe[0], "present": self._probe[1]}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        if state:
            device = next(self._network.parameters()).device
            self._probe = state["observations"].to(device), state["present"].to(device)

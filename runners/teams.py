"""The nouns of teams: what several agents see, choose and are given, many episodes at once, as tensors.

B counts rows, each an episode under way; N agents, as many as the largest team has; A actions; D and Z numbers.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import torch
from torch import Tensor

from agentlab_runner.runners.experiment import Learner, Trainer
from agentlab_runner.runners.types import Metrics, Start, Trajectory

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

SHOWN = ("skill", "attention")
"""Extras of a choice that a picture can show: [B, N] which skill each agent follows; [B, N, N] how much row heeds
column."""


class TeamSpec(Protocol):
    """The sizes of an environment."""

    @property
    def agents(self) -> int:
        """N."""

    @property
    def observation(self) -> int:
        """D, numbers that one agent sees."""

    @property
    def actions(self) -> int:
        """A: how many there are to choose from; or, where they are `continuous`, how many numbers one action has."""

    @property
    def continuous(self) -> bool: ...

    @property
    def state(self) -> int:
        """Z, numbers that say everything; for critics and pictures."""


class Seen(Protocol):
    """What an environment shows; its tensors are never written to again."""

    @property
    def observations(self) -> Tensor:
        """[B, N, D] float32; zeros for an agent that is not there."""

    @property
    def present(self) -> Tensor:
        """[B, N] bool: in the team, and alive."""

    @property
    def legal(self) -> Tensor | None:
        """[B, N, A] bool, at least one for each that is present; None: every action is."""

    @property
    def state(self) -> Tensor:
        """[B, Z] float32."""


class Outcome(Protocol):
    """What came of a step."""

    @property
    def rewards(self) -> Tensor:
        """[B, N] float32."""

    @property
    def terminated(self) -> Tensor:
        """[B, N] bool: nothing that this agent could still do would be rewarded. Not set for one that died while the
        team goes on to earn for all."""

    @property
    def truncated(self) -> Tensor:
        """[B, N] bool: it is cut short here, by a limit of steps, say."""

    @property
    def ended(self) -> Tensor:
        """[B] bool: the episode is over."""

    @property
    def success(self) -> Tensor:
        """[B] bool; counts where `ended`."""

    @property
    def measures(self) -> Mapping[str, Tensor]:
        """[B] numbers by name, of the episode; count where `ended`."""

    @property
    def stops(self) -> Mapping[int, tuple[str, str]]:
        """By row, a `StopReason` and why in words, of episodes that ended otherwise than the flags tell."""


class BatchedEnv(Protocol):
    """`num_envs` rows of one environment, stepped at once.

    An episode is a function of its seed, its task and the actions alone, whatever row it has. Rows whose episode is
    over may be stepped on before they are reset; what comes of it is nobody's.
    """

    @property
    def spec(self) -> TeamSpec: ...

    @property
    def tasks(self) -> Mapping[str, Mapping[str, float]]:
        """What a curriculum may choose from: by name, the numbers that make it (`{"n": 4, "radius": 0.2}`)."""

    def reset(self, rows: Tensor, seeds: Tensor, tasks: Sequence[str | None]) -> Sequence[Mapping[str, Any]]:
        """Begin episodes.

        Args:
            rows: [K] int64.
            seeds: [K] int64, 0 a seed like any other.
            tasks: K names; None: the one that the environment itself is about.

        Returns:
            K infos as of Gymnasium's reset: `task`, `goal`, `level`, `conditions`, as far as there are any.

        Raises:
            ValueError: if a task is none of `tasks`.
        """

    def view(self) -> Seen: ...

    def step(self, actions: Tensor) -> Outcome:
        """
        Args:
            actions: [B, N] int64, or [B, N, A] float32; those of agents that are not present are nobody's.
        """

    def close(self) -> None: ...


class DrawnEnv(BatchedEnv, Protocol):
    """One whose moments can be seen; recorded episodes then have pictures."""

    def picture(self, state: Tensor, present: Tensor, shown: Mapping[str, Tensor]) -> "NDArray[np.uint8]":
        """One moment from above.

        Args:
            state: [Z].
            present: [N].
            shown: those of `SHOWN` that there are, without the row.

        Returns:
            [H, W, 3].
        """


@dataclass(frozen=True, slots=True)
class TeamView:
    """What an agent decides on."""

    observations: Tensor
    """[B, N, D] float32."""
    present: Tensor
    """[B, N] bool."""
    legal: Tensor | None
    """[B, N, A] bool."""
    state: Tensor
    """[B, Z] float32."""
    keys: Tensor
    """[B] int64: the episode's own, from its seed and its number."""
    step: Tensor
    """[B] int64: decisions made before in this episode."""

    def uniform(self, count: int, stream: int = 0) -> Tensor:
        """[B, N, count] float32 in (0, 1): chance that depends on episode, step, agent and stream alone.

        So what is sampled does not depend on which other episodes are played beside, or in which process.
        """
        team = self.present.shape[1]
        places = torch.arange(team * count, device=self.keys.device) + (stream << 40)
        bits = mixed(mixed(self.keys + mixed(self.step))[:, None] + mixed(places))
        return (((bits >> 41).float() + (2**22 + 0.5)) * 2.0**-23).view(-1, team, count)


@dataclass(frozen=True, slots=True)
class TeamChoice:
    """What an agent chose for every row."""

    actions: Tensor
    """[B, N] int64, or [B, N, A] float32."""
    extras: Mapping[str, Tensor] = field(default_factory=dict)
    """[B, ...] by name, what the learner needs later; see `SHOWN`."""
    memory: Mapping[str, Tensor] = field(default_factory=dict)
    """[B, ...] by name, given back at the next decision; zeros at an episode's first."""


class TeamAgent(Learner, Protocol):
    """Chooses for whole teams, and learns from what came of it."""

    def decide(self, view: TeamView, memory: Mapping[str, Tensor], deterministic: bool) -> TeamChoice:
        """
        Args:
            memory: what the last choice gave; empty at the very first.
        """

    def learn(self, trajectories: Sequence[Trajectory], trainer: Trainer) -> Metrics:
        """As `LearningAgent.learn`; they are a `TeamBatch`."""


def mixed(values: Tensor) -> Tensor:
    """int64 numbers scrambled, so that every bit depends on every bit (splitmix64's finaliser, Steele et al. 2014)."""
    values = (values ^ _shifted(values, 30)) * -4658895280553007687
    values = (values ^ _shifted(values, 27)) * -7723592293110705685
    return values ^ _shifted(values, 31)


def _shifted(values: Tensor, bits: int) -> Tensor:
    """As unsigned numbers are shifted."""
    return (values >> bits) & ((1 << (64 - bits)) - 1)


def episode_keys(starts: Sequence[Start], device: "torch.device | str" = "cpu") -> Tensor:
    """[K] int64, of episodes that begin so: `TeamView.keys`."""
    seeds = torch.tensor([start.seed for start in starts], dtype=torch.int64, device=device)
    numbers = torch.tensor([start.number for start in starts], dtype=torch.int64, device=device)
    return mixed(mixed(seeds + 0x1E3779B97F4A7C15) + numbers)

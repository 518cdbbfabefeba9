"""Simple-Spread of mpe2 1.1.1, batched: agents cover landmarks and keep out of one another's way."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from agentlab_runner.envs.mpe.particles import Particles
from agentlab_runner.envs.mpe.settings import CoverSettings, SpreadSettings
from agentlab_runner.envs.mpe.sight import Sight
from agentlab_runner.envs.mpe.world import Kind


class Covering(Particles):
    """Landmarks are to be covered.

    Args:
        covering: which movers can.
    """

    settings: CoverSettings
    success_reward = 1.0

    def __init__(
        self,
        settings: CoverSettings,
        device: "torch.device | str",
        movers: Sequence[Kind],
        landmarks: Kind,
        covering: slice,
    ) -> None:
        super().__init__(settings, device, movers, [landmarks], accel=5.0)
        self._to_landmarks = self.world.distances[covering, : landmarks.count]
        team = slice(0, self.agents)
        self._apart, self._touch = self.world.between(team, team)
        self._touches = torch.zeros_like(self._apart)  # zeros and ones, which are faster to add up than booleans
        self._hits = torch.zeros(self.agents, settings.num_envs, dtype=self.dtype, device=device)

    def _conditions(self) -> Mapping[str, str]:
        return {"rewards": self.settings.reward}

    def _begun(self, rows: Tensor) -> None:
        self._hits.index_fill_(1, rows, 0)

    def _nearest(self) -> Tensor:
        """[L, B], from each landmark to the nearest disc that can cover it."""
        return self._to_landmarks.amin(dim=0)

    def _covered(self, nearest: Tensor) -> Tensor:
        """[L, B] bool, True of landmarks that are not there."""
        covered: Tensor = nearest < self.level
        return covered | ~self.present.t() if self.mixed else covered

    def _judge(self) -> tuple[Tensor, Tensor | None]:
        hits = torch.lt(self._apart, self._touch, out=self._touches).sum(dim=1)
        self._hits += hits
        nearest, keys = self._nearest(), self.settings
        sparse = keys.reward == "sparse"
        reached = self._covered(nearest).all(dim=0) if sparse or keys.terminate_on_success else None
        if sparse:
            assert reached is not None
            rewards = reached.to(self.dtype) * self.success_reward - hits * keys.collision_penalty
        else:
            far = nearest.where(self.present.t(), 0) if self.mixed else nearest
            shared = far.cumsum(dim=0)[-1] * (keys.local_ratio - 1)
            rewards = torch.sub(shared, hits, alpha=keys.local_ratio)
        return rewards, reached

    def _summary(self) -> tuple[Tensor, Mapping[str, Tensor]]:
        covered = self._covered(self._nearest())
        coverage = (covered & self.present.t()).sum(dim=0) / self.sizes
        hits = self._hits.sum(dim=0) / (self.sizes * self.steps)
        return covered.all(dim=0), {"coverage": coverage, "collisions": hits}

    def _ring(self, level: float) -> float | None:
        return level


class Spread(Covering):
    """N agents and N landmarks.

    With `reward=dense` and `radius=0.1` it is `mpe2.simple_spread_v3` number for number, `terminate_on_success`
    included. Success is that every landmark is covered at the last step.

    Args:
        keys: those of `SpreadSettings`, but for `num_envs`.
    """

    def __init__(self, num_envs: int = 1, device: "torch.device | str" = "cpu", **keys: Any) -> None:
        settings = SpreadSettings(num_envs=num_envs, **keys)
        count = max(settings.sizes)
        agents, landmarks = Kind(count, radius=0.15), Kind(count, solid=False)
        super().__init__(settings, device, [agents], landmarks, slice(0, count))

    def _sight(self) -> Sight:
        discs = range(2 * self.agents)
        if (nearest := self.settings.neighbors) is not None:
            landmarks, agents = discs[: self.agents], discs[self.agents :]
            return Sight(self.world, self.agents, [], [landmarks, agents], nearest)
        silent = [-1] * (self.agents - 1)  # what each other says
        return Sight(self.world, self.agents, [*discs, *silent])

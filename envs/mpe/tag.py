"""Simple-Tag of mpe2 1.1.1, batched, from the predators' side: they hunt one prey that a script moves."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from agentlab_runner.envs.mpe.particles import Particles
from agentlab_runner.envs.mpe.settings import TagSettings
from agentlab_runner.envs.mpe.sight import Sight
from agentlab_runner.envs.mpe.world import DT, Kind

OBSTACLES = 2
PREY_ACCEL = 4.0
PREY_MAX_SPEED = 1.3
EDGE = 0.9
"""Beyond it mpe2's prey is punished."""
EDGE_PULL = 20.0


class Tag(Particles):
    """N predators, one prey and two obstacles.

    Predators have radius .075, top speed 1 and acceleration 3; the prey .05, 1.3 and 4; obstacles have radius .2. All
    predators get 10 for each of them that touches the prey. Success is that it was touched at any step.

    The prey is ours, mpe2 has none: it accelerates as fast as it can along the sum of the directions away from all
    predators, each divided by its distance, and back towards the middle by 20 for each unit beyond .9 on either axis.

    Args:
        keys: those of `TagSettings`, but for `num_envs`.
    """

    settings: TagSettings

    def __init__(self, num_envs: int = 1, device: "torch.device | str" = "cpu", **keys: Any) -> None:
        settings = TagSettings(num_envs=num_envs, **keys)
        count = max(settings.sizes)
        predators = Kind(count, radius=0.075, max_speed=1.0)
        prey = Kind(1, radius=0.05, max_speed=PREY_MAX_SPEED, team=False)
        obstacles = Kind(OBSTACLES, radius=0.2, area=0.9, team=False)
        super().__init__(settings, device, [predators, prey], [obstacles], accel=3.0)
        team, last = slice(0, count), slice(count, count + 1)
        self._to_prey, self._reach = (pair[:, 0] for pair in self.world.between(team, last))
        self._apart, self._touch = self.world.between(team, team)
        self._hits, self._caught = torch.zeros(2, num_envs, dtype=self.dtype, device=device)
        limits = self.world.max_speed
        assert limits is not None
        self.world.max_speed = limits.repeat(1, 1, num_envs)
        self._begun(torch.arange(num_envs, device=device))

    def flight(self) -> Tensor:
        """[1, 2, B], the prey's force: its script."""
        place = self.world.at[-1]
        away = self.world.away[: self.agents, -1]  # [N, 2, B], from predators to the prey
        shares = away / (self._to_prey * self._to_prey)[:, None]
        outside = place - place.clamp(-EDGE, EDGE)
        heading = shares.cumsum(dim=0)[-1] - outside * EDGE_PULL
        length = (heading[0] * heading[0] + heading[1] * heading[1]).sqrt().clamp_min(1e-12)
        force: Tensor = heading / length * (PREY_ACCEL * self.level)
        return force[None]

    def _chosen(self, actions: Tensor) -> Tensor:
        return torch.cat([super()._chosen(actions), self.flight() * DT])

    def _begun(self, rows: Tensor) -> None:
        for counts in (self._hits, self._caught):
            counts.index_fill_(0, rows, 0)
        assert self.world.max_speed is not None
        self.world.max_speed[-1, 0].copy_(self.level * PREY_MAX_SPEED)

    def _judge(self) -> tuple[Tensor, Tensor | None]:
        touches = (self._to_prey < self._reach).sum(dim=0)
        self._hits += (self._apart < self._touch).sum(dim=(0, 1))
        caught = touches > 0
        self._caught += caught
        rewards = touches.to(self.dtype) * 10
        if self.settings.shaped:
            far = self._to_prey.where(self.present.t(), 0) if self.mixed else self._to_prey
            rewards = rewards - 0.1 * far.cumsum(dim=0)[-1]
        return rewards.expand(self.agents, -1), caught

    def _summary(self) -> tuple[Tensor, Mapping[str, Tensor]]:
        hits = self._hits / (self.sizes * self.steps)
        return self._caught > 0, {"caught": self._caught / self.steps, "collisions": hits}

    def _sight(self) -> Sight:
        world, count = self.world, self.agents
        obstacles, predators = range(OBSTACLES), range(OBSTACLES, OBSTACLES + count)
        prey, prey_velocity = OBSTACLES + count, OBSTACLES + 2 * count + 1
        if (nearest := self.settings.neighbors) is not None:
            return Sight(world, count, [*obstacles, prey, prey_velocity], [predators], nearest)
        return Sight(world, count, [*obstacles, *predators, prey, prey_velocity])

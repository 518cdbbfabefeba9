"""What agents see of one another and of all else: everything in a fixed order, or the nearest of each kind."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from agentlab_runner.envs.mpe.world import World


class Sight:
    """Own velocity, own position, then further pairs of numbers.

    Args:
        world: whose numbers are seen.
        agents: N, the first movers.
        shown: places in `World.numbers` that every agent sees: those of discs relative to itself, but its own; those of
            velocities as they are; -1, the zero at the end, says nothing.
        sought: discs of which an agent sees only the `nearest`: as many places as that, the nearest first and zeros
            where there are fewer, behind all that is shown; and at the end of an observation which of them are there.
        nearest: K.
    """

    def __init__(
        self, world: World, agents: int, shown: Sequence[int], sought: Sequence[range] = (), nearest: int = 0
    ) -> None:
        self._world, self._agents, self._nearest = world, agents, nearest
        self._sought = [slice(columns.start, columns.stop) for columns in sought]
        discs, zero = world.still + world.movers, len(world.numbers) - 1
        columns, origins = [], []
        for agent in range(agents):
            own = world.still + agent
            others = [column for column in shown if column != own]
            columns += [discs + agent, own, *(column % (zero + 1) for column in others)]
            origins += [zero, zero, *(own if 0 <= column < discs else zero for column in others)]
        device = world.numbers.device
        self._columns, self._origins = torch.tensor(columns, device=device), torch.tensor(origins, device=device)
        self._pairs = len(columns) // agents
        self._bits = len(sought) * nearest
        self.size = 2 * (self._pairs + self._bits) + self._bits
        """Numbers of an observation."""

    def seen(self) -> Tensor:
        """[B, N, D] float32."""
        numbers = self._world.numbers
        parts = [numbers.index_select(0, self._columns) - numbers.index_select(0, self._origins)]
        if self._sought:
            found = [self._closest(columns) for columns in self._sought]
            own = parts[0].view(self._agents, self._pairs, 2, -1)
            bits = [there.to(own.dtype) for _, there in found]
            parts = [part.flatten(1, 2) for part in (own, *(places for places, _ in found))] + bits
        numbers = torch.cat(parts, dim=1).float()
        return numbers.view(self._agents * self.size, -1).t().contiguous().view(-1, self._agents, self.size)

    def _closest(self, columns: slice) -> tuple[Tensor, Tensor]:
        """[N, K, 2, B] places, and [N, K, B] bool, which of them are of discs that are there."""
        count = min(self._nearest, columns.stop - columns.start)
        near, which = self._world.distances[: self._agents, columns].topk(count, dim=1, largest=False)
        there = near.isfinite()
        index = which[:, :, None].expand(-1, -1, 2, -1)
        places = self._world.away[: self._agents, columns].gather(1, index) * there[:, :, None]
        lacking = self._nearest - count
        return F.pad(places, (0, 0, 0, 0, 0, lacking)), F.pad(there, (0, 0, 0, lacking))

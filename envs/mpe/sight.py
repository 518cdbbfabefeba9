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
        places, origins = [], []
        for agent in range(agents):
            own = world.still + agent
            others = [place for place in shown if place != own]
            places += [discs + agent, own, *(zero if place < 0 else place for place in others)]
            origins += [zero, zero, *(own if 0 <= place < discs else zero for place in others)]
        self._pairs = len(places) // agents
        places += range(zero)  # the state
        origins += [zero] * zero
        device = world.numbers.device
        self._places, self._origins = torch.tensor(places, device=device), torch.tensor(origins, device=device)
        self._taken, self._less = (world.numbers.new_empty(len(places), *world.numbers.shape[1:]) for _ in range(2))
        self._widths = [2 * self._pairs * agents, 2 * zero]
        self._bits = len(sought) * nearest
        self.size = 2 * (self._pairs + self._bits) + self._bits
        """D, numbers of an observation."""
        self.state = 2 * zero
        """Z: positions of marks and of movers, velocities, `World.task`."""

    def seen(self) -> tuple[Tensor, Tensor]:
        """Observations [B, N, D] and state [B, Z], float32."""
        torch.index_select(self._world.numbers, 0, self._places, out=self._taken)
        torch.index_select(self._world.numbers, 0, self._origins, out=self._less)
        taken = self._taken.sub_(self._less).to(torch.float32, copy=True).flatten(0, 1).t().contiguous()  # [B, N C + Z]
        own, state = torch.split(taken, self._widths, dim=1)
        observations = own.view(-1, self._agents, 2 * self._pairs)
        if not self._sought:
            return observations, state
        found = [self._closest(columns) for columns in self._sought]
        parts = [places.flatten(1, 2) for places, _ in found] + [there.to(places.dtype) for places, there in found]
        return torch.cat([observations, torch.cat(parts, dim=1).float().movedim(2, 0)], dim=2), state

    def _closest(self, columns: slice) -> tuple[Tensor, Tensor]:
        """[N, K, 2, B] places, and [N, K, B] bool, which of them are of discs that are there."""
        count = min(self._nearest, columns.stop - columns.start)
        near, which = self._world.distances[: self._agents, columns].topk(count, dim=1, largest=False)
        there = near.isfinite()
        index = which[:, :, None].expand(-1, -1, 2, -1)
        places = self._world.away[: self._agents, columns].gather(1, index) * there[:, :, None]
        lacking = self._nearest - count
        return F.pad(places, (0, 0, 0, 0, 0, lacking)), F.pad(there, (0, 0, 0, lacking))

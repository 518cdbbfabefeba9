"""Discs on a plane that are pushed, damped and collide as in mpe2 1.1.1, in many worlds at once.

B counts worlds, M discs that move, L that do not, K = L + M. Worlds come last, [..., 2, B] for points and [..., B] for
numbers, so that every operation serves whole batches. It rounds alike wherever a world stands in the batch.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

DT = 0.1
DAMPING = 0.25
CONTACT_FORCE = 100.0
CONTACT_MARGIN = 1e-3
NEAREST = 1e-12
"""Distances are no less, so that two discs on one spot push each other nowhere instead of to NaN as in mpe2."""


@dataclass(frozen=True, slots=True)
class Kind:
    """Discs that are alike."""

    count: int
    radius: float = 0.05
    mass: float = 1.0
    max_speed: float | None = None
    solid: bool = True
    area: float = 1.0
    """They begin anywhere in [-area, area]^2."""
    team: bool = True
    """There are as many as the team of a world has agents, at most `count`; else always `count`."""


class World:
    """Positions and velocities.

    Args:
        movers: kinds that move, all of them solid.
        marks: kinds that do not; either all are solid or none is.
        mixed: whether teams of different sizes may be played.
    """

    def __init__(
        self,
        movers: Sequence[Kind],
        marks: Sequence[Kind],
        num_envs: int,
        device: "torch.device | str",
        dtype: torch.dtype,
        mixed: bool,
    ) -> None:
        like: dict[str, Any] = {"device": device, "dtype": dtype}
        moving, still = sum(kind.count for kind in movers), sum(kind.count for kind in marks)
        self.movers, self.still, self._mixed = moving, still, mixed
        self.numbers = torch.zeros(still + 2 * moving + 2, 2, num_envs, **like)
        """[L + 2 M + 2, 2, B]: positions of marks and of movers, velocities, `task`, and a zero."""
        self.task = self.numbers[-2]
        """[2, B]: agents in the team, which says who is there, and a number that is none of the physics."""
        discs = self.numbers[: still + moving]
        self.at = discs[still:]
        """[M, 2, B], a part of `numbers`, as is the next."""
        self.velocity = self.numbers[still + moving : -2]
        """[M, 2, B]."""
        self.away = torch.zeros(moving, still + moving, 2, num_envs, **like)
        """[M, K, 2, B]: from each mover to each disc, marks first."""
        self.distances = torch.zeros(moving, still + moving, num_envs, **like)
        """[M, K, B]; infinite to itself and to and from a disc that is not there."""
        solid = 0 if any(kind.solid for kind in marks) else still  # the first disc that is
        radii = torch.tensor([kind.radius for kind in (*marks, *movers) for _ in range(kind.count)], **like)
        self.reach = (radii[still:, None] + radii)[:, :, None]
        """[M, K, 1]: a pair nearer than that touches."""
        masses = torch.tensor([kind.mass for kind in movers for _ in range(kind.count)], **like)
        self._gains = (-CONTACT_FORCE * DT / masses)[:, None, None]
        speeds = [kind.max_speed for kind in movers for _ in range(kind.count)]
        self.max_speed: Tensor | None = None
        """[M, 1, 1] or [M, 1, B]; None: there is no limit."""
        if any(speed is not None for speed in speeds):
            limits = [float("inf") if speed is None else speed for speed in speeds]
            self.max_speed = torch.tensor(limits, **like)[:, None, None]
        self._to, self._from = discs, self.at[:, None]
        self._solid = self.reach[:, solid:], self.distances[:, solid:], self.away[:, solid:]
        # Kernels of the CPU take numbers that lie side by side several at a time and the rest one by one, and round
        # exp, log and `sum` otherwise in the two ways. Numbers that lie apart are all taken one by one, and `cumsum`
        # goes from the first to the last.
        self._sums = torch.zeros_like(self.away[:, solid:])
        self._gaps = torch.zeros(*self._solid[1].shape, 2, **like)[..., 0]
        self._sides = self.away[:, :, 0], self.away[:, :, 1]
        self._slots = _slots([*marks, *movers], device)
        square = torch.ones(moving, still + moving, dtype=torch.bool, device=device)
        self._itself = square.triu(still).tril(still)[:, :, None]
        self._least = self._least_of(torch.ones_like(self._slots, dtype=torch.bool))
        if mixed:
            self._least = self._least.repeat(1, 1, num_envs)
        self.look()

    def place(self, rows: Tensor, movers: Sequence[Tensor], marks: Sequence[Tensor]) -> None:
        """Begin worlds anew, all at rest; discs that are not there are at the origin, where nothing meets them.

        Args:
            rows: [R] int64.
            movers: of each kind, [its count, 2, R] positions.
            marks: the same.
        """
        numbers = torch.cat([*marks, *movers, *map(torch.zeros_like, movers)])
        if self._mixed:
            here = self._slots < self.task[0, rows]
            self._least.index_copy_(2, rows, self._least_of(here))
            numbers[: len(here)] *= here[:, None]
        self.numbers[:-2].index_copy_(2, rows, numbers)
        self.look()

    def move(self, kicks: Tensor) -> None:
        """One step: positions by the old velocities, then velocities by the forces at the old positions.

        Two discs push each other apart by CONTACT_FORCE k log(1 + exp((r_1 + r_2 - d) / k)), k the margin.

        Args:
            kicks: [m, 2, B], forces on the first m movers, over their masses and times DT.
        """
        reach, distances, away = self._solid
        torch.sub(reach, distances, out=self._gaps)
        depths = F.softplus(self._gaps, beta=1 / CONTACT_MARGIN, threshold=40).div_(distances)
        pulls = away.mul_(depths[:, :, None])  # `away` is made anew below
        pushes = torch.cumsum(pulls, 1, out=self._sums)[:, -1] * self._gains
        self.at += self.velocity * DT
        self.velocity.mul_(1 - DAMPING).add_(pushes)
        driven = self.velocity if len(kicks) == self.movers else self.velocity[: len(kicks)]
        driven += kicks
        if self.max_speed is not None:
            squares = self.velocity * self.velocity
            speeds = (squares[:, :1] + squares[:, 1:]).sqrt_()
            self.velocity *= (self.max_speed / speeds).clamp_max_(1)
        self.look()

    def look(self) -> None:
        """Directions and distances as they are now."""
        torch.sub(self._to, self._from, out=self.away)
        along, across = self._sides
        torch.addcmul(self._least, along, along, out=self.distances)
        self.distances.addcmul_(across, across).sqrt_()

    def between(self, first: slice, second: slice) -> tuple[Tensor, Tensor]:
        """Of movers: [m, m', B] distances, which always are as they are now, and [m, m', 1] below which they touch."""
        columns = slice(self.still + second.start, self.still + second.stop)
        return self.distances[first, columns], self.reach[first, columns]

    def _least_of(self, here: Tensor) -> Tensor:
        """[M, K, ...] out of [K, ...]: NEAREST squared, and infinite between discs that do not meet."""
        meet = here[self.still :, None] & here & ~self._itself
        least = torch.full(meet.shape, NEAREST**2, dtype=self.numbers.dtype, device=meet.device)
        return least.masked_fill_(~meet, float("inf"))


def _slots(kinds: Sequence[Kind], device: "torch.device | str") -> Tensor:
    """[discs, 1]: each is there in larger teams than that; -1: always."""
    slots = [place if kind.team else -1 for kind in kinds for place in range(kind.count)]
    return torch.tensor(slots, dtype=torch.int64, device=device)[:, None]

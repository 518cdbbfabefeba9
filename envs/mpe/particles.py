"""What the particle environments share: rows, tasks, episodes, actions and what is handed out.

B counts rows, N agents, as many as the largest team has; for the other letters see `world.py`.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from agentlab_runner.envs.batched import Outcome, Spec, View, draws
from agentlab_runner.envs.mpe.settings import ParticleSettings
from agentlab_runner.envs.mpe.sight import Sight
from agentlab_runner.envs.mpe.world import DT, Kind, World

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from agentlab_runner.envs.mpe.drawing import Scene

DIRECTIONS = ((0.0, -1.0, 1.0, 0.0, 0.0), (0.0, 0.0, 0.0, -1.0, 1.0))
"""[2, 5], of the discrete actions: nothing, left, right, down, up."""


class Particles(ABC):
    """A batched environment (`runners/teams.py`) of agents among other discs.

    An episode starts from draws that its seed decides alone.

    Args:
        settings: its keys.
        movers: kinds that move, the agents first.
        marks: kinds that do not.
        accel: force of a whole action; agents have mass 1.
    """

    def __init__(
        self,
        settings: ParticleSettings,
        device: "torch.device | str",
        movers: Sequence[Kind],
        marks: Sequence[Kind],
        accel: float,
    ) -> None:
        rows, dtype = settings.num_envs, getattr(torch, settings.dtype)
        self.settings, self.device, self.dtype = settings, device, dtype
        self.agents = movers[0].count
        self.mixed = len(settings.sizes) > 1
        self.world = World(movers, marks, rows, device, dtype, self.mixed)
        self.tasks: Mapping[str, Mapping[str, float]] = settings.choices
        self._movers, self._marks = movers, marks
        self._key, _ = settings.LEVEL
        self._own = settings.name(settings.own)
        self._numbers: dict[str | None, Mapping[str, float]] = {None: settings.own}
        self._numbers.update(self.tasks)
        told = {"conditions": self._conditions()}
        self._infos = {task: {"task": task or self._own, **told} for task in self._numbers}
        self._kick = accel * DT
        self._kicks = torch.tensor(DIRECTIONS, device=device, dtype=dtype) * self._kick
        self.sizes, self.level = self.world.task
        """[B] each: agents in the team, and the other number of the task (`ParticleSettings.LEVEL`)."""
        self.sizes.fill_(settings.n)
        self.level.fill_(settings.own[settings.LEVEL[0]])
        self.steps = torch.zeros(rows, dtype=torch.int64, device=device)
        self._until = settings.horizon  # no episode is cut short before so many steps
        self.present = self._present()
        self._never = torch.zeros(rows, self.agents, dtype=torch.bool, device=device)
        self._none = self._never[:, 0]
        self._view: View | None = None
        self.sight = self._sight()
        self.spec = Spec(
            agents=self.agents, observation=self.sight.size, actions=5, continuous=settings.actions == "continuous",
            state=self.sight.state,
        )  # fmt: skip

    @abstractmethod
    def _sight(self) -> Sight:
        """What agents see; built once."""

    @abstractmethod
    def _judge(self) -> tuple[Tensor, Tensor | None]:
        """What the step that was just taken is worth.

        Returns:
            [N, B] rewards; and [B] bool, whether the goal is reached, or None where nobody asks.
        """

    @abstractmethod
    def _summary(self) -> tuple[Tensor, Mapping[str, Tensor]]:
        """[B] bool, success; and measures of the episodes as if all ended now."""

    def _conditions(self) -> Mapping[str, str]:
        return {}

    @abstractmethod
    def _begun(self, rows: Tensor) -> None:
        """Episodes were begun in these rows."""

    def reset(self, rows: Tensor, seeds: Tensor, tasks: Sequence[str | None]) -> Sequence[Mapping[str, Any]]:
        """Begin episodes; see `runners/teams.py`."""
        for task in tasks:
            if task not in self._numbers:
                offered = ", ".join(self.tasks) or "there are none; list them in env.tasks"
                raise ValueError(f"there is no task {task!r} (tasks: {offered})")
        if self.tasks:
            numbers = [self._numbers[task] for task in tasks]
            told = torch.tensor([[each["n"] for each in numbers], [each[self._key] for each in numbers]])
            self.world.task.index_copy_(1, rows, told.to(self.world.task))
            self.present = self._present()
        kinds = [*self._movers, *self._marks]
        most = max(kind.count for kind in kinds)
        chance = draws(seeds, 0, most * len(kinds) * 2).mul_(2).sub_(1).to(self.dtype)
        chance = chance.view(len(seeds), most, len(kinds), 2).permute(2, 1, 3, 0)  # so more discs change no others
        places = [own[: kind.count] * kind.area for kind, own in zip(kinds, chance, strict=True)]
        self.world.place(rows, places[: len(self._movers)], places[len(self._movers) :])
        self.steps.index_fill_(0, rows, 0)
        self._until = min(self._until, self.settings.horizon)
        self._begun(rows)
        self._view = None
        return [self._infos[task] for task in tasks]

    def view(self) -> View:
        """What is there to be seen, as long as nobody acts."""
        if self._view is None:
            seen, state = self.sight.seen()
            if self.mixed:
                seen = seen * self.present[:, :, None]
            self._view = View(seen, self.present, state)
        return self._view

    def step(self, actions: Tensor) -> Outcome:
        """All agents act.

        Args:
            actions: [B, N] int64 from 0 to 4, or [B, N, 5] float in [0, 1], clipped, the force along x being the third
                less the second and along y the fifth less the fourth.
        """
        self.world.move(self._chosen(actions))
        self._view = None
        self.steps += 1
        self._until -= 1
        rewards, reached = self._judge()
        if self.mixed:
            rewards = rewards * self.present.t()
        given = rewards.t().to(torch.float32, memory_format=torch.contiguous_format)
        never, none = self._never, self._none
        done = reached if self.settings.terminate_on_success else None
        if done is None and self._until > 0:
            return Outcome(given, never, never, none, none)
        late = self.steps >= self.settings.horizon
        ended = late if done is None else late | done
        self._until = int(self.settings.horizon - self.steps.masked_fill(late, 0).max())
        success, measures = self._summary() if bool(ended.any()) else (none, {})
        truncated, terminated = (flags[:, None].expand_as(never) for flags in (late, ended & ~late))
        return Outcome(given, terminated, truncated, ended, success, measures)

    def picture(self, state: Tensor, present: Tensor, shown: Mapping[str, Tensor]) -> "NDArray[np.uint8]":
        """[H, W, 3], one moment from above; see `drawing.py`."""
        from agentlab_runner.envs.mpe.drawing import drawn  # Pillow, which most runs need at their end only

        return drawn(self._scene(state.cpu(), present.cpu()), {name: value.cpu() for name, value in shown.items()})

    def close(self) -> None:  # noqa: B027
        """Nothing is kept open."""

    def _scene(self, state: Tensor, present: Tensor) -> "Scene":
        from agentlab_runner.envs.mpe.drawing import Scene

        *points, (n, level) = state.view(-1, 2).tolist()
        still = self.world.still
        marks, movers = _discs(self._marks, points, int(n)), _discs(self._movers, points[still:], int(n))
        return Scene(movers, marks, present.tolist(), self._ring(level))

    def _ring(self, level: float) -> float | None:
        """Radius of the rings around landmarks; None: there are none."""
        return None

    def _chosen(self, actions: Tensor) -> Tensor:
        """[N, 2, B], what agents do, as `World.move` is told."""
        if self.spec.continuous:
            kept = actions.clamp(0, 1)
            along = torch.stack([kept[..., 2] - kept[..., 1], kept[..., 4] - kept[..., 3]])
            kicks = along.to(self.dtype) * self._kick
            return (kicks.where(self.present, 0) if self.mixed else kicks).permute(2, 0, 1)
        if self.mixed:
            actions = actions.where(self.present, 0)
        return self._kicks.index_select(1, actions.reshape(-1)).view(2, -1, self.agents).permute(2, 0, 1)

    def _present(self) -> Tensor:
        present: Tensor = torch.arange(self.agents, device=self.device) < self.sizes[:, None]
        return present


def _discs(kinds: Sequence[Kind], points: Sequence[Sequence[float]], n: int) -> list[tuple[float, float, float]]:
    """x, y and radius of all that are there."""
    found, first = [], 0
    for kind in kinds:
        count = min(n, kind.count) if kind.team else kind.count
        found += [(x, y, kind.radius) for x, y in points[first : first + count]]
        first += kind.count
    return found

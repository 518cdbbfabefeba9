"""Team episodes that are over, in tensors that are trajectories, too.

S counts the steps of E episodes, one episode behind the other; for the other letters see `runners/teams.py`.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any, overload

import torch
from torch import Tensor

from agentlab_runner.runners.teams import SHOWN, TeamView
from agentlab_runner.runners.types import Decision, Step, Trajectory

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class TeamEpisode(Trajectory):
    """One episode of a `TeamBatch`; its steps are made when they are asked for."""

    returns: tuple[float, ...] = ()
    """[N], what each agent was given in all."""
    team: int = 1
    """Agents at the start."""
    team_steps: int = 0

    @property
    def total_reward(self) -> float:
        return sum(self.returns)

    @property
    def episode_return(self) -> float:
        """The mean over the team, so that a reward shared by all counts once."""
        return self.total_reward / self.team

    @property
    def agent_steps(self) -> int:
        return self.team_steps

    @property
    def calls(self) -> list[Any]:
        return []


Draw = Callable[[Tensor, Tensor, Mapping[str, Tensor]], "NDArray[np.uint8]"]


@dataclass(frozen=True, slots=True, eq=False)
class TeamBatch(Sequence[Trajectory]):
    """Whole episodes, in the order of their seeds."""

    observations: Tensor
    """[S, N, D] float32; decisions were made on it, as on the next three."""
    present: Tensor
    """[S, N] bool."""
    legal: Tensor | None
    """[S, N, A] bool."""
    state: Tensor
    """[S, Z] float32."""
    actions: Tensor
    """[S, N] int64, or [S, N, A] float32."""
    extras: Mapping[str, Tensor]
    """[S, ...] by name."""
    rewards: Tensor
    """[S, N] float32."""
    terminated: Tensor
    """[S, N] bool."""
    truncated: Tensor
    """[S, N] bool."""
    final: TeamView
    """E rows: what was there to be seen when each was over."""
    lengths: Tensor
    """[E] int64."""
    episodes: tuple[TeamEpisode, ...]
    """E, without their steps."""
    draw: Draw | None = field(default=None, repr=False)

    def __len__(self) -> int:
        return len(self.episodes)

    @overload
    def __getitem__(self, index: int) -> Trajectory: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Trajectory]: ...
    def __getitem__(self, index: int | slice) -> Trajectory | Sequence[Trajectory]:
        if isinstance(index, slice):
            return [self[number] for number in range(*index.indices(len(self)))]
        number = range(len(self))[index]
        ends = int(self.lengths[: number + 1].sum())
        steps = _Steps(self, ends - int(self.lengths[number]), ends, number)
        return replace(self.episodes[number], steps=steps, final_observation=steps.last())

    def __iter__(self) -> Iterator[Trajectory]:
        return (self[number] for number in range(len(self)))

    @property
    def agent_steps(self) -> int:
        return sum(episode.agent_steps for episode in self.episodes)

    def padded(self, values: Tensor, fill: float = 0) -> Tensor:
        """[S, ...] -> [E, T, ...], T the longest episode."""
        inside = self.inside()
        if bool(inside.all()):
            return values.view(*inside.shape, *values.shape[1:])
        whole = values.new_full((*inside.shape, *values.shape[1:]), fill)
        whole[inside] = values
        return whole

    def inside(self) -> Tensor:
        """[E, T] bool: where `padded` has a step."""
        longest = int(self.lengths.max()) if len(self) else 0
        return torch.arange(longest, device=self.lengths.device) < self.lengths[:, None]

    def to(self, device: "torch.device | str") -> "TeamBatch":
        moved = {each.name: _moved(getattr(self, each.name), device) for each in fields(self)}
        return TeamBatch(**moved)

    @classmethod
    def joined(cls, parts: Sequence["TeamBatch"]) -> "TeamBatch":
        """The episodes of several, one batch behind the other."""
        if len(parts) == 1:
            return parts[0]
        return cls(**{each.name: _joined([getattr(part, each.name) for part in parts]) for each in fields(cls)})

    def chosen(self, numbers: Sequence[int]) -> "TeamBatch":
        """Some of the episodes, in this order."""
        device = self.lengths.device
        starts = (self.lengths.cumsum(0) - self.lengths).tolist()
        lengths = self.lengths.tolist()
        steps = [torch.arange(starts[number], starts[number] + lengths[number]) for number in numbers]
        at = (torch.cat(steps) if steps else torch.empty(0, dtype=torch.int64)).to(device)
        rows = torch.tensor(list(numbers), dtype=torch.int64, device=device)
        own = {name: _rows(getattr(self, name), at) for name in _STEPS}
        final = TeamView(**{each.name: _rows(getattr(self.final, each.name), rows) for each in fields(TeamView)})
        episodes = tuple(self.episodes[number] for number in numbers)
        return TeamBatch(**own, final=final, lengths=self.lengths[rows], episodes=episodes, draw=self.draw)


_STEPS = ("observations", "present", "legal", "state", "actions", "extras", "rewards", "terminated", "truncated")


@dataclass(frozen=True, slots=True, eq=False)
class _Steps(Sequence[Step]):
    """The steps of one episode, made when they are asked for."""

    batch: TeamBatch
    begins: int
    ends: int
    number: int

    def __len__(self) -> int:
        return self.ends - self.begins

    @overload
    def __getitem__(self, index: int) -> Step: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Step]: ...
    def __getitem__(self, index: int | slice) -> Step | Sequence[Step]:
        if isinstance(index, slice):
            return [self[number] for number in range(*index.indices(len(self)))]
        at, batch = self.begins + range(len(self))[index], self.batch
        team = batch.present[at].nonzero().flatten().tolist()
        shown = {name: batch.extras[name][at] for name in SHOWN if name in batch.extras}
        seen = _seen(batch.observations[at], batch.state[at], batch.present[at], shown, batch.draw)
        rewards = batch.rewards[at].tolist()
        actions = batch.actions[at].tolist()
        info: dict[str, Any] = {"parsed": _said(team, actions), "rewards": rewards}
        if "skill" in shown:
            info["scores"] = {f"skill of {agent}": float(shown["skill"][agent]) for agent in team}
        return Step(seen, Decision(actions, {"record": {"rewards": rewards}}), float(sum(rewards)), info)

    def last(self) -> "_Final":
        return _Final(self.batch, self.number)


class _Final(Mapping[str, Any]):
    """The observation at the end of an episode, made when it is asked for."""

    def __init__(self, batch: TeamBatch, number: int) -> None:
        self._batch, self._number, self._made = batch, number, dict[str, Any]()

    def _whole(self) -> Mapping[str, Any]:
        if not self._made:
            final, number = self._batch.final, self._number
            here = (final.observations[number], final.state[number], final.present[number])
            self._made.update(_seen(*here, {}, self._batch.draw))
        return self._made

    def __getitem__(self, name: str) -> Any:
        return self._whole()[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._whole())

    def __len__(self) -> int:
        return len(self._whole())


def _seen(
    observations: Tensor, state: Tensor, present: Tensor, shown: Mapping[str, Tensor], draw: Draw | None
) -> dict[str, Any]:
    seen: dict[str, Any] = {"vector": observations.cpu().numpy()}
    if draw is not None:
        on = {name: values.cpu() for name, values in shown.items()}
        seen["image"] = draw(state.cpu(), present.cpu(), on)
    return seen


def _said(team: Sequence[int], actions: Sequence[Any]) -> str:
    """A joint action in words."""
    def one(action: Any) -> str:
        return f"({', '.join(f'{x:.2f}' for x in action)})" if isinstance(action, list) else str(action)
    return " ".join(f"{agent}:{one(actions[agent])}" for agent in team)


def _moved(value: Any, device: "torch.device | str") -> Any:
    if isinstance(value, Tensor):
        return value.to(device)
    if isinstance(value, TeamView):
        return TeamView(**{each.name: _moved(getattr(value, each.name), device) for each in fields(value)})
    return {name: one.to(device) for name, one in value.items()} if isinstance(value, Mapping) else value


def _joined(values: Sequence[Any]) -> Any:
    first = values[0]
    if isinstance(first, Tensor):
        return torch.cat(list(values))
    if isinstance(first, TeamView):
        return TeamView(**{each.name: _joined([getattr(v, each.name) for v in values]) for each in fields(first)})
    if isinstance(first, Mapping):
        return {name: torch.cat([value[name] for value in values]) for name in first}
    return tuple(one for value in values for one in value) if isinstance(first, tuple) else first


def _rows(value: Any, at: Tensor) -> Any:
    if isinstance(value, Mapping):
        return {name: one[at] for name, one in value.items()}
    return None if value is None else value[at]

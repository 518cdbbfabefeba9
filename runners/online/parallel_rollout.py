"""Teams as PettingZoo's parallel API has them, an object each, stepped side by side as if they were rows of one."""

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from hydra.utils import instantiate
from numpy.typing import NDArray
from torch import Tensor

from agentlab_runner.runners.errors import RunFailed, UserError
from agentlab_runner.runners.online.batched_rollout import BatchedRollout
from agentlab_runner.runners.teams import BatchedEnv
from agentlab_runner.runners.types import StopReason

log = logging.getLogger(__name__)

TRIES = 3
"""How often an environment may fail to begin an episode before the run ends."""


class ParallelRollout(BatchedRollout):
    """As `BatchedRollout`, of environments that are PettingZoo `ParallelEnv`s.

    Those whose `metadata["blocking"]` is true (they wait for a game or a device) step in threads. One that raises
    ConnectionError loses its episode, which is counted apart, and is reset for the next.
    """

    @classmethod
    def make(cls, env: Mapping[str, Any], rows: int, device: str) -> BatchedEnv:
        return Stacked([instantiate(env, worker=number, _convert_="all") for number in range(rows)], device)


@dataclass(frozen=True, slots=True)
class Sizes:
    """As `TeamSpec`."""

    agents: int
    observation: int
    actions: int
    continuous: bool
    state: int


@dataclass(frozen=True, slots=True)
class Shown:
    """As `Seen`."""

    observations: Tensor
    present: Tensor
    legal: Tensor | None
    state: Tensor


@dataclass(frozen=True, slots=True)
class Came:
    """As `Outcome`."""

    rewards: Tensor
    terminated: Tensor
    truncated: Tensor
    ended: Tensor
    success: Tensor
    measures: Mapping[str, Tensor]
    stops: Mapping[int, tuple[str, str]]


@dataclass(slots=True)
class _Row:
    """One environment and what it shows."""

    env: Any
    seen: Mapping[str, Any] = field(default_factory=dict)
    infos: Mapping[str, Any] = field(default_factory=dict)
    playing: bool = False
    there: Sequence[str] = ()
    """Who is shown: the agents of the moment; at the end those that were cut short."""


class Stacked:
    """Parallel environments, all alike, as the rows of a `BatchedEnv`.

    Agents have the places of `possible_agents`. An observation is a Box, or a Dict of an `observation` and an
    `action_mask`; a mask may also stand in an agent's info. `success` and `measures` are what the infos of the last
    step say under these names, any agent's; without, an episode is no success. Smaller observations are filled with
    zeros.

    Raises:
        UserError: if spaces are of kinds that no team agent can use.
    """

    def __init__(self, envs: Sequence[Any], device: str) -> None:
        self.device = device
        self.rows = [_Row(env) for env in envs]
        first = envs[0]
        self.names: list[str] = list(first.possible_agents)
        spaces = [first.observation_space(name) for name in self.names]
        self.masked = all(hasattr(space, "spaces") for space in spaces)
        boxes = [space["observation"] if self.masked else space for space in spaces]
        actions = [first.action_space(name) for name in self.names]
        continuous = all(hasattr(space, "low") for space in actions)
        if not all(getattr(box, "shape", None) for box in boxes) or not (
            continuous or all(hasattr(space, "n") for space in actions)
        ):
            raise UserError(
                f"{_name(first)} shows {spaces[0]} and takes {actions[0]}, but teams are shown Boxes (or Dicts of "
                "observation and action_mask) and choose among Discrete or of Box actions; wrap it"
            )
        self._counts = [int(np.prod(space.shape)) if continuous else int(space.n) for space in actions]
        self._starts = [0 if continuous else int(getattr(space, "start", 0)) for space in actions]
        self._bounds = [(space.low, space.high) for space in actions] if continuous else []
        width = max(int(np.prod(box.shape)) for box in boxes)
        self._stated = callable(getattr(first, "state", None)) and _has_state(first)
        size = int(np.prod(first.state_space.shape)) if self._stated else width * len(self.names)
        self.spec = Sizes(len(self.names), width, max(self._counts), continuous, size)
        known = getattr(getattr(first, "unwrapped", first), "tasks", {})
        self.tasks = {str(name): dict(known[name]) for name in known} if isinstance(known, Mapping) else {}
        self._threads = len(envs) if (getattr(first, "metadata", None) or {}).get("blocking") else 0

    def reset(self, rows: Tensor, seeds: Tensor, tasks: Sequence[str | None]) -> Sequence[Mapping[str, Any]]:
        jobs = list(zip(rows.tolist(), seeds.tolist(), tasks, strict=True))
        with self._over() as over:
            return over(lambda job: self._begin(*job), jobs)

    def _begin(self, number: int, seed: int, task: str | None) -> Mapping[str, Any]:
        row = self.rows[number]
        options = {} if task is None else {"task": task}
        for left in reversed(range(TRIES)):
            try:
                row.seen, row.infos = row.env.reset(seed=seed, options=options)
                row.playing, row.there = True, list(row.env.agents)
                said: Mapping[str, Any] = next((info for info in row.infos.values() if info), {})
                return {"task": str((getattr(row.env, "metadata", None) or {}).get("name", "")), **said}
            except ConnectionError as fault:
                log.warning("an environment did not begin: %s", fault)
                if not left:
                    raise RunFailed(f"an environment did not begin in {TRIES} tries: {fault}") from fault
        raise AssertionError

    def view(self) -> Shown:
        team, rows, sizes = len(self.names), len(self.rows), self.spec
        seen = np.zeros((rows, team, sizes.observation), np.float32)
        present = np.zeros((rows, team), bool)
        legal = np.zeros((rows, team, sizes.actions), bool)
        state = np.zeros((rows, sizes.state), np.float32)
        for number, row in enumerate(self.rows):
            for place, name in enumerate(self.names):
                legal[number, place, : self._counts[place]] = True
                if name in row.there:
                    present[number, place] = True
                    shown = row.seen[name]["observation"] if self.masked else row.seen[name]
                    flat = np.asarray(shown, np.float32).ravel()
                    seen[number, place, : len(flat)] = flat
                    mask = row.seen[name]["action_mask"] if self.masked else row.infos.get(name, {}).get("action_mask")
                    if mask is not None:
                        legal[number, place, : self._counts[place]] = np.asarray(mask, bool)
            if self._stated and row.there:
                state[number] = np.asarray(row.env.state(), np.float32).ravel()
        if not self._stated:
            state = seen.reshape(rows, -1)
        allowed = None if sizes.continuous else self._tensor(legal)
        return Shown(self._tensor(seen), self._tensor(present), allowed, self._tensor(state))

    def step(self, actions: Tensor) -> Came:
        chosen = actions.cpu().numpy()
        team, rows = len(self.names), len(self.rows)
        rewards = np.zeros((rows, team), np.float32)
        terminated, truncated = np.zeros((rows, team), bool), np.zeros((rows, team), bool)
        ended, success = np.zeros(rows, bool), np.zeros(rows, bool)
        told: dict[int, Mapping[str, float]] = {}
        stops: dict[int, tuple[str, str]] = {}
        playing = [number for number, row in enumerate(self.rows) if row.playing]
        with self._over() as over:
            answers = over(lambda number: self._stepped(number, chosen[number]), playing)
        for number, answer in zip(playing, answers, strict=True):
            row = self.rows[number]
            if isinstance(answer, ConnectionError):
                stops[number] = (StopReason.DEVICE_LOST.value, str(answer))
                ended[number], row.playing, row.there = True, False, ()
                continue
            before = row.there
            row.seen, given, over_for, cut_for, row.infos = answer
            row.there = list(row.env.agents) or [name for name in before if not over_for.get(name)]
            for place, name in enumerate(self.names):
                rewards[number, place] = float(given.get(name, 0.0))
                terminated[number, place] = bool(over_for.get(name, False))
                truncated[number, place] = bool(cut_for.get(name, False))
            if not row.env.agents:
                ended[number], row.playing = True, False
                infos = [info for info in row.infos.values() if info]
                success[number] = any(info.get("success") for info in infos)
                told[number] = next((info["measures"] for info in infos if info.get("measures")), {})
                lost = next((info for info in infos if info.get("stop")), None)
                if lost is not None:
                    stops[number] = (str(lost["stop"]), str(lost.get("reason") or ""))
        names = sorted({name for one in told.values() for name in one})
        numbers = {name: np.array([float(told.get(n, {}).get(name, 0)) for n in range(rows)]) for name in names}
        measures = {name: self._tensor(values) for name, values in numbers.items()}
        return Came(
            rewards=self._tensor(rewards),
            terminated=self._tensor(terminated),
            truncated=self._tensor(truncated),
            ended=self._tensor(ended),
            success=self._tensor(success),
            measures=measures,
            stops=stops,
        )

    def _stepped(self, number: int, chosen: NDArray[Any]) -> Any:
        row = self.rows[number]
        actions = {name: self._action(place, chosen[place]) for place, name in enumerate(self.names)}
        try:
            return row.env.step({name: actions[name] for name in row.env.agents})
        except ConnectionError as fault:
            log.warning("an environment was lost: %s", fault)
            return fault

    def _action(self, place: int, chosen: Any) -> Any:
        if not self.spec.continuous:
            return int(chosen) + self._starts[place]
        low, high = self._bounds[place]
        return np.clip(chosen[: self._counts[place]].reshape(low.shape), low, high).astype(low.dtype)

    def close(self) -> None:
        for row in self.rows:
            row.env.close()

    def _tensor(self, values: NDArray[Any]) -> Tensor:
        return torch.from_numpy(values).to(self.device)

    @contextmanager
    def _over(self) -> Iterator[Callable[[Callable[[Any], Any], Sequence[Any]], list[Any]]]:
        if not self._threads:
            yield lambda function, items: [function(item) for item in items]
            return
        with ThreadPoolExecutor(self._threads) as pool:
            yield lambda function, items: list(pool.map(function, items))


def _has_state(env: Any) -> bool:
    """Whether an environment says of which kind its global state is; without, there is none."""
    try:
        return bool(env.state_space.shape)
    except (AttributeError, NotImplementedError):
        return False


def _name(env: Any) -> str:
    kind = type(getattr(env, "unwrapped", env))
    return f"{kind.__module__}.{kind.__qualname__}"

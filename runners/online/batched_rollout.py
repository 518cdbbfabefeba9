"""Collect episodes of teams: all rows of one batched environment in a step, nothing made for a single one."""

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any

import torch
from hydra.utils import instantiate
from torch import Tensor

from agentlab_runner.runners.errors import RunFailed, UserError
from agentlab_runner.runners.experiment import OnEpisode
from agentlab_runner.runners.online.rollout import starts_of
from agentlab_runner.runners.processes.collective import gather
from agentlab_runner.runners.team_batch import TeamBatch, TeamEpisode
from agentlab_runner.runners.teams import BatchedEnv, Outcome, TeamAgent, TeamChoice, TeamView, episode_keys
from agentlab_runner.runners.types import Start, StopReason

if TYPE_CHECKING:
    from agentlab_runner.runners.processes.trainer import Trainer


class BatchedRollout:
    """The rows of one batched environment, and the episodes played in them.

    The processes of a trainer have an equal share each of the rows and of the episodes, and compute on its device.

    Args:
        env: the environment's node, without `num_envs`.
        num_envs: rows in all.
        trainer: whose processes share them.

    Raises:
        UserError: if there are fewer rows than processes.
    """

    def __init__(self, env: Mapping[str, Any], num_envs: int, trainer: "Trainer") -> None:
        self._trainer = trainer
        if num_envs < trainer.processes:
            raise UserError(f"{trainer.processes} processes cannot share num_envs={num_envs}; give each one or more")
        own = len(range(trainer.rank, num_envs, trainer.processes))
        self.env = self.make(env, own, str(trainer.device))

    @classmethod
    def make(cls, env: Mapping[str, Any], rows: int, device: str) -> BatchedEnv:
        """The environment of this node, with so many rows."""
        made: BatchedEnv = instantiate(env, num_envs=rows, device=device, _convert_="all")
        return made

    @property
    def tasks(self) -> Mapping[str, Mapping[str, float]]:
        """What a curriculum may choose from."""
        return self.env.tasks

    def collect(
        self,
        agent: TeamAgent,
        seeds: Sequence[int],
        *,
        tasks: Sequence[str] | None = None,
        deterministic: bool = False,
        group_size: int = 1,
        on_episode: OnEpisode | None = None,
    ) -> TeamBatch:
        """Play `group_size` episodes a seed, each with the task of its seed, in the order of `seeds`.

        Every process gets the episodes of all; `on_episode` hears of its own as they end, without their steps.
        """
        whole = starts_of(seeds, tasks, group_size)
        with self._trainer.apart() as (rank, count):
            own = play(agent, self.env, whole[rank::count], self._trainer.device, deterministic, on_episode)
        if count == 1:
            return own
        everyones = TeamBatch.joined([part.to(self._trainer.device) for part in gather(own.to("cpu"))])
        order = [number for first in range(count) for number in range(first, len(whole), count)]
        return everyones.chosen(sorted(range(len(order)), key=order.__getitem__))

    def close(self) -> None:
        self.env.close()


@dataclass(slots=True)
class _Playing:
    """What is known of the rows while they are played."""

    starts: list[Start | None]
    """[B]; None: the row has nothing to play."""
    infos: list[Mapping[str, Any]]
    keys: Tensor
    step: Tensor
    begun: list[int]
    """[B], the tick of each episode's first step."""
    memory: dict[str, Tensor] = field(default_factory=dict)

    def live(self, device: "torch.device | str") -> Tensor:
        """[B] bool, rows in which an episode is played."""
        return torch.tensor([start is not None for start in self.starts], device=device)


@dataclass(slots=True)
class _Over:
    """An episode that has ended: where its steps are, and what is to be said of it."""

    start: Start
    info: Mapping[str, Any]
    row: int
    begun: int
    length: int
    success: bool
    truncated: bool
    measures: Mapping[str, float]
    stop: tuple[str, str] | None


@torch.no_grad()
def play(
    agent: TeamAgent,
    env: BatchedEnv,
    starts: Sequence[Start],
    device: "torch.device | str",
    deterministic: bool,
    on_episode: OnEpisode | None = None,
) -> TeamBatch:
    """Play the episodes that begin as `starts` say; a row whose episode has ended takes the next.

    Raises:
        RunFailed: if the agent's choice or what the environment gives cannot be played on.
    """
    view = env.view()
    rows = view.present.shape[0]
    zeros = torch.zeros(rows, dtype=torch.int64, device=device)
    now = _Playing([None] * rows, [{}] * rows, zeros.clone(), zeros.clone(), [0] * rows)
    waiting, ticks, over = deque(starts), _Ticks(), list[_Over]()
    finals: list[TeamView] = []
    _begin(env, now, waiting, range(rows), 0, device)
    live = now.live(device)
    while any(start is not None for start in now.starts):
        seen = _view(env, now, live)
        choice = agent.decide(seen, now.memory, deterministic)
        _check(seen, choice, now)
        outcome = env.step(choice.actions)
        ticks.add(seen, choice, outcome)
        now.step = now.step + 1
        now.memory = dict(choice.memory)
        ended = (outcome.ended & live).nonzero().flatten()
        if not len(ended):
            continue
        found = _ended(ended, outcome, now, len(ticks))
        over += found
        after = _view(env, now, live)
        finals.append(TeamView(**{each.name: _at(getattr(after, each.name), ended) for each in fields(TeamView)}))
        for one in found:
            now.starts[one.row] = None
            if on_episode is not None:
                on_episode(_episode(one, (), 1, 0))
        now.memory = {name: value.index_fill(0, ended, 0) for name, value in now.memory.items()}
        _begin(env, now, waiting, [one.row for one in found], len(ticks), device)
        live = now.live(device)
    return _batch(env, ticks, over, finals, rows, device)


def _begin(
    env: BatchedEnv, now: _Playing, waiting: deque[Start], free: Sequence[int], tick: int, device: Any
) -> None:
    ready = list(free)[: len(waiting)]
    if not ready:
        return
    starts = [waiting.popleft() for _ in ready]
    rows = torch.tensor(ready, dtype=torch.int64, device=device)
    seeds = torch.tensor([start.seed for start in starts], dtype=torch.int64, device=device)
    try:
        infos = env.reset(rows, seeds, [start.options.get("task") for start in starts])
    except ValueError as fault:
        raise UserError(f"a task cannot be played: {fault}") from fault
    for row, start, info in zip(ready, starts, infos, strict=True):
        now.starts[row], now.infos[row], now.begun[row] = start, info, tick
    now.keys = now.keys.index_copy(0, rows, episode_keys(starts, device))
    now.step = now.step.index_fill(0, rows, 0)


def _view(env: BatchedEnv, now: _Playing, live: Tensor) -> TeamView:
    seen = env.view()
    return TeamView(seen.observations, seen.present & live[:, None], seen.legal, seen.state, now.keys, now.step)


def _ended(rows: Tensor, outcome: Outcome, now: _Playing, tick: int) -> list[_Over]:
    success, cut = outcome.success[rows].tolist(), outcome.truncated[rows].any(dim=1).tolist()
    names = list(outcome.measures)
    numbers = torch.stack([outcome.measures[name][rows].double() for name in names], 1).tolist() if names else []
    found = []
    for place, row in enumerate(rows.tolist()):
        start = now.starts[row]
        assert start is not None
        measures = dict(zip(names, numbers[place], strict=True)) if names else {}
        begun, stop = now.begun[row], outcome.stops.get(row)
        found.append(
            _Over(start, now.infos[row], row, begun, tick - begun, success[place], cut[place], measures, stop)
        )
    return found


class _Ticks:
    """What every row saw, chose and was given, tick by tick."""

    def __init__(self) -> None:
        self._kept: dict[str, list[Tensor]] = {}
        self.legal = False
        self.count = 0

    def __len__(self) -> int:
        return self.count

    def add(self, view: TeamView, choice: TeamChoice, outcome: Outcome) -> None:
        own = {name: getattr(view, name) for name in ("observations", "present", "state")}
        own |= {"actions": choice.actions} | {f"extras.{name}": value for name, value in choice.extras.items()}
        own |= {name: getattr(outcome, name) for name in ("rewards", "terminated", "truncated")}
        if view.legal is not None:
            own["legal"] = view.legal
        for name, value in own.items():
            self._kept.setdefault(name, []).append(value)
        self.count += 1

    def of(self, at: Tensor, template: Callable[[], Mapping[str, Tensor]]) -> dict[str, Any]:
        """The steps at these places, counted tick by tick and row by row."""
        if not self.count:
            return {**template(), "legal": None, "extras": {}}
        rows = self._kept["present"][0].shape[0]
        found: dict[str, Any] = {"legal": None, "extras": {}}
        for name in list(self._kept):
            stacked = torch.stack(self._kept.pop(name))  # [ticks, B, ...]
            value = stacked.view(self.count * rows, *stacked.shape[2:])[at]
            owner, _, inner = name.partition(".")
            if inner:
                found[owner][inner] = value
            else:
                found[name] = value
        return found


def _batch(
    env: BatchedEnv, ticks: _Ticks, over: list[_Over], finals: list[TeamView], rows: int, device: Any
) -> TeamBatch:
    order = sorted(range(len(over)), key=lambda place: over[place].start.number)
    lengths = torch.tensor([over[place].length for place in order], dtype=torch.int64, device=device)
    begun = torch.tensor([over[place].begun * rows + over[place].row for place in order], device=device)
    within = torch.arange(int(lengths.sum()), device=device)
    owner = torch.repeat_interleave(torch.arange(len(order), device=device), lengths)
    within = within - (lengths.cumsum(0) - lengths)[owner]
    at = (begun[owner] + within * rows) if len(order) else within
    seen = env.view()

    def nothing() -> dict[str, Tensor]:
        blank = {name: getattr(seen, name)[:0] for name in ("observations", "present", "state")}
        few = seen.present[:0]
        return blank | {"actions": few.long(), "rewards": few.float(), "terminated": few, "truncated": few}

    steps = ticks.of(at, nothing)
    if bool((odd := ~steps["rewards"].isfinite()).any()):
        step, agent = odd.nonzero()[0].tolist()
        start = over[order[int(owner[step])]].start
        where = f"in episode {start.number} (seed {start.seed}), step {int(within[step])}, agent {agent}"
        raise RunFailed(f"{where} was given a reward that is not finite; mend the environment")
    places = torch.tensor(order, dtype=torch.int64, device=device)
    final = _final(finals, places, seen)
    teams, counts, returns = _sums(steps, lengths, owner)
    episodes = tuple(
        _episode(over[place], tuple(returns[number]), teams[number], counts[number])
        for number, place in enumerate(order)
    )
    return TeamBatch(**steps, final=final, lengths=lengths, episodes=episodes, draw=getattr(env, "picture", None))


def _final(finals: list[TeamView], places: Tensor, seen: Any) -> TeamView:
    if not finals:
        none = torch.zeros(0, dtype=torch.int64, device=places.device)
        return TeamView(seen.observations[:0], seen.present[:0], None, seen.state[:0], none, none)
    together: dict[str, Any] = {}
    for each in fields(TeamView):
        values = [getattr(one, each.name) for one in finals]
        together[each.name] = None if values[0] is None else torch.cat(values)[places]
    return TeamView(**together)


def _sums(steps: Mapping[str, Any], lengths: Tensor, owner: Tensor) -> tuple[list[int], list[int], list[list[float]]]:
    """Of each episode: agents at its start, decisions of all agents, what each agent was given."""
    present, rewards = steps["present"], steps["rewards"]
    firsts = lengths.cumsum(0) - lengths
    count, team = len(lengths), present.shape[1]
    decisions = torch.zeros(count, dtype=torch.int64, device=present.device).index_add_(0, owner, present.sum(1))
    given = torch.zeros(count, team, dtype=torch.float64, device=present.device)
    given.index_add_(0, owner, rewards.double())
    return present[firsts].sum(1).tolist() if count else [], decisions.tolist(), given.tolist()


def _episode(one: _Over, returns: tuple[float, ...], team: int, decisions: int) -> TeamEpisode:
    default = StopReason.SUCCESS if one.success else StopReason.HORIZON if one.truncated else StopReason.FAILURE
    stop, reason = one.stop or (default, "")
    return TeamEpisode(
        steps=(),
        final_observation={},
        stop=StopReason(stop),
        success=one.success,
        seed=one.start.seed,
        task=str(one.info.get("task", "")),
        goal=str(one.info.get("goal", "")),
        level=int(one.info.get("level", 0)),
        measures=one.measures,
        number=one.start.number,
        reason=reason,
        conditions=dict(one.info.get("conditions") or {}),
        returns=returns,
        team=team,
        team_steps=decisions,
    )


def _at(value: Any, rows: Tensor) -> Any:
    return None if value is None else value[rows]


def _check(view: TeamView, choice: TeamChoice, now: _Playing) -> None:
    """Whether every agent that is there can act, and has said how.

    Raises:
        RunFailed: naming episode, step and agent.
    """
    if view.legal is not None and bool((stuck := view.present & ~view.legal.any(dim=2)).any()):
        raise RunFailed(f"{_place(stuck, now)} has no legal action; the environment must leave it one (a no-op, say)")
    actions = choice.actions
    if actions.is_floating_point():
        odd = view.present & ~actions.isfinite().all(dim=2)
        if bool(odd.any()):
            raise RunFailed(f"{_place(odd, now)} chose an action that is not finite; its policy has diverged")
    elif view.legal is not None:
        chosen = view.legal.gather(2, actions.clamp(0, view.legal.shape[2] - 1)[:, :, None])[:, :, 0]
        if bool((wrong := view.present & ~chosen).any()):
            raise RunFailed(f"{_place(wrong, now)} chose an action that is not legal; the agent must heed view.legal")


def _place(where: Tensor, now: _Playing) -> str:
    row, agent = where.nonzero()[0].tolist()
    start = now.starts[row]
    assert start is not None
    return f"in episode {start.number} (seed {start.seed}), step {int(now.step[row])}, agent {agent}"


